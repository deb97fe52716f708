"""The work-precision figure: error of the loss against wall time, a panel for each gamma."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from meanfield.plotting.placing import Obstacles, PlacedText
from meanfield.plotting.style import COLOURS, FAINT, MARKERS, SMALL, WIDTHS, settle, styled

#: Larger errors are not shown: a loss curve that ends at the wrong stationary point is below it.
WORST = 10.0
#: Decades of time between the default method's line and the guide of its order.
ASIDE = 0.25
#: Height of a name and mean width of its letters, in points.
LINE, LETTER = 7.5, 3.1


@styled
def draw(rows: Sequence[Any], *, guided: str, order: int) -> Figure:
    """One line and marker for each method, and a guide of the order of one of them.

    Parameters
    ----------
    rows : sequence of Row
        The table.
    guided : str
        The method that has a guide.
    order : int
        Its order.
    """
    gammas = list(dict.fromkeys(row.gamma for row in rows))
    names = list(dict.fromkeys(row.method for row in rows))
    looks = dict(zip(names, zip(COLOURS, MARKERS, strict=True), strict=False))
    figure = Figure(figsize=(WIDTHS["page"], 2.75), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(gammas), sharex=True, sharey=True))
    _set_limits(panels[0], rows)
    for ax, gamma in zip(panels, gammas, strict=True):
        ax.set_xlabel("wall time (s)")
        here = [row for row in rows if row.gamma == gamma]
        _draw_floor(ax, here[0].uncertainty)
        for name, (colour, marker) in looks.items():
            _draw_method(ax, [row for row in here if row.method == name], colour, marker)
        _draw_guide(ax, [row for row in here if row.method == guided], order, named=ax is panels[0])
        ax.set_title(rf"$\gamma$ = {gamma:g}", loc="left", pad=3.0)
        settle(ax)
    panels[0].set_ylabel("largest relative error of the loss")
    figure.draw_without_rendering()  # names are placed by the size that the panels have in the end
    for ax, gamma in zip(panels, gammas, strict=True):
        _name_methods(ax, [row for row in rows if row.gamma == gamma], looks)
    return figure


def _shown(row: Any) -> bool:
    return bool(row.finished and row.error <= WORST)


def _set_limits(ax: Axes, rows: Sequence[Any]) -> None:
    done = [row for row in rows if row.finished]
    seconds = [row.seconds for row in rows]
    ax.set(xscale="log", yscale="log")
    ax.set_xlim(0.2 * min(seconds), 2.0 * max(seconds))
    ax.set_ylim(0.25 * min(row.error for row in done), WORST)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=12))
        axis.set_minor_formatter(NullFormatter())


def _draw_method(ax: Axes, rows: Sequence[Any], colour: str, marker: str) -> None:
    done = [row for row in rows if _shown(row)]
    ax.plot(
        [row.seconds for row in done], [row.error for row in done], marker=marker, color=colour, lw=0.8,
        mec="white", mew=0.4, ms=4.5, zorder=3,
    )  # fmt: skip


def _draw_floor(ax: Axes, uncertainty: float) -> None:
    """Below the reference's own uncertainty, an error means nothing."""
    low = ax.get_ylim()[0]
    ax.axhspan(low, max(low, uncertainty), color="0.92", lw=0, zorder=0)


def _draw_guide(ax: Axes, rows: Sequence[Any], order: int, *, named: bool) -> None:
    """The slope that the method's order gives, beside its line: time goes like 1/h, errors like h^order."""
    above = [row for row in rows if _shown(row) and row.error > row.uncertainty]
    if not above:
        return
    last = max(above, key=lambda row: row.seconds)
    end = last.seconds / 10**ASIDE
    ax.plot(
        [end / 3.0, end], [last.error * 3.0**order, last.error], color=FAINT, lw=0.8, ls=(0, (3, 2)), zorder=2
    )
    if named:
        ax.annotate(
            f"order {order}", (end, last.error), xytext=(-2, -1), textcoords="offset points", ha="right",
            va="top", fontsize=SMALL, color="0.35",
        )  # fmt: skip


def _absent(rows: Sequence[Any]) -> str:
    """Methods without any point in the panel, and how long their runs were."""
    lines = []
    for name in dict.fromkeys(row.method for row in rows):
        runs = [row for row in rows if row.method == name]
        if not any(map(_shown, runs)):
            lines.append(f"{name}: > {max(row.seconds for row in runs):.0f} s")
    return "\n".join(lines)


def _name_methods(ax: Axes, rows: Sequence[Any], looks: dict[str, tuple[str, str]]) -> None:
    """Names beside the lines, in their colours, where there is room."""
    obstacles = Obstacles(ax, texts=list(ax.texts))
    for line in ax.lines:
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        obstacles.add_line(x, y)
        if line.get_marker() != "None":
            obstacles.points += [(px, py, 2.5) for px, py in zip(x, y, strict=True)]
    floor = ax.patches[0].get_window_extent()
    if floor.height > LINE * _unit(ax):
        shares = [(x, y) for y in (0.3, 0.5, 0.7) for x in (0.7, 0.6, 0.8, 0.5, 0.4, 0.3, 0.2)]
        places = [(ax.bbox.x0 + x * ax.bbox.width, ax.bbox.y0 + y * floor.height) for x, y in shares]
        _place(ax, "reference uncertain", _in_data(ax, places), obstacles, "0.35")
    absent = _absent(rows)
    if absent:
        right, top = ax.bbox.x1 - 4 * _unit(ax), ax.bbox.y1
        places = [(right, top - share * ax.bbox.height) for share in np.linspace(0.03, 0.9, 30)]
        _place(ax, absent, _in_data(ax, places), obstacles, "0.35", ha="right", va="top", linespacing=1.15)
    for name, (colour, _) in looks.items():
        points = [(row.seconds, row.error) for row in rows if row.method == name and _shown(row)]
        if points:
            _place(ax, name, _spots(ax, points, name), obstacles, colour)


def _place(
    ax: Axes,
    name: str,
    spots: Sequence[tuple[float, float, float]],
    obstacles: Obstacles,
    colour: str,
    **looks: Any,
) -> None:
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    text = PlacedText(
        name, spots, obstacles, inside=(left, low, right, high), transform=ax.transData, color=colour,
        fontsize=SMALL, zorder=5, **{"ha": "center", "va": "center"} | looks,
    )  # fmt: skip
    text.set_in_layout(False)
    ax.add_artist(text)
    obstacles.texts.append(text)


def _spots(ax: Axes, points: Sequence[tuple[float, float]], name: str) -> list[tuple[float, float, float]]:
    """Right and left of, above and below each point, near before far."""
    beside, above = 5.0 + 0.5 * LETTER * len(name), 2.0 + LINE / 2
    ways = [(beside, 0.0), (beside, above), (beside, -above), (0.0, above), (0.0, -above), (-beside, 0.0)]
    ways += [(-beside, above), (-beside, -above), (0.0, 2 * above), (0.0, -2 * above)]
    return _in_data(
        ax,
        [
            ax.transData.transform(xy) + far * _unit(ax) * np.array(way)
            for far in (1.0, 1.5)
            for way in ways
            for xy in points
        ],
    )


def _in_data(ax: Axes, places: Sequence[Any]) -> list[tuple[float, float, float]]:
    return [(x, y, 0.0) for x, y in ax.transData.inverted().transform(places)]


def _unit(ax: Axes) -> float:
    """Pixels of a point in print."""
    assert ax.figure is not None
    return ax.figure.dpi / 72
