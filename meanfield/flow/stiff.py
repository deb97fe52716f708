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

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from meanfield.flow.linearly_implicit import GaussNewton, LinearlyImplicit
from meanfield.flow.method import Attempt, MethodName
from meanfield.flow.residual import ResidualSpace, Tried, felt
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


@dataclass(frozen=True, eq=False)
class Past:
    """What the residual method and its implicit steps did before an attempt.

    Attributes
    ----------
    entered : float
        Length at which implicit steps took over; 0 where they have not.
    taken : int
        Implicit steps that were taken since then.
    patience, pause : int
        Accepted steps of the residual method from the end of implicit ones to the next, and those left.
    in_a_row, failures : int
        Short steps one after the other; attempts that failed at this state.
    stiffness : float
        Foldings of the fastest mode in the last attempt of the residual method.
    failed : bool
        Whether the last attempt began at this state.
    tried : Tried or None
        Attempts of the residual method at this state.
    linearised : GaussNewton or None
        What implicit steps know of this state.
    """

    entered: float = 0.0
    taken: int = 0
    patience: int = _PATIENCE
    pause: int = 0
    in_a_row: int = 0
    failures: int = 0
    stiffness: float = 0.0
    failed: bool = False
    tried: Tried | None = None
    linearised: GaussNewton | None = None

    @property
    def stalls(self) -> bool:
        """Whether a short step is one too many."""
        return (self.failed or self.in_a_row > _IN_A_ROW) and (self.pause <= 0 or self.failures >= _FAILURES)

    def remembered(self, attempt: Attempt) -> Attempt:
        """An attempt that remembers this."""
        return replace(
            attempt,
            memory=replace(self, failed=False, tried=None, linearised=None),
            again=replace(self, failed=True),
        )


class Residual:
    """The residual method; linearly implicit where it stalls (see the module)."""

    name: ClassVar[MethodName] = ResidualSpace.name
    error_order: ClassVar[int] = ResidualSpace.error_order
    needs: ClassVar[type[CanonicalSystem]] = ReluSystem

    def __init__(self, system: ReluSystem) -> None:
        self.system = system
        self._exact = ResidualSpace(system)
        self._implicit: ImplicitSlides | None = None

    def step(self, state: State, h: float, memory: Past | None = None) -> Attempt:
        """See :meth:`meanfield.flow.method.Method.step`."""
        past = Past() if memory is None else memory
        past = replace(past, failures=past.failures + 1 if past.failed else 0)
        if past.entered > 0.0:
            past = replace(past, taken=past.taken + (not past.failed))
            if h >= past.entered and (attempt := self._implicit_step(state, h, past)) is not None:
                return attempt
            patience = past.patience * 2 if past.taken < _WORTHWHILE else past.patience
            past = replace(past, patience=patience, entered=0.0, pause=patience)
        else:
            short = h < _SHORT * state.s and past.stiffness > _STIFF
            past = replace(past, in_a_row=past.in_a_row + 1 if short else 0)
            if short and past.stalls and self.system.plain and self.system.n <= DIRECT:
                entering = replace(past, entered=h, taken=0, in_a_row=0)
                if (attempt := self._implicit_step(state, h, entering)) is not None:
                    return attempt
        past = replace(past, pause=past.pause - (not past.failed))
        attempt, stiffness = self._exact.stiff_step(state, h, past.tried)
        return replace(past, stiffness=stiffness, tried=attempt.again).remembered(attempt)

    def _implicit_step(self, state: State, h: float, past: Past) -> Attempt | None:
        if self._implicit is None:
            self._implicit = ImplicitSlides(self.system)
        attempt = self._implicit.try_step(state, h, past.linearised)
        return None if attempt is None else replace(past, linearised=attempt.again).remembered(attempt)


class ImplicitSlides(LinearlyImplicit):
    """Linearly implicit steps of neurons that cross no kinks but may slide on some."""

    needs: ClassVar[type[CanonicalSystem]] = ReluSystem
    system: ReluSystem

    def __init__(self, system: ReluSystem) -> None:
        super().__init__(system)
        self._slides = Slides(system)
        self._lengths = np.linalg.norm(system.x, axis=1)
        self._now: list[Slide] = []

    def try_step(self, state: State, h: float, memory: GaussNewton | None = None) -> Attempt | None:
        """Try a step of canonical length h; None from a state that is not smooth."""
        slides, system = self._slides, self.system
        now = slides.at(state.theta, state.e)
        if now is None:
            return None
        slides.leave(state.theta, now)
        self._now = now
        attempt = self.step(state, h, memory)
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

    def _kernel(self, state: State) -> Array:
        return self.system.tangent_kernel(state.theta, state.e, felt(state)).matrix()

    def _vjp(self, theta: Array) -> tuple[Array, Callable[[Array, Array], object]]:
        return self.system.outputs(theta), functools.partial(self._pullback, theta)

    def _pullback(self, theta: Array, c: Array, out: Array) -> None:
        """Neurons near kinks keep their patterns throughout a step, so that all of its stages are smooth."""
        self.system.pullback(theta, c, out)
        for slide in self._now:
            p, q, pull = theta[0, slide.neuron], theta[1:, slide.neuron], (c * slide.active) @ self.system.x
            out[0, slide.neuron] = pull @ q
            out[1:, slide.neuron] = p * (pull - slide.held @ (slide.held.T @ pull))
