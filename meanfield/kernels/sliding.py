"""Which kinks one particle slides on under a residual, and what is left to its motion there.

On the kink of a sample both sides may push a particle back: it slides, q moving with G projected off
x_i, the convex combination of both sides' G that keeps z_i = 0 (Filippov). Several kinks may be slid on
at once. Everything about a particle that concerns the samples (its pre-activations, the products of
its gradient with them) is kept sample by sample, and follows a change of its pattern at O(n + r).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meanfield.kernels.blocks import ON_KINK, _dot
from meanfield.kernels.jit import allocating, exact
from meanfield.kernels.kinks import _product

#: Sliding directions that are dependent up to this share count once.
_DEPENDENT = 1e-10
#: A gradient below this share of what its terms can be is rounding.
_ROUNDING = 1e-14
#: Two turns of a residual within this share of its change are taken to be too close to be told apart.
_CLOSE = 0.3
#: Columns of the statistics: crossings, slides begun, passages of the origin, searches given up, and
#: slides whose end was stepped over.
CROSSED, SLID, ORIGIN, GAVE_UP, STEPPED_OVER = 0, 1, 2, 3, 4


@exact
def _rounding(e, samples):
    """What of a gradient under residuals e (over n) is rounding."""
    total = 0.0
    for i in range(e.shape[0]):
        total += _ROUNDING * abs(e[i]) * samples.lengths[i]
    return total


class Workspace(NamedTuple):
    """Scratch of one thread, for one particle at a time.

    ``q``: its position; ``z``, ``on``, ``sliding``: pre-activations, pattern and membership of the slide,
    per sample; ``G`` the gradient of the pattern and ``along`` its products with the samples, which a
    change of the pattern changes by a row of the samples' products; ``u``, ``speed``: the direction of motion
    and its products with the samples; ``slide``: the kinks slid on; ``pulls``, ``matrix``, ``other``: the
    small linear algebra of sliding; ``lost``: products of the samples with an orthonormal basis of the kinks
    slid on.
    """

    q: np.ndarray
    z: np.ndarray
    on: np.ndarray
    sliding: np.ndarray
    G: np.ndarray
    along: np.ndarray
    u: np.ndarray
    speed: np.ndarray
    slide: np.ndarray
    pulls: np.ndarray
    matrix: np.ndarray
    other: np.ndarray
    lost: np.ndarray


@allocating
def _workspace(n, r):
    return Workspace(
        np.empty(r),
        np.empty(n),
        np.empty(n, np.bool_),
        np.empty(n, np.bool_),
        np.empty(r),
        np.empty(n),
        np.empty(r),
        np.empty(n),
        np.empty(r + 1, np.int64),
        np.empty(r + 1),
        np.empty((r + 1, r + 1)),
        np.empty(r + 1),
        np.empty((r + 1, n)),
    )


# Rows are taken by index, not as views: a view per particle and sample costs more than its arithmetic.


@exact
def _gradient(on, e, x, G):
    """G = sum over active samples of e_i x_i (e already divided by n)."""
    G[:] = 0.0
    for i in range(x.shape[0]):
        if on[i]:
            for c in range(x.shape[1]):
                G[c] += e[i] * x[i, c]


@exact
def _products_with(v, samples, out):
    """``out_i = v . x_i`` for all samples."""
    out[:] = 0.0
    for c in range(v.shape[0]):
        for i in range(out.shape[0]):
            out[i] += v[c] * samples.transposed[c, i]


@exact
def _fill(e, samples, work):
    """The gradient of the pattern, and its products with the samples, from nothing."""
    _gradient(work.on, e, samples.x, work.G)
    _products_with(work.G, samples, work.along)


@exact
def _switch_sample(i, on, e, samples, work):
    """Switch sample i on or off; the gradient follows."""
    if work.on[i] == on:
        return
    work.on[i] = on
    _add_sample(e[i] if on else -e[i], i, samples, work)


@exact
def _switch(i, on, felt, samples, work):
    """Go to the side of a kink on which its leader i is active or not; the gradient follows."""
    if work.on[i] == on:
        return
    work.on[i] = on
    j = samples.ring[i]
    while j != i:
        work.on[j] = on == samples.same[j]
        j = samples.ring[j]
    _add_sample(felt.jump[i] if on else -felt.jump[i], i, samples, work)


@exact
def _add_sample(change, i, samples, work):
    """Add a multiple of sample i to the gradient."""
    for c in range(samples.x.shape[1]):
        work.G[c] += change * samples.x[i, c]
    for j in range(samples.x.shape[0]):
        work.along[j] += change * _product(i, j, samples)


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
def _pull(count, b, samples, work):
    """Solve ``(sum_b pulls_b x_b) . x_a = b_a`` for the kinks slid on; False if they are dependent."""
    slide, pulls, matrix = work.slide, work.pulls, work.matrix
    for a in range(count):
        pulls[a] = b[a]
        for other in range(count):
            matrix[a, other] = _product(slide[a], slide[other], samples)
    return _solve(matrix, pulls, count)


@exact
def _worst_slide(p, count, felt, samples, work):
    """The kink slid on that holds least, and the side that it is left on; (-1, False) if all hold.

    The pulls lambda_i solve ``(G + sum_i lambda_i e_i x_i) . x_j = 0`` for all kinks slid on, e being the
    residuals of kinks. A kink holds while p e_i > 0 and 0 < lambda_i < 1. With lambda_i >= 1 it is left on
    its active side, with lambda_i <= 0 on the other. If p e_i <= 0 both sides push away: of the two futures
    the inactive one is taken.
    """
    slide, e = work.slide, felt.jump
    for a in range(count):
        if p * e[slide[a]] <= 0.0:
            return a, False
        work.other[a] = -work.along[slide[a]]
    if not _pull(count, work.other, samples, work):
        return count - 1, False  # dependent kinks: the last one adds nothing
    worst, by, active = -1, 0.0, False
    for a in range(count):
        share = work.pulls[a] / e[slide[a]]
        off = max(share - 1.0, -share)
        if off >= 0.0 and off >= by:
            worst, by, active = a, off, share >= 1.0
    return worst, active


@exact
def _settle(p, count, felt, samples, work):
    """Release the sliding kinks that do not hold; returns how many are left, their pulls solved for."""
    while count > 0:
        worst, active = _worst_slide(p, count, felt, samples, work)
        if worst < 0:
            break
        _switch(work.slide[worst], active, felt, samples, work)
        for a in range(worst, count - 1):
            work.slide[a] = work.slide[a + 1]
        count -= 1
    return count


@exact
def _fill_lost(count, samples, work):
    """Products of the samples with an orthonormal basis of the kinks slid on: Gram-Schmidt on the samples.

    Only the samples' products are needed: what is left of x_a has the length that the basis gives it.
    """
    lost, slide = work.lost, work.slide
    for a in range(count):
        kink = slide[a]
        for i in range(lost.shape[1]):
            lost[a, i] = _product(kink, i, samples)
        for b in range(a):
            share = lost[b, kink]
            for i in range(lost.shape[1]):
                lost[a, i] -= share * lost[b, i]
        length = np.sqrt(lost[a, kink])
        for i in range(lost.shape[1]):
            lost[a, i] /= length


@exact
def _classify(p, felt, samples, work, stats):
    """Pattern and kinks that may be slid on, from ``work.z``; how many, or -1 at the origin.

    ``work.G`` and ``work.along`` are those of the pattern z > 0; they follow as z is set to zero on kinks.
    On a kink with p e_i <= 0 nothing slides; a slide there has ended, and :func:`_leaves_active` tells on
    which side. Where that is in doubt the slide counts as stepped over.
    """
    z, on, slide, e, before = work.z, work.on, work.slide, felt.jump, felt.jump_before
    n, r = samples.x.shape
    q_norm = np.sqrt(_dot(work.q, work.q))
    if q_norm == 0.0:
        return -1  # at the origin a neuron is inactive on every sample
    for i in range(n):
        on[i] = z[i] > 0.0
    count, ended = 0, -1
    for i in range(n):
        if samples.leader[i] != i or abs(z[i]) > ON_KINK * q_norm * samples.lengths[i]:
            continue
        _switch_sample(i, False, felt.e, samples, work)
        j = samples.ring[i]
        while j != i:  # one by one: by rounding they may be seen on different sides
            _switch_sample(j, not samples.same[j], felt.e, samples, work)
            j = samples.ring[j]
        z[i] = 0.0
        if p * e[i] > 0.0 and count < r:
            slide[count] = i
            count += 1
        else:
            ended = i
    if ended >= 0 and count == 0:  # beside another slide the speed that this leaves decides
        off_before = 0.0
        for i in range(n):
            off_before -= p * felt.before[i] * _product(i, ended, samples) if on[i] else 0.0
        off, jump = -p * work.along[ended], -p * _product(ended, ended, samples)
        # Where no other sample pulls (a neuron that died here) rounding must not: it stays.
        nothing = abs(p) * felt.rounding * samples.lengths[ended]
        off = off if abs(off) > nothing else 0.0
        off_before = off_before if abs(off_before) > nothing else 0.0
        on_before, on_now = off_before + jump * before[ended], off + jump * e[ended]
        active, doubtful = _leaves_active(off_before, on_before, off, on_now)
        _switch(ended, active, felt, samples, work)
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
