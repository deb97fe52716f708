"""Slopes between given widths without sampling noise: what the law of large numbers says of an ensemble."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import instance, number, real_array, shown
from meanfield.displays import brief
from meanfield.errors import InputError
from meanfield.experiments.cells import Cell, CellSettings, cell_scaling, neurons, run_particles
from meanfield.experiments.slopes import slope_weights
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.regime import boundary_gamma

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float64]

#: Weighted particles in the place of all neurons: twice as many until two rules agree.
RULES = (512, 1024, 2048, 4096)
#: Slopes of two rules that differ by less agree.
_CLOSE = 5e-3
#: Error of log RD from the tolerance of the flow, in units of rtol (measured: docs/statistics.md).
_IN_TIME = 0.5
#: A curve has points at most this far apart where it changes sign, and elsewhere around a boundary.
_NEAR, _FAR = 0.05, 0.25


@dataclass(frozen=True)
class PredictedSlopes:
    """Slopes between given widths without sampling noise, at one point of the plane.

    Attributes
    ----------
    S_w, S_a : float
        Least-squares slopes of log RD against log m; nan where a run did not come to its end.
    S_w_error, S_a_error : float
        Change from half as many particles at both ends of the widths, and what the flow's tolerance adds.
    nodes : int
        Particles of the finer rule.
    """

    S_w: float
    S_a: float
    S_w_error: float
    S_a_error: float
    nodes: int


def predicted_slopes(
    problem: Problem,
    settings: CellSettings,
    widths: ArrayLike,
    gamma: float,
    gamma_prime: float,
) -> PredictedSlopes:
    """S_w and S_a between given widths as the law of large numbers has them: no draw, no fit.

    At each width the neurons are replaced by weighted particles (:meth:`meanfield.Particles.quadrature`):
    the same flow at the same kappa and kappa_prime, to the same loss. Too few particles may rest on a plateau
    that networks leave, so their number is doubled until two rules agree. The slopes tend to the theory's
    exponents as the widths grow, and know how far they are from them. Networks differ from them by their
    draw, and in the mean by terms of order 1/m (:attr:`Slope.fluctuation`).

    Parameters
    ----------
    problem : Problem
        The data.
    settings : CellSettings
        Those of the networks.
    widths : array_like, shape (W,)
        Widths m in the settings' convention, at least two.
    gamma, gamma_prime : float
        The point.

    Returns
    -------
    PredictedSlopes

    Raises
    ------
    InputError
        For widths or exponents that cannot be used.

    Examples
    --------
    >>> from meanfield.datasets import four_points
    >>> critical = predicted_slopes(four_points(), CellSettings(loss_atol=1e-4), [100, 400], 1.0, 0.0)
    >>> abs(critical.S_w) < 1e-9  # m kappa = kappa' = 1 whatever the width
    True
    """
    instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    instance("settings", settings, CellSettings, "CellSettings(loss_atol)")
    m = np.unique(real_array("widths", widths))
    if len(m) < 2 or m[0] < 2.0 or np.any(m != np.floor(m)):
        raise InputError(f"widths is {shown(widths)}; give at least two different whole numbers from 2 on")
    gamma, gamma_prime = (
        number(name, value, "an exponent between -100 and 100", least=-100.0, most=100.0)
        for name, value in (("gamma", gamma), ("gamma_prime", gamma_prime))
    )
    weights, ends = slope_weights(m), np.array([0, len(m) - 1])
    before = _log_displacements(problem, settings, m[ends], (gamma, gamma_prime), RULES[0])
    for nodes in RULES[1:]:
        logs = _log_displacements(problem, settings, m, (gamma, gamma_prime), nodes)
        change = np.abs(slope_weights(m[ends]) @ (logs[ends] - before))
        if change[0] <= _CLOSE:
            break
        before = logs[ends]
    slopes = weights @ logs
    error = np.hypot(change, _IN_TIME * settings.rtol * float(np.linalg.norm(weights)))
    return PredictedSlopes(float(slopes[0]), float(slopes[1]), float(error[0]), float(error[1]), nodes)


def _log_displacements(
    problem: Problem, settings: CellSettings, widths: Array, point: tuple[float, float], nodes: int
) -> Array:
    """log RD_w and log RD_a at each width, shape (W, 2); nan where a run did not end, or nothing moved.

    A run that rests above the loss which that at another width reaches is one of too few particles: nan.
    """
    logs, converged = np.full((len(widths), 2), math.nan), np.zeros(len(widths), dtype=bool)
    for k, width in enumerate(widths.tolist()):
        cell = Cell(*point, int(width), 0)
        particles = Particles.quadrature(
            problem,
            cell_scaling(cell, settings),
            float(neurons(cell, settings)),
            nodes=nodes,
            activation=settings.activation,
            beta2=settings.beta2,
        )
        result = run_particles(problem, particles, cell, settings)
        if result.finished:
            logs[k] = [math.log(rd) if rd > 0.0 else math.nan for rd in (result.rd_w, result.rd_a)]
        converged[k] = result.converged
    if converged.any():
        logs[~converged] = math.nan
    return logs


@dataclass(frozen=True, eq=False)
class ReferenceSlope:
    """S_w between given widths without sampling noise, as a function of gamma at one gamma_prime.

    Attributes
    ----------
    gamma_prime, predicted : float
        Where on the plane; the theory's boundary there.
    curve : PchipInterpolator
        S_w against gamma. Where a run does not come to its end the theory's exponent stands in.
    """

    gamma_prime: float
    predicted: float
    curve: PchipInterpolator

    __repr__ = brief

    @classmethod
    def around(
        cls,
        problem: Problem,
        settings: CellSettings,
        widths: ArrayLike,
        gamma_prime: float,
        reach: float,
    ) -> ReferenceSlope:
        """Tabulate the slope within ``reach`` of the predicted boundary."""
        edge = float(boundary_gamma(gamma_prime))
        gamma = edge + np.linspace(-reach, reach, 1 + 2 * math.ceil(reach / _FAR))
        S_w = [predicted_slopes(problem, settings, widths, float(g), gamma_prime).S_w for g in gamma]
        return cls.through(problem, settings, widths, gamma_prime, gamma, np.array(S_w))

    @classmethod
    def through(
        cls,
        problem: Problem,
        settings: CellSettings,
        widths: ArrayLike,
        gamma_prime: float,
        gamma: Array,
        S_w: Array,
    ) -> ReferenceSlope:
        """From slopes at some gamma, shape (K,), K >= 2; finer where they change sign."""
        from scipy.interpolate import PchipInterpolator

        theory = settings.theory(gamma, gamma_prime)[0]
        S_w = np.where(np.isfinite(S_w), S_w, theory)
        gamma, S_w = gamma[np.isfinite(S_w)], S_w[np.isfinite(S_w)]
        known = dict(zip(gamma.tolist(), S_w.tolist(), strict=True))
        for j in np.flatnonzero(np.diff(np.sign(list(known.values())))):
            between = np.linspace(gamma[j], gamma[j + 1], 1 + math.ceil((gamma[j + 1] - gamma[j]) / _NEAR))
            for g in between[1:-1].tolist():
                value = predicted_slopes(problem, settings, widths, g, gamma_prime).S_w
                if math.isfinite(value):
                    known[g] = value
        at = np.array(sorted(known))
        curve = PchipInterpolator(at, [known[g] for g in at.tolist()], extrapolate=False)
        return cls(gamma_prime, float(boundary_gamma(gamma_prime)), curve)

    def __call__(self, gamma: float | Array) -> Array:
        """The slope at points within reach."""
        return np.asarray(self.curve(gamma))

    def zero(self) -> float:
        """Where the slope changes sign, nearest to the boundary; nan if it does not within reach."""
        roots = self.curve.solve(0.0, extrapolate=False)
        roots = roots[np.isfinite(roots)]  # a stretch that is zero throughout ends in nan
        return float(roots[np.argmin(np.abs(roots - self.predicted))]) if len(roots) else math.nan
