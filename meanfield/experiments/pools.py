"""Where cells run: worker processes of our own, an executor of the user's, a Dask cluster.

A pool takes one cell at a time and hands back a future. Workers compute with one thread each; what a
lost worker was doing is reported as :class:`LostCellError`, for the cell to be run again.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from meanfield import kernels
from meanfield.errors import InputError, WorkerLostError
from meanfield.experiments.cells import Cell, CellSettings, run_cell
from meanfield.experiments.origin import Outcome, here
from meanfield.problem import Problem
from meanfield.resources import usable_cores

#: Workers that may die before any has finished a cell.
_STILLBORN = 2


class LostCellError(Exception):
    """A worker was lost with a cell; the cell can be run again."""


class Pool(Protocol):
    """What :func:`meanfield.experiments.executors.run_cells` needs of a place where cells run."""

    @property
    def slots(self) -> int:
        """Cells that the pool takes at once."""

    def submit(self, cell: Cell) -> Future[Outcome]:
        """Start a cell."""

    def outcome(self, future: Future[Outcome]) -> Outcome:
        """What a finished future holds.

        Raises
        ------
        LostCellError
            If the worker was lost and the pool can run the cell again.
        WorkerLostError
            If the pool cannot go on.
        """


def compute(
    driver: tuple[str, int], version: str, problem: Problem, cell: Cell, settings: CellSettings
) -> Outcome:
    """Run a cell on a worker, with one thread unless this is the driver's own process."""
    if here().package != version:
        raise InputError(
            f"a worker on {here().host} has meanfield {here().package}, the sweep is run by {version}; "
            "install the same version there"
        )
    if driver != process():
        use_one_thread()
    return Outcome(run_cell(problem, cell, settings), here())


def process() -> tuple[str, int]:
    """This process among those of all machines."""
    return socket.gethostname(), os.getpid()


@functools.cache
def use_one_thread() -> None:
    """From now on kernels and BLAS use one thread in this process."""
    kernels.set_threads(1)
    threadpool_limits(1)


class ProcessPool:
    """Worker processes of our own, each with one cell at a time.

    Every worker is a pool of one: if a process dies, the cell that it had is the only one lost, and a
    new process takes its place. Workers end with this process, however it ends: each watches a pipe
    whose other end only this process holds, and exits at once when it closes.
    """

    def __init__(self, count: int, problem: Problem, settings: CellSettings) -> None:
        self.slots = count
        self._context = multiprocessing.get_context("spawn")
        self._watched, self._held = self._context.Pipe(duplex=False)
        self._arguments = (self._watched, problem, settings)
        self._idle = [self._start() for _ in range(count)]
        self._busy: dict[Future[Outcome], ProcessPoolExecutor] = {}
        self._worked, self._stillborn = False, 0

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1, mp_context=self._context, initializer=_start_worker, initargs=self._arguments
        )

    def submit(self, cell: Cell) -> Future[Outcome]:
        """Start a cell on an idle worker; there is one."""
        worker = self._idle.pop()
        try:
            future = worker.submit(_compute_held, cell)
        except BrokenExecutor:  # it died while it was idle
            worker.shutdown(wait=False)
            worker = self._start()
            future = worker.submit(_compute_held, cell)
        self._busy[future] = worker
        return future

    def outcome(self, future: Future[Outcome]) -> Outcome:
        """The outcome; a worker that died is replaced."""
        worker = self._busy.pop(future)
        try:
            outcome = future.result()
            self._worked = True
            return outcome
        except BrokenExecutor:
            worker.shutdown(wait=False)
            worker = self._start()
            self._stillborn += not self._worked
            if self._stillborn >= _STILLBORN:
                raise WorkerLostError(
                    "worker processes die before their first cell; if this is a script, put the call under "
                    '`if __name__ == "__main__":` (workers import it), else there is too little memory'
                ) from None
            raise LostCellError from None
        finally:
            self._idle.append(worker)

    def close(self, *, at_once: bool) -> None:
        """End all workers: when idle, or at once."""
        if at_once:
            self._held.close()
        for worker in (*self._idle, *self._busy.values()):
            worker.shutdown(wait=not at_once, cancel_futures=True)
        self._held.close()
        self._watched.close()


@contextmanager
def own_processes(count: int, problem: Problem, settings: CellSettings) -> Iterator[ProcessPool]:
    """A :class:`ProcessPool` that is closed in the end, at once if by an exception."""
    pool = ProcessPool(count, problem, settings)
    try:
        yield pool
    except BaseException:
        pool.close(at_once=True)
        raise
    pool.close(at_once=False)


#: What the worker in this process trains on: set once, so that it is sent once.
_held: tuple[Problem, CellSettings] | None = None


def _start_worker(watched: Connection, problem: Problem, settings: CellSettings) -> None:
    global _held
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    threading.Thread(target=_exit_with_driver, args=(watched,), daemon=True).start()
    use_one_thread()
    _held = problem, settings


def _exit_with_driver(watched: Connection) -> None:
    try:
        watched.poll(None)  # nothing is ever sent: this returns when the other end closes
    finally:
        os._exit(1)


def _compute_held(cell: Cell) -> Outcome:
    assert _held is not None
    problem, settings = _held
    return Outcome(run_cell(problem, cell, settings), here())


class GivenPool:
    """An executor of ``concurrent.futures`` that the user gave; it is not ours to shut down."""

    #: Cells handed over ahead of time, per worker: enough to keep it busy.
    _AHEAD = 2

    def __init__(self, executor: Executor, problem: Problem, settings: CellSettings) -> None:
        self._executor, self._problem, self._settings = executor, problem, settings
        self.slots = self._AHEAD * (getattr(executor, "_max_workers", None) or usable_cores())

    def submit(self, cell: Cell) -> Future[Outcome]:
        """Start a cell."""
        try:
            return self._executor.submit(
                compute, process(), here().package, self._problem, cell, self._settings
            )
        except BrokenExecutor:
            raise _broken() from None

    def outcome(self, future: Future[Outcome]) -> Outcome:
        """The outcome; a broken executor of another's cannot be mended here."""
        try:
            return future.result()
        except BrokenExecutor:
            raise _broken() from None


def _broken() -> WorkerLostError:
    return WorkerLostError(
        "a worker process of the executor died, perhaps for lack of memory; give a new executor, or a number "
        "of processes, which are replaced when they die"
    )


class DaskPool:
    """The workers of a Dask cluster, which may come and go."""

    #: Cells handed over ahead of time, per thread of the workers; Dask balances them.
    _AHEAD = 2
    #: Seconds between two looks at how many workers there are.
    _LOOK = 2.0

    def __init__(self, client: Any, problem: Problem, settings: CellSettings) -> None:
        self._client, self._settings = client, settings
        self._executor = client.get_executor(pure=False)
        self._threads: int = sum(client.nthreads().values())
        self._looked = time.monotonic()
        # The result of a task, not scattered data: if its holder is lost, the scheduler makes it again.
        self._problem = client.submit(_same, problem, pure=False)

    @property
    def slots(self) -> int:
        """Twice the threads of all workers there are now."""
        if time.monotonic() - self._looked > self._LOOK and self._client.status == "running":
            self._threads, self._looked = sum(self._client.nthreads().values()), time.monotonic()
        return self._AHEAD * max(self._threads, 1)

    def submit(self, cell: Cell) -> Future[Outcome]:
        """Start a cell."""
        future: Future[Outcome] = self._executor.submit(
            compute, process(), here().package, self._problem, cell, self._settings
        )
        return future

    def outcome(self, future: Future[Outcome]) -> Outcome:
        """The outcome; the scheduler itself runs the cells of a lost worker again, a few times."""
        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            raise WorkerLostError(
                f"{error.allowed_failures + 1} Dask workers died with the same cell, perhaps for lack of "
                "memory; give them more of it, or smaller widths"
            ) from None
        except CancelledError:
            if self._client.status == "running":
                raise LostCellError from None
            raise WorkerLostError(
                "the connection to the Dask scheduler was lost; start the cluster again"
            ) from None
        except ImportError as error:
            raise InputError(
                f"the Dask workers cannot import what the sweep needs ({error}); install meanfield "
                f"{here().package} there"
            ) from None


def _same(problem: Problem) -> Problem:
    return problem
