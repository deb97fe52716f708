"""Where cells run: what a place must offer; an executor of the user's, a Dask cluster.

A pool takes one cell at a time and hands back a future. Workers compute with one thread each; what a
lost worker was doing is reported as :class:`LostCellError`, for the cell to be run again. Processes of our
own are in :mod:`meanfield.experiments.workers`.
"""

from __future__ import annotations

import functools
import os
import socket
import time
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from meanfield import kernels
from meanfield.errors import InputError, WorkerLostError
from meanfield.experiments.cells import Cell, CellSettings, run_cell
from meanfield.experiments.origin import Outcome, here
from meanfield.problem import Problem
from meanfield.resources import usable_cores

_Item = TypeVar("_Item", contravariant=True)
_Result = TypeVar("_Result")


class LostCellError(Exception):
    """A worker was lost with a cell; the cell can be run again."""


class Pool(Protocol[_Item, _Result]):
    """What :func:`meanfield.experiments.draining.drain` needs of a place where items of work are done."""

    @property
    def slots(self) -> int:
        """Items that the pool takes at once."""

    def submit(self, item: _Item, /) -> Future[_Result]:
        """Start an item."""

    def outcome(self, future: Future[_Result], /) -> _Result:
        """What a finished future holds.

        Raises
        ------
        LostCellError
            If the worker was lost and the pool can do the item again.
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
