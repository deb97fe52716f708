"""The kernel regime in closed form: residual, outputs and displacements at any time.

While weights hardly move the residual obeys ``de/dtbar = -(m kappa^2 / n) M e`` with the constant kernel
``M = G_a / kappa' + kappa' G_w``. With ``T_i = -(1/n) int e_i dtbar`` the layers move by

    Delta a = (kappa/kappa') sum_i T_i relu(w.x_i) + a kappa^2 sum_ij C_ij 1_i 1_j x_i.x_j + ...
    Delta w = a kappa kappa' sum_j T_j 1_j x_j + kappa^2 sum_ij C_ij relu(w.x_i) 1_j x_j + ...

where ``C_ij = int T_i dT_j``: each layer follows the other one, which moves. The second terms have even
and odd powers of a exchanged, so that they add in mean square; where one layer is far ahead they are the
larger ones (derivation: ``docs/infinite-width.md``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.arc_cosine import arc_cosine_kernels, input_rows
from meanfield.arguments import instance, number, over_times, scale
from meanfield.displays import brief
from meanfield.errors import InputError
from meanfield.kernel_modes import KernelModes
from meanfield.limits.linear_flow import LinearFlow, LinearLaw, a_time
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.resources import check_fits
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Factor of what is known in its order of magnitude only.
_CAUTION = 10.0
#: Nodes for the means of the second order.
_NODES = 2048
#: Entries of a block of particles x samples held at a time (32 MB).
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Displacement:
    """Relative displacements of both layers and what they are made of.

    All are arrays of shape (S,) where S times were asked for.

    Attributes
    ----------
    rd_w, rd_a : float
        RD_w and RD_a, of first and second order together.
    first_w, first_a : float
        First order: each layer under the initial weights of the other.
    second_w, second_a : float
        Second order: under the displacement of the other.
    rounding : float
        Estimated relative error of the first order by rounding: large where samples nearly coincide so that
        not even 32 digits tell them apart.
    """

    first_w: float
    first_a: float
    second_w: float
    second_a: float
    rounding: float = 0.0

    @property
    def rd_w(self) -> float:
        """Of the input weights."""
        return _hypot(self.first_w, self.second_w)

    @property
    def rd_a(self) -> float:
        """Of the output weights."""
        return _hypot(self.first_a, self.second_a)

    def __repr__(self) -> str:
        if np.ndim(self.first_w):
            return brief(self)
        values = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{type(self).__name__}({values})"

    @classmethod
    def _over_times(cls, t: ArrayLike, at: Callable[[float], Displacement]) -> Displacement:
        """Displacements at one time, or at several, whose values are stacked."""
        found = over_times("t", t, at)
        if isinstance(found, Displacement):
            return found
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.array([getattr(one, name) for one in found]) for name in names})  # type: ignore[arg-type]


def _hypot(one: float, other: float) -> float:
    """The same bits for numbers and for arrays of them."""
    if np.ndim(one) == 0:
        return math.hypot(one, other)
    return np.array([math.hypot(*pair) for pair in zip(one, other, strict=True)])  # type: ignore[return-value, call-overload]


@dataclass(frozen=True, eq=False)
class KernelRegime(LinearLaw):
    """Predictions of the kernel regime for a network of width m with zero initial output.

    Parameters
    ----------
    problem : Problem
        The data.
    width : float
        Number of neurons m, any real number: the prediction is that of the finite width.
    kappa, kappa_prime : float
        Scales at this width.

    See Also
    --------
    KernelRegime.at : from a scaling.

    Examples
    --------
    >>> import meanfield as mf
    >>> law = KernelRegime.at(mf.datasets.four_points(), mf.Scaling.named("ntk"), width=1e12)
    >>> bool(law.loss(0.0) > law.loss(10.0) > law.loss(float("inf"))), law.unlearnable
    (True, 0.0)
    """

    problem: Problem
    width: float
    kappa: float
    kappa_prime: float

    def __post_init__(self) -> None:
        instance("problem", self.problem, Problem, "Problem(x, y) or meanfield.datasets")
        number("width", self.width, "a positive finite number", above=0.0)
        scale("kappa", self.kappa)
        scale("kappa_prime", self.kappa_prime)
        scale("kappa times the width", self.kappa * self.width)

    @classmethod
    def at(cls, problem: Problem, scaling: Scaling, width: float) -> KernelRegime:
        """The law at a point of the plane and a width.

        Parameters
        ----------
        problem : Problem
            The data.
        scaling : Scaling
            Sets kappa and kappa_prime at this width.
        width : float
            The scale m.

        Returns
        -------
        KernelRegime
        """
        instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
        instance("scaling", scaling, Scaling, "Scaling(gamma, gamma_prime) or Scaling.named")
        width = number("width", width, "a positive finite number", above=0.0)
        return cls(problem, width, scaling.kappa(width, problem.d), scaling.kappa_prime(width, problem.d))

    def _repr_html_(self) -> str:
        rows = {
            "data": f"{self.problem.name}, {self.problem.n} samples",
            "width": self.width,
            "kappa": self.kappa,
            "kappa'": self.kappa_prime,
        }
        return displays.card("Kernel regime in closed form", rows)

    @cached_property
    def layers(self) -> tuple[Array, Array]:
        """Parts of the kernel M that come from the output and the input weights, both (n, n)."""
        G_a, G_w = arc_cosine_kernels(self.problem.x)
        return G_a / self.kappa_prime, self.kappa_prime * G_w

    @cached_property
    def _modes(self) -> KernelModes:
        return KernelModes.of(self.problem, self.kappa_prime)

    @cached_property
    def _flow(self) -> LinearFlow:
        return LinearFlow.of(self._modes, self.width * self.kappa**2 / self.problem.n)

    def output(self, x: ArrayLike, t: ArrayLike = math.inf) -> Array:
        """Output on new inputs at the time tbar = t.

        Parameters
        ----------
        x : array_like or data frame, shape (k,) or (k, d_in)
            Inputs in the user's units, without a bias column; columns of a data frame in any order.
        t : float or array_like, shape (S,), default inf
            By default infinite.

        Returns
        -------
        ndarray, shape (k,) or (S, k)
            In the units of the user's targets.
        """
        kernel = self._modes.kernel_to(self.problem.with_bias(x), self.kappa_prime)
        scale, dual = self.width * self.kappa**2, self._modes.dual
        output = over_times("t", t, lambda s: scale * (kernel @ (dual @ self._flow.impulse(a_time(s)))))
        return self.problem.to_target_units(np.asarray(output))

    def displacement(self, t: ArrayLike = math.inf, nodes: Particles | None = None) -> Displacement:
        """Displacements of the layers at the time tbar = t, to second order.

        Parameters
        ----------
        t : float or array_like, shape (S,), default inf
            Time (tbar), by default infinite. At several times all that the result holds has the shape (S,).
        nodes : Particles, optional
            Initial particles over which the second order is averaged (cost N n^2); by default
            :meth:`Particles.quadrature` with 2048 nodes.

        Raises
        ------
        InputError
            If neurons move beyond what double precision can square (targets of 1e69 at kappa = 1e-60).
        """
        if nodes is not None:
            instance("nodes", nodes, Particles, "Particles.quadrature")
        return Displacement._over_times(t, lambda s: self._displacement(a_time(s), nodes))

    def _displacement(self, time: float, nodes: Particles | None) -> Displacement:
        kappa, kappa_prime = self.kappa, self.kappa_prime
        vectors = self._modes.vectors
        with np.errstate(over="ignore", invalid="ignore"):  # looked at below
            impulse = self._flow.impulse(time)
            a_part, w_part = self._modes.forms(impulse)
            C = kappa**2 * (vectors @ self._flow.impulse_products(time) @ vectors.T)
            w_square, a_square = self._second_order(C, self._nodes if nodes is None else nodes)
            rounding = self._modes.rounding(impulse)
        if not math.isfinite(w_square + a_square):
            raise InputError(
                f"neurons move by about {kappa * math.sqrt(max(a_part, w_part)):.0e} of their size, which "
                "double precision cannot square twice; give smaller targets, or scales closer to one"
            )
        return Displacement(
            first_w=kappa * math.sqrt(w_part * kappa_prime / self.problem.d),
            first_a=kappa * math.sqrt(a_part / kappa_prime),
            second_w=math.sqrt(w_square / self.problem.d),
            second_a=math.sqrt(a_square),
            rounding=rounding,
        )

    @overload
    def nonlinearity(self, t: float = math.inf) -> float: ...

    @overload
    def nonlinearity(self, t: ArrayLike) -> float | Array: ...

    def nonlinearity(self, t: ArrayLike = math.inf) -> float | Array:
        """Estimated relative error by the kernel's change up to the time t, and by rounding.

        Both kernels depend on w, through activations and patterns, and that of the input weights on a. First
        orders are odd in a, and cancel, but for neurons at a kink: those that leave its active side are
        lost, while beyond it nothing may move their twins. They are the share ``P(|z| < |Delta z|) / 2`` of
        a Gaussian pre-activation z. Else what is left is the square of first orders, and the second order.
        At several times t the result has their shape (S,).

        Parameters
        ----------
        t : float or array_like, shape (S,), default inf
            Time (tbar), may be infinite; or several.

        Returns
        -------
        float or ndarray, shape (S,)
        """
        moved = self.displacement(t)
        share = self.kappa_prime**2 / (1.0 + self.kappa_prime**2)  # of the kernel's trace, that of w
        at_kinks = math.sqrt(self.problem.d / (2.0 * math.pi)) * moved.first_w
        by_w = at_kinks + _CAUTION * (moved.first_w**2 + moved.second_w)
        by_a = moved.first_a**2 + moved.second_a
        return by_w + _CAUTION * by_a * share + moved.rounding

    @cached_property
    def _nodes(self) -> Particles:
        return Particles.quadrature(self.problem, Scaling(0.0, 0.0), 2.0, nodes=_NODES)

    def _second_order(self, C: Array, nodes: Particles) -> tuple[float, float]:
        """Means of ``|sum C_ij relu_i 1_j x_j|^2`` and ``a^2 (sum C_ij 1_i 1_j x_i.x_j)^2``."""
        x = self.problem.x
        pulls = C * (x @ x.T)
        w_square = a_square = 0.0
        step = max(1, _BLOCK // len(x))
        for start in range(0, nodes.size, step):
            block = slice(start, start + step)
            z = nodes.preactivations(x, block)
            on, weight = (z > 0.0).astype(np.float64), nodes.weight[block]
            moved = (on * (np.maximum(z, 0.0) @ C)) @ x
            w_square += float(weight @ np.einsum("kc,kc->k", moved, moved))
            a_square += float(weight @ (nodes.a[block] * np.einsum("ki,ki->k", on @ pulls, on)) ** 2)
        return w_square / nodes.width, a_square / nodes.width


def empirical_kernels(
    particles: Particles, x: ArrayLike, other: ArrayLike | None = None, *, problem: Problem | None = None
) -> tuple[Array, Array]:
    """Kernels of a finite network, the counterparts of :func:`arc_cosine_kernels`, in O(n^2) memory.

    Parameters
    ----------
    particles : Particles
        The network, at any time.
    x : array_like, shape (n, d)
        Inputs with the bias as their last coordinate.
    other : array_like, shape (k, d), optional
        Other inputs of this kind; by default x.
    problem : Problem, optional
        Then x and ``other`` are inputs as the user has them, of shape (n,) or (n, d_in): without the bias
        column, which the problem adds if it has one.

    Returns
    -------
    K_a, K_w : ndarray, shape (n, k)
        Weighted means over neurons of ``relu(w.x) relu(w.x')`` and of ``a^2 relu' relu' x.x'``; the
        tangent kernel is ``m kappa^2 (K_a / kappa' + kappa' K_w)``.

    Raises
    ------
    InputError
        If shapes do not match, or the kernels do not fit into memory.

    See Also
    --------
    Linearised : the flow that this kernel drives.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=20_000, rng=0)
    >>> difference = empirical_kernels(network, problem.x)[0] - arc_cosine_kernels(problem.x)[0]
    >>> bool(abs(difference).max() < 0.03)
    True
    """
    instance("particles", particles, Particles, "Particles.sample, .quadrature or .from_arrays")
    rows, columns = input_rows(x, other, problem)
    for name, array in (("x", rows), ("other", columns)):
        if array.shape[1] != particles.d:
            raise InputError(
                f"{name} has shape {array.shape}; give (k, {particles.d}), the bias column included, or give "
                "problem= and the inputs without it"
            )
    check_fits(f"two kernels of {len(rows)} x {len(columns)} inputs", 4 * 8.0 * len(rows) * len(columns))
    K_a, K_w = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    step = max(1, _BLOCK // max(len(rows), len(columns)))
    for start in range(0, particles.size, step):
        block = slice(start, start + step)
        weight = particles.weight[block] / particles.width
        z, other_z = particles.preactivations(rows, block), particles.preactivations(columns, block)
        K_a += (np.maximum(z, 0.0) * weight[:, None]).T @ np.maximum(other_z, 0.0)
        K_w += ((z > 0.0) * (weight * particles.a[block] ** 2)[:, None]).T @ (other_z > 0.0)
    return K_a, K_w * (rows @ columns.T)
