"""Exact motion of particles under a residual that is held constant, with kinks as events.

While its activation pattern is fixed, a particle obeys ``dp/ds = -q.G``, ``dq/ds = -p G`` with
``G = (1/n) sum_{i active} e_i x_i``: a hyperbolic rotation in the plane of p and sigma = q.u, u = G/|G|.
The pattern changes when some z_i = q.x_i reaches zero, at a root of a quadratic. There the particle
crosses, or, if both sides push towards the kink, slides along it: q then moves with G projected off
x_i, which is the convex combination of both sides' G that keeps z_i = 0 (Filippov). Several kinks may
be slid on at once. All formulas use ``eps = exp(|G| s) - 1``: near the origin of q, and for tiny
steps, the plain exponentials would lose every digit.
"""

from __future__ import annotations

import math

import numpy as np

from meanfield.kernels.dense import BLOCK, CHUNK, ON_KINK, _add_step, _norms, _preactivation, row_lengths
from meanfield.kernels.jit import kernel

#: Sliding directions that are dependent up to this share count once.
_DEPENDENT = 1e-10
#: A gradient below this share of its terms is their rounding.
_ROUNDING = 1e-14
#: Coefficients of sinh(y)/y and (cosh(y) - 1)/y**2 in powers of y**2, highest first: exact for y <= 1.
_SERIES = 10
_SINH = np.array([1.0 / math.factorial(2 * j + 1) for j in reversed(range(_SERIES))])
_COSH = np.array([1.0 / math.factorial(2 * j + 2) for j in reversed(range(_SERIES))])
#: Columns of the statistics: crossings, slides begun, passages of the origin, searches given up, and
#: slides whose end was stepped over.
CROSSED, SLID, ORIGIN, GAVE_UP, STEPPED_OVER = 0, 1, 2, 3, 4


@kernel
def _gradient(on, e, x, G):
    """G = sum over active samples of e_i x_i (e already divided by n); returns the sum of |e_i x_i|."""
    G[:] = 0.0
    size = 0.0
    for i in range(x.shape[0]):
        if on[i]:
            for c in range(x.shape[1]):
                G[c] += e[i] * x[i, c]
                size += abs(e[i] * x[i, c])
    return size


@kernel
def _settle(p, on, slide, count, e, x, G, pulls, matrix):
    """Release sliding kinks that no longer hold; returns how many are left.

    ``slide[:count]`` are the kinks slid on. The pulls lambda_i solve ``(G + sum lambda_i e_i x_i) . x_j = 0``
    for all of them; a kink holds while p e_i > 0 and 0 < lambda_i < 1. One with lambda_i >= 1 is left
    on its active side, one with lambda_i <= 0 on the other. If p e_i <= 0 both sides push away: of the
    two possible futures the inactive one is taken.
    """
    r = x.shape[1]
    for _ in range(count):
        _gradient(on, e, x, G)
        worst, by, active = -1, 0.0, False
        for a in range(count):
            if p * e[slide[a]] <= 0.0:
                worst, by, active = a, np.inf, False
        if worst < 0:
            for a in range(count):
                for b in range(count):
                    matrix[a, b] = 0.0
                    for c in range(r):
                        matrix[a, b] += x[slide[a], c] * x[slide[b], c]
                pulls[a] = 0.0
                for c in range(r):
                    pulls[a] -= G[c] * x[slide[a], c]
            if not _solve(matrix, pulls, count):
                worst, by = count - 1, np.inf  # dependent kinks: the last one adds nothing
                active = on[slide[worst]]
            else:
                for a in range(count):
                    share = pulls[a] / e[slide[a]]
                    if share >= 1.0 and share - 1.0 >= by:
                        worst, by, active = a, share - 1.0, True
                    if share <= 0.0 and -share >= by:
                        worst, by, active = a, -share, False
        if worst < 0:
            break
        on[slide[worst]] = active
        for a in range(worst, count - 1):
            slide[a] = slide[a + 1]
        count -= 1
    return count


@kernel
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


@kernel
def _orthonormal(slide, count, x, basis):
    """Orthonormal basis of the kinks slid on, by modified Gram-Schmidt, done twice."""
    r = x.shape[1]
    for a in range(count):
        basis[a] = x[slide[a]]
        for _ in range(2):
            for b in range(a):
                dot = np.sum(basis[a] * basis[b])
                for c in range(r):
                    basis[a, c] -= dot * basis[b, c]
        basis[a] /= np.sqrt(np.sum(basis[a] ** 2))


@kernel
def _project(G, count, basis):
    """Remove from G its part in the span of the basis."""
    for a in range(count):
        dot = np.sum(G * basis[a])
        for c in range(G.shape[0]):
            G[c] -= dot * basis[a, c]


@kernel
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


@kernel
def _next_event(p, s0, z, speed, on, sliding, eps_max):
    """First kink that is reached before ``eps_max``: its sample (-1 if none) and its eps."""
    half = 0.5 * (s0 - p)
    # sigma moves by no more than this: most kinks are out of reach, at the price of a comparison.
    reach = 0.5 * eps_max * (abs(s0) * eps_max + abs(p) * (2.0 + eps_max)) / (1.0 + eps_max)
    first, eps_first = -1, eps_max
    for i in range(z.shape[0]):
        if sliding[i] or speed[i] == 0.0 or abs(z[i]) > 1.000001 * reach * abs(speed[i]):
            continue
        if z[i] == 0.0:
            # On the kink: the particle leaves it to the side of its pattern, and may come back.
            leaves_up = -p * speed[i] > 0.0
            if p != 0.0 and leaves_up != on[i]:
                return i, 0.0
            eps = p / half if half != 0.0 else np.inf
            if eps <= 0.0:
                eps = np.inf
        else:
            eps = _first_root(half, p - z[i] / speed[i], -z[i] / speed[i])
        if eps < eps_first:
            first, eps_first = i, eps
    return first, eps_first


@kernel
def _classify(p, q, e, x, lengths, z, on, slide, G, pulls, matrix, stats):
    """Pre-activations, pattern and kinks slid on at a position; how many, or -1 at the origin.

    On a kink with p e_i <= 0 nothing slides: the neuron goes to the active side if the inactive one
    pushes it there. Such a slide has ended. In the exact flow its share lambda_i left (0, 1) before e_i
    changed its sign; if it goes up now although |lambda_i| < 1, the step was too long to see in which
    order that happened, and is counted as stepped over.
    """
    n, r = x.shape
    q_norm = 0.0
    for c in range(r):
        q_norm += q[c] * q[c]
    if q_norm == 0.0:
        return -1  # at the origin a neuron is inactive on every sample
    q_norm = np.sqrt(q_norm)
    count, ended = 0, -1
    for i in range(n):
        z[i] = 0.0
        for c in range(r):
            z[i] += q[c] * x[i, c]
        on[i] = z[i] > 0.0
        if abs(z[i]) <= ON_KINK * q_norm * lengths[i]:
            z[i] = 0.0
            on[i] = False
            if p * e[i] > 0.0 and count < r:
                slide[count] = i
                count += 1
            else:
                ended = i
    if count > 0:
        count = _settle(p, on, slide, count, e, x, G, pulls, matrix)
    if ended >= 0:
        _gradient(on, e, x, G)
        rises = -p * np.sum(G * x[ended])
        on[ended] = rises > 0.0
        stats[STEPPED_OVER] += 0.0 < rises < -p * e[ended] * lengths[ended] ** 2
    return count


@kernel
def _move_particle(
    p, q, e, x, lengths, h, z, on, sliding, slide, G, ahead, speed, pulls, matrix, basis, stats
):
    """Move one particle for a time h; q is changed in place, the new p returned."""
    n, r = x.shape
    count = _classify(p, q, e, x, lengths, z, on, slide, G, pulls, matrix, stats)
    if count < 0:
        return p
    left = h
    for _ in range(8 * n + 16):
        for i in range(n):
            sliding[i] = False
        for a in range(count):
            sliding[slide[a]] = True
        rounding = _ROUNDING * _gradient(on, e, x, G)
        if count > 0:
            _orthonormal(slide, count, x, basis)
            _project(G, count, basis)
        g = 0.0
        for c in range(r):
            g += G[c] * G[c]
        g = np.sqrt(g)
        if g <= rounding or g * left == 0.0 or count >= r:
            return p
        s0 = 0.0
        for c in range(r):
            G[c] /= g
            s0 += q[c] * G[c]
        for i in range(n):
            speed[i] = 0.0
            for c in range(r):
                speed[i] += G[c] * x[i, c]
            if abs(speed[i]) * g <= rounding * lengths[i]:
                speed[i] = 0.0
        eps_end = np.expm1(g * left)
        i, eps = _next_event(p, s0, z, speed, on, sliding, eps_end)
        # p = 0 ends a slide: beyond it both sides push away.
        turns = False
        if count > 0 and s0 != 0.0 and 0.0 < p / s0 < 1.0:
            eps_turn = np.expm1(np.arctanh(p / s0))
            if eps_turn <= eps:
                eps, i, turns = eps_turn, -1, True
        # On a plane, a slide that reaches another kink has reached the origin.
        origin = r == 2 and count == 1 and i >= 0 and eps > 0.0
        grow = 1.0 + eps
        sinh, cosh1 = 0.5 * eps * (1.0 + grow) / grow, 0.5 * eps * eps / grow
        moved = s0 * cosh1 - p * sinh
        p = p + p * cosh1 - s0 * sinh
        for c in range(r):
            q[c] += moved * G[c]
        for j in range(n):
            if not sliding[j]:
                z[j] += moved * speed[j]
        if i < 0 and not turns:
            return p
        left = max(left - np.log1p(eps) / g, 0.0)
        if turns:
            p = 0.0
            for a in range(count):
                on[slide[a]] = False
            count = 0
        elif origin:
            stats[ORIGIN] += 1
            for c in range(r):
                q[c] = 0.0
            for j in range(n):
                z[j] = 0.0
                if not sliding[j]:
                    on[j] = not on[j]
            count = _settle(p, on, slide, count, e, x, ahead, pulls, matrix)
            if count == 1:
                # Still sliding: on outwards if the pull beyond the origin points the same way as
                # the one that led there, else both rays point inwards and the neuron rests.
                _gradient(on, e, x, ahead)
                along = 0.0
                for c in range(r):
                    along += ahead[c] * G[c]
                if along <= 0.0:
                    return p
        else:
            z[i] = 0.0
            if p * e[i] > 0.0 and count < r:
                on[i] = False
                slide[count] = i
                before = count
                count = _settle(p, on, slide, count + 1, e, x, G, pulls, matrix)
                stats[SLID] += count > before
                stats[CROSSED] += count <= before
            else:
                on[i] = not on[i]
                stats[CROSSED] += 1
    stats[GAVE_UP] += 1
    return p


@kernel
def _rotation(v, h, S, C):
    """``S = sinh(x)/x h`` and ``C = (cosh(x) - 1)/x**2 h**2`` for ``v = x**2 <= 16``, to a few ulp.

    Taylor series at x/4 and two doublings: no root, no division, and all of it vectorises.
    """
    for k in range(v.shape[0]):
        y2 = v[k] / 16.0
        s, c = 0.0, 0.0
        for j in range(_SERIES):
            s = s * y2 + _SINH[j]
            c = c * y2 + _COSH[j]
        s, c = s * (1.0 + y2 * c), 0.5 * s * s
        y2 = v[k] / 4.0
        s, c = s * (1.0 + y2 * c), 0.5 * s * s
        S[k], C[k] = h * s, h * h * c


@kernel
def _flag_near(z, length, q_norm, flags):
    """Flag neurons that are on the kink of a sample, as far as rounding can tell."""
    edge = ON_KINK * length
    for k in range(z.shape[0]):
        flags[k] = 1.0 if abs(z[k]) <= edge * q_norm[k] else flags[k]


@kernel
def _move_block(theta, e, x, lengths, h, z, out, flags, work):
    """Move a block of neurons as if no kink were met, and flag those that may meet one."""
    n, r = x.shape
    p, q, G = theta[0], theta[1:], out[1:]
    t, v, S, C, q_norm = work[0], work[1], work[2], work[3], work[4]
    _norms(q, q_norm)
    G[:] = 0.0
    for i in range(n):
        _preactivation(q, x[i], z[i])
        for c in range(r):
            _add_step(e[i] * x[i, c], z[i], G[c])
    t[:] = 0.0
    v[:] = 0.0
    for c in range(r):
        G_c, q_c = G[c], q[c]
        for k in range(t.shape[0]):
            t[k] += q_c[k] * G_c[k]
            v[k] += h * h * G_c[k] * G_c[k]
    _rotation(v, h, S, C)
    for k in range(t.shape[0]):
        flags[k] = 1.0 if v[k] > 16.0 else 0.0
        out[0, k] = p[k] + (p[k] * v[k] / (h * h) * C[k] - t[k] * S[k])
        # q moves by less than this times G at any time in the step.
        v[k] = 1.000001 * (abs(t[k]) * C[k] + abs(p[k]) * S[k])
        t[k] = t[k] * C[k] - p[k] * S[k]
    for i in range(n):
        _flag_near(z[i], lengths[i], q_norm, flags)
        _preactivation(G, x[i], S)
        z_i = z[i]
        for k in range(t.shape[0]):
            flags[k] = 1.0 if abs(z_i[k]) <= v[k] * abs(S[k]) else flags[k]
    for c in range(r):
        G_c, q_c = G[c], q[c]
        for k in range(t.shape[0]):
            G_c[k] = q_c[k] + t[k] * G_c[k]


@kernel
def move(theta, e, x, h, first, last, out, stats):
    """Move all particles for a time h under the constant residual e; writes the new state to ``out``.

    ``stats[chunk]`` counts kinks crossed, slides begun, passages of the origin, particles whose events
    were too many to follow, and slides whose end was stepped over. Shapes: theta and out (1 + r, N),
    e (n,), stats (chunks, 5). Cost: about n (6 r + 10) flops per particle, in blocks that vectorise;
    particles that may meet a kink are moved again one by one, at ten to thirty times that.
    """
    n, r = x.shape
    size = theta.shape[1]
    q, G, ahead = np.empty(r), np.empty(r), np.empty(r)
    z, speed = np.empty(n), np.empty(n)
    on, sliding = np.empty(n, np.bool_), np.empty(n, np.bool_)
    slide = np.empty(r + 1, np.int64)
    pulls, matrix, basis = np.empty(r + 1), np.empty((r + 1, r + 1)), np.empty((r + 1, r))
    scaled, lengths = e / n, row_lengths(x)
    z_block, flag_block, work_block = np.empty((n, BLOCK)), np.empty(BLOCK), np.empty((5, BLOCK))
    for chunk in range(first, last):
        stats[chunk, :] = 0
        stop = min((chunk + 1) * CHUNK, size)
        for lo in range(chunk * CHUNK, stop, BLOCK):
            hi = min(lo + BLOCK, stop)
            flags = flag_block[: hi - lo]
            _move_block(
                theta[:, lo:hi], scaled, x, lengths, h, z_block[:, : hi - lo], out[:, lo:hi], flags,
                work_block[:, : hi - lo],
            )  # fmt: skip
            for k in range(lo, hi):
                if flags[k - lo] == 0.0:
                    continue
                for c in range(r):
                    q[c] = theta[1 + c, k]
                out[0, k] = _move_particle(
                    theta[0, k], q, scaled, x, lengths, h, z, on, sliding, slide, G, ahead, speed,
                    pulls, matrix, basis, stats[chunk],
                )  # fmt: skip
                for c in range(r):
                    out[1 + c, k] = q[c]


@kernel
def _add_kinked(weight, p, x, on, base, basis, count, along, partial):
    """Add what one neuron on kinks really contributes, less what the plain Gram matrix counts for it."""
    n = x.shape[0]
    for i in range(n):
        for j in range(i + 1):
            partial[i, j] += (
                weight * p * p * np.sum(x[i] * x[j]) * ((on[i] and on[j]) - (base[i] and base[j]))
            )
    for a in range(count):
        for i in range(n):
            along[i] = p * np.sum(basis[a] * x[i]) if on[i] else 0.0
        for i in range(n):
            for j in range(i + 1):
                partial[i, j] -= weight * along[i] * along[j]


@kernel
def kink_gram(theta, weight, e, x, first, last, partial):
    """What neurons on kinks add to the tangent Gram matrix, shape (chunks, n, n), lower triangles.

    :func:`~meanfield.kernels.gram` counts a neuron on the kink of a sample as inactive there. Under the
    residual e it may be about to leave to the active side; and if it slides, q moves only within
    its kinks, and its gradients ``p x_i`` count projected onto them.
    """
    n, r = x.shape
    size = theta.shape[1]
    q, G, z, on, base = np.empty(r), np.empty(r), np.empty(n), np.empty(n, np.bool_), np.empty(n, np.bool_)
    slide, pulls = np.empty(r + 1, np.int64), np.empty(r + 1)
    matrix, basis, along = np.empty((r + 1, r + 1)), np.empty((r + 1, r)), np.empty(n)
    scaled, lengths, ignored = e / n, row_lengths(x), np.zeros(5, np.int64)
    z_block, flag_block, q_norm_block = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for chunk in range(first, last):
        partial[chunk] = 0.0
        stop = min((chunk + 1) * CHUNK, size)
        for lo in range(chunk * CHUNK, stop, BLOCK):
            hi = min(lo + BLOCK, stop)
            flags, q_norm = flag_block[: hi - lo], q_norm_block[: hi - lo]
            flags[:] = 0.0
            _norms(theta[1:, lo:hi], q_norm)
            for i in range(n):
                _preactivation(theta[1:, lo:hi], x[i], z_block[: hi - lo])
                _flag_near(z_block[: hi - lo], lengths[i], q_norm, flags)
            for k in range(lo, hi):
                if flags[k - lo] == 0.0:
                    continue
                p = theta[0, k]
                for c in range(r):
                    q[c] = theta[1 + c, k]
                count = _classify(p, q, scaled, x, lengths, z, on, slide, G, pulls, matrix, ignored)
                if count >= 0:
                    for i in range(n):
                        base[i] = z[i] > 0.0
                    _orthonormal(slide, count, x, basis)
                    _add_kinked(weight[k], p, x, on, base, basis, count, along, partial[chunk])
