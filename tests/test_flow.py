"""Gradient flow: every method on every system with a known solution, against SciPy, and its contract.

Where a tolerance comes from: a step is accepted if it errs by at most ``rtol |e| + atol |y|`` in the
outputs and by ``3 rtol`` of their displacement in the particles. Errors of outputs contract (K is positive
semi-definite), so what a run may be off by is the sum of what its steps were allowed.
"""

import dataclasses
import itertools
import json
import math

import naive
import numpy as np
import pytest
import systems
from scipy.integrate import solve_ivp

from meanfield import (
    InputError,
    Particles,
    Problem,
    Scaling,
    Status,
    Trajectory,
    datasets,
    gradient_descent,
    gradient_flow,
    kernels,
)
from meanfield.flow import METHODS, FlowInterrupted, Snapshot
from meanfield.flow.control import StepControl
from meanfield.flow.linearly_implicit import ROS34PW2, LinearlyImplicit
from meanfield.flow.observables import Observer
from meanfield.flow.stopping import SecondsReached
from meanfield.flow.system import ReluSystem

EPS = np.finfo(float).eps
GAMMA, ALPHA, COUPLING = ROS34PW2.gamma, ROS34PW2.alpha, ROS34PW2.coupling
B, B_EMBEDDED = ROS34PW2.b, ROS34PW2.embedded
#: Order of each method on smooth problems.
ORDER = {"residual": 2, "linearly-implicit": 3, "runge-kutta": 5, "rosenbrock": 4, "stabilised": 2}
FOUR = datasets.four_points()

every_method = pytest.mark.parametrize("method", METHODS)
#: What an explicit method makes of a kink is of first order in h, and its estimate, of higher order, does not
#: see it.
keeps_its_tolerance_at_kinks = pytest.mark.parametrize("method", ["residual", "linearly-implicit"])


@pytest.fixture(scope="module")
def system_of():
    made = {}

    def get(name):
        if name not in made:
            made[name] = systems.SYSTEMS[name]()
        return made[name]

    return get


def rms(values):
    return np.sqrt(np.mean(np.square(values), axis=-1))


def run_counting(problem, particles, **kwargs):
    """A run with its start, and what its steps may have erred by together, in outputs, at each time."""
    seen = []
    run = gradient_flow(problem, particles, progress=seen.append, **kwargs).with_ends()
    residual = np.sqrt([2 * now.loss for now in seen])
    scale = max(rms(problem.y), residual[0])
    steps = np.cumsum(run.stats.rtol * residual + run.stats.atol * scale)
    allowed = np.interp(run.time, [now.time for now in seen], np.concatenate([[0.0], steps[:-1]]))
    return run, allowed


def sample(width=50, seed=0, *, problem=FOUR, gamma=0.5, **kwargs):
    return Particles.sample(problem, Scaling(gamma=gamma), width, rng=seed, **kwargs)


class TestExactSolutions:
    TIMES = np.array([0.01, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0])

    @every_method
    @pytest.mark.parametrize("rtol", [1e-2, 1e-3, 1e-5])
    @pytest.mark.parametrize("name", systems.SYSTEMS)
    def test_every_method_on_every_system(self, name, rtol, method, system_of):
        system = system_of(name)
        run, allowed = run_counting(
            system.problem, system.particles, save_at=system.t_end * self.TIMES, loss_tol=0, stationarity=0,
            rtol=rtol, atol=1e-3 * rtol, method=method,
        )  # fmt: skip
        assert run.status is Status.REACHED_TIME
        np.testing.assert_array_equal(run.time[1:], system.t_end * self.TIMES)
        exact = [system.exact(t) for t in run.time]
        error = rms(run.output - np.array([solution.output for solution in exact]))
        model = system.model_error * rms(system.problem.y)
        assert np.all(error <= allowed + model + 1e-13)
        # Particles may err by 3 rtol of their displacement in each step.
        share = 3 * rtol * run.stats.steps + system.rd_error
        for ours, theirs in ((run.rd_w, "rd_w"), (run.rd_a, "rd_a")):
            expected = np.array([getattr(solution, theirs) for solution in exact])
            if not np.isnan(expected).all():
                np.testing.assert_allclose(ours, expected, rtol=share, atol=1e-15)
        np.testing.assert_allclose(run.loss, [system.problem.loss(f) for f in run.output], rtol=1e-12)

    @pytest.mark.parametrize("name", systems.SYSTEMS)
    def test_systems_are_right(self, name, system_of):
        """The formulas against SciPy on the plain right-hand side, at a tolerance of 1e-9.

        Small cases only: the kinks of the quadrature's many nodes cost SciPy too many steps.
        """
        system = system_of(name)
        particles, problem = system.particles, system.problem
        if not system.kink_free:
            assert system.exact(0.0).output == pytest.approx(np.zeros(problem.n), abs=1e-12)
            return
        a, w = integrate_normalised(problem, particles, system.t_end * self.TIMES, method="DOP853", rtol=1e-9)
        for tbar, a_t, w_t in zip(system.t_end * self.TIMES, a, w, strict=True):
            exact = system.exact(tbar)
            f = naive.normalised_network(a_t, w_t, problem.x, particles.kappa, particles.weight)
            np.testing.assert_allclose(f, exact.output, rtol=1e-7, atol=1e-8)
            assert naive.relative_displacement(w_t, particles.w, particles.weight) == pytest.approx(
                exact.rd_w, rel=1e-6
            )
            assert naive.relative_displacement(a_t, particles.a, particles.weight) == pytest.approx(
                exact.rd_a, rel=1e-6
            )

    @every_method
    def test_error_falls_with_rtol(self, method, system_of):
        """On smooth data like rtol**(order / error_order): steps follow the estimate, the error h**order."""
        system = system_of("kink-free")
        rtols, errors = np.array([1e-2, 1e-3, 1e-4, 1e-5, 1e-6]), []
        for rtol in rtols:
            run = gradient_flow(
                system.problem, system.particles, save_at=system.t_end * self.TIMES, loss_tol=0,
                rtol=rtol, atol=1e-3 * rtol, method=method, stationarity=0,
            )  # fmt: skip
            errors.append(max(rms(run.output[j] - system.exact(t).output) for j, t in enumerate(run.time)))
        slope = np.polyfit(np.log(rtols), np.log(errors), 1)[0]
        assert abs(slope - ORDER[method] / METHODS[method].error_order) < 0.15
        assert np.all(np.diff(errors) < 0)

    @pytest.mark.parametrize("kappa_prime", [0.5, 2.0])
    def test_kernel_law_of_random_networks(self, kappa_prime):
        """Finite widths scatter around the kernel law by 1/sqrt(m); z = 4 standard errors of the ensemble.

        False alarms: 3 times x 4 samples at 6e-5 each, under 1e-3; seeds are fixed. Two biases of the
        mean are allowed besides: the law is for particles that do not move, and twins cancel what is
        linear in their displacement, which leaves its square; and ``E exp(-M t)`` is not
        ``exp(-E M t)`` but larger by half the variance of the exponent, i.e. by the spread squared.
        """
        problem = Problem([-0.8, -0.1, 0.3, 0.9], [0.5, -0.3, 0.8, 0.2])
        m, networks = 2000, 24
        # beta1 beta2 / alpha = kappa' with beta2 = 1: m kappa = 2000 kappa', deep in the linear regime
        scaling = Scaling(alpha=1, beta1=kappa_prime, beta2=1)
        times = np.array([1.0, 5.0, 25.0]) / (m * kappa_prime**2)
        runs = []
        for seed in range(networks):
            particles = Particles.sample(problem, scaling, m, rng=seed)
            runs.append(gradient_flow(problem, particles, save_at=times, loss_tol=0, rtol=1e-4, atol=1e-7))
        residuals = np.array([run.output - problem.y for run in runs])
        mean, spread = residuals.mean(axis=0), residuals.std(axis=0, ddof=1)
        moved = max(run.stats.rd_w_max + run.stats.rd_a_max for run in runs)
        steps = max(run.stats.steps for run in runs)
        scale = rms(problem.y)
        for j, t in enumerate(times):
            law = systems.kernel_law(problem, m, kappa_prime, kappa_prime, t, -problem.y)
            bias = moved**2 * scale + spread[j] ** 2 / scale + 1e-4 * steps * scale
            assert np.all(np.abs(mean[j] - law) <= 4 * spread[j] / math.sqrt(networks) + bias)
        # The scatter is that of a mean over m/2 independent pairs, of order |y| / sqrt(m).
        assert 0.1 < rms(spread.ravel()) * math.sqrt(m) / scale < 3.0


class TestOrder:
    @every_method
    def test_fixed_steps(self, method, system_of):
        system = system_of("kink-free")
        flow, errors = METHODS[method].needs.of(system.problem, system.particles), []
        t, counts = {
            "runge-kutta": (2.0, [8, 16, 32]),
            "rosenbrock": (5.0, [10, 20, 40, 80]),
            "stabilised": (20.0, [80, 160, 320, 640]),
        }.get(method, (20.0, [20, 40, 80, 160, 320]))
        exact = system.exact(t).output
        for steps in counts:
            stepper = METHODS[method](flow)
            state = flow.state(0.0, flow.theta0.copy())
            for _ in range(steps):
                state = stepper.step(state, flow.kappa * t / steps).state
            errors.append(rms(state.e + system.problem.y - exact))
        slopes = -np.diff(np.log2(errors))
        assert np.all(np.abs(slopes - ORDER[method]) < 0.15), slopes

    @every_method
    def test_error_estimate_falls_with_its_order(self, method, system_of):
        system = system_of("kink-free")
        flow = METHODS[method].needs.of(system.problem, system.particles)
        state = flow.state(0.0, flow.theta0.copy())
        steps = flow.kappa * 0.4 / 2.0 ** np.arange(5, 8)
        estimates = [rms(METHODS[method](flow).step(state, h).output_error) for h in steps]
        slopes = -np.diff(np.log2(estimates))
        assert np.all(np.abs(slopes - METHODS[method].error_order) < 0.15), slopes

    def test_order_conditions(self):
        """Of a W-method, for an arbitrary matrix in place of the Jacobian (Hairer, Wanner, IV.7).

        With alpha_i and gamma_i the row sums, every tree up to order 3 in which a vertex with one child
        may carry the matrix: all of those with the matrix must vanish.
        """
        full = COUPLING + GAMMA * np.eye(4)
        alpha, gamma = ALPHA.sum(axis=1), full.sum(axis=1)
        conditions = {
            "b": (B.sum(), 1.0),
            "b alpha": (B @ alpha, 1 / 2),
            "b gamma": (B @ gamma, 0.0),
            "b alpha^2": (B @ alpha**2, 1 / 3),
            "b alpha alpha": (B @ ALPHA @ alpha, 1 / 6),
            "b alpha gamma": (B @ ALPHA @ gamma, 0.0),
            "b gamma alpha": (B @ full @ alpha, 0.0),
            "b gamma gamma": (B @ full @ gamma, 0.0),
            "embedded b": (B_EMBEDDED.sum(), 1.0),
            "embedded b alpha": (B_EMBEDDED @ alpha, 1 / 2),
            "embedded b gamma": (B_EMBEDDED @ gamma, 0.0),
            "gamma is a root": (GAMMA**3 - 3 * GAMMA**2 + 1.5 * GAMMA, 1 / 6),
        }
        wrong = {name: got - want for name, (got, want) in conditions.items() if abs(got - want) > 1e-14}
        assert not wrong
        np.testing.assert_allclose(B, (ALPHA + full)[3], rtol=0, atol=1e-14)  # stiffly accurate
        # L-stable: R(infinity) = 1 - b (alpha + gamma)^-1 1 = 0
        assert abs(1 - B @ np.linalg.solve(ALPHA + full, np.ones(4))) < 1e-13

    def test_a_step_against_the_textbook(self):
        """The n x n algebra against a dense Jacobian of all particles: equal to rounding."""
        rng = np.random.default_rng(4)
        problem = Problem(rng.standard_normal((5, 3)), rng.standard_normal(5))
        particles = Particles.from_arrays(
            rng.standard_normal(9), rng.standard_normal((9, 4)), kappa=0.3, kappa_prime=0.7,
            weight=rng.uniform(0.5, 2, 9),
        )  # fmt: skip
        flow, h, n = ReluSystem(problem, particles), 0.8, problem.n
        theta, weight, kappa = flow.theta0, flow.weight, flow.kappa
        phi = naive.features(theta, problem.x)
        J = -(kappa / n) * phi.reshape(n, -1).T @ (phi * weight).reshape(n, -1)

        def velocity(state):
            e = kappa * naive.output(state, weight, problem.x) - problem.y
            return naive.pullback(state, -e / n, problem.x)

        k, matrix = np.zeros((4, *theta.shape)), np.eye(J.shape[0]) - GAMMA * h * J
        for i in range(4):
            stage = theta + np.tensordot(ALPHA[i], k, 1)
            coupled = np.tensordot(COUPLING[i], k, 1).ravel()
            k[i] = np.linalg.solve(matrix, h * velocity(stage).ravel() + h * J @ coupled).reshape(theta.shape)
        attempt = LinearlyImplicit(flow).step(flow.state(0.0, theta), h)
        new = theta + np.tensordot(B, k, 1)
        np.testing.assert_allclose(attempt.state.theta, new, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(
            attempt.state.e, kappa * naive.output(new, weight, problem.x) - problem.y, rtol=1e-12, atol=1e-13
        )
        difference = np.tensordot(B - B_EMBEDDED, k, 1)
        np.testing.assert_allclose(
            attempt.output_error,
            kappa * naive.tangent(theta, weight, difference, problem.x),
            rtol=1e-9,
            atol=1e-13,
        )
        np.testing.assert_allclose(
            attempt.layer_error**2,
            naive.combination_norms(difference[None], [1.0], weight),
            rtol=1e-9,
            atol=1e-15,
        )
        rate = kappa * np.sum(weight * velocity(theta) ** 2)
        assert attempt.loss_rate == pytest.approx(rate, rel=1e-12)


@every_method
@pytest.mark.parametrize("rtol", [1e-1, 1e-4])
def test_a_step_is_a_function_of_state_length_and_memory(method, rtol):
    """Repeated, it gives the same bits, after refused attempts and between other steps alike."""
    x = np.linspace(-0.5, 0.5, 16)
    system = METHODS[method].needs.of(*_sine(x))
    stepper, control, observer = METHODS[method](system), StepControl(rtol, 1e-6, 3), Observer(system)
    state, memory, h, refused = system.state(0.0, system.theta0.copy()), None, 1.0, 0
    for _ in range(40):
        attempt = stepper.step(state, h, memory)
        theta = attempt.state.theta.copy()
        if refused % 2:  # another step in between, with another memory
            stepper.step(state, 0.3 * h)
        again = stepper.step(state, h, memory)
        np.testing.assert_array_equal(again.state.theta, theta)
        for field in ("output_error", "layer_error", "loss_rate"):
            np.testing.assert_array_equal(getattr(again, field), getattr(attempt, field))
        with np.errstate(over="ignore", invalid="ignore"):
            error = control.error(state, attempt, observer.measure(again.state), system)
        accepted = control.accepts(state, attempt, error, 0.0)
        h = control.next_h(h, error, accepted)
        refused += not accepted
        state, memory = (again.state, again.memory) if accepted else (state, again.again)
    assert refused > 3


def _sine(x):
    problem = Problem(x, np.sin(4 * np.pi * x))
    return problem, Particles.sample(problem, Scaling(gamma=1.0), 40, rng=0)


class TestSlidesInDoubt:
    """A neuron with |p| |q| = 1 on a kink whose two sides let go of it nearly at once: see kernels.move."""

    X = np.array([[0.0, 1.0], [1.0, 1.0]])

    def start(self, felt, e):
        particles = Particles.from_arrays([1.0], [[1.0, 0.0]], kappa=1.0, kappa_prime=1.0)
        targets = np.maximum(self.X @ particles.w[0], 0.0) - e
        flow = ReluSystem(Problem(self.X, targets, bias=False), particles)
        return METHODS["residual"](flow), flow.state(
            1.0, flow.theta0.copy(), f=targets + e, felt=np.array(felt)
        )

    def test_before_the_step_is_no_reason_for_a_shorter_one(self):
        errors = []
        for h in (0.02, 0.01):
            stepper, state = self.start(felt=[2.0, -1.0], e=[-1.5, 1.0])
            errors.append(rms(stepper.step(state, h).output_error))
            np.testing.assert_array_equal(state.theta, [[1.0], [1.0], [0.0]])
        assert errors[0] < 1e-6
        assert errors[1] < errors[0] / 4

    @pytest.mark.parametrize(
        ("e", "seen", "share"),
        [([2.0, -1.0], 0.0, 1.0), ([-1.5, 1.0], 0.0, 0.0), ([-1.5, 1.0], 10.0, 1.0)],
        ids=["within the step", "before the step", "too small to matter"],
    )
    def test_contribution_of_neurons_in_doubt(self, e, seen, share):
        stepper, state = self.start(felt=[2.0, -1.0], e=e)
        error = stepper._exact._doubt(state, 0.1, 1.0, np.full(2, seen))
        np.testing.assert_allclose(error, share * np.linalg.norm(self.X, axis=1), rtol=1e-14)


def integrate_normalised(problem, particles, times, *, method, rtol, width_of_kink=0.0, atol=None):
    """SciPy on the plain right-hand side in normalised units; returns a (T, m) and w (T, m, d).

    A generic integrator stalls where a neuron slides along a kink. With ``width_of_kink`` = eps relu'
    rises linearly across |z| < eps/2 instead: its flow tends to Filippov's as eps -> 0, at first order.
    """
    m, d = particles.w.shape
    kappa, kappa_prime, x, y, n = particles.kappa, particles.kappa_prime, problem.x, problem.y, problem.n

    def rate(_, state):
        a, w = state[:m], state[m:].reshape(m, d)
        if not width_of_kink:
            da, dw = naive.normalised_velocity(a, w, x, y, kappa, kappa_prime, particles.weight)
            return np.concatenate([da, dw.ravel()])
        z = w @ x.T
        active, slope = np.maximum(z, 0.0), np.clip(z / width_of_kink + 0.5, 0.0, 1.0)
        e = kappa * (particles.weight * a) @ active - y
        dw = -(kappa * kappa_prime / n) * (a[:, None] * slope * e) @ x
        return np.concatenate([-(kappa / kappa_prime / n) * active @ e, dw.ravel()])

    solution = solve_ivp(
        rate, (0.0, times[-1]), np.concatenate([particles.a, particles.w.ravel()]), t_eval=times,
        method=method, rtol=rtol, atol=atol or 1e-3 * rtol,
    )  # fmt: skip
    assert solution.success
    return solution.y[:m].T, solution.y[m:].T.reshape(-1, m, d)


class TestAgainstSciPy:
    """Four points, width 20, through kinks. SciPy knows nothing of the structure that the methods use."""

    @staticmethod
    def compare(run, allowed, a, w, extra=0.0):
        particles = run.initial
        outputs = [
            naive.normalised_network(a_t, w_t, FOUR.x, particles.kappa, particles.weight)
            for a_t, w_t in zip(a, w, strict=True)
        ]
        assert np.all(rms(run.output[1:] - outputs) <= allowed[1:] + extra)
        for j, (a_t, w_t) in enumerate(zip(a, w, strict=True), start=1):
            rd_w = naive.relative_displacement(w_t, particles.w, particles.weight)
            rd_a = naive.relative_displacement(a_t, particles.a, particles.weight)
            share = 3 * run.stats.rtol * run.stats.steps
            assert abs(run.rd_w[j] - rd_w) <= share * rd_w + extra
            assert abs(run.rd_a[j] - rd_a) <= share * rd_a + extra
            # the particles themselves, each by each
            for ours, theirs, initial in (
                (run.saved_w[j], w_t, particles.w),
                (run.saved_a[j], a_t, particles.a),
            ):
                moved = np.linalg.norm(theirs - initial)
                assert np.linalg.norm(ours - theirs) <= share * moved + 10 * extra

    @keeps_its_tolerance_at_kinks
    @pytest.mark.parametrize(
        ("gamma", "seed", "t_end"), [(0.5, 2, 30.0), (0.5, 3, 2.0), (1.0, 0, 100.0), (1.0, 3, 100.0)]
    )
    def test_crossing_kinks(self, gamma, seed, t_end, method):
        """Until the first neuron slides: there SciPy's steps collapse."""
        particles, times = sample(20, seed, gamma=gamma), t_end * np.geomspace(0.01, 1, 8)
        a, w = integrate_normalised(FOUR, particles, times, method="LSODA", rtol=1e-8)
        crossed = np.sum((w[-1] @ FOUR.x.T > 0) != (particles.w @ FOUR.x.T > 0))
        assert crossed > 0 or (gamma, seed) == (0.5, 2)
        run, allowed = run_counting(
            FOUR, particles, save_at=times, rtol=1e-4, atol=1e-7, loss_tol=0, stationarity=0,
            save_parameters=True, method=method,
        )  # fmt: skip
        self.compare(run, allowed, a, w, extra=1e-6)

    @keeps_its_tolerance_at_kinks
    @pytest.mark.parametrize(
        ("gamma", "seed", "t_end"),
        [(0.5, 0, 30.0), (0.5, 3, 30.0), (1.0, 0, 200.0), (1.0, 1, 200.0), (1.0, 3, 200.0)],
    )
    def test_sliding_along_kinks(self, gamma, seed, t_end, method):
        particles, times = sample(20, seed, gamma=gamma), t_end * np.geomspace(0.01, 1, 8)
        wide, narrow = (
            integrate_normalised(
                FOUR, particles, times, method="LSODA", rtol=1e-9, atol=1e-11, width_of_kink=eps
            )
            for eps in (1e-4, 1e-5)
        )
        a, w = narrow
        z = w[-1] @ FOUR.x.T
        assert np.any(np.abs(z) < 1e-5)  # some neuron is on a kink at the end
        # The smoothed kink errs in proportion to its width: the rest is a ninth of this difference.
        smoothing = max(np.abs(wide[0] - a).max(), np.abs(wide[1] - w).max()) / 9
        run, allowed = run_counting(
            FOUR, particles, save_at=times, rtol=1e-4, atol=1e-7, loss_tol=0, stationarity=0,
            save_parameters=True, method=method,
        )  # fmt: skip
        self.compare(run, allowed, a, w, extra=smoothing)

    @pytest.mark.parametrize("seed", [6, 18, 38])
    def test_opposite_samples_in_space(self, seed):
        """Without a bias x and -x share a kink, and neurons slide along it: every particle."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((3, 3))
        problem = Problem(np.concatenate([x, -x]), rng.standard_normal(6), bias=False)
        particles = Particles.from_arrays(
            rng.standard_normal(5), rng.standard_normal((5, 3)), kappa=0.3, kappa_prime=1.0
        )
        times = np.array([2.0, 10.0, 30.0])
        wide, narrow = (
            integrate_normalised(
                problem, particles, times, method="LSODA", rtol=1e-9, atol=1e-11, width_of_kink=eps
            )
            for eps in (1e-4, 1e-5)
        )
        a, w = narrow
        assert np.any(np.abs(w[-1] @ problem.x.T) < 1e-5)  # some neuron is on a kink at the end
        smoothing = max(np.abs(wide[0] - a).max(), np.abs(wide[1] - w).max()) / 9
        assert smoothing < 1e-3
        run = gradient_flow(
            problem, particles, save_at=times, rtol=1e-5, atol=1e-8, loss_tol=0, stationarity=0,
            save_parameters=True, progress=False,
        )  # fmt: skip
        np.testing.assert_allclose(run.saved_w, w, rtol=0, atol=1e-3 + 10 * smoothing)
        np.testing.assert_allclose(run.saved_a, a, rtol=0, atol=1e-3 + 10 * smoothing)

    def test_explicit_steps_across_kinks(self):
        """They cost accuracy, which a smaller tolerance buys back."""
        particles, times = sample(20, 0, gamma=1.0), 100.0 * np.geomspace(0.01, 1, 8)
        a, w = integrate_normalised(FOUR, particles, times, method="LSODA", rtol=1e-8)
        errors = []
        for rtol in (1e-3, 1e-5, 1e-7):
            run = gradient_flow(
                FOUR, particles, save_at=times, rtol=rtol, atol=1e-3 * rtol, loss_tol=0, stationarity=0,
                save_parameters=True, method="runge-kutta",
            )  # fmt: skip
            errors.append(np.abs(run.saved_w - w).max() + np.abs(run.saved_a - a).max())
        assert errors[0] > 3 * errors[1] > 9 * errors[2]
        assert errors[2] < 1e-4

    @pytest.mark.parametrize("unit", [1.0, 0.1, 3.0])
    @pytest.mark.parametrize("kappa_prime", [0.5, 1.0])
    def test_the_users_units(self, unit, kappa_prime):
        """alpha, beta1, beta2 enter through kappa, kappa' and the unit of time beta1 beta2 only."""
        m, kappa, tbar = 20, 0.3, 2.0
        beta1, beta2 = kappa_prime * unit, unit
        scaling = Scaling(alpha=beta1 * beta2 / kappa, beta1=beta1, beta2=beta2)
        alpha = beta1 * beta2 / kappa
        particles = Particles.sample(FOUR, scaling, m, rng=2)
        assert particles.kappa == pytest.approx(kappa)
        assert particles.kappa_prime == pytest.approx(kappa_prime)
        t = beta1 * beta2 * tbar
        assert scaling.tbar(1, t, m) == pytest.approx(tbar)

        def rate(_, state):
            da, dw = naive.velocity(state[:m], state[m:].reshape(m, 2), FOUR.x, FOUR.y, alpha)
            return np.concatenate([da, dw.ravel()])

        start = np.concatenate([beta1 * particles.a, beta2 * particles.w.ravel()])
        end = solve_ivp(rate, (0, t), start, method="LSODA", rtol=1e-9, atol=1e-12 * unit).y[:, -1]
        run, allowed = run_counting(
            FOUR, particles, t_end=tbar, save_at=[tbar], rtol=1e-5, atol=1e-8, loss_tol=0, stationarity=0
        )
        a, w = end[:m], end[m:].reshape(m, 2)
        assert rms(naive.network(a, w, FOUR.x, alpha) - run.output[-1]) <= allowed[-1]
        share = 3e-5 * run.stats.steps
        moved = np.linalg.norm(a / beta1 - particles.a), np.linalg.norm(w / beta2 - particles.w)
        assert np.linalg.norm(a / beta1 - run.final.a) <= share * moved[0]
        assert np.linalg.norm(w / beta2 - run.final.w) <= share * moved[1]

    @pytest.mark.parametrize("method", [name for name in METHODS if name != "stabilised"])
    @pytest.mark.parametrize(("n", "rank", "d"), [(3, 3, 7), (5, 2, 4), (1, 1, 6), (4, 4, 4)])
    def test_rank_reduction(self, n, rank, d, method):
        """The flow in the samples' span against SciPy in all d dimensions."""
        rng = np.random.default_rng(n)
        x = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
        problem = Problem(x, rng.standard_normal(n), bias=False)
        assert problem.rank == rank
        m = 12
        particles = Particles.from_arrays(
            rng.standard_normal(m), rng.standard_normal((m, d)), kappa=1.0 / m, kappa_prime=0.8
        )
        times = np.array([0.1, 0.5, 2.0])
        a, w = integrate_normalised(
            problem, particles, times, method="LSODA", rtol=1e-9, atol=1e-11, width_of_kink=1e-6
        )
        run, allowed = run_counting(
            problem, particles, save_at=times, rtol=1e-5, atol=1e-8, loss_tol=0, stationarity=0, method=method
        )
        for j, (a_t, w_t) in enumerate(zip(a, w, strict=True), start=1):
            f = naive.normalised_network(a_t, w_t, x, particles.kappa, particles.weight)
            assert rms(run.output[j] - f) <= allowed[j] + 1e-6
            share = 3e-5 * run.stats.steps
            rd_w = naive.relative_displacement(w_t, particles.w, particles.weight)
            assert abs(run.rd_w[j] - rd_w) <= share * rd_w + 1e-6
        outside = np.eye(d) - problem.basis @ problem.basis.T
        np.testing.assert_allclose(
            run.final.w @ outside, particles.w @ outside, rtol=0, atol=20 * EPS * np.abs(particles.w).max()
        )


class TestLaws:
    """What every run obeys, over the plane of scalings."""

    POINTS = ((0.5, 0.0), (0.7, 0.5), (1.0, 0.0), (1.3, -0.4), (1.4, 0.4), (1.75, 0.0))

    @pytest.fixture(scope="class")
    @staticmethod
    def runs():
        made = {}
        for method in METHODS:
            for gamma, gamma_prime in TestLaws.POINTS:
                particles = Particles.sample(FOUR, Scaling(gamma, gamma_prime), 200, rng=1)
                losses = []
                run = gradient_flow(
                    FOUR, particles, loss_atol=1e-5, rtol=3e-3, method=method,
                    progress=lambda now, losses=losses: losses.append(now.loss),
                )  # fmt: skip
                made[method, gamma, gamma_prime] = run, np.array(losses)
        return made

    @every_method
    @pytest.mark.parametrize(("gamma", "gamma_prime"), POINTS)
    def test_laws(self, method, gamma, gamma_prime, runs):
        run, losses = runs[method, gamma, gamma_prime]
        assert run.status is Status.CONVERGED
        assert run.loss[-1] <= 1e-5
        # the loss never rises, at any step, but for rounding
        assert np.all(np.diff(losses) <= 1e-9 * losses[:-1] + 1e-28)
        assert np.all(np.diff(run.loss) <= 1e-9 * run.loss[:-1] + 1e-28)
        # p^2 - |q|^2: each step may err by 3 rtol of both layers' displacement, which are at most
        # (|theta| + |theta_0|): 2 |theta| |d theta| <= 4 . 3 rtol |theta|^2
        assert run.stats.conservation_drift <= 12 * 3e-3 * run.stats.steps
        # |f| <= kappa |x| |q| |p|; p comes from the conserved difference, hence its drift
        assert 0 < run.stats.capacity <= 1 + 2 * run.stats.conservation_drift + 1e-9
        assert run.stats.rd_w_max >= run.rd_w.max()
        assert run.stats.rd_a_max >= run.rd_a.max()

    @every_method
    @pytest.mark.parametrize(("gamma", "gamma_prime"), POINTS)
    def test_reported_numbers_are_their_definitions(self, method, gamma, gamma_prime, runs):
        run, _ = runs[method, gamma, gamma_prime]
        first, last = run.initial, run.final
        rd_w = naive.relative_displacement(last.w, first.w, first.weight)
        rd_a = naive.relative_displacement(last.a, first.a, first.weight)
        # A displacement is a difference of parameters: it has their rounding.
        assert run.rd_w[-1] == pytest.approx(rd_w, rel=1e-10, abs=4 * EPS)
        assert run.rd_a[-1] == pytest.approx(rd_a, rel=1e-10, abs=4 * EPS)
        f = naive.normalised_network(last.a, last.w, FOUR.x, last.kappa, last.weight)
        np.testing.assert_allclose(run.output[-1], f, rtol=1e-9, atol=1e-10)
        assert run.loss[-1] == pytest.approx(
            naive.loss(last.a, last.w, FOUR.x, FOUR.y, 1 / last.kappa), rel=1e-6
        )
        kp, balance = first.kappa_prime, []
        for state in (first, last):
            p2, q2 = kp * state.a**2, np.sum(state.w**2, axis=1) / kp
            balance.append(p2 - q2)
        drift = np.mean(np.abs(balance[1] - balance[0])) / np.mean(p2 + q2)
        assert drift <= run.stats.conservation_drift + 1e-14
        W2 = np.mean(np.sum(last.w**2, axis=1))  # the bound of the theory page, with the draw's own norms
        p2 = kp * np.mean(first.a**2) + W2 / kp - np.mean(np.sum(first.w**2, axis=1)) / kp
        bound = 200 * first.kappa * np.linalg.norm(FOUR.x, axis=1) * math.sqrt(W2 / kp * p2)
        assert np.max(np.abs(run.output[-1]) / bound) <= run.stats.capacity * (1 + 1e-9)

    @keeps_its_tolerance_at_kinks
    def test_drift_falls_with_rtol(self, method):
        drifts = [
            gradient_flow(FOUR, sample(200, gamma=1.3), rtol=rtol, method=method, t_end=500.0, loss_tol=0)
            .stats.conservation_drift
            for rtol in (1e-3, 1e-4, 1e-5)  # at 1e-2 four steps do it: no law yet
        ]  # fmt: skip
        assert drifts[0] < 12 * 1e-3
        for coarse, fine in itertools.pairwise(drifts):
            assert fine <= max(coarse / 4, 1e-13)

    def test_energy_drift_falls_with_rtol(self):
        """Kinks and sliding included; explicit steps know their energy, too, gradient descent does not."""
        runs = [
            gradient_flow(FOUR, sample(200, gamma=0.5), rtol=rtol, t_end=500.0, loss_tol=0)
            for rtol in (1e-2, 1e-4, 1e-6)
        ]
        drifts = [run.stats.energy_drift for run in runs]
        assert drifts[0] < 0.05
        assert drifts[1] < 0.5 * drifts[0]
        assert drifts[2] < 0.5 * drifts[1]
        explicit = gradient_flow(FOUR, sample(200, gamma=0.5), rtol=1e-6, t_end=5.0, method="runge-kutta")
        assert 0 < explicit.stats.energy_drift < 1e-4
        assert np.isnan(
            gradient_descent(FOUR, sample(200), learning_rate=0.1, max_steps=3).stats.energy_drift
        )

    def test_energy_law(self):
        """The snapshots' loss_rate is ``-dR/dtbar``: against differences along the run, on smooth data."""
        system, seen = systems.kink_free(), []
        gradient_flow(
            system.problem, system.particles, t_end=system.t_end, loss_tol=0, rtol=1e-6, atol=1e-9,
            progress=seen.append,
        )  # fmt: skip
        # loss_rate belongs to the start of the last step
        for before, now, after in zip(seen, seen[1:], seen[2:], strict=False):
            h = after.time - now.time
            slope = (after.loss - now.loss) / h
            mean = -(after.loss_rate + 0.0)
            # a one-sided difference errs by the change of the rate over the step
            assert abs(slope - mean) <= 1.01 * abs(now.loss_rate - after.loss_rate) * max(
                1.0, h / (now.time - before.time)
            ) + 1e-9 * abs(mean)

    def test_weights_are_multiplicities(self):
        one = sample(20, 3, gamma=1.0)
        merged = Particles.from_arrays(
            one.a, one.w, kappa=one.kappa, kappa_prime=1.0, weight=np.full(20, 3.0)
        )
        copies = Particles.from_arrays(
            np.tile(one.a, 3), np.tile(one.w, (3, 1)), kappa=one.kappa, kappa_prime=1.0
        )
        runs = [gradient_flow(FOUR, p, save_at=[1.0, 10.0, 50.0], loss_tol=0) for p in (merged, copies)]
        np.testing.assert_allclose(runs[0].output, runs[1].output, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(runs[0].rd_w, runs[1].rd_w, rtol=1e-9)

    @every_method
    def test_same_bits_for_any_number_of_threads(self, method):
        """60 000 neurons: a pass costs at least 28 flops each, enough for four threads."""
        assert kernels.chunk_count(60_000) > 4
        particles, before, results = sample(60_000, gamma=1.0), kernels.get_threads(), []
        try:
            for threads in (1, 2, 3, 4):
                kernels.set_threads(threads)
                run = gradient_flow(FOUR, particles, max_steps=6, method=method)
                results.append((run.final.a.tobytes(), run.final.w.tobytes(), run.output.tobytes()))
        finally:
            kernels.set_threads(before)
        assert results[0] == results[1] == results[2] == results[3]

    @every_method
    def test_same_call_same_bits(self, method):
        runs = [gradient_flow(FOUR, sample(30, 5, gamma=1.0), method=method, t_end=50.0) for _ in range(2)]
        assert runs[0].final.w.tobytes() == runs[1].final.w.tobytes()
        assert runs[0].time.tobytes() == runs[1].time.tobytes()

    def test_particles_are_left_alone(self):
        particles = sample(30)
        a, w = particles.a.copy(), particles.w.copy()
        run = gradient_flow(FOUR, particles, t_end=5.0)
        np.testing.assert_array_equal(particles.a, a)
        np.testing.assert_array_equal(particles.w, w)
        assert run.initial is particles


SPURIOUS = Problem([-0.75, -0.5, 0.125], [1.1, 0.1, 0.8], name="Boursier-Flammarion")


def small_network(seed, kappa=1e-8, count=10):
    """Small and dominated, |a_k| = |w_k|, as in Boursier and Flammarion."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((count, 2))
    a = rng.choice([-1.0, 1.0], count) * np.linalg.norm(w, axis=1)
    return Particles.from_arrays(a, w, kappa=kappa, kappa_prime=1.0)


class TestStopping:
    def test_loss(self):
        run = gradient_flow(FOUR, sample(), loss_atol=1e-4)
        assert run.status is Status.CONVERGED
        assert run.converged
        assert run.loss[-1] <= 1e-4 < run.loss[-2]
        assert "the loss reached what loss_tol" in run.status.remedy

    def test_time(self):
        run = gradient_flow(FOUR, sample(), t_end=3.3, loss_tol=0)
        assert run.status is Status.REACHED_TIME
        assert run.time[-1] == 3.3
        assert run.converged

    def test_save_times_end_a_run_without_another_rule(self):
        run = gradient_flow(FOUR, sample(), save_at=[0.5, 2.0], loss_tol=0)
        assert (run.status, run.time[-1]) == (Status.REACHED_TIME, 2.0)

    def test_steps(self):
        run = gradient_flow(FOUR, sample(), max_steps=4)
        assert (run.status, run.stats.steps) == (Status.MAX_STEPS, 4)
        assert not run.converged
        assert "raise max_steps" in run.status.remedy

    def test_seconds(self, monkeypatch):
        clock = iter(range(1000))
        monkeypatch.setattr("meanfield.flow.stopping.time.monotonic", lambda: float(next(clock)))
        rule = SecondsReached(2.5)
        now = Snapshot(0.0, 1.0, np.ones(1), 0.0, 0.0, 0, 0.0, 1.0, 0.0)
        assert [rule.check(now) for _ in range(3)] == [None, None, Status.MAX_SECONDS]

    def test_seconds_of_a_run(self):
        run = gradient_flow(FOUR, sample(), max_seconds=1e-9)
        assert run.status is Status.MAX_SECONDS
        assert "raise max_seconds" in run.status.remedy
        assert len(run.time) >= 1

    def test_user(self):
        seen = []

        def rule(now):
            seen.append(now)
            return now.time > 0 and now.rd_w > 0.01

        run = gradient_flow(FOUR, sample(), stop=rule)
        assert run.status is Status.USER
        assert run.rd_w[-1] > 0.01 >= run.rd_w[-2]
        assert isinstance(seen[0], Snapshot)

    def test_rounding(self):
        """With no other rule the flow ends where double precision does."""
        run = gradient_flow(FOUR, sample(200), loss_tol=0)
        assert run.status is Status.ROUNDING
        assert run.loss[-1] < 1e-25
        assert "nothing is left to learn" in run.status.remedy

    def test_at_rest_from_the_start(self):
        """Targets that the network fits already: nothing moves."""
        particles = sample(20, antisymmetric=False)
        run = gradient_flow(Problem(FOUR.x[:, 0], particles.output(FOUR.x)), particles)
        assert run.stats.steps == 0
        np.testing.assert_array_equal(run.final.w, particles.w)

    @pytest.mark.parametrize("seed", [0, 2])
    def test_spurious_stationary_point(self, seed):
        """Small positive-target networks align with one direction and end as a linear fit.

        Boursier and Flammarion 2024: all neurons that grow are active on all three samples, so what is
        left is the residual of the best affine function, 0.0875 instead of zero.
        """
        run = gradient_flow(SPURIOUS, small_network(seed))
        coefficients, *_ = np.linalg.lstsq(SPURIOUS.x, SPURIOUS.y, rcond=None)
        assert run.status is Status.STATIONARY
        assert not run.converged
        assert "stationary point" in run.status.remedy
        assert "stationarity=0" in run.status.remedy
        assert run.loss[-1] == pytest.approx(SPURIOUS.loss(SPURIOUS.x @ coefficients), rel=1e-6)
        grown = np.abs(run.final.a) > 10 * np.abs(run.initial.a)
        assert grown.any()
        assert np.all(run.final.w[grown] @ SPURIOUS.x.T > 0)

    @every_method
    @pytest.mark.parametrize("seed", range(4))
    def test_steps_that_overflow_are_quietly_rejected(self, seed, method):
        """Long attempts on the early plateau overflow; NumPy's warnings about them are nobody's concern."""
        run = gradient_flow(SPURIOUS, small_network(seed, 1e-4, 50), max_steps=40, method=method)
        assert np.all(np.isfinite(run.final.w))
        assert run.loss[-1] < 0.31

    def test_stationarity_can_be_switched_off(self):
        run = gradient_flow(SPURIOUS, small_network(0), stationarity=0, max_steps=60)
        assert run.status in (Status.MAX_STEPS, Status.STEP_TOO_SMALL)

    def test_dead_network(self):
        """No neuron is active on any sample: at rest at once, with the loss of the zero function."""
        particles = Particles.from_arrays([1.0, -1.0], [[0.1, -5.0], [0.2, -4.0]], kappa=1.0, kappa_prime=1.0)
        run = gradient_flow(FOUR, particles, max_steps=50)
        assert run.status is Status.STATIONARY
        assert run.loss[-1] == FOUR.loss(np.zeros(4))
        assert run.rd_w[-1] == run.rd_a[-1] == 0.0

    @pytest.mark.parametrize("status", Status)
    def test_every_status_says_what_to_do(self, status):
        assert len(status.remedy) > 10
        assert status.remedy[0].islower()
        if not status.converged:
            assert ";" in status.remedy  # what happened; what to do


class TestRecording:
    def test_save_at_is_met_exactly(self):
        times = [0.1, 1 / 3, 1.0, 7.0, 7.0000001]
        run = gradient_flow(FOUR, sample(), save_at=times, t_end=9.0, loss_tol=0)
        np.testing.assert_array_equal(run.time, times)
        assert (run.start.time, run.end.time) == (0.0, 9.0)

    def test_saved_states_do_not_change_the_flow(self):
        """To the tolerance: saving shortens steps."""
        particles = sample(50, 4)
        dense = gradient_flow(FOUR, particles, save_at=np.linspace(0.1, 10, 100), loss_tol=0, rtol=1e-4)
        sparse = gradient_flow(FOUR, particles, save_at=[10.0], loss_tol=0, rtol=1e-4)
        steps = dense.stats.steps + sparse.stats.steps
        assert rms(dense.output[-1] - sparse.output[-1]) <= 1e-4 * steps * rms(FOUR.y)

    def test_geometric_by_default(self):
        run = gradient_flow(FOUR, sample(20, gamma=1.0), rtol=1e-5, loss_atol=1e-3)
        assert run.time[0] == 0.0
        ratios = run.time[2:] / run.time[1:-1]
        assert np.all(ratios[:-1] >= 10 ** (1 / 32) * (1 - 1e-12))  # the end is always kept
        assert run.stats.steps > len(run.time)

    def test_start_and_end_are_known(self):
        run = gradient_flow(FOUR, sample(), t_end=2.0, loss_tol=0, save_at=[0.0, 1.0])
        np.testing.assert_array_equal(run.time, [0.0, 1.0])
        np.testing.assert_array_equal(run.with_ends().time, [0.0, 1.0, 2.0])
        np.testing.assert_array_equal(run.loss[0], FOUR.loss(run.output[0]))
        assert run.rd_w[0] == run.rd_a[0] == 0.0
        assert run.time_unit == "tbar"

    def test_saved_parameters_and_predictions(self):
        particles = sample(30, 1)
        run = gradient_flow(FOUR, particles, save_at=[0.5, 2.0, 5.0], loss_tol=0, save_parameters=True)
        assert run.saved_a.shape == (3, 30)
        assert run.saved_w.shape == (3, 30, 2)
        new = np.array([-0.7, 0.05, 0.3])
        rows = np.column_stack([new, np.ones(3)])
        for j, t in enumerate(run.time):
            expected = naive.normalised_network(
                run.saved_a[j], run.saved_w[j], rows, particles.kappa, particles.weight
            )
            np.testing.assert_allclose(run.predict(new, at=t), expected, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(run.predict(FOUR.x[:, 0], at=t), run.output[j], rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(run.predict(new), run.predict(new, at=5.0))
        assert run.particles() is run.final
        assert run.particles(0.0) is run.initial

    def test_prediction_errors(self):
        run = gradient_flow(FOUR, sample(), save_at=[0.5, 2.0], loss_tol=0)
        with pytest.raises(InputError, match=r"nothing was saved at time 1 \(the closest is .*\); .*save_at"):
            run.predict([0.0], at=1.0)
        with pytest.raises(
            InputError, match=r"parameters were not saved .*; run again with save_parameters=True"
        ):
            run.predict([0.0], at=0.5)
        with pytest.raises(InputError, match=r"x has 2 features but the problem has 1; give points"):
            run.predict([[0.0, 1.0]])

    def test_progress_callback(self):
        seen = []
        run = gradient_flow(FOUR, sample(), progress=seen.append)
        assert [now.steps for now in seen] == list(range(run.stats.steps + 1))
        assert np.all(np.diff([now.time for now in seen]) > 0)
        assert seen[-1].loss == run.loss[-1]
        assert seen[-1].rd_w == run.rd_w[-1]
        np.testing.assert_array_equal(seen[-1].output, run.output[-1])
        assert math.isnan(seen[0].loss_rate)
        assert seen[1].loss_rate > 0

    @pytest.mark.parametrize("shown", [True, False, None])
    def test_progress_bar(self, shown, capsys):
        gradient_flow(FOUR, sample(), progress=shown)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert ("gradient flow" in captured.err) == (shown is True)

    def test_interrupt(self):
        """Ctrl-C: what was done is in the exception."""

        def interrupt(now):
            if now.steps == 7:
                raise KeyboardInterrupt

        with pytest.raises(
            FlowInterrupted, match=r"interrupted at tbar = .*; the run so far is in .trajectory"
        ) as info:
            gradient_flow(FOUR, sample(), progress=interrupt)
        run = info.value.trajectory
        assert isinstance(info.value, KeyboardInterrupt)
        assert run.status is Status.INTERRUPTED
        assert run.stats.steps == 7
        assert "gradient_flow(problem, run), to go on" in run.status.remedy
        f = naive.normalised_network(run.final.a, run.final.w, FOUR.x, run.final.kappa, run.final.weight)
        np.testing.assert_allclose(run.output[-1], f, rtol=1e-10, atol=1e-12)

    def test_repr(self):
        run = gradient_flow(FOUR, sample(), t_end=1.0, loss_tol=0)
        assert repr(run).startswith("<Trajectory: REACHED_TIME, tbar=1, loss=")


class TestFile:
    @pytest.fixture
    @staticmethod
    def run():
        problem = Problem(np.random.default_rng(0).standard_normal((3, 5)), [0.1, -0.2, 0.3], name="ü name")
        particles = Particles.sample(problem, Scaling(0.8, 0.3), 16, rng=3)
        return gradient_flow(problem, particles, save_at=[0.5, 2.0], t_end=3.0, save_parameters=True)

    def test_round_trip(self, run, tmp_path):
        path = run.save(tmp_path / "run")
        assert path == tmp_path / "run.npz"
        assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]
        back = Trajectory.load(path)
        for name in ("time", "loss", "output", "rd_w", "rd_a", "saved_a", "saved_w"):
            assert getattr(back, name).tobytes() == getattr(run, name).tobytes()
            assert getattr(back, name).shape == getattr(run, name).shape
        for name in ("initial", "final"):
            mine, theirs = getattr(run, name), getattr(back, name)
            for part in ("a", "w", "weight"):
                assert getattr(mine, part).tobytes() == getattr(theirs, part).tobytes()
            assert (mine.kappa, mine.kappa_prime) == (theirs.kappa, theirs.kappa_prime)
        assert back.status is run.status
        assert dataclasses.asdict(back.stats) == dataclasses.asdict(run.stats)
        assert back.problem.fingerprint == run.problem.fingerprint
        assert (back.problem.name, back.problem.bias, back.time_unit) == ("ü name", True, "tbar")
        new = np.ones((2, 5))
        np.testing.assert_array_equal(back.predict(new, at=0.5), run.predict(new, at=0.5))

    @every_method
    def test_round_trip_without_parameters(self, method, tmp_path):
        """After events at kinks, whose counts are kept too."""
        run = gradient_flow(FOUR, sample(20, 0), t_end=20.0, loss_tol=0, method=method)
        back = Trajectory.load(run.save(tmp_path / "kinks.npz"))
        assert back.saved_a is None
        assert repr(back.stats) == repr(run.stats)  # some are not numbers, which differ from themselves

    def test_descent_has_no_tolerance(self, tmp_path):
        run = gradient_descent(FOUR, sample(), learning_rate=0.1, max_steps=5)
        back = Trajectory.load(run.save(tmp_path / "descent"))
        assert math.isnan(back.stats.rtol)
        assert back.stats.method == "gradient-descent"

    @pytest.mark.parametrize("rate", [1e8, 1e80, 1e300])
    def test_descent_that_diverged(self, rate, tmp_path):
        """However far: it says so, and what it found is read again."""
        run = gradient_descent(FOUR, sample(), learning_rate=rate, max_steps=50)
        assert run.status is Status.DIVERGED
        back = Trajectory.load(run.save(tmp_path / "descent"))
        assert back.status is Status.DIVERGED
        np.testing.assert_array_equal(back.final.w, run.final.w)
        np.testing.assert_array_equal(back.loss, run.loss)

    @staticmethod
    def rewritten(run, path, meta=None, **changes):
        """The saved run with other arrays or other text in it."""
        with np.load(run.save(path)) as archive:
            arrays = dict(archive) | changes
        known = json.loads(str(arrays["meta"]))
        parts = (meta or {}).items()
        known |= {key: known[key] | value if isinstance(value, dict) else value for key, value in parts}
        np.savez(path, **arrays | {"meta": np.array(json.dumps(known))})
        return path

    @pytest.mark.parametrize("name", ["time", "loss", "output", "rd_w", "rd_a", "saved_a", "saved_w"])
    def test_series_that_no_run_has(self, run, name, tmp_path):
        values = getattr(run, name)
        holed = values.copy()
        holed.flat[-1] = np.nan
        wrong = [holed, values.astype(np.float32), values > 0.0]
        wrong += [-values[::-1]] if name in ("time", "loss", "rd_w", "rd_a") else []
        for array in wrong:
            path = self.rewritten(run, tmp_path / "run.npz", **{name: array})
            with pytest.raises(InputError, match="does not hold a saved run"):
                Trajectory.load(path)

    @pytest.mark.parametrize(
        "meta",
        [
            {"problem": {"bias": 5}},
            {"problem": {"bias": "no"}},
            {"problem": {"name": 5}},
            {"problem": {"feature_names": [5]}},
            {"problem": {"standardisation": 5}},
            {"time_unit": None},
            {"stats": {"steps": "many"}},
            {"stats": {"method": 5}},
            {"stats": {"events": {"crossed": "x", "slid": 0, "origin": 0, "unresolved": 0}}},
        ],
    )
    def test_text_that_no_run_has(self, run, meta, tmp_path):
        path = self.rewritten(run, tmp_path / "run.npz", meta)
        with pytest.raises(InputError, match="does not hold a saved run"):
            Trajectory.load(path)

    @pytest.mark.parametrize("size", [0, 1, 100, -1, -200])
    def test_truncated(self, run, size, tmp_path):
        path = run.save(tmp_path / "run.npz")
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(
            InputError, match=r"does not hold a saved run, or is damaged .*; give a file written by"
        ):
            Trajectory.load(path)

    def test_flipped_byte(self, run, tmp_path):
        path = run.save(tmp_path / "run.npz")
        data = bytearray(path.read_bytes())
        start = data.find(b"time.npy") + 170  # inside the array's data: the archive's checksum sees it
        data[start] ^= 0xFF
        path.write_bytes(data)
        with pytest.raises(InputError, match="does not hold a saved run, or is damaged"):
            Trajectory.load(path)

    @pytest.mark.parametrize("content", [b"hello", b"\x00" * 500, b"PK\x03\x04nothing"])
    def test_something_else(self, content, tmp_path):
        path = tmp_path / "other.npz"
        path.write_bytes(content)
        with pytest.raises(InputError, match="does not hold a saved run"):
            Trajectory.load(path)

    def test_other_archive(self, tmp_path):
        path = tmp_path / "arrays.npz"
        np.savez(path, x=np.ones(3))
        with pytest.raises(InputError, match="does not hold a saved run"):
            Trajectory.load(path)

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match=r"there is no file .*; give that of a result, written by"):
            Trajectory.load(tmp_path / "nothing.npz")

    def test_folder_that_does_not_exist(self, run, tmp_path):
        with pytest.raises(InputError, match=r"the run cannot be written to .*; give a writable place"):
            run.save(tmp_path / "nowhere" / "run.npz")

    def test_replaced_only_when_complete(self, run, tmp_path, monkeypatch):
        path = run.save(tmp_path / "run.npz")
        before = path.read_bytes()

        def fails(file, **arrays):
            file.write(b"half")
            raise OSError("no space left on device")

        monkeypatch.setattr("meanfield.flow.trajectory.np.savez", fails)
        with pytest.raises(InputError, match="no space left on device"):
            run.save(path)
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]


class TestBadArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"loss_tol": -1.0}, r"loss_tol is -1.0; give a share of what can be learned, from 0"),
            ({"loss_tol": math.nan}, r"loss_tol is nan; give a share of what can be learned"),
            ({"t_end": 0.0}, r"t_end is 0.0; give a positive number"),
            ({"t_end": math.inf}, r"t_end is inf; give a positive number"),
            ({"rtol": 0.0}, r"rtol is 0.0; give a positive number"),
            ({"rtol": 1.5}, r"rtol is 1.5; give a relative tolerance below 1"),
            ({"atol": -1e-3}, r"atol is -0.001; give a number >= 0"),
            ({"max_steps": 0}, r"max_steps is 0; give a whole number >= 1"),
            ({"max_seconds": -1.0}, r"max_seconds is -1.0; give a positive number"),
            ({"stationarity": math.nan}, r"stationarity is nan; give a number >= 0, at most 1"),
            ({"method": "euler"}, r"no method is called 'euler'; choose one of .*linearly-implicit"),
            ({"save_at": [1.0, 0.5]}, r"save_at must hold increasing finite times >= 0 \(tbar\); sort it"),
            ({"save_at": [-1.0]}, r"save_at must hold increasing finite times"),
            ({"save_at": []}, r"save_at must hold increasing finite times"),
            ({"save_at": [[1.0, 2.0]]}, r"save_at must hold increasing finite times"),
            ({"save_at": [1.0, math.nan]}, r"save_at\[1\] is nan; every entry must be a finite number"),
            ({"save_at": "soon"}, r"save_at is not an array of numbers \(it holds text\)"),
        ],
    )
    def test_one_clear_sentence(self, arguments, message):
        with pytest.raises(InputError, match=message):
            gradient_flow(FOUR, sample(), **arguments)

    def test_particles_of_another_dimension(self):
        particles = sample(problem=Problem(np.ones((2, 3)), [0.0, 1.0]))
        message = r"dimension 4 but the problem has d = 2 \(bias included\); draw them for this problem"
        with pytest.raises(InputError, match=message):
            gradient_flow(FOUR, particles)
        with pytest.raises(InputError, match=message):
            gradient_descent(FOUR, particles, learning_rate=0.1)

    def test_loss_below_what_can_be_reached(self):
        """Two labels for one sample: 0 and 1, half of which is left: R = (1/4) (1/4 + 1/4)."""
        problem = Problem([0.5, 0.5], [0.0, 1.0])
        assert problem.loss_floor == pytest.approx(0.125)
        with pytest.raises(
            InputError, match=r"loss_atol is 0.1, but contradictory labels .* above 0.125; give a larger"
        ):
            gradient_flow(problem, sample(problem=problem), loss_atol=0.1)
        run = gradient_flow(problem, sample(problem=problem), loss_atol=0.13)
        assert run.status is Status.CONVERGED
        run = gradient_flow(problem, sample(problem=problem), loss_tol=0)
        assert run.status is Status.STATIONARY
        assert run.loss[-1] == pytest.approx(0.125, rel=1e-6)

    @pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
    def test_learning_rate(self, rate):
        with pytest.raises(InputError, match=r"learning_rate is .*; give a positive number"):
            gradient_descent(FOUR, sample(), learning_rate=rate)

    def test_descent_limits(self):
        with pytest.raises(InputError, match="max_steps is 0; give a whole number >= 1"):
            gradient_descent(FOUR, sample(), learning_rate=0.1, max_steps=0)
        with pytest.raises(InputError, match="loss_tol is -1"):
            gradient_descent(FOUR, sample(), learning_rate=0.1, loss_tol=-1.0)


class TestGradientDescent:
    def test_tends_to_the_flow_at_first_order(self, system_of):
        system, t = system_of("kink-free"), 20.0
        exact, rates, errors = system.exact(t).output, [0.2, 0.1, 0.05, 0.025, 0.0125], []
        for rate in rates:
            run = gradient_descent(
                system.problem, system.particles, learning_rate=rate, loss_tol=0, max_steps=round(t / rate)
            )
            assert run.time[-1] == pytest.approx(t)
            errors.append(rms(run.output[-1] - exact))
        slopes = -np.diff(np.log2(errors))
        assert np.all(np.abs(slopes - 1) < 0.15), slopes

    @pytest.mark.parametrize("unit", [1.0, 0.2, 4.0])
    def test_is_descent_in_the_users_units(self, unit):
        """Step for step, with ``learning_rate = Scaling.tbar(1, eta, m)``."""
        m, steps, eta = 12, 25, 0.05 * unit**2
        scaling = Scaling(alpha="0.5*m", beta1=2 * unit, beta2=unit)
        particles = Particles.sample(FOUR, scaling, m, rng=8)
        alpha, beta1, beta2 = 0.5 * m, 2 * unit, unit
        a, w = beta1 * particles.a, beta2 * particles.w
        for _ in range(steps):
            da, dw = naive.velocity(a, w, FOUR.x, FOUR.y, alpha)
            a, w = a + eta * da, w + eta * dw
        rate = scaling.tbar(1, eta, m)
        run = gradient_descent(FOUR, particles, learning_rate=rate, loss_tol=0, max_steps=steps)
        np.testing.assert_allclose(run.final.a * beta1, a, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(run.final.w * beta2, w, rtol=1e-11, atol=1e-13)
        assert run.time[-1] == pytest.approx(scaling.tbar(steps, eta, m), rel=1e-14)
        assert (run.status, run.stats.steps) == (Status.MAX_STEPS, steps)

    def test_loss_rate_is_the_energy_law(self):
        seen = []
        gradient_descent(FOUR, sample(), learning_rate=1e-4, loss_tol=0, max_steps=3, progress=seen.append)
        for before, now in itertools.pairwise(seen):
            # within the change of the rate in one step, of order learning_rate
            assert now.loss_rate == pytest.approx((before.loss - now.loss) / 1e-4, rel=1e-3)

    def test_converges(self):
        run = gradient_descent(FOUR, sample(), learning_rate=0.5, loss_atol=1e-4)
        assert run.status is Status.CONVERGED
        assert run.loss[-1] <= 1e-4

    def test_diverges(self):
        run = gradient_descent(FOUR, sample(), learning_rate=1000.0)
        assert run.status is Status.DIVERGED
        assert not run.converged
        assert "lower learning_rate, or use gradient_flow" in run.status.remedy

    def test_stop_rules(self):
        run = gradient_descent(FOUR, sample(), learning_rate=0.1, stop=lambda now: now.steps == 3)
        assert (run.status, run.stats.steps) == (Status.USER, 3)
        run = gradient_descent(FOUR, sample(), learning_rate=0.1, max_seconds=1e-9)
        assert run.status is Status.MAX_SECONDS

    def test_interrupt(self):
        def interrupt(now):
            if now.steps == 4:
                raise KeyboardInterrupt

        with pytest.raises(FlowInterrupted) as info:
            gradient_descent(FOUR, sample(), learning_rate=0.1, progress=interrupt)
        assert info.value.trajectory.stats.steps == 4
        assert info.value.trajectory.status is Status.INTERRUPTED
