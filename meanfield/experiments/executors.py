"""Run the cells of a sweep: serially, over processes of our own, or on an executor of the user's.

Cells are independent and deterministic, so order and place do not change a bit of the result. A
worker process computes with one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.connection import Connection

from meanfield import kernels
from meanfield.errors import InputError
from meanfield.experiments.cells import Cell, CellResult, CellSettings, run_cell
from meanfield.problem import Problem

#: Cells handed to an executor ahead of time, per worker: enough to keep it busy.
_AHEAD = 2


def run_cells(
    problem: Problem,
    cells: Sequence[Cell],
    settings: CellSettings,
    executor: int | Executor | None,
) -> Iterator[CellResult]:
    """Yield results as they finish, in any order.

    Parameters
    ----------
    problem, cells, settings
        What to run.
    executor : int, Executor or None
        None runs here, one after the other, with threads inside; a number starts as many worker
        processes; an executor of ``concurrent.futures`` is used as it is (see :func:`check_executor`).
    """
    if executor is None or not cells:
        for cell in cells:
            yield run_cell(problem, cell, settings)
    elif isinstance(executor, Executor):
        ahead = _AHEAD * (getattr(executor, "_max_workers", None) or os.cpu_count() or 1)
        yield from _drain(executor, problem, cells, settings, ahead)
    else:
        # One cell here first: it compiles the kernels once, and workers load them from the cache.
        yield run_cell(problem, cells[-1], settings)
        with _workers(min(executor, len(cells))) as pool:
            yield from _drain(pool, problem, cells[:-1], settings, _AHEAD * executor)


def check_executor(executor: object) -> None:
    """Refuse what :func:`run_cells` cannot run on."""
    number = isinstance(executor, int) and not isinstance(executor, bool) and executor >= 1
    if not (number or executor is None or isinstance(executor, Executor)):
        raise InputError(
            f"executor is {executor!r}; give None, a number of processes >= 1 or an executor of "
            "concurrent.futures"
        )


def _drain(
    executor: Executor, problem: Problem, cells: Sequence[Cell], settings: CellSettings, ahead: int
) -> Iterator[CellResult]:
    queue = iter(cells)
    running: set[Future[CellResult]] = set()
    try:
        while True:
            while len(running) < ahead and (cell := next(queue, None)) is not None:
                running.add(executor.submit(run_cell, problem, cell, settings))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        for future in running:
            future.cancel()


@contextmanager
def _workers(count: int) -> Iterator[Executor]:
    """Worker processes that end with us, however we end.

    Each worker watches a pipe whose other end only this process holds: when it closes, because the
    sweep was interrupted or this process was killed, they exit at once.
    """
    context = multiprocessing.get_context("spawn")
    watched, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start_worker, initargs=(watched,))
    try:
        yield pool
    except BaseException:
        held.close()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    else:
        pool.shutdown(wait=True)
    finally:
        held.close()
        watched.close()


def _start_worker(watched: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    kernels.set_threads(1)
    threading.Thread(target=_exit_with_driver, args=(watched,), daemon=True).start()


def _exit_with_driver(watched: Connection) -> None:
    try:
        watched.poll(None)  # nothing is ever sent: this returns when the other end closes
    finally:
        os._exit(1)
