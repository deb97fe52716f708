"""A linearly implicit W-method whose linear algebra is n x n.

ROS34PW2 of Rang and Angermann (BIT 45, 2005): four stages, order 3 with *any* approximation of the
Jacobian, L-stable and stiffly accurate. The approximation used here is the Gauss-Newton part
``J = -(kappa/n) Phi^T Phi W`` frozen at the step's start, which carries all of the stiffness. By the
Woodbury identity

    (I - gamma h J)^{-1} v = v - (gamma h / n) Phi^T c,    (I + (gamma h / n) K) c = kappa Phi W v,

so a stage costs passes over the particles and one n x n solve.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from meanfield.flow.method import Attempt, MethodName
from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.tangent import Array

#: The diagonal coefficient, a root of x**3 - 3 x**2 + 3 x / 2 - 1 / 6.
GAMMA = 4.3586652150845900e-01
#: Positions of the stages, ``theta_i = theta + sum_j ALPHA_ij k_j``.
ALPHA = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [8.7173304301691801e-01, 0.0, 0.0, 0.0],
        [8.4457060015369423e-01, -1.1299064236484185e-01, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0],
    ]
)
#: Coupling of the stages through the Jacobian, without the diagonal.
COUPLING = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [-8.7173304301691801e-01, 0.0, 0.0, 0.0],
        [-9.0338057013044082e-01, 5.4180672388095326e-02, 0.0, 0.0],
        [2.4212380706095346e-01, -1.2232505839045147e00, 5.4526025533510214e-01, 0.0],
    ]
)
#: Weights of order 3, and of the embedded solution of order 2.
B = np.array([2.4212380706095346e-01, -1.2232505839045147e00, 1.5452602553351020e00, GAMMA])
B_EMBEDDED = np.array([3.7810903145819369e-01, -9.6042292212423178e-02, 0.5, 2.1793326075422950e-01])


class LinearlyImplicit:
    """The W-method ROS34PW2 with an n x n solve: cheap where hardly any kink is met."""

    name: ClassVar[MethodName] = "linearly-implicit"
    error_order: ClassVar[int] = 3
    needs: ClassVar[type[CanonicalSystem]] = CanonicalSystem

    def __init__(self, system: CanonicalSystem) -> None:
        self.system = system
        shape = system.theta0.shape
        self._k = np.empty((4, *shape))
        self._slope, self._stage = np.empty(shape), np.empty(shape)
        self._results = (np.empty(shape), np.empty(shape))

    def step(self, state: State, h: float, memory: Array | None = None) -> Attempt:
        """See :meth:`meanfield.flow.method.Method.step`; a step that is tried again knows its kernel."""
        system, k, n = self.system, self._k, self.system.n
        theta, e = state.theta, state.e
        K = self._kernel(state) if memory is None else memory
        factor = cho_factor(np.eye(n) + (GAMMA * h / n) * K)

        # Phi W k_i, the stages as the samples see them, costs nothing beyond the solves:
        # kappa Phi W (k_i + w_i) = c_i with w_i = sum_j COUPLING_ij k_j / GAMMA.
        seen = np.zeros((4, n))
        c = cho_solve(factor, -(h / n) * (K @ e))
        seen[0] = c
        self._pullback(theta, -(h / n) * (e + GAMMA * c), k[0])
        for i in range(1, 4):
            system.combine(theta, k[:i], ALPHA[i, :i], self._stage)
            e_stage = system.residual(self._stage)
            self._pullback(self._stage, -(h / n) * e_stage, self._slope)
            coupled = COUPLING[i, :i] @ seen[:i] / GAMMA
            c = cho_solve(factor, system.tangent(theta, self._slope) + coupled)
            seen[i] = c - coupled
            self._pullback(theta, -(GAMMA * h / n) * c, k[i])
            k[i] += self._slope

        new = self._results[0] if theta is not self._results[0] else self._results[1]
        system.combine(theta, k, B, new)
        return Attempt(
            state=system.state(state.s + h, new),
            loss_rate=float(e @ K @ e) / n**2,
            output_error=(B - B_EMBEDDED) @ seen,
            layer_error=system.combination_norms(k, B - B_EMBEDDED),
            again=K,
        )

    def _kernel(self, state: State) -> Array:
        return self.system.gram(state.theta)

    def _pullback(self, theta: Array, c: Array, out: Array) -> None:
        """``out = Phi^T c``, the motion of the particles that residuals -c cause."""
        self.system.pullback(theta, c, out)
