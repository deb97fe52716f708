"""Modes of the kernel regime: the residual obeys ``de/ds = -M e`` with ``M = G_a / kappa' + kappa' G_w``.

Nearly coincident samples make M nearly singular: what two of them are worth together is a small difference
of large kernels. So each sample next to another one, ``x_i ~ c x_j``, stands for the difference
``f(x_i) - c f(x_j)`` of outputs. The kernels of differences are formed with 32 digits and rounded
afterwards. They are graded: small rows are as accurate as large ones. So are their Cholesky factor and its
singular values (Demmel, Veselic 1992; Demmel and others 1999), whose squares are the eigenvalues of M.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meanfield import double_double as dd
from meanfield.arc_cosine import arc_cosine_kernels, exact_kernels
from meanfield.problem import Problem
from meanfield.resources import check_fits

Array = NDArray[np.float64]
LayerPair = tuple[Array, Array]

_EPS = float(np.finfo(np.float64).eps)
#: Rays closer than this are looked at by their difference.
_NEAR = 1e-2
#: Rounding of an entry of a kernel, relative.
_ROUNDING = 8.0 * _EPS
#: Matrices of n x n numbers that are held at once; with 32 digits of all of them.
_MATRICES, _WITH_DIFFERENCES = 12, 30


@dataclass(frozen=True, eq=False)
class Differences:
    """Samples, one for each ray, each by itself or minus a multiple of a neighbour.

    Attributes
    ----------
    x : ndarray, shape (k, d)
        A sample of each ray, as it was given.
    size : ndarray, shape (k,)
        Its share: ``g_i = size_i f(x_i)``.
    parent : ndarray of int, shape (k,)
        The neighbour, -1 for none: the difference is ``g_i - factor_i g_parent``.
    factor : ndarray, shape (k,)
        0 without a neighbour.
    order : ndarray of int
        Those with a neighbour, each after its neighbour.
    """

    x: Array
    size: Array
    parent: NDArray[np.intp]
    factor: Array
    order: NDArray[np.intp]

    @classmethod
    def none(cls, x: Array) -> Differences:
        """All samples by themselves."""
        k = len(x)
        none = np.full(k, -1, dtype=np.intp)
        return cls(x, np.ones(k), none, np.zeros(k), np.zeros(0, dtype=np.intp))

    @classmethod
    def of(cls, x: Array, size: Array) -> Differences:
        """Choose the neighbours: in each cloud of samples the next is the one farthest from those before."""
        lengths = np.linalg.norm(x, axis=1)
        unit = x / lengths[:, None]
        parent, order = np.full(len(x), -1, dtype=np.intp), []
        for cloud in _clouds(unit):
            left = cloud[1:]
            distance, nearest = _distance(unit, left, cloud[0]), np.full(len(left), cloud[0])
            while len(left):
                k = int(np.argmax(distance))
                if distance[k] <= _NEAR:
                    parent[left[k]] = nearest[k]
                    order.append(left[k])
                here = left[k]
                left, distance, nearest = (np.delete(array, k) for array in (left, distance, nearest))
                closer = _distance(unit, left, here)
                nearest = np.where(closer < distance, here, nearest)
                distance = np.minimum(closer, distance)
        factor = np.where(parent >= 0, lengths * size / (lengths * size)[parent], 0.0)
        return cls(x, size, parent, factor, np.array(order, dtype=np.intp))

    def kernels(self) -> LayerPair:
        """Kernels of both layers between differences, shape (k, k), each entry to rounding."""
        G = arc_cosine_kernels(self.x)
        scale = np.outer(self.size, self.size)
        G = (G[0] * scale, G[1] * scale)
        if not len(self.order):
            return G
        rows, position = self._involved()
        exact = exact_kernels(self.x[rows], self.x)
        for kernel, rounded in zip(exact, G, strict=True):
            kernel = dd.scale(dd.scale(kernel, self.size), self.size[rows, None])
            mine, other = kernel.at(position[self.order]), kernel.at(position[self.parent[self.order]])
            differences = dd.add(mine, dd.minus(dd.scale(other, self.factor[self.order][:, None])))
            entries = self._columns(differences)
            rounded[self.order] = entries
            rounded[:, self.order] = entries.T
        return G

    def kernels_to(self, x: Array) -> LayerPair:
        """Kernels between inputs (q, d) and differences, shape (q, k)."""
        G_a, G_w = (kernel * self.size for kernel in arc_cosine_kernels(x, self.x))
        if len(self.order):
            columns, position = self._involved()
            for kernel, rounded in zip(exact_kernels(x, self.x[columns]), (G_a, G_w), strict=True):
                kernel = dd.scale(kernel, self.size[columns])
                mine, other = (
                    kernel.at((slice(None), position[k])) for k in (self.order, self.parent[self.order])
                )
                rounded[:, self.order] = dd.add(mine, dd.minus(dd.scale(other, self.factor[self.order]))).high
        return G_a, G_w

    def of_values(self, g: Array) -> Array:
        """Differences of values on the samples, shape (k,), each to rounding."""
        mine, own = g[self.order], g.copy()
        product = self.factor[self.order] * g[self.parent[self.order]]
        error = dd.product_error(self.factor[self.order], g[self.parent[self.order]], product)
        own[self.order] = (mine - product) - error
        return own

    def values(self, differences: Array) -> Array:
        """Values on the samples, shape (k, q), of which differences are given."""
        g = differences.copy()
        for i in self.order:
            g[i] += self.factor[i] * g[self.parent[i]]
        return g

    def _involved(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Samples that are part of a difference, and where each sample is among them."""
        involved = np.unique(np.append(self.order, self.parent[self.order]))
        position = np.zeros(len(self.x), dtype=np.intp)
        position[involved] = np.arange(len(involved))
        return involved, position

    def _columns(self, kernel: dd.Pair) -> Array:
        """Entries, rounded, for differences in the second place, too."""
        entries = kernel.high.copy()
        mine, other = (kernel.at((slice(None), k)) for k in (self.order, self.parent[self.order]))
        entries[:, self.order] = dd.add(mine, dd.minus(dd.scale(other, self.factor[self.order]))).high
        return entries


@dataclass(frozen=True, eq=False)
class KernelModes:
    """What decays, and how fast: learnable modes of a kernel on the samples, with a residual in them.

    Attributes
    ----------
    values : ndarray, shape (r,)
        Eigenvalues of M on the n samples, ascending, without those that are zero to rounding.
    vectors : ndarray, shape (n, r)
        Their modes.
    initial : ndarray, shape (r,)
        The initial residual in the modes.
    rest : ndarray, shape (n,)
        What of it is never learned.
    dual : ndarray, shape (k, r)
        The modes as combinations of differences of samples.
    layers : tuple of ndarray, shape (k, k)
        ``G_a / kappa'`` and ``kappa' G_w`` between differences.
    differences : Differences
        See there.
    """

    values: Array
    vectors: Array
    initial: Array
    rest: Array
    dual: Array
    layers: LayerPair
    differences: Differences

    @classmethod
    def of(cls, problem: Problem, kappa_prime: float) -> KernelModes:
        """The modes of a problem, whose network is zero at the start.

        Raises
        ------
        InputError
            If the kernels do not fit into memory.
        """
        n = problem.n
        what = f"the kernels between {n} samples, {n} x {n} numbers each,"
        check_fits(what, _MATRICES * 8.0 * n**2)
        differences, spread, index = _samples(problem)
        if len(differences.order):
            check_fits(what, _WITH_DIFFERENCES * 8.0 * n**2)
        G_a, G_w = differences.kernels()
        layers = G_a / kappa_prime, kappa_prime * G_w
        residual = np.zeros(len(differences.x))
        np.add.at(residual, index, -problem.y * spread)
        if len(differences.order):
            values, vectors, initial, dual = _graded(layers[0] + layers[1], differences, residual)
        else:
            values, vectors = _positive(layers[0] + layers[1])
            initial, dual = vectors.T @ residual, vectors
        on_samples = spread[:, None] * vectors[index]
        rest = np.zeros(n) if len(values) == n else -problem.y - on_samples @ initial
        return cls(values, on_samples, initial, rest, dual, layers, differences)

    @classmethod
    def of_network(cls, problem: Problem, layers: LayerPair, residual: Array) -> KernelModes:
        """The modes of a network's own kernel.

        Parameters
        ----------
        problem : Problem
            The data.
        layers : tuple of ndarray, shape (n, n)
            Parts of its kernel.
        residual : ndarray, shape (n,)
            Its initial residual.
        """
        values, vectors = _positive(layers[0] + layers[1])
        initial = vectors.T @ residual
        rest = np.zeros(problem.n) if len(values) == problem.n else residual - vectors @ initial
        return cls(values, vectors, initial, rest, vectors, layers, Differences.none(problem.x))

    @property
    def complete(self) -> bool:
        """Whether all there is on the samples can be learned."""
        return len(self.values) == len(self.rest)

    def forms(self, modes: Array) -> tuple[float, float]:
        """``T.(G_a / kappa') T`` and ``T.(kappa' G_w) T`` for T in the modes, shape (r,)."""
        T = self.dual @ modes
        a, w = (float(T @ (part @ T)) for part in self.layers)
        return max(a, 0.0), max(w, 0.0)

    def rounding(self, modes: Array) -> float:
        """How far roots of :meth:`forms` may be off by rounding, the larger share of both.

        First order in an error of each entry of the kernel: T depends on it like ``-M^-1 dM T``.
        """
        T = self.dual @ modes
        size, (of_a, of_w), worst = np.abs(T), self._errors, 0.0
        for part, error in zip(self.layers, (of_a, of_w), strict=True):
            pulled = part @ T
            form = float(T @ pulled)
            moved = np.abs(self.dual @ ((self.dual.T @ pulled) / self.values))
            wrong = 2.0 * float(moved @ ((of_a + of_w) @ size)) + float(size @ (error @ size))
            if wrong > 0.0:
                worst = max(worst, 0.5 * wrong / form if form > 0.0 else np.inf)
        return worst

    @cached_property
    def _errors(self) -> LayerPair:
        """Bounds of the rounding of each entry of both layers."""
        among = self.differences
        length = np.linalg.norm(among.x, axis=1) * among.size
        differs = among.parent >= 0
        lost = np.where(differs[:, None] | differs[None], dd.EPS * np.outer(length, length), 0.0)
        diagonals = (float(np.max(np.diag(part) / length**2)) for part in self.layers)
        a, w = (
            _ROUNDING * np.abs(part) + 2.0 * most * lost
            for part, most in zip(self.layers, diagonals, strict=True)
        )
        return a, w

    def kernel_to(self, x: Array, kappa_prime: float) -> Array:
        """``M(x, samples)`` for inputs of shape (q, d) with their bias: times ``dual @ modes`` it is M T."""
        G_a, G_w = self.differences.kernels_to(x)
        return np.asarray(G_a / kappa_prime + kappa_prime * G_w)


def above_rounding(values: Array, n: int) -> NDArray[np.bool_]:
    """Which eigenvalues of a positive semi-definite matrix (n, n) are more than the rounding of zero.

    No entry of such a matrix exceeds its largest eigenvalue. So where each entry is known to a relative eps,
    all of them together move an eigenvalue by at most n eps times the largest one (Weyl); the error of
    LAPACK's solvers is of this size, too.

    Parameters
    ----------
    values : ndarray, shape (r,)
        Computed eigenvalues in ascending order, the largest one among them.
    n : int
        Rows of the matrix.

    Examples
    --------
    >>> above_rounding(np.array([-1e-17, 1e-15, 1.0]), 3).tolist()
    [False, True, True]
    """
    return np.asarray(values > n * _EPS * values[-1])


def _positive(M: Array) -> LayerPair:
    """Eigenvalues that are not zero to rounding, ascending, and their vectors, of a kernel (n, n)."""
    values, vectors = np.linalg.eigh(M)
    here = above_rounding(values, len(M))
    return values[here], np.ascontiguousarray(vectors[:, here])


def _samples(problem: Problem) -> tuple[Differences, Array, NDArray[np.int64]]:
    """One sample for each ray; the value on sample i is ``spread_i g[index_i]``."""
    rays, n = problem.rays, problem.n
    if rays.index is None:
        index, spread, first = np.arange(n), np.ones(n), np.arange(n)
        size = np.ones(n)
    else:
        index, share = rays.index, rays.share
        on = np.flatnonzero(share)
        first = on[np.unique(index[on], return_index=True)[1]]
        size = np.sqrt(np.bincount(index, share**2))
        spread, size = share / size[index], size / share[first]
    return Differences.of(problem.x[first], size), spread, index


def _graded(M: Array, differences: Differences, residual: Array) -> tuple[Array, Array, Array, Array]:
    """Eigenvalues, modes, the residual in them, and their duals, from a kernel of differences."""
    from scipy.linalg import lapack, solve_triangular

    k, scale = len(M), np.sqrt(np.diag(M))
    unit = M / np.outer(scale, scale)
    _, pivots, rank, _ = lapack.dpstrf(unit, tol=k * _EPS, lower=1)
    chosen = pivots[:rank] - 1
    chosen = chosen[np.argsort(-scale[chosen], kind="stable")]
    factor = np.linalg.cholesky(unit[np.ix_(chosen, chosen)])
    rows = solve_triangular(factor, unit[chosen], lower=True).T * scale[:, None]
    rows[chosen] = factor * scale[chosen, None]  # without what rounding leaves above the diagonal
    F = differences.values(rows)
    sva, left, right, work, _, info = lapack.dgejsv(F, joba=0, jobu=0, jobv=0)
    if info:
        raise np.linalg.LinAlgError("the singular values of the kernel's factor did not converge")
    sigma = sva[:rank] * (work[0] / work[1])
    up = np.argsort(sigma, kind="stable")
    sigma, left, right = sigma[up], left[:, :rank][:, up], right[:, up]
    dual = np.zeros((k, rank))
    dual[chosen] = solve_triangular(factor.T, right * sigma, lower=False) / scale[chosen, None]
    if rank < k:
        initial = left.T @ residual
    else:
        known = differences.of_values(residual)[chosen] / scale[chosen]
        initial = sigma * (right.T @ solve_triangular(factor, known, lower=True))
    return sigma**2, left, initial, dual


def _clouds(unit: Array) -> list[NDArray[np.intp]]:
    """Sets of at least two samples that are linked by neighbours."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    links = cKDTree(unit).query_pairs(_NEAR, output_type="ndarray")
    if not len(links):
        return []
    graph = csr_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(unit), len(unit)))
    _, label = connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return [part for part in parts if len(part) > 1]


def _distance(unit: Array, some: NDArray[np.intp], one: int) -> Array:
    return np.asarray(np.linalg.norm(unit[some] - unit[one], axis=1))
