"""The linearised flow of a finite network: what it would do if its tangent kernel stayed as it starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import instance, over_times
from meanfield.errors import InputError
from meanfield.kernel_modes import KernelModes
from meanfield.limits.kernel_regime import empirical_kernels
from meanfield.limits.linear_flow import LinearFlow
from meanfield.limits.linear_law import Displacement, LinearLaw, a_time
from meanfield.particles import Particles
from meanfield.problem import Problem, check_mean_square
from meanfield.resources import check_fits

Array = NDArray[np.float64]

#: Matrices of n x n numbers that are held at once.
_MATRICES = 8


@dataclass(frozen=True, eq=False)
class Linearised(LinearLaw):
    """A finite network to first order in its weights, in closed form at any time.

    With the features ``df/dtheta`` of the initial network the flow is linear: the residual obeys
    ``de/dtbar = -K e / n`` with the network's own tangent kernel K, and outputs anywhere follow its
    integral. No average, no limit: a network that stays near its start follows it.

    Parameters
    ----------
    problem : Problem
        The data.
    network : Particles
        The network at the start; its output need not be zero.

    See Also
    --------
    KernelRegime : the same with the kernel of infinitely many neurons.

    Notes
    -----
    Modes whose eigenvalue is zero to rounding, below n 2.2e-16 of the largest, are never learned.

    Source: Jacot, Gabriel, Hongler (2018); Lee, Xiao and others (2019).

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=10_000, rng=0)
    >>> linear = mf.limits.Linearised(problem, network)
    >>> run = mf.gradient_flow(problem, network, loss_tol=0.0, t_end=50.0)
    >>> bool(abs(run.predict([0.1, 0.6]) - linear.output([0.1, 0.6], 50.0)).max() < 0.01)
    True
    """

    problem: Problem
    network: Particles
    _title = "Linearised flow of a network"

    def __post_init__(self) -> None:
        check_mean_square(self.problem, "the linearised flow is")
        instance("network", self.network, Particles, "Particles.sample, .quadrature or .from_arrays")
        if self.network.d != self.problem.d:
            raise InputError(
                f"the network has input weights of {self.network.d} entries, but the problem has d = "
                f"{self.problem.d}; draw the network for this problem"
            )

    @property
    def _scales(self) -> dict[str, float]:
        network = self.network
        return {"width": network.width, "kappa": network.kappa, "kappa_prime": network.kappa_prime}

    @cached_property
    def _modes(self) -> KernelModes:
        n, network = self.problem.n, self.network
        check_fits(f"the kernels between {n} samples, {n} x {n} numbers each,", _MATRICES * 8.0 * n**2)
        K_a, K_w = empirical_kernels(network, self.problem.x)
        layers = self._by_layer(K_a, K_w)
        return KernelModes.of_network(self.problem, layers, network.output(self.problem.x) - self.problem.y)

    def _by_layer(self, K_a: Array, K_w: Array) -> tuple[Array, Array]:
        """What the layers give to the kernel, each at its learning rate."""
        network = self.network
        return network.rates[0] * K_a / network.kappa_prime, network.rates[1] * network.kappa_prime * K_w

    @property
    def _factor(self) -> float:
        return self.network.width * self.network.kappa**2

    @cached_property
    def _flow(self) -> LinearFlow:
        return LinearFlow.of(self._modes, self._factor / self.problem.n)

    def impulse_products(self, t: ArrayLike) -> Array:
        """``int_0^t T_i dT_j``, by which the layers follow each other in the second order.

        Parameters
        ----------
        t : float or array_like, shape (S,)
            Time (tbar), may be infinite; or several.

        Returns
        -------
        ndarray, shape (n, n) or (S, n, n)
            Of T as in :meth:`impulse`.
        """
        vectors = self._flow.vectors
        return np.asarray(
            over_times("t", t, lambda s: vectors @ self._flow.impulse_products(a_time(s)) @ vectors.T)
        )

    def _outputs(self, points: Array) -> Callable[[float], Array]:
        network = self.network
        K_a, K_w = empirical_kernels(network, points, self.problem.x)
        kernel = sum(self._by_layer(K_a, K_w))
        initial = network.output(points)
        return lambda t: initial + self._factor * (kernel @ (self._flow.vectors @ self._flow.impulse(t)))

    def displacement(self, t: ArrayLike = math.inf) -> Displacement:
        """Relative displacements of the layers at the time tbar = t; there is no second order.

        At several times all that the result holds has their shape (S,).

        Parameters
        ----------
        t : float or array_like, shape (S,), default inf
            Time (tbar), may be infinite; or several.

        Returns
        -------
        Displacement
        """
        return Displacement._over_times(t, lambda s: self._displacement(a_time(s)))

    def _displacement(self, t: float) -> Displacement:
        network, impulse = self.network, self._flow.impulse(t)
        by_a, by_w = network.rates[0] / network.kappa_prime, network.rates[1] * network.kappa_prime
        a_part, w_part = self._modes.forms(impulse)
        a_size, w_size = network.weight @ network.a**2, network.weight @ network.w_squared
        return Displacement(
            first_w=network.kappa * math.sqrt(by_w * network.width * w_part / w_size),
            first_a=network.kappa * math.sqrt(by_a * network.width * a_part / a_size),
            second_w=0.0,
            second_a=0.0,
            rounding=self._modes.rounding(impulse),
        )
