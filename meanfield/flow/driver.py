"""Gradient flow of a two-layer network, without a learning rate."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from meanfield import kernels
from meanfield.activations import Activation
from meanfield.arguments import called, flag, number, one_of, progress_choice, whole_number
from meanfield.errors import InputError
from meanfield.flow.control import StepControl, first_h
from meanfield.flow.linearly_implicit import LinearlyImplicit
from meanfield.flow.method import Memory, Method, MethodName
from meanfield.flow.moments import only
from meanfield.flow.observables import Observer
from meanfield.flow.recording import Progress, Recorder, SaveTimes
from meanfield.flow.residual import ResidualSpace
from meanfield.flow.rest import Rest, test_rest
from meanfield.flow.rosenbrock import Rosenbrock
from meanfield.flow.runge_kutta import RungeKutta
from meanfield.flow.stabilised import Stabilised
from meanfield.flow.start import end_after, first_state, first_step, split_start
from meanfield.flow.state import State
from meanfield.flow.status import Status
from meanfield.flow.stiff import Residual
from meanfield.flow.stopping import (
    AtRounding,
    LossBelow,
    SecondsReached,
    Snapshot,
    Stationary,
    StepsReached,
    StopRule,
    TimeReached,
    UserRule,
)
from meanfield.flow.system import CanonicalSystem, ReluSystem, check_pair, moves_exactly
from meanfield.flow.tangent import DIRECT
from meanfield.flow.target import LossTarget, loss_target
from meanfield.flow.trajectory import Trajectory
from meanfield.particles import Particles
from meanfield.problem import Problem

#: Methods of integration by name.
METHODS: dict[MethodName, type[Method]] = {
    Residual.name: Residual,
    LinearlyImplicit.name: LinearlyImplicit,
    RungeKutta.name: RungeKutta,
    Rosenbrock.name: Rosenbrock,
    Stabilised.name: Stabilised,
}

#: More samples than these are not met kink by kink, but in a plane, where that costs nothing.
MANY_KINKS = 1024
#: Most bytes for the blocks of an exact Jacobian, one for each neuron.
_BLOCKS = 2.0**29
#: Share of the loss that a run at rest may still lose when the time doubles.
STATIONARITY = 1e-6
#: Shortest step, as a share of the time so far. (Below its rounding fast modes decay, at the same time.)
_SMALLEST_STEP = 1e-24
#: A step that was to end at a kink is not shortened below this share of the one that went across.
_TO_KINK = 1e-6
#: Times that neurons at rest at the origin are let go.
_FREED = 100
#: Below this, the rounding of sums over the particles is taken for errors of the steps.
_SMALLEST_RTOL = 1e-12


class FlowInterrupted(KeyboardInterrupt):
    """Ctrl-C during a run; ``.trajectory`` holds the run so far (status INTERRUPTED)."""

    def __init__(self, trajectory: Trajectory) -> None:
        super().__init__(
            f"interrupted at tbar = {trajectory.end.time:.4g}; the run so far is in .trajectory: give it in "
            "place of the network, as in gradient_flow(problem, run), to go on"
        )
        self.trajectory = trajectory


def gradient_flow(
    problem: Problem,
    particles: Particles | Trajectory,
    *,
    loss_tol: float | None = None,
    loss_atol: float | None = None,
    t_end: float | None = None,
    save_at: ArrayLike | None = None,
    rtol: float = 1e-3,
    atol: float = 1e-6,
    method: MethodName | None = None,
    max_steps: int = 20_000,
    max_seconds: float | None = None,
    stationarity: float = STATIONARITY,
    stop: Callable[[Snapshot], bool] | None = None,
    save_parameters: bool = False,
    save_path: bool = False,
    progress: bool | Callable[[Snapshot], object] | None = None,
) -> Trajectory:
    """Train a two-layer network by gradient flow on ``R = (1/n) sum_i l(f_i, y_i)``.

    The loss l is the problem's, by default the mean square: ``R = (1/2n) sum (f - y)**2``.

    Parameters
    ----------
    problem : Problem
        The data.
    particles : Particles or Trajectory
        The network at time 0; or a run to go on with, also one from a file. Then time goes on (``t_end`` and
        ``save_at`` are times since the first start), displacements count from the first start, and the
        result holds the saved times of both. ``max_steps`` and ``max_seconds`` count anew.
    loss_tol : float, optional
        Stop once ``R <= floor + loss_tol (zero_loss - floor)``: once this share of what can be learned is
        left. ``zero_loss`` is the loss of the function that is zero and ``floor`` what contradictory labels
        keep (see :class:`~meanfield.Problem`). By default 1e-6, or no such rule if ``loss_atol`` is given;
        0 switches the rule off.
    loss_atol : float, optional
        Stop once ``R <= loss_atol``; with ``loss_tol`` too, at whichever is met first. (On the mean square
        without the 1/2, a tolerance of 1e-6 is ``loss_atol=5e-7`` here.)
    t_end : float, optional
        Stop at this normalised time tbar.
    save_at : array_like, shape (S,), optional
        Times (tbar) to keep, met exactly: the result has these times and no others, so that runs of different
        seeds can be stacked. A run that stops before the last of them (at ``loss_tol``, for example; 0
        switches that rule off) has those that it has reached, and ``run.unreached`` holds the others. Start
        and end are in ``run.start`` and ``run.end``. By default at most 32 states per decade of time, the
        start and the end among them.
    rtol, atol : float, default 1e-3, 1e-6
        Tolerated error of one step: of the outputs relative to the residual (and, for ``atol``, to
        the targets), and of the particles relative to three times their displacement so far (a tenth of it
        where the activation is smooth).
    method : {"residual", "rosenbrock", "stabilised", "linearly-implicit", "runge-kutta"}, optional
        Method of integration; see ``meanfield.flow.METHODS``. By default the one that suits the network and
        its samples: "residual" for the ReLU (in more than a plane, up to 1024 samples), "rosenbrock" for
        smooth activations (up to 256 samples), "stabilised" for more; ``run.stats.method`` names it.
    max_steps : int, default 20_000
        Stop after this many steps.
    max_seconds : float, optional
        Stop after this wall time in seconds.
    stationarity : float, default 1e-6
        Stop at a stationary point: once the loss falls by less than this share when the time doubles, and
        that time was long enough for any growth to be seen; 0 switches the rule off.
    stop : callable, optional
        Your own rule: called with a :class:`~meanfield.flow.Snapshot` after each step, stops on True.
    save_parameters : bool, default False
        Keep a and w at the saved times, too (memory: T N (d + 1) doubles). A run that goes on keeps them if
        the run before did.
    save_path : bool, default False
        Keep the residual that particles felt in each step, with which :func:`~meanfield.flow.replay` moves
        others (method "residual" only; memory: 2 n doubles for each step).
    progress : None, bool or callable
        None shows a bar on a terminal once the run has lasted two seconds, True at once, False
        never; a callable gets a Snapshot after each step.

    Returns
    -------
    Trajectory
        ``status`` says which rule fired and ``status.remedy`` what to do about it; ``loss_target`` is the
        loss that was asked for.

    Raises
    ------
    InputError
        For arguments that cannot be used, and for a ``loss_atol`` below what any network can reach
        on these data (contradictory labels).
    FlowInterrupted
        On Ctrl-C; the exception holds the trajectory so far.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=1000, rng=0)
    >>> run = mf.gradient_flow(problem, network)
    >>> run.status.name, bool(run.loss[-1] <= 1e-6 * problem.zero_loss)
    ('CONVERGED', True)
    """
    kept = particles.time if isinstance(particles, Trajectory) else np.empty(0)
    particles, before = split_start(problem, particles)
    target, max_seconds, save_parameters = check_run(
        problem, particles, loss_tol, loss_atol, max_seconds, stop, save_parameters
    )
    progress = progress_choice(progress, "a Snapshot")
    # As Python's floats: a single-precision tolerance would make the times of the run as coarse.
    if (rtol := number("rtol", rtol, "a positive number", above=0.0)) >= 1.0:
        raise InputError(f"rtol is {rtol:g}; give a relative tolerance below 1")
    if rtol < _SMALLEST_RTOL:
        raise InputError(
            f"rtol is {rtol:g}, which double precision does not resolve; give at least {_SMALLEST_RTOL:g}"
        )
    atol = number("atol", atol, "a number >= 0", least=0.0)
    stationarity = number("stationarity", stationarity, "a number >= 0, at most 1", least=0.0, most=1.0)
    max_steps = whole_number("max_steps", max_steps)
    if t_end is not None:
        t_end = number("t_end", t_end, "a positive number", above=0.0)
        end_after(before, t_end)
    save_path = flag("save_path", save_path)
    method = chosen_method(problem, particles, method, save_path=save_path)
    if save_path and method != Residual.name:
        raise InputError(f"save_path needs method={Residual.name!r}, but method is {method!r}")
    save_times = SaveTimes(save_at, 0.0 if before is None else float(before.time[-1]))
    if t_end is None and target is None and save_times.last < math.inf:
        t_end = save_times.last
    _compile(method, min(problem.rank, 3), particles.activation)  # other kernels serve a plane, and all else
    system = METHODS[method].needs.of(problem, particles)
    observer = Observer(system)
    control = StepControl(rtol, atol, METHODS[method].error_order)
    horizon = math.inf if t_end is None else t_end
    deadline = math.inf if max_seconds is None else time.monotonic() + max_seconds
    recorder = Recorder(
        system,
        observer,
        save_times=save_times,
        save_parameters=save_parameters or (before is not None and before.saved_a is not None),
        save_path=save_path,
        target=target,
        rules=_rules(system, target, horizon, max_steps, max_seconds, stationarity, stop),
        progress=Progress(progress, target=target, t_end=horizon),
        before=before,
    )

    def finish(status: Status) -> Trajectory:
        run = recorder.finish(status, method=method, rtol=rtol, atol=atol)
        return run if save_times.asked is None else only(run, np.union1d(kept, save_times.asked))

    try:
        with kernels.one_blas_thread():
            stepper = METHODS[method](system)
            if save_path:
                assert isinstance(system, ReluSystem)
                stepper = ResidualSpace(system)
            status = _integrate(stepper, control, observer, recorder, save_times, horizon, before, deadline)
        return finish(status)
    except kernels.OutOfTime:
        return finish(Status.MAX_SECONDS)
    except KeyboardInterrupt:
        if recorder.empty:
            raise
        raise FlowInterrupted(finish(Status.INTERRUPTED)) from None


def chosen_method(
    problem: Problem, particles: Particles, method: MethodName | None, *, save_path: bool = False
) -> MethodName:
    """The method that was asked for, or the one that suits a network and its samples.

    ReLUs move exactly under ``"residual"``, unless kinks are so many that following each of them costs more
    than it is worth. Smooth activations take ``"rosenbrock"`` while its linear algebra, O(n**2 m r) and
    n**3 / 3 a step, costs no more than what it saves in stages, else ``"stabilised"``.

    Raises
    ------
    InputError
        If there is no such method, or it does not serve the network's activation.
    """
    exact = moves_exactly(particles)
    if method is None:
        if exact and particles.activation.kinked:  # a linear activation has no kinks to follow
            many = problem.n > MANY_KINKS and problem.rank > 2
            return Stabilised.name if many and not save_path else Residual.name
        blocks = 8.0 * particles.size * problem.rank**2
        few = problem.n * problem.outputs <= DIRECT and blocks <= _BLOCKS
        return Rosenbrock.name if few else Stabilised.name
    name: MethodName = one_of("method", method, get_args(MethodName))
    if not exact and METHODS[name].needs is ReluSystem:
        raise InputError(
            f"method is {name!r}, which is for one output, activations that are piecewise linear and "
            f"two trained layers, but the network has {particles.outputs}, {particles.activation.name} and "
            f"rates {particles.rates}; leave method out"
        )
    return name


@functools.cache
def _compile(method: MethodName, rank: int, activation: Activation) -> None:
    """Step a single neuron once, so that compiling the kernels is not on the clock of any run."""
    problem = Problem(np.eye(rank), np.ones(rank), bias=False)
    neuron = Particles.from_arrays(
        [1.0], np.ones((1, rank)), kappa=1.0, kappa_prime=1.0, activation=activation, beta2=1.0
    )
    system = METHODS[method].needs.of(problem, neuron)
    state = system.state(0.0, system.theta0)
    METHODS[method](system).step(state, 1e-3)
    Observer(system).measure(state)


def _integrate(
    method: Method,
    control: StepControl,
    observer: Observer,
    recorder: Recorder,
    save_times: SaveTimes,
    t_end: float,
    before: Trajectory | None,
    deadline: float,
) -> Status:
    system = recorder.system
    now, state = first_state(system, before)
    seen = observer.measure(state)
    recorder.next_step = first_step(before)
    status = recorder.accept(now, state, seen, math.nan)
    if status is not None:
        return status
    known = math.isfinite(recorder.next_step)
    h = system.kappa * recorder.next_step if known else first_h(system, state)
    with kernels.until(deadline):
        return _march(method, control, observer, recorder, save_times, t_end, now, state, h)


def _march(
    method: Method,
    control: StepControl,
    observer: Observer,
    recorder: Recorder,
    save_times: SaveTimes,
    t_end: float,
    now: float,
    state: State,
    h: float,
) -> Status:
    """Step of length h first, and on, from a state at time ``now`` until a rule fires."""
    system, freed, beyond = recorder.system, 0, 0.0
    memory: Memory = None
    while True:
        # A step that would reach a time to be met ends exactly there; the length that the error
        # allows is kept for the step after it.
        meet = min(save_times.upcoming(), t_end)
        allowed, room = h, system.kappa * (meet - now)
        meets = room <= h * (1.0 + 1e-12)
        with np.errstate(over="ignore", invalid="ignore"):  # an attempt that overflows is rejected
            attempt = method.step(state, room if meets else h, memory)
            seen_next = observer.measure(attempt.state)
            error = control.error(state, attempt, seen_next, system)
        accepted = control.accepts(state, attempt, error, seen_next.rounding)
        memory = attempt.memory if accepted else attempt.again
        tried, h = room if meets else h, control.next_h(room if meets else h, error, accepted)
        if accepted:
            if meets:
                h = max(h, allowed)
            h, beyond = max(h, beyond), 0.0
            recorder.next_step = h / system.kappa
            now = meet if meets else now + (attempt.state.s - state.s) / system.kappa
            state = attempt.state
            status = recorder.accept(now, state, seen_next, attempt.loss_rate * system.kappa, attempt)
            if status is Status.STATIONARY:
                rest = test_rest(system, state) if isinstance(system, ReluSystem) else Rest.STABLE
                freed += rest is Rest.FREED
                if rest is not Rest.FREED or freed > _FREED:
                    return status if rest is Rest.STABLE else Status.HELD
                memory = None  # neurons were moved
            elif status is not None:
                return status
        else:
            recorder.reject()
            if attempt.meets < tried:  # ends at a kink, and goes on from there with what this one had
                h, beyond = max(attempt.meets, _TO_KINK * tried), max(beyond, h)
            if h <= _SMALLEST_STEP * max(state.s, 1e-300):
                return Status.STEP_TOO_SMALL


def _rules(
    system: CanonicalSystem,
    target: LossTarget | None,
    t_end: float,
    max_steps: int,
    max_seconds: float | None,
    stationarity: float,
    stop: Callable[[Snapshot], bool] | None,
) -> list[StopRule]:
    rules: list[StopRule] = []
    if target is not None:
        rules.append(LossBelow(target.loss))
    if stop is not None:
        rules.append(UserRule(stop))
    if math.isfinite(t_end):
        rules.append(TimeReached(t_end))
    rules.append(AtRounding(system.problem.zero_loss, system.floor))
    if stationarity > 0:
        weakest = float(np.linalg.svd(system.x, compute_uv=False)[-1]) / math.sqrt(system.n)
        rules.append(Stationary(stationarity, system.kappa * weakest))
    rules.append(StepsReached(max_steps))
    if max_seconds is not None:
        rules.append(SecondsReached(max_seconds))
    return rules


def check_run(
    problem: Problem,
    particles: Particles,
    loss_tol: float | None,
    loss_atol: float | None,
    max_seconds: float | None,
    stop: Callable[[Snapshot], bool] | None,
    save_parameters: bool,
) -> tuple[LossTarget | None, float | None, bool]:
    """Check what every way of training takes, see :func:`gradient_flow`.

    Returns the target of the loss, ``max_seconds`` and ``save_parameters``.
    """
    check_pair(problem, particles)
    target = loss_target(problem, loss_tol, loss_atol, particles.activation.degree)
    if max_seconds is not None:
        max_seconds = number("max_seconds", max_seconds, "a positive number", above=0.0)
    if stop is not None:
        called("stop", stop, "a Snapshot")
    save_parameters = flag("save_parameters", save_parameters)
    return target, max_seconds, save_parameters
