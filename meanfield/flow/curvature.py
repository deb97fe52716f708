"""The second derivative D of the loss with respect to the outputs, as a product ``D = L L^T``.

D may have zeros, on samples whose loss is linear or saturated: nothing here has an inverse of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Root:
    """L of ``D = L L^T``, applied to vectors on the outputs of the samples, (n c,).

    Attributes
    ----------
    factor : ndarray, shape (n,) or (n, c, c), or None
        L of each sample; None where D is one.
    """

    factor: Array | None

    @classmethod
    def of(cls, curvature: Array | None) -> Root:
        """From D, shape (n,) or (n, c, c), or None."""
        if curvature is None or curvature.ndim == 1:
            return cls(None if curvature is None else np.sqrt(np.maximum(curvature, 0.0)))
        values, vectors = np.linalg.eigh(curvature)
        return cls(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])

    def apply(self, z: Array) -> Array:
        """``L z``."""
        return self._times(z, transposed=False)

    def adjoint(self, y: Array) -> Array:
        """``L^T y``."""
        return self._times(y, transposed=True)

    def dressed(self, matrix: Array) -> Array:
        """``L^T M L`` for a symmetric M, shape (n c, n c)."""
        if self.factor is None:
            return matrix
        if self.factor.ndim == 1:
            return np.asarray(self.factor[:, None] * matrix * self.factor)
        n, c, _ = self.factor.shape
        right = np.einsum("iajd,jde->iaje", matrix.reshape(n, c, n, c), self.factor)
        return np.asarray(np.einsum("iab,iaje->ibje", self.factor, right).reshape(n * c, n * c))

    def _times(self, vector: Array, *, transposed: bool) -> Array:
        if self.factor is None:
            return vector
        if self.factor.ndim == 1:
            return np.asarray(self.factor * vector)
        n, c, _ = self.factor.shape
        how = "iab,ia->ib" if transposed else "iab,ib->ia"
        return np.asarray(np.einsum(how, self.factor, vector.reshape(n, c)).ravel())
