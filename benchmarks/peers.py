"""The same work by other libraries, each as a user who knows it well would write it.

Everything is in double precision and canonical coordinates: theta of shape (1 + d, m) holds p in row
0 and q below, ``e = kappa p relu(q . x) - y``, and the velocity of theta is minus the gradient of
``R / kappa``. Each library is imported by the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from environment import THREADS

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
    step = torch_gradient(inputs, targets, kappa, theta.shape[1])

    @torch.inference_mode()
    def velocity() -> Array:
        step(state, out)
        return out.numpy()

    return velocity


def torch_gradient(inputs: Any, targets: Any, kappa: float, width: int) -> Callable[[Any, Any], Any]:
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
    jax = jax_double()
    jnp = jax.numpy
    scale = -1.0 / (2 * len(y) * kappa)

    def loss(state: Any) -> Any:
        e = kappa * (jax.nn.relu(x @ state[1:]) @ state[0]) - y
        return scale * jnp.dot(e, e)

    return _jitted(jax.grad(loss), theta)


def jax_by_hand(x: Array, y: Array, kappa: float, theta: Array) -> Velocity:
    """JAX: the formulas, jitted, by products that XLA fuses."""
    return _jitted(jax_velocity(x, y, kappa), theta)


def jax_scan(x: Array, y: Array, kappa: float, theta: Array) -> Velocity:
    """JAX: the formulas, jitted, one sample after the other, so that nothing of size n m is stored."""
    jax = jax_double()
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


def jax_double() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def _jitted(function: Callable[[Any], Any], theta: Array) -> Velocity:
    jax = jax_double()
    state, compiled = jax.numpy.asarray(theta), jax.jit(function)
    return lambda: np.asarray(compiled(state).block_until_ready())


def _row_product(row: Any, q: Any) -> Any:
    return sum(row[j] * q[j] for j in range(q.shape[0]))


def jax_velocity(x: Array, y: Array, kappa: float) -> Callable[[Any], Any]:
    jax = jax_double()
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
    gradient = torch_gradient(inputs, targets, kappa, theta.shape[1])

    @torch.inference_mode()
    def step() -> Array:
        gradient(state, out)
        return torch.add(state, out, alpha=h, out=out).numpy()

    return step


def diffrax_step(x: Array, y: Array, kappa: float, theta: Array, h: float) -> Velocity:
    """Diffrax: a step of Tsit5 with its error estimate, as the solver calls it."""
    import diffrax

    velocity, method = jax_velocity(x, y, kappa), diffrax.Tsit5()
    term = diffrax.ODETerm(lambda t, state, args: velocity(state))

    def step(state: Any) -> Any:
        memory = method.init(term, 0.0, h, state, None)
        end, error, _, _, _ = method.step(term, 0.0, h, state, None, memory, made_jump=False)
        return end, error

    jax = jax_double()
    state, compiled = jax.numpy.asarray(theta), jax.jit(step)
    return lambda: np.asarray(jax.block_until_ready(compiled(state))[0])


#: Library, step, and the right-hand sides that it takes.
STEPS: dict[str, tuple[str, Callable[[Array, Array, float, Array, float], Velocity], int]] = {
    "gradient descent, PyTorch": ("torch", torch_descent_step, 1),
    "Tsit5, diffrax": ("diffrax", diffrax_step, 6),
}
