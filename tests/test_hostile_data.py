"""Hostile data: runs that end, invariances that hold to the last bit or to the tolerance, clear refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield import Particles, Problem, Scaling, Status
from meanfield.errors import InputError

ENDED = {Status.CONVERGED, Status.STATIONARY, Status.ROUNDING}
#: One scaling in each regime.
REGIMES = ((0.5, 0.0), (1.0, 0.0), (1.75, 0.0))


def plain(rng, n, d):
    return rng.standard_normal((n, d)), rng.standard_normal(n)


def collinear(rng, n, d):
    return np.outer(rng.standard_normal(n), rng.standard_normal(d)), rng.standard_normal(n)


def contradictory(rng, n, d):
    x, _ = plain(rng, n, d)
    x = np.concatenate([x, x[: 1 + n // 2]])
    return x, rng.standard_normal(len(x))


def duplicated(rng, n, d):
    x, y = plain(rng, n, d)
    rows = np.append(np.arange(n), rng.integers(0, n, 3))
    return x[rows], y[rows]


def nearly_equal(rng, n, d):
    x, y = plain(rng, n, d)
    return np.concatenate([x, x + 1e-9 * rng.standard_normal((n, d))]), np.concatenate([y, y])


def on_a_lattice(rng, n, d):
    """Small integers: parallel samples, zero rows, kinks that meet, equal labels."""
    x = rng.integers(-2, 3, (n, d)).astype(float)
    x[0, 0] = 1.0
    return x, rng.integers(-1, 2, n).astype(float)


def too_many(rng, n, d):
    """More samples than the network can fit."""
    return plain(rng, 6 * n, d)


def targets_of_many_sizes(rng, n, d):
    x, y = plain(rng, n, d)
    return x, y * 10.0 ** rng.integers(-8, 8, n)


KINDS = (
    plain, collinear, contradictory, duplicated, nearly_equal, on_a_lattice, too_many, targets_of_many_sizes,
)  # fmt: skip


def hostile_run(kind, seed, scaling):
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    x, y = kind(rng, int(rng.integers(1, 6)), int(rng.integers(1, 4)))
    antisymmetric, bias = bool(rng.integers(2)), bool(rng.integers(2))
    problem = Problem(x, y, bias=bias, loss="mean-square")
    width = int(rng.choice([2, 4, 10, 40])) if antisymmetric else int(rng.choice([1, 3, 10, 40]))
    network = Particles.sample(problem, Scaling(*scaling), width, antisymmetric=antisymmetric, rng=seed)
    losses = []
    run = mf.gradient_flow(
        problem,
        network,
        loss_atol=max(1e-6 * problem.zero_loss, 1.01 * problem.loss_floor, 1e-300),
        progress=False,
        stop=lambda now: losses.append(now.loss) is not None,
    )
    return problem, run, np.array(losses)


class TestRunsEnd:
    """Whatever the data, a run converges or comes to rest, and obeys its laws on the way."""

    def check(self, kind, seed, scaling):
        problem, run, losses = hostile_run(kind, seed, scaling)
        assert run.status in {*ENDED, Status.HELD}, f"{kind.__name__} {seed} {scaling}: {run}"
        if run.status is Status.HELD:  # what it says is true
            pushed = (run.final.pushed(rng=push) for push in range(20))
            again = (mf.gradient_flow(problem, network, progress=False).loss[-1] for network in pushed)
            assert any(loss < 0.999 * run.loss[-1] for loss in again)
        for values in (run.loss, run.output, run.rd_w, run.rd_a, run.final.a, run.final.w):
            assert np.all(np.isfinite(values))
        # The control lets a step raise the loss by a billionth; outputs below rounding are noise.
        rounding = 1e-13 * (problem.zero_loss + losses[0])
        assert np.all(np.diff(losses) <= 1e-8 * losses[:-1] + rounding)
        assert run.loss[-1] >= problem.loss_floor * (1.0 - 1e-9) - rounding
        # Where a stiff mode turned, steps were linearly implicit: those conserve to their own error, and do
        # not know what neurons gave off.
        exact = np.isfinite(run.stats.energy_drift)
        assert run.stats.conservation_drift < (1e-9 if exact else run.stats.rtol)
        assert problem.loss(run.final.output(problem.x)) == pytest.approx(
            run.loss[-1], rel=1e-7, abs=rounding
        )

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
    def test_in_three_regimes(self, kind):
        for seed in range(4):
            self.check(kind, seed, REGIMES[seed % 3])

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
    @pytest.mark.parametrize("scaling", REGIMES)
    def test_in_three_regimes_at_length(self, kind, scaling):
        for seed in range(4, 24):
            self.check(kind, seed, scaling)

    def test_where_rounding_of_long_steps_had_to_be_made_good(self):
        """Ten neurons on 60 samples: pre-activations that were followed apart from q drifted off it."""
        rng = np.random.default_rng(16)
        rng.integers(1, 9), rng.integers(1, 5)
        x, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
        problem = Problem(x, y, bias=False)
        network = Particles.sample(problem, Scaling(1.0), 10, antisymmetric=False, rng=16)
        run = mf.gradient_flow(problem, network, loss_atol=1e-6, progress=False)
        assert run.status is Status.STATIONARY
        assert problem.loss(run.final.output(problem.x)) == pytest.approx(run.loss[-1], rel=1e-10)

    @pytest.mark.parametrize("d", [2, 3])
    def test_neurons_at_the_origin_never_move(self, d):
        problem = Problem(np.eye(d), np.ones(d), bias=False)
        network = Particles.from_arrays([1.0, -0.5], np.zeros((2, d)), kappa=1.0, kappa_prime=1.0)
        run = mf.gradient_flow(problem, network, progress=False)
        assert run.status is Status.HELD
        assert run.stats.steps < 10
        assert run.rd_w[-1] == 0.0

    def test_neurons_that_are_held_at_the_origin(self):
        """On a line both sides of the origin push back: there is a speed on either, but no motion."""
        problem = Problem([[1.0], [-1.0]], [1.0, 1.0], bias=False)
        network = Particles.from_arrays([-0.5, -0.7], [[0.3], [-0.2]], kappa=1.0, kappa_prime=1.0)
        run = mf.gradient_flow(problem, network, progress=False)
        assert run.status is Status.STATIONARY
        assert run.loss[-1] == pytest.approx(problem.zero_loss, rel=1e-12)


class TestSmallest:
    """One sample, one dimension, one neuron: a closed form."""

    def test_one_neuron(self):
        """With p > 0 and q > 0 it learns: f = kappa p q, p**2 - q**2 kept, f = y at the end."""
        problem = Problem([1.0], [2.0], bias=False)
        network = Particles.from_arrays([0.5], [[1.5]], kappa=1.0, kappa_prime=1.0)
        run = mf.gradient_flow(problem, network, loss_atol=1e-16, rtol=1e-6, progress=False)
        kept = 0.5**2 - 1.5**2
        p2 = 0.5 * (kept + math.sqrt(kept**2 + 4 * 2.0**2))
        assert run.final.a[0] ** 2 == pytest.approx(p2, rel=1e-7)
        assert run.final.a[0] * run.final.w[0, 0] == pytest.approx(2.0, rel=1e-7)

    def test_one_dead_neuron(self):
        problem = Problem([1.0], [2.0], bias=False)
        network = Particles.from_arrays([0.5], [[-1.5]], kappa=1.0, kappa_prime=1.0)
        assert mf.gradient_flow(problem, network, progress=False).status is Status.STATIONARY


def small_run(x, y, *, kappa, a, w, weight=None, bias=True, **arguments):
    problem = Problem(x, y, bias=bias)
    network = Particles.from_arrays(a, w, kappa=kappa, kappa_prime=1.0, weight=weight)
    return mf.gradient_flow(problem, network, progress=False, **arguments)


class TestInvariances:
    X = np.array([[0.5, -1.0], [1.0, 0.25], [-0.75, 0.5]])
    Y = np.array([1.0, -0.5, 0.75])

    def neurons(self, seed, size=8):
        rng = np.random.default_rng(seed)
        return {"a": rng.standard_normal(size), "w": rng.standard_normal((size, 3))}

    @settings(max_examples=12)
    @given(k=st.integers(-50, 50), seed=st.integers(0, 5))
    def test_powers_of_two_scale_out_exactly(self, k, seed):
        """Targets and kappa times 2**k: the same path to the last bit, times divided by 4**k."""
        scale, neurons = 2.0**k, self.neurons(seed)
        one = small_run(self.X, self.Y, kappa=0.25, loss_atol=1e-5, **neurons)
        two = small_run(self.X, scale * self.Y, kappa=0.25 * scale, loss_atol=1e-5 * scale**2, **neurons)
        assert one.status is two.status
        for name, factor in (("loss", scale**2), ("output", scale), ("time", scale**-2), ("rd_w", 1.0)):
            np.testing.assert_array_equal(getattr(two, name), factor * getattr(one, name), err_msg=name)

    @settings(max_examples=8)
    @given(seed=st.integers(0, 100))
    def test_order_of_samples_and_neurons(self, seed):
        rng, neurons = np.random.default_rng(seed), self.neurons(seed)
        times, (i, k) = [0.1, 1.0, 5.0], (rng.permutation(3), rng.permutation(8))
        arguments = {"kappa": 0.5, "save_at": times, "loss_tol": 0.0, "rtol": 1e-6}
        one = small_run(self.X, self.Y, **neurons, **arguments)
        two = small_run(self.X[i], self.Y[i], a=neurons["a"][k], w=neurons["w"][k], **arguments)
        shared = min(len(one.time), len(two.time))  # either may end at rounding
        np.testing.assert_allclose(two.output[:shared], one.output[:shared][:, i], rtol=0.0, atol=1e-4)
        np.testing.assert_allclose(two.rd_w[:shared], one.rd_w[:shared], rtol=1e-4)

    @pytest.mark.parametrize("seed", range(8))
    def test_samples_twice_are_the_same_mean(self, seed):
        neurons = self.neurons(seed)
        arguments = {"kappa": 0.5, "save_at": [0.1, 1.0, 5.0], "loss_tol": 0.0, "rtol": 1e-6, **neurons}
        one = small_run(self.X, self.Y, **arguments)
        two = small_run(np.repeat(self.X, 2, axis=0), np.repeat(self.Y, 2), **arguments)
        shared = min(len(one.time), len(two.time))
        np.testing.assert_allclose(two.output[:shared, ::2], one.output[:shared], rtol=0.0, atol=1e-4)
        np.testing.assert_allclose(two.loss[:shared], one.loss[:shared], rtol=0.0, atol=1e-4)


class TestExtremes:
    FOUR = mf.datasets.four_points()

    @pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e300])
    @pytest.mark.parametrize("which", ["x", "y"])
    def test_data_that_cannot_be_multiplied(self, which, size):
        arrays = {"x": np.array([0.5, -1.0]), "y": np.array([1.0, 2.0])}
        arrays[which] = arrays[which] * size
        with pytest.raises(InputError, match=rf"the entries of {which} reach .*rescale the data"):
            Problem(**arrays)

    @pytest.mark.parametrize("size", [1e-60, 1e-30, 1e30, 1e60])
    def test_targets_of_any_other_size(self, size):
        """The same run in other units, if kappa is in them, too."""
        problem = Problem(self.FOUR.x[:, 0], size * self.FOUR.y)
        rng = np.random.default_rng(0)
        a, w = rng.standard_normal(20), rng.standard_normal((20, 2))
        run, same = (
            mf.gradient_flow(
                data, Particles.from_arrays(a, w, kappa=0.1 * unit, kappa_prime=1.0),
                loss_atol=1e-4 * data.zero_loss, progress=False,
            )
            for data, unit in ((problem, size), (self.FOUR, 1.0))
        )  # fmt: skip
        assert run.status is Status.CONVERGED
        assert run.rd_w[-1] == pytest.approx(same.rd_w[-1], rel=1e-2)

    @pytest.mark.parametrize("gamma", [-50.0, -5.0, 5.0, 50.0])
    @pytest.mark.parametrize("gamma_prime", [-50.0, 0.0, 50.0])
    def test_exponents_far_out(self, gamma, gamma_prime):
        network = Particles.sample(self.FOUR, Scaling(gamma, gamma_prime), 10, rng=0)
        try:
            run = mf.gradient_flow(self.FOUR, network, loss_atol=1e-4, progress=False)
        except InputError as error:
            assert "double precision" in str(error)  # noqa: PT017 - a run is as right as a refusal
        else:
            assert run.status in {*ENDED, Status.UNRESOLVED}
            assert np.all(np.isfinite(run.loss))
            assert (run.status is Status.UNRESOLVED) == (gamma < -40)

    def test_outputs_that_hide_the_targets_are_no_convergence(self):
        network = Particles.sample(self.FOUR, Scaling(-20.0, 0.0), 10, rng=0)
        run = mf.gradient_flow(self.FOUR, network, progress=False)
        assert run.status is Status.UNRESOLVED
        assert not run.converged
        assert "rounding hides the targets" in run.status.remedy

    @pytest.mark.parametrize("scales", [(1e-300, 1.0), (1e300, 1.0), (1.0, 1e-300), (1.0, 1e300)])
    def test_scales_that_cannot_be_squared(self, scales):
        network = Particles.from_arrays([1.0], [[1.0, 1.0]], kappa=scales[0], kappa_prime=scales[1])
        with pytest.raises(
            InputError, match=r"kappa.* is 1e[-+]300, beyond what double precision can square"
        ):
            mf.gradient_flow(self.FOUR, network, progress=False)

    @pytest.mark.parametrize(("gamma", "gamma_prime"), [(3.0, 0.0), (-3.0, 0.0), (0.0, -5.0), (2.0, 5.0)])
    def test_limits_beyond_double_precision(self, gamma, gamma_prime):
        with pytest.raises(InputError, match=r"kappa.* is .*, beyond what double precision can square"):
            mf.infinite_width(self.FOUR, Scaling(gamma, gamma_prime), width=1e60)

    @pytest.mark.parametrize("rtol", [1e-300, 1e-15])
    def test_tolerances_that_cannot_be_met(self, rtol):
        network = Particles.sample(self.FOUR, Scaling(0.5), 10, rng=0)
        with pytest.raises(InputError, match="which double precision does not resolve; give at least 1e-12"):
            mf.gradient_flow(self.FOUR, network, rtol=rtol)

    @pytest.mark.parametrize(
        ("arguments", "status"),
        [
            ({"atol": 1e300}, Status.CONVERGED),
            ({"atol": 0.0}, Status.CONVERGED),
            ({"loss_atol": 1e300}, Status.CONVERGED),
            ({"loss_atol": 5e-324}, Status.ROUNDING),
            ({"t_end": 5e-324}, Status.REACHED_TIME),
            ({"t_end": 1e300}, Status.CONVERGED),
            ({"max_seconds": 1e-300}, Status.MAX_SECONDS),
            ({"rtol": np.float32(0.5)}, Status.CONVERGED),
        ],
    )
    def test_tolerances_at_their_ends(self, arguments, status):
        network = Particles.sample(self.FOUR, Scaling(0.5), 100, rng=0)
        assert mf.gradient_flow(self.FOUR, network, progress=False, **arguments).status is status

    def test_a_layer_that_starts_at_zero_has_moved_infinitely_far(self):
        """RD is relative: no number is the right one for a layer without a size."""
        network = Particles.from_arrays([0.0, 0.0], [[1.0, 0.2], [-0.3, 1.0]], kappa=1.0, kappa_prime=1.0)
        run = mf.gradient_flow(self.FOUR, network, progress=False)
        assert run.rd_a[0] == 0.0
        assert run.rd_a[-1] == math.inf
