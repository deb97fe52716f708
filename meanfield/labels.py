"""Targets that look like class labels, which nobody should regress by accident."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

#: Most different whole numbers that are taken for classes.
_MOST_CLASSES = 100
#: Most values that the sentence lists.
_MOST_LISTED = 5


def look_like_labels(y: NDArray[np.float64]) -> bool:
    """Whether targets (n,) are few different whole numbers, each of which occurs twice or more on average.

    Booleans are whole numbers here, and so are floats without a fractional part: a file does not tell. Two
    values of any other kind are not labels: a function that is even has them on four points.
    """
    values = np.unique(y)
    few = 2 <= len(values) <= min(len(y) / 2, _MOST_CLASSES)
    return few and bool(np.all(values == np.round(values)))


def warn_of_labels(y: NDArray[np.float64]) -> None:
    """Say it if targets look like labels, and what the choices are; called by the constructor of Problem."""
    if y.ndim == 2 or not look_like_labels(y):
        return
    values = np.unique(y)
    few = ", ".join(f"{value:g}" for value in values[:_MOST_LISTED])
    more = ", ..." if len(values) > _MOST_LISTED else ""
    two = set(values.tolist()) in ({-1.0, 1.0}, {0.0, 1.0})
    classify = "loss='logistic' to classify" if two else "labels 0 and 1 with loss='logistic' for two classes"
    warnings.warn(
        f"y holds only {len(values)} different values ({few}{more}) on {len(y)} samples, as class labels do, "
        f"and is regressed on by the mean square; give {classify}, or loss='mean-square' if they are numbers",
        UserWarning,
        stacklevel=3,
    )
