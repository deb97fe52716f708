"""Where a run starts: at a network at time 0, or at the end of a run that it goes on with."""

from __future__ import annotations

import math

from meanfield.errors import InputError
from meanfield.flow.state import State
from meanfield.flow.status import Status
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.trajectory import Trajectory
from meanfield.particles import Particles
from meanfield.problem import Problem


def split_start(problem: Problem, start: Particles | Trajectory) -> tuple[Particles, Trajectory | None]:
    """The network at time 0, from which displacements count, and the run to go on with, if any.

    Raises
    ------
    InputError
        For a run on other data, or one that cannot go on.
    """
    if not isinstance(start, Trajectory):
        return start, None
    if type(start) is not Trajectory:
        raise InputError(
            f"particles is an {type(start).__name__}, which has no flow to go on with; give a network, or a "
            "run of gradient_flow or gradient_descent"
        )
    if not isinstance(problem, Problem) or start.problem.fingerprint != problem.fingerprint:
        raise InputError("the run to go on with was trained on other data; give its own, run.problem")
    if start.status is Status.DIVERGED:
        raise InputError("the run to go on with has diverged; start again with a lower learning_rate")
    return start.initial, start.with_ends()


def first_state(system: CanonicalSystem, before: Trajectory | None) -> tuple[float, State]:
    """Time (tbar) and state at which a run starts."""
    if before is None:
        return 0.0, system.state(0.0, system.theta0)
    now, theta = float(before.time[-1]), system.canonical(before.final)
    return now, system.state(system.kappa * now, theta)


def first_step(before: Trajectory | None) -> float:
    """The step (tbar) that the run before would have taken next; nan if there is none, or it is not known."""
    return math.nan if before is None else before.stats.next_step


def end_after(before: Trajectory | None, t_end: float | None) -> None:
    """Refuse an end at a time that the run before has passed."""
    if before is not None and t_end is not None and t_end <= before.time[-1]:
        raise InputError(
            f"t_end is {t_end:g}, but the run to go on with is at tbar = {before.time[-1]:.6g}; give a later "
            "time"
        )
