"""Sixteen samples of a sine, to late times: kinks, sliding neurons and passages of the origin.

The problem on which methods are compared at equal accuracy, and its reference by brute force.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import meanfield as mf
from meanfield.flow.system import CanonicalSystem

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
import brute_force

SAMPLES, TIMES = 16, 30
#: Times run from 1 to this many units of 1 / lambda_max at the start.
HORIZON = 1e4
#: Absolute over relative tolerance, of the reference and of every adaptive peer.
ATOL = 1e-3


def largest_rate(x: np.ndarray, kappa: float, theta: np.ndarray) -> float:
    """Largest eigenvalue of the tangent Gram matrix over n: the fastest rate of the residual."""
    z = x @ theta[1:]
    relu, on = np.maximum(z, 0.0), theta[0] * (z > 0.0)
    K = kappa * (relu @ relu.T + (on @ on.T) * (x @ x.T))
    return float(np.linalg.eigvalsh(K)[-1]) / len(x)


@dataclass(frozen=True)
class Sine:
    """The problem at one gamma (gamma' = 0: normalised units are canonical ones)."""

    gamma: float
    width: int = 200
    horizon: float = HORIZON

    @cached_property
    def problem(self) -> mf.Problem:
        return mf.datasets.function_1d(lambda x: np.sin(4 * np.pi * x), SAMPLES)

    @cached_property
    def network(self) -> mf.Particles:
        return mf.Particles.sample(self.problem, mf.Scaling(self.gamma, 0.0), self.width, rng=0)

    @cached_property
    def system(self) -> CanonicalSystem:
        return CanonicalSystem.of(self.problem, self.network)

    @cached_property
    def largest_rate(self) -> float:
        """lambda_max of the kernel at the start, in canonical time."""
        return largest_rate(np.array(self.problem.x), self.system.kappa, self.system.theta0)

    @cached_property
    def times(self) -> np.ndarray:
        """Canonical times at which losses are compared, geometric over four decades."""
        end = self.horizon / self.largest_rate
        return np.geomspace(end / HORIZON, end, TIMES)

    def brute_force(self, rtol: float) -> np.ndarray:
        """Losses at the times by compiled RK45 of the plain right-hand side."""
        x, y = np.array(self.problem.x), np.array(self.problem.y)
        theta0, kappa = self.system.theta0, self.system.kappa
        losses, _, _ = brute_force.integrate(theta0, x, y, kappa, self.times, rtol, ATOL * rtol)
        return losses


@dataclass(frozen=True)
class Reference:
    """Losses by brute force, and how far they are from those at a tolerance three times larger."""

    losses: np.ndarray
    uncertainty: float = np.nan

    def error(self, losses: np.ndarray) -> float:
        """Largest relative error of the losses along the times; nan if some time was not reached."""
        return float(np.max(np.abs(losses - self.losses) / self.losses))


def reference(case: Sine, path: Path | None, rtol: float = 3e-7) -> Reference:
    """The reference of a case: from the file, or computed and put into it."""
    stored = dict(np.load(path)) if path is not None and path.exists() else {}
    both = []
    for tolerance in (rtol, rtol / 0.3):
        key = f"gamma={case.gamma:g},m={case.width},horizon={case.horizon:g},rtol={tolerance:.0e}"
        if key not in stored:
            stored[key] = case.brute_force(tolerance)
            if path is not None:
                np.savez(path, **stored)
        both.append(stored[key])
    fine, coarse = both
    return Reference(fine, Reference(fine).error(coarse))
