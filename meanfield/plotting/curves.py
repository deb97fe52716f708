"""What runs do: the functions they learn, and their loss against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import listed, text, with_article
from meanfield.errors import InputError
from meanfield.flow import Trajectory
from meanfield.plotting.guests import is_guest, name_axes, view
from meanfield.plotting.placing import explained, key_inside, key_outside, label_ends
from meanfield.plotting.style import (
    COLOURS,
    FADING,
    KAPPA,
    KAPPA_PRIME,
    colour_map,
    fading,
    merged,
    new_axes,
    number,
    settle,
    styled,
)
from meanfield.plotting.texts import name_function, name_loss
from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Functions are drawn this far beyond the data, as a share of their range, at this many points.
_BEYOND, _POINTS = 0.08, 401


@styled
def learned_function(
    runs: Trajectory | Sequence[Trajectory],
    ax: Axes | None = None,
    x: ArrayLike | None = None,
    *,
    labels: Sequence[str] | None = None,
    label: str | None = None,
    legend: bool | None = None,
    cmap: str | Colormap | None = None,
    key: bool | None = None,
    **kwargs: Any,
) -> Axes:
    """Learned functions of one-dimensional inputs, with the data and their linear interpolant.

    The axes are named after the columns of the data (``feature_names`` and ``target_name`` of the problem),
    if these have names.

    Parameters
    ----------
    runs : Trajectory or sequence of Trajectory
        Runs on the same data; several are drawn from faint to strong by width.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    x : array_like, shape (k,), optional
        Where to evaluate the functions; by default the range of the data and a little more.
    labels : sequence of str, optional
        Names of the runs; by default what they differ in (width, or kappa and kappa_prime).
    label : str, optional
        The name, if there is one run.
    legend : bool, optional
        Name the curves, which is the default: in a new figure at their right ends, else in a legend.
    cmap : str or Colormap, optional
        Colours of several runs, by width from the map's start to its end.
    key : bool, optional
        The older name of ``legend``.
    **kwargs
        Of :class:`matplotlib.lines.Line2D`, for the learned functions.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``data``, ``linear interpolant`` and those of the runs; of several
        outputs ``output 1`` and so on, or ``class 1``.

    Raises
    ------
    InputError
        If inputs have several features, runs are on different data, labels do not match the runs, or another
        option cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=20, rng=0)
    >>> ax = mf.plotting.learned_function(mf.gradient_flow(problem, network, loss_tol=1e-3))
    >>> [line.get_label() for line in ax.lines]
    ['linear interpolant', '$m$ = 20', 'data']
    """
    shown, shades = explained(legend, key), colour_map(cmap, FADING)
    named = sorted(
        zip(as_runs(runs), _names(runs, labels, label), strict=True), key=lambda r: r[0].initial.width
    )
    problem = _same_problem([run for run, _ in named])
    if problem.d_in != 1:
        raise InputError(f"functions are drawn for one feature, but the data have {problem.d_in}")
    at = inputs_of(problem, x)
    if problem.outputs > 1:
        return _several_outputs(ax, problem, named, at, shown=shown, kwargs=kwargs)
    ax = new_axes("column", 2.3) if ax is None else ax
    knots, values = linear_interpolant(problem)
    drawn: list[Line2D] = []
    ends: list[tuple[float, str, Any]] = []
    if not problem.loss_function.labels:  # outputs are log-odds, which do not pass through labels
        drawn += ax.plot(
            knots, values, color=COLOURS[1], lw=0.8, ls=(0, (4, 2)), zorder=3.5, label="linear interpolant"
        )
        ends.append((float(values[-1]), "linear interpolant", COLOURS[1]))
    for (run, name), colour in zip(named, fading(len(named), shades), strict=True):
        f = run.predict(at)
        drawn += ax.plot(at, f, label=name, **merged(Line2D, {"color": colour, "zorder": 3}, kwargs))
        ends.append((float(f[-1]), name, drawn[-1].get_color()))
    drawn += draw_data(ax, problem)
    view(ax, x=(min(at[0], knots[0]), max(at[-1], knots[-1])))
    name_function(ax, problem)
    if shown and is_guest():
        key_inside(ax, {str(line.get_label()): line for line in drawn})
    elif shown:
        label_ends(ax, ends, lines=1)
    settle(ax)
    return ax


@styled
def loss(
    runs: Trajectory | Sequence[Trajectory],
    ax: Axes | None = None,
    *,
    labels: Sequence[str] | None = None,
    label: str | None = None,
    legend: bool | None = None,
    cmap: str | Colormap | None = None,
    **kwargs: Any,
) -> Axes:
    """Loss R against the normalised time tbar, on logarithmic axes.

    Time zero has no place on a logarithmic axis: curves begin at the first saved time after it.

    Parameters
    ----------
    runs : Trajectory or sequence of Trajectory
        One or several runs.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    labels : sequence of str, optional
        Names of the runs; by default what they differ in (width, or kappa and kappa_prime).
    label : str, optional
        The name, if there is one run.
    legend : bool, optional
        Name the curves; by default if there are several, or if ``label`` is given.
    cmap : str or Colormap, optional
        Colours of runs of different widths, from the map's start to its end.
    **kwargs
        Of :class:`matplotlib.lines.Line2D`.

    Returns
    -------
    matplotlib.axes.Axes
        One line per run, with its name as the label.

    Raises
    ------
    InputError
        If there is no run, one took no step, their times have different units, labels do not match the
        runs, or another option cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=20, rng=0)
    >>> ax = mf.plotting.loss(mf.gradient_flow(problem, network, loss_tol=1e-3))
    >>> print(ax.get_xlabel())
    normalised time $\\bar t$
    """
    series, names = [run.with_ends() for run in as_runs(runs)], _names(runs, labels, label)
    named = explained(legend) and (legend is not None or label is not None or len(series) > 1)
    shades = colour_map(cmap, FADING)
    units = {run.time_unit for run in series}
    if units != {"tbar"}:
        raise InputError(f"runs have the time units {sorted(units)}; give runs in tbar")
    if any(len(run.time) < 2 for run in series):
        raise InputError("a run holds no time after 0, so it has no curve; give runs that took a step")
    ax = new_axes("column", 2.2) if ax is None else ax
    ordered = len({run.initial.width for run in series}) == len(series)
    order = (
        np.argsort([run.initial.width for run in series], kind="stable") if ordered else range(len(series))
    )
    ordered |= cmap is not None
    colours: Sequence[Any] = fading(len(series), shades) if ordered else [*COLOURS] * (1 + len(series) // 6)
    drawn: list[Line2D] = []
    for index, colour in zip(order, colours, strict=False):
        run = series[int(index)]
        shown = (run.time > 0) & (run.loss > 0)
        looks = merged(Line2D, {"color": colour, "label": names[int(index)]}, kwargs)
        drawn += ax.plot(run.time[shown], run.loss[shown], **looks)
    kinds = {name_loss(run.problem) for run in series}
    name_times(ax, kinds.pop() if len(kinds) == 1 else "loss $R$")
    if named:
        key_outside(ax, {str(line.get_label()): line for line in drawn}, above=3.0,
                    columns=4 if max(map(len, names)) <= 12 else 2)  # fmt: skip
    settle(ax)
    return ax


def _several_outputs(
    ax: Axes | None,
    problem: Problem,
    named: Sequence[tuple[Trajectory, str]],
    at: Array,
    *,
    shown: bool,
    kwargs: Mapping[str, Any],
) -> Axes:
    """Draw each output of one run in a colour of its own; samples of classes are marks at the bottom."""
    if len(named) > 1:
        raise InputError(
            f"{len(named)} runs of {problem.outputs} outputs are given; give one run, of which each output "
            "is drawn"
        )
    ax = new_axes("column", 2.3) if ax is None else ax
    classes = problem.loss_function.labels
    outputs, targets = named[0][0].predict(at), problem.targets
    x, ends = problem.features[:, 0], list[tuple[float, str, Any]]()
    for k in range(problem.outputs):
        what, colour = f"{'class' if classes else 'output'} {k + 1}", COLOURS[k % len(COLOURS)]
        ax.plot(at, outputs[:, k], label=what, **merged(Line2D, {"color": colour, "zorder": 3}, kwargs))
        ends.append((float(outputs[-1, k]), what, colour))
        if classes:
            mine = x[targets[:, k] == 1.0]
            ax.plot(mine, np.full(len(mine), 0.03), ls="none", marker="|", ms=6.0, color=colour, zorder=4,
                    transform=ax.get_xaxis_transform(), label="_data")  # fmt: skip
        else:
            ax.plot(x, targets[:, k], ls="none", marker="o", ms=4.0, color=colour, zorder=4, label="_data")
    view(ax, x=(at[0], at[-1]))
    name_function(ax, problem)
    if shown and is_guest():
        key_inside(ax, {str(line.get_label()): line for line in ax.lines if str(line.get_label())[0] != "_"})
    elif shown:
        label_ends(ax, ends, lines=1)
    settle(ax)
    return ax


def name_times(ax: Axes, quantity: str) -> None:
    """Make the axes of a quantity against the normalised time logarithmic, and label them."""
    ax.set(xscale="log", yscale="log")
    name_axes(ax, r"normalised time $\bar t$", quantity)
    low, high = ax.get_xlim()
    if high > 10 * low:
        ax.xaxis.set_minor_formatter(NullFormatter())


def draw_data(ax: Axes, problem: Problem) -> list[Line2D]:
    """Draw samples of one feature as black dots, in the user's units."""
    return ax.plot(
        problem.features[:, 0], problem.targets,
        ls="none", marker="o", ms=4.0, color="black", zorder=4, label="data",
    )  # fmt: skip


def linear_interpolant(problem: Problem) -> tuple[Array, Array]:
    """Knots and values of the interpolant of one-dimensional data, in the user's units.

    Equal inputs are averaged.

    Examples
    --------
    >>> linear_interpolant(Problem([1.0, 0.0, 1.0], [4.0, 0.0, 2.0]))
    (array([0., 1.]), array([0., 3.]))
    """
    knots, group, count = np.unique(problem.features[:, 0], return_inverse=True, return_counts=True)
    return knots, np.bincount(group.ravel(), weights=problem.targets) / count


def as_runs(runs: Trajectory | Sequence[Trajectory]) -> list[Trajectory]:
    """One run or several as a list."""
    if isinstance(runs, Trajectory):
        return [runs]
    series = listed("runs", runs, "one Trajectory or several")
    strangers = [type(run) for run in series if not isinstance(run, Trajectory)]
    if strangers or not series:
        given = f"holds {with_article(strangers[0])}" if strangers else "is empty"
        raise InputError(f"runs {given}; give one Trajectory or several")
    return series


def _names(
    runs: Trajectory | Sequence[Trajectory], labels: Sequence[str] | None, label: str | None
) -> list[str]:
    """Names of runs by what they differ in."""
    series = as_runs(runs)
    if label is not None:
        if labels is not None or len(series) > 1:
            raise InputError(f"label names one run, but there are {len(series)}; give labels alone")
        return [text("label", label)]
    if labels is not None:
        given = [labels] if isinstance(labels, str) else listed("labels", labels, "one name for each run")
        names = [text("labels", label) for label in given]
        if len(names) != len(series):
            raise InputError(f"labels holds {len(names)} names for {len(series)} runs; give one for each")
        return names
    widths = [f"$m$ = {number(run.initial.width)}" for run in series]
    scales = [
        f"{KAPPA} = {number(r.initial.kappa)}, {KAPPA_PRIME} = {number(r.initial.kappa_prime)}"
        for r in series
    ]
    for names in (widths, scales, [f"{w}, {s}" for w, s in zip(widths, scales, strict=True)]):
        if len(set(names)) == len(series):
            return names
    return [f"run {k + 1}" for k in range(len(series))]


def _same_problem(runs: Sequence[Trajectory]) -> Problem:
    problem = runs[0].problem
    if not all(run.problem.same_as(problem) for run in runs):
        raise InputError("the runs are on different data or in different units; give runs on one problem")
    return problem


def inputs_of(problem: Problem, x: ArrayLike | None) -> Array:
    """Where to evaluate, shape (k,): as given, or the range of the data and a little more."""
    if x is not None:
        return np.sort(problem.inputs(x)[:, 0])
    own = problem.features[:, 0]
    low, high = float(own.min()), float(own.max())
    beyond = _BEYOND * (high - low) if high > low else 0.5 * max(abs(high), 1.0)
    grid = np.linspace(low - beyond, high + beyond, _POINTS)
    return np.unique(np.concatenate([grid, own]))
