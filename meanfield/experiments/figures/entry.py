"""What a figure of the paper is here: a request, a computation, a result with its table and its checks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from meanfield.arguments import file_path, flag, progress_choice, whole_number
from meanfield.displays import brief
from meanfield.errors import InputError
from meanfield.experiments.csv_files import write_csv
from meanfield.experiments.executors import AnyExecutor, check_executor
from meanfield.exporting import frame

if TYPE_CHECKING:
    import pandas

#: All figures by name, in the paper's order.
FigureName: TypeAlias = Literal[
    "schemes", "phase-diagram", "learned-functions", "splitting", "rd-against-width", "exponent-map",
    "condensation", "condensation-images", "tanh",
]  # fmt: skip


@dataclass(frozen=True)
class Request:
    """How a figure is to be computed.

    Parameters
    ----------
    quick, seed, executor, store, width, dim, images, labels, progress
        As in :func:`meanfield.figures.run`.
    """

    quick: bool = False
    seed: int = 0
    executor: AnyExecutor = None
    store: str | os.PathLike[str] | None = None
    width: int = 1000
    dim: int = 2
    images: str | os.PathLike[str] | None = None
    labels: str | os.PathLike[str] | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("width", 2), ("dim", 1)):
            whole_number(name, getattr(self, name), least=least)
        flag("quick", self.quick)
        progress_choice(self.progress)
        check_executor(self.executor)
        for name in ("store", "images", "labels"):
            if (path := getattr(self, name)) is not None:
                file_path(name, path)
        if (self.images is None) != (self.labels is None):
            raise InputError("one of images and labels is given without the other; give both files, or none")


@dataclass(frozen=True)
class Check:
    """A measured number beside the same number from elsewhere.

    Attributes
    ----------
    quantity : str
        What it is, with the point at which it was measured.
    measured, expected : float
        The two numbers.
    source : str
        Where ``expected`` is from: ``published`` or ``theory``.
    allowed : float
        Largest difference that is no contradiction; each figure's module says why.
    relative : bool
        Whether ``allowed`` is a share of ``expected``.
    """

    quantity: str
    measured: float
    expected: float
    source: str
    allowed: float
    relative: bool = False

    @property
    def difference(self) -> float:
        """``measured - expected``, as a share of ``expected`` where that is how they are compared."""
        difference = self.measured - self.expected
        return difference / abs(self.expected) if self.relative else difference

    @property
    def agrees(self) -> bool:
        """Whether the difference is within what is allowed; False for a missing measurement."""
        return math.isfinite(self.difference) and abs(self.difference) <= self.allowed


@dataclass(frozen=True, eq=False)
class FigureResult:
    """Numbers behind a figure; every figure has a subclass with what its drawing needs.

    Attributes
    ----------
    header : tuple of str
        Columns of the tidy table.
    rows : tuple of tuple
        Its rows: one measurement each.
    checks : tuple of Check
        Measured against published numbers or theory.
    ran : str
        What was run, in one sentence.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    checks: tuple[Check, ...]
    ran: str

    def __init_subclass__(cls) -> None:
        cls.__repr__ = brief  # type: ignore[assignment, method-assign]

    __repr__ = brief

    def to_pandas(self) -> pandas.DataFrame:
        """The tidy table as a table of pandas.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return frame({name: self.column(name) for name in self.header}, None, {"ran": self.ran})

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the tidy table as CSV and return its path.

        Parameters
        ----------
        path : path-like
            The file to be written; an existing one is replaced.

        Returns
        -------
        Path
            The file.
        """
        return write_csv(path, self.header, self.rows)

    def column(self, name: str) -> list[object]:
        """One column of the table.

        Parameters
        ----------
        name : str
            One of ``header``.

        Returns
        -------
        list
            One entry per row.
        """
        return [row[self.header.index(name)] for row in self.rows]


@dataclass(frozen=True)
class Entry:
    """A figure or table of the paper.

    Attributes
    ----------
    name : str
        What it is called on the command line.
    shows : str
        What it shows, in one line.
    needs : str
        What must be there beyond the package itself.
    seconds : tuple of float
        Rough wall times on two cores, quick and full, kernels compiled.
    compute : callable
        Turns a request into a result.
    """

    name: FigureName
    shows: str
    needs: str
    seconds: tuple[float, float]
    compute: Callable[[Request], FigureResult]


def as_rows(rows: Sequence[Sequence[object]]) -> tuple[tuple[object, ...], ...]:
    """A table's rows, frozen."""
    return tuple(tuple(row) for row in rows)
