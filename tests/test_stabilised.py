"""The stabilised explicit method: coefficients, stability, spectral radius, memory, and runs of ReLUs."""

import tracemalloc

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow import METHODS
from meanfield.flow.jacobian import Jacobian
from meanfield.flow.stabilised import Stabilised, chebyshev, weights
from meanfield.flow.system import CanonicalSystem


def stability(s, z):
    """The stability polynomial: Y_s for ``y' = lambda y``, y = 1, z = h lambda."""
    displacement, before = np.zeros_like(z), np.zeros_like(z)
    slope = np.ones_like(z)
    for stage in chebyshev(s):
        new = stage.mu * displacement + stage.nu * before + z * (stage.push * slope + stage.first)
        before, displacement = displacement, new
        slope = 1.0 + displacement
    return 1.0 + displacement


class TestCoefficients:
    @pytest.mark.parametrize("s", [2, 3, 4, 7, 20, 100, 1000])
    def test_stable_on_all_of_the_interval_and_damped(self, s):
        """``|P(z)| <= 1`` up to the step that this many stages are chosen for."""
        reach = (s - 1) ** 2 / 1.54 - 1 / 1.54 if s > 2 else 1.0
        z = -np.concatenate([np.geomspace(1e-6, 1.0, 50), np.linspace(1.0, max(reach, 1.5), 4001)])
        z = z[-z <= reach]
        assert np.all(np.abs(stability(s, z)) < 1.0)
        assert np.all(np.abs(stability(s, z[-z > 1.0])) < 0.96)  # 1 - 2 / 13 / 3, nearly

    @pytest.mark.parametrize("s", [2, 5, 50])
    def test_order_two(self, s):
        z = -np.array([1e-2, 5e-3, 2.5e-3])
        errors = np.abs(stability(s, z) - np.exp(z))
        np.testing.assert_allclose(np.diff(np.log2(errors)), -3.0, atol=0.05)
        assert weights(s).sum() == pytest.approx(1.0, abs=1e-12)

    def test_against_the_paper(self):
        """w0, w1 and b of Sommeijer, Shampine and Verwer (1997), eq. (2.5), by NumPy's polynomials."""
        s = 6
        T = [np.polynomial.Chebyshev.basis(j) for j in range(s + 1)]
        w0 = 1 + 2 / 13 / s**2
        w1 = T[s].deriv()(w0) / T[s].deriv(2)(w0)
        b = np.array([0, 1 / w0, *(T[j].deriv(2)(w0) / T[j].deriv()(w0) ** 2 for j in range(2, s + 1))])
        b[0] = b[2]
        found = chebyshev(s)
        assert found[0].push == pytest.approx(b[1] * w1, rel=1e-13)
        for j in range(2, s + 1):
            stage = found[j - 1]
            assert stage.mu == pytest.approx(2 * b[j] * w0 / b[j - 1], rel=1e-12)
            assert stage.nu == pytest.approx(-b[j] / b[j - 2], rel=1e-12)
            assert stage.push == pytest.approx(2 * b[j] * w1 / b[j - 1], rel=1e-12)
            a = 1 - b[j - 1] * T[j - 1](w0)
            assert stage.first == pytest.approx(-a * stage.push, rel=1e-11)


def problem_of(n=40, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return mf.Problem(x, np.sin(x @ rng.standard_normal(d)))


class TestSpectralRadius:
    @pytest.mark.parametrize("gamma", [0.5, 1.5])
    def test_of_smooth_networks(self, gamma):
        """Against the eigenvalues of the whole matrix: above, and by no more than its safety."""
        problem = problem_of(8, 2)
        network = mf.Particles.sample(
            problem, mf.Scaling(gamma), 12, activation="tanh", beta2=1.0, antisymmetric=False, rng=0
        )
        system = CanonicalSystem.of(problem, network)
        state = system.state(0.0, system.theta0)
        jacobian = Jacobian(system, state)
        columns = [jacobian.product(v.reshape(state.theta.shape)).ravel() for v in np.eye(state.theta.size)]
        radius = np.abs(np.linalg.eigvals(np.array(columns))).max()
        rate = Stabilised(system).step(state, 1e-3 / radius).again.rate
        assert radius < rate < 1.15 * radius

    def test_of_relus(self):
        problem = problem_of()
        system = CanonicalSystem.of(problem, mf.Particles.sample(problem, mf.Scaling(0.7), 50, rng=0))
        state = system.state(0.0, system.theta0)
        kernel = np.linalg.eigvalsh(system.gram(state.theta))[-1] / system.n
        active = (system.x @ state.theta[1:] > 0.0) * state.e[:, None]
        alone = np.linalg.norm(system.x.T @ active / system.n, axis=0).max()
        rate = Stabilised(system).step(state, 1e-3 / kernel).again.rate
        assert rate == pytest.approx(1.1 * (kernel + alone), rel=0.03)

    def test_a_step_that_needs_too_many_stages_says_how_long_it_may_be(self):
        problem = problem_of()
        system = CanonicalSystem.of(problem, mf.Particles.sample(problem, mf.Scaling(0.7), 50, rng=0))
        stepper, state = Stabilised(system), system.state(0.0, system.theta0)
        attempt = stepper.step(state, 1e9)
        assert np.all(np.isinf(attempt.layer_error))
        assert attempt.meets < 1e9
        assert 1 + np.sqrt(1 + 1.54 * attempt.meets * attempt.again.rate) <= 2000


def test_steps_grow_with_the_square_of_their_stages():
    """A step 25 times as long costs about five times as many sweeps, and no mode grows in it."""
    problem = problem_of(60)
    problem = mf.Problem(problem.x[:, :-1], 1e-3 * problem.y)  # the network stays where it is linear
    network = mf.Particles.sample(problem, mf.Scaling(0.5), 400, activation="tanh", beta2=1.0, rng=0)
    system = CanonicalSystem.of(problem, network)
    stepper, state = Stabilised(system), system.state(0.0, system.theta0)
    known = stepper.step(state, 1e-6).again
    costs = []
    for h in (20.0 / known.rate, 500.0 / known.rate):
        before = system.passes
        attempt = stepper.step(state, h, known)
        costs.append(system.passes - before)
        assert np.linalg.norm(attempt.state.e) < 1.01 * np.linalg.norm(state.e)
    assert costs[1] / costs[0] == pytest.approx(28 / 6, rel=0.2)


def test_many_samples_need_no_matrix():
    """2000 samples would make a Gram matrix of 32 MB, and the states of 60 neurons are nothing."""
    problem = problem_of(2000, 9)
    network = mf.Particles.sample(problem, mf.Scaling(0.5), 60, activation="tanh", beta2=1.0, rng=0)
    mf.gradient_flow(problem, network, max_steps=1, loss_tol=0)  # compiled and cached
    tracemalloc.start()
    run = mf.gradient_flow(problem, network, max_steps=5, loss_tol=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert run.stats.method == "stabilised"
    assert peak < 16e6


def test_relus_with_a_thousand_samples_agree_with_the_exact_motion():
    """Kinks average out: what is left is within 3 rtol of the outputs' scale."""
    problem = problem_of(1100, 3)
    network = mf.Particles.sample(problem, mf.Scaling(0.7), 60, rng=0)
    times = np.array([0.3, 1.0, 3.0]) / network.kappa
    runs = {
        method: mf.gradient_flow(problem, network, save_at=times, loss_tol=0, method=method)
        for method in ("residual", "stabilised")
    }
    ours, theirs = runs["stabilised"], runs["residual"]
    assert theirs.loss[-1] < 0.8 * problem.zero_loss
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=3e-3)
    difference = np.sqrt(np.mean((ours.output - theirs.output) ** 2, axis=1))
    assert np.all(difference <= 3e-3 * np.sqrt(2 * problem.zero_loss))
    np.testing.assert_allclose(ours.rd_w, theirs.rd_w, rtol=1e-2)


def test_energy_law():
    problem = problem_of()
    network = mf.Particles.sample(problem, mf.Scaling(0.7), 60, activation="tanh", beta2=1.0, rng=0)
    drifts = []
    for rtol in (1e-2, 1e-4):
        run = mf.gradient_flow(problem, network, t_end=3.0, loss_tol=0, rtol=rtol, method="stabilised")
        drifts.append(run.stats.energy_drift)
    assert 0.0 < drifts[1] < 1e-3
    assert drifts[1] < drifts[0]


def test_every_method_is_served():
    assert set(METHODS) == {"residual", "linearly-implicit", "runge-kutta", "rosenbrock", "stabilised"}
