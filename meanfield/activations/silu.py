"""z times its logistic function (swish)."""

from __future__ import annotations

import numpy as np

from meanfield.activations import sigmoid
from meanfield.activations.base import Activation, Array, Orders


def _value(z: Array) -> Array:
    return np.asarray(z * sigmoid.value(z))


def _both(z: Array) -> tuple[Array, Array]:
    share, slope = sigmoid.both(z)
    slope *= z
    slope += share
    return z * share, slope


def _slope(z: Array) -> Array:
    return _both(z)[1]


def _curvature(z: Array) -> Array:
    return np.asarray(sigmoid.slope(z) * (2.0 - z * np.tanh(0.5 * z)))


SILU = Activation(
    "silu",
    _value,
    _slope,
    _curvature,
    _both,
    formula="z/(1 + exp(-z))",
    at_zero=Orders(1, 0),
    at_infinity=Orders(1, 0),
)
ACTIVATIONS = (SILU,)
