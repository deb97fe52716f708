"""Loss and tangent kernel of a run against time, one above the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.flow import Trajectory
from meanfield.limits import Linearised
from meanfield.plotting.placing import key_outside
from meanfield.plotting.style import COLOURS, THEORY, WIDTHS, settle, styled

Array = NDArray[np.float64]

_HEIGHT, _RATIOS = 3.6, (1.5, 1.0, 1.0)
#: The kernel jumps where neurons reach or leave a sample: marks show what was seen of it.
_RUN: dict[str, Any] = {"color": COLOURS[0], "lw": 1.0, "marker": "o", "ms": 2.0, "mew": 0.0}
#: Points of the theory's curve.
_POINTS = 201


@styled
def loss_and_kernel(run: Trajectory) -> tuple[Axes, Axes, Axes]:
    """Loss, change of the tangent kernel and its alignment with the targets, sharing the time axis.

    Measured: lines through the saved states. Theory: dashed, the loss if the kernel stayed what it was at the
    start, ``e(tbar) = exp(-K(0) tbar / n) e(0)``, exact as the linear regime is approached.

    Parameters
    ----------
    run : Trajectory
        A run with ``save_parameters=True``.

    Returns
    -------
    tuple of three matplotlib.axes.Axes
        Their lines carry the labels ``loss``, ``theory: kernel of the start``, ``kernel change`` and
        ``kernel alignment``.

    Raises
    ------
    InputError
        If run is something else, took no step, or its parameters were not saved.

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
        raise InputError(f"run is a {type(run).__name__}; give a Trajectory")
    run = run.with_ends()
    if run.saved_a is None or len(run.time) < 2:
        raise InputError("the run holds no states between its ends; run again with save_parameters=True")
    seen = run.order_parameters()
    later = run.time > 0  # time zero has no place on a logarithmic axis
    at, loss = run.time[later], run.loss[later]
    figure = Figure(figsize=(WIDTHS["column"], _HEIGHT), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=_RATIOS)
    fine = np.geomspace(at[0], at[-1], _POINTS)
    shown = loss > 0
    top.plot(at[shown], loss[shown], label="loss", **_RUN)
    limits = (0.5 * float(loss[shown].min()), 2.0 * float(run.loss.max()))
    theory = linearised_loss(run, fine)
    inside = theory > limits[0]
    top.plot(
        fine[inside], theory[inside], color=THEORY, lw=1.0, ls=(0, (4, 2)),
        label="theory: kernel of the start",
    )  # fmt: skip
    top.set(xscale="log", yscale="log", ylim=limits, ylabel="loss $R$")
    moved = later & (seen.kernel_change > 0)
    middle.plot(run.time[moved], seen.kernel_change[moved], label="kernel change", **_RUN)
    middle.set(yscale="log", ylabel="kernel change")
    bottom.plot(at, seen.kernel_alignment[later], label="kernel alignment", **_RUN)
    bottom.set(ylim=(0.0, 1.0), ylabel="alignment", xlabel=r"normalised time $\bar t$")
    entries = {
        "run (saved states)": Line2D([], [], **_RUN),
        "theory: kernel of the start": Line2D([], [], color=THEORY, lw=1.0, ls=(0, (4, 2))),
    }
    key_outside(top, entries, columns=2, above=3.0)
    for ax in (top, middle, bottom):
        settle(ax)
    figure.align_ylabels((top, middle, bottom))
    return top, middle, bottom


def linearised_loss(run: Trajectory, time: Array) -> Array:
    """Loss at times tbar if the tangent kernel stayed what it is at the start, shape of ``time``."""
    linear = Linearised(run.problem, run.initial)
    return np.asarray(linear.loss(time))
