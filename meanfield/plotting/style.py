"""The style of figures of one's own: sizes in print, fonts, colours; applied in a context, never globally."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar

import matplotlib.style
import numpy as np
from matplotlib import cbook
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from meanfield import arguments
from meanfield.errors import InputError
from meanfield.plotting.guests import TEXT, at_home, is_guest, on_axes_of_others
from meanfield.plotting.windows import StyledFigure, announce

P = ParamSpec("P")
R = TypeVar("R")

#: Widths in print, in inches.
WidthName: TypeAlias = Literal["column", "page"]
WIDTHS: dict[WidthName, float] = {"column": 3.25, "page": 6.75}
#: Size of numbers inside a figure, in points; that of axes and labels is TEXT.
SMALL = 6.5

#: Settings on top of matplotlib's own defaults.
STYLE: dict[str, Any] = {
    "font.family": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "legend.fontsize": 7.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "axes.linewidth": 0.6,
    "axes.labelpad": 2.0,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.3,
    "legend.borderaxespad": 0.0,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "meanfield",
} | {
    f"{axis}tick.{kind}.{name}": value
    for axis in "xy"
    for kind, size in (("major", 2.5), ("minor", 1.5))
    for name, value in (("size", size), ("width", 0.5), ("pad", 2.0))
}

#: Measured exponents: blue below zero, orange above; both ends light enough for black text on them.
DIVERGING = LinearSegmentedColormap.from_list(
    "meanfield",
    [
        (0.0, "#2f6fae"), (0.25, "#7fb2d9"), (0.43, "#cfe2f0"), (0.5, "#fbfbfb"),
        (0.57, "#fbdfc2"), (0.75, "#efa660"), (1.0, "#c96a1b"),
    ],
)  # fmt: skip
#: Shades of one hue, faint to strong: families of curves, densities.
FADING = LinearSegmentedColormap.from_list("fading", ["#a9cbe3", "#2f7ab5", "#08305c"])
#: Lines of several kinds (Okabe and Ito's colours that stand on white), with markers for grey prints.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#8c6d1f", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")
#: The prime of the mathematical font is too small at this size.
GAMMA_PRIME, KAPPA, KAPPA_PRIME = "$\\gamma$\u2032", "$\\kappa$", "$\\kappa$\u2032"
#: Theory is black or grey; data are black dots.
THEORY, FAINT = "black", "0.55"


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Draw a figure of one's own in the style and give it to pyplot, or draw on given axes as a guest.

    A figure of one's own is drawn whatever the user's settings are; they are untouched afterwards. Axes that
    the user gives (``ax``, or several as ``axes``) keep the user's settings, limits and labels, unless
    :func:`new_axes` made them.
    """

    bound = inspect.signature(function).bind

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        given = bound(*args, **kwargs).arguments
        axes = _axes_of(given.get("ax"), given.get("axes"))
        if axes and not isinstance(axes[0].figure, StyledFigure):
            with on_axes_of_others(axes):
                return function(*args, **kwargs)
        with at_home() as outermost, matplotlib.style.context(["default", STYLE]):
            result = function(*args, **kwargs)
        if not axes and outermost and (figure := _figure_of(result)) is not None:
            announce(figure)
        return result

    return run


def _axes_of(ax: Any, axes: Any) -> list[Axes]:
    """The axes that were given, if any were."""
    if not (ax is None or isinstance(ax, Axes)):
        raise InputError(f"ax is {arguments.shown(ax)}; give matplotlib Axes, or None for a new figure")
    if axes is None:
        return [] if ax is None else [ax]
    several = list(axes) if isinstance(axes, Sequence | np.ndarray) else [axes]
    if not several or not all(isinstance(one, Axes) for one in several):
        raise InputError(f"axes is {arguments.shown(axes)}; give matplotlib Axes, or None for a new figure")
    return several


def _figure_of(result: object) -> Figure | None:
    """The figure of what a function returns: axes, several of them, or the figure."""
    first = result[0] if isinstance(result, tuple) and result else result
    found = first.figure if isinstance(first, Axes) else first
    return found if isinstance(found, Figure) else None


@styled
def new_axes(width: WidthName | float = "column", height: float | None = None) -> Axes:
    """Make an empty figure of a size in print and return its axes.

    Parameters
    ----------
    width : {"column", "page"} or float, default "column"
        3.25 or 6.75 inches, or a number of inches.
    height : float, optional
        Inches; by default three quarters of the width.

    Returns
    -------
    matplotlib.axes.Axes
        Of a new figure (``.figure``), which pyplot shows and closes like any other.

    Raises
    ------
    InputError
        If the size is not positive, or has an unknown name.

    Examples
    --------
    >>> ax = new_axes("page", 3.0)
    >>> [float(size) for size in ax.figure.get_size_inches()]
    [6.75, 3.0]
    """
    named = WIDTHS.get(width) if isinstance(width, str) else None
    expected = "'column', 'page' or a number of inches"
    inches = named or arguments.number("width", width, expected, above=0.0, below=100.0)
    height = 0.75 * inches if height is None else height
    height = arguments.number("height", height, "a number of inches below 100", above=0.0, below=100.0)
    return new_figure(inches, height).add_subplot()


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches."""
    return StyledFigure(figsize=(width, height), layout="constrained")


@styled
def new_panels(
    rows: int, columns: int, height: float, *, sharex: bool = True, sharey: bool = True
) -> list[Axes]:
    """Make an empty figure of a page's width with panels that share their axes; row by row.

    Examples
    --------
    >>> len(new_panels(2, 3, 4.0))
    6
    """
    figure = new_figure(WIDTHS["page"], height)
    return list(figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False).ravel())


def settle(ax: Axes) -> None:
    """Give the axes of a figure of one's own the style, also where ticks are made later."""
    if is_guest():
        return
    for axis in (ax.xaxis, ax.yaxis):
        # Ticks are copies of the first one, whenever they are made.
        ticks = [*axis.get_major_ticks(1), *axis.get_minor_ticks(1)]
        for text in [axis.label, axis.get_offset_text(), *(t for k in ticks for t in (k.label1, k.label2))]:
            text.set_fontfamily(STYLE["font.family"])
            text.set_math_fontfamily(STYLE["mathtext.fontset"])
        axis.label.set_fontsize(TEXT)
        axis.labelpad = STYLE["axes.labelpad"]
    for which in ("major", "minor"):
        looks = {name: STYLE[f"xtick.{which}.{name}"] for name in ("size", "width", "pad")}
        ax.tick_params(
            which=which, length=looks["size"], width=looks["width"], pad=looks["pad"],
            labelsize=STYLE["xtick.labelsize"],
        )  # fmt: skip
    for spine in ax.spines.values():
        spine.set_linewidth(STYLE["axes.linewidth"])


def fading(count: int, cmap: Colormap = FADING) -> list[tuple[float, float, float, float]]:
    """Shades of a colour map for an ordered family of curves, by default of one hue from faint to strong."""
    return [cmap(1.0 if count == 1 else i / (count - 1)) for i in range(count)]


def colour_map(cmap: str | Colormap | None, default: Colormap) -> Colormap:
    """The colour map that was asked for.

    Examples
    --------
    >>> colour_map("viridis", FADING).name, colour_map(None, FADING).name
    ('viridis', 'fading')
    """
    if cmap is None or isinstance(cmap, Colormap):
        return default if cmap is None else cmap
    if not (isinstance(cmap, str) and cmap in matplotlib.colormaps):
        raise InputError(f"cmap is {arguments.shown(cmap)}; give a Matplotlib Colormap or the name of one")
    return matplotlib.colormaps[cmap]


def merged(kind: type[Artist], looks: Mapping[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Looks of an artist with the user's keywords on top, whichever of their names both use.

    Examples
    --------
    >>> from matplotlib.lines import Line2D
    >>> merged(Line2D, {"lw": 1.0, "color": "k"}, {"linewidth": 3.0})
    {'linewidth': 3.0, 'color': 'k'}
    """
    return cbook.normalize_kwargs(dict(looks), kind) | cbook.normalize_kwargs(dict(kwargs), kind)


def bars(value: ArrayLike, low: ArrayLike, high: ArrayLike) -> list[list[float]]:
    """Lengths of error bars below and above values, for ``errorbar``; all of shape (k,).

    Lists, since Matplotlib converts the rows of an array to numbers if k = 1, of which some versions of
    NumPy warn.

    Examples
    --------
    >>> bars([1.0, 2.0], [0.5, 1.0], [2.0, 2.25])
    [[0.5, 1.0], [1.0, 0.25]]
    """
    middle = np.asarray(value, dtype=float)
    return [(middle - np.asarray(low)).tolist(), (np.asarray(high) - middle).tolist()]


def exact(value: float) -> str:
    """A number that is known exactly: all its digits, without those that rounding errors leave.

    Examples
    --------
    >>> exact(0.375), exact(-0.5), exact(-1.11e-16), exact(0.1 + 0.2)
    ('0.375', '−0.5', '0', '0.3')
    """
    return f"{round(float(value), 9) + 0.0:g}".replace("-", "\u2212")


def number(value: float) -> str:
    """A positive number as it is written in text.

    Examples
    --------
    >>> number(4000.0), number(2.5e-07), number(1e60)
    ('4000', '$2.5\\\\times10^{-7}$', '$10^{60}$')
    """
    if 1e-3 <= value < 1e5:
        return f"{value:.0f}" if value >= 1e3 or value == round(value) else f"{value:.3g}"
    digits, exponent = f"{value:.2e}".split("e")
    digits = digits.rstrip("0").rstrip(".")
    factor = "" if digits == "1" else rf"{digits}\times"
    return f"${factor}10^{{{int(exponent)}}}$"
