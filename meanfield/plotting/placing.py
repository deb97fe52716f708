"""Text that looks for a free place when it is drawn, and stays away if there is none."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text
from matplotlib.transforms import Bbox, ScaledTranslation
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import flag
from meanfield.plotting.guests import is_guest
from meanfield.plotting.style import SMALL

Array = NDArray[np.float64]

#: Distance in points that is kept between two texts.
_GAP = 1.0
#: Attribute of a legend that holds what its texts stand for.
_ENTRIES = "_meanfield_entries"
#: Height of a row of a key, in points.
_ROW = 10.0


@dataclass
class Obstacles:
    """What text must not cover.

    Attributes
    ----------
    ax : Axes
        Its data coordinates are those of the points and lines.
    points : list of (x, y, radius)
        Markers, with their radius in points.
    lines : list of ndarray, shape (k, 2)
        Polylines.
    faint : list of ndarray, shape (k, 2)
        Polylines that text only crosses where there is no better place, and then interrupts.
    texts : list of Text
        Other texts; a :class:`PlacedText` counts once it has been placed.
    """

    ax: Axes
    points: list[tuple[float, float, float]] = field(default_factory=list)
    lines: list[Array] = field(default_factory=list)
    faint: list[Array] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def add_line(self, x: ArrayLike, y: ArrayLike) -> None:
        """Add a polyline in data coordinates."""
        self.lines.append(np.column_stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)]))

    def hit(
        self, box: Bbox, renderer: RendererBase, skip: Text | None = None, *, faint: bool = False
    ) -> bool:
        """Whether a box in display coordinates covers something, or crosses a faint line if these count."""
        transform, unit = self.ax.transData, _points(renderer)
        for x, y, radius in self.points:
            px, py = transform.transform((x, y))
            if box.overlaps(Bbox.from_bounds(px, py, 0, 0).padded(radius * unit)):
                return True
        lines = self.lines + self.faint if faint else self.lines
        if any(crosses(transform.transform(line), box) for line in lines):
            return True
        return any(box.overlaps(other) for other in self._text_boxes(renderer, skip))

    def _text_boxes(self, renderer: RendererBase, skip: Text | None) -> Iterator[Bbox]:
        for text in self.texts:
            if not isinstance(text, PlacedText):
                yield text.get_window_extent(renderer)
            elif text.box is not None and text is not skip:
                yield text.box


class PlacedText(Text):
    """Text with candidate places, of which it takes the first free one at the size it is drawn.

    Parameters
    ----------
    text : str
        What it says.
    spots : sequence of (x, y, rotation)
        Candidates, best first, in the coordinates of ``transform``.
    obstacles : Obstacles
        What it must not cover.
    inside : tuple of float, optional
        Rectangle (x0, y0, x1, y1) in the same coordinates that it must not leave.
    **kwargs
        Of :class:`matplotlib.text.Text`.

    Attributes
    ----------
    box : Bbox or None
        Where it is, in display coordinates, since it was last drawn; None if it found no place.
    """

    def __init__(
        self,
        text: str,
        spots: Sequence[tuple[float, float, float]],
        obstacles: Obstacles,
        *,
        inside: tuple[float, float, float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(spots[0][0], spots[0][1], text, rotation=spots[0][2], **kwargs)
        self._spots, self._obstacles, self._inside = tuple(spots), obstacles, inside
        self.box: Bbox | None = None

    @property
    def shown(self) -> bool:
        """Whether a place was found when it was last drawn."""
        return self.box is not None

    def place(self, renderer: RendererBase) -> Bbox | None:
        """Move to the first free place and return its box."""
        gap, transform = _GAP * _points(renderer), self.get_transform()
        room = self._room(gap)
        measured: dict[float, Bbox] = {}  # by rotation, with the anchor at the origin
        ways = (True, False) if self._obstacles.faint else (False,)
        for faint, (x, y, rotation) in ((way, spot) for way in ways for spot in self._spots):
            anchor_x, anchor_y = transform.transform((x, y))
            if rotation not in measured:
                self.set_position((x, y))
                self.set_rotation(rotation)
                measured[rotation] = self.get_window_extent(renderer).translated(-anchor_x, -anchor_y)
            box = measured[rotation].translated(anchor_x, anchor_y)
            outside = room is not None and (
                box.x0 < room.x0 or box.y0 < room.y0 or box.x1 > room.x1 or box.y1 > room.y1
            )
            if not outside and not self._obstacles.hit(box.padded(gap), renderer, self, faint=faint):
                self.set_position((x, y))
                self.set_rotation(rotation)
                return box
        return None

    def _room(self, gap: float) -> Bbox | None:
        if self._inside is None:
            return None
        x0, y0, x1, y1 = self._inside
        return Bbox(self.get_transform().transform([(x0, y0), (x1, y1)])).padded(-0.5 * gap)

    def draw(self, renderer: RendererBase, *args: Any, **kwargs: Any) -> None:
        """Draw it if it finds a place."""
        self.box = self.place(renderer) if self.get_visible() else None
        if self.box is not None:
            super().draw(renderer, *args, **kwargs)


def crosses(line: ArrayLike, box: Bbox) -> bool:
    """Whether a polyline, shape (k, 2), meets a box (Liang and Barsky: each pair of sides cuts segments).

    Examples
    --------
    >>> box = Bbox([[0.0, 0.0], [1.0, 1.0]])
    >>> crosses([[0.5, -1.0], [0.5, 2.0]], box), crosses([[-1.0, 0.5], [0.5, 3.0]], box)
    (True, False)
    """
    vertices = np.asarray(line, dtype=np.float64)
    start, step = vertices[:-1], np.diff(vertices, axis=0)
    low, high = (np.asarray(corner, dtype=np.float64) for corner in (box.min, box.max))
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(low - start) / step, (high - start) / step])
    still = step == 0.0
    within = (low <= start) & (start <= high)
    enter = np.where(still, np.where(within, -np.inf, np.inf), ends.min(axis=0)).max(axis=1, initial=0.0)
    leave = np.where(still, np.where(within, np.inf, -np.inf), ends.max(axis=0)).min(axis=1, initial=1.0)
    return bool(np.any(enter <= leave))


def _points(renderer: RendererBase) -> float:
    """Display units of one point."""
    return float(np.asarray(renderer.points_to_pixels(1.0), dtype=np.float64))


class Room(Artist):
    """Room outside the axes that a layout keeps free; it draws nothing.

    Parameters
    ----------
    ax : Axes
        The axes.
    above, below : float
        Distances from the axes, in points.
    """

    def __init__(self, ax: Axes, *, above: float = 0.0, below: float = 0.0) -> None:
        super().__init__()
        self._room = (ax, above, below)
        self.set_clip_on(False)

    def get_window_extent(self, renderer: RendererBase | None = None) -> Bbox:
        """The room, at the left edge of the axes."""
        ax, above, below = self._room
        assert ax.figure is not None
        unit, box = ax.figure.dpi / 72, ax.bbox
        return Bbox([[box.x0, box.y0 - below * unit], [box.x0 + unit, box.y1 + above * unit]])


def explained(legend: bool | None, key: bool | None = None, *, on_axes_of_others: bool = True) -> bool:
    """Whether the marks are explained: as asked for; else always, but on the user's axes only if so given.

    ``key`` is the name that ``legend`` had.
    """
    if key is not None:
        key = flag("key", key)
        warnings.warn("key is now called legend; write legend= instead", DeprecationWarning, stacklevel=4)
        legend = key if legend is None else legend
    if legend is None:
        return on_axes_of_others or not is_guest()
    return flag("legend", legend)


def key_inside(ax: Axes, entries: Mapping[str, Any]) -> None:
    """Put a legend in the axes where Matplotlib puts legends, together with what the one before said."""
    before = ax.get_legend()
    if before is not None:
        names = [text.get_text() for text in before.get_texts()]
        # The artists of a legend show only a part of what has several parts, such as points with bars.
        whole = dict(reversed(list(zip(*reversed(ax.get_legend_handles_labels()), strict=True))))
        kept = dict(zip(names, before.legend_handles, strict=True)) | getattr(before, _ENTRIES, whole)
        entries = {name: kept[name] for name in names} | dict(entries)
    legend = ax.legend(list(entries.values()), list(entries))
    setattr(legend, _ENTRIES, dict(entries))


def key_outside(
    ax: Axes,
    entries: Mapping[str, Any],
    *,
    columns: int,
    left: float = 0.0,
    above: float = 0.0,
    below: float = 0.0,
) -> float:
    """Put a key above or below the axes, in points from them, and keep room for it.

    Its width takes no part in the layout: a key wider than the axes would shrink them at every draw. On axes
    of the user it is a legend inside.

    Parameters
    ----------
    ax : Axes
        The axes.
    entries : mapping of str to artist
        Texts and what they stand for.
    columns : int
        Number of columns.
    left, above, below : float
        Offset of its left edge, and distance from the axes, on one of the two sides.

    Returns
    -------
    float
        Distance of its far edge from the axes, in points.
    """
    if is_guest():
        key_inside(ax, entries)
        return 0.0
    assert ax.figure is not None
    shift = ScaledTranslation(left / 72, (above - below) / 72, ax.figure.dpi_scale_trans)
    legend = ax.legend(
        list(entries.values()), list(entries), ncols=columns, borderpad=0.0,
        loc="upper left" if below else "lower left", bbox_to_anchor=(0.0, 0.0 if below else 1.0),
        bbox_transform=ax.transAxes + shift,
    )  # fmt: skip
    legend.set_in_layout(False)
    legend.set_zorder(8)
    far = above + below + _ROW * -(-len(entries) // columns)
    ax.add_artist(Room(ax, below=far) if below else Room(ax, above=far))
    return far


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, Any]], *, lines: int) -> None:
    """Name curves at their right ends, beside the axes, without overlaps.

    Parameters
    ----------
    ax : Axes
        With its final scales and limits.
    ends : sequence of (y, text, colour)
        Heights of the ends in data coordinates; those that are not finite are left out.
    lines : int
        Lines of text in a name.
    """
    shown = [end for end in ends if np.isfinite(end[0])]
    if not shown:
        return
    ax.set_ylim(*ax.get_ylim())  # the heights below are those of the limits now
    heights = ax.transAxes.inverted().transform(ax.transData.transform([(1.0, y) for y, _, _ in shown]))[:, 1]
    assert ax.figure is not None
    room = 72 * ax.get_window_extent().height / ax.figure.dpi
    height = 1.15 * lines * SMALL / room
    places = np.array(spread(np.clip(heights, height / 2, 1.0 - height / 2), height + 2.0 / room))
    places -= max(places.max() - (1.0 - height / 2), 0.0)
    for place, (_, text, colour) in zip(places, shown, strict=True):
        ax.annotate(
            text, (1.0, place), xycoords="axes fraction", xytext=(4, 0), textcoords="offset points",
            color=colour, fontsize=SMALL, va="center", ha="left", annotation_clip=False, linespacing=1.1,
        )  # fmt: skip


def spread(wanted: ArrayLike, gap: float) -> list[float]:
    """Positions near the wanted ones that keep a distance of at least ``gap``, in the same order.

    Examples
    --------
    >>> spread([0.0, 5.0, 5.2], 1.0)
    [0.0, 4.6, 5.6]
    """
    target = np.asarray(wanted, dtype=np.float64)
    order = np.argsort(target, kind="stable")
    # Without the gaps the task is a monotone least-squares fit: pool neighbours that are out of order.
    blocks: list[list[float]] = []
    for value in target[order] - gap * np.arange(len(target)):
        blocks.append([float(value)])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    pooled = [float(np.mean(block)) for block in blocks for _ in block]
    result = np.empty(len(target))
    result[order] = np.array(pooled) + gap * np.arange(len(target))
    return [round(float(value), 12) for value in result]
