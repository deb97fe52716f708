"""A linearly implicit W-method whose linear algebra is n x n.

ROS34PW2 of Rang and Angermann (BIT 45, 2005): four stages, order 3 with *any* approximation of the
Jacobian, L-stable and stiffly accurate. The approximation used here is the Gauss-Newton part
``J = -(kappa/n) Phi^T D Phi W`` frozen at the step's start, which carries all of the stiffness that the
samples bring. By the Woodbury identity

    (1 - gamma h J)^{-1} v = v - (gamma h / n) Phi^T D c,    (1 + (gamma h / n) K D) c = kappa Phi W v,

so a stage costs passes over the particles and one n x n solve. See :mod:`meanfield.flow.rosenbrock` for the
stages.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from meanfield.flow.curvature import Root
from meanfield.flow.method import MethodName
from meanfield.flow.rosenbrock import LinearlyImplicitMethod, Tableau
from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.tangent import Array

#: gamma is a root of x**3 - 3 x**2 + 3 x / 2 - 1 / 6.
ROS34PW2 = Tableau(
    gamma=4.3586652150845900e-01,
    alpha=np.array(
        [
            [0.0, 0.0, 0.0, 0.0],
            [8.7173304301691801e-01, 0.0, 0.0, 0.0],
            [8.4457060015369423e-01, -1.1299064236484185e-01, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0],
        ]
    ),
    coupling=np.array(
        [
            [0.0, 0.0, 0.0, 0.0],
            [-8.7173304301691801e-01, 0.0, 0.0, 0.0],
            [-9.0338057013044082e-01, 5.4180672388095326e-02, 0.0, 0.0],
            [2.4212380706095346e-01, -1.2232505839045147e00, 5.4526025533510214e-01, 0.0],
        ]
    ),
    b=np.array(
        [2.4212380706095346e-01, -1.2232505839045147e00, 1.5452602553351020e00, 4.3586652150845900e-01]
    ),
    embedded=np.array([3.7810903145819369e-01, -9.6042292212423178e-02, 0.5, 2.1793326075422950e-01]),
)

#: A function of a vector on the outputs that writes the motion of the particles that it causes.
Pullback = Callable[[Array, Array], object]


class LinearlyImplicit(LinearlyImplicitMethod):
    """The W-method ROS34PW2 with an n x n solve: cheap where hardly any kink is met."""

    name: ClassVar[MethodName] = "linearly-implicit"
    error_order: ClassVar[int] = 3
    needs: ClassVar[type[CanonicalSystem]] = CanonicalSystem
    tableau = ROS34PW2

    def _linearised(self, state: State) -> GaussNewton:
        pullback = functools.partial(self._pullback, state.theta)
        return GaussNewton(self.system, state, self._kernel(state), pullback, Root.of(state.curvature))

    def _kernel(self, state: State) -> Array:
        return self.system.gram(state.theta)

    def _pullback(self, theta: Array, c: Array, out: Array) -> None:
        """``out = Phi^T c``, the motion of the particles that residuals -c cause."""
        self.system.pullback(theta, c, out)


@dataclass(frozen=True, eq=False)
class GaussNewton:
    """``J = -(kappa/n) Phi^T D Phi W`` at a state: see :class:`meanfield.flow.rosenbrock.Linearisation`.

    Attributes
    ----------
    system : CanonicalSystem
        The system.
    state : State
        The state.
    K : ndarray, shape (n, n)
        Its tangent kernel.
    pullback : callable
        Writes ``Phi^T c`` to its second argument.
    root : Root
        L of ``D = L L^T``.
    """

    system: CanonicalSystem
    state: State
    K: Array
    pullback: Pullback
    root: Root

    @property
    def loss_rate(self) -> float:
        """``-dR/ds``."""
        e = self.state.e
        return float(e @ self.K @ e) / self.system.n**2

    def stages(self, gamma: float, h: float) -> GaussNewtonStages:
        """See :class:`meanfield.flow.rosenbrock.Linearisation`."""
        return GaussNewtonStages(self, gamma, h)


class GaussNewtonStages:
    """See :class:`meanfield.flow.rosenbrock.Stages`.

    ``kappa Phi W k_i``, the stages as the samples see them, costs nothing beyond the solves:
    ``kappa Phi W (k_i + w_i) = c_i``.
    """

    of_pull: ClassVar[bool] = False

    def __init__(self, jacobian: GaussNewton, gamma: float, h: float) -> None:
        self.jacobian, self.gamma, self.h, self.n = jacobian, gamma, h, jacobian.system.n
        K = jacobian.root.dressed(jacobian.K)
        self._factor = cho_factor(np.eye(len(K)) + (gamma * h / self.n) * K)
        self._seen: list[Array] = []

    def first(self, out: Array) -> None:
        """See :class:`meanfield.flow.rosenbrock.Stages`."""
        e = self.jacobian.state.e
        c, felt = self._response(-(self.h / self.n) * (self.jacobian.K @ e))
        self._seen.append(c)
        self.jacobian.pullback(-(self.h / self.n) * (e + self.gamma * felt), out)

    def next(self, slope: Array, k: Array, coupling: Array, out: Array) -> None:
        """See :class:`meanfield.flow.rosenbrock.Stages`."""
        jacobian = self.jacobian
        coupled = coupling @ np.stack(self._seen) / self.gamma
        c, felt = self._response(jacobian.system.tangent(jacobian.state.theta, slope) + coupled)
        self._seen.append(c - coupled)
        jacobian.pullback(-(self.gamma * self.h / self.n) * felt, out)
        out += slope

    def output_error(self, weights: Array, stage: Array, end: Array) -> Array:
        """See :class:`meanfield.flow.rosenbrock.Stages`."""
        return np.asarray(weights @ np.stack(self._seen))

    def _response(self, driven: Array) -> tuple[Array, Array]:
        """c and D c of ``(1 + (gamma h / n) K D) c = driven``."""
        root = self.jacobian.root
        z = cho_solve(self._factor, root.adjoint(driven))
        felt = root.apply(z)
        if root.factor is None:
            return z, felt
        return driven - (self.gamma * self.h / self.n) * (self.jacobian.K @ felt), felt
