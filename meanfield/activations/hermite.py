"""Hermite polynomials, orthonormal under a Gaussian number of variance one."""

from __future__ import annotations

import math

import numpy as np

from meanfield.activations.base import Activation, Array, OfParameter, Orders
from meanfield.activations.gaussian import Angle, Dual
from meanfield.activations.linear import LINEAR
from meanfield.arguments import whole_number


def _polynomials(z: Array, order: int) -> tuple[Array, Array]:
    """The polynomials of this order and of the one below, which is 0 below order 0."""
    below, here = np.zeros_like(z), np.ones_like(z)
    for k in range(order):
        below, here = here, (z * here - math.sqrt(k) * below) / math.sqrt(k + 1)
    return here, below


def _value(z: Array, order: int) -> Array:
    return _polynomials(z, order)[0]


def _both(z: Array, order: int) -> tuple[Array, Array]:
    here, below = _polynomials(z, order)
    below *= math.sqrt(order)
    return here, below


def _slope(z: Array, order: int) -> Array:
    return _both(z, order)[1]


def _curvature(z: Array, order: int) -> Array:
    return np.asarray(math.sqrt(order * (order - 1)) * _value(z, order - 2))


def _terms(order: int) -> list[tuple[int, int]]:
    """Coefficients of He: pairs (coefficient without its sign, power), from the highest power down."""
    factorial = math.factorial
    return [
        (factorial(order) // (factorial(j) * factorial(order - 2 * j) * 2**j), order - 2 * j)
        for j in range(order // 2 + 1)
    ]


def _products(length: Array, other: Array, angle: Angle, order: int) -> tuple[Array, Array]:
    return _product(length, other, angle, order), order * _product(length, other, angle, order - 1)


def _product(length: Array, other: Array, angle: Angle, order: int) -> Array:
    c = length * other * angle.cosine
    excess = (length - 1.0) * (length + 1.0) * (other - 1.0) * (other + 1.0)
    total = np.zeros_like(c)
    for j, (coefficient, power) in enumerate(_terms(order)):
        share = coefficient**2 * math.factorial(power) / math.factorial(order)
        total = total + share * excess**j * c**power
    return total


def hermite(order: int) -> Activation:
    """The polynomial ``He_k(z) / sqrt(k!)`` of probabilists: ``(z**2 - 1) / sqrt(2)`` for k = 2.

    Parameters
    ----------
    order : int
        k, from 1 (the identity) to 30.

    Returns
    -------
    Activation
        By name "hermite(3)".

    Examples
    --------
    >>> hermite(3).formula
    '(z**3 - 3*z)/sqrt(6)'
    """
    if (order := whole_number("order", order, most=30)) == 1:
        return LINEAR
    powers = {0: "", 1: "*z"}
    signed = [
        f"{'+-'[j % 2]} {factor}{powers.get(power, f'*z**{power}')}"
        for j, (factor, power) in enumerate(_terms(order))
    ]
    formula = " ".join(signed).removeprefix("+ 1*")
    whole = math.factorial(order)
    dual = " + ".join(
        f"Rational({factor**2 * math.factorial(power)}, {whole})*((a - 1)*(b - 1))**{j}*c**{power}"
        for j, (factor, power) in enumerate(_terms(order))
    )
    odd = order % 2
    return Activation(
        f"hermite({order})",
        OfParameter(_value, order),
        OfParameter(_slope, order),
        OfParameter(_curvature, order),
        OfParameter(_both, order),
        formula=f"({formula})/sqrt({whole})",
        at_zero=Orders(odd, 1 - odd),
        at_infinity=Orders(order, order - 1),
        dual=Dual(OfParameter(_products, order), dual),
    )


ACTIVATIONS = (hermite(2), hermite(3), hermite(4))
FAMILIES = {"hermite": hermite}
