"""What a sweep will take, said before it starts: a few of its cells are timed, the others follow by a model.

The model: a cell takes steps times (A + B neurons) seconds. A and B come from probes at the two smallest
widths; steps at a point of the plane from those of the probes around it, and their growth with the width from
the two probes at one point. Steps differ by a factor of ten over the plane, and by more between data sets.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.experiments.cells import Cell, CellResult, CellSettings, cell_particles, run_particles
from meanfield.experiments.durations import duration
from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Work of a step beside its passes over the neurons, in multiplications (from runs of the preset "quick").
_STEP = 25_000.0
#: Multiplications per neuron where samples lie in a plane: sorted by angle, their number hardly counts.
_PLANAR = 8.0
#: Seconds for one probe, at most.
_LONGEST = 10.0
#: Steps grow at most with this power of the width.
_GROWTH = 0.5
#: A smaller job is offered for one that takes longer than this, in seconds.
_LONG = 120.0


def run_work(problem: Problem, size: int) -> float:
    """Work of a step of a network of so many neurons, about, in multiplications."""
    each = _PLANAR if problem.rank <= 2 else float(problem.n * problem.rank)
    return _STEP + each * size


@dataclass(frozen=True)
class Probe:
    """A cell that was timed.

    Attributes
    ----------
    result : CellResult
        How it went.
    steps : float
        Steps that it takes to its end; extrapolated where it was cut.
    seconds : float
        Wall time of a step.
    complete : bool
        Whether it came to its end.
    """

    result: CellResult
    steps: float
    seconds: float
    complete: bool


@dataclass(frozen=True, eq=False)
class CostModel:
    """Seconds of any cell of a sweep, from probes.

    Attributes
    ----------
    points : ndarray, shape (K, 2)
        gamma and gamma_prime of the probes at the smallest width.
    log_steps : ndarray, shape (K,)
        Logarithm of their steps.
    width : int
        That width.
    growth : float
        Power of the width in the steps.
    fixed, each : float
        Seconds of a step: ``fixed + each * width``.
    """

    points: Array
    log_steps: Array
    width: int
    growth: float
    fixed: float
    each: float

    @classmethod
    def fitted(cls, probes: Sequence[Probe]) -> CostModel:
        """The model of some probes; all but the last at the smallest width."""
        width = min(probe.result.cell.width for probe in probes)
        here = [probe for probe in probes if probe.result.cell.width == width]
        points = np.array([(p.result.cell.gamma, p.result.cell.gamma_prime) for p in here])
        log_steps = np.log([max(p.steps, 1.0) for p in here])
        done = sum(p.result.steps for p in here)
        per_step = sum(p.seconds * p.result.steps for p in here) / max(done, 1)
        wider = [probe for probe in probes if probe.result.cell.width > width]
        growth, each = 0.0, per_step / width
        if wider:
            other = wider[-1]
            same = next(p for p in here if _at(p.result.cell) == _at(other.result.cell))
            ratio = other.result.cell.width / width
            growth = math.log(max(other.steps, 1.0) / max(same.steps, 1.0)) / math.log(ratio)
            each = (other.seconds - per_step) / (other.result.cell.width - width)
        each = min(max(each, 0.0), per_step / width)
        return cls(points, log_steps, width, min(max(growth, 0.0), _GROWTH), per_step - each * width, each)

    def steps(self, cell: Cell) -> float:
        """Steps of a cell, from the probes around it: weights fall with the square of the distance."""
        away = np.sum((self.points - np.array(_at(cell))) ** 2, axis=1)
        weight = 1.0 / (away + 1e-9)
        there = math.exp(float(weight @ self.log_steps) / float(weight.sum()))
        return there * float((cell.width / self.width) ** self.growth)

    def seconds(self, cell: Cell) -> float:
        """Wall time of a cell, in the process that ran the probes."""
        return self.steps(cell) * (self.fixed + self.each * cell.width)

    def total(self, cells: Collection[Cell], processes: int) -> float:
        """Wall time of cells on so many processes like this one."""
        each = [self.seconds(cell) for cell in cells]
        return max(sum(each) / processes, max(each, default=0.0))


def probe_cells(cells: Sequence[Cell]) -> list[Cell]:
    """Cells to time: corners and middle of the plane at the smallest width, the middle at the next width.

    Examples
    --------
    >>> grid = [Cell(g, 0.0, m, 0) for g in (0.5, 1.0, 1.5) for m in (100, 200)]
    >>> [(cell.gamma, cell.width) for cell in probe_cells(grid)]
    [(0.5, 100), (1.0, 100), (1.5, 100), (1.0, 200)]
    """
    widths = sorted({cell.width for cell in cells})
    smallest = [cell for cell in cells if cell.width == widths[0]]
    seed = min(cell.seed for cell in smallest)
    ground = {_at(cell): cell for cell in smallest if cell.seed == seed}
    points = np.array(sorted(ground))
    low, high = points.min(axis=0), points.max(axis=0)
    wanted = [*((g, p) for g in (low[0], high[0]) for p in (low[1], high[1])), tuple((low + high) / 2)]
    nearest = [
        tuple(points[np.argmin(np.sum((points - np.array(at)) ** 2, axis=1))].tolist()) for at in wanted
    ]
    chosen = [ground[at] for at in sorted(set(nearest))]
    middle = ground[nearest[-1]]
    if len(widths) > 1:
        beside = [c for c in cells if c.width == widths[1] and _at(c) == _at(middle) and c.seed == seed]
        chosen += beside[:1]
    return chosen


def probes(problem: Problem, cells: Sequence[Cell], settings: CellSettings) -> Iterator[Probe]:
    """Run probes; the first steps of the first one are not on the clock, as they may compile kernels."""
    for number, cell in enumerate(cells):
        network = cell_particles(problem, cell, settings)
        if number == 0:
            run_particles(problem, network, cell, settings, max_steps=2)
        began = time.monotonic()
        result = run_particles(problem, network, cell, settings, max_seconds=_LONGEST)
        seconds = time.monotonic() - began
        complete = result.status != "MAX_SECONDS"
        steps = float(result.steps)
        if not complete:
            # As if the logarithm of the loss went on falling as it did.
            start = problem.zero_loss
            fallen = math.log(start / min(result.loss, 0.99 * start))
            steps = min(
                max(steps, 1.0) * math.log(start / settings.loss_atol) / fallen, float(settings.max_steps)
            )
        yield Probe(result, max(steps, result.steps), seconds / max(result.steps, 1), complete)


def recalled(results: Iterable[CellResult]) -> list[Probe]:
    """Finished cells in the place of probes; none where they do not tell how time grows with the width."""
    timed = {result.cell: result for result in results if result.seconds > 0.0 and result.steps}
    if not timed:
        return []
    found = [timed[cell] for cell in probe_cells(list(timed))]
    if len({result.cell.width for result in found}) < 2:
        return []
    return [Probe(result, float(result.steps), result.seconds / result.steps, True) for result in found]


def smaller(cells: Sequence[Cell]) -> list[Cell]:
    """A job for a first look: one seed, and without the widest networks where three widths are left."""
    widths = sorted({cell.width for cell in cells})
    kept = widths[:-1] if len(widths) > 2 else widths
    seed = min(cell.seed for cell in cells)
    return [cell for cell in cells if cell.seed == seed and cell.width in kept]


def announcement(model: CostModel, cells: Sequence[Cell], processes: int, *, cut: bool) -> str:
    """What a sweep takes, and a smaller one if it is long."""
    whole = model.total(cells, processes)
    where = f"in {processes} processes" if processes > 1 else "in this process"
    text = f"estimate: {'at least ' if cut else ''}about {duration(whole)} for {len(cells)} networks {where}"
    if whole <= _LONG:
        return text
    few = smaller(cells)
    widths = ",".join(str(width) for width in sorted({cell.width for cell in few}))
    return (
        f"{text}; a first look with one seed and widths {widths} takes about "
        f"{duration(model.total(few, processes))}"
    )


def _at(cell: Cell) -> tuple[float, float]:
    return cell.gamma, cell.gamma_prime
