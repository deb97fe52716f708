"""Measured exponents of both layers against gamma, on the theory's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from meanfield.arguments import instance, listed, number, one_of, text
from meanfield.errors import InputError
from meanfield.experiments import PhaseDiagram
from meanfield.plotting.guests import is_guest, name_axes, view
from meanfield.plotting.placing import explained, key_outside
from meanfield.plotting.style import (
    COLOURS,
    GAMMA_PRIME,
    MARKERS,
    bars,
    exact,
    merged,
    new_axes,
    settle,
    styled,
)

Array = NDArray[np.float64]

#: Layers by the name of their exponent.
Measured: TypeAlias = Literal["S_w", "S_a"]
_LAYERS: tuple[Measured, ...] = get_args(Measured)
#: Both layers are seen where their exponents are the same.
_LINES: tuple[dict[str, Any], ...] = ({"lw": 1.0, "ls": (0, (4, 2))}, {"lw": 2.5, "alpha": 0.4})
_DOTS: tuple[dict[str, Any], ...] = ({"ms": 3.0}, {"ms": 6.0, "mfc": "none"})
#: The theory is drawn this far beyond the data, as a share of their range, at this many points.
_BEYOND, _POINTS = 0.05, 401


@styled
def exponents_along_gamma(
    diagram: PhaseDiagram,
    ax: Axes | None = None,
    *,
    gamma_prime: float | None = None,
    layers: Sequence[Measured] = _LAYERS,
    label: str | None = None,
    legend: bool | None = None,
    **kwargs: Any,
) -> Axes:
    """Measured S_w and S_a with their intervals against gamma, on the exponents of the theory.

    The theory is that of infinitely large widths.

    Parameters
    ----------
    diagram : PhaseDiagram
        The measurement.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    gamma_prime : float, optional
        Which row of the diagram; needed where it has several.
    layers : sequence of {"S_w", "S_a"}, default ("S_w", "S_a")
        Which exponents to draw: of the input weights, of the output weights.
    label : str, optional
        What the legend calls the measurement, before the name of the exponent; by default ``measured``.
    legend : bool, optional
        Name what is drawn, which is the default: in a new figure above the axes, else in a legend.
    **kwargs
        Of :meth:`matplotlib.axes.Axes.errorbar`, for the measured exponents.

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
    row = _row(diagram, gamma_prime)
    named, measured = explained(legend), "measured" if label is None else text("label", label)
    ax = new_axes("column", 2.4) if ax is None else ax
    at = f"{GAMMA_PRIME} = {exact(diagram.gamma_prime[row])}"
    # The label of the horizontal axis may be the user's, and several rows may be drawn there.
    where = f", {at}" if is_guest() else ""
    low, high = float(diagram.gamma[0]), float(diagram.gamma[-1])
    beyond = _BEYOND * (high - low) if high > low else _BEYOND
    fine = np.linspace(low - beyond, high + beyond, _POINTS)
    theory = diagram.settings.theory(fine, float(diagram.gamma_prime[row]))
    entries: dict[str, Any] = {}
    for name in names:
        k = _LAYERS.index(name)
        (line,) = ax.plot(
            fine, theory[k], color=COLOURS[k], zorder=3 - k, label=f"theory ${name}$", **_LINES[k]
        )
        values, interval = getattr(diagram, name)[row], getattr(diagram, f"{name}_interval")[row]
        known = np.isfinite(values)
        looks = {
            "ls": "none", "marker": MARKERS[k], "color": COLOURS[k], "elinewidth": 0.8, "capsize": 2.0,
            "label": f"measured ${name}$", "zorder": 5 - k,
        }  # fmt: skip
        dots = ax.errorbar(
            diagram.gamma[known],
            values[known],
            yerr=bars(values[known], interval[known, 0], interval[known, 1]),
            **merged(Line2D, looks | _DOTS[k], kwargs),
        )
        entries |= {f"theory ${name}${where}": line, f"{measured} ${name}${where}": dots}
    ax.axhline(0.0, color="0.7", lw=0.5, zorder=1)
    view(ax, x=(fine[0], fine[-1]))
    name_axes(ax, rf"$\gamma$ (at {at})", "exponent in $m$")
    if named:
        key_outside(ax, entries, columns=len(names), above=3.0)
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
