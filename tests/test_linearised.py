"""The linearised flow of a finite network against its weights, integrated; kernels of the inputs of users."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy import integrate

import meanfield as mf
import meanfield.kernel_law
from meanfield.errors import InputError
from meanfield.limits import KernelRegime, Linearised, arc_cosine_kernels, early_alignment, empirical_kernels

X = np.random.default_rng(0).uniform(-1.0, 1.0, (6, 2))
SIX = mf.Problem(X, np.sin(3 * X[:, 0]) - X[:, 1])
NEW = np.random.default_rng(1).uniform(-1.0, 1.0, (4, 2))


def few_neurons(twins):
    rng = np.random.default_rng(2)
    a, w, weight = rng.standard_normal(9), rng.standard_normal((9, 3)), rng.uniform(0.5, 2.0, 9)
    if twins:
        a, w, weight = np.append(a, -a), np.vstack([w, w]), np.append(weight, weight)
    return mf.Particles.from_arrays(a, w, weight=weight, kappa=0.2, kappa_prime=0.7)


def weights_moved(network, problem, t):
    """Changes of a and w under the linear model, and its output as a function of them."""
    x, n = problem.x, problem.n
    z = network.w @ x.T
    relu, on = np.maximum(z, 0.0), (z > 0.0).astype(float)
    kappa, kappa_prime = network.kappa, network.kappa_prime
    start = network.output(x)

    def output(da, dw):
        return start + kappa * network.weight @ (da[:, None] * relu + network.a[:, None] * on * (dw @ x.T))

    def slope(_, state):
        da, dw = state[: network.size], state[network.size :].reshape(network.w.shape)
        e = output(da, dw) - problem.y
        return np.append(
            -(kappa / kappa_prime) * relu @ e / n,
            (-(kappa * kappa_prime) * network.a[:, None] * ((on * e) @ x) / n).ravel(),
        )

    path = integrate.solve_ivp(
        slope, (0.0, t), np.zeros(network.size * (1 + problem.d)), rtol=1e-10, atol=1e-12, method="LSODA"
    )
    state = path.y[:, -1]
    return state[: network.size], state[network.size :].reshape(network.w.shape), output


class TestLinearised:
    @pytest.mark.parametrize("twins", [True, False])
    def test_against_weights_integrated_one_by_one(self, twins):
        network, t = few_neurons(twins), 15.0
        linear = Linearised(SIX, network)
        da, dw, output = weights_moved(network, SIX, t)
        np.testing.assert_allclose(linear.residual(t), output(da, dw) - SIX.y, atol=1e-8)
        assert linear.loss(t) == pytest.approx(SIX.loss(output(da, dw)), rel=1e-7)
        points = SIX.with_bias(NEW)
        z = network.w @ points.T
        wanted = network.output(points) + network.kappa * network.weight @ (
            da[:, None] * np.maximum(z, 0.0) + network.a[:, None] * (z > 0.0) * (dw @ points.T)
        )
        np.testing.assert_allclose(linear.output(NEW, t), wanted, atol=1e-8)
        moved, weight = linear.displacement(t), network.weight
        assert moved.rd_a == pytest.approx(math.sqrt(weight @ da**2 / (weight @ network.a**2)), rel=1e-7)
        size = weight @ np.sum(network.w**2, axis=1)
        assert moved.rd_w == pytest.approx(math.sqrt(weight @ np.sum(dw**2, axis=1) / size), rel=1e-7)
        assert moved.rounding < 1e-10

    def test_a_network_follows_it_at_first(self):
        """At a small time displacements, outputs and loss are those of the flow, to second order in it."""
        network = mf.Particles.sample(SIX, mf.Scaling.named("ntk"), 200, antisymmetric=False, rng=0)
        linear, errors = Linearised(SIX, network), []
        for t in (0.02, 0.01):
            run = mf.gradient_flow(SIX, network, loss_tol=0.0, t_end=t, rtol=1e-6)
            errors.append(np.abs(run.predict(NEW) - linear.output(NEW, t)).max())
            assert linear.displacement(t).rd_w == pytest.approx(run.rd_w[-1], rel=0.1)
            assert linear.displacement(t).rd_a == pytest.approx(run.rd_a[-1], rel=0.1)
        change = np.abs(linear.output(NEW, 0.01) - linear.output(NEW, 0.0)).max()
        assert errors[1] < 0.05 * change
        assert errors[1] < 0.4 * errors[0]

    def test_end_of_the_flow(self):
        """More weights than samples: everything is learned; fewer: what lies in the features' span."""
        wide = mf.Particles.sample(SIX, mf.Scaling.named("ntk"), 400, rng=0)
        linear = Linearised(SIX, wide)
        np.testing.assert_allclose(linear.output(X), SIX.y, atol=1e-9)
        assert linear.loss(linear.time_to(1e-4)) == pytest.approx(1e-4, rel=1e-6)
        one = mf.Particles.from_arrays([1.0], [[0.1, 0.2, 2.0]], kappa=0.5, kappa_prime=1.0)
        few = Linearised(SIX, one)
        assert np.sum(few.rates == 0.0) == 3  # df/da = w.df/dw / a
        z = SIX.x @ one.w[0]
        features = np.column_stack([np.maximum(z, 0.0), SIX.x * (z > 0.0)[:, None]])
        left = SIX.y - one.output(SIX.x)
        best = left - features @ np.linalg.lstsq(features, left, rcond=None)[0]
        assert few.unlearnable == pytest.approx(best @ best / 12, rel=1e-9)
        np.testing.assert_allclose(few.residual(math.inf), -best, atol=1e-9)

    def test_wide_networks_are_the_kernel_regime(self):
        scaling = mf.Scaling.named("ntk")
        nodes = mf.Particles.quadrature(mf.datasets.four_points(), scaling, 1e4, nodes=4096)
        problem = mf.datasets.four_points()
        one, other = Linearised(problem, nodes), KernelRegime.at(problem, scaling, 1e4)
        np.testing.assert_allclose(one.residual(30.0), other.residual(30.0), rtol=1e-6)
        # Nodes know the kinks of samples; between them they are as good as their number.
        np.testing.assert_allclose(one.output([0.1, 0.6], 30.0), other.output([0.1, 0.6], 30.0), rtol=1e-3)
        moved = other.displacement(30.0)
        assert one.displacement(30.0).first_w == pytest.approx(moved.first_w, rel=1e-6)
        assert one.displacement(30.0).first_a == pytest.approx(moved.first_a, rel=1e-6)

    def test_what_is_refused(self, monkeypatch):
        with pytest.raises(InputError, match="input weights of 2 entries, but the problem has d = 3"):
            Linearised(SIX, mf.Particles.sample(mf.datasets.four_points(), mf.Scaling(0.5), 10, rng=0))
        with pytest.raises(InputError, match="network is an int; give a Particles"):
            Linearised(SIX, 3)


class TestInputsAsTheUserHasThem:
    def test_kernels(self):
        network = few_neurons(True)
        for given, rows in (
            (empirical_kernels(network, X, NEW, problem=SIX), (SIX.x, SIX.with_bias(NEW))),
            (empirical_kernels(network, X, problem=SIX), (SIX.x, SIX.x)),
        ):
            for found, wanted in zip(given, empirical_kernels(network, *rows), strict=True):
                np.testing.assert_array_equal(found, wanted)
        for found, wanted in zip(
            arc_cosine_kernels(NEW, X, problem=SIX),
            arc_cosine_kernels(SIX.with_bias(NEW), SIX.x),
            strict=True,
        ):
            np.testing.assert_array_equal(found, wanted)

    def test_without_a_problem_the_error_names_it(self):
        with pytest.raises(InputError, match=r"x has shape \(4, 2\); give \(k, 3\), .* or give problem= and"):
            empirical_kernels(few_neurons(True), NEW)
        with pytest.raises(InputError, match="x has 1 features but the problem has 2"):
            arc_cosine_kernels([1.0], problem=SIX)


class TestMemory:
    """What needs n x n numbers is refused with its size before it starts: it was a bare MemoryError."""

    BIG = mf.Problem(np.random.default_rng(3).standard_normal((100_000, 3)), np.ones(100_000))
    NETWORK = mf.Particles.sample(BIG, mf.Scaling(0.5), 10, rng=0)
    LAW = KernelRegime.at(BIG, mf.Scaling(0.5), 1e10)

    @pytest.mark.parametrize(
        "call",
        {
            "KernelRegime": lambda it: it.LAW.loss(1.0),
            "layers": lambda it: it.LAW.layers,
            "displacement": lambda it: it.LAW.displacement(),
            "output": lambda it: it.LAW.output(it.BIG.x[:3, :3]),
            "Linearised": lambda it: Linearised(it.BIG, it.NETWORK).loss(1.0),
            "empirical": lambda it: empirical_kernels(it.NETWORK, it.BIG.x),
            "arc_cosine": lambda it: arc_cosine_kernels(it.BIG.x),
            "DisplacementLaw": lambda it: mf.kernel_law.DisplacementLaw(it.BIG).displacement(
                mf.Scaling(0.5), [1e3]
            ),
            "infinite_width": lambda it: mf.infinite_width(
                it.BIG, mf.Scaling(0.5), width=1e30, method="kernel"
            ),
        }.values(),
    )
    def test_refused(self, call):
        with pytest.raises(
            InputError, match=r"100000 x 100000 .* need \d+ GB of memory, but there are .* give fewer samples"
        ):
            call(self)

    def test_few_against_many_is_not(self):
        assert empirical_kernels(self.NETWORK, self.BIG.x[:2], self.BIG.x)[0].shape == (2, 100_000)

    def test_alignment_in_the_plane_needs_none(self):
        """All samples against all cones at once: 20 000 samples would have been 6.4 GB."""
        x = np.random.default_rng(4).uniform(-1.0, 1.0, 4000)
        tracemalloc.start()
        try:
            found = early_alignment(mf.Problem(x, np.abs(x)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert found.extremals
        assert peak < 1.2e8  # 0.26 GB and more before
