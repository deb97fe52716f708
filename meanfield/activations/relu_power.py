"""Square and cube of the ReLU."""

from __future__ import annotations

import numpy as np

from meanfield.activations.arc_cosine import power
from meanfield.activations.base import Activation, Array, OfParameter, Orders


def _value(z: Array, order: int) -> Array:
    return np.asarray(np.maximum(z, 0.0) ** order)


def _slope(z: Array, order: int) -> Array:
    return np.asarray(order * np.maximum(z, 0.0) ** (order - 1))


def _curvature(z: Array, order: int) -> Array:
    return np.asarray(order * (order - 1) * np.maximum(z, 0.0) ** (order - 2) * (z > 0.0))


def _relu_power(order: int) -> Activation:
    return Activation(
        f"relu{order}",
        OfParameter(_value, order),
        OfParameter(_slope, order),
        OfParameter(_curvature, order),
        formula=f"Max(z, 0)**{order}",
        degree=float(order),
        at_zero=Orders(order, order - 1),
        at_infinity=Orders(order, order - 1),
        dual=power(order),
    )


ACTIVATIONS = (_relu_power(2), _relu_power(3))
