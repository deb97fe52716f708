"""Passes for samples that span a plane, such as one-dimensional inputs with a bias: O(N + n)."""

from __future__ import annotations

import numpy as np

from meanfield.flow.passes import DensePasses, Moved
from meanfield.flow.tangent import Array, TangentKernel
from meanfield.kernels import planar, planar_motion

#: Rough operations per particle of a pass.
_OPERATIONS = 60


class PlanarPasses(DensePasses):
    """Passes by sectors of equal activation pattern (see :mod:`meanfield.kernels.planar`)."""

    def __init__(self, x: Array, weight: Array) -> None:
        super().__init__(x, weight)
        self.fan = planar.fan(x)
        self._rays = len(self.fan.rays)

    def output(self, theta: Array) -> Array:
        """See :meth:`DensePasses.output`."""
        moments = np.empty((self.chunks, self._rays, 2))
        self.run(
            _OPERATIONS,
            lambda lo, hi: planar.first_moments(theta, self.weight, self.fan, lo, hi, moments),
        )
        return planar.outputs(moments.sum(axis=0), self.fan)

    def pullback(self, theta: Array, c: Array, out: Array) -> Array:
        """See :meth:`DensePasses.pullback`."""
        self.run(_OPERATIONS, lambda lo, hi: planar.pullback(theta, c, self.fan, lo, hi, out))
        return out

    def move(self, theta: Array, e: Array, h: Array, out: Array) -> Moved:
        """See :meth:`DensePasses.move`."""
        moments = np.empty((self.chunks, len(h), self._rays, 2))
        change = np.empty((self.chunks, 3))
        events = np.empty((self.chunks, 5), dtype=np.int64)
        self.run(
            len(h) * _OPERATIONS,
            lambda lo, hi: planar_motion.move(
                theta, self.weight, e, h, self.fan, lo, hi, out, moments, change, events
            ),
            passes=len(h),
        )
        output = np.array([planar.outputs(stage, self.fan) for stage in moments.sum(axis=0)])
        return Moved.of(output, change.sum(axis=0), events.sum(axis=0))

    def tangent_kernel(self, theta: Array, e: Array, before: Array, scale: float) -> TangentKernel:
        """See :meth:`DensePasses.tangent_kernel`."""
        moments = np.empty((self.chunks, self._rays, 3))
        self.run(
            _OPERATIONS,
            lambda lo, hi: planar_motion.second_moments(
                theta, self.weight, e, before, self.fan, lo, hi, moments
            ),
        )
        return _SectorKernel(self.fan, scale * moments.sum(axis=0))


class _SectorKernel:
    """K from the second moments of the sectors, shape (rays, 3): products cost O(n)."""

    def __init__(self, fan: planar.Fan, moments: Array) -> None:
        self._fan, self._moments = fan, moments

    def matrix(self) -> Array:
        return planar.gram(self._moments, self._fan)

    def product(self, v: Array) -> Array:
        return planar.gram_product(self._moments, v, self._fan)
