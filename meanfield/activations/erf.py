"""The error function."""

from __future__ import annotations

import math

import numpy as np

from meanfield.activations.base import Activation, Array, Orders
from meanfield.activations.gaussian import Angle, Dual

#: exp(-z**2) is zero in double precision from here on.
_FAR = 28.0


def _value(z: Array) -> Array:
    from scipy.special import erf

    return np.asarray(erf(z))


def _slope(z: Array) -> Array:
    near = np.clip(z, -_FAR, _FAR)
    near *= near
    return np.asarray((2.0 / math.sqrt(math.pi)) * np.exp(-near))


def _curvature(z: Array) -> Array:
    return np.asarray(-2.0 * z * _slope(z))


def _products(length: Array, other: Array, angle: Angle) -> tuple[Array, Array]:
    # 1 + 2 a + 2 b + 4 (a b - c**2), without its overflow
    root = np.hypot(np.hypot(1.0, math.sqrt(2.0) * length), math.sqrt(2.0) * other)
    root = np.hypot(root, 2.0 * length * other * angle.sine)
    value = (2.0 / math.pi) * np.arctan2(2.0 * length * other * angle.cosine, root)
    return value, (4.0 / math.pi) / root


ERF = Activation(
    "erf",
    _value,
    _slope,
    _curvature,
    formula="erf(z)",
    at_zero=Orders(1, 0),
    at_infinity=Orders(0, -np.inf),
    dual=Dual(_products, "2/pi*asin(2*c/sqrt((1 + 2*a)*(1 + 2*b)))"),
)
ACTIVATIONS = (ERF,)
