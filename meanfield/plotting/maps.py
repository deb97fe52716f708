"""The phase diagram: measured exponents as a map, with the theory's lines on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap
from numpy.typing import NDArray

from meanfield.arguments import Layer, flag, instance, number, one_of, pairs, shown, text
from meanfield.displays import signed
from meanfield.errors import InputError
from meanfield.experiments import Boundary, PhaseDiagram
from meanfield.plotting.colour_bars import bar_choice, colour_bar
from meanfield.plotting.guests import name_axes, points
from meanfield.plotting.guests import view as show
from meanfield.plotting.key import explain
from meanfield.plotting.map_cells import (
    CELL_MARKS,
    UNTRAINED,
    cell_edges,
    draw_cells,
    draw_untrained,
    mark_cells,
)
from meanfield.plotting.placing import Obstacles, PlacedText, explained
from meanfield.plotting.style import (
    DIVERGING,
    GAMMA_PRIME,
    colour_map,
    exact,
    new_axes,
    settle,
    styled,
)
from meanfield.plotting.theory import (
    View,
    draw_boundary,
    draw_contours,
    draw_regimes,
    draw_schemes,
    scheme_points,
)
from meanfield.plotting.ticks import tick_at
from meanfield.plotting.zeros import draw_published, draw_zeros, draw_zeros_at_widths
from meanfield.scaling import Scaling

if TYPE_CHECKING:
    from meanfield.symbolic import Exponents

Array = NDArray[np.float64]

#: Height of the strip with the regimes' names, as a share of the view.
_STRIP = 0.09


@styled
def phase_diagram(
    diagram: PhaseDiagram,
    ax: Axes | None = None,
    *,
    layer: Layer | str = "w",
    schemes: bool | Sequence[Scaling] = True,
    numbers: bool = True,
    legend: bool | None = None,
    colorbar: bool | Axes = True,
    cmap: str | Colormap | None = None,
    label: str | None = None,
    limit: float | None = None,
    theory: Exponents | None = None,
    boundary: Boundary | None = None,
    published_zeros: Sequence[tuple[float, float]] = (),
    key: bool | None = None,
    **kwargs: Any,
) -> Axes:
    """Map of a measured exponent over the plane, S_w or S_a, with the theory on top.

    Measured: the colour of each cell of the grid (edges midway between neighbouring points, nothing
    interpolated) and, where it fits, its value; hatched cells where the ensemble decides nothing;
    framed cells whose interval does not hold the prediction at these widths (where nothing was predicted:
    whose sign is not the theory's); stars with interval bars where S_w changes sign. Theory: the zeros of
    the exponent for infinitely large widths as a heavy line (those of S_w are the boundary of the regimes),
    the zeros of S_w that these widths have without sampling noise as a dashed one, and thin contours of
    the limit's exponent with their values at the frame. Grey: nothing was trained there.

    Parameters
    ----------
    diagram : PhaseDiagram
        The measurement.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    layer : {"w", "a"} or str, default "w"
        Whose exponent is shown: ``w`` for S_w of the input weights, ``a`` for S_a of the output weights.
        S_a decides no regime: its map names none.
    schemes : bool or sequence of Scaling, default True
        Mark LeCun, He, Xavier, NTK and mean-field, or the scalings of your own that you give; the view
        is widened modestly to hold them.
    numbers : bool, default True
        Write the exponent into the cells that have room for it.
    legend : bool, optional
        Explain the marks; by default in a new figure, where the key stands below the axes with the ensemble
        and its agreement with theory. On given axes it is a legend inside.
    colorbar : bool or Axes, default True
        Explain the colours: beside the axes, on axes of your own, or not at all.
    cmap : str or Colormap, optional
        Colours of the exponent; their middle stands for zero.
    label : str, optional
        What the colour bar says; by default ``measured exponent`` and its name.
    limit : float, optional
        The colours run from -limit to limit; by default the largest measured size, rounded up
        to one decimal.
    theory : Exponents, optional
        A result of ``meanfield.symbolic.derive_exponents`` to draw in the place of the default theory, for
        example that of another network; its kinks are then drawn as dashed lines.
    boundary : Boundary, optional
        Zeros located by :func:`meanfield.boundary`, drawn as stars in the place of those of the map; only
        for S_w.
    published_zeros : sequence of (gamma, gamma_prime), optional
        Zeros of S_w known from elsewhere, drawn as hollow stars; for S_w only.
    key : bool, optional
        The older name of ``legend``.
    **kwargs
        Of :meth:`matplotlib.axes.Axes.pcolormesh`, for the cells.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``measured S_w``, ``undecided``, ``prediction outside the
        interval``, ``disagrees with theory``, ``theory only``, ``measured zeros``, ``published zeros``,
        ``theory: boundary``, ``theory: these widths``, ``theory: kinks``, ``theory: contours of S_w`` and
        ``schemes``. For S_a they name S_a, and the heavy line is ``theory: zeros of S_a``.

    Raises
    ------
    InputError
        If diagram or schemes is something else, limit is not positive, there is no such layer, zeros of S_w
        are given for S_a, or an option cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> diagram = mf.phase_diagram(
    ...     mf.datasets.four_points(), gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[20, 80], seeds=2
    ... )
    >>> ax = mf.plotting.phase_diagram(diagram)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$\\\\gamma$', '$\\\\gamma$′')
    """
    instance("diagram", diagram, PhaseDiagram, "meanfield.phase_diagram")
    if not (theory is None or hasattr(theory, "boundaries")):  # its type is SymPy's business
        raise InputError(f"theory is {shown(theory)}; give a result of meanfield.symbolic.derive_exponents")
    if boundary is not None:
        instance("boundary", boundary, Boundary, "meanfield.boundary")
    of: Layer = one_of("layer", layer, get_args(Layer))
    numbers, named, colorbar = (
        flag("numbers", numbers), explained(legend, key, on_axes_of_others=False), bar_choice(colorbar)
    )  # fmt: skip
    means = rf"measured exponent $S_{of}$" if label is None else text("label", label)
    looks = {"cmap": colour_map(cmap, DIVERGING)} | kwargs
    published = pairs("published_zeros", published_zeros)
    if of == "a" and (boundary is not None or len(published)):
        raise InputError("boundary and published_zeros are zeros of S_w; leave them out for layer='a'")
    measured = diagram.S_w if of == "w" else diagram.S_a
    bound = _colour_limit(measured, limit)
    ax = new_axes("column", 3.5) if ax is None else ax
    x_edges, y_edges = cell_edges(diagram.gamma), cell_edges(diagram.gamma_prime)
    obstacles = Obstacles(ax)
    cells = draw_cells(ax, x_edges, y_edges, measured, bound, {"label": f"measured S_{of}"} | looks)
    mark_cells(ax, diagram, of, x_edges, y_edges)
    view, strip = _view(x_edges, y_edges, list(scheme_points(schemes)), _STRIP if of == "w" else 0.0)
    _set_axes(ax, diagram, view)
    draw_untrained(ax, view, x_edges, y_edges)
    draw_boundary(ax, view, obstacles, theory, layer=of)
    contours = draw_contours(ax, view, obstacles, predicted=diagram.settings.theory, theory=theory, layer=of)
    if of == "w":
        _draw_zeros(ax, diagram if boundary is None else boundary, published, view, obstacles)
    draw_schemes(ax, view, obstacles, schemes)
    if of == "w":
        draw_regimes(ax, view, strip, obstacles, theory, background=UNTRAINED)
    if numbers:
        _write_numbers(ax, cells, x_edges, y_edges, measured, replace(obstacles, faint=contours))
    _colour_bar(ax, cells, measured, bound, colorbar, means)
    if named:
        explain(ax, diagram, of, CELL_MARKS)
    settle(ax)
    return ax


def _draw_zeros(
    ax: Axes,
    found: PhaseDiagram | Boundary,
    published: Sequence[tuple[float, float]],
    view: View,
    obstacles: Obstacles,
) -> None:
    """Draw the zeros of S_w: expected at these widths, measured, and published."""
    expected = found.zeros_at_widths if isinstance(found, PhaseDiagram) else found.reference
    draw_zeros_at_widths(ax, found.gamma_prime, expected, obstacles)
    draw_zeros(ax, found.zeros, obstacles, view)
    draw_published(ax, published, obstacles)


def _colour_limit(measured: Array, limit: float | None) -> float:
    if limit is not None:
        return number("limit", limit, "a positive number, from 1e-6 on", least=1e-6)
    largest = float(np.max(np.abs(measured[np.isfinite(measured)]), initial=0.0))
    return max(float(np.ceil(10.0 * largest - 1e-9)) / 10.0, 0.1) if largest else 1.0


def _view(
    x_edges: Array, y_edges: Array, schemes: list[tuple[float, float]], share: float
) -> tuple[View, float]:
    """The part of the plane to show, and the height of the strip at its bottom, given as a share."""
    view = View((float(x_edges[0]), float(x_edges[-1])), (float(y_edges[0]), float(y_edges[-1])))
    if schemes:
        view = view.around(schemes)
    strip = share * view.spans[1]
    return View(view.gamma, (view.gamma_prime[0] - strip, view.gamma_prime[1])), strip


def _set_axes(ax: Axes, diagram: PhaseDiagram, view: View) -> None:
    show(ax, x=view.gamma, y=view.gamma_prime)
    name_axes(ax, r"$\gamma$", GAMMA_PRIME, upright=True)
    tick_at(ax.xaxis, diagram.gamma, 0.1)
    tick_at(ax.yaxis, diagram.gamma_prime, 0.06)


def _write_numbers(
    ax: Axes, cells: QuadMesh, x_edges: Array, y_edges: Array, measured: Array, obstacles: Obstacles
) -> None:
    """Write each exponent into its cell, beside what is there already, if there is room."""
    for i, j in np.argwhere(np.isfinite(measured)):
        value = float(measured[i, j])
        colour = cells.to_rgba(np.array([value]))[0]
        box = (float(x_edges[j]), float(y_edges[i]), float(x_edges[j + 1]), float(y_edges[i + 1]))
        number = PlacedText(
            short(value), _spots(box), obstacles, inside=box,
            transform=ax.transData, fontsize=points(5.5), ha="center", va="center_baseline", zorder=3.5,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
        number.set_in_layout(False)
        ax.add_artist(number)


def short(value: float) -> str:
    """A number with its sign in at most five characters, zero without.

    Examples
    --------
    >>> short(0.171), short(-0.001), short(-1.32), short(-12.0)
    ('+0.17', '0.00', '−1.3', '−12')
    """
    size = abs(value)
    return signed(value, 2 if size < 0.995 else 1 if size < 9.95 else 0).replace("-", "\u2212")


def _spots(box: tuple[float, float, float, float]) -> list[tuple[float, float, float]]:
    """Places inside a cell, near its middle before far from it."""
    x0, y0, x1, y1 = box
    sides, heights = (0.5, 0.4, 0.6, 0.3, 0.7, 0.24, 0.76), (0.5, 0.37, 0.63, 0.25, 0.75, 0.16, 0.84)
    shares = sorted(
        ((s, t) for s in sides for t in heights), key=lambda at: (at[0] - 0.5) ** 2 + (at[1] - 0.5) ** 2
    )
    return [(x0 + s * (x1 - x0), y0 + t * (y1 - y0), 0.0) for s, t in shares]


def _colour_bar(
    ax: Axes, cells: QuadMesh, measured: Array, bound: float, colorbar: bool | Axes, label: str
) -> None:
    below, above = bool(np.any(measured < -bound)), bool(np.any(measured > bound))
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    bar = colour_bar(ax, cells, colorbar, label, pad=0.01, extend=extend)
    if bar is None:
        return
    ticks = bound * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    bar.set_ticks(
        [float(tick) for tick in ticks],
        labels=["+" * bool(tick > 0) + exact(tick) for tick in ticks],
    )
