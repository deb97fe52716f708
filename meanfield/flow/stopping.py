"""Stop rules: small objects that look at the run after each step and say whether, and why, to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from meanfield.displays import brief
from meanfield.flow.status import Status
from meanfield.flow.tangent import Array

#: Foldings of a particle, at a rate that it may have, in which anything that grows would have been seen.
_BEYOND_MEASURE = 1e4
#: Accepted steps in which a flow that is not at rest has moved, were it by one folding; and by what share
#: time has gone on meanwhile. Where steps are short for other reasons nothing moves, and nothing is at rest.
_STANDSTILL, _MEANWHILE = 500, 0.1
#: Share of the zero function's loss below which something was learned.
_LEARNED = 1e-3


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a stop rule or a progress callback sees of a run.

    Attributes
    ----------
    time : float
        Normalised time tbar.
    loss : float
        ``R = (1/n) sum_i l(f_i, y_i)``; of the mean square ``(1/2n) sum (f - y)**2``.
    output : ndarray, shape (n,)
        Network outputs on the samples.
    rd_w, rd_a : float
        Relative displacements.
    steps : int
        Accepted steps so far.
    seconds : float
        Wall time so far.
    loss_rate : float
        ``-dR/dtbar`` at the start of the last step (nan before the first).
    rounding : float
        Uncertainty of an output by rounding.
    pull : float
        Root mean square of dl/df over the samples; of the mean square ``sqrt(2 R)``.
    pull_rounding : float
        What rounding of the outputs makes of ``pull``.
    accuracy : float
        Share of the samples whose output has the sign of their label; nan for losses without labels.
    margin : float
        Normalised margin, see :attr:`~meanfield.Trajectory.margin`; nan for losses without labels.
    """

    time: float
    loss: float
    output: Array
    rd_w: float
    rd_a: float
    steps: int
    seconds: float
    loss_rate: float
    rounding: float
    pull: float = math.nan
    pull_rounding: float = math.nan
    accuracy: float = math.nan
    margin: float = math.nan

    __repr__ = brief


class StopRule(Protocol):
    """Looks at the run so far."""

    def check(self, now: Snapshot) -> Status | None:
        """The status to stop with, or None to go on."""


@dataclass(frozen=True)
class LossBelow:
    """Stop once the loss is at most ``target``, see :class:`~meanfield.flow.target.LossTarget`."""

    target: float

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        return Status.CONVERGED if now.loss <= self.target else None


@dataclass(frozen=True)
class AtRounding:
    """Stop once the residual, or what the samples pull, is what rounding makes of zero.

    If that is not small against the targets themselves, ``zero_loss`` being the loss of the function that
    is zero and ``floor`` what no network can learn, then nothing was learned.
    """

    zero_loss: float
    floor: float = 0.0

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        if not now.pull <= 2.0 * now.pull_rounding:  # also for nan
            return None
        unknown = now.loss - self.floor > _LEARNED * (self.zero_loss - self.floor) > 0.0
        return Status.UNRESOLVED if unknown else Status.ROUNDING


@dataclass(frozen=True)
class TimeReached:
    """Stop at the time ``t_end`` (tbar)."""

    t_end: float

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        return Status.REACHED_TIME if now.time >= self.t_end else None


class Stationary:
    """Stop when the flow rests although the loss is not small.

    On a plateau particles that are too few or too small to be seen may grow, exponentially, until they end
    it; at a huge width they are that small. So the flow rests only if time was enough for any growth: if
    the loss falls by less than the share ``tol`` when the time doubles, by its rate and as seen, and that
    time holds ten thousand foldings of a particle at the rate ``growth``. Exponential convergence to zero
    loss never satisfies the first. Where rounding, or neurons that are held at the origin, keep steps so
    short that no such time is reached, it rests if five hundred steps, and a tenth of the time, changed
    neither the loss by the share ``tol`` nor the displacements by its root.

    Parameters
    ----------
    tol : float
        See above.
    growth : float
        Rate at which a particle may grow in the direction in which the samples pull least (their smallest
        singular value), per unit of time tbar and of the root mean square of the residual, or of what the
        samples pull: where features are far smaller than the bias, neurons that slide go on that slowly.
    """

    def __init__(self, tol: float, growth: float) -> None:
        self.tol = tol
        self._growth = growth
        self._mark = (0.0, np.inf)  # a time, and the loss then
        self._seen = (0, 0.0, np.full(3, np.inf))  # steps and time; the loss, rd_w and rd_a then

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        if not np.isfinite(now.loss_rate):
            return None
        fall = now.time * now.loss_rate
        since, loss = self._mark
        if now.time >= 2.0 * since:
            fall = min(fall, max(loss - now.loss, 0.0))
            self._mark = (now.time, now.loss)
        long = self._growth * now.pull * now.time >= _BEYOND_MEASURE
        rests = (long and fall <= self.tol * now.loss) or self._stands_still(now)
        return Status.STATIONARY if rests else None

    def _stands_still(self, now: Snapshot) -> bool:
        steps, then, seen = self._seen
        if now.steps < steps + _STANDSTILL or now.time < (1.0 + _MEANWHILE) * then:
            return False
        found = np.array([now.loss, now.rd_w, now.rd_a])
        self._seen = (now.steps, now.time, found)
        allowed = np.array([self.tol, np.sqrt(self.tol), np.sqrt(self.tol)])
        return bool(np.all(np.abs(found - seen) <= allowed * found))


@dataclass(frozen=True)
class StepsReached:
    """Stop after ``max_steps`` accepted steps."""

    max_steps: int

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        return Status.MAX_STEPS if now.steps >= self.max_steps else None


class SecondsReached:
    """Stop after ``max_seconds`` of wall time."""

    def __init__(self, max_seconds: float) -> None:
        self._deadline = time.monotonic() + max_seconds

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        return Status.MAX_SECONDS if time.monotonic() >= self._deadline else None


@dataclass(frozen=True)
class UserRule:
    """Stop when the user's function of the snapshot is true."""

    rule: Callable[[Snapshot], bool]

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        return Status.USER if self.rule(now) else None
