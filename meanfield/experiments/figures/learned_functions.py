"""Functions learned from four points in the three regimes, closing in on the infinite width's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.arc_cosine import arc_cosine_kernels
from meanfield.datasets import four_points
from meanfield.experiments.figures.entry import Check, Entry, FigureResult, Request, as_rows
from meanfield.experiments.figures.own_kernel import OwnKernel
from meanfield.experiments.figures.protocol import LOSS_ATOL, listed, per_half, train
from meanfield.flow import Trajectory
from meanfield.limits import InfiniteWidth, infinite_width
from meanfield.problem import Problem

Array = NDArray[np.float64]

GAMMA = (0.5, 1.0, 1.75)
#: The limit is taken at this width, whose own distance from it is below any that is drawn.
_LIMIT_WIDTH = 2e8
#: What training to a mean square of 1e-6 leaves on a single one of four points, at most.
_TRAINED = 2e-3
#: A linear regime's function differs from its kernel's by so many RD_w, at most: the kernel itself moves by
#: as much, and regression on four close points amplifies that.
_LINEAR = 3.0
#: A network of m neurons per half differs from the limit by so much times m**(-1/2), at most: three times
#: what a draw does at gamma = 1, where outputs of order 0.1 are averages over 2 m neurons.
_SCATTER = 0.2


@dataclass(frozen=True, eq=False)
class Panel:
    """Functions learned at one gamma.

    Attributes
    ----------
    gamma : float
    runs : tuple of Trajectory
        By growing width.
    limit : InfiniteWidth
        The limit.
    x, reference : ndarray, shape (k,)
        Theory without training: the kernel solution on the linear side, the linear interpolant elsewhere.
    """

    gamma: float
    runs: tuple[Trajectory, ...]
    limit: InfiniteWidth
    x: Array
    reference: Array


@dataclass(frozen=True, eq=False)
class LearnedFunctions(FigureResult):
    """Functions learned at gamma = 0.5, 1 and 1.75.

    Attributes
    ----------
    problem : Problem
        The four points.
    panels : tuple of Panel
        One for each gamma.
    """

    problem: Problem
    panels: tuple[Panel, ...]


def compute(request: Request) -> LearnedFunctions:
    """Train three widths (quick) or four, and the limit with 512 nodes or to its own tolerance."""
    problem = four_points()
    widths = (10, 100, 1000) if request.quick else (10, 100, 1000, 10000)
    panels = []
    x = np.linspace(-0.5, 0.5, 101)
    interpolant = np.interp(x, problem.x[:, 0], problem.y)
    for gamma in GAMMA:
        limit = infinite_width(
            problem, per_half(gamma), width=_LIMIT_WIDTH, loss_atol=LOSS_ATOL,
            nodes=512 if request.quick else None,
        )  # fmt: skip
        runs = tuple(train(gamma, m, request.seed) for m in widths)
        reference = kernel_solution(problem, x) if gamma < 1.0 else interpolant
        panels.append(Panel(gamma, runs, limit, x, reference))
    rows = [
        (panel.gamma, m, float(at), float(value))
        for panel in panels
        for m, run in zip((*widths, math.inf), (*panel.runs, panel.limit), strict=True)
        for at, value in zip(x, run.predict(x), strict=True)
    ]
    return LearnedFunctions(
        header=("gamma", "m", "x", "f"), rows=as_rows(rows), checks=_checks(panels),
        ran=f"networks of m = {listed(widths)} per twin half at gamma = {listed(GAMMA)}, and their limits",
        problem=problem, panels=tuple(panels),
    )  # fmt: skip


def _checks(panels: list[Panel]) -> tuple[Check, ...]:
    """Largest distances, on the data's range, from what theory says of each regime."""
    linear, critical, condensed = panels
    m = linear.runs[-1].initial.width / 2
    x = linear.x
    runs = [panel.runs[-1] for panel in panels]
    distances = {
        "gamma = 0.5: limit from kernel solution": (linear.limit.predict(x) - linear.reference, _TRAINED),
        f"gamma = 0.5: m = {m:g} from its own kernel's law": (
            runs[0].predict(x) - OwnKernel(runs[0]).predict(x), _LINEAR * runs[0].stats.rd_w_max,
        ),
        f"gamma = 1: m = {m:g} from limit": (
            runs[1].predict(x) - critical.limit.predict(x), _TRAINED + _SCATTER / math.sqrt(m),
        ),
        f"gamma = 1.75: m = {m:g} from interpolant": (runs[2].predict(x) - condensed.reference, _TRAINED),
        "gamma = 1.75: limit from interpolant": (condensed.limit.predict(x) - condensed.reference, _TRAINED),
    }  # fmt: skip
    return tuple(
        Check(what, float(np.max(np.abs(distance))), 0.0, "theory", allowed)
        for what, (distance, allowed) in distances.items()
    )


def kernel_solution(problem: Problem, x: Array) -> Array:
    """The linear regime's limit at kappa' = 1: regression with the sum of both layers' kernels."""
    G_a, G_w = arc_cosine_kernels(problem.x)
    K_a, K_w = arc_cosine_kernels(problem.with_bias(x), problem.x)
    return np.asarray((K_a + K_w) @ np.linalg.solve(G_a + G_w, problem.y))


ENTRY = Entry(
    "learned-functions", "functions learned at gamma = 0.5, 1, 1.75, closing in on the limit's", "nothing",
    (2.0, 13.0), compute,
)  # fmt: skip
