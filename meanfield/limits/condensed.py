"""The condensed regime's beginning: where neurons align before the output is seen.

What single neurons do there is in :mod:`meanfield.limits.extremals`; here is what becomes of a network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield import displays
from meanfield.arguments import instance, number, root
from meanfield.displays import brief
from meanfield.exporting import dataset, frame
from meanfield.flow.system import ReluSystem
from meanfield.limits.extremals import Extremal, in_the_plane, moved, on_the_line, search
from meanfield.particles import Particles
from meanfield.problem import Problem, check_mean_square
from meanfield.scaling import Scaling

if TYPE_CHECKING:
    import pandas
    import xarray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EarlyAlignment:
    """All extremal directions of a problem, fastest first.

    Attributes
    ----------
    problem : Problem
        The data.
    extremals : tuple of Extremal
        In the order of falling rates.
    exact : bool
        Whether they were enumerated (samples that span a line or plane) or searched for.
    """

    problem: Problem
    extremals: tuple[Extremal, ...]
    exact: bool

    __repr__ = brief

    def escape_time(self, scaling: Scaling, width: float) -> float:
        """Time tbar at which the output becomes of order one, up to a constant in s = kappa tbar.

        ``s = log(4 kappa' / (m kappa (1 + kappa'**2))) / (2 rate)`` of the fastest direction; 0 where the
        output is of that order from the start. Infinite if nothing grows.

        Parameters
        ----------
        scaling : Scaling
            Sets kappa and kappa_prime at this width.
        width : float
            The scale m.

        Returns
        -------
        float
            Time (tbar).
        """
        instance("scaling", scaling, Scaling, "Scaling(gamma, gamma_prime) or Scaling.named")
        width = number("width", width, "a positive finite number", above=0.0)
        if not self.extremals:
            return math.inf
        kappa, kappa_prime = scaling.kappa(width, self.problem.d), scaling.kappa_prime(width, self.problem.d)
        room = math.log(4.0 * kappa_prime / (1.0 + kappa_prime**2)) - math.log(width * kappa)
        return max(room, 0.0) / (2.0 * self.extremals[0].rate * kappa)

    def _repr_html_(self) -> str:
        rows = [(k, e.sign, e.rate, len(e.kinks)) for k, e in enumerate(self.extremals)]
        how = "enumerated" if self.exact else "found by a search"
        return displays.table(
            f"Early alignment on {self.problem.name!r}: {len(rows)} directions, {how}",
            ("", "sign of a", "growth rate", "samples on the kink"), rows,
        )  # fmt: skip

    def to_pandas(self) -> pandas.DataFrame:
        """All directions as a table of pandas, fastest first: sign, rate, basin and kinks.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        basins = np.array([e.basin or (math.nan, math.nan) for e in self.extremals]).reshape(-1, 2)
        columns = {
            "sign": np.array([e.sign for e in self.extremals], dtype=np.int64),
            "rate": np.array([e.rate for e in self.extremals]),
            "basin_from": basins[:, 0],
            "basin_to": basins[:, 1],
            "kinks": np.array([" ".join(map(str, e.kinks)) for e in self.extremals], dtype=object),
        }
        return frame(columns, None, {"problem": self.problem.name, "exact": self.exact})

    def to_xarray(self) -> xarray.Dataset:
        """All directions as a data set, fastest first: vectors, signs and rates.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        vectors = np.array([e.direction for e in self.extremals]).reshape(-1, self.problem.d)
        variables = {
            "direction": (("extremal", "weight"), vectors),
            "sign": ("extremal", np.array([e.sign for e in self.extremals], dtype=np.int64)),
            "rate": ("extremal", np.array([e.rate for e in self.extremals])),
        }
        attributes = {"problem": self.problem.name, "exact": int(self.exact)}
        return dataset(variables, {"extremal": np.arange(len(vectors))}, attributes)

    def shares(self, scaling: Scaling, width: float, *, nodes: int = 2048) -> Array:
        """Share of the amplitude \\|a\\|\\|w\\| in each direction when the output escapes, shape (K,).

        Quadrature particles are moved under the residual -y until then; each counts for the direction
        that it is nearest to. What is left to 1 has not grown.

        Parameters
        ----------
        scaling : Scaling
            Sets kappa and kappa_prime at this width.
        width : float
            The scale m.
        nodes : int, default 2048
            Number of particles of the quadrature.

        Returns
        -------
        ndarray, shape (K,)
            In the order of ``directions``.
        """
        particles = Particles.quadrature(self.problem, scaling, width, nodes=nodes)
        system = ReluSystem(self.problem, particles)
        s = self.escape_time(scaling, width) * system.kappa
        theta = moved(system, system.theta0, s) if 0.0 < s < math.inf else system.theta0
        size = np.linalg.norm(theta[1:], axis=0)
        amplitude = particles.weight * np.abs(theta[0]) * size
        unit = (theta[1:] / np.where(size > 0.0, size, 1.0)).T @ self.problem.basis.T
        scores = [
            np.where(e.sign * theta[0] > 0.0, unit @ e.direction, -1.0) for e in self.extremals
        ]  # fmt: skip
        if not scores:
            return np.zeros(0)
        best, aligned = np.argmax(scores, axis=0), np.max(scores, axis=0) > math.cos(0.1)
        total = np.bincount(best[aligned], amplitude[aligned], minlength=len(scores))
        return np.asarray(total / amplitude.sum())


def early_alignment(problem: Problem, *, rng: int = 0) -> EarlyAlignment:
    """Find the directions in which neurons condense before the output is seen.

    Parameters
    ----------
    problem : Problem
        The data. For samples that span a line or a plane all extremal directions are enumerated; else
        random neurons are let go and their ends collected, which may miss a direction of tiny basin.
    rng : int, default 0
        Seed of the search.

    Returns
    -------
    EarlyAlignment

    Examples
    --------
    >>> import meanfield as mf
    >>> alignment = early_alignment(mf.datasets.four_points())
    >>> [(e.sign, round(e.orientation, 4), round(e.rate, 5)) for e in alignment.extremals]
    [(1, 1.5708, 0.13889)]
    """
    check_mean_square(problem, "the early alignment is derived")
    rng = root(rng)
    if problem.rank == 2:
        found = [e for sign in (1, -1) for e in in_the_plane(problem, sign)]
    elif problem.rank == 1:
        found = [e for sign in (1, -1) for e in on_the_line(problem, sign)]
    else:
        found = search(problem, rng)
    return EarlyAlignment(problem, tuple(sorted(found, key=lambda e: -e.rate)), problem.rank <= 2)
