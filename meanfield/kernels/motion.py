"""Motion of all particles in any dimension: in blocks where no kink is met, else one by one."""

from __future__ import annotations

import math

import numpy as np

from meanfield.kernels.chunks import BLOCK, chunk_length
from meanfield.kernels.dense import (
    ON_KINK,
    _add_relu,
    _dot_relu,
    _matmul,
    _multiply,
    _norms,
    _switched,
    row_lengths,
)
from meanfield.kernels.jit import exact, inner, kernel
from meanfield.kernels.particle import (
    _classify,
    _dot_row,
    _dot_rows,
    _fill,
    _gradient,
    _move_particle,
    _orthonormal,
    _settle,
    _workspace,
)

#: Coefficients of sinh(y)/y and (cosh(y) - 1)/y**2 in powers of y**2, highest first: exact for y <= 1.
_SERIES = 10
_SINH = np.array([1.0 / math.factorial(2 * j + 1) for j in reversed(range(_SERIES))])
_COSH = np.array([1.0 / math.factorial(2 * j + 2) for j in reversed(range(_SERIES))])


@inner
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


@inner
def _flag_near(z, length, q_norm, flags):
    """Flag neurons that are on the kink of a sample, as far as rounding can tell."""
    edge = ON_KINK * length
    for k in range(z.shape[0]):
        flags[k] = 1.0 if abs(z[k]) <= edge * q_norm[k] else flags[k]


@inner
def _glide(theta, e, x, transposed, lengths, h, z, out, z_out, G, along, flags, work):
    """Move a block of particles as if no kink were met, and flag those that may meet one.

    ``z`` and ``z_out`` are the pre-activations before and after, ``G`` gets the gradients and ``along`` their
    products with the samples. Each z_i goes straight, and to and fro only if p changes its sign: one that
    keeps its sign, with p, was on no kink in between.
    """
    n, r = x.shape
    p, q, p_out, q_out = theta[0], theta[1:], out[0], out[1:]
    t, g2, S, C, norm = work[0], work[1], work[2], work[3], work[4]
    _switched(e, z, z_out)
    _matmul(transposed, z_out, G)
    _matmul(x, G, along)
    t[:] = 0.0
    g2[:] = 0.0
    for c in range(r):
        G_c, q_c = G[c], q[c]
        for k in range(t.shape[0]):
            t[k] += q_c[k] * G_c[k]
            g2[k] += G_c[k] * G_c[k]
    for k in range(t.shape[0]):
        norm[k] = h * h * g2[k]
    _rotation(norm, h, S, C)
    for k in range(t.shape[0]):
        p_out[k] = p[k] + (p[k] * g2[k] * C[k] - t[k] * S[k])
        flags[k] = 1.0 if (norm[k] > 16.0) | ((p[k] >= 0.0) != (p_out[k] >= 0.0)) else 0.0
        t[k] = t[k] * C[k] - p[k] * S[k]
    for c in range(r):
        _combine(q[c], t, G[c], q_out[c])
    _norms(q, norm)
    for i in range(n):
        _combine(z[i], t, along[i], z_out[i])
        _flag_near(z[i], lengths[i], norm, flags)
        _flag_changed(z[i], z_out[i], flags)


@inner
def _combine(u, t, v, out):
    for k in range(out.shape[0]):
        out[k] = u[k] + t[k] * v[k]


@inner
def _flag_changed(z, z_out, flags):
    """Flag neurons whose pre-activation at a sample changed its sign."""
    for k in range(z.shape[0]):
        flags[k] = flags[k] if (z[k] > 0.0) == (z_out[k] > 0.0) else 1.0


@exact
def _move_flagged(theta, e, before, x, lengths, h, z, G, along, out, z_out, flags, q, work, stats):
    """Move the flagged particles of a block one by one, with what :func:`_glide` found out about them."""
    r = q.shape[0]
    for k in range(flags.shape[0]):
        if flags[k] == 0.0:
            continue
        for c in range(r):
            q[c] = theta[1 + c, k]
            work.G[c] = G[c, k]
        for i in range(x.shape[0]):
            work.z[i], work.along[i] = z[i, k], along[i, k]
        out[0, k] = _move_particle(theta[0, k], q, e, before, x, lengths, h, work, stats)
        for c in range(r):
            out[1 + c, k] = q[c]
        for i in range(x.shape[0]):
            z_out[i, k] = work.z[i]


@inner
def _squared_distance(new, old, w):
    total = 0.0
    for k in range(w.shape[0]):
        total += w[k] * (new[k] - old[k]) ** 2
    return total


@kernel
def move(theta, weight, e, h, x, first, last, out, partial, change, stats):
    """Move all particles under one constant residual after another; writes the new state to ``out``.

    The residuals are the rows of ``e`` (1 + stages, n) but for the first, held for the times ``h``
    (stages,); the first is the one that particles felt until now: it tells on which side of a kink a
    slide that has ended meanwhile was left.

    ``partial`` (chunks, stages, n) is the output after each stage without its factor (see :func:`output`),
    ``change`` (chunks, 2) the weighted squared distances of the new p and q from what ``out`` held.
    ``stats[chunk]``, five numbers, counts kinks crossed, slides begun, passages of the origin, particles
    whose events were too many to follow, and slides whose end was stepped over.

    Cost: about n (4 r + 4) flops per particle and stage and n (4 r + 2) besides, in blocks that vectorise;
    particles that may meet a kink are moved again one by one, at ten to thirty times that.
    """
    (n, r), size, stages = x.shape, theta.shape[1], h.shape[0]
    length = chunk_length(size)
    scaled, lengths = e / n, row_lengths(x)
    q, particle, transposed = np.empty(r), _workspace(x), np.ascontiguousarray(x.T)
    states, zs = np.empty((2, 1 + r, BLOCK)), np.empty((2, n, BLOCK))
    G_block, along_block = np.empty((r, BLOCK)), np.empty((n, BLOCK))
    flag_block, work_block = np.empty(BLOCK), np.empty((5, BLOCK))
    for chunk in range(first, last):
        partial[chunk], change[chunk], stats[chunk] = 0.0, 0.0, 0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, BLOCK):
            hi = min(lo + BLOCK, stop)
            count, w = hi - lo, weight[lo:hi]
            flags, work = flag_block[:count], work_block[:, :count]
            states[0, :, :count] = theta[:, lo:hi]
            _matmul(x, states[0, 1:, :count], zs[0, :, :count])
            for stage in range(stages):
                old, new = stage % 2, (stage + 1) % 2
                start, after = states[old, :, :count], states[new, :, :count]
                z, z_after, felt = zs[old, :, :count], zs[new, :, :count], scaled[stage + 1]
                G, along = G_block[:, :count], along_block[:, :count]
                _glide(
                    start, felt, x, transposed, lengths, h[stage], z, after, z_after, G, along, flags, work
                )
                events = felt, scaled[stage], x, lengths, h[stage], z, G, along
                _move_flagged(start, *events, after, z_after, flags, q, particle, stats[chunk])
                _multiply(w, after[0], work[0])
                for i in range(n):
                    partial[chunk, stage, i] += _dot_relu(work[0], z_after[i])
            after = states[stages % 2, :, :count]
            for row in range(1 + r):
                change[chunk, min(row, 1)] += _squared_distance(after[row], out[row, lo:hi], w)
                out[row, lo:hi] = after[row]


@exact
def _add_kinked(weight, p, x, count, work, partial):
    """Add what one neuron on kinks really contributes, less what the plain Gram matrix counts for it."""
    z, on, along = work.z, work.on, work.speed
    differs = False
    for i in range(x.shape[0]):
        differs |= on[i] != (z[i] > 0.0)
    for i in range(x.shape[0] if differs else 0):
        for j in range(i + 1):
            really = 1.0 if on[i] and on[j] else 0.0
            counted = 1.0 if z[i] > 0.0 and z[j] > 0.0 else 0.0
            partial[i, j] += (really - counted) * weight * p * p * work.products[i, j]
    for a in range(count):
        for i in range(x.shape[0]):
            along[i] = p * _dot_rows(work.basis, a, x, i) if on[i] else 0.0
        for i in range(x.shape[0]):
            if along[i] != 0.0:
                for j in range(i + 1):
                    partial[i, j] -= weight * along[i] * along[j]


@inner
def _flag_on_kinks(q, x, lengths, z, norm, flags):
    """Pre-activations of a block, and flags for the neurons that are on some kink."""
    flags[:] = 0.0
    _norms(q, norm)
    _matmul(x, q, z)
    for i in range(x.shape[0]):
        _flag_near(z[i], lengths[i], norm, flags)


@exact
def _settle_at(theta, k, e, before, x, lengths, q, work, ignored):
    """Pattern and slides (with their basis) of particle k; how many slides, -1 at the origin."""
    for c in range(q.shape[0]):
        q[c] = theta[1 + c, k]
    for i in range(x.shape[0]):
        work.z[i] = _dot_row(q, x, i)
        work.on[i] = work.z[i] > 0.0
    _fill(e, x, work)
    count = _classify(theta[0, k], q, e, before, x, lengths, work, ignored)
    if count >= 0:
        count = _settle(theta[0, k], count, e, x, work)
        _orthonormal(count, x, work)
    return count


@kernel
def kink_gram(theta, weight, e, before, x, length, first, last, partial):
    """What neurons on kinks add to the tangent Gram matrix, shape (chunks, n, n), lower triangles.

    :func:`~meanfield.kernels.gram` counts a neuron on the kink of a sample as inactive there. Under the
    residual e it may be about to leave to the active side; and if it slides, q moves only within
    its kinks, and its gradients ``p x_i`` count projected onto them. ``before`` is the residual that it
    felt until now (see :func:`move`). Chunks hold ``length`` neurons.
    """
    (n, r), size = x.shape, theta.shape[1]
    q, work = np.empty(r), _workspace(x)
    scaled, scaled_before = e / n, before / n
    lengths, ignored = row_lengths(x), np.zeros(5, np.int64)
    z_block, flag_block, norm_block = np.empty((n, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    for chunk in range(first, last):
        partial[chunk] = 0.0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, BLOCK):
            hi = min(lo + BLOCK, stop)
            flags = flag_block[: hi - lo]
            _flag_on_kinks(theta[1:, lo:hi], x, lengths, z_block[:, : hi - lo], norm_block[: hi - lo], flags)
            for k in range(lo, hi):
                if flags[k - lo] == 1.0:
                    count = _settle_at(theta, k, scaled, scaled_before, x, lengths, q, work, ignored)
                    if count >= 0:
                        _add_kinked(weight[k], theta[0, k], x, count, work, partial[chunk])


@exact
def _add_particle(weight, p, v, x, count, work, out):
    """Add ``weight Phi_i . Phi' v`` of one neuron on kinks, its gradients projected, for all samples i."""
    z, on, pull = work.z, work.on, work.u
    pull_p = 0.0
    for i in range(x.shape[0]):
        pull_p += v[i] * max(z[i], 0.0)
    _gradient(on, v, x, pull)
    for a in range(count):
        along = _dot_row(pull, work.basis, a)
        for c in range(pull.shape[0]):
            pull[c] -= along * work.basis[a, c]
    for i in range(x.shape[0]):
        out[i] += weight * max(z[i], 0.0) * pull_p
        if on[i]:
            out[i] += weight * p * p * _dot_row(pull, x, i)


@kernel
def kink_gram_product(theta, weight, e, before, v, x, first, last, partial):
    """Product of the tangent Gram matrix of the motion under e with a vector v, ``partial`` (chunks, n).

    The matrix is the sum of :func:`~meanfield.kernels.gram` and :func:`kink_gram`, and is not formed.
    Cost: n (6 r + 6) flops per neuron.
    """
    (n, r), size = x.shape, theta.shape[1]
    length = chunk_length(size)
    q, work = np.empty(r), _workspace(x)
    scaled, scaled_before = e / n, before / n
    lengths, ignored = row_lengths(x), np.zeros(5, np.int64)
    z_block, dz_block, transposed = np.empty((n, BLOCK)), np.empty((n, BLOCK)), np.ascontiguousarray(x.T)
    pulls, work_block = np.empty((1 + r, BLOCK)), np.empty((3, BLOCK))
    for chunk in range(first, last):
        partial[chunk] = 0.0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, BLOCK):
            hi = min(lo + BLOCK, stop)
            z, dz, pull = z_block[:, : hi - lo], dz_block[:, : hi - lo], pulls[:, : hi - lo]
            flags, w, wpp = work_block[0, : hi - lo], work_block[1, : hi - lo], work_block[2, : hi - lo]
            _flag_on_kinks(theta[1:, lo:hi], x, lengths, z, w, flags)
            for k in range(hi - lo):  # neurons on kinks are added one by one
                w[k] = 0.0 if flags[k] == 1.0 else weight[lo + k]
                wpp[k] = w[k] * theta[0, lo + k] ** 2
            pull[0] = 0.0
            for i in range(n):
                _add_relu(v[i], z[i], pull[0])
            _switched(v, z, dz)
            _matmul(transposed, dz, pull[1:])
            _multiply(w, pull[0], pull[0])
            _matmul(x, pull[1:], dz)
            for i in range(n):
                partial[chunk, i] += _dot_relu(pull[0], z[i]) + _dot_step(wpp, dz[i], z[i])
            for k in range(hi - lo):
                if flags[k] == 1.0:
                    count = _settle_at(theta, lo + k, scaled, scaled_before, x, lengths, q, work, ignored)
                    if count >= 0:
                        _add_particle(weight[lo + k], theta[0, lo + k], v, x, count, work, partial[chunk])


@inner
def _dot_step(u, v, z):
    total = 0.0
    for k in range(u.shape[0]):
        total += u[k] * v[k] if z[k] > 0.0 else 0.0
    return total
