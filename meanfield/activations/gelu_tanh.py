"""The GELU with a tanh in place of the Gaussian, as in some of its implementations."""

from __future__ import annotations

import math

import numpy as np

from meanfield.activations import sigmoid
from meanfield.activations.base import Activation, Array, Orders

#: ``z sigmoid(_OUTER (z + _CUBE z**3))``; beyond _FAR it is z or 0 to rounding.
_OUTER, _CUBE, _FAR = 2.0 * math.sqrt(2.0 / math.pi), 0.044715, 30.0


def _inner(z: Array) -> tuple[Array, Array]:
    """The argument of the logistic function and its derivative."""
    near = np.clip(z, -_FAR, _FAR)
    square = near * near
    return _OUTER * near * (1.0 + _CUBE * square), _OUTER * (1.0 + 3.0 * _CUBE * square)


def _value(z: Array) -> Array:
    return np.asarray(z * sigmoid.value(_inner(z)[0]))


def _both(z: Array) -> tuple[Array, Array]:
    inner, rate = _inner(z)
    share, slope = sigmoid.both(inner)
    slope *= rate
    slope *= z
    slope += share
    return z * share, slope


def _slope(z: Array) -> Array:
    return _both(z)[1]


def _curvature(z: Array) -> Array:
    inner, rate = _inner(z)
    bend = 6.0 * _OUTER * _CUBE * np.clip(z, -_FAR, _FAR)
    change = 2.0 * rate + z * (bend - rate * rate * np.tanh(0.5 * inner))
    return np.asarray(sigmoid.slope(inner) * change)


GELU_TANH = Activation(
    "gelu-tanh",
    _value,
    _slope,
    _curvature,
    _both,
    formula="z*(1 + tanh(sqrt(2/pi)*(z + 44715*z**3/1000000)))/2",
    at_zero=Orders(1, 0),
    at_infinity=Orders(1, 0),
)
ACTIVATIONS = (GELU_TANH,)
