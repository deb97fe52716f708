"""The infinite-width limit in one call: closed form where it holds, quadrature particles elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import one_of, whole_number
from meanfield.flow import Snapshot, Status, Trajectory
from meanfield.flow.trajectory import Stats
from meanfield.limits.fitted import fitted
from meanfield.limits.kernel_regime import KernelRegime
from meanfield.limits.plan import Plan
from meanfield.limits.result import InfiniteWidth
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Particles at the first level of refinement, and factor between levels.
_FIRST, _FACTOR = 256, 4
#: Particles of the closed form, and of the flow that it is checked with.
_CLOSED, _CHECK = 512, 1024
#: Times of a result, per decade, and decades before the first run's end; refinements look at every other.
_PER_DECADE, _DECADES, _EVERY = 24, 5, 2
#: Share of the tolerance that nodes may use; the rest is for time.
_IN_SPACE = 0.8
#: Error in units of the change from a quarter of the nodes, as both may miss the same.
_SAFETY = 2.0
#: Tolerance in time of refinements, in units of the result's.
_LOOSE = 10.0
#: The flow's rounding, relative to the targets, that is small enough for it.
_ROUNDING = 1e-2
#: Slowest mode's decay at which the closed form counts as at rest.
_AT_REST = 40.0


def infinite_width(
    problem: Problem,
    scaling: Scaling,
    *,
    width: float,
    tol: float = 1e-3,
    loss_tol: float = 1e-6,
    nodes: int | None = None,
    max_nodes: int = 4096,
    method: str = "auto",
    rng: int = 0,
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
    tol : float
        Wanted accuracy of the loss along the run, as a share of the initial loss. Nodes are added, four
        times as many each time, until half of it separates two runs.
    loss_tol : float
        Stop once ``R <= loss_tol``.
    nodes : int, optional
        Number of particles of :meth:`Particles.quadrature`, without refinement; the error is then nan.
    max_nodes : int
        Refinement stops at about so many particles, whether or not the tolerance was met (see
        ``InfiniteWidth.accurate``); at least 64.
    method : {"auto", "mean-field", "kernel"}
        "kernel" is the closed form of the kernel regime; "auto" uses it where its estimated error is
        within the tolerance, and where outputs are so small a difference of sums over particles that
        double precision loses it. Where both are in reach, the other one is the ``cross_check``.
    rng : int
        Scrambles the nodes at rank 3 and above.
    progress : None, bool or callable
        None shows a bar on a terminal once the computation has lasted two seconds, True at once, False
        never; each run with other nodes has its own. A callable gets a :class:`~meanfield.flow.Snapshot`
        after each step of each run.

    Returns
    -------
    InfiniteWidth
        A trajectory with ``error``, ``source`` and ``accurate``.

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
    plan = Plan(problem, scaling, width, tol, loss_tol, max_nodes, rng, progress)
    nodes = None if nodes is None else whole_number("nodes", nodes, least=16)
    method = one_of("method", method, ("auto", "mean-field", "kernel"))
    if method == "kernel" or (method == "auto" and plan.kernel_holds):
        return _closed_form(plan, check=method == "auto")
    if nodes is None:
        return _refined(plan)
    particles = plan.particles(nodes)
    run = plan.flow(particles, _dense(float(plan.flow(particles, finer=_LOOSE).time[-1])))
    return _result(run, source="mean-field", nodes=run.initial.size, tolerance=tol)


def _refined(plan: Plan) -> InfiniteWidth:
    """Nodes with fitted weights, more until two levels agree."""
    counts = _levels(plan.max_nodes)
    run = plan.flow(plan.particles(counts[0]), finer=_LOOSE, path=True)
    dense = _dense(float(run.time[-1]))
    before: Trajectory | None = None
    for count in counts:
        nodes = fitted(plan, run, plan.directions(count), plan.directions(plan.many(count)))
        if count == counts[-1]:
            break
        # Its residual is the one in which the next level's neurons are moved.
        run = plan.flow(plan.twins(nodes), dense[::_EVERY], finer=_LOOSE, path=True)
        change = math.inf if before is None else _difference(before, run, plan.loss_tol)[0]
        if _SAFETY * change <= _IN_SPACE * plan.tol:
            break
        before = run
    fine = plan.flow(plan.twins(nodes), dense)
    assert before is not None  # there are two levels at least
    error, rd_error = _difference(before, fine, plan.loss_tol)
    return _result(
        fine, error=_SAFETY * error, rd_error=_SAFETY * rd_error, source="mean-field",
        nodes=fine.initial.size, tolerance=plan.tol,
    )  # fmt: skip


def _levels(most: int) -> list[int]:
    """Numbers of particles, from about the first one to the most that are allowed."""
    count = max(1, round(math.log(most / _FIRST, _FACTOR)))
    return [most // _FACTOR**k for k in range(count, -1, -1)]


def _dense(end: float) -> Array:
    """Times to keep: a little beyond the end, as finer levels may take longer."""
    return np.geomspace(end * 10.0**-_DECADES, 4.0 * end, _PER_DECADE * _DECADES)


def _difference(one: Trajectory, other: Trajectory, loss_tol: float) -> tuple[float, float]:
    """Largest difference of the losses at common times, and of the largest RD_w, relative.

    A run that ended earlier counts as having stayed where it was, on a plateau that the other one may have
    left, or at ``loss_tol``.
    """
    _, i, j = np.intersect1d(one.time, other.time, return_indices=True)
    short, long = sorted((one, other), key=lambda run: float(run.time[-1]))
    later = np.maximum(long.loss[long.time > short.time[-1]], loss_tol) - max(short.loss[-1], loss_tol)
    loss = float(np.max(np.abs(np.append(one.loss[i] - other.loss[j], later)))) / float(one.loss[0])
    moved = other.stats.rd_w_max
    # A displacement below rounding, which only the closed form has, compares with nothing.
    return loss, abs(one.stats.rd_w_max / moved - 1.0) if moved > 0.0 else math.nan


def _closed_form(plan: Plan, *, check: bool) -> InfiniteWidth:
    """The kernel regime's law at a grid of times, as a trajectory."""
    started, law, initial = time.monotonic(), plan.law, plan.particles(_CLOSED)
    end = law.time_to(plan.loss_tol)
    status = Status.CONVERGED if math.isfinite(end) else Status.STATIONARY
    if not math.isfinite(end):
        end = _AT_REST / float(law.rates[law.rates > 0.0][0])
    times = np.append(0.0, np.geomspace(end * 10.0**-_DECADES, end, _PER_DECADE * _DECADES))
    moved = [law.displacement(t, initial) for t in times]
    rd_w, rd_a = (np.array([getattr(d, name) for d in moved]) for name in ("rd_w", "rd_a"))
    residual = np.array([law.residual(t) for t in times])
    run = Trajectory(
        problem=plan.problem,
        time=times,
        loss=np.array([law.loss(t) for t in times]),
        output=residual + plan.problem.y,
        rd_w=rd_w,
        rd_a=rd_a,
        initial=initial,
        final=_moved(law, initial, end),
        status=status,
        stats=Stats(
            method="kernel regime, closed form", rtol=0.0, atol=0.0, steps=0, rejected=0, passes=0,
            seconds=time.monotonic() - started, rd_w_max=float(rd_w.max()), rd_a_max=float(rd_a.max()),
            conservation_drift=0.0, energy_drift=0.0, capacity=math.nan,
        ),
    )  # fmt: skip
    cross = math.nan
    if check and plan.rounding <= _ROUNDING and plan.kernel_error <= 1.0:
        flow = plan.flow(plan.particles(_CHECK), times[1:])
        cross, _ = _difference(run, flow, plan.loss_tol)
    return _result(
        run, error=plan.kernel_error, rd_error=plan.kernel_error, source="kernel", nodes=initial.size,
        cross_check=cross, tolerance=plan.tol,
    )  # fmt: skip


def _moved(law: KernelRegime, initial: Particles, t: float) -> Particles:
    """Particles displaced by the first order of the law."""
    impulse, x = law.impulse(t), law.problem.x
    z = initial.preactivations(x)
    a = initial.a + law.kappa / law.kappa_prime * (np.maximum(z, 0.0) @ impulse)
    w = initial.w + law.kappa * law.kappa_prime * initial.a[:, None] * (((z > 0.0) * impulse) @ x)
    return initial.moved(a, w)


def _result(run: Trajectory, **own: float | str) -> InfiniteWidth:
    series = {field.name: getattr(run, field.name) for field in fields(Trajectory)}
    return InfiniteWidth(**series, **own)  # type: ignore[arg-type]
