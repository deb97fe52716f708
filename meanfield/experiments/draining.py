"""Work handed from a queue to a place where it is done, until all of it is: lost items are done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import Any, Protocol, TypeVar

from meanfield.errors import WorkerLostError
from meanfield.experiments.cells import Cell
from meanfield.experiments.pools import LostCellError, Pool
from meanfield.experiments.workers import own_processes

_Item = TypeVar("_Item", bound=Hashable)
_Result = TypeVar("_Result")

#: How often an item may lose its worker before all is given up.
LOSSES = 3
#: Seconds between two signs of life.
_TICK = 1.0


class Queue(Protocol[_Item]):
    """What :func:`drain` needs of a queue."""

    def take(self) -> _Item | None:
        """The next item; None if none is left, or none can be started now."""

    def release(self, item: _Item, /) -> None:
        """An item that was taken has ended."""

    def put_back(self, item: _Item, /) -> None:
        """An item that was taken and released has to be done again."""


class Listener(Protocol):
    """What is told how the work goes."""

    def started(self, item: Any, /) -> None:
        """An item was handed to a worker."""

    def lost(self, item: Any, /) -> None:
        """A worker was lost with an item, which will be done again."""

    def tick(self) -> None:
        """Time passes."""


def drain(pool: Pool[_Item, _Result], queue: Queue[_Item], listener: Listener) -> Iterator[_Result]:
    """Yield results as they are ready, in any order.

    Raises
    ------
    WorkerLostError
        If workers are lost that cannot be replaced, or the same item lost three.
    """
    running: dict[Future[_Result], _Item] = {}
    losses: Counter[_Item] = Counter()
    try:
        while True:
            while len(running) < pool.slots and (item := queue.take()) is not None:
                running[pool.submit(item)] = item
                listener.started(item)
            if not running:
                return
            done, _ = wait(running, timeout=_TICK, return_when=FIRST_COMPLETED)
            listener.tick()
            for future in done:
                item = running.pop(future)
                queue.release(item)
                try:
                    outcome = pool.outcome(future)
                except LostCellError:
                    _count_loss(losses, item)
                    queue.put_back(item)
                    listener.lost(item)
                else:
                    yield outcome
    finally:
        for future in running:
            future.cancel()


def _count_loss(losses: Counter[_Item], item: _Item) -> None:
    losses[item] += 1
    if losses[item] >= LOSSES:
        what = f"item {item}"
        if isinstance(item, Cell):
            what = (
                f"cell (gamma = {item.gamma:g}, gamma' = {item.gamma_prime:g}, m = {item.width}, seed "
                f"{item.seed})"
            )
        raise WorkerLostError(
            f"{LOSSES} worker processes died with the same {what}, perhaps for lack of memory; use fewer "
            "workers or smaller widths"
        )


def over_processes(
    work: Callable[[Any], _Result], items: Sequence[Any], processes: int
) -> Iterator[tuple[int, _Result]]:
    """Results of a pure function over items as they are ready, each with the index of its item.

    Parameters
    ----------
    work : callable
        A function that can be pickled.
    items : sequence
        Its arguments, started in their order.
    processes : int
        Number of worker processes, with one thread each.

    Yields
    ------
    tuple of (int, result)

    Raises
    ------
    InputError
        If the function cannot be sent to other processes.
    WorkerLostError
        As for :func:`drain`.
    """
    if not items:
        return
    with own_processes(min(processes, len(items)), partial(_at, work, tuple(items))) as pool:
        yield from drain(pool, _InOrder(len(items)), _Silent())


def _at(work: Callable[[Any], _Result], items: Sequence[Any], index: int) -> tuple[int, _Result]:
    return index, work(items[index])


class _InOrder:
    """A queue of indices without bounds on memory."""

    def __init__(self, count: int) -> None:
        self._left = list(reversed(range(count)))

    def take(self) -> int | None:
        return self._left.pop() if self._left else None

    def release(self, item: int) -> None:
        """Nothing was held."""

    def put_back(self, item: int) -> None:
        self._left.append(item)


class _Silent:
    """A listener that says nothing."""

    def started(self, item: Any) -> None: ...

    def lost(self, item: Any) -> None: ...

    def tick(self) -> None: ...
