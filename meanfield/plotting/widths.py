"""Displacement against width: the runs behind an exponent, its fit, and the theory's slope."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import instance, listed, pairs, real_array, shown, text
from meanfield.errors import InputError
from meanfield.experiments import PhaseDiagram, Row
from meanfield.kernel_law import DisplacementLaw
from meanfield.plotting.guests import is_guest, name_axes, view
from meanfield.plotting.placing import explained, key_inside, key_outside, label_ends
from meanfield.plotting.style import (
    COLOURS,
    GAMMA_PRIME,
    MARKERS,
    THEORY,
    exact,
    merged,
    new_axes,
    settle,
    styled,
)
from meanfield.plotting.ticks import tick_widths
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Fits are drawn this much beyond the widths, as a share of their range in log m.
_BEYOND = 0.06
#: Points of the curve of the linear regime's law.
_LAW_POINTS = 17


#: Runs known from elsewhere.
_PUBLISHED: dict[str, Any] = {"marker": "x", "ms": 4.5, "mec": THEORY, "mew": 0.9}


@styled
def rd_against_width(
    diagram: PhaseDiagram,
    points: Sequence[tuple[float, float]],
    ax: Axes | None = None,
    *,
    published: Mapping[tuple[float, float], tuple[ArrayLike, ArrayLike]] | None = None,
    legend: bool | None = None,
    label: str | None = None,
    **kwargs: Any,
) -> Axes:
    """RD_w against the width m on logarithmic axes, at some points of the plane.

    Measured: a mark for every seed, the fitted line with the fan of its slope's confidence interval.
    Theory: dashed, the predicted exponent, through the centre of the data (it predicts slopes only);
    dotted, for points of the linear regime with antisymmetric initialisation, the law of that regime,
    which has no free constant and whose slope at these widths is not yet the exponent.

    Parameters
    ----------
    diagram : PhaseDiagram
        The measurement.
    points : sequence of (gamma, gamma_prime)
        Points of its grid.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    published : mapping of (gamma, gamma_prime) to (widths, RD_w), optional
        Runs known from elsewhere, drawn as crosses.
    legend : bool, optional
        Name the points and explain the marks, which is the default: in a new figure beside the axes, else
        in a legend.
    label : str, optional
        What begins the name of each point, for example that of the data.
    **kwargs
        Of :class:`matplotlib.lines.Line2D`, for the marks of the runs.

    Returns
    -------
    matplotlib.axes.Axes
        The artists of the point number k carry the labels ``runs k``, ``fit k``, ``interval k``,
        ``theory k``, ``law k`` and ``published k``.

    Raises
    ------
    InputError
        If a point is not in the grid, or none is given, or an option cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> diagram = mf.phase_diagram(
    ...     mf.datasets.four_points(), gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[20, 80], seeds=2
    ... )
    >>> ax = mf.plotting.rd_against_width(diagram, [(0.5, 0.0), (1.5, 0.0)])
    >>> ax.get_xscale(), ax.get_yscale()
    ('log', 'log')
    """
    instance("diagram", diagram, PhaseDiagram, "meanfield.phase_diagram")
    known, named = _checked(published), explained(legend)
    start = "" if label is None else text("label", label) + "\n"
    cells = [_index(diagram, *point) for point in pairs("points", points)]
    if not cells:
        raise InputError("points is empty; give at least one pair (gamma, gamma_prime) of the grid")
    ax = new_axes("column", max(2.4, 0.45 * len(cells) + 0.6)) if ax is None else ax
    ax.set(xscale="log", yscale="log")
    of = " (neurons per twin half)" if diagram.settings.per_half else ""
    name_axes(ax, f"width $m${of}", r"relative displacement $\mathrm{RD}_w$")
    ends: list[tuple[float, str, str]] = []
    for k, (i, j) in enumerate(cells):
        row, colour = diagram.rows[i * len(diagram.gamma) + j], COLOURS[k % len(COLOURS)]
        end = _draw_fit(ax, diagram.widths, diagram.rd_w[i, j], row, k, kwargs)
        _draw_law(ax, diagram, row, k)
        if (point := (row.gamma, row.gamma_prime)) in known:
            ax.plot(*known[point], ls="none", zorder=6, label=f"published {k}", **_PUBLISHED)
        ends.append((end, start + _point_label(row), colour))
    low, high = float(diagram.widths[0]), float(diagram.widths[-1])
    view(ax, x=(low / (high / low) ** _BEYOND, high * (high / low) ** _BEYOND))
    tick_widths(ax.xaxis, diagram.widths)
    if named and is_guest():
        marks = [line for line in ax.lines if str(line.get_label()).startswith("runs ")][-len(cells) :]
        key_inside(ax, {name: mark for mark, (_, name, _) in zip(marks, ends, strict=True)})
    elif named:
        label_ends(ax, ends, lines=3 + bool(start))
        _explain(ax, diagram.confidence)
    settle(ax)
    return ax


def _checked(published: Any) -> dict[tuple[float, float], tuple[Array, Array]]:
    """Published runs by their points, each a pair of rows of one length."""
    if not isinstance(published, Mapping | None):
        raise InputError(f"published is {shown(published)}; give a mapping of points to (widths, RD_w)")
    known = {}
    for point, runs in (published or {}).items():
        rows = listed("published", runs, "a pair (widths, RD_w) for each point")
        arrays = [real_array("published", row) for row in rows]
        if len(arrays) != 2 or arrays[0].ndim != 1 or arrays[0].shape != arrays[1].shape:
            raise InputError(f"published at {shown(point)} is {shown(runs)}; give widths and as many RD_w")
        known[pairs("published", [point])[0]] = (arrays[0], arrays[1])
    return known


def _index(diagram: PhaseDiagram, gamma: float, gamma_prime: float) -> tuple[int, int]:
    found = np.argwhere(
        (np.abs(diagram.gamma_prime[:, None] - gamma_prime) < 1e-9) & (np.abs(diagram.gamma - gamma) < 1e-9)
    )
    if not len(found):
        raise InputError(
            f"the point ({gamma:g}, {gamma_prime:g}) is not in the grid; choose gamma from "
            f"{_listed(diagram.gamma)} and gamma_prime from {_listed(diagram.gamma_prime)}"
        )
    return int(found[0, 0]), int(found[0, 1])


def _listed(values: Array) -> str:
    return ", ".join(exact(value).replace("\u2212", "-") for value in values)


def _draw_fit(
    ax: Axes, widths: NDArray[np.int64] | Array, rd: Array, row: Row, k: int, looks: Mapping[str, Any]
) -> float:
    """Draw runs, fit and theory of a point; return the height of the fit at the right end."""
    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
    m = np.repeat(widths.astype(np.float64), rd.shape[1])
    values = rd.ravel()
    usable = np.isfinite(values) & (values > 0)
    m, values = m[usable], values[usable]
    marks = {"ls": "none", "marker": marker, "ms": 3.5, "mfc": "none", "mec": colour, "mew": 0.7, "zorder": 4}
    ax.plot(m, values, label=f"runs {k}", **merged(Line2D, marks, looks))
    if math.isnan(row.S_w.value):
        return float(values[-1]) if len(values) else math.nan
    stretch = (widths[-1] / widths[0]) ** _BEYOND
    ends = np.array([widths[0] / stretch, widths[-1] * stretch])
    x, y = np.log(m).mean(), np.log(values).mean()
    line = _through(x, y, row.S_w.value, ends)
    ax.plot(ends, line, color=colour, lw=1.0, zorder=3, label=f"fit {k}")
    if math.isfinite(row.S_w.low) and math.isfinite(row.S_w.high):
        fan = np.geomspace(ends[0], ends[1], 41)
        edges = np.array([_through(x, y, slope, fan) for slope in (row.S_w.low, row.S_w.high)])
        ax.fill_between(
            fan, edges.min(axis=0), edges.max(axis=0), color=colour, alpha=0.2, lw=0, zorder=2,
            label=f"interval {k}",
        )  # fmt: skip
    ax.plot(
        ends, _through(x, y, row.predicted_S_w, ends), color=THEORY, lw=0.9, ls=(0, (4, 2.5)), zorder=5,
        label=f"theory {k}",
    )  # fmt: skip
    return float(line[-1])


def _draw_law(ax: Axes, diagram: PhaseDiagram, row: Row, k: int) -> None:
    """Draw the law of the linear regime over the widths, where it holds."""
    if not diagram.settings.antisymmetric or row.predicted_S_w >= 0.0:
        return
    law = DisplacementLaw(diagram.problem, neurons_per_width=2 if diagram.settings.per_half else 1)
    widths = np.geomspace(float(diagram.widths[0]), float(diagram.widths[-1]), _LAW_POINTS)
    try:
        rd_w, _ = law.displacement(Scaling(row.gamma, row.gamma_prime), widths)
    except InputError:  # samples that coincide: their kernel is singular, and there is no law
        return
    ax.plot(widths, rd_w, color=THEORY, lw=1.1, ls=(0, (1, 1.5)), zorder=5, label=f"law {k}")


def _through(x: float, y: float, slope: float, m: Array) -> Array:
    """Power law in m through the point (x, y) of the logarithms."""
    return np.asarray(np.exp(y + slope * (np.log(m) - x)))


def _point_label(row: Row) -> str:
    """Point, measured exponent with half its interval, and (beside the axes) theory's, in lines."""
    half = (row.S_w.high - row.S_w.low) / 2
    if math.isnan(row.S_w.value):
        measured = "no slope"
    elif math.isfinite(half):
        decimals = 2 if half >= 0.0095 else 3
        measured = f"$S_w$ = {row.S_w.value:z.{decimals}f} \u00b1 {half:.{decimals}f}"
    else:
        measured = f"$S_w$ = {row.S_w.value:z.2f} (no interval)"
    place = rf"$\gamma$ = {exact(row.gamma)}, {GAMMA_PRIME} = {exact(row.gamma_prime)}"
    lines = [place, measured] if is_guest() else [place, measured, f"theory {exact(row.predicted_S_w)}"]
    return "\n".join(lines).replace("-", "\u2212")


def _explain(ax: Axes, confidence: float) -> None:
    """Key in a row above the axes."""
    entries: dict[str, Any] = {
        "runs": Line2D([], [], ls="none", marker="o", ms=3.5, mfc="none", mec="0.3", mew=0.7),
        f"fit ({100 * confidence:g} %)": Line2D([], [], color="0.3", lw=1.0),
        "theory's slope": Line2D([], [], color=THEORY, lw=0.9, ls=(0, (4, 2.5))),
    }
    if any(str(line.get_label()).startswith("law ") for line in ax.lines):
        entries["linear regime's law"] = Line2D([], [], color=THEORY, lw=1.1, ls=(0, (1, 1.5)))
    if any(str(line.get_label()).startswith("published ") for line in ax.lines):
        entries["published runs"] = Line2D([], [], ls="none", **_PUBLISHED)
    key_outside(ax, entries, columns=2 if len(entries) > 3 else 3, above=3.0)
