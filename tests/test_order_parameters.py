"""Order parameters: against neuron-by-neuron twins, in states that know their value, and along runs."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield import InputError, Particles, Problem, datasets, plotting
from meanfield.flow import (
    dead_fraction,
    effective_orientations,
    kernel_alignment,
    pinned_fraction,
    tangent_kernel,
)
from meanfield.plotting.kernels import linearised_loss

FOUR = datasets.four_points()


def draw(problem, size=40, seed=0):
    """Particles with uneven weights, some of them dead, some with their kink on the first sample."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((size, problem.d))
    x = problem.x[0]
    w[:5] -= np.outer(w[:5] @ x, x) / (x @ x)
    return Particles.from_arrays(
        rng.standard_normal(size), w, kappa=0.3, kappa_prime=1.7, weight=rng.uniform(0.5, 2.0, size)
    )


def problem_of(d, n=5, seed=1):
    rng = np.random.default_rng(seed)
    return Problem(rng.standard_normal((n, d)), rng.standard_normal(n), bias=False)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
class TestTwins:
    def test_tangent_kernel(self, d):
        problem = problem_of(d, n=6)
        neurons = draw(problem)
        expected = naive.tangent_kernel(neurons.a, neurons.w, problem.x, 0.3, 1.7, neurons.weight)
        np.testing.assert_allclose(tangent_kernel(problem, neurons), expected, rtol=1e-5, atol=1e-5)
        apart = Particles.from_arrays(
            neurons.a[5:], neurons.w[5:], kappa=0.3, kappa_prime=1.7, weight=neurons.weight[5:]
        )
        expected = naive.tangent_kernel(apart.a, apart.w, problem.x, 0.3, 1.7, apart.weight)
        np.testing.assert_allclose(tangent_kernel(problem, apart), expected, rtol=1e-12, atol=1e-13)

    def test_a_kink_on_a_sample_is_inactive_there_whatever_rounding_says(self, d):
        problem = problem_of(d)
        if d == 1:
            return  # w = 0 has no kink
        neurons, x = draw(problem), problem.x[0]
        kernels = [
            tangent_kernel(problem, neurons.moved(neurons.a, neurons.w + nudge * x))
            for nudge in (-1e-9, 0.0, 1e-9)
        ]
        np.testing.assert_allclose(kernels[0], kernels[1], rtol=1e-6)
        np.testing.assert_allclose(kernels[2], kernels[1], rtol=1e-6)

    def test_orientations(self, d):
        problem = problem_of(d, n=6)
        neurons = draw(problem, seed=d)
        for resolution in (0.05, 0.3, 1.5, 3.0):
            expected = naive.effective_orientations(neurons.a, neurons.w, neurons.weight, resolution)
            found = effective_orientations(problem, neurons, resolution=resolution)
            assert found == pytest.approx(expected, rel=1e-12)

    def test_dead_and_pinned(self, d):
        problem = problem_of(d)
        neurons = draw(problem)
        assert dead_fraction(problem, neurons) == pytest.approx(
            naive.dead_fraction(neurons.w, problem.x, neurons.weight), abs=1e-14
        )
        if d == 1:
            return  # w = 0 has no kink
        for by_amplitude in (False, True):
            expected = naive.pinned_fraction(
                neurons.a, neurons.w, problem.x, neurons.weight, 1e-6, by_amplitude=by_amplitude
            )
            found = pinned_fraction(problem, neurons, by_amplitude=by_amplitude)
            assert found == pytest.approx(expected, rel=1e-12)
            assert found > 0.0


class TestKnownValues:
    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    def test_separated_orientations_are_counted(self, count):
        angles = np.repeat(2 * np.pi * np.arange(count) / count + 0.1, 4)
        w = np.column_stack([np.cos(angles), np.sin(angles)]) * np.tile([1.0, 2.0, 3.0, 4.0], count)[:, None]
        neurons = Particles.from_arrays(np.tile([2.0, -1.0, 1.0, -1.0], count), w, kappa=1, kappa_prime=1)
        assert effective_orientations(FOUR, neurons) == pytest.approx(count)

    def test_an_even_circle_has_pi_over_the_resolution(self):
        angles = np.linspace(-np.pi, np.pi, 20_000, endpoint=False)
        w = np.column_stack([np.cos(angles), np.sin(angles)])
        neurons = Particles.from_arrays(np.ones(len(w)), w, kappa=1, kappa_prime=1)
        neighbours = 2 * (20_000 // 72) + 1  # within five degrees, itself included
        assert effective_orientations(FOUR, neurons) == pytest.approx(20_000 / neighbours, rel=1e-9)

    def test_a_random_network_has_half_of_a_plane_less_one_share_dead(self):
        """A neuron is dead on all of x_1..x_n in the plane if w avoids the cone of directions they see.

        The union of the half-planes w.x_i > 0 leaves an angle pi minus that between the outer samples.
        """
        network = Particles.sample(FOUR, mf.Scaling(1.0, 0.0), 40_000, antisymmetric=False, rng=0)
        outer = np.arctan2(FOUR.x[:, 0], FOUR.x[:, 1])
        share = (np.pi - np.ptp(outer)) / (2 * np.pi)
        # Four standard errors of a binomial share: a false alarm in 16 000 (fixed seed).
        assert abs(dead_fraction(FOUR, network) - share) < 4 * math.sqrt(share * (1 - share) / 40_000)
        assert pinned_fraction(FOUR, network) == 0.0

    def test_alignment(self):
        rng = np.random.default_rng(0)
        y, A = rng.standard_normal(6), rng.standard_normal((6, 4))
        K = A @ A.T
        H = np.eye(6) - 1 / 6
        cosine = np.sum(K * np.outer(y, y)) / (np.linalg.norm(K) * np.linalg.norm(np.outer(y, y)))
        assert kernel_alignment(K, y) == pytest.approx(cosine, rel=1e-13)
        assert kernel_alignment(H @ K @ H, H @ y) == pytest.approx(kernel_alignment(K, y, centred=True))
        assert kernel_alignment(K + 5.0, y + 7.0, centred=True) == pytest.approx(
            kernel_alignment(K, y, centred=True)
        )
        assert math.isnan(kernel_alignment(np.zeros((2, 2)), np.ones(2)))
        assert math.isnan(kernel_alignment(np.eye(2), np.ones(2), centred=True))

    def test_nothing_to_measure(self):
        silent = Particles.from_arrays([0.0, 0.0], [[1.0, 0.0], [0.0, 0.0]], kappa=1, kappa_prime=1)
        assert math.isnan(effective_orientations(FOUR, silent))
        assert math.isnan(pinned_fraction(FOUR, silent, by_amplitude=True))
        with pytest.raises(InputError, match="between 0 and pi"):
            effective_orientations(FOUR, silent, resolution=4.0)

    @given(turn=st.floats(-4, 4), scale=st.floats(0.01, 100))
    @settings(max_examples=25)
    def test_orientations_do_not_know_axes_or_sizes(self, turn, scale):
        problem = problem_of(2)
        neurons = draw(problem)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        other = neurons.moved(scale * neurons.a, scale * neurons.w @ rotation.T)
        assert effective_orientations(problem, other, resolution=0.4) == pytest.approx(
            effective_orientations(problem, neurons, resolution=0.4), rel=1e-9
        )

    def test_reduced_particles_have_the_same(self):
        """In the span of three samples of nine features, with and without the coordinates outside it."""
        problem = problem_of(9, n=3)
        draws = [
            Particles.sample(problem, mf.Scaling(1.0, 0.0), 60, reduced=reduced, rng=0)
            for reduced in (False, True)
        ]
        for measure in (effective_orientations, dead_fraction, pinned_fraction):
            full, reduced = (measure(problem, neurons) for neurons in draws)
            assert reduced == pytest.approx(full, rel=1e-12)
        np.testing.assert_allclose(*(tangent_kernel(problem, neurons) for neurons in draws), rtol=1e-10)


@pytest.fixture(scope="module")
def runs():
    return {
        gamma: mf.gradient_flow(
            FOUR, Particles.sample(FOUR, mf.Scaling(gamma, 0.0), 1000, rng=0), save_parameters=True,
            progress=False,
        )
        for gamma in (0.5, 1.75)
    }  # fmt: skip


class TestAlongRuns:
    def test_regimes(self, runs):
        """Lazy: the kernel stands still; condensed: it grows, few orientations, kinks on the samples."""
        lazy, condensed = (runs[gamma].order_parameters() for gamma in (0.5, 1.75))
        assert lazy.kernel_change[0] == condensed.kernel_change[0] == 0.0
        assert lazy.kernel_change[-1] < 0.02
        assert condensed.kernel_change[-1] > 10.0
        assert lazy.orientations.min() > 25.0 > 4.0 > condensed.orientations[-1] > 1.5
        assert condensed.pinned_amplitude[-1] > 0.25 > 0.05 > lazy.pinned_amplitude[-1]
        np.testing.assert_array_equal(lazy.time, runs[0.5].time)

    def test_dead_neurons_stay_dead(self, runs):
        for run in runs.values():
            assert np.all(np.diff(run.order_parameters().dead) >= -1e-12)

    def test_kernel_is_that_of_the_flow(self, runs):
        """``dR/d tbar = -(1/n**2) e' K e``, against the loss between two close states."""
        network = runs[0.5].initial
        h = 1e-6 * runs[0.5].time[-1]
        start = mf.gradient_flow(FOUR, network, t_end=h, loss_tol=0.0, progress=False)
        e = start.output[0] - FOUR.y
        rate = -(e @ tangent_kernel(FOUR, network) @ e) / FOUR.n**2
        assert (start.loss[-1] - start.loss[0]) / start.time[-1] == pytest.approx(rate, rel=1e-3)

    def test_without_saved_parameters_both_ends(self, runs):
        run = mf.gradient_flow(FOUR, runs[0.5].initial, progress=False)
        ends, every = run.order_parameters(), runs[0.5].order_parameters()
        np.testing.assert_array_equal(ends.time, run.time[[0, -1]])
        np.testing.assert_allclose(ends.kernel_alignment, every.kernel_alignment[[0, -1]], rtol=1e-12)

    def test_figure(self, runs):
        axes = plotting.loss_and_kernel(runs[1.75])
        seen, run = runs[1.75].order_parameters(), runs[1.75]
        lines = {str(line.get_label()): line for ax in axes for line in ax.lines}
        np.testing.assert_array_equal(lines["loss"].get_data(), [run.time[1:], run.loss[1:]])
        np.testing.assert_array_equal(lines["kernel change"].get_ydata(), seen.kernel_change[1:])
        np.testing.assert_array_equal(lines["kernel alignment"].get_ydata(), seen.kernel_alignment[1:])
        assert all(axes[0].get_shared_x_axes().joined(axes[0], ax) for ax in axes)
        with pytest.raises(InputError, match="save_parameters=True"):
            plotting.loss_and_kernel(mf.gradient_flow(FOUR, run.initial, t_end=1.0, progress=False))
        with pytest.raises(InputError, match="give a Trajectory"):
            plotting.loss_and_kernel(run.initial)

    def test_figures_theory_is_exact_where_the_kernel_stands_still(self):
        """At gamma = 0 and m = 10 000 the kernel moves by less than 1e-3: exponents agree to that."""
        network = Particles.sample(FOUR, mf.Scaling(0.0, 0.0), 10_000, rng=0)
        run = mf.gradient_flow(FOUR, network, rtol=1e-6, atol=1e-10, save_parameters=True, progress=False)
        assert run.order_parameters().kernel_change[-1] < 1e-3
        early = run.loss > 1e-2 * run.loss[0]  # later the decay has magnified the change of its rate
        np.testing.assert_allclose(linearised_loss(run, run.time)[early], run.loss[early], rtol=5e-3)
