"""The smooth ReLU, whose slope is the logistic function."""

from __future__ import annotations

import numpy as np

from meanfield.activations import sigmoid
from meanfield.activations.base import Activation, Array, Orders, falling


def _value(z: Array) -> Array:
    return np.asarray(np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z))))


def _both(z: Array) -> tuple[Array, Array]:
    decay, share = falling(z)
    np.multiply(share, decay, out=share, where=np.less(z, 0.0))
    np.log1p(decay, out=decay)
    decay += np.maximum(z, 0.0)
    return decay, share


SOFTPLUS = Activation(
    "softplus",
    _value,
    sigmoid.value,
    sigmoid.slope,
    _both,
    formula="log(1 + exp(z))",
    at_zero=Orders(0, 0),
    at_infinity=Orders(1, 0),
)
ACTIVATIONS = (SOFTPLUS,)
