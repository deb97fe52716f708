"""Whether a flow at rest would leave its rest if neurons were pushed by next to nothing.

The flow has more than one solution where a neuron is at the origin of q, or on a kink whose two sides push
away from it. A neuron may stay there although the loss falls to one side. To first order a small push d
of such a neuron changes the loss at the rate

    weight kappa p (G . d + (1/n) sum_{i on its kinks} e_i relu(x_i . d)),

G being the gradient of the samples that are active beside those on its kinks: at the origin every sample
is on a kink, and G = 0. Any direction in which this is negative shows that the rest does not survive a push.
"""

from __future__ import annotations

import enum
import itertools
import math

import numpy as np

from meanfield import kernels
from meanfield.flow.state import State
from meanfield.flow.system import ReluSystem
from meanfield.flow.tangent import Array

#: A neuron is at the origin if |q| is below this share of |p|: kernels leave it at half of that.
AT_ORIGIN = 2e-100
#: Directions from which a way down is looked for, and steps on the sphere from each of them.
_STARTS, _STEPS = 64, 100
#: Operations that a search may take, and neurons on kinks that are looked at.
_OPERATIONS, _MOST = 2e9, 100
#: Products of corners with samples that are held at a time, and corners that are tried at random.
_ENTRIES, _MOST_CORNERS = 1 << 20, 4096
#: A fall is one beyond this share of what its terms can be, and beyond ten times what goes on anyway.
_RESOLVED, _CLEARLY = 1e-6, 10.0
#: Distance, as a share of |p|, at which a neuron begins that is let go.
_BESIDE = 1e-100


class Rest(enum.Enum):
    """What small pushes of the neurons do to a flow at rest."""

    STABLE = "no push lowers the loss"
    HELD = "a push of neurons that descent does not move lowers the loss"
    FREED = "neurons that descent would move on were let go"


def test_rest(system: ReluSystem, state: State) -> Rest:
    """Push neurons at the origin and on kinks whose sides push away; let go those that only rested.

    Of the neurons at the origin those that are active somewhere step around it under descent, and
    find any way out: they leave along it (``state.theta`` is changed). Those that are dead there, or exactly
    zero, and those on kinks, stay.
    """
    p, q = state.theta[0], state.theta[1:]
    x, pulls = system.pulls(state.e)
    size = np.sqrt(np.einsum("ck,ck->k", q, q))
    there = (size <= AT_ORIGIN * np.abs(p)) & (system.weight > 0.0)
    held, freed = False, False
    for sign in (1.0, -1.0):
        # Where p is zero as well, what is pushed grows with either sign: the second order decides.
        which = np.flatnonzero(there & (p * sign >= 0.0))
        if not which.size:
            continue
        pull = sign * pulls
        down = _way_down(np.zeros(len(q)), pull, x)
        if down is None:
            continue
        resting = which[is_active(q[:, which], size[which], x)]
        q[:, resting] = _BESIDE * np.abs(p[resting]) * down[:, None]
        freed, held = freed or resting.size > 0, held or resting.size < which.size
    if freed:
        return Rest.FREED
    return Rest.HELD if held or _held_on_kinks(system, state, ~there & (size > 0.0)) else Rest.STABLE


def is_active(q: Array, size: Array, x: Array) -> Array:
    """Which neurons of q (r, N) are active on a sample, or on the kink of one."""
    directions = q / np.where(size > 0.0, size, 1.0)
    reach = x @ directions / np.linalg.norm(x, axis=1)[:, None]
    active: Array = (reach.max(axis=0) >= -kernels.ON_KINK) & (size > 0.0)
    return active


def _held_on_kinks(system: ReluSystem, state: State, candidates: Array) -> bool:
    """Whether some neuron on a kink would lower the loss on the side of it that it does not see."""
    x, e = system.pulls(state.e)
    lengths = np.linalg.norm(x, axis=1)
    looked_at = 0
    block = max(1, (1 << 22) // len(x))
    for start in range(0, system.size, block):
        theta = state.theta[:, start : start + block]
        p, q = theta[0], theta[1:]
        z = x @ q
        on_kink = np.abs(z) <= kernels.ON_KINK * lengths[:, None] * np.linalg.norm(q, axis=0)
        repelling = on_kink & (p * e[:, None] < 0.0) & candidates[start : start + block]
        for k in np.flatnonzero(repelling.any(axis=0)):
            here, active = on_kink[:, k], (z[:, k] > 0.0) & ~on_kink[:, k]
            G = p[k] * (e[active] @ x[active])
            pull = p[k] * e[here]
            anyway = _way_down(G, np.maximum(pull, 0.0), x[here])
            goes_on = 0.0 if anyway is None else _rate(anyway, G, np.maximum(pull, 0.0), x[here])
            down = _way_down(G, pull, x[here])
            if down is not None and _rate(down, G, pull, x[here]) < _CLEARLY * goes_on:
                return True
            looked_at += 1
            if looked_at >= _MOST:
                return False
    return False


def _rate(d: Array, G: Array, pull: Array, x: Array) -> float:
    """Rate of the loss along d: ``G . d + sum_i pull_i relu(x_i . d)``."""
    return float(G @ d + pull @ np.maximum(x @ d, 0.0))


def _way_down(G: Array, pull: Array, x: Array) -> Array | None:
    """A unit vector along which the rate is negative beyond rounding, the lowest that was found, or None.

    Descent of the rate on the unit sphere, from the lowest corners (see :func:`_corners`), from the samples
    that pull most, and from random directions. With all corners none is missed: between kinks the rate is
    linear, so that where it is negative at all it is so in a corner, or along G where no sample sees it.
    """
    scale = float(np.linalg.norm(G) + np.abs(pull) @ np.linalg.norm(x, axis=1))
    if scale == 0.0:
        return None
    n, r = x.shape
    starts = int(np.clip(_OPERATIONS / (4.0 * n * r * _STEPS), 4, _STARTS))
    strongest = x[np.argsort(-np.abs(pull) * np.linalg.norm(x, axis=1))[: starts // 4]]
    random = np.random.default_rng(0).standard_normal((starts, r))
    corners, span = _corners(x)
    unseen = G - span.T @ (span @ G)
    at_corners = corners @ G + np.maximum(corners @ x.T, 0.0) @ pull
    lowest_corners = corners[np.argsort(at_corners)[:starts]]
    d = np.concatenate([lowest_corners, strongest, -strongest, random, [-G, -unseen]])
    best, lowest = None, -_RESOLVED * scale
    length = np.linalg.norm(d, axis=1)
    d = d[length > 0.0] / length[length > 0.0, None]
    for step in np.geomspace(2.0, 0.005, _STEPS):
        z = d @ x.T
        gradient = G + (pull * (z > 0.0)) @ x
        rates = np.einsum("kc,kc->k", gradient, d)
        k = int(np.argmin(rates))
        if rates[k] < lowest:
            best, lowest = d[k].copy(), float(rates[k])
        along = gradient - rates[:, None] * d
        d = d - step * along / np.maximum(np.linalg.norm(gradient, axis=1), 1e-300)[:, None]
        d /= np.linalg.norm(d, axis=1)[:, None]
    return best


def _corners(x: Array) -> tuple[Array, Array]:
    """Unit vectors (k, r) in which ``rank - 1`` kinks of samples x meet, and a basis (rank, r) of their span.

    All of them where there are not too many, else some at random.
    """
    _, sizes, rows = np.linalg.svd(x, full_matrices=False)
    rank = int(np.sum(sizes > 1e-10 * sizes[0]))
    span = rows[:rank]
    if rank < 2:
        return np.concatenate([span, -span]), span
    n, most = len(x), max(4, _ENTRIES // len(x))
    if math.comb(n, rank - 1) <= most:
        chosen = np.array(list(itertools.combinations(range(n), rank - 1)))
    else:
        chosen = np.random.default_rng(0).random((min(most, _MOST_CORNERS), n)).argpartition(rank - 1, axis=1)
        chosen = chosen[:, : rank - 1]
    across = np.linalg.svd((x @ span.T)[chosen])[2][:, -1] @ span
    return np.concatenate([across, -across]), span
