"""What data leave of a loss to any network: outputs that are forced to be equal, and labels that are not.

A network takes one value on equal samples. If its activation is positively homogeneous of degree k, then it
takes ``c_i**k t`` on samples ``c_i u`` of one ray from the origin, for a single t, and 0 at the origin.
The best t leaves what no network can learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meanfield.losses import Loss
from meanfield.rays import LABEL_ROUNDING, SEPARATE, Rays, same_direction, same_point, same_ray

Array = NDArray[np.float64]

#: Doublings of an output, in units of the targets, within which the lowest loss is looked for; halvings.
_DOUBLINGS, _HALVINGS = 20, 80


class Data(Protocol):
    """What is needed of a :class:`~meanfield.Problem`."""

    @property
    def x(self) -> Array:
        """Samples, shape (n, d)."""

    @property
    def reduced(self) -> Array:
        """The same in coordinates of their span."""

    @property
    def y(self) -> Array:
        """Targets, shape (n,)."""

    @property
    def loss_function(self) -> Loss:
        """The loss."""

    @property
    def rays(self) -> Rays:
        """Samples as a network of ReLUs tells them apart."""

    @property
    def zero_loss(self) -> float:
        """Loss of the function that is zero."""


@dataclass(frozen=True, eq=False)
class Floors:
    """What networks of one kind can learn of a data.

    Attributes
    ----------
    loss : float
        A loss R that no network can go below.
    flow : float
        A loss R that training in double precision does not go below, though a network might: larger if
        samples with different targets lie within 1e-11 of each other, seen from the origin.
    learnable : float
        Loss of the function that is zero, less ``loss``; 0 if that is rounding.
    first : ndarray of int, shape (n,)
        For each sample the first one with the same output, up to a factor; -1 where outputs are zero.
    unseparated : tuple of int, or None
        Two samples with different targets that double precision does not tell apart, if any.
    """

    loss: float
    flow: float
    learnable: float
    first: NDArray[np.int64]
    unseparated: tuple[int, int] | None


def floors(data: Data, degree: float | None) -> Floors:
    """The floors for networks whose activation is homogeneous of this degree.

    Parameters
    ----------
    data : Problem
        The data and the loss.
    degree : float or None
        k if ``sigma(c z) = c**k sigma(z)`` for c > 0; None for any other activation.

    Returns
    -------
    Floors
    """
    if data.loss_function.quadratic and degree == 1.0:
        return _of_mean_square(data)
    x = data.reduced
    if degree is None:
        first, near = same_point(data.x, 0.0), same_point(x, SEPARATE)
    else:
        first, near = _own_rays(data).first, same_direction(x, SEPARATE)
    zero = data.zero_loss
    found = [_lowest(data, group, degree) for group in (first, near)]
    loss, flow = (value if value > LABEL_ROUNDING**2 * zero else 0.0 for value in found)
    learned = max(zero - loss, 0.0)
    learned = learned if learned > LABEL_ROUNDING * zero else 0.0
    return Floors(loss, max(loss, flow), learned, first, _unseparated(data.y, first, near))


def _unseparated(y: Array, own: NDArray[np.int64], near: NDArray[np.int64]) -> tuple[int, int] | None:
    """Samples that are ``near``, but not those of which the function of a network says what is possible."""
    apart = np.flatnonzero((near >= 0) & (near != np.arange(len(y))) & (own != own[near]))
    if not apart.size:
        return None
    off = np.abs(y[apart] - y[near[apart]]).reshape(len(apart), -1).max(axis=1)
    worst = apart[np.argmax(off)]
    return int(near[worst]), int(worst)


def _of_mean_square(data: Data) -> Floors:
    """The floors in closed form: the best t leaves ``sum y_i**2 - (sum c_i y_i)**2 / sum c_i**2``."""
    own = _own_rays(data)
    near = same_direction(data.reduced, SEPARATE)
    unresolved = Rays.of(data.reduced, data.y, near)
    # Not as the difference: where labels contradict each other, both may be equal to rounding.
    learned = float(own.y.ravel() @ own.y.ravel()) / (2 * len(own.y))
    return Floors(
        own.lost,
        max(unresolved.lost, data.rays.lost, own.lost),
        learned if learned > LABEL_ROUNDING**2 * data.zero_loss else 0.0,
        own.first,
        _unseparated(data.y, own.first, near),
    )


def _own_rays(data: Data) -> Rays:
    """The samples with one for each ray that they are on, whether or not the flow tells those apart."""
    near = data.rays
    if near.index is None:
        return near
    first = near.first.copy()
    counts = np.bincount(first[first >= 0], minlength=len(data.y))
    merged = np.flatnonzero((first >= 0) & (counts[first] > 1))
    if merged.size:
        first[merged] = merged[same_ray(data.x[merged])]
    return near if np.array_equal(first, near.first) else Rays.of(data.x, data.y, first)


def _lowest(data: Data, first: NDArray[np.int64], degree: float | None) -> float:
    """The mean loss of the best outputs that are ``c_i**degree t`` in each group of samples."""
    here = first >= 0
    _, group = np.unique(first[here], return_inverse=True)
    if data.y.ndim == 2:
        return _lowest_of_several(data, first, degree)
    lengths = np.linalg.norm(data.x, axis=1)
    share = np.ones(len(data.y)) if degree is None else (lengths / lengths[np.maximum(first, 0)]) ** degree
    output = np.zeros(len(data.y))
    output[here] = share[here] * lowest(data.loss_function, data.y[here], group, share[here])[group]
    return float(np.mean(data.loss_function.value(output, data.y)))


def _lowest_of_several(data: Data, first: NDArray[np.int64], degree: float | None) -> float:
    """The same for several outputs. A sample by itself costs nothing in the limit, as under our losses."""
    from scipy.optimize import minimize

    loss, zero = data.loss_function, np.zeros(data.y.shape)
    lengths = np.linalg.norm(data.x, axis=1)
    total = float(np.sum(loss.value(zero, data.y)[first < 0]))
    counts = np.bincount(first[first >= 0], minlength=len(data.y))
    for leader in np.flatnonzero(counts > 1):
        members = np.flatnonzero(first == leader)
        y = data.y[members]
        share = np.ones(len(members)) if degree is None else (lengths[members] / lengths[leader]) ** degree
        if np.all(y == y[0]) and np.all(share == 1.0):
            continue

        def cost(t: Array, y: Array = y, share: Array = share) -> tuple[float, Array]:
            f = share[:, None] * t
            return float(np.sum(loss.value(f, y))), np.asarray(share @ loss.pull(f, y))

        total += float(minimize(cost, y.mean(axis=0), jac=True, method="BFGS", options={"gtol": 1e-10}).fun)
    return total / len(data.y)


def lowest(loss: Loss, y: Array, group: NDArray[np.int64], share: Array) -> Array:
    """The outputs t of groups at which ``sum_i loss(share_i t, y_i)`` is least, shape (groups,).

    The sum's derivative rises with t: its zero is bracketed and bisected. Where the loss falls on and on, t
    is about a million times the targets.

    Parameters
    ----------
    loss : Loss
        A loss for one output.
    y : ndarray, shape (n,)
        Targets.
    group : ndarray of int, shape (n,)
        The group of each sample, from 0.
    share : ndarray, shape (n,)
        Factors >= 0.

    Returns
    -------
    ndarray, shape (groups,)
    """
    count = int(group.max(initial=-1)) + 1

    def slope(t: Array) -> Array:
        return np.asarray(np.bincount(group, share * loss.pull(share * t[group], y), minlength=count), float)

    unit = 1.0 + float(np.max(np.abs(y), initial=0.0)) / max(float(np.min(share, initial=np.inf)), 1e-300)
    low, high = np.full(count, -unit), np.full(count, unit)
    for _ in range(_DOUBLINGS):
        low, high = np.where(slope(low) > 0.0, 2.0 * low, low), np.where(slope(high) < 0.0, 2.0 * high, high)
    low, high = np.where(slope(high) < 0.0, high, low), np.where(slope(low) > 0.0, low, high)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        rises = slope(middle) > 0.0
        low, high = np.where(rises, low, middle), np.where(rises, middle, high)
    return np.asarray(0.5 * (low + high), dtype=np.float64)
