"""The phase diagram of the limit: exponents from infinite-width computations at huge m."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from meanfield.arguments import progress_choice, real_array, shown, whole_number
from meanfield.errors import InputError
from meanfield.experiments.diagram import PhaseDiagram, suprema
from meanfield.experiments.grid import as_exponents
from meanfield.experiments.limit_points import LimitPoint, LimitResult, LimitSettings
from meanfield.experiments.progress import mapped
from meanfield.flow.target import needed_target
from meanfield.limits import limit_displacements
from meanfield.problem import Problem, check_mean_square
from meanfield.scaling import Scaling

#: Relative uncertainty of RD at one width, from its nodes: the interval of a slope.
_UNCERTAINTY = 0.05
#: Tolerance of a point's flow, and the change of the kernel up to which the closed form is used.
_TOL = 1e-3


def limit_diagram(
    problem: Problem,
    *,
    gamma: ArrayLike,
    gamma_prime: ArrayLike,
    widths: Sequence[float] = (1e20, 1e30),
    nodes: int = 256,
    loss_tol: float | None = None,
    loss_atol: float | None = None,
    executor: int | None = None,
    progress: bool | None = None,
) -> PhaseDiagram:
    """Theory-grade map of S_w: slopes between huge m, without sampling noise or finite-size rounding.

    Parameters
    ----------
    problem : Problem
        The data.
    gamma, gamma_prime : float or array_like, shape (k,)
        The grid: all pairs are run.
    widths : sequence of float, default (1e20, 1e30)
        Two or more scales m, any real numbers. Far on the condensed side a width of 1e30 may exceed
        what double precision resolves (see docs/infinite-width.md).
    nodes : int, default 256
        Particles of a run.
    loss_tol, loss_atol : float, optional
        As in :func:`meanfield.gradient_flow`. Where the flow rests at a
        larger loss at some width, all widths are compared when they reach that one.
    executor : int, optional
        Number of worker processes; by default this one.
    progress : None or bool
        None shows a bar over the grid's points on a terminal once it has lasted two seconds, True at once,
        False never.

    Returns
    -------
    PhaseDiagram
        As :func:`meanfield.phase_diagram` returns it, to be drawn by the same call. Its ``settings`` and
        ``results`` are :class:`~meanfield.experiments.LimitSettings` and
        :class:`~meanfield.experiments.LimitResult`, its arrays have one entry along the axis of the seeds,
        and its intervals come from a relative uncertainty of 5 % in each RD.

    Examples
    --------
    >>> import meanfield as mf
    >>> diagram = limit_diagram(mf.datasets.four_points(), gamma=[0.5, 1.5], gamma_prime=[0.0])
    >>> diagram.S_w.round(3)
    array([[-0.5 ,  0.25]])
    """
    check_mean_square(problem, "a map of the limit is")
    whole_number("nodes", nodes, least=16)
    if executor is not None:
        whole_number("executor", executor)
    progress = progress_choice(progress)
    m = np.unique(real_array("widths", widths))
    if len(m) < 2 or m[0] < 2.0:
        raise InputError(f"widths is {shown(widths)}; give at least two different finite numbers from 2 on")
    g, gp = as_exponents("gamma", gamma), as_exponents("gamma_prime", gamma_prime)
    settings = LimitSettings(needed_target(problem, loss_tol, loss_atol).loss, nodes, _TOL)
    points = [Scaling(float(a), float(b)) for b in gp for a in g]
    work = partial(_run, problem, settings, tuple(float(w) for w in m))
    delay = 0.0 if progress else 2.0
    at_points = mapped(work, points, executor or 1, "map of the limit", progress, delay=delay)
    results = [result for at_point in at_points for result in at_point]
    rd_w, rd_a = suprema(results, (len(gp), len(g), len(m), 1))
    return PhaseDiagram(
        problem=problem, settings=settings, gamma=g, gamma_prime=gp, widths=m,
        seeds=np.zeros(1, dtype=np.int64), rd_w=rd_w, rd_a=rd_a, confidence=0.95,
        results=tuple(sorted(results, key=lambda r: r.cell)), missing=0, uncertainty=_UNCERTAINTY,
    )  # fmt: skip


def _run(
    problem: Problem, settings: LimitSettings, widths: tuple[float, ...], scaling: Scaling
) -> list[LimitResult]:
    assert settings.nodes is not None
    ends = limit_displacements(
        problem, scaling, widths=widths, nodes=settings.nodes, tol=_TOL, loss_atol=settings.loss_atol,
        progress=False,
    )  # fmt: skip
    return [
        LimitResult(
            cell=LimitPoint(scaling.gamma, scaling.gamma_prime, m), rd_w=end.rd_w, rd_a=end.rd_a,
            loss=end.loss, time=end.time, status=end.status.name, steps=end.steps, source=end.source,
        )
        for m, end in zip(widths, ends, strict=True)
    ]  # fmt: skip
