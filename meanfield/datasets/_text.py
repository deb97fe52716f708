"""Tables in text files: one sample per line, the target in the last column."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meanfield.datasets._checks import cannot_read
from meanfield.errors import InputError


def read_table(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the features, shape (n, d_in), and the targets, shape (n,), of a text file."""
    separator: str | None = None
    rows: list[list[float]] = []
    first = 0
    for number, line in _lines(path):
        if not rows:
            first, separator = number, _separator(line)
        cells = [cell.strip() for cell in line.split(separator)]
        if rows and len(cells) != len(rows[0]):
            raise InputError(
                f"line {number} of {str(path)!r} holds {_cells(len(cells))} but line {first} holds "
                f"{len(rows[0])}; give every line the same number of cells, with one kind of separator"
            )
        rows.append(_numbers(path, number, cells, header=not rows))
    if not rows:
        raise InputError(
            f"{str(path)!r} holds no numbers, only blank lines or comments; give one line per sample, "
            "the target in the last column"
        )
    if len(rows[0]) == 1:
        raise InputError(
            f"{str(path)!r} holds one column; give the features first and the target in the last "
            "column, separated by commas, semicolons, tabs or spaces"
        )
    table = np.array(rows, dtype=np.float64)
    return table[:, :-1], table[:, -1]


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


def _numbers(path: Path, line: int, cells: list[str], *, header: bool) -> list[float]:
    values = [_number(cell) for cell in cells]
    if (
        header
        and any(cells)
        and all(v is None and not _has_comma(c) for c, v in zip(cells, values, strict=True))
    ):
        raise InputError(
            f"line {line} of {str(path)!r} holds text ({_shown(' '.join(cells))}) instead of numbers; "
            "if it is a header, delete it or prefix it with '#'"
        )
    numbers = []
    for column, (cell, value) in enumerate(zip(cells, values, strict=True), start=1):
        if value is None or not math.isfinite(value):
            raise InputError(
                f"line {line}, column {column} of {str(path)!r} {_complaint(cell, value, header=header)}"
            )
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
        return "is empty; fill it with a number or drop the line"
    if value is not None:
        return f"is {cell}; every cell must be a finite number: drop or fill such samples"
    if _has_comma(cell):
        return f"holds {_shown(cell)}; write numbers with a decimal point instead of a comma"
    hint = ", or if this line is a header delete it or prefix it with '#'" if header else ""
    return f"holds {_shown(cell)}, which is not a number; give a number, drop the line{hint}"


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
