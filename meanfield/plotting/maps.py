"""The phase diagram: measured exponents as a map, with the theory's lines on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection, QuadMesh
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from meanfield.arguments import flag, instance, number, pairs, shown
from meanfield.errors import InputError
from meanfield.experiments import Boundary, PhaseDiagram, Zero
from meanfield.experiments.slopes import Verdict
from meanfield.plotting.key import explain
from meanfield.plotting.placing import Obstacles, PlacedText
from meanfield.plotting.style import (
    COLOURS,
    DIVERGING,
    GAMMA_PRIME,
    THEORY,
    bars,
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
from meanfield.scaling import Scaling

if TYPE_CHECKING:
    from meanfield.symbolic import Exponents

Array = NDArray[np.float64]

#: Width of a cell if the grid has a single value along an axis.
_LONE_CELL = 0.2
#: Height of the strip with the regimes' names, as a share of the view.
_STRIP = 0.09


@styled
def phase_diagram(
    diagram: PhaseDiagram,
    ax: Axes | None = None,
    *,
    schemes: bool | Sequence[Scaling] = True,
    numbers: bool = True,
    key: bool = True,
    limit: float | None = None,
    theory: Exponents | None = None,
    boundary: Boundary | None = None,
    published_zeros: Sequence[tuple[float, float]] = (),
) -> Axes:
    """Map of the measured exponent S_w over the plane, with the theory on top.

    Measured: the colour of each cell of the grid (edges midway between neighbouring points, nothing
    interpolated) and, where it fits, its value; hatched cells where the ensemble decides nothing;
    framed cells whose interval does not hold the prediction at these widths (where nothing was predicted:
    that are on the wrong side of the boundary); stars with interval bars where the measured slope changes
    sign. Theory: the boundary of the regimes for infinitely large widths as a heavy line, the zeros that
    these widths have without sampling noise as a dashed one, and thin contours of the limit's exponent with
    their values at the frame.

    Parameters
    ----------
    diagram : PhaseDiagram
        The measurement.
    ax : Axes, optional
        Where to draw, leaving room below for the key; by default a new figure of a column's width.
    schemes : bool or sequence of Scaling, default True
        Mark LeCun, He, Xavier, NTK and mean-field, or the scalings of your own that you give; the view
        is widened modestly to hold them.
    numbers : bool, default True
        Write S_w into the cells that have room for it.
    key : bool, default True
        Explain the marks, and state the ensemble and its agreement with theory, below the axes.
    limit : float, optional
        The colours run from -limit to limit; by default the largest measured ``|S_w|``, rounded up
        to one decimal.
    theory : Exponents, optional
        A result of ``meanfield.symbolic.derive_exponents`` to draw in the place of the default theory, for
        example that of another network; its kinks are then drawn as dashed lines.
    boundary : Boundary, optional
        Zeros located by :func:`meanfield.boundary`, drawn as stars in the place of the map's own.
    published_zeros : sequence of (gamma, gamma_prime), optional
        Zeros of S_w known from elsewhere, drawn as hollow stars.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``measured S_w``, ``undecided``, ``prediction outside the
        interval``, ``disagrees with theory``, ``measured zeros``, ``published zeros``, ``theory: boundary``,
        ``theory: these widths``, ``theory: kinks``, ``theory: contours of S_w`` and ``schemes``.

    Raises
    ------
    InputError
        If diagram or schemes is something else, or limit is not positive.

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
    numbers, key = flag("numbers", numbers), flag("key", key)
    published = pairs("published_zeros", published_zeros)
    S_w = diagram.S_w
    bound = _colour_limit(S_w, limit)
    ax = new_axes("column", 3.4) if ax is None else ax
    x_edges, y_edges = cell_edges(diagram.gamma), cell_edges(diagram.gamma_prime)
    obstacles = Obstacles(ax)
    cells = _draw_cells(ax, x_edges, y_edges, S_w, bound)
    _mark_cells(ax, diagram, x_edges, y_edges)
    view, strip = _view(x_edges, y_edges, list(scheme_points(schemes)))
    _set_axes(ax, diagram, view)
    draw_boundary(ax, view, obstacles, theory)
    draw_contours(ax, view, obstacles, antisymmetric=diagram.settings.antisymmetric, theory=theory)
    if boundary is None:
        draw_zeros_at_widths(ax, diagram.gamma_prime, diagram.zeros_at_widths, obstacles)
    else:
        draw_zeros_at_widths(ax, boundary.gamma_prime, boundary.reference, obstacles)
    draw_zeros(ax, diagram.zeros if boundary is None else boundary.zeros, obstacles)
    _draw_published(ax, published, obstacles)
    draw_schemes(ax, view, obstacles, schemes)
    draw_regimes(ax, view, strip, obstacles, theory)
    if numbers:
        _write_numbers(ax, cells, x_edges, y_edges, S_w, obstacles)
    _colour_bar(ax, cells, S_w, bound)
    if key:
        explain(ax, diagram, CELL_MARKS)
    settle(ax)
    return ax


def cell_edges(points: Array) -> Array:
    """Edges of the cells around grid points: midway between neighbours, mirrored at the ends.

    Examples
    --------
    >>> cell_edges(np.array([0.0, 1.0, 3.0]))
    array([-0.5,  0.5,  2. ,  4. ])
    """
    if len(points) == 1:
        return np.array([points[0] - _LONE_CELL / 2, points[0] + _LONE_CELL / 2])
    middle = (points[:-1] + points[1:]) / 2
    return np.concatenate([[2 * points[0] - middle[0]], middle, [2 * points[-1] - middle[-1]]])


def _colour_limit(S_w: Array, limit: float | None) -> float:
    if limit is not None:
        return number("limit", limit, "a positive number, from 1e-6 on", least=1e-6)
    largest = float(np.max(np.abs(S_w[np.isfinite(S_w)]), initial=0.0))
    return max(float(np.ceil(10.0 * largest - 1e-9)) / 10.0, 0.1) if largest else 1.0


def _view(x_edges: Array, y_edges: Array, schemes: list[tuple[float, float]]) -> tuple[View, float]:
    """The part of the plane to show, and the height of the strip at its bottom."""
    view = View((float(x_edges[0]), float(x_edges[-1])), (float(y_edges[0]), float(y_edges[-1])))
    if schemes:
        view = view.around(schemes)
    strip = _STRIP * view.spans[1]
    return View(view.gamma, (view.gamma_prime[0] - strip, view.gamma_prime[1])), strip


def _set_axes(ax: Axes, diagram: PhaseDiagram, view: View) -> None:
    ax.set(xlim=view.gamma, ylim=view.gamma_prime, xlabel=r"$\gamma$")
    ax.set_ylabel(GAMMA_PRIME, rotation=0, ha="right", va="center")
    for axis, values in ((ax.xaxis, diagram.gamma), (ax.yaxis, diagram.gamma_prime)):
        if len(values) == 1:  # nothing was measured at other values
            axis.set_ticks([float(values[0])])


def _draw_cells(ax: Axes, x_edges: Array, y_edges: Array, S_w: Array, bound: float) -> QuadMesh:
    return ax.pcolormesh(
        x_edges, y_edges, np.ma.masked_invalid(S_w), cmap=DIVERGING, norm=Normalize(-bound, bound),
        edgecolors="white", linewidth=0.4, zorder=1, label="measured S_w",
    )  # fmt: skip


def _mark_cells(ax: Axes, diagram: PhaseDiagram, x_edges: Array, y_edges: Array) -> None:
    """Hatch the cells that decide nothing and frame those that contradict the theory."""
    # Frames of neighbouring cells stay apart.
    inset = (0.004 * float(np.ptp(x_edges)), 0.005 * float(np.ptp(y_edges)))
    kinds: dict[str, list[Rectangle]] = {label: [] for label in CELL_MARKS}
    for index, row in enumerate(diagram.rows):
        i, j = divmod(index, len(diagram.gamma))
        corners = (float(x_edges[j]), float(y_edges[i]), float(x_edges[j + 1]), float(y_edges[i + 1]))
        if row.verdict is Verdict.UNDECIDED:
            kinds["undecided"].append(_rectangle(corners, 0.0, 0.0))
        if row.agrees is False:
            kinds["prediction outside the interval"].append(_rectangle(corners, *inset))
        elif row.agrees is None and row.regime_agrees is False:
            kinds["disagrees with theory"].append(_rectangle(corners, *inset))
    for label, rectangles in kinds.items():
        if rectangles:
            marks = PatchCollection(rectangles, zorder=2, label=label, **CELL_MARKS[label])
            ax.add_collection(marks, autolim=False)


def _rectangle(corners: tuple[float, float, float, float], dx: float, dy: float) -> Rectangle:
    x0, y0, x1, y1 = corners
    return Rectangle((x0 + dx, y0 + dy), x1 - x0 - 2 * dx, y1 - y0 - 2 * dy)


_FRAME: dict[str, Any] = {"facecolor": "none", "edgecolor": COLOURS[3], "linewidth": 1.2}
CELL_MARKS: dict[str, dict[str, Any]] = {
    "undecided": {"facecolor": "none", "edgecolor": "0.4", "hatch": "//////", "linewidth": 0.0},
    "prediction outside the interval": _FRAME,
    "disagrees with theory": _FRAME,
}


def draw_zeros_at_widths(ax: Axes, gamma_prime: Array, zeros: Array, obstacles: Obstacles) -> None:
    """Draw the zeros that the same widths have without sampling noise, as a dashed line."""
    known = np.isfinite(zeros)
    if not known.any():
        return
    ax.plot(zeros, gamma_prime, zorder=6, label="theory: these widths", **AT_WIDTHS)
    obstacles.add_line(zeros[known], gamma_prime[known])


def draw_zeros(ax: Axes, zeros: Sequence[Zero], obstacles: Obstacles) -> None:
    """Draw measured zeros as stars with the bars of their intervals."""
    if not zeros:
        return
    gamma, gamma_prime = np.array([z.gamma for z in zeros]), np.array([z.gamma_prime for z in zeros])
    # An interval that is open on a side reaches to the frame.
    low = np.nan_to_num([z.low for z in zeros], nan=ax.get_xlim()[0], neginf=ax.get_xlim()[0])
    high = np.nan_to_num([z.high for z in zeros], nan=ax.get_xlim()[1], posinf=ax.get_xlim()[1])
    ax.errorbar(gamma, gamma_prime, xerr=bars(gamma, low, high), zorder=7, label="measured zeros", **_STAR)
    obstacles.points += [(float(g), float(p), 3.5) for g, p in zip(gamma, gamma_prime, strict=True)]
    for g0, g1, p in zip(low, high, gamma_prime, strict=True):
        obstacles.add_line([g0, g1], [p, p])


def _draw_published(ax: Axes, zeros: Sequence[tuple[float, float]], obstacles: Obstacles) -> None:
    if len(zeros):
        gamma, gamma_prime = zip(*zeros, strict=True)
        ax.plot(gamma, gamma_prime, ls="none", zorder=6.5, label="published zeros", **PUBLISHED_STAR)
        obstacles.points += [(float(g), float(p), 3.5) for g, p in zeros]


#: Zeros without sampling noise: light on the heavy line, dark enough on the colours.
AT_WIDTHS: dict[str, Any] = {
    "color": "#0fb347", "lw": 1.4, "ls": (0, (2.2, 1.1)),
}  # fmt: skip
#: A published zero.
PUBLISHED_STAR: dict[str, Any] = {"marker": "*", "ms": 6.0, "mfc": "white", "mec": THEORY, "mew": 0.7}
_STAR: dict[str, Any] = {
    "fmt": "*", "ms": 5.0, "mfc": "#ffe34d", "mec": THEORY, "mew": 0.5, "ecolor": THEORY, "elinewidth": 0.8,
    "capsize": 3.4, "capthick": 0.8, "barsabove": True,
}  # fmt: skip


def _write_numbers(
    ax: Axes, cells: QuadMesh, x_edges: Array, y_edges: Array, S_w: Array, obstacles: Obstacles
) -> None:
    """Write each exponent into its cell, beside what is there already, if there is room."""
    for i, j in np.argwhere(np.isfinite(S_w)):
        value = float(S_w[i, j])
        colour = cells.to_rgba(np.array([value]))[0]
        box = (float(x_edges[j]), float(y_edges[i]), float(x_edges[j + 1]), float(y_edges[i + 1]))
        number = PlacedText(
            short(value), _spots(box), obstacles, inside=box,
            transform=ax.transData, fontsize=5.5, ha="center", va="center_baseline", zorder=3.5,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.3},
        )  # fmt: skip
        number.set_in_layout(False)
        ax.add_artist(number)


def short(value: float) -> str:
    """A signed number in four characters.

    Examples
    --------
    >>> short(0.171), short(-1.32), short(-12.0)
    ('+.17', '−1.3', '−12')
    """
    size = abs(value)
    digits = f"{size:.2f}"[1:] if size < 0.995 else f"{size:.1f}" if size < 9.95 else f"{size:.0f}"
    return ("\u2212" if value < 0 else "+") + digits


def _spots(box: tuple[float, float, float, float]) -> list[tuple[float, float, float]]:
    """Places inside a cell: upright before turned, the middle before the sides."""
    x0, y0, x1, y1 = box
    shares = ((0.5, 0.5), (0.5, 0.75), (0.5, 0.25), (0.35, 0.78), (0.65, 0.22), (0.35, 0.22), (0.65, 0.78))
    return [(x0 + s * (x1 - x0), y0 + t * (y1 - y0), r) for r in (0.0, 90.0) for s, t in shares]


def _colour_bar(ax: Axes, cells: QuadMesh, S_w: Array, bound: float) -> None:
    assert ax.figure is not None
    below, above = bool(np.any(S_w < -bound)), bool(np.any(S_w > bound))
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    bar = ax.figure.colorbar(cells, ax=ax, pad=0.01, aspect=28, fraction=0.06, extend=extend)
    ticks = bound * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    bar.set_ticks(
        [float(tick) for tick in ticks],
        labels=[f"{tick:+.3g}".replace("-", "\u2212") if tick else "0" for tick in ticks],
    )
    bar.set_label(r"measured exponent $S_w$", labelpad=1.0)
    bar.outline.set_linewidth(0.5)
    settle(bar.ax)
