"""z times the distribution function of a Gaussian number."""

from __future__ import annotations

import math

import numpy as np

from meanfield.activations.base import Activation, Array, Orders
from meanfield.activations.gaussian import Angle, Dual

#: exp(-z**2 / 2) is zero in double precision from here on.
_FAR = 40.0


def _share(z: Array) -> Array:
    from scipy.special import ndtr

    return np.asarray(ndtr(z))


def _density(z: Array) -> Array:
    near = np.clip(z, -_FAR, _FAR)
    near *= near
    near *= -0.5
    return np.asarray(np.exp(near) / math.sqrt(2.0 * math.pi))


def _value(z: Array) -> Array:
    return np.asarray(z * _share(z))


def _both(z: Array) -> tuple[Array, Array]:
    share, slope = _share(z), _density(z)
    slope *= z
    slope += share
    return z * share, slope


def _slope(z: Array) -> Array:
    return _both(z)[1]


def _curvature(z: Array) -> Array:
    near = np.clip(z, -_FAR, _FAR)
    return np.asarray(_density(z) * (2.0 - near * near))


def _products(length: Array, other: Array, angle: Angle) -> tuple[Array, Array]:
    c, opposite = length * other * angle.cosine, length * other * angle.sine
    u, v = np.hypot(1.0, length), np.hypot(1.0, other)
    root = np.hypot(np.hypot(u, other), opposite)  # 1 + a + b + a b - c**2, squared
    turn = np.arctan2(c, root) / (2.0 * math.pi)
    rest = ((c / (u * v)) ** 2 / root + (length / u * other / v) ** 2 * root) / (2.0 * math.pi)
    mixed = c / (2.0 * math.pi * root) * (root**-2 + u**-2 + v**-2)
    return c * (0.25 + turn) + rest, 0.25 + turn + mixed


GELU = Activation(
    "gelu",
    _value,
    _slope,
    _curvature,
    _both,
    formula="z*(1 + erf(z/sqrt(2)))/2",
    at_zero=Orders(1, 0),
    at_infinity=Orders(1, 0),
    dual=Dual(
        _products,
        "c/4 + c*asin(c/sqrt((1 + a)*(1 + b)))/(2*pi) + (c**2 + a*b*((1 + a)*(1 + b) - c**2))"
        "/(2*pi*(1 + a)*(1 + b)*sqrt((1 + a)*(1 + b) - c**2))",
    ),
)
ACTIVATIONS = (GELU,)
