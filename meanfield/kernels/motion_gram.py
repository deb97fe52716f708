"""The tangent Gram matrix of particles as they move: those on kinks count with what is left to them.

:func:`meanfield.kernels.gram` counts a neuron on the kink of a sample as inactive there. Under a residual
it may be about to leave to the active side; and if it slides, q moves only within its kinks, and its
gradients ``p x_i`` count projected onto them.
"""

from __future__ import annotations

import numpy as np

from meanfield.kernels.blocks import (
    _add_products,
    _add_relu,
    _block,
    _dot_relu,
    _gram_factors,
    _load,
    _matmul,
    _multiply,
    _norms,
    _switched,
)
from meanfield.kernels.chunks import block_length, chunk_length
from meanfield.kernels.jit import exact, inner, kernel
from meanfield.kernels.kinks import Felt, _jump, as_samples
from meanfield.kernels.motion import _flag_near
from meanfield.kernels.sliding import (
    _classify,
    _fill,
    _fill_lost,
    _gradient,
    _products_with,
    _rounding,
    _settle,
    _workspace,
)


@inner
def _flag_on_kinks(q, z, lengths, norm, flags):
    """Flags for the neurons of a block that are on some kink."""
    flags[:] = 0.0
    _norms(q, norm)
    for i in range(z.shape[0]):
        _flag_near(z[i], lengths[i], norm, flags)


@exact
def _settle_at(k, p, q, z, felt, samples, work, ignored):
    """Pattern and slides (with what they take away) of particle k; how many slides, -1 at the origin."""
    for c in range(q.shape[0]):
        work.q[c] = q[c, k]
    for i in range(z.shape[0]):
        work.z[i] = z[i, k]
        work.on[i] = z[i, k] > 0.0
    _fill(felt.e, samples, work)
    count = _classify(p, felt, samples, work, ignored)
    if count >= 0:
        count = _settle(p, count, felt, samples, work)
        _fill_lost(count, samples, work)
    return count


def motion_gram(theta, weight, e, before, x, length, first, last, partial_a, partial_w, partial_s):
    """Three parts of the tangent Gram matrix of the motion under e, (chunks, n, n), lower triangles.

    ``K_ij = a_ij + (x_i . x_j) w_ij - s_ij``: the first two are those of :func:`~meanfield.kernels.gram` with
    the pattern that the motion under e has, ``s`` is what sliding takes away. ``before`` is the residual
    felt until now (see :func:`~meanfield.kernels.move`). Chunks hold ``length`` neurons.
    Cost: that of :func:`~meanfield.kernels.gram`, and about n (n + 2 r) flops for each neuron on a kink
    and 2 n**2 for each kink slid on.

    Parameters
    ----------
    theta : ndarray, shape (1 + r, N)
        State.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    e, before : ndarray, shape (n,)
        The residual, and the one felt until now.
    x : ndarray, shape (n, r), or Samples
        Samples, or what :func:`as_samples` made of them.
    length : int
        Neurons of a chunk.
    first, last : int
        Chunks ``first <= chunk < last``.
    partial_a, partial_w, partial_s : ndarray, shape (chunks, n, n)
        Gets the result.
    """
    _motion_gram(
        theta, weight, e, before, as_samples(x), length, first, last, partial_a, partial_w, partial_s
    )


@kernel
def _motion_gram(theta, weight, e, before, samples, length, first, last, partial_a, partial_w, partial_s):
    x = samples.x
    (n, r), size, block = x.shape, theta.shape[1], block_length(x.shape[0])
    work, ignored = _workspace(n, r), np.zeros(5, np.int64)
    now, then = e / n, before / n
    felt = Felt(now, then, _jump(now, samples), _jump(then, samples), 0.0, _rounding(now, samples))
    q_scratch, z_scratch = np.empty(r * block), np.empty(n * block)
    relu_scratch, on_scratch = np.empty(n * block), np.empty(n * block)
    root_scratch, flag_scratch, norm_scratch = np.empty(block), np.empty(block), np.empty(block)
    lost, columns = np.empty((n, max(block, r))), 0
    for chunk in range(first, last):
        partial_a[chunk], partial_w[chunk], partial_s[chunk] = 0.0, 0.0, 0.0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, block):
            hi = min(lo + block, stop)
            count, p = hi - lo, theta[0, lo:hi]
            q, z = _block(q_scratch, r, count), _block(z_scratch, n, count)
            relu, on = _block(relu_scratch, n, count), _block(on_scratch, n, count)
            root, flags, norm = root_scratch[:count], flag_scratch[:count], norm_scratch[:count]
            _load(theta[1:], lo, q)
            _matmul(x, q, z)
            _flag_on_kinks(q, z, samples.lengths, norm, flags)
            _gram_factors(p, weight[lo:hi], z, samples.lengths, norm, root, relu, on)
            for k in range(count):
                if flags[k] == 0.0:
                    continue
                slides = _settle_at(k, p[k], q, z, felt, samples, work, ignored)
                if slides < 0:
                    continue
                size_k = root[k] * p[k]
                for i in range(n):
                    on[i, k] = size_k if work.on[i] else 0.0
                if columns + slides > lost.shape[1]:
                    _add_lost(lost, columns, partial_s[chunk])
                    columns = 0
                for a in range(slides):
                    for i in range(n):
                        lost[i, columns + a] = size_k * work.lost[a, i] if work.on[i] else 0.0
                columns += slides
            _add_products(relu, partial_a[chunk])
            _add_products(on, partial_w[chunk])
        _add_lost(lost, columns, partial_s[chunk])
        columns = 0


@inner
def _add_lost(lost, columns, out):
    if columns > 0:
        lost[:, columns:] = 0.0
        _add_products(lost, out)


@exact
def _add_particle(weight, p, v, count, samples, work, out):
    """Add ``weight Phi_i . Phi' v`` of one neuron on kinks, its gradients projected, for all samples i."""
    z, on, pull, along = work.z, work.on, work.u, work.speed
    pull_p = 0.0
    for i in range(z.shape[0]):
        pull_p += v[i] * max(z[i], 0.0)
    _gradient(on, v, samples.x, pull)
    _products_with(pull, samples, along)
    for a in range(count):
        share = 0.0
        for i in range(z.shape[0]):
            share += v[i] * work.lost[a, i] if on[i] else 0.0
        for i in range(z.shape[0]):
            along[i] -= share * work.lost[a, i]
    for i in range(z.shape[0]):
        out[i] += weight * max(z[i], 0.0) * pull_p
        out[i] += weight * p * p * along[i] if on[i] else 0.0


def motion_gram_product(theta, weight, e, before, v, x, first, last, partial):
    """Product of the matrix of :func:`motion_gram` with a vector v, ``partial`` (chunks, n).

    The matrix is not formed. Cost: n (6 r + 6) flops per neuron.

    Parameters
    ----------
    theta : ndarray, shape (1 + r, N)
        State.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    e, before : ndarray, shape (n,)
        The residual, and the one felt until now.
    v : ndarray, shape (n,)
        A number for each sample.
    x : ndarray, shape (n, r), or Samples
        Samples, or what :func:`as_samples` made of them.
    first, last : int
        Chunks ``first <= chunk < last``.
    partial : ndarray, shape (chunks, n)
        Gets the result.
    """
    _motion_gram_product(theta, weight, e, before, v, as_samples(x), first, last, partial)


@kernel
def _motion_gram_product(theta, weight, e, before, v, samples, first, last, partial):
    x = samples.x
    (n, r), size, block = x.shape, theta.shape[1], block_length(x.shape[0])
    length = chunk_length(size)
    work, ignored = _workspace(n, r), np.zeros(5, np.int64)
    now, then = e / n, before / n
    felt = Felt(now, then, _jump(now, samples), _jump(then, samples), 0.0, _rounding(now, samples))
    q_scratch, z_scratch, dz_scratch = np.empty(r * block), np.empty(n * block), np.empty(n * block)
    pull_scratch, scratch = np.empty((1 + r) * block), np.empty((3, block))
    for chunk in range(first, last):
        partial[chunk] = 0.0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, block):
            hi = min(lo + block, stop)
            count, p = hi - lo, theta[0, lo:hi]
            q, pull = _block(q_scratch, r, count), _block(pull_scratch, 1 + r, count)
            z, dz = _block(z_scratch, n, count), _block(dz_scratch, n, count)
            flags, w, wpp = scratch[0, :count], scratch[1, :count], scratch[2, :count]
            _load(theta[1:], lo, q)
            _matmul(x, q, z)
            _flag_on_kinks(q, z, samples.lengths, w, flags)
            for k in range(count):  # neurons on kinks are added one by one
                w[k] = 0.0 if flags[k] == 1.0 else weight[lo + k]
                wpp[k] = w[k] * p[k] ** 2
            pull[0] = 0.0
            for i in range(n):
                _add_relu(v[i], z[i], pull[0])
            _switched(v, z, dz)
            _matmul(samples.transposed, dz, pull[1:])
            _multiply(w, pull[0], pull[0])
            _matmul(x, pull[1:], dz)
            for i in range(n):
                partial[chunk, i] += _dot_relu(pull[0], z[i]) + _dot_step(wpp, dz[i], z[i])
            for k in range(count):
                if flags[k] == 1.0:
                    slides = _settle_at(k, p[k], q, z, felt, samples, work, ignored)
                    if slides >= 0:
                        _add_particle(weight[lo + k], p[k], v, slides, samples, work, partial[chunk])


@inner
def _dot_step(u, v, z):
    total = 0.0
    for k in range(u.shape[0]):
        total += u[k] * v[k] if z[k] > 0.0 else 0.0
    return total
