"""Order parameters beside RD: kernel, orientations, dead neurons and kinks pinned to data, of one state.

All are functions of a problem and its particles; :meth:`meanfield.Trajectory.order_parameters` takes them at
the saved states of a run. Definitions with their sources: docs/statistics.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.activations import RELU
from meanfield.arguments import flag, number, real_array
from meanfield.displays import brief
from meanfield.errors import InputError
from meanfield.exporting import dataset, frame
from meanfield.flow.system import CanonicalSystem, ReluSystem, check_pair
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.resources import check_fits

if TYPE_CHECKING:
    import pandas
    import xarray

Array = NDArray[np.float64]

#: Two neurons closer than this (radians) count as one orientation: five degrees.
RESOLUTION = math.pi / 36
#: A kink sits on a sample if the angle between their rays is at most this far from a right one (radians).
ON_SAMPLE = 1e-6
#: Cosines held at a time (32 MB).
_BLOCK = 1 << 22
#: Kernels (n, n) held at a time: the first, another, their difference, and what making one takes.
_KERNELS = 6


@dataclass(frozen=True, eq=False)
class OrderParameters:
    """Order parameters along a run.

    Attributes
    ----------
    time : ndarray, shape (T,)
        Normalised times tbar.
    kernel_change : ndarray, shape (T,)
        ``|K(t) - K(0)| / |K(0)|`` of the tangent kernel on the samples (Frobenius).
    kernel_alignment : ndarray, shape (T,)
        Of the kernel with the targets, uncentred (see :func:`kernel_alignment`).
    orientations : ndarray, shape (T,)
        Effective number of orientations (see :func:`effective_orientations`).
    dead : ndarray, shape (T,)
        Share of neurons that are inactive on every sample.
    pinned, pinned_amplitude : ndarray, shape (T,)
        Share of neurons whose kink sits on a sample, by number and by amplitude.
    """

    time: Array
    kernel_change: Array
    kernel_alignment: Array
    orientations: Array
    dead: Array
    pinned: Array
    pinned_amplitude: Array

    __repr__ = brief

    def to_pandas(self) -> pandas.DataFrame:
        """All series as a table of pandas over time.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return frame(self._series(), {"time": self.time})

    def to_xarray(self) -> xarray.Dataset:
        """All series as a data set over time.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        variables = {name: ("time", series) for name, series in self._series().items()}
        return dataset(variables, {"time": self.time}, {})

    def _series(self) -> dict[str, Array]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "time"}

    def _at(self, times: Array) -> OrderParameters:
        """The same at some of the times only."""
        rows = np.isin(self.time, times)
        return OrderParameters(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def tangent_kernel(problem: Problem, particles: Particles) -> Array:
    """Tangent kernel K on the samples, shape (n, n): ``de/d tbar = -(1/n) K e``.

    A neuron whose kink sits on a sample, up to :data:`ON_SAMPLE`, counts as inactive there: whether it is
    would otherwise be decided by rounding.

    Parameters
    ----------
    problem : Problem
        The data.
    particles : Particles
        The network, at any time.

    Returns
    -------
    ndarray, shape (n, n), or (n c, n c) for c outputs, which run fastest

    Examples
    --------
    >>> problem = Problem([[1.0]], [1.0], bias=False)
    >>> one = Particles.from_arrays([2.0], [[3.0]], kappa=0.5, kappa_prime=1.0)
    >>> tangent_kernel(problem, one)           # kappa**2 (w**2 / kappa' + kappa' a**2)
    array([[3.25]])
    """
    check_pair(problem, particles)
    n = problem.n
    check_fits(f"tangent kernels between {n} samples, {n} x {n} numbers each,", _KERNELS * 8.0 * n**2)
    system = CanonicalSystem.of(problem, particles)
    theta = system.theta0.copy()
    for x in system.x if particles.activation.slopes is not None else ():
        square = float(x @ x)
        off = ON_SAMPLE * math.sqrt(square) * np.linalg.norm(theta[1:], axis=0)
        z = x @ theta[1:]
        onto = (np.abs(z) <= off) & (off > 0.0)
        # A turn by a millionth puts the neuron on its inactive side, and changes nothing else.
        theta[1:, onto] -= np.outer(x, (z[onto] + 2.0 * off[onto]) / square)
    K = system.kappa * system.gram(theta)
    if isinstance(system, ReluSystem):
        K = system.output(system.output(K).T)
    return K


def kernel_alignment(K: Array, y: Array, *, centred: bool = False) -> float:
    """Alignment of a kernel with the targets: ``y'Ky / (|K| |y|**2)``, the cosine between K and ``y y'``.

    Parameters
    ----------
    K : ndarray, shape (n, n)
        Kernel on the samples.
    y : ndarray, shape (n,)
        Targets.
    centred : bool, default False
        Remove the means of features and targets first (Cortes, Mohri, Rostamizadeh 2012). Without, it is
        the alignment of Cristianini et al. (2001), and that of the flow: the network starts from zero,
        not from the targets' mean.

    Returns
    -------
    float
        Between 0 and 1; nan where K or y vanishes.

    Examples
    --------
    >>> y = np.array([1.0, -2.0])
    >>> round(kernel_alignment(np.outer(y, y), y), 12), round(kernel_alignment(np.eye(2), y), 4)
    (1.0, 0.7071)
    """
    K, y = real_array("K", K), real_array("y", y)
    if y.ndim != 1 or K.shape != (len(y), len(y)):
        raise InputError(f"K has shape {K.shape} and y {y.shape}; give (n, n) and (n,)")
    if flag("centred", centred):
        K = K - K.mean(axis=0) - K.mean(axis=1)[:, None] + K.mean()
        y = y - y.mean()
    size = float(np.linalg.norm(K)) * float(y @ y)
    return float(y @ K @ y) / size if size > 0.0 else math.nan


def effective_orientations(
    problem: Problem, particles: Particles, *, resolution: float = RESOLUTION
) -> float:
    """How many orientations the neurons have, effectively: one over the chance that two of them agree.

    Draw two neurons with probabilities in proportion to their amplitudes ``|a_k| |w_k|`` (times weight): the
    number is one over the probability that their input weights lie within an angle ``resolution``. It is k
    for k equally strong, well separated orientations, and pi / resolution (36 by default) for amplitude
    spread evenly over the plane. A participation ratio in the sense of a diversity of order two with
    similarities (Leinster and Cobbold 2012); its inverse is a correlation integral.

    Input weights count inside the span of the samples, where they act. In a plane it takes O(N log N)
    operations, else O(N**2 rank).

    Parameters
    ----------
    problem : Problem
        The data.
    particles : Particles
        The neurons.
    resolution : float, optional
        Radians, in (0, pi).

    Returns
    -------
    float
        At least 1; nan if no neuron has an amplitude.

    Examples
    --------
    >>> problem = Problem([-1.0, 1.0], [0.0, 1.0])
    >>> pair = Particles.from_arrays([1.0, -1.0, 1.0], [[1, 0], [2, 0], [0, 3]], kappa=1.0, kappa_prime=1.0)
    >>> effective_orientations(problem, pair)
    2.0
    """
    check_pair(problem, particles)
    resolution = number(
        "resolution", resolution, "an angle between 0 and pi, in radians", above=0.0, below=math.pi
    )
    q = particles.coordinates(problem)
    share = _amplitude_share(q, particles)
    if share is None:
        return math.nan
    some = share > 0.0
    agree = _agreement_in_plane if q.shape[1] == 2 else _agreement
    return 1.0 / agree(q[some], share[some], resolution)


def dead_fraction(problem: Problem, particles: Particles) -> float:
    """Share of neurons (by weight) whose value and slope are zero on every sample: they never move.

    Parameters
    ----------
    problem : Problem
        The data.
    particles : Particles
        The network, at any time.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> problem = Problem([[1.0]], [1.0], bias=False)
    >>> dead_fraction(problem, Particles.from_arrays([1.0, 1.0], [[3.0], [-3.0]], kappa=1, kappa_prime=1))
    0.5
    """
    check_pair(problem, particles)
    silent = np.ones(particles.size, dtype=bool)
    if particles.activation == RELU:
        q = particles.coordinates(problem)
        for x in problem.reduced:
            silent &= q @ x <= 0.0
    else:
        for x in problem.x:
            value, slope = particles.activations(x[None])
            silent &= ((value == 0.0) & (slope == 0.0))[:, 0]
    return float(particles.weight[silent].sum() / particles.width)


def pinned_fraction(
    problem: Problem, particles: Particles, *, by_amplitude: bool = False, tol: float = ON_SAMPLE
) -> float:
    """Share of neurons whose kink ``w . x = 0`` sits on a sample.

    Parameters
    ----------
    problem : Problem
        The data.
    particles : Particles
        The neurons.
    by_amplitude : bool, default False
        Count neurons by amplitude ``|a_k| |w_k|``, not by number.
    tol : float, default 1e-6
        Largest ``|w . x_i| / (|w| |x_i|)`` that counts as zero.

    Examples
    --------
    >>> problem = Problem([0.5, 1.0], [0.0, 1.0])
    >>> four = Particles.from_arrays(
    ...     [1.0, 1.0, 1.0, 1.0], [[2, -1], [1, 0], [0, 1], [1, 1]], kappa=1, kappa_prime=1
    ... )
    >>> pinned_fraction(problem, four)
    0.25
    """
    check_pair(problem, particles)
    by_amplitude, tol = flag("by_amplitude", by_amplitude), number("tol", tol, "a number >= 0", least=0.0)
    q, pinned = particles.coordinates(problem), np.zeros(particles.size, dtype=bool)
    size = np.linalg.norm(q, axis=1)
    for x in problem.reduced:
        bound = tol * float(np.linalg.norm(x)) * size
        pinned |= (np.abs(q @ x) <= bound) & (bound > 0.0)  # what is zero has no kink
    if not by_amplitude:
        return float(particles.weight[pinned].sum() / particles.width)
    share = _amplitude_share(q, particles)
    return math.nan if share is None else float(share[pinned].sum())


def order_parameters(problem: Problem, states: list[Particles], time: Array) -> OrderParameters:
    """All order parameters of a sequence of states, the first of which is the start."""
    first = tangent_kernel(problem, states[0])
    start = float(np.linalg.norm(first))
    change, alignment = np.full(len(states), math.nan), np.empty(len(states))
    for row, state in enumerate(states):  # one at a time: each has n x n numbers
        K = tangent_kernel(problem, state) if row else first
        alignment[row] = kernel_alignment(K, problem.y.ravel())
        if start > 0.0:
            change[row] = float(np.linalg.norm(K - first)) / start
    return OrderParameters(
        time=time,
        kernel_change=change,
        kernel_alignment=alignment,
        orientations=np.array([effective_orientations(problem, state) for state in states]),
        dead=np.array([dead_fraction(problem, state) for state in states]),
        pinned=np.array([pinned_fraction(problem, state) for state in states]),
        pinned_amplitude=np.array([pinned_fraction(problem, s, by_amplitude=True) for s in states]),
    )


def _amplitude_share(q: Array, particles: Particles) -> Array | None:
    """Shares of the neurons in the whole amplitude; None if there is none."""
    amplitude = particles.weight * particles.a_size * np.linalg.norm(q, axis=1)
    total = float(amplitude.sum())
    return amplitude / total if total > 0.0 else None


def _agreement_in_plane(q: Array, share: Array, resolution: float) -> float:
    """Chance that two neurons point within the resolution, from their sorted angles."""
    angle = np.arctan2(q[:, 1], q[:, 0])
    order = np.argsort(angle)
    angle, share = angle[order], share[order]
    # Three turns of the circle, so that every neighbourhood is one interval of the middle one.
    turns = np.concatenate([angle - 2.0 * math.pi, angle, angle + 2.0 * math.pi])
    below = np.concatenate([[0.0], np.cumsum(np.tile(share, 3))])
    first = np.searchsorted(turns, angle - resolution, side="left")
    last = np.searchsorted(turns, angle + resolution, side="right")
    return float(share @ (below[last] - below[first]))


def _agreement(q: Array, share: Array, resolution: float) -> float:
    """The same in any number of dimensions, from all pairs."""
    u = q / np.linalg.norm(q, axis=1)[:, None]
    step, total, close = max(1, _BLOCK // len(u)), 0.0, math.cos(resolution)
    for start in range(0, len(u), step):
        rows = slice(start, start + step)
        total += float(share[rows] @ ((u[rows] @ u.T >= close) @ share))
    return total
