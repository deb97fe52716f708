"""Share the chunks of a kernel between threads.

A pool of plain Python threads around ``nogil`` kernels: Numba's own threading layer may abort the
process when two threads of the user's program call it at once, and ``parallel=True`` would compile
every kernel twice. Kernels write one partial sum per chunk, so results do not depend on the number
of threads.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from meanfield.resources import usable_cores

#: Below about this many floating-point operations a second thread costs more than it saves.
_WORTH_A_THREAD = 400_000

#: From about this many on (some milliseconds) the calling thread waits instead of computing.
_LONG = 10_000_000

#: Pieces of work for each thread: chunks take unequal times, and who is done first takes the next piece.
_PIECES = 8

#: Threads that a pool may start, which it does as they are asked for.
_MOST_THREADS = 64

#: A kernel with everything but its range of chunks, ``(first, last)``, bound.
ChunkCall = Callable[[int, int], Any]

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)
_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_process: int | None = None
_threads: int = int(numba.config.NUMBA_NUM_THREADS)
if "NUMBA_NUM_THREADS" not in os.environ:  # Numba knows nothing of containers and jobs
    _threads = min(_threads, usable_cores())
_blas_users = 0
_blas_limit: Any = None


def set_threads(threads: int) -> None:
    """Number of threads that kernels use from now on in this process.

    By default the environment variable ``NUMBA_NUM_THREADS``, or all cores that the process may use (those
    that its container or job was given). Results do not depend on it.

    Parameters
    ----------
    threads : int
        At least 1.
    """
    global _threads
    if threads < 1:
        raise ValueError(f"threads is {threads}; give at least 1")
    _threads = int(threads)


def get_threads() -> int:
    """Number of threads that kernels use."""
    return _threads


class OutOfTime(Exception):  # noqa: N818 - no error: a run ends as it was told to
    """The time of :func:`until` is over."""


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Let :func:`run_chunks` raise :class:`OutOfTime`, in this thread, from that ``time.monotonic`` on.

    Parameters
    ----------
    deadline : float
        A time in seconds, as ``time.monotonic`` gives it.
    """
    previous = _deadline.get()
    _deadline.set(min(deadline, previous))
    try:
        yield
    finally:
        _deadline.set(previous)


def run_chunks(chunks: int, flops: float, call: ChunkCall, *, halt: NDArray[np.int64] | None = None) -> None:
    """Call ``call(first, last)`` for ranges that together cover all chunks.

    A long call does not keep Ctrl-C or :func:`until` waiting: then what the kernel writes is not to be used,
    and may still be written for a while.

    Parameters
    ----------
    chunks : int
        Number of chunks; see :func:`meanfield.kernels.chunk_count`.
    flops : float
        Rough cost of the whole, to decide whether threads are worth it.
    call : callable
        A kernel with everything but its range of chunks bound.
    halt : ndarray, shape (1,), optional
        Set to 1 when the call is given up, for kernels that look at it.

    Raises
    ------
    OutOfTime
        Once the time of :func:`until` is over.
    """
    pieces = min(chunks, max(1, int(flops / _WORTH_A_THREAD)))
    workers = min(_threads, pieces)
    deadline = _deadline.get()
    if deadline < math.inf and time.monotonic() >= deadline:
        raise OutOfTime
    if flops < _LONG and workers == 1:
        call(0, chunks)
        return
    pieces = min(pieces, _PIECES * workers)
    edges = [chunks * i // pieces for i in range(pieces + 1)]
    ranges = iter(list(itertools.pairwise(edges)))
    given_up = threading.Event()

    def work() -> None:
        for first, last in ranges:  # each is handed out once, whoever asks
            if given_up.is_set():
                return
            call(first, last)

    pool = _get_pool()
    waits = flops >= _LONG  # a thread that computes sees neither signals nor the clock
    futures = [pool.submit(work) for _ in range(workers if waits else workers - 1)]
    try:
        if not waits:
            work()
        left = None if deadline == math.inf else max(deadline - time.monotonic(), 0.0)
        if waits and wait(futures, timeout=left).not_done:
            raise OutOfTime
    except BaseException:
        given_up.set()
        if halt is not None:
            halt[0] = 1
            wait(futures)
            halt[0] = 0
        raise
    for future in futures:
        future.result()


def _get_pool() -> ThreadPoolExecutor:
    global _pool, _pool_process
    with _lock:
        if _pool is None or _pool_process != os.getpid():  # a forked child has no threads
            _pool = ThreadPoolExecutor(max_workers=_MOST_THREADS)
            _pool_process = os.getpid()
        return _pool


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS use one thread meanwhile, in the whole process.

    Its sums depend on its threads, and for matrices of n x n numbers, n in the hundreds, threads that wait
    for each other cost more than they save: twenty times as much on a busy machine.
    """
    global _blas_users, _blas_limit
    with _lock:
        if _blas_users == 0:
            _blas_limit = _blas().limit(limits=1, user_api="blas")
        _blas_users += 1
    try:
        yield
    finally:
        with _lock:
            _blas_users -= 1
            if _blas_users == 0:
                _blas_limit.restore_original_limits()


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries: milliseconds
