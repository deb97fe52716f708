"""Samples on one ray from the origin: one sample to a network of ReLUs, and how close is the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

#: Unit vectors whose entries are closer than this are one ray to the flow: the rounding of the normalisation
#: is a few ulp. (Their cosine would not do: it is 1 to double precision up to angles of 1e-8.)
_SAME_RAY = 1e-14
#: Rays closer than this have kinks that the flow does not tell apart in double precision.
SEPARATE = 1e-11
#: Ratios of entries of two samples that agree up to this share are the same: each is a rounded product.
_RATIO_ROUNDING = 4.0 * float(np.finfo(np.float64).eps)
#: Labels on one ray that agree up to this share are the same.
LABEL_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class Rays:
    """Samples with those on one ray merged, as a ReLU network without biases of its own sees them.

    On samples ``c_i u`` of one ray a positively homogeneous network takes the values ``c_i f(u)``. Their
    squared errors and their pull on every neuron are those of a single sample of length sqrt(sum c_i**2) with
    the target ``sum c_i y_i / sqrt(sum c_i**2)``, but for a constant of the loss: the floor that
    contradictory labels leave. Both times sqrt(k / n) for k rays, means over k samples are those over n.

    Attributes
    ----------
    x : ndarray, shape (k, r)
        One sample for each ray, in the order of their first samples; read-only.
    y : ndarray, shape (k,)
        Its targets; read-only.
    index : ndarray of int, shape (n,), or None
        The ray of each sample, 0 for a sample that is zero; None if each has a ray of its own.
    share : ndarray, shape (n,)
        What is multiplied to a ray's output to get a sample's.
    first : ndarray of int, shape (n,)
        The first sample on the ray of each, -1 for a sample that is zero.
    lost : float
        The constant of the loss R: what is left of it whatever the network does.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    index: NDArray[np.int64] | None
    share: NDArray[np.float64]
    first: NDArray[np.int64]
    lost: float = 0.0

    @classmethod
    def of(
        cls, x: NDArray[np.float64], y: NDArray[np.float64], first: NDArray[np.int64] | None = None
    ) -> Rays:
        """Merge samples x (n, r) with targets y (n,) or (n, c); by default those of one direction."""
        lengths = np.linalg.norm(x, axis=1)
        first = same_direction(x, _SAME_RAY) if first is None else first
        if np.array_equal(first, np.arange(len(x))):
            return cls(x, y, None, np.ones(len(x)), first)
        here = np.flatnonzero(lengths)
        leaders, ray = np.unique(first[here], return_inverse=True)
        c = lengths[here]
        size = np.sqrt(np.bincount(ray, c**2))
        merged = x[leaders] * (size / lengths[leaders])[:, None]
        pulled = (c * y[here].T).T
        columns = [np.bincount(ray, column) / size for column in np.atleast_2d(pulled.T)]
        targets = columns[0] if y.ndim == 1 else np.column_stack(columns)
        scale = np.sqrt(len(leaders) / len(x))
        index, share = np.zeros(len(x), dtype=np.int64), np.zeros(len(x))
        index[here], share[here] = ray, c / size[ray] / scale
        rays = cls(frozen(scale * merged), frozen(scale * targets), index, share, first)
        e, whole = (rays.expand(rays.y) - y).ravel(), y.ravel()
        lost = float(e @ e) / (2 * len(y))
        known = lost > LABEL_ROUNDING**2 * float(whole @ whole) / (2 * len(y))
        return replace(rays, lost=lost if known else 0.0)

    def gather(self, values: NDArray[np.float64], power: int = 1) -> NDArray[np.float64]:
        """Sums over the samples on each ray (k,) of values on the samples (n,), times powers of their shares.

        With the first power derivatives with respect to the samples' outputs become those with respect to the
        rays' outputs, second ones with the second; both for the mean over k rays instead of n samples.
        """
        if self.index is None:
            return values
        k = len(self.x)
        sums = np.bincount(self.index, self.share**power * values, minlength=k)
        return np.asarray(sums * (k / len(self.share)), dtype=np.float64)

    def expand(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values on the samples (n, ...) of what is linear along rays, from those on the rays (k, ...)."""
        if self.index is None:
            return values
        return (self.share * values[self.index].T).T


def same_point(x: NDArray[np.float64], resolution: float) -> NDArray[np.int64]:
    """For each sample the first one that is equal to it, entry by entry, to a share of their length; (n,)."""
    allowed = np.repeat(resolution * np.linalg.norm(x, axis=1)[:, None], x.shape[1], axis=1)
    return _first_equal(x, allowed)


def same_direction(x: NDArray[np.float64], resolution: float) -> NDArray[np.int64]:
    """For each sample the first one whose unit vector is the same, entry by entry; -1 for zeros; (n,)."""
    lengths = np.linalg.norm(x, axis=1)
    here = np.flatnonzero(lengths)
    directions = x[here] / lengths[here, None]
    first = np.full(len(x), -1)
    first[here] = here[_first_equal(directions, np.full(directions.shape, resolution))]
    return first


def same_ray(x: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each sample that is not zero the first one on its ray, in the samples' own coordinates, shape (n,).

    Unit vectors of inputs far from zero agree in all their digits where the inputs do not. With a constant
    column, as the bias is, samples on one ray are equal; without, ratios of all entries agree to rounding.
    """
    if np.any((x == x[0]).all(axis=0) & (x[0] != 0.0)):
        _, first, inverse = np.unique(x + 0.0, axis=0, return_index=True, return_inverse=True)
        return first[inverse.ravel()]
    pivot = np.abs(x[np.arange(len(x)), np.argmax(x != 0.0, axis=1)])
    ratios = x / pivot[:, None]
    return _first_equal(ratios, _RATIO_ROUNDING * np.abs(ratios))


def _first_equal(rows: NDArray[np.float64], allowed: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each row the first one whose entries differ from it by no more than is allowed, shape (n,)."""
    first = np.arange(len(rows))
    # Rows that are close are close in any projection: only those need to be compared.
    probe = np.cos(np.arange(1.0, rows.shape[1] + 1.0))
    rounding = float(np.finfo(np.float64).eps) * rows.shape[1] * np.abs(rows)
    key, doubt = rows @ probe, (allowed + rounding) @ np.abs(probe)
    order = np.argsort(key, kind="stable")
    gaps = np.flatnonzero(np.diff(key[order]) > 2.0 * (doubt[order][1:] + doubt[order][:-1]))
    for near in np.split(order, gaps + 1):
        left = np.sort(near)
        while len(left) > 1:
            on = np.all(np.abs(rows[left] - rows[left[0]]) <= allowed[left[0]], axis=1)
            first[left[on]] = left[0]
            left = left[~on]
    return first


def frozen(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an array that is contiguous and read-only."""
    array = np.ascontiguousarray(array, dtype=np.float64)
    if array.flags.writeable and array.base is not None:
        array = array.copy()
    array.setflags(write=False)
    return array
