"""The result of an infinite-width computation: a trajectory that knows how far it can be trusted."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.activations import Activation
from meanfield.arguments import check_types, real_array
from meanfield.errors import InputError
from meanfield.flow import Trajectory
from meanfield.flow.replay import ResidualPath
from meanfield.flow.trajectory import load_saved
from meanfield.limits.kernel_regime import KernelRegime
from meanfield.limits.predictions import Predictor, predictors

Array = NDArray[np.float64]

_ENTRY, _DOUBT = "limit", "doubt"


@dataclass(frozen=True, eq=False)
class InfiniteWidth(Trajectory):
    """A :class:`~meanfield.Trajectory` of the law-of-large-numbers dynamics, with its accuracy.

    Attributes
    ----------
    error : float
        Estimated error of the loss on the samples along the run, as a share of the initial loss.
        "mean-field": the larger of twice the largest change from a run with a quarter of the nodes and ten
        times the tolerance in time, and of the difference to many other nodes moved in this run's residual.
        "kernel": the estimated change of the kernel.
    rd_error, rd_a_error : float
        The same of the largest RD_w and RD_a, relative. Infinite if nodes that grow where the run rests could
        not be taken in.
    source : str
        "mean-field": quadrature particles were integrated; "kernel": the closed form of the kernel regime.
    nodes : int
        Particles of the run.
    cross_check : float
        Largest difference of the loss between closed form and integrated particles, as a share of the
        initial loss; nan where only one of them was in reach.
    tolerance : float
        What was asked for; ``accurate`` says whether it was met.
    rng : int
        The seed of the nodes.
    doubt : ndarray, shape (T, n)
        Change of the outputs on the samples from the run with a quarter of the nodes, at the times of
        :meth:`~meanfield.Trajectory.with_ends`; nan if there is none.
    """

    error: float = math.nan
    rd_error: float = math.nan
    rd_a_error: float = math.nan
    source: str = "mean-field"
    nodes: int = 0
    cross_check: float = math.nan
    tolerance: float = math.nan
    rng: int = 0
    doubt: Array | None = None

    _KIND = _ENTRY

    @property
    def accurate(self) -> bool:
        """Whether the estimated error of the loss on the samples is within the tolerance along the run.

        It says nothing of displacements (``rd_error``) and of other inputs (:meth:`predict_error`).
        """
        return self.error <= self.tolerance

    @property
    def law(self) -> KernelRegime:
        """The kernel regime's closed form for the same problem, width and scales."""
        p = self.initial
        return KernelRegime(self.problem, p.width, p.kappa, p.kappa_prime)

    def predict(self, x: ArrayLike, at: ArrayLike | None = None) -> Array:
        """The learned function on new inputs.

        The mean over independent sets of nodes, each of about as many as the run has, that are moved in its
        residual and calibrated to its outputs on the samples. In the kernel regime it is the closed form's:
        sums over particles would lose what the displacements add to far larger terms.

        Parameters
        ----------
        x : array_like or data frame, shape (k,) or (k, d_in)
            Inputs in the user's units, without a bias column; columns of a data frame in any order.
        at : float or array_like, shape (S,), optional
            Saved times tbar (one of ``time``, or several), 0 or the end, parameters or not; by default the
            end. Several times in one call cost little more than one.

        Returns
        -------
        ndarray, shape (k,) or (S, k)
            In the units of the user's targets.

        Examples
        --------
        The loss on test inputs along the run:

        >>> import numpy as np
        >>> import meanfield as mf
        >>> x = np.linspace(-1.0, 1.0, 8)
        >>> problem = mf.Problem(x, np.cos(3 * x))
        >>> scaling = mf.Scaling.named("mean-field")
        >>> limit = mf.infinite_width(problem, scaling, width=1e6, max_nodes=512)
        >>> new = np.linspace(-0.9, 0.9, 7)
        >>> test_loss = 0.5 * np.mean((limit.predict(new, at=limit.time) - np.cos(3 * new)) ** 2, axis=1)
        >>> bool(test_loss[0] > 100 * test_loss[-1])
        True
        """
        return self._predicted(x, at)[0]

    def predict_error(self, x: ArrayLike, at: ArrayLike | None = None) -> Array:
        """Estimated error of :meth:`predict`, for the same arguments and in the same units.

        The half-width of a 95 % interval by Student's law over the sets of nodes, or the distance of the
        run's own nodes from their mean, whichever is larger; and, added to it, the error of the run's outputs
        on the samples (twice the change from the run with a quarter of the nodes) carried to x, and the
        largest root mean square of that change so far, for what is forgotten on the samples may not be so
        between them. With ``nodes`` given there is no other run, so that only the nodes' error is known.
        In the kernel regime it is ``error`` times the largest target and, for inputs longer than all samples,
        larger in proportion. Infinite where the sets of nodes did something else than the run, and where
        ``rd_error`` is.

        Parameters
        ----------
        x, at
            As in :meth:`predict`.

        Returns
        -------
        ndarray, shape (k,) or (S, k)
            In the units of the targets.

        Examples
        --------
        >>> import meanfield as mf
        >>> problem, scaling = mf.datasets.four_points(), mf.Scaling.named("mean-field")
        >>> limit = mf.infinite_width(problem, scaling, width=1e6, tol=1e-2, max_nodes=512)
        >>> bool(limit.predict_error([0.1])[0] < 0.05)
        True
        """
        return self._predicted(x, at)[1]

    def _predicted(self, x: ArrayLike, at: ArrayLike | None) -> tuple[Array, Array]:
        """Predictions and their errors."""
        points = self.problem.with_bias(x)
        times = np.array([self.end.time]) if at is None else np.atleast_1d(real_array("at", at))
        if times.ndim != 1 or not times.size:
            raise InputError(f"at has shape {times.shape}; give one of run.time, or a list of them")
        if self.source == "kernel":
            found = [self._closed_form(x, points, float(t)) for t in times]
        else:
            rows = [self.with_ends()._row(float(t)) for t in times]
            wanted = sorted(set(rows))
            known = {
                row: self._in_target_units(*predict(points))
                for row, predict in zip(wanted, self._predictors(wanted), strict=True)
            }
            found = [known[row] for row in rows]
        single = at is None or np.ndim(at) == 0
        values, errors = (np.array(series) for series in zip(*found, strict=True))
        if math.isinf(self.rd_error):
            errors = np.full_like(errors, math.inf)  # something grows that is not in the run
        return (values[0], errors[0]) if single else (values, errors)

    def _predictors(self, rows: list[int]) -> Iterable[Predictor]:
        if self.path is None or self.doubt is None:
            raise InputError(
                "the file of this limit holds no residual path, as an older version wrote it; compute the "
                "limit again with infinite_width"
            )
        whole = self.with_ends()
        if rows == [len(whole.time) - 1]:
            return [self._last]
        return predictors(whole, self.path, self.doubt, self.rng, rows)

    @cached_property
    def _last(self) -> Predictor:
        """The predictor at the end, which is asked for most."""
        assert self.path is not None
        assert self.doubt is not None
        whole = self.with_ends()
        return next(predictors(whole, self.path, self.doubt, self.rng, [len(whole.time) - 1]))

    def _in_target_units(self, values: Array, errors: Array) -> tuple[Array, Array]:
        return self.problem.to_target_units(values), self.problem.target_scale * errors

    def _closed_form(self, x: ArrayLike, points: Array, t: float) -> tuple[Array, Array]:
        lengths = np.linalg.norm(points, axis=1) / float(np.linalg.norm(self.problem.x, axis=1).max())
        size = self.error * float(np.abs(self.problem.y).max()) * self.problem.target_scale
        return self.law.output(x, t), size * np.maximum(lengths, 1.0)

    def _own_arrays(self) -> dict[str, NDArray[Any]]:
        arrays = {_ENTRY: np.array(json.dumps({name: getattr(self, name) for name in _OWN}))}
        if self.path is not None:
            arrays |= self.path.arrays()
        return arrays if self.doubt is None else arrays | {_DOUBT: self.doubt}

    @classmethod
    def _from_file(cls, meta: dict[str, Any], arrays: dict[str, NDArray[np.float64]]) -> InfiniteWidth:
        own = json.loads(str(arrays.pop(_ENTRY)))
        loaded = super()._from_file(meta, arrays)
        assert isinstance(loaded, InfiniteWidth)
        path = ResidualPath.from_arrays(arrays) if "path_start" in arrays else None
        doubt = arrays.get(_DOUBT)
        whole = loaded.with_ends()
        if doubt is not None and doubt.shape != whole.output.shape:
            raise InputError(f"its doubt has shape {doubt.shape}, its outputs {whole.output.shape}")
        if path is not None and sum(path.kept) != len(whole.time) - 1:
            raise InputError(f"its residual path has {sum(path.kept)} states for {len(whole.time)} times")
        found = replace(loaded, **own, path=path, doubt=doubt)
        check_types(found)
        return found

    def _attributes(self) -> dict[str, Any]:
        own = ("source", "nodes", "error", "rd_error", "rd_a_error", "tolerance")
        return super()._attributes() | {name: getattr(self, name) for name in own}

    def _rows(self) -> dict[str, Any]:
        error = f"{self.error:.1g} of the initial loss" + ("" if self.accurate else ", above the tolerance")
        return super()._rows() | {
            "source": f"{self.source}, {self.nodes} nodes",
            "error of the loss": error,
            "error of RD_w": self.rd_error,
        }

    def __repr__(self) -> str:
        return (
            f"<InfiniteWidth: {self.status.name}, width={self.initial.width:g}, source={self.source!r}, "
            f"nodes={self.nodes}, loss={self.end.loss:.3g}, rd_w={self.end.rd_w:.4g}, error={self.error:.1g}>"
        )


def load(path: str | os.PathLike[str], *, activation: Activation | None = None) -> Trajectory:
    """Read the run of a network or a limit of infinite width; :func:`meanfield.load` reads diagrams, too.

    Parameters
    ----------
    path : path-like
        The file; also of earlier versions of this package.
    activation : Activation, optional
        Needed for a run whose activation is the user's own: see :meth:`Trajectory.load`.

    Returns
    -------
    Trajectory
        For a limit an :class:`InfiniteWidth`, with its stated error.

    Raises
    ------
    InputError
        If the file is missing, damaged or something else, or the activation is needed, or another one.

    Examples
    --------
    >>> import tempfile
    >>> import meanfield as mf
    >>> limit = mf.infinite_width(mf.datasets.four_points(), mf.Scaling(gamma=0.5), width=1e30)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = mf.load(limit.save(f"{folder}/limit"))
    >>> type(again).__name__, again.error == limit.error
    ('InfiniteWidth', True)
    """
    return load_saved(path, READERS, activation)


#: Reads runs and limits, by the kind in the file.
READERS = {"run": Trajectory._from_file, _ENTRY: InfiniteWidth._from_file}


_OWN = ("error", "rd_error", "source", "nodes", "cross_check", "tolerance", "rd_a_error", "rng")
