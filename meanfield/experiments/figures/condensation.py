"""Amplitude against orientation through the regimes: spread in the linear one, condensed on two kinks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.datasets import four_points
from meanfield.experiments.figures.entry import Check, Entry, FigureResult, Request, as_rows
from meanfield.experiments.figures.protocol import listed, train
from meanfield.flow import Trajectory
from meanfield.limits import early_alignment
from meanfield.particles import Particles
from meanfield.problem import Problem

Array = NDArray[np.float64]

#: A neuron within this angle of a direction counts for it.
WINDOW = 0.05
#: Neurons that never left the plateau, or bend elsewhere, keep up to this share of the amplitude.
_STRAYS = 0.01


@dataclass(frozen=True, eq=False)
class Condensation(FigureResult):
    """Networks before and after training, through the regimes.

    Attributes
    ----------
    gamma : tuple of float
        Of the runs.
    runs : tuple of Trajectory
        One for each gamma.
    directions : ndarray, shape (2,)
        Orientations on which the condensed limit bends.
    shares : ndarray, shape (G, 2)
        Share of the final amplitude within :data:`WINDOW` of each.
    early : float
        Orientation in which neurons grow first.
    """

    gamma: tuple[float, ...]
    runs: tuple[Trajectory, ...]
    directions: Array
    shares: Array
    early: float


def compute(request: Request) -> Condensation:
    """Train 1000 neurons per twin half at three gammas (quick) or six."""
    problem, width = four_points(), 1000
    gamma = (0.5, 1.0, 1.75) if request.quick else (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
    runs = tuple(train(g, width, request.seed) for g in gamma)
    directions, limit = condensed_limit(problem)
    early = early_alignment(problem).extremals[0].orientation
    shares = np.array([shares_near(run.final, directions) for run in runs])
    rows = [
        (g, stage, k, float(phi), float(size), float(np.sign(a)))
        for g, run in zip(gamma, runs, strict=True)
        for stage, network in (("initial", run.initial), ("final", run.final))
        for k, (phi, size, a) in enumerate(
            zip(network.orientation, network.amplitude, network.a, strict=True)
        )
    ]
    return Condensation(
        header=("gamma", "stage", "neuron", "orientation", "amplitude", "sign_a"), rows=as_rows(rows),
        checks=_checks(gamma, runs, directions, shares, limit, early), gamma=gamma, runs=runs,
        ran=f"networks of {width} neurons per twin half at gamma = {listed(gamma)}",
        directions=directions, shares=shares, early=early,
    )  # fmt: skip


def condensed_limit(problem: Problem) -> tuple[Array, Array]:
    """Orientations of the network that the condensed regime ends in, and its shares of the amplitude.

    That network is the linear interpolant of the four points. Its two bends sit on the inner points, whose
    kinks are the two orientations with outward slopes; a neuron group of amplitude A (in units of the
    output) at orientation phi bends by ``A |cos phi|``. Between the bends both are silent, and what is left
    is the constant ``y[1] = y[2]``: neurons that bend outside of the data, such as those of the early
    direction phi = pi/2, hold the rest of the amplitude.
    """
    (left, right), values = problem.x[1:3, 0], problem.y
    slopes = np.diff(values) / np.diff(problem.x[:, 0])
    bends = np.diff(slopes)
    directions = np.array([math.atan2(left, -1.0), math.atan2(-right, 1.0)])
    sizes = bends / np.abs(np.cos(directions))
    return directions, sizes / (sizes.sum() + values[1])


def shares_near(network: Particles, directions: Array) -> Array:
    """Share of the amplitude within :data:`WINDOW` of each direction."""
    apart = network.orientation[:, None] - directions
    near = np.abs(np.angle(np.exp(1j * apart))) < WINDOW
    return np.asarray(network.amplitude @ near / network.amplitude.sum())


def _checks(
    gamma: tuple[float, ...],
    runs: tuple[Trajectory, ...],
    directions: Array,
    shares: Array,
    limit: Array,
    early: float,
) -> tuple[Check, ...]:
    """Condensed: the limit's shares. Linear: those of uniform orientations. Early: the one without a bend."""
    neurons, uniform = runs[0].initial.size / 2, WINDOW / math.pi
    scatter = 3.0 * math.sqrt(2.0 * uniform / neurons)  # amplitudes of random neurons: <A^2> / <A>^2 < 2
    checks = [Check("early direction", early, math.pi / 2, "theory", 1e-9)]
    checks += [
        Check(f"gamma = {gamma[0]:g}: share at {phi:+.4f}", float(share), uniform, "theory", scatter)
        for phi, share in zip(directions, shares[0], strict=True)
    ]
    checks += [
        Check(f"gamma = {gamma[-1]:g}: share at {phi:+.4f}", float(share), float(known), "theory", _STRAYS)
        for phi, share, known in zip(directions, shares[-1], limit, strict=True)
    ]
    return tuple(checks)


ENTRY = Entry(
    "condensation", "amplitude against orientation through the regimes, before and after training",
    "nothing", (1.0, 10.0), compute,
)  # fmt: skip
