"""Zeros of S_w in the plane: measured, expected at the same widths, and published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from meanfield.experiments import Zero
from meanfield.plotting.placing import Obstacles
from meanfield.plotting.style import THEORY, bars, merged
from meanfield.plotting.theory import View

Array = NDArray[np.float64]

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


def draw_zeros_at_widths(ax: Axes, gamma_prime: Array, zeros: Array, obstacles: Obstacles) -> None:
    """Draw the zeros that the same widths have without sampling noise, as a dashed line."""
    known = np.isfinite(zeros)
    if not known.any():
        return
    ax.plot(zeros, gamma_prime, zorder=6, label="theory: these widths", **AT_WIDTHS)
    obstacles.add_line(zeros[known], gamma_prime[known])


def draw_zeros(
    ax: Axes,
    zeros: Sequence[Zero],
    obstacles: Obstacles,
    view: View,
    kwargs: Mapping[str, Any] | None = None,
) -> None:
    """Draw measured zeros as stars with the bars of their intervals."""
    if not zeros:
        return
    gamma, gamma_prime = np.array([z.gamma for z in zeros]), np.array([z.gamma_prime for z in zeros])
    # An interval that is open on a side reaches to the frame.
    (left, right) = view.gamma
    low = np.nan_to_num([z.low for z in zeros], nan=left, neginf=left)
    high = np.nan_to_num([z.high for z in zeros], nan=right, posinf=right)
    looks = merged(Line2D, _STAR | {"zorder": 7, "label": "measured zeros"}, kwargs or {})
    ax.errorbar(gamma, gamma_prime, xerr=bars(gamma, low, high), **looks)
    obstacles.points += [(float(g), float(p), 3.5) for g, p in zip(gamma, gamma_prime, strict=True)]
    for g0, g1, p in zip(low, high, gamma_prime, strict=True):
        obstacles.add_line([g0, g1], [p, p])


def draw_published(ax: Axes, zeros: Sequence[tuple[float, float]], obstacles: Obstacles) -> None:
    """Draw zeros that are known from elsewhere as hollow stars."""
    if len(zeros):
        gamma, gamma_prime = zip(*zeros, strict=True)
        ax.plot(gamma, gamma_prime, ls="none", zorder=6.5, label="published zeros", **PUBLISHED_STAR)
        obstacles.points += [(float(g), float(p), 3.5) for g, p in zeros]
