"""Exact motion for every piecewise linear activation, by the kernels of the ReLU.

An activation with slopes up and down is ``sigma(z) = up relu(z) - down relu(-z)``. A neuron of it sees a
sample x as a neuron of ReLUs sees x and -x: with the outputs F of ReLUs on these *kernel samples*

    f(x_i) = up F(x_i) - down F(-x_i),

and what pulls at them is the transpose of the same linear map S. Kernel samples on one ray are one:
they share their kink. Kernels divide by their number n_k of samples, where the flow divides by n, so that
residuals e become ``(n_k / n) S^T e``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield import kernels
from meanfield.flow.passes import DensePasses, Moved
from meanfield.flow.planar import PlanarPasses
from meanfield.flow.tangent import Array, TangentKernel
from meanfield.rays import Rays


@dataclass(frozen=True, eq=False)
class Fold:
    """The map S from outputs on kernel samples to those of a piecewise linear activation on the samples.

    Attributes
    ----------
    x : ndarray, shape (k, r)
        Kernel samples.
    index : ndarray of int, shape (2, n)
        The kernel samples of x_i and of -x_i.
    factor : ndarray, shape (2, n)
        What their outputs are multiplied by.
    """

    x: Array
    index: NDArray[np.int64]
    factor: Array

    @classmethod
    def of(cls, x: Array, slopes: tuple[float, float]) -> Fold:
        """For samples x (n, r) and slopes (up, down)."""
        both = np.concatenate([x, -x])
        rays = Rays.of(both, np.zeros(len(both)))
        index = np.arange(len(both)) if rays.index is None else rays.index
        factor = rays.share.reshape(2, -1) * np.array([[slopes[0]], [-slopes[1]]])
        return cls(np.ascontiguousarray(rays.x), index.reshape(2, -1), factor)

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.index.shape[1])

    def spread(self, F: Array) -> Array:
        """``S F``, shape (..., n), for F on the kernel samples, shape (..., k)."""
        (up, down), (at, opposite) = self.factor, self.index
        return np.asarray(up * F[..., at] + down * F[..., opposite])

    def gathered(self, e: Array) -> Array:
        """``S^T e``, shape (k,), for e on the samples, shape (n,)."""
        weights = (self.factor * e).ravel()
        sums: Array = np.bincount(self.index.ravel(), weights, minlength=len(self.x)).astype(np.float64)
        return sums

    def residuals(self, e: Array) -> Array:
        """What kernels take for residuals e (..., n): ``(n_k / n) S^T e``, shape (..., k)."""
        rows = [self.gathered(row) for row in e.reshape(-1, self.n)]
        return np.asarray(np.reshape(rows, (*e.shape[:-1], len(self.x))) * (len(self.x) / self.n))


class FoldedPasses:
    """Passes for a piecewise linear activation: see :class:`~meanfield.flow.passes.DensePasses`.

    Parameters
    ----------
    fold : Fold
        The kernel samples.
    weight : ndarray, shape (N,)
        Multiplicities.
    """

    def __init__(self, fold: Fold, weight: Array) -> None:
        self.fold = fold
        self.inner: DensePasses = (PlanarPasses if fold.x.shape[1] == 2 else DensePasses)(fold.x, weight)
        self.chunks = self.inner.chunks

    @property
    def count(self) -> int:
        """Passes so far."""
        return self.inner.count

    @property
    def samples(self) -> kernels.Samples:
        """The kernel samples and their kinks."""
        return self.inner.samples

    def output(self, theta: Array) -> Array:
        """``sum_k weight_k p_k sigma(q_k . x_i)``, shape (n,)."""
        return self.fold.spread(self.inner.output(theta))

    def pullback(self, theta: Array, c: Array, out: Array) -> Array:
        """``out = Phi^T c``, shape (1 + r, N)."""
        return self.inner.pullback(theta, self.fold.gathered(c), out)

    def tangent(self, theta: Array, v: Array) -> Array:
        """``Phi W v``, shape (n,)."""
        return self.fold.spread(self.inner.tangent(theta, v))

    def gram(self, theta: Array) -> Array:
        """``Phi W Phi^T``, shape (n, n)."""
        return self._dressed(self.inner.gram(theta))

    def tangent_kernel(self, theta: Array, e: Array, before: Array, scale: float) -> TangentKernel:
        """See :meth:`meanfield.flow.passes.DensePasses.tangent_kernel`."""
        residuals = self.fold.residuals(np.stack([e, before]))
        return _FoldedKernel(self, self.inner.tangent_kernel(theta, residuals[0], residuals[1], scale))

    def move(self, theta: Array, e: Array, h: Array, out: Array) -> Moved:
        """See :meth:`meanfield.flow.passes.DensePasses.move`."""
        moved = self.inner.move(theta, self.fold.residuals(e), h, out)
        return Moved(self.fold.spread(moved.output), moved.change, moved.doubt, moved.events)

    def run(
        self, flops: float, call: kernels.ChunkCall, *, passes: int = 1, chunks: int | None = None
    ) -> None:
        """See :meth:`meanfield.flow.passes.DensePasses.run`."""
        self.inner.run(flops, call, passes=passes, chunks=chunks)

    def _dressed(self, matrix: Array) -> Array:
        """``S M S^T``."""
        return self.fold.spread(np.ascontiguousarray(self.fold.spread(matrix).T))


class _FoldedKernel:
    def __init__(self, passes: FoldedPasses, inner: TangentKernel) -> None:
        self._passes, self._inner = passes, inner

    def matrix(self) -> Array:
        return self._passes._dressed(self._inner.matrix())

    def product(self, v: Array) -> Array:
        fold = self._passes.fold
        return fold.spread(self._inner.product(fold.gathered(v)))
