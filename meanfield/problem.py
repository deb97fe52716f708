"""The regression problem: samples with their bias column, targets, and what is exact about both.

Gradient flow moves every input weight inside the span of the samples only, so the flow runs in
``rank`` dimensions however large d is; :attr:`Problem.basis` spans them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.arguments import flag, real_array, squarable_array, text
from meanfield.errors import InputError
from meanfield.rays import LABEL_ROUNDING, SEPARATE, Rays, frozen, same_direction, same_ray


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
        object.__setattr__(self, "x", frozen(inputs))
        object.__setattr__(self, "y", frozen(targets))
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
        return frozen(np.eye(self.d) if rank == self.d else rows[:rank].T)

    @property
    def rank(self) -> int:
        """Dimension of the samples' span: the flow runs in as many dimensions."""
        return int(self.basis.shape[1])

    @cached_property
    def reduced(self) -> NDArray[np.float64]:
        """The samples in coordinates of :attr:`basis`, shape (n, rank)."""
        return self.x if self.rank == self.d else frozen(self.x @ self.basis)

    @cached_property
    def rays(self) -> Rays:
        """The samples with one for each ray from the origin: an equivalent problem, and the way back."""
        return Rays.of(self.reduced, self.y)

    @cached_property
    def _own_rays(self) -> Rays:
        """The samples with one for each ray that they are on, whether or not the flow tells those apart."""
        near = self.rays
        if near.index is None:
            return near
        first = near.first.copy()
        counts = np.bincount(first[first >= 0], minlength=self.n)
        merged = np.flatnonzero((first >= 0) & (counts[first] > 1))
        if merged.size:
            first[merged] = merged[same_ray(self.x[merged])]
        return near if np.array_equal(first, near.first) else Rays.of(self.x, self.y, first)

    @property
    def loss_floor(self) -> float:
        """A loss R that no network can go below: contradictory labels, and samples on one ray.

        The network is positively homogeneous, so on samples ``c_i u`` (c_i >= 0, all on one ray)
        it takes the values ``c_i t`` for a single t; the best t leaves
        ``sum y_i**2 - (sum c_i y_i)**2 / sum c_i**2``. Duplicates are the case c_i = 1 and zero rows
        the case c_i = 0. Samples are on one ray if they are so as they are given: with a bias, if they are
        equal; without, to the rounding of c_i u.
        """
        return self._own_rays.lost

    @cached_property
    def flow_floor(self) -> float:
        """A loss R that training in double precision does not go below, though a network might.

        Larger than ``loss_floor`` if samples with different targets lie within 1e-11 of one direction from
        the origin, as inputs do that are far from zero for their spread.
        """
        unresolved = Rays.of(self.reduced, self.y, same_direction(self.reduced, SEPARATE))
        return max(unresolved.lost, self.rays.lost, self.loss_floor)

    @property
    def far_from_zero(self) -> str:
        """A sentence if a feature varies little around a mean far from zero, where few random neurons bend.

        Empty if none does, and for problems without a bias, which have no place to shift to.

        Examples
        --------
        >>> Problem([1990.0, 2000.0, 2010.0], [0.0, 1.0, 0.0]).far_from_zero.split(";")[0]
        'feature 1 of data runs from 1990 to 2010, far from zero, where random neurons bend'
        """
        features = self.x[:, : self.d_in]
        far = np.flatnonzero(np.abs(features.mean(axis=0)) > 3.0 * features.std(axis=0))
        far = far[np.ptp(features, axis=0)[far] > 0.0]
        if not self.bias or not far.size:
            return ""
        low, high = features[:, far[0]].min(), features[:, far[0]].max()
        return (
            f"feature {far[0] + 1} of {self.name} runs from {low:g} to {high:g}, far from zero, where random "
            "neurons bend; subtract its mean and divide by its standard deviation, as standardise=True of "
            "datasets.load and --standardise do"
        )

    def unseparated(self) -> tuple[int, int] | None:
        """Two samples with different targets that double precision does not tell apart, if any."""
        first = same_direction(self.reduced, SEPARATE)
        # Not those that are on one ray, of which the one function of a network says what is possible.
        own = self._own_rays.first
        apart = np.flatnonzero((first >= 0) & (first != np.arange(self.n)) & (own != own[first]))
        if not apart.size:
            return None
        worst = apart[np.argmax(np.abs(self.y[apart] - self.y[first[apart]]))]
        return int(first[worst]), int(worst)

    @property
    def zero_loss(self) -> float:
        """Loss of the function that is zero: where antisymmetric networks start."""
        return float(self.y @ self.y) / (2 * self.n)

    @property
    def learnable(self) -> float:
        """What can be learned: ``zero_loss - loss_floor``, 0 for targets that are all zero."""
        # Not as the difference: where labels contradict each other, both may be equal to rounding.
        y = self._own_rays.y
        learned = float(y @ y) / (2 * len(y))
        return learned if learned > LABEL_ROUNDING**2 * self.zero_loss else 0.0

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

    def described(self) -> dict[str, Any]:
        """What files keep of a problem beside x and y: plain text and numbers; see :meth:`restored`."""
        return {"bias": self.bias, "name": self.name}

    @classmethod
    def restored(cls, x: ArrayLike, y: ArrayLike, described: Mapping[str, Any]) -> Problem:
        """A problem as a file has kept it, to the bit.

        Parameters
        ----------
        x, y : array_like, shapes (n, d_in) and (n,)
            Samples and targets as the network sees them, without the bias column.
        described : mapping
            What :meth:`described` has returned.
        """
        return cls(x, y, **described)

    def _repr_html_(self) -> str:
        low, high = self.x[:, : self.d_in].min(axis=0), self.x[:, : self.d_in].max(axis=0)
        rows = {
            "samples": self.n,
            "features": self.d_in,
            "d": f"{self.d} (bias included)" if self.bias else f"{self.d} (no bias)",
            "rank": self.rank,
            "inputs": f"from {low.min():.4g} to {high.max():.4g}",
            "targets": f"from {self.y.min():.4g} to {self.y.max():.4g}",
            "loss of zero": self.zero_loss,
        }
        return displays.card(f"Problem {self.name!r}", rows, self.far_from_zero)

    def __repr__(self) -> str:
        return f"<Problem {self.name!r}: n={self.n}, d={self.d}, bias={self.bias}>"


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
