"""The times of a run: those that were asked for, and its start and end, which are always known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from meanfield.flow.trajectory import Trajectory

Array = NDArray[np.float64]
_Run = TypeVar("_Run", bound="Trajectory")

#: What a run records at each of its times.
RECORDED = ("time", "loss", "output", "rd_w", "rd_a")
#: What it may record besides.
OPTIONAL = ("saved_a", "saved_w", "margin")


@dataclass(frozen=True, eq=False)
class Moment:
    """A run at one time.

    Attributes
    ----------
    time : float
        Normalised time tbar.
    loss : float
        ``R = (1/n) sum_i l(f_i, y_i)``; of the mean square ``(1/2n) sum (f - y)**2``.
    output : ndarray, shape (n,)
        Network outputs on the samples.
    rd_w, rd_a : float
        Relative displacement of input and output weights.
    margin : float
        Normalised margin; nan for losses without labels.
    """

    time: float
    loss: float
    output: Array
    rd_w: float
    rd_a: float
    margin: float = math.nan

    @classmethod
    def of(cls, run: Trajectory, row: int) -> Moment:
        """A saved state of a run.

        Parameters
        ----------
        run : Trajectory
            The run.
        row : int
            Which of its saved times, counted from 0; negative from the end, as in NumPy.

        Returns
        -------
        Moment
        """
        loss, rd_w, rd_a = float(run.loss[row]), float(run.rd_w[row]), float(run.rd_a[row])
        margin = math.nan if run.margin is None else float(run.margin[row])
        return cls(float(run.time[row]), loss, run.output[row], rd_w, rd_a, margin)

    def __repr__(self) -> str:
        return (
            f"<Moment: tbar={self.time:.4g}, loss={self.loss:.3g}, rd_w={self.rd_w:.4g}, "
            f"rd_a={self.rd_a:.4g}>"
        )


def only(run: _Run, asked: Array) -> _Run:
    """A run with those of its saved times only that were asked for; its first and last are start and end."""
    rows = np.flatnonzero(np.isin(run.time, asked))
    whole = len(rows) > 0 and rows[0] == 0 and rows[-1] == len(run.time) - 1
    series: dict[str, Any] = {name: getattr(run, name)[rows] for name in RECORDED}
    for name in OPTIONAL:
        saved = getattr(run, name)
        series[name] = None if saved is None else saved[rows]
    if run.path is not None:
        last = len(run.time) - 2  # the path does not count the start
        series["path"] = run.path.at({row - 1 for row in rows.tolist() if row > 0} | ({last} - {-1}))
    return replace(
        run,
        **series,
        ends=None if whole else (Moment.of(run, 0), Moment.of(run, -1)),
        unreached=asked[asked > run.time[-1]],
    )


def with_ends(run: _Run) -> _Run:
    """The same run with its start and its end among the saved times."""
    if run.ends is None:
        return run
    missing = [not np.any(run.time == moment.time) for moment in run.ends]

    def joined(series: Array, first: object, last: object) -> Array:
        ends = [np.asarray(value)[None] for value in (first, last)]
        return np.concatenate([ends[0][: missing[0]], series, ends[1][: missing[1]]])

    start, end = run.ends
    series: dict[str, Any] = {
        name: joined(getattr(run, name), getattr(start, name), getattr(end, name)) for name in RECORDED
    }
    if run.margin is not None:
        series["margin"] = joined(run.margin, start.margin, end.margin)
    if run.saved_a is not None and run.saved_w is not None:
        series["saved_a"] = joined(run.saved_a, run.initial.a, run.final.a)
        series["saved_w"] = joined(run.saved_w, run.initial.w, run.final.w)
    return replace(run, **series, ends=None)


def first_time(time: Array, series: Array, value: float, name: str) -> float:
    """When a series first reached a value: fell to it (a loss) or rose to it; infinite if it has not.

    Linear between two times in their logarithm and that of a loss; an accuracy has no values between.
    """
    reached = np.flatnonzero(series <= value if name == "loss" else series >= value)
    if not reached.size:
        return math.inf
    k = int(reached[0])
    if k == 0 or name == "accuracy" or time[k] == time[k - 1]:
        return float(time[k])
    start, end = float(series[k - 1]), float(series[k])
    if name == "loss" and end > 0.0:
        start, end, value = math.log(start), math.log(end), math.log(value)
    share = (value - start) / (end - start)
    if time[k - 1] <= 0.0:
        return share * float(time[k])
    return math.exp(math.log(time[k - 1]) + share * math.log(time[k] / time[k - 1]))
