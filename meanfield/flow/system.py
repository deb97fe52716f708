"""The gradient flow in canonical coordinates, as the few operations that every method needs.

With ``p = sqrt(kappa') a``, ``q = w / sqrt(kappa')`` and ``s = kappa tbar`` the flow reads

    dp/ds = -(1/n) sum_i e_i relu(q . x_i),    dq/ds = -(1/n) sum_i e_i p 1[q . x_i > 0] x_i,

with the residual ``e_i = kappa sum_k weight_k p_k relu(q_k . x_i) - y_i``: kappa' has left the
equations. In terms of the feature map Phi (see :mod:`meanfield.kernels.dense`) the velocity is
``-Phi^T e / n`` and the residual obeys ``de/ds = -(1/n) K e`` with ``K = kappa Phi W Phi^T``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from meanfield import kernels
from meanfield.errors import InputError
from meanfield.particles import Particles
from meanfield.problem import Problem

Array = NDArray[np.float64]


class CanonicalSystem:
    """A problem and its particles as a dynamical system for the state ``theta``, shape (1 + r, N).

    Row 0 of theta is p, row 1 + c the c-th coordinate of q in the basis of the samples' span (the
    part of w outside of it never moves).

    Attributes
    ----------
    theta0 : ndarray, shape (1 + r, N)
        Initial state.
    y_scale : float
        Root mean square of the larger of targets and initial residual: the unit of output errors.
    passes : int
        Passes over all particles so far.
    """

    def __init__(self, problem: Problem, particles: Particles) -> None:
        if particles.d != problem.d:
            raise InputError(
                f"the particles have input weights of dimension {particles.d} but the problem has "
                f"d = {problem.d} (bias included); draw them for this problem"
            )
        self.problem = problem
        self.particles = particles
        self.kappa = particles.kappa
        # A copy: kernels are compiled for writable arrays only, wherever the problem came from.
        self.x = problem.reduced.copy()
        self.n = problem.n
        self.weight = np.ascontiguousarray(particles.weight)
        self.size = particles.size
        self.root = math.sqrt(particles.kappa_prime)
        self.theta0 = np.empty((1 + problem.rank, self.size))
        self.theta0[0] = self.root * particles.a
        self.theta0[1:] = (particles.w @ problem.basis).T / self.root
        self.passes = 0
        self._chunks = kernels.chunk_count(self.size)
        self._samples = np.empty((self._chunks, self.n))
        e0 = self.residual(self.theta0)
        self.y_scale = max(_rms(problem.y), _rms(e0))

    def residual(self, theta: Array) -> Array:
        """Residual ``e = f - y`` on the samples, shape (n,)."""
        self._run(
            2 * self.x.size + 3 * self.n,
            lambda lo, hi: kernels.output(theta, self.weight, self.x, lo, hi, self._samples),
        )
        f: Array = self.kappa * self._samples.sum(axis=0)
        return f - self.problem.y

    def pullback(self, theta: Array, c: Array, out: Array) -> Array:
        """``out = Phi^T c``, shape (1 + r, N), for a vector c on the samples."""
        self._run(
            4 * self.x.size + 4 * self.n,
            lambda lo, hi: kernels.pullback(theta, c, self.x, lo, hi, out),
        )
        return out

    def tangent(self, theta: Array, v: Array) -> Array:
        """Change of the output along v: ``kappa Phi W v``, shape (n,)."""
        self._run(
            4 * self.x.size + 5 * self.n,
            lambda lo, hi: kernels.tangent(theta, self.weight, v, self.x, lo, hi, self._samples),
        )
        change: Array = self.kappa * self._samples.sum(axis=0)
        return change

    def gram(self, theta: Array) -> Array:
        """Tangent Gram matrix ``K = kappa Phi W Phi^T``, shape (n, n)."""
        shape = (self._chunks, self.n, self.n)
        part_a, part_w = np.empty(shape), np.empty(shape)
        self._run(
            2 * self.x.size + 2 * self.n**2,
            lambda lo, hi: kernels.gram(theta, self.weight, self.x, lo, hi, part_a, part_w),
        )
        lower: Array = self.kappa * (part_a.sum(axis=0) + (self.x @ self.x.T) * part_w.sum(axis=0))
        return np.tril(lower) + np.tril(lower, -1).T

    def move(self, theta: Array, e: Array, h: float, out: Array) -> Array:
        """Move all particles for a canonical time h under the constant residual e, kinks included.

        Writes the new state to ``out`` and returns the counts of events, shape (5,) (see
        :func:`meanfield.kernels.move`).
        """
        events = np.empty((self._chunks, 5), dtype=np.int64)
        self._run(
            4 * self.x.size + 20 * self.n,
            lambda lo, hi: kernels.move(theta, e, self.x, h, lo, hi, out, events),
        )
        total: Array = events.sum(axis=0)
        return total

    def kink_aware_gram(self, theta: Array, e: Array) -> Array:
        """Tangent Gram matrix of the motion under e: a sliding neuron counts with what is left to it."""
        partial = np.empty((self._chunks, self.n, self.n))
        self._run(
            2 * self.x.size + 5 * self.n,
            lambda lo, hi: kernels.kink_gram(theta, self.weight, e, self.x, lo, hi, partial),
        )
        lower: Array = self.kappa * partial.sum(axis=0)
        return self.gram(theta) + np.tril(lower) + np.tril(lower, -1).T

    def combine(self, base: Array, increments: Array, coefficients: Array, out: Array) -> Array:
        """``out = base + sum_j coefficients_j increments_j``."""
        self._run(
            2 * increments.shape[0] * base.shape[0],
            lambda lo, hi: kernels.combine(base, increments, coefficients, lo, hi, out),
            counts=False,
        )
        return out

    def combination_norms(self, increments: Array, coefficients: Array) -> Array:
        """Weighted Euclidean norms of the p and q parts of ``sum_j coefficients_j increments_j``."""
        sums = np.empty((self._chunks, 2))
        self._run(
            2 * increments.shape[0] * increments.shape[1],
            lambda lo, hi: kernels.combination_norms(increments, coefficients, self.weight, lo, hi, sums),
            counts=False,
        )
        norms: Array = np.sqrt(sums.sum(axis=0))
        return norms

    def distance(self, theta: Array, other: Array) -> Array:
        """Weighted Euclidean distances between the p and q parts of two states, shape (2,)."""
        sums = np.empty((self._chunks, 2))
        self._run(
            4 * theta.shape[0],
            lambda lo, hi: kernels.distance(theta, other, self.weight, lo, hi, sums),
            counts=False,
        )
        norms: Array = np.sqrt(sums.sum(axis=0))
        return norms

    def observe(self, theta: Array) -> Array:
        """The five sums of :func:`meanfield.kernels.observe` against the initial state."""
        sums = np.empty((self._chunks, 5))
        self._run(
            10 * theta.shape[0],
            lambda lo, hi: kernels.observe(theta, self.theta0, self.weight, lo, hi, sums),
            counts=False,
        )
        totals: Array = sums.sum(axis=0)
        return totals

    def to_particles(self, theta: Array) -> Particles:
        """The state in normalised units, with the part of w outside the samples' span put back."""
        moved = (theta[1:] - self.theta0[1:]).T * self.root
        w = self.particles.w + moved @ self.problem.basis.T
        return self.particles.moved(theta[0] / self.root, w)

    def _run(self, flops_per_neuron: float, call: kernels.ChunkCall, *, counts: bool = True) -> None:
        self.passes += int(counts)
        kernels.run_chunks(self.size, flops_per_neuron * self.size, call)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values * values)))
