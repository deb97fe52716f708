"""The tangent kernel K of a state, and functions of it: what the n residuals need to know.

K is an n x n matrix, but nothing ever needs more of it than its products with vectors. Small ones are
diagonalised once per state; for more than a few hundred samples functions of K are applied to a vector
in the Krylov space that K spans from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meanfield import kernels
from meanfield.kernel_modes import above_rounding

Array = NDArray[np.float64]

#: Up to this many samples the eigendecomposition is cheaper than Krylov spaces.
DIRECT = 256
#: Largest dimension of a Krylov space; its error, relative to the vector; steps between looks at it.
_LARGEST, _TOLERANCE, _LOOK = 400, 1e-10, 6


class TangentKernel(Protocol):
    """The symmetric positive semi-definite matrix ``K = kappa Phi W Phi^T`` of a state."""

    def matrix(self) -> Array:
        """K itself, shape (n, n)."""

    def product(self, v: Array) -> Array:
        """``K v``, shape (n,)."""


@dataclass(frozen=True, eq=False)
class Expansion:
    """A vector v in a space where K/n is diagonal: ``f(K/n) v = basis @ (f(rates) * coefficients)``.

    Attributes
    ----------
    rates : ndarray, shape (k,)
        Eigenvalues of K/n (or of its restriction to a Krylov space), >= 0.
    coefficients : ndarray, shape (k,)
        The coordinates of v.
    basis : ndarray, shape (n, k)
        Orthonormal columns.
    """

    rates: Array
    coefficients: Array
    basis: Array

    def apply(self, values: Array) -> Array:
        """``f(K/n) v`` for the values of f at the rates."""
        result: Array = self.basis @ (values * self.coefficients)
        return result


class Spectrum:
    """Expansions of vectors for one tangent kernel.

    Parameters
    ----------
    kernel : TangentKernel
        The kernel.
    n : int
        Number of samples.
    """

    def __init__(self, kernel: TangentKernel, n: int) -> None:
        self._kernel, self._n = kernel, n
        self._modes: tuple[Array, Array] | None = None
        if n <= DIRECT:
            values, vectors = np.linalg.eigh(kernel.matrix())
            self._modes = _without_rounding(values, n) / n, vectors

    def expand(self, v: Array, h: float) -> Expansion:
        """Expand v, accurately enough for functions like ``exp(-h K/n)``."""
        if self._modes is not None:
            rates, vectors = self._modes
            return Expansion(rates, vectors.T @ v, vectors)
        return self._krylov(v, h)

    def _krylov(self, v: Array, h: float) -> Expansion:
        """Lanczos with full reorthogonalisation, until the residual of ``exp(-h K/n) v`` is small.

        Its estimate is ``h beta_k [phi_1(-h T)]_{k1}`` (Hochbruck and Lubich, SIAM J. Numer. Anal. 34,
        1997) with the last off-diagonal entry beta_k of the tridiagonal T.
        """
        size = float(np.linalg.norm(v))
        most = min(self._n, _LARGEST)
        basis = np.zeros((most, self._n))
        alpha, beta = np.zeros(most), np.zeros(most)
        if size == 0.0 or not np.isfinite(size):
            return Expansion(np.zeros(1), np.array([size]), np.full((self._n, 1), self._n**-0.5))
        basis[0] = v / size
        for k in range(most):
            w = self._kernel.product(basis[k]) / self._n
            alpha[k] = w @ basis[k]
            for _ in range(2):  # twice is enough
                w -= basis[: k + 1].T @ (basis[: k + 1] @ w)
            beta[k] = np.linalg.norm(w)
            exhausted = k + 1 == most or beta[k] <= 1e-14 * alpha[: k + 1].max()
            if exhausted or k % _LOOK == _LOOK - 1:
                T = np.diag(alpha[: k + 1]) + np.diag(beta[:k], 1) + np.diag(beta[:k], -1)
                values, vectors = np.linalg.eigh(T)
                rates = _without_rounding(values, self._n)
                last = vectors[-1] @ (kernels.phi_functions(h * rates)[1] * vectors[0])
                if exhausted or h * beta[k] * abs(last) <= _TOLERANCE:
                    break
            basis[k + 1] = w / beta[k]
        return Expansion(rates, size * vectors[0], basis[: k + 1].T @ vectors)


def _without_rounding(values: Array, n: int) -> Array:
    """Eigenvalues in ascending order, those that are rounding of zero set to zero.

    A stationary residual lies in the null space of K: with rates of rounding it would seem to decay.
    """
    cleaned: Array = np.where(above_rounding(values, n), values, 0.0)
    return cleaned
