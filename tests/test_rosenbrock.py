"""The Rosenbrock method with the exact Jacobian: coefficients, derivatives, linear algebra, runs."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import smooth

import meanfield as mf
from meanfield import kernels
from meanfield.activations import as_activation
from meanfield.flow import METHODS
from meanfield.flow.elementwise import ElementwisePasses
from meanfield.flow.jacobian import Blocks, Jacobian
from meanfield.flow.linearly_implicit import LinearlyImplicit
from meanfield.flow.rosenbrock import Rosenbrock
from meanfield.flow.system import SmoothSystem

TANH = as_activation("tanh")


class Stub:
    """A system with c outputs, any D and any weights, of which a Jacobian needs this much."""

    def __init__(self, *, c=1, curvature=None, seed=0, size=7, n=5, r=3, scale=0.8):
        rng = np.random.default_rng(seed)
        self.n, self.kappa, self.c = n, 0.4, c
        self.x, self.y = rng.standard_normal((n, r)), rng.standard_normal(n * c)
        self.weight = rng.uniform(0.5, 2.0, size)
        self.theta = rng.standard_normal((c + r, size))
        self.passes = ElementwisePasses(self.x, self.weight, TANH, scale, outputs=c)
        self.D = curvature(rng, n, c) if curvature else None

    def forward(self, theta):
        return self.passes.forward(theta)

    def pull(self, f):
        """e of a loss that is quadratic, with second derivative D."""
        wide = (f - self.y).reshape(self.n, self.c)
        if self.D is None:
            return wide.ravel()
        D = self.D[:, None, None] if self.D.ndim == 1 else self.D
        return np.einsum("iab,ib->ia", D, wide).ravel()

    def state(self):
        e = self.pull(self.kappa * self.forward(self.theta).output())
        return SimpleNamespace(theta=self.theta, e=e, curvature=self.D)

    def velocity(self, theta):
        forward = self.forward(theta)
        e = self.pull(self.kappa * forward.output())
        return forward.pullback(-e / self.n, np.empty_like(theta))

    def combine(self, base, increments, coefficients, out):
        out[...] = base + np.tensordot(coefficients, increments, 1)
        return out

    def combination_norms(self, increments, coefficients):
        v = np.tensordot(coefficients, increments, 1)
        return np.sqrt([np.sum(self.weight * v[: self.c] ** 2), np.sum(self.weight * v[self.c :] ** 2)])


def positive(rng, n, c):
    return rng.uniform(0.1, 2.0, n)


def with_zeros(rng, n, c):
    return np.array([1.0, 0.0, 0.3, 0.0, 2.0])


def blocks(rng, n, c):
    """Of rank one, so that c - 1 directions of each sample have no curvature."""
    root = rng.standard_normal((n, c))
    return root[:, :, None] * root[:, None, :]


STUBS = {
    "mean square": {},
    "plane": {"r": 2},
    "line": {"r": 1},
    "D": {"curvature": positive},
    "D with zeros": {"curvature": with_zeros},
    "two outputs": {"c": 2},
    "two outputs, singular D": {"c": 2, "curvature": blocks},
}


@pytest.fixture(params=STUBS)
def stub(request):
    return Stub(**STUBS[request.param])


def dense(jacobian, theta):
    """F' as a matrix."""
    columns = [jacobian.product(v.reshape(theta.shape)).ravel() for v in np.eye(theta.size)]
    return np.array(columns).T


class TestTableau:
    def test_order_conditions_of_rodas4(self):
        """All eight of order 4 and, embedded, all four of order 3 (Hairer, Wanner, IV.7); L-stable, both."""
        t = Rosenbrock.tableau
        full = t.coupling + t.gamma * np.eye(6)
        beta = t.alpha + full
        a, b = t.alpha.sum(axis=1), beta.sum(axis=1)
        conditions = lambda m: {  # noqa: E731
            "1": (m.sum(), 1),
            "beta": (m @ b, 1 / 2),
            "alpha^2": (m @ a**2, 1 / 3),
            "beta beta": (m @ beta @ b, 1 / 6),
            "alpha^3": (m @ a**3, 1 / 4),
            "alpha (alpha beta)": (m * a @ t.alpha @ b, 1 / 8),
            "beta alpha^2": (m @ beta @ a**2, 1 / 12),
            "beta beta beta": (m @ beta @ beta @ b, 1 / 24),
        }
        for weights, order in ((t.b, 8), (t.embedded, 4)):
            found = list(conditions(weights).items())[:order]
            wrong = {name: got - want for name, (got, want) in found if abs(got - want) > 2e-14}
            assert not wrong
        assert abs(conditions(t.embedded)["alpha^3"][0] - 1 / 4) > 0.1  # an estimate, not another solution
        np.testing.assert_allclose(a, [0.0, 0.386, 0.21, 0.63, 1.0, 1.0], atol=2e-14)
        for weights, s in ((t.b, 6), (t.embedded, 5)):
            assert abs(1 - weights[:s] @ np.linalg.solve(beta[:s, :s], np.ones(s))) < 1e-14
        np.testing.assert_allclose(
            t.alpha[5], t.embedded, atol=1e-14
        )  # the last stage is the embedded solution
        np.testing.assert_allclose(beta[5], t.b, atol=1e-14)

    def test_both_methods_are_one_loop(self):
        assert Rosenbrock.step is LinearlyImplicit.step


class TestJacobian:
    def test_against_finite_differences(self, stub):
        jacobian = Jacobian(stub, stub.state())
        rng = np.random.default_rng(1)
        for _ in range(4):
            v, h = rng.standard_normal(stub.theta.shape), 1e-4
            fine, coarse = (
                (stub.velocity(stub.theta + s * v) - stub.velocity(stub.theta - s * v)) / (2 * s)
                for s in (h, 2 * h)
            )
            np.testing.assert_allclose(jacobian.product(v), (4 * fine - coarse) / 3, rtol=1e-8, atol=1e-9)

    def test_symmetric_in_the_weighted_inner_product(self, stub):
        J = dense(Jacobian(stub, stub.state()), stub.theta)
        weighted = np.tile(stub.weight, len(stub.theta))[:, None] * J
        np.testing.assert_allclose(weighted, weighted.T, rtol=1e-12, atol=1e-13)

    @pytest.mark.parametrize("tau", [0.01, 1.0, 30.0])
    def test_solutions_against_dense_ones(self, stub, tau):
        """Also where blocks of 1 + tau H, and 1 - tau F' itself, are indefinite."""
        jacobian = Jacobian(stub, stub.state())
        matrix = np.eye(stub.theta.size) - tau * dense(jacobian, stub.theta)
        b = np.random.default_rng(2).standard_normal(stub.theta.shape)
        found = np.empty_like(b)
        jacobian.stages(0.25, 4 * tau).solve(b.copy(), found)
        expected = np.linalg.solve(matrix, b.ravel()).reshape(b.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())
        if tau == 30.0:
            symmetric = np.sqrt(np.tile(stub.weight, len(stub.theta)))
            symmetric = symmetric[:, None] * matrix / symmetric
            assert np.linalg.eigvalsh(symmetric)[0] < 0.0

    def test_loss_rate(self, stub):
        rate = stub.kappa * np.sum(stub.weight * stub.velocity(stub.theta) ** 2)
        assert Jacobian(stub, stub.state()).loss_rate == pytest.approx(rate, rel=1e-13)

    @pytest.mark.parametrize("r", [1, 2, 3])
    def test_a_singular_block_makes_no_solution(self, r):
        pq = np.zeros((1, r, 2))
        qq = np.zeros((r, r, 2))
        qq[0, 0, 1] = -1.0
        found = Blocks(pq, qq).solve(np.ones((1 + r, 2)), np.empty((1 + r, 2)))
        assert not np.isfinite(found[:, 1]).all()

    @pytest.mark.parametrize("which", ["hessian", "solve"])
    def test_same_bits_for_any_number_of_threads(self, which):
        stub = Stub(size=9000, n=40, r=3)
        found = []
        before = kernels.get_threads()
        for threads in (1, 2, 3):
            kernels.set_threads(threads)
            try:
                with kernels.one_blas_thread():
                    jacobian = Jacobian(stub, stub.state())
                    out = np.empty_like(stub.theta)
                    jacobian.stages(0.25, 0.1).solve(stub.theta.copy(), out)
            finally:
                kernels.set_threads(before)
            found.append(
                np.concatenate([jacobian.pq.ravel(), jacobian.qq.ravel()]) if which == "hessian" else out
            )
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])


SETUPS = {"equal": (0.3, 1.0, 1.0, False), "weighted, three scales": (0.05, 0.6, 0.5, True)}
#: Tolerances at which each method's runs are compared. Errors of RKC2 fall like rtol**(2/3) only.
RTOLS = {
    "rosenbrock": (1e-3, 1e-5),
    "stabilised": (1e-2, 1e-3),
    "linearly-implicit": (1e-3, 1e-5),
    "runge-kutta": (1e-3,),
}
TIMES = np.array([0.1, 1.0, 5.0, 20.0, 60.0])


@functools.cache
def run_by_scipy(activation, setup):
    kappa, kappa_prime, beta2, weighted = SETUPS[setup]
    rng = np.random.default_rng(3)
    problem = mf.Problem(rng.standard_normal((6, 2)), rng.standard_normal(6))
    network = mf.Particles.from_arrays(
        rng.standard_normal(14), rng.standard_normal((14, 3)), kappa=kappa, kappa_prime=kappa_prime,
        weight=rng.uniform(0.5, 2, 14) if weighted else None, activation=smooth.ACTIVATIONS[activation],
        beta2=beta2,
    )  # fmt: skip
    return problem, network, *smooth.exact(problem, network, TIMES)


class TestRuns:
    @pytest.mark.parametrize(("method", "rtol"), [(name, rtol) for name in RTOLS for rtol in RTOLS[name]])
    @pytest.mark.parametrize("setup", SETUPS)
    @pytest.mark.parametrize("activation", smooth.ACTIVATIONS)
    def test_against_scipy_in_the_users_parameters(self, activation, setup, method, rtol):
        if (activation, setup, method) == ("square", "equal", "runge-kutta"):
            pytest.skip("takes 50 000 passes")
        problem, network, a, w, output = run_by_scipy(activation, setup)
        run = mf.gradient_flow(
            problem, network, save_at=TIMES, loss_tol=0, stationarity=0, rtol=rtol, atol=1e-3 * rtol,
            method=method, save_parameters=True,
        )  # fmt: skip
        assert (run.status.name, run.stats.method) == ("REACHED_TIME", method)
        loss = np.mean((output - problem.y) ** 2, axis=1) / 2
        assert loss[0] > 5 * loss[-1]
        np.testing.assert_allclose(run.loss, loss, rtol=3 * rtol)
        for found, expected in zip(run.output, output, strict=True):
            assert np.linalg.norm(found - expected) <= 3 * rtol * np.linalg.norm(problem.y)
        for found, expected, start in ((run.saved_a, a, network.a), (run.saved_w, w, network.w)):
            for j in range(len(TIMES)):
                moved = np.linalg.norm(expected[j] - start)
                assert np.linalg.norm(found[j] - expected[j]) <= 3 * rtol * moved

    @pytest.mark.parametrize("activation", smooth.ACTIVATIONS)
    def test_energy_law(self, activation):
        """``-dR/dtbar`` of the snapshots against the fall of the loss: the rate's mean over short steps."""
        problem, network, *_ = run_by_scipy(activation, "equal")
        seen = []
        mf.gradient_flow(problem, network, t_end=5.0, loss_tol=0, rtol=1e-6, atol=1e-9, progress=seen.append)
        time, loss = (np.array([getattr(now, name) for now in seen]) for name in ("time", "loss"))
        rate = np.array([now.loss_rate for now in seen[1:]])  # at the start of each step
        fall = np.sum((rate[1:] + rate[:-1]) / 2 * np.diff(time)[:-1])
        assert fall == pytest.approx(loss[0] - loss[-2], rel=2e-3)

    @pytest.mark.parametrize("method", ["rosenbrock", "stabilised", "linearly-implicit"])
    def test_order_on_a_stiff_smooth_problem(self, method):
        problem, network, *_ = run_by_scipy("tanh", "equal")
        system = SmoothSystem(problem, network)
        order = {"rosenbrock": 4, "stabilised": 2, "linearly-implicit": 3}[method]

        def end(name, steps):
            stepper, memory = METHODS[name](system), None
            state = system.state(0.0, system.theta0.copy())
            for _ in range(steps):
                attempt = stepper.step(state, 0.15 / steps, memory)
                state, memory = attempt.state, attempt.memory
            return state.theta.copy()

        exact = end("rosenbrock", 200)
        errors = [np.linalg.norm(end(method, steps) - exact) for steps in (12, 24, 48)]
        assert np.all(np.abs(-np.diff(np.log2(errors)) - order) < 0.35)

    @pytest.mark.parametrize(("method", "order"), [("rosenbrock", 4), ("stabilised", 3)])
    def test_error_estimate_falls_with_its_order(self, method, order):
        problem, network, *_ = run_by_scipy("tanh", "equal")
        system = SmoothSystem(problem, network)
        state = system.state(0.0, system.theta0.copy())
        found = [METHODS[method](system).step(state, h) for h in 0.02 / 2.0 ** np.arange(4)]
        for field in ("output_error", "layer_error"):
            sizes = [np.linalg.norm(getattr(attempt, field)) for attempt in found]
            assert np.all(np.abs(-np.diff(np.log2(sizes)) - order) < 0.3)

    @pytest.mark.parametrize("method", ["rosenbrock", "stabilised"])
    def test_same_bits_for_any_number_of_threads(self, method):
        x = np.random.default_rng(0).standard_normal((60, 3))
        problem = mf.Problem(x, np.sin(x[:, 0]))
        network = mf.Particles.sample(problem, mf.Scaling(0.5), 3000, activation="tanh", beta2=1.0, rng=1)
        found, before = [], kernels.get_threads()
        for threads in (1, 2):
            kernels.set_threads(threads)
            try:
                run = mf.gradient_flow(problem, network, method=method, max_steps=3, loss_tol=0)
            finally:
                kernels.set_threads(before)
            found.append(np.concatenate([run.final.a, run.final.w.ravel(), run.loss]))
        np.testing.assert_array_equal(*found)

    def test_a_step_costs_seven_sweeps_and_a_refused_one_five_and_a_third(self):
        problem, network, *_ = run_by_scipy("tanh", "equal")
        system = SmoothSystem(problem, network)
        stepper, state = Rosenbrock(system), system.state(0.0, system.theta0)
        before = system._passes._thirds
        refused = stepper.step(state, 0.1)
        assert system._passes._thirds - before == 21
        stepper.step(state, 0.05, refused.again)
        assert system._passes._thirds - before == 21 + 16


class TestChoice:
    @pytest.mark.parametrize(
        ("n", "d", "activation", "method"),
        [
            (20, 3, "relu", "residual"),
            (1024, 3, "relu", "residual"),
            (1025, 3, "relu", "stabilised"),
            (3000, 1, "relu", "residual"),
            (256, 3, "tanh", "rosenbrock"),
            (257, 3, "tanh", "stabilised"),
        ],
    )
    def test_by_samples_and_activation(self, n, d, activation, method):
        x = np.random.default_rng(0).standard_normal((n, d))
        problem = mf.Problem(x, x[:, 0])
        network = mf.Particles.sample(problem, mf.Scaling(0.5), 4, activation=activation, beta2=1.0, rng=0)
        run = mf.gradient_flow(problem, network, loss_tol=0, max_steps=1)
        assert run.stats.method == method

    def test_a_path_is_saved_by_the_residual_method(self):
        x = np.random.default_rng(0).standard_normal((1100, 3))
        problem = mf.Problem(x, x[:, 0])
        network = mf.Particles.sample(problem, mf.Scaling(0.5), 4, rng=0)
        run = mf.gradient_flow(problem, network, loss_tol=0, max_steps=1, save_path=True)
        assert run.stats.method == "residual"


def test_a_row_of_the_table():
    """tanh, gamma = 1, to the loss 1e-6: at most 1500 sweeps with an error of at most 2e-3 along the run."""
    x = np.linspace(-0.5, 0.5, 16)
    problem = mf.Problem(x, np.sin(4 * np.pi * x))
    network = mf.Particles.sample(problem, mf.Scaling(1.0), 200, activation="tanh", beta2=1.0, rng=0)
    run = mf.gradient_flow(problem, network, loss_atol=1e-6)
    assert (run.status.name, run.stats.method) == ("CONVERGED", "rosenbrock")
    assert run.stats.passes <= 1500
    times = np.geomspace(1e-3, 1.0, 30) * run.time[-1]
    losses = [
        mf.gradient_flow(problem, network, save_at=times, loss_tol=0, rtol=rtol, atol=1e-3 * rtol).loss
        for rtol in (1e-3, 1e-5)
    ]
    np.testing.assert_allclose(*losses, rtol=2e-3)
