"""Stop rules: small objects that look at the run after each step and say whether, and why, to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from meanfield.flow.status import Status
from meanfield.flow.tangent import Array

#: Foldings of a particle, at its largest possible rate, after which a loss that stands still has ended.
_BEYOND_MEASURE = 1e12
#: A quantity that changes by less, relative to itself, while the time doubles has not changed at all.
_UNCHANGED = 4.0 * float(np.finfo(np.float64).eps)
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
        ``R = (1/2n) sum (f - y)**2``.
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


class StopRule(Protocol):
    """Looks at the run so far."""

    def check(self, now: Snapshot) -> Status | None:
        """The status to stop with, or None to go on."""


@dataclass(frozen=True)
class LossBelow:
    """Stop once the loss is at most ``tol``."""

    tol: float

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        return Status.CONVERGED if now.loss <= self.tol else None


@dataclass(frozen=True)
class AtRounding:
    """Stop once the residual is what rounding makes of zero.

    If that is not small against the targets themselves, ``zero_loss`` being the loss of the function that
    is zero, then nothing was learned.
    """

    zero_loss: float

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        if not now.loss <= 2.0 * now.rounding**2:  # also for nan
            return None
        unknown = now.loss > _LEARNED * self.zero_loss > 0.0
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

    By the energy law ``-dR/dt`` is the mean square speed of the particles. The flow rests if the
    speed fell below ``tol`` times its largest value and the loss falls by less than the share ``tol``
    when the time doubles, by that law or as seen: exponential convergence to zero loss never
    satisfies the second, an early plateau with growing particles never the first. It rests, too, if
    nothing was seen to happen in a time in which particles could have grown beyond all measure: then
    what seems to move is rounding; and if neither the loss nor the particles changed in any digit while
    the time doubled.

    Parameters
    ----------
    tol : float
        See above.
    growth : float
        Largest rate at which a particle may grow per unit of time tbar and of the residual's root
        mean square.
    """

    def __init__(self, tol: float, growth: float) -> None:
        self.tol = tol
        self._growth = growth
        self._fastest = 0.0
        self._mark = (0.0, np.inf, np.inf, np.inf)  # a time; the loss, rd_w and rd_a then

    def check(self, now: Snapshot) -> Status | None:
        """See :class:`StopRule`."""
        if not np.isfinite(now.loss_rate):
            return None
        self._fastest = max(self._fastest, now.loss_rate)
        fall = now.time * now.loss_rate
        since, *then = self._mark
        still = False
        if now.time >= 2.0 * since:
            fall = min(fall, max(then[0] - now.loss, 0.0))
            found = (now.loss, now.rd_w, now.rd_a)
            # Neurons that are held at the origin have a speed on either side of it, but do not move.
            still = all(abs(a - b) <= _UNCHANGED * abs(a) for a, b in zip(found, then, strict=True))
            self._mark = (now.time, *found)
        slow = now.loss_rate <= self.tol**2 * self._fastest
        long = self._growth * np.sqrt(2.0 * now.loss) * now.time >= _BEYOND_MEASURE
        return Status.STATIONARY if (slow or long or still) and fall <= self.tol * now.loss else None


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
