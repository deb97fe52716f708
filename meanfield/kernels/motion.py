"""Motion of all particles: in blocks where no kink is in reach, one by one where one may be met."""

from __future__ import annotations

import math

import numpy as np

from meanfield.kernels.dense import BLOCK, CHUNK, ON_KINK, _add_step, _norms, _preactivation, row_lengths
from meanfield.kernels.jit import inner, kernel
from meanfield.kernels.particle import (
    _classify,
    _dot_rows,
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
def _move_block(theta, e, x, lengths, h, z, out, flags, work):
    """Move a block of neurons as if no kink were met, and flag those that may meet one."""
    n, r = x.shape
    p, q, G = theta[0], theta[1:], out[1:]
    t, g2, S, C, q_norm, v = work[0], work[1], work[2], work[3], work[4], work[5]
    _norms(q, q_norm)
    G[:] = 0.0
    for i in range(n):
        _preactivation(q, x[i], z[i])
        for c in range(r):
            _add_step(e[i] * x[i, c], z[i], G[c])
    t[:] = 0.0
    g2[:] = 0.0
    for c in range(r):
        G_c, q_c = G[c], q[c]
        for k in range(t.shape[0]):
            t[k] += q_c[k] * G_c[k]
            g2[k] += G_c[k] * G_c[k]
    for k in range(t.shape[0]):
        v[k] = h * h * g2[k]
    _rotation(v, h, S, C)
    for k in range(t.shape[0]):
        flags[k] = 1.0 if v[k] > 16.0 else 0.0
        out[0, k] = p[k] + (p[k] * g2[k] * C[k] - t[k] * S[k])
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
    q, work = np.empty(r), _workspace(n, r)
    scaled, lengths = e / n, row_lengths(x)
    z_block, flag_block, work_block = np.empty((n, BLOCK)), np.empty(BLOCK), np.empty((6, BLOCK))
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
                out[0, k] = _move_particle(theta[0, k], q, scaled, x, lengths, h, work, stats[chunk])
                for c in range(r):
                    out[1 + c, k] = q[c]


@inner
def _add_kinked(weight, p, x, count, work, partial):
    """Add what one neuron on kinks really contributes, less what the plain Gram matrix counts for it."""
    z, on, along = work.z, work.on, work.speed
    for i in range(x.shape[0]):
        for j in range(i + 1):
            really = 1.0 if on[i] and on[j] else 0.0
            counted = 1.0 if z[i] > 0.0 and z[j] > 0.0 else 0.0
            partial[i, j] += (really - counted) * weight * p * p * _dot_rows(x, i, x, j)
    for a in range(count):
        for i in range(x.shape[0]):
            along[i] = p * _dot_rows(work.basis, a, x, i) if on[i] else 0.0
        for i in range(x.shape[0]):
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
    q, work = np.empty(r), _workspace(n, r)
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
                count = _classify(p, q, scaled, x, lengths, work, ignored)
                if count >= 0:
                    count = _settle(p, count, scaled, x, work)
                    _orthonormal(count, x, work)
                    _add_kinked(weight[k], p, x, count, work, partial[chunk])
