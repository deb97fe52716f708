"""The result of a run: times, losses, outputs, displacements, and the network at both ends."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.activations import Activation
from meanfield.arguments import check_types, number, over_times, shown
from meanfield.errors import InputError
from meanfield.exporting import dataset, frame
from meanfield.flow.method import EventCounts
from meanfield.flow.moments import OPTIONAL, Moment, first_time, only, with_ends
from meanfield.flow.order_parameters import OrderParameters, order_parameters
from meanfield.flow.replay import ResidualPath
from meanfield.flow.saved import (
    KINDS,
    SERIES,
    ActivationError,
    asked_times,
    check_outputs,
    check_series,
    final_particles,
    kept_target,
    read_archive,
    with_activation,
    write_archive,
)
from meanfield.flow.status import Status
from meanfield.flow.target import LossTarget
from meanfield.particles import Particles, Span
from meanfield.problem import Problem

if TYPE_CHECKING:
    import pandas
    import xarray

Result = TypeVar("Result")
#: Makes a result of what its file says of it and of the file's arrays.
Reader: TypeAlias = Callable[[dict[str, Any], dict[str, Any]], Result]


@dataclass(frozen=True)
class Stats:
    """What a run cost and how far it can be trusted.

    In a run that went on from another one, counts and times are of both together; ``method``, ``rtol`` and
    ``atol`` are those of the last part.

    Attributes
    ----------
    method : str
        Name of the method of integration.
    rtol, atol : float
        Tolerances (nan for gradient descent).
    steps, rejected : int
        Accepted and rejected steps.
    passes : int
        Passes over all particles, the unit of cost: two for a right-hand side of ReLUs, one for any other
        activation (a sweep, forward and backward).
    seconds : float
        Wall time.
    rd_w_max, rd_a_max : float
        Supremum of RD_w and RD_a over all steps, not only the saved ones.
    conservation_drift : float
        Largest mean change of ``p**2 - |q|**2`` over the mean of ``p**2 + |q|**2``; 0 for the exact flow.
    energy_drift : float
        Sum over the steps of how much the fall of the loss differed from the energy that the particles
        gave off, over the initial loss; 0 for the exact flow. The residual method holds its mean over
        half a step: this is how coarse that was. nan for methods that do not know it.
    capacity : float
        Largest ratio of an output to its bound by the weights' norms; at most 1 for the exact flow.
    events : EventCounts
        What happened at kinks (zeros for methods that do not see them).
    next_step : float
        The step (tbar) that would have been tried next, with which a run goes on; nan where it is not known.
    """

    method: str
    rtol: float
    atol: float
    steps: int
    rejected: int
    passes: int
    seconds: float
    rd_w_max: float
    rd_a_max: float
    conservation_drift: float
    energy_drift: float
    capacity: float
    events: EventCounts = field(default_factory=EventCounts)
    next_step: float = math.nan

    def after(self, before: Stats) -> Stats:
        """Statistics of a run that went on from another one, for both together.

        Parameters
        ----------
        before : Stats
            Those of the run that went before.

        Returns
        -------
        Stats
        """
        return replace(
            self,
            steps=before.steps + self.steps,
            rejected=before.rejected + self.rejected,
            passes=before.passes + self.passes,
            seconds=before.seconds + self.seconds,
            rd_w_max=max(before.rd_w_max, self.rd_w_max),
            rd_a_max=max(before.rd_a_max, self.rd_a_max),
            conservation_drift=max(before.conservation_drift, self.conservation_drift),
            energy_drift=before.energy_drift + self.energy_drift,
            capacity=max(before.capacity, self.capacity),
            events=before.events + self.events,
        )


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A run of gradient flow (or descent) at its saved times.

    Attributes
    ----------
    problem : Problem
        The data.
    time : ndarray, shape (T,)
        Saved times in units of ``time_unit``: those of ``save_at`` that the run has reached, and no others;
        without ``save_at`` the first is 0 and the last the end.
    loss : ndarray, shape (T,)
        ``R = (1/n) sum_i l(f_i, y_i)`` of the problem's loss; of the mean square ``(1/2n) sum (f - y)**2``,
        in the units of ``problem.y``.
    output : ndarray, shape (T, n)
        Network outputs on the samples, in the units of ``problem.y``; ``problem.to_target_units(run.output)``
        has them in the user's, if targets were standardised.
    rd_w, rd_a : ndarray, shape (T,)
        Relative displacement of input and output weights.
    initial, final : Particles
        The network at the start and at the end.
    status : Status
        Why the run stopped; ``status.remedy`` says what to do.
    stats : Stats
        Cost and reliability.
    saved_a, saved_w : ndarray, shapes (T, N) and (T, N, d), or None
        Parameters at the saved times, if they were asked for.
    time_unit : str
        ``"tbar"``, the normalised time ``t / (beta1 beta2)``.
    path : ResidualPath or None
        What particles felt in each step, if it was asked for; not kept in files.
    loss_target : LossTarget or None
        The loss at which the run was to end, and the tolerance that asked for it; None if that rule was off,
        and for files of earlier versions, which do not know it.
    ends : tuple of Moment, or None
        Start and end of the run where ``save_at`` left one of them out; None where they are the first and
        the last saved state. :attr:`start` and :attr:`end` are there in both cases.
    unreached : ndarray, shape (U,)
        Times of ``save_at`` after the end of the run: it stopped before, ``status`` says why.
    margin : ndarray, shape (T,), or None
        For losses with labels the margin of the function, normalised as in Chizat and Bach (2020)::

            min_i y_i f(x_i) / ((1/alpha) sum_k (a_k**2 + |w_k|**2))

        with a, w and alpha in the user's own parameters (theirs are alpha = m), all d coordinates of w
        counted: a bound on the variation norm of f. It is positive once every sample is classified. For
        activations that are homogeneous of degree one it does not depend on how large the weights are, nor on
        alpha, beta1 and beta2, is at most half of the least ``|x_i|`` (bias included), and has its unit.
    """

    problem: Problem
    time: NDArray[np.float64]
    loss: NDArray[np.float64]
    output: NDArray[np.float64]
    rd_w: NDArray[np.float64]
    rd_a: NDArray[np.float64]
    initial: Particles
    final: Particles
    status: Status
    stats: Stats
    saved_a: NDArray[np.float64] | None = None
    saved_w: NDArray[np.float64] | None = None
    time_unit: str = "tbar"
    path: ResidualPath | None = None
    loss_target: LossTarget | None = None
    ends: tuple[Moment, Moment] | None = None
    unreached: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    margin: NDArray[np.float64] | None = None

    #: What files say that they hold.
    _KIND = "run"

    @property
    def converged(self) -> bool:
        """Whether the run ended where it was meant to (loss_target, t_end or the user's rule)."""
        return self.status.converged

    @property
    def start(self) -> Moment:
        """The run at time 0, whether or not ``save_at`` asked for it."""
        return Moment.of(self, 0) if self.ends is None else self.ends[0]

    @property
    def end(self) -> Moment:
        """The run at its end, whether or not ``save_at`` asked for it."""
        return Moment.of(self, -1) if self.ends is None else self.ends[1]

    @property
    def accuracy(self) -> NDArray[np.float64] | None:
        """Share of the samples on the right side at the saved times, shape (T,).

        None for losses without labels. An output of zero counts as wrong.
        """
        if not self.problem.loss_function.labels:
            return None
        return np.array([self.problem.accuracy(output) for output in self.output])

    def when(
        self, *, loss: float | None = None, accuracy: float | None = None, margin: float | None = None
    ) -> float:
        """The time at which the run first reached a loss, an accuracy or a margin.

        Parameters
        ----------
        loss : float, optional
            A loss R.
        accuracy : float, optional
            A share of the samples that are classified: of the saved times the first at which it is reached.
        margin : float, optional
            A normalised margin, see :attr:`margin`.

        Returns
        -------
        float
            In units of ``time_unit``, interpolated between saved states: of a loss linearly in log R over
            log t, of a margin in the margin over log t. Infinite if the run has not reached it.

        Raises
        ------
        InputError
            Unless one of them is given, or for an accuracy or margin of a loss without labels.

        Examples
        --------
        >>> import meanfield as mf
        >>> problem = mf.datasets.four_points()
        >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=1000, rng=0)
        >>> run = mf.gradient_flow(problem, network)
        >>> bool(0.0 < run.when(loss=1e-2) < run.when(loss=1e-3) < run.end.time), run.when(loss=1e-30)
        (True, inf)
        """
        wanted = {"loss": loss, "accuracy": accuracy, "margin": margin}
        given = [name for name, value in wanted.items() if value is not None]
        if len(given) != 1:
            raise InputError(
                f"when is asked for {' and '.join(given) or 'nothing'}; give one of {', '.join(wanted)}"
            )
        value = number(given[0], wanted[given[0]])
        series = getattr(self.with_ends(), given[0])
        if series is None:
            raise InputError(
                f"{given[0]} is for losses with labels, but that of the run is "
                f"{self.problem.loss_function.name}; give loss="
            )
        return first_time(self.with_ends().time, series, value, given[0])

    def with_ends(self) -> Self:
        """The same run with its start and its end among the saved times.

        Examples
        --------
        >>> import meanfield as mf
        >>> problem = mf.datasets.four_points()
        >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=20, rng=0)
        >>> run = mf.gradient_flow(problem, network, save_at=[1.0, 2.0], t_end=3.0)
        >>> run.time, run.with_ends().time
        (array([1., 2.]), array([0., 1., 2., 3.]))
        """
        return with_ends(self)

    def particles(self, at: float | None = None) -> Particles:
        """The network at the end, or at a saved time.

        Parameters
        ----------
        at : float, optional
            A time (tbar): 0, the end, or one of :attr:`time`; the latter needs ``save_parameters=True`` in
            the run. By default the end.

        Returns
        -------
        Particles

        Raises
        ------
        InputError
            If parameters were not saved, or not at this time.
        """
        if at is None:
            return self.final
        run = self.with_ends()
        index = run._row(at)
        if index == len(run.time) - 1:
            return self.final
        if index == 0:
            return self.initial
        if run.saved_a is None or run.saved_w is None:
            raise InputError("parameters were not saved along this run; run again with save_parameters=True")
        return self.initial.moved(run.saved_a[index], run.saved_w[index])

    def _row(self, at: float) -> int:
        """The index of a saved time."""
        at = number("at", at, "one of run.time")
        index = int(np.argmin(np.abs(self.time - at)))
        if not np.isclose(self.time[index], at, rtol=1e-9, atol=0.0):
            raise InputError(
                f"nothing was saved at time {at:g} (the closest is {self.time[index]:.9g}); "
                "give one of run.time, or run again with save_at"
            )
        return index

    def predict(self, x: ArrayLike, at: ArrayLike | None = None) -> NDArray[np.float64]:
        """The learned function on new inputs.

        Parameters
        ----------
        x : array_like or data frame, shape (k,) or (k, d_in)
            Inputs in the user's units, without a bias column; columns of a data frame in any order.
        at : float or array_like, shape (S,), optional
            A saved time (tbar), or several; by default the end.

        Returns
        -------
        ndarray, shape (k,) or (S, k)
            In the units of the user's targets.

        Examples
        --------
        >>> import meanfield as mf
        >>> problem = mf.Problem([280.0, 300.0, 320.0], [5.0, 9.0, 7.0], standardise=True)
        >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=500, rng=0)
        >>> mf.gradient_flow(problem, network).predict([300.0]).round(2)
        array([9.])
        """
        points = self.problem.with_bias(x)
        if at is None:
            return self.problem.to_target_units(self.final.output(points))
        run = self.with_ends()
        output = np.asarray(over_times("at", at, lambda t: run.particles(t).output(points)))
        return self.problem.to_target_units(output)

    def order_parameters(self) -> OrderParameters:
        """Kernel change and alignment, effective orientations, dead and pinned neurons at the saved states.

        With ``save_parameters=True`` at all of :attr:`time`, otherwise at both ends of the run.

        Examples
        --------
        >>> import meanfield as mf
        >>> problem = mf.datasets.four_points()
        >>> network = mf.Particles.sample(problem, mf.Scaling(gamma=1.75), width=100, rng=0)
        >>> run = mf.gradient_flow(problem, network, save_parameters=True)
        >>> seen = run.order_parameters()
        >>> bool(seen.kernel_change[-1] > 1.0), bool(seen.orientations[-1] < 0.5 * seen.orientations[0])
        (True, True)
        """
        every = self.saved_a is not None and self.saved_w is not None
        run = self.with_ends()  # changes count from the start
        times = run.time if every else run.time[[0, -1]]
        seen = order_parameters(self.problem, [run.particles(float(t)) for t in times], times)
        return seen._at(self.time) if every else seen

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the run to an NPZ file (no pickle inside) and return its path.

        Parameters
        ----------
        path : path-like
            Where to write; ``.npz`` is appended if missing. An existing file is replaced only once
            the new one is complete.
        """
        whole = self.with_ends()
        meta = {
            "kind": self._KIND,
            "problem": self.problem.described(),
            "kappa": self.initial.kappa,
            "kappa_prime": self.initial.kappa_prime,
            "activation": self.initial.activation.name,
            "beta2": self.initial.beta2,
            "rates": self.initial.rates,
            "status": self.status.name,
            "stats": asdict(self.stats),
            "time_unit": self.time_unit,
            "loss_target": None if self.loss_target is None else asdict(self.loss_target),
        }
        arrays = {name: getattr(whole, name) for name in SERIES} | self._own_arrays()
        if self.ends is not None or len(self.unreached):
            arrays["asked"] = np.append(self.time, self.unreached)
        x = self.problem.x[:, : self.problem.d_in]
        arrays |= {"x": x, "y": self.problem.y, "weight": self.initial.weight}
        arrays |= {"a0": self.initial.a, "w0": self.initial.w, "a1": self.final.a, "w1": self.final.w}
        if self.initial.minus is not None:
            arrays |= {"minus_a": self.initial.minus.a, "minus_w": self.initial.minus.w}
        if self.initial.span is not None:
            arrays |= {"basis": self.initial.span.basis, "outside": self.initial.span.outside}
        arrays |= {name: getattr(whole, name) for name in OPTIONAL if getattr(whole, name) is not None}
        return write_archive(path, meta, arrays, "the run")

    def _own_arrays(self) -> dict[str, NDArray[Any]]:
        """What a subclass keeps besides."""
        return {}

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, activation: Activation | None = None) -> Trajectory:
        """Read a result of this kind, written by :meth:`save`; :func:`meanfield.load` reads any kind.

        Parameters
        ----------
        path : path-like
            The file that :meth:`save` wrote.
        activation : Activation, optional
            Needed where the activation is the user's own: a file knows its name and no more. It has to make
            the outputs that were saved.

        Returns
        -------
        Trajectory

        Raises
        ------
        InputError
            If the file is missing, damaged or something else, or the activation is needed, or another one.
        """
        return load_saved(path, {cls._KIND: cls._from_file}, activation)

    @classmethod
    def _from_file(cls, meta: dict[str, Any], arrays: dict[str, NDArray[np.float64]]) -> Trajectory:
        if type(meta["time_unit"]) is not str:
            raise InputError(f"its time_unit is {shown(meta['time_unit'])}")
        problem = Problem.restored(arrays["x"], arrays["y"], meta["problem"])
        scales = {name: meta[name] for name in ("kappa", "kappa_prime", "activation", "beta2")}
        scales["weight"] = arrays["weight"]
        initial, status = Particles.from_arrays(arrays["a0"], arrays["w0"], **scales), Status[meta["status"]]
        initial = initial.trained(**dict(zip(("a", "w"), meta.get("rates", (1.0, 1.0)), strict=True)))
        final = final_particles(initial, arrays["a1"], arrays["w1"], status)
        stats = Stats(**{**meta["stats"], "events": EventCounts(**meta["stats"]["events"])})
        check_types(stats)
        check_types(stats.events)
        if "basis" in arrays:
            span = Span(arrays["basis"], arrays["outside"])
            if span.basis.shape != problem.basis.shape or span.outside.shape != (initial.size,):
                raise InputError(f"its span has shapes {span.basis.shape} and {span.outside.shape}")
            initial, final = replace(initial, span=span), replace(final, span=span)
        if "minus_a" in arrays:
            minus = final_particles(initial, arrays["minus_a"], arrays["minus_w"], status)
            initial, final = replace(initial, minus=minus), replace(final, minus=minus)
        check_series(arrays, shape=problem.y.shape, initial=initial, status=status)
        if initial.d != problem.d:
            raise InputError(f"its weights have shape {initial.w.shape}, but samples have d = {problem.d}")
        series: dict[str, Any] = {name: arrays[name] for name in SERIES}
        run = cls(
            problem=problem,
            **series,
            initial=initial,
            final=final,
            status=status,
            stats=stats,
            saved_a=arrays.get("saved_a"),
            saved_w=arrays.get("saved_w"),
            margin=arrays.get("margin"),
            time_unit=meta["time_unit"],
            loss_target=kept_target(meta.get("loss_target")),
        )
        check_outputs(final, problem, arrays["output"][-1])
        return run if "asked" not in arrays else only(run, asked_times(arrays["asked"]))

    def to_pandas(self) -> pandas.DataFrame:
        """The series as a table over time: loss, rd_w, rd_a (outputs are in :meth:`to_xarray`).

        Units are in ``.attrs["units"]``.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.

        Examples
        --------
        >>> import meanfield as mf
        >>> problem = mf.datasets.four_points()
        >>> network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), width=20, rng=0)
        >>> table = mf.gradient_flow(problem, network, save_at=[1.0, 2.0], loss_tol=0).to_pandas()
        >>> table.index.name, list(table.columns), table.attrs["units"]["time"]
        ('time', ['loss', 'rd_w', 'rd_a'], 'tbar')
        """
        series = {"loss": self.loss, "rd_w": self.rd_w, "rd_a": self.rd_a} | self._of_labels()
        return frame(series, {"time": self.time}, self._attributes(), self._meanings())

    def to_xarray(self) -> xarray.Dataset:
        """The series as a data set over time and sample, with units; parameters too, where they were saved.

        Inputs, outputs and targets are in the user's units.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        several = ("output_index",) if self.problem.outputs > 1 else ()
        variables: dict[str, Any] = {
            "loss": ("time", self.loss),
            "rd_w": ("time", self.rd_w),
            "rd_a": ("time", self.rd_a),
            "output": (("time", "sample", *several), self.problem.to_target_units(self.output)),
            "target": (("sample", *several), self.problem.targets),
            "input": (("sample", "feature"), self.problem.features),
        }
        variables |= {name: ("time", series) for name, series in self._of_labels().items()}
        if self.saved_a is not None and self.saved_w is not None:
            variables |= {"a": (("time", "neuron", *several), self.saved_a)}
            variables |= {"w": (("time", "neuron", "weight"), self.saved_w)}
        coordinates = {"time": self.time, "sample": np.arange(self.problem.n)}
        if self.problem.feature_names is not None:
            coordinates["feature"] = np.array(self.problem.feature_names)
        return dataset(variables, coordinates, self._attributes(), self._meanings())

    def _meanings(self) -> dict[str, tuple[str, str]]:
        """What columns mean where the loss is not the mean square, and their units."""
        loss = self.problem.loss_function
        if loss.quadratic:
            return {}
        found = {"loss": (f"loss R = (1/n) sum l(f, y), l = {loss.formula or loss.name}", loss.unit)}
        if loss.labels:
            found |= {"output": ("network output on the samples", "1"), "target": ("labels", "1")}
        return found

    def _of_labels(self) -> dict[str, NDArray[np.float64]]:
        """Series that losses with labels have besides."""
        found = {"accuracy": self.accuracy, "margin": self.margin}
        return {name: series for name, series in found.items() if series is not None}

    def _attributes(self) -> dict[str, Any]:
        """What holds for the run as a whole, in tables and data sets."""
        network = self.initial
        return {
            "problem": self.problem.name,
            "loss_function": self.problem.loss_function.name,
            "width": network.width,
            "kappa": network.kappa,
            "kappa_prime": network.kappa_prime,
            "activation": network.activation.name,
            "beta2": network.beta2,
            "status": self.status.name,
            "time_of_end": self.end.time,
            "loss_at_end": self.end.loss,
        }

    def _rows(self) -> dict[str, Any]:
        """What a notebook shows."""
        end, unreached = self.end, len(self.unreached)
        return {
            "status": self.status.name,
            "data": f"{self.problem.name}, {self.problem.n} samples",
            "width": self.initial.width,
            "end": f"tbar = {end.time:.4g}, after {self.stats.steps} steps",
            "loss": f"{end.loss:.3g}, from {self.start.loss:.3g}",
            "loss function": self.problem.loss_function.name,
            "margin": None if math.isnan(end.margin) else end.margin,
            "target of the loss": None if self.loss_target is None else str(self.loss_target),
            "RD_w": end.rd_w,
            "RD_a": end.rd_a,
            "saved times": f"{len(self.time)} ({unreached} not reached)" if unreached else len(self.time),
        }

    def _repr_html_(self) -> str:
        return displays.card(type(self).__name__, self._rows(), "" if self.converged else self.status.remedy)

    def __repr__(self) -> str:
        end = self.end
        return (
            f"<Trajectory: {self.status.name}, tbar={end.time:.4g}, loss={end.loss:.3g}, "
            f"rd_w={end.rd_w:.4g}, rd_a={end.rd_a:.4g}, steps={self.stats.steps}"
            + ("" if self.loss_target is None else f"; {self.loss_target}")
            + (f"; {len(self.unreached)} times of save_at not reached" if len(self.unreached) else "")
            + ">"
        )


def load_saved(
    path: str | os.PathLike[str],
    readers: Mapping[str, Reader[Result]],
    activation: Activation | None = None,
) -> Result:
    """Read a file of one of some kinds, given by their names in the file with what makes the result.

    Raises
    ------
    InputError
        If the file is missing, damaged, or of another kind, or the activation is not that of the run.
    """
    try:
        meta, arrays = read_archive(path)
        what, reader = KINDS[meta["kind"]]
        if meta["kind"] in readers:
            return readers[meta["kind"]](with_activation(meta, activation), arrays)
    except ActivationError as error:
        raise InputError(f"{shown(path)} {error}") from None
    except FileNotFoundError:
        raise InputError(
            f"there is no file {shown(path)}; give that of a result, written by its save method"
        ) from None
    except Exception as error:
        raise InputError(
            f"{shown(path)} does not hold a saved run, or is damaged ({type(error).__name__}: {error}); "
            "give a file written by the save method of a result"
        ) from None
    raise InputError(f"{shown(path)} holds {what}; read it with meanfield.load or {reader}")
