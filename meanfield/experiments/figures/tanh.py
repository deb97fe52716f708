"""The boundary for another activation: tanh.

tanh is not homogeneous, so that kappa and kappa' do not say everything: the size of the input weights counts
on its own. They start where tanh bends: ``beta2 = 1``, ``beta1 = m**-gamma'``,
``alpha = m**(gamma - gamma')``, that is, the same kappa and kappa' as for ReLU. Power counting of when w
moves by its own size then gives the same boundary. What differs is the condensed side: neurons saturate,
da/dt stays of order one while dw/dt falls like a exp(-2|w|), so that |w| grows at most like log a. In the
limit S_w = 0 there; slopes at finite width are positive near the boundary, and fall again far from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.datasets import four_points
from meanfield.experiments.figures.entry import Check, Entry, FigureResult, Request, as_rows
from meanfield.experiments.figures.protocol import listed
from meanfield.experiments.slopes import Slope, fit_slope
from meanfield.experiments.zeros import Zero, locate
from meanfield.flow import Trajectory, gradient_flow
from meanfield.limits import Linearised
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.regime import boundary_gamma
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Ten times the mean square of the ReLU runs: an explicit solver pays for the kernel's condition.
_LOSS_ATOL, _MAX_STEPS = 5e-6, 10_000
#: Grid: distances from the boundary along gamma, with far points at gamma' = 0.
_AROUND, _FAR = (-0.2, 0.0, 0.2), (0.5, 1.4)
_AROUND_FULL, _FAR_FULL = (-0.2, -0.1, 0.0, 0.1, 0.2), (0.5, 0.6, 0.7, 1.3, 1.4, 1.5)
#: A zero counts as the boundary's if it is nearer to it than to the next points of the quick grid.
_NEAR = 0.1
#: The first-order law's error is a few times RD_w, 3 % at the largest width.
_LAW = 0.1


@dataclass(frozen=True)
class Point:
    """A point of the plane.

    Attributes
    ----------
    gamma, gamma_prime : float
    S_w : Slope
        Measured.
    law : float
        Slope of the first-order law of the same draws over the same widths; it holds where RD_w is small.
    """

    gamma: float
    gamma_prime: float
    S_w: Slope
    law: float


@dataclass(frozen=True, eq=False)
class TanhBoundary(FigureResult):
    """Exponents of tanh networks around the boundary.

    Attributes
    ----------
    points : tuple of Point
        All that were measured.
    zeros : tuple of Zero
        Where S_w changes sign along gamma.
    widths : tuple of int
        Numbers of neurons.
    """

    points: tuple[Point, ...]
    zeros: tuple[Zero, ...]
    widths: tuple[int, ...]


def compute(request: Request) -> TanhBoundary:
    """Train three rows with two draws (quick), or five with four."""
    problem = four_points()
    widths, seeds = ((60, 180, 540), 2) if request.quick else ((100, 400, 1600), 4)
    points: list[Point] = []
    rows: list[tuple[object, ...]] = []
    at_half: tuple[float, float] = (np.nan, np.nan)
    for gamma_prime, gammas in _grid(request.quick).items():
        for gamma in gammas:
            pairs = [
                [_train(problem, gamma, gamma_prime, m, request.seed, s) for s in range(seeds)]
                for m in widths
            ]
            rd = np.array([[run.stats.rd_w_max for _, run in draws] for draws in pairs])
            law = np.array([[first_order(problem, *pair) for pair in draws] for draws in pairs])
            slope = fit_slope(widths, rd)
            points.append(Point(gamma, gamma_prime, slope, fit_slope(widths, law).value))
            rows += [
                (gamma, gamma_prime, m, s, run.stats.rd_w_max, run.stats.rd_a_max, float(law[k, s]),
                 run.status.name, run.stats.passes, slope.value)
                for k, m in enumerate(widths)
                for s, (_, run) in enumerate(pairs[k])
            ]  # fmt: skip
            if (gamma, gamma_prime) == (_FAR[0], 0.0):
                at_half = float(rd[-1].mean()), float(law[-1].mean())
    zeros = _zeros(points)
    found = {zero.gamma_prime: zero.gamma for zero in zeros}
    checks = [
        Check(f"RD_w at gamma = {_FAR[0]:g}, gamma' = 0, m = {widths[-1]}", *at_half, "theory", _LAW,
              relative=True),
        *(
            Check(f"zero of S_w at gamma' = {at:g}", found.get(at, np.nan), edge, "theory", _NEAR)
            for at, edge in ((at, float(boundary_gamma(at))) for at in _grid(request.quick))
        ),
    ]  # fmt: skip
    return TanhBoundary(
        header=("gamma", "gamma_prime", "m", "draw", "rd_w", "rd_a", "rd_w_first_order", "status",
                "sweeps", "S_w"),
        rows=as_rows(rows), checks=tuple(checks), points=tuple(points), zeros=zeros, widths=widths,
        ran=f"{len(rows)} tanh networks at {len(points)} points, m = {listed(widths)} neurons, "
        f"{seeds} draws each",
    )  # fmt: skip


def _grid(quick: bool) -> Mapping[float, tuple[float, ...]]:
    rows = (-0.4, 0.0, 0.4) if quick else (-0.4, -0.2, 0.0, 0.2, 0.4)
    around, far = (_AROUND, _FAR) if quick else (_AROUND_FULL, _FAR_FULL)
    grid = {}
    for at in rows:
        near = [round(float(boundary_gamma(at)) + step, 9) for step in around]
        grid[at] = tuple(sorted({*near, *(far if at == 0.0 else ())}))
    return grid


def _train(
    problem: Problem, gamma: float, gamma_prime: float, width: int, root: int, draw: int
) -> tuple[Particles, Trajectory]:
    scaling = Scaling(gamma, gamma_prime, beta2=1.0)
    seed = np.random.SeedSequence(root, spawn_key=(draw,))
    network = Particles.sample(problem, scaling, width, activation="tanh", rng=seed)
    return network, gradient_flow(
        problem, network, loss_atol=_LOSS_ATOL, max_steps=_MAX_STEPS, progress=False
    )


def first_order(problem: Problem, network: Particles, run: Trajectory) -> float:
    """RD_w of the linearised flow at the run's final time."""
    return Linearised(problem, network).displacement(run.end.time).first_w


def _zeros(points: list[Point]) -> tuple[Zero, ...]:
    zeros = []
    for at in sorted({point.gamma_prime for point in points}):
        row = [point for point in points if point.gamma_prime == at]
        zeros.append(locate(at, np.array([point.gamma for point in row]), [point.S_w for point in row]))
    return tuple(zero for zero in zeros if zero is not None)


ENTRY = Entry("tanh", "the boundary for tanh networks", "nothing", (5.0, 100.0), compute)
