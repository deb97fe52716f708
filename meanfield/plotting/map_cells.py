"""Cells of a map of the plane: their colours, and marks for what they decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection, QuadMesh
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from meanfield.arguments import Layer
from meanfield.experiments import PhaseDiagram
from meanfield.experiments.slopes import Verdict
from meanfield.plotting.layers import judge
from meanfield.plotting.style import COLOURS, merged
from meanfield.plotting.theory import View

Array = NDArray[np.float64]

#: Width of a cell if the grid has a single value along an axis.
_LONE_CELL = 0.2
_FRAME: dict[str, Any] = {"facecolor": "none", "edgecolor": COLOURS[3], "linewidth": 1.2}
#: Colour of the part of the plane where nothing was trained.
UNTRAINED = "0.91"
CELL_MARKS: dict[str, dict[str, Any]] = {
    "undecided": {"facecolor": "none", "edgecolor": "0.4", "hatch": "//////", "linewidth": 0.0},
    "prediction outside the interval": _FRAME,
    "disagrees with theory": _FRAME,
    "theory only": {"facecolor": UNTRAINED, "edgecolor": "none", "linewidth": 0.0},
}


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


def draw_cells(
    ax: Axes, x_edges: Array, y_edges: Array, measured: Array, bound: float, kwargs: Mapping[str, Any]
) -> QuadMesh:
    """Colour each cell by what was measured; nothing where nothing was."""
    looks = {
        "norm": Normalize(-bound, bound), "edgecolors": "white", "linewidth": 0.4, "zorder": 1,
    }  # fmt: skip
    return ax.pcolormesh(x_edges, y_edges, np.ma.masked_invalid(measured), **merged(QuadMesh, looks, kwargs))


def draw_untrained(ax: Axes, view: View, x_edges: Array, y_edges: Array) -> None:
    """Tint what the view holds beyond the cells: a white band would look like missing data."""
    (left, right), (bottom, top) = view.gamma, view.gamma_prime
    x0, x1, y0, y1 = (float(edges[end]) for edges in (x_edges, y_edges) for end in (0, -1))
    bands = ((left, bottom, right, y0), (left, y1, right, top), (left, y0, x0, y1), (x1, y0, right, y1))
    tints = [_rectangle(band, 0.0, 0.0) for band in bands if band[2] > band[0] and band[3] > band[1]]
    if tints:
        marks = PatchCollection(tints, zorder=0.5, label="theory only", **CELL_MARKS["theory only"])
        ax.add_collection(marks, autolim=False)


def mark_cells(ax: Axes, diagram: PhaseDiagram, layer: Layer, x_edges: Array, y_edges: Array) -> None:
    """Hatch the cells that decide nothing and frame those that contradict the theory."""
    # Frames of neighbouring cells stay apart.
    inset = (0.004 * float(np.ptp(x_edges)), 0.005 * float(np.ptp(y_edges)))
    kinds: dict[str, list[Rectangle]] = {label: [] for label in CELL_MARKS if label != "theory only"}
    for index, row in enumerate(diagram.rows):
        i, j = divmod(index, len(diagram.gamma))
        corners = (float(x_edges[j]), float(y_edges[i]), float(x_edges[j + 1]), float(y_edges[i + 1]))
        found = judge(row, layer)
        if found.slope.verdict is Verdict.UNDECIDED:
            kinds["undecided"].append(_rectangle(corners, 0.0, 0.0))
        if found.agrees is False:
            kinds["prediction outside the interval"].append(_rectangle(corners, *inset))
        elif found.agrees is None and found.side_agrees is False:
            kinds["disagrees with theory"].append(_rectangle(corners, *inset))
    for label, rectangles in kinds.items():
        if rectangles:
            marks = PatchCollection(rectangles, zorder=2, label=label, **CELL_MARKS[label])
            ax.add_collection(marks, autolim=False)


def _rectangle(corners: tuple[float, float, float, float], dx: float, dy: float) -> Rectangle:
    x0, y0, x1, y1 = corners
    return Rectangle((x0 + dx, y0 + dy), x1 - x0 - 2 * dx, y1 - y0 - 2 * dy)
