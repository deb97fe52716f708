"""The hyperbolic tangent."""

from __future__ import annotations

import numpy as np

from meanfield.activations.base import Activation, Array, Orders

#: Below, ``1 - exp(-2 |z|)`` loses digits.
_SMALL = 0.35


def _both(z: Array) -> tuple[Array, Array]:
    # Not as 1 - tanh**2, which is zero to rounding from |z| = 19 on; by one exponential, which costs less.
    decay = np.exp(-2.0 * np.abs(z))
    inverse = 1.0 / (1.0 + decay)
    value = np.copysign((1.0 - decay) * inverse, z)
    small = np.abs(value) < _SMALL
    value[small] = np.tanh(z[small])
    decay *= 4.0
    decay *= inverse
    decay *= inverse
    return value, decay


def _slope(z: Array) -> Array:
    decay = np.exp(-2.0 * np.abs(z))
    return np.asarray(4.0 * decay / (1.0 + decay) ** 2)


def _curvature(z: Array) -> Array:
    return np.asarray(-2.0 * np.tanh(z) * _slope(z))


TANH = Activation(
    "tanh",
    np.tanh,
    _slope,
    _curvature,
    _both,
    formula="tanh(z)",
    at_zero=Orders(1, 0),
    at_infinity=Orders(0, -np.inf),
)
ACTIVATIONS = (TANH,)
