"""A point of the plane in the summary table: what was measured there beside what the theory says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from meanfield.experiments.reference import PredictedSlopes
from meanfield.experiments.slopes import CRITICAL_BAND, Slope, Verdict
from meanfield.regime import Regime


@dataclass(frozen=True)
class Row:
    """One point of the plane in the summary table.

    Attributes
    ----------
    gamma, gamma_prime : float
        The point.
    S_w, S_a : Slope
        Measured exponents.
    predicted_S_w, predicted_S_a : float
        Asymptotic exponents of the theory: those of infinitely large widths.
    verdict : Verdict
        What the measurement says.
    regime : Regime
        What the theory says.
    agrees : bool or None
        Whether the interval of S_w holds what is predicted at these widths, as far as that is known; None
        where nothing was predicted or measured.
    regime_agrees : bool or None
        Whether the verdict is the theory's regime; None if the measurement does not decide.
    at_widths : PredictedSlopes or None
        Both slopes between the same widths without sampling noise; None where nothing was predicted.
    """

    gamma: float
    gamma_prime: float
    S_w: Slope
    S_a: Slope
    predicted_S_w: float
    predicted_S_a: float
    verdict: Verdict
    regime: Regime
    agrees: bool | None
    regime_agrees: bool | None
    at_widths: PredictedSlopes | None


def agreement(verdict: Verdict, regime: Regime, predicted: float) -> bool | None:
    """Whether a verdict is what the theory says, as far as a band around zero can tell."""
    if verdict is Verdict.UNDECIDED:
        return None
    if verdict is Verdict.CRITICAL:
        return abs(predicted) <= CRITICAL_BAND
    return bool(verdict.value == regime.value)


def holds(measured: Slope, predicted: float, error: float) -> bool | None:
    """Whether an interval holds a prediction at the same widths, given the prediction's own error.

    The error adds in quadrature, the mean's bias at finite width (:attr:`Slope.fluctuation`) as it is. None
    where one of both is not known.
    """
    half = predicted - measured.value
    if not (math.isfinite(half) and math.isfinite(measured.low) and math.isfinite(measured.high)):
        return None
    side = measured.high - measured.value if half > 0.0 else measured.value - measured.low
    return abs(half) <= math.hypot(side, error) + measured.fluctuation
