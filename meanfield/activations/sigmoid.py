"""The logistic function."""

from __future__ import annotations

import numpy as np

from meanfield.activations.base import Activation, Array, Orders, falling


def both(z: Array) -> tuple[Array, Array]:
    """``1 / (1 + exp(-z))`` and its slope, with their digits on both sides."""
    decay, inverse = falling(z)
    decay *= inverse
    slope = np.multiply(decay, inverse, out=np.empty_like(decay))
    np.copyto(inverse, decay, where=np.less(z, 0.0))
    return inverse, slope


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
