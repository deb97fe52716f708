"""The explicit pair of orders 5 and 4 by Dormand and Prince (J. Comput. Appl. Math. 6, 1980).

What a general solver does, in the same driver: the reference that the other methods are compared
with. Its steps are bounded by the stiffest mode of K, and chatter where neurons slide.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from meanfield.flow.method import Attempt, MethodName
from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.tangent import Array

#: Positions of the stages; the last is the solution of order 5, whose slope begins the next step.
A = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [1 / 5, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ]
)
#: Difference of the two solutions' weights.
ERROR = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])


class RungeKutta:
    """Dormand and Prince's explicit pair on the plain right-hand side."""

    name: ClassVar[MethodName] = "runge-kutta"
    error_order: ClassVar[int] = 5
    needs: ClassVar[type[CanonicalSystem]] = CanonicalSystem

    def __init__(self, system: CanonicalSystem) -> None:
        self.system = system
        shape = system.theta0.shape
        self._slopes = np.empty((7, *shape))
        self._results = (np.empty(shape), np.empty(shape))
        self._difference = np.empty(shape)

    def step(self, state: State, h: float, memory: Array | None = None) -> Attempt:
        """See :meth:`meanfield.flow.method.Method.step`; what is remembered is the slope at the state."""
        system, k = self.system, self._slopes
        if memory is None:
            memory = system.pullback(state.theta, -state.e / system.n, np.empty_like(state.theta))
        k[0] = memory
        new = self._results[0] if state.theta is not self._results[0] else self._results[1]
        for stage in range(1, 7):
            system.combine(state.theta, k[:stage], h * A[stage, :stage], new)
            f, pullback = system.vjp(new)
            pullback(-system.pull(f) / system.n, k[stage])
        reached = system.state(state.s + h, new, f=f)
        speeds = [system.combination_norms(k[stage : stage + 1], np.ones(1)) for stage in range(6)]
        rates = system.kappa * np.array([float(v @ v) for v in speeds])
        self._difference[:] = 0.0
        system.combine(self._difference, k, h * ERROR, self._difference)
        return Attempt(
            state=reached,
            loss_rate=float(rates[0]),
            dissipated=h * float(A[6] @ rates),
            output_error=system.tangent(new, self._difference),
            layer_error=system.combination_norms(k, h * ERROR),
            memory=k[6].copy(),
            again=memory,
        )
