"""What commands print: lines of text, tables (by rich, in 80 columns or the terminal's), JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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
        Columns of words, which begin on the left; numbers end on the right. In the others a cell is never
        broken into two lines.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: tuple[str, ...] = ()


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

    drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in table.header:
        drawn.add_column(
            rich.text.Text(name),
            justify="left" if name in table.words else "right",
            overflow="fold",
            no_wrap=name not in table.words,
        )
    for row in table.rows:
        drawn.add_row(*(rich.text.Text(cell, style="red" if cell == "NO" else "") for cell in row))
    console = rich.console.Console(highlight=False)
    with console.capture() as capture:
        console.print(drawn)
    for line in capture.get().splitlines():
        print(line.rstrip())


def paths(written: Sequence[Path]) -> list[str]:
    """The files that a command has written."""
    return ["written:", *(f"  {path}" for path in written)]


def exit_code(ends: Iterable[Any]) -> int:
    """0 if all that was asked for came to its end, else 1; for runs see :attr:`meanfield.Status.finished`."""
    return 0 if all(ends) else 1
