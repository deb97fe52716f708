"""Nodes with fitted weights, more until two levels agree, and those without which a plateau never ends.

A rule has no node where it has none. On a plateau the flow of its nodes may rest although neurons between
them grow, and end it in every network. Such neurons are found by moving many others in the residual of the
run (:func:`meanfield.flow.replay`): they go far beyond the outputs of the run. They join its nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.flow import Replay, Trajectory
from meanfield.limits.comparison import outputs_at
from meanfield.limits.fitted import APART, fitted, some_samples
from meanfield.limits.plan import Plan
from meanfield.nodes import Directions
from meanfield.particles import Particles

Array = NDArray[np.float64]

#: Particles at the first level of refinement, and factor between levels.
_FIRST, _FACTOR = 256, 4
#: Times of a result, per decade, and decades before the first run's end; refinements look at every other.
_PER_DECADE, _DECADES, _EVERY = 24, 5, 2
#: Share of the tolerance that nodes may use; the rest is for time.
_IN_SPACE = 0.8
#: Error in units of the change from a quarter of the nodes, as both may miss the same.
_SAFETY = 2.0
#: Tolerance in time of refinements, in units of the result's.
LOOSE = 10.0
#: How often neurons that were left behind join, and the share of the growth that is theirs.
_ROUNDS, _GROWTH = 4, 0.99
#: Nodes that join at most, as a share of those that are there.
_JOIN = 0.5
#: Change of the loss, relative, up to which it was on the plateau on which it ended.
_PLATEAU = 1e-2


@dataclass(frozen=True)
class Difference:
    """How far apart two runs are: largest difference of the loss in units of the initial one, of RD relative.

    Attributes
    ----------
    loss, rd_w, rd_a : float
    """

    loss: float
    rd_w: float
    rd_a: float

    def times(self, factor: float) -> Difference:
        """All of it times a factor."""
        return Difference(*(factor * getattr(self, name) for name in _NAMES))

    def largest(self, other: Difference) -> Difference:
        """The larger of both."""
        return Difference(*(float(np.fmax(getattr(self, name), getattr(other, name))) for name in _NAMES))


_NAMES = ("loss", "rd_w", "rd_a")


@dataclass(frozen=True, eq=False)
class Refined:
    """A run of nodes, and what is known of its errors.

    Attributes
    ----------
    run : Trajectory
        With its path.
    error : Difference
        From runs and rules that are independent of it.
    doubt : ndarray, shape (T, n)
        Change of the outputs on the samples, at the run's times, from the run with a quarter of the nodes.
    """

    run: Trajectory
    error: Difference
    doubt: Array


def refined(plan: Plan) -> Refined:
    """Levels of nodes until one agrees with the one before at the tolerance asked for."""
    counts = _levels(plan.max_nodes)
    run = plan.flow(plan.particles(counts[0]), finer=LOOSE, path=True)
    dense = dense_times(float(run.time[-1]))
    before: Trajectory | None = None
    for count in counts:
        nodes = fitted(plan, run, plan.directions(count), plan.directions(plan.many(count)))
        if count == counts[-1]:
            break
        # Its residual is the one in which the next level's neurons are moved.
        run = plan.flow(plan.twins(nodes), dense[::_EVERY], finer=LOOSE, path=True)
        change = math.inf if before is None else difference(before, run, plan.target.loss).loss
        if _SAFETY * change <= _IN_SPACE * plan.tol:
            break
        before = run
    assert before is not None  # there are two levels at least
    fine, found = _left_by_all(plan, nodes, plan.many(count), plan.times(dense))
    error = difference(before, fine, plan.target.loss).times(_SAFETY).largest(found)
    return Refined(fine, error, fine.output - outputs_at(before, fine.time))


def _levels(most: int) -> list[int]:
    """Numbers of particles, from about the first one to the most that are allowed."""
    count = max(1, round(math.log(most / _FIRST, _FACTOR)))
    return [most // _FACTOR**k for k in range(count, -1, -1)]


def dense_times(end: float, beyond: float = 4.0) -> Array:
    """Times to keep: a little beyond the end, as finer levels may take longer."""
    first = min(max(end * 10.0**-_DECADES, float(np.finfo(np.float64).tiny)), beyond * end)
    return np.unique(np.geomspace(first, beyond * end, _PER_DECADE * _DECADES))


def difference(one: Trajectory, other: Trajectory, target: float) -> Difference:
    """Largest differences of the losses at common times, and of the largest displacements.

    A run that ended earlier counts as having stayed where it was, on a plateau that the other one may have
    left, or at the target.
    """
    _, i, j = np.intersect1d(one.time, other.time, return_indices=True)
    short, long = sorted((one, other), key=lambda run: float(run.time[-1]))
    later = np.maximum(long.loss[long.time > short.time[-1]], target) - max(short.loss[-1], target)
    loss = float(np.max(np.abs(np.append(one.loss[i] - other.loss[j], later)))) / float(one.loss[0])
    return Difference(
        loss,
        _relative(one.stats.rd_w_max, other.stats.rd_w_max),
        _relative(one.stats.rd_a_max, other.stats.rd_a_max),
    )


def _relative(value: float, reference: float) -> float:
    """A displacement below rounding, which only the closed form has, compares with nothing."""
    return abs(value / reference - 1.0) if reference > 0.0 else math.nan


def _left_by_all(plan: Plan, nodes: Directions, many: int, times: Array) -> tuple[Trajectory, Difference]:
    """The run of nodes, and of others that leave where it rests; how far off an independent rule is."""
    for rule in range(1, _ROUNDS + 2):
        run = plan.flow(plan.twins(nodes), times, path=True)
        assert run.path is not None
        others = plan.directions(many, rule)
        seen = plan.replay(others, run.path)
        left = _apart(plan, run, seen.output)
        if left is None:
            return run, _missed(plan, run, seen)
        if rule <= _ROUNDS:
            nodes = _joined(plan, run, nodes, others, left)
    behind = max(float(run.loss[-1]) - max(plan.target.loss, plan.problem.loss_floor), 0.0)
    return run, Difference(behind / float(run.loss[0]), math.inf, math.inf)


def _apart(plan: Plan, run: Trajectory, output: Array) -> int | None:
    """The first saved time at which other neurons are far from what the run's own do."""
    scale = float(np.sqrt(np.mean(plan.problem.y**2)))
    with np.errstate(invalid="ignore"):
        far = ~(np.abs(output - run.output[1:]).max(axis=1) < APART * scale)
    return int(np.argmax(far)) if far.any() else None


def _missed(plan: Plan, run: Trajectory, seen: Replay) -> Difference:
    """What other nodes in the same residual differ by, in the loss and in both displacements."""
    loss = np.array([plan.problem.loss(output) for output in seen.output])

    def largest(series: Array, own: Array) -> float:
        return (
            float(np.max(np.abs(series - own[1:]), initial=0.0)) / float(own.max()) if own.any() else math.nan
        )

    return Difference(
        float(np.max(np.abs(loss - run.loss[1:]), initial=0.0)) / float(run.loss[0]),
        largest(seen.rd_w, run.rd_w),
        largest(seen.rd_a, run.rd_a),
    )


def _joined(plan: Plan, run: Trajectory, nodes: Directions, others: Directions, left: int) -> Directions:
    """Nodes and those of others that grew most on the plateau on which the run rests, with fitted weights."""
    assert run.path is not None
    early = int(np.argmax(run.loss[1:] <= (1.0 + _PLATEAU) * run.loss[left + 1]))
    early = min(early, max(left - 1, 0))
    path = run.path.at([early, left])
    contributions = [_contributions(plan, others, state.particles) for state in plan.replayed(others, path)]
    with np.errstate(invalid="ignore"):
        grown = np.abs(contributions[-1] - contributions[0]).sum(axis=1)
    if not np.all(np.isfinite(grown)):
        grown = np.where(np.isfinite(grown), 0.0, 1.0)
    order = np.argsort(-grown, kind="stable")
    share = np.cumsum(grown[order]) / grown.sum()
    count = min(int(np.searchsorted(share, _GROWTH)) + 1, round(_JOIN * len(nodes.a)))
    most = order[:count]
    rest = 1.0 - float(others.weight[most].sum())
    union = Directions(
        np.append(nodes.a, others.a[most]),
        np.concatenate([nodes.q, others.q[most]]),
        np.append(rest * nodes.weight, others.weight[most]),
    )
    return fitted(plan, run, union, others)


def _contributions(plan: Plan, half: Directions, moved: Particles) -> Array:
    """What pairs of twins give to the outputs on some of the samples, shape (K, n)."""
    x = plan.problem.x[some_samples(plan.problem.n)]
    with np.errstate(over="ignore", invalid="ignore"):
        f = moved.a[:, None] * np.maximum(moved.preactivations(x), 0.0)
        return np.asarray(half.weight[:, None] * (f[0::2] + f[1::2]))
