"""Plain full-batch gradient descent at a given learning rate: what people run, for comparison."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meanfield import kernels
from meanfield.arguments import number, progress_choice, whole_number
from meanfield.flow.driver import FlowInterrupted, check_run
from meanfield.flow.observables import Observer
from meanfield.flow.recording import Progress, Recorder, SaveTimes
from meanfield.flow.start import first_state, split_start
from meanfield.flow.state import State
from meanfield.flow.status import Status
from meanfield.flow.stopping import (
    AtRounding,
    LossBelow,
    SecondsReached,
    Snapshot,
    StepsReached,
    StopRule,
    UserRule,
)
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.trajectory import Trajectory
from meanfield.particles import Particles
from meanfield.problem import Problem


@dataclass(frozen=True)
class _LossAbove:
    limit: float

    def check(self, now: Snapshot) -> Status | None:
        return None if now.loss <= self.limit else Status.DIVERGED  # also for nan


def gradient_descent(
    problem: Problem,
    particles: Particles | Trajectory,
    *,
    learning_rate: float,
    loss_tol: float | None = None,
    loss_atol: float | None = None,
    max_steps: int = 100_000,
    max_seconds: float | None = None,
    stop: Callable[[Snapshot], bool] | None = None,
    save_parameters: bool = False,
    progress: bool | Callable[[Snapshot], object] | None = None,
) -> Trajectory:
    """Train by full-batch gradient descent on ``R = (1/n) sum_i l(f_i, y_i)``.

    The loss l is the problem's, by default the mean square: ``R = (1/2n) sum (f - y)**2``.

    Parameters
    ----------
    problem, particles
        As in :func:`~meanfield.flow.gradient_flow`.
    learning_rate : float
        Step of normalised time per iteration. A learning rate of the user's own parameters is
        ``Scaling.tbar(1, learning_rate, m, d)`` here; it is stable below 2 over the largest
        eigenvalue of the loss's Hessian, which changes during training.
    loss_tol, loss_atol
        As in :func:`~meanfield.flow.gradient_flow`.
    max_steps : int, default 100_000
        Number of iterations.
    max_seconds, stop, save_parameters, progress
        As in :func:`~meanfield.flow.gradient_flow`.

    Returns
    -------
    Trajectory
        Status DIVERGED if the loss exceeds a million times its initial value.

    Raises
    ------
    InputError
        For arguments that cannot be used.
    FlowInterrupted
        On Ctrl-C; the exception holds the trajectory so far.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=100, rng=0)
    >>> run = mf.gradient_descent(problem, network, learning_rate=0.1, loss_tol=1e-3)
    >>> run.status.name
    'CONVERGED'
    """
    particles, before = split_start(problem, particles)
    target, max_seconds, save_parameters = check_run(
        problem, particles, loss_tol, loss_atol, max_seconds, stop, save_parameters
    )
    progress = progress_choice(progress, "a Snapshot")
    learning_rate = number("learning_rate", learning_rate, "a positive number", above=0.0)
    max_steps = whole_number("max_steps", max_steps)
    deadline = math.inf if max_seconds is None else time.monotonic() + max_seconds
    system = CanonicalSystem.of(problem, particles)
    now, state = first_state(system, before)
    rules: list[StopRule] = [
        _LossAbove(1e6 * (state.loss + problem.zero_loss)),  # first: infinity is below its own rounding
        AtRounding(problem.zero_loss, system.floor),
    ]
    rules += [LossBelow(target.loss)] if target is not None else []
    rules += [UserRule(stop)] if stop is not None else []
    rules += [StepsReached(max_steps)]
    rules += [SecondsReached(max_seconds)] if max_seconds is not None else []
    recorder = Recorder(
        system,
        observer := Observer(system),
        save_times=SaveTimes(None, now),
        save_parameters=save_parameters or (before is not None and before.saved_a is not None),
        save_path=False,
        target=target,
        rules=rules,
        progress=Progress(progress, target=target, t_end=now + learning_rate * max_steps),
        before=before,
    )

    def finish(status: Status) -> Trajectory:
        return recorder.finish(status, method="gradient-descent", rtol=math.nan, atol=math.nan)

    try:
        with np.errstate(over="ignore", invalid="ignore"):  # a descent that overflows has diverged
            return finish(_descend(system, observer, recorder, now, state, learning_rate, deadline))
    except kernels.OutOfTime:
        return finish(Status.MAX_SECONDS)
    except KeyboardInterrupt:
        raise FlowInterrupted(finish(Status.INTERRUPTED)) from None


def _descend(
    system: CanonicalSystem,
    observer: Observer,
    recorder: Recorder,
    start: float,
    state: State,
    learning_rate: float,
    deadline: float,
) -> Status:
    # Descent in any of the parametrisations takes the same path: in canonical coordinates its step
    # is kappa times that of tbar.
    h = system.kappa * learning_rate
    velocity, steps = np.empty_like(state.theta), 0
    status = recorder.accept(start, state, observer.measure(state), math.nan)
    with kernels.until(deadline):
        while status is None:
            system.pullback(state.theta, -state.e / system.n, velocity)
            loss_rate = float(np.sum(system.weight * velocity**2)) * system.kappa**2
            theta = state.theta + h * velocity
            steps += 1
            state = system.state(state.s + h, theta)
            now = start + steps * learning_rate
            status = recorder.accept(now, state, observer.measure(state), loss_rate)
    return status
