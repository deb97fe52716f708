"""Extremal directions: where neurons turn to while the output is not seen, and how fast they grow there.

While f is small the residual is -y and neurons do not meet. In a cone of constant activation the vector
``D = (1/n) sum_i y_i x_i 1[w.x_i > 0]`` is constant and a neuron with a > 0 (a < 0) turns towards D (-D) and
grows at the rate ``|w.D| / |w|``. Attractors are the extremal vectors: D in its own cone, or a kink towards
which both sides push; for a > 0 they are local maxima of ``G(u) = (1/n) sum_i y_i relu(u.x_i)`` on the sphere
(Maennel, Bousquet, Gelly 2018; derivation: ``docs/infinite-width.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.displays import brief
from meanfield.flow.system import ReluSystem
from meanfield.nodes import arcs
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Rates and angular speeds below this share of the largest possible one are zero.
_ZERO = 1e-12
#: On the sphere: neurons that are let go, growth factors (exponents) of a round, rounds.
_STARTS, _GROWTH, _ROUNDS = 1024, 8.0, 100
#: A neuron that turns by less in a round has arrived.
_AT_REST = 1e-7
#: Directions whose distance is below this are one; a search ends near an attractor, not in it.
_SAME = 1e-3
#: Entries of a block of directions x samples held at a time (32 MB).
_BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class Extremal:
    """A direction in which neurons align early.

    Attributes
    ----------
    direction : ndarray, shape (d,)
        Unit vector of input weights.
    sign : int
        Sign of the output weights that align with it.
    rate : float
        Growth rate of a and w in canonical time s = kappa tbar.
    kinks : tuple of int
        Samples on whose kink it lies; empty in the interior of a cone.
    basin : tuple of float or None
        Angles of w from which neurons with \\|a\\| = \\|w\\| of that sign come here, for samples that span a
        plane: from the first, upwards, to the second.
    """

    direction: Array
    sign: int
    rate: float
    kinks: tuple[int, ...]
    basin: tuple[float, float] | None

    __repr__ = brief

    @property
    def orientation(self) -> float:
        """Angle atan2(b, w) for one-dimensional inputs with a bias."""
        return float(np.arctan2(self.direction[1], self.direction[0]))


def early_drift(x: Array, y: Array, w: Array) -> Array:
    """``D(w) = (1/n) sum_i y_i x_i 1[w.x_i > 0]``, what pulls at a neuron while the output is zero.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Samples.
    y : ndarray, shape (n,)
        Targets.
    w : ndarray, shape (K, d)
        Input weights of any length: D depends on their cone of constant activation.

    Returns
    -------
    ndarray, shape (K, d)

    Examples
    --------
    >>> early_drift(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([2.0, 4.0]), np.array([[1.0, -1.0]]))
    array([[1., 0.]])
    """
    D, step = np.empty_like(w), max(1, _BLOCK // len(x))
    for start in range(0, len(w), step):
        block = slice(start, start + step)
        D[block] = ((w[block] @ x.T > 0.0) * y) @ x / len(x)
    return D


def _growth(problem: Problem, units: Array) -> Array:
    """``G(u) = (1/n) sum_i y_i relu(u.x_i)``, which is ``D(u).u``, for units of shape (K, r)."""
    return np.asarray(np.maximum(units @ problem.reduced.T, 0.0) @ problem.y / problem.n)


def _scale(problem: Problem) -> float:
    return float(np.abs(problem.y) @ np.linalg.norm(problem.x, axis=1)) / problem.n


def on_the_line(problem: Problem, sign: int) -> list[Extremal]:
    """The directions along a line that grow."""
    units = np.array([[1.0], [-1.0]])
    rates = sign * _growth(problem, units)
    return [
        Extremal(problem.basis @ unit, sign, float(rate), (), None)
        for unit, rate in zip(units, rates, strict=True)
        if rate > _ZERO * _scale(problem)
    ]


def in_the_plane(problem: Problem, sign: int) -> list[Extremal]:
    """Zeros of the angular speed where it turns from positive to negative, that grow."""
    start, length = arcs(problem.reduced)
    D = sign * early_drift(problem.reduced, problem.y, _unit(start + 0.5 * length))
    zero = _ZERO * _scale(problem)
    at, turns, kinks = _fixed_points(start, D, zero)
    repelling = np.sort(at[turns > 0])
    found = []
    for angle, kink in zip(at[turns < 0], kinks[turns < 0], strict=True):
        u = _unit(np.array([angle]))[0]
        # At a kink D differs between the sides by a multiple of x_i, to which u is orthogonal.
        rate = sign * float(_growth(problem, u[None])[0])
        if rate <= zero:
            continue
        lengths = np.linalg.norm(problem.reduced, axis=1)
        on = np.abs(problem.reduced @ u) <= 1e-9 * lengths if kink else np.zeros(problem.n, dtype=bool)
        before = repelling[repelling < angle]
        after = repelling[repelling > angle]
        basin = None
        if len(repelling):
            low = before[-1] if len(before) else repelling[-1] - 2 * np.pi
            high = after[0] if len(after) else repelling[0] + 2 * np.pi
            basin = (float(low), float(high))
        found.append(
            Extremal(problem.basis @ u, sign, rate, tuple(int(i) for i in np.flatnonzero(on)), basin)
        )
    return found


def _fixed_points(start: Array, D: Array, zero: float) -> tuple[Array, NDArray[np.int64], NDArray[np.bool_]]:
    """Angles where the angular speed ``D.t`` changes its sign or rests, whether from - to +, and on kinks.

    Inside a piece that is where the angle equals that of D (attracting) or of -D (repelling). A piece
    with D = 0, where nothing moves, counts as repelling at both ends: it belongs to no basin.
    """
    angles, turns, on_kink = [], [], []
    end = np.append(start[1:], start[0] + 2 * np.pi)
    sizes = np.linalg.norm(D, axis=1)
    for k in range(len(start)):
        if sizes[k] <= zero:
            angles += [start[k], end[k] % (2 * np.pi)]
            turns += [1, 1]
            on_kink += [True, True]
            continue
        heading = math.atan2(D[k, 1], D[k, 0])
        for target, turn in ((heading, -1), (heading + math.pi, 1)):
            inside = start[k] + (target - start[k]) % (2 * np.pi)
            if start[k] < inside < end[k]:
                angles.append(inside % (2 * np.pi))
                turns.append(turn)
                on_kink.append(False)
        before = _speed(D[k - 1], start[k], zero)
        after = _speed(D[k], start[k], zero)
        if before * after < 0:
            angles.append(start[k])
            turns.append(int(after))
            on_kink.append(True)
    return np.array(angles), np.array(turns, dtype=np.int64), np.array(on_kink, dtype=bool)


def _speed(D: Array, angle: float, zero: float) -> int:
    speed = -D[0] * math.sin(angle) + D[1] * math.cos(angle)
    return 0 if abs(speed) <= zero else int(math.copysign(1, speed))


def _unit(angle: Array) -> Array:
    return np.column_stack([np.cos(angle), np.sin(angle)])


def search(problem: Problem, rng: int) -> list[Extremal]:
    """Let balanced neurons go under the residual -y, and collect where those that grow point to."""
    half = Particles.quadrature(problem, Scaling(0.0, 0.0), 2.0, nodes=_STARTS, rng=rng)
    system = ReluSystem(problem, half)
    theta = system.theta0.copy()
    theta[0] = np.sign(theta[0]) * np.linalg.norm(theta[1:], axis=0)
    for _ in range(_ROUNDS):
        before = theta
        theta = moved(system, theta, _GROWTH / _scale(problem))
        size = np.linalg.norm(theta[1:], axis=0)
        grown = size > 0.0
        theta, before = theta[:, grown] / size[grown], before[:, grown]
        system = ReluSystem(problem, _some(half, theta.shape[1]))
        turning = np.linalg.norm(theta[1:] - before[1:], axis=0)
        if turning.max(initial=0.0) <= _AT_REST:
            break
    theta = theta[:, turning <= _AT_REST]  # the others are on their way past a saddle
    units, signs = theta[1:].T, np.sign(theta[0]).astype(int)
    rates = signs * _growth(problem, units)
    found: list[Extremal] = []
    lengths = np.linalg.norm(problem.reduced, axis=1)
    for k in np.argsort(-rates):
        u, sign, rate = problem.basis @ units[k], int(signs[k]), float(rates[k])
        if rate <= math.sqrt(_ZERO) * _scale(problem):
            break
        if all(e.sign != sign or np.linalg.norm(e.direction - u) > _SAME for e in found):
            on = np.flatnonzero(np.abs(problem.reduced @ units[k]) <= 1e-9 * lengths)
            found.append(Extremal(u, sign, rate, tuple(int(i) for i in on), None))
    return found


def _some(particles: Particles, count: int) -> Particles:
    """The first particles: a system needs as many as there are states."""
    return Particles(
        particles.a[:count], particles.w[:count], particles.weight[:count], particles.kappa,
        particles.kappa_prime,
    )  # fmt: skip


def moved(system: ReluSystem, theta: Array, s: float) -> Array:
    """Particles after the canonical time s under the residual -y, exactly."""
    out = np.empty_like(theta)
    e = -system.y
    system.move(np.ascontiguousarray(theta), np.stack([e, e]), np.array([s]), out)
    return out
