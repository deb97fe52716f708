"""Whole runs by other libraries: solvers to a stated accuracy, gradient descent to a target.

Conventions are those of :mod:`peers`, whose right-hand sides they take.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from environment import THREADS
from peers import Array, jax_double, jax_velocity, torch_gradient
from sine import ATOL, Sine, brute_force

# Solvers, on the sine problem. ----------------------------------------------------------------------


@dataclass(frozen=True)
class Solve:
    """Losses at the times of a case (nan where not reached), wall time, right-hand sides taken."""

    losses: Array
    seconds: float
    evaluations: int

    @property
    def finished(self) -> bool:
        return bool(np.isfinite(self.losses).all())


#: Made ready for a case, a tolerance and a cap in seconds: what is left to run is what is timed.
Solver = Callable[[Sine, float, float], Callable[[], Solve]]


def diffrax_tsit5(case: Sine, rtol: float, cap: float) -> Callable[[], Solve]:
    """Diffrax Tsit5 in one compiled solve, with as many steps as fit into the cap."""
    trial_steps = 2000
    run = _diffrax_run(case, rtol, trial_steps)
    trial = run()
    if trial.finished:
        return run
    return _diffrax_run(case, rtol, max(trial_steps, int(cap * trial_steps / trial.seconds)))


def _diffrax_run(case: Sine, rtol: float, max_steps: int) -> Callable[[], Solve]:
    jax = jax_double()
    theta0 = jax.numpy.asarray(case.system.theta0)
    solve = _diffrax(case, rtol, max_steps, theta0)

    def run() -> Solve:
        start = time.perf_counter()
        losses, steps = jax.block_until_ready(solve(theta0))
        seconds = time.perf_counter() - start
        # First same as last: six evaluations a step, and two to choose the first step.
        return Solve(np.where(np.isfinite(losses), losses, np.nan), seconds, 6 * int(steps) + 2)

    return run


def _diffrax(case: Sine, rtol: float, max_steps: int, theta0: Any) -> Callable[[Any], Any]:
    import diffrax

    jax = jax_double()
    x, y, kappa = np.array(case.problem.x), np.array(case.problem.y), case.system.kappa
    velocity = jax_velocity(x, y, kappa)

    def loss(_: Any, state: Any, args: Any) -> Any:
        e = kappa * (jax.nn.relu(x @ state[1:]) @ state[0]) - y
        return jax.numpy.dot(e, e) / (2 * len(y))

    def solve(state: Any) -> Any:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, state, args: velocity(state)),
            diffrax.Tsit5(),
            t0=0.0,
            t1=float(case.times[-1]),
            dt0=None,
            y0=state,
            saveat=diffrax.SaveAt(ts=case.times, fn=loss),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=ATOL * rtol),
            max_steps=max_steps,
            throw=False,
        )
        return solution.ys, solution.stats["num_steps"]

    return jax.jit(solve).lower(theta0).compile()


def scipy_solver(name: str) -> Solver:
    """One of SciPy's solvers, with a compiled right-hand side."""

    def prepare(case: Sine, rtol: float, cap: float) -> Callable[[], Solve]:
        import scipy.integrate

        velocity, loss, count = _compiled(case)
        kind = getattr(scipy.integrate, name)

        def run() -> Solve:
            count[0] = 0
            start = time.perf_counter()
            solver = kind(
                velocity, 0.0, case.system.theta0.ravel(), case.times[-1], rtol=rtol, atol=ATOL * rtol
            )
            losses = _integrate(solver, loss, case.times, start + cap)
            return Solve(losses, time.perf_counter() - start, count[0])

        return run

    return prepare


def _integrate(solver: Any, loss: Callable[[Array], float], times: Array, deadline: float) -> Array:
    """The loop of solve_ivp, which itself cannot be cut short."""
    losses, reached = np.full(len(times), np.nan), 0
    while solver.status == "running" and time.perf_counter() < deadline:
        solver.step()
        passed = int(np.searchsorted(times, solver.t, side="right"))
        if passed > reached:
            between = solver.dense_output()
            losses[reached:passed] = [loss(between(t)) for t in times[reached:passed]]
            reached = passed
    return losses


def _compiled(case: Sine) -> tuple[Callable[..., Array], Callable[[Array], float], list[int]]:
    """Velocity of a flat state, loss of a flat state, and the number of velocities so far."""
    x, y, kappa = np.array(case.problem.x), np.array(case.problem.y), case.system.kappa
    shape, e, count = case.system.theta0.shape, np.empty(case.problem.n), [0]

    def velocity(_: float, state: Array) -> Array:
        count[0] += 1
        out = np.empty(shape)
        brute_force.velocity(state.reshape(shape), x, y, kappa, out, e)
        return out.ravel()

    def loss(state: Array) -> float:
        brute_force.velocity(state.reshape(shape), x, y, kappa, np.empty(shape), e)
        return float(e @ e) / (2 * len(e))

    velocity(0.0, case.system.theta0.ravel())  # compiles
    return velocity, loss, count


def gradient_descent(case: Sine, share: float, cap: float) -> Callable[[], Solve]:
    """Gradient descent with the learning rate share / lambda_max at the start, compiled."""
    x, y, kappa = np.array(case.problem.x), np.array(case.problem.y), case.system.kappa
    theta0, times, h, block = case.system.theta0, case.times, share / case.largest_rate, 1000
    _descend(theta0.copy(), x, y, kappa, h, 0, 1, np.nan, times, np.empty(len(times)))  # compiles

    def run() -> Solve:
        theta, losses, step, last = theta0.copy(), np.full(len(times), np.nan), 0, 0.0
        start = time.perf_counter()
        while np.isnan(losses[-1]) and np.isfinite(last) and time.perf_counter() - start < cap:
            last = _descend(theta, x, y, kappa, h, step, block, last, times, losses)
            step += block
        return Solve(losses, time.perf_counter() - start, step)

    return run


@numba.njit(error_model="numpy")
def _descend(theta, x, y, kappa, h, first, count, last, times, losses):
    """Take ``count`` steps from step ``first`` on, fill losses at times passed, return the last loss."""
    velocity, e = np.empty_like(theta), np.empty(len(y))
    reached = np.searchsorted(times, (first - 1) * h, side="right")
    for step in range(first, first + count):
        brute_force.velocity(theta, x, y, kappa, velocity, e)
        loss = np.sum(e * e) / (2 * len(y))
        while reached < len(times) and times[reached] <= step * h:
            share = step - times[reached] / h
            losses[reached] = share * last + (1.0 - share) * loss
            reached += 1
        last = loss
        for row in range(theta.shape[0]):
            for k in range(theta.shape[1]):
                theta[row, k] += h * velocity[row, k]
    return last


# Gradient descent to a target. ----------------------------------------------------------------------


@dataclass(frozen=True)
class Descent:
    """A run of gradient descent: how it ended (reached, diverged, dead or capped) and at what cost."""

    end: str
    steps: int
    seconds: float
    loss: float


def torch_descent(
    x: Array, y: Array, kappa: float, theta0: Array, learning_rate: float, target: float, cap: float
) -> Descent:
    """Full-batch gradient descent in PyTorch until the loss R is at the target, in canonical time."""
    import torch

    torch.set_num_threads(THREADS)
    theta, inputs, targets = torch.tensor(theta0), torch.tensor(x), torch.tensor(y)
    out = torch.empty_like(theta)
    gradient = torch_gradient(inputs, targets, kappa, theta.shape[1])
    largest = 1e3 * float(np.mean(y * y))
    start, steps, end = time.perf_counter(), 0, ""
    with torch.inference_mode():
        while not end:
            e = gradient(theta, out)
            loss = float(e @ e) / (2 * len(y))
            seconds = time.perf_counter() - start
            dead = steps % 100 == 0 and not out.any()
            end = "dead" if dead else _end(loss, target, largest, seconds, cap)
            if not end:
                theta.add_(out, alpha=learning_rate)
                steps += 1
    return Descent(end, steps, seconds, loss)


def _end(loss: float, target: float, largest: float, seconds: float, cap: float) -> str:
    if loss <= target:
        return "reached"
    if not loss < largest:  # also for nan
        return "diverged"
    return "capped" if seconds > cap else ""


#: Runs out of time in a row after which no smaller learning rate is tried: fewer once one was enough.
PATIENCE, PATIENCE_AT_FIRST = 2, 4


def best_descent(run: Callable[[float, float], Descent], rates: list[float], cap: float) -> list[Descent]:
    """Runs ``run(learning_rate, cap)`` at falling learning rates, until they take longer and longer.

    No run is given more time than the best so far took. Rates that diverge, or kill all neurons, are
    too large; one that is too large in a milder way oscillates until its time is up.
    """
    tried: list[Descent] = []
    late = 0
    for rate in rates:
        fastest = min((d.seconds for d in tried if d.end == "reached"), default=None)
        tried.append(run(rate, cap if fastest is None else fastest))
        late = late + 1 if tried[-1].end == "capped" else 0
        if late == (PATIENCE_AT_FIRST if fastest is None else PATIENCE):
            break
    return tried
