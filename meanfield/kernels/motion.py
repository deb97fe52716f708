"""Motion of all particles in any dimension: in blocks where no kink is met, else one by one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from meanfield.kernels.blocks import (
    ON_KINK,
    _block,
    _dot,
    _dot_relu,
    _load,
    _matmul,
    _multiply,
    _norms,
    _switched,
)
from meanfield.kernels.chunks import block_length, chunk_length
from meanfield.kernels.jit import exact, inner, kernel
from meanfield.kernels.kinks import Felt, _jump, as_samples
from meanfield.kernels.particle import _move_particle
from meanfield.kernels.sliding import STEPPED_OVER, _rounding, _workspace

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


class Block(NamedTuple):
    """A block of particles before and after a stage: states (1 + r, block) and pre-activations (n, block).

    ``G`` (r, block) are the gradients before, ``along`` (n, block) their products with the samples; ``flags``
    marks particles that may meet a kink; ``work`` (5, block) is scratch.
    """

    theta: np.ndarray
    z: np.ndarray
    out: np.ndarray
    z_out: np.ndarray
    G: np.ndarray
    along: np.ndarray
    flags: np.ndarray
    work: np.ndarray


@inner
def _glide(block, felt, samples):
    """Move a block of particles as if no kink were met, and flag those that may meet one.

    Each z_i goes straight, and to and fro only if p changes its sign: one that keeps its sign, with p, was
    on no kink in between.
    """
    p, q, p_out, q_out = block.theta[0], block.theta[1:], block.out[0], block.out[1:]
    z, z_out, G, along, flags, work = block.z, block.z_out, block.G, block.along, block.flags, block.work
    t, g2, S, C, norm = work[0], work[1], work[2], work[3], work[4]
    _switched(felt.e, z, z_out)
    _matmul(samples.transposed, z_out, G)
    _matmul(samples.x, G, along)
    t[:] = 0.0
    g2[:] = 0.0
    for c in range(q.shape[0]):
        G_c, q_c = G[c], q[c]
        for k in range(t.shape[0]):
            t[k] += q_c[k] * G_c[k]
            g2[k] += G_c[k] * G_c[k]
    for k in range(t.shape[0]):
        norm[k] = felt.time * felt.time * g2[k]
    _rotation(norm, felt.time, S, C)
    for k in range(t.shape[0]):
        p_out[k] = p[k] + (p[k] * g2[k] * C[k] - t[k] * S[k])
        flags[k] = 1.0 if (norm[k] > 16.0) | ((p[k] >= 0.0) != (p_out[k] >= 0.0)) else 0.0
        t[k] = t[k] * C[k] - p[k] * S[k]
    for c in range(q.shape[0]):
        _combine(q[c], t, G[c], q_out[c])
    _norms(q, norm)
    for i in range(z.shape[0]):
        _combine(z[i], t, along[i], z_out[i])
        _flag_near(z[i], samples.lengths[i], norm, flags)
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
def _move_flagged(block, weight, felt, samples, particle, stats):
    """Move the flagged particles of a block one by one, with what :func:`_glide` found out about them.

    Returns the sum of ``weight |p| |q|``, after the motion, of those whose slide's end was stepped over.
    """
    doubt, one_by_one = 0.0, False
    theta, z, out, G, along = block.theta, block.z, block.out, block.G, block.along
    n, r = samples.x.shape
    for k in range(block.flags.shape[0]):
        if block.flags[k] == 0.0:
            continue
        for c in range(r):
            particle.q[c], particle.G[c] = theta[1 + c, k], G[c, k]
        for i in range(n):
            particle.z[i], particle.along[i] = z[i, k], along[i, k]
        in_doubt = stats[STEPPED_OVER]
        out[0, k] = _move_particle(theta[0, k], felt, samples, particle, stats)
        if stats[STEPPED_OVER] > in_doubt:
            doubt += weight[k] * abs(out[0, k]) * np.sqrt(_dot(particle.q, particle.q))
        for c in range(r):
            out[1 + c, k] = particle.q[c]
        one_by_one = True
    if one_by_one:
        # What was followed along the way has drifted off q by the rounding of the gradient times h.
        _matmul(samples.x, out[1:], block.z_out)
    return doubt


@inner
def _squared_distance(new, old, w):
    total = 0.0
    for k in range(w.shape[0]):
        total += w[k] * (new[k] - old[k]) ** 2
    return total


def move(theta, weight, e, h, x, first, last, out, partial, change, stats):
    """Move all particles under one constant residual after another; writes the new state to ``out``.

    The residuals are the rows of ``e`` (1 + stages, n) but for the first, held for the times ``h``
    (stages,); the first is the one that particles felt until now: it tells on which side of a kink a
    slide that has ended meanwhile was left.

    ``partial`` (chunks, stages, n) is the output after each stage without its factor (see :func:`output`),
    ``change`` (chunks, 3) the weighted squared distances of the new p and q from what ``out`` held, and
    the sum of ``weight |p| |q|``, after each stage, of the particles for which it is in doubt on which side
    a slide ended.
    ``stats[chunk]``, five numbers, counts kinks crossed, slides begun, passages of the origin, particles
    whose events were too many to follow, and slides whose end was stepped over.

    ``x`` holds the samples, (n, r), or what :func:`as_samples` made of them, which is worth keeping.

    Cost: about n (4 r + 4) flops per particle and stage and n (4 r + 2) besides, in blocks that vectorise;
    particles that may meet a kink are moved again one by one, at ten to thirty times that and n (2 r + 8) for
    each kink.

    Parameters
    ----------
    theta : ndarray, shape (1 + r, N)
        State.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    e : ndarray, shape (1 + stages, n)
        Residuals; the first is the one felt until now.
    h : ndarray, shape (stages,)
        For how long the others are held (canonical time s).
    x : ndarray, shape (n, r), or Samples
        Samples, or what :func:`as_samples` made of them.
    first, last : int
        Chunks ``first <= chunk < last``.
    out : ndarray, shape (1 + r, N)
        New state.
    partial : ndarray, shape (chunks, stages, n)
        Outputs.
    change : ndarray, shape (chunks, 3)
        Squared distances.
    stats : ndarray of int, shape (chunks, 5)
        Counts.
    """
    _move(theta, weight, e, h, as_samples(x), first, last, out, partial, change, stats)


@kernel
def _move(theta, weight, e, h, samples, first, last, out, partial, change, stats):
    x = samples.x
    (n, r), size, stages, block = x.shape, theta.shape[1], h.shape[0], block_length(x.shape[0])
    length = chunk_length(size)
    scaled, particle = e / n, _workspace(n, r)
    jumps = np.empty_like(scaled)
    for stage in range(1 + stages):
        jumps[stage] = _jump(scaled[stage], samples)
    states, zs = np.empty((2, (1 + r) * block)), np.empty((2, n * block))
    G_scratch, along_scratch = np.empty(r * block), np.empty(n * block)
    flag_scratch, work_scratch = np.empty(block), np.empty(5 * block)
    for chunk in range(first, last):
        partial[chunk], change[chunk], stats[chunk] = 0.0, 0.0, 0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, block):
            if samples.halt[0] != 0:
                return
            hi = min(lo + block, stop)
            count, w = hi - lo, weight[lo:hi]
            start, z = _block(states[0], 1 + r, count), _block(zs[0], n, count)
            after, z_after = _block(states[1], 1 + r, count), _block(zs[1], n, count)
            G, along = _block(G_scratch, r, count), _block(along_scratch, n, count)
            flags, work = flag_scratch[:count], _block(work_scratch, 5, count)
            _load(theta, lo, start)
            _matmul(x, start[1:], z)
            for stage in range(stages):
                e_now = scaled[stage + 1]
                rounding = _rounding(e_now, samples)
                felt = Felt(e_now, scaled[stage], jumps[stage + 1], jumps[stage], h[stage], rounding)
                moving = Block(start, z, after, z_after, G, along, flags, work)
                _glide(moving, felt, samples)
                change[chunk, 2] += _move_flagged(moving, w, felt, samples, particle, stats[chunk])
                _multiply(w, after[0], work[0])
                for i in range(n):
                    partial[chunk, stage, i] += _dot_relu(work[0], z_after[i])
                start, after, z, z_after = after, start, z_after, z
            for row in range(1 + r):
                change[chunk, min(row, 1)] += _squared_distance(start[row], out[row, lo:hi], w)
                out[row, lo:hi] = start[row]
