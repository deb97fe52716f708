"""Cells of a sweep: one network trained at one scaling, as a pure function of its description."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import kernels
from meanfield.activations import RELU, Activation, kept_activation
from meanfield.arguments import check_types, instance
from meanfield.flow import Status, gradient_flow
from meanfield.flow.driver import MANY_KINKS
from meanfield.flow.elementwise import KEPT
from meanfield.flow.passes import PARTIAL_SUMS
from meanfield.flow.tangent import DIRECT
from meanfield.laws import PowerLaw
from meanfield.losses import MEAN_SQUARE
from meanfield.particles import Particles, sized
from meanfield.problem import Problem
from meanfield.regime import exponents
from meanfield.scaling import Scaling

Array = NDArray[np.float64]


@dataclass(frozen=True, order=True)
class Cell:
    """One run of a sweep.

    Attributes
    ----------
    gamma, gamma_prime : float
        Exponents of the scaling.
    width : int
        The m of the scaling: neurons of the network, or of one of its twin halves (see
        :class:`CellSettings`).
    seed : int
        Number of the random draw; the same for all scalings (paired) and widths (nested).

    Examples
    --------
    >>> Cell(gamma=0.5, gamma_prime=0.0, width=100, seed=0).width
    100
    """

    gamma: float
    gamma_prime: float
    width: int
    seed: int


@dataclass(frozen=True)
class CellSettings:
    """What all cells of a sweep share.

    Stores of earlier versions lack what was added since: a new setting has a default that is what was done
    before, or :data:`meanfield.experiments.layout.SCHEMA_VERSION` rises and
    :func:`meanfield.experiments.layout.upgraded_settings` says what old ones mean.

    Attributes
    ----------
    loss_atol : float
        Training stops at ``R <= loss_atol``: what ``loss_tol`` means on the problem's data, or as given.
    antisymmetric : bool
        Pair every neuron with a twin, so that the initial output is zero.
    per_half : bool
        The width m counts the neurons of one twin half, as in Luo et al. 2021: the network has 2 m
        neurons and ``kappa = m**-gamma``.
    rtol, atol : float
        Tolerances of the flow.
    max_steps : int
        Largest number of steps of a run.
    entropy : int
        Root of all random numbers of the sweep.
    activation : Activation
        The nonlinearity of the networks.
    beta2 : float or None
        Spread of their initial input weights, where the activation is not homogeneous of degree one.
    loss : str
        Name of the problem's loss.

    Examples
    --------
    >>> CellSettings(loss_atol=1e-4).rtol
    0.01
    """

    loss_atol: float
    antisymmetric: bool = True
    per_half: bool = False
    rtol: float = 1e-2
    atol: float = 1e-6
    max_steps: int = 20_000
    entropy: int = 0
    activation: Activation = RELU
    beta2: float | None = None
    loss: str = MEAN_SQUARE.name

    def described(self) -> dict[str, Any]:
        """Names and values of the settings, for files and tables; activations are kept by their names.

        Returns
        -------
        dict
            Text, numbers, booleans and None only.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)} | {
            "activation": self.activation.name
        }

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> CellSettings:
        """The settings that :meth:`described` has described.

        Parameters
        ----------
        kept : mapping
            From a file.

        Returns
        -------
        CellSettings
            Cells with an activation of the user's own can be read, but not run.
        """
        known = dict(kept)
        if "activation" in known:
            known["activation"] = kept_activation(known["activation"])
        settings = cls(**known)
        check_types(settings)
        return settings

    def theory(self, gamma: ArrayLike, gamma_prime: ArrayLike) -> tuple[Array, Array]:
        """Predicted exponents S_w and S_a of these networks; nan where there is no prediction.

        There is none for losses other than the mean square. Where an activation is not homogeneous of degree
        one, power counting says where the linear regime ends, and what holds in it. Beyond, neurons leave
        the part of the activation that they began in.

        Parameters
        ----------
        gamma, gamma_prime : float or array_like, shape (...)
            Points of the plane; they are broadcast against each other.

        Returns
        -------
        S_w, S_a : ndarray, shape (...)
        """
        S_w, S_a = exponents(gamma, gamma_prime, antisymmetric=self.antisymmetric)
        if self.loss != MEAN_SQUARE.name:
            return np.full_like(S_w, math.nan), np.full_like(S_a, math.nan)
        if self.activation.homogeneous:
            return S_w, S_a
        lazy = S_w <= 0.0
        return np.where(lazy, S_w, math.nan), np.where(lazy, S_a, math.nan)


@dataclass(frozen=True)
class CellResult:
    """What is kept of a cell.

    Attributes
    ----------
    cell : Cell
        Its description.
    rd_w, rd_a : float
        Supremum over time of the relative displacements.
    loss, time : float
        Loss and normalised time at the end.
    status : str
        Name of the flow's status.
    steps : int
        Accepted steps.
    conservation_drift, capacity : float
        Reliability, as in :class:`meanfield.flow.Stats`.
    seconds : float
        Wall time.
    """

    cell: Cell
    rd_w: float
    rd_a: float
    loss: float
    time: float
    status: str
    steps: int
    conservation_drift: float
    capacity: float
    seconds: float

    @property
    def converged(self) -> bool:
        """Whether training reached the loss that was asked for."""
        return self.status == "CONVERGED"

    @property
    def finished(self) -> bool:
        """Whether training ended by itself: at the tolerance, or at rest.

        The displacements of a network at rest are final, whatever its loss.
        """
        return Status[self.status].finished


def sized_for_sweeps(activation: Activation | str, beta2: float | None) -> tuple[Activation, float | None]:
    """The activation of a sweep's networks, and the spread of their input weights where it counts.

    Raises
    ------
    InputError
        As :meth:`meanfield.Particles.sample` does.
    """
    chosen, size = sized(activation, beta2)
    return chosen, None if chosen.homogeneous else size


def cell_scaling(cell: Cell, settings: CellSettings) -> Scaling:
    """The scaling of a cell, as power laws in the number of neurons."""
    halves = 2 if settings.per_half else 1
    return Scaling(
        # kappa = (neurons / halves)**-gamma
        alpha=PowerLaw(halves**-cell.gamma, cell.gamma),
        beta1=PowerLaw(halves ** (cell.gamma_prime / 2), -cell.gamma_prime / 2),
        beta2=PowerLaw(halves ** (-cell.gamma_prime / 2), cell.gamma_prime / 2),
    )


def neurons(cell: Cell, settings: CellSettings) -> int:
    """Number of neurons of a cell's network, twins included."""
    return cell.width * (2 if settings.per_half else 1)


def cell_particles(problem: Problem, cell: Cell, settings: CellSettings) -> Particles:
    """Draw the network of a cell.

    Draws are nested: the wider network of a seed begins with the neurons of the narrower one.

    Parameters
    ----------
    problem : Problem
        The data.
    cell : Cell
        The point of the plane, the width and the seed.
    settings : CellSettings
        What all cells of a sweep share.

    Returns
    -------
    Particles

    Examples
    --------
    >>> from meanfield.datasets import four_points
    >>> settings = CellSettings(loss_atol=1e-4)
    >>> narrow, wide = (cell_particles(four_points(), Cell(1.0, 0.0, m, 0), settings) for m in (20, 40))
    >>> bool((wide.a[:20] == narrow.a).all())
    True
    """
    instance("cell", cell, Cell, "Cell(gamma, gamma_prime, width, seed)")
    instance("settings", settings, CellSettings, "CellSettings(loss_atol)")
    return Particles.sample(
        problem,
        cell_scaling(cell, settings),
        neurons(cell, settings),
        antisymmetric=settings.antisymmetric,
        activation=settings.activation,
        beta2=settings.beta2,
        rng=np.random.SeedSequence(settings.entropy, spawn_key=(cell.seed,)),
    )


def run_cell(problem: Problem, cell: Cell, settings: CellSettings) -> CellResult:
    """Train one cell; a pure function of its arguments but for the wall time.

    Parameters
    ----------
    problem : Problem
        The data.
    cell : Cell
        The point of the plane, the width and the seed.
    settings : CellSettings
        What all cells of a sweep share.

    Returns
    -------
    CellResult

    Examples
    --------
    >>> from meanfield.datasets import four_points
    >>> result = run_cell(four_points(), Cell(1.0, 0.0, 100, 0), CellSettings(loss_atol=1e-4))
    >>> result.status, result.loss <= 1e-4
    ('CONVERGED', True)
    """
    return run_particles(problem, cell_particles(problem, cell, settings), cell, settings)


def run_particles(
    problem: Problem,
    particles: Particles,
    cell: Cell,
    settings: CellSettings,
    *,
    max_steps: int | None = None,
    max_seconds: float | None = None,
) -> CellResult:
    """Train given particles as the network of a cell, or for so long only."""
    run = gradient_flow(
        problem,
        particles,
        loss_atol=settings.loss_atol,
        rtol=settings.rtol,
        atol=settings.atol,
        max_steps=settings.max_steps if max_steps is None else max_steps,
        max_seconds=max_seconds,
        progress=False,
    )
    return CellResult(
        cell=cell,
        rd_w=run.stats.rd_w_max,
        rd_a=run.stats.rd_a_max,
        loss=run.end.loss,
        time=run.end.time,
        status=run.status.name,
        steps=run.stats.steps,
        conservation_drift=run.stats.conservation_drift,
        capacity=run.stats.capacity,
        seconds=run.stats.seconds,
    )


def cell_memory(problem: Problem, cell: Cell, settings: CellSettings) -> float:
    """Bytes that a cell needs at its peak, about.

    Two copies of the particles and three states are alive at once (counted from the code and checked by
    a test), with partial sums of Gram matrices, one for each chunk of particles but bounded. Smooth
    steps keep values and slopes of two states, and, for few samples, blocks of the Jacobian.
    """
    size, n = neurons(cell, settings), problem.n
    if not settings.activation.kinked:
        return 8.0 * size * (2 * problem.d + 8) + _smooth_memory(size, n, problem.rank)
    particles = size * (2 * (1 + problem.d) + 3 * (1 + problem.rank) + 6)
    samples = 3 * n * problem.rank
    chunks = kernels.chunk_count(size)
    if (
        n > MANY_KINKS and problem.rank > 2
    ):  # explicit steps: no Gram matrix, but rows of a block in each thread
        rows = 2 * n * kernels.BLOCK * min(chunks, kernels.get_threads())
        return 8.0 * (particles + samples + size * 6 * (1 + problem.rank) + 80 * n + rows) + 0.5e6
    chunks = min(chunks, max(2, PARTIAL_SUMS // n**2))
    return 8.0 * (particles + samples + (9 + 3 * chunks) * min(n**2, PARTIAL_SUMS)) + 0.5e6


def _smooth_memory(size: int, n: int, rank: int) -> float:
    """Bytes of states, activations that are kept, blocks and Gram matrices of smooth methods."""
    states, kept = 16 * size * (1 + rank), min(n * size, KEPT)
    if n > DIRECT:
        return 8.0 * (states + 5 * kept) + 2.5e6
    blocks, parts = size * (8 * rank**2 + 4 * rank), 9 + 2 * min(64, 1 + size // 1024)
    return 8.0 * (states + 8 * kept + blocks + parts * n**2) + 2.5e6


def cost(cell: Cell) -> float:
    """Rough relative cost of a cell: particles times steps, which grow in the condensed regime."""
    S_w, S_a = exponents(cell.gamma, cell.gamma_prime)
    return cell.width * math.exp(3.0 * max(float(S_w), 0.0) + 1.0 * max(float(S_a), 0.0))
