"""Numbers of several seeds: their mean, their error and their band."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from meanfield.arguments import number, one_of, real_array, shown
from meanfield.errors import InputError

Array = NDArray[np.float64]

#: What a band holds: a share of the seeds, or the mean of infinitely many.
Band: TypeAlias = Literal["seeds", "mean"]
BANDS = ("seeds", "mean")


@dataclass(frozen=True, eq=False)
class Spread:
    """What an ensemble found, seed by seed; NumPy takes it as an array of its values.

    Attributes
    ----------
    values : ndarray, shape (S, ...)
        One entry for each seed; nan where a run had ended before.

    Examples
    --------
    >>> spread = Spread(np.array([[1.0, 4.0], [2.0, 4.0], [3.0, 4.0]]))
    >>> spread.mean, spread.std
    (array([2., 4.]), array([1., 0.]))
    >>> spread.band(0.5)
    (array([1.5, 4. ]), array([2.5, 4. ]))
    """

    values: Array

    def __post_init__(self) -> None:
        values = real_array("values", self.values, finite=False)
        if not values.ndim or not len(values):
            raise InputError(f"values has shape {values.shape}; give one entry for each seed, shape (S, ...)")
        object.__setattr__(self, "values", values)

    @property
    def mean(self) -> Array:
        """Mean over the seeds, shape (...); nan where some run had ended."""
        return np.asarray(self.values.mean(axis=0))

    @property
    def median(self) -> Array:
        """Median over the seeds, shape (...); nan where some run had ended."""
        return self.quantile(0.5)

    @property
    def std(self) -> Array:
        """Standard deviation between the seeds, with S - 1, shape (...); nan for one seed."""
        if len(self.values) < 2:
            return np.full(self.values.shape[1:], math.nan)
        with np.errstate(invalid="ignore"):  # infinite displacements of layers that start at zero
            return np.asarray(self.values.std(axis=0, ddof=1))

    @property
    def standard_error(self) -> Array:
        """Standard error of the mean, shape (...); nan for one seed."""
        return np.asarray(self.std / math.sqrt(len(self.values)))

    def quantile(self, q: ArrayLike) -> Array:
        """Quantiles between the seeds.

        Parameters
        ----------
        q : float or array_like, shape (Q,)
            A share of the seeds from 0 to 1, or several: 0.5 is the median.

        Returns
        -------
        ndarray, shape (...) or (Q, ...)
            In the units of the values; nan where some run had ended.

        Raises
        ------
        InputError
            If q is not from 0 to 1, or has more than one dimension.

        Examples
        --------
        >>> Spread(np.array([1.0, 2.0, 4.0])).quantile([0.0, 0.5, 1.0])
        array([1., 2., 4.])
        """
        shares = real_array("q", q)
        if shares.ndim > 1 or not np.all((shares >= 0.0) & (shares <= 1.0)):
            raise InputError(f"q is {shown(q)}; give a share from 0 to 1, or a list of them")
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # infinite values beside finite ones
            return np.asarray(np.quantile(self.values, shares, axis=0))

    def band(self, level: float = 0.9, *, of: Band = "seeds") -> tuple[Array, Array]:
        """Lower and upper end of a band.

        Parameters
        ----------
        level : float, default 0.9
            Share of the seeds, or level of confidence, between 0 and 1.
        of : {"seeds", "mean"}, default "seeds"
            "seeds": the central share of the seeds lies inside (quantiles). "mean": the confidence interval
            of the mean by Student's law, which narrows as seeds are added.

        Returns
        -------
        low, high : ndarray, shape (...)
            In the units of the values; nan where some run had ended.

        Raises
        ------
        InputError
            If level is not between 0 and 1, of is none of these words, or the mean of one seed is asked for.
        """
        level = number("level", level, "a share between 0 and 1, such as 0.9", above=0.0, below=1.0)
        if one_of("of", of, BANDS) == "seeds":
            low, high = self.quantile([0.5 - 0.5 * level, 0.5 + 0.5 * level])
            return low, high
        if len(self.values) < 2:
            raise InputError("one seed has no error of the mean; give two or more")
        from scipy import stats  # a heavy import

        half = float(stats.t.ppf(0.5 + 0.5 * level, len(self.values) - 1)) * self.standard_error
        return self.mean - half, self.mean + half

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=True if copy is None else copy)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        seeds, *shape = self.values.shape
        return f"<Spread: {seeds} seeds of shape {tuple(shape)}>"
