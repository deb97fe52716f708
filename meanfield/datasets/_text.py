"""Tables in text files: one sample per line, the target in the last column.

The csv module splits lines into cells; here is what it does not do: comments, white space as a separator,
which separator it is, and which numbers.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import did_you_mean, shown
from meanfield.datasets._checks import cannot_read
from meanfield.datasets._numbers import (
    PLAIN,
    DecimalMark,
    Format,
    ThousandsMark,
    formats,
    is_number,
    recognised,
)
from meanfield.errors import InputError


@dataclass(frozen=True)
class Marks:
    """What separates cells, and how numbers are written; None: to be recognised.

    Attributes
    ----------
    delimiter : str or None
        One character; a space means any white space.
    decimal : str or None
        "." or ",".
    thousands : str or None
        ",", ".", " " or "'".
    """

    delimiter: str | None = None
    decimal: DecimalMark | None = None
    thousands: ThousandsMark | None = None

    def __post_init__(self) -> None:
        mark = self.delimiter
        if mark is not None and not (isinstance(mark, str) and re.fullmatch(r"[^\w\r\n\"'+.#-]", mark)):
            raise InputError(
                f"delimiter is {shown(mark)}; give one character such as ';', ' ' for any white space, or "
                "None to recognise it"
            )
        formats(self.decimal, self.thousands)


def read_table(
    path: Path, columns: Sequence[str] | None = None, marks: Marks | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str] | None]:
    """Return the features, shape (n, d_in), the targets, shape (n,), and the names of the columns, if any.

    A first line without a single number is a header. Its names, or 1, 2, ... where there is none, are
    what ``columns`` chooses from, the target last; by default all columns are taken.
    """
    marks, text = Marks() if marks is None else marks, _text(path)
    table, place = _Table(path, text, marks, columns), partial(_place, path)
    possible = formats(marks.decimal, marks.thousands)
    how = possible[0]
    # Where no cell can hold a comma, nothing is in doubt.
    doubtful = how != PLAIN or ("," in text and (table.delimiter != "," or '"' in text))
    if len(possible) > 1 and doubtful:
        how = recognised(possible, table.cells(), place, given=marks.thousands is not None)
    rows: list[list[float]] = []
    for line, column, cell in table.cells():
        if column == table.chosen[0]:
            rows.append([])
        value = how.read(cell)
        if value is None or not math.isfinite(value):
            complaint = _complaint(cell, value, how, first=line == table.first)
            raise InputError(f"{place(line, column)} {complaint}")
        rows[-1].append(value)
    if not rows:
        raise InputError(
            f"{str(path)!r} holds no numbers, only text, blank lines or comments; give one line per sample, "
            "the target in the last column"
        )
    values = np.array(rows, dtype=np.float64)
    names = [table.names[column] for column in table.chosen] if table.titled else None
    return values[:, :-1], values[:, -1], names


class _Table:
    """The cells of a text that are to be read, line by line."""

    def __init__(self, path: Path, text: str, marks: Marks, columns: Sequence[str] | None) -> None:
        self._path, self._text = path, text
        lines = _Lines(text, white=False)
        start = next(lines, "")
        while start.count('"') % 2 and len(start) < csv.field_size_limit() and not lines.unclosed:
            start += next(lines, "")  # a name in quotes over several lines
        self.delimiter = _separator(start, marks.decimal) if marks.delimiter is None else marks.delimiter
        self.first, cells = next(self._records(), (0, []))
        self.titled = any(cells) and not any(is_number(cell) for cell in cells)
        self.names = [" ".join(cell.split()) if self.titled else str(k) for k, cell in enumerate(cells, 1)]
        self.chosen = _choice(path, self.first, self.names, columns) if cells else [0]

    def cells(self) -> Iterator[tuple[int, int, str]]:
        """Line, column and text of the chosen cells, a header left out; both counts as people count lines."""
        for line, cells in self._records():
            if len(cells) != len(self.names):
                raise InputError(
                    f"line {line} of {str(self._path)!r} holds {_cells(len(cells))} but line {self.first} "
                    f"holds {len(self.names)}; give every line the same number of cells, with one kind of "
                    "separator"
                )
            if not (self.titled and line == self.first):
                yield from ((line, column, cells[column]) for column in self.chosen)

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """The lines that hold data, with their numbers, split into cells."""
        lines = _Lines(self._text, white=self.delimiter == " ")
        reader = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True)
        while True:
            lines.between = True
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise InputError(
                    f"line {lines.start} of {str(self._path)!r} cannot be split into cells ({error}); close "
                    "quotes that are open, or save the table again"
                ) from None
            if lines.unclosed:
                raise InputError(
                    f"line {lines.start} of {str(self._path)!r} opens a quote that is never closed; close it "
                    "or delete it"
                )
            if cells is None:
                return
            yield lines.start, [cell.strip() for cell in cells]


class _Lines:
    """The lines that hold data, as the csv module asks for them; a cell in quotes may go on over several."""

    def __init__(self, text: str, *, white: bool) -> None:
        self._lines, self._white = enumerate(io.StringIO(text, newline=None), start=1), white
        self.start, self.between, self.unclosed = 0, True, False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if not self.between:
                return line
            content = _content(line)
            if content.strip():
                self.start, self.between = number, False
                return re.sub(r"\s", " ", content.strip()) if self._white else content + "\n"
        self.unclosed = not self.between
        raise StopIteration


def _content(line: str) -> str:
    """A line without its comment and its end; in quotes, # begins none."""
    line = line.rstrip("\n")
    at = line.find("#")
    while at >= 0 and line.count('"', 0, at) % 2:
        at = line.find("#", at + 1)
    return line if at < 0 else line[:at]


def _separator(line: str, decimal: str | None) -> str:
    """The separator that a line has; the semicolon comes first, so that decimal commas are found."""
    bare = re.sub(r'"[^"]*"', "0", line.strip())  # what is in quotes separates nothing
    words = bare.split()
    by_space = decimal == "," and len(words) > 1 and all(is_number(word) for word in words)
    known = (";", "\t") if by_space else (";", "\t", ",")
    return next((mark for mark in known if mark in bare), " ")


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
                f"{str(path)!r} has {what} called {_cut(name)}; its columns are {_listed(names)}"
                + did_you_mean(name, set(names) - {name})
            )
    return [names.index(name) for name in columns]


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from None
    try:
        # Spreadsheets save "Unicode text" as UTF-16, which begins with a byte order mark.
        return data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        where = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"line {where} of {str(path)!r} holds the byte {error.object[error.start]:#04x}, which is not "
            f"{error.encoding.upper()} text; give a table saved as UTF-8, an NPZ file with arrays x and y, "
            "or IDX images"
        ) from None


def _complaint(cell: str, value: float | None, how: Format, *, first: bool) -> str:
    if not cell:
        return "is empty; fill it with a number, drop the line, or leave the column out (columns=, --columns)"
    if value is not None:
        return f"is {cell}; every cell must be a finite number: drop or fill such samples"
    if is_number(cell):
        return (
            f"holds {_cut(cell)}, which is no number with decimal={how.decimal!r} and "
            f"thousands={how.thousands!r}; give the marks of this file as decimal= and thousands="
        )
    if len(words := cell.split()) > 1 and all(is_number(word) for word in words):
        return (
            f"holds {_cut(cell)}; give delimiter=' ' if white space separates cells here, or thousands=' ' "
            "if it stands between thousands"
        )
    hint = ", or if this line is a header delete it or prefix it with '#'" if first else ""
    return (
        f"holds {_cut(cell)}, which is not a number; give a number, drop the line, or leave the column "
        f"out (columns=, --columns){hint}"
    )


def _place(path: Path, line: int, column: int) -> str:
    return f"line {line}, column {column + 1} of {str(path)!r}"


def _cut(cell: str, most: int = 40) -> str:
    return repr(cell if len(cell) <= most else cell[: most - 3] + "...")


def _listed(names: list[str], most: int = 200) -> str:
    """Names in quotes, for they may hold commas, cut to a readable length."""
    text = ", ".join(repr(name) for name in names if name)
    return text if len(text) <= most else text[: most - 3] + "..."


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
