"""The infinite-width limit in one call: closed form where it holds, quadrature particles elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import one_of, whole_number
from meanfield.flow import Snapshot, Status, Trajectory, replay
from meanfield.flow.moments import only
from meanfield.flow.saved import SERIES
from meanfield.flow.trajectory import Stats
from meanfield.limits.kernel_regime import KernelRegime
from meanfield.limits.plan import Plan
from meanfield.limits.refinement import (
    LOOSE,
    Difference,
    dense_times,
    difference,
    refined,
)
from meanfield.limits.result import InfiniteWidth
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Particles of the closed form, and of the flow that it is checked with.
_CLOSED, _CHECK = 512, 1024
#: The flow's rounding, relative to the targets, that is small enough for it.
_ROUNDING = 1e-2
#: Slowest mode's decay at which the closed form counts as at rest.
_AT_REST = 40.0

#: Ways to the limit that users choose from.
LimitMethod: TypeAlias = Literal["auto", "mean-field", "kernel"]


def infinite_width(
    problem: Problem,
    scaling: Scaling,
    *,
    width: float,
    tol: float = 1e-3,
    loss_tol: float | None = None,
    loss_atol: float | None = None,
    nodes: int | None = None,
    max_nodes: int = 4096,
    method: LimitMethod = "auto",
    rng: int = 0,
    t_end: float | None = None,
    save_at: ArrayLike | None = None,
    save_parameters: bool = False,
    progress: bool | Callable[[Snapshot], object] | None = None,
) -> InfiniteWidth:
    """Integrate the law-of-large-numbers dynamics at scale m: a network of width m without sampling noise.

    Parameters
    ----------
    problem : Problem
        The data.
    scaling : Scaling
        Sets kappa and kappa_prime at this width.
    width : float
        The scale m, any real number from 2 on: 1e4 or 1e60.
    tol : float, default 0.001
        Wanted accuracy of the loss along the run, as a share of the initial loss. Nodes are added, four
        times as many each time, until half of it separates two runs.
    loss_tol, loss_atol : float, optional
        As in :func:`meanfield.gradient_flow`: by default the end is where 1e-6 of what can be learned is
        left.
    nodes : int, optional
        Number of particles of :meth:`Particles.quadrature`, without refinement; the error is then nan.
    max_nodes : int, default 4096
        Refinement stops at about so many particles, whether or not the tolerance was met (see
        ``InfiniteWidth.accurate``); at least 64.
    method : {"auto", "mean-field", "kernel"}, default "auto"
        "kernel" is the closed form of the kernel regime; "auto" uses it where its estimated error is
        within the tolerance, and where outputs are so small a difference of sums over particles that
        double precision loses it. Where both are in reach, the other one is the ``cross_check``.
    rng : int, default 0
        Scrambles the nodes at rank 3 and above.
    t_end : float, optional
        Stop at this normalised time tbar.
    save_at : array_like, shape (S,), optional
        Times (tbar) to keep, as in :func:`meanfield.gradient_flow`: the result has these, as far as they
        were reached, and no others. By default 24 for each of about five decades of time, the start and the
        end among them.
    save_parameters : bool, default False
        Keep a and w of the particles at the saved times, too (memory: T N (d + 1) doubles). Predictions
        at the saved times do not need them.
    progress : None, bool or callable
        None shows a bar on a terminal once the computation has lasted two seconds, True at once, False
        never; each run with other nodes has its own. A callable gets a :class:`~meanfield.flow.Snapshot`
        after each step of each run.

    Returns
    -------
    InfiniteWidth
        A trajectory with ``error``, ``source`` and ``accurate``, and with ``predict_error``.

    Raises
    ------
    InputError
        For arguments that cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> limit = mf.infinite_width(problem, mf.Scaling(gamma=0.5), width=1e30)
    >>> limit.source, limit.accurate, limit.status.name
    ('kernel', True, 'CONVERGED')
    >>> mf.infinite_width(problem, mf.Scaling.named("mean-field"), width=1e30, nodes=256).source
    'mean-field'
    """
    plan = Plan(
        problem, scaling, width, tol, loss_tol, max_nodes, rng, progress, loss_atol,
        math.inf if t_end is None else t_end, save_at, save_parameters,
    )  # fmt: skip
    nodes = None if nodes is None else whole_number("nodes", nodes, least=16)
    method = one_of("method", method, get_args(LimitMethod))
    found = _computed(plan, nodes, method)
    return found if plan.asked is None else only(found, plan.asked)


def _computed(plan: Plan, nodes: int | None, method: str) -> InfiniteWidth:
    """The limit, with its start and end among its times."""
    if method == "kernel" or (method == "auto" and plan.kernel_holds):
        return _closed_form(plan, check=method == "auto")
    if nodes is None:
        found = refined(plan)
        return _integrated(plan, found.run, found.doubt, found.error)
    particles = plan.particles(nodes)
    dense = dense_times(float(plan.flow(particles, finer=LOOSE).time[-1]))
    run = plan.flow(particles, plan.times(dense), path=True)
    return _integrated(
        plan, run, np.full_like(run.output, math.nan), Difference(math.nan, math.nan, math.nan)
    )


def _integrated(plan: Plan, run: Trajectory, doubt: Array, apart: Difference) -> InfiniteWidth:
    """A run of particles at the times that were asked for, with parameters if they were."""
    rows = np.arange(len(run.time))
    if plan.own_times is not None:
        rows = np.union1d([0, rows[-1]], np.flatnonzero(np.isin(run.time, plan.own_times))).astype(int)
    assert run.path is not None
    path = run.path.at((rows[1:] - 1).tolist())
    saved_a = saved_w = None
    if plan.save_parameters:
        # The run's own neurons in its residual do what they did.
        own = replay(
            plan.problem, replace(run.initial, kappa_prime=plan.stand_in), path, save_parameters=True
        )
        assert own.a is not None
        assert own.w is not None
        saved_a = np.concatenate([run.initial.a[None], own.a])
        saved_w = np.concatenate([run.initial.w[None], own.w])
    kept = {name: getattr(run, name)[rows] for name in SERIES}
    run = replace(run, **kept, path=path, saved_a=saved_a, saved_w=saved_w)
    return _result(
        run, error=apart.loss, rd_error=apart.rd_w, rd_a_error=apart.rd_a,
        source="mean-field", nodes=run.initial.size, tolerance=plan.tol, rng=plan.rng, doubt=doubt[rows],
    )  # fmt: skip


def _closed_form(plan: Plan, *, check: bool) -> InfiniteWidth:
    """The kernel regime's law at a grid of times, as a trajectory."""
    started, law, initial = time.monotonic(), plan.law, plan.particles(_CLOSED)
    end, status = _end(plan)
    times = np.append(0.0, dense_times(end, beyond=1.0))
    if plan.own_times is not None:
        times = np.union1d([0.0, end], plan.own_times[plan.own_times < end])
    moved, residual = law.displacement(times, initial), law.residual(times)
    rd_w, rd_a = np.asarray(moved.rd_w), np.asarray(moved.rd_a)
    states = [_moved(law, initial, t) for t in times] if plan.save_parameters else []
    run = Trajectory(
        problem=plan.problem,
        time=times,
        loss=np.asarray(law.loss(times)),
        output=residual + plan.problem.y,
        rd_w=rd_w,
        rd_a=rd_a,
        initial=initial,
        final=_moved(law, initial, end),
        status=status,
        stats=Stats(
            # There is no step whose error could be measured, nor a tolerance for it.
            method="kernel regime, closed form", rtol=math.nan, atol=math.nan, steps=0, rejected=0, passes=0,
            seconds=time.monotonic() - started, rd_w_max=float(rd_w.max()), rd_a_max=float(rd_a.max()),
            conservation_drift=math.nan, energy_drift=math.nan, capacity=math.nan,
        ),
        saved_a=np.array([state.a for state in states]) if states else None,
        saved_w=np.array([state.w for state in states]) if states else None,
        loss_target=plan.target,
    )  # fmt: skip
    cross = math.nan
    if check and plan.rounding <= _ROUNDING and plan.kernel_error <= 1.0:
        flow = plan.flow(plan.particles(_CHECK), times[1:])
        cross = difference(run, flow, plan.target.loss).loss
    error = plan.kernel_error
    return _result(
        run, error=error, rd_error=error, rd_a_error=error, source="kernel", nodes=initial.size,
        cross_check=cross, tolerance=plan.tol, rng=plan.rng, doubt=np.zeros_like(run.output),
    )  # fmt: skip


def _end(plan: Plan) -> tuple[float, Status]:
    """When the closed form ends, and why."""
    law = plan.law
    end = law.time_to(plan.target.loss)
    if plan.t_end <= end and math.isfinite(plan.t_end):
        return plan.t_end, Status.REACHED_TIME
    if math.isfinite(end):
        return end, Status.CONVERGED
    return _AT_REST / float(law.rates[law.rates > 0.0][0]), Status.STATIONARY


def _moved(law: KernelRegime, initial: Particles, t: float) -> Particles:
    """Particles displaced by the first order of the law."""
    impulse, x = law.impulse(t), law.problem.x
    z = initial.preactivations(x)
    a = initial.a + law.kappa / law.kappa_prime * (np.maximum(z, 0.0) @ impulse)
    w = initial.w + law.kappa * law.kappa_prime * initial.a[:, None] * (((z > 0.0) * impulse) @ x)
    return initial.moved(a, w)


def _result(run: Trajectory, **own: float | str | Array) -> InfiniteWidth:
    series = {field.name: getattr(run, field.name) for field in fields(Trajectory)}
    return InfiniteWidth(**series, **own)  # type: ignore[arg-type]
