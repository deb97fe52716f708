"""Run the cells of a sweep: here, over processes of our own, on an executor of the user's, on Dask.

Cells are independent and deterministic, so order and place do not change a bit of the result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol, TypeAlias

from meanfield import kernels
from meanfield.arguments import shown
from meanfield.errors import InputError, MissingExtraError
from meanfield.experiments.cells import Cell, CellResult, CellSettings, cell_memory, run_cell
from meanfield.experiments.draining import Listener, drain
from meanfield.experiments.estimate import CostModel, announcement, probe_cells, probes, recalled
from meanfield.experiments.origin import Outcome, here
from meanfield.experiments.pools import DaskPool, GivenPool, Pool
from meanfield.experiments.queueing import PROCESS_BYTES, CellQueue, check_memory
from meanfield.experiments.workers import check_not_a_worker, own_processes
from meanfield.problem import Problem
from meanfield.resources import free_memory, gigabytes

#: None, a number of processes, an executor of concurrent.futures, a Dask client or scheduler's address.
AnyExecutor: TypeAlias = "int | str | Executor | Any | None"

#: Share of the workers' memory limits that cells on a Dask cluster may need; Dask stops them at 0.8.
_DASK_SHARE = 0.6
#: Seconds to wait for a Dask scheduler to answer, and for its first worker.
ANSWER, PATIENCE = 10.0, 60.0


class Monitor(Listener, Protocol):
    """What is told how a sweep goes."""

    def plan(self, text: str) -> None:
        """Before the first cell: how many, where, how much memory."""

    def estimate(self, text: str, seconds: float) -> None:
        """Once it is known how long all cells take."""

    def weigh(self, weight: Callable[[Cell], float], left: Sequence[Cell]) -> None:
        """How long the cells that are left take, relatively."""


def run_cells(
    problem: Problem,
    cells: Sequence[Cell],
    settings: CellSettings,
    executor: AnyExecutor,
    monitor: Monitor,
    *,
    memory: float | None = None,
) -> Generator[Outcome, None, None]:
    """Yield outcomes as cells finish, in any order.

    Parameters
    ----------
    problem, cells, settings
        What to run.
    executor : int, Executor, Dask client, str or None
        None runs here, one after the other, with threads inside; a number starts as many worker
        processes; an executor of ``concurrent.futures`` and a Dask client are used as they are, and
        an address connects to a scheduler (see :func:`check_executor`).
    monitor : Monitor
        Is told how it goes.
    memory : float, optional
        Bytes that all cells at once may need, worker processes included; by default four fifths of
        what is free in this machine, its container and its job, or three fifths of the limits of Dask
        workers.

    Raises
    ------
    InputError
        If a cell does not fit into the memory.
    WorkerLostError
        If workers are lost that cannot be replaced, or the same cell lost three.
    """
    if not cells:
        return

    def need(cell: Cell) -> float:
        return cell_memory(problem, cell, settings)

    with ExitStack() as stack:
        # Sums in BLAS depend on its threads: one everywhere keeps the bits.
        stack.enter_context(kernels.one_blas_thread())
        client = stack.enter_context(dask_client(executor)) if is_dask(executor) else None
        processes = min(executor, len(cells)) if isinstance(executor, int) else 0
        if client is not None:
            _wait_for_workers(client)
        if memory is None:
            memory = free_memory() if client is None else _DASK_SHARE * _dask_memory(client)
        budget = memory - PROCESS_BYTES * processes
        largest = check_memory(problem, cells, settings, budget)
        queue = CellQueue(cells, need, budget)

        def plan(where: str) -> None:
            monitor.plan(
                f"{len(cells)} cells, longest first, {where}; a cell needs up to {gigabytes(largest)}, all "
                f"that run at once stay below {gigabytes(memory)}"
            )

        if executor is None:
            plan("in this process")
            yield from _run_here(problem, queue, settings, monitor)
            return
        pool: Pool[Cell, Outcome]
        if client is not None:
            pool = DaskPool(client, problem, settings)
            plan(f"on the Dask cluster {client.scheduler.address}")
        elif isinstance(executor, Executor):
            pool = GivenPool(executor, problem, settings)
            plan(f"on a {type(executor).__name__}")
        else:
            plan(f"in {processes} processes of about {gigabytes(PROCESS_BYTES)}")
            # One cell here first: it compiles the kernels once, and workers load them from the cache.
            first = queue.take_shortest()
            monitor.started(first)
            yield _outcome(problem, settings, first)
            pool = stack.enter_context(own_processes(processes, partial(_outcome, problem, settings)))
        if not isinstance(executor, int):
            stack.enter_context(_one_kernel_thread())  # its workers may be threads of this process
        yield from drain(pool, queue, monitor)


def timed(
    problem: Problem,
    cells: Sequence[Cell],
    settings: CellSettings,
    executor: int | None,
    monitor: Monitor,
    *,
    finished: Iterable[CellResult] = (),
    memory: float | None = None,
) -> Iterator[Outcome]:
    """Time a few cells here, say what all will take, and yield those that came to their end.

    Where finished cells say enough, nothing is timed: a sweep that goes on is at work at once.

    Parameters
    ----------
    problem, cells, settings
        What is to be run.
    executor : int or None
        As in :func:`run_cells`.
    monitor : Monitor
        Is told the estimate.
    finished : iterable of CellResult
        Cells of the same sweep that were run before.
    memory : float, optional
        As in :func:`run_cells`: a sweep that does not fit is not timed.

    Raises
    ------
    InputError
        If a cell does not fit into the memory.
    """
    if not cells:
        return
    processes = min(executor or 1, len(cells))
    budget = (free_memory() if memory is None else memory) - PROCESS_BYTES * (processes if executor else 0)
    check_memory(problem, cells, settings, budget)
    found = recalled(finished)
    with ExitStack() as stack:
        stack.enter_context(kernels.one_blas_thread())
        if processes > 1:
            stack.enter_context(_one_kernel_thread())
        for probe in probes(problem, [] if found else probe_cells(cells), settings):
            found.append(probe)
            if probe.complete:
                yield Outcome(probe.result, here())
    model, cut = CostModel.fitted(found), not all(probe.complete for probe in found)
    monitor.estimate(announcement(model, cells, processes, cut=cut), model.total(cells, processes))
    done = {probe.result.cell for probe in found if probe.complete}
    monitor.weigh(model.seconds, [cell for cell in cells if cell not in done])


def check_executor(executor: object) -> None:
    """Refuse what :func:`run_cells` cannot run on."""
    number = isinstance(executor, int) and not isinstance(executor, bool) and executor >= 1
    if not (number or executor is None or isinstance(executor, Executor) or is_dask(executor)):
        raise InputError(
            f"executor is {shown(executor)}; give None, a number of processes >= 1, an executor of "
            "concurrent.futures, a Dask client, or the address of a Dask scheduler (tcp://...)"
        )
    if number:
        check_not_a_worker()
    if getattr(executor, "asynchronous", False):
        raise InputError("the Dask client is asynchronous; give one made with asynchronous=False")


def is_dask(executor: object) -> bool:
    """Whether this is a Dask client, or the address of a scheduler."""
    if isinstance(executor, str):
        return "://" in executor
    distributed = sys.modules.get("distributed")  # without it there is no client
    return distributed is not None and isinstance(executor, distributed.Client)


@contextmanager
def dask_client(executor: Any) -> Iterator[Any]:
    """The client itself, or one that is connected to the address for a while.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    InputError
        If nothing answers there.
    """
    if not isinstance(executor, str):
        yield executor
        return
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError(
            "sweeps on a Dask cluster need dask.distributed, which is not installed; "
            "pip install 'meanfield-nn[dask]'"
        ) from None
    try:
        client = Client(executor, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {executor} ({str(error) or type(error).__name__}); start one with "
            "`dask scheduler` and give its address"
        ) from None
    with client:
        yield client


def _run_here(
    problem: Problem, queue: CellQueue, settings: CellSettings, monitor: Monitor
) -> Iterator[Outcome]:
    while (cell := queue.take()) is not None:
        monitor.started(cell)
        yield _outcome(problem, settings, cell)
        queue.release(cell)


def _outcome(problem: Problem, settings: CellSettings, cell: Cell) -> Outcome:
    return Outcome(run_cell(problem, cell, settings), here())


def _wait_for_workers(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise InputError(
            f"no worker has joined the Dask scheduler within {PATIENCE:.0f} s; start some, as with "
            "`dask worker ADDRESS --nthreads 1`"
        ) from None


def _dask_memory(client: Any) -> float:
    """Memory limits of all workers together; infinity if one has none."""
    limits = [worker["memory_limit"] for worker in client.scheduler_info()["workers"].values()]
    return float(sum(limits)) if limits and all(limits) else float("inf")


@contextmanager
def _one_kernel_thread() -> Iterator[None]:
    threads = kernels.get_threads()
    kernels.set_threads(1)
    try:
        yield
    finally:
        kernels.set_threads(threads)
