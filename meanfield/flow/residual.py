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

For any other convex loss e is the pull dl/df, and ``A = H K / n`` with the curvatures H of the samples'
losses at the step's start: what their change does to e counts as the change of K does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from meanfield.flow.method import Attempt, EventCounts, MethodName, Motion
from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem, ReluSystem
from meanfield.flow.tangent import Array, CurvedExpansion, Expansion, Spectrum, pulled

#: Steps are not shortened below this share of the time so far to see the end of a slide.
_SHORTEST = 1e-6


@dataclass(frozen=True, eq=False)
class Tried:
    """Attempts at one state: the spectrum that the last one had, and how many spectra it came from."""

    spectrum: Spectrum
    count: int


class ResidualSpace:
    """Exact motion between kinks, across them and along them; exponential in the n residuals."""

    name: ClassVar[MethodName] = "residual"
    error_order: ClassVar[int] = 3
    needs: ClassVar[type[CanonicalSystem]] = ReluSystem

    def __init__(self, system: ReluSystem) -> None:
        self.system = system
        self._lengths = np.linalg.norm(system.x, axis=1)
        self._results: list[Array] = []

    def step(self, state: State, h: float, memory: Tried | None = None) -> Attempt:
        """See :meth:`meanfield.flow.method.Method.step`."""
        return self.stiff_step(state, h, memory)[0]

    def stiff_step(self, state: State, h: float, memory: Tried | None) -> tuple[Attempt, float]:
        """A step, and by how many foldings the fastest mode decays in it."""
        system, theta, new = self.system, state.theta, self._result(state.theta)
        before, halves = felt(state), np.array([0.5 * h, 0.5 * h])
        tried = self._spectrum_at(state, memory)
        spectrum = tried.spectrum
        at_e = spectrum.expand(state.e, h)
        stiffness = h * float(at_e.rates.max())
        predicted, decayed, first = at_e.phi(1, h), at_e.phi(0, h), at_e.phi(1, 0.5 * h)

        # The prediction goes into the array of the result: the second motion measures the difference.
        (f_predicted,), _ = system.move(theta, np.stack([before, predicted]), np.array([h]), new)
        at_defect = spectrum.expand(system.pull(f_predicted) - decayed, h)
        correction = 2.0 * at_defect.phi(3, h)
        first += 0.5 * at_defect.phi(3, 0.5 * h)
        second = 2.0 * (predicted + correction) - first
        (f_half, f_new), moved = system.move(theta, np.stack([before, first, second]), halves, new)

        reached = system.state(state.s + h, new, f=f_new, felt=second)
        surprise = reached.e - (decayed + 2.0 * at_defect.phi(2, h))
        doubt = self._doubt(state, h, moved.doubt, np.abs(surprise))
        attempt = Attempt(
            state=reached,
            loss_rate=spectrum.loss_rate(state.e, at_e),
            # Under a constant residual particles give off exactly -mean . (change of f) / n.
            dissipated=float(first @ (state.f - f_half) + second @ (f_half - reached.f)) / system.n,
            output_error=np.abs(surprise) + pulled(doubt, reached.curvature),
            of_pull=True,
            layer_error=_share(correction, spectrum.expand(surprise, h), h) * moved.change,
            events=EventCounts(*(int(count) for count in moved.events[:4])),
            motion=Motion(halves, np.stack([first, second])),
            again=tried,
        )
        return attempt, stiffness

    def _doubt(self, state: State, h: float, doubt: float, seen: Array) -> Array:
        """Error of the outputs that slides may cause whose end is in doubt, where it matters beside ``seen``.

        No estimate sees which side a slide ended on. What neurons in doubt contribute to the output is what
        may come out wrong. Slides that ended before this step are in doubt however short it is: their
        neurons, found by a step of no length, which moves nothing, do not count.
        """
        if not h > _SHORTEST * state.s > 0.0:
            return np.zeros_like(seen)
        error: Array = self.system.kappa * self._lengths
        if doubt * float(np.linalg.norm(error)) <= float(np.linalg.norm(seen)):
            return doubt * error
        theta, residuals = state.theta, np.stack([felt(state), state.e])
        _, inherited = self.system.move(theta, residuals, np.zeros(1), theta)
        return max(doubt - inherited.doubt, 0.0) * error

    def _result(self, theta: Array) -> Array:
        """An array for the new state: one of two, taken in turns."""
        for result in self._results:
            if result is not theta:
                return result
        self._results.append(np.zeros_like(theta))
        return self._results[-1]

    def _spectrum_at(self, state: State, memory: Tried | None) -> Tried:
        """The tangent kernel at the step's start: with the slides of the last step, then with those of e.

        The error of a step leaves fast modes in e that decay at once, but may push neurons off their
        kinks meanwhile. The last step's mean residual knows better which slides go on; if the step
        fails, then e is asked.
        """
        if memory is not None and memory.count > 1:
            return memory
        pattern = state.e if memory is None else felt(state)
        kernel = self.system.tangent_kernel(state.theta, pattern, felt(state))
        return Tried(Spectrum(kernel, self.system.n, state.curvature), 1 if memory is None else 2)


def felt(state: State) -> Array:
    """What particles felt until a state, or feel at the first."""
    return state.e if state.felt is None else state.felt


def _share(correction: Array, surprise: Expansion | CurvedExpansion, h: float) -> float:
    """Share of the correction's motion of the particles that is estimated as their error.

    The error left is smaller than that motion as the next correction is smaller than this one. By no
    more than a third, though: the share of the halves' refinement in the difference of the two
    passes, which falls by four for a step half as long, is not seen by the means.
    """
    size = float(np.linalg.norm(correction))
    next_size = 2.0 * surprise.phi_size(3, h)
    return 1.0 if size == 0.0 else min(1.0, max(next_size / size, 1.0 / 3.0))
