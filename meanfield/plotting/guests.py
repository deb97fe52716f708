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
    """What a figure function found on axes that are not its own, and what it would like to see.

    Attributes
    ----------
    filled : tuple of Axes
        Those that held something before.
    fixed : dict
        Limits that the user had set, by axes and direction.
    wanted : dict
        Limits that show what is drawn.
    """

    filled: tuple[Axes, ...]
    fixed: dict[tuple[Axes, str], Limits]
    wanted: dict[tuple[Axes, str], Limits] = field(default_factory=dict)

    @classmethod
    def of(cls, axes: Sequence[Axes]) -> Guest:
        """Look at axes before something is drawn on them."""
        sides = [(ax, name) for ax in axes for name in "xy"]
        fixed = {(ax, name): _limits(ax, name) for ax, name in sides if not _fits(ax, name)}
        return cls(tuple(ax for ax in axes if ax.has_data()), fixed)

    def settle(self) -> None:
        """Give limits that were set back, and set others without cutting what was there."""
        for (ax, name), (low, high) in self.wanted.items():
            before = _limits(ax, name)
            if ax in self.filled:
                low, high = min(low, *before), max(high, *before)
            turned = before[0] > before[1]
            _put(ax, name, (high, low) if turned else (low, high))
        for (ax, name), limits in self.fixed.items():
            _put(ax, name, limits)


def _limits(ax: Axes, name: str) -> Limits:
    low, high = ax.get_xlim() if name == "x" else ax.get_ylim()
    return float(low), float(high)


def _fits(ax: Axes, name: str) -> bool:
    """Whether Matplotlib still chooses the limits."""
    return ax.get_autoscalex_on() if name == "x" else ax.get_autoscaley_on()


def _put(ax: Axes, name: str, limits: Limits) -> None:
    """Set limits; whether Matplotlib widens them when more is drawn stays as it is, also in shared axes."""
    put = ax.set_xlim if name == "x" else ax.set_ylim
    put(limits, auto=None)


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
    guest = Guest.of(axes)
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
            if (ax, name) not in place.fixed:
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
