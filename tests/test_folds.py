"""Exact motion of piecewise linear activations other than the ReLU."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations import as_activation, leaky_relu
from meanfield.flow.elementwise import ElementwisePasses
from meanfield.flow.folds import Fold, FoldedPasses
from meanfield.flow.system import CanonicalSystem, FoldedSystem

ACTIVATIONS = ("leaky-relu(0.2)", "leaky-relu(-0.5)", "absolute", "linear")


def data(d, bias, n=8, seed=0):
    """Samples of which some are opposite, on one ray, or equal."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    x[3], x[4], x[5] = -0.5 * x[1], 2.0 * x[1], x[0]
    y = rng.standard_normal(n)
    y[5] = y[0]
    return mf.Problem(x, y, bias=bias)


def draw(problem, activation, width=20, **kwargs):
    return mf.Particles.sample(
        problem, mf.Scaling(1.0, 0.3), width, activation=activation, rng=1, antisymmetric=False, **kwargs
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_passes_are_those_of_elementwise_functions(activation, rank):
    rng = np.random.default_rng(rank)
    x, weight = rng.standard_normal((7, rank)), rng.uniform(0.5, 2.0, 11)
    x[3] = -2.0 * x[1]
    theta, v = rng.standard_normal((2, 1 + rank, 11))
    e, c = rng.standard_normal((2, 7))
    chosen = as_activation(activation)
    folded = FoldedPasses(Fold.of(x, chosen.slopes), weight)
    plain = ElementwisePasses(x, weight, chosen, 1.0)
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(folded.output(theta), plain.output(theta), **close)
    np.testing.assert_allclose(folded.tangent(theta, v), plain.tangent(theta, v), **close)
    np.testing.assert_allclose(folded.gram(theta), plain.gram(theta), **close)
    found, wanted = (passes.pullback(theta, c, np.empty_like(theta)) for passes in (folded, plain))
    np.testing.assert_allclose(found, wanted, **close)
    kernel = folded.tangent_kernel(theta, e, e, 0.5)  # no neuron is on a kink
    np.testing.assert_allclose(kernel.matrix(), 0.5 * plain.gram(theta), **close)
    np.testing.assert_allclose(kernel.product(c), 0.5 * plain.gram(theta) @ c, **close)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("d", "bias"), [(1, True), (2, True)])
def test_particles_against_small_steps_of_descent(activation, d, bias):
    """Kinks are crossed and slid on; Euler's steps of length h end within O(h) of every weight."""
    problem = data(d, bias)
    network = draw(problem, activation)
    run = mf.gradient_flow(problem, network, t_end=8.0, loss_tol=0, rtol=1e-5, method="residual")
    distances = []
    for steps in (800, 3200):
        rate = 8.0 / steps
        descent = mf.gradient_descent(problem, network, learning_rate=rate, max_steps=steps, loss_tol=0)
        assert descent.end.time == pytest.approx(8.0)
        distances.append(np.abs(descent.final.w - run.final.w).max())
    scale = np.abs(run.final.w).max()
    assert distances[1] < max(0.5 * distances[0], 2e-5 * scale)
    assert distances[1] < 5e-3 * scale
    assert run.stats.conservation_drift < 1e-12


def test_the_relu_is_a_fold_of_itself():
    problem = data(2, True)
    relu, leaky = (draw(problem, activation) for activation in ("relu", leaky_relu(1e-9)))
    runs = [
        mf.gradient_flow(problem, network, t_end=10.0, loss_tol=0, rtol=1e-6) for network in (relu, leaky)
    ]
    assert isinstance(CanonicalSystem.of(problem, leaky), FoldedSystem)
    np.testing.assert_allclose(runs[1].final.w, runs[0].final.w, atol=1e-4 * np.abs(runs[0].final.w).max())
    assert runs[1].stats.method == "residual"


def test_losses_other_than_the_mean_square():
    """Pulls of single samples go through the fold, not those of rays."""
    problem = data(2, True)
    labels = mf.Problem(problem.features, problem.y > 0.0, loss="logistic")
    network = draw(labels, "leaky-relu(0.2)")
    runs = [
        mf.gradient_flow(labels, network, t_end=20.0, loss_tol=0, rtol=rtol, method=method)
        for method, rtol in (("residual", 1e-4), ("runge-kutta", 1e-6))
    ]
    np.testing.assert_allclose(runs[0].end.loss, runs[1].end.loss, rtol=3e-4)


def test_a_path_moves_others():
    problem = data(2, True)
    network = draw(problem, "absolute")
    run = mf.gradient_flow(problem, network, t_end=5.0, loss_tol=0, save_path=True)
    again = mf.flow.replay(problem, network, run.path, save_parameters=True)
    np.testing.assert_array_equal(again.w[-1], run.final.w)


def test_linear_networks_by_themselves_take_smooth_steps():
    problem = data(1, True)
    run = mf.gradient_flow(problem, draw(problem, "linear"), loss_tol=0, t_end=1.0)
    assert run.stats.method != "residual"
