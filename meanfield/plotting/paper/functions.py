"""Functions learned in the three regimes."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meanfield.experiments.figures.learned_functions import LearnedFunctions
from meanfield.plotting.curves import learned_function
from meanfield.plotting.paper.panels import head
from meanfield.plotting.placing import key_outside
from meanfield.plotting.style import COLOURS, THEORY, fading, new_panels, number

#: Looks of the limit and of the two references.
_LIMIT: dict[str, Any] = {"color": THEORY, "lw": 1.0, "ls": (0, (4, 1.6))}
_KERNEL: dict[str, Any] = {"color": COLOURS[2], "lw": 2.4, "alpha": 0.45}
_INTERPOLANT: dict[str, Any] = {"color": COLOURS[1], "lw": 0.8, "ls": (0, (4, 2))}


def draw_learned_functions(result: LearnedFunctions) -> Figure:
    """One panel for each gamma: data, widths fading towards the limit, and the regime's reference."""
    axes = new_panels(1, len(result.panels), 2.3)
    for ax, panel in zip(axes, result.panels, strict=True):
        learned_function(panel.runs, ax, legend=False)
        if panel.gamma < 1.0:
            ax.plot(panel.x, panel.reference, zorder=2.5, label="kernel solution", **_KERNEL)
        ax.plot(panel.x, panel.limit.predict(panel.x), zorder=3.8, label="infinite width", **_LIMIT)
        head(ax, panel.gamma)
        ax.label_outer()
    widths = [run.initial.width / 2 for run in result.panels[0].runs]
    entries: dict[str, Any] = {"data": Line2D([], [], ls="none", marker="o", ms=4.0, color="black")}
    entries |= {
        f"$m$ = {number(m)}": Line2D([], [], color=c)
        for m, c in zip(widths, fading(len(widths)), strict=True)
    }
    entries["infinite width"] = Line2D([], [], **_LIMIT)
    entries["kernel solution"] = Line2D([], [], **_KERNEL)
    entries["linear interpolant"] = Line2D([], [], **_INTERPOLANT)
    key_outside(axes[0], entries, columns=4, above=12.0)
    return axes[0].figure  # type: ignore[return-value]
