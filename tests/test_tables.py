"""Tables of pandas, Polars and others, rows of them, sparse matrices and tensors: used rightly or refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

import meanfield as mf
from meanfield import InputError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 3))
Y = X[:, 0] - X[:, 1] ** 2
LABELS = [f"s{k}" for k in range(12)]
FRAME = pd.DataFrame(X, columns=list("abc"), index=LABELS)
TARGETS = pd.Series(Y, index=LABELS, name="yield")


def refused(match):
    return pytest.raises(InputError, match=match)


@pytest.fixture(scope="module")
def problem():
    return mf.Problem(FRAME, TARGETS)


@pytest.fixture(scope="module")
def run(problem):
    return mf.gradient_flow(
        problem, mf.Particles.sample(problem, mf.Scaling.named("ntk"), 50, rng=0), t_end=1
    )


class TestRows:
    def test_targets_are_brought_into_the_order_of_the_features(self, problem):
        np.testing.assert_array_equal(problem.y, Y)
        shuffled = FRAME.sample(frac=1, random_state=0)
        other = mf.Problem(shuffled, TARGETS)
        order = [LABELS.index(label) for label in shuffled.index]
        assert order != sorted(order)
        np.testing.assert_array_equal(other.x[:, :3], X[order])
        np.testing.assert_array_equal(other.y, Y[order])

    def test_a_frame_of_targets_too(self):
        other = mf.Problem(FRAME[::-1], TARGETS.to_frame())
        np.testing.assert_array_equal(other.y, Y[::-1])
        assert other.target_name == "yield"

    def test_other_labels_are_refused(self):
        with refused(r"row labels of x and y differ \(y has no row 's0'\); .* as arrays .* by position$"):
            mf.Problem(FRAME, TARGETS.reset_index(drop=True))
        with refused(r"y has no row 's3'"):
            mf.Problem(FRAME, TARGETS.rename({"s3": "s99"}))

    def test_labels_that_repeat(self):
        index = ["s"] * 12
        same = mf.Problem(FRAME.set_axis(index), TARGETS.set_axis(index))
        np.testing.assert_array_equal(same.y, Y)
        twice = ["s0", *LABELS[:-1]]
        with refused("row labels of x and y are in different orders, and some occur twice"):
            mf.Problem(FRAME.set_axis(twice), TARGETS.set_axis(twice[::-1]))

    def test_other_counts_say_so(self):
        with refused("x holds 12 samples but y holds 11"):
            mf.Problem(FRAME, TARGETS[:-1])

    def test_what_has_no_labels_is_paired_by_position(self):
        shuffled = FRAME[::-1]
        np.testing.assert_array_equal(mf.Problem(shuffled, Y).y, Y)
        np.testing.assert_array_equal(mf.Problem(X, TARGETS[::-1]).y, Y[::-1])
        np.testing.assert_array_equal(mf.Problem(pl.DataFrame(X), TARGETS).y, Y)


class TestNames:
    def test_of_columns_and_target(self, problem):
        assert (problem.feature_names, problem.target_name) == (("a", "b", "c"), "yield")
        assert mf.Problem(X, Y).feature_names is None
        assert mf.Problem(X, Y).target_name is None

    def test_only_if_all_are_text(self):
        """As scikit-learn's feature_names_in_: no names for numbers, an error for both kinds at once."""
        assert mf.Problem(FRAME.set_axis([0, 1, 2], axis=1), Y).feature_names is None
        with refused(r"x has columns named by text and one named 1; name all of them by text"):
            mf.Problem(FRAME.set_axis(["a", 1, "c"], axis=1), Y)
        with refused("x has 2 columns called 'a'; give each column a name of its own"):
            mf.Problem(FRAME.set_axis(["a", "a", "c"], axis=1), Y)

    def test_of_a_series(self):
        problem = mf.Problem(FRAME["a"], TARGETS)
        assert (problem.feature_names, problem.d_in) == (("a",), 1)
        assert mf.Problem(pd.Series(Y, name=3), TARGETS.to_numpy()).feature_names is None

    def test_given_by_the_user(self):
        named = mf.Problem(X, Y, feature_names=["u", "v", "w"], target_name="z")
        assert (named.feature_names, named.target_name) == (("u", "v", "w"), "z")
        with refused(r"feature_names is \['u'\]; give 3 different names"):
            mf.Problem(X, Y, feature_names=["u"])
        with refused("give 3 different names"):
            mf.Problem(X, Y, feature_names=["u", "u", "v"])


class TestPredict:
    def test_columns_may_have_any_order(self, run):
        expected = run.predict(X)
        np.testing.assert_array_equal(run.predict(FRAME), expected)
        np.testing.assert_array_equal(run.predict(FRAME[["c", "b", "a"]]), expected)

    @pytest.mark.parametrize(
        ("columns", "match"),
        [
            (["a", "b"], "x has no column 'c'; give the columns 'a', 'b', 'c' of the problem, in any order"),
            (["a", "b", "c", "d"], "x has the unknown column 'd'; give the columns"),
            (["a", "x", "y"], "x has no columns 'b', 'c' and the unknown columns 'x', 'y'; give"),
        ],
    )
    def test_other_columns_are_refused(self, run, columns, match):
        wrong = pd.DataFrame(np.ones((2, len(columns))), columns=columns)
        for call in (run.predict, run.problem.with_bias, run.problem.inputs):
            with refused(match):
                call(wrong)

    def test_columns_without_names_are_taken_by_position(self, run):
        np.testing.assert_array_equal(run.predict(pd.DataFrame(X)), run.predict(X))

    def test_one_row(self, run):
        expected = run.predict(X[4:5])
        np.testing.assert_array_equal(run.predict(FRAME.iloc[4]), expected)
        np.testing.assert_array_equal(run.predict(FRAME.iloc[4][["c", "a", "b"]]), expected)
        np.testing.assert_array_equal(run.predict(FRAME.iloc[4:5]), expected)
        with refused("x has no entry 'c' and the unknown entry 'z'; give the entries 'a', 'b', 'c'"):
            run.predict(FRAME.iloc[4].rename({"c": "z"}))
        with refused(r"x has 1 features but the problem has 3; .* a single one as \(1, 3\)"):
            run.predict(X[4])

    def test_one_feature(self):
        problem = mf.Problem(FRAME["a"], Y)
        np.testing.assert_array_equal(problem.inputs(FRAME["a"])[:, 0], X[:, 0])
        np.testing.assert_array_equal(problem.inputs(FRAME[["a"]].iloc[2]), X[2:3, :1])
        with refused("x has no column 'a' and the unknown column 'b'"):
            problem.inputs(FRAME["b"])

    def test_everywhere(self, problem):
        """Closed forms and limits go through the same door."""
        back = FRAME[["c", "b", "a"]]
        law = mf.limits.KernelRegime.at(problem, mf.Scaling.named("ntk"), 1e6)
        np.testing.assert_array_equal(law.output(back), law.output(X))
        network = mf.Particles.sample(problem, mf.Scaling.named("ntk"), 20, rng=0)
        linear = mf.limits.Linearised(problem, network)
        np.testing.assert_array_equal(linear.output(back), linear.output(X))
        with refused("no column 'c'"):
            law.output(FRAME[["a", "b"]])
        ours, theirs = (mf.limits.empirical_kernels(network, x, problem=problem)[0] for x in (back, X))
        np.testing.assert_array_equal(ours, theirs)


class TestOtherLibraries:
    def test_polars(self, run):
        frame = pl.DataFrame({name: X[:, k] for k, name in enumerate("abc")})
        problem = mf.Problem(frame, pl.Series("yield", Y))
        assert (problem.feature_names, problem.target_name) == (("a", "b", "c"), "yield")
        np.testing.assert_array_equal(problem.x[:, :3], X)
        np.testing.assert_array_equal(run.predict(frame.select("c", "a", "b")), run.predict(X))
        with refused("x has no column 'c'"):
            run.predict(frame.select("a", "b"))
        with refused(r"x is a lazy table, .*; give x.collect\(\)"):
            run.predict(frame.lazy())

    def test_pyarrow(self, run):
        arrow = pytest.importorskip("pyarrow")
        table = arrow.table({"c": X[:, 2], "b": X[:, 1], "a": X[:, 0]})
        np.testing.assert_array_equal(run.predict(table), run.predict(X))

    def test_whole_numbers_and_truth_values(self):
        frame = pd.DataFrame({"n": pd.array([1, 2, 3], dtype="Int64"), "on": [True, False, True]})
        np.testing.assert_array_equal(mf.Problem(frame, [1, 2, 3], bias=False).x, [[1, 1], [2, 0], [3, 1]])

    @pytest.mark.parametrize(
        ("column", "match"),
        [
            (["Oslo", "Rome", "Lima"], r"column 'a' of x is not an array of numbers \(it holds text\)"),
            (pd.to_datetime(["2020", "2021", "2022"]), "column 'a' of x holds dates or durations"),
            ([1.0, None, 2.0], r"column 'a' of x\[1\] is nan; .* drop or fill"),
            (pd.array([1, None, 2], dtype="Int64"), r"column 'a' of x\[1\] is nan; .* drop or fill"),
            ([1j, 2j, 3j], "column 'a' of x is complex"),
        ],
    )
    def test_columns_that_are_no_numbers_are_named(self, column, match):
        with refused(match):
            mf.Problem(pd.DataFrame({"a": column, "b": [1.0, 2.0, 3.0]}), [1, 2, 3])

    @pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.coo_array])
    def test_sparse(self, run, kind):
        sentence = rf"x is a sparse matrix \({kind.__name__}\), .*; give x.toarray\(\)"
        with refused(sentence):
            mf.Problem(kind(X), Y)
        with refused(sentence):
            run.predict(kind(X))

    def test_tensors_that_require_gradients(self):
        """What PyTorch does, without PyTorch: the attribute, and the error of a list of such tensors."""

        class Tensor:
            def __init__(self, requires_grad):
                self.requires_grad = requires_grad

            def __array__(self, dtype=None, copy=None):
                if self.requires_grad:
                    raise RuntimeError("Can't call numpy() on Tensor that requires grad.\nUse detach().")
                return np.array(X[:, 0])

        with refused(r"x is a tensor that requires gradients, .*; give x.detach\(\)"):
            mf.Problem(Tensor(True), Y)
        with refused(
            r"x is not an array of numbers \(Can't call numpy\(\) on Tensor that requires grad. Use"
        ):
            mf.Problem([Tensor(True)] * 12, Y)
        np.testing.assert_array_equal(mf.Problem(Tensor(False), Y).x[:, 0], X[:, 0])

    def test_tensors(self):
        torch = pytest.importorskip("torch")
        tensor = torch.tensor(X, requires_grad=True)
        with refused(r"x is a tensor that requires gradients"):
            mf.Problem(tensor, Y)
        np.testing.assert_array_equal(mf.Problem(tensor.detach(), Y).x[:, :3], X)


def test_tables_cost_nothing_where_there_are_none():
    code = (
        "import sys, meanfield as mf; mf.datasets.four_points(); mf.Problem([1.0, 2.0], [0.0, 1.0]);"
        "print([name for name in ('narwhals', 'pandas', 'polars') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
