"""Finite networks beside their limit, at the same physical times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.arguments import instance, level, real_array, shown
from meanfield.errors import InputError
from meanfield.exporting import dataset, frame
from meanfield.flow import Trajectory
from meanfield.particles import Particles

if TYPE_CHECKING:
    import pandas
    import xarray

Array = NDArray[np.float64]

#: Bins of the orientations' histogram.
_BINS = 36


@dataclass(frozen=True, eq=False)
class Comparison:
    """A run beside its limit.

    Attributes
    ----------
    width : float
        Of the run.
    time : ndarray, shape (T,)
        The run's saved times tbar that the limit reaches, without 0.
    loss, limit_loss : ndarray, shape (T,)
        Losses, in the units of ``problem.y``.
    output_deviation : ndarray, shape (T,)
        Root mean square over the samples of the difference of the outputs, in the units of the user's
        targets.
    expected_scatter : float
        Scale of that deviation by the law of large numbers: the standard deviation of a Monte-Carlo mean of
        the neurons' contributions at the end of the limit, over the samples. The networks' dynamics adds a
        factor of order one, which stays as m grows. In the same units.
    rd_w, rd_a : float
        Ratios of the largest displacements, run over limit.
    orientations, limit_orientations : ndarray, shape (36,)
        Share of the amplitude in equal bins of atan2(b, w) at the end, for d = 2; else empty, and so for
        particles that were reduced to a line.
    """

    width: float
    time: Array
    loss: Array
    limit_loss: Array
    output_deviation: Array
    expected_scatter: float
    rd_w: float
    rd_a: float
    orientations: Array
    limit_orientations: Array

    @property
    def largest_deviation(self) -> float:
        """Largest deviation of the outputs along the run."""
        return float(self.output_deviation.max())

    @property
    def mean_deviation(self) -> float:
        """Root mean square of the deviations over the run's saved times."""
        return float(np.sqrt(np.mean(self.output_deviation**2)))

    def to_pandas(self) -> pandas.DataFrame:
        """The series as a table of pandas over time.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return frame(self._series(), {"time": self.time}, self._attributes())

    def to_xarray(self) -> xarray.Dataset:
        """The series as a data set over time, the histograms of orientations over their angles.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        variables: dict[str, Any] = {name: ("time", series) for name, series in self._series().items()}
        coordinates: dict[str, Any] = {"time": self.time}
        if len(self.orientations):
            coordinates["angle"] = (np.arange(_BINS) + 0.5) * (2.0 * math.pi / _BINS) - math.pi
            variables["share"] = ("angle", self.orientations)
            variables["limit_share"] = ("angle", self.limit_orientations)
        return dataset(variables, coordinates, self._attributes())

    def _series(self) -> dict[str, Array]:
        return {
            "loss": self.loss, "limit_loss": self.limit_loss, "output_deviation": self.output_deviation,
        }  # fmt: skip

    def _attributes(self) -> dict[str, Any]:
        return {
            "width": self.width,
            "expected_scatter": self.expected_scatter,
            "rd_w_over_limit": self.rd_w,
            "rd_a_over_limit": self.rd_a,
        }

    def _repr_html_(self) -> str:
        rows = {
            "width": self.width,
            "times": len(self.time),
            "largest deviation of outputs": self.largest_deviation,
            "expected scatter": self.expected_scatter,
            "RD_w, run over limit": self.rd_w,
            "RD_a, run over limit": self.rd_a,
        }
        return displays.card("Run beside its limit", rows)

    def __repr__(self) -> str:
        return (
            f"<Comparison: width={self.width:g}, {len(self.time)} times, largest deviation "
            f"{self.largest_deviation:.3g}, expected scatter {self.expected_scatter:.3g}>"
        )


def compare(run: Trajectory, limit: Trajectory) -> Comparison:
    """Compare a finite network's run with the limit at the same normalised times.

    Parameters
    ----------
    run : Trajectory
        A run of a finite network.
    limit : Trajectory
        The limit, of the same problem, kappa and kappa_prime (a limit at the run's own width: then
        what differs is sampling noise only). Between its saved times outputs are interpolated
        monotonically in log t.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If the problems or scales differ, the runs share no times, or only the run has twins.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem, scaling = mf.datasets.four_points(), mf.Scaling.named("mean-field")
    >>> run = mf.gradient_flow(problem, mf.Particles.sample(problem, scaling, 1000, rng=0))
    >>> limit = mf.infinite_width(problem, scaling, width=1000, nodes=512)
    >>> result = mf.limits.compare(run, limit)
    >>> bool(result.largest_deviation < 5 * result.expected_scatter)
    True
    """
    for name, given in (("run", run), ("limit", limit)):
        instance(name, given, Trajectory, "gradient_flow or infinite_width")
    if not run.problem.same_as(limit.problem):
        raise InputError(
            "run and limit are on different data or in different units; give a limit of the run's own problem"
        )
    for name in ("kappa", "kappa_prime"):
        one, other = getattr(run.initial, name), getattr(limit.initial, name)
        if not math.isclose(one, other, rel_tol=1e-9):
            raise InputError(
                f"{name} is {one:g} in the run and {other:g} in the limit; give both one scaling and width"
            )
    if run.initial.activation != limit.initial.activation:
        raise InputError(
            f"the activation is {run.initial.activation.name} in the run and {limit.initial.activation.name} "
            "in the limit; give a run of the limit's own"
        )
    if run.initial.rates != limit.initial.rates or run.initial.minus is not None:
        raise InputError(
            "the run's layers learn at other rates than the limit's, or its output is less that of another "
            "network; give a run without trained() and centred()"
        )
    shared = (run.time > 0.0) & (run.time <= limit.end.time)
    if not shared.any():
        raise InputError("the runs share no times after 0; save more of them with save_at")
    if run.initial.antisymmetric and not limit.initial.antisymmetric:
        raise InputError(
            "the run's neurons are pairs of twins and the limit's are not; give a limit from infinite_width"
        )
    unit = run.problem.target_scale
    difference = unit * (run.output[shared] - outputs_at(limit, run.time[shared]))
    with_angles = all(p.d == p.w.shape[1] == 2 for p in (run.final, limit.final))
    return Comparison(
        width=run.initial.width,
        time=run.time[shared],
        loss=run.loss[shared],
        limit_loss=np.array([run.problem.loss(f) for f in outputs_at(limit, run.time[shared])]),
        output_deviation=np.sqrt(np.mean(difference**2, axis=1)),
        expected_scatter=unit * _scatter(run.initial, limit),
        rd_w=run.stats.rd_w_max / limit.stats.rd_w_max,
        rd_a=run.stats.rd_a_max / limit.stats.rd_a_max,
        orientations=_histogram(run.final) if with_angles else np.zeros(0),
        limit_orientations=_histogram(limit.final) if with_angles else np.zeros(0),
    )


@dataclass(frozen=True)
class Rate:
    """Rate of convergence: the power of m in a deviation, with its interval.

    Attributes
    ----------
    value, low, high : float
        Slope of log deviation against log m and its confidence interval.
    """

    value: float
    low: float
    high: float


def convergence_rate(widths: ArrayLike, deviations: ArrayLike, *, confidence: float = 0.95) -> Rate:
    """Fit the power of m with which deviations from the limit fall.

    Parameters
    ----------
    widths : array_like, shape (W,)
    deviations : array_like, shape (W, S)
        Of S networks at each width, those of a column from one seed; the root mean square at each width is
        fitted. The interval is Student's with the jackknife's error: it leaves out one seed at a time, at
        all widths, so that nested draws may depend on each other.
    confidence : float, default 0.95
        Level of the interval.

    Raises
    ------
    InputError
        If shapes do not match, or there are fewer than three widths or two seeds.

    Examples
    --------
    >>> rate = convergence_rate([10, 100, 1000], [[0.31, 0.29], [0.1, 0.11], [0.032, 0.03]])
    >>> round(rate.value, 2)
    -0.49
    """
    from scipy import stats

    m, values = real_array("widths", widths), real_array("deviations", deviations)
    confidence = level(confidence)
    if m.ndim != 1 or len(m) < 3 or values.ndim != 2 or len(values) != len(m) or values.shape[1] < 2:
        raise InputError(
            f"widths has shape {m.shape} and deviations {values.shape}; give (W,) and (W, S) with W >= 3 "
            "and S >= 2"
        )
    if not (np.all(m > 0.0) and np.all(np.sum(values != 0.0, axis=1) >= 2)):
        raise InputError("widths holds numbers <= 0, or deviations hardly any others; give positive numbers")
    x = np.log(m) - np.log(m).mean()
    squares, seeds = values**2, values.shape[1]
    without = (squares.sum(axis=1, keepdims=True) - squares) / (seeds - 1)
    slope = float(x @ (0.5 * np.log(squares.mean(axis=1))) / (x @ x))
    left_out = x @ (0.5 * np.log(without)) / (x @ x)
    error = math.sqrt((seeds - 1) / seeds * float(np.sum((left_out - left_out.mean()) ** 2)))
    half = float(stats.t.ppf(0.5 + confidence / 2, seeds - 1)) * error
    return Rate(slope, slope - half, slope + half)


def mean_run(runs: Sequence[Trajectory], at: ArrayLike) -> tuple[Array, Array]:
    """Mean and standard deviation of log10 losses of several runs at given times, both (T,).

    Parameters
    ----------
    runs : sequence of Trajectory
        Runs on the same problem.
    at : array_like, shape (T,)
        Times (tbar).

    Returns
    -------
    mean, deviation : ndarray, shape (T,)
        Of log10 of the loss.
    """
    if not (isinstance(runs, Sequence) and runs and all(isinstance(run, Trajectory) for run in runs)):
        raise InputError(f"runs is {shown(runs)}; give a list of at least one Trajectory")
    times = np.atleast_1d(real_array("at", at))
    if times.ndim != 1 or np.any(times <= 0.0):
        raise InputError(f"at is {shown(at)}; give times tbar > 0")
    losses = np.array([[run.problem.loss(f) for f in outputs_at(run, times)] for run in runs])
    logs = np.log10(np.maximum(losses, np.finfo(np.float64).tiny))
    return logs.mean(axis=0), logs.std(axis=0, ddof=1) if len(runs) > 1 else np.zeros(len(times))


def outputs_at(run: Trajectory, times: Array) -> Array:
    """Outputs at any times of a run, shape (T, n): exact at saved times, PCHIP in log t between."""
    run = run.with_ends()
    from scipy.interpolate import PchipInterpolator

    known = run.time[1:]
    if len(known) < 2:  # nothing to interpolate between: in proportion to time, up to the only one
        share = np.minimum(times / known[0], 1.0) if len(known) else np.zeros(len(times))
        return np.asarray(run.output[0] + share[:, None] * (run.output[-1] - run.output[0]))
    smooth = PchipInterpolator(np.log(known), run.output[1:], axis=0)
    inside = np.clip(times, known[0], known[-1])
    outputs = np.asarray(smooth(np.log(inside)))
    # Before the first saved time outputs grow in proportion to time.
    early = times < known[0]
    share = (times[early] / known[0])[:, None]
    outputs[early] = run.output[0] + share * (run.output[1] - run.output[0])
    return outputs


def _scatter(network: Particles, limit: Trajectory) -> float:
    """Standard deviation of the sum over m random neurons; a pair of twins is one draw.

    What a neuron gives is homogeneous of degree two in where it started: that of its direction times its
    squared radius, whose mean square over Gaussian neurons in D = 1 + rank dimensions is D (D + 2). Nodes
    of a limit have the mean, D, which is right for means, not for squares.
    """
    start, end, draws = limit.initial, limit.final, network.width
    z = np.maximum(end.preactivations(limit.problem.x), 0.0) * end.a[:, None]
    square, D = start.a**2 + np.sum(start.coordinates(limit.problem) ** 2, axis=1), 1 + limit.problem.rank
    spread, weight = D * (D + 2) / np.where(square > 0.0, square, math.inf) ** 2, end.weight
    if network.antisymmetric:
        z, spread, weight = 0.5 * (z[0::2] + z[1::2]), spread[0::2], weight[0::2] + weight[1::2]
        draws *= 0.5
    share = weight / end.width
    variance = (share * spread) @ z**2 - (share @ z) ** 2
    return float(network.width * network.kappa * math.sqrt(max(float(np.mean(variance)), 0.0) / draws))


def _histogram(particles: Particles) -> Array:
    amplitude = particles.weight * particles.amplitude
    counts, _ = np.histogram(particles.orientation, bins=_BINS, range=(-math.pi, math.pi), weights=amplitude)
    return np.asarray(counts / amplitude.sum())
