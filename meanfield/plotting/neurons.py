"""Where neurons point: amplitudes against orientations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from meanfield.arguments import instance, text, with_article
from meanfield.errors import InputError
from meanfield.flow import Trajectory
from meanfield.nodes import kinks_of_samples
from meanfield.particles import Particles
from meanfield.plotting.colour_bars import bar_choice, colour_bar
from meanfield.plotting.guests import is_guest, name_axes, points, view
from meanfield.plotting.placing import Obstacles, PlacedText, explained, key_outside
from meanfield.plotting.style import (
    COLOURS,
    FADING,
    FAINT,
    SMALL,
    colour_map,
    merged,
    new_axes,
    settle,
    styled,
)
from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Neurons beyond which single dots would only make a blob.
_MANY = 10_000
#: Samples beyond which their kinks are drawn without names.
_NAMED = 12


@styled
def orientations(
    neurons: Trajectory | Particles,
    ax: Axes | None = None,
    *,
    problem: Problem | None = None,
    label: str | None = None,
    legend: bool | None = None,
    colorbar: bool | Axes = True,
    cmap: str | Colormap | None = None,
    key: bool | None = None,
    **kwargs: Any,
) -> Axes:
    """Amplitude ``|a_k| |w_k|`` against orientation ``atan2(b_k, w_k)``, for d = 2.

    Of a run, the initial neurons are faint and the final ones strong. Above 10 000 neurons the final
    ones are counted in hexagons. Thin lines mark the two orientations at which a neuron's kink sits on a
    sample (``w . x_i = 0``), if its activation has one: a group of neurons on such a line bends the function
    there.

    Parameters
    ----------
    neurons : Trajectory or Particles
        A run, or neurons at one time.
    ax : Axes, optional
        Where to draw, in the style that it has; by default a new figure of a column's width.
    problem : Problem, optional
        Data whose kinks are marked; by default those of the run.
    label : str, optional
        Name of the neurons in the legend; of a run, of its final ones.
    legend : bool, optional
        Explain the marks, which is the default if there are several kinds: in a new figure above the axes,
        else in a legend.
    colorbar : bool or Axes, default True
        Explain the shades of counted neurons: beside the axes, on axes of your own, or not at all.
    cmap : str or Colormap, optional
        Shades of counted neurons.
    key : bool, optional
        The older name of ``legend``.
    **kwargs
        For the final neurons: of :class:`matplotlib.lines.Line2D`, or of
        :meth:`matplotlib.axes.Axes.hexbin` where they are counted.

    Returns
    -------
    matplotlib.axes.Axes
        Its artists carry the labels ``initial``, ``final`` and ``kinks at the samples``.

    Raises
    ------
    InputError
        If neurons is something else, the input weights do not have two coordinates, or an option cannot be
        used.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> network = mf.Particles.sample(problem, mf.Scaling(gamma=1.75), width=20, rng=0)
    >>> ax = mf.plotting.orientations(network, problem=problem)
    >>> ax.get_xlim() == (-np.pi, np.pi)
    True
    """
    if isinstance(neurons, Trajectory):
        initial, final = neurons.initial, neurons.final
        problem = neurons.problem if problem is None else problem
    elif isinstance(neurons, Particles):
        initial, final = None, neurons
    else:
        raise InputError(f"neurons is {with_article(type(neurons))}; give a Trajectory or Particles")
    if problem is not None:
        instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    shades, colorbar = colour_map(cmap, FADING), bar_choice(colorbar)
    named = explained(legend, key)
    name = None if label is None else text("label", label)
    if final.d != 2 or (problem is not None and problem.d != 2):
        raise InputError(
            f"orientations are drawn for d = 2 (one feature and the bias), but here d = {final.d}"
            + (f", and {problem.d} in the problem" if problem is not None else "")
        )
    ax = new_axes("column", 2.3) if ax is None else ax
    counted = _draw_neurons(ax, initial, final, shades, kwargs)
    if counted is not None:
        colour_bar(ax, counted, colorbar, "final neurons per hexagon")
    top = 1.08 * max(float(p.amplitude.max()) for p in (initial, final) if p is not None)
    view(ax, x=(-math.pi, math.pi), y=(0.0, top if top > 0 else 1.0))
    ax.set_xticks([-math.pi, -math.pi / 2, 0.0, math.pi / 2, math.pi],
                  [r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"])  # fmt: skip
    name_axes(ax, r"orientation $\varphi$ (rad)", r"amplitude $|a|\,|w|$")
    if final.activation.slopes is None:
        problem = None  # nothing to mark: smooth activations have no kinks
    if problem is not None:
        _draw_kinks(ax, problem)
    if named:
        _explain(ax, initial is not None, problem is not None, name)
    settle(ax)
    return ax


def kink_angles(problem: Problem) -> Array:
    """The two orientations in (-pi, pi] at which a neuron's kink sits on each sample, shape (n, 2).

    nan for a sample at the origin, which has no kink.

    Examples
    --------
    >>> kink_angles(Problem([1.0], [1.0])).round(4)
    array([[-0.7854,  2.3562]])
    """
    return math.pi - (math.pi - kinks_of_samples(problem.x)) % (2 * math.pi)


def _draw_neurons(
    ax: Axes, initial: Particles | None, final: Particles, shades: Colormap, kwargs: Mapping[str, Any]
) -> PolyCollection | None:
    """Draw neurons as dots; those that are too many for that are counted, and what shows them is returned."""
    many = final.size > _MANY
    alpha = min(0.9, max(0.25, 60.0 / math.sqrt(final.size)))
    if initial is not None:
        ax.plot(
            initial.orientation, initial.amplitude, ls="none", marker="o", ms=1.2 if many else 2.0, mew=0,
            color="0.6", alpha=0.08 if many else 0.6 * alpha, rasterized=many, zorder=2, label="initial",
        )  # fmt: skip
    if many:
        top = max(float(final.amplitude.max()), 1e-300)
        looks: dict[str, Any] = {
            "gridsize": (90, 40), "extent": (-math.pi, math.pi, 0.0, top), "bins": "log", "mincnt": 1,
            "cmap": shades, "linewidths": 0.1, "zorder": 3, "label": "final",
        }  # fmt: skip
        return ax.hexbin(final.orientation, final.amplitude, **merged(PolyCollection, looks, kwargs))
    looks = {
        "ls": "none", "marker": "o", "ms": 2.6, "mew": 0, "color": COLOURS[0], "alpha": alpha, "zorder": 3,
        "label": "final",
    }  # fmt: skip
    ax.plot(final.orientation, final.amplitude, **merged(Line2D, looks, kwargs))
    return None


def _draw_kinks(ax: Axes, problem: Problem) -> None:
    """Mark the orientations whose kink sits on a sample, and name the samples where there is room."""
    assert ax.figure is not None
    angles = kink_angles(problem)
    marked = np.unique(angles[np.isfinite(angles)])
    ax.vlines(
        marked, 0.0, 1.0, transform=ax.get_xaxis_transform(), colors=FAINT, linewidths=0.5,
        zorder=1, label="kinks at the samples",
    )  # fmt: skip
    if problem.n > _NAMED:
        return
    obstacles = Obstacles(ax)
    guest = is_guest()  # above the axes of a user a title may stand
    away = (-1.5 if guest else 1.5) / 72
    above = ax.get_xaxis_transform() + ScaledTranslation(0.0, away, ax.figure.dpi_scale_trans)
    for i, pair in enumerate(angles):
        for angle in pair[np.isfinite(pair)]:
            name = PlacedText(
                f"$x_{{{i + 1}}}$", [(float(angle), 1.0, 0.0)], obstacles, transform=above,
                fontsize=points(SMALL), color="0.25", ha="center", va="top" if guest else "bottom",
            )  # fmt: skip
            ax.add_artist(name)
            name.set_clip_on(guest)
            name.set_in_layout(not guest)
            obstacles.texts.append(name)


def _explain(ax: Axes, run: bool, kinks: bool, name: str | None) -> None:
    """Key in a row above the axes, beyond the names of the samples."""
    if not (run or kinks or name):
        return  # a single kind of mark explains itself
    last = next(a for a in reversed([*ax.lines, *ax.collections]) if a.get_label() == "final")
    colour = last.get_color() if isinstance(last, Line2D) else COLOURS[0]
    entries: dict[str, Any] = {}
    if run:
        entries["initial"] = Line2D([], [], ls="none", marker="o", ms=3.0, mew=0, color="0.6")
    # Neurons at one time need not be the last ones.
    entries[name or ("final" if run else "neurons")] = Line2D(
        [], [], ls="none", marker="o", ms=3.0, mew=0, color=colour
    )
    if kinks:
        entries["kinks at the samples"] = Line2D([], [], color=FAINT, lw=0.5)
    key_outside(ax, entries, columns=3, above=11.0)
