"""Exact motion of one particle under a residual that is held constant, with kinks as events.

While its activation pattern is fixed, a particle obeys ``dp/ds = -q.G``, ``dq/ds = -p G`` with
``G = (1/n) sum_{i active} e_i x_i``: a hyperbolic rotation in the plane of p and sigma = q.u, u = G/|G|.
The pattern changes when some z_i = q.x_i reaches zero, at a root of a quadratic. There the particle
crosses, or, if both sides push towards the kink, slides along it: q then moves with G projected off
x_i, which is the convex combination of both sides' G that keeps z_i = 0 (Filippov). Several kinks may
be slid on at once. All formulas use ``eps = exp(|G| s) - 1``: near the origin of q, and for tiny
steps, the plain exponentials would lose every digit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meanfield.kernels.dense import ON_KINK, _dot
from meanfield.kernels.jit import allocating, exact

#: Sliding directions that are dependent up to this share count once.
_DEPENDENT = 1e-10
#: A gradient below this share of what its terms can be is rounding.
_ROUNDING = 1e-14
#: Distance from the origin, as a share of |p|, at which a particle that reached it goes on or rests: far
#: below any |q| that a run may begin with, and far above underflow.
_AT_ORIGIN = 1e-100
#: Two turns of a residual within this share of its change are taken to be too close to be told apart.
_CLOSE = 0.3
#: Columns of the statistics: crossings, slides begun, passages of the origin, searches given up, and
#: slides whose end was stepped over.
CROSSED, SLID, ORIGIN, GAVE_UP, STEPPED_OVER = 0, 1, 2, 3, 4


class Workspace(NamedTuple):
    """Scratch of one thread, for one particle at a time.

    ``z``, ``on``, ``sliding``: pre-activations, pattern and membership of the slide, per sample; ``G`` the
    gradient of the pattern and ``along`` its products with the samples, which a change of the pattern
    changes by a row of ``products`` (x x'); ``u``, ``speed``: the direction of motion and its products with
    the samples; ``slide``: the kinks slid on; ``pulls``, ``matrix``, ``basis``, ``other``: the small linear
    algebra of sliding.
    """

    z: np.ndarray
    on: np.ndarray
    sliding: np.ndarray
    G: np.ndarray
    along: np.ndarray
    products: np.ndarray
    u: np.ndarray
    speed: np.ndarray
    slide: np.ndarray
    pulls: np.ndarray
    matrix: np.ndarray
    basis: np.ndarray
    other: np.ndarray


@allocating
def _workspace(x):
    n, r = x.shape
    products = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            products[i, j] = _dot_rows(x, i, x, j)
    return Workspace(
        np.empty(n),
        np.empty(n, np.bool_),
        np.empty(n, np.bool_),
        np.empty(r),
        np.empty(n),
        products,
        np.empty(r),
        np.empty(n),
        np.empty(r + 1, np.int64),
        np.empty(r + 1),
        np.empty((r + 1, r + 1)),
        np.empty((r + 1, r)),
        np.empty(r + 1),
    )


# Rows are taken by index, not as views: a view per particle and sample costs more than its arithmetic.


@exact
def _dot_row(u, rows, i):
    total = 0.0
    for c in range(u.shape[0]):
        total += u[c] * rows[i, c]
    return total


@exact
def _dot_rows(rows, i, others, j):
    total = 0.0
    for c in range(rows.shape[1]):
        total += rows[i, c] * others[j, c]
    return total


@exact
def _gradient(on, e, x, G):
    """G = sum over active samples of e_i x_i (e already divided by n)."""
    G[:] = 0.0
    for i in range(x.shape[0]):
        if on[i]:
            for c in range(x.shape[1]):
                G[c] += e[i] * x[i, c]


@exact
def _fill(e, x, work):
    """The gradient of the pattern, and its products with the samples, from nothing."""
    _gradient(work.on, e, x, work.G)
    for i in range(x.shape[0]):
        work.along[i] = _dot_row(work.G, x, i)


@exact
def _switch(i, on, e, x, work):
    """Switch sample i on or off; the gradient follows."""
    if work.on[i] == on:
        return
    work.on[i] = on
    change = e[i] if on else -e[i]
    for c in range(x.shape[1]):
        work.G[c] += change * x[i, c]
    for j in range(x.shape[0]):
        work.along[j] += change * work.products[i, j]


@exact
def _solve(matrix, b, size):
    """Solve a small symmetric positive definite system in place; False if it is singular."""
    for a in range(size):
        pivot = matrix[a, a]
        if pivot <= 0.0:
            return False
        for row in range(a + 1, size):
            factor = matrix[row, a] / pivot
            before = matrix[row, row]
            for col in range(a, size):
                matrix[row, col] -= factor * matrix[a, col]
            if matrix[row, row] <= _DEPENDENT * before:
                return False
            b[row] -= factor * b[a]
    for back in range(size):
        a = size - 1 - back
        for col in range(a + 1, size):
            b[a] -= matrix[a, col] * b[col]
        b[a] /= matrix[a, a]
    return True


@exact
def _pull(count, b, work):
    """Solve ``(sum_b pulls_b x_b) . x_a = b_a`` for the kinks slid on; False if they are dependent."""
    slide, pulls, matrix = work.slide, work.pulls, work.matrix
    for a in range(count):
        pulls[a] = b[a]
        for other in range(count):
            matrix[a, other] = work.products[slide[a], slide[other]]
    return _solve(matrix, pulls, count)


@exact
def _worst_slide(p, count, e, work):
    """The kink slid on that holds least, and the side that it is left on; (-1, False) if all hold.

    The pulls lambda_i solve ``(G + sum_i lambda_i e_i x_i) . x_j = 0`` for all kinks slid on. A kink holds
    while p e_i > 0 and 0 < lambda_i < 1. With lambda_i >= 1 it is left on its active side, with lambda_i <= 0
    on the other. If p e_i <= 0 both sides push away: of the two futures the inactive one is taken.
    """
    slide = work.slide
    for a in range(count):
        if p * e[slide[a]] <= 0.0:
            return a, False
        work.other[a] = -work.along[slide[a]]
    if not _pull(count, work.other, work):
        return count - 1, False  # dependent kinks: the last one adds nothing
    worst, by, active = -1, 0.0, False
    for a in range(count):
        share = work.pulls[a] / e[slide[a]]
        off = max(share - 1.0, -share)
        if off >= 0.0 and off >= by:
            worst, by, active = a, off, share >= 1.0
    return worst, active


@exact
def _settle(p, count, e, x, work):
    """Release the sliding kinks that do not hold; returns how many are left, their pulls solved for."""
    while count > 0:
        worst, active = _worst_slide(p, count, e, work)
        if worst < 0:
            break
        _switch(work.slide[worst], active, e, x, work)
        for a in range(worst, count - 1):
            work.slide[a] = work.slide[a + 1]
        count -= 1
    return count


@exact
def _orthonormal(count, x, work):
    """Orthonormal basis of the kinks slid on, by modified Gram-Schmidt, done twice."""
    basis, slide = work.basis, work.slide
    for a in range(count):
        for c in range(x.shape[1]):
            basis[a, c] = x[slide[a], c]
        for _ in range(2):
            for b in range(a):
                dot = _dot_rows(basis, a, basis, b)
                for c in range(x.shape[1]):
                    basis[a, c] -= dot * basis[b, c]
        norm = np.sqrt(_dot_rows(basis, a, basis, a))
        for c in range(x.shape[1]):
            basis[a, c] /= norm


@exact
def _classify(p, q, e, before, x, lengths, work, stats):
    """Pattern and kinks that may be slid on, from ``work.z``; how many, or -1 at the origin.

    ``work.G`` and ``work.along`` are those of the pattern z > 0; they follow as z is set to zero on kinks.
    On a kink with p e_i <= 0 nothing slides; a slide there has ended, and :func:`_leaves_active` tells on
    which side. Where that is in doubt the slide counts as stepped over.
    """
    z, on, slide = work.z, work.on, work.slide
    q_norm = np.sqrt(_dot(q, q))
    if q_norm == 0.0:
        return -1  # at the origin a neuron is inactive on every sample
    count, ended = 0, -1
    for i in range(x.shape[0]):
        on[i] = z[i] > 0.0
        if abs(z[i]) > ON_KINK * q_norm * lengths[i]:
            continue
        _switch(i, False, e, x, work)
        z[i] = 0.0
        if p * e[i] > 0.0 and count < x.shape[1]:
            slide[count] = i
            count += 1
        else:
            ended = i
    if ended >= 0:
        off_before = 0.0
        for i in range(x.shape[0]):
            off_before -= p * before[i] * work.products[i, ended] if on[i] else 0.0
        off, jump = -p * work.along[ended], -p * work.products[ended, ended]
        on_before, on_now = off_before + jump * before[ended], off + jump * e[ended]
        active, doubtful = _leaves_active(off_before, on_before, off, on_now)
        _switch(ended, active, e, x, work)
        stats[STEPPED_OVER] += doubtful
    return count


@exact
def _leaves_active(off_before, on_before, off, on):
    """Whether a particle leaves a kink on its active side, and whether that is in doubt.

    ``off`` and ``on`` are the speeds towards the active side on the inactive and on the active side, under
    the residual felt now and under the one felt before. If it slid before, off > 0 > on, then the one that
    turned about first let it go; residuals in between are taken on the straight line, and two that turn
    at nearly the same time leave a doubt. If it did not slide it goes where the inactive side pushes it.
    """
    if not off_before > 0.0 > on_before:
        return off > 0.0, False
    turn_off = off_before / (off_before - off) if off <= 0.0 else np.inf
    turn_on = on_before / (on_before - on) if on >= 0.0 else np.inf
    return turn_on < turn_off, abs(turn_on - turn_off) < _CLOSE


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
def _next_kink(p, s0, eps_max, work):
    """First kink that is reached before ``eps_max``: its sample (-1 if none) and its eps."""
    all_z, speeds, on, sliding = work.z, work.speed, work.on, work.sliding
    half = 0.5 * (s0 - p)
    # sigma moves by no more than this: most kinks are out of reach, at the price of a comparison.
    reach = 0.5 * eps_max * (abs(s0) * eps_max + abs(p) * (2.0 + eps_max)) / (1.0 + eps_max)
    first, eps_first = -1, eps_max
    for i in range(all_z.shape[0]):
        z, speed = all_z[i], speeds[i]
        if sliding[i] or speed == 0.0 or abs(z) > 1.000001 * reach * abs(speed):
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
def _direction(q, count, e, x, lengths, rounding, work):
    """Direction u of motion, its rate |G|, and sigma = q.u; rate 0 if G is rounding.

    On a slide G is projected onto what the kinks leave: the pulls of :func:`_settle` do that, and are
    refined once, for what is left along the kinks would add up.
    """
    u, speeds, sliding, slide = work.u, work.speed, work.sliding, work.slide
    n, r = x.shape
    for c in range(r):
        u[c] = work.G[c]
    for i in range(n):
        speeds[i] = work.along[i]
        sliding[i] = False
    for turn in range(2 if count > 0 else 0):
        if turn == 1:
            for a in range(count):
                work.other[a] = -_dot_row(u, x, slide[a])
            _pull(count, work.other, work)
        for a in range(count):
            pull, kink = work.pulls[a], slide[a]
            sliding[kink] = True
            for c in range(r):
                u[c] += pull * x[kink, c]
            for i in range(n):
                speeds[i] += pull * work.products[kink, i]
    rate = np.sqrt(_dot(u, u))
    if rate <= rounding or count >= r:
        return 0.0, 0.0
    for c in range(r):
        u[c] /= rate
    for i in range(n):
        speeds[i] = speeds[i] / rate if abs(speeds[i]) > rounding * lengths[i] else 0.0
    return rate, _dot(q, u)


@exact
def _advance(p, s0, q, eps, work):
    """Rotate (p, sigma) by ``eps = exp(rate s) - 1``; q and z follow, the new p is returned."""
    grow = 1.0 + eps
    sinh, cosh1 = 0.5 * eps * (1.0 + grow) / grow, 0.5 * eps * eps / grow
    moved = s0 * cosh1 - p * sinh
    u, z, speeds, sliding = work.u, work.z, work.speed, work.sliding
    for c in range(q.shape[0]):
        q[c] += moved * u[c]
    for i in range(z.shape[0]):
        if not sliding[i]:
            z[i] += moved * speeds[i]
    return p + p * cosh1 - s0 * sinh


@exact
def _rests_at_origin(p, s0, q, count, e, x, work):
    """Put a neuron that arrived at the origin on its other side; whether it rests there instead.

    Near the origin only the direction of q counts. Arriving along a ray v (in the plane, that of the
    kink that it slides on) the neuron goes on along -v, where every other activation is flipped. It
    rests if it would still slide there, and the pull beyond points back. Then it is left at a tiny
    distance, beyond, so that it knows where it came from: should the pull end, it goes on.
    """
    tiny = -_AT_ORIGIN * abs(p)
    tiny = tiny if s0 > 0.0 else -tiny  # s0 is its position, along u, before
    for c in range(q.shape[0]):
        q[c] = tiny * work.u[c]
    for i in range(x.shape[0]):
        work.z[i] = 0.0
        work.on[i] = work.on[i] if work.sliding[i] else not work.on[i]
    _fill(e, x, work)
    worst, _ = _worst_slide(p, count, e, work)
    if worst >= 0:
        return False
    return _dot(work.G, work.u) <= 0.0


@exact
def _move_particle(p, q, e, before, x, lengths, h, work, stats):
    """Move one particle for a time h under e; q is changed in place, the new p returned.

    ``before`` is the residual that it felt until now; ``work`` holds z, G and along of its pattern z > 0.
    """
    n, r = x.shape
    count = _classify(p, q, e, before, x, lengths, work, stats)
    if count < 0:
        return p
    rounding = 0.0
    for i in range(n):
        rounding += _ROUNDING * abs(e[i]) * lengths[i]
    left, tried = h, -1
    for _ in range(8 * n + 16):
        count = _settle(p, count, e, x, work)
        if tried >= 0:
            stats[SLID if count > tried else CROSSED] += 1
        tried = -1
        rate, s0 = _direction(q, count, e, x, lengths, rounding, work)
        if rate * left == 0.0:
            return p
        i, eps = _next_kink(p, s0, np.expm1(rate * left), work)
        # p = 0 ends a slide: beyond it both sides push away.
        turns = False
        if count > 0 and s0 != 0.0 and 0.0 < p / s0 < 1.0:
            eps_turn = np.expm1(np.arctanh(p / s0))
            turns = eps_turn <= eps
            eps = min(eps, eps_turn)
        p = _advance(p, s0, q, eps, work)
        if i < 0 and not turns:
            return p
        left = max(left - np.log1p(eps) / rate, 0.0)
        if turns:
            p = 0.0
            for a in range(count):
                _switch(work.slide[a], False, e, x, work)
            count = 0
        elif eps > 0.0 and count == r - 1 and r <= 2:
            # On a line every kink is the origin; in the plane a slide meets other kinks only there.
            stats[ORIGIN] += abs(s0) > 2.0 * _AT_ORIGIN * abs(p)
            if _rests_at_origin(p, s0, q, count, e, x, work):
                return p
        else:
            work.z[i] = 0.0
            if p * e[i] > 0.0 and count < r:
                _switch(i, False, e, x, work)
                work.slide[count] = i
                tried = count
                count += 1
            else:
                _switch(i, not work.on[i], e, x, work)
                stats[CROSSED] += 1
    stats[GAVE_UP] += 1
    return p
