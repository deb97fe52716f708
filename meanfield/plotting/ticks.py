"""Ticks where something was trained, and nowhere else."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axis import Axis
from numpy.typing import ArrayLike

from meanfield.plotting.style import exact, number


def apart(values: ArrayLike, distance: float) -> list[float]:
    """Ascending values without those closer than a distance to the last one that was kept.

    Examples
    --------
    >>> apart([0.0, 0.1, 0.2, 0.25, 0.4], 0.2)
    [0.0, 0.2, 0.4]
    """
    kept: list[float] = []
    for value in np.unique(np.asarray(values, dtype=np.float64)).tolist():
        if not kept or value - kept[-1] >= distance * (1.0 - 1e-9):
            kept.append(value)
    return kept


def tick_at(axis: Axis, values: ArrayLike, share: float) -> None:
    """Put a tick at each value, and the names of those that are at least a share of their range apart."""
    all_values = np.unique(np.asarray(values, dtype=np.float64))
    named = apart(all_values, share * float(np.ptp(all_values)))
    decimals = max(len(exact(value).partition(".")[2]) for value in named)
    texts = [f"{round(value, 9) + 0.0:.{decimals}f}".replace("-", "\u2212") for value in named]
    axis.set_ticks(named, labels=texts)
    axis.set_ticks([value for value in all_values.tolist() if value not in named], minor=True)


def tick_widths(axis: Axis, widths: ArrayLike) -> None:
    """Put ticks at widths on a logarithmic axis; names of those that are far enough from the one before."""
    m = np.unique(np.asarray(widths, dtype=np.float64))
    logs = apart(np.log(m), 0.13 * math.log(m[-1] / m[0]))
    named = [float(value) for value in m if math.log(value) in logs]
    axis.set_ticks([float(value) for value in m], [number(v) if v in named else "" for v in m.tolist()])
    axis.set_ticks([], minor=True)
