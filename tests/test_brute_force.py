"""The solver against brute force that takes millions of right-hand sides; slow cases by command."""

import brute_force
import numpy as np
import pytest

import meanfield as mf
from meanfield.flow.system import ReluSystem


def compare(problem, gamma, width, horizon, rtol, *, reference_rtol):
    network = mf.Particles.sample(problem, mf.Scaling(gamma, 0.0), width, rng=0)
    system = ReluSystem(problem, network)
    largest = np.linalg.eigvalsh(system.gram(system.theta0))[-1] / problem.n
    times = np.geomspace(horizon / largest / 1e4, horizon / largest, 30)
    losses, states, evaluations = brute_force.integrate(
        system.theta0, system.x, problem.y.copy(), system.kappa, times, reference_rtol, 1e-3 * reference_rtol
    )
    run = mf.gradient_flow(
        problem, network, loss_tol=0.0, save_at=times / network.kappa, rtol=rtol, stationarity=0.0
    )
    error = np.abs(run.loss - losses) / losses
    moved = np.abs(states[-1] - system.theta0).max()
    ours = np.vstack([run.final.a, run.final.w.T])  # kappa' = 1: canonical units
    return error.max(), np.abs(ours - states[-1]).max() / moved, evaluations / run.stats.passes


@pytest.mark.parametrize(("gamma", "horizon"), [(0.5, 100), (1.0, 100), (1.75, 30)])
def test_four_points(gamma, horizon):
    """A width of 20: sliding neurons at gamma = 1.75; the loss and every particle."""
    loss, particles, fewer = compare(mf.datasets.four_points(), gamma, 20, horizon, 1e-3, reference_rtol=1e-6)
    assert loss <= 5e-3
    assert particles <= 5e-3
    assert fewer > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gamma", "rtol", "bound"),
    [
        (0.5, 1e-2, 1e-3),
        (0.5, 1e-3, 1e-3),
        (1.0, 3e-3, 1e-3),
        (1.0, 1e-3, 1e-3),
        (1.5, 1e-2, 1e-3),
        (1.5, 1e-3, 1e-3),
    ],
)
def test_sixteen_samples_of_a_sine(gamma, rtol, bound):
    """To 1e4 / lambda_max: 3 to 25 million right-hand sides of brute force, with origin passages."""
    problem = mf.datasets.function_1d(lambda x: np.sin(4 * np.pi * x), 16)
    loss, _, fewer = compare(problem, gamma, 200, 1e4, rtol, reference_rtol=1e-6)
    assert loss <= bound
    assert fewer > 1000
