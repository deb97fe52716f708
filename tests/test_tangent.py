"""Functions of the tangent kernel: Krylov spaces against eigenvalues, products against matrices."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow import passes, tangent
from meanfield.flow.system import ReluSystem
from meanfield.flow.tangent import Spectrum


class Matrix:
    def __init__(self, K):
        self.K = K

    def matrix(self):
        return self.K

    def product(self, v):
        return self.K @ v


@pytest.mark.parametrize("h", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("decay", [0.5, 2.0, 4.0])
def test_krylov_spaces_apply_exponentials(h, decay):
    """Against the matrix exponential by its eigenvalues, known from how the matrix is made."""
    n, rng = 300, np.random.default_rng(0)
    modes, _ = np.linalg.qr(rng.standard_normal((n, n)))
    rates, v = 5.0 * np.arange(1, n + 1) ** -decay, rng.standard_normal(n)
    expansion = Spectrum(Matrix(n * (modes * rates) @ modes.T), n).expand(v, h)
    exact = modes @ (np.exp(-h * rates) * (modes.T @ v))
    ours = expansion.apply(np.exp(-h * expansion.rates))
    np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-8 * np.linalg.norm(v))
    energy = expansion.rates @ expansion.coefficients**2
    assert energy == pytest.approx(v @ (modes * rates) @ (modes.T @ v), rel=1e-8)


@pytest.mark.parametrize("kind", ["plane", "space"])
def test_runs_in_krylov_spaces_are_the_same(kind, monkeypatch):
    """The same run with and without them; in space also without ever forming the matrix."""
    rng = np.random.default_rng(1)
    x = np.linspace(-1, 1, 40) if kind == "plane" else rng.standard_normal((40, 2))
    problem = mf.Problem(x, np.sin(3 * x) if kind == "plane" else np.sin(x[:, 0]))
    network = mf.Particles.sample(problem, mf.Scaling(0.7, 0.0), 400, rng=0)

    def run():
        return mf.gradient_flow(
            problem, network, t_end=300.0, loss_tol=0, rtol=1e-3, save_at=[3.0, 30.0, 300.0]
        )

    direct = run()
    monkeypatch.setattr(tangent, "DIRECT", 8)
    monkeypatch.setattr(passes, "DIRECT", 8)
    results = [run()]
    if kind == "space":
        monkeypatch.setattr(passes, "PARTIAL_SUMS", 1)  # products only
        results.append(run())
    for krylov in results:
        np.testing.assert_allclose(krylov.loss, direct.loss, rtol=2e-3)
        np.testing.assert_allclose(krylov.rd_w, direct.rd_w, rtol=2e-3)


def test_products_are_those_of_the_matrix(monkeypatch):
    problem = mf.Problem(np.random.default_rng(2).standard_normal((12, 3)), np.ones(12))
    system = ReluSystem(problem, mf.Particles.sample(problem, mf.Scaling(1.0, 0.0), 100, rng=0))
    e = system.residual(system.theta0)
    K = system.tangent_kernel(system.theta0, e, e).matrix()
    monkeypatch.setattr(passes, "DIRECT", 1)
    monkeypatch.setattr(passes, "PARTIAL_SUMS", 1)
    without = system.tangent_kernel(system.theta0, e, e)
    np.testing.assert_allclose(without.matrix(), K, rtol=1e-11, atol=1e-13)


def test_a_thousand_samples():
    """n in the thousands: no matrix, and a run that ends."""
    x = np.linspace(-1, 1, 2000)
    problem = mf.Problem(x, np.sin(2 * x))
    network = mf.Particles.sample(problem, mf.Scaling(0.7, 0.0), 1000, rng=0)
    run = mf.gradient_flow(problem, network, loss_atol=1e-3, rtol=1e-2)
    assert run.converged
    np.testing.assert_allclose(run.loss[-1], problem.loss(run.final.output(problem.x)), rtol=1e-9)


@pytest.mark.parametrize(("gamma", "labels"), [(1.0, "random"), (1.5, "random"), (0.7, "contradictory")])
def test_what_cannot_be_fitted_ends_at_rest(gamma, labels):
    """Too few neurons, or two labels for one input: STATIONARY with its loss, never at the step limit."""
    rng = np.random.default_rng(3)
    x, y = np.sort(rng.uniform(-1, 1, 14)), rng.standard_normal(14)
    if labels == "contradictory":
        x[1] = x[0]
    problem = mf.Problem(x, y)
    network = mf.Particles.sample(problem, mf.Scaling(gamma, 0.0), 20, rng=0)
    run = mf.gradient_flow(problem, network, loss_tol=0, rtol=1e-2)
    assert run.status is mf.Status.STATIONARY
    assert run.loss[-1] > problem.loss_floor
