"""Dense kernels for samples in any dimension: output, pullback, tangent and Gram matrix.

Conventions of every kernel here (plain arrays, no checks):

- ``theta`` is the state in canonical coordinates, shape (1 + r, N): row 0 holds p, row 1 + c the
  c-th coordinate of q. Neurons are the contiguous axis, so that loops over them vectorise.
- ``x`` holds the samples, shape (n, r); ``weight`` the multiplicities, shape (N,).
- Neurons are taken in chunks, ``first <= chunk < last`` (see :mod:`meanfield.kernels.chunks`). Sums
  over neurons go to one row of ``partial`` per chunk.
- relu'(0) = 0. Comparisons are written so that a pre-activation that is NaN stays NaN in relu.

The feature map of neuron k at sample i is ``Phi_ik = d(p relu(q . x_i))/d(p, q)``:
``(relu(z_ik), p_k 1[z_ik > 0] x_i)`` with the pre-activation ``z_ik = q_k . x_i``.
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
    row_lengths,
)
from meanfield.kernels.chunks import block_length, chunk_length
from meanfield.kernels.jit import inner, kernel


@kernel
def output(theta, weight, x, first, last, partial):
    """Network output without its factor: ``partial[chunk, i] = sum_k weight_k p_k relu(z_ik)``.

    ``partial`` has shape (chunks, n). Cost: n (2 r + 3) flops per neuron.

    Parameters
    ----------
    theta : ndarray, shape (1 + r, N)
        State.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    x : ndarray, shape (n, r)
        Samples.
    first, last : int
        Chunks ``first <= chunk < last``.
    partial : ndarray, shape (chunks, n)
        Gets the result.
    """
    (n, r), size, block = x.shape, theta.shape[1], block_length(x.shape[0])
    q_scratch, z_scratch, wp_block = np.empty(r * block), np.empty(n * block), np.empty(block)
    length = chunk_length(size)
    for chunk in range(first, last):
        partial[chunk, :] = 0.0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, block):
            hi = min(lo + block, stop)
            q, z = _block(q_scratch, r, hi - lo), _block(z_scratch, n, hi - lo)
            wp = wp_block[: hi - lo]
            _multiply(weight[lo:hi], theta[0, lo:hi], wp)
            _load(theta[1:], lo, q)
            _matmul(x, q, z)
            for i in range(n):
                partial[chunk, i] += _dot_relu(wp, z[i])


@kernel
def pullback(theta, c, x, first, last, out):
    """Pull a vector on the samples back to the neurons: ``out_k = sum_i c_i Phi_ik``, shape (1 + r, N).

    With ``c = -e/n`` this is the velocity of the gradient flow. Cost: n (4 r + 4) flops per neuron.

    Parameters
    ----------
    theta : ndarray, shape (1 + r, N)
        State.
    c : ndarray, shape (n,)
        A number for each sample.
    x : ndarray, shape (n, r)
        Samples.
    first, last : int
        Chunks ``first <= chunk < last``.
    out : ndarray, shape (1 + r, N)
        Gets the result.
    """
    (n, r), size, block = x.shape, theta.shape[1], block_length(x.shape[0])
    transposed = np.ascontiguousarray(x.T)
    q_scratch, z_scratch, c_scratch = np.empty(r * block), np.empty(n * block), np.empty(n * block)
    length = chunk_length(size)
    for chunk in range(first, last):
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, block):
            hi = min(lo + block, stop)
            q, z = _block(q_scratch, r, hi - lo), _block(z_scratch, n, hi - lo)
            p, p_out, active = theta[0, lo:hi], out[0, lo:hi], _block(c_scratch, n, hi - lo)
            _load(theta[1:], lo, q)
            _matmul(x, q, z)
            _switched(c, z, active)
            p_out[:] = 0.0
            for i in range(n):
                _add_relu(c[i], z[i], p_out)
            _matmul(transposed, active, q)  # q has been used
            for c_q in range(r):
                _multiply(q[c_q], p, out[1 + c_q, lo:hi])


@kernel
def tangent(theta, weight, v, x, first, last, partial):
    """Change of the output along a velocity: ``partial[chunk, i] = sum_k weight_k Phi_ik . v_k``.

    ``v`` has the shape of ``theta``, ``partial`` (chunks, n). Cost: n (4 r + 5) flops per neuron.

    Parameters
    ----------
    theta : ndarray, shape (1 + r, N)
        State.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    v : ndarray, shape (1 + r, N)
        Velocity.
    x : ndarray, shape (n, r)
        Samples.
    first, last : int
        Chunks ``first <= chunk < last``.
    partial : ndarray, shape (chunks, n)
        Gets the result.
    """
    (n, r), size, block = x.shape, theta.shape[1], block_length(x.shape[0])
    q_scratch, z_scratch, dz_scratch = np.empty(r * block), np.empty(n * block), np.empty(n * block)
    length = chunk_length(size)
    for chunk in range(first, last):
        partial[chunk, :] = 0.0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, block):
            hi = min(lo + block, stop)
            q, z, dz = (
                _block(q_scratch, r, hi - lo),
                _block(z_scratch, n, hi - lo),
                _block(dz_scratch, n, hi - lo),
            )
            _load(theta[1:], lo, q)
            _matmul(x, q, z)
            _load(v[1:], lo, q)
            _matmul(x, q, dz)
            for i in range(n):
                partial[chunk, i] += _tangent_sum(weight[lo:hi], theta[0, lo:hi], v[0, lo:hi], z[i], dz[i])


@inner
def _tangent_sum(w, p, dp, z, dz):
    total = 0.0
    for k in range(w.shape[0]):
        total += 0.0 if z[k] <= 0.0 else w[k] * (z[k] * dp[k] + p[k] * dz[k])
    return total


@kernel
def gram(theta, weight, x, length, first, last, partial_a, partial_w):
    """Two parts of the tangent Gram matrix, shapes (chunks, n, n); only their lower triangles count.

    ``partial_a[chunk, i, j] = sum_k weight_k relu(z_ik) relu(z_jk)`` and
    ``partial_w[chunk, i, j] = sum_k weight_k p_k**2 1[z_ik > 0] 1[z_jk > 0]``; the Gram matrix is
    ``K_ij = a_ij + (x_i . x_j) w_ij``. A neuron on a kink, but for rounding, is inactive there. Chunks
    here hold ``length`` neurons, the caller's choice: many n x n sums may be too many.
    Cost: 2 n r + 2 n (n + 1) flops per neuron.

    Parameters
    ----------
    theta : ndarray, shape (1 + r, N)
        State.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    x : ndarray, shape (n, r)
        Samples.
    length : int
        Neurons of a chunk.
    first, last : int
        Chunks ``first <= chunk < last``.
    partial_a, partial_w : ndarray, shape (chunks, n, n)
        Gets the result.
    """
    (n, r), size, block = x.shape, theta.shape[1], block_length(x.shape[0])
    lengths, q_scratch, z_scratch = row_lengths(x), np.empty(r * block), np.empty(n * block)
    relu_scratch, on_scratch = np.empty(n * block), np.empty(n * block)
    root_scratch, norm_scratch = np.empty(block), np.empty(block)
    for chunk in range(first, last):
        partial_a[chunk], partial_w[chunk] = 0.0, 0.0
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, block):
            hi = min(lo + block, stop)
            q, z = _block(q_scratch, r, hi - lo), _block(z_scratch, n, hi - lo)
            relu, on = _block(relu_scratch, n, hi - lo), _block(on_scratch, n, hi - lo)
            root, norm = root_scratch[: hi - lo], norm_scratch[: hi - lo]
            _load(theta[1:], lo, q)
            _matmul(x, q, z)
            _norms(q, norm)
            _gram_factors(theta[0, lo:hi], weight[lo:hi], z, lengths, norm, root, relu, on)
            _add_products(relu, partial_a[chunk])
            _add_products(on, partial_w[chunk])


@kernel
def combine(base, increments, coefficients, first, last, out):
    """``out = base + sum_j coefficients[j] increments[j]``; base (1 + r, N), increments (j, 1 + r, N).

    Parameters
    ----------
    base : ndarray, shape (1 + r, N)
        State.
    increments : ndarray, shape (j, 1 + r, N)
        Terms.
    coefficients : ndarray, shape (j,)
        Their factors.
    first, last : int
        Chunks ``first <= chunk < last``.
    out : ndarray, shape (1 + r, N)
        Gets the result.
    """
    count, rows, size = increments.shape
    length = chunk_length(size)
    for chunk in range(first, last):
        start = chunk * length
        stop = min(start + length, size)
        for row in range(rows):
            target = out[row, start:stop]
            target[:] = base[row, start:stop]
            for j in range(count):
                factor, term = coefficients[j], increments[j, row, start:stop]
                for k in range(target.shape[0]):
                    target[k] += factor * term[k]


@kernel
def combination_norms(increments, coefficients, weight, first, last, partial, outputs=1):
    """Weighted sums of squares per layer of ``v = sum_j coefficients[j] increments[j]``.

    ``partial[chunk] = (sum w v_p**2, sum w |v_q|**2)``; v itself is not kept.

    Parameters
    ----------
    increments : ndarray, shape (j, 1 + r, N)
        Terms.
    coefficients : ndarray, shape (j,)
        Their factors.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    first, last : int
        Chunks ``first <= chunk < last``.
    partial : ndarray, shape (chunks, 2)
        Gets the result.
    outputs : int, default 1
        Rows of p.
    """
    count, rows, size = increments.shape
    length = chunk_length(size)
    buffer = np.empty(length)
    for chunk in range(first, last):
        start = chunk * length
        stop = min(start + length, size)
        w, v = weight[start:stop], buffer[: stop - start]
        partial[chunk, :] = 0.0
        for row in range(rows):
            v[:] = 0.0
            for j in range(count):
                factor, term = coefficients[j], increments[j, row, start:stop]
                for k in range(v.shape[0]):
                    v[k] += factor * term[k]
            total = 0.0
            for k in range(v.shape[0]):
                total += w[k] * v[k] * v[k]
            partial[chunk, 0 if row < outputs else 1] += total


@kernel
def observe(theta, theta0, weight, first, last, partial, outputs=1):
    """Sums over neurons behind the observables, five per chunk.

    ``sum w (p - p0)**2``, ``sum w |q - q0|**2``, ``sum w p**2``, ``sum w |q|**2`` and
    ``sum w |(p**2 - |q|**2) - (p0**2 - |q0|**2)|``, the drift of what the flow conserves.

    Parameters
    ----------
    theta : ndarray, shape (1 + r, N)
        State.
    theta0 : ndarray, shape (1 + r, N)
        Initial state.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    first, last : int
        Chunks ``first <= chunk < last``.
    partial : ndarray, shape (chunks, 5)
        Gets the result.
    outputs : int, default 1
        Rows of p.
    """
    rows, size = theta.shape
    length = chunk_length(size)
    buffer = np.empty(length)
    for chunk in range(first, last):
        start = chunk * length
        stop = min(start + length, size)
        w, drift = weight[start:stop], buffer[: stop - start]
        partial[chunk, :] = 0.0
        drift[:] = 0.0
        for row in range(rows):
            now, initial = theta[row, start:stop], theta0[row, start:stop]
            sign, layer = (1.0, 0) if row < outputs else (-1.0, 1)
            moved, size2 = 0.0, 0.0
            for k in range(w.shape[0]):
                step = now[k] - initial[k]
                moved += w[k] * step * step
                size2 += w[k] * now[k] * now[k]
                drift[k] += sign * step * (now[k] + initial[k])
            partial[chunk, layer] += moved
            partial[chunk, 2 + layer] += size2
        off = 0.0
        for k in range(w.shape[0]):
            off += w[k] * abs(drift[k])
        partial[chunk, 4] = off
