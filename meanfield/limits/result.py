"""The result of an infinite-width computation: a trajectory that knows how far it can be trusted."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import check_types
from meanfield.flow import Trajectory
from meanfield.flow.trajectory import load_saved
from meanfield.limits.kernel_regime import KernelRegime

_ENTRY = "limit"


@dataclass(frozen=True, eq=False)
class InfiniteWidth(Trajectory):
    """A :class:`~meanfield.Trajectory` of the law-of-large-numbers dynamics, with its accuracy.

    Attributes
    ----------
    error : float
        Estimated error of the loss along the run, as a share of the initial loss: twice the largest change
        from a run with a quarter of the nodes and ten times the tolerance in time ("mean-field"), or the
        estimated change of the kernel ("kernel").
    rd_error : float
        The same of the largest RD_w, relative.
    source : str
        "mean-field": quadrature particles were integrated; "kernel": the closed form of the kernel regime.
    nodes : int
        Particles of the run.
    cross_check : float
        Largest difference of the loss between closed form and integrated particles, as a share of the
        initial loss; nan where only one of them was in reach.
    tolerance : float
        What was asked for; ``accurate`` says whether it was met.
    """

    error: float = math.nan
    rd_error: float = math.nan
    source: str = "mean-field"
    nodes: int = 0
    cross_check: float = math.nan
    tolerance: float = math.nan

    _KIND = _ENTRY

    @property
    def accurate(self) -> bool:
        """Whether the estimated error is within the tolerance."""
        return self.error <= self.tolerance

    @property
    def law(self) -> KernelRegime:
        """The kernel regime's closed form for the same problem, width and scales."""
        p = self.initial
        return KernelRegime(self.problem, p.width, p.kappa, p.kappa_prime)

    def predict(self, x: ArrayLike, at: float | None = None) -> NDArray[np.float64]:
        """The learned function on new inputs; see :meth:`meanfield.Trajectory.predict`.

        In the kernel regime it is the closed form's, at any time: sums over particles would lose what
        the displacements add to far larger terms.
        """
        if self.source == "kernel":
            return self.law.output(x, float(self.time[-1]) if at is None else at)
        return super().predict(x, at)

    def _own_arrays(self) -> dict[str, NDArray[Any]]:
        return {_ENTRY: np.array(json.dumps({name: getattr(self, name) for name in _OWN}))}

    @classmethod
    def _from_file(cls, meta: dict[str, Any], arrays: dict[str, NDArray[np.float64]]) -> InfiniteWidth:
        own = json.loads(str(arrays.pop(_ENTRY)))
        loaded = super()._from_file(meta, arrays)
        assert isinstance(loaded, InfiniteWidth)
        found = replace(loaded, **own)
        check_types(found)
        return found

    def __repr__(self) -> str:
        return (
            f"<InfiniteWidth: {self.status.name}, width={self.initial.width:g}, source={self.source!r}, "
            f"nodes={self.nodes}, loss={self.loss[-1]:.3g}, rd_w={self.rd_w[-1]:.4g}, error={self.error:.1g}>"
        )


def load(path: str | os.PathLike[str]) -> Trajectory:
    """Read what ``save`` has written: the run of a network, or a limit of infinite width.

    Parameters
    ----------
    path : path-like
        The file; also of earlier versions of this package.

    Returns
    -------
    Trajectory
        For a limit an :class:`InfiniteWidth`, with its stated error.

    Raises
    ------
    InputError
        If the file is missing, damaged or something else.

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
    return load_saved(path, {"run": Trajectory, _ENTRY: InfiniteWidth})


_OWN = ("error", "rd_error", "source", "nodes", "cross_check", "tolerance")
