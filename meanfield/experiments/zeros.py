"""Where a measured slope changes sign along gamma: the one estimator of zeros, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.experiments.reference import ReferenceSlope
from meanfield.experiments.slopes import Slope
from meanfield.regime import boundary_gamma

Array = NDArray[np.float64]

#: Points at which curves are compared with zero, between which they count as straight.
_MESH = 4001
#: Stands for an infinite end of a slope's interval.
_OPEN = 1e9


@dataclass(frozen=True)
class Zero:
    """Where the measured slope S_w changes sign along gamma, at one gamma_prime.

    Attributes
    ----------
    gamma_prime, gamma : float
        The point of the plane.
    low, high : float
        Confidence interval of gamma; infinite on a side where nothing measured bounds it.
    """

    gamma_prime: float
    gamma: float
    low: float
    high: float


def locate(
    gamma_prime: float,
    gamma: Array,
    slopes: Sequence[Slope],
    shape: ReferenceSlope | None = None,
) -> Zero | None:
    """The upward zero of slopes measured at some gamma, nearest to the theory's boundary; None without one.

    What is interpolated linearly between the points is the difference from a known shape, which is smooth
    and small; beyond the outermost points it stays as it is. The interval holds every gamma around the zero
    at which zero lies within the slope's interval, widened by the interpolation's error, and by what the
    mean of finite networks may be off (:attr:`Slope.fluctuation`).

    Parameters
    ----------
    gamma_prime : float
        Where on the plane.
    gamma : ndarray, shape (K,)
        Points, ascending.
    slopes : sequence of Slope, length K
        What was measured there; those without a value are left out.
    shape : ReferenceSlope, optional
        The slope of the same widths without sampling noise; by default none, and slopes are interpolated
        themselves, with the larger error that this has.

    Notes
    -----
    Between two points at distance h the error at the share s is taken to be ``2 s (1 - s) h`` times the
    larger change of the difference quotient at both ends. A function with one kink is never further off, a
    smooth one four times less. With two points that change is not known: a monotone function deviates by at
    most the difference of both values, which is taken times ``4 s (1 - s)``.

    Examples
    --------
    >>> from meanfield.experiments import Slope
    >>> S_w = [Slope(value, value - 0.02, value + 0.02, 9) for value in (-0.3, -0.1, 0.1)]
    >>> zero = locate(0.0, np.array([0.8, 1.0, 1.2]), S_w)
    >>> print(f"{zero.gamma:.3f} [{zero.low:.3f}, {zero.high:.3f}]")
    1.100 [1.080, 1.120]
    """
    usable = np.array([math.isfinite(slope.value) for slope in slopes])
    at = gamma[usable]
    if len(at) == 0 or (shape is None and len(at) < 2):
        return None
    measured = [slope for slope in slopes if math.isfinite(slope.value)]
    value = np.array([slope.value for slope in measured])
    ends = np.array([slope.allowing_for_fluctuations for slope in measured])
    low, high = np.nan_to_num(ends, neginf=-_OPEN, posinf=_OPEN).T
    first, last = (at[0], at[-1]) if shape is None else (shape.curve.x[0], shape.curve.x[-1])
    mesh = np.unique(np.concatenate([at, np.linspace(first, last, _MESH)]))
    known = np.zeros(len(mesh)) if shape is None else shape(mesh)
    there = np.zeros(len(at)) if shape is None else shape(at)
    curve = known + np.interp(mesh, at, value - there)
    rises = np.flatnonzero((curve[:-1] <= 0.0) & (curve[1:] > 0.0))
    if not len(rises):
        return None
    zeros = mesh[rises] - curve[rises] * np.diff(mesh)[rises] / np.diff(curve)[rises]
    nearest = int(np.argmin(np.abs(zeros - float(boundary_gamma(gamma_prime)))))
    star, k = float(zeros[nearest]), int(rises[nearest])
    error = _interpolation_error(mesh, at, value - there)
    upper = known + np.interp(mesh, at, high - there) + error
    lower = known + np.interp(mesh, at, low - there) - error
    before, after = np.append(star, mesh[k::-1]), np.append(star, mesh[k + 1 :])
    earliest = _end(before, np.interp(before, mesh, upper), open_end=-math.inf)
    latest = _end(after, -np.interp(after, mesh, lower), open_end=math.inf)
    return Zero(float(gamma_prime), star, earliest, latest)


def _end(at: Array, bound: Array, *, open_end: float) -> float:
    """Where a bound, followed away from the zero, falls below 0; an open end if it does not."""
    outside = np.flatnonzero(bound < 0.0)
    if not len(outside):
        return open_end
    j = int(outside[0])
    if j == 0:  # by rounding
        return float(at[0])
    return float(at[j] - bound[j] * (at[j - 1] - at[j]) / (bound[j - 1] - bound[j]))


def _interpolation_error(mesh: Array, at: Array, values: Array) -> Array:
    """How far the values' linear interpolation may be off, shape of the mesh."""
    if len(at) == 1:
        return np.zeros(len(mesh))
    steps, rises = np.diff(at), np.diff(values)
    j = np.clip(np.searchsorted(at, mesh, side="right") - 1, 0, len(steps) - 1)
    share = np.clip((mesh - at[j]) / steps[j], 0.0, 1.0)
    if len(at) == 2:
        size = 2.0 * np.abs(rises)
    else:
        bends = np.abs(np.diff(rises / steps))
        size = steps * np.maximum(np.append(bends[0], bends), np.append(bends, bends[-1]))
    return np.asarray(2.0 * share * (1.0 - share) * size[j])
