"""The residual method, with linearly implicit steps where it stalls.

The residual method freezes K during a step. If a fast mode turns slowly, by an angle delta in a step of
length h, then a frozen K feeds it with delta |e| for all of the step: particles are off by h lambda delta |e|
before that is corrected, lambda being the mode's rate. In a valley that is steep and nearly flat along its
floor (a first output thousands of times the targets leaves the flow there) steps end at ``h**2 lambda = T``, T
the time in which the mode turns, and a run never ends. A linearly implicit step meets the mode with its own
decay at every stage. It knows no events: it counts only if no neuron meets a kink or leaves one.
Once its steps are no longer than those at which the residual method stalled, that goes on.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np

from meanfield.flow.linearly_implicit import LinearlyImplicit
from meanfield.flow.method import Attempt, State
from meanfield.flow.residual import ResidualSpace, felt
from meanfield.flow.slides import Slide, Slides
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.tangent import DIRECT, Array

#: The residual method stalls if a step fails that is shorter than this share of the time so far, although its
#: fastest mode decays by so many foldings.
_SHORT, _STIFF = 3e-3, 100.0
#: Accepted steps of the residual method from the end of implicit ones to the next; twice as many each time
#: that fewer implicit steps than this were taken.
_PATIENCE, _WORTHWHILE = 20, 5


class Residual:
    """The residual method; linearly implicit where it stalls (see the module)."""

    name: ClassVar[str] = ResidualSpace.name
    error_order: ClassVar[int] = ResidualSpace.error_order

    def __init__(self, system: CanonicalSystem) -> None:
        self.system = system
        self._exact = ResidualSpace(system)
        self._implicit: ImplicitSlides | None = None
        self._last: Array | None = None
        # The length at which implicit steps took over, 0 where they have not; how many were taken.
        self._entered, self._taken = 0.0, 0
        self._patience, self._pause = _PATIENCE, 0

    def step(self, state: State, h: float) -> Attempt:
        """Try a step of canonical length h."""
        failed, self._last = state.e is self._last, state.e
        if self._entered > 0.0:
            self._taken += not failed
            if h >= self._entered and (attempt := self._implicit_step(state, h)) is not None:
                return attempt
            if self._taken < _WORTHWHILE:
                self._patience *= 2
            self._entered, self._pause = 0.0, self._patience
        elif failed and self._pause <= 0 and self._stalls(state, h):
            if (attempt := self._implicit_step(state, h)) is not None:
                self._entered, self._taken = h, 0
                return attempt
        self._pause -= not failed
        return self._exact.step(state, h)

    def _stalls(self, state: State, h: float) -> bool:
        short = h < _SHORT * state.s and self.system.n <= DIRECT
        return short and self._exact.stiffness > _STIFF

    def _implicit_step(self, state: State, h: float) -> Attempt | None:
        if self._implicit is None:
            self._implicit = ImplicitSlides(self.system)
        return self._implicit.try_step(state, h)


class ImplicitSlides(LinearlyImplicit):
    """Linearly implicit steps of neurons that cross no kinks but may slide on some."""

    def __init__(self, system: CanonicalSystem) -> None:
        super().__init__(system)
        self._slides = Slides(system)
        self._now: list[Slide] = []

    def try_step(self, state: State, h: float) -> Attempt | None:
        """Try a step of canonical length h; None from a state that is not smooth."""
        now = self._slides.at(state.theta, state.e)
        if now is None:
            return None
        self._now = now
        attempt = self.step(state, h)
        new = attempt.state
        if not self._slides.last(state.theta, new.theta) or self._slides.at(new.theta, new.e) is None:
            return replace(attempt, layer_error=np.full(2, math.inf))
        return replace(attempt, stiff=True)

    def _fresh_kernel(self, state: State) -> Array:
        return self.system.tangent_kernel(state.theta, state.e, felt(state)).matrix()

    def _pullback(self, theta: Array, c: Array, out: Array) -> None:
        super()._pullback(theta, c, out)
        for neuron, held in self._now:
            q = out[1:, neuron]
            q -= held @ (held.T @ q)
