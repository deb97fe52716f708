"""Exact motion of one particle under a residual that is held constant, with kinks as events.

While its activation pattern is fixed, a particle obeys ``dp/ds = -q.G``, ``dq/ds = -p G`` with
``G = (1/n) sum_{i active} e_i x_i``: a hyperbolic rotation in the plane of p and sigma = q.u, u = G/|G|.
The pattern changes when some z_i = q.x_i reaches zero, at a root of a quadratic. There the particle
crosses, or slides (:mod:`meanfield.kernels.sliding`). All formulas use ``eps = exp(|G| s) - 1``: near
the origin of q, and for tiny steps, the plain exponentials would lose every digit.
"""

from __future__ import annotations

import numpy as np

from meanfield.kernels.blocks import ON_KINK, _dot
from meanfield.kernels.jit import exact
from meanfield.kernels.kinks import _dot_row, _product
from meanfield.kernels.sliding import (
    CROSSED,
    GAVE_UP,
    ORIGIN,
    SLID,
    _classify,
    _fill,
    _gradient,
    _products_with,
    _pull,
    _settle,
    _switch,
)

#: Distance from the origin, as a share of |p|, at which a particle that reached it goes on or rests: far
#: below any |q| that a run may begin with, and far above underflow.
_AT_ORIGIN = 1e-100
#: Steps of descent from the origin, fewer for a particle that rests there already; where they begin and
#: what is far, in steps.
DESCENTS, DESCENTS_AGAIN, NEAR, FAR = 10_000, 500, 20.0, 100.0


@exact
def _first_root(half, b, ds):
    """Smallest positive root of ``half eps**2 - b eps - ds = 0``, infinity if there is none."""
    disc = b * b + 4.0 * half * ds
    if disc < 0.0:
        return np.inf
    t = b + np.sqrt(disc) if b >= 0.0 else b - np.sqrt(disc)
    best = np.inf
    if half != 0.0:
        root = t / (2.0 * half)
        if root > 0.0:
            best = root
    if t != 0.0:
        root = -2.0 * ds / t
        if 0.0 < root < best:
            best = root
    return best


@exact
def _next_kink(p, s0, eps_max, leader, work):
    """First kink that is reached before ``eps_max``: its sample (-1 if none) and its eps."""
    all_z, speeds, on, sliding = work.z, work.speed, work.on, work.sliding
    half = 0.5 * (s0 - p)
    # sigma moves by no more than this: most kinks are out of reach, at the price of a comparison.
    reach = 0.5 * eps_max * (abs(s0) * eps_max + abs(p) * (2.0 + eps_max)) / (1.0 + eps_max)
    first, eps_first = -1, eps_max
    for i in range(all_z.shape[0]):
        z, speed = all_z[i], speeds[i]
        if sliding[i] or leader[i] != i:
            continue
        if z != 0.0 and (z > 0.0) != on[i]:
            return i, 0.0  # met together with another kink, and passed but for rounding
        if speed == 0.0 or abs(z) > 1.000001 * reach * abs(speed):
            continue
        if z == 0.0:
            # On the kink: the particle leaves it to the side of its pattern, and may come back.
            if p != 0.0 and (-p * speed > 0.0) != on[i]:
                return i, 0.0
            eps = p / half if half != 0.0 else np.inf
            if eps <= 0.0:
                eps = np.inf
        else:
            eps = _first_root(half, p - z / speed, -z / speed)
        if eps < eps_first:
            first, eps_first = i, eps
    return first, eps_first


@exact
def _direction(count, rounding, samples, work):
    """Direction u of motion, its rate |G|, and sigma = q.u; rate 0 if G is rounding.

    On a slide G is projected onto what the kinks leave: the pulls of :func:`_settle` do that, and are
    refined once, for what is left along the kinks would add up.
    """
    u, speeds, sliding, slide = work.u, work.speed, work.sliding, work.slide
    n, r = samples.x.shape
    for c in range(r):
        u[c] = work.G[c]
    for i in range(n):
        speeds[i] = work.along[i]
        sliding[i] = False
    for turn in range(2 if count > 0 else 0):
        if turn == 1:
            for a in range(count):
                work.other[a] = -_dot_row(u, samples.x, slide[a])
            _pull(count, work.other, samples, work)
        for a in range(count):
            pull, kink = work.pulls[a], slide[a]
            sliding[kink] = True
            for c in range(r):
                u[c] += pull * samples.x[kink, c]
            for i in range(n):
                speeds[i] += pull * _product(kink, i, samples)
    rate = np.sqrt(_dot(u, u))
    if rate <= rounding or count >= r:
        return 0.0, 0.0
    for c in range(r):
        u[c] /= rate
    for i in range(n):
        speeds[i] = speeds[i] / rate if abs(speeds[i]) > rounding * samples.lengths[i] else 0.0
    return rate, _dot(work.q, u)


@exact
def _advance(p, s0, eps, work):
    """Rotate (p, sigma) by ``eps = exp(rate s) - 1``; q and z follow, the new p is returned."""
    grow = 1.0 + eps
    sinh, cosh1 = 0.5 * eps * (1.0 + grow) / grow, 0.5 * eps * eps / grow
    moved = s0 * cosh1 - p * sinh
    q, u, z, speeds, sliding = work.q, work.u, work.z, work.speed, work.sliding
    for c in range(q.shape[0]):
        q[c] += moved * u[c]
    for i in range(z.shape[0]):
        if not sliding[i]:
            z[i] += moved * speeds[i]
    return p + p * cosh1 - s0 * sinh


@exact
def _leaves_origin(p, s0, rested, felt, samples, work):
    """Whether a neuron that slid into the origin leaves it; puts it where it goes, or where it came from.

    Near the origin only the direction of q counts, and the flow has more than one solution: to go on along a
    direction that leads outwards, to rest, to die where no sample is active. This is the one of gradient
    descent with a vanishing learning rate: there p and the residual are constant, and only steps have a
    length. A neuron that stays is left at a tiny distance, where it came from; the next step asks again.
    """
    q, u = work.q, work.u
    for c in range(q.shape[0]):
        q[c] = u[c] if s0 > 0.0 else -u[c]
    leaves = _descend(p, DESCENTS_AGAIN if rested else DESCENTS, felt, samples, work)
    if not leaves:
        for c in range(q.shape[0]):
            q[c] = u[c] if s0 > 0.0 else -u[c]
    for c in range(q.shape[0]):
        q[c] *= _AT_ORIGIN * abs(p)
    if leaves:
        _products_with(q, samples, work.z)
        for i in range(work.z.shape[0]):
            work.on[i] = work.z[i] > 0.0
        _fill(felt.e, samples, work)
    return leaves


@exact
def _descend(p, descents, felt, samples, work):
    """Descend from beside the origin, in the direction of q, until q is far from it or dead; False if never.

    Then q is the direction in which that is.
    """
    q, z, G, step = work.q, work.z, work.G, 0.0
    for i in range(z.shape[0]):
        step += (felt.e[i] * samples.lengths[i]) ** 2
    step = abs(p) * np.sqrt(step)
    for c in range(q.shape[0]):
        q[c] *= NEAR * step
    for _ in range(descents):
        size = np.sqrt(_dot(q, q))
        if size == 0.0 or samples.halt[0] != 0:
            return False
        _products_with(q, samples, z)
        dead = True
        for i in range(z.shape[0]):
            work.on[i] = z[i] > 0.0
            dead &= not work.on[i]
        if dead or size > FAR * step:
            for c in range(q.shape[0]):
                q[c] /= size
            return True
        _gradient(work.on, felt.e, samples.x, G)
        for c in range(q.shape[0]):
            q[c] -= p * G[c]
    return False


@exact
def _crosses_many(met, felt, samples, work):
    """Cross all kinks that meet where a particle came to one of them; whether there are others.

    Samples in a plane through the origin have kinks that meet in one line: of all directions in which a
    particle that slides on one of them may leave the line, straight on is tried first.
    """
    z, q_norm, others = work.z, np.sqrt(_dot(work.q, work.q)), False
    for i in range(z.shape[0]):
        if work.sliding[i] or samples.leader[i] != i or i == met:
            continue
        if abs(z[i]) <= ON_KINK * q_norm * samples.lengths[i] and work.speed[i] != 0.0:
            others = True
            z[i] = 0.0
            _switch(i, not work.on[i], felt, samples, work)
    if others:
        z[met] = 0.0
        _switch(met, not work.on[met], felt, samples, work)
    return others


@exact
def _move_particle(p, felt, samples, work, stats):
    """Move one particle under what it feels; returns the new p, and q in ``work``.

    ``work`` holds q, and z, G and along of its pattern z > 0.
    """
    n, r = samples.x.shape
    e = felt.jump
    count = _classify(p, felt, samples, work, stats)
    if count < 0:
        return p
    left, tried = felt.time, -1
    for _ in range(8 * n + 16):
        if samples.halt[0] != 0:
            return p
        count = _settle(p, count, felt, samples, work)
        if tried >= 0:
            stats[SLID if count > tried else CROSSED] += 1
        tried = -1
        rate, s0 = _direction(count, felt.rounding, samples, work)
        if rate * left == 0.0:
            return p
        i, eps = _next_kink(p, s0, np.expm1(rate * left), samples.leader, work)
        # p = 0 ends a slide: beyond it both sides push away.
        turns = False
        if count > 0 and s0 != 0.0 and 0.0 < p / s0 < 1.0:
            eps_turn = np.expm1(np.arctanh(p / s0))
            turns = eps_turn <= eps
            eps = min(eps, eps_turn)
        p = _advance(p, s0, eps, work)
        if i < 0 and not turns:
            return p
        left = max(left - np.log1p(eps) / rate, 0.0)
        if turns:
            p = 0.0
            for a in range(count):
                _switch(work.slide[a], False, felt, samples, work)
            count = 0
        elif eps > 0.0 and count == r - 1:
            # Along a ray (on a line: everywhere) other kinks are met at the origin only.
            rested = abs(s0) <= 2.0 * _AT_ORIGIN * abs(p)
            stats[ORIGIN] += not rested
            if not _leaves_origin(p, s0, rested, felt, samples, work):
                return p
            count = 0
        elif eps > 0.0 and _crosses_many(i, felt, samples, work):
            stats[CROSSED] += 1
        else:
            work.z[i] = 0.0
            if p * e[i] > 0.0 and count < r:
                _switch(i, False, felt, samples, work)
                work.slide[count] = i
                tried = count
                count += 1
            else:
                _switch(i, not work.on[i], felt, samples, work)
                stats[CROSSED] += 1
    stats[GAVE_UP] += 1
    return p
