"""The ReLU with another slope than 0 below zero."""

from __future__ import annotations

import numpy as np

from meanfield.activations.absolute import ABSOLUTE
from meanfield.activations.arc_cosine import two_slopes
from meanfield.activations.base import Activation, Array, OfParameter, Orders, plain
from meanfield.activations.linear import LINEAR
from meanfield.activations.relu import RELU
from meanfield.arguments import number


def _value(z: Array, slope: float) -> Array:
    return np.where(z > 0.0, z, slope * z)


def _slope(z: Array, slope: float) -> Array:
    return np.where(z > 0.0, 1.0, slope)


def leaky_relu(slope: float) -> Activation:
    """``z`` above zero and ``slope * z`` below.

    Parameters
    ----------
    slope : float
        The slope below zero; 0, 1 and -1 give the ReLU, the identity and the absolute value.

    Returns
    -------
    Activation
        By name "leaky-relu(0.2)".

    Examples
    --------
    >>> leaky_relu(0.2)
    <Activation 'leaky-relu(0.2)'>
    """
    slope = number("slope", slope, "a number such as 0.01, of size 1e6 at most", least=-1e6, most=1e6)
    if slope in _SPECIAL:
        return _SPECIAL[slope]
    return Activation(
        f"leaky-relu({plain(slope)})",
        OfParameter(_value, slope),
        OfParameter(_slope, slope),
        np.zeros_like,
        formula=f"Max(z, 0) + {plain(slope)}*Min(z, 0)",
        degree=1.0,
        slopes=(1.0, slope),
        at_zero=Orders(1, 0),
        at_infinity=Orders(1, 0),
        dual=two_slopes(1.0, slope),
    )


_SPECIAL = {0.0: RELU, 1.0: LINEAR, -1.0: ABSOLUTE}
ACTIVATIONS = (leaky_relu(0.01),)
FAMILIES = {"leaky-relu": leaky_relu}
