"""What is measured at every accepted step, from sums over the particles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meanfield.activations import RELU
from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem


@dataclass(frozen=True, eq=False)
class Observation:
    """Measured quantities of one state.

    Attributes
    ----------
    p_moved, q_moved : float
        Weighted norms of the displacement of p and q from the initial state.
    p_size, q_size : float
        Weighted norms of p and q.
    rd_w, rd_a : float
        Relative displacement of all input and of all output weights.
    drift : float
        Weighted mean change of the conserved ``p**2 - |q|**2`` over the mean of ``p**2 + |q|**2``; nan where
        the activation is not homogeneous of degree one, and nothing is conserved.
    capacity : float
        Largest ``|f(x_i)|`` over its bound by the weights' norms (at most 1, up to rounding); nan for
        activations other than the ReLU.
    rounding : float
        Uncertainty of an output by rounding: outputs are sums of terms that cancel.
    mass : float
        ``kappa sum_k weight_k (p_k**2 + |q_k|**2)``; in the user's own ``(1/alpha) sum (a**2 + |w|**2)``.
    """

    p_moved: float
    q_moved: float
    p_size: float
    q_size: float
    rd_w: float
    rd_a: float
    drift: float
    capacity: float
    rounding: float
    mass: float


class Observer:
    """Measures states of a system against its initial state.

    The norm of the input weights counts all d coordinates, also those outside the samples' span,
    which never move.
    """

    def __init__(self, system: CanonicalSystem) -> None:
        self.system = system
        particles = system.particles
        self._p2_initial = system.roots[0] ** 2 * float(particles.weight @ particles.a_squared)
        self._q2_initial = float(particles.weight @ particles.w_squared) / system.roots[1] ** 2
        sums = system.observe(system.theta0)
        self._q2_outside = max(self._q2_initial - float(sums[3]), 0.0)
        self._lengths = np.linalg.norm(system.x, axis=1)
        self._homogeneous = particles.activation.homogeneous
        plain = particles.outputs == 1 and particles.minus is None
        self._bounded = particles.activation == RELU and plain
        # P and Q are a and w in units of their own where layers learn at rates of their own.
        self._unit_p = particles.kappa * particles.kappa_prime / system.roots[0] ** 2
        self._unit_q = particles.kappa * system.roots[1] ** 2 / particles.kappa_prime

    def measure(self, state: State) -> Observation:
        """Measure a state."""
        dp2, dq2, p2, q2, drift = (float(v) for v in self.system.observe(state.theta))
        largest_sum = self.system.kappa * math.sqrt(p2 * q2) * float(self._lengths.max())
        return Observation(
            p_moved=math.sqrt(dp2),
            q_moved=math.sqrt(dq2),
            p_size=math.sqrt(p2),
            q_size=math.sqrt(q2),
            rd_w=_ratio(math.sqrt(dq2), math.sqrt(self._q2_initial)),
            rd_a=_ratio(math.sqrt(dp2), math.sqrt(self._p2_initial)),
            drift=_ratio(drift, p2 + q2 + self._q2_outside) if self._homogeneous else math.nan,
            capacity=self._capacity(state, q2 + self._q2_outside) if self._bounded else math.nan,
            rounding=np.finfo(np.float64).eps * (largest_sum + self.system.y_scale),
            mass=self._unit_p * p2 + self._unit_q * (q2 + self._q2_outside),
        )

    def _capacity(self, state: State, q2: float) -> float:
        # |f(x)| <= kappa |x| |theta_q| |theta_p| by Cauchy-Schwarz, with |theta_p| from |theta_q| by
        # the conservation of p**2 - |q|**2: a bound that only the norm of the input weights enters.
        # That difference is known to the rounding of q only.
        p2 = max(self._p2_initial + q2 - self._q2_initial, np.finfo(np.float64).eps * q2)
        bound = self.system.kappa * math.sqrt(q2) * math.sqrt(p2) * self._lengths
        f = np.abs(state.f)
        tested = f > 1e-9 * self.system.y_scale  # an output of pure rounding has no capacity to show
        return float(np.max(f[tested] / np.maximum(bound[tested], 1e-300), initial=0.0))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0.0 else math.inf if numerator > 0.0 else 0.0
