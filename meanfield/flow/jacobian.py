"""The exact Jacobian of the flow of smooth neurons, and solutions with it.

In canonical units neuron k obeys ``F_k = -(1/n) Phi_k^T e``, and e follows ``f = kappa Phi W theta`` with
``D = de/df``. Hence

    F' = -(H + (kappa/n) Phi^T D Phi W),

where H has one symmetric block of size c + r for each neuron, and none between neurons:

    H_pp = 0,  H_pq = (1/n) sum_i e_i sigma_c'(z_i) x_i^T,
    H_qq = (1/n) sum_i (e_i . p) sigma_c''(z_i) x_i x_i^T.

A stage of a Rosenbrock method solves ``(1 + tau H + (tau kappa / n) Phi^T D Phi W) u = b``. With
``D = L L^T`` and ``B = 1 + tau H``, neuron by neuron, the Woodbury identity leaves n c unknowns:

    M = Phi W B^{-1} Phi^T,    (1 + (tau kappa / n) L^T M L) z = L^T Phi W B^{-1} b,
    u = B^{-1} (b - (tau kappa / n) Phi^T L z).

There is no inverse of D. Blocks of B may be indefinite where a step is long: then M is, too, and its
factorisation is Bunch and Kaufman's. ``B_pp = 1``, so that each block is solved by its Schur complement in q.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.linalg import lapack

from meanfield.flow.curvature import Root
from meanfield.flow.state import State
from meanfield.flow.system import SmoothSystem
from meanfield.flow.tangent import Array
from meanfield.resources import check_fits

#: Matrices (n c, n c) held at a time.
_MATRICES = 4


class Jacobian:
    """F' at a state.

    Parameters
    ----------
    system : SmoothSystem
        The system.
    state : State
        The state; its theta must not change while this is used.
    """

    def __init__(self, system: SmoothSystem, state: State) -> None:
        self.system, self.state = system, state
        count = state.e.size
        check_fits(
            f"matrices of {count} x {count} outputs",
            _MATRICES * 8.0 * count**2,
            "give fewer samples, or leave a flow's method at its default",
        )
        self.forward = system.forward(state.theta)
        self.root = Root.of(state.curvature)
        self.pq, self.qq = self.forward.hessian(state.e / system.n)
        self.velocity = self.forward.pullback(-state.e / system.n, np.empty_like(state.theta))
        speed = system.combination_norms(self.velocity[None], np.ones(1))
        self.loss_rate = system.kappa * float(speed @ speed)

    def product(self, v: Array) -> Array:
        """``F' v``, shape (c + r, N)."""
        c, root = self.forward.passes.outputs, self.root
        change = self.system.kappa / self.system.n * self.forward.tangent(v)
        product = self.forward.pullback(root.apply(root.adjoint(change)), np.empty_like(v))
        product[:c] += np.einsum("ajk,jk->ak", self.pq, v[c:])
        product[c:] += np.einsum("ajk,ak->jk", self.pq, v[:c]) + np.einsum("jlk,lk->jk", self.qq, v[c:])
        return -product

    def stages(self, gamma: float, h: float) -> ExactStages:
        """See :class:`meanfield.flow.rosenbrock.Linearisation`."""
        return ExactStages(self, gamma, h)


class ExactStages:
    """The stages of a step with the exact Jacobian: see :class:`meanfield.flow.rosenbrock.Stages`.

    Parameters
    ----------
    jacobian : Jacobian
        F' at the step's start.
    gamma, h : float
        The diagonal coefficient of the method, and the length of the step; tau is their product.
    """

    of_pull: ClassVar[bool] = True

    def __init__(self, jacobian: Jacobian, gamma: float, h: float) -> None:
        self.jacobian, self._gamma, self._h = jacobian, gamma, h
        tau = gamma * h
        self._rate = tau * jacobian.system.kappa / jacobian.system.n
        self._blocks = Blocks(tau * jacobian.pq, tau * jacobian.qq)
        M = jacobian.forward.gram(self._blocks.pq, self._blocks.inverse)
        matrix = self._rate * jacobian.root.dressed(M)
        matrix[np.diag_indices_from(matrix)] += 1.0
        self._factor, self._pivots, _ = lapack.dsytrf(matrix, lower=True)

    def solve(self, b: Array, out: Array) -> None:
        """``out = (1 - tau F')^{-1} b``; b is overwritten."""
        forward, root = self.jacobian.forward, self.jacobian.root
        seen = root.adjoint(forward.tangent(self._blocks.solve(b, out)))
        z, _ = lapack.dsytrs(self._factor, self._pivots, seen, lower=True)
        b -= forward.pullback(self._rate * root.apply(z), out)
        self._blocks.solve(b, out)

    def first(self, out: Array) -> None:
        """See :class:`meanfield.flow.rosenbrock.Stages`."""
        self.solve(self._h * self.jacobian.velocity, out)

    def next(self, slope: Array, k: Array, coupling: Array, out: Array) -> None:
        """See :class:`meanfield.flow.rosenbrock.Stages`."""
        system, b, w = self.jacobian.system, np.empty_like(slope), coupling / self._gamma
        self.solve(system.combine(slope, k, w, b), out)
        system.combine(out, k, -w, out)

    def output_error(self, weights: Array, stage: Array, end: Array) -> Array:
        """See :class:`meanfield.flow.rosenbrock.Stages`: the last stage is the embedded solution."""
        return np.asarray(end - stage)


class Blocks:
    """``B = 1 + tau H``, one block for each neuron, solved by the Schur complement in q.

    Parameters
    ----------
    pq : ndarray, shape (c, r, N)
        Off-diagonal parts.
    qq : ndarray, shape (r, r, N)
        Parts in q, without the unit matrix.

    Attributes
    ----------
    inverse : ndarray, shape (r, r, N)
        Inverse of ``1 + qq - pq^T pq``; nan where that is singular.
    """

    def __init__(self, pq: Array, qq: Array) -> None:
        self.pq = pq
        schur = qq - np.einsum("ajk,alk->jlk", pq, pq)
        schur[np.diag_indices(len(qq))] += 1.0
        self.inverse = _inverse(schur)

    def solve(self, b: Array, out: Array) -> Array:
        """``out = B^{-1} b``, shape (c + r, N)."""
        c = len(self.pq)
        inner = b[c:] - np.einsum("ajk,ak->jk", self.pq, b[:c])
        np.einsum("jlk,lk->jk", self.inverse, inner, out=out[c:])
        np.subtract(b[:c], np.einsum("ajk,jk->ak", self.pq, out[c:]), out=out[:c])
        return out


def _inverse(blocks: Array) -> Array:
    """Inverses of symmetric blocks (r, r, N)."""
    r = len(blocks)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if r == 1:
            return np.asarray(1.0 / blocks)
        if r == 2:
            (a, b), (_, d) = blocks
            return np.asarray(np.array([[d, -b], [-b, a]]) / (a * d - b * b))
    try:
        inverse = np.linalg.inv(np.moveaxis(blocks, -1, 0))
    except np.linalg.LinAlgError:
        return np.full_like(blocks, np.nan)
    return np.ascontiguousarray(np.moveaxis(inverse, 0, -1))
