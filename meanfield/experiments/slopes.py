"""Exponents from ensembles: the slope of log RD against log m, with an interval, and its verdict."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: A slope whose whole interval is closer to zero than this counts as zero: finite widths cannot
#: tell it from a critical one (the published map's own scatter is 0.04).
CRITICAL_BAND = 0.05


class Verdict(enum.Enum):
    """What an ensemble of finite widths says about the regime."""

    LINEAR = "linear"
    CRITICAL = "critical"
    CONDENSED = "condensed"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Slope:
    """A measured exponent.

    Attributes
    ----------
    value, low, high : float
        Estimate and confidence interval; nan if there are too few points.
    points : int
        Runs that it rests on.
    """

    value: float
    low: float
    high: float
    points: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def verdict(self) -> Verdict:
        """Critical if the interval lies within +-0.05; else the sign, if it is certain."""
        if math.isnan(self.value):
            return Verdict.UNDECIDED
        if self.low >= -CRITICAL_BAND and self.high <= CRITICAL_BAND:
            return Verdict.CRITICAL
        if not self.excludes_zero:
            return Verdict.UNDECIDED
        return Verdict.CONDENSED if self.value > 0 else Verdict.LINEAR


def fit_slope(widths: ArrayLike, values: ArrayLike, *, confidence: float = 0.95) -> Slope:
    """Slope of log values against log widths, over seeds.

    Every seed gives a least-squares slope of its own, and their mean is the estimate. Draws are
    nested over widths and scatter less the wider they are, so that the deviations from a fitted line
    are neither independent nor alike; the slopes of different seeds are both. With three seeds or
    more the interval is therefore Student's over the seeds' slopes. With fewer, all that is left
    are the deviations from the lines: the interval then takes them for independent, and is rough.

    Parameters
    ----------
    widths : array_like, shape (W,)
        Widths m.
    values : array_like, shape (W, S)
        Positive values for each width and seed; nan where a run is missing.
    confidence : float
        Level of the interval.

    Returns
    -------
    Slope

    Examples
    --------
    >>> slope = fit_slope([10, 100, 1000], [[0.5], [5.1], [49.0]])
    >>> round(slope.value, 2), slope.low < 1 < slope.high
    (1.0, True)
    """
    from scipy import stats

    m = np.asarray(widths, dtype=np.float64)
    y = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_y = np.where(y > 0, np.log(y), np.nan)
    log_m = np.broadcast_to(np.log(m)[:, None], log_y.shape)
    usable = np.isfinite(log_y)
    usable &= (usable.sum(axis=0) >= 2)[None, :]  # a seed with one width says nothing about a slope
    points, seeds = int(usable.sum()), int(usable.any(axis=0).sum())
    if seeds == 0:
        return Slope(math.nan, math.nan, math.nan, 0)
    dx, dy = _centred(log_m, usable), _centred(log_y, usable)
    spread = (dx**2).sum(axis=0)
    fitted = spread > 0
    slopes = (dx * dy).sum(axis=0)[fitted] / spread[fitted]
    value = float(slopes.mean())
    if seeds >= 3:
        error, freedom = float(slopes.std(ddof=1)) / math.sqrt(seeds), seeds - 1
    else:
        freedom = points - 2 * seeds
        if freedom < 1:
            return Slope(value, -math.inf, math.inf, points)
        residual = float(((dy[:, fitted] - slopes * dx[:, fitted]) ** 2).sum()) / freedom
        error = math.sqrt(residual * float((1.0 / spread[fitted]).sum())) / seeds
    half = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
    return Slope(value, value - half, value + half, points)


def _centred(values: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Deviations from each seed's mean over its usable widths; zero where not usable."""
    kept = np.where(usable, values, 0.0)
    means = kept.sum(axis=0) / np.maximum(usable.sum(axis=0), 1)
    return np.where(usable, values - means, 0.0)
