"""The problem: validation, rank reduction, the loss floor and the fingerprint."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.optimize import minimize_scalar

from meanfield.errors import InputError
from meanfield.problem import Problem

FINITE = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda v: 0.0 if abs(v) < 1e-6 else v)


def random_problem(seed, n, d_in, rank=None, bias=True):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d_in))
    if rank is not None:
        x = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d_in))
    return Problem(x, rng.standard_normal(n), bias=bias)


class TestShapes:
    def test_one_dimensional_input_becomes_a_column_with_bias(self):
        problem = Problem([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
        np.testing.assert_array_equal(problem.x, [[1, 1], [2, 1], [3, 1]])
        assert (problem.n, problem.d, problem.d_in) == (3, 2, 1)

    def test_without_bias_the_rows_are_the_users(self):
        problem = Problem([[1.0, 2.0], [3.0, 4.0]], [0.0, 1.0], bias=False)
        np.testing.assert_array_equal(problem.x, [[1, 2], [3, 4]])
        assert (problem.d, problem.d_in) == (2, 2)

    def test_column_of_targets_is_flattened(self):
        np.testing.assert_array_equal(Problem([1, 2], [[3], [4]]).y, [3.0, 4.0])

    def test_arrays_are_copies_and_read_only(self):
        x, y = np.ones((2, 1)), np.ones(2)
        problem = Problem(x, y)
        x[:] = 7.0
        y[:] = 7.0
        assert problem.x.max() == problem.y.max() == 1.0
        for array in (problem.x, problem.y, problem.basis, problem.reduced):
            with pytest.raises(ValueError, match=r"read-only"):
                array[0] = 0.0

    def test_with_bias_matches_the_training_rows(self):
        problem = random_problem(0, 4, 3)
        np.testing.assert_array_equal(problem.with_bias(problem.x[:, :3]), problem.x)
        without = random_problem(0, 4, 3, bias=False)
        np.testing.assert_array_equal(without.with_bias(without.x), without.x)

    def test_repr_names_the_sizes(self):
        assert repr(Problem([1, 2], [3, 4], name="two")) == "<Problem 'two': n=2, d=2, bias=True>"


@pytest.mark.parametrize(
    ("x", "y", "given", "remedy"),
    [
        ([1, 2], [1, 2, 3], "x holds 2 samples but y holds 3", "one row of x for each"),
        ([1, 2], [1], "x holds 2 samples but y holds 1", r"x of shape \(1, d_in\)"),
        ([1, np.nan], [1, 2], r"x\[1\] is nan", "drop or fill"),
        ([1, 2], [1, np.inf], r"y\[1\] is inf", "drop or fill"),
        ([[1], [np.longdouble("1e400")]], [1, 2], r"x\[1, 0\] is inf", "drop or fill"),
        ([1j, 2], [1, 2], "x is complex", "real numbers"),
        (["a", "b"], [1, 2], "x is not an array of numbers", "real numbers"),
        ([[1, 2], [3]], [1, 2], "x is not an array of numbers", "real numbers"),
        ([10**400, 2], [1, 2], "x is not an array of numbers", "real numbers"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), [1], "x holds dates", "real numbers"),
        (np.ma.masked_equal([1.0, 2.0], 2.0), [1, 2], "x has masked entries", "fill them or drop"),
        (np.ones((2, 2, 2)), [1, 2], r"x has shape \(2, 2, 2\)", r"give \(n,\) or \(n, d_in\)"),
        (np.ones((0, 2)), [], r"x has shape \(0, 2\)", "n, d_in >= 1"),
        (np.ones((2, 0)), [1, 2], r"x has shape \(2, 0\)", "n, d_in >= 1"),
        ([1, 2], np.ones((2, 2, 2)), r"y has shape \(2, 2, 2\)", "one target per sample"),
        ([0, 0], [1, 2], "every input of the 2 samples is zero", "at least one non-zero"),
        ([1e200, 1], [1, 2], "entries of x reach 1e.200", "rescale the data"),
        ([1, 2], [1e-200, 0], "entries of y reach 1e-200", "rescale the data"),
    ],
)
def test_bad_data_are_refused_with_a_remedy(x, y, given, remedy):
    with pytest.raises(InputError, match=rf"{given}.*{remedy}"):
        Problem(x, y)


def test_new_points_with_other_features_are_refused():
    with pytest.raises(
        InputError, match=r"x has 2 features but the problem has 1; give points of shape \(k, 1\)"
    ):
        Problem([1, 2], [1, 2]).with_bias([[1, 2]])


class TestRank:
    @pytest.mark.parametrize(("n", "d_in", "rank"), [(3, 10, None), (8, 10, 2), (6, 3, None), (1, 4, None)])
    def test_rank_is_that_of_linear_algebra(self, n, d_in, rank):
        problem = random_problem(1, n, d_in, rank)
        assert problem.rank == np.linalg.matrix_rank(problem.x)
        assert problem.reduced.shape == (n, problem.rank)

    @given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 8), st.booleans())
    def test_a_network_sees_only_the_span(self, seed, n, d_in, bias):
        """w.x = (B' w).(B' x): projecting weights and samples on the basis B changes no activation."""
        problem = random_problem(seed, n, d_in, bias=bias)
        rng = np.random.default_rng(seed + 1)
        w, a = rng.standard_normal((5, problem.d)), rng.standard_normal(5)
        full = np.maximum(problem.x @ w.T, 0) @ a
        reduced = np.maximum(problem.reduced @ (w @ problem.basis).T, 0) @ a
        size = np.linalg.norm(problem.x, axis=1) * (np.linalg.norm(w, axis=1) @ abs(a))
        np.testing.assert_array_less(abs(full - reduced), 1e-13 * size + 1e-300)

    def test_basis_is_orthonormal_and_spans(self):
        problem = random_problem(2, 5, 20)
        np.testing.assert_allclose(problem.basis.T @ problem.basis, np.eye(5), atol=1e-14)
        np.testing.assert_allclose(problem.reduced @ problem.basis.T, problem.x, atol=1e-13)

    def test_full_rank_keeps_the_coordinates(self):
        problem = random_problem(3, 5, 2)
        np.testing.assert_array_equal(problem.basis, np.eye(3))
        assert problem.reduced is problem.x


def brute_floor(groups, n):
    """Loss left over when each ray's common factor t is found by a one-dimensional search."""
    total = 0.0
    for c, y in groups:
        c, y = np.asarray(c, float), np.asarray(y, float)
        best = minimize_scalar(lambda t, c=c, y=y: np.sum((c * t - y) ** 2), options={"xtol": 1e-12})
        total += best.fun
    return total / (2 * n)


def exact_floor(problem):
    """The floor in fractions: samples are on one ray if cross products vanish and they point the same way."""
    x = [[Fraction(value) for value in row] for row in problem.x]
    y = [Fraction(value) for value in problem.y]

    def on_one_ray(one, other):
        pairs = itertools.combinations(range(problem.d), 2)
        parallel = all(one[i] * other[j] == one[j] * other[i] for i, j in pairs)
        return parallel and sum(a * b for a, b in zip(one, other, strict=True)) > 0

    left, total = list(range(problem.n)), Fraction(0)
    while left:
        ray = [i for i in left if on_one_ray(x[left[0]], x[i])] or [left[0]]
        left = [i for i in left if i not in ray]
        total += sum(y[i] ** 2 for i in ray)
        c = [max(map(abs, x[i])) for i in ray]
        if any(c):
            total -= sum(a * y[i] for a, i in zip(c, ray, strict=True)) ** 2 / sum(a * a for a in c)
    return float(total) / (2 * problem.n)


class TestLossFloor:
    @given(
        st.lists(
            st.lists(st.tuples(st.floats(0.1, 10), st.floats(-5, 5)), min_size=1, max_size=4),
            min_size=1,
            max_size=4,
        ),
        st.integers(0, 2**32),
    )
    def test_against_a_search_on_each_ray(self, groups, seed):
        rng = np.random.default_rng(seed)
        directions = rng.standard_normal((len(groups), 3))
        x = np.array([c * u for u, group in zip(directions, groups, strict=True) for c, _ in group])
        y = np.array([value for group in groups for _, value in group])
        y[np.abs(y) < 1e-6] = 0.0
        lengths = [[c * np.linalg.norm(u) for c, _ in g] for u, g in zip(directions, groups, strict=True)]
        start = np.cumsum([0, *map(len, groups)])
        values = [y[start[i] : start[i + 1]] for i in range(len(groups))]
        shuffled = rng.permutation(len(y))
        problem = Problem(x[shuffled], y[shuffled], bias=False, loss="mean-square")
        expected = brute_floor(zip(lengths, values, strict=True), len(y))
        assert problem.loss_floor == pytest.approx(expected, rel=1e-6, abs=1e-12)

    def test_contradictory_labels(self):
        # Two samples at one place with labels 0 and 2: the best value is 1 and R = (1 + 1)/(2 * 3).
        assert Problem([1.0, 1.0, 2.0], [0.0, 2.0, 5.0]).loss_floor == pytest.approx(1 / 3)

    def test_zero_rows_cannot_be_fitted(self):
        assert Problem([[0.0], [1.0]], [3.0, 1.0], bias=False).loss_floor == pytest.approx(9 / 4)

    def test_opposite_samples_are_two_rays(self):
        assert Problem([-1.0, 1.0], [1.0, 1.0], bias=False).loss_floor == 0.0

    def test_on_one_ray_without_bias(self):
        # y = (1, 1) on c = (1, 2): t = 3/5, left over 2 - 9/5 = 1/5.
        assert Problem([1.0, 2.0], [1.0, 1.0], bias=False).loss_floor == pytest.approx(0.2 / 4)

    @pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-8, 1e-10, 1e-13, 1e-15, 2.0**-53])
    def test_close_samples_are_no_duplicates(self, gap):
        """One neuron with its kink between them tells them apart: the floor is zero."""
        assert Problem([0.5, 0.5 + gap], [0.0, 1.0]).loss_floor == pytest.approx(0.0, abs=1e-30)

    @pytest.mark.parametrize(
        ("start", "step", "n"), [(1.6e9, 3600.0, 30), (1.6e12, 86.4e6, 365), (1e15, 1.0, 40), (-1e6, 0.1, 20)]
    )
    def test_times_since_1970(self, start, step, n):
        """Inputs whose unit vectors agree in all digits differ: the floor, 0.12, was undercut by hand."""
        t = start + step * np.arange(n)
        problem = Problem(t, np.sin(np.arange(n) / 3))
        hidden = np.column_stack([np.ones(n), np.maximum(t[:, None] - t[:-1], 0.0)])  # kinks at the samples
        f = hidden @ np.linalg.solve(hidden, problem.y)
        assert problem.loss(f) < 1e-25
        assert problem.loss_floor == 0.0
        assert problem.learnable == pytest.approx(problem.zero_loss, rel=1e-12)

    @given(
        st.integers(0, 2**32),
        st.sampled_from(
            [(True, 3), (True, 10**8), (True, 2**40), (False, 3), (False, 10**4), (False, 10**6)]
        ),
    )
    def test_against_exact_arithmetic(self, seed, kind):
        """Whole numbers, which are on one ray or are not, far from zero or near it.

        Without a bias up to where their products are beyond double precision.
        """
        bias, far = kind
        rng = np.random.default_rng(seed)
        d = int(rng.integers(1, 4))
        rows = far + rng.integers(-2, 3, (8, d))
        rows[:, 1:] -= far * rng.integers(0, 2, d - 1)  # some features far from zero, some near it
        rows *= rng.integers(1, 4, (8, 1))
        rows[0, 0] = 1
        y = rng.integers(-3, 4, 8).astype(float)
        problem = Problem(rows.astype(float), y, bias=bias, loss="mean-square")
        assert problem.loss_floor == pytest.approx(exact_floor(problem), rel=1e-12, abs=1e-30)

    def test_no_network_goes_below(self):
        problem = Problem([0.3, 0.3, 0.3, -1.0], [0.0, 1.0, 2.0, 1.0])
        rng = np.random.default_rng(0)
        for _ in range(200):
            w, a = rng.standard_normal((10, 2)), rng.standard_normal(10)
            features = np.maximum(problem.x @ w.T, 0)
            best, *_ = np.linalg.lstsq(features, problem.y, rcond=None)
            assert problem.loss(features @ best) >= problem.loss_floor * (1 - 1e-12)
            assert problem.loss(features @ a) >= problem.loss_floor

    @given(st.floats(0.01, 100), st.floats(0.01, 100))
    def test_scaling_of_inputs_and_targets(self, input_factor, target_factor):
        x, y = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), np.array([1.0, 1.0, 3.0])
        floor = Problem(x, y, bias=False).loss_floor
        scaled = Problem(input_factor * x, target_factor * y, bias=False).loss_floor
        assert scaled == pytest.approx(target_factor**2 * floor, rel=1e-10)


class TestRestored:
    SCALED = Problem([[1.0, 2.0], [3.0, 5.0]], [1.0, 2.0], feature_names=["u", "v"]).standardised()

    def test_round_trip(self):
        again = Problem.restored(self.SCALED.x[:, :2], self.SCALED.y, self.SCALED.described())
        assert (again.fingerprint, again.described()) == (self.SCALED.fingerprint, self.SCALED.described())

    @pytest.mark.parametrize("part", ["bias", "name", "standardisation", "scale", "target_mean"])
    def test_a_part_is_missing(self, part):
        """Nothing is put in its place: a problem without its bias would be another one."""
        kept = self.SCALED.described()
        whole = kept if part in kept else kept["standardisation"]
        del whole[part]
        with pytest.raises(InputError, match=rf"returns \(KeyError: '{part}'\); give all of that$"):
            Problem.restored(self.SCALED.x[:, :2], self.SCALED.y, kept)

    def test_a_part_too_many(self):
        with pytest.raises(
            InputError, match=r"^described is not what Problem\.described\(\) returns \(TypeErr"
        ):
            Problem.restored([1.0, 2.0], [1.0, 2.0], Problem([1.0, 2.0], [1.0, 2.0]).described() | {"b": 1})


def test_loss_is_half_the_mean_square():
    problem = Problem([1.0, 2.0], [1.0, 3.0])
    assert problem.loss(np.array([2.0, 5.0])) == pytest.approx((1 + 4) / 4)


class TestFingerprint:
    @given(npst.arrays(np.float64, (4, 2), elements=FINITE), npst.arrays(np.float64, 4, elements=FINITE))
    def test_equal_data_share_it_whatever_the_storage(self, x, y):
        if not x.any():
            x[0, 0] = 1.0
        problem = Problem(x, y, name="one")
        others = [
            Problem(np.asfortranarray(x), y.tolist(), name="two"),
            Problem(np.where(x == 0, -0.0, x), np.where(y == 0, -0.0, y)),
            Problem(x.astype(">f8"), y[:, None]),
        ]
        assert {other.fingerprint for other in others} == {problem.fingerprint}

    def test_it_depends_on_everything(self):
        x, y = np.arange(1.0, 7.0).reshape(3, 2), np.ones(3)
        variants = [
            Problem(x, y),
            Problem(x + 1e-15, y),
            Problem(x, 2 * y),
            Problem(x, y, bias=False),
            Problem(np.column_stack([x, y]), y, bias=False),  # the same rows, another meaning
            Problem(x[::-1], y),
        ]
        assert len({problem.fingerprint for problem in variants}) == len(variants)


@st.composite
def samples_on_rays(draw):
    """Some rays with some samples on each, zero rows among them, in any order; targets."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    d = draw(st.integers(1, 5))
    directions = np.repeat(rng.standard_normal((len(counts), d)), counts, axis=0)
    x = directions * 10.0 ** rng.uniform(-2, 2, (len(directions), 1))
    x = np.concatenate([x, np.zeros((draw(st.integers(0, 2)), d))])
    order = rng.permutation(len(x))
    return x[order], rng.standard_normal(len(x)), rng


class TestRays:
    """Against the sums over all samples, written down."""

    @given(samples_on_rays())
    def test_loss_outputs_and_pull_are_those_of_all_samples(self, drawn):
        x, y, rng = drawn
        problem = Problem(x, y, bias=False)
        rays = problem.rays
        neurons = rng.standard_normal((problem.rank, 7))
        a = rng.standard_normal(7)
        plain, merged = np.maximum(problem.reduced @ neurons, 0) @ a, np.maximum(rays.x @ neurons, 0) @ a
        np.testing.assert_allclose(rays.expand(merged), plain, rtol=1e-12, atol=1e-12)
        e, e_rays = plain - y, merged - rays.y
        expected = np.mean(e**2) / 2
        assert np.mean(e_rays**2) / 2 + problem.loss_floor == pytest.approx(expected, rel=1e-12)

        def pull(x, e):
            return ((x @ neurons > 0) * e[:, None]).T @ x / len(x)

        scale = np.abs(e).max() * np.abs(x).max()
        np.testing.assert_allclose(
            pull(rays.x, e_rays), pull(problem.reduced, e), rtol=1e-11, atol=1e-12 * scale
        )

    @given(samples_on_rays())
    def test_one_sample_for_each_ray(self, drawn):
        x, y, _ = drawn
        rays = Problem(x, y, bias=False).rays
        lengths = np.linalg.norm(x, axis=1)
        units = x[lengths > 0] / lengths[lengths > 0, None]
        same = np.linalg.norm(units[:, None] - units, axis=2) < 1e-13
        assert len(rays.y) == len(np.unique(same, axis=0))

    def test_samples_on_rays_of_their_own_stay_as_they_are(self):
        problem = Problem([0.5, -1.0, 0.5 + 1e-9], [1.0, 2.0, 3.0])
        assert problem.rays.index is None
        assert problem.rays.x is problem.reduced
        assert problem.rays.y is problem.y
        values = np.arange(3.0)
        assert problem.rays.expand(values) is values

    def test_many_samples(self):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((3000, 50))
        problem = Problem(np.concatenate([x, 2.0 * x[::-1]]), np.zeros(6000), bias=False)
        np.testing.assert_array_equal(problem.rays.index, [*range(3000), *reversed(range(3000))])
