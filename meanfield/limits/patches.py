"""Quadrature nodes that go where neurons part: patches of the half sphere a > 0, halved where that matters.

For samples that span a plane the nodes' directions have two angles: phi of w, and theta between a and
\\|w\\|. Later outputs, as functions of them, are smooth but for curves on which the fates of neurons part;
most of these are fixed once neurons have parted, and few of them are known beforehand. Patches carry 2 x 2
Gauss-Legendre nodes. A patch is halved, in the angle in which that changes more, if its halves' nodes would
give something else to the outputs along the run than its own. Neurons next to a kink cross it early, and may
have another fate than all others of their patch: in a strip so thin that nodes of halves do not see it.
There a thin strip may be cut off, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from meanfield.flow import Trajectory
from meanfield.nodes import Directions, pieces
from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Nodes of a patch in each angle, and in all.
_SIDE = 2
_NODES = _SIDE**2
#: Patches at the start: rows in theta, largest length in phi.
_ROWS, _LONGEST = 2, 0.8
#: Share of the patches that a refinement halves.
_SHARE = 0.5
#: Ways to cut a patch: the angle, and where; the last two only next to a kink.
_STRIP = 1.0 / 16.0
#: Distance in phi below which a bound is a kink.
_AT_KINK = 1e-9
_WAYS = ((0, 0.5), (1, 0.5), (0, _STRIP), (0, 1.0 - _STRIP))
_KNOTS, _KNOT_WEIGHTS = np.polynomial.legendre.leggauss(_SIDE)
_EXACT_KNOTS, _EXACT_WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of the half sphere, and what is known of them.

    Attributes
    ----------
    problem : Problem
        Samples that span a plane; their kinks bound the patches at the start.
    box : ndarray, shape (C, 4)
        Bounds of phi and of theta.
    error : ndarray, shape (C, 4)
        Change of the outputs, root mean square over samples and times in units of the targets', if the
        patch were cut: halved in phi or in theta, or of the strip at its lower or its upper end in phi (0
        where there is no kink); nan where it is not known.
    """

    problem: Problem
    box: Array
    error: Array

    @classmethod
    def of(cls, problem: Problem) -> Patches:
        """The coarsest patches."""
        rows = np.linspace(0.0, 0.5 * np.pi, _ROWS + 1)
        box = []
        for begin, span, moves in zip(*pieces(problem.reduced), strict=True):
            columns = begin + span * np.linspace(0.0, 1.0, math.ceil(span / _LONGEST) + 1)
            for low, high in pairwise(columns) if moves else ():
                box += [(low, high, bottom, top) for bottom, top in pairwise(rows)]
        return cls(problem, np.array(box), np.full((len(box), len(_WAYS)), np.nan))

    @property
    def size(self) -> int:
        """Number of particles of :meth:`nodes` with their twins."""
        return 2 * (_NODES * len(self.box) + int(np.sum(~pieces(self.problem.reduced)[2])))

    def nodes(self) -> Directions:
        """The patches' nodes, in their order, and one for each piece where nothing ever moves.

        The weights of the nodes between two kinks are changed as little as makes the means of a^2 and of
        w w^T exact, and so the initial kernels (nearly, between kinks that are one patch apart).
        """
        theta, phi, weight = _nodes(self.box)
        begin, span, moves = pieces(self.problem.reduced)
        piece = np.searchsorted(begin, phi, side="right") - 1
        for k in np.flatnonzero(moves):
            own = piece == k
            weight[own] = _exact(theta[own], phi[own] - begin[k], weight[own], span[k])
        still = begin[~moves] + 0.5 * span[~moves]
        return _directions(
            np.append(theta, np.full(len(still), math.acos(3**-0.5))),
            np.append(phi, still),
            np.append(weight, span[~moves] / (2.0 * np.pi)),
        )

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Which patches' errors are not known, shape (C,)."""
        return np.isnan(self.error[:, 0])

    def _ways(self) -> list[NDArray[np.intp]]:
        """Which patches of unknown error may be cut in each way."""
        kinks = pieces(self.problem.reduced)[0]
        ends = np.abs(self.box[:, :2, None] - np.append(kinks, kinks[0] + 2.0 * np.pi)).min(axis=2) < _AT_KINK
        return [np.flatnonzero(self.unknown & allowed) for allowed in (True, True, ends[:, 0], ends[:, 1])]

    def trials(self) -> Directions:
        """Nodes of both parts of the patches of unknown error, for each way to cut them."""
        parts = [_cut(self.box[own], way).reshape(-1, 4) for way, own in enumerate(self._ways())]
        return _directions(*_nodes(np.concatenate(parts)))

    def judged(self, run: Trajectory) -> Patches:
        """With errors from a run whose particles are those of :meth:`nodes`, then of :meth:`trials`.

        On a plateau that others hold a trial node may grow without bound, because it is not felt; a node
        that is felt stops at outputs as large as the targets, which bound the change.
        """
        ways, trial = self._ways(), self.trials().weight[:, None]
        cut = np.concatenate(ways)
        own = _nodes(self.box)[2].reshape(-1, _NODES)[cut]
        chosen = (_NODES * cut[:, None] + np.arange(_NODES)).ravel()
        start, target = self.size // 2, float(np.sqrt(np.mean(run.problem.y**2)))
        error = np.zeros(len(cut))
        for t in run.time[1:]:
            now = run.particles(t)
            with np.errstate(over="ignore", invalid="ignore"):
                f = now.a[:, None] * np.maximum(now.w @ run.problem.x.T, 0.0)
                f = 0.5 * run.initial.width * run.initial.kappa * (f[0::2] + f[1::2])
                patch = np.einsum("pk,pki->pi", own, f[chosen].reshape(len(cut), _NODES, -1))
                parts = (trial * f[start:]).reshape(len(cut), 2 * _NODES, -1).sum(axis=1)
                change = np.minimum(np.abs(parts - patch), target)
            error += np.mean(np.where(np.isnan(change), target, change) ** 2, axis=1)
        found = np.sqrt(error / max(len(run.time) - 1, 1)) / target
        known = np.where(self.unknown[:, None], 0.0, self.error)
        known[cut, np.repeat(np.arange(len(ways)), [len(way) for way in ways])] = found
        return Patches(self.problem, self.box, known)

    def full(self, most: int) -> bool:
        """Whether one more patch would be more than ``most`` particles."""
        return self._room(most) < 1

    def _room(self, most: int) -> int:
        return (most - self.size) // (2 * _NODES)

    def refined(self, most: int) -> Patches:
        """The patches of largest errors halved, as far as no more than ``most`` particles come of it."""
        count = max(0, min(max(round(_SHARE * len(self.box)), 1), self._room(most)))
        worst = np.argsort(-self.error.max(axis=1), kind="stable")[:count]
        rest = np.ones(len(self.box), dtype=bool)
        rest[worst] = False
        best = np.argmax(self.error[worst], axis=1)
        new = [_cut(self.box[worst[best == way]], way).reshape(-1, 4) for way in range(len(_WAYS))]
        box = np.concatenate([self.box[rest], *new])
        error = np.full((len(box), len(_WAYS)), np.nan)
        error[: int(rest.sum())] = self.error[rest]
        return Patches(self.problem, box, error)


def _nodes(box: Array) -> tuple[Array, Array, Array]:
    """Gauss-Legendre nodes theta and phi of patches, and weights: shares of the sphere."""
    low, high, bottom, top = (bound[:, None, None] for bound in box.T)
    along, up = 0.5 * (_KNOTS[None, :, None] + 1.0), 0.5 * (_KNOTS[None, None, :] + 1.0)
    phi, theta = np.broadcast_arrays(low + (high - low) * along, bottom + (top - bottom) * up)
    weight = _KNOT_WEIGHTS[None, :, None] * _KNOT_WEIGHTS[None, None, :] * np.sin(theta)
    share = (high - low) * (np.cos(bottom) - np.cos(top)) / (2.0 * np.pi)
    weight = weight / weight.sum(axis=(1, 2), keepdims=True) * share
    return theta.ravel(), phi.ravel(), weight.ravel()


def _cut(box: Array, way: int) -> Array:
    """Both parts of patches that are cut in a way, shape (C, 2, 4)."""
    angle, share = _WAYS[way]
    low, high = 2 * angle, 2 * angle + 1
    parts = np.stack([box, box], axis=1)
    parts[:, 0, high] = parts[:, 1, low] = box[:, low] + share * (box[:, high] - box[:, low])
    return parts


def _directions(theta: Array, phi: Array, weight: Array) -> Directions:
    radius = math.sqrt(3.0)
    unit = np.column_stack([np.cos(phi), np.sin(phi)])
    return Directions(radius * np.cos(theta), radius * np.sin(theta)[:, None] * unit, weight)


def _quadratics(theta: Array, phi: Array, span: float) -> Array:
    """a^2 and the products of w's coordinates, along the middle of a piece and across, of order one."""
    along = np.sin(theta) * np.cos(phi - 0.5 * span)
    across = np.sin(theta) * np.sin(phi - 0.5 * span) / (0.5 * span)
    return np.array([np.cos(theta) ** 2, along**2, along * across, across**2])


def _exact(theta: Array, phi: Array, weight: Array, span: float) -> Array:
    """Weights with exact means of the quadratics, the nearest to ``weight`` in relative mean square."""
    knots = 0.5 * (_EXACT_KNOTS + 1.0)
    up, along = (grid.ravel() for grid in np.meshgrid(0.5 * np.pi * knots, span * knots))
    share = np.outer(_EXACT_WEIGHTS, _EXACT_WEIGHTS * np.sin(0.5 * np.pi * knots)).ravel()
    share *= span / (2.0 * np.pi) / share.sum()
    values = _quadratics(theta, phi, span)
    missing = _quadratics(up, along, span) @ share - values @ weight
    correction, *_ = np.linalg.lstsq((values * weight) @ values.T, missing, rcond=1e-12)
    changed: Array = weight * (1.0 + values.T @ correction)
    changed *= weight.sum() / changed.sum()  # few nodes cannot meet all four
    return changed
