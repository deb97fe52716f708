"""Finite networks on their way to the limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from meanfield.arguments import instance, shown, text
from meanfield.errors import InputError
from meanfield.flow import Trajectory
from meanfield.limits import Comparison, InfiniteWidth, convergence_rate
from meanfield.plotting.curves import as_runs
from meanfield.plotting.guests import name_axes, view
from meanfield.plotting.placing import explained, key_outside
from meanfield.plotting.style import (
    COLOURS,
    FADING,
    THEORY,
    colour_map,
    fading,
    merged,
    new_axes,
    number,
    settle,
    styled,
)
from meanfield.plotting.ticks import tick_widths

Array = NDArray[np.float64]


@styled
def approach(
    runs: Sequence[Trajectory],
    limit: InfiniteWidth,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    legend: bool | None = None,
    cmap: str | Colormap | None = None,
    **kwargs: Any,
) -> Axes:
    """Loss of networks of several widths and of their limit, against the canonical time kappa tbar.

    In canonical time the limit is one curve for all widths wherever it exists (the critical lines), and
    the networks' curves close in on it.

    Parameters
    ----------
    runs : sequence of Trajectory
        Networks on the same data; several seeds of a width share a colour.
    limit : InfiniteWidth
        The limit.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    label : str, optional
        Name of the limit in the legend; by default ``limit``.
    legend : bool, optional
        Name the curves, which is the default: in a new figure above the axes, else in a legend.
    cmap : str or Colormap, optional
        Colours of the networks, by width from the map's start to its end.
    **kwargs
        Of :class:`matplotlib.lines.Line2D`, for the networks.

    Returns
    -------
    matplotlib.axes.Axes
        Lines carry the labels ``m = ...`` and ``limit``.

    Raises
    ------
    InputError
        If there are no runs, they are on other data than the limit, or an option cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem, scaling = mf.datasets.four_points(), mf.Scaling.named("mean-field")
    >>> networks = [mf.Particles.sample(problem, scaling, m, rng=0) for m in (100, 1000)]
    >>> runs = [mf.gradient_flow(problem, network) for network in networks]
    >>> ax = approach(runs, mf.infinite_width(problem, scaling, width=1e4, nodes=512))
    >>> ax.lines[-1].get_label()
    'limit'
    """
    instance("limit", limit, InfiniteWidth, "meanfield.infinite_width")
    series = sorted((run.with_ends() for run in as_runs(runs)), key=lambda run: run.initial.width)
    limit = limit.with_ends()
    if any(run.problem.fingerprint != limit.problem.fingerprint for run in series):
        raise InputError("give at least one run, all on the limit's own data")
    named, shades = explained(legend), colour_map(cmap, FADING)
    name = "limit" if label is None else text("label", label)
    ax = new_axes("column", 2.4) if ax is None else ax
    widths = sorted({run.initial.width for run in series})
    colours = dict(zip(widths, fading(len(widths), shades), strict=True))
    entries: dict[str, Any] = {}
    for run in series:
        looks = {"color": colours[run.initial.width], "lw": 0.9, "zorder": 3}
        line = _draw(ax, run, f"m = {run.initial.width:g}", merged(Line2D, looks, kwargs))
        entries[f"$m$ = {number(run.initial.width)}"] = line
    entries[name] = _draw(ax, limit, "limit", {"color": THEORY, "lw": 1.3, "ls": (0, (4, 1.6)), "zorder": 4})
    ax.set(xscale="log", yscale="log")
    name_axes(ax, r"canonical time $\kappa\,\bar t$", "loss $R$")
    # Before a ten-thousandth of the run nothing is seen but the initial loss.
    end = max(float(run.time[-1]) * run.initial.kappa for run in [*series, limit])
    floor = min(float(run.loss[-1]) for run in [*series, limit])
    view(ax, x=(1e-3 * end, 1.1 * end), y=(max(floor, 1e-4 * limit.loss[0]), 1.6 * limit.loss[0]))
    if named:
        key_outside(ax, entries, columns=3, above=3.0)
    settle(ax)
    return ax


@styled
def convergence(
    comparisons: Sequence[Comparison],
    ax: Axes | None = None,
    *,
    label: str | None = None,
    legend: bool | None = None,
    **kwargs: Any,
) -> Axes:
    """Deviation of networks from their limit against width, with the fitted power and m^(-1/2).

    Parameters
    ----------
    comparisons : sequence of Comparison
        Several networks at each of at least three widths, as many at each, in the order of their seeds.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    label : str, optional
        Name of the root mean squares in the legend; by default ``root mean square``.
    legend : bool, optional
        Explain the marks, which is the default: in a new figure above the axes, else in a legend.
    **kwargs
        Of :class:`matplotlib.lines.Line2D`, for the marks of the root mean squares.

    Returns
    -------
    matplotlib.axes.Axes
        Artists carry the labels ``networks``, ``root mean square``, ``fit`` and ``theory``.

    Raises
    ------
    InputError
        If there are fewer than three widths, or unequal numbers of networks, or one only, or an option cannot
        be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem, scaling, found = mf.datasets.four_points(), mf.Scaling.named("mean-field"), []
    >>> for m in (50, 100, 200):
    ...     limit = mf.infinite_width(problem, scaling, width=m, nodes=512)
    ...     for seed in (0, 1):
    ...         network = mf.Particles.sample(problem, scaling, m, rng=seed)
    ...         found.append(mf.limits.compare(mf.gradient_flow(problem, network), limit))
    >>> print(mf.plotting.convergence(found).get_xlabel())
    width $m$
    """
    if not (isinstance(comparisons, Sequence) and all(isinstance(c, Comparison) for c in comparisons)):
        raise InputError(f"comparisons is {shown(comparisons)}; give a list of results of limits.compare")
    widths = np.array(sorted({c.width for c in comparisons}))
    groups = [[c.largest_deviation for c in comparisons if c.width == m] for m in widths]
    if len(widths) < 3 or len({len(group) for group in groups}) != 1 or len(groups[0]) < 2:
        raise InputError("give two or more comparisons, and as many, at each of at least three widths")
    shown_key, name = explained(legend), "root mean square" if label is None else text("label", label)
    deviations = np.array(groups)
    rate = convergence_rate(widths, deviations)
    size = np.sqrt(np.mean(deviations**2, axis=1))
    ax = new_axes("column", 2.4) if ax is None else ax
    drawn = ax.plot(np.repeat(widths, deviations.shape[1]), deviations.ravel(), ls="none", marker="o", ms=2.5,
                    mfc="none", mec="0.4", mew=0.5, label="networks", zorder=5)  # fmt: skip
    marks = {"ls": "none", "marker": "D", "ms": 4.0, "color": COLOURS[0], "zorder": 4}
    drawn += ax.plot(widths, size, label="root mean square", **merged(Line2D, marks, kwargs))
    centre, level = np.exp(np.log(widths).mean()), np.exp(np.log(size).mean())
    ends = np.array([widths[0] / 1.5, widths[-1] * 1.5])
    colour = drawn[-1].get_color()
    drawn += ax.plot(ends, level * (ends / centre) ** rate.value, color=colour, lw=1.0, label="fit", zorder=3)
    drawn += ax.plot(
        ends, level * (ends / centre) ** -0.5, color=THEORY, lw=0.9, ls=(0, (4, 2.5)), label="theory"
    )
    ax.set(xscale="log", yscale="log")
    view(ax, x=(float(ends[0]), float(ends[1])))
    name_axes(ax, "width $m$", "largest deviation of outputs")
    tick_widths(ax.xaxis, widths)
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))  # one or two decades
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.5g}" if value >= 1e-4 else number(value))
    ax.yaxis.set_minor_formatter(NullFormatter())
    slope = f"$m^{{{rate.value:.2f} \\pm {0.5 * (rate.high - rate.low):.2f}}}$"
    names = ("networks", name, f"fit {slope}", "$m^{-1/2}$")
    if shown_key:
        key_outside(ax, dict(zip(names, drawn, strict=True)), columns=2, above=3.0)
    settle(ax)
    return ax


def _draw(ax: Axes, run: Trajectory, label: str, looks: Mapping[str, Any]) -> Line2D:
    shown = (run.time > 0) & (run.loss > 0)
    (line,) = ax.plot(run.initial.kappa * run.time[shown], run.loss[shown], **{"label": label, **looks})
    return line
