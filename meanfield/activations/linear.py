"""The identity."""

from __future__ import annotations

import numpy as np

from meanfield.activations.arc_cosine import two_slopes
from meanfield.activations.base import Activation, Orders

LINEAR = Activation(
    "linear",
    np.array,
    np.ones_like,
    np.zeros_like,
    formula="z",
    degree=1.0,
    slopes=(1.0, 1.0),
    at_zero=Orders(1, 0),
    at_infinity=Orders(1, 0),
    dual=two_slopes(1.0, 1.0),
)
ACTIVATIONS = (LINEAR,)
