"""Kernels, one pass over the particles: ours against plain NumPy, each checked against the other."""

import naive
import numpy as np
import pytest

from meanfield import kernels

SHAPES = [(100_000, 4, 2), (20_000, 64, 2), (5_000, 45, 45)]


@pytest.fixture(params=SHAPES, ids=["N=1e5,n=4,d=2", "N=2e4,n=64,d=2", "N=5e3,n=45,d=45"])
def case(request):
    size, n, r = request.param
    rng = np.random.default_rng(0)
    theta, x = rng.standard_normal((1 + r, size)), rng.standard_normal((n, r))
    return theta, np.ones(size), x, rng.standard_normal(n)


def numpy_output(theta, weight, x):
    return np.maximum(x @ theta[1:], 0.0) @ (weight * theta[0])


def ours_output(theta, weight, x, partial):
    size = theta.shape[1]
    kernels.run_chunks(
        size, 2.0 * x.size * size, lambda lo, hi: kernels.output(theta, weight, x, lo, hi, partial)
    )
    return partial.sum(axis=0)


@pytest.mark.benchmark(group="kernel: output")
def test_output_ours(benchmark, case):
    theta, weight, x, _ = case
    partial = np.empty((kernels.chunk_count(theta.shape[1]), len(x)))
    result = benchmark(ours_output, theta, weight, x, partial)
    np.testing.assert_allclose(result, numpy_output(theta, weight, x), rtol=1e-9, atol=1e-9 * theta.shape[1])


@pytest.mark.benchmark(group="kernel: output")
def test_output_numpy(benchmark, case):
    theta, weight, x, _ = case
    result = benchmark(numpy_output, theta, weight, x)
    assert np.isfinite(result).all()


@pytest.mark.benchmark(group="kernel: pullback")
def test_pullback_ours(benchmark, case):
    theta, _, x, c = case
    size, out = theta.shape[1], np.empty_like(theta)

    def run():
        kernels.run_chunks(
            size, 4.0 * x.size * size, lambda lo, hi: kernels.pullback(theta, c, x, lo, hi, out)
        )
        return out

    np.testing.assert_allclose(benchmark(run)[:, :100], naive.pullback(theta[:, :100], c, x), atol=1e-10)


@pytest.mark.benchmark(group="kernel: pullback")
def test_pullback_numpy(benchmark, case):
    theta, _, x, c = case

    def run():
        z = x @ theta[1:]
        on = c[:, None] * (z > 0)
        return np.vstack([(on * z).sum(axis=0), theta[0] * (x.T @ on)])

    assert np.isfinite(benchmark(run)).all()


@pytest.mark.benchmark(group="kernel: exact motion, few kinks met")
def test_move(benchmark, case):
    theta, _, x, e = case
    size, out = theta.shape[1], np.empty_like(theta)
    stats = np.empty((kernels.chunk_count(size), 5), dtype=np.int64)

    def run():
        kernels.run_chunks(
            size, 6.0 * x.size * size, lambda lo, hi: kernels.move(theta, e, x, 1e-3, lo, hi, out, stats)
        )
        return out

    moved = benchmark(run)
    step = 1e-3 * naive.pullback(theta[:, :100], -e / len(x), x)
    np.testing.assert_allclose(moved[:, :100], theta[:, :100] + step, atol=1e-4)
