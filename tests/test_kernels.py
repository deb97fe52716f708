"""Kernels against their plain twins for every remainder, adjointness, threads and NaN.

Most comparisons are exact: with small whole numbers every sum is exact in double precision, whatever its
order, and many pre-activations are exactly zero, which pins relu'(0) = 0.
"""

import threading
import time

import naive
import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from meanfield import kernels
from meanfield.kernels import BLOCK, CHUNK

EPS = np.finfo(float).eps
RANKS = [*range(1, 10), 45]
EDGES = [BLOCK - 1, BLOCK, BLOCK + 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3]


def run(name, size, shapes, *args):
    """Call a kernel over all chunks; returns the sums over chunks of its partial results."""
    chunks = kernels.chunk_count(size)
    partial = [np.full((chunks, *shape), np.nan) for shape in shapes]
    getattr(kernels, name)(*args, 0, chunks, *partial)
    return [part.sum(axis=0) for part in partial]


def output(theta, weight, x):
    return run("output", theta.shape[1], [(len(x),)], theta, weight, x)[0]


def tangent(theta, weight, v, x):
    return run("tangent", theta.shape[1], [(len(x),)], theta, weight, v, x)[0]


def gram(theta, weight, x):
    size, n = theta.shape[1], len(x)
    chunks = kernels.chunk_count(size)
    partial = np.full((2, chunks, n, n), np.nan)
    kernels.gram(theta, weight, x, CHUNK, 0, chunks, partial[0], partial[1])
    parts = partial.sum(axis=1)
    return [np.tril(part) + np.tril(part, -1).T for part in parts]


def pullback(theta, c, x):
    out = np.full(theta.shape, np.nan)
    kernels.pullback(theta, c, x, 0, kernels.chunk_count(theta.shape[1]), out)
    return out


def combine(base, increments, coefficients):
    out = np.full(base.shape, np.nan)
    kernels.combine(base, increments, coefficients, 0, kernels.chunk_count(base.shape[1]), out)
    return out


def combination_norms(increments, coefficients, weight):
    return run("combination_norms", len(weight), [(2,)], increments, coefficients, weight)[0]


def observe(theta, theta0, weight):
    return run("observe", len(weight), [(5,)], theta, theta0, weight)[0]


class Whole:
    """Whole numbers whose sums stay far below 2**53; weights are squares, for gram takes their root."""

    def __init__(self, size, n, r, seed=0):
        rng = np.random.default_rng([seed, size, n, r])

        def whole(*shape):
            return rng.integers(-3, 4, shape).astype(float)

        self.theta, self.theta0, self.v = whole(1 + r, size), whole(1 + r, size), whole(1 + r, size)
        self.x, self.c = whole(n, r), whole(n)
        self.weight = rng.choice([0.0, 0.25, 1.0, 4.0, 9.0], size)
        self.increments, self.coefficients = whole(4, 1 + r, size), whole(4)


def check_all(case):
    theta, weight, x = case.theta, case.weight, case.x
    equal = np.testing.assert_array_equal
    equal(output(theta, weight, x), naive.output(theta, weight, x))
    equal(pullback(theta, case.c, x), naive.pullback(theta, case.c, x))
    equal(tangent(theta, weight, case.v, x), naive.tangent(theta, weight, case.v, x))
    for ours, theirs in zip(gram(theta, weight, x), naive.gram(theta, weight, x), strict=True):
        equal(ours, theirs)


def check_combinations(case, count):
    increments, coefficients = case.increments[:count], case.coefficients[:count]
    equal = np.testing.assert_array_equal
    equal(combine(case.theta, increments, coefficients), naive.combine(case.theta, increments, coefficients))
    equal(
        combination_norms(increments, coefficients, case.weight),
        naive.combination_norms(increments, coefficients, case.weight),
    )
    equal(observe(case.theta, case.theta0, case.weight), naive.observe(case.theta, case.theta0, case.weight))


class TestAgainstTheTwin:
    @pytest.mark.parametrize("r", RANKS)
    @pytest.mark.parametrize("n", range(1, 10))
    def test_every_remainder(self, n, r):
        for size in range(1, 71):
            check_all(Whole(size, n, r))

    @pytest.mark.parametrize("size", EDGES)
    @pytest.mark.parametrize(("n", "r"), [(1, 1), (4, 2), (5, 3), (9, 7), (3, 45)])
    def test_edges_of_blocks_and_chunks(self, size, n, r):
        check_all(Whole(size, n, r))

    @pytest.mark.parametrize("r", RANKS)
    def test_combinations_and_observations(self, r):
        for size in [*range(1, 71), *EDGES]:
            check_combinations(Whole(size, 1, r), 1 + size % 4)

    def test_zero_preactivations_were_met(self):
        """The cases above have them, of both origins: q = 0 and q orthogonal to x."""
        case = Whole(70, 9, 3)
        z = case.x @ case.theta[1:]
        assert np.sum((z == 0) & (case.theta[1:] != 0).any(axis=0) & (case.x != 0).any(axis=1)[:, None]) > 20

    def test_relu_has_slope_zero_at_zero(self):
        theta, x = np.array([[2.0], [0.0], [0.0]]), np.array([[1.0, -1.0], [0.0, 0.0]])
        one = np.ones(1)
        np.testing.assert_array_equal(pullback(theta, np.ones(2), x), np.zeros((3, 1)))
        np.testing.assert_array_equal(tangent(theta, one, np.ones((3, 1)), x), np.zeros(2))
        assert not any(part.any() for part in gram(theta, one, x))

    @pytest.mark.parametrize("size", [1, 37, BLOCK + 1, 2 * CHUNK + 3])
    @pytest.mark.parametrize(("n", "r"), [(1, 1), (4, 2), (9, 5), (3, 45)])
    def test_real_numbers(self, size, n, r):
        """Within the rounding of a sum of T terms in any order: T eps times the sum of their sizes.

        T counts the neurons, the r terms of a pre-activation and ten more operations. Twin and kernel
        both err, hence the factor 2.
        """
        rng = np.random.default_rng([size, n, r])
        theta, theta0, v = rng.standard_normal((3, 1 + r, size))
        x, c = rng.standard_normal((n, r)), rng.standard_normal(n)
        weight = rng.uniform(0.0, 3.0, size)
        increments, coefficients = rng.standard_normal((4, 1 + r, size)), rng.standard_normal(4)

        def close(ours, theirs, scale, terms):
            assert np.all(np.abs(ours - theirs) <= 2 * (terms + r + 10) * EPS * scale)

        # The same sums with every term replaced by its size.
        z = np.abs(x) @ np.abs(theta[1:])
        dz = np.abs(x) @ np.abs(v[1:])
        p, dp = np.abs(theta[0]), np.abs(v[0])
        close(output(theta, weight, x), naive.output(theta, weight, x), z @ (weight * p), size)
        close(
            tangent(theta, weight, v, x), naive.tangent(theta, weight, v, x), (z * dp + p * dz) @ weight, size
        )
        sizes = np.vstack([np.abs(c) @ z, p * (np.abs(x).T @ np.abs(c))[:, None]])
        close(pullback(theta, c, x), naive.pullback(theta, c, x), sizes, n)
        part_a, part_w = gram(theta, weight, x)
        expected_a, expected_w = naive.gram(theta, weight, x)
        close(part_a, expected_a, (weight * z) @ z.T, size)
        close(part_w, expected_w, weight @ p**2, size)
        sizes = naive.combine(np.abs(theta), np.abs(increments), np.abs(coefficients))
        close(
            combine(theta, increments, coefficients), naive.combine(theta, increments, coefficients), sizes, 4
        )
        sizes = naive.combination_norms(np.abs(increments), np.abs(coefficients), weight)
        close(
            combination_norms(increments, coefficients, weight),
            naive.combination_norms(increments, coefficients, weight),
            sizes,
            size,
        )
        sizes = np.abs(theta) ** 2 + np.abs(theta0) ** 2
        total = np.array(
            [sizes[0], sizes[1:].sum(axis=0), sizes[0], sizes[1:].sum(axis=0), sizes.sum(axis=0)]
        )
        close(observe(theta, theta0, weight), naive.observe(theta, theta0, weight), 2 * total @ weight, size)


SHAPES = [(7, 3, 2), (61, 5, 4), (BLOCK + 3, 9, 1), (CHUNK + 5, 4, 9)]


class TestCalculus:
    """Relations between the kernels; all exact in whole numbers."""

    @pytest.mark.parametrize("shape", SHAPES)
    def test_tangent_and_pullback_are_adjoint(self, shape):
        case = Whole(*shape, seed=2)
        left = tangent(case.theta, case.weight, case.v, case.x) @ case.c
        assert left == np.sum(case.weight * case.v * pullback(case.theta, case.c, case.x))

    @pytest.mark.parametrize("shape", SHAPES)
    def test_gram_is_tangent_of_pullback(self, shape):
        case = Whole(*shape, seed=3)
        part_a, part_w = gram(case.theta, case.weight, case.x)
        K = part_a + (case.x @ case.x.T) * part_w
        columns = [
            tangent(case.theta, case.weight, pullback(case.theta, unit, case.x), case.x)
            for unit in np.eye(len(case.x))
        ]
        np.testing.assert_array_equal(K, np.array(columns).T)
        np.testing.assert_array_equal(K, naive.tangent_gram(case.theta, case.weight, case.x))
        assert np.linalg.eigvalsh(K)[0] >= -len(K) * EPS * np.trace(K)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_tangent_is_the_derivative_of_output(self, shape):
        """Central differences of a quadratic function are exact, and between kinks output is quadratic."""
        case = Whole(*shape, seed=4)
        theta, v, h = case.theta, case.v, 2.0**-10
        theta[1:] += 0.5 * (np.arange(shape[2]) == 0)[:, None]  # half-integers: no zero pre-activation ...
        case.x[:, 0] = np.where(case.x[:, 0] % 2 == 0, 1.0, case.x[:, 0])  # ... on odd first coordinates
        z = case.x @ theta[1:]
        assert np.all(np.abs(z) > h * np.abs(case.x @ v[1:]))
        forward, backward = (output(theta + s * h * v, case.weight, case.x) for s in (1, -1))
        np.testing.assert_array_equal((forward - backward) / (2 * h), tangent(theta, case.weight, v, case.x))

    def test_pullback_is_the_gradient_of_output(self):
        case = Whole(13, 4, 3, seed=5)
        case.theta[1:] += [[0.5], [0.0], [0.0]]
        case.x[:, 0] = np.where(case.x[:, 0] % 2 == 0, 1.0, case.x[:, 0])
        gradient, h, one = pullback(case.theta, case.c, case.x), 2.0**-10, np.ones(13)
        for index in np.ndindex(case.theta.shape):
            change = np.zeros(case.theta.shape)
            change[index] = h
            values = [output(case.theta + s * change, one, case.x) @ case.c for s in (1, -1)]
            assert (values[0] - values[1]) / (2 * h) == gradient[index]

    def test_observe_of_no_change(self):
        case = Whole(50, 1, 3)
        sums = observe(case.theta, case.theta.copy(), case.weight)
        assert (sums[0], sums[1], sums[4]) == (0.0, 0.0, 0.0)


@pytest.fixture
def threads():
    before = kernels.get_threads()
    yield kernels.set_threads
    kernels.set_threads(before)


SIZE = 9 * CHUNK + 17


@pytest.fixture(scope="module")
def large():
    """Arguments and result shapes of every kernel, for ten chunks of neurons."""
    rng = np.random.default_rng(0)
    n, r, chunks = 8, 3, kernels.chunk_count(SIZE)
    theta, theta0, v = rng.standard_normal((3, 1 + r, SIZE))
    x, c, coefficients = rng.standard_normal((n, r)), rng.standard_normal(n), rng.standard_normal(4)
    weight, increments = rng.uniform(0, 2, SIZE), rng.standard_normal((4, 1 + r, SIZE))
    return {
        "output": ([theta, weight, x], [(chunks, n)]),
        "pullback": ([theta, c, x], [theta.shape]),
        "tangent": ([theta, weight, v, x], [(chunks, n)]),
        "gram": ([theta, weight, x, CHUNK], [(chunks, n, n)] * 2),
        "combine": ([theta, increments, coefficients], [theta.shape]),
        "combination_norms": ([increments, coefficients, weight], [(chunks, 2)]),
        "observe": ([theta, theta0, weight], [(chunks, 5)]),
    }


class TestThreads:
    @pytest.mark.parametrize(
        "name",
        ["output", "pullback", "tangent", "gram", "combine", "combination_norms", "observe"],
    )
    def test_same_bits(self, name, large, threads):
        args, shapes = large[name]
        results = []
        for count in (1, 2, 3, 4):
            threads(count)
            out = [np.full(shape, np.nan) for shape in shapes]
            ranges, kernel = [], getattr(kernels, name)

            def call(lo, hi, out=out, ranges=ranges, kernel=kernel):
                ranges.append((lo, hi))
                kernel(*args, lo, hi, *out)

            # Enough claimed work for four threads, whatever the kernel's true cost.
            kernels.run_chunks(kernels.chunk_count(SIZE), 1e9, call)
            assert len(ranges) >= count
            results.append(b"".join(array.tobytes() for array in out))
            assert not any(np.isnan(array).any() for array in out)
        assert len(set(results)) == 1

    @pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
    @pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 9 * CHUNK + 17])
    @pytest.mark.parametrize("flops", [0.0, 1e6, 1e12])
    def test_every_chunk_once(self, count, size, flops, threads):
        threads(count)
        seen, names = [], set()

        def call(lo, hi):
            seen.append((lo, hi))
            names.add(threading.get_ident())

        kernels.run_chunks(kernels.chunk_count(size), flops, call)
        assert all(lo < hi for lo, hi in seen)
        assert sorted(chunk for lo, hi in seen for chunk in range(lo, hi)) == list(
            range(kernels.chunk_count(size))
        )
        assert len(names) <= count
        if flops == 0.0:
            assert len(seen) == 1  # not worth a thread
        if flops == 1e12 and count > 1:
            assert len(seen) >= min(count, kernels.chunk_count(size))

    def test_they_are_threads(self, threads):
        """Two ranges meet at a barrier: they run at the same time."""
        threads(2)
        barrier, names = threading.Barrier(2, timeout=60), set()

        def call(lo, hi):
            barrier.wait()
            names.add(threading.get_ident())

        kernels.run_chunks(4, 1e12, call)
        assert len(names) == 2

    def test_deadline(self):
        """Past it nothing is begun; a call that lasts is given up; afterwards there is no deadline."""
        calls, freed = [], threading.Event()

        def lasts(lo, hi):
            calls.append(lo)
            freed.wait(60.0)

        begun = time.monotonic()
        with kernels.until(begun - 1.0), kernels.until(begun + 60.0), pytest.raises(kernels.OutOfTime):
            kernels.run_chunks(1, 0.0, lasts)
        assert not calls
        start = time.monotonic()
        with kernels.until(start + 0.2), pytest.raises(kernels.OutOfTime):
            kernels.run_chunks(1, 1e12, lasts)
        assert calls == [0]
        assert 0.2 <= time.monotonic() - start < 30.0
        freed.set()
        kernels.run_chunks(1, 1e12, lasts)
        assert calls == [0, 0]

    def test_what_is_given_up_is_told_so(self, threads):
        """``halt`` is set until the call has ended: nothing writes any more. Then it is zero again."""
        threads(2)
        halt, ended = np.zeros(1, np.int64), []

        def looks(lo, hi):
            limit = time.monotonic() + 60.0
            while halt[0] == 0 and time.monotonic() < limit:
                time.sleep(0.01)
            ended.append(int(halt[0]))

        with kernels.until(time.monotonic() + 0.1), pytest.raises(kernels.OutOfTime):
            kernels.run_chunks(2, 1e12, looks, halt=halt)
        assert ended == [1, 1]
        assert halt[0] == 0

    @pytest.mark.parametrize("flops", [0.0, 1e12])
    def test_an_error_reaches_the_caller(self, flops):
        def fails(lo, hi):
            raise RuntimeError("as told")

        with pytest.raises(RuntimeError, match="as told"):
            kernels.run_chunks(3, flops, fails)

    def test_blas_uses_one_thread_meanwhile(self):
        blas = ThreadpoolController().select(user_api="blas")

        def counts():
            return {library.num_threads for library in blas.lib_controllers}

        with blas.limit(limits=2):
            with kernels.one_blas_thread(), kernels.one_blas_thread():
                assert counts() == {1}
            assert counts() == {2}
            # Two threads of a program, the first to begin the first to end.
            first, second = kernels.one_blas_thread(), kernels.one_blas_thread()
            first.__enter__()
            second.__enter__()
            first.__exit__(None, None, None)
            assert counts() == {1}
            second.__exit__(None, None, None)
            assert counts() == {2}

    def test_an_error_in_a_thread_is_raised(self, threads):
        threads(2)

        def call(lo, hi):
            if lo > 0:
                raise RuntimeError("in a thread")

        with pytest.raises(RuntimeError, match="in a thread"):
            kernels.run_chunks(4, 1e12, call)

    @pytest.mark.parametrize("count", [0, -3])
    def test_bad_number_of_threads(self, count, threads):
        before = kernels.get_threads()
        with pytest.raises(ValueError, match=f"threads is {count}; give at least 1"):
            threads(count)
        assert kernels.get_threads() == before


class TestNotANumber:
    """NaN is not lost: SAFE_FLAGS leave out LLVM's ``nnan``, and no comparison swallows it."""

    @pytest.mark.parametrize("where", ["p", "q", "weight", "x"])
    @pytest.mark.parametrize("size", [1, 8, 61])
    def test_it_reaches_the_sums(self, where, size):
        case = Whole(size, 3, 2, seed=6)
        case.theta[1:] = np.abs(case.theta[1:]) + 1.0  # all active
        case.x[:] = np.abs(case.x) + 1.0
        k = size // 2
        case.weight[k] = 1.0
        if where == "p":
            case.theta[0, k] = np.nan
        elif where == "q":
            case.theta[1, k] = np.nan
        elif where == "weight":
            case.weight[k] = np.nan
        else:
            case.x[1, 0] = np.nan
        rows = [1] if where == "x" else [0, 1, 2]
        assert np.all(np.isnan(output(case.theta, case.weight, case.x)[rows]))
        assert np.all(np.isnan(tangent(case.theta, case.weight, case.v, case.x)[rows]))
        part_a, part_w = gram(case.theta, case.weight, case.x)
        assert np.all(np.isnan((part_a + part_w).diagonal()[rows]))
        if where == "weight":
            return
        if where != "p":  # p multiplies the q rows only
            assert np.isnan(pullback(case.theta, np.ones(3), case.x)[0, k])
        else:
            assert np.all(np.isnan(pullback(case.theta, np.ones(3), case.x)[1:, k]))

    @pytest.mark.parametrize("row", [0, 1, 2])
    def test_it_reaches_norms_and_observations(self, row):
        case = Whole(61, 1, 2, seed=7)
        case.weight[:] = 1.0
        case.coefficients[:] = 1.0
        case.increments[1, row, 17] = case.theta[row, 17] = np.nan
        layer = min(row, 1)
        assert np.isnan(combination_norms(case.increments, case.coefficients, case.weight)[layer])
        assert np.all(np.isnan(observe(case.theta, case.theta0, case.weight)[[layer, 2 + layer, 4]]))
        assert np.isnan(combine(case.theta, case.increments, case.coefficients)[row, 17])

    def test_infinity_is_kept(self):
        case = Whole(5, 2, 2, seed=8)
        case.theta[:] = np.abs(case.theta) + 1.0
        case.x[:] = 1.0
        case.weight[:] = 1.0
        case.theta[0, 2] = np.inf
        np.testing.assert_array_equal(output(case.theta, case.weight, case.x), np.inf)
