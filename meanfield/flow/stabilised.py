"""An explicit method for very many samples: as many stages as the stiffness asks for, and no Gram matrix.

RKC2 of Sommeijer, Shampine and Verwer (J. Comput. Appl. Math. 88, 1997), a Runge-Kutta-Chebyshev method of
order 2. In the norm in which the flow is a gradient flow its Jacobian is symmetric, so that its eigenvalues
are real. The s stages follow the three-term recursion of Chebyshev polynomials and are stable up to
``h rho = 0.65 s**2``, rho being the spectral radius: work grows like the square root of the stiffness.

rho comes from a power method with products of the Jacobian, which goes on with the vector that it found at
the step before: one or two products a step. For the ReLU it is bounded by the largest eigenvalue of K / n and
the largest rate of a neuron under the present residuals; kinks are met as the right-hand side meets them.

Everything is kept as displacements from the step's start, which may be far below the rounding of the
parameters themselves. A stage costs a right-hand side, O(n N (r + c)); some ten copies of the state are held.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from meanfield.flow.curvature import Root
from meanfield.flow.method import Attempt, MethodName
from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem, SmoothSystem
from meanfield.flow.tangent import Array

#: Damping of the stability polynomial; its stages are ``sqrt(1 + _PER_STAGE h rho)``, and one more.
_DAMPING, _PER_STAGE = 2.0 / 13.0, 1.54
#: Most stages of a step: rounding errors grow like their square.
_MOST = 2000
#: The spectral radius: accuracy of the power method, its safety factor, most products.
_ACCURACY, _SAFETY, _PRODUCTS = 0.02, 1.1, 50


class Recursion(NamedTuple):
    """Coefficients of ``Z_j = mu Z_{j-1} + nu Z_{j-2} + h (push F_{j-1} + first F_0)``."""

    mu: float
    nu: float
    push: float
    first: float


@functools.lru_cache(maxsize=256)
def chebyshev(s: int) -> tuple[Recursion, ...]:
    """Coefficients of the s >= 2 stages, with ``Z_j = Y_j - Y_0``."""
    w0 = 1.0 + _DAMPING / s**2
    values = np.zeros((3, s + 1))  # Chebyshev polynomials at w0, and two derivatives
    values[:2, 1] = w0, 1.0
    values[0, 0] = 1.0
    for j in range(2, s + 1):
        values[:, j] = 2.0 * w0 * values[:, j - 1] - values[:, j - 2]
        values[1:, j] += (2.0, 4.0) * values[:2, j - 1]
    w1 = values[1, s] / values[2, s]
    b = np.empty(s + 1)
    b[2:] = values[2, 2:] / values[1, 2:] ** 2
    b[0], b[1] = b[2], 1.0 / w0
    rest = 1.0 - b * values[0]
    stages = [Recursion(0.0, 0.0, b[1] * w1, 0.0)]
    for j in range(2, s + 1):
        push = 2.0 * b[j] * w1 / b[j - 1]
        stages.append(Recursion(2.0 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], push, -rest[j - 1] * push))
    return tuple(stages)


@functools.lru_cache(maxsize=256)
def weights(s: int) -> Array:
    """Weights of the right-hand sides in the solution, shape (s,): ``Z_s = h sum_j weights_j F_j``."""
    before, now = np.zeros(s), np.zeros(s)
    for j, stage in enumerate(chebyshev(s)):
        new = stage.mu * now + stage.nu * before
        new[j] += stage.push
        new[0] += stage.first
        before, now = now, new
    return now


@dataclass(frozen=True, eq=False)
class Remembered:
    """What is known of a state.

    Attributes
    ----------
    slope : ndarray, shape (c + r, N)
        F there.
    direction : ndarray
        Where the power method was.
    rate : float or None
        The spectral radius there; None until it is asked for.
    """

    slope: Array
    direction: Array | None
    rate: float | None


class Stabilised:
    """RKC2: explicit steps with as many stages as the stiffness asks for."""

    name: ClassVar[MethodName] = "stabilised"
    error_order: ClassVar[int] = 3
    needs: ClassVar[type[CanonicalSystem]] = CanonicalSystem

    def __init__(self, system: CanonicalSystem) -> None:
        self.system = system
        shape = system.theta0.shape
        # Three displacements, a slope and the first one.
        self._terms = np.zeros((5, *shape))
        self._stage, self._zero = np.empty(shape), np.zeros(shape)
        self._results = (np.empty(shape), np.empty(shape))

    def step(self, state: State, h: float, memory: Remembered | None = None) -> Attempt:
        """See :meth:`meanfield.flow.method.Method.step`."""
        system, terms = self.system, self._terms
        if memory is None:
            slope = system.pullback(state.theta, -state.e / system.n, np.empty_like(state.theta))
            memory = Remembered(slope, None, None)
        known = self._with_rate(state, memory)
        assert known.rate is not None
        s = max(2, 1 + int(math.sqrt(1.0 + _PER_STAGE * h * known.rate)))
        if s > _MOST:
            return self._too_long(state, known)
        terms[4] = known.slope
        new = self._results[0] if state.theta is not self._results[0] else self._results[1]
        rates, now = np.empty(s), 0
        for j, stage in enumerate(chebyshev(s)):
            slope_at = 4 if j == 0 else 3
            rates[j] = self._speed(slope_at)
            before, now = now, j % 3
            factors = np.zeros(5)
            factors[before] += stage.mu
            if j > 1:  # Z_0 is zero
                factors[(j - 2) % 3] += stage.nu
            factors[slope_at] += h * stage.push
            factors[4] += h * stage.first
            system.combine(self._zero, terms, factors, terms[now])
            system.combine(state.theta, terms[now : now + 1], np.ones(1), new)
            f, pullback = system.vjp(new)
            e = system.pull(f)
            pullback(-e / system.n, terms[3])
        reached = system.state(state.s + h, new, f=f)
        wrong = np.zeros(5)
        wrong[now], wrong[3], wrong[4] = -0.8, 0.4 * h, 0.4 * h
        self._stage[:] = 0.0
        system.combine(self._zero, terms, wrong, self._stage)
        root = Root.of(reached.curvature)
        return Attempt(
            state=reached,
            loss_rate=float(rates[0]),
            dissipated=h * float(weights(s) @ rates),
            output_error=root.apply(root.adjoint(system.tangent(new, self._stage))),
            layer_error=system.combination_norms(terms, wrong),
            stiff=True,
            memory=Remembered(terms[3].copy(), known.direction, None),
            again=known,
        )

    def _speed(self, slot: int) -> float:
        """Energy that particles give off at a slope."""
        speed = self.system.combination_norms(self._terms[slot : slot + 1], np.ones(1))
        return self.system.kappa * float(speed @ speed)

    def _too_long(self, state: State, known: Remembered) -> Attempt:
        """An attempt that was not made, and says how long it may be."""
        assert known.rate is not None
        longest = (_MOST - 2) ** 2 / (_PER_STAGE * known.rate)
        nothing = np.full(2, math.inf)
        return Attempt(state, math.nan, np.zeros_like(state.e), nothing, meets=longest, again=known)

    def _with_rate(self, state: State, known: Remembered) -> Remembered:
        """With the spectral radius of the Jacobian, and a little more."""
        if known.rate is not None:
            return known
        system = self.system
        if isinstance(system, SmoothSystem):
            product, start, norm = _jacobian(system, state), known.slope, _norm_of(system)
            beside = 0.0
        else:
            product, start, norm = _kernel(system, state), state.e, _euclidean
            beside = _fastest_neuron(state.theta, known.slope)
        if known.direction is not None:
            start = known.direction
        else:  # a little of everything beside it
            random = np.random.default_rng(0).standard_normal(start.shape)
            start = start / max(norm(start), 1e-300) + 0.5 * random / norm(random)
        rate, direction = _radius(product, start, norm)
        return Remembered(known.slope, direction, _SAFETY * (rate + beside))


def _radius(
    product: Callable[[Array], Array], start: Array, norm: Callable[[Array], float]
) -> tuple[float, Array]:
    """Spectral radius of a symmetric operator by the power method, and where it ended."""
    direction, rate = start / norm(start), 0.0
    for _ in range(_PRODUCTS):
        turned = product(direction)
        before, rate = rate, norm(turned)
        if not 0.0 < rate < math.inf:
            return (rate if rate == 0.0 else math.inf), direction
        direction = turned / rate
        if abs(rate - before) <= _ACCURACY * rate:
            break
    return rate, direction


def _jacobian(system: SmoothSystem, state: State) -> Callable[[Array], Array]:
    """Products of the Jacobian of the flow, with its sign changed."""
    forward, root = system.forward(state.theta), Root.of(state.curvature)

    def product(v: Array) -> Array:
        change = system.kappa / system.n * forward.tangent(v)
        through_outputs = forward.pullback(root.apply(root.adjoint(change)), np.empty_like(v))
        alone = forward.hessian_product(state.e / system.n, v, np.empty_like(v))
        through_outputs += alone
        return through_outputs

    return product


def _kernel(system: CanonicalSystem, state: State) -> Callable[[Array], Array]:
    """Products of ``L^T K L / n``, whose eigenvalues are those of the Jacobian without its neurons' own."""
    root, motion = Root.of(state.curvature), np.empty_like(state.theta)

    def product(v: Array) -> Array:
        system.pullback(state.theta, root.apply(v), motion)
        return root.adjoint(system.tangent(state.theta, motion)) / system.n

    return product


def _fastest_neuron(theta: Array, slope: Array) -> float:
    """Largest rate of a neuron under constant residuals, ``|G| = |dq/ds| / |p|``, between kinks."""
    p, push = np.abs(theta[0]), np.sqrt(np.einsum("ck,ck->k", slope[1:], slope[1:]))
    seen = p > 0.0
    return float(np.max(push[seen] / p[seen], initial=0.0))


def _norm_of(system: CanonicalSystem) -> Callable[[Array], float]:
    return lambda v: float(np.linalg.norm(system.combination_norms(v[None], np.ones(1))))


def _euclidean(v: Array) -> float:
    return float(np.linalg.norm(v))
