"""The phase-diagram sweep: networks of several widths trained at every point of a grid."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from numpy.typing import ArrayLike

from meanfield.activations import Activation
from meanfield.arguments import (
    as_number,
    called,
    flag,
    instance,
    level,
    listed,
    number,
    progress_choice,
    root,
    shown,
    whole_number,
)
from meanfield.errors import InputError, WorkerLostError
from meanfield.experiments.cells import Cell, CellSettings, sized_for_sweeps
from meanfield.experiments.diagram import PhaseDiagram, suprema
from meanfield.experiments.executors import AnyExecutor, check_executor, run_cells, timed
from meanfield.experiments.grid import (
    Grid,
    as_exponents,
    as_seeds,
    as_widths,
    shard_of,
)
from meanfield.experiments.origin import Outcome
from meanfield.experiments.prediction import Prediction, wanted
from meanfield.experiments.progress import Live, SweepProgress
from meanfield.experiments.store import SweepStore
from meanfield.flow.target import needed_target
from meanfield.problem import Problem


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep; ``.diagram`` holds what was finished."""

    def __init__(self, diagram: PhaseDiagram, store: str | os.PathLike[str] | None) -> None:
        where = whereabouts(store, "in .diagram (no store was given)")
        super().__init__(after_cells(len(diagram.results), where))
        self.diagram = diagram


def phase_diagram(
    problem: Problem,
    *,
    gamma: ArrayLike,
    gamma_prime: ArrayLike,
    widths: Sequence[int],
    seeds: int | Sequence[int] = 1,
    executor: AnyExecutor = None,
    store: str | os.PathLike[str] | None = None,
    shard: tuple[int, int] | None = None,
    memory: float | None = None,
    activation: Activation | str = "relu",
    beta2: float | None = None,
    antisymmetric: bool = True,
    per_half: bool = False,
    loss_tol: float | None = None,
    loss_atol: float | None = None,
    rtol: float = 1e-2,
    max_steps: int = 20_000,
    rng: int = 0,
    confidence: float = 0.95,
    progress: bool | None = None,
    live: Callable[[PhaseDiagram], object] | None = None,
    live_seconds: float = 30.0,
    predict: bool | None = None,
) -> PhaseDiagram:
    """Measure S_w and S_a over a grid of scalings by training networks of several widths.

    How sweeps run, and what is guaranteed of them, is told in docs/sweeps.md.

    Parameters
    ----------
    problem : Problem
        The data.
    gamma, gamma_prime : float or array_like, shape (k,)
        The grid: all pairs are run.
    widths : sequence of int
        Widths m, at least two; slopes are taken between them.
    seeds : int or sequence of int, default 1
        Random draws per point: how many, or which. Draws are paired over scalings and nested over
        widths.
    executor : int, concurrent.futures.Executor, dask.distributed.Client, str or None
        Number of worker processes, an executor, a Dask client, or the address of a Dask scheduler such
        as ``"tcp://10.0.0.1:8786"`` (extra ``[dask]``); None runs in this process. Results do not
        depend on it.
    store : path-like, optional
        SQLite file that keeps every finished cell; the same call later continues where it was, and a
        larger grid runs the new cells only.
    shard : (int, int), optional
        ``(i, n)`` runs part i of n of the cells only (i from 1 to n); the others stay missing. For job
        arrays: each part has a store of its own, :func:`meanfield.experiments.merge_stores` joins them.
    memory : float, optional
        Bytes that the sweep may use; by default four fifths of what is free. Cells that do not fit
        beside those that run wait.
    activation, beta2
        As in :meth:`meanfield.Particles.sample`; ``beta2`` is the same at all points and widths.
    antisymmetric : bool, default True
        Pair every neuron (a, w) with a twin (-a, w), so that the initial output is zero.
    per_half : bool, default False
        Widths count the neurons of one twin half, as in Luo et al. 2021: networks have 2 m neurons
        and ``kappa = m**-gamma``.
    loss_tol, loss_atol : float, optional
        As in :func:`meanfield.gradient_flow`: by default training ends where 1e-6 of what can be learned is
        left.
    rtol : float, default 0.01
        Tolerated error of one step, as in :func:`meanfield.gradient_flow`, where it is smaller.
    max_steps
        As in :func:`meanfield.gradient_flow`.
    rng : int, default 0
        Root of all random numbers.
    confidence : float, default 0.95
        Level of the intervals.
    progress : bool or None
        Show a progress bar; None shows it on a terminal. Elsewhere it writes one line to standard error that
        says how long a sweep of more than ten seconds takes.
    live : callable, optional
        Called with the diagram of what is finished while the sweep runs, to draw partial pictures.
    live_seconds : float, default 30.0
        At least so many seconds between two such calls, which take a tenth of the time at most.
    predict : bool or None
        Compute, when the networks are trained, which slopes these widths have without sampling noise
        (:attr:`PhaseDiagram.prediction`): what the measurement is compared with, and what zeros are
        interpolated along. None does so where it takes at most half of the networks' work (a sixth for the
        preset "quick"), and not for a shard.

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    InputError
        For grids, widths or seeds that cannot be used; if a run does not fit into the memory.
    StoreError
        If the store belongs to something else.
    SweepInterrupted
        On Ctrl-C; finished cells are kept.
    WorkerLostError
        If workers died that cannot be replaced, or three with the same cell; finished cells are kept
        in the store.
    MissingExtraError
        If ``executor`` needs Dask and it is not installed.

    Examples
    --------
    >>> import meanfield as mf
    >>> diagram = mf.phase_diagram(
    ...     mf.datasets.four_points(), gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[50, 200, 800], seeds=2
    ... )
    >>> [row.verdict.value for row in diagram.rows]
    ['linear', 'condensed']
    """
    instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    grid = Grid(
        as_exponents("gamma", gamma), as_exponents("gamma_prime", gamma_prime),
        as_widths("widths", widths), as_seeds(seeds),
    )  # fmt: skip
    if live is not None:
        called("live", live, "a PhaseDiagram")
    predict = None if predict is None else flag("predict", predict)
    live_seconds = number("live_seconds", live_seconds, "a number of seconds >= 0", least=0.0)
    settings = checked_settings(
        problem, grid, activation=activation, beta2=beta2, antisymmetric=antisymmetric,
        per_half=per_half, loss_tol=loss_tol, loss_atol=loss_atol,
        rtol=rtol, max_steps=max_steps, rng=rng, confidence=confidence,
    )  # fmt: skip
    cells = list(grid.cells())
    finished: dict[Cell, Outcome] = {}

    def diagram() -> PhaseDiagram:
        return assemble(problem, settings, grid, finished, confidence)

    try:
        train_cells(
            problem, cells if shard is None else shard_of(cells, shard), settings, finished,
            executor=executor, store=store, memory=memory, progress=progress,
            live=Live(None if live is None else lambda: live(diagram()), live_seconds),
        )  # fmt: skip
    except KeyboardInterrupt:
        raise SweepInterrupted(diagram(), store) from None
    if wanted(predict if shard is None or predict else False, problem, grid, settings):
        try:
            processes = executor if isinstance(executor, int) else 1
            prediction = Prediction.over(problem, settings, grid, processes=processes, progress=progress)
        except KeyboardInterrupt:
            raise SweepInterrupted(diagram(), store) from None
        return replace(diagram(), prediction=prediction)
    return diagram()


def checked_settings(
    problem: Problem,
    grid: Grid,
    *,
    activation: Activation | str,
    beta2: float | None,
    antisymmetric: bool,
    per_half: bool,
    loss_tol: float | None,
    loss_atol: float | None,
    rtol: float,
    max_steps: int,
    rng: int,
    confidence: float,
) -> CellSettings:
    """Settings of the cells, after what they are made of was checked."""
    if problem.outputs > 1:
        raise InputError(
            f"sweeps are for one output, but the problem has {problem.outputs}; train networks with "
            "gradient_flow"
        )
    antisymmetric, per_half = flag("antisymmetric", antisymmetric), flag("per_half", per_half)
    _check_ensemble(grid, antisymmetric=antisymmetric, per_half=per_half)
    level(confidence)
    chosen, size = sized_for_sweeps(activation, beta2)
    if not 0 < as_number(rtol) < 1:
        raise InputError(f"rtol is {shown(rtol)}; give a relative tolerance between 0 and 1")
    return CellSettings(
        loss_atol=needed_target(problem, loss_tol, loss_atol).loss,
        antisymmetric=antisymmetric,
        per_half=per_half,
        rtol=float(rtol),
        max_steps=whole_number("max_steps", max_steps),
        entropy=root(rng),
        activation=chosen,
        loss=problem.loss_function.name,
        beta2=size,
    )


def train_cells(
    problem: Problem,
    cells: Collection[Cell],
    settings: CellSettings,
    finished: dict[Cell, Outcome],
    *,
    executor: AnyExecutor = None,
    store: str | os.PathLike[str] | None = None,
    memory: float | None = None,
    progress: bool | None = None,
    live: Live | None = None,
) -> None:
    """Train what is not in the store yet, and put all of it into ``finished``.

    Parameters
    ----------
    problem : Problem
        The data.
    cells : collection of Cell
        What to run; any cells, not only those of a grid.
    settings : CellSettings
        What all cells share.
    finished : dict
        Gets the outcome of each cell as soon as it is there; cells that it holds are not run.
    executor, store, memory, progress
        As in :func:`phase_diagram`.
    live : Live, optional
        Is offered its turn after each cell.

    Raises
    ------
    WorkerLostError
        As in :func:`phase_diagram`.
    """
    # All of it before a store is made: a call that is refused must not leave its settings there.
    instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    instance("settings", settings, CellSettings, "CellSettings(loss_atol)")
    instance("finished", finished, dict, "dict()")
    progress = checked_means(executor, memory, progress)
    if live is not None:
        instance("live", live, Live, "Live(call, seconds)")
    for cell in listed("cells", cells, "a list of cells"):
        instance("a cell", cell, Cell, "Cell(gamma, gamma_prime, width, seed)")
    wanted = set(cells)
    with ExitStack() as stack:
        keeper = None if store is None else stack.enter_context(SweepStore(store, problem, settings))
        if keeper is not None:
            kept = {r.result.cell: Outcome(r.result, r.origin) for r in keeper.records()}
            finished.update((cell, kept[cell]) for cell in wanted & kept.keys())
        open_cells = [cell for cell in cells if cell not in finished]
        open_cells = list(dict.fromkeys(open_cells))
        bar = stack.enter_context(SweepProgress(open_cells, len(wanted) - len(open_cells), progress))

        def take(outcome: Outcome) -> None:
            if keeper is not None:
                keeper.add(outcome.result, outcome.origin)
            finished[outcome.result.cell] = outcome
            bar.done(outcome.result)
            if live is not None:
                live.offer()

        if bar.estimates and (executor is None or isinstance(executor, int)):
            known = [outcome.result for outcome in finished.values()]
            for outcome in timed(problem, open_cells, settings, executor, bar, finished=known, memory=memory):
                take(outcome)
            open_cells = [cell for cell in open_cells if cell not in finished]
        outcomes = stack.enter_context(
            closing(run_cells(problem, open_cells, settings, executor, bar, memory=memory))
        )
        try:
            for outcome in outcomes:
                take(outcome)
        except WorkerLostError as error:
            where = whereabouts(store)
            raise WorkerLostError(f"{error} ({len(finished)} finished cells are {where})") from None


def checked_means(executor: AnyExecutor, memory: float | None, progress: bool | None) -> bool | None:
    """Check how cells are to be run; how progress is shown."""
    if memory is not None:
        number("memory", memory, "a number of bytes, such as 8e9", above=0.0, most=math.inf)
    check_executor(executor)
    choice: bool | None = progress_choice(progress)
    return choice


def whereabouts(store: str | os.PathLike[str] | None, otherwise: str = "lost; give a store") -> str:
    """Where the finished cells of a sweep are that did not end, for the error that says so."""
    return f"kept in {store}; the same call resumes there" if store else otherwise


def after_cells(count: int, where: str) -> str:
    """Say that a sweep was interrupted, after how many cells, and where they are.

    Examples
    --------
    >>> after_cells(1, "kept in sweep.sqlite")
    'interrupted after 1 cell, which is kept in sweep.sqlite'
    """
    return f"interrupted after {count} {'cell, which is' if count == 1 else 'cells, which are'} {where}"


def _check_ensemble(grid: Grid, *, antisymmetric: bool, per_half: bool) -> None:
    if len(grid.widths) < 2:
        raise InputError(f"widths holds {len(grid.widths)} value; a slope needs at least two")
    neurons = 1 if per_half else 2
    if antisymmetric and any(int(width) % neurons for width in grid.widths):
        raise InputError(
            "widths must be even for antisymmetric initialisation (or count one of two twin halves: "
            "per_half=True)"
        )
    if per_half and not antisymmetric:
        raise InputError("per_half counts one of two twin halves; it needs antisymmetric=True")


def assemble(
    problem: Problem,
    settings: CellSettings,
    grid: Grid,
    finished: dict[Cell, Outcome],
    confidence: float,
) -> PhaseDiagram:
    """The diagram of a grid from what is finished of it."""
    outcomes = [finished.get(cell) for cell in grid.cells()]
    found = [outcome for outcome in outcomes if outcome is not None]
    rd_w, rd_a = suprema([None if o is None else o.result for o in outcomes], grid.shape)
    return PhaseDiagram(
        problem=problem,
        settings=settings,
        gamma=grid.gamma,
        gamma_prime=grid.gamma_prime,
        widths=grid.widths,
        seeds=grid.seeds,
        rd_w=rd_w,
        rd_a=rd_a,
        confidence=confidence,
        results=tuple(sorted((outcome.result for outcome in found), key=lambda r: r.cell)),
        missing=len(outcomes) - len(found),
        origins=tuple(sorted({outcome.origin for outcome in found}, key=lambda o: o.as_json())),
    )
