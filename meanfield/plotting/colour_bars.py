"""Colour bars: beside the axes, on axes that are given, or none."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar

from meanfield.arguments import shown
from meanfield.errors import InputError
from meanfield.plotting.guests import is_guest
from meanfield.plotting.style import settle


def bar_choice(colorbar: Any) -> bool | Axes:
    """Whether there is a colour bar, or the axes to draw it on."""
    if isinstance(colorbar, Axes) or colorbar is True or colorbar is False:
        return colorbar
    raise InputError(f"colorbar is {shown(colorbar)}; give True or False, or the Axes to draw it on")


def colour_bar(
    ax: Axes, shades: ScalarMappable, colorbar: bool | Axes, label: str, *, pad: float = 0.02, **kwargs: Any
) -> Colorbar | None:
    """Explain the shades, if it is asked for; ``kwargs`` are those of Matplotlib's function."""
    if colorbar is False:
        return None
    assert ax.figure is not None
    place: dict[str, Any] = {"cax": colorbar} if isinstance(colorbar, Axes) else {"ax": ax}
    own = colorbar is True and not is_guest()
    if own:
        place |= {"pad": pad, "aspect": 28, "fraction": 0.06}
    bar = ax.figure.colorbar(shades, **place, **kwargs)
    bar.set_label(label)
    if own:
        bar.ax.yaxis.labelpad = 1.0
        bar.outline.set_linewidth(0.5)
        settle(bar.ax)
    return bar
