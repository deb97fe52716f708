"""The residual method, with linearly implicit steps where it stalls.

The residual method freezes K during a step. If a fast mode turns slowly, by an angle delta in a step of
length h, then a frozen K feeds it with delta |e| for all of the step: particles are off by h lambda delta |e|
before that is corrected, lambda being the mode's rate. In a valley that is steep and nearly flat along its
floor (a first output thousands of times the targets leaves the flow there) steps end at ``h**2 lambda = T``,
T the time in which the mode turns, and a run never ends. A linearly implicit step meets the mode with its
own decay at every stage. It sees kinks only between steps: a neuron that went across one moved as if that
were further on, which counts as error, and is put onto it if both sides push back to it. Neurons that slide
move within their kinks (see :mod:`meanfield.flow.slides`); one whose slide ends within a step leaves at the
start of the next, and what it went too far along its kink counts as error.
Once these steps are no longer than those at which the residual method stalled, that goes on.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np

from meanfield.flow.linearly_implicit import LinearlyImplicit
from meanfield.flow.method import Attempt, MethodName
from meanfield.flow.residual import ResidualSpace, felt
from meanfield.flow.slides import Slide, Slides
from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem, ReluSystem
from meanfield.flow.tangent import DIRECT, Array

#: A step is short if it is shorter than this share of the time so far, although the fastest mode decays by so
#: many foldings. The residual method stalls if a short step fails, or after so many short steps in a row.
_SHORT, _STIFF, _IN_A_ROW = 3e-3, 100.0, 50
#: Accepted steps of the residual method from the end of implicit ones to the next; twice as many each time
#: that fewer implicit steps than this were taken.
_PATIENCE, _WORTHWHILE = 20, 5
#: Attempts of one step that fail before implicit steps are tried whatever was found before.
_FAILURES = 4


class Residual:
    """The residual method; linearly implicit where it stalls (see the module)."""

    name: ClassVar[MethodName] = ResidualSpace.name
    error_order: ClassVar[int] = ResidualSpace.error_order
    needs: ClassVar[type[CanonicalSystem]] = ReluSystem

    def __init__(self, system: ReluSystem) -> None:
        self.system = system
        self._exact = ResidualSpace(system)
        self._implicit: ImplicitSlides | None = None
        self._last: Array | None = None
        # The length at which implicit steps took over, 0 where they have not; how many were taken.
        self._entered, self._taken = 0.0, 0
        self._patience, self._pause = _PATIENCE, 0
        self._in_a_row = self._failures = 0

    def step(self, state: State, h: float) -> Attempt:
        """Try a step of canonical length h."""
        failed, self._last = state.e is self._last, state.e
        self._failures = self._failures + 1 if failed else 0
        if self._entered > 0.0:
            self._taken += not failed
            if h >= self._entered and (attempt := self._implicit_step(state, h)) is not None:
                return attempt
            if self._taken < _WORTHWHILE:
                self._patience *= 2
            self._entered, self._pause = 0.0, self._patience
        elif self._stalls(state, h, failed) and (attempt := self._implicit_step(state, h)) is not None:
            self._entered, self._taken, self._in_a_row = h, 0, 0
            return attempt
        self._pause -= not failed
        return self._exact.step(state, h)

    def _stalls(self, state: State, h: float, failed: bool) -> bool:
        """Whether the residual method stalls before its step of length h."""
        short = h < _SHORT * state.s and self._exact.stiffness > _STIFF
        self._in_a_row = self._in_a_row + 1 if short else 0
        stalls = short and (failed or self._in_a_row > _IN_A_ROW)
        due = self._pause <= 0 or self._failures >= _FAILURES
        return stalls and due and self.system.n <= DIRECT

    def _implicit_step(self, state: State, h: float) -> Attempt | None:
        if self._implicit is None:
            self._implicit = ImplicitSlides(self.system)
        return self._implicit.try_step(state, h)


class ImplicitSlides(LinearlyImplicit):
    """Linearly implicit steps of neurons that cross no kinks but may slide on some."""

    needs: ClassVar[type[CanonicalSystem]] = ReluSystem
    system: ReluSystem

    def __init__(self, system: ReluSystem) -> None:
        super().__init__(system)
        self._slides = Slides(system)
        self._lengths = np.linalg.norm(system.x, axis=1)
        self._now: list[Slide] = []

    def try_step(self, state: State, h: float) -> Attempt | None:
        """Try a step of canonical length h; None from a state that is not smooth."""
        slides, system = self._slides, self.system
        now = slides.at(state.theta, state.e)
        if now is None:
            return None
        slides.leave(state.theta, now)
        self._now = now
        attempt = self.step(state, h)
        new = attempt.state
        crossed = slides.crossed(state.theta, new.theta, new.e, h)
        events = attempt.events if crossed is None else slides.catch(new.theta, new.e, crossed.kinks)
        if events.slid:
            new = system.state(new.s, new.theta)
        later = None if crossed is None else slides.at(new.theta, new.e)
        if crossed is None or later is None:
            return replace(attempt, layer_error=np.full(2, math.inf))
        moved, weighed = slides.overshot(later, new.theta[0], h)
        late = crossed.output + weighed * self._lengths
        return replace(
            attempt,
            state=new,
            events=events,
            output_error=np.abs(attempt.output_error) + system.kappa * late,
            layer_error=attempt.layer_error + np.array([0.0, moved + crossed.moved]),
            stiff=True,
            meets=crossed.first * h if crossed.kinks else math.inf,
        )

    def _fresh_kernel(self, state: State) -> Array:
        return self.system.tangent_kernel(state.theta, state.e, felt(state)).matrix()

    def _pullback(self, theta: Array, c: Array, out: Array) -> None:
        """Neurons near kinks keep their patterns throughout a step, so that all of its stages are smooth."""
        super()._pullback(theta, c, out)
        for slide in self._now:
            p, q, pull = theta[0, slide.neuron], theta[1:, slide.neuron], (c * slide.active) @ self.system.x
            out[0, slide.neuron] = pull @ q
            out[1:, slide.neuron] = p * (pull - slide.held @ (slide.held.T @ pull))
