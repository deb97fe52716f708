"""Finite networks on their way to the limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from meanfield.arguments import instance, shown
from meanfield.errors import InputError
from meanfield.flow import Trajectory
from meanfield.limits import Comparison, InfiniteWidth, convergence_rate
from meanfield.plotting.curves import as_runs
from meanfield.plotting.placing import key_outside
from meanfield.plotting.style import COLOURS, THEORY, fading, new_axes, number, settle, styled

Array = NDArray[np.float64]


@styled
def approach(runs: Sequence[Trajectory], limit: InfiniteWidth, ax: Axes | None = None) -> Axes:
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
        Where to draw, leaving room for a key above; by default a new figure of a column's width.

    Returns
    -------
    matplotlib.axes.Axes
        Lines carry the labels ``m = ...`` and ``limit``.

    Raises
    ------
    InputError
        If there are no runs, or they are on other data than the limit.

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
    ax = new_axes("column", 2.4) if ax is None else ax
    widths = sorted({run.initial.width for run in series})
    colours = dict(zip(widths, fading(len(widths)), strict=True))
    for run in series:
        _draw(ax, run, colours[run.initial.width], 0.9, f"m = {run.initial.width:g}")
    _draw(ax, limit, THEORY, 1.3, "limit", ls=(0, (4, 1.6)))
    ax.set(xscale="log", yscale="log", xlabel=r"canonical time $\kappa\,\bar t$", ylabel="loss $R$")
    # Before a ten-thousandth of the run nothing is seen but the initial loss.
    end = max(float(run.time[-1]) * run.initial.kappa for run in [*series, limit])
    floor = min(float(run.loss[-1]) for run in [*series, limit])
    ax.set(xlim=(1e-3 * end, 1.1 * end), ylim=(max(floor, 1e-4 * limit.loss[0]), 1.6 * limit.loss[0]))
    entries = {f"$m$ = {number(m)}": Line2D([], [], color=colours[m], lw=1.2) for m in widths}
    entries["limit"] = Line2D([], [], color=THEORY, lw=1.3, ls=(0, (4, 1.6)))
    key_outside(ax, entries, columns=3, above=3.0)
    settle(ax)
    return ax


@styled
def convergence(comparisons: Sequence[Comparison], ax: Axes | None = None) -> Axes:
    """Deviation of networks from their limit against width, with the fitted power and m^(-1/2).

    Parameters
    ----------
    comparisons : sequence of Comparison
        Several networks at each of at least three widths, as many at each, in the order of their seeds.
    ax : Axes, optional
        Where to draw, leaving room for a key above; by default a new figure of a column's width.

    Returns
    -------
    matplotlib.axes.Axes
        Artists carry the labels ``networks``, ``root mean square``, ``fit`` and ``theory``.

    Raises
    ------
    InputError
        If there are fewer than three widths, or unequal numbers of networks, or one only.

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
    deviations = np.array(groups)
    rate = convergence_rate(widths, deviations)
    size = np.sqrt(np.mean(deviations**2, axis=1))
    ax = new_axes("column", 2.4) if ax is None else ax
    ax.plot(np.repeat(widths, deviations.shape[1]), deviations.ravel(), ls="none", marker="o", ms=2.5,
            mfc="none", mec="0.4", mew=0.5, label="networks", zorder=5)  # fmt: skip
    ax.plot(widths, size, ls="none", marker="D", ms=4.0, color=COLOURS[0], label="root mean square", zorder=4)
    centre, level = np.exp(np.log(widths).mean()), np.exp(np.log(size).mean())
    ends = np.array([widths[0] / 1.5, widths[-1] * 1.5])
    ax.plot(ends, level * (ends / centre) ** rate.value, color=COLOURS[0], lw=1.0, label="fit", zorder=3)
    ax.plot(ends, level * (ends / centre) ** -0.5, color=THEORY, lw=0.9, ls=(0, (4, 2.5)), label="theory")
    ax.set(xscale="log", yscale="log", xlim=ends, xlabel="width $m$", ylabel="largest deviation of outputs")
    ax.xaxis.set_major_locator(LogLocator())
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))  # one or two decades
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.5g}" if value >= 1e-4 else number(value))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_formatter(NullFormatter())
    slope = f"$m^{{{rate.value:.2f} \\pm {0.5 * (rate.high - rate.low):.2f}}}$"
    entries = {line.get_label(): line for line in ax.lines}
    names = {"networks": "networks", "root mean square": "root mean square", "fit": f"fit {slope}",
             "theory": "$m^{-1/2}$"}  # fmt: skip
    key_outside(ax, {names[str(label)]: line for label, line in entries.items()}, columns=2, above=3.0)
    settle(ax)
    return ax


def _draw(ax: Axes, run: Trajectory, colour: object, width: float, label: str, ls: object = "-") -> None:
    shown = (run.time > 0) & (run.loss > 0)
    ax.plot(
        run.initial.kappa * run.time[shown], run.loss[shown], color=colour, lw=width, ls=ls, label=label,
        zorder=4 if label == "limit" else 3,
    )  # fmt: skip
