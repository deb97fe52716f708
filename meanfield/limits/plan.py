"""What an infinite-width computation is asked for, and the ways that are open to it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import flag, instance, number, progress_choice, root, whole_number
from meanfield.flow import Replay, Snapshot, Trajectory, gradient_flow, replay
from meanfield.flow.recording import Progress, SaveTimes
from meanfield.flow.replay import Replayed, ResidualPath, replayed
from meanfield.flow.target import LossTarget, needed_target
from meanfield.limits.kernel_regime import KernelRegime
from meanfield.nodes import Directions, directions
from meanfield.particles import Particles
from meanfield.problem import Problem, check_mean_square
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Steps of a run, and of a refinement's: nodes without weight may slide for long where nothing else moves.
_MAX_STEPS, _LOOSE_STEPS = 5000, 1000
#: Tolerated error of outputs in units of the targets', as a share of that in units of the residual; that
#: of refinements is larger, as they are compared in units of the initial loss.
_ATOL, _LOOSE_ATOL = 1e-3, 1e-1
#: Largest tolerance of a run.
_LARGEST = 0.5
#: kappa' beyond which output weights may count as still, and its least distance from where they move.
_LARGE, _FROZEN = 1e5, 1e4
#: How many more nodes the next independent rule has.
_STRETCH = 0.09
#: Particles for which a particle with a fitted weight stands, in a plane and elsewhere.
_MANY, _FEW = 16, 4


@dataclass(frozen=True, eq=False)
class Plan:
    """What is computed, and which ways to compute it are open."""

    problem: Problem
    scaling: Scaling
    width: float
    tol: float
    loss_tol: float | None
    max_nodes: int = 1 << 14
    rng: int = 0
    progress: bool | Callable[[Snapshot], object] | None = None
    loss_atol: float | None = None
    t_end: float = math.inf
    save_at: ArrayLike | None = None
    save_parameters: bool = False
    target: LossTarget = field(init=False)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        check_mean_square(self.problem, "limits of infinite width are")
        instance("scaling", self.scaling, Scaling, "Scaling(gamma, gamma_prime) or Scaling.named")
        checked = {
            "width": number("width", self.width, "a finite number from 2 on, such as 1e12", least=2.0),
            "tol": number(
                "tol", self.tol, "a relative tolerance between 1e-12 and 1", least=1e-12, below=1.0
            ),
            "target": needed_target(self.problem, self.loss_tol, self.loss_atol),
            "max_nodes": whole_number("max_nodes", self.max_nodes, least=64),
            "rng": root(self.rng),
            "progress": progress_choice(self.progress, "a Snapshot"),
            "t_end": number("t_end", self.t_end, "a positive number", above=0.0, most=math.inf),
            "save_at": None if self.save_at is None else SaveTimes(self.save_at).asked,
            "save_parameters": flag("save_parameters", self.save_parameters),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @cached_property
    def law(self) -> KernelRegime:
        """The kernel regime's closed form."""
        return KernelRegime.at(self.problem, self.scaling, self.width)

    @cached_property
    def kernel_error(self) -> float:
        """Error of the closed form, estimated by the change of the kernel until the end."""
        return self.law.nonlinearity(min(self.law.time_to(self.target.loss), self.t_end))

    @property
    def rounding(self) -> float:
        """Rounding of an output, sum over m particles, in units of the targets' rounding times tol."""
        lengths = float(np.linalg.norm(self.problem.x, axis=1).max())
        target = float(np.sqrt(np.mean(self.problem.y**2)))
        largest = self.width * self.law.kappa * math.sqrt(self.problem.d) * lengths
        return float(np.finfo(np.float64).eps) * largest / (target * self.tol) if target > 0.0 else 0.0

    @property
    def kernel_holds(self) -> bool:
        """Whether the closed form is to be used.

        Where m^(1 - gamma) is so large that rounding forbids the flow the kernel changes by its inverse
        square, so that one of both is always in reach.
        """
        return self.kernel_error <= self.tol or self.rounding > 1.0

    def particles(self, nodes: int) -> Particles:
        """About so many particles by the rule that knows nothing of the run."""
        return Particles.quadrature(self.problem, self.scaling, self.width, nodes=nodes, rng=self.rng)

    def directions(self, nodes: int, rule: int = 0) -> Directions:
        """About so many particles' directions by that rule, or by another one of the same kind."""
        return independent_rule(self.problem, nodes, self.rng, rule)

    def many(self, nodes: int) -> int:
        """Particles that so many stand for: their motion is to cost about as much as the run's own."""
        return nodes * (_MANY if self.problem.rank <= 2 else _FEW)

    def replay(self, half: Directions, path: ResidualPath, *, save_parameters: bool = False) -> Replay:
        """Move nodes in the residual of a run."""
        return replay(self.problem, self.standing_in(half), path, save_parameters=save_parameters)

    def replayed(self, half: Directions, path: ResidualPath) -> Iterator[Replayed]:
        """The same, one saved state after the other."""
        return replayed(self.problem, self.standing_in(half), path)

    def standing_in(self, half: Directions) -> Particles:
        """Particles for directions with a > 0, with the kappa' of the flow."""
        return replace(self.twins(half), kappa_prime=self.stand_in)

    def twins(self, half: Directions) -> Particles:
        """Particles for directions with a > 0."""
        return Particles.twins(self.problem, self.scaling, self.width, half, rng=self.rng)

    @property
    def stand_in(self) -> float:
        """The kappa' of the flow."""
        return stand_in(self.width, self.law.kappa, self.law.kappa_prime)

    def times(self, dense: Array) -> Array:
        """Times to meet: those given, and the user's own."""
        return dense if self.own_times is None else np.union1d(dense, self.own_times)

    @property
    def own_times(self) -> Array | None:
        """The user's own times, without the start."""
        asked = self.asked
        return None if asked is None else asked[asked > 0.0]

    @property
    def asked(self) -> Array | None:
        """The times that the result is to have; None for those that are found."""
        return None if self.save_at is None else np.asarray(self.save_at, dtype=np.float64)

    def flow(
        self, particles: Particles, at: Array | None = None, finer: float = 1.0, *, path: bool = False
    ) -> Trajectory:
        """Integrate particles, to the target or rest, and keep what is asked for at the times ``at``."""
        rtol, factor = min(self.tol * finer, _LARGEST), self.law.kappa_prime / self.stand_in
        atol, steps = (_ATOL, _MAX_STEPS) if finer == 1.0 else (_LOOSE_ATOL, _LOOSE_STEPS)
        bar = Progress(
            self.progress, target=self.target, t_end=self.t_end,
            label=f"infinite width, {particles.size} particles", since=self.began,
        )  # fmt: skip
        try:
            run = gradient_flow(
                self.problem, replace(particles, kappa_prime=self.stand_in), loss_tol=self.loss_tol,
                loss_atol=self.loss_atol, rtol=rtol, atol=atol * rtol,
                t_end=factor * self.t_end if math.isfinite(self.t_end) else None,
                save_at=None if at is None else factor * at,
                max_steps=steps, save_path=path, progress=bar.update,
            ).with_ends()  # fmt: skip
        finally:
            bar.close()
        run = replace(run, unreached=np.empty(0))  # these times are ours
        if factor == 1.0:
            return run
        time = run.time / factor
        if at is not None:  # to the last digit, too
            met = np.isin(run.time, factor * at)
            time[met] = at[np.searchsorted(factor * at, run.time[met])]
        # tbar runs like 1 / kappa' and RD_a like 1 / kappa'**2 while output weights stand still.
        return replace(
            run, time=time, rd_a=run.rd_a / factor**2, initial=particles,
            final=replace(run.final, kappa_prime=particles.kappa_prime),
            stats=replace(run.stats, rd_a_max=run.stats.rd_a_max / factor**2),
        )  # fmt: skip


def stand_in(width: float, kappa: float, kappa_prime: float) -> float:
    """A kappa' in the place of one so large that output weights stand still.

    There nothing but the unit of time and the tiny RD_a depend on it (exactly as kappa' goes to
    infinity, with an error of the squared displacement of a); the flow cannot tell input weights
    of size 1/kappa' times the output weights from zero.
    """
    largest = max(1.0, 1.0 / (width * kappa))  # of RD_w, in order of magnitude
    return min(kappa_prime, max(_LARGE, _FROZEN * largest))


def independent_rule(problem: Problem, nodes: int, seed: int, rule: int) -> Directions:
    """About so many particles' directions, half as many: rules 0, 1, 2, ... have no nodes in common.

    Up to rank 2 they are Gauss rules of different numbers of nodes, above it other scrambles of the points.
    """
    count = nodes // 2
    if problem.rank <= 2:
        count = round(count * (1.0 + _STRETCH * rule))
    return directions(problem, count, np.random.default_rng([seed, rule] if rule else seed))
