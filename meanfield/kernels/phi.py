"""The phi functions of exponential integrators, for real arguments of either size."""

from __future__ import annotations

import math

import numpy as np

from meanfield.kernels.jit import kernel

#: Below this argument the recursion loses digits and the Taylor series is used.
_SMALL = 1.0
_TERMS = 20
_INVERSE_FACTORIALS = np.array([1.0 / math.factorial(j) for j in range(_TERMS + 4)])


@kernel
def phi_functions(z):
    """``exp(-z)``, ``phi_1(-z)``, ``phi_2(-z)`` and ``phi_3(-z)`` for z >= 0, shape (4, n), to a few ulp.

    ``phi_0 = exp`` and ``phi_{k+1}(x) = (phi_k(x) - 1/k!) / x``; ``phi_k(0) = 1/k!``. They are the
    means, over a step, of a residual that decays at the rate z per step: ``phi_1(-z)`` that of
    ``exp(-z s)`` itself, ``phi_2`` and ``phi_3`` those of its responses to growing disturbances.

    Parameters
    ----------
    z : ndarray, shape (n,)
        Numbers >= 0.

    Returns
    -------
    ndarray, shape (4, n)
    """
    values = np.empty((4, z.shape[0]))
    for i in range(z.shape[0]):
        values[0, i] = np.exp(-z[i])
        for k in range(1, 4):
            if z[i] < _SMALL:
                series = 0.0
                for j in range(_TERMS - 1, -1, -1):
                    series = _INVERSE_FACTORIALS[j + k] - series * z[i]
                values[k, i] = series
            else:
                values[k, i] = (_INVERSE_FACTORIALS[k - 1] - values[k - 1, i]) / z[i]
    return values
