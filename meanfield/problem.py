"""The regression problem: samples with their bias column, targets, and what is exact about both.

Gradient flow moves every input weight inside the span of the samples only, so the flow runs in
``rank`` dimensions however large d is; :attr:`Problem.basis` spans them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import flag, real_array, squarable_array, text
from meanfield.errors import InputError

#: Unit vectors closer than this are one ray: the rounding of the normalisation is a few ulp. (Their
#: cosine would not do: it is 1 to double precision up to angles of 1e-8.)
_SAME_RAY = 1e-14
#: Labels on one ray that agree up to this share are the same.
_LABEL_ROUNDING = 1e-14


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
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    index: NDArray[np.int64] | None
    share: NDArray[np.float64]

    @classmethod
    def of(cls, x: NDArray[np.float64], y: NDArray[np.float64]) -> Rays:
        """Merge samples x (n, r) with targets y (n,)."""
        lengths = np.linalg.norm(x, axis=1)
        here = np.flatnonzero(lengths)
        first = _first_on_ray(x[here] / lengths[here, None])
        if len(here) == len(x) and np.array_equal(first, np.arange(len(x))):
            return cls(x, y, None, np.ones(len(x)))
        leaders, ray = np.unique(first, return_inverse=True)
        c = lengths[here]
        size = np.sqrt(np.bincount(ray, c**2))
        merged = x[here][leaders] * (size / c[leaders])[:, None]
        targets = np.bincount(ray, c * y[here]) / size
        scale = np.sqrt(len(leaders) / len(x))
        index, share = np.zeros(len(x), dtype=np.int64), np.zeros(len(x))
        index[here], share[here] = ray, c / size[ray] / scale
        return cls(_frozen(scale * merged), _frozen(scale * targets), index, share)

    def expand(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values on the samples (n, ...) of what is linear along rays, from those on the rays (k, ...)."""
        if self.index is None:
            return values
        return (self.share * values[self.index].T).T


def _first_on_ray(directions: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each unit vector the first one that is on the same ray, shape (n,)."""
    first = np.arange(len(directions))
    # Neighbours on the sphere are neighbours in any projection: only those need to be compared.
    probe = np.cos(np.arange(1.0, directions.shape[1] + 1.0))
    key = directions @ probe
    order = np.argsort(key, kind="stable")
    gaps = np.flatnonzero(np.diff(key[order]) > 4.0 * _SAME_RAY * np.linalg.norm(probe))
    for near in np.split(order, gaps + 1):
        left = np.sort(near)
        while len(left) > 1:
            on = np.linalg.norm(directions[left] - directions[left[0]], axis=1) <= _SAME_RAY
            first[left[on]] = left[0]
            left = left[~on]
    return first


@dataclass(frozen=True, eq=False, init=False)
class Problem:
    """A regression data set for a two-layer network ``f(x) = (1/alpha) sum_k a_k relu(w_k . x)``.

    Parameters
    ----------
    x : array_like, shape (n,) or (n, d_in)
        Samples, one per row; a one-dimensional array means n samples of one feature.
    y : array_like, shape (n,) or (n, 1)
        Targets.
    bias : bool
        Append a column of ones, so that the last input weight is the neuron's bias (it counts in d).
    name : str
        Short name for figures and tables.

    Attributes
    ----------
    x : ndarray, shape (n, d)
        Samples including the bias column; read-only.
    y : ndarray, shape (n,)
        Targets; read-only.

    Raises
    ------
    InputError
        For arrays that are not numeric, finite and of matching shapes; for all-zero inputs.

    Examples
    --------
    >>> problem = Problem([-1.0, 0.0, 1.0], [1.0, 0.0, 1.0])
    >>> problem.n, problem.d, problem.rank
    (3, 2, 2)
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    bias: bool
    name: str

    def __init__(self, x: ArrayLike, y: ArrayLike, *, bias: bool = True, name: str = "data") -> None:
        inputs, targets = _as_inputs(x), _as_targets(y)
        bias, name = flag("bias", bias), text("name", name)
        if inputs.shape[0] != targets.shape[0]:
            hint = (
                "; give a single sample as x of shape (1, d_in)"
                if targets.shape[0] == 1
                else "; give one row of x for each entry of y"
            )
            raise InputError(f"x holds {inputs.shape[0]} samples but y holds {targets.shape[0]}{hint}")
        if not inputs.any():
            raise InputError(
                f"every input of the {inputs.shape[0]} samples is zero, so nothing can be learned from "
                "them; give x with at least one non-zero entry"
            )
        if bias:
            inputs = np.column_stack([inputs, np.ones(inputs.shape[0])])
        object.__setattr__(self, "x", _frozen(inputs))
        object.__setattr__(self, "y", _frozen(targets))
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "name", name)

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.x.shape[0])

    @property
    def d(self) -> int:
        """Dimension of the input weights, bias included."""
        return int(self.x.shape[1])

    @property
    def d_in(self) -> int:
        """Number of features that the user gives, bias not included."""
        return self.d - int(self.bias)

    @cached_property
    def basis(self) -> NDArray[np.float64]:
        """Orthonormal basis of the samples' span, shape (d, rank); the identity at full rank."""
        _, singular, rows = np.linalg.svd(self.x, full_matrices=False)
        rank = int(np.sum(singular > singular[0] * max(self.x.shape) * np.finfo(np.float64).eps))
        return _frozen(np.eye(self.d) if rank == self.d else rows[:rank].T)

    @property
    def rank(self) -> int:
        """Dimension of the samples' span: the flow runs in as many dimensions."""
        return int(self.basis.shape[1])

    @cached_property
    def reduced(self) -> NDArray[np.float64]:
        """The samples in coordinates of :attr:`basis`, shape (n, rank)."""
        return self.x if self.rank == self.d else _frozen(self.x @ self.basis)

    @cached_property
    def rays(self) -> Rays:
        """The samples with one for each ray from the origin: an equivalent problem, and the way back."""
        return Rays.of(self.reduced, self.y)

    @cached_property
    def loss_floor(self) -> float:
        """A loss R that no network can go below: contradictory labels, and samples on one ray.

        The network is positively homogeneous, so on samples ``c_i u`` (c_i >= 0, all on one ray)
        it takes the values ``c_i t`` for a single t; the best t leaves
        ``sum y_i**2 - (sum c_i y_i)**2 / sum c_i**2``. Duplicates are the case c_i = 1 and zero rows
        the case c_i = 0.
        """
        e = self.rays.expand(self.rays.y) - self.y
        floor = float(e @ e) / (2 * self.n)
        return floor if floor > _LABEL_ROUNDING**2 * self.zero_loss else 0.0

    @property
    def zero_loss(self) -> float:
        """Loss of the function that is zero: where antisymmetric networks start."""
        return float(self.y @ self.y) / (2 * self.n)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the data: two problems with the same samples and targets share it."""
        digest = hashlib.sha256(repr((self.x.shape, self.bias)).encode())
        for array in (self.x, self.y):
            digest.update((array + 0.0).tobytes())  # adding zero turns -0.0 into 0.0
        return digest.hexdigest()

    def loss(self, output: NDArray[np.float64]) -> float:
        """Loss ``R = (1/2n) sum_i (f(x_i) - y_i)**2`` of outputs on the samples, shape (n,)."""
        values = real_array("output", output)
        if values.shape != self.y.shape:
            raise InputError(f"output has shape {values.shape}; give one value per sample, shape ({self.n},)")
        e = values - self.y
        return float(np.dot(e, e)) / (2 * self.n)

    def with_bias(self, x: ArrayLike) -> NDArray[np.float64]:
        """Turn a user's new inputs, shape (k,) or (k, d_in), into rows of d entries.

        Raises
        ------
        InputError
            If the number of features differs from the problem's.
        """
        points = _as_inputs(x)
        if points.shape[1] != self.d_in:
            raise InputError(
                f"x has {points.shape[1]} features but the problem has {self.d_in}; "
                f"give points of shape (k, {self.d_in})"
            )
        return np.column_stack([points, np.ones(len(points))]) if self.bias else points

    def __repr__(self) -> str:
        return f"<Problem {self.name!r}: n={self.n}, d={self.d}, bias={self.bias}>"


def _frozen(array: NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.ascontiguousarray(array, dtype=np.float64)
    if array.flags.writeable and array.base is not None:
        array = array.copy()
    array.setflags(write=False)
    return array


def _as_inputs(x: ArrayLike) -> NDArray[np.float64]:
    array = squarable_array("x", x)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"x has shape {np.shape(x)}; give (n,) or (n, d_in) with n, d_in >= 1")
    return array


def _as_targets(y: ArrayLike) -> NDArray[np.float64]:
    array = squarable_array("y", y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"y has shape {np.shape(y)}; give one target per sample, shape (n,)")
    return array
