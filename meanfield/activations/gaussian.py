"""Expectations over two Gaussian numbers: what an activation's kernels at infinite width are made of.

For ``(u, v) ~ N(0, Lambda)`` the dual of sigma is ``E[sigma(u) sigma(v)]`` and ``E[sigma'(u) sigma'(v)]``.
Lambda is given by the lengths ``sqrt(E u**2)``, ``sqrt(E v**2)`` and the angle between u and v: covariances
lose the digits of angles near 0 and pi.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meanfield.displays import brief

Array: TypeAlias = NDArray[np.float64]

#: Where the trapezoidal rule ends, in standard deviations: the rest is 2e-17.
_REACH = 8.5
#: Nodes between 0 and 1 of the first rule and of the last.
_FIRST, _LAST = 2, 64
#: A rule is good enough once halving its step changes its result by less than this share.
_AGREED = 1e-14


class Angle(NamedTuple):
    """An angle between 0 and pi, by itself and from the other end, for each keeps its digits near 0.

    Attributes
    ----------
    theta : ndarray
        The angle.
    psi : ndarray
        ``pi - theta``.
    """

    theta: Array
    psi: Array

    @classmethod
    def of(cls, theta: Array) -> Angle:
        """Both of an angle.

        Parameters
        ----------
        theta : ndarray, shape (...)
            From 0 to pi.

        Returns
        -------
        Angle
        """
        return cls(theta, math.pi - theta)

    @property
    def cosine(self) -> Array:
        """cos theta."""
        return np.asarray(np.cos(self.theta))

    @property
    def sine(self) -> Array:
        """sin theta, from the smaller of both."""
        return np.asarray(np.sin(np.minimum(self.theta, self.psi)))


class Dual(NamedTuple):
    """The dual of an activation in closed form.

    Attributes
    ----------
    products : callable
        ``(length of u, length of v, Angle) -> (E[sigma(u) sigma(v)], E[sigma'(u) sigma'(v)])`` on arrays.
    formula : str
        ``E[sigma(u) sigma(v)]`` as SymPy reads it, with the variances a and b, ``r = sqrt(a*b)``, the angle
        theta, and the covariance ``c = r*cos(theta)``.
    """

    products: Callable[[Array, Array, Angle], tuple[Array, Array]]
    formula: str


@dataclass(frozen=True, eq=False)
class Products:
    """Expected products of values and of slopes.

    Attributes
    ----------
    value, slope : ndarray, shape (...)
        ``E[sigma(u) sigma(v)]`` and ``E[sigma'(u) sigma'(v)]``.
    error : ndarray, shape (...)
        Estimated error of both by quadrature; 0 for closed forms, which are exact to rounding.
    """

    value: Array
    slope: Array
    error: Array

    __repr__ = brief


def quadrature(
    both: Callable[[Array], tuple[Array, Array]], length: Array, other: Array, angle: Angle
) -> Products:
    """Expected products by the trapezoidal rule, its step halved until two results agree.

    For functions without poles near the real line its error falls like ``exp(-const/step)``; a rule of
    Gauss and Hermite needs far more nodes where lengths are large.

    Parameters
    ----------
    both : callable
        ``z -> (sigma(z), sigma'(z))``.
    length, other : ndarray
        Lengths of u and v.
    angle : Angle
        Between u and v.

    Returns
    -------
    Products
    """
    arrays = np.broadcast_arrays(length, other, angle.cosine, angle.sine)
    found = np.array([_one(both, *map(float, case)) for case in zip(*map(np.ravel, arrays), strict=True)])
    value, slope, error = found.reshape(-1, 3).T.reshape(3, *arrays[0].shape)
    return Products(value, slope, error)


def _one(both: Callable[[Array], tuple[Array, Array]], *case: float) -> tuple[float, float, float]:
    nodes, before = _FIRST, np.full(2, math.inf)
    while True:
        now, size = _rule(both, nodes, *case)
        change = np.abs(now - before)
        if np.all(change <= _AGREED * size) or nodes >= _LAST:
            return float(now[0]), float(now[1]), float(change.max())
        nodes, before = 2 * nodes, now


def _rule(
    both: Callable[[Array], tuple[Array, Array]],
    nodes: int,
    length: float,
    other: float,
    cosine: float,
    sine: float,
) -> tuple[Any, Any]:
    """Expected products by one rule, and those of absolute values: the scale of rounding."""
    half = math.ceil(_REACH * nodes)
    x = np.arange(-half, half + 1) / nodes
    weight = np.exp(-0.5 * x**2)
    weight /= weight.sum()
    at_u = both(length * x)
    at_v = both(other * (cosine * x[:, None] + sine * x))
    inner = [(v @ weight, np.abs(v) @ weight) for v in at_v]
    sums = [((weight * u) @ v, (weight * np.abs(u)) @ size) for u, (v, size) in zip(at_u, inner, strict=True)]
    found, sizes = np.array(sums).T
    return found, sizes
