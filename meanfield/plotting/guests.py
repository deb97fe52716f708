"""Drawing on axes of the user: only what a figure function is asked for, in the user's own style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

import matplotlib
from matplotlib.axes import Axes

#: Size of text in the figures' own style, in points.
TEXT = 8.0

Limits = tuple[float, float]


@dataclass
class Guest:
    """What a figure function would like to see of axes that are not its own.

    Attributes
    ----------
    filled : tuple of Axes
        Those that held something before.
    wanted : dict
        Limits by axes and direction.
    """

    filled: tuple[Axes, ...]
    wanted: dict[tuple[Axes, str], Limits] = field(default_factory=dict)

    def settle(self) -> None:
        """Set the limits where the user has set none, without cutting what was there."""
        for (ax, name), (low, high) in self.wanted.items():
            axis = ax.xaxis if name == "x" else ax.yaxis
            get, fit, put = (
                (ax.get_xlim, ax.get_autoscalex_on, ax.set_xlim)
                if name == "x"
                else (ax.get_ylim, ax.get_autoscaley_on, ax.set_ylim)
            )
            if not fit():
                continue
            before = sorted(get())
            if ax in self.filled:
                low, high = min(low, before[0]), max(high, before[1])
            put(*((high, low) if axis.get_inverted() else (low, high)), auto=None)


#: The house's own figures, or the guest of a user's axes; None outside all figure functions.
_PLACE: ContextVar[Literal["house"] | Guest | None] = ContextVar("place", default=None)


@contextmanager
def at_home() -> Iterator[bool]:
    """Draw a figure of one's own; true if no other figure function draws it."""
    outermost = _PLACE.get() is None
    before = _PLACE.set("house")
    try:
        yield outermost
    finally:
        _PLACE.reset(before)


@contextmanager
def on_axes_of_others(axes: Sequence[Axes]) -> Iterator[None]:
    """Draw on axes that were given: as a guest, unless another figure function gave them."""
    if _PLACE.get() is not None:
        yield
        return
    guest = Guest(tuple(ax for ax in axes if ax.has_data()))
    before = _PLACE.set(guest)
    try:
        yield
    finally:
        _PLACE.reset(before)
    guest.settle()
    keep_ticks(axes)


def keep_ticks(axes: Sequence[Axes]) -> None:
    """Let ticks have the settings that hold now, as labels do, whenever they are drawn.

    Ticks are made when they are needed, as copies of the first one.
    """
    for axis in (axis for ax in axes for axis in (ax.xaxis, ax.yaxis)):
        axis.get_major_ticks(1)
        axis.get_minor_ticks(1)


def is_guest() -> bool:
    """Whether the axes are the user's."""
    return isinstance(_PLACE.get(), Guest)


def view(ax: Axes, *, x: Limits | None = None, y: Limits | None = None) -> None:
    """Show these ranges; on axes of the user where no limits were set, and beside what was there."""
    place = _PLACE.get()
    for name, limits in (("x", x), ("y", y)):
        if limits is not None and isinstance(place, Guest):
            place.wanted[ax, name] = (float(limits[0]), float(limits[1]))
        elif limits is not None:
            ax.set(**{f"{name}lim": limits})


def name_axes(ax: Axes, x: str | None = None, y: str | None = None, *, upright: bool = False) -> None:
    """Label the axes; on axes of the user only where there is no label.

    ``upright`` sets the label of the vertical axis horizontally, in a figure of one's own.
    """
    guest = is_guest()
    if x is not None and not (guest and ax.get_xlabel()):
        ax.set_xlabel(x)
    if y is not None and not (guest and ax.get_ylabel()):
        ax.set_ylabel(y)
        if upright and not guest:
            ax.yaxis.label.set(rotation=0, ha="right", va="center")


def points(size: float) -> float:
    """A size of text in the figures' own style, in proportion to that of the settings now."""
    return size / TEXT * float(matplotlib.rcParams["font.size"])
