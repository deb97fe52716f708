"""Exact motion under a constant residual: against brute force, and by the laws that it must obey."""

import math

import mpmath
import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meanfield import kernels
from meanfield.kernels.sliding import CROSSED, GAVE_UP, ORIGIN, SLID, STEPPED_OVER


def samples(n, r, rng):
    """n samples in general position; for r = 2 a bias column and points on a line."""
    if r == 2:
        return np.column_stack([np.sort(rng.uniform(-1, 1, n)), np.ones(n)])
    return rng.standard_normal((n, r))


def opposite(n, r, rng):
    """Samples in pairs x and -c x, whose kinks are one."""
    x = rng.standard_normal((n // 2, r))
    return np.concatenate([x, -rng.uniform(0.3, 2.0, (n // 2, 1)) * x])


def grid():
    """Nine inputs on a square grid with a bias: three kinks at a time meet in a line."""
    values = np.array([-1.0, 0.0, 1.0])
    return np.array([[first, second, 1.0] for first in values for second in values])


def move(theta, e, x, h, before=None):
    theta, size = np.ascontiguousarray(theta), theta.shape[1]
    chunks, out = kernels.chunk_count(size), np.zeros_like(theta)
    partial, change = np.empty((chunks, 1, len(x))), np.empty((chunks, 3))
    stats = np.empty((chunks, 5), dtype=np.int64)
    kernels.move(
        theta,
        np.ones(size),
        np.stack([e if before is None else before, e]),
        np.array([h]),
        x,
        0,
        chunks,
        out,
        partial,
        change,
        stats,
    )
    return out, stats.sum(axis=0)


def motion_gram(theta, weight, e, x):
    size, n = theta.shape[1], x.shape[0]
    length = 2 * kernels.BLOCK
    chunks = -(-size // length)
    a, w, slid = (np.empty((chunks, n, n)) for _ in range(3))
    kernels.motion_gram(theta, weight, e, e, x, length, 0, chunks, a, w, slid)
    lower = np.tril(a.sum(0) + (x @ x.T) * w.sum(0) - slid.sum(0))
    return lower + np.tril(lower, -1).T


def motion_gram_product(theta, weight, e, v, x):
    chunks = kernels.chunk_count(theta.shape[1])
    partial = np.empty((chunks, len(x)))
    kernels.motion_gram_product(theta, weight, e, e, v, x, 0, chunks, partial)
    return partial.sum(axis=0)


class TestAgainstBruteForce:
    """Euler with steps of h/N chatters about a kink that is slid on, within O(h/N) of it."""

    @pytest.mark.parametrize(("n", "r", "seed"), [(4, 2, 0), (7, 2, 1), (5, 3, 2), (6, 4, 3), (3, 1, 4)])
    def test_every_particle(self, n, r, seed):
        rng = np.random.default_rng(seed)
        x, e, h = samples(n, r, rng), rng.standard_normal(n), 1.5
        theta = rng.standard_normal((1 + r, 600))
        ours, stats = move(theta, e, x, h)
        coarse, fine = naive.euler_motion(theta, e, x, h, 10_000), naive.euler_motion(theta, e, x, h, 20_000)
        # Euler's own error falls like 1/N, across kinks and along them, so that the difference of two
        # step sizes bounds it; where it does not fall a particle met a kink that pushes both ways.
        error = np.abs(ours - fine).max(axis=0)
        own = np.abs(coarse - fine).max(axis=0)
        good = error <= 5 * own + 2e-3
        assert good.mean() >= 0.995, (error[~good], np.flatnonzero(~good))
        assert stats[GAVE_UP] == 0
        if r > 1:
            assert stats[CROSSED] > 20
            assert stats[SLID] > 10

    @pytest.mark.parametrize(("r", "seed"), [(3, 0), (3, 1), (4, 2)])
    def test_opposite_samples_share_their_kink(self, r, seed):
        """One of the two is active on either side: slides begin and end by the sum of their residuals."""
        rng = np.random.default_rng(seed)
        x, e = opposite(6 if r == 3 else 8, r, rng), rng.standard_normal(6 if r == 3 else 8)
        theta = rng.standard_normal((1 + r, 300))
        ours, stats = move(theta, e, x, 1.5)
        fine = naive.euler_motion(theta, e, x, 1.5, 10_000)
        good = np.abs(ours - fine).max(axis=0) <= 3e-3
        assert good.mean() >= 0.995, np.flatnonzero(~good)
        assert stats[SLID] >= 5
        assert stats[GAVE_UP] == 0

    @pytest.mark.compiled  # the plain twin takes 20 000 steps for each particle
    def test_plane_particles_pass_the_origin(self):
        rng = np.random.default_rng(5)
        x = np.column_stack([np.linspace(-0.5, 0.5, 16), np.ones(16)])
        e = np.sin(4 * np.pi * x[:, 0])
        # Large p, small q: what slides towards the origin reaches it.
        theta = np.vstack([1.5 * rng.choice([-1.0, 1.0], 400), 0.2 * rng.standard_normal((2, 400))])
        ours, _ = move(theta, e, x, 5.0)
        fine = naive.euler_motion(theta, e, x, 5.0, 50_000)
        good = np.abs(ours - fine).max(axis=0) <= 5e-3
        passed = np.array([move(theta[:, k : k + 1], e, x, 5.0)[1][ORIGIN] > 0 for k in range(400)])
        assert passed.sum() > 5
        assert good[~passed].mean() >= 0.99
        # Brute force is no judge at the origin itself: within a step of it, its chatter picks the next
        # direction. But it is one of the way there and of the way from there.
        for k in np.flatnonzero(passed):
            times = np.linspace(0.0, 5.0, 101)
            path = np.array([move(theta[:, k : k + 1], e, x, t)[0][:, 0] for t in times])
            arrival = next(i for i, t in enumerate(times) if move(theta[:, k : k + 1], e, x, t)[1][ORIGIN])
            before, after = path[arrival - 1], path[arrival]
            steps = [naive.euler_motion(theta[:, k : k + 1], e, x, times[arrival - 1], 20_000)[:, 0]]
            np.testing.assert_allclose(before, steps[0], atol=1e-3)
            # It dies beside the origin, or is on its way out.
            assert np.linalg.norm(after[1:]) > 1e-12 or np.all(x @ after[1:] <= 0.0)
            rest = naive.euler_motion(after[:, None], e, x, 5.0 - times[arrival], 20_000)[:, 0]
            np.testing.assert_allclose(path[-1], rest, atol=1e-3)

    def test_smooth_particles_to_rounding(self):
        """No kink on the way: the matrix exponential of the linear flow, in 40 digits."""
        rng = np.random.default_rng(6)
        x, e, h = np.array([[1.0, 0.3], [0.4, 1.0]]), np.array([0.3, -0.2]), 0.7
        theta = np.vstack([rng.standard_normal(20), rng.uniform(3, 4, (2, 20))])
        ours, stats = move(theta, e, x, h)
        assert not stats.any()
        with mpmath.workdps(40):
            G = [mpmath.mpf(float(v)) for v in (e[:, None] * x).sum(axis=0) / 2]
            A = -mpmath.matrix([[0, G[0], G[1]], [G[0], 0, 0], [G[1], 0, 0]]) * h
            flow = mpmath.expm(A)
            for k in range(20):
                exact = flow * mpmath.matrix([float(v) for v in theta[:, k]])
                np.testing.assert_allclose(ours[:, k], [float(v) for v in exact], rtol=4e-15)

    @pytest.mark.parametrize("size", [1e-3, 1.0, 3.9, 4.1, 30.0])
    def test_all_lengths_of_step(self, size):
        """The series of short steps and the exponentials of long ones are the same rotation."""
        x, e = np.array([[1.0, 1.0]]), np.array([-1.0])
        theta = np.array([[0.3], [1.0], [0.5]])  # grows: never leaves the active side
        h = size / math.sqrt(2.0)  # |G| = sqrt(2)
        ours, _ = move(theta, e, x, h)
        u, s0 = np.full(2, -math.sqrt(0.5)), -1.5 * math.sqrt(0.5)
        p = 0.3 * math.cosh(size) - s0 * math.sinh(size)
        s = s0 * math.cosh(size) - 0.3 * math.sinh(size)
        np.testing.assert_allclose(ours[0], p, rtol=1e-14)
        np.testing.assert_allclose(ours[1:, 0], theta[1:, 0] + (s - s0) * u, rtol=1e-14)


particles = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 10_000), st.floats(0.01, 2.0))


class TestLaws:
    @given(particles)
    def test_conserves_p2_minus_q2(self, drawn):
        n, r, seed, h = drawn
        rng = np.random.default_rng(seed)
        theta = rng.standard_normal((1 + r, 50))
        ours, _ = move(theta, rng.standard_normal(n), samples(n, r, rng), h)

        def charge(t):
            return t[0] ** 2 - (t[1:] ** 2).sum(axis=0)

        size = (ours**2).sum(axis=0) + (theta**2).sum(axis=0)
        assert np.all(np.abs(charge(ours) - charge(theta)) <= 1e-13 * size)

    @given(particles, st.floats(0.1, 0.9))
    def test_two_steps_are_one(self, drawn, share):
        """A flow: moving for h is moving for a part of it and then for the rest, kinks included."""
        n, r, seed, h = drawn
        rng = np.random.default_rng(seed)
        theta, x, e = rng.standard_normal((1 + r, 50)), samples(n, r, rng), rng.standard_normal(n)
        whole, stats = move(theta, e, x, h)
        half, first = move(theta, e, x, share * h)
        both, second = move(half, e, x, (1 - share) * h)
        scale = np.abs(whole).max() + np.abs(theta).max()
        # A slide that p = 0 ends may leave on either side: both are solutions.
        different = np.abs(both - whole).max(axis=0) > 1e-9 * scale
        assert different.sum() <= 1
        assert stats[GAVE_UP] == first[GAVE_UP] == second[GAVE_UP] == 0

    @pytest.mark.parametrize("kind", ["grid", "opposite", "lattice"])
    def test_two_steps_are_one_where_kinks_meet(self, kind):
        """Many kinks are met at once, and rounding must not choose which of them was crossed.

        A few come to rest where kinks meet, from where a direction leads away, too: both are solutions.
        """
        different = 0
        for seed in range(20):
            rng = np.random.default_rng(seed)
            x = {
                "grid": grid(),
                "opposite": opposite(8, 3, rng),
                "lattice": rng.integers(-1, 2, (5, 3)) + np.eye(5, 3),
            }[kind]
            e, theta = rng.standard_normal(len(x)), rng.standard_normal((4, 1000))
            theta[1:] *= 0.2 if seed % 2 else 1.0
            whole, _ = move(theta, e, x, 1.5)
            parts = theta
            for h in (0.15, 0.35, 0.6, 0.4):
                parts, _ = move(parts, e, x, h)
            different += np.count_nonzero(np.abs(parts - whole).max(axis=0) > 1e-8)
        assert different <= 10  # of 20 000

    @given(particles, st.floats(1e-6, 1e6))
    def test_homogeneous(self, drawn, c):
        n, r, seed, h = drawn
        rng = np.random.default_rng(seed)
        theta, x, e = rng.standard_normal((1 + r, 20)), samples(n, r, rng), rng.standard_normal(n)
        one, scaled = move(theta, e, x, h)[0], move(c * theta, e, x, h)[0]
        np.testing.assert_allclose(scaled, c * one, rtol=1e-9, atol=1e-9 * c)

    def test_dead_neurons_and_the_origin_stay(self):
        x, e = np.array([[1.0, 1.0], [2.0, 1.0]]), np.array([1.0, -1.0])
        theta = np.array([[1.0, 2.0], [-1.0, 0.0], [-1.0, 0.0]])
        ours, stats = move(theta, e, x, 3.0)
        np.testing.assert_array_equal(ours, theta)
        assert not stats.any()

    @pytest.mark.parametrize("r", [3, 4])
    def test_what_died_on_its_last_sample_stays_dead(self, r):
        """On its kink, no other sample active: when the residual turns, rounding must not revive it."""
        died = 0
        for seed in range(8):
            rng = np.random.default_rng(seed)
            x, e = samples(4, r, rng), rng.standard_normal(4)
            rests, _ = move(rng.standard_normal((1 + r, 400)), e, x, 40.0)
            size = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(rests[1:], axis=0))
            z = x @ rests[1:] / size
            dead = (np.abs(z) <= 1e-12).any(axis=0) & (z <= 1e-12).all(axis=0)
            after, _ = move(rests[:, dead], -e, x, 1.0, before=e)
            np.testing.assert_allclose(after, rests[:, dead], rtol=0, atol=1e-12)
            died += np.count_nonzero(dead)
        assert died > 100

    def test_one_of_two_slides_ends_between_steps(self):
        """Its residual turned: what moves the neuron off that kink, if at all, is what the other leaves."""
        x = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
        theta, e = np.array([[1.0], [0.0], [0.0], [1.0]]), np.array([1.0, 4.0, -1.0])
        slides, _ = move(theta, e, x, 0.1)
        assert np.abs(slides[1:3, 0]).max() <= 1e-15
        # Beside the slide along sample 1 nothing pushes to the active side of sample 0, on its inactive one.
        turned = np.array([-1.0, 4.0, -1.0])
        stays, _ = move(slides, turned, x, 0.1, before=e)
        assert np.abs(stays[1:3, 0]).max() <= 1e-15
        beside = slides - np.array([[0.0], [1e-4], [0.0], [0.0]])  # more than the chatter of the twin
        fine = naive.euler_motion(beside, turned, x, 0.1, 100_000)
        np.testing.assert_allclose(stays, fine, atol=2e-4)

    def test_slides_along_its_kink_exactly(self):
        """Both sides push towards the kink of sample 0: z_0 stays 0, q moves with G projected."""
        x = np.array([[0.0, 1.0], [1.0, 1.0]])
        e = np.array([2.0, -1.0])  # with p > 0: sample 0 pushes down, sample 1 up
        theta = np.array([[1.0], [1.0], [0.05]])
        ours, stats = move(theta, e, x, 0.5)
        assert stats[SLID] == 1
        assert abs(ours[2, 0]) <= 1e-15
        fine = naive.euler_motion(theta, e, x, 0.5, 100_000)
        np.testing.assert_allclose(ours, fine, atol=3e-5)

    def test_slides_along_two_kinks_at_once(self):
        x = np.eye(3)
        e = np.array([3.0, 3.0, -1.0])
        x = np.vstack([np.eye(3)[:2], [[0.6, 0.6, 1.0]]])
        theta = np.array([[1.0], [0.01], [0.02], [1.0]])
        ours, stats = move(theta, e, x, 0.4)
        assert stats[SLID] == 2
        assert np.abs(ours[1:3, 0]).max() <= 1e-15
        fine = naive.euler_motion(theta, e, x, 0.4, 100_000)
        np.testing.assert_allclose(ours, fine, atol=3e-5)

    def test_a_slide_that_ended_between_steps_is_reported(self):
        """Both sides turned about since: the first to do so decides; a close race is in doubt."""
        x, theta = np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[1.0], [1.0], [0.0]])

        def end(e, before):
            moved, stats = move(theta, np.array(e), x, 0.1, np.array(before))
            return np.sign(moved[2, 0]), stats[STEPPED_OVER]

        # The speed towards the active side is -e_1/2 where sample 0 is inactive, -(e_0 + e_1)/2 where it is
        # active. It slides under (2, -1); only one side turns about under (0.5, -1) and under (2, 1).
        assert end([2.0, -1.0], [2.0, -1.0]) == (0.0, 0)
        assert end([0.5, -1.0], [2.0, -1.0]) == (1.0, 0)
        assert end([2.0, 1.0], [2.0, -1.0]) == (-1.0, 0)
        assert end([-1.2, 0.1], [1.2, -1.0]) == (1.0, 0)  # the active one turns at 0.16, the other at 0.91
        assert end([-1.2, 1.0], [4.0, -0.1]) == (-1.0, 0)  # the inactive one at 0.09, the other at 0.95
        assert end([-1.5, 1.0], [2.0, -1.0])[1] == 1  # 0.5 and 0.67
        assert end([-0.5, -0.1], [-0.5, -0.1]) == (1.0, 0)  # it did not slide before

    @pytest.mark.parametrize("kernel", ["any dimension", "plane"])
    def test_what_neurons_in_doubt_contribute(self, kernel):
        """Weight times |p| |q| of the neuron whose slide's end is in doubt; nothing of its neighbour."""
        x = np.array([[0.0, 1.0], [1.0, 1.0]])
        theta, weight = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.5]]), np.array([3.0, 5.0])
        e, h = np.array([[2.0, -1.0], [-1.5, 1.0]]), np.array([0.1])
        out, change, stats = np.zeros_like(theta), np.empty((1, 3)), np.empty((1, 5), np.int64)
        if kernel == "plane":
            fan = kernels.planar.fan(x)
            moments = np.empty((1, 1, len(fan.rays), 2))
            kernels.planar_motion.move(theta, weight, e, h, fan, 0, 1, out, moments, change, stats)
        else:
            kernels.move(theta, weight, e, h, x, 0, 1, out, np.empty((1, 1, 2)), change, stats)
        assert stats[0, STEPPED_OVER] == 1
        expected = 3.0 * abs(out[0, 0]) * np.hypot(*out[1:, 0])
        assert change[0, 2] == pytest.approx(expected, rel=1e-14)

    def test_not_a_number_stays(self):
        x, e = np.array([[1.0, 1.0]]), np.array([-1.0])
        theta = np.array([[np.nan, 1.0], [1.0, 1.0], [1.0, 1.0]])
        ours, _ = move(theta, e, x, 0.1)
        assert np.isnan(ours[0, 0])
        assert np.isfinite(ours[:, 1]).all()


class TestKinkGram:
    @pytest.mark.parametrize(("n", "r"), [(1, 1), (4, 2), (6, 2), (5, 3), (6, 4)])
    def test_is_the_derivative_of_the_outputs(self, n, r):
        """d(sum w p relu(q.x))/ds = -(1/n) K e under the flow, with particles on kinks and off them."""
        rng = np.random.default_rng(100 * n + r)
        x, e = samples(n, r, rng), rng.standard_normal(n)
        theta = rng.standard_normal((1 + r, 300))
        theta, _ = move(theta, e, x, 2.0)  # by now some slide
        weight = rng.uniform(0.5, 2.0, 300)
        K = motion_gram(theta, weight, e, x)
        h = 1e-7
        after, _ = move(theta, e, x, h)
        rate = (naive.output(after, weight, x) - naive.output(theta, weight, x)) / h
        size = (weight * (theta**2).sum(axis=0)).sum() * np.abs(e).max()
        np.testing.assert_allclose(rate, -K @ e / n, atol=2e-5 * size)
        if r > 1 and n > 1:
            plain = naive.tangent_gram(theta, weight, x)
            assert np.abs(K - plain).max() > 0.01  # there was something to correct

    @pytest.mark.parametrize(("n", "r"), [(6, 2), (6, 3), (8, 4)])
    def test_opposite_samples(self, n, r):
        """As above, for kinks that two samples share; and the product with a vector."""
        rng = np.random.default_rng(n)
        x, e, weight = opposite(n, r, rng), rng.standard_normal(n), rng.uniform(0.5, 2.0, 300)
        theta, stats = move(rng.standard_normal((1 + r, 300)), e, x, 2.0)
        assert stats[SLID] > 5
        K, h = motion_gram(theta, weight, e, x), 1e-7
        after, _ = move(theta, e, x, h)
        rate = (naive.output(after, weight, x) - naive.output(theta, weight, x)) / h
        size = (weight * (theta**2).sum(axis=0)).sum() * np.abs(e).max()
        np.testing.assert_allclose(rate, -K @ e / n, atol=2e-5 * size)
        v = rng.standard_normal(n)
        product = motion_gram_product(theta, weight, e, v, x)
        np.testing.assert_allclose(product, K @ v, rtol=1e-11, atol=1e-11 * np.abs(K).max())

    @pytest.mark.parametrize(("n", "r"), [(1, 1), (6, 2), (5, 3), (6, 4), (9, 7)])
    def test_product_is_that_of_the_matrix(self, n, r):
        rng = np.random.default_rng(n + r)
        x, e, weight = samples(n, r, rng), rng.standard_normal(n), rng.uniform(0.5, 2.0, 900)
        theta, _ = move(rng.standard_normal((1 + r, 900)), e, x, 2.0)
        K, v = motion_gram(theta, weight, e, x), rng.standard_normal((3, n))
        ours = np.array([motion_gram_product(theta, weight, e, row, x) for row in v])
        np.testing.assert_allclose(ours, v @ K, rtol=1e-11, atol=1e-11 * np.abs(K).max())

    def test_more_slides_than_one_batch_holds(self):
        rng = np.random.default_rng(5)
        x, e = samples(6, 4, rng), rng.standard_normal(6)
        theta, _ = move(rng.standard_normal((5, 900)), e, x, 2.0)
        z, size = x @ theta[1:], np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(theta[1:], axis=0))
        on_kinks = theta[:, (np.abs(z) <= 1e-12 * size).any(axis=0)]
        theta = np.tile(on_kinks, -(-1500 // on_kinks.shape[1]))
        weight, v = rng.uniform(0.5, 2.0, theta.shape[1]), rng.standard_normal(6)
        K = motion_gram(theta, weight, e, x)
        ours = motion_gram_product(theta, weight, e, v, x)
        np.testing.assert_allclose(ours, K @ v, rtol=1e-11, atol=1e-11 * np.abs(K).max())

    def test_symmetric_and_positive(self):
        rng = np.random.default_rng(1)
        x, e = samples(6, 2, rng), rng.standard_normal(6)
        theta, _ = move(rng.standard_normal((3, 500)), e, x, 2.0)
        K = motion_gram(theta, np.ones(500), e, x)
        np.testing.assert_array_equal(K, K.T)
        assert np.linalg.eigvalsh(K)[0] >= -1e-12 * np.linalg.eigvalsh(K)[-1]

    def test_is_the_plain_one_off_the_kinks(self):
        rng = np.random.default_rng(2)
        x, theta = samples(5, 3, rng), rng.standard_normal((4, 100))
        K = motion_gram(theta, np.ones(100), rng.standard_normal(5), x)
        np.testing.assert_allclose(K, naive.tangent_gram(theta, np.ones(100), x), rtol=1e-12)
