"""The hyperbolic tangent."""

from __future__ import annotations

import numpy as np

from meanfield.activations.base import Activation, Array, Orders, falling

#: Below, ``1 - exp(-2 |z|)`` loses digits.
_SMALL = 0.35


def _both(z: Array) -> tuple[Array, Array]:
    # Not as 1 - tanh**2, which is zero to rounding from |z| = 19 on; by one exponential, which costs less.
    decay, inverse = falling(z, 2.0)
    value = np.subtract(1.0, decay, out=np.empty_like(decay))
    value *= inverse
    small = value < _SMALL
    np.copysign(value, z, out=value)
    value[small] = np.tanh(np.asarray(z)[small])
    return value, _from(decay, inverse)


def _slope(z: Array) -> Array:
    return _from(*falling(z, 2.0))


def _from(decay: Array, inverse: Array) -> Array:
    decay *= 4.0
    decay *= inverse
    decay *= inverse
    return decay


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
