"""Algebra of one block of neurons, of which the kernels for samples in any dimension are made.

The functions take views of equal length: loops over views vectorise, loops with offsets do not.
Two-dimensional ones are contiguous, see `_block`: of a slice of columns the compiler does not know that
the stride is one, and products stay scalar. Names and conventions are those of
:mod:`meanfield.kernels.dense`.
"""

from __future__ import annotations

import numpy as np

from meanfield.kernels.jit import allocating, inner

#: |z_i| up to this share of |q||x_i| is on the kink of sample i: rounding of a position set there.
ON_KINK = 1e-12


@allocating
def _block(scratch, rows, count):
    """Contiguous (rows, count) view of scratch memory, for a block of ``count`` neurons."""
    return scratch[: rows * count].reshape((rows, count))


@inner
def _load(rows, lo, block):
    """Copy columns from ``lo`` on into a block."""
    for c in range(block.shape[0]):
        source, target = rows[c, lo : lo + block.shape[1]], block[c]
        for k in range(target.shape[0]):
            target[k] = source[k]


@inner
def _preactivation(q, x_i, z):
    """z[k] = q_k . x_i for a block of neurons; q has shape (r, block)."""
    r = x_i.shape[0]
    if r == 1:
        q0, x0 = q[0], x_i[0]
        for k in range(z.shape[0]):
            z[k] = q0[k] * x0
        return
    q0, q1, x0, x1 = q[0], q[1], x_i[0], x_i[1]
    for k in range(z.shape[0]):
        z[k] = q0[k] * x0 + q1[k] * x1
    c = 2
    while c + 3 < r:
        q0, q1, q2, q3 = q[c], q[c + 1], q[c + 2], q[c + 3]
        x0, x1, x2, x3 = x_i[c], x_i[c + 1], x_i[c + 2], x_i[c + 3]
        for k in range(z.shape[0]):
            z[k] += (q0[k] * x0 + q1[k] * x1) + (q2[k] * x2 + q3[k] * x3)
        c += 4
    while c < r:
        q0, x0 = q[c], x_i[c]
        for k in range(z.shape[0]):
            z[k] += q0[k] * x0
        c += 1


@inner
def _multiply_tile(A, i, c, B, out):
    """``out[i:i+4] += A[i:i+4, c:c+4] B[c:c+4]``: sixteen products for eight loads and four stores."""
    b0, b1, b2, b3 = B[c], B[c + 1], B[c + 2], B[c + 3]
    o0, o1, o2, o3 = out[i], out[i + 1], out[i + 2], out[i + 3]
    a00, a01, a02, a03 = A[i, c], A[i, c + 1], A[i, c + 2], A[i, c + 3]
    a10, a11, a12, a13 = A[i + 1, c], A[i + 1, c + 1], A[i + 1, c + 2], A[i + 1, c + 3]
    a20, a21, a22, a23 = A[i + 2, c], A[i + 2, c + 1], A[i + 2, c + 2], A[i + 2, c + 3]
    a30, a31, a32, a33 = A[i + 3, c], A[i + 3, c + 1], A[i + 3, c + 2], A[i + 3, c + 3]
    for k in range(b0.shape[0]):
        t0, t1, t2, t3 = b0[k], b1[k], b2[k], b3[k]
        s0 = o0[k] + (a00 * t0 + a01 * t1 + a02 * t2 + a03 * t3)
        s1 = o1[k] + (a10 * t0 + a11 * t1 + a12 * t2 + a13 * t3)
        s2 = o2[k] + (a20 * t0 + a21 * t1 + a22 * t2 + a23 * t3)
        s3 = o3[k] + (a30 * t0 + a31 * t1 + a32 * t2 + a33 * t3)
        # All loads before all stores: only then the loop vectorises.
        o0[k], o1[k], o2[k], o3[k] = s0, s1, s2, s3


@inner
def _matmul(A, B, out):
    """``out = A B`` for a block of neurons: B has shape (c, block), out (rows, block)."""
    rows, columns = A.shape
    tiled = rows - rows % 4 if columns > 3 else 0
    for i in range(tiled):
        out[i] = 0.0
    for i in range(0, tiled, 4):
        for c in range(0, columns - 3, 4):
            _multiply_tile(A, i, c, B, out)
        for j in range(i, i + 4):
            for c in range(columns - columns % 4, columns):
                _add_multiple(A[j, c], B[c], out[j])
    for i in range(tiled, rows):
        _preactivation(B, A[i], out[i])


@inner
def _add_multiple(factor, v, out):
    for k in range(out.shape[0]):
        out[k] += factor * v[k]


@inner
def _switched(c, z, out):
    """``out_ik = c_i`` where sample i is active for neuron k, else 0."""
    for i in range(z.shape[0]):
        c_i, z_i, out_i = c[i], z[i], out[i]
        for k in range(z_i.shape[0]):
            out_i[k] = c_i if z_i[k] > 0.0 else 0.0


@inner
def _multiply(u, v, out):
    for k in range(out.shape[0]):
        out[k] = u[k] * v[k]


@inner
def _dot(u, v):
    total = 0.0
    for k in range(u.shape[0]):
        total += u[k] * v[k]
    return total


@inner
def _dot_relu(u, z):
    total = 0.0
    for k in range(u.shape[0]):
        total += u[k] * (0.0 if z[k] < 0.0 else z[k])
    return total


@inner
def _add_relu(c, z, out):
    for k in range(out.shape[0]):
        out[k] += c * (0.0 if z[k] < 0.0 else z[k])


@allocating
def row_lengths(x):
    """Euclidean lengths of the rows."""
    lengths = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        lengths[i] = np.sqrt(_dot(x[i], x[i]))
    return lengths


@inner
def _norms(q, out):
    """Euclidean norms of a block of neurons' q."""
    out[:] = 0.0
    for c in range(q.shape[0]):
        q_c = q[c]
        for k in range(out.shape[0]):
            out[k] += q_c[k] * q_c[k]
    for k in range(out.shape[0]):
        out[k] = np.sqrt(out[k])


@inner
def _gram_factors(p, w, z, lengths, norm, root, relu, on):
    """The rows whose products are the Gram matrix: ``root relu(z_i)`` and ``root p 1[z_i > 0]``.

    Half of the weight goes into each factor: the sums are then squares on the diagonal.
    """
    for k in range(root.shape[0]):
        root[k] = np.sqrt(w[k])
    for i in range(z.shape[0]):
        z_i, relu_i, on_i, edge = z[i], relu[i], on[i], ON_KINK * lengths[i]
        for k in range(root.shape[0]):
            on_i[k] = root[k] * p[k] if z_i[k] > edge * norm[k] else 0.0
            relu_i[k] = 0.0 if z_i[k] < 0.0 else root[k] * z_i[k]


@inner
def _dot_tile(rows, i, j, out):
    """``out[i:i+4, j:j+4] += rows[i:i+4] rows[j:j+4]'``: sixteen products for eight loads."""
    u0, u1, u2, u3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
    v0, v1, v2, v3 = rows[j], rows[j + 1], rows[j + 2], rows[j + 3]
    s00, s01, s02, s03, s10, s11, s12, s13 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    s20, s21, s22, s23, s30, s31, s32, s33 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(u0.shape[0]):
        a0, a1, a2, a3 = u0[k], u1[k], u2[k], u3[k]
        b0, b1, b2, b3 = v0[k], v1[k], v2[k], v3[k]
        s00 += a0 * b0
        s01 += a0 * b1
        s02 += a0 * b2
        s03 += a0 * b3
        s10 += a1 * b0
        s11 += a1 * b1
        s12 += a1 * b2
        s13 += a1 * b3
        s20 += a2 * b0
        s21 += a2 * b1
        s22 += a2 * b2
        s23 += a2 * b3
        s30 += a3 * b0
        s31 += a3 * b1
        s32 += a3 * b2
        s33 += a3 * b3
    for a, sums in enumerate(
        ((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33))
    ):
        for b in range(4):
            out[i + a, j + b] += sums[b]


@inner
def _add_products(rows, out):
    """Add ``rows rows'`` to the lower triangle of out, by tiles; tiles on the diagonal add above it, too."""
    n = rows.shape[0]
    tiled = n - n % 4
    for i in range(0, tiled, 4):
        for j in range(0, i + 1, 4):
            _dot_tile(rows, i, j, out)
    for i in range(tiled, n):
        for j in range(i + 1):
            out[i, j] += _dot(rows[i], rows[j])
