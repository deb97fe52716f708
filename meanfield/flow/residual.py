"""The residual-space method: particles move exactly, the step lives in the n residuals.

Particles meet only in the residual e(s). Given a constant e, each moves exactly, kinks included
(:mod:`meanfield.kernels.motion`), and where the tangent Gram matrix K is constant e decays as
``exp(-A s)`` with ``A = K / n``. A step therefore (i) predicts the mean residual by
``phi_1(-h A) e`` and moves all particles with it; (ii) compares the residual found there with
``exp(-h A) e``: the defect is what the change of K did to it; (iii) corrects the mean for it and
moves all particles again, with the means over the two halves of the step.

Derivation of the correction. Let ``e' = -A e + g(s)`` with g = g1 s, as a smooth change of K makes
it. The first pass, which feeds the particles with a given mean, finds the defect
``d = int g ds = h**2 g1 / 2``: nothing in it has decayed. Solving for e gives the mean over the step

    (1/h) int e ds = phi_1(-hA) e + h**2 phi_3(-hA) g1 = phi_1(-hA) e + 2 phi_3(-hA) d

and the end value ``exp(-hA) e + 2 phi_2(-hA) d``. For slow directions the correction is d/3, for
stiff ones ``d/(hA)``, which damps what the first pass excited. What is found after the second pass
beyond that end value is of third order and estimates the error.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from meanfield.flow.method import Attempt, EventCounts, State
from meanfield.flow.phi import phi_functions
from meanfield.flow.system import Array, CanonicalSystem

#: Steps are not shortened below this share of the time so far to see the end of a slide.
_SHORTEST = 1e-6


class ResidualSpace:
    """Exact motion between kinks, across them and along them; exponential in the n residuals."""

    name: ClassVar[str] = "residual"
    error_order: ClassVar[int] = 3

    def __init__(self, system: CanonicalSystem) -> None:
        self.system = system
        shape = system.theta0.shape
        self._whole, self._half = np.empty(shape), np.empty(shape)
        self._results = (np.empty(shape), np.empty(shape))
        self._spectrum_of: Array | None = None
        self._rates, self._modes = np.empty(0), np.empty((0, 0))

    def step(self, state: State, h: float) -> Attempt:
        """Try a step of canonical length h."""
        system, theta = self.system, state.theta
        rates, modes = self._spectrum_at(state)
        # In the modes of A everything below is elementwise.
        e = modes.T @ state.e
        decay, mean, response, response_mean = phi_functions(h * rates)
        _, half_mean, _, half_response_mean = phi_functions(0.5 * h * rates)

        predicted = mean * e
        system.move(theta, modes @ predicted, h, self._whole)
        defect = modes.T @ system.residual(self._whole) - decay * e
        correction = 2.0 * response_mean * defect

        first = half_mean * e + 0.5 * half_response_mean * defect
        second = 2.0 * (predicted + correction) - first
        new = self._results[0] if theta is not self._results[0] else self._results[1]
        events = system.move(theta, modes @ first, 0.5 * h, self._half)
        events += system.move(self._half, modes @ second, 0.5 * h, new)
        e_new = system.residual(new)

        surprise = modes.T @ e_new - (decay * e + 2.0 * response * defect)
        *counts, stepped_over = (int(count) for count in events)
        if stepped_over and h > _SHORTEST * (state.s + h):
            surprise[:] = np.inf  # no estimate sees which side a slide ended on: try again, shorter
        return Attempt(
            state=State(state.s + h, new, e_new),
            loss_rate=float(rates @ e**2) / system.n,
            output_error=modes @ surprise if np.isfinite(surprise[0]) else surprise,
            layer_error=self._layer_error(new, correction, 2.0 * response_mean * surprise),
            events=EventCounts(*counts),
        )

    def _layer_error(self, new: Array, correction: Array, next_correction: Array) -> Array:
        """Particles moved by the first correction; the error left is smaller as the next one is.

        By no more than a third, though: the share of the halves' refinement in the difference of
        the two passes, which falls by four for a step half as long, is not seen by the means.
        """
        size, next_size = np.linalg.norm(correction), np.linalg.norm(next_correction)
        share = 1.0 if size == 0.0 else min(1.0, max(float(next_size / size), 1.0 / 3.0))
        return share * self.system.distance(new, self._whole)

    def _spectrum_at(self, state: State) -> tuple[Array, Array]:
        """Rates and modes of A at the step's start; a step that is tried again reuses them."""
        if self._spectrum_of is not state.e:  # residuals are new arrays at every state
            values, self._modes = np.linalg.eigh(self.system.kink_aware_gram(state.theta, state.e))
            self._rates = np.maximum(values, 0.0) / self.system.n
            self._spectrum_of = state.e
        return self._rates, self._modes
