"""Condensation on images: amplitude against the cosine with the direction along which neurons grow first.

While the output is small neurons do not meet, and the fastest of them grow along extremal vectors (see
:mod:`meanfield.limits.extremals`). In the condensed regime nearly all of the amplitude lies there when the
network leaves its initial plateau; later, directions spread to fit what one direction cannot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.datasets import digits, load_idx
from meanfield.experiments.figures.entry import Check, Entry, FigureResult, Request, as_rows
from meanfield.experiments.figures.own_kernel import OwnKernel
from meanfield.experiments.figures.protocol import listed, per_half
from meanfield.flow import Trajectory, gradient_flow
from meanfield.limits import early_alignment
from meanfield.limits.extremals import early_drift
from meanfield.particles import Particles
from meanfield.problem import Problem

Array = NDArray[np.float64]

SAMPLES = 45
#: Scalings and neurons per twin half, quick and full: on the condensed side m kappa is some 1e-6, so that the
#: plateau lasts long enough for neurons to align.
_QUICK, _FULL = ((0.5, 1.0, 4.0), 100), ((0.5, 1.0, 3.0), 500)
#: The plateau has been left at this share of the initial loss; training ends at these (quick, full).
_LEAVING, _TRAINED = 0.95, (0.5, 0.01)
#: A neuron counts for the early direction if the cosine is above this.
NEAR = 0.95
#: What neurons of slower directions keep of the amplitude when the plateau is left, at most.
_SLOWER = 0.05
#: The first-order law's error is a few times the displacement, below 1 % here.
_LAW = 0.05
#: Between these falls of the loss the output grows nearly at the rate of the fastest direction: neurons that
#: are still turning to it grow by some per cent slower.
_GROWTH, _RATE = (1e-3, 2e-2), 0.1
_STARTS, _ROUNDS = 64, 100


@dataclass(frozen=True, eq=False)
class OrientationStage:
    """Neurons at one time.

    Attributes
    ----------
    name : str
        ``initial``, ``leaving the plateau`` or ``final``.
    cosine, amplitude : ndarray, shape (N,)
        With the early direction; amplitudes as shares of the whole.
    """

    name: str
    cosine: Array
    amplitude: Array

    @property
    def share(self) -> float:
        """Share of the amplitude near the early direction."""
        return float(self.amplitude[self.cosine > NEAR].sum())


@dataclass(frozen=True, eq=False)
class CondensationImages(FigureResult):
    """Networks on images before, during and after training.

    Attributes
    ----------
    problem : Problem
        The images.
    gamma : tuple of float
        Of the networks.
    stages : tuple of tuple of OrientationStage
        For each gamma.
    """

    problem: Problem
    gamma: tuple[float, ...]
    stages: tuple[tuple[OrientationStage, ...], ...]


def compute(request: Request) -> CondensationImages:
    """Train three networks on 45 images, to half (quick) or one per cent of the initial loss."""
    problem, (gammas, width) = images(request), _QUICK if request.quick else _FULL
    direction, rate = early_direction(problem, request.seed)
    runs = [_train(problem, gamma, width, request) for gamma in gammas]
    stages = tuple(_stages(run, direction) for run in runs)
    rows = [
        (gamma, stage.name, k, float(c), float(size))
        for gamma, seen in zip(gammas, stages, strict=True)
        for stage in seen
        for k, (c, size) in enumerate(zip(stage.cosine, stage.amplitude, strict=True))
    ]
    law = OwnKernel(runs[0]).rd_w()
    lazy, condensed = (f"gamma = {gamma:g}" for gamma in (gammas[0], gammas[-1]))
    growth, share = _growth(runs[-1]), stages[-1][1].share
    checks = (
        Check(f"{lazy}: RD_w", runs[0].stats.rd_w_max, law, "theory", _LAW, relative=True),
        Check(f"{condensed}: growth rate of the output", growth, 2 * rate, "theory", _RATE, relative=True),
        Check(f"{condensed}: share in the early direction", share, 1.0, "theory", _SLOWER),
    )
    return CondensationImages(
        header=("gamma", "stage", "neuron", "cosine", "amplitude"), rows=as_rows(rows), checks=checks,
        ran=f"networks of {width} neurons per twin half on {problem.n} images ({problem.name}, "
        f"d = {problem.d}) at gamma = {listed(gammas)}",
        problem=problem, gamma=gammas, stages=stages,
    )  # fmt: skip


def images(request: Request) -> Problem:
    """MNIST's images where they are given, else scikit-learn's digits."""
    if request.images is not None and request.labels is not None:
        return load_idx(request.images, request.labels, n=SAMPLES, rng=request.seed)
    return digits(SAMPLES, rng=request.seed)


def early_direction(problem: Problem, rng: int = 0) -> tuple[Array, float]:
    """The fastest extremal vector of neurons and its growth rate in canonical time.

    Inside a cone of constant activation it is a fixed point of ``u -> +-D(u)/|D(u)|``, found from random
    starts; D is :func:`meanfield.limits.extremals.early_drift`. Where none is found, on kinks only, the
    general search of :func:`meanfield.limits.early_alignment` decides; it takes a minute.
    """
    starts = np.random.default_rng(rng).standard_normal((_STARTS, problem.d))
    found = [_fixed_point(problem, sign, start) for sign in (1, -1) for start in starts]
    best: tuple[Array, float] | None = max(
        (f for f in found if f is not None), key=lambda f: f[1], default=None
    )
    if best is not None:
        return best
    fastest = early_alignment(problem).extremals[0]
    return fastest.direction, fastest.rate


def _fixed_point(problem: Problem, sign: int, start: Array) -> tuple[Array, float] | None:
    u = start
    for _ in range(_ROUNDS):
        D = sign * early_drift(problem.x, problem.y, u[None])[0]
        rate = float(np.linalg.norm(D))
        if rate == 0.0:
            return None
        if np.linalg.norm(D / rate - u) < 1e-12:
            return u, rate
        u = D / rate
    return None


def _train(problem: Problem, gamma: float, width: int, request: Request) -> Trajectory:
    network = Particles.sample(problem, per_half(gamma), 2 * width, rng=request.seed)
    share = _TRAINED[0] if request.quick else _TRAINED[1]
    return gradient_flow(problem, network, loss_tol=share, rtol=1e-2, save_parameters=True, progress=False)


def _stages(run: Trajectory, direction: Array) -> tuple[OrientationStage, ...]:
    left = int(np.argmax(run.loss <= _LEAVING * run.loss[0]))
    times = {"initial": run.time[0], "leaving the plateau": run.time[left], "final": run.time[-1]}
    return tuple(_stage(name, run.particles(float(at)), direction) for name, at in times.items())


def _stage(name: str, network: Particles, direction: Array) -> OrientationStage:
    cosine = network.preactivations(direction[None])[:, 0] / np.sqrt(network.w_squared)
    return OrientationStage(name, cosine, network.amplitude / network.amplitude.sum())


def _growth(run: Trajectory) -> float:
    """Rate at which the loss begins to fall, ``d log(R_0 - R) / ds``: the output's, while it is small."""
    fallen = 1.0 - run.loss / run.loss[0]
    early = (fallen > _GROWTH[0]) & (fallen < _GROWTH[1])
    if early.sum() < 2:
        return math.nan
    return float(np.polyfit(run.initial.kappa * run.time[early], np.log(fallen[early]), 1)[0])


ENTRY = Entry(
    "condensation-images", "condensation on 45 images, by the cosine with the early direction",
    "scikit-learn (extra [data]), or MNIST's IDX files with --images and --labels", (4.0, 18.0), compute,
)  # fmt: skip
