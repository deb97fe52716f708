"""The logistic function."""

from __future__ import annotations

import numpy as np

from meanfield.activations.base import Activation, Array, Orders


def both(z: Array) -> tuple[Array, Array]:
    """``1 / (1 + exp(-z))`` and its slope, with their digits on both sides."""
    decay = np.exp(-np.abs(z))
    inverse = 1.0 / (1.0 + decay)
    slope = decay * inverse
    value = np.where(z >= 0.0, inverse, slope)
    slope *= inverse
    return value, slope


def value(z: Array) -> Array:
    """``1 / (1 + exp(-z))``."""
    return both(z)[0]


def slope(z: Array) -> Array:
    """Its derivative."""
    return both(z)[1]


def _curvature(z: Array) -> Array:
    return np.asarray(-slope(z) * np.tanh(0.5 * z))


SIGMOID = Activation(
    "sigmoid",
    value,
    slope,
    _curvature,
    both,
    formula="1/(1 + exp(-z))",
    at_zero=Orders(0, 0),
    at_infinity=Orders(0, -np.inf),
)
ACTIVATIONS = (SIGMOID,)
