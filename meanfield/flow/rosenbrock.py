"""Linearly implicit methods: stages that each solve with the Jacobian at the step's start.

A Rosenbrock method of s stages for ``theta' = F(theta)`` with J = F'(theta) takes

    theta_new = theta + sum_i b_i k_i,
    k_i = h F(theta + sum_{j<i} alpha_ij k_j) + h J sum_{j<=i} gamma_ij k_j,

all gamma_ii being gamma. With ``w_i = sum_{j<i} (gamma_ij / gamma) k_j`` a stage solves

    (1 - gamma h J) (k_i + w_i) = h F(theta_i) + w_i.

A *W-method* keeps its order with any matrix in place of J. :class:`LinearlyImplicitMethod` is the loop over
the stages; what J is, and how to solve with it, is a :class:`Linearisation`'s business.

:class:`Rosenbrock` is RODAS4 of Hairer and Wanner (Solving Ordinary Differential Equations II, section IV.7)
with the exact J of :mod:`meanfield.flow.jacobian`: six stages, order 4, L-stable, stiffly accurate. Its last
stage sits at the embedded solution of order 3, so that the estimated error costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np

from meanfield.flow.jacobian import Jacobian
from meanfield.flow.method import Attempt, MethodName
from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem, SmoothSystem
from meanfield.flow.tangent import Array


@dataclass(frozen=True, eq=False)
class Tableau:
    """Coefficients of a Rosenbrock method.

    Attributes
    ----------
    gamma : float
        The diagonal coefficient.
    alpha : ndarray, shape (s, s)
        Positions of the stages.
    coupling : ndarray, shape (s, s)
        gamma_ij without the diagonal.
    b, embedded : ndarray, shape (s,)
        Weights of the solution, and of the embedded one.
    """

    gamma: float
    alpha: Array
    coupling: Array
    b: Array
    embedded: Array

    @classmethod
    def transformed(cls, gamma: float, a: Array, c: Array, m: Array, embedded: Array) -> Tableau:
        """From coefficients for ``u_i = sum_j gamma_ij k_j``, in which codes and books print them."""
        full = np.tril(np.linalg.inv(np.eye(len(m)) / gamma - c))
        return cls(gamma, np.tril(a @ full, -1), np.tril(full, -1), m @ full, embedded @ full)

    @property
    def stages(self) -> int:
        """Number of stages s."""
        return len(self.b)

    @cached_property
    def error(self) -> Array:
        """Weights of the difference of the two solutions."""
        error: Array = self.b - self.embedded
        return error


class Stages(Protocol):
    """Solutions of ``(1 - gamma h J) (k_i + w_i) = h F(theta_i) + w_i``, one stage after the other."""

    def first(self, out: Array) -> None:
        """``out = k_1``."""

    def next(self, slope: Array, k: Array, coupling: Array, out: Array) -> None:
        """``out = k_i`` for ``slope = h F(theta_i)`` and ``w_i = sum_j (coupling_j / gamma) k_j``."""

    #: Whether the error that it knows is that of e, not of the outputs.
    of_pull: ClassVar[bool]

    def output_error(self, weights: Array, stage: Array, end: Array) -> Array:
        """Difference between the two solutions in the outputs, or in e (see ``of_pull``), shape (n c,).

        At the last stage and at the end e is ``stage`` and ``end``.
        """


class Linearisation(Protocol):
    """J at a state."""

    @property
    def loss_rate(self) -> float:
        """``-dR/ds`` there."""

    def stages(self, gamma: float, h: float) -> Stages:
        """The stages of a step of length h."""


class LinearlyImplicitMethod:
    """The stages of a Rosenbrock method; subclasses say what J is."""

    tableau: ClassVar[Tableau]

    def __init__(self, system: CanonicalSystem) -> None:
        self.system = system
        shape = system.theta0.shape
        self._k = np.empty((self.tableau.stages, *shape))
        self._slope, self._stage = np.empty(shape), np.empty(shape)
        self._results = (np.empty(shape), np.empty(shape))

    def step(self, state: State, h: float, memory: Linearisation | None = None) -> Attempt:
        """See :meth:`meanfield.flow.method.Method.step`; a step that is tried again knows its J."""
        system, k, theta, tableau = self.system, self._k, state.theta, self.tableau
        linearised = self._linearised(state) if memory is None else memory
        stages = linearised.stages(tableau.gamma, h)
        stages.first(k[0])
        e = state.e
        for i in range(1, tableau.stages):
            system.combine(theta, k[:i], tableau.alpha[i, :i], self._stage)
            f, pullback = self._vjp(self._stage)
            e = system.pull(f)
            pullback(-(h / system.n) * e, self._slope)
            stages.next(self._slope, k[:i], tableau.coupling[i, :i], k[i])
        new = self._results[0] if theta is not self._results[0] else self._results[1]
        system.combine(theta, k, tableau.b, new)
        reached = system.state(state.s + h, new)
        return Attempt(
            state=reached,
            loss_rate=linearised.loss_rate,
            output_error=stages.output_error(tableau.error, e, reached.e),
            layer_error=system.combination_norms(k, tableau.error),
            of_pull=stages.of_pull,
            again=linearised,
        )

    def _linearised(self, state: State) -> Linearisation:
        raise NotImplementedError

    def _vjp(self, theta: Array) -> tuple[Array, Callable[[Array, Array], object]]:
        """Outputs of a stage and their pullback."""
        return self.system.vjp(theta)


def _rodas4() -> Tableau:
    a, c = np.zeros((6, 6)), np.zeros((6, 6))
    a[1, 0] = 1.544
    a[2, :2] = 0.9466785280815826, 0.2557011698983284
    a[3, :3] = 3.314825187068521, 2.896124015972201, 0.9986419139977817
    a[4, :4] = 1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950
    a[5, :5] = *a[4, :4], 1.0
    c[1, 0] = -5.6688
    c[2, :2] = -2.430093356833875, -0.2063599157091915
    c[3, :3] = -0.1073529058151375, -9.594562251023355, -20.47028614809616
    c[4, :4] = 7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160
    c[5, :5] = (
        8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054,
    )  # fmt: skip
    return Tableau.transformed(0.25, a, c, a[5] + np.eye(6)[5], a[5])


class Rosenbrock(LinearlyImplicitMethod):
    """RODAS4 with the exact Jacobian, for smooth activations and up to a few hundred samples and outputs."""

    name: ClassVar[MethodName] = "rosenbrock"
    error_order: ClassVar[int] = 4
    needs: ClassVar[type[CanonicalSystem]] = SmoothSystem
    tableau = _rodas4()
    system: SmoothSystem

    def __init__(self, system: SmoothSystem) -> None:
        super().__init__(system)

    def _linearised(self, state: State) -> Jacobian:
        return Jacobian(self.system, state)
