"""The right-hand side and a step, ours and peers', each against plain NumPy."""

import statistics
import time

import alternate
import numpy as np
import peers
import pytest

import meanfield as mf
from meanfield.flow import METHODS
from meanfield.flow.system import CanonicalSystem, SmoothSystem

#: Methods for ReLUs; benchmarks/smooth.py measures the others.
OF_RELUS = [name for name, method in METHODS.items() if method.needs is not SmoothSystem]

#: m, n, d: sorted one-dimensional inputs twice, and as many dimensions as samples.
SHAPES = [(1_000_000, 4, 2), (100_000, 64, 2), (100_000, 45, 45)]


@pytest.fixture(scope="module", params=SHAPES, ids=[f"m={m:g},n={n},d={d}" for m, n, d in SHAPES])
def system(request):
    m, n, d = request.param
    x = np.linspace(-0.5, 0.5, n) if d == 2 else np.random.default_rng(0).standard_normal((n, d - 1))
    problem = mf.Problem(x, np.sin(4 * np.pi * np.linspace(-0.5, 0.5, n)))
    return CanonicalSystem.of(problem, mf.Particles.sample(problem, mf.Scaling(1.0, 0.0), m, rng=0))


def arguments(system):
    return np.array(system.problem.x), np.array(system.problem.y), system.kappa, system.theta0


def check(velocity, system):
    expected = peers.numpy_rhs(*arguments(system))
    np.testing.assert_allclose(velocity, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


def sizes(system):
    return f"m = {system.size:g}, n = {system.n}, d = {system.problem.d}"


def group(system):
    return f"kernel: right-hand side, {sizes(system)}"


def test_rhs_ours(benchmark, system):
    benchmark.group, benchmark.extra_info["library"] = group(system), "meanfield"
    out = np.empty_like(system.theta0)
    velocity = benchmark.pedantic(peers.ours_rhs, (system, system.theta0, out), rounds=15, warmup_rounds=3)
    check(velocity, system)


@pytest.mark.parametrize("name", peers.RIGHT_HAND_SIDES)
def test_rhs_peer(benchmark, system, name):
    library, build = peers.RIGHT_HAND_SIDES[name]
    pytest.importorskip(library)
    if name == "JAX, scan" and system.problem.d > 4:
        pytest.skip("one sample after the other pays in few dimensions only")
    benchmark.group, benchmark.extra_info["library"] = group(system), name
    out = np.empty_like(system.theta0)
    velocity = in_turn(
        benchmark, build(*arguments(system)), lambda: peers.ours_rhs(system, system.theta0, out)
    )
    check(velocity, system)


def test_rhs_numpy(benchmark, system):
    benchmark.group, benchmark.extra_info["library"] = group(system), "NumPy"
    out = np.empty_like(system.theta0)
    velocity = in_turn(
        benchmark, lambda: peers.numpy_rhs(*arguments(system)),
        lambda: peers.ours_rhs(system, system.theta0, out), rounds=3,
    )  # fmt: skip
    assert np.isfinite(velocity).all()


def in_turn(benchmark, peer, ours, rounds=15):
    """Time a peer with ours before each of its rounds: their ratio is that of neighbours in time."""
    seconds = []

    def setup():
        time.sleep(alternate.PAUSE)
        began = time.perf_counter()
        ours()
        seconds.append(time.perf_counter() - began)
        time.sleep(alternate.PAUSE)

    peer(), ours()
    result = benchmark.pedantic(peer, setup=setup, rounds=rounds, warmup_rounds=1)
    if len(seconds) > 1:  # benchmarks that are run once, without timing, have the warm-up's only
        benchmark.extra_info["ours"] = statistics.median(seconds[1:])
    return result


# One step, so short that it is a straight line to the accuracy of the check.
SHORT_STEP = 1e-6


def check_step(theta, system):
    velocity = peers.numpy_rhs(*arguments(system))
    np.testing.assert_allclose(
        (theta - system.theta0) / SHORT_STEP, velocity, atol=1e-3 * np.abs(velocity).max()
    )


def step_group(system):
    return f"step: one step, {sizes(system)}"


@pytest.mark.parametrize("method", OF_RELUS)
def test_step_ours(benchmark, system, method):
    benchmark.group, benchmark.extra_info["library"] = step_group(system), f"meanfield, {method}"
    stepper = METHODS[method](system)
    state = system.state(0.0, system.theta0.copy())
    before = system.passes
    attempt = stepper.step(state, SHORT_STEP)
    benchmark.extra_info["evaluations"] = system.passes - before
    benchmark.pedantic(stepper.step, (state, SHORT_STEP), rounds=5, warmup_rounds=1)
    check_step(attempt.state.theta, system)


@pytest.mark.parametrize("name", ["gradient descent, PyTorch", "Tsit5, diffrax"])
def test_step_peer(benchmark, system, name):
    library, build, evaluations = peers.STEPS[name]
    pytest.importorskip(library)
    benchmark.group, benchmark.extra_info["library"] = step_group(system), name
    benchmark.extra_info["evaluations"] = evaluations
    theta = benchmark.pedantic(build(*arguments(system), SHORT_STEP), rounds=5, warmup_rounds=1)
    check_step(theta, system)
