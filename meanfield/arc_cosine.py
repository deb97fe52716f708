"""The kernels of the two layers, accurate to a few units in the last place at every angle."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import double_double as dd
from meanfield.activations.arc_cosine import sin_minus
from meanfield.arguments import instance, real_array
from meanfield.errors import InputError
from meanfield.problem import Problem
from meanfield.resources import check_fits

Array = NDArray[np.float64]

#: Entries of a block of pairs x d differences held at a time (64 MB).
_BLOCK = 1 << 23
#: Entries of a block of numbers of 32 digits, for which many passes are made (1 MB).
_EXACT_BLOCK = 1 << 17
#: Beyond these cosines, of 0.05 and of pi - 0.5, an arc cosine of a rounded product is not good enough.
_NEAR, _OPPOSITE = 0.99875, -0.8775


def arc_cosine_kernels(
    x: ArrayLike, other: ArrayLike | None = None, *, problem: Problem | None = None
) -> tuple[Array, Array]:
    """Kernels of the two layers between rows of x and of another array.

    Parameters
    ----------
    x : array_like, shape (n, d)
        Inputs with the bias as their last coordinate.
    other : array_like, shape (k, d), optional
        Other inputs of this kind; by default x.
    problem : Problem, optional
        Then x and ``other`` are inputs as the user has them, of shape (n,) or (n, d_in): without the bias
        column, which the problem adds if it has one.

    Returns
    -------
    G_a, G_w : ndarray, shape (n, k)
        ``E[relu(w.x) relu(w.x')]`` and ``(x.x') E[relu'(w.x) relu'(w.x')]`` for ``w ~ N(0, I)``
        (Cho, Saul 2009), for the output and the input weights.

    Raises
    ------
    InputError
        If shapes do not match, or the kernels do not fit into memory.

    Notes
    -----
    With ``psi = pi - theta`` they are ``|x||x'| (sin psi - psi cos psi) / (2 pi)`` and
    ``(x.x') psi / (2 pi)``: small near opposite inputs, where both psi and the difference have to be found
    without cancellation. Angles come from one product of matrices, and from the vectors of each pair
    where that product loses digits: within 0.05 of the same ray and 0.5 of the opposite one.

    Examples
    --------
    >>> G_a, G_w = arc_cosine_kernels(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> G_a * 2 * np.pi
    array([[3.14159265, 1.        ],
           [1.        , 3.14159265]])
    >>> G_w
    array([[0.5, 0. ],
           [0. , 0.5]])

    With a problem, inputs are as its user has them:

    >>> problem = Problem([-1.0, 1.0], [0.0, 1.0])
    >>> bool(np.all(arc_cosine_kernels([-1.0, 1.0], problem=problem)[0] == arc_cosine_kernels(problem.x)[0]))
    True
    """
    rows, columns = input_rows(x, other, problem)
    if rows.shape[1] != columns.shape[1]:
        raise InputError(f"x has {rows.shape[1]} columns and other {columns.shape[1]}; give as many")
    shape = (len(rows), len(columns))
    check_fits(f"two kernels of {shape[0]} x {shape[1]} inputs", 3 * 8.0 * shape[0] * shape[1])
    G_a, G_w = np.empty(shape), np.empty(shape)
    lengths, other_lengths = np.linalg.norm(rows, axis=1), np.linalg.norm(columns, axis=1)
    step = max(1, _BLOCK // max(1, 8 * len(columns)))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        dot, product = rows[block] @ columns.T, np.outer(lengths[block], other_lengths)
        psi = _opposite_angles(rows[block], columns, dot, product)
        G_a[block] = product * sin_minus(psi) / (2.0 * np.pi)
        G_w[block] = dot * psi / (2.0 * np.pi)
    return G_a, G_w


def exact_kernels(x: Array, other: Array) -> tuple[dd.Pair, dd.Pair]:
    """The kernels with 32 digits of their largest entries, for kernels that are to be subtracted.

    Parameters
    ----------
    x, other : ndarray, shapes (n, d) and (k, d)
        Inputs, taken as exact.

    Returns
    -------
    G_a, G_w : Pair of ndarray, shape (n, k)
        ``(|x||x'| sin theta + psi x.x') / (2 pi)`` and ``psi x.x' / (2 pi)``.
    """
    shape = (len(x), len(other))
    G_a, G_w = (dd.Pair(np.empty(shape), np.empty(shape)) for _ in range(2))
    step = max(1, _EXACT_BLOCK // max(1, len(other)))
    for start in range(0, len(x), step):
        block = slice(start, start + step)
        for kernel, found in zip((G_a, G_w), _exact_block(x[block], other), strict=True):
            kernel.high[block], kernel.low[block] = found
    return G_a, G_w


def _exact_block(x: Array, other: Array) -> tuple[dd.Pair, dd.Pair]:
    size, other_size = _power_of_two(x), _power_of_two(other)
    x, other = x / size, other / other_size  # exactly
    square, dot = _exact_dot(x, x), _exact_dot(x[:, None], other[None])
    none = square.high == 0.0
    c = dd.divide(dot, dd.Pair(np.where(none, 1.0, square.high)[:, None], square.low[:, None]))
    across = dd.Pair(np.zeros(dot.high.shape), np.zeros(dot.high.shape))
    for k in range(x.shape[1]):
        rest = dd.minus(dd.scale(c, x[:, k, None]))
        rest = dd.add(rest, dd.Pair(other[None, :, k], np.zeros((1, 1))))
        across = dd.add(across, dd.multiply(rest, rest))
    sine = dd.square_root(dd.multiply(across, dd.Pair(square.high[:, None], square.low[:, None])))
    psi = dd.add(dd.PI, dd.minus(dd.arc_tangent(sine, dot)))
    turn = dd.scale(dd.PI, np.array(2.0))
    G_w = dd.divide(dd.multiply(psi, dot), turn)
    G_a = dd.add(dd.divide(sine, turn), G_w)
    unit = size * other_size.T
    return dd.Pair(G_a.high * unit, G_a.low * unit), dd.Pair(G_w.high * unit, G_w.low * unit)


def _exact_dot(x: Array, other: Array) -> dd.Pair:
    """Products of rows, summed over the last axis."""
    total = dd.times(x[..., 0], other[..., 0])
    for k in range(1, x.shape[-1]):
        total = dd.add(total, dd.times(x[..., k], other[..., k]))
    return total


def _power_of_two(x: Array) -> Array:
    """A power of two for each row, next to its largest entry, shape (n, 1)."""
    largest = np.max(np.abs(x), axis=1, keepdims=True, initial=0.0)
    return np.asarray(np.exp2(np.frexp(np.where(largest, largest, 1.0))[1]))


def _opposite_angles(x: Array, other: Array, dot: Array, product: Array) -> Array:
    """Angles ``psi = pi - theta``, shape (n, k); pi / 2 for rows of zeros.

    Those near pi to rounding, those near 0 to a few units in the last place.
    """
    cosine = np.divide(dot, product, out=np.zeros_like(dot), where=product > 0.0)
    psi = np.arccos(np.clip(-cosine, -1.0, 1.0))
    i, j = np.nonzero((cosine > _NEAR) | (cosine < _OPPOSITE))
    step = max(1, _BLOCK // max(1, x.shape[1]))
    for start in range(0, len(i), step):
        here, there = i[start : start + step], j[start : start + step]
        small, near = _to_nearer_ray(x[here], other[there])
        psi[here, there] = np.where(near, np.pi - small, small)
    return np.asarray(psi)


def _to_nearer_ray(x: Array, other: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Angle, at most pi/2, between each row of other and the line of that of x; whether it is x's own ray.

    Kahan's ``2 atan2(|u - v|, |u + v|)`` of the unit vectors is exact to rounding in absolute terms; the
    rounding of u and v still costs the relative accuracy of tiny angles. Here ``r = x' - c x`` with
    ``c = x.x' / |x|^2`` is formed with error-free products, so that the small part is right in every digit.
    """
    x, other = x / _power_of_two(x), other / _power_of_two(other)  # exactly, so that squares stay in range
    lengths = np.linalg.norm(x, axis=1)
    unit = x / lengths[:, None]
    c = np.einsum("pc,pc->p", x, other) / np.einsum("pc,pc->p", x, x)
    product = c[:, None] * x
    rest = (other - product) - dd.product_error(c[:, None], x, product)
    # What rounding of c left along x belongs to the other leg of the triangle.
    along = np.einsum("pc,pc->p", rest, unit)
    across = np.linalg.norm(rest - along[:, None] * unit, axis=1)
    leg = c * lengths + along
    return np.arctan2(across, np.abs(leg)), leg >= 0.0


def input_rows(x: ArrayLike, other: ArrayLike | None, problem: Problem | None) -> tuple[Array, Array]:
    """Inputs as rows of d entries, for both places of a kernel; those of the second are x by default."""
    if problem is None:
        rows = _rows("x", x)
        return rows, rows if other is None else _rows("other", other)
    instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    rows = problem.with_bias(x)
    return rows, rows if other is None else problem.with_bias(other)


def _rows(name: str, values: ArrayLike) -> Array:
    array = real_array(name, values)
    if array.ndim != 2:
        raise InputError(f"{name} has shape {array.shape}; give rows of shape (n, d)")
    return array
