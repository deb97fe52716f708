"""What many seeds do: their curves and learned functions, with a line for all and a band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import flag, instance, one_of, text
from meanfield.errors import InputError
from meanfield.experiments import Ensemble, Spread
from meanfield.experiments.spread import BANDS, Band
from meanfield.plotting.curves import draw_data, inputs_of, name_times
from meanfield.plotting.guests import view
from meanfield.plotting.placing import explained, key_outside
from meanfield.plotting.style import COLOURS, merged, new_axes, settle, styled
from meanfield.plotting.texts import name_function, name_loss

Array = NDArray[np.float64]

#: Curves that an ensemble has.
Curve: TypeAlias = Literal["loss", "rd_w", "rd_a"]
#: The same with their labels.
_CURVES: dict[Curve, str] = {"loss": "loss $R$", "rd_w": r"$\mathrm{RD}_w$", "rd_a": r"$\mathrm{RD}_a$"}
#: Seeds that are drawn one by one at most: more are a cloud.
_SEEDS = 50
#: Room of a column's width for a key, and what an entry takes beside its text, in letters.
_LINE, _HANDLE = 62, 7


@styled
def ensemble_curves(
    ensemble: Ensemble,
    ax: Axes | None = None,
    *,
    of: Curve = "loss",
    level: float = 0.9,
    band: Band = "seeds",
    seeds: bool = True,
    label: str | None = None,
    legend: bool | None = None,
    **kwargs: Any,
) -> Axes:
    """Loss or displacements of an ensemble against the normalised time, on logarithmic axes.

    The line and the band end where the first run ends: after that there is no mean of all seeds.

    Parameters
    ----------
    ensemble : Ensemble
        The result of :func:`meanfield.ensemble`.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    of : {"loss", "rd_w", "rd_a"} or str, default "loss"
        What to draw.
    level : float, default 0.9
        Share of the seeds inside the band, or its level of confidence.
    band : {"seeds", "mean"}, default "seeds"
        "seeds": the central share of the seeds, around the median. "mean": the interval of the mean, around
        the mean (see :meth:`meanfield.experiments.Spread.band`).
    seeds : bool, default True
        Draw single seeds as thin lines, at most 50.
    label : str, optional
        Name of the line; by default "median" or "mean".
    legend : bool, optional
        Name what is drawn, which is the default: in a new figure above the axes, else in a legend.
    **kwargs
        Of :class:`matplotlib.lines.Line2D`, for the line; the band has its colour.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``seeds``, that of the line, and that of the band.

    Raises
    ------
    InputError
        For arguments that cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.ensemble(mf.datasets.four_points(), mf.Scaling.named("ntk"), 50, seeds=5, loss_tol=1e-2)
    >>> ax = mf.plotting.ensemble_curves(found)
    >>> ax.lines[0].get_label(), ax.collections[0].get_label()
    ('median', '90 % of the seeds')
    """
    instance("ensemble", ensemble, Ensemble, "meanfield.ensemble")
    curve: Curve = one_of("of", of, get_args(Curve))
    spread: Spread = getattr(ensemble, curve)
    later = ensemble.time > 0.0  # time zero has no place on a logarithmic axis
    if not later.any():
        raise InputError(
            "the ensemble holds no time after 0, so it has no curve; give later times to save_at"
        )
    named = explained(legend)
    time, shown = ensemble.time[later], Spread(spread.values[:, later])
    ax = new_axes("column", 2.2) if ax is None else ax
    entries = _draw(ax, time, shown, level, band, seeds=seeds, label=label, looks=kwargs)
    name_times(ax, name_loss(ensemble.problem) if curve == "loss" else _CURVES[curve])
    if named:
        key_outside(ax, entries, columns=_columns(entries), above=3.0)
    settle(ax)
    return ax


@styled
def ensemble_function(
    ensemble: Ensemble,
    ax: Axes | None = None,
    x: ArrayLike | None = None,
    *,
    level: float = 0.9,
    band: Band = "seeds",
    seeds: bool = True,
    label: str | None = None,
    legend: bool | None = None,
    **kwargs: Any,
) -> Axes:
    """Functions of one-dimensional inputs that an ensemble has learned, with the data.

    The axes are named after the columns of the data, as those of :func:`learned_function`.

    Parameters
    ----------
    ensemble : Ensemble
        The result of :func:`meanfield.ensemble`.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    x : array_like, shape (k,), optional
        Where to evaluate the functions; by default the range of the data and a little more.
    level, band, seeds, label, legend, **kwargs
        As in :func:`ensemble_curves`.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``seeds``, that of the line, that of the band, and ``data``.

    Raises
    ------
    InputError
        If inputs have several features, or for other arguments that cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.ensemble(mf.datasets.four_points(), mf.Scaling.named("ntk"), 50, seeds=5, loss_tol=1e-2)
    >>> ax = mf.plotting.ensemble_function(found, band="mean", level=0.95)
    >>> [line.get_label() for line in ax.lines if line.get_label()[0] != "_"]
    ['mean', 'seeds', 'data']
    """
    instance("ensemble", ensemble, Ensemble, "meanfield.ensemble")
    problem = ensemble.problem
    if problem.d_in != 1:
        raise InputError(f"functions are drawn for one feature, but the data have {problem.d_in}")
    named, at = explained(legend), inputs_of(problem, x)
    ax = new_axes("column", 2.3) if ax is None else ax
    entries = _draw(ax, at, ensemble.predict(at), level, band, seeds=seeds, label=label, looks=kwargs)
    (entries["data"],) = draw_data(ax, problem)
    data = problem.features[:, 0]
    view(ax, x=(min(at[0], data.min()), max(at[-1], data.max())))
    name_function(ax, problem)
    if named:
        key_outside(ax, entries, columns=_columns(entries), above=3.0)
    settle(ax)
    return ax


def _draw(
    ax: Axes,
    x: Array,
    spread: Spread,
    level: float,
    band: Band,
    *,
    seeds: bool,
    label: str | None,
    looks: dict[str, Any],
) -> dict[str, Any]:
    """Draw single seeds, the line of all and the band around it; return them by name."""
    one_of("band", band, BANDS)
    low, high = spread.band(level, of=band)
    of_mean = band == "mean"
    middle, name = (spread.mean, "mean") if of_mean else (spread.median, "median")
    name = name if label is None else text("label", label)
    meaning = f"{100 * level:g} % interval of the mean" if of_mean else f"{100 * level:g} % of the seeds"
    shown = spread.values[:_SEEDS] if flag("seeds", seeds) else spread.values[:0]
    (line,) = ax.plot(x, middle, **merged(Line2D, {"color": COLOURS[0], "zorder": 3.5, "label": name}, looks))
    colour = line.get_color()
    entries: dict[str, Any] = {name: line}
    entries[meaning] = ax.fill_between(x, low, high, color=colour, alpha=0.2, lw=0.0, zorder=2, label=meaning)
    for k, values in enumerate(shown):
        once = "seeds" if k == 0 else "_seeds"
        (one,) = ax.plot(x, values, color=colour, lw=0.4, alpha=0.35, zorder=2.5, label=once)
        entries.setdefault("seeds", one)
    return entries


def _columns(entries: Mapping[str, Any]) -> int:
    """Columns of a key: one row if it has room above the axes."""
    size = sum(len(name) + _HANDLE for name in entries)
    return len(entries) if size <= _LINE else 2
