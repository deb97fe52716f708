"""Kernels for samples that span a plane: against plain twins, the kernels for any dimension, and laws."""

import naive
import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_motion import motion_gram
from test_motion import move as dense_move

from meanfield import kernels
from meanfield.kernels import BLOCK, planar, planar_motion
from meanfield.kernels.planar_particle import _fill_field, _way_out
from meanfield.kernels.sliding import CROSSED, GAVE_UP, ORIGIN, SLID, STEPPED_OVER


def move(theta, e, x, h, weight=None, out=None, before=None):
    """Move through one stage, or through as many as e has rows."""
    fan, size = planar.fan(x), theta.shape[1]
    chunks = kernels.chunk_count(size)
    out = np.zeros_like(theta) if out is None else out
    stages = np.vstack([np.atleast_2d(e)[0] if before is None else before, e])
    moments, change = np.empty((chunks, len(stages) - 1, len(fan.rays), 2)), np.empty((chunks, 3))
    stats = np.empty((chunks, 5), dtype=np.int64)
    weight = np.ones(size) if weight is None else weight
    planar_motion.move(
        np.ascontiguousarray(theta), weight, stages, np.atleast_1d(h), fan, 0, chunks, out, moments, change,
        stats,
    )  # fmt: skip
    return out, stats.sum(axis=0), planar.outputs(moments.sum(axis=0)[-1], fan), change.sum(axis=0)


def output(theta, weight, x):
    fan, chunks = planar.fan(x), kernels.chunk_count(theta.shape[1])
    moments = np.full((chunks, len(fan.rays), 2), np.nan)
    planar.first_moments(theta, weight, fan, 0, chunks, moments)
    return planar.outputs(moments.sum(axis=0), fan)


def pullback(theta, c, x):
    out = np.full(theta.shape, np.nan)
    planar.pullback(theta, c, planar.fan(x), 0, kernels.chunk_count(theta.shape[1]), out)
    return out


def second_moments(theta, weight, e, x):
    fan, chunks = planar.fan(x), kernels.chunk_count(theta.shape[1])
    moments = np.full((chunks, len(fan.rays), 3), np.nan)
    planar_motion.second_moments(theta, weight, e, e, fan, 0, chunks, moments)
    return moments.sum(axis=0), fan


def line(n, rng):
    return np.column_stack([np.sort(rng.uniform(-1, 1, n)), np.ones(n)])


def anywhere(n, rng):
    """Directions all around, with repeated, opposite and zero samples among them."""
    x = rng.standard_normal((n, 2))
    if n > 4:
        x[1], x[2], x[3] = 2.0 * x[0], -0.5 * x[0], 0.0
    return x


@numba.njit
def way_out(p, e, fan):
    field = np.empty((9, fan.rays.shape[0]))
    _fill_field(e, 1.0, fan, field)
    return _way_out(p, field, fan)


KINDS = {"line": line, "anywhere": anywhere}
draws = st.tuples(st.sampled_from(sorted(KINDS)), st.integers(2, 40), st.integers(0, 10_000))


def drawn(draw, size=200):
    kind, n, seed = draw
    rng = np.random.default_rng(seed)
    x = KINDS[kind](n, rng)
    return x, rng.standard_normal(n), rng.standard_normal((3, size)), rng.uniform(0.0, 2.0, size), rng


class TestFan:
    @given(draws)
    def test_sectors_have_the_pattern_that_they_claim(self, draw):
        x, *_ = drawn(draw)
        fan = planar.fan(x)
        half = len(fan.rays) // 2
        following = np.roll(fan.rays, -1, axis=0)
        middle = fan.rays + following if half > 1 else fan.rays @ [[0.0, 1.0], [-1.0, 0.0]]
        truth = x @ middle.T > 0.0  # (n, rays)
        claimed = ((np.arange(2 * half)[None, :] - fan.enter[:, None]) % (2 * half)) < half
        moving = np.any(x != 0.0, axis=1)
        np.testing.assert_array_equal(truth[moving], claimed[moving])
        np.testing.assert_array_equal(fan.active, truth.sum(axis=0))
        np.testing.assert_allclose(fan.rays[:half], -fan.rays[half:])
        assert np.all(np.diff(np.arctan2(fan.rays[:, 1], fan.rays[:, 0]) % (2 * np.pi)) > 0)

    def test_samples_on_one_line_share_their_kink(self):
        x = np.array([[1.0, 1.0], [-2.0, -2.0], [3.0, 3.0], [0.0, 0.0], [1.0, 0.0]])
        fan = planar.fan(x)
        assert len(fan.rays) == 4
        assert sorted(fan.active) == [1, 2, 2, 3]

    def test_kinks_half_a_turn_apart_but_for_rounding_are_one(self):
        """Their lines are the first and the last by angle."""
        x = np.array([[0.0, 1.0], [1e-18, 1.0], [1.0, 1.0], [-1e-18, -2.0]])
        fan = planar.fan(x)
        assert len(fan.rays) == 4
        theta, weight = np.random.default_rng(0).standard_normal((3, 300)), np.ones(300)
        np.testing.assert_allclose(output(theta, weight, x), naive.output(theta, weight, x), atol=1e-11)

    def test_down_is_the_side_with_fewer_active_samples(self):
        x = line(5, np.random.default_rng(0))
        fan = planar.fan(x)
        left, right = fan.active, np.roll(fan.active, 1)
        np.testing.assert_array_equal(fan.down, np.where(left < right, 1, -1))


class TestSums:
    @given(draws)
    def test_output_pullback_and_gram(self, draw):
        x, c, theta, weight, _ = drawn(draw)
        size = np.sum(weight * np.sum(theta**2, axis=0)) * np.abs(x).max()
        np.testing.assert_allclose(
            output(theta, weight, x), naive.output(theta, weight, x), rtol=0, atol=1e-14 * size
        )
        np.testing.assert_allclose(
            pullback(theta, c, x), naive.pullback(theta, c, x), rtol=0, atol=1e-12 * np.abs(x).max() ** 2
        )
        moments, fan = second_moments(theta, weight, c, x)
        K = planar.gram(moments, fan)
        np.testing.assert_allclose(
            K, naive.tangent_gram(theta, weight, x), rtol=0, atol=1e-13 * size * np.abs(x).max()
        )
        np.testing.assert_allclose(planar.gram_product(moments, c, fan), K @ c, rtol=0, atol=1e-12 * K.max())

    @pytest.mark.parametrize("size", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2049, 3 * 2048 + 5])
    def test_edges_of_blocks_and_chunks(self, size):
        rng = np.random.default_rng(size)
        x, theta, weight = line(9, rng), rng.standard_normal((3, size)), rng.uniform(0, 2, size)
        c = rng.standard_normal(9)
        np.testing.assert_allclose(output(theta, weight, x), naive.output(theta, weight, x), atol=1e-10)
        np.testing.assert_allclose(pullback(theta, c, x), naive.pullback(theta, c, x), atol=1e-12)

    def test_clustered_samples(self):
        """Thousands of kinks within a hundred-thousandth of a radian share one bucket of the search."""
        rng = np.random.default_rng(3)
        x = np.column_stack([1e-5 * np.sort(rng.uniform(-1, 1, 3000)), np.ones(3000)])
        theta = np.vstack(
            [rng.standard_normal(400), rng.standard_normal(400), 1e-5 * rng.standard_normal(400)]
        )
        weight, c = np.ones(400), rng.standard_normal(3000)
        np.testing.assert_allclose(
            output(theta, weight, x), naive.output(theta, weight, x), rtol=0, atol=1e-16 * 400 * 10
        )
        np.testing.assert_allclose(pullback(theta, c, x), naive.pullback(theta, c, x), rtol=0, atol=1e-10)

    @pytest.mark.parametrize("kind", KINDS)
    def test_neurons_on_kinks_are_inactive_there(self, kind):
        """Exactly on them, and off them by rounding on either side; at the origin on every sample."""
        rng = np.random.default_rng(11)
        x, c = KINDS[kind](7, rng), rng.standard_normal(7)
        q = np.column_stack([[-x[:, 1], x[:, 0]], [x[:, 1], -x[:, 0]], np.zeros((2, 1))])
        theta = np.vstack([rng.standard_normal(q.shape[1]), q])
        on = pullback(theta, c, x)
        np.testing.assert_allclose(on, naive.pullback(theta, c, x), rtol=0, atol=1e-14)
        for off in (1e-15, -1e-15):
            turned = theta + off * np.vstack([np.zeros_like(q[0]), -q[1], q[0]])
            np.testing.assert_allclose(pullback(turned, c, x), on, rtol=0, atol=1e-13)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    @pytest.mark.parametrize("row", [0, 1, 2])
    def test_what_is_not_finite_reaches_the_sums(self, bad, row):
        rng = np.random.default_rng(4)
        x, theta = np.abs(line(5, rng)), np.abs(rng.standard_normal((3, 50))) + 2.0  # all active
        theta[row, 17] = bad
        with np.errstate(invalid="ignore"):
            assert not np.isfinite(output(theta, np.ones(50), x)).any()
        assert not np.isfinite(second_moments(theta, np.ones(50), np.ones(5), x)[0]).all()

    def test_the_origin_feels_nothing(self):
        x, theta = line(4, np.random.default_rng(0)), np.array([[1.0], [0.0], [0.0]])
        moved, stats, f, _ = move(theta, np.ones(4), x, 1.0)
        np.testing.assert_array_equal(moved, theta)
        assert not stats.any()
        assert not f.any()


class TestMotion:
    @given(draws, st.floats(0.01, 4.0))
    def test_is_that_of_any_dimension(self, draw, h):
        """Two codes, one mathematics: a walk over sectors, and a search over all samples."""
        kind, n, seed = draw
        rng = np.random.default_rng(seed)
        x = line(n, rng) if kind == "line" else rng.standard_normal((n, 2))
        e, theta = rng.standard_normal(n), rng.standard_normal((3, 100))
        ours, stats, f, _ = move(theta, e, x, h)
        theirs, _ = dense_move(theta, e, x, h)
        scale = np.abs(theirs).max(axis=0)
        different = np.abs(ours - theirs).max(axis=0) > 1e-9 * scale
        # At the origin more than one way out may be a solution.
        for k in np.flatnonzero(different):
            assert move(theta[:, k : k + 1], e, x, h)[1][ORIGIN] > 0
        assert stats[GAVE_UP] == 0
        np.testing.assert_allclose(
            f, naive.output(ours, np.ones(100), x), rtol=0, atol=1e-11 * scale.max() ** 2
        )

    @given(draws, st.floats(0.01, 3.0))
    def test_laws(self, draw, h):
        """p**2 - |q|**2 is conserved, and two stages are one motion after the other."""
        x, e, theta, weight, rng = drawn(draw)
        ours, stats, *_ = move(theta, e, x, h)
        charge, before = (t[0] ** 2 - (t[1:] ** 2).sum(axis=0) for t in (ours, theta))
        assert np.all(np.abs(charge - before) <= 1e-12 * ((ours**2).sum(axis=0) + (theta**2).sum(axis=0)))
        assert stats[GAVE_UP] == 0
        other = rng.standard_normal(len(x))
        one_by_one, *_ = move(ours, other, x, 0.5 * h, before=e)
        stages = np.stack([e, other])
        both = np.array([h, 0.5 * h])
        staged, _, f, change = move(theta, stages, x, both, weight, theta.copy())
        np.testing.assert_array_equal(staged, one_by_one)
        np.testing.assert_allclose(
            f, naive.output(staged, weight, x), rtol=0, atol=1e-11 * (staged**2).sum() * np.abs(x).max()
        )
        np.testing.assert_allclose(
            change[:2], naive.combination_norms((staged - theta)[None], [1.0], weight), rtol=1e-9
        )

    @pytest.mark.parametrize(("kind", "n", "seed"), [("line", 4, 0), ("line", 12, 1), ("anywhere", 7, 2)])
    def test_against_euler(self, kind, n, seed):
        rng = np.random.default_rng(seed)
        x, e, h = KINDS[kind](n, rng), rng.standard_normal(n), 1.5
        theta = rng.standard_normal((3, 600))
        ours, stats, *_ = move(theta, e, x, h)
        coarse, fine = naive.euler_motion(theta, e, x, h, 10_000), naive.euler_motion(theta, e, x, h, 20_000)
        error, own = np.abs(ours - fine).max(axis=0), np.abs(coarse - fine).max(axis=0)
        good = error <= 5 * own + 2e-3
        assert good.mean() >= 0.99, (error[~good], np.flatnonzero(~good))
        assert stats[CROSSED] > 20
        assert stats[SLID] > 5

    def test_rests_at_the_origin_and_goes_on_when_the_pull_ends(self):
        """Both rays of a kink pull inwards: it rests. Once a side pulls outwards, it goes there."""
        x = np.array([[1.0, 0.0], [-0.5, 1.0], [-0.5, -1.0]])
        # On the kink of sample 0, the second axis, samples 1 and 2 are active above and below.
        theta, e = np.array([[2.0], [0.3], [0.3]]), np.array([9.0, 3.0, 3.0])
        rests, stats, *_ = move(theta, e, x, 5.0)
        assert stats[ORIGIN] == 1
        assert np.abs(rests[1:]).max() <= 1e-12
        again, stats, *_ = move(rests, e, x, 5.0)
        assert stats[ORIGIN] == 0  # it is there already
        np.testing.assert_allclose(again, rests, atol=1e-12)
        released, *_ = move(rests, np.array([9.0, 3.0, -3.0]), x, 0.1)
        assert released[2, 0] < -0.01
        kept, *_ = move(rests, np.array([9.0, 3.0, 3.0]), x, 0.1)
        assert np.abs(kept[1:]).max() <= 1e-12

    #: On the kink of sample 0, which is the second axis, both sides pull inwards while p > 0.
    SLIDES = {  # noqa: RUF012
        "nothing pulls along the kink": (1.0, [[1.0, 0.0], [-1.0, 1.0], [-3.0, 1.0]], 0),
        "p falls to zero on the way": (0.2, [[1.0, 0.0], [-1.0, 0.5], [-3.0, 1.0]], 1),
        "p is zero at the start": (0.0, [[1.0, 0.0], [-1.0, 1.0], [-3.0, 0.5]], 1),
    }

    @pytest.mark.parametrize("kind", SLIDES)
    def test_slides(self, kind):
        p, x, moves = self.SLIDES[kind]
        theta, e, x = np.array([[p], [0.0], [1.0]]), np.array([5.0, -1.0, 1.0]), np.array(x)
        ours, *_ = move(theta, e, x, 2.0)
        np.testing.assert_allclose(ours, naive.euler_motion(theta, e, x, 2.0, 40_000), rtol=0, atol=1e-3)
        if p != 0.0:  # a search over all samples does not look at where p = 0 is about to go
            np.testing.assert_allclose(ours, dense_move(theta, e, x, 2.0)[0], rtol=1e-12, atol=1e-14)
        assert np.any(ours != theta) == moves

    def test_moves_along_a_kink_that_it_never_meets(self):
        """The residual of one sample is zero: the field is parallel to the kink of the other one."""
        x, e = np.eye(2), np.array([1.0, 0.0])
        theta = np.array([[1.0], [1.0], [1.0]])
        ours, stats, *_ = move(theta, e, x, 1.0)
        half = 0.5  # p' = -q0 / 2, q0' = -p / 2, from p = q0
        np.testing.assert_allclose(ours[:, 0], [np.exp(-half), np.exp(-half), 1.0], rtol=1e-14)
        assert stats[CROSSED] == 0

    def test_samples_on_one_line(self):
        """One kink, with two rays, and opposite samples on it: what moves is a single coordinate."""
        x, e = np.array([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]]), np.array([1.0, -0.6, 2.0])
        theta = np.random.default_rng(2).standard_normal((3, 200))
        ours, stats, *_ = move(theta, e, x, 3.0)
        fine = naive.euler_motion(theta, e, x, 3.0, 20_000)
        np.testing.assert_allclose(ours, fine, rtol=2e-3, atol=1e-3)
        np.testing.assert_array_equal(ours[2], theta[2])
        assert stats[CROSSED] > 10

    def test_a_slide_that_ended_between_steps_is_reported(self):
        """As in any dimension, see there; and the same where the samples are seen from the other side."""
        x = np.array([[0.0, 1.0], [1.0, 1.0]])
        cases = [
            ([2.0, -1.0], [2.0, -1.0]),
            ([0.5, -1.0], [2.0, -1.0]),
            ([2.0, 1.0], [2.0, -1.0]),
            ([-1.2, 0.1], [1.2, -1.0]),
            ([-1.2, 1.0], [4.0, -0.1]),
            ([-1.5, 1.0], [2.0, -1.0]),
            ([-0.5, -0.1], [-0.5, -0.1]),
        ]
        for flip in (np.eye(2), np.diag([-1.0, 1.0]), np.diag([1.0, -1.0])):
            theta = np.vstack([[[1.0]], flip @ [[1.0], [0.0]]])
            for e, before in np.array(cases):
                ours, stats, *_ = move(theta, e, x @ flip, 0.1, before=before)
                theirs, expected = dense_move(theta, e, x @ flip, 0.1, before)
                np.testing.assert_allclose(ours, theirs, atol=1e-14)
                assert stats[STEPPED_OVER] == expected[STEPPED_OVER]

    def test_same_bits_for_any_number_of_threads(self):
        rng = np.random.default_rng(9)
        x, e, theta = line(16, rng), rng.standard_normal((3, 16)), rng.standard_normal((3, 9 * 2048 + 17))
        fan, size = planar.fan(x), theta.shape[1]
        chunks, results, before = kernels.chunk_count(size), [], kernels.get_threads()
        try:
            for count in (1, 2, 3):
                kernels.set_threads(count)
                out, moments = np.zeros_like(theta), np.empty((chunks, 2, len(fan.rays), 2))
                change, stats = np.empty((chunks, 3)), np.empty((chunks, 5), np.int64)

                def call(lo, hi, out=out, moments=moments, change=change, stats=stats):
                    planar_motion.move(
                        theta,
                        np.ones(size),
                        e,
                        np.array([0.5, 0.5]),
                        fan,
                        lo,
                        hi,
                        out,
                        moments,
                        change,
                        stats,
                    )

                kernels.run_chunks(chunks, 1e9, call)
                results.append(b"".join(a.tobytes() for a in (out, moments, change, stats)))
        finally:
            kernels.set_threads(before)
        assert len(set(results)) == 1


class TestTangentKernel:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("n", [2, 6, 15])
    def test_is_the_derivative_of_the_outputs(self, kind, n):
        rng = np.random.default_rng(n)
        x, e = KINDS[kind](n, rng), rng.standard_normal(n)
        theta, *_ = move(rng.standard_normal((3, 300)), e, x, 2.0)
        weight = rng.uniform(0.5, 2.0, 300)
        moments, fan = second_moments(theta, weight, e, x)
        K, h = planar.gram(moments, fan), 1e-7
        after, *_ = move(theta, e, x, h)
        rate = (naive.output(after, weight, x) - naive.output(theta, weight, x)) / h
        size = (weight * (theta**2).sum(axis=0)).sum() * np.abs(e).max() * np.abs(x).max() ** 2
        np.testing.assert_allclose(rate, -K @ e / n, atol=2e-5 * size)
        assert np.linalg.eigvalsh(K)[0] >= -1e-12 * np.linalg.eigvalsh(K)[-1]

    def test_is_that_of_any_dimension(self):
        rng = np.random.default_rng(1)
        x, e = line(8, rng), rng.standard_normal(8)
        theta, stats, *_ = move(rng.standard_normal((3, 500)), e, x, 2.0)
        assert stats[SLID] > 3
        K = planar.gram(*second_moments(theta, np.ones(500), e, x))
        np.testing.assert_allclose(K, motion_gram(theta, np.ones(500), e, x), rtol=1e-10, atol=1e-10)


class TestOrigin:
    """There the flow has several solutions; ours is the one of descent with a vanishing learning rate."""

    @staticmethod
    def arrivals(x, e, rng, count):
        """Particles that slide into the origin, at the start and at the end."""
        theta = rng.standard_normal((3, 1500)) * [[1.5], [0.2], [0.2]]
        ends, found = np.empty_like(theta), []
        for k in range(theta.shape[1]):
            end, stats, *_ = move(theta[:, k : k + 1], e, x, 6.0)
            ends[:, k] = end[:, 0]
            if stats[ORIGIN] > 0 and len(found) < count:
                found.append(k)
        assert len(found) >= 10
        return theta[:, found], ends[:, found]

    @pytest.mark.parametrize(("kind", "seed"), [("near", 0), ("near", 1), ("anywhere", 2), ("anywhere", 3)])
    def test_as_descent_with_small_steps(self, kind, seed):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((12, 2))
        if kind == "near":
            x = np.column_stack([np.linspace(-0.5, 0.5, 12), np.ones(12)])
        e = np.sin(4 * np.pi * x[:, 0]) + 0.1 * rng.standard_normal(12)
        start, ours = self.arrivals(x, e, rng, 40)
        coarse, fine = (naive.euler_motion(start, e, x, 6.0, steps) for steps in (20_000, 60_000))
        # Descent itself may end differently for another step: there it is no judge.
        sure = np.linalg.norm(coarse - fine, axis=0) <= 0.05
        agree = np.linalg.norm(ours - fine, axis=0) <= 0.05
        assert sure.sum() >= 8
        assert agree[sure].mean() >= 0.8

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_way_out_is_the_fastest_of_all_directions(self, sign):
        """It has the least of ``p sum_i e_i relu(q . x_i)`` over the circle: a fine grid is not lower."""
        angle = np.linspace(0.0, 2.0 * np.pi, 20_000, endpoint=False)
        around, found = np.column_stack([np.cos(angle), np.sin(angle)]), 0
        for seed in range(200):
            rng = np.random.default_rng(seed)
            x = anywhere(int(rng.integers(2, 14)), rng)
            x = np.where(seed % 3 == 0, np.round(x) + np.array([0.0, 1.0]), x)
            e = rng.standard_normal(len(x)) + sign * rng.uniform(0.0, 1.5)  # few ways out, or none
            fan = planar.fan(np.ascontiguousarray(x))
            rates = sign * np.maximum(around @ x.T, 0.0) @ e
            scale = np.abs(e) @ np.linalg.norm(x, axis=1)
            u0, u1, sector, ray = way_out(sign * 0.7, e, fan)
            if rates.min() < -1e-3 * scale:
                assert sector >= 0
                found += 1
            if sector >= 0:
                out = np.array([u0, u1])
                rate = sign * np.maximum(x @ out, 0.0) @ e
                assert np.hypot(u0, u1) == pytest.approx(1.0)
                # Between two directions of the grid it changes by their angle times the scale at most.
                assert -1.6e-4 * scale <= rate - rates.min() <= 1e-12 * scale
                if ray >= 0:
                    np.testing.assert_allclose(out, fan.rays[ray])
        assert 20 <= found <= 190

    def test_dies_where_all_samples_are_on_one_side(self):
        """Inputs near one another leave a wide sector without active samples, where descent steps to."""
        x = np.column_stack([np.linspace(-0.5, 0.5, 16), np.ones(16)])
        _, ends = self.arrivals(x, np.sin(4 * np.pi * x[:, 0]), np.random.default_rng(5), 20)
        assert np.abs(ends[1:]).max() <= 1e-12
        assert np.mean(np.all(x @ ends[1:] <= 0.0, axis=0)) >= 0.7
