"""Several outputs, layers that learn at other rates, networks less what they were: all against LSODA."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import log_softmax, softmax

import meanfield as mf
from meanfield.activations import as_activation
from meanfield.errors import InputError

X = np.random.default_rng(5).standard_normal((9, 2))
CLASSES = np.array([0, 1, 2, 0, 1, 2, 2, 1, 0])
TWO = np.column_stack([np.sin(2.0 * X[:, 0]), X[:, 0] * X[:, 1]])
ONE_HOT = np.eye(3)[CLASSES]


def mean_square(f, y):
    return 0.5 * np.sum((f - y) ** 2, axis=1), f - y


def huber(f, y):
    e = f - y
    size = np.abs(e)
    return np.sum(np.where(size <= 0.5, 0.5 * e**2, 0.5 * (size - 0.25)), axis=1), np.clip(e, -0.5, 0.5)


def cross_entropy(f, y):
    return -np.sum(y * log_softmax(f, axis=1), axis=1), softmax(f, axis=1) - y


LOSSES = {
    "mean-square": (TWO, TWO, mean_square),
    "huber(0.5)": (TWO, TWO, huber),
    "cross-entropy": (CLASSES, ONE_HOT, cross_entropy),
}


class Plain:
    """A network in a user's own parameters: f = (1/alpha) sum_k a_k sigma(w_k . x), da/dt = -r_a dR/da."""

    def __init__(self, problem, network, loss, y):
        self.sigma, self.loss, self.x, self.y = network.activation, loss, problem.x, y
        beta2 = network.beta2
        self.beta1 = network.kappa_prime * beta2
        self.alpha = self.beta1 * beta2 / network.kappa
        a = network.a.reshape(network.size, -1)
        self.shapes = a.shape, network.w.shape
        self.start = np.concatenate([(self.beta1 * a).ravel(), (beta2 * network.w).ravel()])
        self.time = self.beta1 * beta2
        self.rates, self.minus = network.rates, 0.0
        if network.minus is not None:
            self.minus = self.output(self.start)

    def split(self, theta):
        cut = math.prod(self.shapes[0])
        return theta[:cut].reshape(self.shapes[0]), theta[cut:].reshape(self.shapes[1])

    def output(self, theta):
        a, w = self.split(theta)
        return self.sigma.value(self.x @ w.T) @ a / self.alpha - self.minus

    def value(self, theta):
        f = self.output(theta)
        return float(np.mean(self.loss(f.reshape(self.y.shape), self.y)[0]))

    def velocity(self, _, theta):
        a, w = self.split(theta)
        z = self.x @ w.T
        g = self.loss(self.output(theta).reshape(self.y.shape), self.y)[1].reshape(len(self.x), -1)
        da = self.sigma.value(z).T @ g
        dw = (self.sigma.slope(z) * (g @ a.T)).T @ self.x
        scale = -1.0 / (len(self.x) * self.alpha)
        return scale * np.concatenate([self.rates[0] * da.ravel(), self.rates[1] * dw.ravel()])

    def at(self, times):
        span = self.time * np.asarray(times)
        return solve_ivp(
            self.velocity, (0.0, span[-1]), self.start, "LSODA", span, rtol=1e-10, atol=1e-12
        ).y.T


def check(problem, network, loss, y, method, times, tol):
    """Losses, outputs and weights along the run."""
    run = mf.gradient_flow(
        problem, network, save_at=times, loss_tol=0, rtol=1e-4, method=method, save_parameters=True
    )
    plain = Plain(problem, network, loss, y)
    for k, theta in enumerate(plain.at(times)):
        a, w = plain.split(theta)
        assert run.loss[k] == pytest.approx(plain.value(theta), rel=tol)
        f = plain.output(theta)
        np.testing.assert_allclose(run.output[k].reshape(f.shape), f, atol=tol * np.abs(y).max())
        moved = np.abs(run.saved_w[k] - w / network.beta2).max()
        assert moved < 10.0 * tol * np.abs(w / network.beta2).max()
        moved = np.abs(run.saved_a[k].reshape(a.shape) - a / plain.beta1).max()
        assert moved < 10.0 * tol * np.abs(a / plain.beta1).max()
    return run


@pytest.mark.parametrize("method", ["rosenbrock", "stabilised", "linearly-implicit", "runge-kutta"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_several_outputs(activation, loss, method):
    targets, y, of = LOSSES[loss]
    problem = mf.Problem(X, targets, loss=loss)
    assert problem.outputs == y.shape[1]
    network = mf.Particles.sample(
        problem, mf.Scaling(0.8, 0.3, beta2=0.9), 12, activation=activation, antisymmetric=False, rng=2
    )
    assert network.a.shape == (12, problem.outputs)
    run = check(problem, network, of, y, method, [1.0, 30.0, 300.0], 1e-3)
    assert run.output.shape == (3, 9, problem.outputs)
    if method in ("runge-kutta",):
        assert run.stats.energy_drift < 1e-3


def test_relus_with_several_outputs():
    """No exact motion: p is a vector. Smooth steps see kinks as noise; Euler's small steps are the truth."""
    problem = mf.Problem(X, TWO)
    network = mf.Particles.sample(problem, mf.Scaling(1.0, 0.0, beta2=1.0), 40, rng=0, antisymmetric=False)
    plain = Plain(problem, network, mean_square, TWO)
    theta, steps = plain.start.copy(), 20_000
    for _ in range(steps):
        theta += 30.0 * plain.time / steps * plain.velocity(0.0, theta)
    for method in ("rosenbrock", "stabilised"):
        run = mf.gradient_flow(problem, network, save_at=[30.0], loss_tol=0, rtol=1e-2, method=method)
        assert run.loss[0] == pytest.approx(plain.value(theta), rel=3e-2)


def test_tangent_kernel_of_several_outputs():
    """``de/dtbar = -(1/n) K e``, outputs running fastest: the first rates of a short run."""
    problem = mf.Problem(X, TWO)
    network = mf.Particles.sample(problem, mf.Scaling(0.8, 0.3, beta2=0.9), 12, activation="tanh", rng=2)
    K = mf.flow.tangent_kernel(problem, network)
    assert K.shape == (18, 18)
    run = mf.gradient_flow(problem, network, save_at=[0.0, 1e-4], loss_tol=0, rtol=1e-9, save_parameters=True)
    rate = (run.output[1] - run.output[0]).ravel() / 1e-4
    np.testing.assert_allclose(rate, K @ TWO.ravel() / 9, atol=1e-3 * np.abs(rate).max())
    assert np.all(run.order_parameters().kernel_alignment > 0.0)


def test_one_column_is_one_output():
    """Two outputs of which one has nothing to learn, and no weights, are one output."""
    one = mf.Problem(X, TWO[:, 0])
    network = mf.Particles.sample(one, mf.Scaling(0.8, 0.0, beta2=1.0), 12, activation="tanh", rng=0)
    both = mf.Problem(X, np.column_stack([TWO[:, 0], np.zeros(9)]))
    padded = mf.Particles.from_arrays(
        np.column_stack([network.a, np.zeros(12)]), network.w, kappa=network.kappa,
        kappa_prime=network.kappa_prime, activation="tanh", beta2=1.0,
    )  # fmt: skip
    runs = [
        mf.gradient_flow(problem, particles, save_at=[10.0], loss_tol=0, rtol=1e-6, method="runge-kutta")
        for problem, particles in ((one, network), (both, padded))
    ]
    np.testing.assert_allclose(runs[1].output[0, :, 0], runs[0].output[0], atol=1e-5)
    np.testing.assert_array_equal(runs[1].output[0, :, 1], 0.0)
    assert runs[1].loss[0] == pytest.approx(runs[0].loss[0], rel=1e-4)


def test_duplicates_leave_the_best_common_output():
    """Entropy of the classes of equal samples; the mean of their targets."""
    x = np.array([[0.5, 1.0]] * 3 + [[1.0, -1.0]])
    problem = mf.Problem(x, [0, 0, 1, 2], loss="cross-entropy")
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert problem.floors(None).loss == pytest.approx(0.75 * entropy, rel=1e-9)
    y = np.array([[1.0, 0.0], [0.0, 0.0], [0.5, 3.0], [2.0, 2.0]])
    problem = mf.Problem(x, y)
    rest = np.sum((y[:3] - y[:3].mean(axis=0)) ** 2) / (2 * 4)
    assert problem.floors(None).loss == pytest.approx(rest, rel=1e-9)
    assert problem.loss_floor == pytest.approx(rest, rel=1e-9)


@pytest.mark.parametrize("activation", ["tanh", "relu", "absolute"])
@pytest.mark.parametrize("rates", [(0.2, 1.0), (1.0, 0.3), (3.0, 0.5)])
def test_rates_of_the_layers(activation, rates):
    problem = mf.Problem([0.3, 1.2], [0.5, -0.2])
    network = mf.Particles.sample(
        problem, mf.Scaling(0.8, 0.3, beta2=0.9), 10, activation=activation, antisymmetric=False, rng=2
    ).trained(a=rates[0], w=rates[1])
    # Few samples, a short time: no kink is met, so that LSODA is exact for these activations, too.
    times = [0.2, 1.0] if activation != "tanh" else [1.0, 100.0]
    network = network if activation == "tanh" else away_from_kinks(problem, network)
    check(problem, network, lambda f, y: (0.5 * (f - y) ** 2, f - y), problem.y, None, times, 1e-3)


@pytest.mark.parametrize("method", ["rosenbrock", "stabilised", "linearly-implicit", "runge-kutta"])
@pytest.mark.parametrize("rates", [(0.0, 2.0), (0.7, 0.0)])
def test_a_layer_that_stays_as_it_is(rates, method):
    problem = mf.Problem(X, TWO)
    network = mf.Particles.sample(
        problem, mf.Scaling(0.8, 0.3, beta2=0.9), 12, activation="tanh", antisymmetric=False, rng=2
    ).trained(a=rates[0], w=rates[1])
    run = check(problem, network, mean_square, TWO, method, [1.0, 100.0], 1e-3)
    held = "a" if rates[0] == 0.0 else "w"
    np.testing.assert_array_equal(getattr(run.final, held), getattr(network, held))


@pytest.mark.parametrize("rates", [(0.3, 1.0), (1.0, 0.0), (2.0, 0.5)])
def test_linearised_networks_know_the_rates(rates):
    """A wide network follows them: outputs and displacements of both layers, to its own nonlinearity."""
    problem = mf.Problem(X[:5], TWO[:5, 0])
    network = mf.Particles.sample(
        problem, mf.Scaling(0.5, 0.2, beta2=1.0), 40_000, activation="tanh", rng=1
    ).trained(a=rates[0], w=rates[1])
    run = mf.gradient_flow(problem, network, save_at=[2.0, 20.0], loss_tol=0, rtol=1e-4)
    linear = mf.limits.Linearised(problem, network)
    np.testing.assert_allclose(linear.output(X[:5], run.time), run.output, atol=4e-3)
    moved = linear.displacement(run.time)
    np.testing.assert_allclose(moved.rd_a, run.rd_a, rtol=1e-2)
    np.testing.assert_allclose(moved.rd_w, run.rd_w, rtol=1e-2)


def test_the_margin_is_in_the_users_weights():
    """min y f over (1/alpha) sum (a^2 + |w|^2) of a and w themselves, whatever the rates."""
    problem = mf.Problem(X, TWO[:, 0] > 0.0, loss="logistic")
    network = mf.Particles.sample(problem, mf.Scaling(0.8, 0.5, beta2=0.7), 30, activation="tanh", rng=2)
    run = mf.gradient_flow(problem, network.trained(a=0.3, w=2.0), t_end=200.0, loss_tol=0)
    a, w = 0.7 * network.kappa_prime * run.final.a, 0.7 * run.final.w
    alpha = 0.7**2 * network.kappa_prime / network.kappa
    size = (np.sum(a**2) + np.sum(w**2)) / alpha
    assert run.margin[-1] == pytest.approx(np.min(run.output[-1] * problem.y) / size, rel=1e-9)


def test_random_features_are_the_linearised_network():
    """With fixed input weights the flow is linear: e' = -(K/n) e with K of the output layer alone."""
    problem = mf.Problem(X, TWO[:, 0])
    network = mf.Particles.sample(problem, mf.Scaling(0.5, 0.0), 50, rng=0).trained(w=0.0)
    run = mf.gradient_flow(problem, network, save_at=[1.0, 20.0], loss_tol=0, rtol=1e-4)
    assert run.stats.method == "rosenbrock"
    K_a, _ = mf.limits.empirical_kernels(network, problem.x)
    K = network.width * network.kappa**2 / network.kappa_prime * K_a
    rates, vectors = np.linalg.eigh(K / problem.n)
    for k, t in enumerate(run.time):
        e = vectors @ (np.exp(-rates * t) * (vectors.T @ -problem.y))
        np.testing.assert_allclose(run.output[k] - problem.y, e, atol=1e-4)
    with pytest.raises(InputError, match="nothing is trained"):
        network.trained(a=0.0, w=0.0)
    with pytest.raises(InputError, match=r"'residual', which is for.*rates \(1.0, 0.0\)"):
        mf.gradient_flow(problem, network, method="residual")


def away_from_kinks(problem, network):
    """The neurons whose pre-activations are not small."""
    keep = np.abs(network.preactivations(problem.x)).min(axis=1) > 0.3
    return mf.Particles.from_arrays(
        network.a[keep], network.w[keep], kappa=network.kappa, kappa_prime=network.kappa_prime,
        activation=network.activation, beta2=network.beta2,
    ).trained(a=network.rates[0], w=network.rates[1])  # fmt: skip


class TestCentred:
    """f - f0 starts at zero, whatever the draw, and trains as f does on y + f0."""

    @pytest.mark.parametrize("activation", ["relu", "tanh"])
    def test_targets_that_are_shifted_instead(self, activation):
        x, y = X[:6], TWO[:6, 0]
        problem = mf.Problem(x, y)
        network = mf.Particles.sample(
            problem, mf.Scaling(0.5, 0.0, beta2=1.0), 30, activation=activation, antisymmetric=False, rng=3
        )
        shift = network.output(problem.x)
        shifted = mf.Problem(x, y + shift)
        runs = [
            mf.gradient_flow(data, start, save_at=[5.0, 50.0], loss_tol=0, rtol=1e-6)
            for data, start in ((problem, network.centred()), (shifted, network))
        ]
        assert np.abs(runs[0].start.output).max() < 1e-15
        np.testing.assert_allclose(runs[0].output, runs[1].output - shift, atol=1e-5)
        points = [[0.3, -0.2]]
        f0 = network.output(problem.with_bias(points))
        np.testing.assert_allclose(runs[0].predict(points), runs[1].predict(points) - f0, atol=1e-5)

    def test_files_know_it(self, tmp_path):
        problem = mf.Problem(X, TWO)
        network = mf.Particles.sample(
            problem, mf.Scaling(0.8, 0.0, beta2=1.0), 12, activation="tanh", rng=0, antisymmetric=False
        )
        run = mf.gradient_flow(problem, network.centred().trained(a=0.5), loss_tol=1e-1)
        again = mf.load(run.save(tmp_path / "run"))
        np.testing.assert_array_equal(again.predict(X), run.predict(X))
        assert again.initial.rates == (0.5, 1.0)
        longer = mf.gradient_flow(problem, again, loss_tol=5e-2)
        assert longer.converged
        assert longer.start.loss == run.start.loss

    def test_what_bounds_the_output_alone_is_not_reported(self):
        problem = mf.Problem(X, TWO[:, 0])
        network = mf.Particles.sample(problem, mf.Scaling(0.5, 0.0), 30, antisymmetric=False, rng=3)
        assert math.isnan(mf.gradient_flow(problem, network.centred(), loss_tol=1e-1).stats.capacity)
        assert mf.gradient_flow(problem, network, loss_tol=1e-1).stats.capacity <= 1.0

    def test_once_only(self):
        one = mf.Particles.from_arrays([1.0], [[2.0]], kappa=1.0, kappa_prime=1.0).centred()
        with pytest.raises(InputError, match="subtracted already"):
            one.centred()


def test_biases_that_start_at_zero():
    problem = mf.Problem(X, TWO[:, 0])
    network = mf.Particles.sample(problem, mf.Scaling(1.0, 0.0), 20, zero_bias=True, rng=0)
    plain = mf.Particles.sample(problem, mf.Scaling(1.0, 0.0), 20, rng=0)
    np.testing.assert_array_equal(network.w[:, :2], plain.w[:, :2])
    np.testing.assert_array_equal(network.w[:, 2], 0.0)
    run = mf.gradient_flow(problem, network, t_end=10.0, loss_tol=0)
    assert np.abs(run.final.w[:, 2]).max() > 0.0
    with pytest.raises(InputError, match="the problem has no bias"):
        mf.Particles.sample(mf.Problem(X, TWO[:, 0], bias=False), mf.Scaling(1.0, 0.0), 20, zero_bias=True)


def test_a_factor_of_the_output_is_lazy_training():
    """Chizat, Oyallon and Bach (2019), theorem 2.2: weights move by O(1/factor) to the same loss."""
    problem = mf.Problem(X[:5], TWO[:5, 0])
    moved = []
    for factor in (10.0, 100.0):
        network = mf.Particles.sample(
            problem, mf.Scaling(1.0, 0.0, beta2=1.0), 200, activation="tanh", factor=factor, rng=0
        )
        moved.append(mf.gradient_flow(problem, network, loss_tol=1e-2).stats.rd_w_max)
    assert moved[0] / moved[1] == pytest.approx(10.0, rel=0.1)


class TestSentences:
    def test_other_numbers_of_outputs(self):
        one = mf.Particles.sample(mf.Problem(X, TWO[:, 0]), mf.Scaling(1.0, 0.0), 10, rng=0)
        with pytest.raises(InputError, match="have 1 outputs, but the targets of data are for 2"):
            mf.gradient_flow(mf.Problem(X, TWO), one)

    def test_labels_of_two_classes_in_columns(self):
        with pytest.raises(InputError, match=r"shape \(9, 3\), but the loss 'logistic'.*cross-entropy"):
            mf.Problem(X, ONE_HOT, loss="logistic")

    def test_they_say_what_they_are(self):
        problem = mf.Problem(X, TWO)
        network = mf.Particles.sample(problem, mf.Scaling(1.0, 0.0, beta2=1.0), 4, activation="tanh", rng=0)
        said = repr(network.trained(w=0.0).centred())
        assert said.endswith("activation=tanh, beta2=1, outputs=2, rates=(1.0, 0.0), centred>")
        assert repr(problem) == "<Problem 'data': n=9, d=3, bias=True, outputs=2>"

    def test_what_is_for_one_output(self):
        problem = mf.Problem(X, TWO)
        with pytest.raises(InputError, match="one output only, but the problem has 2"):
            mf.infinite_width(problem, mf.Scaling(1.0, 0.0), width=10)
        with pytest.raises(InputError, match="has 2 outputs, but nodes are for one"):
            mf.Particles.quadrature(problem, mf.Scaling(1.0, 0.0), 10)
        network = mf.Particles.sample(problem, mf.Scaling(1.0, 0.0), 10, rng=0)
        with pytest.raises(InputError, match=r"2 outputs, but these kernels.*flow\.tangent_kernel"):
            mf.limits.empirical_kernels(network, problem.x)
        with pytest.raises(InputError, match="'residual', which is for one output"):
            mf.gradient_flow(problem, network, method="residual")

    def test_activations_of_tables_are_known(self):
        assert as_activation("softplus").name == "softplus"
