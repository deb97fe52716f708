"""What an ensemble is: runs of one network drawn with many seeds, at the same times."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.activations import RELU, Activation
from meanfield.experiments.spread import Spread
from meanfield.exporting import dataset, frame, of_samples
from meanfield.flow import Trajectory, gradient_flow
from meanfield.flow.method import MethodName
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.scaling import Scaling

if TYPE_CHECKING:
    import pandas
    import xarray

Array = NDArray[np.float64]

#: What is kept of each run at its end, for tables.
_AT_END = ("time", "loss", "rd_w", "rd_a")


@dataclass(frozen=True)
class Training:
    """How the networks of an ensemble are drawn and trained.

    Attributes
    ----------
    loss_tol, loss_atol, t_end, rtol, atol, method, max_steps, save_parameters
        As in :func:`meanfield.gradient_flow`.
    antisymmetric : bool
        As in :meth:`meanfield.Particles.sample`.
    entropy : int
        Root of the random numbers: a seed's draw is ``SeedSequence(entropy, spawn_key=(seed,))``, as in
        sweeps, so that draws of all scalings are paired and those of all widths nested.
    activation, beta2
        As in :meth:`meanfield.Particles.sample`.
    """

    loss_tol: float | None = None
    loss_atol: float | None = None
    t_end: float | None = None
    rtol: float = 1e-3
    atol: float = 1e-6
    method: MethodName | None = None
    max_steps: int = 20_000
    save_parameters: bool = False
    antisymmetric: bool = True
    entropy: int = 0
    activation: Activation = RELU
    beta2: float | None = None

    def particles(self, problem: Problem, scaling: Scaling, width: int, seed: int) -> Particles:
        """The network of a seed at time 0.

        Parameters
        ----------
        problem : Problem
            The data.
        scaling : Scaling
            The scaling.
        width : int
            Number of neurons.
        seed : int
            Which draw, from 0 on.

        Returns
        -------
        Particles
            The same for the same arguments, to the bit.
        """
        rng = np.random.SeedSequence(self.entropy, spawn_key=(seed,))
        return Particles.sample(
            problem,
            scaling,
            width,
            antisymmetric=self.antisymmetric,
            activation=self.activation,
            beta2=self.beta2,
            rng=rng,
        )

    def run(
        self, problem: Problem, scaling: Scaling, width: int, save_at: Array | None, seed: int
    ) -> Trajectory:
        """Train the network of a seed; a pure function of its arguments but for the wall time.

        Parameters
        ----------
        problem, scaling, width
            As in :meth:`particles`.
        save_at : ndarray, shape (T,), or None
            Times (tbar) to keep; None keeps at most 32 for each factor of ten in time.
        seed
            As in :meth:`particles`.

        Returns
        -------
        Trajectory
            What :func:`meanfield.gradient_flow` returns for that network.
        """
        options = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("antisymmetric", "entropy", "activation", "beta2"):
            del options[name]
        network = self.particles(problem, scaling, width, seed)
        return gradient_flow(problem, network, save_at=save_at, progress=False, **options)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Runs of one network from different random draws, at the same times.

    Attributes
    ----------
    problem : Problem
        The data.
    scaling : Scaling
        The scaling.
    width : int
        Number of neurons of each network.
    seeds : ndarray of int, shape (S,)
        The draws.
    time : ndarray, shape (T,)
        Normalised times tbar.
    runs : tuple of Trajectory
        One for each seed; a run that ended early has fewer times.
    training : Training
        How they were drawn and trained.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> found = mf.ensemble(problem, mf.Scaling.named("ntk"), 100, seeds=8, save_at=[1.0, 10.0], loss_tol=0)
    >>> found
    <Ensemble: 8 runs of width 100 on 'four points', 8 REACHED_TIME, 2 times to tbar=10>
    >>> found.loss.values.shape, found.predict([0.1, 0.3]).mean.shape
    ((8, 2), (2,))
    >>> low, high = found.loss.band(0.9)
    >>> bool(((low < found.loss.mean) & (found.loss.mean < high)).all())
    True
    """

    problem: Problem
    scaling: Scaling
    width: int
    seeds: NDArray[np.int64]
    time: Array
    runs: tuple[Trajectory, ...]
    training: Training

    @cached_property
    def loss(self) -> Spread:
        """Loss of each seed at each time, (S, T); nan where its run had ended."""
        return self._stacked("loss")

    @cached_property
    def rd_w(self) -> Spread:
        """Relative displacement of the input weights, (S, T); nan where a run had ended."""
        return self._stacked("rd_w")

    @cached_property
    def rd_a(self) -> Spread:
        """Relative displacement of the output weights, (S, T); nan where a run had ended."""
        return self._stacked("rd_a")

    @cached_property
    def output(self) -> Spread:
        """Outputs on the samples, (S, T, n); nan where a run had ended."""
        return self._stacked("output")

    @property
    def unreached(self) -> Array:
        """Times after the end of every run, where the ensemble chose the times itself."""
        later = np.unique(np.concatenate([run.unreached for run in self.runs]))
        return later[~np.isin(later, self.time)]

    def predict(self, x: ArrayLike, at: float | None = None) -> Spread:
        """The functions learned by all networks, on new inputs.

        Parameters
        ----------
        x : array_like, shape (k,) or (k, d_in)
            Inputs as the user gives them, without a bias column.
        at : float, optional
            A saved time (tbar), with ``save_parameters=True``; by default the end of each run.

        Returns
        -------
        Spread
            Of shape (S, k), in the units of the user's targets.
        """
        return Spread(np.array([run.predict(x, at) for run in self.runs]))

    def to_pandas(self) -> pandas.DataFrame:
        """The curves as a table, one row for each seed and time; columns loss, rd_w, rd_a.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        columns = {name: getattr(self, name).values.ravel() for name in ("loss", "rd_w", "rd_a")}
        index = {
            "seed": np.repeat(self.seeds, len(self.time)),
            "time": np.tile(self.time, len(self.seeds)),
        }
        return frame(columns, index, self._attributes())

    def ends_to_pandas(self) -> pandas.DataFrame:
        """How each run ended, as a table: one row for each seed.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return frame(self._ends(), {"seed": self.seeds}, self._attributes())

    def to_xarray(self) -> xarray.Dataset:
        """Curves over seed, time and sample, and how each run ended, as a data set.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        variables, coordinates = of_samples(self.problem)
        variables |= {
            name: (("seed", "time"), getattr(self, name).values) for name in ("loss", "rd_w", "rd_a")
        }
        variables["output"] = (
            ("seed", "time", "sample"),
            self.problem.to_target_units(self.output.values),
        )
        variables |= {
            name if name in ("status", "steps") else f"{name}_at_end": ("seed", values)
            for name, values in self._ends().items()
        }
        along = {"seed": self.seeds, "time": self.time}
        return dataset(variables, along | coordinates, self._attributes())

    def _stacked(self, name: str) -> Spread:
        shape = (len(self.time), self.problem.n) if name == "output" else (len(self.time),)
        values = np.full((len(self.runs), *shape), math.nan)
        for row, run in zip(values, self.runs, strict=True):
            kept = np.isin(run.time, self.time)
            row[np.searchsorted(self.time, run.time[kept])] = getattr(run, name)[kept]
        return Spread(values)

    def _ends(self) -> dict[str, NDArray[Any]]:
        return {
            "status": np.array([run.status.name for run in self.runs]),
            **{name: np.array([getattr(run.end, name) for run in self.runs]) for name in _AT_END},
            "steps": np.array([run.stats.steps for run in self.runs]),
        }

    def _attributes(self) -> dict[str, Any]:
        return {
            "problem": self.problem.name,
            "width": self.width,
            "gamma": self.scaling.gamma,
            "gamma_prime": self.scaling.gamma_prime,
        }

    def _statuses(self) -> str:
        counts = Counter(run.status.name for run in self.runs)
        return ", ".join(f"{count} {name}" for name, count in counts.most_common())

    def _repr_html_(self) -> str:
        ends = self._ends()
        middle = {
            f"{name} at the end": f"{np.median(ends[name]):.3g} (median), from {ends[name].min():.3g} to "
            f"{ends[name].max():.3g}"
            for name in ("loss", "rd_w", "rd_a")
        }
        return displays.card(
            f"Ensemble of {len(self.runs)} runs",
            {
                "data": self.problem.name,
                "width": self.width,
                "scaling": repr(self.scaling),
                "status": self._statuses(),
                "times": f"{len(self.time)}, up to tbar = {self.time[-1]:.4g}",
            }
            | middle,
        )

    def __repr__(self) -> str:
        return (
            f"<Ensemble: {len(self.runs)} runs of width {self.width} on {self.problem.name!r}, "
            f"{self._statuses()}, {len(self.time)} times to tbar={self.time[-1]:.4g}>"
        )
