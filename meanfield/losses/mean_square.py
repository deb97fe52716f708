"""Half of the mean square, the loss of regression."""

from __future__ import annotations

import numpy as np

from meanfield.losses.base import Array, Loss, blocks, over_outputs


def _value(f: Array, y: Array) -> Array:
    e = f - y
    return over_outputs(0.5 * e * e)


def _pull(f: Array, y: Array) -> Array:
    return f - y


def _curvature(f: Array, y: Array) -> Array:
    return blocks(np.ones_like(f))


MEAN_SQUARE = Loss(
    "mean-square",
    _value,
    _pull,
    _curvature,
    formula="(f - y)**2/2",
    quadratic=True,
    unit="y**2",
    summary="half of the mean square of the residuals",
)
LOSSES = (MEAN_SQUARE,)
