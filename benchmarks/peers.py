"""The same work by other libraries, each as a user who knows it well would write it.

Everything is in double precision and canonical coordinates: theta of shape (1 + d, m) holds p in row
0 and q below, ``e = kappa p relu(q . x) - y``, and the velocity of theta is minus the gradient of
``R / kappa``. Each library is imported by the functions that need it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from environment import THREADS
from sine import ATOL, Sine, brute_force

Array = np.ndarray
Velocity = Callable[[], Array]


# The right-hand side. -------------------------------------------------------------------------------


def ours_rhs(system: Any, theta: Array, out: Array) -> Array:
    """The velocity of theta by this package's kernels, for comparison."""
    e = system.residual(theta)
    return system.pullback(theta, e * (-1.0 / system.n), out)


def numpy_rhs(x: Array, y: Array, kappa: float, theta: Array) -> Array:
    """Readable form, the independent value of all the others."""
    z = x @ theta[1:]
    e = kappa * np.maximum(z, 0.0) @ theta[0] - y
    on = (-e / len(y))[:, None] * (z > 0.0)
    return np.vstack([(on * z).sum(axis=0), theta[0] * (x.T @ on)])


def torch_autograd(x: Array, y: Array, kappa: float, theta: Array) -> Velocity:
    """PyTorch: backward of the loss."""
    import torch

    torch.set_num_threads(THREADS)
    inputs, targets = torch.tensor(x), torch.tensor(y)
    state = torch.tensor(theta, requires_grad=True)
    scale = -1.0 / (2 * len(y) * kappa)

    def velocity() -> Array:
        e = kappa * (torch.relu(inputs @ state[1:]) @ state[0]) - targets
        return torch.autograd.grad(scale * (e @ e), state)[0].numpy()

    return velocity


def torch_by_hand(x: Array, y: Array, kappa: float, theta: Array) -> Velocity:
    """PyTorch: the formulas by matrix products in buffers that are made once."""
    import torch

    torch.set_num_threads(THREADS)
    inputs, targets, state = torch.tensor(x), torch.tensor(y), torch.tensor(theta)
    out = torch.empty_like(state)
    step = _torch_gradient(inputs, targets, kappa, theta.shape[1])

    @torch.inference_mode()
    def velocity() -> Array:
        step(state, out)
        return out.numpy()

    return velocity


def _torch_gradient(inputs: Any, targets: Any, kappa: float, width: int) -> Callable[[Any, Any], Any]:
    """A function of theta that fills a buffer with the velocity and returns the residual."""
    import torch

    n, d = inputs.shape
    z = torch.empty((n, width), dtype=torch.float64)
    product = torch.empty((d, width), dtype=torch.float64)

    def gradient(theta: Any, out: Any) -> Any:
        p, q, dp, dq = theta[0], theta[1:], out[0], out[1:]
        torch.mm(inputs, q, out=z)
        z.relu_()
        e = torch.mv(z, p).mul_(kappa).sub_(targets)
        z.sign_()  # the pattern of activation, in the same buffer
        torch.mm((inputs * (e / -n)[:, None]).T, z, out=dq)
        torch.mul(q, dq, out=product)
        torch.sum(product, 0, out=dp)
        dq.mul_(p)
        return e

    return gradient


def jax_grad(x: Array, y: Array, kappa: float, theta: Array) -> Velocity:
    """JAX: jitted gradient of the loss."""
    jax = _jax()
    jnp = jax.numpy
    scale = -1.0 / (2 * len(y) * kappa)

    def loss(state: Any) -> Any:
        e = kappa * (jax.nn.relu(x @ state[1:]) @ state[0]) - y
        return scale * jnp.dot(e, e)

    return _jitted(jax.grad(loss), theta)


def jax_by_hand(x: Array, y: Array, kappa: float, theta: Array) -> Velocity:
    """JAX: the formulas, jitted, by products that XLA fuses."""
    return _jitted(_jax_velocity(x, y, kappa), theta)


def jax_scan(x: Array, y: Array, kappa: float, theta: Array) -> Velocity:
    """JAX: the formulas, jitted, one sample after the other, so that nothing of size n m is stored."""
    jax = _jax()
    jnp = jax.numpy
    inputs = jnp.asarray(x)

    def velocity(state: Any) -> Any:
        p, q = state[0], state[1:]
        f = jax.lax.map(lambda row: jnp.sum(p * jax.nn.relu(_row_product(row, q))), inputs)
        pull = (y - kappa * f) / len(y)

        def add(total: Any, sample: Any) -> Any:
            row, c = sample
            on = jnp.where(_row_product(row, q) > 0.0, c, 0.0)
            return [part + on * row[j] for j, part in enumerate(total)], None

        G, _ = jax.lax.scan(add, [jnp.zeros_like(p)] * x.shape[1], (inputs, pull))
        return jnp.stack([sum(q[j] * part for j, part in enumerate(G)), *(p * part for part in G)])

    return _jitted(velocity, theta)


def _jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def _jitted(function: Callable[[Any], Any], theta: Array) -> Velocity:
    jax = _jax()
    state, compiled = jax.numpy.asarray(theta), jax.jit(function)
    return lambda: np.asarray(compiled(state).block_until_ready())


def _row_product(row: Any, q: Any) -> Any:
    return sum(row[j] * q[j] for j in range(q.shape[0]))


def _jax_velocity(x: Array, y: Array, kappa: float) -> Callable[[Any], Any]:
    jax = _jax()
    jnp = jax.numpy
    n, d = x.shape

    def velocity(state: Any) -> Any:
        p, q = state[0], state[1:]
        # For few inputs a fused sum is faster than a matrix product that has to be stored.
        z = sum(x[:, j : j + 1] * q[j] for j in range(d)) if d <= 4 else x @ q
        e = kappa * (jax.nn.relu(z) @ p) - y
        G = x.T @ jnp.where(z > 0.0, (e / -n)[:, None], 0.0)
        return jnp.concatenate([jnp.sum(q * G, axis=0)[None], p * G])

    return velocity


RIGHT_HAND_SIDES: dict[str, tuple[str, Callable[[Array, Array, float, Array], Velocity]]] = {
    "PyTorch, autograd": ("torch", torch_autograd),
    "PyTorch, by hand": ("torch", torch_by_hand),
    "JAX, grad": ("jax", jax_grad),
    "JAX, by hand": ("jax", jax_by_hand),
    "JAX, scan": ("jax", jax_scan),
}


# One step. ------------------------------------------------------------------------------------------


def torch_descent_step(x: Array, y: Array, kappa: float, theta: Array, h: float) -> Velocity:
    """PyTorch: a step of gradient descent."""
    import torch

    torch.set_num_threads(THREADS)
    inputs, targets, state = torch.tensor(x), torch.tensor(y), torch.tensor(theta)
    out = torch.empty_like(state)
    gradient = _torch_gradient(inputs, targets, kappa, theta.shape[1])

    @torch.inference_mode()
    def step() -> Array:
        gradient(state, out)
        return torch.add(state, out, alpha=h, out=out).numpy()

    return step


def diffrax_step(x: Array, y: Array, kappa: float, theta: Array, h: float) -> Velocity:
    """Diffrax: a step of Tsit5 with its error estimate, as the solver calls it."""
    import diffrax

    velocity, method = _jax_velocity(x, y, kappa), diffrax.Tsit5()
    term = diffrax.ODETerm(lambda t, state, args: velocity(state))

    def step(state: Any) -> Any:
        memory = method.init(term, 0.0, h, state, None)
        end, error, _, _, _ = method.step(term, 0.0, h, state, None, memory, made_jump=False)
        return end, error

    jax = _jax()
    state, compiled = jax.numpy.asarray(theta), jax.jit(step)
    return lambda: np.asarray(jax.block_until_ready(compiled(state))[0])


#: Library, step, and the right-hand sides that it takes.
STEPS: dict[str, tuple[str, Callable[[Array, Array, float, Array, float], Velocity], int]] = {
    "gradient descent, PyTorch": ("torch", torch_descent_step, 1),
    "Tsit5, diffrax": ("diffrax", diffrax_step, 6),
}


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
    jax = _jax()
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

    jax = _jax()
    x, y, kappa = np.array(case.problem.x), np.array(case.problem.y), case.system.kappa
    velocity = _jax_velocity(x, y, kappa)

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
    gradient = _torch_gradient(inputs, targets, kappa, theta.shape[1])
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
