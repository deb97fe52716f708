"""The cross-entropy of classes, one output each: negative log-likelihood of labels under a softmax."""

from __future__ import annotations

import numpy as np

from meanfield.errors import InputError
from meanfield.losses.base import Array, Loss


def _one_hot(y: Array) -> Array:
    """Rows of zeros with a one at the class, shape (n, c), from these or from labels, shape (n,)."""
    if y.ndim == 1:
        classes, index = np.unique(y, return_inverse=True)
        if len(classes) < 2 or np.any(classes != np.round(classes)):
            raise InputError(
                f"y holds {len(classes)} different values, but the cross-entropy is for classes; give the "
                "class of each sample as a whole number, at least two different ones, or rows of zeros with "
                "a one"
            )
        return np.eye(len(classes))[index.ravel()]
    one = y.ndim == 2 and np.all((y == 0.0) | (y == 1.0)) and np.all(y.sum(axis=1) == 1.0)
    if not (one and y.shape[1] > 1):
        raise InputError(
            f"y has shape {y.shape} and is not one-hot; give rows of zeros with a one at the class of the "
            "sample, shape (n, c), or the classes, shape (n,)"
        )
    return y


def _beside(f: Array, y: Array) -> tuple[Array, Array, Array]:
    """Outputs above that of the true class, shape (n, c), their largest, and whether a class is another."""
    above = f - np.sum(np.where(y == 1.0, f, 0.0), axis=1, keepdims=True)
    return above, np.max(above, axis=1, keepdims=True), y == 0.0


def _value(f: Array, y: Array) -> Array:
    above, largest, other = _beside(f, y)
    # The true class gives exp(0) = 1: where it is ahead, log1p of the others keeps their digits.
    ahead = np.log1p(np.sum(np.exp(np.minimum(above, 0.0)) * other, axis=1))
    value: Array = largest[:, 0] + np.log(np.sum(np.exp(above - largest), axis=1))
    return np.where(largest[:, 0] > 0.0, value, ahead)


def _shares(f: Array) -> tuple[Array, Array]:
    """Probabilities p and ``1 - p``, the latter as the sum of the others, each of shape (n, c)."""
    p = np.exp(f - np.max(f, axis=1, keepdims=True))
    p /= np.sum(p, axis=1, keepdims=True)
    return p, p @ (1.0 - np.eye(f.shape[1]))


def _pull(f: Array, y: Array) -> Array:
    p, others = _shares(f)
    return np.where(y == 1.0, -others, p)


def _curvature(f: Array, y: Array) -> Array:
    p, others = _shares(f)
    blocks: Array = -p[:, :, None] * p[:, None, :]
    c = f.shape[1]
    blocks[:, np.arange(c), np.arange(c)] = p * others
    return blocks


CROSS_ENTROPY = Loss(
    "cross-entropy",
    _value,
    _pull,
    _curvature,
    formula="log(sum_k exp(f_k)) - f_y",
    targets=_one_hot,
    labels=True,
    several=True,
    summary="mean negative log-likelihood, in nats, of classes whose probabilities are the softmax of f",
)
LOSSES = (CROSS_ENTROPY,)
