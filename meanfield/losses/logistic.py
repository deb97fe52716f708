"""The logistic loss of two classes: the negative log-likelihood of labels whose log-odds are the output."""

from __future__ import annotations

import numpy as np

from meanfield.arguments import shown
from meanfield.errors import InputError
from meanfield.losses.base import Array, Loss


def _labels(y: Array) -> Array:
    """Labels -1 and 1, from these or from 0 and 1."""
    given = set(np.unique(y).tolist())
    if given <= {-1.0, 1.0}:
        return y
    if given <= {0.0, 1.0}:
        return 2.0 * y - 1.0
    few = f"holds {shown(sorted(given))}" if len(given) <= 5 else f"holds {len(given)} different values"
    raise InputError(
        f"y {few}, but the logistic loss is for two classes; give labels -1 and 1, 0 and 1, or booleans"
    )


def _value(f: Array, y: Array) -> Array:
    value: Array = np.logaddexp(0.0, -y * f)
    return value


def _pull(f: Array, y: Array) -> Array:
    m = y * f
    t = np.exp(-np.abs(m))
    pull: Array = -y * np.where(m > 0.0, t, 1.0) / (1.0 + t)
    return pull


def _curvature(f: Array, y: Array) -> Array:
    t = np.exp(-np.abs(f))
    curvature: Array = t / (1.0 + t) ** 2
    return curvature


LOGISTIC = Loss(
    "logistic",
    _value,
    _pull,
    _curvature,
    formula="log(1 + exp(-y*f))",
    targets=_labels,
    labels=True,
    summary="mean negative log-likelihood, in nats, of labels y = -1 or 1 with log-odds f",
)
LOSSES = (LOGISTIC,)
