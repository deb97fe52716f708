"""Predictions at a sweep's own widths for all points of its grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from meanfield.displays import brief
from meanfield.experiments.cells import Cell, CellSettings, neurons
from meanfield.experiments.estimate import run_work
from meanfield.experiments.grid import Grid
from meanfield.experiments.progress import mapped
from meanfield.experiments.reference import RULES, PredictedSlopes, ReferenceSlope, predicted_slopes
from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Predictions that take at most this share of the networks' work are made unasked.
_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Prediction:
    """Slopes between a sweep's widths without sampling noise, at all points of its grid.

    Attributes
    ----------
    points : tuple of tuple of PredictedSlopes
        By gamma_prime and gamma.
    curves : tuple of ReferenceSlope
        S_w along gamma for each gamma_prime, with more points where it changes sign; empty where the grid
        has a single gamma.
    """

    points: tuple[tuple[PredictedSlopes, ...], ...]
    curves: tuple[ReferenceSlope, ...]

    __repr__ = brief

    @classmethod
    def over(
        cls,
        problem: Problem,
        settings: CellSettings,
        grid: Grid,
        *,
        processes: int = 1,
        progress: bool | None = False,
    ) -> Prediction:
        """Predict all points of a grid; neither seeds nor the number of processes enter.

        Parameters
        ----------
        problem : Problem
            The data.
        settings : CellSettings
            What all cells of the sweep share.
        grid : Grid
            Points and widths.
        processes : int, default 1
            Number of worker processes; 1 is this process.
        progress : bool or None, default False
            Show a progress bar; None shows it on a terminal.

        Returns
        -------
        Prediction
        """
        work = partial(_row, problem, settings, grid.widths.astype(np.float64), grid.gamma)
        rows = mapped(work, grid.gamma_prime.tolist(), processes, "prediction at these widths", progress)
        points, curves = zip(*rows, strict=True)
        return cls(points, tuple(curve for curve in curves if curve is not None))


def _row(
    problem: Problem, settings: CellSettings, widths: Array, gamma: Array, gamma_prime: float
) -> tuple[tuple[PredictedSlopes, ...], ReferenceSlope | None]:
    row = tuple(predicted_slopes(problem, settings, widths, g, gamma_prime) for g in gamma.tolist())
    S_w = np.array([point.S_w for point in row])
    if len(gamma) == 1:
        return row, None
    return row, ReferenceSlope.through(problem, settings, widths, gamma_prime, gamma, S_w)


def wanted(predict: bool | None, problem: Problem, grid: Grid, settings: CellSettings) -> bool:
    """Whether to predict: as asked, or by default where it costs little beside the networks."""
    if predict is not None:
        return predict
    sizes = [neurons(Cell(0.0, 0.0, width, 0), settings) for width in grid.widths.tolist()]
    own = [*[RULES[0]] * 2, *[RULES[1]] * len(sizes)]
    networks = len(grid.seeds) * sum(run_work(problem, size) for size in sizes)
    return sum(run_work(problem, size) for size in own) <= _SHARE * networks
