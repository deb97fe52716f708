"""What is kept of a run: save times, the record, and the progress shown while it goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meanfield.arguments import real_array
from meanfield.bars import QUIET_SECONDS, bar_class, visible
from meanfield.errors import InputError
from meanfield.flow.method import Attempt, EventCounts
from meanfield.flow.observables import Observation, Observer
from meanfield.flow.replay import ResidualPath
from meanfield.flow.state import State
from meanfield.flow.status import Status
from meanfield.flow.stopping import Snapshot, StopRule
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.tangent import Array
from meanfield.flow.target import LossTarget
from meanfield.flow.trajectory import Stats, Trajectory

#: Without save times of the user's own, at most this many states per decade of time are kept.
PER_DECADE = 32


class SaveTimes:
    """Times (tbar) at which states are kept: the user's own, met exactly, or a geometric thinning.

    Parameters
    ----------
    save_at : array_like or None
        Increasing times >= 0.
    after : float
        When the run starts: what comes before is past.
    """

    def __init__(self, save_at: ArrayLike | None, after: float = 0.0) -> None:
        #: What was asked for; None where nothing was.
        self.asked: Array | None = None
        self._times: Array | None = None
        self._next = 0
        self._ratio = 10.0 ** (1.0 / PER_DECADE)
        self._last = after
        if save_at is not None:
            times = np.atleast_1d(real_array("save_at", save_at))
            ok = times.ndim == 1 and times.size > 0
            if not (ok and times[0] >= 0 and np.all(np.diff(times) > 0)):
                raise InputError("save_at must hold increasing finite times >= 0 (tbar); sort it")
            if after > 0.0 and times[-1] <= after:
                raise InputError(
                    f"save_at ends at {times[-1]:g}, but the run to go on with is at tbar = {after:.6g}; "
                    "give later times, too"
                )
            self.asked = times
            self._times = times[times > after]  # the start is always recorded

    @property
    def times(self) -> Array:
        """The user's own times, without the start."""
        return np.empty(0) if self._times is None else self._times

    @property
    def last(self) -> float:
        """The last time to be met; infinite if there is none."""
        return math.inf if self._times is None or not self._times.size else float(self._times[-1])

    def upcoming(self) -> float:
        """The next time that has to be met exactly; infinite if there is none."""
        if self._times is None or self._next >= self._times.size:
            return math.inf
        return float(self._times[self._next])

    def due(self, now: float) -> bool:
        """Whether the state at this time is kept."""
        if self._times is not None:
            hit = bool(now == self.upcoming())
            self._next += int(hit)
            return hit
        due = bool(now >= self._last * self._ratio)
        if due:
            self._last = now
        return due


class Recorder:
    """Keeps the series of a run, its statistics and its progress; ends up as a Trajectory."""

    def __init__(
        self,
        system: CanonicalSystem,
        observer: Observer,
        *,
        save_times: SaveTimes,
        save_parameters: bool,
        save_path: bool,
        target: LossTarget | None,
        rules: list[StopRule],
        progress: Progress,
        before: Trajectory | None = None,
    ) -> None:
        self.system = system
        self._problem = system.problem
        self._observer = observer
        self._save_times = save_times
        self._save_parameters = save_parameters
        self._path = _path_before(before) if save_path else None
        self._target = target
        self._rules = rules
        self._progress = progress
        self._before = before
        self._rows = _rows_before(before)
        self._parameters = _parameters_before(before) if save_parameters else []
        #: The step (tbar) that will be tried next.
        self.next_step = math.nan
        self._started = time.monotonic()
        self._steps, self._rejected = -1, 0  # the initial state is not a step
        self._rd_w_max = self._rd_a_max = self._drift = self._energy = self._capacity = 0.0
        self._events = EventCounts()
        self._last: tuple[float, State, Observation] | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was recorded yet."""
        return self._last is None

    def reject(self) -> None:
        """Count a rejected step."""
        self._rejected += 1

    def accept(
        self,
        now: float,
        state: State,
        seen: Observation,
        loss_rate: float,
        attempt: Attempt | None = None,
    ) -> Status | None:
        """Take in the state at time ``now`` (tbar) and the step that led to it, if any.

        Returns the status to stop with, if any.
        """
        self._steps += 1
        if attempt is not None and self._last is not None:
            self._events += attempt.events
            self._energy += abs(self._last[1].loss - state.loss - attempt.dissipated)
        elif self._steps > 0:
            self._energy = math.nan
        self._rd_w_max = max(self._rd_w_max, seen.rd_w)
        self._rd_a_max = max(self._rd_a_max, seen.rd_a)
        self._drift = float(np.maximum(self._drift, seen.drift))  # nan stays
        self._capacity = float(np.maximum(self._capacity, seen.capacity))
        self._last = (now, state, seen)
        goes_on = self._steps == 0 and self._before is not None  # that state was kept as the end before
        kept = not goes_on and (self._steps == 0 or self._save_times.due(now))
        # Steps that are short beside the time, where fast modes decay, may end at the same time.
        again = not kept and self._steps > 0 and self._path is None and self._rows[-1][0] == now
        if again:
            del self._rows[-1], self._parameters[-1:]
        if kept or again:
            self._keep()
        if self._path is not None and not goes_on:
            self._path.add(state.e, None if attempt is None else attempt.motion, kept)
        loss, output = self._loss(state), self.system.output(state.f)
        curved = state.curvature
        snapshot = Snapshot(
            time=now,
            loss=loss,
            output=output,
            rd_w=seen.rd_w,
            rd_a=seen.rd_a,
            steps=self._steps,
            seconds=time.monotonic() - self._started,
            loss_rate=loss_rate,
            rounding=seen.rounding,
            pull=math.sqrt(2.0 * loss) if curved is None else _rms(state.e),
            pull_rounding=seen.rounding * (1.0 if curved is None else _rms(curved)),
            accuracy=self._problem.accuracy(output) if self._labelled(output) else math.nan,
            margin=self._margin(output, seen),
        )
        self._progress.update(snapshot)
        for rule in self._rules:
            status = rule.check(snapshot)
            if status is not None:
                return status
        return None

    def finish(self, status: Status, *, method: str, rtol: float, atol: float) -> Trajectory:
        """The trajectory so far, ending at the last accepted state."""
        self._progress.close()
        assert self._last is not None
        now, state, _ = self._last
        if self._rows[-1][0] != now:
            self._keep()
            if self._path is not None:
                self._path.keep_last()
        times, losses, outputs, rd_w, rd_a, margins = zip(*self._rows, strict=True)
        saved = zip(*self._parameters, strict=True) if self._save_parameters else (None, None)
        saved_a, saved_w = (None if series is None else np.array(series) for series in saved)
        stats = self._stats(method, rtol, atol)
        return Trajectory(
            problem=self.system.problem,
            time=np.array(times),
            loss=np.array(losses),
            output=np.array(outputs),
            rd_w=np.array(rd_w),
            rd_a=np.array(rd_a),
            initial=self.system.particles,
            final=self.system.to_particles(state.theta),
            status=status,
            stats=stats if self._before is None else stats.after(self._before.stats),
            saved_a=saved_a,
            saved_w=saved_w,
            path=self._path,
            loss_target=self._target,
            margin=np.array(margins) if self._problem.loss_function.labels else None,
        )

    def _stats(self, method: str, rtol: float, atol: float) -> Stats:
        return Stats(
            method=method,
            rtol=rtol,
            atol=atol,
            steps=self._steps,
            rejected=self._rejected,
            passes=round(self.system.passes),
            seconds=time.monotonic() - self._started,
            rd_w_max=self._rd_w_max,
            rd_a_max=self._rd_a_max,
            conservation_drift=self._drift,
            energy_drift=self._energy / self._rows[0][1] if self._rows[0][1] > 0.0 else 0.0,
            capacity=self._capacity,
            events=self._events,
            next_step=self.next_step,
        )

    def _margin(self, output: Array, seen: Observation) -> float:
        return (
            self._problem.margin(output) / seen.mass
            if seen.mass > 0.0 and self._labelled(output)
            else math.nan
        )

    def _labelled(self, output: Array) -> bool:
        """Whether samples have labels, and outputs signs: those of a descent that diverges may have none."""
        return self._problem.loss_function.labels and bool(np.all(np.isfinite(output)))

    def _loss(self, state: State) -> float:
        return state.loss + self.system.lost

    def _keep(self) -> None:
        assert self._last is not None
        now, state, seen = self._last
        output = self.system.output(state.f)
        row = (now, self._loss(state), output, seen.rd_w, seen.rd_a, self._margin(output, seen))
        self._rows.append(row)
        if self._save_parameters:
            particles = self.system.to_particles(state.theta)
            self._parameters.append((particles.a, particles.w))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values * values)))


def _rows_before(before: Trajectory | None) -> list[tuple[float, float, Array, float, float, float]]:
    if before is None:
        return []
    margin = np.full(len(before.time), math.nan) if before.margin is None else before.margin
    series = (before.time, before.loss, before.output, before.rd_w, before.rd_a, margin)
    return list(zip(*series, strict=True))


def _parameters_before(before: Trajectory | None) -> list[tuple[Array, Array]]:
    if before is None:
        return []
    if before.saved_a is None or before.saved_w is None:
        raise InputError("save_parameters is True, but the run to go on with kept none; leave it out")
    return list(zip(before.saved_a, before.saved_w, strict=True))


def _path_before(before: Trajectory | None) -> ResidualPath:
    if before is None:
        return ResidualPath()
    if before.path is None:
        raise InputError("save_path is True, but the run to go on with kept no path; leave it out")
    return before.path.copy()


class Progress:
    """Progress of a run: a bar over the decades of loss (or of time), and the user's callback.

    Parameters
    ----------
    progress : None, bool or callable
        True and False switch the bar on and off; None shows it in a terminal or notebook once the run
        has lasted two seconds; a callable is called with a :class:`Snapshot` after each step.
    target : LossTarget or None
        The loss at which the run will end, if at one.
    t_end : float
        The time at which it will end; infinite if at none.
    label : str
        What the bar is called.
    since : float, optional
        Reading of ``time.monotonic`` when the computation began of which the run is a part; the two
        seconds count from there.
    """

    def __init__(
        self,
        progress: bool | Callable[[Snapshot], object] | None,
        *,
        target: LossTarget | None,
        t_end: float,
        label: str = "gradient flow",
        since: float | None = None,
    ) -> None:
        self._callback = progress if callable(progress) else None
        shown = not callable(progress) and visible(progress)
        self._target, self._t_end = 0.0 if target is None else target.loss, t_end
        self._first_loss: float | None = None
        self._bar: Any = None
        if shown:
            elapsed = 0.0 if since is None else time.monotonic() - since
            self._bar = bar_class()(
                total=1.0,
                desc=label,
                delay=0.0 if progress is True else max(QUIET_SECONDS - elapsed, 0.0),
                bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed} {postfix}",
                leave=False,
            )

    def update(self, now: Snapshot) -> None:
        """Show the state of the run."""
        if self._callback is not None:
            self._callback(now)
        if self._bar is None:
            return
        if self._first_loss is None:
            self._first_loss = now.loss
        self._bar.n = max(self._bar.n, self._fraction(now))
        self._bar.set_postfix_str(f"tbar={now.time:.3g} loss={now.loss:.3g} steps={now.steps}", refresh=False)
        self._bar.update(0)

    def _fraction(self, now: Snapshot) -> float:
        done = now.time / self._t_end if math.isfinite(self._t_end) else 0.0
        if self._target > 0 and self._first_loss is not None and self._first_loss > self._target:
            fallen = math.log(self._first_loss / max(now.loss, self._target))
            done = max(done, fallen / math.log(self._first_loss / self._target))
        return min(max(done, 0.0), 1.0)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
