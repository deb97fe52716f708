"""The sectors of the plane of q in which the activation pattern is constant, and where a particle is.

The kink of sample i is the line of all q orthogonal to x_i. The kinks cut the plane into sectors, between
two rays each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield.kernels.blocks import ON_KINK
from meanfield.kernels.jit import exact, inner

#: Kinks at a smaller angle than this are one kink.
_SAME_KINK = 4.0 * ON_KINK

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
    """Prepare the geometry of samples, shape (n, 2), that span the plane. Cost: O(n log n).

    Parameters
    ----------
    x : ndarray, shape (n, 2)
        Samples.

    Returns
    -------
    Fan
    """
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


@inner
def _fill_edges(rays, edges):
    """The two rays of every sector, by coordinates: a particle finds them under its sector's number."""
    for s in range(rays.shape[0]):
        right = s + 1 if s + 1 < rays.shape[0] else 0
        edges[0, s], edges[1, s] = rays[s, 0], rays[s, 1]
        edges[2, s], edges[3, s] = rays[right, 0], rays[right, 1]
