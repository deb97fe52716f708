"""Weighted neurons in the paper's normalised units: one object for finite and infinite width.

``f(x) = kappa sum_k weight_k a_k relu(w_k . x)`` with ``a ~ N(0, 1)`` and ``w ~ N(0, I_d)`` at the
start. A random network of width m has m particles of weight 1; quadrature nodes of the
infinite-width dynamics have weights whose sum is m, any real number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.errors import InputError
from meanfield.problem import Problem
from meanfield.scaling import Scaling

#: What NumPy accepts as a source of randomness (SPEC 7).
RNG = np.random.Generator | np.random.SeedSequence | np.random.BitGenerator | int | None

#: Entries of a block of pre-activations held at a time by :meth:`Particles.output` (32 MB).
_BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class Particles:
    """Neurons of a two-layer network with their weights in the sum.

    Attributes
    ----------
    a : ndarray, shape (N,)
        Output weights in units of beta1.
    w : ndarray, shape (N, d)
        Input weights in units of beta2, the bias last.
    weight : ndarray, shape (N,)
        Multiplicity of each particle, >= 0; they sum to the width m.
    kappa, kappa_prime : float
        Energetic and dynamical scale at this width.

    See Also
    --------
    Particles.sample : random neurons.
    Particles.from_arrays : neurons drawn by the user.
    """

    a: NDArray[np.float64]
    w: NDArray[np.float64]
    weight: NDArray[np.float64]
    kappa: float
    kappa_prime: float

    @classmethod
    def sample(
        cls,
        problem: Problem,
        scaling: Scaling,
        width: int,
        *,
        antisymmetric: bool = True,
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
        antisymmetric : bool
            Give every neuron (a, w) a twin (-a, w), so that the initial output is zero (to the
            rounding of the sum over neurons); then ``width`` must be even. Twins are neighbours:
            neurons 2j and 2j + 1.
        rng : int, SeedSequence, Generator or None
            Source of randomness.

        Returns
        -------
        Particles

        Raises
        ------
        InputError
            If the width is not a positive (for twins: even) whole number.

        Examples
        --------
        >>> from meanfield import Problem, Scaling
        >>> problem = Problem([-1.0, 1.0], [0.0, 1.0])
        >>> network = Particles.sample(problem, Scaling.named("ntk"), width=100, rng=0)
        >>> network.size, bool(abs(network.output(problem.x)).max() < 1e-12)
        (100, True)
        """
        count = _as_count(width, even=antisymmetric)
        generator = np.random.default_rng(rng)
        # One row per neuron makes wider draws extend narrower ones.
        draws = generator.standard_normal((count // 2 if antisymmetric else count, 1 + problem.d))
        if antisymmetric:
            draws = np.repeat(draws, 2, axis=0)
            draws[1::2, 0] *= -1.0
        return cls(
            a=np.ascontiguousarray(draws[:, 0]),
            w=np.ascontiguousarray(draws[:, 1:]),
            weight=np.ones(count),
            kappa=scaling.kappa(count, problem.d),
            kappa_prime=scaling.kappa_prime(count, problem.d),
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
    ) -> Particles:
        """Build particles from the user's own arrays, in normalised units.

        Parameters
        ----------
        a : array_like, shape (N,)
            Output weights divided by beta1.
        w : array_like, shape (N, d)
            Input weights divided by beta2, the bias last.
        kappa, kappa_prime : float
            ``beta1 beta2 / alpha`` and ``beta1 / beta2``.
        weight : array_like, shape (N,), optional
            Multiplicities; by default 1 each.

        Raises
        ------
        InputError
            If shapes do not match, entries are not finite, or scales are not positive.

        Examples
        --------
        >>> Particles.from_arrays([1.0, -1.0], [[0.5, 0.0], [0.5, 0.0]], kappa=0.5, kappa_prime=1.0).width
        2.0
        """
        a, w = _as_floats("a", a), _as_floats("w", w)
        if a.ndim != 1 or a.size == 0 or w.ndim != 2 or w.shape[0] != a.shape[0] or w.size == 0:
            raise InputError(f"a has shape {a.shape} and w {w.shape}; give (N,) and (N, d) with N, d >= 1")
        weights = np.ones(a.shape[0]) if weight is None else _as_floats("weight", weight)
        if weights.shape != a.shape or np.any(weights < 0) or not weights.sum() > 0:
            raise InputError(
                f"weight has shape {weights.shape} and minimum {weights.min(initial=0.0):g}; "
                f"give {a.size} numbers >= 0 with a positive sum"
            )
        return cls(a, w, weights, _as_scale("kappa", kappa), _as_scale("kappa_prime", kappa_prime))

    @property
    def size(self) -> int:
        """Number of particles N."""
        return int(self.a.shape[0])

    @property
    def d(self) -> int:
        """Dimension of the input weights."""
        return int(self.w.shape[1])

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
        return np.arctan2(self.w[:, 1], self.w[:, 0])

    @property
    def amplitude(self) -> NDArray[np.float64]:
        """Amplitude ``|a_k| |w_k|`` of each neuron, shape (N,)."""
        norms: NDArray[np.float64] = np.linalg.norm(self.w, axis=1)
        return np.abs(self.a) * norms

    def output(self, x: ArrayLike) -> NDArray[np.float64]:
        """Evaluate the network on rows of d entries (bias column included).

        Parameters
        ----------
        x : array_like, shape (k, d)

        Returns
        -------
        ndarray, shape (k,)
        """
        points = np.asarray(x, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != self.d:
            raise InputError(f"x has shape {points.shape}; give (k, {self.d}), the bias column included")
        f = np.zeros(points.shape[0])
        coefficient = self.kappa * self.weight * self.a
        step = max(1, _BLOCK // max(1, points.shape[0]))
        for start in range(0, self.size, step):
            chunk = slice(start, start + step)
            f += np.maximum(points @ self.w[chunk].T, 0.0) @ coefficient[chunk]
        return f

    def moved(self, a: NDArray[np.float64], w: NDArray[np.float64]) -> Particles:
        """The same particles (weights and scales) with other parameters."""
        return replace(self, a=a, w=w)

    def __repr__(self) -> str:
        return (
            f"Particles(N={self.size}, d={self.d}, width={self.width:g}, kappa={self.kappa:g}, "
            f"kappa_prime={self.kappa_prime:g})"
        )


def _as_count(width: float, *, even: bool) -> int:
    try:
        count = int(width)
        whole = count == width and count >= 1
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise InputError(f"width is {width!r}; give a positive whole number of neurons")
    if even and count % 2:
        raise InputError(
            f"width is {count}, but antisymmetric initialisation pairs neurons; "
            "give an even width, or antisymmetric=False"
        )
    return count


def _as_scale(name: str, value: Any) -> float:
    if not (isinstance(value, Real) and 0.0 < float(value) < math.inf):
        raise InputError(f"{name} is {value!r}; give a positive finite number")
    return float(value)


def _as_floats(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        raw = np.asarray(values)
        if np.iscomplexobj(raw):
            raise TypeError("complex")
        array = np.array(raw, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is not an array of numbers ({error}); give real numbers") from None
    if not np.all(np.isfinite(array)):
        raise InputError(f"{name} has entries that are not finite; give finite numbers only")
    return array
