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
from meanfield.kernels.jit import allocating, exact

#: Directions that differ by less are on one line: a particle on one's kink is then on the other's.
_SAME_KINK = 0.5 * ON_KINK


class Samples(NamedTuple):
    """The samples x (n, r), their transpose, their lengths (n,), products x x' (n, n), and their kinks.

    ``leader`` (n,) is the first sample with the same kink, ``same`` (n,) tells whether a sample is active
    where its leader is, and ``ring`` (n,) the next sample of the kink, round and round (itself if alone).
    """

    x: np.ndarray
    transposed: np.ndarray
    lengths: np.ndarray
    products: np.ndarray
    leader: np.ndarray
    same: np.ndarray
    ring: np.ndarray


@allocating
def _samples(x):
    n = x.shape[0]
    products, lengths = np.empty((n, n)), row_lengths(x)
    for i in range(n):
        for j in range(n):
            products[i, j] = _dot_row(x[i], x, j)
    leader, same, ring = np.arange(n), np.ones(n, np.bool_), np.arange(n)
    for j in range(n):
        for i in range(j):
            sign = 1.0 if products[i, j] > 0.0 else -1.0
            if leader[i] == i and _apart(i, j, sign, x, lengths) <= _SAME_KINK:
                leader[j], same[j] = i, sign > 0.0
                ring[j], ring[i] = ring[i], j
                break
    return Samples(x, np.ascontiguousarray(x.T), lengths, products, leader, same, ring)


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
