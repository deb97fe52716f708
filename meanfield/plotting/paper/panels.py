"""What panels of the paper's figures have in common."""

from __future__ import annotations

from matplotlib.axes import Axes

from meanfield.plotting.style import exact
from meanfield.regime import Regime


def head(ax: Axes, gamma: float, *, above: float = 2.0) -> None:
    """Name a panel at gamma' = 0, that many points above it: the exponent and its regime."""
    name = rf"$\gamma$ = {exact(gamma)}, {Regime.classify(gamma, 0.0).value}"
    ax.annotate(
        name, (0.0, 1.0), xycoords="axes fraction",
        xytext=(0, above), textcoords="offset points", ha="left", va="bottom",
    )  # fmt: skip
