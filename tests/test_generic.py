"""The generic flow: its right-hand side by finite differences, laws of the flow, and the ReLU core."""

import numpy as np
import pytest
from generic import RELU, TANH, GenericNetwork, _System, generic_flow

import meanfield as mf

SPLITS = {
    "mean-field": lambda m, g: (m**g, 1.0, 1.0),
    "no output factor": lambda m, g: (1.0, m ** (-g / 2), m ** (-g / 2)),
    "unequal layers": lambda m, g: (m ** (g / 2), 2.0 * m ** (-g / 4), 0.5 * m ** (-g / 4)),
}


@pytest.fixture(scope="module")
def problem():
    return mf.datasets.four_points()


@pytest.mark.parametrize("activation", [RELU, TANH], ids=lambda a: a.name)
def test_velocity_is_minus_the_gradient(problem, activation):
    """Central differences; the error of a step eps is eps**2 plus rounding over eps."""
    network = GenericNetwork.sample(problem, (3.0, 1.5, 0.7), 6, activation=activation, rng=1)
    system = _System(problem, network)
    theta = system.theta0 + 0.1
    eps = 1e-6
    gradient = [
        (system.loss(theta + eps * unit) - system.loss(theta - eps * unit)) / (2 * eps)
        for unit in np.eye(theta.size)
    ]
    np.testing.assert_allclose(system.velocity(0.0, theta), -np.array(gradient), atol=1e-9)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.5])
def test_relu_in_own_units_is_the_core_s_flow(problem, gamma, split):
    """Same draw, same time: the core runs in canonical coordinates, its kinks solved exactly.

    Its rtol of 1e-4 bounds the error of a step; over a run that is some 1e-3 in RD.
    """
    m = 100
    alpha, beta1, beta2 = SPLITS[split](m, gamma)
    scaling = mf.Scaling(alpha=alpha, beta1=beta1, beta2=beta2)
    core = mf.gradient_flow(
        problem, mf.Particles.sample(problem, scaling, m, rng=3), loss_atol=1e-5, rtol=1e-4, progress=False
    )
    network = GenericNetwork.sample(problem, (alpha, beta1, beta2), m, activation=RELU, rng=3)
    own = generic_flow(problem, network, loss_atol=1e-12, t_end=beta1 * beta2 * core.time[-1])
    assert own.status is mf.Status.REACHED_TIME
    assert own.rd_w == pytest.approx(core.stats.rd_w_max, rel=5e-3)
    assert own.rd_a == pytest.approx(core.stats.rd_a_max, rel=5e-3)
    np.testing.assert_allclose(own.final.output(problem.x), core.output[-1], atol=2e-4)


def test_relu_conserves_a_squared_minus_w_squared(problem):
    network = GenericNetwork.sample(problem, (10.0, 1.0, 1.0), 50, activation=RELU, rng=0)
    run = generic_flow(problem, network, loss_atol=1e-4)
    before, after = (n.a**2 - np.sum(n.w**2, axis=1) for n in (network, run.final))
    np.testing.assert_allclose(after, before, atol=1e-3)
    assert np.all(np.diff(run.loss) < 0)


def test_tanh_in_the_lazy_limit_moves_as_its_kernel_says():
    """With f = (s/m) sum_k a_k tanh(w_k . x) and s large the flow is linear (Chizat and Bach 2019).

    The displacement is then J^T (J J^T)^-1 y with the initial Jacobian J; what is left of the residual
    changes it by a share sqrt(loss_atol / R_0) times the kernel's condition, the kernel itself by RD.
    """
    problem = mf.Problem([-2.0, 0.3, 1.5], [1.0, -0.5, 0.3])
    m = 100
    network = GenericNetwork.sample(problem, (m / 1e4, 1.0, 1.0), m, activation=TANH, rng=0)
    run = generic_flow(problem, network, loss_atol=1e-10, rtol=1e-8)
    z = network.w @ problem.x.T
    by_w = (network.a[:, None] * TANH.slope(z))[:, None, :] * problem.x.T[None]
    jacobian = np.concatenate([TANH.value(z), by_w.reshape(-1, problem.n)]) / network.alpha
    moved = jacobian @ np.linalg.solve(jacobian.T @ jacobian, problem.y)
    rd_a = np.linalg.norm(moved[:m]) / np.linalg.norm(network.a)
    rd_w = np.linalg.norm(moved[m:]) / np.linalg.norm(network.w)
    assert run.rd_w == pytest.approx(rd_w, rel=1e-2)
    assert run.rd_a == pytest.approx(rd_a, rel=1e-2)


def test_stops_at_the_time_and_at_the_last_step(problem):
    network = GenericNetwork.sample(problem, (10.0, 1.0, 1.0), 50, activation=TANH, rng=0)
    run = generic_flow(problem, network, loss_atol=1e-9, t_end=0.5)
    assert run.status is mf.Status.REACHED_TIME
    assert run.time[-1] == 0.5
    assert generic_flow(problem, network, loss_atol=1e-9, max_steps=3).status is mf.Status.MAX_STEPS


def test_refuses_what_it_cannot_use(problem):
    network = GenericNetwork.sample(problem, (1.0, 1.0, 1.0), 4, activation=TANH, rng=0)
    with pytest.raises(mf.InputError, match="loss_tol is 0"):
        generic_flow(problem, network, loss_tol=0.0)
    with pytest.raises(mf.InputError, match="draw it for it"):
        generic_flow(mf.Problem([[1.0, 2.0]], [1.0]), network, loss_atol=0.1)
