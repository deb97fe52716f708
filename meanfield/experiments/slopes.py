"""Exponents from ensembles: slope of log RD against log m, its change with m, intervals, a verdict.

Estimators, intervals and what they assume: docs/statistics.md.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import level, real_array, shown
from meanfield.errors import InputError

Array = NDArray[np.float64]

#: A slope whose whole interval is closer to zero than this counts as zero: finite widths cannot
#: tell it from a critical one (the published map's own scatter is 0.04).
CRITICAL_BAND = 0.05
#: From this number of seeds on, the scatter between them is the error of their mean.
_ENOUGH_SEEDS = 3
#: Bound on how far the mean of log RD over networks is off its limit at the same width, in units of its
#: variance (measured 0.2 to 1.9: docs/statistics.md).
_FLUCTUATION = 2.0
#: Widths closer than this share of themselves are one: the logarithms would differ by their rounding.
_SAME_WIDTH = 1e-9


class Verdict(enum.Enum):
    """What an ensemble of finite widths says about the regime."""

    LINEAR = "linear"
    CRITICAL = "critical"
    CONDENSED = "condensed"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Bend:
    """How the slope changes over the widths: a parabola instead of a line through log RD over log m.

    Attributes
    ----------
    value, low, high : float
        Local slope at the widest minus that at the narrowest width, with its confidence interval.
    end, end_low, end_high : float
        Local slope at the widest width, with its confidence interval.
    """

    value: float
    low: float
    high: float
    end: float
    end_low: float
    end_high: float

    @property
    def significant(self) -> bool:
        """Whether the slope changes with the width beyond its error: it is not yet asymptotic."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True)
class Slope:
    """A measured exponent.

    Attributes
    ----------
    value, low, high : float
        Estimate and confidence interval; nan if there are too few points.
    points : int
        Runs that it rests on.
    bend : Bend or None
        Its change over the widths; None where fewer than three widths, or too few runs, tell nothing.
    fluctuation : float
        How far the mean slope of infinitely many such networks may be from the slope of the limit's dynamics
        at the same widths, both without sampling noise: log RD is no linear function of the draw, so that its
        mean is off by about its variance, which falls like 1/m. 0 where the scatter is not known.
    """

    value: float
    low: float
    high: float
    points: int
    bend: Bend | None = None
    fluctuation: float = 0.0

    @property
    def allowing_for_fluctuations(self) -> tuple[float, float]:
        """The interval, wide enough for the limit's dynamics at the same widths."""
        return self.low - self.fluctuation, self.high + self.fluctuation

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def not_yet_asymptotic(self) -> bool:
        """Whether the slope still changes with the width, beyond its error."""
        return self.bend is not None and self.bend.significant

    @property
    def verdict(self) -> Verdict:
        """Critical if the interval lies within +-0.05; else the sign, if it is certain.

        A slope that is not yet asymptotic decides only what the local slope at the widest width says, too.
        """
        verdict = _decide(self.value, self.low, self.high)
        if self.bend is None or not self.bend.significant:
            return verdict
        at_the_end = _decide(self.bend.end, self.bend.end_low, self.bend.end_high)
        return verdict if verdict is at_the_end else Verdict.UNDECIDED


def fit_slope(widths: ArrayLike, values: ArrayLike, *, confidence: float = 0.95) -> Slope:
    """Slope of log values against log widths, over seeds.

    Every seed gives a least-squares slope of its own, and their mean is the estimate. Draws are
    nested over widths and scatter less the wider they are, so that the deviations from a fitted line
    are neither independent nor alike; the slopes of different seeds are both. With three seeds or
    more the interval is therefore Student's over the seeds' slopes, whatever the deviations do. With
    fewer, it knows how draws are nested: see Notes. The :attr:`Slope.bend` is treated alike.

    Parameters
    ----------
    widths : array_like, shape (W,)
        Widths m, all different.
    values : array_like, shape (W, S)
        Positive values for each width and seed; nan where a run is missing.
    confidence : float, default 0.95
        Level of the intervals.

    Returns
    -------
    Slope

    Raises
    ------
    InputError
        If widths are no positive numbers or two of them equal, values do not fit them, or the level is none.

    Notes
    -----
    To leading order log RD at width m deviates from its expectation by a mean over the first m neurons of
    one sequence of draws. Deviations at m and m' then have the covariance ``sigma**2 / max(m, m')``: a
    Brownian motion in the time 1/m. One or two seeds give sigma from generalised least squares, and with
    it the error of the ordinary least-squares slope.

    Examples
    --------
    >>> slope = fit_slope([10, 100, 1000], [[0.5], [5.1], [49.0]])
    >>> round(slope.value, 2), slope.low < 1 < slope.high
    (1.0, True)
    """
    m, y = _checked(widths, values)
    confidence = level(confidence)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_y = np.where(y > 0, np.log(y), np.nan)
    log_m = np.log(m)
    first, last = float(log_m.min(initial=math.inf)), float(log_m.max(initial=-math.inf))
    line = _Fit.of_seeds(m, log_y, degree=1, confidence=confidence)
    points = int(sum(len(seed.m) for seed in line.seeds))
    value, low, high = line.interval(lambda x: np.array([0.0, 1.0]))
    parabola = _Fit.of_seeds(m, log_y, degree=2, confidence=confidence)
    change = parabola.interval(lambda x: np.array([0.0, 0.0, 2.0 * (last - first)]))
    end = parabola.interval(lambda x: np.array([0.0, 1.0, 2.0 * (last - x)]))
    known = math.isfinite(change[1]) and math.isfinite(change[2])
    return Slope(value, low, high, points, Bend(*change, *end) if known else None, line.fluctuation())


def slope_weights(widths: ArrayLike) -> Array:
    """Weights of log values in their least-squares slope against log m, shape (W,).

    Examples
    --------
    >>> slope_weights([1.0, math.e, math.e**2]).round(12) + 0.0
    array([-0.5,  0. ,  0.5])
    """
    x = np.log(np.asarray(widths, dtype=np.float64))
    x -= x.mean()
    return np.asarray(x / (x @ x))


def _checked(widths: ArrayLike, values: ArrayLike) -> tuple[Array, Array]:
    m = real_array("widths", widths)
    if m.ndim != 1 or not np.all(m > 0.0):
        raise InputError(f"widths is {shown(widths)}; give a list of positive numbers")
    if np.any(np.diff(np.sort(m)) <= _SAME_WIDTH * np.sort(m)[1:]):
        raise InputError(f"widths holds a value twice: {list(m)}; average its runs, or give each width once")
    try:
        y = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"values is not an array of numbers ({error}); give real numbers") from None
    if y.ndim != 2 or len(y) != len(m):
        raise InputError(
            f"values has shape {y.shape}; give one row for each of the {len(m)} widths, one column a seed"
        )
    return m, y


@dataclass(frozen=True, eq=False)
class _Seed:
    """Usable runs of one seed: widths, their logarithms about a centre, values, design matrix."""

    m: Array
    centre: float
    y: Array
    design: Array

    def weights(self, functional: Array) -> Array:
        """Weights of the values in a linear functional of the fitted coefficients, shape (k,)."""
        return np.asarray(functional @ np.linalg.pinv(self.design))

    def nested_misfit(self) -> float:
        """Sum of squares that generalised least squares leave, in units of sigma**2."""
        root = np.linalg.cholesky(_nested(self.m))
        design, y = np.linalg.solve(root, self.design), np.linalg.solve(root, self.y)
        rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        return float(rest @ rest)


@dataclass(frozen=True, eq=False)
class _Fit:
    """Polynomials in log m through the logarithms of each seed."""

    seeds: list[_Seed]
    degree: int
    confidence: float

    @classmethod
    def of_seeds(cls, m: Array, log_y: Array, *, degree: int, confidence: float) -> _Fit:
        """Seeds with enough widths for the degree: fewer say nothing about it."""
        seeds = []
        for y in log_y.T:
            usable = np.isfinite(y)
            if usable.sum() > degree:
                x = np.log(m[usable])
                centre = float(x.mean())
                design = np.vander(x - centre, degree + 1, increasing=True)
                seeds.append(_Seed(m[usable], centre, y[usable], design))
        return cls(seeds, degree, confidence)

    def interval(self, functional: Callable[[float], Array]) -> tuple[float, float, float]:
        """Estimate and interval of a functional of the coefficients about a centre of log m."""
        from scipy import stats

        if not self.seeds:
            return math.nan, math.nan, math.nan
        weights = [seed.weights(functional(seed.centre)) for seed in self.seeds]
        estimates = np.array([w @ seed.y for w, seed in zip(weights, self.seeds, strict=True)])
        value, count = float(estimates.mean()), len(estimates)
        if count >= _ENOUGH_SEEDS:
            error, freedom = float(estimates.std(ddof=1)) / math.sqrt(count), count - 1
        else:
            freedom = sum(len(seed.m) - self.degree - 1 for seed in self.seeds)
            if freedom < 1:
                return value, -math.inf, math.inf
            variance = sum(seed.nested_misfit() for seed in self.seeds) / freedom
            spread = sum(float(w @ _nested(s.m) @ w) for w, s in zip(weights, self.seeds, strict=True))
            error = math.sqrt(variance * spread) / count
        half = float(stats.t.ppf(0.5 + self.confidence / 2, freedom)) * error
        return value, value - half, value + half

    def fluctuation(self) -> float:
        """:attr:`Slope.fluctuation`: what the variance of log RD, as a bias of its mean, adds to a slope.

        The variance falls like 1/m; m times it is one number, for which the median over widths is taken.
        """
        values: dict[float, list[float]] = {}
        for seed in self.seeds:
            for m, y in zip(seed.m.tolist(), seed.y.tolist(), strict=True):
                values.setdefault(m, []).append(y)
        if len(self.seeds) >= _ENOUGH_SEEDS:
            known = [m * float(np.var(y, ddof=1)) for m, y in values.items() if len(y) > 1]
            variance = float(np.median(known)) if known else 0.0
        else:
            freedom = sum(len(seed.m) - self.degree - 1 for seed in self.seeds)
            if freedom < 1:
                return 0.0
            variance = sum(float(s.m.min()) * s.nested_misfit() for s in self.seeds) / freedom
        m = np.array(sorted(values))
        return _FLUCTUATION * variance * abs(float(slope_weights(m) @ (1.0 / m)))


def _nested(m: Array) -> Array:
    """Covariance of means over the first m of one sequence of draws, in units of the smallest m's."""
    return np.asarray(m.min() / np.maximum.outer(m, m))


def _decide(value: float, low: float, high: float) -> Verdict:
    if math.isnan(value):
        return Verdict.UNDECIDED
    if low >= -CRITICAL_BAND and high <= CRITICAL_BAND:
        return Verdict.CRITICAL
    if not (low > 0.0 or high < 0.0):
        return Verdict.UNDECIDED
    return Verdict.CONDENSED if value > 0 else Verdict.LINEAR
