"""How far weights move at a scale m: what maps of the plane are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import listed, whole_number
from meanfield.errors import InputError
from meanfield.flow import Snapshot, Status, Trajectory
from meanfield.limits.plan import Plan
from meanfield.problem import Problem
from meanfield.scaling import Scaling


@dataclass(frozen=True)
class LimitDisplacement:
    """Displacements at one stage of training, at one point of the plane and one width.

    Attributes
    ----------
    rd_w, rd_a : float
        Suprema of the relative displacements until then. Those below the rounding of double precision that
        no closed form covers come out too small (a displacement is a difference of two states).
    loss, time : float
        Loss and tbar at that stage.
    status : Status
        Why the run ended.
    steps : int
        Steps of the flow; 0 for the closed form.
    source : str
        "kernel" or "mean-field".
    """

    rd_w: float
    rd_a: float
    loss: float
    time: float
    status: Status
    steps: int
    source: str


def limit_displacements(
    problem: Problem,
    scaling: Scaling,
    *,
    widths: Sequence[float],
    nodes: int = 256,
    tol: float = 1e-3,
    loss_tol: float | None = None,
    loss_atol: float | None = None,
    progress: bool | Callable[[Snapshot], object] | None = None,
) -> tuple[LimitDisplacement, ...]:
    """RD_w and RD_a at several scales m, at one stage of training for all.

    That stage is the end, where the loss falls to its target at all widths. If the flow comes to rest at a
    larger loss at some width, it is that loss: exponents compare the same event. (At a huge width particles
    that would end a plateau may be too few for the nodes, or for double precision.)

    Parameters
    ----------
    problem, scaling
        As in :func:`infinite_width`.
    widths : sequence of float
        Scales m, any real numbers from 2 on.
    nodes : int, default 256
        Particles of the flow.
    tol : float, default 0.001
        Estimated change of the kernel up to which the closed form is used, and tolerance of the flow.
    loss_tol, loss_atol, progress
        As in :func:`infinite_width`.

    Returns
    -------
    tuple of LimitDisplacement
        One for each width.

    Examples
    --------
    >>> import meanfield as mf
    >>> low, high = limit_displacements(mf.datasets.four_points(), mf.Scaling(1.2, 0.6), widths=[1e20, 1e30])
    >>> print(f"{math.log10(high.rd_w / low.rd_w) / 10:.3f}")
    -0.800
    """
    nodes = whole_number("nodes", nodes, least=16)
    scales = listed("widths", widths, "a list of numbers")
    if not scales:
        raise InputError("widths is empty; give at least one number from 2 on")
    plans = [
        Plan(problem, scaling, m, tol, loss_tol, nodes, progress=progress, loss_atol=loss_atol)
        for m in scales
    ]
    runs = [None if plan.kernel_holds else plan.flow(plan.particles(nodes)) for plan in plans]
    ends = [
        plan.law.unlearnable if run is None else float(run.loss[-1])
        for plan, run in zip(plans, runs, strict=True)
    ]
    stage = max(plans[0].target.loss, *ends)
    return tuple(
        _closed_form(plan, stage, nodes) if run is None else _reached(run, stage)
        for plan, run in zip(plans, runs, strict=True)
    )


def _closed_form(plan: Plan, loss: float, nodes: int) -> LimitDisplacement:
    end = plan.law.time_to(loss)
    moved = plan.law.displacement(end, plan.particles(nodes))
    status = Status.CONVERGED if math.isfinite(end) else Status.STATIONARY
    return LimitDisplacement(moved.rd_w, moved.rd_a, plan.law.loss(end), end, status, 0, "kernel")


def _reached(run: Trajectory, loss: float) -> LimitDisplacement:
    """What was reached when the loss fell to a value; the residual's size is interpolated linearly."""
    after = int(np.argmax(run.loss <= loss)) if loss >= run.loss[-1] else len(run.loss) - 1
    rd_w, rd_a = np.maximum.accumulate(run.rd_w), np.maximum.accumulate(run.rd_a)
    before = max(after - 1, 0)
    high, low = math.sqrt(run.loss[before]), math.sqrt(run.loss[after])
    share = min(max((high - math.sqrt(loss)) / (high - low), 0.0), 1.0) if high > low else 1.0

    def at(series: np.ndarray) -> float:
        return float(series[before] + share * (series[after] - series[before]))

    return LimitDisplacement(
        at(rd_w), at(rd_a), max(loss, float(run.loss[-1])), at(run.time), run.status, run.stats.steps,
        "mean-field",
    )  # fmt: skip
