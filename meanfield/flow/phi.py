"""The phi functions of exponential integrators, for real arguments of either size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Below this argument the recursion loses digits and the Taylor series is used.
_SMALL = 1.0
_TERMS = 20


def phi_functions(z: Array) -> tuple[Array, Array, Array, Array]:
    """``exp(-z)``, ``phi_1(-z)``, ``phi_2(-z)`` and ``phi_3(-z)`` for z >= 0, to a few ulp.

    ``phi_0 = exp`` and ``phi_{k+1}(x) = (phi_k(x) - 1/k!) / x``; ``phi_k(0) = 1/k!``. They are the
    means, over a step, of a residual that decays at the rate z per step: ``phi_1(-z)`` that of
    ``exp(-z s)`` itself, ``phi_2`` and ``phi_3`` those of its responses to growing disturbances.

    Parameters
    ----------
    z : ndarray
        Non-negative.

    Examples
    --------
    >>> [round(float(phi[0]), 4) for phi in phi_functions(np.array([0.0]))]
    [1.0, 1.0, 0.5, 0.1667]
    """
    values = [np.exp(-z)]
    safe, small = np.maximum(z, _SMALL), np.minimum(z, _SMALL)  # neither branch sees the other's range
    previous = np.exp(-safe)
    for k in range(3):
        previous = (1.0 / math.factorial(k) - previous) / safe
        series = np.zeros_like(z)
        for j in reversed(range(_TERMS)):
            series = series * -small + 1.0 / math.factorial(j + k + 1)
        values.append(np.where(z < _SMALL, series, previous))
    return values[0], values[1], values[2], values[3]
