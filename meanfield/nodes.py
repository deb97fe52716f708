"""Quadrature over the initial law: directions of (a, w) on a sphere, with weights.

The flow of one neuron commutes with scaling it, so that every quantity that is homogeneous of degree two
in the neurons (the output, squared displacements, squared norms) has the same mean over a Gaussian (a, w)
in 1 + r dimensions as over uniform directions on S^r at radius sqrt(r + 1): the mean of the squared
radius is r + 1 (derivation: ``docs/infinite-width.md``). Coordinates are those of the samples' span, r
its dimension. All rules give the half a > 0; the other half are the twins (-a, w).

Where the activation is not homogeneous of degree one the radius counts, too: :func:`gaussian` has nodes of
all radii.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.problem import Problem

Array = NDArray[np.float64]
#: Angles between a and |w|, directions of w, weights.
Piece = tuple[Array, Array, Array]

#: Kinks closer than this angle are one.
_SAME_ANGLE = 1e-12
#: Share of a piece's points: its length to this power. Between equal shares and equal density.
_LENGTH_POWER = 0.5
_FEWEST = 8
#: The one node of neurons that never move: the mean squares of a and w are those of the law.
_MIDDLE = (np.array([math.acos(3**-0.5)]), np.array([0.5]), np.ones(1))
#: Rows of a product rule, squared, as a share of all nodes.
_ROWS = 0.15


@dataclass(frozen=True, eq=False)
class Directions:
    """Nodes with a > 0.

    Attributes
    ----------
    a : ndarray, shape (K,)
        Output weights; weighted mean square 1.
    q : ndarray, shape (K, r)
        Input weights in the basis of the samples' span; weighted mean square norm r.
    weight : ndarray, shape (K,)
        Sum 1.
    """

    a: Array
    q: Array
    weight: Array


def directions(
    problem: Problem, count: int, rng: np.random.Generator, *, everywhere: bool = False
) -> Directions:
    """About ``count`` nodes for a problem: a deterministic rule up to rank 2, randomised Sobol' points above.

    Parameters
    ----------
    problem : Problem
        Its kinks (pre-activations zero) cut the circle of w into pieces; pieces where every sample is
        inactive hold neurons that never move, and get one node.
    count : int
        Wanted number of nodes with a > 0.
    rng : Generator
        Scrambles the points at rank 3 and above; not used below.
    everywhere : bool, default False
        Whether neurons move on both sides of their kinks, as those of all activations but the ReLU do.

    Raises
    ------
    InputError
        If count is below 8.

    Examples
    --------
    >>> nodes = directions(Problem([-0.5, 0.5], [1.0, 0.5]), 100, np.random.default_rng(0))
    >>> bool(abs(nodes.weight.sum() - 1.0) < 1e-14), round(float(nodes.weight @ nodes.a**2), 12)
    (True, 1.0)
    """
    if count < _FEWEST:
        raise InputError(
            f"{count} pairs of nodes are asked for; give at least {_FEWEST} (nodes >= {2 * _FEWEST})"
        )
    # What is inactive on x is active on -x, which has the same kink.
    x = np.concatenate([problem.reduced, -problem.reduced]) if everywhere else problem.reduced
    if problem.rank == 1:
        pieces = _on_the_line(x[:, 0], count)
    elif problem.rank == 2:
        pieces = _in_the_plane(x, count)
    else:
        pieces = [_on_the_sphere(problem.rank, count, rng)]
    a, q, weight = [], [], []
    for theta, unit, share in pieces:
        # The rules miss the mean squares by little (a lone node by more); with exact ones the layers'
        # norms are those of the law, piece by piece.
        mean = share / share.sum()
        cosine, sine = np.cos(theta), np.sin(theta)
        a.append(cosine / math.sqrt(mean @ cosine**2))
        q.append((sine * math.sqrt(problem.rank / float(mean @ sine**2)))[:, None] * unit)
        weight.append(share)
    total = np.concatenate(weight)
    return Directions(np.concatenate(a), np.concatenate(q), total / total.sum())


def gaussian(problem: Problem, count: int, rng: np.random.Generator) -> Directions:
    """About ``count`` scrambled Sobol' points of the Gaussian law itself, for activations of any kind.

    Parameters
    ----------
    problem : Problem
        Sets the dimension of the samples' span.
    count : int
        Wanted number of nodes with a > 0; a power of two is taken.
    rng : Generator
        Scrambles the points.

    Examples
    --------
    >>> nodes = gaussian(Problem([-0.5, 0.5], [1.0, 0.5]), 128, np.random.default_rng(0))
    >>> nodes.q.shape, round(float(nodes.weight @ nodes.a**2), 12)
    ((128, 2), 1.0)
    """
    points = _sobol(problem.rank, count, rng)
    a, q = np.abs(points[:, 0]), points[:, 1:]
    # As for directions: the mean squares are those of the law.
    return Directions(
        a / math.sqrt(np.mean(a**2)),
        q / np.sqrt(np.mean(q**2)),
        np.full(len(points), 1.0 / len(points)),
    )


def kink_angles(x: Array) -> Array:
    """Angles in [0, 2 pi) of input weights with q.x_i = 0 for some sample, ascending, shape (K,).

    Parameters
    ----------
    x : ndarray, shape (n, 2)
        Samples in the plane; zero rows have no kink.
    """
    kinks = kinks_of_samples(x)
    both = np.sort(kinks[np.isfinite(kinks)] % (2 * np.pi))
    apart = np.diff(both, append=both[0] + 2 * np.pi) > _SAME_ANGLE
    return np.asarray(both[apart])


def kinks_of_samples(x: Array) -> Array:
    """Both angles of input weights with q.x_i = 0 for each sample, a quarter turn to either side of it.

    Parameters
    ----------
    x : ndarray, shape (n, 2)
        Samples in the plane.

    Returns
    -------
    ndarray, shape (n, 2)
        In radians; nan for zero samples, which have no kink.
    """
    angle = np.where(np.any(x != 0.0, axis=1), np.arctan2(x[:, 1], x[:, 0]), np.nan)
    return np.column_stack([angle - 0.5 * np.pi, angle + 0.5 * np.pi])


def arcs(x: Array) -> tuple[Array, Array]:
    """Begin and length of the circle's pieces between kinks."""
    start = kink_angles(x)
    return start, np.diff(start, append=start[0] + 2 * np.pi)


def pieces(x: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Begin and length of the circle's pieces between kinks, and whether neurons there are ever active."""
    start, length = arcs(x)
    middle = start + 0.5 * length
    return start, length, np.any(np.column_stack([np.cos(middle), np.sin(middle)]) @ x.T > 0.0, axis=1)


def _on_the_line(x: Array, count: int) -> list[Piece]:
    """Rank 1: midpoints in the cube root of the angle between a and |w|, for either sign of w.

    So they are dense at w = 0, the only kink, which neurons begin to reach from near it.
    """
    active = [bool(np.any(sign * x > 0.0)) for sign in (1.0, -1.0)]
    parts: list[Piece] = []
    for sign, moves in zip((1.0, -1.0), active, strict=True):
        size = count // sum(active) if moves else 1
        root: Array = (np.arange(size, dtype=np.float64) + 0.5) / size
        weight = root**2 / float(np.sum(root**2))
        parts.append((0.5 * np.pi * root**3, np.full((size, 1), sign), 0.5 * weight))
    return parts


def _in_the_plane(x: Array, count: int) -> list[Piece]:
    """Rank 2: a rule on each piece between kinks, in the angle of w and the angle between a and |w|."""
    start, length, moves = pieces(x)
    share = np.where(moves, length**_LENGTH_POWER, 0.0)
    sizes = np.maximum(share / share.sum() * (count - np.sum(~moves)), 1.0)
    rows = max(2, round(math.sqrt(_ROWS * count)))
    parts: list[Piece] = []
    for begin, span, size, alive in zip(start, length, sizes, moves, strict=True):
        theta, phi, share = _product(float(size), rows) if alive else _MIDDLE
        angle = begin + span * phi
        weight = share * np.sin(theta)
        unit = np.column_stack([np.cos(angle), np.sin(angle)])
        parts.append((theta, unit, weight / weight.sum() * (span / (2 * np.pi))))
    return parts


def _product(size: float, rows: int) -> Piece:
    """Gauss-Legendre nodes in both coordinates; rows nearer to the pole w = 0 hold fewer of them.

    So the nodes of different rows are not above each other: a discontinuity along a coordinate line, as
    crossing neurons make it, is not seen alike by all rows.
    """
    knots, row_weight = _gauss_legendre(rows)
    theta = 0.25 * np.pi * (knots + 1.0)
    share = np.sqrt(np.sin(theta))
    parts = []
    for at, weight, count in zip(theta, row_weight, size * share / share.sum(), strict=True):
        along, column_weight = _gauss_legendre(max(1, round(float(count))))
        parts.append((np.full(len(along), at), 0.5 * (along + 1.0), weight * column_weight))
    thetas, phis, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return thetas, phis, weights


@functools.cache
def _gauss_legendre(count: int) -> tuple[Array, Array]:
    from scipy.special import roots_legendre  # a heavy import

    knots, weights = roots_legendre(count)
    return knots, weights


def _on_the_sphere(rank: int, count: int, rng: np.random.Generator) -> Piece:
    """Rank 3 and more: scrambled Sobol' points, made Gaussian and projected to the sphere."""
    points = _sobol(rank, count, rng)
    size = np.linalg.norm(points[:, 1:], axis=1)
    theta = np.arctan2(size, np.abs(points[:, 0]))
    return theta, points[:, 1:] / size[:, None], np.full(len(points), 1.0 / len(points))


def _sobol(rank: int, count: int, rng: np.random.Generator) -> Array:
    """Scrambled Sobol' points in 1 + rank dimensions, made Gaussian."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    power = max(round(math.log2(count)), 3)  # Sobol' points are balanced in powers of two only
    sequence = qmc.Sobol(1 + rank, scramble=True, seed=rng)
    return np.asarray(ndtri(np.clip(sequence.random_base2(power), 1e-12, 1.0 - 1e-12)))


def outside_span(problem: Problem, weight: Array, rng: np.random.Generator) -> Array:
    """Parts of the input weights outside the samples' span, shape (K, d), of nodes with weights (K,).

    They never move, but outputs on new points see them. Nodes stand for neurons of all sizes, weighted
    with the square of the radius R in the 1 + r coordinates that matter: given R the part outside is
    Gaussian, so at the nodes' radius it is ``sqrt(r + 1) N(0, I) / R`` with R^2 from the chi-square law of
    r + 3 degrees of freedom (its density times R^2 is that weighted law). Its mean square, d - r, is made
    exact, as displacements are relative to it.
    """
    missing, count = problem.d - problem.rank, len(weight)
    if missing == 0:
        return np.zeros((count, problem.d))
    # The last columns of a complete orthogonal basis span what the samples leave out.
    full, _ = np.linalg.qr(problem.basis, mode="complete")
    radius = np.sqrt(rng.chisquare(problem.rank + 3, count) / (problem.rank + 1))
    parts = rng.standard_normal((count, missing)) / radius[:, None]
    parts *= math.sqrt(missing * weight.sum() / float(weight @ np.sum(parts**2, axis=1)))
    return np.asarray(parts @ full[:, problem.rank :].T)
