"""The result of a phase-diagram sweep: exponents with intervals, verdicts, zeros and tables."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield import displays
from meanfield.experiments.cells import CellResult, CellSettings
from meanfield.experiments.csv_files import write_columns
from meanfield.experiments.diagram_files import read_diagram, write_diagram
from meanfield.experiments.diagram_tables import diagram_dataset, runs, runs_frame, summary, summary_frame
from meanfield.experiments.limit_points import LimitResult, LimitSettings
from meanfield.experiments.origin import Origin
from meanfield.experiments.prediction import Prediction
from meanfield.experiments.rows import Row, agreement, holds
from meanfield.experiments.slopes import Slope, Verdict, fit_slope
from meanfield.experiments.zeros import Zero, locate
from meanfield.flow.trajectory import load_saved
from meanfield.problem import Problem
from meanfield.regime import Regime

if TYPE_CHECKING:
    import pandas
    import xarray

Array = NDArray[np.float64]

#: Widths that are shown in one line, and the width from which on one is not written out.
_SHOWN, _WRITTEN = 8, 1e9


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """Measured exponents over a grid of the plane, with every run behind them.

    Attributes
    ----------
    problem : Problem
        The data.
    settings : CellSettings or LimitSettings
        What all runs share; LimitSettings mark a map of the limit (:func:`meanfield.limit_diagram`).
    gamma, gamma_prime : ndarray, shapes (G,) and (P,)
        The grid.
    widths, seeds : ndarray of int, shapes (W,) and (S,)
        The ensemble at each point; see :attr:`CellSettings.per_half` for what a width counts. Widths of
        the limit's map are real numbers.
    rd_w, rd_a : ndarray, shape (P, G, W, S)
        Suprema of the relative displacements; nan where a run is missing or was stopped before it
        converged or came to rest.
    confidence : float
        Level of the intervals.
    results : tuple of CellResult or of LimitResult
        All runs, sorted by cell.
    missing : int
        Cells that have not been run.
    uncertainty : float
        Relative uncertainty of each displacement where it is known without an ensemble (the limit's map);
        0: intervals come from the ensemble.
    origins : tuple of Origin
        Machines and versions that the runs come from.
    prediction : Prediction or None
        Slopes between the same widths without sampling noise, if they were computed.

    Examples
    --------
    >>> import meanfield as mf
    >>> diagram = mf.phase_diagram(
    ...     mf.datasets.four_points(), gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[50, 200, 800], seeds=3
    ... )
    >>> diagram.rd_w.shape, [row.verdict.value for row in diagram.rows]
    ((1, 2, 3, 3), ['linear', 'condensed'])
    """

    problem: Problem
    settings: CellSettings | LimitSettings
    gamma: Array
    gamma_prime: Array
    widths: NDArray[np.int64] | Array
    seeds: NDArray[np.int64]
    rd_w: Array
    rd_a: Array
    confidence: float
    results: tuple[CellResult, ...] | tuple[LimitResult, ...]
    missing: int
    uncertainty: float = 0.0
    origins: tuple[Origin, ...] = ()
    prediction: Prediction | None = None

    @property
    def of_limit(self) -> bool:
        """Whether this is a map of the limit, without networks and draws."""
        return isinstance(self.settings, LimitSettings)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The summary table, by gamma_prime and gamma."""
        return tuple(self._row(i, j) for i in range(len(self.gamma_prime)) for j in range(len(self.gamma)))

    @property
    def S_w(self) -> Array:
        """Measured exponent of RD_w, shape (P, G)."""
        return self._map(lambda row: row.S_w.value)

    @property
    def S_a(self) -> Array:
        """Measured exponent of RD_a, shape (P, G)."""
        return self._map(lambda row: row.S_a.value)

    @property
    def S_w_interval(self) -> Array:
        """Confidence interval of S_w, shape (P, G, 2)."""
        return np.stack([self._map(lambda row: row.S_w.low), self._map(lambda row: row.S_w.high)], axis=-1)

    @property
    def S_a_interval(self) -> Array:
        """Confidence interval of S_a, shape (P, G, 2)."""
        return np.stack([self._map(lambda row: row.S_a.low), self._map(lambda row: row.S_a.high)], axis=-1)

    @property
    def predicted_S_w(self) -> Array:
        """Asymptotic exponent of RD_w by the theory, shape (P, G)."""
        return self._map(lambda row: row.predicted_S_w)

    @property
    def predicted_S_a(self) -> Array:
        """Asymptotic exponent of RD_a by the theory, shape (P, G)."""
        return self._map(lambda row: row.predicted_S_a)

    @property
    def verdicts(self) -> list[list[Verdict]]:
        """Verdict at each point, P lists of G."""
        flat = [row.verdict for row in self.rows]
        size = len(self.gamma)
        return [flat[start : start + size] for start in range(0, len(flat), size)]

    @cached_property
    def zeros(self) -> tuple[Zero, ...]:
        """Sign changes of the measured S_w along gamma, where a row has one, with intervals.

        Between the points the slope follows the prediction at these widths, where there is one; the interval
        holds the error of interpolation (see :func:`meanfield.experiments.zeros.locate`).
        """
        size, found = len(self.gamma), []
        for i, gamma_prime in enumerate(self.gamma_prime.tolist()):
            slopes = [row.S_w for row in self.rows[i * size : (i + 1) * size]]
            shape = self.prediction.curves[i] if self.prediction and self.prediction.curves else None
            found.append(locate(gamma_prime, self.gamma, slopes, shape))
        return tuple(zero for zero in found if zero is not None)

    @property
    def zeros_at_widths(self) -> Array:
        """Zeros of S_w between the same widths without sampling noise, shape (P,); nan where unknown."""
        curves = self.prediction.curves if self.prediction else ()
        return np.array([curve.zero() for curve in curves] or [math.nan] * len(self.gamma_prime))

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the summary table as CSV and return its path.

        Parameters
        ----------
        path : path-like
            The file to be written; an existing one is replaced.

        Returns
        -------
        Path
            The file.
        """
        return write_columns(path, summary(self))

    def runs_to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write every run as CSV (all but its wall time, so that the file is reproducible).

        Parameters
        ----------
        path : path-like
            The file to be written; an existing one is replaced.

        Returns
        -------
        Path
            The file.
        """
        return write_columns(path, runs(self))

    def to_pandas(self) -> pandas.DataFrame:
        """The summary as a table of pandas, one row for each gamma_prime and gamma.

        Columns are those of :meth:`to_csv`; what is not known is nan or None.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return summary_frame(self)

    def runs_to_pandas(self) -> pandas.DataFrame:
        """Every run as a table of pandas, with the columns of :meth:`runs_to_csv`.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return runs_frame(self)

    def to_xarray(self) -> xarray.Dataset:
        """Exponents over gamma_prime and gamma, displacements over width and seed, too, as a data set.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        return diagram_dataset(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the diagram, with all runs, to an NPZ file and return its path.

        :func:`meanfield.load` reads it. (A sweep's store holds the same runs as they are made.)

        Parameters
        ----------
        path : path-like
            Where to write; ``.npz`` is appended if missing. An existing file is replaced only once
            the new one is complete.
        """
        return write_diagram(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PhaseDiagram:
        """Read a diagram written by :meth:`save`; :func:`meanfield.load` reads any result.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        PhaseDiagram
            The diagram that was saved.

        Raises
        ------
        InputError
            If the file is missing, damaged or something else.
        """
        return load_saved(path, {"diagram": cls._from_file})

    @classmethod
    def _from_file(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> PhaseDiagram:
        return read_diagram(cls, meta, arrays)

    def _slope(self, rd: Array) -> Slope:
        fitted = fit_slope(self.widths, rd, confidence=self.confidence)
        if self.uncertainty == 0.0:
            return fitted
        half = 2.0 * self.uncertainty / math.log(self.widths[-1] / self.widths[0])
        return Slope(fitted.value, fitted.value - half, fitted.value + half, fitted.points)

    def _row(self, i: int, j: int) -> Row:
        gamma, gamma_prime = float(self.gamma[j]), float(self.gamma_prime[i])
        S_w, S_a = self._slope(self.rd_w[i, j]), self._slope(self.rd_a[i, j])
        predicted_w, predicted_a = self.settings.theory(gamma, gamma_prime)
        regime = Regime.classify(gamma, gamma_prime)
        at_widths = None if self.prediction is None else self.prediction.points[i][j]
        return Row(
            gamma=gamma,
            gamma_prime=gamma_prime,
            S_w=S_w,
            S_a=S_a,
            predicted_S_w=float(predicted_w),
            predicted_S_a=float(predicted_a),
            verdict=S_w.verdict,
            regime=regime,
            agrees=None if at_widths is None else holds(S_w, at_widths.S_w, at_widths.S_w_error),
            regime_agrees=agreement(S_w.verdict, regime, float(predicted_w)),
            at_widths=at_widths,
        )

    def _map(self, value: Callable[[Row], float]) -> Array:
        return np.array([value(row) for row in self.rows]).reshape(len(self.gamma_prime), len(self.gamma))

    def _repr_html_(self) -> str:
        widths = ", ".join(f"{width:g}" for width in self.widths.tolist())
        missing = f", {self.missing} cells missing" if self.missing else ""
        S_w, verdicts = self.S_w, self.verdicts
        lines = [
            (
                f"{gamma_prime:.4g}",
                *(f"{s:.3f} ({v.value})" for s, v in zip(S_w[i], verdicts[i], strict=True)),
            )
            for i, gamma_prime in enumerate(self.gamma_prime)
        ]
        return displays.table(
            f"Phase diagram of {self.problem.name!r}: S_w by gamma' and gamma",
            ("gamma' \\ gamma", *(f"{gamma:.4g}" for gamma in self.gamma)), lines,
            f"widths {widths}; {'limit' if self.of_limit else f'{len(self.seeds)} seeds'}{missing}",
        )  # fmt: skip

    def __repr__(self) -> str:
        seeds = f"{len(self.seeds)} seeds, {self.missing} cells missing"
        return (
            f"PhaseDiagram({self.problem.name!r}, {len(self.gamma)} x {len(self.gamma_prime)} points, "
            f"widths {_widths(self.widths)}, {'limit' if self.of_limit else seeds})"
        )


def _widths(widths: NDArray[Any]) -> str:
    """A list of widths; of many, how many and from where to where."""
    if len(widths) <= _SHOWN:
        return f"[{', '.join(f'{m:.0f}' if m < _WRITTEN else f'{m:g}' for m in widths)}]"
    return f"[{widths[0]:.0f}, ..., {widths[-1]:.0f}] ({len(widths)})"


def suprema(
    results: Sequence[CellResult | LimitResult | None], shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """RD_w and RD_a of runs in the order of a grid; nan where one is missing or was stopped too early."""
    finished = [r if r is not None and r.finished else None for r in results]
    rd_w, rd_a = (
        np.array([math.nan if r is None else getattr(r, name) for r in finished]).reshape(shape)
        for name in ("rd_w", "rd_a")
    )
    return rd_w, rd_a
