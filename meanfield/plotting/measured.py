"""Measured exponents of both layers against gamma, on the theory's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from meanfield.arguments import flag, instance, listed, number, one_of, text
from meanfield.errors import InputError
from meanfield.experiments import PhaseDiagram
from meanfield.plotting.guests import is_guest, name_axes
from meanfield.plotting.placing import key_inside
from meanfield.plotting.style import COLOURS, GAMMA_PRIME, MARKERS, bars, merged, new_axes, settle, styled
from meanfield.regime import exponents

Array = NDArray[np.float64]

#: Layers by the name of their exponent.
_LAYERS = ("S_w", "S_a")
#: Both layers are seen where their exponents are the same.
_LINES: tuple[dict[str, Any], ...] = ({"lw": 1.0, "ls": (0, (4, 2))}, {"lw": 2.5, "alpha": 0.4})
_DOTS: tuple[dict[str, Any], ...] = ({"ms": 3.0}, {"ms": 6.0, "mfc": "none"})
#: Points of the theory's line.
_POINTS = 401


@styled
def exponents_along_gamma(
    diagram: PhaseDiagram,
    ax: Axes | None = None,
    *,
    gamma_prime: float | None = None,
    layers: Sequence[str] = _LAYERS,
    label: str | None = None,
    legend: bool = True,
    **kwargs: Any,
) -> Axes:
    """Measured S_w and S_a with their intervals against gamma, on the exponents of the theory.

    Parameters
    ----------
    diagram : PhaseDiagram
        The measurement.
    ax : Axes, optional
        Where to draw; by default a new figure of a column's width.
    gamma_prime : float, optional
        Which row of the diagram; needed where it has several.
    layers : sequence of {"S_w", "S_a"}
        Which exponents to draw: of the input weights, of the output weights.
    label : str, optional
        Name of the measurement in the legend; by default ``measured``.
    legend : bool
        Name what is drawn.
    **kwargs
        Of :class:`matplotlib.lines.Line2D`, for the measured points.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``measured S_w``, ``theory S_w`` and so for S_a.

    Raises
    ------
    InputError
        For arguments that cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> diagram = mf.limit_diagram(mf.datasets.four_points(), gamma=[0.5, 1.0, 1.5], gamma_prime=[0.0])
    >>> ax = mf.plotting.exponents_along_gamma(diagram)
    >>> [line.get_label() for line in ax.lines if line.get_label()[0] != "_"]
    ['theory $S_w$', 'theory $S_a$']
    """
    instance("diagram", diagram, PhaseDiagram, "meanfield.phase_diagram or limit_diagram")
    names = [one_of("layers", name, _LAYERS) for name in listed("layers", layers, "S_w, S_a or both")]
    if not names:
        raise InputError("layers is empty; give S_w, S_a or both")
    row, measured = _row(diagram, gamma_prime), "measured" if label is None else text("label", label)
    ax = new_axes("column", 2.4) if ax is None else ax
    low, high = float(diagram.gamma[0]), float(diagram.gamma[-1])
    fine = np.linspace(low - 0.05 * (high - low), high + 0.05 * (high - low), _POINTS)
    theory = exponents(fine, float(diagram.gamma_prime[row]), antisymmetric=diagram.settings.antisymmetric)
    drawn: dict[str, Any] = {}
    for name in names:
        k = _LAYERS.index(name)
        (drawn[f"theory ${name}$"],) = ax.plot(
            fine, theory[k], color=COLOURS[k], zorder=3 - k, label=f"theory ${name}$", **_LINES[k]
        )
        values, interval = getattr(diagram, name)[row], getattr(diagram, f"{name}_interval")[row]
        known = np.isfinite(values)
        looks = {"ls": "none", "marker": MARKERS[k], "color": COLOURS[k], "zorder": 5 - k, **_DOTS[k]}
        drawn[f"{measured} ${name}$"] = ax.errorbar(
            diagram.gamma[known], values[known],
            yerr=bars(values[known], interval[known, 0], interval[known, 1]),
            elinewidth=0.8, capsize=2.0, label=f"{measured} ${name}$", **merged(Line2D, looks, kwargs),
        )  # fmt: skip
    ax.axhline(0.0, color="0.7", lw=0.5, zorder=1)
    name_axes(ax, r"$\gamma$", "exponent in $m$")
    if not (is_guest() and ax.get_title()):
        ax.set_title(f"{GAMMA_PRIME} = {diagram.gamma_prime[row]:g}")
    if flag("legend", legend):
        key_inside(ax, drawn)
    settle(ax)
    return ax


def _row(diagram: PhaseDiagram, gamma_prime: float | None) -> int:
    """The row of the diagram that was asked for."""
    known = diagram.gamma_prime
    if gamma_prime is None:
        if len(known) == 1:
            return 0
        raise InputError(
            f"the diagram has {len(known)} values of gamma_prime; give one of {known.tolist()} as gamma_prime"
        )
    wanted = number("gamma_prime", gamma_prime, "one of diagram.gamma_prime")
    index = int(np.argmin(np.abs(known - wanted)))
    if not np.isclose(known[index], wanted, rtol=0.0, atol=1e-9):
        raise InputError(f"gamma_prime is {wanted:g}; give one of {known.tolist()}")
    return index
