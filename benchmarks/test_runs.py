"""Whole runs to the same loss: our methods, gradient descent and SciPy on the same network."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield.flow import METHODS
from meanfield.flow.system import CanonicalSystem

LOSS_TOL = 5e-7
PROBLEM = mf.datasets.four_points()
REGIMES = {"linear": 0.5, "critical": 1.0, "condensed": 1.75}


def network(gamma, width=1000):
    return mf.Particles.sample(PROBLEM, mf.Scaling(gamma, 0.0), width, rng=0)


@pytest.mark.benchmark(group="run to 5e-7, four points, m = 1000")
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("method", METHODS)
def test_gradient_flow(benchmark, method, regime):
    particles = network(REGIMES[regime])
    run = benchmark.pedantic(
        mf.gradient_flow,
        (PROBLEM, particles),
        {"loss_tol": LOSS_TOL, "method": method, "rtol": 1e-2},
        rounds=5,
        warmup_rounds=1,
    )
    assert run.converged
    benchmark.extra_info["passes"] = run.stats.passes


@pytest.mark.benchmark(group="run to 5e-7, four points, m = 1000")
@pytest.mark.parametrize("regime", ["linear", "critical"])
def test_scipy_rk45(benchmark, regime):
    system = CanonicalSystem(PROBLEM, network(REGIMES[regime]))
    shape, velocity = system.theta0.shape, np.empty_like(system.theta0)

    def right_hand_side(_, u):
        theta = u.reshape(shape)
        return system.pullback(theta, -system.residual(theta) / system.n, velocity).ravel().copy()

    def reached(_, u):
        e = system.residual(u.reshape(shape))
        return e @ e / (2 * system.n) - LOSS_TOL

    reached.terminal = True

    def run():
        # An explicit method: the dense Jacobian of 3000 unknowns makes implicit ones far slower.
        return solve_ivp(
            right_hand_side, (0.0, 1e6), system.theta0.ravel(), method="RK45", rtol=1e-3, events=reached
        )

    solution = benchmark.pedantic(run, rounds=1)
    assert solution.status == 1
    benchmark.extra_info["passes"] = 2 * solution.nfev


@pytest.mark.benchmark(group="cost against the number of neurons, gamma = 1, 10 steps")
@pytest.mark.parametrize("width", [10_000, 100_000, 1_000_000])
def test_cost_is_linear_in_m(benchmark, width):
    particles = network(1.0, width)
    run = benchmark.pedantic(
        mf.gradient_flow, (PROBLEM, particles), {"loss_tol": 0.0, "max_steps": 10}, rounds=3, warmup_rounds=1
    )
    assert run.stats.steps == 10
