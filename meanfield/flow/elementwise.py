"""Passes over all particles for any activation and several outputs: elementwise functions, matrix products.

What :class:`~meanfield.flow.passes.DensePasses` is for the ReLU, by NumPy. A :class:`Forward` is one state
seen from the samples: activations and their slopes are evaluated once, and outputs, pullbacks, tangents, the
Gram matrix and the blocks of the Hessian follow from them.

Work is cut into tiles of some neurons by some samples that stay in the cache. Which tiles there are, and in
which order their sums are added, depends on the sizes only: results have the same bits for any number of
threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield import kernels
from meanfield.activations import Activation

Array = NDArray[np.float64]

#: Pre-activations of a tile (512 kB), and most neurons in one.
_TILE, _NEURONS = 1 << 16, 1024
#: Pre-activations whose activations are found at once (64 kB): larger arrays, of which an activation makes
#: some, are new memory for the system each time, which costs several times as much as what is done with them.
_PIECE = 1 << 13
#: Most groups of neurons, or of samples, that threads share.
_GROUPS = 64
#: Up to this many pre-activations, values and slopes are kept (256 MB for both).
KEPT = 1 << 24
#: Entries of the parts of a Gram matrix that threads add up (256 MB), unless one part alone is larger.
_GRAM = 1 << 25
#: Cost of an activation, in floating-point operations.
_FLOPS = 20


class Tile(NamedTuple):
    """Neurons ``lo`` to ``hi`` and samples ``first`` to ``last``."""

    lo: int
    hi: int
    first: int
    last: int


class ElementwisePasses:
    """Passes for any activation: O(N n (r + c)).

    Parameters
    ----------
    x : ndarray, shape (n, r)
        Samples in coordinates of their span.
    weight : ndarray, shape (N,)
        Multiplicities.
    activation : Activation
        sigma.
    scale : float
        c of ``sigma_c(z) = sigma(c z) / c``, which is what canonical parameters see.
    outputs : int
        Number of outputs c: rows of theta that are output weights.
    moves : tuple of bool
        Whether output and input weights are trained: nothing pulls at those that are not.

    Attributes
    ----------
    count : int
        Sweeps so far, rounded. A right-hand side is one: a third for the activations, and two for the way
        back. Second derivatives are a sweep together with the activations. Products with activations that
        are kept do not count.
    """

    def __init__(
        self,
        x: Array,
        weight: Array,
        activation: Activation,
        scale: float,
        outputs: int = 1,
        moves: tuple[bool, bool] = (True, True),
    ) -> None:
        self.x, self.weight, self.outputs = x, weight, outputs
        self.activation, self.scale, self.moves = activation, scale, moves
        self.n, self.r = x.shape
        self.size = weight.size
        self.chunks = kernels.chunk_count(self.size)  # of kernels that stream through the state
        self._thirds = 0
        self.scaled_x = scale * x
        # Few neurons are one group, and threads share the samples.
        neurons = min(_GROUPS, -(-self.size // _NEURONS)) if self.size > 2 * _NEURONS else 1
        samples = min(_GROUPS, -(-self.n * self.size // _TILE)) if neurons == 1 else 1
        self.neuron_groups, self.sample_groups = _cut(self.size, neurons), _cut(self.n, samples)

    @property
    def count(self) -> int:
        """Sweeps so far."""
        return round(self._thirds / 3)

    def forward(self, theta: Array) -> Forward:
        """The state theta, shape (c + r, N), as the samples see it."""
        return Forward(self, theta)

    def output(self, theta: Array) -> Array:
        """``sum_k weight_k p_k sigma_c(q_k . x_i)``, shape (n c,)."""
        return self.forward(theta).output()

    def pullback(self, theta: Array, g: Array, out: Array) -> Array:
        """``out = Phi^T g``, shape (c + r, N), for a vector g on the outputs of the samples, shape (n c,)."""
        return self.forward(theta).pullback(g, out)

    def tangent(self, theta: Array, v: Array) -> Array:
        """Change of the outputs along v, shape (n c,)."""
        return self.forward(theta).tangent(v)

    def gram(self, theta: Array) -> Array:
        """``Phi W Phi^T``, shape (n c, n c)."""
        return self.forward(theta).gram()

    def run(
        self, flops: float, call: kernels.ChunkCall, *, passes: int = 1, chunks: int | None = None
    ) -> None:
        """Run ``call(first, last)`` over all chunks, ``flops`` per particle, counted as so many sweeps."""
        self.spend(3 * passes)
        handling = np.geterr()  # threads do not inherit it: attempts that overflow are rejected, in silence

        def handled(first: int, last: int) -> None:
            with np.errstate(**handling):
                call(first, last)

        kernels.run_chunks(self.chunks if chunks is None else chunks, flops * self.size, handled)

    def spend(self, thirds: int) -> None:
        """Count thirds of a sweep."""
        self._thirds += thirds


class Forward:
    """A state as the samples see it: ``z = q . x`` through sigma and its derivatives.

    Parameters
    ----------
    passes : ElementwisePasses
        The samples, weights and activation.
    theta : ndarray, shape (c + r, N)
        The state; it must not change while this is used.
    """

    def __init__(self, passes: ElementwisePasses, theta: Array) -> None:
        self.passes, self.theta = passes, theta
        self._p, self._q = theta[: passes.outputs], theta[passes.outputs :]
        self._kept: dict[Tile, tuple[Array, Array]] | None = {} if passes.n * passes.size <= KEPT else None
        self._done: set[str] = set()

    def output(self) -> Array:
        """``sum_k weight_k p_k sigma_c(q_k . x_i)``, shape (n c,)."""
        weighted = self._p * self.passes.weight

        def part(tile: Tile) -> Array:
            value, _ = self._evaluated(tile)
            return np.asarray(value @ weighted[:, tile.lo : tile.hi].T)

        self._spend("values", 1)
        return self._over_neurons(part)

    def pullback(self, g: Array, out: Array) -> Array:
        """``out = Phi^T g``, shape (c + r, N), for g of shape (n c,)."""
        passes = self.passes
        c, g = passes.outputs, g.reshape(passes.n, passes.outputs)

        def part(tile: Tile) -> Array:
            value, slope = self._evaluated(tile)
            here = g[tile.first : tile.last]
            pulled = np.empty((len(self.theta), tile.hi - tile.lo))
            pulled[:c] = here.T @ value
            force = here @ self._p[:, tile.lo : tile.hi]
            force *= slope
            pulled[c:] = passes.x[tile.first : tile.last].T @ force
            return self._held(pulled)

        self._spend("values", 1)
        self._spend("back", 2)
        return self._over_samples(part, out)

    def tangent(self, v: Array) -> Array:
        """Change of the outputs along v (c + r, N), shape (n c,)."""
        passes, c = self.passes, self.passes.outputs
        weighted, turned = self._p * passes.weight, v[:c] * passes.weight

        def part(tile: Tile) -> Array:
            value, slope = self._evaluated(tile)
            change = passes.x[tile.first : tile.last] @ v[c:, tile.lo : tile.hi]
            change *= slope
            by_p = value @ turned[:, tile.lo : tile.hi].T
            return np.asarray(by_p + change @ weighted[:, tile.lo : tile.hi].T)

        self._spend("values", 1)
        return self._over_neurons(part)

    def hessian(self, g: Array) -> tuple[Array, Array]:
        """Second derivatives of ``sum_i g_i . (sum_a p_a sigma_c(q . x_i))``, neuron by neuron.

        Returns
        -------
        pq : ndarray, shape (c, r, N)
            ``sum_i g_ia sigma_c'(z_i) x_i``.
        qq : ndarray, shape (r, r, N)
            ``sum_i (g_i . p) sigma_c''(z_i) x_i x_i^T``.
        """
        passes = self.passes
        n, r, c, size = passes.n, passes.r, passes.outputs, passes.size
        g, lower = g.reshape(n, c), np.tril_indices(r)

        def part(tile: Tile) -> Array:
            _, slope = self._evaluated(tile)
            x, here = passes.x[tile.first : tile.last], g[tile.first : tile.last]
            blocks = np.empty((c * r + len(lower[0]), tile.hi - tile.lo))
            for a in range(c):
                blocks[a * r : (a + 1) * r] = (x * here[:, a, None]).T @ slope
            force = passes.activation.second(self._z(tile))
            force *= here @ self._p[:, tile.lo : tile.hi]
            row = c * r
            for j in range(r):
                blocks[row : row + j + 1] = (passes.scale * x[:, j, None] * x[:, : j + 1]).T @ force
                row += j + 1
            if not all(passes.moves):
                blocks[: c * r] = 0.0
            if not passes.moves[1]:
                blocks[c * r :] = 0.0
            return blocks

        self._spend("values", 1)
        self._spend("second", 2)
        blocks = self._over_samples(part, np.empty((c * r + len(lower[0]), size)))
        qq = np.empty((r, r, size))
        qq[lower] = qq[lower[1], lower[0]] = blocks[c * r :]
        return blocks[: c * r].reshape(c, r, size), qq

    def hessian_product(self, g: Array, v: Array, out: Array) -> Array:
        """``out``: the blocks of :meth:`hessian` times v (c + r, N), in O(n N (c + r))."""
        passes, c = self.passes, self.passes.outputs
        g = g.reshape(passes.n, c)

        def part(tile: Tile) -> Array:
            _, slope = self._evaluated(tile)
            x, here = passes.x[tile.first : tile.last], g[tile.first : tile.last]
            change = x @ v[c:, tile.lo : tile.hi]
            product = np.empty((len(self.theta), tile.hi - tile.lo))
            product[:c] = here.T @ (slope * change)
            change *= passes.scale * passes.activation.second(self._z(tile))
            change *= here @ self._p[:, tile.lo : tile.hi]
            change += (here @ v[:c, tile.lo : tile.hi]) * slope
            product[c:] = x.T @ change
            return self._held(product)

        self._spend("values", 1)
        self.passes.spend(1)  # second derivatives
        return self._over_samples(part, out)

    def gram(self, pq: Array | None = None, inverse: Array | None = None) -> Array:
        """Tangent Gram matrix ``Phi W Phi^T``, shape (n c, n c), outputs running fastest.

        Parameters
        ----------
        pq, inverse : ndarray, shapes (c, r, N) and (r, r, N), optional
            Give ``Phi W B^{-1} Phi^T`` for symmetric blocks B, one for each neuron, with ``B_pp = 1`` and
            ``B_pq = pq``; ``inverse`` is that of the Schur complement in q.
        """
        self._spend("values", 1)
        if pq is not None and inverse is not None:
            return self._gram_through(pq, inverse)
        passes = self.passes
        n, c = passes.n, passes.outputs
        most = max(1, _GRAM // (n * n * (1 + c * c)))
        groups = _cut(passes.size, min(len(passes.neuron_groups), most))
        by_p = np.zeros((len(groups), n, n))
        by_q = np.zeros((len(groups), n * c, n * c))

        def work(first: int, last: int) -> None:
            for group in range(first, last):
                for value, slope, lo, hi in self._columns(groups[group], n * c):
                    w, p = passes.weight[lo:hi], self._p[:, lo:hi]
                    by_p[group] += (value * w) @ value.T
                    turned = (slope[:, None, :] * p).reshape(n * c, hi - lo)
                    by_q[group] += (turned * w) @ turned.T

        passes.run(2.0 * (n * c) ** 2 + _FLOPS * n, work, passes=0, chunks=len(groups))
        inner = passes.x @ passes.x.T
        inner = inner if c == 1 else np.repeat(np.repeat(inner, c, axis=0), c, axis=1)
        return self._of_layers(by_p, inner * by_q.sum(axis=0))

    def _gram_through(self, pq: Array, inverse: Array) -> Array:
        # Phi B^{-1} Phi^T = Phi_p Phi_p^T + Psi inverse Psi^T with Psi = Phi_q - Phi_p pq.
        passes = self.passes
        n, r, c = passes.n, passes.r, passes.outputs
        groups = passes.neuron_groups
        by_p = np.zeros((len(groups), n, n))
        by_q = np.zeros((len(groups), n * c, n * c))
        x = passes.x[:, None, :, None]

        def work(first: int, last: int) -> None:
            for group in range(first, last):
                for value, slope, lo, hi in self._columns(groups[group], n * c * r):
                    w, p = passes.weight[lo:hi], self._p[:, lo:hi]
                    by_p[group] += (value * w) @ value.T
                    turned = (slope[:, None, :] * p)[:, :, None, :] * x
                    turned -= value[:, None, None, :] * pq[:, :, lo:hi]
                    solved = np.einsum("iajk,jlk->ialk", turned, inverse[:, :, lo:hi] * w)
                    by_q[group] += solved.reshape(n * c, -1) @ turned.reshape(n * c, -1).T

        passes.run(2.0 * (n * c) ** 2 * (r + 1) + _FLOPS * n, work, passes=0, chunks=len(groups))
        return self._of_layers(by_p, by_q.sum(axis=0))

    def _of_layers(self, by_p: Array, by_q: Array) -> Array:
        """The sum of what layers that are trained give to a Gram matrix (n c, n c)."""
        of_p = np.kron(by_p.sum(axis=0), np.eye(self.passes.outputs))
        moves_p, moves_q = self.passes.moves
        return np.asarray(of_p + by_q if moves_p and moves_q else of_p if moves_p else by_q)

    def _held(self, pulled: Array) -> Array:
        """A pullback (c + r, N) without what would move layers that are not trained."""
        c, (moves_p, moves_q) = self.passes.outputs, self.passes.moves
        if not moves_p:
            pulled[:c] = 0.0
        if not moves_q:
            pulled[c:] = 0.0
        return pulled

    def _spend(self, part: str, thirds: int) -> None:
        """Count what is evaluated: once, if it is kept."""
        if self._kept is None or part not in self._done:
            self._done.add(part)
            self.passes.spend(thirds)

    def _columns(self, neurons: tuple[int, int], rows: int) -> Iterator[tuple[Array, Array, int, int]]:
        """Values and slopes (n, B) of some neurons on all samples, ``rows x B`` a tile."""
        start, stop = neurons
        block = max(1, min(_NEURONS, _TILE // rows))
        for lo in range(start, stop, block):
            hi = min(lo + block, stop)
            value, slope = self._fresh(Tile(lo, hi, 0, self.passes.n))
            yield value, slope, lo, hi

    def _evaluated(self, tile: Tile) -> tuple[Array, Array]:
        """Values and slopes of a tile, shapes (samples, neurons)."""
        if self._kept is None:
            return self._fresh(tile)
        found = self._kept.get(tile)
        if found is None:
            found = self._kept[tile] = self._fresh(tile)
        return found

    def _fresh(self, tile: Tile) -> tuple[Array, Array]:
        passes = self.passes
        z = self._z(tile)
        slope, rows = np.empty_like(z), max(1, _PIECE // z.shape[1])
        for top in range(0, len(z), rows):
            piece = slice(top, top + rows)
            value, slope[piece] = passes.activation.value_and_slope(z[piece])
            z[piece] = value  # last: a slope may be z itself
        if passes.scale != 1.0:
            z /= passes.scale
        return z, slope

    def _z(self, tile: Tile) -> Array:
        z: Array = self.passes.scaled_x[tile.first : tile.last] @ self._q[:, tile.lo : tile.hi]
        return z

    def _tiles(self, neurons: tuple[int, int], samples: tuple[int, int]) -> Iterator[Tile]:
        (start, stop), (first, last) = neurons, samples
        wide = min(_NEURONS, stop - start)
        high = max(1, _TILE // wide)
        for lo in range(start, stop, wide):
            for top in range(first, last, high):
                yield Tile(lo, min(lo + wide, stop), top, min(top + high, last))

    def _groups(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        passes = self.passes
        return [(neurons, samples) for neurons in passes.neuron_groups for samples in passes.sample_groups]

    def _over_neurons(self, part: Callable[[Tile], Array]) -> Array:
        """Sum of ``part`` over the neurons, shape (n c,)."""
        passes, groups = self.passes, self._groups()
        sums = np.zeros((len(passes.neuron_groups), passes.n, passes.outputs))

        def work(first: int, last: int) -> None:
            for number in range(first, last):
                for tile in self._tiles(*groups[number]):
                    sums[number // len(passes.sample_groups), tile.first : tile.last] += part(tile)

        passes.run(self._flops(), work, passes=0, chunks=len(groups))
        total: Array = sums.sum(axis=0).ravel()
        return total

    def _over_samples(self, part: Callable[[Tile], Array], out: Array) -> Array:
        """``out`` (c + r, N) gets the sum of ``part`` over the samples."""
        passes, groups = self.passes, self._groups()
        several = len(passes.sample_groups)
        sums = np.empty((several, *out.shape)) if several > 1 else out[None]

        def work(first: int, last: int) -> None:
            for number in range(first, last):
                neurons, samples = groups[number]
                mine = sums[number % several]
                mine[:, slice(*neurons)] = 0.0
                for tile in self._tiles(neurons, samples):
                    mine[:, tile.lo : tile.hi] += part(tile)

        passes.run(self._flops(), work, passes=0, chunks=len(groups))
        if several > 1:
            np.sum(sums, axis=0, out=out)
        return out

    def _flops(self) -> float:
        """Per neuron."""
        return float(self.passes.n * (4 * len(self.theta) + 2 * _FLOPS))


def _cut(length: int, parts: int) -> list[tuple[int, int]]:
    """Cut ``range(length)`` into parts of nearly equal length."""
    edges = [length * i // parts for i in range(parts + 1)]
    return [(start, stop) for start, stop in pairwise(edges) if stop > start]
