"""The order of a sweep's cells: longest first, a share for the short ones, memory in bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from meanfield.errors import InputError
from meanfield.experiments.cells import Cell, CellSettings, cell_memory, cost
from meanfield.experiments.grid import astuple
from meanfield.problem import Problem
from meanfield.resources import gigabytes

#: Share of the started work that is taken from the short end: partial pictures fill from there.
_SHORT_SHARE = 0.25
#: Memory of a worker process before its first cell: interpreter, compiled kernels, libraries.
PROCESS_BYTES = 250e6


class CellQueue:
    """Cells that wait, taken one by one.

    The longest that fits into memory goes first: what is started last is short, and no worker is left
    alone with a long cell in the end. A quarter of the work is taken from the other end, so that
    large cells never hold up all the small ones.

    Parameters
    ----------
    cells : sequence of Cell
        What to run.
    memory : callable
        Bytes that a cell needs.
    budget : float
        Bytes that all cells at once may need.
    """

    def __init__(self, cells: Sequence[Cell], memory: Callable[[Cell], float], budget: float) -> None:
        # Shortest first, so that the longest is cheap to take.
        self._cells = sorted(cells, key=lambda cell: (cost(cell), astuple(cell)))
        self._memory, self._free = memory, budget
        self._started = self._short = 0.0

    def __len__(self) -> int:
        return len(self._cells)

    def take(self) -> Cell | None:
        """The next cell; None if none is left, or none fits into memory beside those that run."""
        short = self._short < _SHORT_SHARE * self._started
        order = range(len(self._cells)) if short else range(len(self._cells) - 1, -1, -1)
        for index in order:
            cell = self._cells[index]
            if self._memory(cell) <= self._free:
                del self._cells[index]
                self._free -= self._memory(cell)
                self._started += cost(cell)
                self._short += short * cost(cell)
                return cell
        return None

    def take_shortest(self) -> Cell:
        """The shortest cell; what it needs is not counted."""
        return self._cells.pop(0)

    def release(self, cell: Cell) -> None:
        """A cell that was taken has ended."""
        self._free += self._memory(cell)

    def put_back(self, cell: Cell) -> None:
        """A cell that was taken and released has to run again: it is the next of the long ones."""
        self._cells.append(cell)


def check_memory(problem: Problem, cells: Sequence[Cell], settings: CellSettings, budget: float) -> float:
    """Bytes of the largest cell; refuses one that no memory is there for."""
    largest = max(cells, key=lambda cell: cell.width)
    need = cell_memory(problem, largest, settings)
    if need > budget:
        raise InputError(
            f"a run of width {largest.width} needs about {gigabytes(need)} of memory, but there are "
            f"{gigabytes(budget)} for it; give smaller widths, or the memory that there really is"
        )
    return need
