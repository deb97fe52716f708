"""Shift and scale of features and targets: what a problem remembers, so that users keep their units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import number, real_array
from meanfield.errors import InputError
from meanfield.rays import frozen

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Standardisation:
    """How a problem's features and targets were shifted and scaled: ``(value - mean) / scale``.

    The names follow scikit-learn's ``StandardScaler``. What was left as it is has mean 0 and scale 1.

    Attributes
    ----------
    mean, scale : ndarray, shape (d_in,)
        Of each feature, in the user's units; a constant feature has scale 1.
    target_mean, target_scale : float
        Of the targets.

    Examples
    --------
    >>> from meanfield import Problem
    >>> kept = Problem([280.0, 300.0, 320.0], [1.0, 2.0, 6.0], standardise=True).standardisation
    >>> kept.mean, kept.scale.round(2), kept.target_scale
    (array([300.]), array([16.33]), 1.0)
    """

    mean: Array
    scale: Array
    target_mean: float = 0.0
    target_scale: float = 1.0

    @classmethod
    def of(
        cls, features: Array, targets: Array, *, of_features: bool, of_targets: bool, name: str
    ) -> Standardisation:
        """That of samples, shapes (n, d_in) and (n,), of a problem of this name.

        Raises
        ------
        InputError
            If features are asked for and none varies.
        """
        if of_features and not np.ptp(features, axis=0).any():
            raise InputError(
                f"no feature of {name!r} varies, so that none can be standardised; give features that do"
            )
        mean, scale = np.zeros(features.shape[1]), np.ones(features.shape[1])
        target_mean, target_scale = np.zeros(1), np.ones(1)
        if of_features:
            mean, scale = _moments(features)
        if of_targets:
            target_mean, target_scale = _moments(targets[:, None])
        return cls(frozen(mean), frozen(scale), float(target_mean[0]), float(target_scale[0]))

    def transform(self, x: Array) -> Array:
        """Features in the network's units from those in the user's, both (k, d_in)."""
        return np.asarray((x - self.mean) / self.scale)

    def inverse_transform(self, x: Array) -> Array:
        """Features in the user's units from those in the network's, both (k, d_in)."""
        return np.asarray(x * self.scale + self.mean)

    def transform_targets(self, y: Array) -> Array:
        """Targets in the network's units from those in the user's, of any shape."""
        return np.asarray((y - self.target_mean) / self.target_scale)

    def inverse_transform_targets(self, y: Array) -> Array:
        """Targets or outputs in the user's units from those in the network's, of any shape."""
        return np.asarray(y * self.target_scale + self.target_mean)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, as files keep them."""
        return {
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "target_mean": self.target_mean,
            "target_scale": self.target_scale,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any], d_in: int) -> Standardisation:
        """What :meth:`as_dict` has written for so many features.

        Raises
        ------
        InputError
            If it holds something else.
        """
        mean, scale = (real_array(name, kept[name]) for name in ("mean", "scale"))
        if mean.shape != (d_in,) or scale.shape != (d_in,) or not np.all(scale > 0.0):
            raise InputError(
                f"a standardisation has means {mean.tolist()} and scales {scale.tolist()}; expected are "
                f"{d_in} of each, scales > 0"
            )
        return cls(
            frozen(mean),
            frozen(scale),
            number("target_mean", kept["target_mean"]),
            number("target_scale", kept["target_scale"], "a positive finite number", above=0.0),
        )


def _moments(columns: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column; those of a constant one are its value and 1."""
    varies = np.ptp(columns, axis=0) > 0.0
    mean, scale = columns[0].copy(), np.ones(columns.shape[1])  # a mean may be an ulp off a constant
    # The bits of a sum depend on the layout: stores of sweeps know their data by those of this selection.
    mean[varies] = columns[:, varies].mean(axis=0)
    scale[varies] = (columns - mean)[:, varies].std(axis=0)
    return mean, np.where(scale == 0.0, 1.0, scale)
