"""The phase-diagram sweep: networks of several widths trained at every point of a grid."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from meanfield.errors import InputError, WorkerLostError
from meanfield.experiments.cells import Cell, CellResult, CellSettings, cost
from meanfield.experiments.diagram import Array, PhaseDiagram
from meanfield.experiments.executors import check_executor, run_cells
from meanfield.experiments.store import SweepStore
from meanfield.problem import Problem

#: Default tolerance on R, as a share of the zero function's loss; on the paper's data this is the
#: mean square of 1e-6 that the paper trains to.
RELATIVE_LOSS_TOL = 3e-5


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep; ``.diagram`` holds what was finished."""

    def __init__(self, diagram: PhaseDiagram, store: str | os.PathLike[str] | None) -> None:
        where = (
            f"kept in {store}; the same call resumes there" if store else "in .diagram (no store was given)"
        )
        super().__init__(f"interrupted after {len(diagram.results)} cells, which are {where}")
        self.diagram = diagram


def phase_diagram(
    problem: Problem,
    *,
    gamma: ArrayLike,
    gamma_prime: ArrayLike,
    widths: Sequence[int],
    seeds: int | Sequence[int] = 1,
    executor: int | Executor | None = None,
    store: str | os.PathLike[str] | None = None,
    antisymmetric: bool = True,
    per_half: bool = False,
    loss_tol: float | None = None,
    rtol: float = 1e-2,
    max_steps: int = 20_000,
    rng: int = 0,
    confidence: float = 0.95,
    progress: bool | None = None,
) -> PhaseDiagram:
    """Measure S_w and S_a over a grid of scalings by training networks of several widths.

    Parameters
    ----------
    problem : Problem
        The data.
    gamma, gamma_prime : array_like
        The grid: all pairs are run.
    widths : sequence of int
        Widths m, at least two; slopes are taken between them.
    seeds : int or sequence of int
        Random draws per point: how many, or which. Draws are paired over scalings and nested over
        widths.
    executor : int, concurrent.futures.Executor or None
        Number of worker processes, or an executor; None runs in this process. Results do not depend
        on it.
    store : path-like, optional
        SQLite file that keeps every finished cell; the same call later continues where it was.
    antisymmetric : bool
        Pair every neuron (a, w) with a twin (-a, w), so that the initial output is zero.
    per_half : bool
        Widths count the neurons of one twin half, as in Luo et al. 2021: networks have 2 m neurons
        and ``kappa = m**-gamma``.
    loss_tol : float, optional
        Train to ``R <= loss_tol``; by default 3e-5 of the zero function's loss.
    rtol, max_steps
        As in :func:`meanfield.gradient_flow`.
    rng : int
        Root of all random numbers.
    confidence : float
        Level of the intervals.
    progress : bool or None
        Show a progress bar; None shows it on a terminal.

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    InputError
        For grids, widths or seeds that cannot be used.
    StoreError
        If the store belongs to something else.
    SweepInterrupted
        On Ctrl-C; finished cells are kept.
    WorkerLostError
        If a worker process died; finished cells are kept in the store.

    Examples
    --------
    >>> import meanfield as mf
    >>> diagram = mf.phase_diagram(
    ...     mf.datasets.four_points(), gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[50, 100, 200], seeds=2
    ... )
    >>> [row.verdict.value for row in diagram.rows]
    ['linear', 'condensed']
    """
    grid = _Grid(
        _axis("gamma", gamma), _axis("gamma_prime", gamma_prime), _counts("widths", widths), _seeds(seeds)
    )
    if len(grid.widths) < 2:
        raise InputError(f"widths holds {len(grid.widths)} value; a slope needs at least two")
    neurons = 1 if per_half else 2
    if antisymmetric and any(int(width) % neurons for width in grid.widths):
        raise InputError("widths must be even for antisymmetric initialisation (or per_half=True)")
    if per_half and not antisymmetric:
        raise InputError("per_half counts one of two twin halves; it needs antisymmetric=True")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}; give a level between 0 and 1, such as 0.95")
    # All of this before the store is made: a call that is refused must not leave its settings there.
    if not 0 < rtol < 1:
        raise InputError(f"rtol is {rtol}; give a relative tolerance between 0 and 1")
    if not 1 <= max_steps < math.inf:
        raise InputError(f"max_steps is {max_steps}; give at least 1")
    if not isinstance(rng, int | np.integer) or isinstance(rng, bool) or rng < 0:
        raise InputError(f"rng is {rng!r}; give a whole number >= 0, the root of all random numbers")
    check_executor(executor)
    settings = CellSettings(
        loss_tol=_loss_tol(problem, loss_tol),
        antisymmetric=bool(antisymmetric),
        per_half=bool(per_half),
        rtol=float(rtol),
        max_steps=int(max_steps),
        entropy=int(rng),
    )
    wanted = set(grid.cells())
    keeper = None if store is None else SweepStore(store, problem, settings)
    finished: dict[Cell, CellResult] = {}

    def diagram() -> PhaseDiagram:
        return _assemble(problem, settings, grid, finished, confidence)

    try:
        if keeper is not None:
            finished = {r.cell: r for r in keeper.results() if r.cell in wanted}
        open_cells = sorted(wanted - finished.keys(), key=lambda cell: (-cost(cell), cell))
        with _progress_bar(open_cells, len(finished), progress) as bar:
            for result in run_cells(problem, open_cells, settings, executor):
                if keeper is not None:
                    keeper.add(result)
                finished[result.cell] = result
                bar.done(result)
    except KeyboardInterrupt:
        raise SweepInterrupted(diagram(), store) from None
    except BrokenExecutor:
        kept = f"kept in {store}; the same call resumes there" if store else "lost; give a store"
        raise WorkerLostError(
            "a worker process died, perhaps for lack of memory; use fewer workers or smaller widths "
            f"({len(finished)} finished cells are {kept})"
        ) from None
    finally:
        if keeper is not None:
            keeper.close()
    return diagram()


@dataclass(frozen=True, eq=False)
class _Grid:
    gamma: Array
    gamma_prime: Array
    widths: NDArray[np.int64]
    seeds: NDArray[np.int64]

    def cells(self) -> Iterable[Cell]:
        for gp in self.gamma_prime:
            for g in self.gamma:
                for m in self.widths:
                    for seed in self.seeds:
                        yield Cell(float(g), float(gp), int(m), int(seed))


def _assemble(
    problem: Problem,
    settings: CellSettings,
    grid: _Grid,
    finished: dict[Cell, CellResult],
    confidence: float,
) -> PhaseDiagram:
    results = [finished.get(cell) for cell in grid.cells()]
    shape = (len(grid.gamma_prime), len(grid.gamma), len(grid.widths), len(grid.seeds))

    def values(name: str) -> Array:
        flat = [getattr(r, name) if r is not None and r.finished else math.nan for r in results]
        return np.array(flat).reshape(shape)

    return PhaseDiagram(
        problem=problem,
        settings=settings,
        gamma=grid.gamma,
        gamma_prime=grid.gamma_prime,
        widths=grid.widths,
        seeds=grid.seeds,
        rd_w=values("rd_w"),
        rd_a=values("rd_a"),
        confidence=confidence,
        results=tuple(sorted((r for r in results if r is not None), key=lambda r: r.cell)),
        missing=sum(r is None for r in results),
    )


def _axis(name: str, values: ArrayLike) -> Array:
    try:
        array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise InputError(f"{name} is {values!r}; give numbers") from None
    # Rounding makes a point of the plane the same cell however it was computed.
    array = np.unique(np.round(array, 12)) + 0.0 if array.ndim == 1 and array.size else np.array([math.nan])
    if not np.all(np.abs(array) <= 100):
        raise InputError(f"{name} must be a list of exponents between -100 and 100, but is {values!r}")
    return array


def _counts(name: str, values: Sequence[int]) -> NDArray[np.int64]:
    array = _listed(values)
    if array.ndim != 1 or array.dtype.kind not in "iuf" or not np.all(array == np.floor(array)):
        raise InputError(f"{name} is {values!r}; give positive whole numbers")
    if not np.all((array >= 1) & (array <= 1e9)):
        raise InputError(f"{name} is {list(array)}; give whole numbers from 1 to 1e9")
    return np.unique(array.astype(np.int64))


def _seeds(seeds: int | Sequence[int]) -> NDArray[np.int64]:
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        if seeds < 1:
            raise InputError(f"seeds is {seeds}; give at least 1")
        return np.arange(int(seeds), dtype=np.int64)
    array = _listed(seeds)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu" or np.any(array < 0):
        raise InputError(f"seeds is {seeds!r}; give a number of seeds, or a list of whole numbers >= 0")
    return np.unique(array.astype(np.int64))


def _listed(values: Any) -> NDArray[Any]:
    try:
        return np.atleast_1d(np.asarray(values))
    except ValueError:  # lists of different lengths
        return np.array([values], dtype=object)


def _loss_tol(problem: Problem, loss_tol: float | None) -> float:
    zero_loss = problem.zero_loss
    if zero_loss == 0.0:
        raise InputError("every target is zero, so there is nothing to learn; give targets that vary")
    tol = RELATIVE_LOSS_TOL * zero_loss if loss_tol is None else float(loss_tol)
    if not (math.isfinite(tol) and tol > 0):
        raise InputError(f"loss_tol is {loss_tol}; give a positive number")
    if tol <= problem.loss_floor:
        raise InputError(
            f"loss_tol is {tol:.3g}, but contradictory labels keep the loss of any network on these data "
            f"above {problem.loss_floor:.4g}; average the targets of equal samples, or give a larger loss_tol"
        )
    if tol >= zero_loss:
        raise InputError(
            f"loss_tol is {tol:g}, but the loss starts at {zero_loss:.4g}; give a smaller loss_tol"
        )
    return tol


class _progress_bar:  # noqa: N801 - used as a context manager
    """Progress over cells, weighted by their cost so that the time left is honest."""

    def __init__(self, cells: Sequence[Cell], resumed: int, shown: bool | None) -> None:
        self._total, self._done = len(cells), 0
        if resumed and (shown or (shown is None and sys.stderr.isatty())):
            tqdm.write(f"resuming: {resumed} cells are done, {len(cells)} to go", file=sys.stderr)
        self._bar = tqdm(
            total=sum(map(cost, cells)),
            desc="phase diagram",
            disable=not (sys.stderr.isatty() if shown is None else shown) or not cells,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining} {postfix}",
            postfix=f"0/{len(cells)} cells",
        )

    def done(self, result: CellResult) -> None:
        self._done += 1
        cell = result.cell
        self._bar.set_postfix_str(
            f"{self._done}/{self._total} cells, last gamma={cell.gamma:g} gamma'={cell.gamma_prime:g} "
            f"m={cell.width}",
            refresh=False,
        )
        self._bar.update(min(cost(cell), self._bar.total - self._bar.n))

    def __enter__(self) -> _progress_bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
