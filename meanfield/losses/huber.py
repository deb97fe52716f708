"""The Huber loss: the mean square for small residuals, linear beyond delta, so that outliers pull less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.arguments import number
from meanfield.losses.base import Array, Loss, blocks, over_outputs


# Classes, not bound methods: those of two equal objects are different.
@dataclass(frozen=True)
class _Value:
    delta: float

    def __call__(self, f: Array, y: Array) -> Array:
        size = np.abs(f - y)
        near = np.minimum(size, self.delta)
        return over_outputs(near * (size - 0.5 * near))


@dataclass(frozen=True)
class _Pull:
    delta: float

    def __call__(self, f: Array, y: Array) -> Array:
        return np.clip(f - y, -self.delta, self.delta)


@dataclass(frozen=True)
class _Curvature:
    delta: float

    def __call__(self, f: Array, y: Array) -> Array:
        return blocks(np.where(np.abs(f - y) <= self.delta, 1.0, 0.0))


def huber(delta: float = 1.0) -> Loss:
    """The Huber loss that is linear from residuals of size ``delta`` on, in the units of the targets."""
    delta = number("delta", delta, "a positive residual, in the units of the targets", above=0.0)
    return Loss(
        f"huber({delta!r})",
        _Value(delta),
        _Pull(delta),
        _Curvature(delta),
        formula=f"Min({delta!r}, Abs(f - y))*(Abs(f - y) - Min({delta!r}, Abs(f - y))/2)",
        unit="y**2",
        summary=f"half of the square of residuals up to {delta:g}, linear beyond",
    )


LOSSES = (huber(),)
FAMILIES = {"huber": huber}
