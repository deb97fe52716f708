"""The square."""

from __future__ import annotations

import numpy as np

from meanfield.activations.base import Activation, Array, Orders
from meanfield.activations.gaussian import Angle, Dual


def _slope(z: Array) -> Array:
    return np.asarray(2.0 * z)


def _curvature(z: Array) -> Array:
    return np.full_like(z, 2.0)


def _products(length: Array, other: Array, angle: Angle) -> tuple[Array, Array]:
    product = length * other
    return product**2 * (1.0 + 2.0 * angle.cosine**2), 4.0 * product * angle.cosine


QUADRATIC = Activation(
    "quadratic",
    np.square,
    _slope,
    _curvature,
    formula="z**2",
    degree=2.0,
    at_zero=Orders(2, 1),
    at_infinity=Orders(2, 1),
    dual=Dual(_products, "a*b + 2*c**2"),
)
ACTIVATIONS = (QUADRATIC,)
