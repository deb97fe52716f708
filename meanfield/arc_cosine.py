"""The kernels of the two layers, accurate to a few units in the last place at every angle."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import real_array
from meanfield.errors import InputError

Array = NDArray[np.float64]

#: Entries of a block of n x k x d differences held at a time (64 MB).
_BLOCK = 1 << 23
#: Veltkamp's constant: splits a double into two halves whose products are exact.
_SPLIT = 134217729.0
#: Below this angle the series of sin(psi) - psi cos(psi) replaces the difference.
_SERIES_BELOW = 0.7
#: Terms of the series: (2k)/(2k+1)! psi^(2k+1) with alternating signs; the 9th is below 1e-18 of the first.
_TERMS = 10


def arc_cosine_kernels(x: ArrayLike, other: ArrayLike | None = None) -> tuple[Array, Array]:
    """Kernels of the two layers between rows of x and of another array.

    Parameters
    ----------
    x, other : array_like, shapes (n, d) and (k, d)
        Inputs with the bias as their last coordinate; ``other`` is x by default.

    Returns
    -------
    G_a, G_w : ndarray, shape (n, k)
        ``E[relu(w.x) relu(w.x')]`` and ``(x.x') E[relu'(w.x) relu'(w.x')]`` for ``w ~ N(0, I)``
        (Cho, Saul 2009), for the output and the input weights.

    Raises
    ------
    InputError
        If shapes do not match.

    Notes
    -----
    With ``psi = pi - theta`` they are ``|x||x'| (sin psi - psi cos psi) / (2 pi)`` and
    ``(x.x') psi / (2 pi)``: small near opposite inputs, where both psi and the difference have to be found
    without cancellation. See :func:`angles`.

    Examples
    --------
    >>> G_a, G_w = arc_cosine_kernels(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> G_a * 2 * np.pi
    array([[3.14159265, 1.        ],
           [1.        , 3.14159265]])
    >>> G_w
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    rows, columns = _rows("x", x), _rows("x" if other is None else "other", x if other is None else other)
    if rows.shape[1] != columns.shape[1]:
        raise InputError(f"x has {rows.shape[1]} columns and other {columns.shape[1]}; give as many")
    _, psi = angles(rows, columns)
    product = np.outer(np.linalg.norm(rows, axis=1), np.linalg.norm(columns, axis=1))
    return product * _sin_minus(psi) / (2.0 * np.pi), (rows @ columns.T) * psi / (2.0 * np.pi)


def angles(x: Array, other: Array) -> tuple[Array, Array]:
    """Angles theta between rows, and pi - theta, each to a few units in the last place.

    Parameters
    ----------
    x, other : ndarray, shapes (n, d) and (k, d)

    Returns
    -------
    theta, psi : ndarray, shape (n, k)
        In [0, pi]; pi / 2 for rows of zeros.

    Notes
    -----
    Kahan's ``2 atan2(|u - v|, |u + v|)`` of the unit vectors is exact to rounding in absolute terms; the
    rounding of u and v still costs the relative accuracy of tiny angles. Here ``r = x' - c x`` with
    ``c = x.x' / |x|^2`` is formed with error-free products, so that the small part is right in every digit.

    Examples
    --------
    >>> theta, psi = angles(np.array([[1.0, 3.0]]), np.array([[1.0, 3.0], [-1.0, -3.0]]))
    >>> print(theta[0, 0], psi[0, 1])
    0.0 0.0
    """
    theta, psi = np.empty((len(x), len(other))), np.empty((len(x), len(other)))
    step = max(1, _BLOCK // max(1, other.size))
    for start in range(0, len(x), step):
        block = slice(start, start + step)
        small, near = _to_nearer_ray(x[block], other)
        theta[block] = np.where(near, small, np.pi - small)
        psi[block] = np.where(near, np.pi - small, small)
    return theta, psi


def _to_nearer_ray(x: Array, other: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Angle, at most pi/2, between each row of other and the line of each x; whether it is x's own ray."""
    lengths = np.linalg.norm(x, axis=1)
    unit = x / np.where(lengths, lengths, 1.0)[:, None]
    square = np.einsum("nc,nc->n", x, x)
    c = (x @ other.T) / np.where(square, square, 1.0)[:, None]
    rest = _minus_product(other[None], c[:, :, None], x[:, None])
    # What rounding of c left along x belongs to the other leg of the triangle.
    along = np.einsum("nkc,nc->nk", rest, unit)
    across = np.linalg.norm(rest - along[:, :, None] * unit[:, None], axis=2)
    leg = c * lengths[:, None] + along
    small = np.arctan2(across, np.abs(leg))
    return np.where((across == 0.0) & (leg == 0.0), 0.5 * np.pi, small), leg >= 0.0


def _minus_product(z: Array, c: Array, x: Array) -> Array:
    """``z - c x`` with the rounding of the product made good (Dekker 1971)."""
    product = c * x
    c_high, x_high = _high(c), _high(x)
    c_low, x_low = c - c_high, x - x_high
    error = ((c_high * x_high - product) + c_high * x_low + c_low * x_high) + c_low * x_low
    return np.asarray((z - product) - error)


def _high(values: Array) -> Array:
    scaled = _SPLIT * values
    return np.asarray(scaled - (scaled - values))


def _sin_minus(psi: Array) -> Array:
    """``sin psi - psi cos psi`` for psi in [0, pi]."""
    small = np.minimum(psi, _SERIES_BELOW)
    square, term, total = small**2, small**3 / 3.0, np.zeros_like(psi)
    for k in range(1, _TERMS):
        total += term
        # terms are (-1)^(k+1) 2k / (2k+1)! psi^(2k+1)
        term = term * -square / (2 * k * (2 * k + 3))
    return np.where(psi < _SERIES_BELOW, total, np.sin(psi) - psi * np.cos(psi))


def _rows(name: str, values: ArrayLike) -> Array:
    array = real_array(name, values)
    if array.ndim != 2:
        raise InputError(f"{name} has shape {array.shape}; give rows of shape (n, d)")
    return array
