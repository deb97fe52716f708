"""The derived theory alone: lines, regions and contours over any rectangle of the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from meanfield.arguments import Layer, interval, shown, text
from meanfield.errors import InputError
from meanfield.plotting.guests import name_axes, points
from meanfield.plotting.guests import view as show
from meanfield.plotting.placing import Obstacles, PlacedText, explained, key_inside
from meanfield.plotting.style import DIVERGING, GAMMA_PRIME, SMALL, colour_map, new_axes, settle, styled
from meanfield.plotting.theory import CONTOUR, View, draw_boundary, draw_contours, draw_schemes
from meanfield.scaling import Scaling

if TYPE_CHECKING:
    from meanfield.symbolic import Exponents, Region

Array = NDArray[np.float64]


@styled
def exponent_map(
    theory: Exponents,
    ax: Axes | None = None,
    *,
    gamma: tuple[float, float] = (0.0, 2.0),
    gamma_prime: tuple[float, float] = (-1.0, 1.0),
    layer: Layer | str = "w",
    schemes: bool | Sequence[Scaling] = False,
    label: str | None = None,
    legend: bool | None = None,
    cmap: str | Colormap | None = None,
    **kwargs: Any,
) -> Axes:
    """Derived exponents over a rectangle: boundaries, kinks, contours and the names of the regions.

    Parameters
    ----------
    theory : Exponents
        A result of ``meanfield.symbolic.derive_exponents``.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    gamma, gamma_prime : tuple of float, default (0.0, 2.0), (-1.0, 1.0)
        Ranges of the rectangle.
    layer : {"w", "a"} or str, default "w"
        Whose exponent the contours show: ``w`` for S_w, ``a`` for S_a.
    schemes : bool or sequence of Scaling, default False
        Mark LeCun, He, Xavier, NTK and mean-field; or the scalings of your own that you give.
    label : str, optional
        Name of the contours in the legend; by default ``contours of S_w`` (or ``S_a``).
    legend : bool, optional
        Explain the lines in a legend inside the axes; by default there is none.
    cmap : str or Colormap, optional
        Colours of the contours by their values; by default they are grey.
    **kwargs
        Of :meth:`matplotlib.axes.Axes.contour`, for the contours.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``theory: boundary`` (heavy, S_w = 0), ``theory: kinks`` (dashed)
        and ``theory: contours of S_w``.

    Raises
    ------
    InputError
        If a range is empty, there is no such layer, schemes is something else, or an option cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> ax = exponent_map(mf.symbolic.derive_exponents(), gamma=(0.5, 2.5))
    >>> [line.get_label() for line in ax.lines]
    ['theory: boundary', 'theory: kinks']
    """
    if not hasattr(theory, "regions"):  # its type is SymPy's business
        raise InputError(f"theory is {shown(theory)}; give a result of meanfield.symbolic.derive_exponents")
    view = View(interval("gamma", gamma), interval("gamma_prime", gamma_prime))
    named = legend is not None and explained(legend)
    name = f"contours of $S_{layer}$" if label is None else text("label", label)
    if cmap is not None:
        kwargs["cmap"] = colour_map(cmap, DIVERGING)
    ax = new_axes("column", 3.0) if ax is None else ax
    obstacles = Obstacles(ax)
    show(ax, x=view.gamma, y=view.gamma_prime)
    name_axes(ax, r"$\gamma$", GAMMA_PRIME, upright=True)
    draw_contours(ax, view, obstacles, theory=theory, layer=layer, looks=kwargs)
    draw_boundary(ax, view, obstacles, theory)
    draw_schemes(ax, view, obstacles, schemes)
    for region in theory.regions:
        _name_region(ax, view, region, obstacles)
    if named:
        names = {"theory: boundary": "boundary, $S_w=0$", "theory: kinks": "kinks"}
        lines: dict[str, Any] = {names[str(a.get_label())]: a for a in ax.lines if a.get_label() in names}
        key_inside(ax, lines | {name: Line2D([], [], color=CONTOUR, lw=0.5)})
    settle(ax)
    return ax


def _name_region(ax: Axes, view: View, region: Region, obstacles: Obstacles) -> None:
    polygon = clipped(region, view)
    if len(polygon) < 3:
        return
    x, y = polygon.mean(axis=0)
    name = PlacedText(
        region.name, [(float(x), float(y), 0.0)], obstacles, transform=ax.transData, fontsize=points(SMALL),
        fontstyle="italic", ha="center", va="center_baseline", zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.8},
    )  # fmt: skip
    name.set_in_layout(False)
    ax.add_artist(name)
    obstacles.texts.append(name)


def clipped(region: Region, view: View) -> Array:
    """Corners of the part of a region inside a rectangle, in order; fewer than three if there is none.

    Each half-plane of the region cuts the rectangle in turn (Sutherland and Hodgman).
    """
    (g0, g1), (p0, p1) = view.gamma, view.gamma_prime
    corners = [np.array(corner) for corner in ((g0, p0), (g1, p0), (g1, p1), (g0, p1))]
    for *normal, constant in region.region.rows:
        heights = [float(corner @ np.array(normal) + constant) for corner in corners]
        kept = []
        for i, (corner, height) in enumerate(zip(corners, heights, strict=True)):
            if height >= 0.0:
                kept.append(corner)
            following, next_height = corners[(i + 1) % len(corners)], heights[(i + 1) % len(corners)]
            if height * next_height < 0.0:
                kept.append(corner + (following - corner) * height / (height - next_height))
        corners = kept
        if not corners:
            break
    return np.array(corners).reshape(-1, 2)
