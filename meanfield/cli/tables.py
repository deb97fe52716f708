"""What commands print: lines of text, tables (by rich, in 80 columns or the terminal's), JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    header : sequence of str
        Names of the columns.
    rows : sequence of sequences of str
        What is in them.
    words : tuple of str
        Columns of words, which begin on the left; numbers end on the right.
    prose : tuple of str
        Columns of sentences, which begin on the left and may take several lines.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: tuple[str, ...] = ()
    prose: tuple[str, ...] = ()


#: A page: lines of text, and tables.
Page: TypeAlias = list[str | Table]


def show(what: Page | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Print a page, or anything else as JSON.

    Tables have colours on a terminal only, and there not where ``NO_COLOR`` is set; colours say nothing that
    the words do not say.
    """
    if isinstance(what, Mapping) or (what and isinstance(what[0], Mapping)):
        print(json.dumps(what, indent=2))
        return
    for part in what:
        if isinstance(part, Table):
            _print_table(part)
        else:
            print(part)


def _print_table(table: Table) -> None:
    import rich.box
    import rich.console
    import rich.table
    import rich.text

    plain = bool(os.environ.get("NO_COLOR"))  # rich itself would leave bold letters
    console = rich.console.Console(highlight=False, color_system=None if plain else "auto")
    drawn = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold"
    )
    for name in table.header:
        drawn.add_column(
            rich.text.Text(name),
            justify="left" if name in (*table.words, *table.prose) else "right",
            no_wrap=name not in table.prose,
        )
    for row in table.rows:
        drawn.add_row(*(rich.text.Text(cell, style="red" if cell == "NO" else "") for cell in row))
    # A line may be too long for the terminal; a number is never cut.
    least = sum(max(map(len, column)) + 2 for column in _unbroken(table))
    console.width = max(console.width, least)
    with console.capture() as capture:
        console.print(drawn)
    for line in capture.get().splitlines():
        print(line.rstrip())


def _unbroken(table: Table) -> Iterator[list[str]]:
    """For each column the texts that stay in one piece: cells, or the words of prose."""
    for name, *cells in zip(table.header, *table.rows, strict=True):
        yield " ".join((name, *cells)).split() if name in table.prose else [name, *cells]


def paths(written: Sequence[Path]) -> list[str]:
    """The files that a command has written."""
    return ["written:", *(f"  {path}" for path in written)]


def exit_code(ends: Iterable[Any]) -> int:
    """0 if all that was asked for came to its end, else 1; for runs see :attr:`meanfield.Status.finished`."""
    return 0 if all(ends) else 1
