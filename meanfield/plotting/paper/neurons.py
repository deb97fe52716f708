"""Condensation: amplitude against orientation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meanfield.experiments.figures.condensation import Condensation
from meanfield.experiments.figures.condensation_images import NEAR, CondensationImages
from meanfield.plotting.neurons import orientations
from meanfield.plotting.paper.panels import head
from meanfield.plotting.placing import key_outside
from meanfield.plotting.style import COLOURS, FAINT, SMALL, THEORY, new_panels, settle

#: Columns of panels, and height of a row of them in inches.
_COLUMNS, _ROW = 3, 1.65
#: Neurons beyond which dots are drawn as an image inside vector files.
_MANY = 500
_DOT: dict[str, Any] = {"ls": "none", "mew": 0}
_STAGES: dict[str, dict[str, Any]] = {
    "initial": {"marker": "o", "ms": 1.8, "color": "0.65", "zorder": 2} | _DOT,
    "leaving the plateau": {"marker": "^", "ms": 2.4, "color": COLOURS[1], "zorder": 3, "alpha": 0.7} | _DOT,
    "final": {"marker": "o", "ms": 2.2, "color": COLOURS[0], "zorder": 4, "alpha": 0.7} | _DOT,
}
_BEND: dict[str, Any] = {"color": COLOURS[1], "lw": 1.0}
_EARLY: dict[str, Any] = {"color": THEORY, "lw": 0.9, "ls": (0, (1, 1.5))}


def draw_condensation(result: Condensation) -> Figure:
    """A panel for each gamma; the condensed limit's directions with the share of the amplitude at each."""
    rows = math.ceil(len(result.runs) / _COLUMNS)
    # Amplitudes differ by orders of magnitude between regimes: each panel has its own unit.
    axes = new_panels(rows, _COLUMNS, _ROW * rows + 0.45, sharey=False)
    for k, (gamma, run, shares) in enumerate(zip(result.gamma, result.runs, result.shares, strict=True)):
        ax = axes[k]
        _draw_panel(ax, result, run, shares)
        head(ax, gamma, above=10.0)
        if k % _COLUMNS:
            ax.set_ylabel("")
        if k < len(result.runs) - _COLUMNS:
            ax.set_xlabel("")
    for ax in axes[len(result.runs) :]:
        ax.set_visible(False)
    entries: dict[str, Any] = {
        "initial": Line2D([], [], ls="none", marker="o", ms=3.0, mew=0, color="0.6"),
        "final": Line2D([], [], ls="none", marker="o", ms=3.0, mew=0, color=COLOURS[0]),
        "kinks at the samples": Line2D([], [], color=FAINT, lw=0.5),
        "theory: bends of the condensed limit": Line2D([], [], **_BEND),
        "theory: early direction": Line2D([], [], **_EARLY),
    }
    key_outside(axes[0], entries, columns=5, above=21.0)
    return axes[0].figure  # type: ignore[return-value]


def _draw_panel(ax: Any, result: Condensation, run: Any, shares: Any) -> None:
    orientations(run, ax, legend=False)
    across = ax.get_xaxis_transform()
    ax.vlines(result.directions, 0.0, 1.0, transform=across, zorder=1.5, label="theory: bends",
              colors=_BEND["color"], linewidths=_BEND["lw"])  # fmt: skip
    ax.vlines(result.early, 0.0, 1.0, transform=across, zorder=1.5, label="theory: early direction",
              colors=_EARLY["color"], linewidths=_EARLY["lw"], linestyles=[_EARLY["ls"]])  # fmt: skip
    for phi, share in zip(result.directions, np.asarray(shares), strict=True):
        ax.annotate(
            f"{100 * share:.1f} %", (phi, 0.9), xycoords=across, xytext=(3, 0), textcoords="offset points",
            fontsize=SMALL, color=_BEND["color"], ha="left", va="center", zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6},
        )  # fmt: skip


def draw_condensation_images(result: CondensationImages) -> Figure:
    """A panel for each gamma: where neurons point when they start, leave the plateau, and end."""
    axes = new_panels(1, len(result.gamma), 2.4)
    for ax, gamma, stages in zip(axes, result.gamma, result.stages, strict=True):
        ax.axvline(1.0, label="theory: early direction", zorder=1.5, **_BEND)
        for stage, looks in zip(stages, _STAGES.values(), strict=True):
            ax.plot(stage.cosine, stage.amplitude, label=stage.name, rasterized=stage.cosine.size > _MANY,
                    **looks)  # fmt: skip
        ax.set(xlabel="cosine with the early direction", yscale="log", xlim=(-1.08, 1.08), ylim=(3e-6, 1.0))
        head(ax, gamma)
        left = stages[1]
        ax.annotate(
            f"leaving the plateau:\n{100 * left.share:.1f} % at cosine > {NEAR:g}", (0.03, 0.95),
            xycoords="axes fraction", ha="left", va="top", fontsize=SMALL, color=COLOURS[1],
        )  # fmt: skip
    axes[0].set_ylabel("share of the amplitude")
    entries: dict[str, Any] = {
        name: Line2D([], [], **(looks | {"ms": 3.5, "alpha": 1.0})) for name, looks in _STAGES.items()
    }
    entries["theory: early direction"] = Line2D([], [], **_BEND)
    key_outside(axes[0], entries, columns=4, above=12.0)
    for ax in axes:
        settle(ax)
    return axes[0].figure  # type: ignore[return-value]
