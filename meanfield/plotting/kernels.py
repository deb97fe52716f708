"""Loss and tangent kernel of a run against time, one above the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from meanfield.arguments import text, with_article
from meanfield.errors import InputError
from meanfield.flow import Trajectory
from meanfield.limits import Linearised
from meanfield.plotting.guests import is_guest, name_axes, view
from meanfield.plotting.placing import explained, key_outside
from meanfield.plotting.style import COLOURS, THEORY, WIDTHS, merged, new_figure, settle, styled
from meanfield.plotting.texts import name_loss

Array = NDArray[np.float64]

_HEIGHT, _RATIOS = 3.6, (1.5, 1.0, 1.0)
#: The kernel jumps where neurons reach or leave a sample: marks show what was seen of it.
_RUN: dict[str, Any] = {"color": COLOURS[0], "lw": 1.0, "marker": "o", "ms": 2.0, "mew": 0.0}
#: Points of the theory's curve.
_POINTS = 201


@styled
def loss_and_kernel(
    run: Trajectory,
    axes: Sequence[Axes] | None = None,
    *,
    label: str | None = None,
    legend: bool | None = None,
    **kwargs: Any,
) -> tuple[Axes, Axes, Axes]:
    """Loss, change of the tangent kernel and its alignment with the targets, sharing the time axis.

    Measured: lines through the saved states. Theory: dashed, the loss if the kernel stayed what it was at the
    start, ``e(tbar) = exp(-K(0) tbar / n) e(0)``, exact as the linear regime is approached.

    Parameters
    ----------
    run : Trajectory
        A run with ``save_parameters=True``.
    axes : sequence of three Axes, optional
        Where to draw, in the style that they have; by default a new figure of a column's width.
    label : str, optional
        Name of the run in the legend.
    legend : bool, optional
        Explain the lines, which is the default: in a new figure above the axes, else in a legend.
    **kwargs
        Of :class:`matplotlib.lines.Line2D`, for the run.

    Returns
    -------
    tuple of three matplotlib.axes.Axes
        Their lines carry the labels ``loss``, ``theory: kernel of the start`` (of the mean square only),
        ``kernel change`` and ``kernel alignment``.

    Raises
    ------
    InputError
        If run is something else, took no step, its parameters were not saved, or an option cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=20, rng=0)
    >>> axes = loss_and_kernel(mf.gradient_flow(problem, network, loss_tol=1e-3, save_parameters=True))
    >>> [ax.get_ylabel() for ax in axes]
    ['loss $R$', 'kernel change', 'alignment']
    """
    if not isinstance(run, Trajectory):
        raise InputError(f"run is {with_article(type(run))}; give a Trajectory")
    run = run.with_ends()
    if run.saved_a is None or len(run.time) < 2:
        raise InputError("the run holds no states between its ends; run again with save_parameters=True")
    if axes is not None and len(axes) != 3:
        raise InputError(f"axes holds {len(axes)} Axes; give three, for loss, kernel change and alignment")
    named, name = explained(legend), "run (saved states)" if label is None else text("label", label)
    looks = merged(Line2D, _RUN, kwargs)
    seen = run.order_parameters()
    later = run.time > 0  # time zero has no place on a logarithmic axis
    at, loss = run.time[later], run.loss[later]
    if axes is None:
        figure = new_figure(WIDTHS["column"], _HEIGHT)
        axes = figure.subplots(3, 1, sharex=True, height_ratios=_RATIOS)
    top, middle, bottom = axes
    fine = np.geomspace(at[0], at[-1], _POINTS)
    shown = loss > 0
    top.plot(at[shown], loss[shown], **({"label": "loss"} | looks))
    limits = (0.5 * float(loss[shown].min()), 2.0 * float(run.loss.max()))
    if run.problem.loss_function.quadratic:
        theory = linearised_loss(run, fine)
        inside = theory > limits[0]
        top.plot(
            fine[inside], theory[inside], color=THEORY, lw=1.0, ls=(0, (4, 2)),
            label="theory: kernel of the start",
        )  # fmt: skip
    for ax in axes:
        ax.set_xscale("log")
    top.set_yscale("log")
    view(top, y=limits)
    name_axes(top, y=name_loss(run.problem))
    moved = later & (seen.kernel_change > 0)
    middle.plot(run.time[moved], seen.kernel_change[moved], **({"label": "kernel change"} | looks))
    middle.set_yscale("log")
    name_axes(middle, y="kernel change")
    bottom.plot(at, seen.kernel_alignment[later], **({"label": "kernel alignment"} | looks))
    view(bottom, y=(0.0, 1.0))
    name_axes(bottom, r"normalised time $\bar t$", "alignment")
    entries = {
        name: Line2D([], [], **looks),
        "theory: kernel of the start": Line2D([], [], color=THEORY, lw=1.0, ls=(0, (4, 2))),
    }
    if named:
        key_outside(top, entries, columns=2, above=3.0)
    for ax in axes:
        settle(ax)
    if not is_guest():
        figure.align_ylabels(axes)
    return top, middle, bottom


def linearised_loss(run: Trajectory, time: Array) -> Array:
    """Loss at times tbar if the tangent kernel stayed what it is at the start, shape of ``time``."""
    linear = Linearised(run.problem, run.initial)
    return np.asarray(linear.loss(time))
