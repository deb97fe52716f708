"""What a map shows of each layer: measured slopes, and whether they are what the theory says."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.arguments import Layer
from meanfield.experiments.rows import Row, agreement, holds
from meanfield.experiments.slopes import Slope
from meanfield.regime import Regime


@dataclass(frozen=True)
class Judgement:
    """The exponent of one layer at one point of the plane.

    Attributes
    ----------
    slope : Slope
        The measured exponent.
    agrees : bool or None
        Whether its interval holds what is predicted at these widths; None where nothing was predicted.
    side_agrees : bool or None
        Whether its sign is that of the theory's limit; None if the measurement does not decide.
    """

    slope: Slope
    agrees: bool | None
    side_agrees: bool | None


def judge(row: Row, layer: Layer) -> Judgement:
    """Compare one layer's slope with the theory, as the rows of a diagram do for S_w."""
    if layer == "w":
        return Judgement(row.S_w, row.agrees, row.regime_agrees)
    at = row.at_widths
    # S_a(gamma, gamma_prime) = S_w(gamma, -gamma_prime), so that its sign is that of the regime there.
    mirrored = Regime.classify(row.gamma, -row.gamma_prime)
    return Judgement(
        row.S_a,
        None if at is None else holds(row.S_a, at.S_a, at.S_a_error),
        agreement(row.S_a.verdict, mirrored, row.predicted_S_a),
    )
