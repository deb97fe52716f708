"""The residual method, with linearly implicit steps where it stalls.

The residual method freezes K during a step. If a fast mode turns slowly, by an angle delta in a step of
length h, then a frozen K feeds it with delta |e| for all of the step: particles are off by h lambda delta |e|
before that is corrected, lambda being the mode's rate. In a valley that is steep and nearly flat along its
floor (a first output thousands of times the targets leaves the flow there) steps end at ``h**2 lambda = T``, T
the time in which the mode turns, and a run never ends. A linearly implicit step meets the mode with its own
decay at every stage. It knows no kinks: it counts only if no neuron changes its pattern, or is on a kink.
Once its steps are no longer than those at which the residual method stalled, that goes on.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np

from meanfield import kernels
from meanfield.flow.linearly_implicit import LinearlyImplicit
from meanfield.flow.method import Attempt, State
from meanfield.flow.residual import ResidualSpace
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.tangent import DIRECT, Array

#: The residual method stalls if a step fails that is shorter than this share of the time so far, although its
#: fastest mode decays by so many foldings.
_SHORT, _STIFF = 3e-3, 100.0
#: Accepted steps of the residual method from the end of implicit ones to the next; twice as many each time
#: that fewer implicit steps than this were taken.
_PATIENCE, _WORTHWHILE = 20, 5
#: Entries of a block of pre-activations held at a time.
_BLOCK = 1 << 20


class Residual:
    """The residual method; linearly implicit where it stalls (see the module)."""

    name: ClassVar[str] = ResidualSpace.name
    error_order: ClassVar[int] = ResidualSpace.error_order

    def __init__(self, system: CanonicalSystem) -> None:
        self.system = system
        self._exact = ResidualSpace(system)
        self._implicit: LinearlyImplicit | None = None
        self._lengths = np.linalg.norm(system.x, axis=1)
        self._last: Array | None = None
        # The length at which implicit steps took over, 0 where they have not; how many were taken.
        self._entered, self._taken = 0.0, 0
        self._patience, self._pause = _PATIENCE, 0

    def step(self, state: State, h: float) -> Attempt:
        """Try a step of canonical length h."""
        failed, self._last = state.e is self._last, state.e
        if self._entered > 0.0:
            self._taken += not failed
            if h >= self._entered:
                return self._implicit_step(state, h)
            if self._taken < _WORTHWHILE:
                self._patience *= 2
            self._entered, self._pause = 0.0, self._patience
        elif failed and self._pause <= 0 and self._stalls(state, h):
            self._entered, self._taken = h, 0
            return self._implicit_step(state, h)
        self._pause -= not failed
        return self._exact.step(state, h)

    def _stalls(self, state: State, h: float) -> bool:
        short = h < _SHORT * state.s and self.system.n <= DIRECT
        return short and self._exact.stiffness > _STIFF

    def _implicit_step(self, state: State, h: float) -> Attempt:
        if self._implicit is None:
            self._implicit = LinearlyImplicit(self.system)
        attempt = self._implicit.step(state, h)
        if not self._same_pattern(state.theta, attempt.state.theta):
            return replace(attempt, layer_error=np.full(2, math.inf))
        return replace(attempt, stiff=True)

    def _same_pattern(self, theta: Array, new: Array) -> bool:
        """Whether all neurons have the same pattern in both states, and none is on a kink."""
        x, block = self.system.x, max(1, _BLOCK // self.system.n)
        for start in range(0, theta.shape[1], block):
            q, q_new = theta[1:, start : start + block], new[1:, start : start + block]
            z, z_new = x @ q, x @ q_new
            edge = kernels.ON_KINK * self._lengths[:, None] * np.linalg.norm(q, axis=0)
            if np.any((z > 0.0) != (z_new > 0.0)) or np.any(np.abs(z) <= edge):
                return False
        return True
