"""The kinks of samples, which opposite samples share, and what particles feel there.

The kink of sample i is the hyperplane of all q with q.x_i = 0, and that of a sample x_j = -c x_i is the same:
as a particle crosses it one of the two becomes active, and the other inactive. The gradient jumps by
``e_i x_i - e_j x_j = (e_i + c e_j) x_i``: the kink is that of one sample, its leader, under the residual
``e_i + c e_j``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meanfield.kernels.blocks import ON_KINK, row_lengths
from meanfield.kernels.jit import allocating, exact, kernel

#: Directions that differ by less are on one line: a particle on one's kink is then on the other's.
_SAME_KINK = 0.5 * ON_KINK
#: Up to this many samples all products of two are tabulated (8 MB).
_TABLE = 1024


class Samples(NamedTuple):
    """The samples x (n, r), their transpose, their lengths (n,), products x x' (n, n), and their kinks.

    ``products`` is empty for many samples: they are then computed where they are needed.
    ``leader`` (n,) is the first sample with the same kink, ``same`` (n,) tells whether a sample is active
    where its leader is, and ``ring`` (n,) the next sample of the kink, round and round (itself if alone).
    ``halt`` (1,) is set to something else than zero, from another thread, to make a motion end at once.
    """

    x: np.ndarray
    transposed: np.ndarray
    lengths: np.ndarray
    products: np.ndarray
    leader: np.ndarray
    same: np.ndarray
    ring: np.ndarray
    halt: np.ndarray


def as_samples(x):
    """What the motion needs to know of samples x, shape (n, r); a :class:`Samples` is returned as it is.

    Cost: O(n log n + n r), and n**2 r for up to 1024 samples.

    Parameters
    ----------
    x : ndarray, shape (n, r), or Samples
        What :func:`move` and its kin are given.

    Returns
    -------
    Samples
    """
    return x if isinstance(x, Samples) else _samples(x)


@kernel
def _samples(x):
    """Cost: O(n log n + n r), and n**2 r for up to :data:`_TABLE` samples."""
    n = x.shape[0]
    lengths = row_lengths(x)
    table = n if n <= _TABLE else 0
    products = np.empty((table, table))
    for i in range(table):
        for j in range(table):
            products[i, j] = _dot_row(x[i], x, j)
    leader, same, ring = np.arange(n), np.ones(n, np.bool_), np.arange(n)
    order, key, width = _neighbours(x, lengths)
    lo = 0
    for hi in range(1, n + 1):
        if hi < n and key[order[hi]] - key[order[hi - 1]] <= width:
            continue
        if hi - lo > 1:
            _find_leaders(np.sort(order[lo:hi]), x, lengths, leader, same, ring)
        lo = hi
    halt = np.zeros(1, np.int64)
    return Samples(x, np.ascontiguousarray(x.T), lengths, products, leader, same, ring, halt)


@allocating
def _neighbours(x, lengths):
    """Samples in an order in which those on one line through the origin are neighbours.

    Their directions have the same projection onto any axis, but for the sign. Returns the order, the
    projections and how far apart those of one kink may be.
    """
    n, r = x.shape
    key, probe = np.empty(n), np.cos(np.arange(1.0, r + 1.0))
    for i in range(n):
        key[i] = abs(_dot_row(probe, x, i)) / lengths[i] if lengths[i] > 0.0 else -1.0
    return np.argsort(key, kind="mergesort"), key, 4.0 * _SAME_KINK * np.sum(np.abs(probe))


@exact
def _find_leaders(group, x, lengths, leader, same, ring):
    """Leaders, sides and rings of those samples of a group that share a kink."""
    for b in range(group.shape[0]):
        for a in range(b):
            i, j = group[a], group[b]
            sign = 1.0 if _dot_row(x[i], x, j) > 0.0 else -1.0
            if leader[i] == i and _apart(i, j, sign, x, lengths) <= _SAME_KINK:
                leader[j], same[j] = i, sign > 0.0
                ring[j], ring[i] = ring[i], j
                break


@exact
def _apart(i, j, sign, x, lengths):
    """Largest difference of a coordinate between the directions of two samples, one of them times a sign."""
    if lengths[i] == 0.0 or lengths[j] == 0.0:
        return np.inf
    apart = 0.0
    for c in range(x.shape[1]):
        apart = max(apart, abs(x[i, c] / lengths[i] - sign * x[j, c] / lengths[j]))
        if apart > _SAME_KINK:
            break
    return apart


@exact
def _dot_row(u, rows, i):
    total = 0.0
    for c in range(u.shape[0]):
        total += u[c] * rows[i, c]
    return total


@exact
def _product(i, j, samples):
    """Product of two samples: from the table, or to the same bits without it."""
    if samples.products.shape[0] > 0:
        return samples.products[i, j]
    return _dot_row(samples.x[i], samples.x, j)


@allocating
def _jump(e, samples):
    """Residuals of the kinks (n,), at their leaders, from those of the samples."""
    jump = np.zeros(e.shape[0])
    for j in range(e.shape[0]):
        i = samples.leader[j]
        jump[i] += e[j] if i == j else e[j] * (samples.lengths[j] / samples.lengths[i])
    return jump


class Felt(NamedTuple):
    """What particles feel: residuals over n now and until now (n,), for how long, and the rounding of G.

    ``e`` and ``before`` are those of the samples, ``jump`` and ``jump_before`` those of their kinks.
    """

    e: np.ndarray
    before: np.ndarray
    jump: np.ndarray
    jump_before: np.ndarray
    time: float
    rounding: float
