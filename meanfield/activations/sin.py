"""The sine."""

from __future__ import annotations

import numpy as np

from meanfield.activations.base import Activation, Array, Orders
from meanfield.activations.gaussian import Angle, Dual


def _curvature(z: Array) -> Array:
    return np.negative(np.sin(z))


def _products(length: Array, other: Array, angle: Angle) -> tuple[Array, Array]:
    # (exp(c) -+ exp(-c)) exp(-(a + b)/2) / 2, where neither overflows
    c, product = length * other * angle.cosine, length * other
    apart = (length - other) ** 2 + 4.0 * product * np.sin(0.5 * np.minimum(angle.theta, angle.psi)) ** 2
    larger = 0.5 * np.exp(-0.5 * apart)
    value = np.copysign(-larger * np.expm1(-2.0 * np.abs(c)), c)
    return value, larger * (1.0 + np.exp(-2.0 * np.abs(c)))


SIN = Activation(
    "sin",
    np.sin,
    np.cos,
    _curvature,
    formula="sin(z)",
    at_zero=Orders(1, 0),
    at_infinity=Orders(0, 0),
    dual=Dual(_products, "exp(-(a + b)/2)*sinh(c)"),
)
ACTIVATIONS = (SIN,)
