"""Gradient flow for any activation, in the user's own parameters: plain, small, and slow.

    f(x) = (1/alpha) sum_k a_k sigma(w_k . x),   da/dt = -dR/da,   dw/dt = -dR/dw

with SciPy's explicit pair of orders 5 and 4 on all m (d + 1) unknowns. Nothing here uses what
:func:`meanfield.gradient_flow` rests on (homogeneity, normalised or canonical coordinates, exact motion
between kinks): the independent twin of the flow.
Its steps are bounded by the stiffest mode of the tangent kernel, and shrink where ReLU neurons slide
along a kink: take it for some thousand neurons and few samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.activations import Activation, as_activation
from meanfield.arguments import RNG, number
from meanfield.displays import brief
from meanfield.errors import InputError
from meanfield.flow.status import Status
from meanfield.flow.target import needed_target
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.scaling import Scaling

Array = NDArray[np.float64]


RELU, TANH = as_activation("relu"), as_activation("tanh")


@dataclass(frozen=True, eq=False)
class GenericNetwork:
    """A two-layer network in the user's own parameters.

    Attributes
    ----------
    a : ndarray, shape (m,)
        Output weights.
    w : ndarray, shape (m, d)
        Input weights, the bias last.
    alpha : float
        Output factor: ``f(x) = (1/alpha) sum_k a_k sigma(w_k . x)``.
    activation : Activation
        The nonlinearity sigma.
    """

    a: Array
    w: Array
    alpha: float
    activation: Activation

    __repr__ = brief

    @classmethod
    def sample(
        cls,
        problem: Problem,
        laws: tuple[float, float, float],
        width: int,
        *,
        activation: Activation,
        antisymmetric: bool = True,
        rng: RNG = None,
    ) -> GenericNetwork:
        """Draw ``a ~ N(0, beta1**2)`` and ``w ~ N(0, beta2**2)``.

        Parameters
        ----------
        problem : Problem
            Sets the dimension.
        laws : tuple of float
            alpha, beta1 and beta2 at this width.
        width : int
            Number of neurons m, even if antisymmetric.
        activation : Activation
            The nonlinearity.
        antisymmetric : bool
            Pair every neuron (a, w) with a twin (-a, w).
        rng : seed
            The draw in units of beta1 and beta2 is that of :meth:`Particles.sample` for the same seed.
        """
        alpha, beta1, beta2 = laws
        unit = Particles.sample(problem, Scaling(0.0, 0.0), width, antisymmetric=antisymmetric, rng=rng)
        return cls(beta1 * unit.a, beta2 * unit.w, float(alpha), activation)

    def preactivations(self, x: Array) -> Array:
        """``w_k . x_i`` for rows of d entries (bias column included), shape (k, d) -> (m, k)."""
        return np.asarray(self.w @ x.T)

    def output(self, x: Array) -> Array:
        """Evaluate it on rows of d entries (bias column included), shape (k, d) -> (k,)."""
        return np.asarray(self.activation.value(x @ self.w.T) @ self.a / self.alpha)


@dataclass(frozen=True, eq=False)
class GenericRun:
    """What is kept of a run of :func:`generic_flow`.

    Attributes
    ----------
    final : GenericNetwork
        The network at the end.
    time, loss : ndarray, shape (T,)
        The user's own time t (steps times learning rate) and R at every accepted step.
    rd_w, rd_a : float
        Suprema over the accepted steps of the relative displacements.
    status : Status
        CONVERGED at the tolerance, REACHED_TIME at ``t_end``, MAX_STEPS or STEP_TOO_SMALL.
    evaluations : int
        Right-hand sides.
    """

    final: GenericNetwork
    time: Array
    loss: Array
    rd_w: float
    rd_a: float
    status: Status
    evaluations: int

    __repr__ = brief


def generic_flow(
    problem: Problem,
    network: GenericNetwork,
    *,
    loss_tol: float | None = None,
    loss_atol: float | None = None,
    t_end: float = math.inf,
    rtol: float = 1e-5,
    max_steps: int = 20_000,
) -> GenericRun:
    """Train by gradient flow in the user's own parameters, with a general solver.

    Parameters
    ----------
    problem : Problem
        The data.
    network : GenericNetwork
        Where to start.
    loss_tol, loss_atol : float, optional
        As in :func:`meanfield.gradient_flow`; the last step ends there. The rule cannot be switched off.
    t_end : float
        Stop at this time t.
    rtol : float
        Relative tolerance of every parameter; absolute ones are this share of the layer's initial root
        mean square. It must lie well below the displacements of interest: an error of that size in each of
        m parameters at once, which only stability holds, spoils outputs that a lazy network fits by moving
        hardly at all.
    max_steps : int
        Largest number of accepted steps.

    Returns
    -------
    GenericRun

    Raises
    ------
    InputError
        If the network is not of the problem's dimension, or for tolerances that cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> network = GenericNetwork.sample(problem, (10.0, 1.0, 1.0), 100, activation=TANH, rng=0)
    >>> run = generic_flow(problem, network, loss_tol=1e-3)
    >>> run.status.name, bool(run.loss[-1] <= 1.001e-3 * problem.zero_loss)
    ('CONVERGED', True)
    """
    from scipy.integrate import RK45

    if network.w.shape[1] != problem.d:
        raise InputError(f"the network has d = {network.w.shape[1]}, the problem {problem.d}; draw it for it")
    target = needed_target(problem, loss_tol, loss_atol).loss
    rtol = number("rtol", rtol, "a relative tolerance between 0 and 1", above=0.0, below=1.0)
    system = _System(problem, network)
    theta = system.theta0.copy()
    solver = RK45(
        system.velocity, 0.0, theta, t_bound=t_end, rtol=rtol, atol=rtol * system.scale, vectorized=False
    )  # fmt: skip
    times, losses = [0.0], [system.loss(theta)]
    rd = np.zeros(2)
    status = Status.CONVERGED if losses[0] <= target else None
    while status is None:
        solver.step()
        t, theta = solver.t, solver.y
        if solver.status == "failed":
            status = Status.STEP_TOO_SMALL
            break
        loss = system.loss(theta)
        if loss <= target:
            t, theta = system.crossing(solver, target)
            loss, status = system.loss(theta), Status.CONVERGED
        elif solver.status == "finished":
            status = Status.REACHED_TIME
        elif len(times) >= max_steps:
            status = Status.MAX_STEPS
        rd = np.maximum(rd, system.displacement(theta))
        times.append(float(t))
        losses.append(loss)
    return GenericRun(
        final=system.network(theta), time=np.array(times), loss=np.array(losses), rd_w=float(rd[0]),
        rd_a=float(rd[1]), status=status, evaluations=int(solver.nfev),
    )  # fmt: skip


class _System:
    """The flow as a system of equations for the vector (a, w)."""

    def __init__(self, problem: Problem, network: GenericNetwork) -> None:
        self._x, self._y = problem.x, problem.y
        self._start = network
        self._m = network.a.size
        self.theta0 = np.concatenate([network.a, network.w.ravel()])
        roots = [float(np.sqrt(np.mean(layer**2))) for layer in (network.a, network.w)]
        self.scale = np.repeat(roots, [network.a.size, network.w.size])

    def _layers(self, theta: Array) -> tuple[Array, Array]:
        return theta[: self._m], theta[self._m :].reshape(self._start.w.shape)

    def loss(self, theta: Array) -> float:
        e = self.network(theta).output(self._x) - self._y
        return float(e @ e) / (2 * e.size)

    def velocity(self, _t: float, theta: Array) -> Array:
        a, w = self._layers(theta)
        alpha, sigma = self._start.alpha, self._start.activation
        z = w @ self._x.T
        value = sigma.value(z)
        force = -(a @ value / alpha - self._y) / (self._y.size * alpha)
        dw = (a[:, None] * sigma.slope(z) * force) @ self._x
        return np.concatenate([value @ force, dw.ravel()])

    def displacement(self, theta: Array) -> Array:
        """RD_w and RD_a."""
        start, now = self._layers(self.theta0), self._layers(theta)
        rd = [np.linalg.norm(one - zero) / np.linalg.norm(zero) for one, zero in zip(now, start, strict=True)]
        return np.array(rd[::-1])

    def crossing(self, solver: Any, target: float) -> tuple[float, Array]:
        """Time within the last step at which the loss passed the tolerance, and the state there."""
        from scipy.optimize import brentq

        inside = solver.dense_output()
        t = brentq(lambda t: self.loss(inside(t)) - target, solver.t_old, solver.t, xtol=1e-12, rtol=1e-6)
        return float(t), inside(t)

    def network(self, theta: Array) -> GenericNetwork:
        a, w = self._layers(theta)
        return GenericNetwork(a, w, self._start.alpha, self._start.activation)
