"""The condensed regime's beginning: where neurons align before the output is seen.

While f is small the residual is -y and neurons do not meet. In a cone of constant activation the vector
``D = (1/n) sum_i y_i x_i 1[w.x_i > 0]`` is constant and a neuron with a > 0 (a < 0) turns towards D (-D) and
grows at the rate ``|w.D| / |w|``. Attractors are the extremal vectors: D in its own cone, or a kink towards
which both sides push; for a > 0 they are local maxima of ``G(u) = (1/n) sum_i y_i relu(u.x_i)`` on the sphere
(Maennel, Bousquet, Gelly 2018; derivation: ``docs/infinite-width.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield import displays
from meanfield.arguments import instance, number, root
from meanfield.displays import brief
from meanfield.exporting import dataset, frame
from meanfield.flow.system import ReluSystem
from meanfield.nodes import arcs
from meanfield.particles import Particles
from meanfield.problem import Problem, check_mean_square
from meanfield.scaling import Scaling

if TYPE_CHECKING:
    import pandas
    import xarray

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


@dataclass(frozen=True, eq=False)
class EarlyAlignment:
    """All extremal directions of a problem, fastest first.

    Attributes
    ----------
    problem : Problem
        The data.
    extremals : tuple of Extremal
        In the order of falling rates.
    exact : bool
        Whether they were enumerated (samples that span a line or plane) or searched for.
    """

    problem: Problem
    extremals: tuple[Extremal, ...]
    exact: bool

    __repr__ = brief

    def escape_time(self, scaling: Scaling, width: float) -> float:
        """Time tbar at which the output becomes of order one, up to a constant in s = kappa tbar.

        ``s = log(4 kappa' / (m kappa (1 + kappa'**2))) / (2 rate)`` of the fastest direction; 0 where the
        output is of that order from the start. Infinite if nothing grows.

        Parameters
        ----------
        scaling : Scaling
            Sets kappa and kappa_prime at this width.
        width : float
            The scale m.

        Returns
        -------
        float
            Time (tbar).
        """
        instance("scaling", scaling, Scaling, "Scaling(gamma, gamma_prime) or Scaling.named")
        width = number("width", width, "a positive finite number", above=0.0)
        if not self.extremals:
            return math.inf
        kappa, kappa_prime = scaling.kappa(width, self.problem.d), scaling.kappa_prime(width, self.problem.d)
        room = math.log(4.0 * kappa_prime / (1.0 + kappa_prime**2)) - math.log(width * kappa)
        return max(room, 0.0) / (2.0 * self.extremals[0].rate * kappa)

    def _repr_html_(self) -> str:
        rows = [(k, e.sign, e.rate, len(e.kinks)) for k, e in enumerate(self.extremals)]
        how = "enumerated" if self.exact else "found by a search"
        return displays.table(
            f"Early alignment on {self.problem.name!r}: {len(rows)} directions, {how}",
            ("", "sign of a", "growth rate", "samples on the kink"), rows,
        )  # fmt: skip

    def to_pandas(self) -> pandas.DataFrame:
        """All directions as a table of pandas, fastest first: sign, rate, basin and kinks.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        basins = np.array([e.basin or (math.nan, math.nan) for e in self.extremals]).reshape(-1, 2)
        columns = {
            "sign": np.array([e.sign for e in self.extremals], dtype=np.int64),
            "rate": np.array([e.rate for e in self.extremals]),
            "basin_from": basins[:, 0],
            "basin_to": basins[:, 1],
            "kinks": np.array([" ".join(map(str, e.kinks)) for e in self.extremals], dtype=object),
        }
        return frame(columns, None, {"problem": self.problem.name, "exact": self.exact})

    def to_xarray(self) -> xarray.Dataset:
        """All directions as a data set, fastest first: vectors, signs and rates.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        vectors = np.array([e.direction for e in self.extremals]).reshape(-1, self.problem.d)
        variables = {
            "direction": (("extremal", "weight"), vectors),
            "sign": ("extremal", np.array([e.sign for e in self.extremals], dtype=np.int64)),
            "rate": ("extremal", np.array([e.rate for e in self.extremals])),
        }
        attributes = {"problem": self.problem.name, "exact": int(self.exact)}
        return dataset(variables, {"extremal": np.arange(len(vectors))}, attributes)

    def shares(self, scaling: Scaling, width: float, *, nodes: int = 2048) -> Array:
        """Share of the amplitude \\|a\\|\\|w\\| in each direction when the output escapes, shape (K,).

        Quadrature particles are moved under the residual -y until then; each counts for the direction
        that it is nearest to. What is left to 1 has not grown.

        Parameters
        ----------
        scaling : Scaling
            Sets kappa and kappa_prime at this width.
        width : float
            The scale m.
        nodes : int, default 2048
            Number of particles of the quadrature.

        Returns
        -------
        ndarray, shape (K,)
            In the order of ``directions``.
        """
        particles = Particles.quadrature(self.problem, scaling, width, nodes=nodes)
        system = ReluSystem(self.problem, particles)
        s = self.escape_time(scaling, width) * system.kappa
        theta = _moved(system, system.theta0, s) if 0.0 < s < math.inf else system.theta0
        size = np.linalg.norm(theta[1:], axis=0)
        amplitude = particles.weight * np.abs(theta[0]) * size
        unit = (theta[1:] / np.where(size > 0.0, size, 1.0)).T @ self.problem.basis.T
        scores = [
            np.where(e.sign * theta[0] > 0.0, unit @ e.direction, -1.0) for e in self.extremals
        ]  # fmt: skip
        if not scores:
            return np.zeros(0)
        best, aligned = np.argmax(scores, axis=0), np.max(scores, axis=0) > math.cos(0.1)
        total = np.bincount(best[aligned], amplitude[aligned], minlength=len(scores))
        return np.asarray(total / amplitude.sum())


def early_alignment(problem: Problem, *, rng: int = 0) -> EarlyAlignment:
    """Find the directions in which neurons condense before the output is seen.

    Parameters
    ----------
    problem : Problem
        The data. For samples that span a line or a plane all extremal directions are enumerated; else
        random neurons are let go and their ends collected, which may miss a direction of tiny basin.
    rng : int, default 0
        Seed of the search.

    Returns
    -------
    EarlyAlignment

    Examples
    --------
    >>> import meanfield as mf
    >>> alignment = early_alignment(mf.datasets.four_points())
    >>> [(e.sign, round(e.orientation, 4), round(e.rate, 5)) for e in alignment.extremals]
    [(1, 1.5708, 0.13889)]
    """
    check_mean_square(problem, "the early alignment is derived")
    rng = root(rng)
    if problem.rank == 2:
        found = [e for sign in (1, -1) for e in _in_the_plane(problem, sign)]
    elif problem.rank == 1:
        found = [e for sign in (1, -1) for e in _on_the_line(problem, sign)]
    else:
        found = _search(problem, rng)
    return EarlyAlignment(problem, tuple(sorted(found, key=lambda e: -e.rate)), problem.rank <= 2)


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


def _on_the_line(problem: Problem, sign: int) -> list[Extremal]:
    units = np.array([[1.0], [-1.0]])
    rates = sign * _growth(problem, units)
    return [
        Extremal(problem.basis @ unit, sign, float(rate), (), None)
        for unit, rate in zip(units, rates, strict=True)
        if rate > _ZERO * _scale(problem)
    ]


def _in_the_plane(problem: Problem, sign: int) -> list[Extremal]:
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


def _search(problem: Problem, rng: int) -> list[Extremal]:
    """Let balanced neurons go under the residual -y, and collect where those that grow point to."""
    half = Particles.quadrature(problem, Scaling(0.0, 0.0), 2.0, nodes=_STARTS, rng=rng)
    system = ReluSystem(problem, half)
    theta = system.theta0.copy()
    theta[0] = np.sign(theta[0]) * np.linalg.norm(theta[1:], axis=0)
    for _ in range(_ROUNDS):
        before = theta
        theta = _moved(system, theta, _GROWTH / _scale(problem))
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


def _moved(system: ReluSystem, theta: Array, s: float) -> Array:
    """Particles after the canonical time s under the residual -y, exactly."""
    out = np.empty_like(theta)
    e = -system.y
    system.move(np.ascontiguousarray(theta), np.stack([e, e]), np.array([s]), out)
    return out
