"""The derived theory alone: lines, regions and contours over any rectangle of the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from meanfield.arguments import Layer, interval, shown
from meanfield.errors import InputError
from meanfield.plotting.placing import Obstacles, PlacedText
from meanfield.plotting.style import GAMMA_PRIME, SMALL, new_axes, settle, styled
from meanfield.plotting.theory import View, draw_boundary, draw_contours, draw_schemes
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
) -> Axes:
    """Derived exponents over a rectangle: boundaries, kinks, contours and the names of the regions.

    Parameters
    ----------
    theory : Exponents
        A result of ``meanfield.symbolic.derive_exponents``.
    ax : Axes, optional
        Where to draw; by default a new figure of a column's width.
    gamma, gamma_prime : tuple of float, default (0.0, 2.0), (-1.0, 1.0)
        Ranges of the rectangle.
    layer : {"w", "a"} or str, default "w"
        Whose exponent the contours show: ``w`` for S_w, ``a`` for S_a.
    schemes : bool or sequence of Scaling, default False
        Mark LeCun, He, Xavier, NTK and mean-field; or the scalings of your own that you give.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``theory: boundary`` (heavy, S_w = 0), ``theory: kinks`` (dashed)
        and ``theory: contours of S_w``.

    Raises
    ------
    InputError
        If a range is empty, there is no such layer, or schemes is something else.

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
    ax = new_axes("column", 3.0) if ax is None else ax
    obstacles = Obstacles(ax)
    ax.set(xlim=view.gamma, ylim=view.gamma_prime, xlabel=r"$\gamma$")
    ax.set_ylabel(GAMMA_PRIME, rotation=0, ha="right", va="center")
    draw_contours(ax, view, obstacles, theory=theory, layer=layer)
    draw_boundary(ax, view, obstacles, theory)
    draw_schemes(ax, view, obstacles, schemes)
    for region in theory.regions:
        _name_region(ax, view, region, obstacles)
    settle(ax)
    return ax


def _name_region(ax: Axes, view: View, region: Region, obstacles: Obstacles) -> None:
    polygon = clipped(region, view)
    if len(polygon) < 3:
        return
    x, y = polygon.mean(axis=0)
    text = PlacedText(
        region.name, [(float(x), float(y), 0.0)], obstacles, transform=ax.transData, fontsize=SMALL,
        fontstyle="italic", ha="center", va="center_baseline", zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.8},
    )  # fmt: skip
    text.set_in_layout(False)
    ax.add_artist(text)
    obstacles.texts.append(text)


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
