"""The linear regime at finite width in closed form: kernels, residual, displacement, apparent slopes.

While no weight moves appreciably the residual obeys ``e' = -(m kappa^2 / n) M e`` with the kernel
``M = G_a / kappa' + kappa' G_w``; weights integrate it (derivation: ``docs/theory.md``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.kernel_modes import KernelModes
from meanfield.limits.linear_flow import LinearFlow
from meanfield.names import old_names
from meanfield.problem import Problem
from meanfield.scaling import Scaling

__all__ = ["DisplacementLaw"]

if not TYPE_CHECKING:  # type checkers see the names that are there
    __getattr__ = old_names(__name__, KernelLaw="DisplacementLaw")


def __dir__() -> list[str]:
    return sorted(__all__)


Array = NDArray[np.float64]

#: Relative error by rounding from which on a displacement is not given.
_LOST = 1e-2


@dataclass(frozen=True, eq=False)
class DisplacementLaw:
    """Displacements at the end of training in the linear regime, at any finite width.

    What depends on time, and the second order, has :class:`meanfield.limits.KernelRegime`, one width at a
    time. Exact as m -> infinity with the displacement going to zero; at the widths of experiments it follows
    the crossover between the layers, which the asymptotic exponent does not.

    Parameters
    ----------
    problem : Problem
        Data with zero initial output (antisymmetric initialisation).
    neurons_per_width : int, default 1
        2 where a width counts one of two twin halves.

    Examples
    --------
    >>> from meanfield import Problem, Scaling
    >>> law = DisplacementLaw(Problem([-0.5, 0.5], [1.0, 0.5]))
    >>> rd_w, rd_a = law.displacement(Scaling(gamma=0.5), [100, 10_000])
    >>> print(f"{rd_w[0] / rd_w[1]:.6f}")
    10.000000
    """

    problem: Problem
    neurons_per_width: int = 1

    def displacement(self, scaling: Scaling, widths: Sequence[float] | Array) -> tuple[Array, Array]:
        """RD_w and RD_a at the end of training, one value for each width.

        Parameters
        ----------
        scaling : Scaling
            Gives kappa and kappa_prime.
        widths : sequence of float, shape (k,)
            At these kappa and kappa_prime are taken; they count ``1 / neurons_per_width`` of the neurons.

        Returns
        -------
        rd_w, rd_a : ndarray, shape (k,)

        Raises
        ------
        InputError
            If the kernel is singular: two samples are the same point, or on one ray, or all neurons are dead
            on one; if samples are so close to each other that rounding leaves less than two digits.
        """
        rd = np.array([self._at(scaling, float(m)) for m in widths], dtype=np.float64).reshape(-1, 2)
        return rd[:, 0], rd[:, 1]

    def slopes(self, scaling: Scaling, widths: Sequence[float] | Array) -> tuple[float, float]:
        """Apparent exponents: least-squares slopes of log RD_w and log RD_a against log m.

        Parameters
        ----------
        scaling, widths
            As in :meth:`displacement`; at least two widths.

        Returns
        -------
        S_w, S_a : float
        """
        if len(widths) < 2:
            raise InputError(f"{len(widths)} widths given; give at least two, a slope needs them")
        logs = np.log(np.asarray(widths, dtype=np.float64))
        rd_w, rd_a = self.displacement(scaling, widths)
        return float(np.polyfit(logs, np.log(rd_w), 1)[0]), float(np.polyfit(logs, np.log(rd_a), 1)[0])

    def _at(self, scaling: Scaling, m: float) -> tuple[float, float]:
        d = self.problem.x.shape[1]
        kappa, kappa_prime = scaling.kappa(m, d), scaling.kappa_prime(m, d)
        modes = KernelModes.of(self.problem, kappa_prime)
        if not modes.complete:
            raise InputError(
                f"the kernel of these {self.problem.n} inputs is singular (of rank {len(modes.values)}); "
                "remove samples that coincide or lie on one ray"
            )
        impulse = LinearFlow.of(modes, 1.0 / self.problem.n).impulse(math.inf)  # in units of 1 / (m kappa^2)
        lost = modes.rounding(impulse)
        if not lost < _LOST:
            raise InputError(
                f"samples are so close to each other that double precision loses the displacement (relative "
                f"error {lost:.0e}); remove samples that nearly coincide"
            )
        a_part, w_part = modes.forms(impulse)
        unit = 1.0 / (self.neurons_per_width * m * kappa)
        return unit * math.sqrt(kappa_prime * w_part / d), unit * math.sqrt(a_part / kappa_prime)
