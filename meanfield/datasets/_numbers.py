"""Numbers in text: with a decimal point or comma, with or without a mark between thousands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, get_args

from meanfield.arguments import shown
from meanfield.errors import InputError

#: What may stand between thousands: also spaces that do not break, and the apostrophe of typesetters.
_ALIKE = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'"})
_COMMA = re.compile(r"(?<=\d),(?=\d)")
DecimalMark: TypeAlias = Literal[".", ","]
ThousandsMark: TypeAlias = Literal[",", ".", " ", "'"]
_DECIMAL: tuple[DecimalMark, ...] = get_args(DecimalMark)
_THOUSANDS: tuple[ThousandsMark, ...] = get_args(ThousandsMark)


@dataclass(frozen=True)
class Format:
    """How numbers are written; ``thousands`` is None where nothing stands between thousands."""

    decimal: DecimalMark = "."
    thousands: ThousandsMark | None = None

    def read(self, cell: str) -> float | None:
        """The number that a cell holds; None if it holds none in this format."""
        if self.thousands is not None:
            cell = cell.translate(_ALIKE)
            if self._grouped.fullmatch(cell):
                cell = cell.replace(self.thousands, "")
        if self.decimal == ",":  # between digits only: a comma at an end separates cells
            cell = "" if "." in cell else _COMMA.sub(".", cell)
        if "_" in cell:  # Python reads 1_0 as 10, nobody else does
            return None
        try:
            return float(cell)
        except ValueError:
            return None

    @cached_property
    def _grouped(self) -> re.Pattern[str]:
        mark, point = re.escape(self.thousands or ""), re.escape(self.decimal)
        return re.compile(rf"[+-]?\d{{1,3}}(?:{mark}\d{{3}})+(?:{point}\d*)?(?:[eE][+-]?\d+)?")


PLAIN = Format()
_KNOWN = (PLAIN, Format(","), Format(".", ","), Format(",", "."))


def formats(decimal: DecimalMark | None, thousands: ThousandsMark | None) -> tuple[Format, ...]:
    """Formats that a user leaves possible; None: to be recognised.

    Raises
    ------
    InputError
        For other marks, or one mark for both.
    """
    for name, mark, known in (("decimal", decimal, _DECIMAL), ("thousands", thousands, _THOUSANDS)):
        if mark is not None and (not isinstance(mark, str) or mark not in known):
            choices = ", ".join(repr(each) for each in known)
            raise InputError(f"{name} is {shown(mark)}; give one of {choices}, or None to recognise it")
    if decimal is not None and decimal == thousands:
        raise InputError(f"decimal and thousands are both {decimal!r}; give two different marks")
    if thousands is None:
        return tuple(each for each in _KNOWN if decimal in (None, each.decimal))
    decimals = _DECIMAL if decimal is None else (decimal,)
    return tuple(Format(each, thousands) for each in decimals if each != thousands)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number in any format."""
    return any(each.read(cell) is not None for each in (*_KNOWN, Format(".", " "), Format(",", " "),
                                                        Format(".", "'"), Format(",", "'")))  # fmt: skip


def recognised(
    possible: tuple[Format, ...],
    cells: Iterable[tuple[int, int, str]],
    place: Callable[[int, int], str],
    *,
    given: bool,
) -> Format:
    """The one format in which all cells are written.

    Marks between thousands that were not given are believed only if a cell shows that they are: it has both
    marks, as in "1,234.5", or one of them twice.

    Parameters
    ----------
    possible : tuple of Format
        What the user leaves possible.
    cells : iterable of (int, int, str)
        Line, column and text of each.
    place : callable
        What says in words where a line and a column are.
    given : bool
        Whether the user has named the mark between thousands.

    Raises
    ------
    InputError
        If a cell may be read in two ways, or two cells are written in different ways.
    """
    everything, proven = possible, given
    seen: dict[str, tuple[int, int, str]] = {}
    decisive = (0, 0, "")
    for line, column, cell in cells:
        marks = [mark for mark in _DECIMAL if mark in cell]
        able = tuple(each for each in possible if each.read(cell) is not None) if marks else possible
        if not able and any(each.read(cell) is not None for each in everything):
            raise InputError(
                f"{place(line, column)} holds {cell!r}, but {place(*decisive[:2])} holds {decisive[2]!r}: "
                "numbers are written in two ways; write all of them alike, with a decimal point"
            )
        if not able or not marks:  # what is no number is refused where it is read
            continue
        for mark in marks:
            seen.setdefault(mark, (line, column, cell))
        proven |= cell.count(",") + cell.count(".") > 1
        if len(able) < len(possible):
            possible, decisive = able, (line, column, cell)
    without = [each for each in possible if each.thousands is None]
    if not proven and (not without or ("," in seen and len({each.decimal for each in possible}) > 1)):
        doubtful = "," if without else possible[0].thousands or ","
        line, column, cell = seen[doubtful]
        raise InputError(
            f"{place(line, column)} holds {cell!r}, which may be {cell.replace(doubtful, '')} or "
            f"{cell.replace(doubtful, '.')}; say which with thousands={doubtful!r} or decimal={doubtful!r}"
        )
    return without[0] if without else possible[0]
