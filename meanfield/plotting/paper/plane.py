"""The phase diagram with the common initialisations."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meanfield.displays import signed
from meanfield.experiments.figures.phase_diagram import MeasuredScheme, PhasePlane
from meanfield.plotting.placing import Obstacles, key_outside
from meanfield.plotting.style import DIVERGING, GAMMA_PRIME, SMALL, THEORY, exact, new_axes, settle
from meanfield.plotting.theory import CONTOUR, View, draw_boundary, draw_contours
from meanfield.regime import boundary_gamma

_VIEW = View((0.0, 2.0), (-0.8, 1.3))
#: Where the regimes' names stand.
_NAMES = {"linear": (0.42, -0.4), "condensed": (1.55, -0.4)}


def draw_phase_plane(result: PhasePlane) -> Figure:
    """Regimes as tints, the boundary as a heavy line, schemes as points with their measured exponents."""
    ax = new_axes("column", 3.6)
    obstacles = Obstacles(ax)
    ax.set(xlim=_VIEW.gamma, ylim=_VIEW.gamma_prime, xlabel=r"$\gamma$")
    ax.set_ylabel(GAMMA_PRIME, rotation=0, ha="right", va="center")
    gamma_prime = np.linspace(*_VIEW.gamma_prime, 211)
    edge = boundary_gamma(gamma_prime)
    for low, high, shade in ((_VIEW.gamma[0], edge, 0.42), (edge, _VIEW.gamma[1], 0.58)):
        ax.fill_betweenx(gamma_prime, low, high, color=DIVERGING(shade), lw=0, zorder=0)
    draw_boundary(ax, _VIEW, obstacles)
    draw_contours(ax, _VIEW, obstacles)
    for name, place in _NAMES.items():
        tint = DIVERGING(0.42 if name == "linear" else 0.58)
        ax.text(*place, name, fontsize=11, fontstyle="italic", ha="center", va="center", zorder=5,
                bbox={"facecolor": tint, "edgecolor": "none"})  # fmt: skip
    groups: dict[tuple[float, float], list[MeasuredScheme]] = {}
    for scheme in result.schemes:
        groups.setdefault((scheme.scaling.gamma, scheme.scaling.gamma_prime), []).append(scheme)
    ax.plot(*zip(*groups, strict=True), ls="none", marker="o", ms=5.5, color=THEORY, zorder=6,
            label="schemes")  # fmt: skip
    for place, schemes in groups.items():
        _name(ax, place, schemes)
    entries: dict[str, Any] = {
        "measured $S_w$ (95 %), with each scheme's own laws": Line2D([], [], ls="none", marker="o", ms=5.5,
                                                                   color=THEORY),
        "theory: boundary, $S_w=0$": Line2D([], [], color=THEORY, lw=2.0),
        "theory: $S_w$ of the limit (values at frame)": Line2D([], [], color=CONTOUR, lw=0.5),
    }  # fmt: skip
    key_outside(ax, entries, columns=1, below=26.0)
    settle(ax)
    return ax.figure  # type: ignore[return-value]


def _name(ax: Axes, place: tuple[float, float], schemes: list[MeasuredScheme]) -> None:
    """Names of the schemes at a point, each with its exponent, measured and (once) of the limit."""
    between = "  " if len(schemes) > 1 else "\n"
    lines = [
        f"{s.name}{between}{_signed(s.S_w.value)} \u00b1 {(s.S_w.high - s.S_w.low) / 2:.2f}" for s in schemes
    ]
    lines.append(f"limit {exact(schemes[0].predicted)}")
    ax.annotate(
        "\n".join(lines), place, xytext=(6, -4), textcoords="offset points",
        fontsize=SMALL, va="top", ha="left", linespacing=1.1, zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.8},
    )  # fmt: skip


def _signed(value: float) -> str:
    return signed(value, 2).replace("-", "\u2212")
