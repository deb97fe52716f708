"""S_w between given widths without sampling noise: what the law of large numbers predicts of an ensemble."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.experiments.cells import Cell, CellSettings, cell_scaling, run_particles
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.regime import exponents

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float64]

#: Weighted particles in the place of all neurons, and points of gamma between which is interpolated.
_NODES, _POINTS = 256, 13


@dataclass(frozen=True, eq=False)
class ReferenceSlope:
    """S_w between given widths as a function of gamma, tabulated around the predicted boundary.

    At each width the neurons are replaced by a few hundred weighted particles (see
    :meth:`meanfield.Particles.quadrature`): the same flow at the same kappa and kappa_prime, at less than a
    hundredth of the cost. It tends to the theory's exponent as the widths grow, and knows how far they
    are from it. Networks differ from it by their draw, and by terms of order 1/m.

    Attributes
    ----------
    gamma_prime, predicted : float
        Where on the plane; the theory's boundary there.
    curve : PchipInterpolator
        S_w against gamma.
    """

    gamma_prime: float
    predicted: float
    curve: PchipInterpolator

    @classmethod
    def around(
        cls,
        problem: Problem,
        settings: CellSettings,
        widths: NDArray[np.int64] | Array,
        predicted: float,
        gamma_prime: float,
        reach: float,
    ) -> ReferenceSlope:
        """Tabulate the slope within ``reach`` of the predicted boundary."""
        from scipy.interpolate import PchipInterpolator

        gamma = predicted + np.linspace(-reach, reach, _POINTS)
        S_w = [_slope(problem, settings, widths, float(g), gamma_prime) for g in gamma]
        return cls(gamma_prime, predicted, PchipInterpolator(gamma, S_w, extrapolate=False))

    def __call__(self, gamma: float) -> float:
        """The slope at a point within reach."""
        return float(self.curve(gamma))

    def zero(self, shift: float = 0.0) -> float:
        """Where the slope, shifted by a constant, changes sign; nan if it does not within reach."""
        if not math.isfinite(shift):
            return math.nan
        roots = self.curve.solve(-shift, extrapolate=False)
        roots = roots[np.isfinite(roots)]  # a stretch that is zero throughout ends in nan
        return float(roots[np.argmin(np.abs(roots - self.predicted))]) if len(roots) else math.nan


def _slope(
    problem: Problem,
    settings: CellSettings,
    widths: NDArray[np.int64] | Array,
    gamma: float,
    gamma_prime: float,
) -> float:
    """Least-squares slope of log RD_w; the theory's exponent where a run does not come to its end."""
    halves = 2 if settings.per_half else 1
    log_rd = []
    for width in widths:
        cell = Cell(gamma, gamma_prime, int(width), 0)
        particles = Particles.quadrature(
            problem, cell_scaling(cell, settings), float(halves * width), nodes=_NODES
        )
        result = run_particles(problem, particles, cell, settings)
        if not (result.finished and result.rd_w > 0.0):
            return float(exponents(gamma, gamma_prime, antisymmetric=settings.antisymmetric)[0])
        log_rd.append(math.log(result.rd_w))
    return float(np.polyfit(np.log(np.asarray(widths, dtype=np.float64)), log_rd, 1)[0])
