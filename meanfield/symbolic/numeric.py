"""Exponents as fast functions of NumPy arrays, for overlays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import real_array, shared_shape, shown
from meanfield.displays import brief
from meanfield.errors import InputError
from meanfield.symbolic.network import gamma, gamma_prime
from meanfield.symbolic.polyhedra import affine_coefficients

if TYPE_CHECKING:
    from meanfield.symbolic.result import Exponents, Region

#: A point this far outside a region counts as on its edge: a point on an edge must not be lost to rounding.
#: Where an exponent jumps there, it has the value of one of the two sides.
_EDGE = 1e-12

_PLANE = (gamma, gamma_prime)
_Affine = tuple[float, float, float]


@dataclass(frozen=True)
class NumericExponents:
    """Exponents as a function of arrays; made by ``Exponents.numeric``.

    Attributes
    ----------
    names : tuple of str
        What is returned, in this order.
    half_planes : tuple
        For each region the coefficients (of gamma, of gamma_prime, constant) of its half-planes.
    values : tuple
        For each region the coefficients of each exponent; its expression, where it is not affine.
    """

    names: tuple[str, ...]
    half_planes: tuple[tuple[_Affine, ...], ...]
    values: tuple[tuple[_Affine | sp.Expr, ...], ...]

    __repr__ = brief

    @classmethod
    def of(cls, exponents: Exponents, names: Sequence[str]) -> NumericExponents:
        """Compile some of the exponents."""
        half_planes = tuple(
            tuple((float(g), float(gp), float(c)) for g, gp, c in region.region.rows)
            for region in exponents.regions
        )
        values = tuple(
            tuple(_coefficients(_named(region, name)) for name in names) for region in exponents.regions
        )
        return cls(tuple(names), half_planes, values)

    def __call__(self, gamma: ArrayLike, gamma_prime: ArrayLike) -> tuple[NDArray[np.float64], ...]:
        """Exponents at points of the plane, broadcast against each other; nan at points that are nan."""
        g, gp = real_array("gamma", gamma, finite=False), real_array("gamma_prime", gamma_prime, finite=False)
        shape = shared_shape(gamma=g, gamma_prime=gp)
        results = tuple(np.full(shape, np.nan) for _ in self.names)
        for half_planes, values in zip(self.half_planes, self.values, strict=True):
            inside = np.ones(shape, dtype=bool)
            for row in half_planes:
                inside &= _affine(row, g, gp) >= -_EDGE
            for result, value in zip(results, values, strict=True):
                if isinstance(value, tuple):
                    np.copyto(result, _affine(value, g, gp), where=inside)
                else:
                    at = (np.broadcast_to(v, shape)[inside] for v in (g, gp))
                    with np.errstate(invalid="ignore"):  # pieces are evaluated where others hold, too
                        result[inside] = sp.lambdify(_PLANE, value, "numpy")(*at)
        return results


def _affine(c: _Affine, g: NDArray[np.float64], gp: NDArray[np.float64]) -> NDArray[np.float64]:
    """Terms in one variable are small arrays if the points are a grid: only their sum is large."""
    return np.asarray((c[0] * g + c[2]) + c[1] * gp)


def _named(region: Region, name: str) -> sp.Expr:
    orders = {"time": region.time, **{f"S_{layer}": order for layer, order in region.orders.items()}}
    if not isinstance(name, str) or name not in orders:
        raise InputError(f"no exponent is called {shown(name)}; choose of {', '.join(orders)}")
    return orders[name]


def _coefficients(value: sp.Expr) -> _Affine | sp.Expr:
    if value is sp.S.NegativeInfinity:
        return (0.0, 0.0, -np.inf)
    if not value.is_polynomial(*_PLANE):  # pieces, within which it is not linear
        return value
    g, gp, constant = map(float, affine_coefficients(value, _PLANE))
    return (g, gp, constant)
