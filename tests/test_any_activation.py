"""Networks with any activation: draws, nodes, kernels, runs, sweeps and files know which one they have."""

import math
import pickle
from typing import Any, ClassVar

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations import RELU, Activation, as_activation
from meanfield.errors import InputError, StoreError
from meanfield.experiments import CellSettings
from meanfield.limits import Linearised, compare, empirical_kernels

FOUR = mf.datasets.four_points()
HALF = mf.Scaling(0.5, 0.0, beta2=0.7)


def tanh_network(width=40, **kwargs):
    return mf.Particles.sample(FOUR, HALF, width, activation="tanh", rng=1, **kwargs)


def own_value(z):
    return z / (1.0 + z * z)


def own_slope(z):
    return (1.0 - z * z) / (1.0 + z * z) ** 2


OWN = Activation("rational", own_value, own_slope)


class TestScale:
    """kappa and kappa' decide for activations that are homogeneous of degree one; others need beta2."""

    def test_beta2_of_a_scaling(self):
        assert mf.Scaling.named("he").beta2(10, 4) == pytest.approx(math.sqrt(0.5))
        assert mf.Scaling(0.5, 0.0).beta2(10) is None
        # sqrt(1/d) at d = 4; beta1 = kappa' beta2 and alpha = beta1 beta2 / kappa are what is left.
        both = mf.Scaling(0.75, 0.5, beta2="sqrt(1/d)")
        assert both.beta2(16, 4) == 0.5
        assert both.kappa(16) == 16**-0.75
        assert both.tbar(steps=10, learning_rate=0.1, m=16, d=4) == pytest.approx(1.0 / (0.25 * 0.5 * 0.5))
        assert eval(repr(both), {"Scaling": mf.Scaling}) == both
        assert both != mf.Scaling(0.75, 0.5)
        assert pickle.loads(pickle.dumps(both)) == both

    def test_it_is_asked_for(self):
        with pytest.raises(InputError, match=r"^tanh is not homogeneous of degree one.*give beta2.*scaling"):
            mf.Particles.sample(FOUR, mf.Scaling(0.5, 0.0), 10, activation="tanh")
        with pytest.raises(InputError, match=r"give beta2, the spread of the initial input weights$"):
            mf.Particles.from_arrays([1.0], [[1.0, 0.0]], kappa=1.0, kappa_prime=1.0, activation="tanh")
        assert mf.Particles.sample(FOUR, mf.Scaling.named("he"), 10, activation="tanh").beta2 == 1.0
        assert mf.Particles.sample(FOUR, mf.Scaling(0.5, 0.0), 10).beta2 == 1.0

    def test_names(self):
        with pytest.raises(InputError, match=r"no activation is called 'tanhh'.*did you mean 'tanh'\?"):
            as_activation("tanhh")
        with pytest.raises(InputError, match="activation is 3; give one of"):
            as_activation(3)

    def test_outputs_in_the_users_own_parameters(self):
        """f = (1/alpha) sum_k a_k tanh(w_k . x) with a = beta1 abar, w = beta2 wbar."""
        network = tanh_network()
        beta2 = 0.7
        beta1 = network.kappa_prime * beta2
        alpha = beta1 * beta2 / network.kappa
        f = np.tanh(FOUR.x @ (beta2 * network.w).T) @ (beta1 * network.a) / alpha
        np.testing.assert_allclose(network.output(FOUR.x), f, rtol=1e-13)


class TestKernels:
    def test_tangent_kernel_against_differences(self):
        network = tanh_network(6, antisymmetric=False)
        h, columns = 1e-6, []
        for k in range(6):
            for layer in range(3):
                ends = []
                for sign in (1.0, -1.0):
                    a, w = network.a.copy(), network.w.copy()
                    (a if layer == 2 else w[:, layer])[k] += sign * h
                    ends.append(network.moved(a, w).output(FOUR.x))
                rate = (
                    network.kappa / network.kappa_prime if layer == 2 else network.kappa * network.kappa_prime
                )
                columns.append(math.sqrt(rate / network.kappa) * (ends[0] - ends[1]) / (2.0 * h))
        J = np.array(columns).T
        K = mf.flow.tangent_kernel(FOUR, network)
        np.testing.assert_allclose(K, network.kappa * J @ J.T / network.kappa, rtol=1e-7)
        K_a, K_w = empirical_kernels(network, FOUR.x)
        both = network.width * network.kappa**2 * (K_a / network.kappa_prime + network.kappa_prime * K_w)
        np.testing.assert_allclose(both, K, rtol=1e-12)

    def test_a_wide_network_follows_its_own_kernel(self):
        network = mf.Particles.sample(FOUR, HALF, 20_000, activation="tanh", rng=0)
        run = mf.gradient_flow(FOUR, network, save_at=[20.0, 200.0], loss_tol=0, rtol=1e-4)
        linear = Linearised(FOUR, network)
        difference = run.output - linear.output(FOUR.x[:, 0], run.time)
        assert np.abs(difference).max() < 0.01 * np.abs(FOUR.y).max()

    def test_dead_neurons_are_those_that_nothing_moves(self):
        assert mf.flow.dead_fraction(FOUR, tanh_network()) == 0.0


class TestNodes:
    def test_they_are_the_mean_of_networks(self):
        """RD_w of nodes is within four standard errors of the mean over 40 networks (false alarms: 1e-4)."""
        scaling = mf.Scaling(1.0, 0.0, beta2=1.0)
        nodes = mf.Particles.quadrature(FOUR, scaling, 400, activation="tanh", nodes=4096)
        assert nodes.width == pytest.approx(400.0)
        assert abs(nodes.output(FOUR.x)).max() < 1e-12
        of_nodes = mf.gradient_flow(FOUR, nodes, loss_tol=1e-2).stats.rd_w_max
        drawn = []
        for seed in range(40):
            network = mf.Particles.sample(FOUR, scaling, 400, activation="tanh", rng=seed)
            drawn.append(mf.gradient_flow(FOUR, network, loss_tol=1e-2).stats.rd_w_max)
        error = np.std(drawn, ddof=1) / math.sqrt(len(drawn))
        assert abs(np.mean(drawn) - of_nodes) < 4.0 * error + 2e-3 * of_nodes

    @pytest.mark.parametrize("activation", ["leaky-relu(0.5)", "absolute", "linear"])
    @pytest.mark.parametrize("x", [[0.2, 0.5, 1.0], [[0.5, 0.2, 1.0], [-0.3, 1.0, 0.4]]])
    def test_neurons_that_are_off_for_the_relu_move_too(self, activation, x):
        """Kernels of the nodes are those of infinite width, in closed form: no neuron is ever inactive."""
        problem = mf.Problem(x, np.ones(len(x)))
        nodes = mf.Particles.quadrature(problem, mf.Scaling(1.0, 0.0), 10, activation=activation, nodes=4096)
        lengths = np.linalg.norm(problem.x, axis=1)
        cosine = np.clip(problem.x @ problem.x.T / np.outer(lengths, lengths), -1.0, 1.0)
        one, other = np.meshgrid(lengths, lengths, indexing="ij")
        products = as_activation(activation).products(one, other, np.arccos(cosine))
        K_a, K_w = empirical_kernels(nodes, problem.x)
        np.testing.assert_allclose(K_a, products.value, rtol=2e-3)
        np.testing.assert_allclose(K_w, products.slope * (problem.x @ problem.x.T), rtol=2e-3, atol=2e-3)

    def test_what_lies_outside_the_span_is_gaussian(self):
        problem = mf.Problem(np.eye(4)[:2], [1.0, -1.0])
        nodes = mf.Particles.quadrature(problem, mf.Scaling(1.0, 0.0), 10, activation="tanh", beta2=1.0)
        outside = nodes.w - nodes.w @ problem.basis @ problem.basis.T
        mean = float(nodes.weight @ np.sum(outside**2, axis=1)) / nodes.width
        # d - rank = 3 free coordinates: the mean of a chi-square of 3 degrees over 1024 pairs.
        assert mean == pytest.approx(3.0, abs=4.0 * math.sqrt(6.0 / 1024))


class TestRuns:
    def test_a_run_keeps_it(self, tmp_path):
        run = mf.gradient_flow(FOUR, tanh_network(), loss_tol=1e-2)
        again = mf.load(run.save(tmp_path / "run"))
        assert again.final.activation is as_activation("tanh")
        assert again.final.beta2 == 0.7
        np.testing.assert_array_equal(again.predict([0.3]), run.predict([0.3]))
        longer = mf.gradient_flow(FOUR, again, loss_tol=1e-3)
        assert longer.converged
        assert longer.initial.activation.name == "tanh"
        assert run.to_xarray().attrs["activation"] == "tanh"
        assert "activation=tanh, beta2=0.7" in repr(run.final)

    def test_what_is_not_conserved_is_not_reported(self):
        stats = mf.gradient_flow(FOUR, tanh_network(), loss_tol=1e-2).stats
        assert math.isnan(stats.conservation_drift)
        assert math.isnan(stats.capacity)

    def test_the_exact_motion_is_refused(self):
        with pytest.raises(InputError, match=r"'residual', which is for one output.*has 1, tanh"):
            mf.gradient_flow(FOUR, tanh_network(), method="residual")

    def test_a_limit_of_relus_is_no_limit_of_it(self):
        limit = mf.infinite_width(FOUR, mf.Scaling(0.5, 0.0), width=40, tol=0.1, nodes=64)
        with pytest.raises(InputError, match="the activation is tanh in the run and relu in the limit"):
            compare(mf.gradient_flow(FOUR, tanh_network(), loss_tol=1e-2), limit)

    @pytest.mark.parametrize("other", [lambda net: net.trained(a=0.5), lambda net: net.centred()])
    def test_nor_of_networks_that_train_otherwise(self, other):
        limit = mf.infinite_width(FOUR, mf.Scaling(0.5, 0.0), width=40, tol=0.1, nodes=64)
        network = other(mf.Particles.sample(FOUR, mf.Scaling(0.5, 0.0), 40, rng=0))
        with pytest.raises(InputError, match=r"other rates than the limit's.*without trained"):
            compare(mf.gradient_flow(FOUR, network, loss_tol=1e-2), limit)


class TestSweeps:
    OPTIONS: ClassVar[dict[str, Any]] = {
        "gamma": [0.5, 1.5], "gamma_prime": [0.0], "widths": [20, 80], "loss_tol": 1e-2, "progress": False,
    }  # fmt: skip

    def test_cells_are_those_networks(self):
        diagram = mf.phase_diagram(FOUR, **self.OPTIONS, activation="tanh", beta2=1.0)
        rng = np.random.SeedSequence(0, spawn_key=(0,))
        network = mf.Particles.sample(FOUR, mf.Scaling(0.5, 0.0), 80, activation="tanh", beta2=1.0, rng=rng)
        atol = diagram.settings.loss_atol
        run = mf.gradient_flow(FOUR, network, loss_atol=atol, rtol=1e-2)
        assert diagram.rd_w[0, 0, 1, 0] == pytest.approx(run.stats.rd_w_max, rel=1e-6)
        # Beyond the boundary tanh saturates: power counting does not say how w grows.
        assert diagram.rows[0].predicted_S_w == pytest.approx(-0.5)
        assert math.isnan(diagram.rows[1].predicted_S_w)

    def test_stores_and_files_know_it(self, tmp_path):
        store = tmp_path / "sweep.sqlite"
        diagram = mf.phase_diagram(FOUR, **self.OPTIONS, activation="tanh", beta2=1.0, store=store)
        again = mf.load(diagram.save(tmp_path / "map"))
        assert (again.settings.activation.name, again.settings.beta2) == ("tanh", 1.0)
        resumed = mf.phase_diagram(FOUR, **self.OPTIONS, activation="tanh", beta2=1.0, store=store)
        np.testing.assert_array_equal(resumed.rd_w, diagram.rd_w)
        with pytest.raises(
            StoreError, match=r"activation = tanh there, relu now; beta2 = 1\.0 there, None now"
        ):
            mf.phase_diagram(FOUR, **self.OPTIONS, store=store)

    def test_older_settings_are_those_of_relus(self):
        kept = CellSettings(loss_atol=1e-3).described()
        del kept["activation"], kept["beta2"]
        assert CellSettings.restored(kept) == CellSettings(loss_atol=1e-3)
        assert CellSettings.restored(kept).activation == RELU

    def test_the_users_own(self, tmp_path):
        """In other processes, and in a store, which holds its name only."""
        store = tmp_path / "sweep.sqlite"
        options = self.OPTIONS | {"activation": OWN, "beta2": 1.0, "store": store}
        diagram = mf.phase_diagram(FOUR, **options)
        assert np.all(np.isfinite(diagram.rd_w))
        assert mf.phase_diagram(FOUR, **options).settings.activation is OWN
        kept = CellSettings.restored(diagram.settings.described())
        assert kept.activation.name == "rational"
        with pytest.raises(InputError, match="an activation of the user's own, which files do not hold"):
            kept.activation.value(np.zeros(1))

    def test_the_boundary_of_tanh_is_that_of_relu(self):
        found = mf.boundary(
            FOUR, gamma_prime=[0.0], widths=[100, 400], seeds=2, max_points=1, activation="tanh", beta2=1.0,
            loss_tol=1e-2, tol=0.05, reach=0.2, progress=False,
        )  # fmt: skip
        assert abs(found.gamma_star[0] - 1.0) < 0.1

    def test_ensembles(self):
        found = mf.ensemble(
            FOUR, HALF, 20, seeds=2, activation="tanh", loss_tol=1e-2, save_at=[1.0], progress=False
        )
        assert {run.final.activation.name for run in found.runs} == {"tanh"}


class TestLossesInSweeps:
    def test_cells_are_trained_with_the_problems_loss(self, tmp_path):
        """Labels of two classes; no exponent is claimed, and the store knows the loss."""
        labels = mf.Problem([-1.0, -0.4, 0.3, 1.0], [0, 1, 0, 1], loss="logistic")
        store = tmp_path / "sweep.sqlite"
        options = TestSweeps.OPTIONS | {"store": store}
        diagram = mf.phase_diagram(labels, **options)
        rng = np.random.SeedSequence(0, spawn_key=(0,))
        network = mf.Particles.sample(labels, mf.Scaling(0.5, 0.0), 80, rng=rng)
        run = mf.gradient_flow(labels, network, loss_atol=diagram.settings.loss_atol, rtol=1e-2)
        assert diagram.rd_w[0, 0, 1, 0] == pytest.approx(run.stats.rd_w_max, rel=1e-9)
        assert math.isnan(diagram.rows[0].predicted_S_w)
        assert diagram.settings.loss == "logistic"
        assert "a mean logistic loss <=" in mf.experiments.methods_text(diagram)
        mf.plotting.phase_diagram(diagram)

    def test_several_outputs_are_refused(self):
        three = mf.Problem([-1.0, -0.4, 0.3, 1.0], [0, 1, 2, 1], loss="cross-entropy")
        with pytest.raises(InputError, match="sweeps are for one output, but the problem has 3"):
            mf.phase_diagram(three, **TestSweeps.OPTIONS)


class TestLearnedFunction:
    def test_outputs_in_colours_of_their_own(self):
        x = np.linspace(-1.0, 1.0, 6)
        problem = mf.Problem(x, np.column_stack([x, x**2]))
        network = mf.Particles.sample(problem, HALF, 20, activation="tanh", rng=0)
        run = mf.gradient_flow(problem, network, loss_tol=1e-1)
        ax = mf.plotting.learned_function(run)
        drawn = {line.get_label(): line for line in ax.lines}
        at, f = drawn["output 2"].get_data()
        np.testing.assert_allclose(f, run.predict(at)[:, 1])
        with pytest.raises(InputError, match="2 runs of 2 outputs are given"):
            mf.plotting.learned_function([run, run])

    def test_classes_are_marks(self):
        problem = mf.Problem([-1.0, -0.4, 0.3, 1.0], [0, 1, 2, 1], loss="cross-entropy")
        network = mf.Particles.sample(problem, HALF, 20, activation="tanh", rng=0)
        ax = mf.plotting.learned_function(mf.gradient_flow(problem, network, loss_tol=0.5))
        assert {"class 1", "class 2", "class 3"} <= {line.get_label() for line in ax.lines}


@pytest.mark.parametrize("activation", ["leaky-relu(0.2)", "absolute"])
@pytest.mark.parametrize(("gamma", "gamma_prime"), [(0.6, 0.0), (1.5, 0.0), (1.0, -0.7), (1.3, 0.3)])
def test_exponents_of_the_relu_hold_for_other_kinks(activation, gamma, gamma_prime):
    """Slopes between widths of 1e8 and 1e10 without noise; logarithms of m are what is left of 0.02."""
    problem = mf.Problem([-0.5, -0.23, 0.1, 0.3, 0.5], [0.2, -0.1, 0.35, 0.1, 0.4])
    settings = CellSettings(loss_atol=1e-4, activation=as_activation(activation))
    found = mf.experiments.predicted_slopes(problem, settings, [1e8, 1e10], gamma, gamma_prime)
    S_w, S_a = settings.theory(gamma, gamma_prime)
    assert found.S_w == pytest.approx(float(S_w), abs=0.02)
    assert found.S_a == pytest.approx(float(S_a), abs=0.02)
