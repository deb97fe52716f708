"""The phase diagram with the common initialisations, each measured with its own laws alpha, beta1, beta2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.datasets import four_points
from meanfield.experiments.figures.entry import Check, Entry, FigureResult, Request, as_rows
from meanfield.experiments.figures.own_kernel import OwnKernel
from meanfield.experiments.figures.protocol import LOSS_ATOL, RTOL, listed
from meanfield.experiments.figures.schemes import named_schemes
from meanfield.experiments.slopes import Slope, fit_slope
from meanfield.flow import Trajectory, gradient_flow
from meanfield.particles import Particles
from meanfield.regime import Regime
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Differences allowed: of RD_w from the law of the same draw, which holds up to a few times the displacements
#: (RD_w reaches 3 % at the smallest width); and of a slope over these widths on the boundary, where each draw
#: scatters by m**(-1/2).
_RD, _SLOPE = 0.1, 0.05


@dataclass(frozen=True)
class MeasuredScheme:
    """An initialisation in the plane, with what its networks did.

    Attributes
    ----------
    name : str
    scaling : Scaling
        Its laws.
    S_w : Slope
        Measured exponent.
    predicted : float
        The limit's.
    """

    name: str
    scaling: Scaling
    S_w: Slope
    predicted: float


@dataclass(frozen=True, eq=False)
class PhasePlane(FigureResult):
    """Initialisations in the plane.

    Attributes
    ----------
    schemes : tuple of MeasuredScheme
        One for each.
    widths : tuple of int
        Numbers of neurons.
    """

    schemes: tuple[MeasuredScheme, ...]
    widths: tuple[int, ...]


def compute(request: Request) -> PhasePlane:
    """Train networks of every scheme, drawn with its own laws: three widths, two draws (quick), or more."""
    seeds = 2 if request.quick else 10
    widths = (500, 2000, 8000) if request.quick else (1000, 4000, 16000, 64000)
    rows: list[tuple[object, ...]] = []
    checks, measured = [], []
    for name, scaling in named_schemes().values():
        runs = [[_train(scaling, m, request.seed, s) for s in range(seeds)] for m in widths]
        rd = np.array([[run.stats.rd_w_max for run in draws] for draws in runs])
        slope, predicted = fit_slope(widths, rd), scaling.classify().S_w
        measured.append(MeasuredScheme(name, scaling, slope, predicted))
        rows += [
            (name, scaling.gamma, scaling.gamma_prime, m, s, run.stats.rd_w_max, run.status.name,
             slope.value, predicted)
            for m, draws in zip(widths, runs, strict=True)
            for s, run in enumerate(draws)
        ]  # fmt: skip
        checks += _checks(name, scaling, widths, runs, rd, slope)
    return PhasePlane(
        header=("scheme", "gamma", "gamma_prime", "m", "draw", "rd_w", "status", "S_w", "S_w_limit"),
        rows=as_rows(rows), checks=tuple(checks), schemes=tuple(measured), widths=widths,
        ran=f"{len(rows)} networks, m = {listed(widths)} neurons, {seeds} draws each, with alpha, beta1 and "
        "beta2 of each scheme",
    )  # fmt: skip


def _train(scaling: Scaling, width: int, root: int, draw: int) -> Trajectory:
    problem, seed = four_points(), np.random.SeedSequence(root, spawn_key=(draw,))
    network = Particles.sample(problem, scaling, width, rng=seed)
    return gradient_flow(problem, network, loss_atol=LOSS_ATOL, rtol=RTOL, progress=False)


def _checks(
    name: str,
    scaling: Scaling,
    widths: tuple[int, ...],
    runs: list[list[Trajectory]],
    rd: Array,
    slope: Slope,
) -> list[Check]:
    """Against the linear regime's law for the same draws, constants included; on the boundary, S_w = 0."""
    if scaling.regime is not Regime.LINEAR:
        return [Check(f"S_w of {name}", slope.value, 0.0, "theory", _SLOPE)]
    law = np.array([[OwnKernel(run).rd_w() for run in draws] for draws in runs])
    checks = [
        Check(f"RD_w of {name} at m = {m}", _mean(rd[k]), _mean(law[k]), "theory", _RD, relative=True)
        for k, m in enumerate(widths)
    ]
    expected = fit_slope(widths, law).value
    return [*checks, Check(f"S_w of {name}", slope.value, expected, "theory", _SLOPE)]


def _mean(values: Array) -> float:
    return float(np.exp(np.mean(np.log(values))))


ENTRY = Entry(
    "phase-diagram", "regimes and their boundary, with the common initialisations measured in place",
    "nothing", (3.0, 45.0), compute,
)  # fmt: skip
