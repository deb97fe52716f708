"""Passes over all particles: the kernels with their buffers, threads and sums, for any samples.

Nothing here knows kappa or the targets. :class:`~meanfield.flow.planar.PlanarPasses` does the same in
O(N + n) for samples that span a plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meanfield import kernels
from meanfield.flow.tangent import DIRECT, Array, TangentKernel

#: Numbers that all partial sums of Gram matrices may hold together (256 MB).
PARTIAL_SUMS = 1 << 25
#: Products with the tangent kernel that a step is expected to need in Krylov spaces.
_PRODUCTS = 60


@dataclass(frozen=True, eq=False)
class Moved:
    """What a motion of all particles found.

    Attributes
    ----------
    output : ndarray, shape (stages, n)
        ``sum_k weight_k p_k relu(q_k . x_i)`` after each stage.
    change : ndarray, shape (2,)
        Weighted Euclidean distances of the new p and q from what the target array held before.
    doubt : float
        Sum of ``weight |p| |q|`` of the particles for which it is in doubt on which side a slide ended.
    events : ndarray of int, shape (5,)
        Counts of :func:`meanfield.kernels.move`.
    """

    output: Array
    change: Array
    doubt: float
    events: Array

    @classmethod
    def of(cls, output: Array, sums: Array, events: Array) -> Moved:
        """From the sums over particles of :func:`meanfield.kernels.move`."""
        return cls(output, np.sqrt(sums[:2]), float(sums[2]), events)


class DensePasses:
    """Passes for samples of any dimension: O(N n r).

    Parameters
    ----------
    x : ndarray, shape (n, r)
        Samples in coordinates of their span.
    weight : ndarray, shape (N,)
        Multiplicities.

    Attributes
    ----------
    count : int
        Passes so far.
    """

    def __init__(self, x: Array, weight: Array) -> None:
        self.x, self.weight = x, weight
        self.n, self.r = x.shape
        self.size = weight.size
        self.chunks = kernels.chunk_count(self.size)
        self.count = 0

    @cached_property
    def samples(self) -> kernels.Samples:
        """What the motion needs to know of the samples."""
        samples: kernels.Samples = kernels.as_samples(self.x)
        return samples

    def output(self, theta: Array) -> Array:
        """``sum_k weight_k p_k relu(q_k . x_i)``, shape (n,)."""
        partial = np.empty((self.chunks, self.n))
        self.run(
            2 * self.x.size + 3 * self.n,
            lambda lo, hi: kernels.output(theta, self.weight, self.x, lo, hi, partial),
        )
        total: Array = partial.sum(axis=0)
        return total

    def pullback(self, theta: Array, c: Array, out: Array) -> Array:
        """``out = Phi^T c``, shape (1 + r, N), for a vector c on the samples."""
        self.run(4 * self.x.size + 4 * self.n, lambda lo, hi: kernels.pullback(theta, c, self.x, lo, hi, out))
        return out

    def tangent(self, theta: Array, v: Array) -> Array:
        """Change of the output along v: ``Phi W v``, shape (n,)."""
        partial = np.empty((self.chunks, self.n))
        self.run(
            4 * self.x.size + 5 * self.n,
            lambda lo, hi: kernels.tangent(theta, self.weight, v, self.x, lo, hi, partial),
        )
        total: Array = partial.sum(axis=0)
        return total

    def gram(self, theta: Array) -> Array:
        """``Phi W Phi^T``, shape (n, n), a neuron on a kink counted as inactive there."""
        length = self._gram_length()
        shape = (-(-self.size // length), self.n, self.n)
        part_a, part_w = np.empty(shape), np.empty(shape)
        self.run(
            2 * self.x.size + 2 * self.n**2,
            lambda lo, hi: kernels.gram(theta, self.weight, self.x, length, lo, hi, part_a, part_w),
            chunks=shape[0],
        )
        return _symmetric(part_a.sum(axis=0) + (self.x @ self.x.T) * part_w.sum(axis=0))

    def tangent_kernel(self, theta: Array, e: Array, before: Array, scale: float) -> TangentKernel:
        """``scale Phi W Phi^T`` for the motion under e, which was ``before`` until now.

        A sliding neuron counts with what is left to it.
        """
        # A matrix costs N n**2 once, a product with it without forming it 3 N n r each.
        if self.n <= DIRECT or (self.n < 3 * _PRODUCTS * self.r and 6 * self.n**2 <= PARTIAL_SUMS):
            return _MatrixKernel(scale * self._motion_gram(theta, e, before))
        return _ProductKernel(self, theta, e, before, scale)

    def move(self, theta: Array, e: Array, h: Array, out: Array) -> Moved:
        """Move all particles under residuals e[1:] (stages, n), each for a canonical time h (stages,)."""
        partial = np.empty((self.chunks, len(h), self.n))
        change = np.empty((self.chunks, 3))
        events, samples = np.empty((self.chunks, 5), dtype=np.int64), self.samples
        self.run(
            len(h) * (4 * self.x.size + 20 * self.n),
            lambda lo, hi: kernels.move(
                theta, self.weight, e, h, samples, lo, hi, out, partial, change, events
            ),
            passes=len(h),
            halt=samples.halt,
        )
        return Moved.of(partial.sum(axis=0), change.sum(axis=0), events.sum(axis=0))

    def motion_gram_product(self, theta: Array, e: Array, before: Array, v: Array) -> Array:
        """Product of the tangent kernel of the motion under e with v, shape (n,)."""
        partial, samples = np.empty((self.chunks, self.n)), self.samples
        self.run(
            6 * self.x.size + 6 * self.n,
            lambda lo, hi: kernels.motion_gram_product(
                theta, self.weight, e, before, v, samples, lo, hi, partial
            ),
        )
        total: Array = partial.sum(axis=0)
        return total

    def run(
        self,
        flops: float,
        call: kernels.ChunkCall,
        *,
        passes: int = 1,
        chunks: int | None = None,
        halt: NDArray[np.int64] | None = None,
    ) -> None:
        """Run a kernel over all chunks, ``flops`` per particle, counted as so many passes."""
        self.count += passes
        kernels.run_chunks(self.chunks if chunks is None else chunks, flops * self.size, call, halt=halt)

    def _motion_gram(self, theta: Array, e: Array, before: Array) -> Array:
        length, samples = self._gram_length(), self.samples
        parts = np.empty((3, -(-self.size // length), self.n, self.n))
        self.run(
            2 * self.x.size + 2 * self.n**2,
            lambda lo, hi: kernels.motion_gram(
                theta, self.weight, e, before, samples, length, lo, hi, parts[0], parts[1], parts[2]
            ),
            chunks=parts.shape[1],
        )
        part_a, part_w, part_s = parts.sum(axis=1)
        return _symmetric(part_a + (self.x @ self.x.T) * part_w - part_s)

    def _gram_length(self) -> int:
        """Neurons per chunk of a Gram matrix: as many as keep the partial sums in bounds."""
        chunks = min(self.chunks, max(2, PARTIAL_SUMS // self.n**2))
        return int(-(-self.size // (chunks * kernels.BLOCK)) * kernels.BLOCK)


class _MatrixKernel:
    def __init__(self, matrix: Array) -> None:
        self._matrix = matrix

    def matrix(self) -> Array:
        return self._matrix

    def product(self, v: Array) -> Array:
        product: Array = self._matrix @ v
        return product


class _ProductKernel:
    def __init__(self, passes: DensePasses, theta: Array, e: Array, before: Array, scale: float) -> None:
        self._passes, self._scale = passes, scale
        self._theta, self._e, self._before = theta, e, before

    def matrix(self) -> Array:
        return np.array([self.product(row) for row in np.eye(self._passes.n)])

    def product(self, v: Array) -> Array:
        return self._scale * self._passes.motion_gram_product(self._theta, self._e, self._before, v)


def _symmetric(lower: Array) -> Array:
    return np.tril(lower) + np.tril(lower, -1).T
