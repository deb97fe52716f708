"""Whole runs at equal accuracy or to the same loss: our methods, and what a user could pick instead."""

import numpy as np
import peer_runs
import peers
import pytest
from digits import TARGET, torch_run, torch_runs
from scipy.integrate import solve_ivp
from sine import Reference, Sine
from work_precision import ours

import meanfield as mf
from meanfield.flow import METHODS
from meanfield.flow.system import CanonicalSystem, SmoothSystem

#: Methods for ReLUs; benchmarks/smooth.py measures the others.
OF_RELUS = [name for name, method in METHODS.items() if method.needs is not SmoothSystem]

LOSS_ATOL = 5e-7
PROBLEM = mf.datasets.four_points()
REGIMES = {"linear": 0.5, "critical": 1.0, "condensed": 1.75}


def network(gamma, width=1000):
    return mf.Particles.sample(PROBLEM, mf.Scaling(gamma, 0.0), width, rng=0)


def describe(benchmark, group, library, **more):
    benchmark.group = f"run: {group}"
    benchmark.extra_info |= {"library": library} | more


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("method", OF_RELUS)
def test_four_points_ours(benchmark, method, regime):
    particles = network(REGIMES[regime])
    run = benchmark.pedantic(
        mf.gradient_flow,
        (PROBLEM, particles),
        {"loss_atol": LOSS_ATOL, "method": method, "rtol": 1e-2, "progress": False},
        rounds=5,
        warmup_rounds=1,
    )
    assert run.converged
    np.testing.assert_allclose(run.predict(PROBLEM.x[:, 0]), PROBLEM.y, atol=np.sqrt(8 * LOSS_ATOL))
    describe(
        benchmark, f"four points to 5e-7, m = 1000, {regime}", f"meanfield, {method}",
        evaluations=run.stats.passes,
    )  # fmt: skip


@pytest.mark.parametrize("regime", ["linear", "critical"])
def test_four_points_scipy(benchmark, regime):
    system = CanonicalSystem.of(PROBLEM, network(REGIMES[regime]))
    shape, velocity = system.theta0.shape, np.empty_like(system.theta0)

    def right_hand_side(_, u):
        return peers.ours_rhs(system, u.reshape(shape), velocity).ravel().copy()

    def reached(_, u):
        e = system.residual(u.reshape(shape))
        return e @ e / (2 * system.n) - LOSS_ATOL

    reached.terminal = True

    def run():
        # An explicit method: the dense Jacobian of 3000 unknowns makes implicit ones far slower.
        return solve_ivp(
            right_hand_side, (0.0, 1e6), system.theta0.ravel(), method="RK45", rtol=1e-3, events=reached
        )

    solution = benchmark.pedantic(run, rounds=1)
    assert solution.status == 1
    describe(
        benchmark, f"four points to 5e-7, m = 1000, {regime}", "SciPy RK45", evaluations=2 * solution.nfev
    )


# The sine at equal accuracy: tolerances at which each solver meets it (see work_precision.py).
ACCURACY = 1e-3
SINE_SOLVERS = {
    "meanfield, residual": ("numba", ours("residual"), 1e-2),
    "diffrax Tsit5": ("diffrax", peer_runs.diffrax_tsit5, 1e-5),
    "SciPy RK45": ("scipy", peer_runs.scipy_solver("RK45"), 1e-5),
    "gradient descent, Numba": ("numba", peer_runs.gradient_descent, 0.3),
}


@pytest.fixture(scope="module")
def sine():
    case = Sine(0.5)
    return case, Reference(case.brute_force(1e-6))


@pytest.mark.parametrize("name", SINE_SOLVERS)
def test_sine(benchmark, sine, name):
    case, reference = sine
    library, prepare, tolerance = SINE_SOLVERS[name]
    pytest.importorskip(library)
    solve = benchmark.pedantic(prepare(case, tolerance, 600.0), rounds=3)
    error = reference.error(solve.losses)
    assert error <= ACCURACY
    describe(
        benchmark, "sine, gamma = 0.5, m = 200, loss within 1e-3 all along", name,
        evaluations=solve.evaluations, error=error,
    )  # fmt: skip


# Digits to the same loss; digits.py has the widths and gammas that matter.
DIGITS_GROUP = "45 digits to a mean square of 1e-4, m = 1000, gamma = 1"


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn")
    problem = mf.datasets.digits(45)
    return problem, mf.Particles.sample(problem, mf.Scaling(1.0, 0.0), 1000, rng=0)


def test_digits_ours(benchmark, digits):
    problem, _ = digits
    settings = {"loss_atol": TARGET, "progress": False}
    run = benchmark.pedantic(mf.gradient_flow, digits, settings, rounds=3, warmup_rounds=1)
    assert np.mean((run.predict(problem.x[:, :-1]) - problem.y) ** 2) <= 2 * TARGET
    describe(benchmark, DIGITS_GROUP, "meanfield, residual", evaluations=run.stats.passes)


def test_digits_torch(benchmark, digits):
    pytest.importorskip("torch")
    problem, particles = digits
    tried = torch_runs(problem, particles, 1.0, cap=60.0)
    assert any(row.end == "reached" for row in tried)
    best = min((row for row in tried if row.end == "reached"), key=lambda row: row.seconds)
    again = benchmark.pedantic(torch_run(problem, particles), (best.setting, 60.0), rounds=3)
    assert again.end == "reached"
    describe(benchmark, DIGITS_GROUP, "PyTorch descent", evaluations=again.steps)
