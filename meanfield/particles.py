"""Weighted neurons in the paper's normalised units: one object for finite and infinite width.

``f(x) = kappa sum_k weight_k a_k relu(w_k . x)`` with ``a ~ N(0, 1)`` and ``w ~ N(0, I_d)`` at the
start; for any other activation sigma, ``sigma(beta2 w . x) / beta2`` takes the place of the ReLU.
A random network of width m has m particles of weight 1; quadrature nodes of the infinite-width
dynamics have weights whose sum is m, any real number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.activations import RELU, Activation, as_activation
from meanfield.arguments import (
    RNG,
    flag,
    generator,
    instance,
    number,
    real_array,
    squarable_array,
    whole_number,
)
from meanfield.displays import brief
from meanfield.errors import InputError
from meanfield.nodes import Directions, directions, gaussian, outside_span
from meanfield.problem import Problem
from meanfield.scaling import Scaling

#: Entries of a block of pre-activations held at a time by :meth:`Particles.output` (32 MB).
_BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class Span:
    """Where reduced particles live: in the span of the samples, for w never moves out of it.

    Attributes
    ----------
    basis : ndarray, shape (d, r)
        Orthonormal basis of the samples' span; row k of ``Particles.w`` holds coordinates in it.
    outside : ndarray, shape (N,)
        Squared length of what each w has outside the span.
    """

    basis: NDArray[np.float64]
    outside: NDArray[np.float64]

    __repr__ = brief


@dataclass(frozen=True, eq=False)
class Particles:
    """Neurons of a two-layer network with their weights in the sum.

    Attributes
    ----------
    a : ndarray, shape (N,) or (N, c)
        Output weights in units of beta1; (N, c) for c outputs.
    w : ndarray, shape (N, d)
        Input weights in units of beta2, the bias last; of reduced particles, shape (N, r), their
        coordinates in the span of the samples. Use :meth:`preactivations` for ``w . x``: it knows which.
    weight : ndarray, shape (N,)
        Multiplicity of each particle, >= 0; they sum to the width m.
    kappa, kappa_prime : float
        Energetic and dynamical scale at this width.
    span : Span or None
        Given for reduced particles (see :meth:`sample`).
    activation : Activation
        The nonlinearity.
    beta2 : float
        The unit of w. It counts where the activation is not homogeneous of degree one only.
    rates : tuple of float
        Learning rates of the output and the input weights, in units of that of the time tbar.
    minus : Particles or None
        A network whose output is subtracted: see :meth:`centred`.

    See Also
    --------
    Particles.sample : random neurons.
    Particles.quadrature : weighted nodes of the limit.
    Particles.from_arrays : neurons drawn by the user.

    Examples
    --------
    >>> from meanfield import Scaling, datasets
    >>> network = Particles.sample(datasets.four_points(), Scaling.named("ntk"), width=100, rng=0)
    >>> network.size, network.d, network.width, round(network.kappa, 3)
    (100, 2, 100.0, 0.1)
    """

    a: NDArray[np.float64]
    w: NDArray[np.float64]
    weight: NDArray[np.float64]
    kappa: float
    kappa_prime: float
    span: Span | None = None
    activation: Activation = RELU
    beta2: float = 1.0
    rates: tuple[float, float] = (1.0, 1.0)
    minus: Particles | None = None

    @classmethod
    def sample(
        cls,
        problem: Problem,
        scaling: Scaling,
        width: int,
        *,
        antisymmetric: bool = True,
        reduced: bool = False,
        activation: Activation | str = "relu",
        beta2: float | None = None,
        zero_bias: bool = False,
        factor: float = 1.0,
        rng: RNG = None,
    ) -> Particles:
        """Draw a random network.

        The same ``rng`` seed gives the same draw for every scaling (paired), and the first neurons
        of a wider draw are the narrower one (nested).

        Parameters
        ----------
        problem : Problem
            Sets the dimension d of the input weights.
        scaling : Scaling
            Sets kappa and kappa_prime at this width.
        width : int
            Number of neurons m, twins included.
        antisymmetric : bool, default True
            Give every neuron (a, w) a twin (-a, w), so that the initial output is zero (to the
            rounding of the sum over neurons); then ``width`` must be even. Twins are neighbours:
            neurons 2j and 2j + 1.
        reduced : bool, default False
            Keep of every w only its coordinates in the span of the samples, and the length of the rest:
            N r numbers instead of N d. The run is the same to rounding; the network can be evaluated
            in the span only.
        activation : Activation or str, default "relu"
            The nonlinearity: a name of ``meanfield.activations.available()``, or your own.
        beta2 : float, optional
            Spread of the initial input weights at this width. Where the activation is not homogeneous of
            degree one, as tanh is not, it decides with kappa and kappa_prime, and has to be given; by
            default it is that of the scaling, if the scaling has one.
        zero_bias : bool, default False
            Start the hidden biases, the last coordinate of every w, at zero; they are trained.
        factor : float, default 1.0
            Multiplies the output: the alpha of Chizat, Oyallon and Bach (2019). They divide the loss by its
            square: their time is ``factor**2`` times the time of this flow.
        rng : int, SeedSequence, Generator or None
            Source of randomness.

        Returns
        -------
        Particles

        Raises
        ------
        InputError
            If the width is not a positive (for twins: even) whole number, the activation is not known,
            ``beta2`` is needed and missing, or there are no biases to start at zero.

        Examples
        --------
        >>> from meanfield import Problem, Scaling
        >>> problem = Problem([-1.0, 1.0], [0.0, 1.0])
        >>> network = Particles.sample(problem, Scaling.named("ntk"), width=100, rng=0)
        >>> network.size, bool(abs(network.output(problem.x)).max() < 1e-12)
        (100, True)
        """
        _check(problem, scaling)
        antisymmetric, reduced = flag("antisymmetric", antisymmetric), flag("reduced", reduced)
        count = _as_count(width, even=antisymmetric)
        chosen, size = sized(activation, beta2, scaling, count, problem.d)
        if flag("zero_bias", zero_bias) and not problem.bias:
            raise InputError(
                "zero_bias is True, but the problem has no bias; leave it out, or give bias=True"
            )
        factor = _as_scale("factor", factor)
        source = generator(rng)
        each = 2 if antisymmetric else 1
        c = problem.outputs
        a, w = np.empty((count, c)), np.empty((count, problem.rank if reduced else problem.d))
        outside = np.empty(count if reduced else 0)
        rows = max(1, _BLOCK // (c + problem.d))
        for start in range(0, count // each, rows):
            stop = min(start + rows, count // each)
            # One row per neuron makes wider draws extend narrower ones.
            draws = source.standard_normal((stop - start, c + problem.d))
            pair, whole = slice(each * start, each * stop), draws[:, c:]
            if zero_bias:
                whole[:, -1] = 0.0
            a[pair] = np.repeat(draws[:, :c], each, axis=0)
            inside = whole @ problem.basis if reduced else whole
            w[pair] = np.repeat(inside, each, axis=0)
            if reduced:
                rest = np.sum(whole**2, axis=1) - np.sum(inside**2, axis=1)
                outside[pair] = np.repeat(np.maximum(rest, 0.0), each)
        if antisymmetric:
            a[1::2] *= -1.0
        return cls(
            a=a[:, 0].copy() if c == 1 else a,
            w=w,
            weight=np.ones(count),
            kappa=factor * scaling.kappa(count, problem.d),
            kappa_prime=scaling.kappa_prime(count, problem.d),
            span=Span(problem.basis, outside) if reduced else None,
            activation=chosen,
            beta2=size,
        )

    @classmethod
    def quadrature(
        cls,
        problem: Problem,
        scaling: Scaling,
        width: float,
        *,
        nodes: int = 2048,
        activation: Activation | str = "relu",
        beta2: float | None = None,
        rng: RNG = 0,
    ) -> Particles:
        """Nodes that stand for infinitely many neurons: the law of large numbers at scale m.

        Directions of (a, w) on a sphere with weights that sum to the width, in twins (a, w) and (-a, w)
        side by side, so that the initial output is exactly zero. For samples that span a line or a plane
        the rule is deterministic and respects their kinks; for higher rank it is randomised (Sobol'). For
        activations that are not homogeneous of degree one the nodes are randomised points of the Gaussian law
        itself.

        Parameters
        ----------
        problem : Problem
            The data.
        scaling : Scaling
            Sets kappa and kappa_prime at this width.
        width : float
            The scale m, any real number from 2 on: 1e4 or 1e60.
        nodes : int, default 2048
            Wanted number of particles, at least 16; the rule may take a few more or less.
        activation, beta2
            As in :meth:`sample`.
        rng : int, SeedSequence, Generator or None, default 0
            Scrambles the points where they are randomised, and draws what of w lies outside the samples'
            span.

        Returns
        -------
        Particles

        Raises
        ------
        InputError
            If the width is not a finite number >= 2, or nodes is below 16.

        Examples
        --------
        >>> from meanfield import Problem, Scaling
        >>> problem = Problem([-1.0, 1.0], [0.0, 1.0])
        >>> limit = Particles.quadrature(problem, Scaling.named("mean-field"), width=1e12, nodes=256)
        >>> print(f"{limit.width:g}", bool(abs(limit.output(problem.x)).max() < 1e-15))
        1e+12 True
        """
        _check(problem, scaling)
        width = number("width", width, "a finite number from 2 on", least=2.0)
        chosen, size = sized(activation, beta2, scaling, width, problem.d)
        if problem.outputs > 1:
            raise InputError(f"the problem has {problem.outputs} outputs, but nodes are for one; use sample")
        source, count = generator(rng), whole_number("nodes", nodes, least=16) // 2
        if chosen.homogeneous:
            half = directions(problem, count, source, everywhere=chosen != RELU)
            pairs = cls.twins(problem, scaling, width, half, rng=source)
        else:
            half = gaussian(problem, count, source)
            pairs = cls._paired(problem, scaling, width, half, _outside(problem, len(half.weight), source))
        return replace(pairs, activation=chosen, beta2=size)

    @classmethod
    def twins(
        cls, problem: Problem, scaling: Scaling, width: float, half: Directions, *, rng: RNG = 0
    ) -> Particles:
        """Nodes and their twins, for directions with a > 0: see :meth:`quadrature`.

        Parameters
        ----------
        problem, scaling, width
            As in :meth:`quadrature`.
        half : Directions
            The nodes with a > 0; particles 2j and 2j + 1 are node j and its twin.
        rng
            As in :meth:`quadrature`.

        Returns
        -------
        Particles
        """
        return cls._paired(problem, scaling, width, half, outside_span(problem, half.weight, generator(rng)))

    @classmethod
    def _paired(
        cls,
        problem: Problem,
        scaling: Scaling,
        width: float,
        half: Directions,
        outside: NDArray[np.float64],
    ) -> Particles:
        """Nodes and their twins, for w that have this outside the samples' span."""
        w = half.q @ problem.basis.T + outside
        return cls(
            a=np.column_stack([half.a, -half.a]).ravel(),
            w=np.repeat(w, 2, axis=0),
            weight=np.repeat(0.5 * width * half.weight, 2),
            kappa=scaling.kappa(width, problem.d),
            kappa_prime=scaling.kappa_prime(width, problem.d),
        )

    @classmethod
    def from_arrays(
        cls,
        a: ArrayLike,
        w: ArrayLike,
        *,
        kappa: float,
        kappa_prime: float,
        weight: ArrayLike | None = None,
        activation: Activation | str = "relu",
        beta2: float | None = None,
    ) -> Particles:
        """Build particles from the user's own arrays, in normalised units.

        Parameters
        ----------
        a : array_like, shape (N,) or (N, c)
            Output weights divided by beta1; (N, c) for c outputs.
        w : array_like, shape (N, d)
            Input weights divided by beta2, the bias last.
        kappa, kappa_prime : float
            ``beta1 beta2 / alpha`` and ``beta1 / beta2``.
        weight : array_like, shape (N,), optional
            Multiplicities; by default 1 each.
        activation : Activation or str, default "relu"
            The nonlinearity: a name of ``meanfield.activations.available()``, or your own.
        beta2 : float, optional
            The unit of w; needed where the activation is not homogeneous of degree one.

        Raises
        ------
        InputError
            If shapes do not match, entries are not finite, scales are not positive, the activation is not
            known, or ``beta2`` is needed and missing.

        Examples
        --------
        >>> Particles.from_arrays([1.0, -1.0], [[0.5, 0.0], [0.5, 0.0]], kappa=0.5, kappa_prime=1.0).width
        2.0
        """
        a, w = squarable_array("a", a), squarable_array("w", w)
        if a.ndim not in (1, 2) or not a.size or w.ndim != 2 or w.shape[0] != a.shape[0] or w.size == 0:
            raise InputError(
                f"a has shape {a.shape} and w {w.shape}; give (N,) and (N, d) with N, d >= 1, or a of shape "
                "(N, c) for c outputs"
            )
        a = a[:, 0] if a.ndim == 2 and a.shape[1] == 1 else a
        weights = np.ones(a.shape[0]) if weight is None else real_array("weight", weight)
        if weights.shape != a.shape[:1] or np.any(weights < 0) or not weights.sum() > 0:
            raise InputError(
                f"weight has shape {weights.shape} and minimum {weights.min(initial=0.0):g}; "
                f"give {a.shape[0]} numbers >= 0 with a positive sum"
            )
        chosen, size = sized(activation, beta2)
        scales = _as_scale("kappa", kappa), _as_scale("kappa_prime", kappa_prime)
        return cls(a, w, weights, *scales, activation=chosen, beta2=size)

    @property
    def size(self) -> int:
        """Number of particles N."""
        return int(self.a.shape[0])

    @property
    def outputs(self) -> int:
        """Number of outputs c."""
        return 1 if self.a.ndim == 1 else int(self.a.shape[1])

    @property
    def d(self) -> int:
        """Dimension of the input weights."""
        return int(self.w.shape[1] if self.span is None else self.span.basis.shape[0])

    @property
    def width(self) -> float:
        """Width m: the sum of the weights."""
        return float(self.weight.sum())

    @property
    def orientation(self) -> NDArray[np.float64]:
        """Angle atan2(b, w) of each neuron for one-dimensional inputs with a bias, shape (N,).

        Raises
        ------
        InputError
            If the input weights do not have two coordinates.
        """
        if self.d != 2:
            raise InputError(f"orientations are angles for d = 2, but here d = {self.d}; use w itself")
        if self.w.shape[1] != 2:
            raise InputError(
                "the samples span a line, in which reduced particles have no angle; draw the network with "
                "reduced=False"
            )
        return np.arctan2(self.w[:, 1], self.w[:, 0])

    @property
    def amplitude(self) -> NDArray[np.float64]:
        """Amplitude ``|a_k| |w_k|`` of each neuron, shape (N,); Euclidean norms."""
        amplitude: NDArray[np.float64] = self.a_size * np.sqrt(self.w_squared)
        return amplitude

    @property
    def a_size(self) -> NDArray[np.float64]:
        """``|a_k|`` of each neuron, shape (N,)."""
        return np.asarray(np.abs(self.a) if self.a.ndim == 1 else np.sqrt(self.a_squared))

    @property
    def a_squared(self) -> NDArray[np.float64]:
        """``|a_k|**2`` of each neuron, shape (N,)."""
        squared: NDArray[np.float64] = self.a**2
        return squared if self.a.ndim == 1 else squared.sum(axis=1)

    @property
    def w_squared(self) -> NDArray[np.float64]:
        """``|w_k|**2`` of each neuron, shape (N,)."""
        inside: NDArray[np.float64] = np.einsum("kc,kc->k", self.w, self.w)
        return inside if self.span is None else inside + self.span.outside

    @property
    def antisymmetric(self) -> bool:
        """Whether neighbours are twins, (a, w) and (-a, w) of equal weight: then the output is zero.

        Examples
        --------
        >>> Particles.from_arrays([1.0, -1.0], [[0.5], [0.5]], kappa=1.0, kappa_prime=1.0).antisymmetric
        True
        """
        if self.size % 2 or not np.array_equal(self.a[0::2], -self.a[1::2]):
            return False
        same = [self.w, self.weight] + ([] if self.span is None else [self.span.outside])
        return all(np.array_equal(values[0::2], values[1::2]) for values in same)

    def preactivations(self, x: ArrayLike, neurons: slice = slice(None)) -> NDArray[np.float64]:
        """``w_k . x_i`` for rows of d entries (bias column included), whether or not w is reduced.

        Parameters
        ----------
        x : array_like, shape (k, d)
            For reduced particles inside the span of their samples.
        neurons : slice, optional
            Which neurons, to compute in blocks; by default all.

        Returns
        -------
        ndarray, shape (number of neurons, k)

        Raises
        ------
        InputError
            If x has another shape, or the particles are reduced and x is outside their samples' span.

        Examples
        --------
        >>> one = Particles.from_arrays([1.0], [[2.0, -1.0]], kappa=1.0, kappa_prime=1.0)
        >>> one.preactivations([[3.0, 1.0]])
        array([[5.]])
        """
        rows = instance("neurons", neurons, slice, "slice(start, stop)")
        return np.asarray(self.w[rows] @ self._points(x).T)

    def activations(
        self, x: ArrayLike, neurons: slice = slice(None)
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``sigma(beta2 z) / beta2`` and ``sigma'(beta2 z)`` at ``z = w_k . x_i``: what neurons make of x.

        Parameters
        ----------
        x, neurons
            As in :meth:`preactivations`.

        Returns
        -------
        value, slope : ndarray, shape (number of neurons, k)

        Examples
        --------
        >>> one = Particles.from_arrays(
        ...     [1.0], [[2.0]], kappa=1.0, kappa_prime=1.0, activation="tanh", beta2=0.5
        ... )
        >>> value, slope = one.activations([[1.0]])
        >>> value.round(4), slope.round(4)                # 2 tanh(1), 1 / cosh(1)**2
        (array([[1.5232]]), array([[0.42]]))
        """
        z = self.preactivations(x, neurons)
        value, slope = self.activation.value_and_slope(z if self._plain else self.beta2 * z)
        return (value if self._plain else value / self.beta2), slope

    @property
    def _plain(self) -> bool:
        """Whether the size of w drops out, so that beta2 does."""
        return self.activation.homogeneous

    def coordinates(self, problem: Problem) -> NDArray[np.float64]:
        """Input weights in the coordinates of :attr:`Problem.basis`, shape (N, rank), reduced or not.

        Parameters
        ----------
        problem : Problem
            The data that span the coordinates.

        Returns
        -------
        ndarray, shape (N, rank)

        Raises
        ------
        InputError
            If the particles were reduced to the span of other samples.
        """
        instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
        if self.span is None:
            return self.w if problem.rank == problem.d else self.w @ problem.basis
        basis = self.span.basis
        if basis.shape != problem.basis.shape or not np.allclose(basis, problem.basis, rtol=0.0, atol=1e-12):
            raise InputError(
                "the particles were reduced to the span of other samples; draw them for this problem, "
                "or with reduced=False"
            )
        return self.w

    def output(self, x: ArrayLike) -> NDArray[np.float64]:
        """Evaluate the network on rows of d entries (bias column included).

        Parameters
        ----------
        x : array_like, shape (k, d)

        Returns
        -------
        ndarray, shape (k,), or (k, c) for c outputs
            Without that of :attr:`minus`, if there is one.
        """
        points = self._points(x)
        f = np.zeros((points.shape[0], *self.a.shape[1:]))
        coefficient = ((self.kappa * self.weight) * self.a.T).T
        step = max(1, _BLOCK // max(1, points.shape[0]))
        for start in range(0, self.size, step):
            chunk = slice(start, start + step)
            f += self._activated(points @ self.w[chunk].T) @ coefficient[chunk]
        return f if self.minus is None else f - self.minus.output(x)

    def centred(self) -> Particles:
        """The same network less its present output, which is subtracted from now on: it starts from zero.

        What is subtracted, ``f0(x)``, does not move: training ``f - f0`` on y is training f on ``y + f0``.

        Returns
        -------
        Particles

        Examples
        --------
        >>> one = Particles.from_arrays([1.0], [[2.0]], kappa=1.0, kappa_prime=1.0).centred()
        >>> one.output([[3.0]]), one.moved(2.0 * one.a, one.w).output([[3.0]])
        (array([0.]), array([6.]))
        """
        if self.minus is not None:
            raise InputError(
                "the output of another network is subtracted already; centre the network only once"
            )
        return replace(self, minus=self)

    def trained(self, *, a: float = 1.0, w: float = 1.0) -> Particles:
        """The same network with other learning rates of its layers.

        Parameters
        ----------
        a, w : float, default 1.0
            Rates of the output and of the input weights, as factors of the time tbar; 0 for a layer that
            stays as it is.

        Returns
        -------
        Particles

        Examples
        --------
        >>> Particles.from_arrays([1.0], [[2.0]], kappa=1.0, kappa_prime=1.0).trained(a=0.1).rates
        (0.1, 1.0)
        """
        rates = tuple(number(name, rate, "a rate >= 0", least=0.0) for name, rate in (("a", a), ("w", w)))
        if rates == (0.0, 0.0):
            raise InputError("a and w are 0, so that nothing is trained; give a positive rate to one of them")
        return replace(self, rates=(rates[0], rates[1]))

    def _activated(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """``sigma(beta2 z) / beta2``, the activation in normalised units."""
        if self._plain:
            return self.activation.value(z)
        return self.activation.value(self.beta2 * z) / self.beta2

    def _points(self, x: ArrayLike) -> NDArray[np.float64]:
        """Inputs in the coordinates that w has."""
        points = real_array("x", x)
        if points.ndim != 2 or points.shape[1] != self.d:
            raise InputError(f"x has shape {points.shape}; give (k, {self.d}), the bias column included")
        if self.span is not None:
            inside = points @ self.span.basis
            off = np.linalg.norm(points - inside @ self.span.basis.T, axis=1)
            if np.any(off > 1e-9 * np.linalg.norm(points, axis=1)):
                raise InputError(
                    "x has rows outside the span of the samples, where reduced particles do not know "
                    "their weights; draw the network with reduced=False to evaluate it there"
                )
            points = inside
        return points

    def pushed(self, size: float = 1e-6, *, rng: RNG = 0) -> Particles:
        """The same particles with every w pushed a little, at random.

        A flow that came to rest with status ``HELD`` goes on from there.

        Parameters
        ----------
        size : float, default 1e-6
            Length of the push of a neuron in units of its own: ``sqrt(|w|**2 + (kappa_prime a)**2)``, which
            is not zero at the origin of w. (Neurons of which nothing is left are pushed like the others in
            the mean.)
        rng : int, SeedSequence, Generator or None, default 0
            Source of randomness.

        Examples
        --------
        >>> held = Particles.from_arrays([1.0, 1.0], [[0.5, 0.0], [0.0, 0.0]], kappa=0.5, kappa_prime=1.0)
        >>> bool(0 < abs(held.pushed().w[1]).max() < 1e-5)
        True
        """
        size = number("size", size, "a positive number", above=0.0)
        push = generator(rng).standard_normal(self.w.shape) / math.sqrt(self.w.shape[1])
        own = np.hypot(np.linalg.norm(self.w, axis=1), self.kappa_prime * self.a_size)
        own[own == 0.0] = float(np.sqrt(np.mean(own**2))) or 1.0
        return self.moved(self.a, self.w + size * own[:, None] * push)

    def moved(self, a: NDArray[np.float64], w: NDArray[np.float64]) -> Particles:
        """The same particles (weights and scales) with other parameters.

        Parameters
        ----------
        a : ndarray, shape (N,)
            New output weights, in the units of ``a``.
        w : ndarray, shape (N, d) or (N, rank)
            New input weights, in the coordinates and units of ``w``.

        Returns
        -------
        Particles
        """
        return replace(self, a=a, w=w)

    def _repr_html_(self) -> str:
        rows = {
            "particles": self.size,
            "width": self.width,
            "d": self.d,
            "kappa": self.kappa,
            "kappa'": self.kappa_prime,
            "activation": self.activation.name,
            "outputs": self.outputs if self.outputs > 1 else None,
            "learning rates of a and w": None if self.rates == (1.0, 1.0) else str(self.rates),
            "subtracted": None if self.minus is None else "the output of another network",
            "beta2": None if self.activation.homogeneous else self.beta2,
            "pairs of twins": "yes" if self.antisymmetric else "no",
            "reduced to the samples' span": "no" if self.span is None else "yes",
        }
        return displays.card("Particles", rows)

    def __repr__(self) -> str:
        return (
            f"<Particles: N={self.size}, d={self.d}, width={self.width:g}, kappa={self.kappa:g}, "
            f"kappa_prime={self.kappa_prime:g}{self._what_else()}>"
        )

    def _what_else(self) -> str:
        """What differs from a plain network of ReLUs."""
        parts = [] if self.activation == RELU else [f"activation={self.activation.name}"]
        parts += [] if self.activation.homogeneous else [f"beta2={self.beta2:g}"]
        parts += [f"outputs={self.outputs}"] if self.outputs > 1 else []
        parts += [] if self.rates == (1.0, 1.0) else [f"rates={self.rates}"]
        parts += [] if self.minus is None else ["centred"]
        return "".join(f", {part}" for part in parts)


def _as_count(width: float, *, even: bool) -> int:
    count = whole_number("width", width)
    if even and count % 2:
        raise InputError(
            f"width is {count}, but antisymmetric initialisation pairs neurons; "
            "give an even width, or antisymmetric=False"
        )
    return count


def _as_scale(name: str, value: Any) -> float:
    return number(name, value, "a positive finite number", above=0.0)


def _outside(problem: Problem, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian parts of input weights outside the samples' span, shape (count, d)."""
    if problem.rank == problem.d:
        return np.zeros((count, problem.d))
    draws = rng.standard_normal((count, problem.d))
    return np.asarray(draws - (draws @ problem.basis) @ problem.basis.T)


def sized(
    activation: Activation | str,
    beta2: float | None,
    scaling: Scaling | None = None,
    width: float = 1.0,
    d: int = 1,
) -> tuple[Activation, float]:
    """The activation and the unit of w, which homogeneous ones of degree one do not need.

    Raises
    ------
    InputError
        If the activation is not known, or the unit is needed and neither given nor known to the scaling.
    """
    chosen = as_activation(activation)
    if beta2 is not None:
        return chosen, _as_scale("beta2", beta2)
    known = None if scaling is None or chosen.homogeneous else scaling.beta2(width, d)
    if known is None and not chosen.homogeneous:
        raise InputError(
            f"{chosen.name} is not homogeneous of degree one, so that kappa and kappa_prime do not decide "
            "how the network trains; give beta2, the spread of the initial input weights"
            + ("" if scaling is None else ", or a scaling that has it")
        )
    return chosen, 1.0 if known is None else known


def _check(problem: Problem, scaling: Scaling) -> None:
    instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    instance("scaling", scaling, Scaling, "Scaling(gamma, gamma_prime) or Scaling.named")
