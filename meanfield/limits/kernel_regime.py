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
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arc_cosine import arc_cosine_kernels, input_rows
from meanfield.arguments import instance, number, scale
from meanfield.errors import InputError
from meanfield.kernel_modes import KernelModes
from meanfield.limits.linear_flow import LinearFlow
from meanfield.limits.linear_law import Displacement, LinearLaw, a_time
from meanfield.particles import Particles
from meanfield.problem import Problem, check_mean_square
from meanfield.resources import check_fits
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Factor of what is known in its order of magnitude only.
_CAUTION = 10.0
#: Nodes for the means of the second order.
_NODES = 2048
#: Entries of a block of particles x samples held at a time (32 MB).
_BLOCK = 1 << 22


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
    _title = "Kernel regime in closed form"

    def __post_init__(self) -> None:
        check_mean_square(self.problem, "the law of the kernel regime is")
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
        check_mean_square(problem, "the law of the kernel regime is")
        instance("scaling", scaling, Scaling, "Scaling(gamma, gamma_prime) or Scaling.named")
        width = number("width", width, "a positive finite number", above=0.0)
        return cls(problem, width, scaling.kappa(width, problem.d), scaling.kappa_prime(width, problem.d))

    @property
    def _scales(self) -> dict[str, float]:
        return {"width": self.width, "kappa": self.kappa, "kappa_prime": self.kappa_prime}

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

    def _outputs(self, points: Array) -> Callable[[float], Array]:
        kernel = self._modes.kernel_to(points, self.kappa_prime)
        scale, dual = self.width * self.kappa**2, self._modes.dual
        return lambda t: scale * (kernel @ (dual @ self._flow.impulse(t)))

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
        return self._nonlinearity(self.displacement(t))

    def _nonlinearity(self, moved: Displacement) -> float | Array:
        share = self.kappa_prime**2 / (1.0 + self.kappa_prime**2)  # of the kernel's trace, that of w
        at_kinks = math.sqrt(self.problem.d / (2.0 * math.pi)) * moved.first_w
        by_w = at_kinks + _CAUTION * (moved.first_w**2 + moved.second_w)
        by_a = moved.first_a**2 + moved.second_a
        return by_w + _CAUTION * by_a * share + moved.rounding

    def _series(self, times: Array) -> dict[str, Any]:
        moved = self.displacement(times)
        return {
            "loss": self.loss(times),
            "rd_w": moved.rd_w,
            "rd_a": moved.rd_a,
            "nonlinearity": self._nonlinearity(moved),
        }

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
        Weighted means over neurons of ``relu(w.x) relu(w.x')`` and of ``a^2 relu' relu' x.x'``, with the
        network's own activation in place of the ReLU (:meth:`Particles.activations`); the tangent kernel is
        ``m kappa^2 (K_a / kappa' + kappa' K_w)``.

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
    if particles.outputs > 1:
        raise InputError(
            f"particles has {particles.outputs} outputs, but these kernels are those of one; use "
            "meanfield.flow.tangent_kernel, which has a block for each two samples"
        )
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
        (value, slope), (others, other_slope) = (
            particles.activations(points, block) for points in (rows, columns)
        )
        K_a += (value * weight[:, None]).T @ others
        K_w += (slope * (weight * particles.a[block] ** 2)[:, None]).T @ other_slope
    return K_a, K_w * (rows @ columns.T)
