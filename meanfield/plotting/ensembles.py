"""What many seeds do: their curves and learned functions, with a line for all and a band."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import flag, instance, one_of, text
from meanfield.errors import InputError
from meanfield.experiments import Ensemble, Spread
from meanfield.experiments.spread import BANDS, Band
from meanfield.plotting.curves import _inputs, draw_samples
from meanfield.plotting.guests import name_axes
from meanfield.plotting.placing import key_inside
from meanfield.plotting.style import COLOURS, new_axes, settle, styled

Array = NDArray[np.float64]

#: Curves that an ensemble has, with their labels.
_CURVES = {"loss": "loss $R$", "rd_w": r"$\mathrm{RD}_w$", "rd_a": r"$\mathrm{RD}_a$"}
#: Seeds that are drawn one by one at most: more are a cloud.
_SEEDS = 50


@styled
def ensemble_curves(
    ensemble: Ensemble,
    ax: Axes | None = None,
    *,
    of: str = "loss",
    level: float = 0.9,
    band: Band = "seeds",
    seeds: bool = True,
    label: str | None = None,
    legend: bool = True,
    **kwargs: Any,
) -> Axes:
    """Loss or displacements of an ensemble against the normalised time, on logarithmic axes.

    The line and the band end where the first run ends: after that there is no mean of all seeds.

    Parameters
    ----------
    ensemble : Ensemble
        The result of :func:`meanfield.ensemble`.
    ax : Axes, optional
        Where to draw; by default a new figure of a column's width.
    of : {"loss", "rd_w", "rd_a"}
        What to draw.
    level : float
        Share of the seeds inside the band, or its level of confidence.
    band : {"seeds", "mean"}
        "seeds": the central share of the seeds, around the median. "mean": the interval of the mean, around
        the mean (see :meth:`meanfield.experiments.Spread.band`).
    seeds : bool
        Draw single seeds as thin lines, at most 50.
    label : str, optional
        Name of the line; by default "median" or "mean".
    legend : bool
        Name what is drawn.
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
    >>> ax.lines[-1].get_label(), ax.collections[0].get_label()
    ('median', '90 % of the seeds')
    """
    instance("ensemble", ensemble, Ensemble, "meanfield.ensemble")
    spread: Spread = getattr(ensemble, one_of("of", of, _CURVES))
    later = ensemble.time > 0.0  # time zero has no place on a logarithmic axis
    if not later.any():
        raise InputError(
            "the ensemble holds no time after 0, so it has no curve; give later times to save_at"
        )
    time, shown = ensemble.time[later], Spread(spread.values[:, later])
    ax = new_axes("column", 2.2) if ax is None else ax
    drawn = _draw(ax, time, shown, level, band, seeds=seeds, label=label, looks=kwargs)
    ax.set(xscale="log", yscale="log")
    name_axes(ax, r"normalised time $\bar t$", _CURVES[of])
    low, high = ax.get_xlim()
    if high > 10 * low:
        ax.xaxis.set_minor_formatter(NullFormatter())
    if flag("legend", legend):
        key_inside(ax, {str(artist.get_label()): artist for artist in drawn})
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
    legend: bool = True,
    **kwargs: Any,
) -> Axes:
    """Functions of one-dimensional inputs that an ensemble has learned, with the data.

    Parameters
    ----------
    ensemble : Ensemble
        The result of :func:`meanfield.ensemble`.
    ax : Axes, optional
        Where to draw; by default a new figure of a column's width.
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
    >>> [line.get_label() for line in ax.lines][-2:]
    ['mean', 'data']
    """
    instance("ensemble", ensemble, Ensemble, "meanfield.ensemble")
    problem = ensemble.problem
    if problem.d_in != 1:
        raise InputError(f"functions are drawn for one feature, but the data have {problem.d_in}")
    at = _inputs(problem, x)
    ax = new_axes("column", 2.3) if ax is None else ax
    drawn = _draw(ax, at, ensemble.predict(at), level, band, seeds=seeds, label=label, looks=kwargs)
    drawn += draw_samples(ax, problem)
    if flag("legend", legend):
        key_inside(ax, {str(artist.get_label()): artist for artist in drawn})
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
) -> list[Artist]:
    """Draw single seeds, the line of all and the band around it; return one artist of each for a legend."""
    one_of("band", band, BANDS)
    low, high = spread.band(level, of=band)
    of_mean = band == "mean"
    middle, name = (spread.mean, "mean") if of_mean else (spread.median, "median")
    line: dict[str, Any] = {"color": COLOURS[0], "zorder": 3.5} | looks
    colour = line.get("c", line["color"])
    drawn: list[Artist] = []
    if flag("seeds", seeds):
        for k, values in enumerate(spread.values[:_SEEDS]):
            (one,) = ax.plot(x, values, color=colour, lw=0.4, alpha=0.35, zorder=2.5)
            if k == 0:
                one.set_label("seeds")
                drawn.append(one)
    meaning = f"{100 * level:g} % interval of the mean" if of_mean else f"{100 * level:g} % of the seeds"
    shade = ax.fill_between(x, low, high, color=colour, alpha=0.2, lw=0.0, zorder=2, label=meaning)
    return [*drawn, shade, *ax.plot(x, middle, label=name if label is None else text("label", label), **line)]
