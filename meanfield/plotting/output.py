"""Writing figures to files: the same bytes for the same figure."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from meanfield.arguments import file_path, listed, shown, with_article
from meanfield.errors import InputError
from meanfield.plotting.guests import keep_ticks
from meanfield.plotting.style import STYLE

#: Formats of files.
Format: TypeAlias = Literal["png", "pdf", "svg"]
#: What is left out of their metadata: times, so that a file depends on the figure only.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}
#: Rounds in which a layout settles, and its dots per inch: text is measured in dots.
_ROUNDS, _DPI = 2, 100.0


def save(
    figure: Figure | Axes,
    path: str | os.PathLike[str],
    formats: Format | str | Sequence[Format | str] | None = None,
) -> list[Path]:
    """Write a figure to files at its real size.

    PDF files embed their fonts as TrueType and SVG files keep text as text; neither holds a date, so
    that saving twice gives the same bytes.

    Parameters
    ----------
    figure : Figure or Axes
        A figure, or any axes of it.
    path : path-like
        Where to write. A name that ends in ``.png``, ``.pdf`` or ``.svg`` is written in that format;
        any other name is a stem to which the endings are appended.
    formats : {"png", "pdf", "svg"} or sequence of them, optional
        Instead: some of ``png``, ``pdf`` and ``svg`` (all three by default).

    Returns
    -------
    list of Path
        The files, in the order of the formats.

    Raises
    ------
    InputError
        If there is no figure, a format is unknown, or the folder is missing or cannot be written.

    Examples
    --------
    >>> from meanfield.plotting import new_axes
    >>> [file.name for file in save(new_axes(), "empty", formats=("pdf", "svg"))]
    ['empty.pdf', 'empty.svg']
    """
    whole = _figure_of(figure)
    stem, kinds = _targets(file_path("path", path), formats)
    files = []
    keep_ticks(whole.axes)
    with matplotlib.style.context(["default", STYLE]):
        contents = _render(whole, kinds)
    for kind, content in zip(kinds, contents, strict=True):
        file = stem.with_name(f"{stem.name}.{kind}")
        try:
            file.write_bytes(content)
        except OSError as error:
            raise InputError(
                f"the figure cannot be written to {file} ({error.strerror}); give a path in a folder that "
                "exists and is writable"
            ) from None
        files.append(file)
    return files


def _render(figure: Figure, kinds: Sequence[str]) -> list[bytes]:
    """Contents of the files, all in the same layout, whatever was drawn before."""
    engine, dpi = figure.get_layout_engine(), figure.dpi
    if engine is not None:
        figure.set_dpi(_DPI)
        for ax in figure.axes:  # a layout starts from the one before: begin anew
            spec = ax.get_subplotspec()
            if spec is not None:
                ax.set_position(spec.get_position(figure))
                ax.set_in_layout(True)
        for _ in range(_ROUNDS):
            engine.execute(figure)
        figure.set_layout_engine("none")
        for ax in figure.axes:  # the last bits of a layout hang on the one before
            laid_out = ax.get_in_layout()
            left, bottom, width, height = ax.get_position(original=True).bounds
            ax.set_position((round(left, 9), round(bottom, 9), round(width, 9), round(height, 9)))
            ax.set_in_layout(laid_out)
    try:
        contents = []
        for kind in kinds:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
            contents.append(buffer.getvalue())
    finally:
        figure.set_layout_engine(engine)
        figure.set_dpi(dpi)
    return contents


def _figure_of(figure: Figure | Axes) -> Figure:
    found: Any = figure.figure if isinstance(figure, Axes | SubFigure) else figure
    while isinstance(found, SubFigure):
        found = found.figure
    if not isinstance(found, Figure):
        raise InputError(f"{with_article(type(figure))} is no figure; give a matplotlib Figure or Axes")
    return found


def _targets(path: Path, formats: str | Sequence[str] | None) -> tuple[Path, list[str]]:
    ending = path.suffix[1:].lower()
    if formats is None:
        wanted = [ending] if ending in _METADATA else list(_METADATA)
    else:
        wanted = (
            [formats]
            if isinstance(formats, str)
            else listed("formats", formats, f"some of {', '.join(_METADATA)}")
        )
    kinds = [str(kind).lower().removeprefix(".") for kind in wanted]
    unknown = [kind for kind in kinds if kind not in get_args(Format)]
    if unknown or not kinds:
        raise InputError(f"formats is {shown(formats)}; choose from {', '.join(_METADATA)}")
    stem = path.with_suffix("") if ending in _METADATA else path
    if not stem.name:
        raise InputError(f"path is {str(path)!r}; give the name of a file, such as 'map' or 'map.pdf'")
    return stem, kinds
