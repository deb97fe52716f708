"""Duals of powers of ReLU and of piecewise-linear functions (Cho, Saul 2009)."""

from __future__ import annotations

import math

import numpy as np

from meanfield.activations.base import OfParameter, plain
from meanfield.activations.gaussian import Angle, Array, Dual

#: Below this angle the series of sin(psi) - psi cos(psi) replaces the difference.
_SERIES_BELOW = 0.7
#: Terms of the series: (2k)/(2k+1)! psi^(2k+1) with alternating signs; the 9th is below 1e-18 of the first.
_TERMS = 10


def sin_minus(psi: Array) -> Array:
    """``sin psi - psi cos psi`` for psi in [0, pi]."""
    small = np.minimum(psi, _SERIES_BELOW)
    square, term, total = small**2, small**3 / 3.0, np.zeros_like(psi)
    for k in range(1, _TERMS):
        total += term
        # terms are (-1)^(k+1) 2k / (2k+1)! psi^(2k+1)
        term = term * -square / (2 * k * (2 * k + 3))
    return np.where(psi < _SERIES_BELOW, total, np.sin(psi) - psi * np.cos(psi))


def two_slopes(up: float, down: float) -> Dual:
    """Of ``up max(z, 0) + down min(z, 0)``."""
    kink = f"{plain((up - down) ** 2)}*(sin(theta) + (pi - theta)*cos(theta))/(2*pi)"
    return Dual(OfParameter(_two_slopes, (up, down)), f"r*({plain(up * down)}*cos(theta) + {kink})")


def _two_slopes(
    length: Array, other: Array, angle: Angle, slopes: tuple[float, float]
) -> tuple[Array, Array]:
    up, down = slopes
    straight, kink = up * down, (up - down) ** 2 / (2.0 * math.pi)
    value = length * other * (straight * angle.cosine + kink * sin_minus(angle.psi))
    return value, straight + kink * angle.psi


def power(order: int) -> Dual:
    """Of ``max(z, 0)**order`` for orders 1 to 3."""
    return Dual(OfParameter(_power, order), f"r**{order}*({_FORMULAS[order]})/(2*pi)")


def _power(length: Array, other: Array, angle: Angle, order: int) -> tuple[Array, Array]:
    r = length * other
    value = r**order * _angular(order, angle) / (2.0 * math.pi)
    return value, order**2 * r ** (order - 1) * _angular(order - 1, angle) / (2.0 * math.pi)


def _angular(order: int, angle: Angle) -> Array:
    """J of Cho and Saul."""
    psi, sine, cosine = angle.psi, angle.sine, angle.cosine
    if order == 0:
        return psi
    if order == 1:
        return sin_minus(psi)
    if order == 2:
        return np.asarray(3.0 * sine * cosine + psi * (1.0 + 2.0 * cosine**2))
    return np.asarray(15.0 * sine - 11.0 * sine**3 + psi * (9.0 * cosine + 6.0 * cosine**3))


_FORMULAS = {
    1: "sin(theta) + (pi - theta)*cos(theta)",
    2: "3*sin(theta)*cos(theta) + (pi - theta)*(1 + 2*cos(theta)**2)",
    3: "15*sin(theta) - 11*sin(theta)**3 + (pi - theta)*(9*cos(theta) + 6*cos(theta)**3)",
}
