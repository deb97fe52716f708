"""Kernels for samples that span a plane, such as one-dimensional inputs with a bias: O(N + n).

The kink of sample i is the line of all q orthogonal to x_i. The kinks cut the plane of q into sectors in
which the activation pattern is constant. A particle is found in its sector at once, and everything
that it needs from the samples is a sum over the sector's active ones, from a table of running sums.
The other way round, particles add their moments to their sectors, and a sample's sum over its active
particles is one over the half circle of sectors in which it is active.

Conventions are those of :mod:`meanfield.kernels.dense`, with r = 2. :func:`fan` prepares the geometry of
the samples; ``rays`` below is its number of rays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield.kernels.blocks import ON_KINK
from meanfield.kernels.chunks import BLOCK, chunk_length
from meanfield.kernels.jit import exact, inner, kernel

#: Kinks at a smaller angle than this are one kink.
_SAME_KINK = 4.0 * ON_KINK
#: A gradient below this share of its terms (times the root of their number) is their rounding.
_ROUNDING = 1e-14


Array = NDArray[np.float64]


class Fan(NamedTuple):
    """The rays on which some sample switches, and the sectors between them.

    Attributes
    ----------
    x : ndarray, shape (n, 2)
        The samples.
    rays : ndarray, shape (rays, 2)
        Unit vectors, counterclockwise from the first axis. Sector s reaches from ray s to ray s + 1. Every
        kink has two: ray l and ray l + rays/2 are opposite.
    enter : ndarray of int, shape (n,)
        The sector in which a sample becomes active, counterclockwise; it is so in rays/2 sectors.
    active : ndarray of int, shape (rays,)
        Number of active samples of each sector.
    down : ndarray of int, shape (rays,)
        The side of a ray on which fewer samples are active: 1 left (counterclockwise), -1 right.
    angle : ndarray, shape (rays,)
        Pseudo-angles of the rays, in [0, 4).
    first : ndarray of int, shape (buckets + 1,)
        Number of rays below each of the equidistant pseudo-angles: where a search begins.
    """

    x: Array
    rays: Array
    enter: NDArray[np.int64]
    active: NDArray[np.int64]
    down: NDArray[np.int64]
    angle: Array
    first: NDArray[np.int32]


def fan(x: Array) -> Fan:
    """Prepare the geometry of samples, shape (n, 2), that span the plane. Cost: O(n log n)."""
    lengths = np.hypot(x[:, 0], x[:, 1])
    moving = lengths > 0.0
    lines = np.column_stack([-x[moving, 1], x[moving, 0]]) / lengths[moving, None]
    flipped = (lines[:, 1] < 0.0) | ((lines[:, 1] == 0.0) & (lines[:, 0] < 0.0))
    lines[flipped] *= -1.0
    order = np.argsort(np.arctan2(lines[:, 1], lines[:, 0]), kind="stable")
    lines, flipped = lines[order], flipped[order]
    new = np.append(True, np.abs(_cross(lines[:-1], lines[1:])) > _SAME_KINK)
    line = np.cumsum(new) - 1
    count = int(line[-1]) + 1
    if (
        count > 1 and abs(_cross(lines[:1], lines[-1:])[0]) <= _SAME_KINK
    ):  # nearly a half turn apart: one line
        last = line == line[-1]
        flipped = flipped ^ last
        line, count = np.where(last, 0, line), count - 1
    half = lines[new][:count]
    rays = np.concatenate([half, -half])
    # A sample is active on the counterclockwise side of the ray -Jx, J the quarter turn.
    enter = np.zeros(len(x), dtype=np.int64)
    enter[np.flatnonzero(moving)[order]] = np.where(flipped, line, line + count)
    begin = np.bincount(enter[moving], minlength=2 * count)
    end = np.roll(begin, count)
    running = np.cumsum(begin - end)
    angle = _pseudo_angle(rays)
    buckets = max(512, 16 * count)
    return Fan(
        x=np.ascontiguousarray(x),
        rays=rays,
        enter=enter,
        active=running - running[0] + begin[0] + begin[count + 1 :].sum(),
        down=np.where(end > begin, 1, -1),
        angle=angle,
        first=np.append(np.searchsorted(angle, 4.0 * np.arange(buckets) / buckets), 2 * count).astype(
            np.int32
        ),
    )


def _cross(u, v):
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


def _pseudo_angle(rays):
    share = rays[:, 0] / (np.abs(rays[:, 0]) + np.abs(rays[:, 1]))
    return np.where(rays[:, 1] >= 0.0, 1.0 - share, 3.0 + share)


def over_active(moments: Array, fan: Fan) -> Array:
    """Sum per-sector numbers, shape (rays, c), over the sectors where a sample is active: (n, c)."""
    half = len(fan.rays) // 2
    sums = np.zeros((3 * half + 1, moments.shape[1]))
    np.cumsum(np.concatenate([moments, moments[:half]]), axis=0, out=sums[1:])
    # A sample that enters late goes on beyond the last sector, at the first ones again.
    total: Array = sums[fan.enter + half] - sums[fan.enter]
    return total


def outputs(moments: Array, fan: Fan) -> Array:
    """Outputs on the samples, shape (n,), from the first moments of :func:`first_moments`."""
    f: Array = np.einsum("ic,ic->i", fan.x, over_active(moments, fan))
    return f


def gram(moments: Array, fan: Fan) -> Array:
    """Gram matrix ``x_i . (sum of moments where both are active) x_j``, (n, n). Cost: O(n**2).

    ``moments`` (rays, 3) holds the entries xx, xy, yy of a symmetric matrix per sector.
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
    """Product of :func:`gram` with a vector v, shape (n,), without forming it. Cost: O(n)."""
    G0, G1 = np.empty(len(fan.rays)), np.empty(len(fan.rays))
    _sector_sums(v, fan, G0, G1)
    pulled = np.column_stack(
        [moments[:, 0] * G0 + moments[:, 1] * G1, moments[:, 1] * G0 + moments[:, 2] * G1]
    )
    return outputs(pulled, fan)


@inner
def _locate(q0, q1, fan, here, sector):
    """Sectors of a block of particles; 0 at the origin, and for what is not a finite number.

    In sector 0 such a number spreads to all running sums, and is not lost. ``here`` is scratch;
    ``sector`` holds unsigned integers, so that indexing does not look at their sign.
    """
    angle, first = fan.angle, fan.first
    buckets = first.shape[0] - 1
    per_angle = 0.25 * buckets
    for k in range(here.shape[0]):
        size = abs(q0[k]) + abs(q1[k])
        share = q0[k] / size if 0.0 < size < np.inf else 0.0
        angle_k = 1.0 - share if q1[k] >= 0.0 else 3.0 + share
        here[k] = angle_k if 0.0 < size < np.inf else -1.0
        sector[k] = np.uint32(min(int(angle_k * per_angle), buckets - 1))
    for k in range(here.shape[0]):
        lo, hi = first[sector[k]], first[sector[k] + 1]
        if lo < hi:  # some ray is as near as that
            lo = _bisect(angle, here[k], lo, hi)
        sector[k] = np.uint32(0 if here[k] < 0.0 else lo - 1 if lo > 0 else angle.shape[0] - 1)


@exact
def _sector(q0, q1, fan):
    """Sector of one particle, not at the origin."""
    share = q0 / (abs(q0) + abs(q1))
    lo = _bisect(fan.angle, 1.0 - share if q1 >= 0.0 else 3.0 + share, 0, fan.angle.shape[0])
    return lo - 1 if lo > 0 else fan.angle.shape[0] - 1


@exact
def _bisect(angle, here, lo, hi):
    """Number of rays up to a pseudo-angle, which lies between lo and hi."""
    while lo < hi:
        middle = (lo + hi) // 2
        if angle[middle] <= here:
            lo = middle + 1
        else:
            hi = middle
    return lo


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
def _fill_edges(rays, edges):
    """The two rays of every sector, by coordinates: a particle finds them under its sector's number."""
    for s in range(rays.shape[0]):
        right = s + 1 if s + 1 < rays.shape[0] else 0
        edges[0, s], edges[1, s] = rays[s, 0], rays[s, 1]
        edges[2, s], edges[3, s] = rays[right, 0], rays[right, 1]


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
