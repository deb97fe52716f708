"""The tangent kernel K of a state, and functions of it: what the n residuals need to know.

K is an n x n matrix, but nothing ever needs more of it than its products with vectors. Small ones are
diagonalised once per state; for more than a few hundred samples functions of K are applied to a vector
in the Krylov space that K spans from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meanfield import kernels
from meanfield.kernel_modes import above_rounding

Array = NDArray[np.float64]

#: Terms of a series of phi_4.
_TERMS = 18
#: Entries of ``v / sqrt(H)``, over those of v and the least H, that cost no more than four digits.
_CARRIED = 1e4
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

    def phi(self, k: int, h: float) -> Array:
        """``phi_k(-h K/n) v``, k from 0 to 4: see :func:`meanfield.kernels.phi_functions`."""
        return self.apply(_phi(k, h * self.rates))

    def phi_size(self, k: int, h: float) -> float:
        """Norm of ``phi_k(-h K/n) v``."""
        return float(np.linalg.norm(_phi(k, h * self.rates) * self.coefficients))


@dataclass(frozen=True, eq=False)
class CurvedExpansion:
    """A vector v for functions of ``A = H K/n``, which is not symmetric, by those of ``S = D K D/n``.

    D = sqrt(H) and ``v = D w + r``. What D carries goes through S; the rest r, where H is (nearly) zero, by
    ``phi_k(-h A) r = r / k! - (h/n) D phi_{k+1}(-h S) D K r``, which needs no inverse of D.

    Attributes
    ----------
    root : ndarray, shape (n,)
        D.
    carried : Expansion
        Of w, for S.
    rest : ndarray, shape (n,), or None
        r; None if it is zero.
    pulled : Expansion or None
        Of ``D K r / n``, for S.
    """

    root: Array
    carried: Expansion
    rest: Array | None = None
    pulled: Expansion | None = None

    @property
    def rates(self) -> Array:
        """Eigenvalues of A (or of S in a Krylov space), >= 0."""
        return self.carried.rates

    def phi(self, k: int, h: float) -> Array:
        """``phi_k(-h A) v``, k from 0 to 3."""
        result: Array = self.root * self.carried.phi(k, h)
        if self.rest is not None and self.pulled is not None:
            result += self.rest / math.factorial(k) - h * self.root * self.pulled.phi(k + 1, h)
        return result

    def phi_size(self, k: int, h: float) -> float:
        """Norm of ``phi_k(-h A) v``."""
        return float(np.linalg.norm(self.phi(k, h)))


class Spectrum:
    """Expansions of vectors for one tangent kernel.

    Parameters
    ----------
    kernel : TangentKernel
        The kernel.
    n : int
        Number of samples.
    curvature : ndarray, shape (n,), optional
        H >= 0: then vectors are expanded for functions of ``H K/n``. None where it is one.
    """

    def __init__(self, kernel: TangentKernel, n: int, curvature: Array | None = None) -> None:
        self._n, self._plain = n, kernel
        self._root = None if curvature is None else np.sqrt(curvature)
        self._kernel = kernel = kernel if self._root is None else _Between(kernel, self._root)
        self._modes: tuple[Array, Array] | None = None
        if n <= DIRECT:
            values, vectors = np.linalg.eigh(kernel.matrix())
            self._modes = _without_rounding(values, n) / n, vectors

    def expand(self, v: Array, h: float) -> Expansion | CurvedExpansion:
        """Expand v, accurately enough for functions like ``exp(-h K/n)``."""
        root = self._root
        if root is None:
            return self._symmetric(v, h)
        most = _CARRIED * float(np.max(np.abs(v), initial=0.0))
        carries = (root > 0.0) & (np.abs(v) * float(root.max()) <= most * root)
        w = np.divide(v, root, out=np.zeros_like(v), where=carries)
        if np.all(carries | (v == 0.0)):
            return CurvedExpansion(root, self._symmetric(w, h))
        rest = np.where(carries, 0.0, v)
        pulled = self._symmetric(root * self._plain.product(rest) / self._n, h)
        return CurvedExpansion(root, self._symmetric(w, h), rest, pulled)

    def loss_rate(self, e: Array, expansion: Expansion | CurvedExpansion) -> float:
        """``e^T K e / n**2``, the rate at which R falls; ``expansion`` is that of e."""
        if isinstance(expansion, Expansion):
            return float(expansion.rates @ expansion.coefficients**2) / self._n
        return float(e @ self._plain.product(e)) / self._n**2

    def _symmetric(self, v: Array, h: float) -> Expansion:
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


class _Between:
    """The kernel ``D K D``."""

    def __init__(self, kernel: TangentKernel, root: Array) -> None:
        self._kernel, self._root = kernel, root

    def matrix(self) -> Array:
        return self._root[:, None] * self._kernel.matrix() * self._root

    def product(self, v: Array) -> Array:
        return self._root * self._kernel.product(self._root * v)


def pulled(errors: Array, curvature: Array | None) -> Array:
    """Errors of the pulls that errors of outputs cause: times H."""
    return errors if curvature is None else curvature * errors


def _phi(k: int, z: Array) -> Array:
    """``phi_k(-z)`` for z >= 0, k from 0 to 4."""
    if k < 4:
        value: Array = kernels.phi_functions(z)[k]
        return value
    small = np.minimum(z, 1.0)
    series = np.zeros_like(z)
    for j in range(_TERMS, -1, -1):
        series = 1.0 / math.factorial(j + 4) - series * small
    large = (1.0 / 6.0 - kernels.phi_functions(z)[3]) / np.maximum(z, 1.0)
    return np.where(z < 1.0, series, large)


def _without_rounding(values: Array, n: int) -> Array:
    """Eigenvalues in ascending order, those that are rounding of zero set to zero.

    A stationary residual lies in the null space of K: with rates of rounding it would seem to decay.
    """
    cleaned: Array = np.where(above_rounding(values, n), values, 0.0)
    return cleaned
