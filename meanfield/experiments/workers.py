"""Worker processes of our own, each with one item of work at a time.

Every worker is a ``ProcessPoolExecutor`` of one process: if a process dies, the item that it had is the only
one lost, and a new process takes its place. (In a pool of several, all that run are lost with the first.)
Workers end with this process, however it ends: each watches a pipe whose other end only this process holds,
and exits at once when it closes.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import current_process, spawn
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

from meanfield.bars import in_notebook
from meanfield.errors import InputError, WorkerLostError
from meanfield.experiments.pools import LostCellError, use_one_thread

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Workers that may die before any has finished an item.
_STILLBORN = 2
_GUARD = '`if __name__ == "__main__":`'


class ProcessPool(Generic[Item, Result]):
    """Worker processes, to which a function is sent once and items one by one.

    Parameters
    ----------
    count : int
        Number of processes.
    work : callable
        The function; it can be pickled. Only if it needs something that the main script defines is that
        script imported by the workers.

    Raises
    ------
    InputError
        If the function cannot be sent to other processes.
    """

    def __init__(self, count: int, work: Callable[[Item], Result]) -> None:
        self.slots = count
        self._imports_main = _needs_main(work)
        self._context = SpawnContext() if self._imports_main else _ContextWithoutMain()
        self._watched, self._held = self._context.Pipe(duplex=False)
        self._arguments = (self._watched, work)
        self._idle = [self._start() for _ in range(count)]
        self._busy: dict[Future[Result], ProcessPoolExecutor] = {}
        self._worked, self._stillborn = False, 0

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1, mp_context=self._context, initializer=_start_worker, initargs=self._arguments
        )

    def submit(self, item: Item) -> Future[Result]:
        """Start an item on an idle worker; there is one."""
        worker = self._idle.pop()
        try:
            future: Future[Result] = worker.submit(_compute_held, item)
        except BrokenExecutor:  # it died while it was idle
            worker.shutdown(wait=False)
            worker = self._start()
            future = worker.submit(_compute_held, item)
        self._busy[future] = worker
        return future

    def outcome(self, future: Future[Result]) -> Result:
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
                    f"worker processes die before their first cell{_remedy(self._imports_main)}"
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
def own_processes(count: int, work: Callable[[Item], Result]) -> Iterator[ProcessPool[Item, Result]]:
    """A :class:`ProcessPool` that is closed in the end, at once if by an exception."""
    with _exit_on_sigterm():
        pool = ProcessPool(count, work)
        try:
            yield pool
        except BaseException:
            pool.close(at_once=True)
            raise
        pool.close(at_once=False)


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """SIGTERM, which batch systems send, unwinds as ``sys.exit`` does: workers' queues are cleared away.

    A handler of the user's is left alone, and so is a notebook's kernel, which does not end by an exception.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or in_notebook() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)  # whoever sends it again does not want to wait
    sys.exit(128 + number)


class _ProcessWithoutMain(SpawnProcess):
    """A process that does not import the main script: there may be none, or one without its guard."""

    _starting = threading.Lock()

    def start(self) -> None:
        """Start it, and tell it nothing of the main script."""
        prepare, here = spawn.get_preparation_data, threading.get_ident()

        def told(name: str) -> dict[str, object]:
            data: dict[str, object] = prepare(name)
            if threading.get_ident() != here:  # a process of someone else's
                return data
            return {key: value for key, value in data.items() if not key.startswith("init_main")}

        with self._starting:
            spawn.get_preparation_data = told
            try:
                super().start()
            finally:
                spawn.get_preparation_data = prepare


class _ContextWithoutMain(SpawnContext):
    Process = _ProcessWithoutMain


def _needs_main(work: Callable[..., object]) -> bool:
    """Whether a function, with all that it holds, can only be found in the main script."""
    try:
        needs = b"__main__" in pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"what the worker processes are to compute cannot be sent to them ({error}); give functions "
            "that a module defines, or executor=None"
        ) from None
    main = sys.modules["__main__"]
    if needs and getattr(main, "__spec__", None) is None and _main_file() is None:
        raise InputError(
            "what the worker processes are to compute is defined in this session (a notebook or standard "
            "input), where they cannot find it; define it in a module, or give executor=None"
        )
    return needs


def _main_file() -> Path | None:
    """The main script; None in a notebook, at a prompt, and for what is read from standard input."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return Path(file) if file is not None and os.path.isfile(file) else None


def _remedy(imports_main: bool) -> str:
    """What to do where workers cannot start; the guard is only advised if it is missing."""
    script = _main_file() if imports_main else None
    if script is not None and "__name__" not in script.read_text(encoding="utf-8", errors="replace"):
        return f"; put the call under {_GUARD}: they import the main script, for it defines what they compute"
    return ", perhaps for lack of memory; give fewer of them or smaller widths"


def check_not_a_worker() -> None:
    """Refuse to start workers while a worker imports the main script, which would start workers in turn."""
    if getattr(current_process(), "_inheriting", False):
        raise InputError(
            f"worker processes import the main script here: put its call with executor= under {_GUARD}"
        )


#: What the worker in this process computes: set once, so that it is sent once.
_held: Callable[[Any], Any] | None = None


def _start_worker(watched: Connection, work: Callable[[Any], Any]) -> None:
    global _held
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    threading.Thread(target=_exit_with_driver, args=(watched,), daemon=True).start()
    use_one_thread()
    _held = work


def _exit_with_driver(watched: Connection) -> None:
    try:
        watched.poll(None)  # nothing is ever sent: this returns when the other end closes
    finally:
        os._exit(1)


def _compute_held(item: Any) -> Any:
    assert _held is not None
    return _held(item)
