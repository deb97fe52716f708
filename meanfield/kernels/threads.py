"""Share the chunks of a kernel between threads.

A pool of plain Python threads around ``nogil`` kernels: Numba's own threading layer may abort the
process when two threads of the user's program call it at once, and ``parallel=True`` would compile
every kernel twice. Kernels write one partial sum per chunk, so results do not depend on the number
of threads.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

#: Below about this many floating-point operations a second thread costs more than it saves.
_WORTH_A_THREAD = 400_000

#: A kernel with everything but its range of chunks, ``(first, last)``, bound.
ChunkCall = Callable[[int, int], Any]

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_process: int | None = None
_threads: int = int(numba.config.NUMBA_NUM_THREADS)


def set_threads(threads: int) -> None:
    """Number of threads that kernels use from now on in this process.

    By default that of Numba: the environment variable ``NUMBA_NUM_THREADS``, or all cores that the
    process may use. Results do not depend on it.
    """
    global _threads
    if threads < 1:
        raise ValueError(f"threads is {threads}; give at least 1")
    _threads = int(threads)


def get_threads() -> int:
    """Number of threads that kernels use."""
    return _threads


def run_chunks(chunks: int, flops: float, call: ChunkCall) -> None:
    """Call ``call(first, last)`` for ranges that together cover all chunks.

    Parameters
    ----------
    chunks : int
        Number of chunks; see :func:`meanfield.kernels.chunk_count`.
    flops : float
        Rough cost of the whole, to decide whether threads are worth it.
    call : callable
        A kernel with everything but its range of chunks bound.
    """
    workers = min(_threads, chunks, max(1, int(flops / _WORTH_A_THREAD)))
    if workers == 1:
        call(0, chunks)
        return
    edges = [chunks * i // workers for i in range(workers + 1)]
    pool = _get_pool()
    futures = [pool.submit(call, lo, hi) for lo, hi in itertools.pairwise(edges[1:])]
    call(0, edges[1])
    for future in futures:
        future.result()


def _get_pool() -> ThreadPoolExecutor:
    global _pool, _pool_process
    with _lock:
        if _pool is None or _pool_process != os.getpid():  # a forked child has no threads
            _pool = ThreadPoolExecutor(max_workers=max(1, int(numba.config.NUMBA_NUM_THREADS)))
            _pool_process = os.getpid()
        return _pool
