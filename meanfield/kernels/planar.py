"""Kernels for samples that span a plane, such as one-dimensional inputs with a bias: O(N + n).

The activation pattern is constant in each sector of the plane of q (see :class:`Fan`). A particle is found
in its sector at once, and everything that it needs from the samples is a sum over the sector's active
ones, from a table of running sums. The other way round, particles add their moments to their sectors, and
a sample's sum over its active particles is one over the half circle of sectors in which it is active.

Conventions are those of :mod:`meanfield.kernels.dense`, with r = 2. :func:`fan` prepares the geometry of
the samples; ``rays`` below is its number of rays.
"""

from __future__ import annotations

import numpy as np

from meanfield.kernels.blocks import ON_KINK
from meanfield.kernels.chunks import BLOCK, chunk_length
from meanfield.kernels.jit import exact, inner, kernel
from meanfield.kernels.sectors import Array, Fan, _fill_edges, _locate, fan

__all__ = [
    "Fan",
    "fan",
    "first_moments",
    "gram",
    "gram_product",
    "outputs",
    "over_active",
    "pullback",
]


def __dir__() -> list[str]:
    return sorted(__all__)


#: A gradient below this share of its terms (times the root of their number) is their rounding.
_ROUNDING = 1e-14


def over_active(moments: Array, fan: Fan) -> Array:
    """Sum per-sector numbers, shape (rays, c), over the sectors where a sample is active: (n, c).

    Parameters
    ----------
    moments : ndarray, shape (rays, c)
        Numbers per sector.
    fan : Fan
        Geometry of the samples, made by :func:`fan`.

    Returns
    -------
    ndarray, shape (n, c)
    """
    half = len(fan.rays) // 2
    sums = np.zeros((3 * half + 1, moments.shape[1]))
    np.cumsum(np.concatenate([moments, moments[:half]]), axis=0, out=sums[1:])
    # A sample that enters late goes on beyond the last sector, at the first ones again.
    total: Array = sums[fan.enter + half] - sums[fan.enter]
    return total


def outputs(moments: Array, fan: Fan) -> Array:
    """Outputs on the samples, shape (n,), from the first moments of :func:`first_moments`.

    Parameters
    ----------
    moments : ndarray, shape (rays, 2)
        First moments.
    fan : Fan
        Geometry of the samples, made by :func:`fan`.

    Returns
    -------
    ndarray, shape (n,)
    """
    f: Array = np.einsum("ic,ic->i", fan.x, over_active(moments, fan))
    return f


def gram(moments: Array, fan: Fan) -> Array:
    """Gram matrix ``x_i . (sum of moments where both are active) x_j``, (n, n). Cost: O(n**2).

    ``moments`` (rays, 3) holds the entries xx, xy, yy of a symmetric matrix per sector.

    Parameters
    ----------
    moments : ndarray, shape (rays, 3)
        Second moments xx, xy and yy.
    fan : Fan
        Geometry of the samples, made by :func:`fan`.

    Returns
    -------
    ndarray, shape (n, n)
    """
    x, enter, rays = fan.x, fan.enter, len(fan.rays)
    half = rays // 2
    sums = np.zeros((2 * rays + 1, 3))
    np.cumsum(np.concatenate([moments, moments]), axis=0, out=sums[1:])
    # Two half circles overlap from where the later one begins to where the earlier one ends.
    lag = (enter[None, :] - enter[:, None]) % rays
    begin = np.where(lag < half, enter[None, :], enter[:, None])
    length = np.abs(half - lag)
    both = sums[begin + length] - sums[begin]
    x0, x1 = x[:, 0], x[:, 1]
    K = np.outer(x0, x0) * both[..., 0] + np.outer(x1, x1) * both[..., 2]
    K += (np.outer(x0, x1) + np.outer(x1, x0)) * both[..., 1]
    symmetric: Array = 0.5 * (K + K.T)
    return symmetric


def gram_product(moments: Array, v: Array, fan: Fan) -> Array:
    """Product of :func:`gram` with a vector v, shape (n,), without forming it. Cost: O(n).

    Parameters
    ----------
    moments : ndarray, shape (rays, 3)
        Second moments xx, xy and yy.
    v : ndarray, shape (n,)
        A number for each sample.
    fan : Fan
        Geometry of the samples, made by :func:`fan`.

    Returns
    -------
    ndarray, shape (n,)
    """
    G0, G1 = np.empty(len(fan.rays)), np.empty(len(fan.rays))
    _sector_sums(v, fan, G0, G1)
    pulled = np.column_stack(
        [moments[:, 0] * G0 + moments[:, 1] * G1, moments[:, 1] * G0 + moments[:, 2] * G1]
    )
    return outputs(pulled, fan)


@exact
def _field(c, fan, G0, G1):
    """``G[s] = sum of c_i x_i over the samples active in sector s``, by coordinates; returns its rounding."""
    x, enter, active = fan.x, fan.enter, fan.active
    half = G0.shape[0] // 2
    G0[:], G1[:] = 0.0, 0.0
    total0, total1, start0, start1, size = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(x.shape[0]):
        v0, v1, s = c[i] * x[i, 0], c[i] * x[i, 1], enter[i]
        size += abs(v0) + abs(v1)
        total0 += v0
        total1 += v1
        if s == 0 or s > half:
            start0 += v0
            start1 += v1
        if s < half:
            G0[s] += v0
            G1[s] += v1
        else:
            G0[s - half] -= v0
            G1[s - half] -= v1
    G0[0], G1[0] = start0, start1
    for s in range(1, half):
        G0[s] += G0[s - 1]
        G1[s] += G1[s - 1]
    for s in range(half):
        G0[s + half] = total0 - G0[s]
        G1[s + half] = total1 - G1[s]
    rounding = _ROUNDING * np.sqrt(x.shape[0]) * size
    for s in range(2 * half):
        if active[s] == 0 or abs(G0[s]) + abs(G1[s]) <= rounding:
            G0[s], G1[s] = 0.0, 0.0
    return rounding


@kernel
def _sector_sums(c, fan, G0, G1):
    _field(c, fan, G0, G1)


@kernel
def first_moments(theta, weight, fan, first, last, partial):
    """Sums of ``weight p q`` per sector, ``partial`` (chunks, rays, 2): what the output needs.

    ``outputs(partial.sum(axis=0), fan)`` are the outputs without their factor. Cost: about 20 operations
    per particle, whatever n is.

    Parameters
    ----------
    theta : ndarray, shape (3, N)
        State.
    weight : ndarray, shape (N,)
        Multiplicity of each neuron.
    fan : Fan
        Geometry of the samples, made by :func:`fan`.
    first, last : int
        Chunks ``first <= chunk < last``.
    partial : ndarray, shape (chunks, rays, 2)
        Gets the result.
    """
    size = theta.shape[1]
    length = chunk_length(size)
    here, sector = np.empty(BLOCK), np.empty(BLOCK, np.uint32)
    for chunk in range(first, last):
        partial[chunk] = 0.0
        sums = partial[chunk]
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, BLOCK):
            hi = min(lo + BLOCK, stop)
            p, q0, q1, w = theta[0, lo:hi], theta[1, lo:hi], theta[2, lo:hi], weight[lo:hi]
            _locate(q0, q1, fan, here[: hi - lo], sector[: hi - lo])
            _add_first_moments(p, q0, q1, w, sector, sums)


@inner
def _add_first_moments(p, q0, q1, w, sector, sums):
    for k in range(p.shape[0]):
        wp = w[k] * p[k]
        sums[sector[k], 0] += wp * q0[k]
        sums[sector[k], 1] += wp * q1[k]


@kernel
def pullback(theta, c, fan, first, last, out):
    """``out_k = sum_i c_i Phi_ik``, shape (3, N), as :func:`meanfield.kernels.pullback` in O(N + n).

    A neuron on a kink, but for rounding, is inactive there.

    Parameters
    ----------
    theta : ndarray, shape (3, N)
        State.
    c : ndarray, shape (n,)
        A number for each sample.
    fan : Fan
        Geometry of the samples, made by :func:`fan`.
    first, last : int
        Chunks ``first <= chunk < last``.
    out : ndarray, shape (3, N)
        Gets the result.
    """
    size = theta.shape[1]
    length = chunk_length(size)
    G, edges = np.empty((2, fan.rays.shape[0])), np.empty((4, fan.rays.shape[0]))
    _field(c, fan, G[0], G[1])
    _fill_edges(fan.rays, edges)
    here, sector = np.empty(BLOCK), np.empty(BLOCK, np.uint32)
    for chunk in range(first, last):
        stop = min((chunk + 1) * length, size)
        for lo in range(chunk * length, stop, BLOCK):
            hi = min(lo + BLOCK, stop)
            p, q0, q1, v = theta[0, lo:hi], theta[1, lo:hi], theta[2, lo:hi], out[:, lo:hi]
            _locate(q0, q1, fan, here[: hi - lo], sector[: hi - lo])
            _velocity(p, q0, q1, sector, G, edges, v[0], v[1], v[2], here[: hi - lo])
            for k in range(hi - lo):
                if here[k] != 0.0:
                    v[0, k], v[1, k], v[2, k] = _velocity_on_kink(p[k], q0[k], q1[k], c, fan.x)


@inner
def _velocity(p, q0, q1, sector, G, edges, out_p, out_q0, out_q1, on_kink):
    G0, G1, A0, A1, B0, B1 = G[0], G[1], edges[0], edges[1], edges[2], edges[3]
    for k in range(p.shape[0]):
        s = sector[k]
        inside = min(A0[s] * q1[k] - A1[s] * q0[k], B1[s] * q0[k] - B0[s] * q1[k])
        on_kink[k] = 0.0 if inside > ON_KINK * (abs(q0[k]) + abs(q1[k])) else 1.0
        out_p[k] = q0[k] * G0[s] + q1[k] * G1[s]
        out_q0[k] = p[k] * G0[s]
        out_q1[k] = p[k] * G1[s]


@exact
def _velocity_on_kink(p, q0, q1, c, x):
    """The same for one neuron, sample by sample."""
    v_p, v_q0, v_q1 = 0.0, 0.0, 0.0
    near = ON_KINK * (abs(q0) + abs(q1))
    for i in range(x.shape[0]):
        z = q0 * x[i, 0] + q1 * x[i, 1]
        if not z <= near * (abs(x[i, 0]) + abs(x[i, 1])):  # not a number goes on
            v_p += c[i] * z
            v_q0 += p * c[i] * x[i, 0]
            v_q1 += p * c[i] * x[i, 1]
    return v_p, v_q0, v_q1
