"""Values of options: words of the shell, or of a file of options, turned into numbers, lists and paths.

An error is the end of a sentence that begins with the option: "--width", "is 'x'; give a whole number".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    _Type = click.ParamType[Any, Any]
else:
    _Type = click.ParamType

#: Most numbers in a range START:STOP:STEP.
_MOST = 10_000
_FORMATS = ("png", "pdf", "svg")
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


class Number(_Type):
    """A real number."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; bounds are checked by the library, which knows them."""
        number = _as_number(value)
        if number is None or math.isnan(number):
            self.fail(f"is {value!r}; give a number, such as 0.5", param, ctx)
        return number


class Whole(_Type):
    """A whole number within bounds; ``1e3`` is one, too."""

    name = "whole number"

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the whole number."""
        number = _as_number(value)
        if number is None or not number == math.floor(number) < math.inf:
            self.fail(f"is {value!r}; give a whole number >= {self.least}", param, ctx)
        if number < self.least:
            self.fail(f"is {number:g}; give at least {self.least}", param, ctx)
        exact = isinstance(value, int) or re.fullmatch(r"\+?\d+", str(value))
        return int(value) if exact else int(number)


class Numbers(_Type):
    """Numbers as ``0.5,1,1.5`` or ``START:STOP:STEP`` (the stop included); in a file also an array."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Return the numbers."""
        if isinstance(value, str) and ":" in value:
            numbers = _range(value)
        else:
            parts = _parts(value)
            numbers = [_as_number(part) for part in parts] if parts else None
        if not numbers or not all(number is not None and math.isfinite(number) for number in numbers):
            self.fail(f"is {value!r}; give numbers as 0.5,1,1.5 or START:STOP:STEP", param, ctx)
        return tuple(float(number) for number in numbers if number is not None)


class Wholes(Numbers):
    """The same for whole numbers."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers."""
        numbers = super().convert(value, param, ctx)
        for number in numbers:
            if number != int(number) or number < 1:
                self.fail(f"holds {number:g}; give positive whole numbers", param, ctx)
        return tuple(int(number) for number in numbers)


class Size(_Type):
    """A size in bytes, as ``8GB``, ``500 MB`` or ``8e9``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number of bytes."""
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+)(e\+?\d+)?\s*([kmgt]?)b?", str(value).strip().lower())
        if match is None or isinstance(value, bool):
            self.fail(f"is {value!r}; give a size such as 8GB or 500MB", param, ctx)
        return float(match[1] + (match[2] or "")) * _UNITS[match[3]]


class Formats(_Type):
    """Formats of figures, separated by commas."""

    name = "formats"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the formats."""
        formats = tuple(str(part).strip().lower() for part in _parts(value))
        if not formats or not set(formats) <= set(_FORMATS):
            self.fail(f"is {value!r}; give some of png, pdf and svg, separated by commas", param, ctx)
        return formats

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Formats that are not in the list yet."""
        done, _, begun = incomplete.rpartition(",")
        before = f"{done}," if done else ""
        return [
            CompletionItem(before + kind)
            for kind in _FORMATS
            if kind.startswith(begun) and kind not in done.split(",")
        ]


class Names(_Type):
    """Names of columns, separated by commas; in a file also an array."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the names."""
        if isinstance(value, list | tuple):
            return tuple(str(name) for name in value)
        return tuple(name.strip() for name in str(value).split(","))


class OneOf(_Type):
    """One of a few words."""

    name = "word"

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word."""
        from meanfield.arguments import did_you_mean

        if value not in self.words:
            self.fail(
                f"is {value!r}; give {' or '.join(self.words)}{did_you_mean(str(value), self.words)}",
                param,
                ctx,
            )
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """The words that begin so."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class Known(_Type):
    """A name that the library checks; words are looked up for the completion only."""

    name = "name"

    def __init__(self, words: Callable[[], Sequence[str]]) -> None:
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """The names that begin so."""
        return [CompletionItem(word) for word in self.words() if word.startswith(incomplete)]


class FilePath(_Type):
    """A file or a folder; in a file of options relative to the folder of that file."""

    name = "path"

    def __init__(self, *, folder: bool = False) -> None:
        self.folder = folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
            self.fail(f"is {value!r}; give the path of a {'folder' if self.folder else 'file'}", param, ctx)
        return Path(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """What the shell completes by itself."""
        return [CompletionItem(incomplete, type="dir" if self.folder else "file")]


def _parts(value: Any) -> list[Any]:
    """The entries of a list, of text with commas, or of a single number."""
    if isinstance(value, list | tuple):
        return list(value)
    return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else [value]


def _as_number(value: Any) -> float | None:
    """A number, or None for what is none; infinite numbers are left to the library."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _range(text: str) -> list[float | None] | None:
    """The numbers of ``START:STOP:STEP``."""
    try:
        start, stop, step = (float(part) for part in text.split(":"))
        count = round((stop - start) / step) + 1
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return [round(start + i * step, 12) for i in range(count)] if 1 <= count <= _MOST else None
