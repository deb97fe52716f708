"""Arithmetic with 32 digits, as pairs of doubles: for what sixteen digits would lose by cancellation.

A number is the unevaluated sum of two doubles, the second at most half a unit in the last place of the
first (Dekker 1971; Hida, Li, Bailey 2001). All functions work on arrays, entry by entry.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Relative rounding of an operation, a few units of 2**-104.
EPS = 2.0**-102
#: Veltkamp's constant: splits a double into two halves whose products are exact.
_SPLIT = 134217729.0
#: Steps of the table of arctangents, and bits of its fixed-point numbers.
_STEPS, _BITS = 64, 160
#: Terms of the series of the arctangent below 1/64: the next is 1e-37 of the first.
_TERMS = 10


class Pair(NamedTuple):
    """A number, or an array of them: the sum of both."""

    high: Array
    low: Array

    def at(self, index: Any) -> Pair:
        """Some of an array's entries."""
        return Pair(self.high[index], self.low[index])


PI = Pair(np.array(3.141592653589793), np.array(1.2246467991473532e-16))


def product_error(a: Array, b: Array, product: Array) -> Array:
    """What rounding took from the product: ``a b - product``, exactly."""
    a_high, b_high = _high(a), _high(b)
    a_low, b_low = a - a_high, b - b_high
    return np.asarray(((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)


def times(a: Array, b: Array) -> Pair:
    """Product of doubles, exactly."""
    product = np.asarray(a * b)
    return Pair(product, product_error(a, b, product))


def add(x: Pair, y: Pair) -> Pair:
    """Sum."""
    high, error = _two_sum(x.high, y.high)
    low, second = _two_sum(x.low, y.low)
    high, error = _quick(high, error + low)
    return _quick(high, error + second)


def minus(x: Pair) -> Pair:
    """The number with the other sign."""
    return Pair(-x.high, -x.low)


def multiply(x: Pair, y: Pair) -> Pair:
    """Product."""
    high, error = times(x.high, y.high)
    return _quick(high, error + (x.high * y.low + x.low * y.high))


def scale(x: Pair, factor: Array) -> Pair:
    """Product with a double."""
    high, error = times(x.high, factor)
    return _quick(high, error + x.low * factor)


def divide(x: Pair, y: Pair) -> Pair:
    """Quotient."""
    first = x.high / y.high
    rest = add(x, minus(scale(y, first)))
    second = rest.high / y.high
    rest = add(rest, minus(scale(y, second)))
    high, low = _quick(first, second)
    return _quick(high, low + rest.high / y.high)


def square_root(x: Pair) -> Pair:
    """Square root of a number >= 0."""
    root = np.sqrt(x.high)
    rest = add(x, minus(times(root, root)))
    return _quick(root, 0.5 * rest.high / np.where(root, root, 1.0))


def arc_tangent(y: Pair, x: Pair) -> Pair:
    """Angle in [0, pi] of the point (x, y), y >= 0; pi/2 at the origin.

    Examples
    --------
    >>> one, root = Pair(np.array(1.0), np.array(0.0)), square_root(Pair(np.array(3.0), np.array(0.0)))
    >>> angle = scale(arc_tangent(root, one), np.array(3.0))
    >>> bool(abs(add(angle, minus(PI)).high) < 1e-30)
    True
    """
    negative = x.high < 0.0
    width = _where(negative, minus(x), x)
    steep = y.high > width.high
    numerator, denominator = _where(steep, width, y), _where(steep, y, width)
    origin = denominator.high == 0.0
    denominator = _where(origin, Pair(np.array(1.0), np.array(0.0)), denominator)
    step = np.rint(_STEPS * numerator.high / denominator.high)
    known = step / _STEPS
    rest = divide(add(numerator, minus(scale(denominator, known))), add(denominator, scale(numerator, known)))
    table = _arc_tangents()
    angle = add(table.at(step.astype(np.intp)), _small_arc_tangent(rest))
    half = Pair(0.5 * PI.high, 0.5 * PI.low)
    angle = _where(steep | origin, add(half, minus(angle)), angle)
    return _where(negative, add(PI, minus(angle)), angle)


def _small_arc_tangent(x: Pair) -> Pair:
    square = minus(multiply(x, x))
    total = Pair(np.zeros_like(x.high), np.zeros_like(x.high))
    for k in range(_TERMS - 1, 0, -1):
        odd = Pair(np.array(1.0), np.array(0.0))
        total = multiply(square, add(total, divide(odd, Pair(np.array(2.0 * k + 1.0), np.array(0.0)))))
    return add(x, multiply(x, total))


@functools.cache
def _arc_tangents() -> Pair:
    """``arctan(k / 64)`` for k = 0, ..., 64, by Euler's series in whole numbers of 2**-160."""
    high, low = np.empty(_STEPS + 1), np.empty(_STEPS + 1)
    one = 1 << _BITS
    for k in range(_STEPS + 1):
        below = _STEPS**2 + k**2
        term, total, j = one * _STEPS * k // below, 0, 0
        while term:
            total += term
            term = term * (2 * j + 2) * k**2 // ((2 * j + 3) * below)
            j += 1
        high[k] = total / one
        low[k] = (total - int(high[k] * one)) / one
    return Pair(high, low)


def _where(condition: NDArray[np.bool_], x: Pair, y: Pair) -> Pair:
    return Pair(np.where(condition, x.high, y.high), np.where(condition, x.low, y.low))


def _high(values: Array) -> Array:
    scaled = _SPLIT * values
    return np.asarray(scaled - (scaled - values))


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _quick(a: Array, b: Array) -> Pair:
    """The sum of two, the first the larger one."""
    total = a + b
    return Pair(total, b - (total - a))
