"""What is seen of a sweep while it runs: one bar, and partial results every so often."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TypeVar

from meanfield.bars import QUIET_SECONDS, bar_class, in_notebook, switched_off, visible
from meanfield.experiments.cells import Cell, CellResult, cost
from meanfield.experiments.draining import over_processes

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")

#: Seconds between two lines where standard error is no terminal but a file.
_LOG_SECONDS = 60.0
#: The bar appears once it was said what will be done: until then it waits, for longer than anybody.
_AFTER_THE_PLAN = 1e9
#: Bars of notebooks are only drawn once a delay is over, and there has to be one.
_AT_ONCE = 1e-9
#: Sweeps of fewer seconds say nothing where nobody sees a bar.
_WORTH_A_LINE = 10.0
#: Partial results take at most this share of the time.
_LIVE_SHARE = 0.1


class SweepProgress:
    """A bar over cells: how many are done and how fast, what is running, and the time left.

    The bar is weighted by the cells' cost, as it is known: by rule of thumb, then from probes. Where nobody
    sees a bar one line says how long the sweep takes, if that is long.

    Parameters
    ----------
    cells : sequence of Cell
        What is to be run.
    resumed : int
        Cells that were done before.
    shown : bool or None
        None shows it in a terminal or notebook, and only that line elsewhere.
    """

    def __init__(self, cells: Sequence[Cell], resumed: int, shown: bool | None) -> None:
        self._shown = visible(shown) and bool(cells)
        watched, self._write = sys.stderr.isatty() or in_notebook(), bar_class().write
        # A notebook keeps what is written: unasked it gets a bar only, and that of long sweeps only.
        self._speaks = self._shown and (shown is True or not in_notebook())
        self._estimates = self._shown or (shown is None and bool(cells) and not switched_off())
        self._total, self._done, self._lost = len(cells), 0, 0
        self._running: dict[Cell, None] = {}
        self._weight: Callable[[Cell], float] = cost
        self._began = time.monotonic()
        if resumed and self._speaks:
            self._write(f"resuming: {resumed} cells are done, {len(cells)} to go", file=sys.stderr)
        self._bar = bar_class()(
            total=sum(map(cost, cells)),
            desc="sweep",
            disable=not self._shown,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            mininterval=0.1 if watched else _LOG_SECONDS,
            miniters=0,
            delay=_AFTER_THE_PLAN,
        )
        self._bar.set_postfix_str(self.text(), refresh=False)

    @property
    def estimates(self) -> bool:
        """Whether it is to be told how long the sweep takes."""
        return self._estimates

    def estimate(self, text: str, seconds: float) -> None:
        """Say what all takes, once it is known."""
        if self._shown:
            self.plan(text)
        elif seconds > _WORTH_A_LINE:
            self._write(text, file=sys.stderr)

    def plan(self, text: str) -> None:
        """Say what will be done, before it is."""
        if self._speaks:
            self._write(text, file=sys.stderr)
        self._bar.delay = _AT_ONCE if self._speaks else QUIET_SECONDS

    def weigh(self, weight: Callable[[Cell], float], left: Sequence[Cell]) -> None:
        """From now on the bar counts these weights of the cells that are left, and time from here."""
        if self._shown and not self._speaks:
            return  # a bar of a notebook would be drawn at once
        self._weight = weight
        if self._shown:
            self._bar.reset(total=sum(map(weight, left)))

    def started(self, cell: Cell) -> None:
        """A cell was handed to a worker."""
        self._running[cell] = None
        self._bar.set_postfix_str(self.text(), refresh=False)
        self._bar.update(0)

    def lost(self, cell: Cell) -> None:
        """A worker was lost with a cell, which will be run again."""
        self._running.pop(cell, None)
        self._lost += 1

    def tick(self) -> None:
        """Time passes: the clock of the bar goes on."""
        self._bar.update(0)

    def done(self, result: CellResult) -> None:
        """A cell is finished."""
        self._running.pop(result.cell, None)
        self._done += 1
        self._bar.set_postfix_str(self.text(), refresh=False)
        self._bar.update(min(self._weight(result.cell), self._bar.total - self._bar.n) if self._shown else 0)

    def text(self) -> str:
        """Cells done, their rate, and the longest of those that run."""
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        parts = [f"{self._done}/{self._total} cells"]
        if self._done:
            parts.append(f"{rate:.3g}/s")
        if self._running:
            cell = max(self._running, key=cost)
            others = f" and {len(self._running) - 1} more" if len(self._running) > 1 else ""
            parts.append(f"running m={cell.width} gamma={cell.gamma:g} gamma'={cell.gamma_prime:g}{others}")
        if self._lost:
            parts.append(f"{self._lost} lost with their workers and run again")
        return ", ".join(parts)

    def __enter__(self) -> SweepProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


def mapped(
    work: Callable[[_Item], _Outcome],
    items: Sequence[_Item],
    processes: int,
    label: str,
    progress: bool | None,
    *,
    delay: float = 0.0,
) -> list[_Outcome]:
    """Results of a pure function over items in their order, see :func:`streamed`."""
    found = dict(streamed(work, items, processes, label, progress, delay=delay))
    return [found[index] for index in range(len(items))]


def streamed(
    work: Callable[[_Item], _Outcome],
    items: Sequence[_Item],
    processes: int,
    label: str,
    progress: bool | None,
    *,
    delay: float = 0.0,
) -> Iterator[tuple[int, _Outcome]]:
    """Results of a pure function as they are ready, on so many processes, under a bar.

    Parameters
    ----------
    work : callable
        A function that can be pickled.
    items : sequence
        Its arguments.
    processes : int
        1 stays in this process.
    label : str
        Of the bar.
    progress : bool or None
        None shows the bar in a terminal or notebook.
    delay : float
        Seconds after which the bar appears.

    Yields
    ------
    int
        Which of the items it was.
    object
        What the function returned.
    """
    outcomes = enumerate(map(work, items)) if processes == 1 else over_processes(work, items, processes)
    shown = visible(progress)
    yield from bar_class()(
        outcomes, desc=label, total=len(items), delay=delay, disable=not shown, leave=False
    )


class Live:
    """Calls a function every so often, but never for more than a tenth of the time.

    Parameters
    ----------
    call : callable or None
        What to call; None for nothing.
    seconds : float
        At least so long apart.
    """

    def __init__(self, call: Callable[[], object] | None, seconds: float) -> None:
        self._call, self._seconds = call, seconds
        self._due = time.monotonic() + seconds

    def offer(self) -> None:
        """Call, if it is time."""
        if self._call is None or time.monotonic() < self._due:
            return
        began = time.monotonic()
        self._call()
        ended = time.monotonic()
        self._due = ended + max(self._seconds, (ended - began) / _LIVE_SHARE)
