"""The gradient flow in canonical coordinates, as the few operations that every method needs.

With ``p = sqrt(kappa') a``, ``q = w / sqrt(kappa')`` and ``s = kappa tbar`` the flow reads

    dp/ds = -(1/n) sum_i e_i relu(q . x_i),    dq/ds = -(1/n) sum_i e_i p 1[q . x_i > 0] x_i,

with the residual ``e_i = kappa sum_k weight_k p_k relu(q_k . x_i) - y_i``: kappa' has left the
equations. In terms of the feature map Phi (see :mod:`meanfield.kernels.dense`) the velocity is
``-Phi^T e / n`` and the residual obeys ``de/ds = -(1/n) K e`` with ``K = kappa Phi W Phi^T``.

Any other loss l takes the place of the mean square with its pull ``e_i = dl/df_i``: then outputs obey
``df/ds = -(1/n) K e`` and pulls ``de/ds = -(1/n) H K e`` with the curvatures H of the samples' losses.

Any other activation sigma takes the place of the ReLU as ``sigma_c(z) = sigma(c z) / c`` with
``c = beta2 sqrt(kappa') = sqrt(beta1 beta2)``: where sigma is homogeneous of degree one, c drops out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from meanfield import kernels
from meanfield.activations import RELU
from meanfield.arguments import instance, scale
from meanfield.errors import InputError
from meanfield.flow.elementwise import ElementwisePasses, Forward
from meanfield.flow.folds import Fold, FoldedPasses
from meanfield.flow.passes import DensePasses, Moved
from meanfield.flow.planar import PlanarPasses
from meanfield.flow.state import State
from meanfield.flow.tangent import Array, TangentKernel
from meanfield.losses import curvature_of, mean_loss
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.resources import check_fits

#: Neurons whose q is below this share of their first one are at the origin.
_AT_ORIGIN = 1e-13
#: Individual particles may be off by this much more than outputs where there are kinks: many cross one in one
#: step, and their errors, of either sign, average out in everything that is a sum over particles. Errors of
#: smooth particles add up, and so does what escapes from a plateau.
_KINKS_AVERAGE_OUT, _SMOOTH = 3.0, 0.1
#: Matrices (n, n) held at a time while a Gram matrix is made.
_GRAM_MATRICES = 8


class Passes(Protocol):
    """Passes over all particles: :class:`~meanfield.flow.passes.DensePasses` says what each returns."""

    chunks: int

    @property
    def count(self) -> float:
        """Passes so far."""

    def output(self, theta: Array) -> Array:
        """Outputs in units of kappa, shape (n,)."""

    def pullback(self, theta: Array, c: Array, out: Array) -> Array:
        """``out = Phi^T c``."""

    def tangent(self, theta: Array, v: Array) -> Array:
        """``Phi W v``, shape (n,)."""

    def gram(self, theta: Array) -> Array:
        """``Phi W Phi^T``, shape (n, n)."""

    def run(
        self, flops: float, call: kernels.ChunkCall, *, passes: int = 1, chunks: int | None = None
    ) -> None:
        """Run a kernel over all chunks."""


class CanonicalSystem:
    """A problem and its particles as a dynamical system for the state ``theta``, shape (1 + r, N).

    Row 0 of theta is p, row 1 + c the c-th coordinate of q in the basis of the samples' span (the
    part of w outside of it never moves).

    Parameters
    ----------
    problem : Problem
        The data.
    particles : Particles
        The initial network.

    Attributes
    ----------
    x : ndarray, shape (n, r)
        Samples.
    y : ndarray
        Targets, one for each output that :meth:`output` gives; of the mean square one for each sample.
    lost : float
        What losses here lack.
    theta0 : ndarray, shape (1 + r, N)
        Initial state.
    y_scale : float
        Root mean square of the larger of targets and initial residual f - y: the unit of output errors.
    """

    _passes: Passes

    @classmethod
    def of(cls, problem: Problem, particles: Particles) -> CanonicalSystem:
        """The system of this kind for a network; of any kind, the one that knows most of its activation."""
        exact = moves_exactly(particles)
        return (ReluSystem if exact else SmoothSystem).of(problem, particles)

    def __init__(self, problem: Problem, particles: Particles) -> None:
        check_pair(problem, particles)
        self.problem = problem
        self.loss_function = problem.loss_function
        self.particles = particles
        # Layers that learn at rates r_a and r_w: p = sqrt(r_a) P, q = sqrt(r_w) Q and a time sqrt(r_a r_w) s
        # turn the flow into that of equal rates (derived in docs/conventions.md).
        rate_a, rate_w = (
            rate or 1.0 for rate in particles.rates
        )  # at rate 0 a layer is held: see the passes
        self.kappa = scale("kappa", particles.kappa) * math.sqrt(rate_a * rate_w)
        scale("kappa_prime", particles.kappa_prime)
        scale("kappa times the width", particles.kappa * particles.width)
        x, y, self.lost = self._samples()
        # Copies: kernels are compiled for writable arrays only, wherever the problem came from.
        self.x, self.y = x.copy(), y.copy()
        self._shape = self.problem.y.shape[1:]
        self.n = len(self.x)
        self.weight = np.ascontiguousarray(particles.weight)
        self.size = particles.size
        self.outputs_count = particles.outputs
        # What p and q are divided by, and multiplied with, in normalised units.
        self.roots = math.sqrt(particles.kappa_prime / rate_a), math.sqrt(particles.kappa_prime * rate_w)
        self.theta0 = self.canonical(particles)
        self._passes = self._make_passes()
        minus = particles.minus
        self._minus = None if minus is None else self.kappa * self._passes.output(self.canonical(minus))
        with np.errstate(over="ignore", invalid="ignore"):
            f0 = self.outputs(self.theta0)
            f0 = f0 if self.loss_function.quadratic else self.output(f0).ravel()
            e0 = f0 - self.y.ravel()
            if not math.isfinite(float(e0 @ e0)):
                raise InputError(
                    "the initial outputs are beyond what double precision can square; give smaller weights, "
                    "or scales closer to one"
                )
        self.y_scale = max(_rms(self.y), _rms(e0))

    def _samples(self) -> tuple[Array, Array, float]:
        """Samples, targets and ``lost``."""
        return self.problem.reduced, self.problem.y, 0.0

    def _make_passes(self) -> Passes:
        raise NotImplementedError

    @property
    def floor(self) -> float:
        """A loss R that no network with this activation can go below."""
        return self.problem.floors(self.particles.activation.degree).loss

    @property
    def particle_factor(self) -> float:
        """By how much more than outputs particles may be off in a step, relative to their displacement."""
        return _KINKS_AVERAGE_OUT if self.particles.activation.kinked else _SMOOTH

    @property
    def passes(self) -> float:
        """Passes over all particles so far."""
        return self._passes.count

    def canonical(self, particles: Particles) -> Array:
        """The state theta of particles, shape (1 + r, N)."""
        c = self.outputs_count
        theta = np.empty((c + self.problem.rank, self.size))
        theta[:c] = self.roots[0] * particles.a.T
        theta[c:] = particles.coordinates(self.problem).T
        theta[c:] /= self.roots[1]
        return theta

    def state(self, s: float, theta: Array, *, f: Array | None = None, felt: Array | None = None) -> State:
        """The state theta at canonical time s; ``f`` are its outputs where they are known."""
        f = self.outputs(theta) if f is None else f
        e = self.pull(f)
        return State(s, theta, f, e, self.loss(f, e), felt, self.curvature(f))

    def outputs(self, theta: Array) -> Array:
        """Outputs on the samples, shape (n,)."""
        return self._without_offset(self.kappa * self._passes.output(theta))

    def _without_offset(self, f: Array) -> Array:
        """Outputs less those of the network that is subtracted, if any."""
        return f if self._minus is None else f - self._minus

    def pull(self, f: Array) -> Array:
        """Derivative e of each sample's loss with respect to its output, shape (n,)."""
        if self.loss_function.quadratic:
            return f - self.y.ravel()
        return self.gather(self.loss_function.pull(self.output(f), self.y).ravel())

    def loss(self, f: Array, e: Array) -> float:
        """R of outputs f whose pull is e."""
        if self.loss_function.quadratic:
            return float(e @ e) / (2 * self.n)
        return mean_loss(self.loss_function, self.output(f), self.y)

    def curvature(self, f: Array) -> Array | None:
        """Second derivative H of each sample's loss with respect to its outputs f; None where it is one.

        Returns
        -------
        ndarray, shape (n,), (n, c, c) for c outputs, or None
            Symmetric and positive semi-definite.
        """
        curvature = curvature_of(self.loss_function, self.output(f), self.y)
        return None if curvature is None else self.gather(curvature, 2)

    def residual(self, theta: Array) -> Array:
        """``pull(outputs(theta))``, of the mean square the residual ``f - y``, shape (n,)."""
        return self.pull(self.outputs(theta))

    def vjp(self, theta: Array) -> tuple[Array, Callable[[Array, Array], object]]:
        """Outputs on the samples, and :meth:`pullback` at theta, which must not change meanwhile."""
        return self.outputs(theta), functools.partial(self.pullback, theta)

    def output(self, f: Array) -> Array:
        """Outputs on all samples of the problem, (n,) or (n, c), from those on the samples of the system."""
        return f.reshape(-1, *self._shape)

    def gather(self, values: Array, power: int = 1) -> Array:
        """Derivatives of R, times n, by outputs on the system's samples from those on the problem's.

        They are of the order ``power``, one or two; shape (n,).
        """
        return values

    def pullback(self, theta: Array, c: Array, out: Array) -> Array:
        """``out = Phi^T c``, shape (1 + r, N), for a vector c on the samples."""
        return self._passes.pullback(theta, c, out)

    def tangent(self, theta: Array, v: Array) -> Array:
        """Change of the output along v: ``kappa Phi W v``, shape (n,)."""
        return self.kappa * self._passes.tangent(theta, v)

    def gram(self, theta: Array) -> Array:
        """Tangent Gram matrix ``K = kappa Phi W Phi^T``, shape (n, n); kinks count as inactive."""
        check_fits(
            f"matrices of {self.n} x {self.n} samples",
            _GRAM_MATRICES * 8.0 * self.n**2,
            "give fewer samples, or leave a flow's method at its default",
        )
        return self.kappa * self._passes.gram(theta)

    def combine(self, base: Array, increments: Array, coefficients: Array, out: Array) -> Array:
        """``out = base + sum_j coefficients_j increments_j``."""
        self._stream(
            2 * increments.shape[0] * base.shape[0],
            lambda lo, hi: kernels.combine(base, increments, coefficients, lo, hi, out),
        )
        return out

    def combination_norms(self, increments: Array, coefficients: Array) -> Array:
        """Weighted Euclidean norms of the p and q parts of ``sum_j coefficients_j increments_j``."""
        sums = np.empty((self._passes.chunks, 2))
        self._stream(
            2 * increments.shape[0] * increments.shape[1],
            lambda lo, hi: kernels.combination_norms(
                increments, coefficients, self.weight, lo, hi, sums, self.outputs_count
            ),
        )
        norms: Array = np.sqrt(sums.sum(axis=0))
        return norms

    def observe(self, theta: Array) -> Array:
        """The five sums of :func:`meanfield.kernels.observe` against the initial state."""
        sums = np.empty((self._passes.chunks, 5))
        self._stream(
            10 * theta.shape[0],
            lambda lo, hi: kernels.observe(theta, self.theta0, self.weight, lo, hi, sums, self.outputs_count),
        )
        totals: Array = sums.sum(axis=0)
        return totals

    def to_particles(self, theta: Array) -> Particles:
        """The state in normalised units, with the part of w outside the samples' span put back."""
        c, (by_a, by_w) = self.outputs_count, self.roots
        a = np.ascontiguousarray((theta[:c] / by_a).T).reshape(self.particles.a.shape)
        if self.particles.rates[0] == 0.0:
            a = self.particles.a  # to the bit
        q, q0 = theta[c:], self.theta0[c:]
        if self.particles.span is not None:
            # In the layout of all particles: sums over coordinates depend on it in their last bit.
            return self.particles.moved(a, np.ascontiguousarray(by_w * q.T))
        moved = (q - q0).T * by_w
        w = self.particles.w + moved @ self.problem.basis.T
        # At the origin the direction of q, however short, is what knows where a neuron goes.
        now, before = (np.einsum("ck,ck->k", each, each) for each in (q, q0))
        at_origin = now < _AT_ORIGIN**2 * before
        if at_origin.any():
            inside = q0[:, at_origin].T * by_w
            outside = self.particles.w[at_origin] - inside @ self.problem.basis.T
            outside = outside if self.problem.rank < self.problem.d else 0.0
            w[at_origin] = outside + by_w * q[:, at_origin].T @ self.problem.basis.T
        return self.particles.moved(a, w)

    def _stream(self, flops: float, call: kernels.ChunkCall) -> None:
        """Run a kernel that only streams through the state: not counted as a pass."""
        self._passes.run(flops, call, passes=0)


class ReluSystem(CanonicalSystem):
    """Neurons with the ReLU, which move exactly under a constant residual, kinks included.

    Samples are one for each ray of samples, which share their kink and are one sample to every neuron: see
    :class:`~meanfield.rays.Rays`. So are targets of the mean square, whose losses lack the rays' constant
    ``lost``. Of other losses each sample keeps its own target: its pull is added to those on its ray.
    """

    _passes: DensePasses | FoldedPasses
    #: Whether samples are those of ReLUs themselves.
    plain = True

    @classmethod
    def of(cls, problem: Problem, particles: Particles) -> ReluSystem:
        """See :meth:`CanonicalSystem.of`."""
        plain = particles.activation == RELU or not moves_exactly(particles)
        return (cls if plain else FoldedSystem)(problem, particles)

    def __init__(self, problem: Problem, particles: Particles) -> None:
        check_relu(particles)
        super().__init__(problem, particles)

    def _samples(self) -> tuple[Array, Array, float]:
        rays = self.problem.rays
        return (rays.x, rays.y, rays.lost) if self.loss_function.quadratic else (rays.x, self.problem.y, 0.0)

    def _make_passes(self) -> DensePasses | FoldedPasses:
        passes = PlanarPasses if self.problem.rank == 2 else DensePasses
        return passes(self.x, self.weight)

    def pulls(self, e: Array) -> tuple[Array, Array]:
        """Samples (k, r) as ReLUs see them, and what pulls at each, e/n, shape (k,)."""
        return self.x, e / self.n

    def output(self, f: Array) -> Array:
        """See :meth:`CanonicalSystem.output`."""
        return self.problem.rays.expand(f)

    def gather(self, values: Array, power: int = 1) -> Array:
        """See :meth:`CanonicalSystem.gather`."""
        return self.problem.rays.gather(values, power)

    @property
    def samples(self) -> kernels.Samples:
        """The samples and their kinks, as the motion knows them."""
        return self._passes.samples

    def tangent_kernel(self, theta: Array, e: Array, before: Array) -> TangentKernel:
        """K for the motion under e, which was ``before`` until now; sliding counts with what is left."""
        return self._passes.tangent_kernel(theta, e, before, self.kappa)

    def move(self, theta: Array, e: Array, h: Array, out: Array) -> tuple[Array, Moved]:
        """Move all particles under one constant residual after another, kinks included.

        Parameters
        ----------
        theta : ndarray, shape (1 + r, N)
            The state to start from.
        e : ndarray, shape (1 + stages, n)
            The residual that particles felt until now, and those to move under.
        h : ndarray, shape (stages,)
            Canonical times for which they are held.
        out : ndarray, shape (1 + r, N)
            Gets the new state.

        Returns
        -------
        f : ndarray, shape (stages, n)
            Outputs after each stage.
        moved : Moved
            Distances from what ``out`` held, and events.
        """
        moved = self._passes.move(theta, e, h, out)
        return self._without_offset(self.kappa * moved.output), moved


class FoldedSystem(ReluSystem):
    """Neurons with another piecewise linear activation, which move exactly, too.

    See :mod:`meanfield.flow.folds`. Samples on one ray are not merged.
    """

    _passes: FoldedPasses
    plain = False

    def __init__(self, problem: Problem, particles: Particles) -> None:
        CanonicalSystem.__init__(self, problem, particles)

    def _samples(self) -> tuple[Array, Array, float]:
        return CanonicalSystem._samples(self)

    def _make_passes(self) -> FoldedPasses:
        slopes = self.particles.activation.slopes
        assert slopes is not None
        return FoldedPasses(Fold.of(self.x, slopes), self.weight)

    def output(self, f: Array) -> Array:
        """See :meth:`CanonicalSystem.output`."""
        return f

    def gather(self, values: Array, power: int = 1) -> Array:
        """See :meth:`CanonicalSystem.gather`."""
        return values

    def pulls(self, e: Array) -> tuple[Array, Array]:
        """See :meth:`ReluSystem.pulls`."""
        fold = self._passes.fold
        return fold.x, fold.gathered(e) / self.n


class SmoothSystem(CanonicalSystem):
    """Neurons with any activation, which methods see by values, slopes and second derivatives."""

    _passes: ElementwisePasses

    @classmethod
    def of(cls, problem: Problem, particles: Particles) -> SmoothSystem:
        """See :meth:`CanonicalSystem.of`."""
        return cls(problem, particles)

    def _make_passes(self) -> ElementwisePasses:
        scale = self.particles.beta2 * self.roots[1]
        moves = self.particles.rates[0] > 0.0, self.particles.rates[1] > 0.0
        return ElementwisePasses(
            self.x, self.weight, self.particles.activation, scale, self.outputs_count, moves
        )

    def vjp(self, theta: Array) -> tuple[Array, Callable[[Array, Array], object]]:
        """See :meth:`CanonicalSystem.vjp`: activations are evaluated once for both."""
        forward = self.forward(theta)
        return self._without_offset(self.kappa * forward.output()), forward.pullback

    def forward(self, theta: Array) -> Forward:
        """The state as the samples see it, in units of kappa: see :class:`Forward`."""
        return self._passes.forward(theta)


def moves_exactly(particles: Particles) -> bool:
    """Whether neurons can be moved exactly: one output, an activation of two slopes, both layers trained."""
    return particles.activation.slopes is not None and particles.outputs == 1 and min(particles.rates) > 0.0


def check_relu(particles: Particles) -> None:
    """Refuse networks with another activation where everything rests on the ReLU."""
    instance("particles", particles, Particles, "Particles.sample, .quadrature or .from_arrays")
    if particles.activation != RELU:
        raise InputError(
            f"the activation is {particles.activation.name}, but this is for networks of ReLUs only; draw "
            "the network without activation="
        )
    if min(particles.rates) == 0.0:
        raise InputError("a layer of the network is not trained, but this is for networks that train both")
    if particles.outputs != 1:
        raise InputError(
            f"the network has {particles.outputs} outputs, but this is for networks with one only"
        )


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values * values)))


def check_pair(problem: Problem, particles: Particles) -> None:
    """Check that these are particles of this problem, by their dimension."""
    instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    instance("particles", particles, Particles, "Particles.sample, .quadrature or .from_arrays")
    if particles.d != problem.d:
        raise InputError(
            f"the particles have input weights of dimension {particles.d} but the problem has "
            f"d = {problem.d} (bias included); draw them for this problem"
        )
    if particles.outputs != problem.outputs:
        raise InputError(
            f"the particles have {particles.outputs} outputs, but the targets of {problem.name} are for "
            f"{problem.outputs}; draw them for this problem"
        )
