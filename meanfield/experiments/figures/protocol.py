"""The paper's way to train: four points, two twin halves of m neurons each, to a mean square of 1e-6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from meanfield.datasets import four_points
from meanfield.experiments.cells import Cell, CellSettings, cell_scaling
from meanfield.experiments.diagram import PhaseDiagram
from meanfield.experiments.figures.entry import Request
from meanfield.experiments.slopes import fit_slope
from meanfield.experiments.sweep import phase_diagram
from meanfield.flow import Trajectory, gradient_flow
from meanfield.limits import limit_displacements
from meanfield.particles import Particles
from meanfield.scaling import Scaling

#: R is half of the mean square.
LOSS_ATOL = 5e-7
#: Particles of the noise-free dynamics.
_NODES = 512
#: Tolerance of the flow in single runs; sweeps have their own.
RTOL = 1e-3


def sweep(request: Request, **grid: Any) -> PhaseDiagram:
    """The paper's sweep over a grid of scalings; ``grid`` as in :func:`meanfield.phase_diagram`."""
    return phase_diagram(
        four_points(), loss_atol=LOSS_ATOL, executor=request.executor, store=request.store,
        rng=request.seed, progress=request.progress, **{"per_half": True, **grid},
    )  # fmt: skip


def per_half(gamma: float, gamma_prime: float = 0.0) -> Scaling:
    """The paper's scaling as laws in the number of neurons of both halves: kappa = (m/2)**-gamma."""
    return cell_scaling(Cell(gamma, gamma_prime, width=1, seed=0), CellSettings(LOSS_ATOL, per_half=True))


def train(gamma: float, width: int, seed: int, *, rtol: float = RTOL) -> Trajectory:
    """One of the paper's networks, of ``width`` neurons in each half, trained at gamma' = 0."""
    problem = four_points()
    network = Particles.sample(problem, per_half(gamma), 2 * width, rng=seed)
    return gradient_flow(problem, network, loss_atol=LOSS_ATOL, rtol=rtol, progress=False)


def noise_free_slope(scaling: Scaling, widths: Sequence[int]) -> float:
    """Slope of RD_w over widths (of one half) in the limit's dynamics: what a mean over many draws tends to.

    At finite m it is not the exponent: it knows kappa and kappa' with their constants, and lower orders in m.
    """
    ends = limit_displacements(
        four_points(), scaling, widths=[2.0 * m for m in widths], nodes=_NODES, loss_atol=LOSS_ATOL
    )
    return fit_slope(widths, np.array([[end.rd_w] for end in ends])).value


def listed(values: Sequence[float]) -> str:
    """Numbers as they are written in a sentence."""
    return ", ".join(f"{value:g}" for value in values)
