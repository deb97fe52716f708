"""The hyperbolic tangent."""

from __future__ import annotations

import numpy as np

from meanfield.activations.base import Activation, Array


def _both(z: Array) -> tuple[Array, Array]:
    value = np.tanh(z)
    return value, _sech2(z)


def _sech2(z: Array) -> Array:
    # Not as 1 - tanh**2, which is zero to rounding from |z| = 19 on.
    decay = np.exp(-2.0 * np.abs(z))
    slope: Array = 4.0 * decay / (1.0 + decay) ** 2
    return slope


def _curvature(z: Array) -> Array:
    curvature: Array = -2.0 * np.tanh(z) * _sech2(z)
    return curvature


TANH = Activation("tanh", np.tanh, _sech2, _curvature, _both, formula="tanh(z)")
ACTIVATIONS = (TANH,)
