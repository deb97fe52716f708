"""The rectified linear unit."""

from __future__ import annotations

import numpy as np

from meanfield.activations.arc_cosine import two_slopes
from meanfield.activations.base import Activation, Array, Orders


def _value(z: Array) -> Array:
    return np.maximum(z, 0.0)


def _slope(z: Array) -> Array:
    return np.greater(z, 0.0).astype(np.float64)


RELU = Activation(
    "relu",
    _value,
    _slope,
    np.zeros_like,
    formula="Max(z, 0)",
    degree=1.0,
    slopes=(1.0, 0.0),
    at_zero=Orders(1, 0),
    at_infinity=Orders(1, 0),
    dual=two_slopes(1.0, 0.0),
)
ACTIVATIONS = (RELU,)
