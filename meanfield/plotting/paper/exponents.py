"""Exponents along gamma: the three splittings, and tanh around the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meanfield.experiments.figures import published
from meanfield.experiments.figures.splitting import Splitting
from meanfield.experiments.figures.tanh import TanhBoundary
from meanfield.experiments.slopes import Slope
from meanfield.plotting.colour_bars import colour_bar
from meanfield.plotting.placing import Obstacles, key_outside
from meanfield.plotting.style import (
    COLOURS,
    DIVERGING,
    FAINT,
    GAMMA_PRIME,
    KAPPA_PRIME,
    MARKERS,
    THEORY,
    bars,
    new_axes,
    new_panels,
    settle,
)
from meanfield.plotting.theory import View, draw_boundary
from meanfield.plotting.ticks import tick_at
from meanfield.regime import exponents

_LIMIT: dict[str, Any] = {"color": THEORY, "lw": 0.9, "ls": (0, (4, 2.5))}
_LAW: dict[str, Any] = {"color": THEORY, "lw": 1.1, "ls": (0, (1, 1.5))}
_STAR: dict[str, Any] = {"marker": "*", "ms": 6.5, "mfc": "#ffe34d", "mec": THEORY, "mew": 0.6}
_NAMES = {
    "only alpha": r"$\alpha=m^{\gamma},\ \beta_1=\beta_2=1$",
    "only beta": r"$\alpha=1,\ \beta_1=\beta_2=m^{-\gamma/2}$",
    "both, beta1 = 4 beta2": r"$\alpha=m^{\gamma/2},\ \beta_1=4\beta_2=2m^{-\gamma/4}$",
}


def draw_splitting(result: Splitting) -> Figure:
    """S_w against gamma: one mark for each splitting side by side, the published slopes, the limit."""
    ax = new_axes("column", 3.3)
    gamma = np.array(result.gamma)
    shown = np.linspace(gamma.min() - 0.05, gamma.max() + 0.05, 201)
    ax.axhline(0.0, color=FAINT, lw=0.5, zorder=1)
    ax.plot(shown, exponents(shown, np.zeros_like(shown))[0], label="theory: limit", zorder=2, **_LIMIT)
    entries: dict[str, Any] = {}
    looks: dict[str, Any]
    for kappa_prime, apparent in result.noise_free.items():
        looks = _LAW if kappa_prime == 1.0 else {**_LAW, "color": COLOURS[2]}
        ax.plot(gamma, apparent, label=f"theory at these widths, {kappa_prime:g}", zorder=2, **looks)
    for k, (name, slopes) in enumerate(result.slopes.items()):
        looks = {"marker": MARKERS[k], "ls": "none", "ms": 4.0, "mfc": "none", "mew": 0.9}
        beside = 0.012 * (k - 1)  # marks on one another would hide each other
        ax.plot(gamma + beside, [s.value for s in slopes], mec=COLOURS[k], label=name, zorder=4, **looks)
        entries[_NAMES[name]] = Line2D([], [], mec=COLOURS[k], **looks)
    known = [published.S_W[g] for g in result.gamma]
    ax.plot(gamma, known, ls="none", marker="x", ms=4.5, mec=THEORY, mew=0.9, label="published", zorder=5)
    ax.set(xlabel=rf"$\gamma$ (at {GAMMA_PRIME} = 0)", ylabel="measured exponent $S_w$")
    tick_at(ax.xaxis, gamma, 0.07)
    ax.set_xlim(shown[0], shown[-1])
    entries["published"] = Line2D([], [], ls="none", marker="x", ms=4.5, mec=THEORY, mew=0.9)
    entries["theory: limit"] = Line2D([], [], **_LIMIT)
    entries[f"theory: these widths, {KAPPA_PRIME} = 1"] = Line2D([], [], **_LAW)
    entries[f"theory: these widths, {KAPPA_PRIME} = 4"] = Line2D([], [], **{**_LAW, "color": COLOURS[2]})
    key_outside(ax, entries, columns=1, above=3.0)
    settle(ax)
    return ax.figure  # type: ignore[return-value]


def draw_tanh(result: TanhBoundary) -> Figure:
    """Left: S_w along gamma at gamma' = 0, with what holds on either side. Right: zeros on the boundary."""
    left, right = new_panels(1, 2, 2.9, sharey=False, sharex=False)
    _draw_row(left, result)
    _draw_plane(right, result)
    entries: dict[str, Any] = {
        "measured (95 %)": Line2D([], [], ls="none", marker="o", ms=3.5, color=COLOURS[0]),
        "theory: limit": Line2D([], [], **_LIMIT),
        "linear regime's law, same draws": Line2D([], [], **_LAW),
        "measured $S_w$ = 0 (95 %)": Line2D([], [], ls="none", **_STAR),
        "theory: boundary": Line2D([], [], color=THEORY, lw=2.0),
    }
    key_outside(left, entries, columns=5, above=4.0)
    settle(left)
    settle(right)
    return left.figure  # type: ignore[return-value]


def _draw_row(ax: Axes, result: TanhBoundary) -> None:
    row = [point for point in result.points if point.gamma_prime == 0.0]
    gamma = np.array([point.gamma for point in row])
    ax.axhline(0.0, color=FAINT, lw=0.5, zorder=1)
    shown = np.linspace(gamma[0] - 0.05, gamma[-1] + 0.05, 201)
    ax.plot(shown, np.minimum(shown - 1.0, 0.0), label="theory: limit", zorder=2, **_LIMIT)
    ax.plot(*_where(gamma, [p.law for p in row], gamma < 1.0), label="law", zorder=3, **_LAW)
    _error_bars(ax, gamma, [point.S_w for point in row])
    ax.text(
        0.97, 0.05, "condensed side: neurons saturate,\n" r"$\mathrm{RD}_w$ grows at most like $\log m$",
        transform=ax.transAxes, ha="right", va="bottom", fontsize=7.0, color="0.25",
    )  # fmt: skip
    ax.set(xlabel=rf"$\gamma$ (at {GAMMA_PRIME} = 0)", ylabel="measured exponent $S_w$, tanh")
    tick_at(ax.xaxis, gamma, 0.08)
    ax.set_xlim(shown[0], shown[-1])


def _where(x: Any, y: Any, keep: Any) -> tuple[Any, Any]:
    return np.asarray(x)[keep], np.asarray(y)[keep]


def _error_bars(ax: Axes, gamma: Any, slopes: Sequence[Slope]) -> None:
    value, low, high = (np.array([getattr(s, name) for s in slopes]) for name in ("value", "low", "high"))
    ax.errorbar(
        gamma, value, yerr=bars(value, low, high), fmt="o", ms=3.5, color=COLOURS[0], elinewidth=0.8,
        capsize=1.5, zorder=4, label="measured",
    )  # fmt: skip


def _draw_plane(ax: Axes, result: TanhBoundary) -> None:
    gamma, gamma_prime, S_w = np.array(
        [(p.gamma, p.gamma_prime, p.S_w.value) for p in result.points]
    ).T  # fmt: skip
    view = View((gamma.min() - 0.1, gamma.max() + 0.1), (gamma_prime.min() - 0.12, gamma_prime.max() + 0.12))
    bound = float(np.ceil(10 * np.abs(S_w).max()) / 10)
    cells = ax.scatter(
        gamma, gamma_prime, c=S_w, s=34, cmap=DIVERGING, norm=Normalize(-bound, bound), edgecolors="0.4",
        linewidths=0.4, zorder=3, label="measured S_w",
    )  # fmt: skip
    ax.set(xlim=view.gamma, ylim=view.gamma_prime, xlabel=r"$\gamma$")
    ax.set_ylabel(GAMMA_PRIME, rotation=0, ha="right", va="center")
    draw_boundary(ax, view, Obstacles(ax))
    at, zero = np.array([(z.gamma_prime, z.gamma) for z in result.zeros]).T
    ends = [np.clip([getattr(z, end) for z in result.zeros], *view.gamma) for end in ("low", "high")]
    ax.errorbar(
        zero, at, xerr=bars(zero, *ends), fmt="none", ecolor=THEORY, elinewidth=0.9,
        capsize=1.8, zorder=5,
    )  # fmt: skip
    ax.plot(zero, at, ls="none", zorder=6, label="measured zeros", **_STAR)
    tick_at(ax.xaxis, gamma, 0.1)
    tick_at(ax.yaxis, gamma_prime, 0.06)
    colour_bar(ax, cells, True, r"measured exponent $S_w$")
