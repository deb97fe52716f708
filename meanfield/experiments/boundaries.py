"""Where the regime changes: the zero of S_w along gamma, located with a few ensembles instead of a grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.activations import Activation
from meanfield.arguments import instance, number, whole_number
from meanfield.bars import visible
from meanfield.experiments.boundary_search import Evaluation, Search, stepped
from meanfield.experiments.cells import Cell, CellResult, CellSettings
from meanfield.experiments.csv_files import write_csv
from meanfield.experiments.executors import AnyExecutor
from meanfield.experiments.grid import Grid, as_exponents, as_seeds, as_widths
from meanfield.experiments.origin import Outcome
from meanfield.experiments.reference import ReferenceSlope
from meanfield.experiments.slopes import Slope
from meanfield.experiments.sweep import (
    after_cells,
    assemble,
    checked_means,
    checked_settings,
    train_cells,
    whereabouts,
)
from meanfield.experiments.zeros import Zero
from meanfield.exporting import dataset, frame
from meanfield.problem import Problem
from meanfield.regime import boundary_gamma

if TYPE_CHECKING:
    import pandas
    import xarray

Array = NDArray[np.float64]

#: Zeros that are shown in one line.
_SHOWN = 8
#: How a zero is found, for tables and captions.
METHOD = "ensembles of networks, stepping along the slope of the same widths without sampling noise"


@dataclass(frozen=True, eq=False)
class Boundary:
    """Zeros gamma* of the measured S_w, one for each gamma_prime.

    Attributes
    ----------
    problem : Problem
        The data.
    settings : CellSettings
        What all runs share.
    widths, seeds : ndarray of int, shapes (W,) and (S,)
        The ensemble at each evaluated point; see :attr:`CellSettings.per_half` for what a width counts.
    gamma_prime : ndarray, shape (P,)
        Where the boundary was looked for.
    gamma_star : ndarray, shape (P,)
        The zeros; nan where none was found within reach.
    interval : ndarray, shape (P, 2)
        Confidence intervals; infinite on a side where the slope's interval does not reach zero.
    predicted : ndarray, shape (P,)
        The boundary as m -> infinity, by the theory.
    reference : ndarray, shape (P,)
        Zero of the slope between the same widths without sampling noise: how far these widths are from
        the limit. nan if it has none within reach.
    settled : ndarray of bool, shape (P,)
        Whether the last step was within the tolerance.
    evaluations : tuple of Evaluation
        The ensembles that were trained, in their order.
    results : tuple of CellResult
        All runs, sorted by cell.
    confidence, tol : float
        Level of the intervals; tolerance on gamma*.
    method : str
        How the zeros were found, in words.
    """

    problem: Problem
    settings: CellSettings
    widths: NDArray[np.int64]
    seeds: NDArray[np.int64]
    gamma_prime: Array
    gamma_star: Array
    interval: Array
    predicted: Array
    reference: Array
    settled: NDArray[np.bool_]
    evaluations: tuple[Evaluation, ...]
    results: tuple[CellResult, ...]
    confidence: float
    tol: float
    method: str = METHOD

    @property
    def zeros(self) -> tuple[Zero, ...]:
        """The zeros that were found, as :attr:`PhaseDiagram.zeros` has them."""
        return tuple(
            Zero(float(gp), float(g), float(low), float(high))
            for gp, g, (low, high) in zip(self.gamma_prime, self.gamma_star, self.interval, strict=True)
            if np.isfinite(g)
        )

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the zeros as CSV and return its path.

        Parameters
        ----------
        path : path-like
            The file to be written; an existing one is replaced.

        Returns
        -------
        Path
            The file.
        """
        columns = self._columns()
        rows = list(zip(*(column.tolist() for column in columns.values()), strict=True))
        return write_csv(path, list(columns), rows)

    def to_pandas(self) -> pandas.DataFrame:
        """The zeros as a table of pandas over gamma_prime, with the columns of :meth:`to_csv`.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        columns = self._columns()
        return frame(columns, {"gamma_prime": columns.pop("gamma_prime")}, self._attributes())

    def to_xarray(self) -> xarray.Dataset:
        """The zeros as a data set over gamma_prime, with the variables of :meth:`to_csv`.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        columns = self._columns()
        coordinates = {"gamma_prime": columns.pop("gamma_prime")}
        variables = {name: ("gamma_prime", column) for name, column in columns.items()}
        return dataset(variables, coordinates, self._attributes())

    def _columns(self) -> dict[str, NDArray[Any]]:
        return {
            "gamma_prime": self.gamma_prime,
            "gamma_star": self.gamma_star,
            "low": self.interval[:, 0],
            "high": self.interval[:, 1],
            "predicted": self.predicted,
            "reference": self.reference,
            "settled": self.settled,
            "evaluations": np.array(
                [sum(e.gamma_prime == gp for e in self.evaluations) for gp in self.gamma_prime]
            ),
        }

    def _attributes(self) -> dict[str, Any]:
        return {
            "problem": self.problem.name,
            "widths": self.widths.tolist(),
            "seeds": len(self.seeds),
            "confidence": self.confidence,
            "tol": self.tol,
        }

    def _repr_html_(self) -> str:
        lines = zip(self.gamma_prime, self.gamma_star, *self.interval.T, self.predicted, strict=True)
        return displays.table(
            f"Boundary of the regimes for {self.problem.name!r}",
            ("gamma'", "gamma*", "low", "high", "m -> infinity"),
            [[f"{value:.4g}" for value in line] for line in lines],
            f"{len(self.results)} runs, {self.confidence:.0%} intervals",
        )

    def __repr__(self) -> str:
        zeros = self.zeros
        found = ", ".join(f"{round(z.gamma_prime, 9) + 0.0:g}: {z.gamma:.3f}" for z in zeros[:_SHOWN])
        found += f" and {len(zeros) - _SHOWN} more" if len(zeros) > _SHOWN else ""
        return f"Boundary({self.problem.name!r}, gamma* at gamma_prime {found}, {len(self.results)} runs)"


def boundary(
    problem: Problem,
    *,
    gamma_prime: ArrayLike,
    widths: Sequence[int],
    seeds: int | Sequence[int] = 3,
    tol: float = 0.01,
    reach: float = 0.5,
    max_points: int = 4,
    executor: AnyExecutor = None,
    store: str | os.PathLike[str] | None = None,
    memory: float | None = None,
    activation: Activation | str = "relu",
    beta2: float | None = None,
    antisymmetric: bool = True,
    per_half: bool = False,
    loss_tol: float | None = None,
    loss_atol: float | None = None,
    rtol: float = 1e-2,
    max_steps: int = 20_000,
    rng: int = 0,
    confidence: float = 0.95,
    progress: bool | None = None,
) -> Boundary:
    """Locate the boundary of the regimes: for each gamma_prime the gamma at which S_w changes sign.

    The search begins where the slope between the same widths, computed without sampling noise from a few
    weighted particles, has its zero in the neighbourhood of the predicted line. Ensembles of networks
    trained there say how far their slope is off; the next point is the zero of the noise-free slope
    shifted by as much, until a step is within the tolerance. One or two ensembles are enough where a map
    of the plane takes a dozen. Zero and interval are those of :attr:`PhaseDiagram.zeros`, from these points.

    Parameters
    ----------
    problem : Problem
        The data.
    gamma_prime : float or array_like, shape (k,)
        Where to look.
    widths : sequence of int
        Widths m, at least two; gamma* belongs to them, and tends to the theory's line as they grow.
    seeds : int or sequence of int, default 3
        Random draws per point: how many, or which.
    tol : float, default 0.01
        A zero is settled once it moves by at most this from one ensemble to the next.
    reach : float, default 0.5
        The search stays within this distance of the predicted line.
    max_points : int, default 4
        Most ensembles for one gamma_prime.
    executor, store, memory
        As in :func:`meanfield.phase_diagram`, with which a store can be shared.
    activation, beta2, antisymmetric, per_half, loss_tol, loss_atol
        As in :func:`meanfield.phase_diagram`.
    rtol, max_steps, rng, confidence, progress
        As in :func:`meanfield.phase_diagram`.

    Returns
    -------
    Boundary

    Raises
    ------
    InputError
        For arguments that cannot be used.
    StoreError
        If the store belongs to something else.
    KeyboardInterrupt
        On Ctrl-C; finished cells are kept in the store, and the same call continues there.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.boundary(mf.datasets.four_points(), gamma_prime=[0.0], widths=[200, 400, 800])
    >>> low, high = found.interval[0]
    >>> bool(low < 1.0 < high), bool(found.settled[0])
    (True, True)
    """
    instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    tol = number("tol", tol, "a positive distance in gamma, such as 0.01", above=0.0, most=10.0)
    reach = number(
        "reach", reach, "a positive distance in gamma from 1e-3 to 10, such as 0.5", least=1e-3, most=10.0
    )
    max_points = whole_number("max_points", max_points)
    progress = checked_means(executor, memory, progress)
    progress = progress if visible(progress) else False  # how many sweeps follow is not known: no estimate
    grid = Grid(
        np.empty(0), as_exponents("gamma_prime", gamma_prime), as_widths("widths", widths), as_seeds(seeds)
    )
    settings = checked_settings(
        problem, grid, activation=activation, beta2=beta2, antisymmetric=antisymmetric,
        per_half=per_half, loss_tol=loss_tol, loss_atol=loss_atol,
        rtol=rtol, max_steps=max_steps, rng=rng, confidence=confidence,
    )  # fmt: skip
    rows = [
        Search(ReferenceSlope.around(problem, settings, grid.widths, gp, reach))
        for gp in map(float, grid.gamma_prime)
    ]
    finished: dict[Cell, Outcome] = {}

    def measured(points: list[Grid]) -> list[Slope]:
        cells = [cell for point in points for cell in point.cells()]
        try:
            train_cells(
                problem, cells, settings, finished, executor=executor, store=store, memory=memory,
                progress=progress,
            )  # fmt: skip
        except KeyboardInterrupt:
            raise KeyboardInterrupt(after_cells(len(finished), whereabouts(store))) from None
        return [assemble(problem, settings, point, finished, confidence).rows[0].S_w for point in points]

    evaluations = stepped(rows, grid, measured, tol, max_points)
    return Boundary(
        problem=problem,
        settings=settings,
        widths=grid.widths,
        seeds=grid.seeds,
        gamma_prime=grid.gamma_prime,
        gamma_star=np.array([row.star for row in rows]),
        interval=np.array([row.interval for row in rows]),
        predicted=boundary_gamma(grid.gamma_prime),
        reference=np.array([row.reference.zero() for row in rows]),
        settled=np.array([row.settled for row in rows]),
        evaluations=evaluations,
        results=tuple(sorted((outcome.result for outcome in finished.values()), key=lambda r: r.cell)),
        confidence=confidence,
        tol=tol,
    )
