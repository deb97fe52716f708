"""The boundary of the regimes alone: measured zeros on the theory's line."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from meanfield.arguments import text, with_article
from meanfield.errors import InputError
from meanfield.experiments import Boundary
from meanfield.plotting.guests import name_axes
from meanfield.plotting.guests import view as show
from meanfield.plotting.placing import Obstacles, explained, key_outside
from meanfield.plotting.style import GAMMA_PRIME, THEORY, new_axes, settle, styled
from meanfield.plotting.theory import CONTOUR, View, draw_boundary, draw_contours, draw_regimes
from meanfield.plotting.ticks import tick_at
from meanfield.plotting.zeros import AT_WIDTHS, draw_zeros, draw_zeros_at_widths

#: Room around the zeros, in units of the plane; height of the strip with the regimes' names, as a share.
_AROUND, _ABOVE, _STRIP = 0.12, 0.06, 0.1


@styled
def boundary(
    found: Boundary,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    legend: bool | None = None,
    **kwargs: Any,
) -> Axes:
    """Measured zeros gamma*(gamma_prime) of S_w, with intervals, on the predicted boundary.

    Measured: stars with the bars of their intervals. Theory: the boundary of the limit as a heavy line and
    thin contours of the predicted exponent; dashed, the zeros that the same finite widths have without
    sampling noise, so that what is left between stars and dashes is chance, and between dashes and line
    the width.

    Parameters
    ----------
    found : Boundary
        The result of :func:`meanfield.boundary`.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    label : str, optional
        Name of the measured zeros in the legend.
    legend : bool, optional
        Explain the marks; by default in a new figure, above the axes. On given axes it is a legend inside.
    **kwargs
        Of :meth:`matplotlib.axes.Axes.errorbar`, for the measured zeros.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``measured zeros``, ``theory: boundary``, ``theory: these widths`` and
        ``theory: contours of S_w``.

    Raises
    ------
    InputError
        If found is something else, or an option cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.boundary(mf.datasets.four_points(), gamma_prime=[-0.2, 0.2], widths=[50, 200])
    >>> mf.plotting.boundary(found).get_xlabel()
    '$\\\\gamma$'
    """
    if not isinstance(found, Boundary):
        raise InputError(f"found is {with_article(type(found))}; give the result of meanfield.boundary")
    named = explained(legend, on_axes_of_others=False)
    name = f"measured: $S_w=0$ ({100 * found.confidence:g} %)" if label is None else text("label", label)
    ax = new_axes("column", 2.7) if ax is None else ax
    shown = np.concatenate([found.gamma_star, found.interval.ravel(), found.reference, found.predicted])
    near = shown[np.isfinite(shown) & (np.abs(shown - np.median(found.predicted)) < 2.0)]
    low, high = float(found.gamma_prime[0]) - _ABOVE, float(found.gamma_prime[-1]) + _ABOVE
    bottom = low - _STRIP * (high - low)
    view = View((float(near.min()) - _AROUND, float(near.max()) + _AROUND), (bottom, high))
    show(ax, x=view.gamma, y=view.gamma_prime)
    name_axes(ax, r"$\gamma$", GAMMA_PRIME, upright=True)
    tick_at(ax.yaxis, found.gamma_prime, 0.06)
    obstacles = Obstacles(ax)
    draw_boundary(ax, view, obstacles)
    draw_contours(ax, view, obstacles, predicted=found.settings.theory)
    draw_zeros_at_widths(ax, found.gamma_prime, found.reference, obstacles)
    draw_zeros(ax, found.zeros, obstacles, view, kwargs)
    draw_regimes(ax, view, low - bottom, obstacles)
    entries: dict[str, Any] = {}
    for stars in (found for found in ax.containers if found.get_label() == "measured zeros"):
        entries[name] = stars
    entries |= {
        r"theory: $m\to\infty$": Line2D([], [], color=THEORY, lw=2.0),
        "theory: these widths": Line2D([], [], **AT_WIDTHS),
        "theory: $S_w$ (at frame)": Line2D([], [], color=CONTOUR, lw=0.5),
    }
    if named:
        key_outside(ax, entries, columns=2, above=11.0)
    settle(ax)
    return ax
