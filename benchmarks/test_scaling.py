"""Cost against the width m: ten steps of a run, up to a million neurons."""

import numpy as np
import peers
import pytest

import meanfield as mf
from meanfield.flow.system import CanonicalSystem

WIDTHS = [10_000, 100_000, 1_000_000]
PROBLEM = mf.datasets.four_points()


def network(width):
    return mf.Particles.sample(PROBLEM, mf.Scaling(1.0, 0.0), width, rng=0)


@pytest.mark.parametrize("width", WIDTHS)
def test_ten_steps(benchmark, width):
    benchmark.group = "scaling: ten steps, four points, gamma = 1"
    benchmark.extra_info |= {"library": "meanfield, ten steps", "m": width}
    run = benchmark.pedantic(
        mf.gradient_flow,
        (PROBLEM, network(width)),
        {"loss_tol": 0.0, "max_steps": 10, "progress": False},
        rounds=5,
        warmup_rounds=1,
    )
    assert run.stats.steps == 10
    # At gamma = 1 the loss as a function of t / m has a limit, from which the draw's scatter remains.
    assert run.loss[-1] == pytest.approx(loss_by_descent(run.time[-1] / width), rel=0.05)


def loss_by_descent(time):
    """The loss at a time over the width, by plain gradient descent of a narrow network."""
    narrow, steps = 4000, 1000
    run = mf.gradient_descent(
        PROBLEM,
        network(narrow),
        learning_rate=time * narrow / steps,
        loss_tol=0.0,
        max_steps=steps,
        progress=False,
    )
    return run.loss[-1]


@pytest.mark.parametrize("width", WIDTHS)
def test_right_hand_side(benchmark, width):
    benchmark.group = "scaling: right-hand side, four points"
    benchmark.extra_info |= {"library": "meanfield, right-hand side", "m": width}
    system = CanonicalSystem.of(PROBLEM, network(width))
    velocity = benchmark.pedantic(
        peers.ours_rhs, (system, system.theta0, np.empty_like(system.theta0)), rounds=25, warmup_rounds=2
    )
    expected = peers.numpy_rhs(np.array(PROBLEM.x), np.array(PROBLEM.y), system.kappa, system.theta0)
    np.testing.assert_allclose(velocity, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())
