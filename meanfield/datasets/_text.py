"""Tables in text files: one sample per line, the target in the last column."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import did_you_mean
from meanfield.datasets._checks import cannot_read
from meanfield.errors import InputError


def read_table(
    path: Path, columns: Sequence[str] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the features, shape (n, d_in), and the targets, shape (n,), of a text file.

    A first line without a single number is a header. Its names, or 1, 2, ... where there is none, are
    what ``columns`` chooses from, the target last; by default all columns are taken.
    """
    separator: str | None = None
    names: list[str] = []
    chosen: list[int] = []
    rows: list[list[float]] = []
    first = 0
    for number, line in _lines(path):
        if not names:
            first, separator = number, _separator(line)
        cells = _split(line, separator)
        if names and len(cells) != len(names):
            raise InputError(
                f"line {number} of {str(path)!r} holds {_cells(len(cells))} but line {first} holds "
                f"{len(names)}; give every line the same number of cells, with one kind of separator"
            )
        if not names:
            header = _is_header(cells)
            names = cells if header else [str(column) for column in range(1, len(cells) + 1)]
            chosen = _choice(path, number, names, columns)
            if header:
                continue
        rows.append(_numbers(path, number, cells, chosen, header=not rows and number == first))
    if not rows:
        raise InputError(
            f"{str(path)!r} holds no numbers, only text, blank lines or comments; give one line per sample, "
            "the target in the last column"
        )
    table = np.array(rows, dtype=np.float64)
    return table[:, :-1], table[:, -1]


def _is_header(cells: list[str]) -> bool:
    """Tell whether a line names columns: some text, and not a single number."""
    return any(cells) and all(_number(cell) is None and not _has_comma(cell) for cell in cells)


def _choice(path: Path, line: int, names: list[str], columns: Sequence[str] | None) -> list[int]:
    """Return the positions of the columns to read, the target last."""
    if columns is None:
        if "" in names:
            raise InputError(
                f"line {line} of {str(path)!r} gives column {names.index('') + 1} no name, as where pandas "
                "writes its index; choose the columns to read, the target last, with columns= (--columns)"
            )
        if len(names) == 1:
            raise InputError(
                f"{str(path)!r} holds one column; give the features first and the target in the last "
                "column, separated by commas, semicolons, tabs or spaces"
            )
        return list(range(len(names)))
    for name in columns:
        if names.count(name) != 1:
            what = "no column" if name not in names else f"{names.count(name)} columns"
            raise InputError(
                f"{str(path)!r} has {what} called {_shown(name)}; its columns are "
                f"{_shown(', '.join(filter(None, names)), 200)}{did_you_mean(name, set(names) - {name})}"
            )
    return [names.index(name) for name in columns]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold data, with their numbers, comments removed."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{str(path)!r} is UTF-16 text; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"line {where} of {str(path)!r} holds the byte {error.object[error.start]:#04x}, which is not "
            "UTF-8 text; give a table saved as UTF-8, an NPZ file with arrays x and y, or IDX images"
        ) from None
    for number, raw in enumerate(io.StringIO(text, newline=None), start=1):
        content = raw.partition("#")[0]
        if content.strip():
            yield number, content.rstrip("\n")


def _separator(line: str) -> str | None:
    # The semicolon comes first, so that decimal commas are found and can be named.
    return next((mark for mark in (";", "\t", ",") if mark in line.strip()), None)


def _split(line: str, separator: str | None) -> list[str]:
    """Split a line into its cells; quotes around a cell are taken off."""
    cells = [cell.strip() for cell in line.split(separator)]
    return [cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell for cell in cells]


def _numbers(path: Path, line: int, cells: list[str], chosen: list[int], *, header: bool) -> list[float]:
    numbers = []
    for column in chosen:
        cell = cells[column]
        value = _number(cell)
        if value is None or not math.isfinite(value):
            complaint = _complaint(cell, value, header=header)
            raise InputError(f"line {line}, column {column + 1} of {str(path)!r} {complaint}")
        numbers.append(value)
    return numbers


def _number(cell: str) -> float | None:
    if "_" in cell:  # Python reads 1_0 as 10, nobody else does
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _has_comma(cell: str) -> bool:
    """Tell whether a cell is a number with a decimal comma."""
    return cell.count(",") == 1 and _number(cell.replace(",", ".")) is not None


def _complaint(cell: str, value: float | None, *, header: bool) -> str:
    if not cell:
        return "is empty; fill it with a number, drop the line, or leave the column out (columns=, --columns)"
    if value is not None:
        return f"is {cell}; every cell must be a finite number: drop or fill such samples"
    if _has_comma(cell):
        return f"holds {_shown(cell)}; write numbers with a decimal point instead of a comma"
    hint = ", or if this line is a header delete it or prefix it with '#'" if header else ""
    return (
        f"holds {_shown(cell)}, which is not a number; give a number, drop the line, or leave the column "
        f"out (columns=, --columns){hint}"
    )


def _shown(cell: str, most: int = 40) -> str:
    return repr(cell if len(cell) <= most else cell[: most - 3] + "...")


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
