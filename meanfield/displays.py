"""How results show themselves: one line in a terminal, a title and a table in a notebook.

In a notebook nothing is loaded from elsewhere and no colour is fixed: light and dark themes both work.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sized
from dataclasses import fields
from typing import Any

#: Rows and columns of a table at most; what is left out is said.
_ROWS, _COLUMNS = 20, 12
#: A value that takes more characters is shown by its kind in one line.
_LONG = 60
_CELL = "text-align: left; vertical-align: top; padding: 0.1em 1em 0.1em 0"


def card(title: str, rows: Mapping[str, Any] | Iterable[tuple[str, Any]], note: str = "") -> str:
    """A title, a table of names and values, and a remark below it.

    Parameters
    ----------
    title : str
        What the object is.
    rows : mapping or iterable of pairs
        Names with values; a value that is None is left out.
    note : str
        A sentence below the table.

    Returns
    -------
    str
        HTML; all texts are escaped.

    Examples
    --------
    >>> "&lt;b&gt;" in card("Problem", {"name": "<b>"})
    True
    """
    pairs = [(k, v) for k, v in (rows.items() if isinstance(rows, Mapping) else rows) if v is not None]
    return _framed(title, "".join(map(_row, pairs[:_ROWS])) + _left_out(len(pairs)), note)


def table(title: str, header: Iterable[str], rows: Iterable[Iterable[Any]], note: str = "") -> str:
    """A title and a table of several columns, see :func:`card`."""
    header, rows = _cut(header), [_cut(row) for row in rows]
    cells = "".join(f'<th style="{_CELL}">{_text(name)}</th>' for name in header)
    lines = [
        "<tr>" + "".join(f'<td style="{_CELL}">{_text(value)}</td>' for value in row) + "</tr>"
        for row in rows
    ]
    return _framed(title, f"<tr>{cells}</tr>" + "".join(lines[:_ROWS]) + _left_out(len(lines)), note)


def signed(value: float, digits: int) -> str:
    """A number with its sign and so many digits after the point; zero has no sign, nan is a dash.

    Examples
    --------
    >>> signed(0.171, 2), signed(-1e-9, 2), signed(-1.0, 3)
    ('+0.17', '0.00', '-1.000')
    """
    if value != value:
        return "-"
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def brief(record: Any) -> str:
    """One line for a dataclass of long arrays: numbers and short values as they are, arrays by their shape.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass
    ... class Series:
    ...     width: float
    ...     loss: np.ndarray
    >>> brief(Series(100.0, np.zeros((500, 3))))
    '<Series: width=100, loss of shape (500, 3)>'
    """
    known = [field.name for field in fields(record) if not field.name.startswith("_")]
    parts = (_brief(name, getattr(record, name)) for name in known)
    return f"<{type(record).__name__}: {', '.join(parts)}>"


def _brief(name: str, value: Any) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{name} of shape {shape}"
    text = f"{value:.4g}" if isinstance(value, float) else repr(value)
    if len(text) <= _LONG and "\n" not in text:
        return f"{name}={text}"
    return f"{len(value)} {name}" if isinstance(value, Sized) else f"{name}: {type(value).__name__}"


def _cut(cells: Iterable[Any]) -> list[Any]:
    """The first columns."""
    found = list(cells)
    return found if len(found) <= _COLUMNS else [*found[: _COLUMNS - 1], "..."]


def _framed(title: str, lines: str, note: str) -> str:
    below = f'<div style="opacity: 0.75; max-width: 50em">{_text(note)}</div>' if note else ""
    return (
        '<div class="meanfield" style="font-size: 0.9em; margin: 0.3em 0">'
        f'<div style="font-weight: bold; border-bottom: 1px solid currentColor">{_text(title)}</div>'
        f'<table style="border: none; margin: 0.2em 0; background: none">{lines}</table>{below}</div>'
    )


def _row(pair: tuple[str, Any]) -> str:
    name, value = pair
    return (
        '<tr style="background: none">'
        f'<th style="{_CELL}; font-weight: normal; opacity: 0.75">{_text(name)}</th>'
        f'<td style="{_CELL}">{_text(value)}</td></tr>'
    )


def _left_out(count: int) -> str:
    return f'<tr><td style="{_CELL}">and {count - _ROWS} more</td></tr>' if count > _ROWS else ""


def _text(value: Any) -> str:
    """Escaped, numbers to four digits."""
    if isinstance(value, float):
        value = f"{value:.4g}"
    return html.escape(str(value))
