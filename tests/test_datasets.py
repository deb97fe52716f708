"""Data sets: the synthetic ones against their definitions, files good and bad."""

import csv
import gzip
import io
import math
import os
import pickle
import random
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from meanfield import datasets
from meanfield.errors import InputError, MissingExtraError
from meanfield.problem import Problem


def short(value):
    """Names of test cases: pytest would spell out whole files."""
    return value if isinstance(value, str) and len(value) < 80 else type(value).__name__


def refused(match):
    return pytest.raises(InputError, match=match)


# --- synthetic -------------------------------------------------------------------------------------


def test_four_points_are_the_papers():
    problem = datasets.four_points()
    np.testing.assert_allclose(problem.x[:, 0], [-1 / 2, -1 / 6, 1 / 6, 1 / 2], rtol=1e-15)
    np.testing.assert_array_equal(problem.x[:, 1], 1.0)
    np.testing.assert_allclose(problem.y, [1 / 4, 1 / 36, 1 / 36, 1 / 4], rtol=1e-15)
    assert problem.name == "four points"


class TestFunction1d:
    def test_uniform_grid(self):
        problem = datasets.function_1d(math.sin, 5, low=0.0, high=2.0)
        np.testing.assert_allclose(problem.x[:, 0], [0, 0.5, 1, 1.5, 2], rtol=1e-15)
        np.testing.assert_allclose(problem.y, np.sin([0, 0.5, 1, 1.5, 2]), rtol=1e-15)

    def test_the_papers_data_are_a_special_case(self):
        square = datasets.function_1d(lambda x: x**2, 4)
        assert square.fingerprint == datasets.four_points().fingerprint

    def test_names(self):
        assert datasets.function_1d(math.sin, 2).name == "sin"
        assert datasets.function_1d(lambda x: x, 2).name == "function"
        assert datasets.function_1d(np.cos, 2, name="wave").name == "wave"

    @pytest.mark.parametrize("n", [1, 0, -3, 2.5, "4", None, math.nan])
    def test_bad_counts(self, n):
        with refused(f"n is '?{n}'?; give a whole number >= 2"):
            datasets.function_1d(math.sin, n)

    def test_bad_intervals_and_values(self):
        with refused("low is 1 and high is 1; give low < high"):
            datasets.function_1d(math.sin, 3, low=1, high=1)
        with refused("high is inf; give a finite number"):
            datasets.function_1d(math.sin, 3, high=math.inf)
        with refused(r"y\[1\] is nan; .*drop or fill"):
            datasets.function_1d(lambda x: math.nan if x == 0 else 1.0, 3)
        with refused("y is not an array of numbers"):
            datasets.function_1d(lambda x: "high", 3)


class TestCircle:
    @given(st.integers(2, 40), st.booleans())
    def test_points_and_targets(self, n, bias):
        problem = datasets.circle(n, bias=bias)
        x1, x2 = problem.x[:, 0], problem.x[:, 1]
        np.testing.assert_allclose(np.hypot(x1, x2), 1.0, rtol=1e-14)
        np.testing.assert_allclose(problem.y, 2 * x1 * x2, atol=1e-14)  # sin 2 phi = 2 sin phi cos phi
        gaps = np.diff(np.arctan2(x2, x1)) % (2 * math.pi)
        np.testing.assert_allclose(gaps, 2 * math.pi / n, rtol=1e-10)
        assert (problem.n, problem.d, problem.bias) == (n, 2 + bias, bias)

    def test_target_of_the_angle(self):
        problem = datasets.circle(4, lambda phi: phi, name="angle")
        np.testing.assert_allclose(problem.y, np.pi * np.array([1, 3, 5, 7]) / 4)
        assert problem.name == "angle"

    def test_bad_counts(self):
        with refused("n is 1; give a whole number >= 2"):
            datasets.circle(1)


class TestTeacher:
    @pytest.mark.parametrize("bias", [True, False])
    def test_law(self, bias):
        """E f = 0, E f^2 = 1, E x x' = I over 4000 teachers, one sample each; z = 5 (5.7e-7 a statistic)."""
        rng, runs = np.random.default_rng(2), 4000
        problems = [datasets.teacher(1, 2, neurons=3, rng=s, bias=bias) for s in rng.spawn(runs)]
        y = np.array([p.y[0] for p in problems])
        x = np.array([p.x[0, :2] for p in problems])
        assert abs(y.mean()) < 5 * y.std() / math.sqrt(runs)
        assert abs(np.mean(y**2) - 1) < 5 * np.std(y**2) / math.sqrt(runs)
        for i, j, moment in ((0, 0, 1), (1, 1, 1), (0, 1, 0)):
            products = x[:, i] * x[:, j]
            assert abs(products.mean() - moment) < 5 * products.std() / math.sqrt(runs)

    def test_one_neuron_is_one_ridge(self):
        """With K = 1 and no bias the targets are +- relu of a linear function: recover it exactly."""
        problem = datasets.teacher(200, 3, neurons=1, rng=4, bias=False)
        active = problem.y != 0
        v, *_ = np.linalg.lstsq(problem.x[active], problem.y[active], rcond=None)
        sign = np.sign(problem.y[active][0])
        np.testing.assert_allclose(problem.y, sign * np.maximum(sign * (problem.x @ v), 0), atol=1e-12)
        assert 50 < active.sum() < 150

    def test_noise_has_the_given_size_and_changes_nothing_else(self):
        clean = datasets.teacher(20_000, 2, neurons=4, rng=6)
        noisy = datasets.teacher(20_000, 2, neurons=4, rng=6, noise=0.5)
        np.testing.assert_array_equal(clean.x, noisy.x)
        residual = noisy.y - clean.y
        assert abs(residual.std() - 0.5) < 5 * 0.5 / math.sqrt(2 * 20_000)
        assert abs(np.corrcoef(residual, clean.x[:, 0])[0, 1]) < 5 / math.sqrt(20_000)

    def test_sets_are_nested(self):
        small = datasets.teacher(5, 3, neurons=2, rng=1, noise=0.1)
        large = datasets.teacher(9, 3, neurons=2, rng=1, noise=0.1)
        np.testing.assert_array_equal(small.x, large.x[:5])
        np.testing.assert_allclose(small.y, large.y[:5], rtol=1e-13)

    @pytest.mark.parametrize("name", ["n", "d_in", "neurons"])
    def test_bad_counts(self, name):
        with refused(f"{name} is 0; give a whole number >= 1"):
            datasets.teacher(**{"n": 3, "d_in": 2, "neurons": 2, "rng": 0, name: 0})

    def test_bad_noise(self):
        with refused("noise is -1; give a standard deviation >= 0"):
            datasets.teacher(3, 2, neurons=2, rng=0, noise=-1)
        with refused("noise is 'x'; give a standard deviation >= 0"):
            datasets.teacher(3, 2, neurons=2, rng=0, noise="x")


# --- scikit-learn's digits -------------------------------------------------------------------------


class TestDigits:
    def test_pixels_targets_and_rows(self):
        from sklearn.datasets import load_digits

        data = load_digits()
        label_of = {row.tobytes(): label for row, label in zip(data.data / 16, data.target, strict=True)}
        problem = datasets.digits(200)
        assert (problem.n, problem.d, problem.name) == (200, 65, "digits")
        assert problem.x.min() == 0.0
        assert problem.x.max() == 1.0
        labels = [label_of[row.tobytes()] for row in np.ascontiguousarray(problem.x[:, :64])]
        np.testing.assert_allclose(problem.y, (2 * np.array(labels) - 9) / 9, atol=1e-15)
        assert len(np.unique(problem.x, axis=0)) == 200
        assert len(set(labels)) == 10

    def test_classes_in_the_order_given(self):
        one, other = datasets.digits(30, classes=(3, 8)), datasets.digits(30, classes=(8, 3))
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.y, -other.y)
        assert set(one.y) == {-1.0, 1.0}

    def test_reproducible_and_nested(self):
        assert datasets.digits().fingerprint == datasets.digits(45, rng=0).fingerprint
        np.testing.assert_array_equal(datasets.digits(45).x, datasets.digits(90).x[:45])
        assert datasets.digits(rng=1).fingerprint != datasets.digits(rng=2).fingerprint

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"n": 1}, "n is 1; give a whole number >= 2"),
            ({"n": 5000}, r"n is 5000, but 'digits' holds \d+ different images .*; give n <="),
            ({"classes": (1,)}, r"the classes are \[1\]; give at least two different labels"),
            ({"classes": (1, 1)}, r"the classes are \[1, 1\]; give at least two different labels"),
            ({"classes": (1, 12)}, "no image of 'digits' has the label 12; choose from"),
            ({"classes": 3}, "classes is 3; give a sequence of labels"),
            ({"classes": "ab"}, "classes is 'ab'; give a sequence of labels"),
        ],
    )
    def test_bad_selections(self, arguments, match):
        with refused(match):
            datasets.digits(**arguments)

    def test_without_scikit_learn(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
        with pytest.raises(MissingExtraError, match=r"scikit-learn.*pip install 'meanfield-nn\[data\]'"):
            datasets.digits()


# --- text files ------------------------------------------------------------------------------------


@pytest.fixture
def text_file(tmp_path):
    def write(text, name="points.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


class TestText:
    @pytest.mark.parametrize("separator", [",", ";", "\t", " ", " , ", "   ", ", "])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_separators_and_line_ends(self, text_file, separator, end):
        rows = [["1", "-2.5", "3e-1"], [".5", "+4", "0"], ["7", "8", "9"]]
        problem = datasets.load(text_file(end.join(separator.join(row) for row in rows) + end))
        np.testing.assert_array_equal(problem.x, [[1, -2.5, 1], [0.5, 4, 1], [7, 8, 1]])
        np.testing.assert_array_equal(problem.y, [0.3, 0, 9])
        assert problem.name == "points"

    def test_comments_blank_lines_and_byte_order_mark(self, text_file):
        problem = datasets.load(text_file(b"\xef\xbb\xbf# x, y\n\n1, 2 # one\n   \n3, 4"), bias=False)
        np.testing.assert_array_equal(problem.x, [[1], [3]])
        np.testing.assert_array_equal(problem.y, [2, 4])

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        npst.arrays(
            np.float64,
            st.tuples(st.integers(2, 6), st.integers(2, 4)),
            elements=st.floats(1e-70, 1e70) | st.floats(-1e70, -1e-70) | st.just(0.0),
        ).filter(lambda table: table[:, :-1].any()),
        st.sampled_from([" ", ",", ";", "\t"]),
    )
    def test_round_trip_with_savetxt(self, tmp_path, table, separator):
        path = tmp_path / "table.txt"
        np.savetxt(path, table, delimiter=separator, fmt="%.17g", header="features, target")
        problem = datasets.load(path, bias=False, loss="mean-square")
        np.testing.assert_array_equal(problem.x, table[:, :-1])
        np.testing.assert_array_equal(problem.y, table[:, -1])

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            # a header
            ("x,y\n", "holds no numbers, only text"),
            ("x,y\na,b\n1,2\n", "line 2, column 1 of .* holds 'a', which is not a number"),
            (",t,y\n0,1,2\n1,3,4\n", "line 1 of .* gives column 1 no name, as where pandas .*--columns"),
            ("x,y,\n1,2,\n3,4,\n", "line 1 of .* gives column 3 no name"),
            ("x\n1\n2\n", "holds one column; give the features first"),
            # other text
            (
                "1,2\n3,four\n",
                "line 2, column 2 of .* holds 'four', which is not a number; give a number, drop",
            ),
            (
                "1,two\n3,4\n",
                "line 1, column 2 of .* holds 'two'.* if this line is a header delete it or prefix",
            ),
            ("1,2\n3,1_0\n", "line 2, column 2 of .* holds '1_0', which is not a number"),
            ("1,2\n3," + "z" * 1000 + "\n", r"line 2, column 2 of .* holds 'z{37}\.\.\.', which is not"),
            ("1,2\n,4\n", "line 2, column 1 of .* is empty; fill it"),
            ("1,2,\n3,4,\n", "line 1, column 3 of .* is empty; fill it"),
            # numbers that are none
            (
                "1,2\n3,nan\n",
                "line 2, column 2 of .* is nan; every cell must be a finite number: drop or fill",
            ),
            ("1,2\n-inf,4\n", "line 2, column 1 of .* is -inf; every cell must be a finite number"),
            ("1,2\n3,1e999\n", "line 2, column 2 of .* is 1e999; every cell must be a finite number"),
            # shapes
            (
                "1,2\n3,4,5\n",
                "line 2 of .* holds 3 cells but line 1 holds 2; give every line the same number",
            ),
            ("1 2\n\n# c\n3\n", "line 4 of .* holds 1 cell but line 1 holds 2; give every line the same"),
            ("1\n2\n3\n", "holds one column; give the features first and the target in the last column"),
            ("1,2,3\n", "holds one sample .*at least two, one row per sample; is the file transposed"),
            ("# only\n\n   \n", "holds no numbers, only text, blank lines or comments; give one line"),
            ("0,1\n0,2\n", "in '.*' every input .* is zero"),
            ("1e200,1\n0,2\n", "in '.*' the entries of x reach .*; rescale"),
            # bytes
            (
                b"1,2\n3,4 # caf\xe9\n",
                "line 2 of .* holds the byte 0xe9, which is not UTF-8 text; give a table saved",
            ),
            (
                b"\x89HDF\r\n\x1a\n" + bytes(64),
                "line 1 of .* holds the byte 0x89, .*NPZ file with arrays x and y",
            ),
            (b"\xff\xfe1,2\n3", "line 2 of .* holds the byte 0x33, which is not UTF-16-LE text; give"),
            (b"1,2\n3,4\0\n", r"line 2, column 2 of .* holds '4\\x00', which is not a number"),
            (pickle.dumps({"x": [1.0]}), "holds the byte 0x80, which is not UTF-8 text"),
        ],
        ids=short,
    )
    def test_bad_tables(self, text_file, text, match):
        with refused(match):
            datasets.load(text_file(text))

    @pytest.mark.parametrize(
        "text",
        [
            "x,y\n1,2\n3,4\n",
            "# exported\n\nTemp (°C);Yield [%]\n1;2\n3;4\n",
            '"x"\t"y"\n"1"\t"2"\n3\t4\n',
            b"\xef\xbb\xbfx,y\r\n1,2\r\n3,4\r\n",
        ],
        ids=short,
    )
    def test_header(self, text_file, text):
        problem = datasets.load(text_file(text), bias=False)
        np.testing.assert_array_equal(problem.x, [[1], [3]])
        np.testing.assert_array_equal(problem.y, [2, 4])

    @pytest.mark.parametrize(
        ("text", "options"),
        [
            ("t;y\n0,5;1234,25\n2;-3\n", {}),  # a German spreadsheet
            ("t;y\n0,5;1.234,25\n2;-3\n", {}),
            ("t\ty\n0,5\t1234,25\n2\t-3\n", {}),
            ("t y\n0,5 1234,25\n2 -3\n", {}),
            ('t,y\n"0,5","1234,25"\n2,-3\n', {}),
            ('t,y\n0.5,"1,234.25"\n2,-3\n', {}),  # an American one
            ('"t, in s";"y #1"\n0.5;1234.25\n2;-3\n', {}),
            ('"t\nin s",y\n0.5,1234.25 # one\n2,-3\n', {}),
            ("t,y\n0.5,1234.25\n2,-3\n".encode("utf-16"), {}),
            ("\ufefft;y\n0,5;1234,25\n2;-3\n", {}),
            ("0,5 1234,25\n2 -3\n", {"decimal": ","}),
            ("0,5 1234,25\n2 -3\n", {"decimal": ",", "delimiter": " "}),
            ("t|y\n0.5|1234.25\n2|-3\n", {"delimiter": "|"}),
            ("t;y\n0,5;1 234,25\n2;-3\n", {"thousands": " "}),
            ("t;y\n0,5;1\u202f234,25\n2;-3\n", {"thousands": " "}),
            ("t;y\n0.5;1'234.25\n2;-3\n", {"thousands": "'"}),
            ("t;y\n0,5;1.234,25\n2;-3\n", {"thousands": "."}),
        ],
        ids=short,
    )
    def test_ways_of_writing_numbers(self, text_file, text, options):
        problem = datasets.load(text_file(text), bias=False, **options)
        np.testing.assert_array_equal(problem.x, [[0.5], [2.0]])
        np.testing.assert_array_equal(problem.y, [1234.25, -3.0])

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            (
                "t;y\n1;1,234\n2;3\n",
                "line 2, column 2 .* holds '1,234', which may be 1234 or 1.234; say which",
            ),
            ('t,y\n1,"1,234"\n2,3.5\n', r"holds '1,234', which may be 1234 or 1.234; say .*thousands=',' or"),
            (
                "t;y\n0,5;1.234\n2;3\n",
                r"line 2, column 2 .* holds '1\.234', which may be 1234 or 1\.234; say",
            ),
            ("t;y\n0,5;3\n2;3.75\n", "line 3, column 2 .* '3.75', but line 2, .* '0,5': numbers .* two ways"),
            (
                "t;y\n1,234.5;3\n2;0,5\n",
                "holds '0,5', but .* holds '1,234.5': numbers are written in two ways",
            ),
            (
                "t;y\n0,5;1 234,5\n2;3\n",
                "holds '1 234,5', which is no number with decimal=',' and thousands=None; give",
            ),
            ("0,5 1,5\n2 3\n", "line 1, column 2 of .* holds '5 1'; give delimiter=' ' if white space"),
            ("t;y\n1;12,34,567\n2;3\n", "holds '12,34,567', which is not a number"),
            ('t,y\n1,"2\n3,4\n', "line 2 of .* opens a quote that is never closed; close it"),
            (
                't,y,z\n1,2,"' + "a" * 200_000 + '"\n',
                r"line 2 of .* cannot be split into cells \(field larger",
            ),
        ],
        ids=short,
    )
    def test_what_may_be_two_numbers_is_asked(self, text_file, text, match):
        with refused(match) as caught:
            datasets.load(text_file(text))
        assert "\n" not in str(caught.value)

    def test_the_answer_decides(self, text_file):
        path = text_file("t;y\n1;1,234\n2;3\n")
        assert datasets.load(path, thousands=",").y[0] == 1234.0
        assert datasets.load(path, decimal=",").y[0] == 1.234
        path = text_file("t;y\n0,5;1.234\n2;3\n")
        assert datasets.load(path, thousands=".").y[0] == 1234.0

    def test_groups_have_three_digits(self, text_file):
        """pandas takes 1,5 for 15."""
        pandas = pytest.importorskip("pandas")
        assert pandas.read_csv(text_file("t;y\n1;1,5\n"), sep=";", thousands=",").y[0] == 15
        with refused("holds '1,5', which is no number with decimal='.' and thousands=','; give the marks"):
            datasets.load(text_file("t;y\n1;1,5\n2;3\n"), thousands=",")

    def test_a_quote_that_is_open_loses_no_lines(self, text_file):
        """The csv module by itself takes the rest of the file for one cell, and says nothing."""
        text = 't,y,who\n1,2,A\n3,4,"B\n5,6,C\n'
        assert len(list(csv.reader(io.StringIO(text)))) == 3
        with refused("line 3 of .* opens a quote that is never closed"):
            datasets.load(text_file(text), columns=["t", "y"])

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"delimiter": ";;"}, "delimiter is ';;'; give one character"),
            ({"delimiter": "1"}, "delimiter is '1'; give one character"),
            ({"decimal": "'"}, r"decimal is \"'\"; give one of '.', ','"),
            ({"thousands": ""}, "thousands is ''; give one of"),
            (
                {"decimal": ",", "thousands": ","},
                "decimal and thousands are both ','; give two different marks",
            ),
        ],
    )
    def test_bad_marks(self, text_file, options, match):
        with refused(match):
            datasets.load(text_file("1,2\n3,4\n"), **options)

    @pytest.mark.parametrize("mark", ["delimiter", "decimal", "thousands"])
    def test_marks_are_those_of_text(self, tmp_path, mark):
        with refused(f"{mark} is ',', but .* is no table of text; leave {mark} out"):
            datasets.load(npz(tmp_path / "data.npz", x=[1.0, 2.0], y=[3.0, 4.0]), **{mark: ","})

    @given(
        npst.arrays(np.float64, (3, 2), elements=st.floats(-1e7, 1e7).map(lambda v: round(v, 2))).filter(
            lambda table: table[:, 0].any()
        ),
        st.sampled_from([",", ".", " ", "'"]),
    )
    def test_pandas_reads_the_same(self, tmp_path_factory, table, thousands):
        """Numbers with marks between thousands, where both marks are given."""
        pandas = pytest.importorskip("pandas")
        decimal = "." if thousands == "," else ","
        swap = str.maketrans({",": thousands, ".": decimal})
        lines = [";".join(f"{value:,.2f}".translate(swap) for value in row) for row in table]
        path = tmp_path_factory.mktemp("numbers") / "table.csv"
        path.write_text("t;y\n" + "\n".join(lines))
        problem = datasets.load(path, decimal=decimal, thousands=thousands, bias=False)
        theirs = pandas.read_csv(path, sep=";", decimal=decimal, thousands=thousands)
        np.testing.assert_allclose(np.column_stack([problem.x, problem.y]), theirs, rtol=1e-14)
        np.testing.assert_array_equal(np.column_stack([problem.x, problem.y]), table)

    def test_chosen_columns(self, text_file):
        messy = text_file(",kelvin,who,yield,gap\n0,290,A,1,\n1,310,B,2,nan\n2,330,,4,\n")
        problem = datasets.load(messy, columns=["yield", "kelvin"])
        np.testing.assert_array_equal(problem.x, [[1, 1], [2, 1], [4, 1]])
        np.testing.assert_array_equal(problem.y, [290, 310, 330])
        bare = text_file("1 a 2\n3 b 4\n")
        np.testing.assert_array_equal(datasets.load(bare, columns=("3", "1")).y, [1, 3])

    @pytest.mark.parametrize(
        ("columns", "match"),
        [
            (["y"], "give the names of at least two different columns, the target last"),
            ("y", "at least two different columns"),
            (["y", "y"], "at least two different columns"),
            ([1, 2], "at least two different columns"),
            (["x", "z"], "has no column called 'z'; its columns are 'x', 'y', 'y'"),
            (["x", "y"], "has 2 columns called 'y'"),
        ],
    )
    def test_columns_that_are_not_there(self, text_file, columns, match):
        with refused(match):
            datasets.load(text_file("x,y,y\n1,2,3\n4,5,6\n"), columns=columns)

    def test_columns_are_those_of_text(self, tmp_path):
        with refused("is no table of text; leave columns out"):
            datasets.load(npz(tmp_path / "data.npz", x=[1.0, 2.0], y=[3.0, 4.0]), columns=["x", "y"])

    @given(
        npst.arrays(
            np.float64,
            st.tuples(st.integers(2, 9), st.integers(1, 3)),
            elements=st.floats(-1e9, 1e9).map(lambda v: round(v, 3)),
        ).filter(lambda table: np.ptp(table, axis=0).any())
    )
    def test_standardised(self, tmp_path_factory, features):
        path = tmp_path_factory.mktemp("standardised") / "table.csv"
        np.savetxt(path, np.column_stack([features, features[:, 0]]), delimiter=",", fmt="%.17g")
        problem = datasets.load(path, standardise=True, loss="mean-square")
        np.testing.assert_array_equal(problem.y, features[:, 0])
        for before, after in zip(features.T, problem.x.T, strict=False):
            if np.ptp(before) == 0.0:
                assert not after.any()  # also where the mean is an ulp off
            elif np.ptp(before) > 1e-9 * np.abs(before).max():
                assert abs(after.mean()) < 1e-6
                assert abs(after.std() - 1.0) < 1e-6

    def test_nothing_to_standardise(self, text_file):
        with refused("in '.*points.csv' no feature of 'points, standardised' varies"):
            datasets.load(text_file("1,2\n1,3\n"), standardise=True)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.binary(max_size=60) | st.text(alphabet="0123456789.,;\t -+eE#\n\rnaif", max_size=60))
    def test_fuzz(self, tmp_path, content):
        path = tmp_path / "fuzz"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        load_or_refuse(path)


def load_or_refuse(path, **kwargs):
    """Whatever the bytes: a problem, or an error of one line that names the file."""
    problem, message = None, ""
    try:
        problem = datasets.load(path, **kwargs)
    except InputError as error:
        message = str(error)
    assert (problem is None) == (str(path) in message)
    assert "\n" not in message
    assert problem is None or (isinstance(problem, Problem) and problem.n >= 2)


# --- the file itself -------------------------------------------------------------------------------


class TestPaths:
    def test_missing_file(self, tmp_path):
        with refused("there is no file '.*nothing.csv'; check the path"):
            datasets.load(tmp_path / "nothing.csv")

    def test_folder(self, tmp_path):
        with refused("is a folder; give the path of a file inside it"):
            datasets.load(tmp_path)

    def test_empty_file(self, text_file):
        with refused("points.csv' is empty; give a file with one row per sample"):
            datasets.load(text_file(""))

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
    def test_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with refused("is a device or a pipe; give the path of a regular file"):
            datasets.load(tmp_path / "pipe")

    @pytest.mark.parametrize("path", [None, 3, "a\0b"])
    def test_things_that_are_no_path(self, path):
        with refused("is not the path of a file; give a string or a Path"):
            datasets.load(path)

    def test_paths_that_the_system_refuses(self, text_file):
        with refused(r"cannot be read \(.*\); check the path"):
            datasets.load("x" * 10_000)
        with refused(r"cannot be read \(.*\); check the path"):
            datasets.load(text_file("1,2\n3,4\n") / "inside")

    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is readable for root"
    )
    def test_permissions(self, text_file):
        path = text_file("1,2\n3,4\n")
        path.chmod(0)
        with refused(r"cannot be read \(Permission denied\); check the path and its permissions"):
            datasets.load(path)

    def test_too_large(self, tmp_path, monkeypatch):
        monkeypatch.setattr("meanfield.archives.LARGEST", 5)
        path = tmp_path / "large.csv"
        path.write_text("1,2\n3,4\n")
        with refused("claims 8 bytes of data, more than the 5 accepted here; .*save a selection"):
            datasets.load(path)

    def test_strings_are_paths(self, text_file):
        assert datasets.load(str(text_file("1,2\n3,4\n"))).n == 2

    def test_targets_only_for_idx(self, text_file):
        path = text_file("1,2\n3,4\n")
        with refused("targets is 'labels', but .* holds its own targets; leave targets out"):
            datasets.load(path, targets="labels")


# --- NPZ -------------------------------------------------------------------------------------------


def npy_bytes(header, data=b"", version=1):
    text = header.encode("latin1") + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


def npy_header(descr="'<f8'", shape="(3,)", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def npz(path, compression=zipfile.ZIP_STORED, **members):
    """An archive with raw members; arrays are stored as NumPy does."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, value in members.items():
            if not isinstance(value, bytes):
                stream = io.BytesIO()
                np.lib.format.write_array(stream, np.asarray(value))
                value = stream.getvalue()
            archive.writestr(f"{name}.npy", value)
    return path


class TestNpz:
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    @pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<f2", "i8", ">i2", "u1", "?"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_round_trip(self, tmp_path, save, kind, order):
        x = np.array([[0, 1, 1], [1, 0, 0]]).astype(kind, order=order)
        y = np.array([1, 0]).astype(kind)
        save(tmp_path / "data.npz", x=x, y=y, other=np.ones(3))
        problem = datasets.load(tmp_path / "data.npz", bias=False)
        np.testing.assert_array_equal(problem.x, x.astype(float))
        np.testing.assert_array_equal(problem.y, y.astype(float))
        assert problem.name == "data"

    @pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
    def test_versions_of_the_format(self, tmp_path, version):
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.array([1.0, 2.0]), version=version)
        problem = datasets.load(npz(tmp_path / "v.npz", x=stream.getvalue(), y=[3.0, 4.0]))
        np.testing.assert_array_equal(problem.x[:, 0], [1, 2])

    def test_the_name_does_not_matter(self, tmp_path):
        assert datasets.load(npz(tmp_path / "data.bin", x=[1.0, 2.0], y=[3.0, 4.0])).n == 2

    def test_nothing_is_unpickled(self, tmp_path):
        fired = tmp_path / "fired"

        class Bomb:
            def __reduce__(self):
                return (open, (str(fired), "w"))

        np.savez(tmp_path / "bomb.npz", x=np.array([Bomb(), Bomb()], dtype=object), y=np.ones(2))
        with refused(r"array x of '.*bomb.npz' is of type '\|O'; save real numbers"):
            datasets.load(tmp_path / "bomb.npz")
        assert not fired.exists()

    @pytest.mark.parametrize(
        ("members", "match"),
        [
            ({"x": [1.0, 2.0]}, r"has no array y \(it holds 'x'\); save it with np.savez\(path, x=x, y=y\)"),
            ({}, r"has no array x and no array y \(it holds nothing\); save it with np.savez"),
            ({"a": [1.0], "b": [1.0]}, r"no array x and no array y \(it holds 'a', 'b'\)"),
            ({"x": ["a", "b"], "y": [1, 2]}, "array x of .* is of type '<U1'; save real numbers"),
            ({"x": [1j, 2], "y": [1, 2]}, "array x of .* is of type '<c16'; save real numbers"),
            ({"x": np.zeros(2, "f8,i4"), "y": [1, 2]}, "array x of .* is of type .*; save real numbers"),
            (
                {"x": [1, 2], "y": np.array(["2020"], "M8[D]")},
                "array y of .* is of type .*; save real numbers",
            ),
            ({"x": [1, 2], "y": [1, 2, 3]}, "in '.*' x holds 2 samples but y holds 3; give one row"),
            ({"x": [1, math.nan], "y": [1, 2]}, r"in '.*' x\[1\] is nan; .*drop or fill"),
            ({"x": np.ones((2, 2, 2)), "y": [1, 2]}, r"in '.*' x has shape \(2, 2, 2\); give"),
            (
                {"x": np.ones((1, 9)), "y": np.ones(9)},
                r"holds one sample \(x has shape \(1, 9\)\).*transposed",
            ),
            ({"x": 1.0, "y": 1.0}, r"in '.*' x has shape \(\); give"),
            ({"x": np.ones((0, 3)), "y": np.ones(0)}, r"in '.*' x has shape \(0, 3\); give"),
        ],
        ids=short,
    )
    def test_bad_arrays(self, tmp_path, members, match):
        with refused(match):
            datasets.load(npz(tmp_path / "data.npz", **members))

    @pytest.mark.parametrize(
        ("member", "what"),
        [
            (npy_bytes(npy_header(shape="(10**9,)")), "header of array x cannot be read"),
            (
                npy_bytes(npy_header(shape="(1000000000000,)")),
                "claims shape .* which takes 8000000000000 bytes",
            ),
            (npy_bytes(npy_header(shape="(4294967296, 4294967296)")), "claims shape .* but .* are there"),
            (npy_bytes(npy_header(shape="(-3,)")), r"claims the shape \(-3,\)"),
            (npy_bytes(npy_header(shape="3")), "header of array x cannot be read .shape is not valid: 3"),
            (npy_bytes(npy_header(shape="(True,)")), r"claims the shape \(True,\)"),
            (npy_bytes(npy_header(shape="(0, 99999999999999999999999)")), "too large|[Mm]aximum.* dimension"),
            (npy_bytes(npy_header(shape="(" + "1, " * 100 + ")"), bytes(8)), "[Mm]aximum.* dimension"),
            (npy_bytes(npy_header(), bytes(20)), "expected 24 bytes got 20"),
            (npy_bytes(npy_header(), bytes(25)), r"shape \(3,\) of array x does not fit"),
            (npy_bytes(npy_header(descr="'<f7'"), bytes(24)), "header of array x cannot be read .*'<f7'"),
            (
                npy_bytes(npy_header(descr="'<f0'"), bytes(24)),
                "header of array x cannot be read .*'<f0'|does not fit",
            ),
            (npy_bytes("{'descr': '<f8'}"), "header of array x cannot be read"),
            (npy_bytes("[" * 5000), "header of array x cannot be read"),
            (npy_bytes("{[]: 1}"), "header of array x cannot be read"),
            (npy_bytes("__import__('os')"), "header of array x cannot be read"),
            (
                npy_bytes(npy_header() + " " * 20_000, bytes(24)),
                "header of array x cannot be read .*expected 200.. bytes",
            ),
            (npy_bytes(npy_header(), version=9), "array x is not in the NPY format"),
            (b"", "array x is not in the NPY format"),
            (b"1,2,3\n", "array x is not in the NPY format"),
        ],
        ids=short,
    )
    def test_crafted_headers(self, tmp_path, member, what):
        path = npz(tmp_path / "data.npz", x=member, y=np.ones(3))
        with refused(f"data.npz' is a corrupt NPZ archive .*{what}.*") as caught:
            datasets.load(path)
        assert str(caught.value).endswith("save it again with np.savez(path, x=x, y=y)")

    def test_a_claim_is_refused_before_memory_is_taken(self, tmp_path):
        header = npy_header(descr="'|u1'", shape="(2000000000,)")
        path = npz(tmp_path / "data.npz", x=npy_bytes(header, bytes(100)), y=np.ones(3))
        assert peak_of(path) < 5_000_000

    def test_a_bomb_is_refused_before_memory_is_taken(self, tmp_path, monkeypatch):
        monkeypatch.setattr("meanfield.archives.LARGEST", 10_000_000)
        x = npy_bytes(npy_header(descr="'|u1'", shape="(20000000,)"), bytes(20_000_000))
        path = npz(tmp_path / "data.npz", zipfile.ZIP_DEFLATED, x=x, y=np.ones(3))
        assert path.stat().st_size < 30_000
        assert peak_of(path) < 5_000_000
        with refused("claims 20000.* bytes of data, more than the 10000000 accepted here"):
            datasets.load(path)

    def test_what_numpy_s_own_reader_takes(self, tmp_path):
        """Why archives.py looks before NumPy reads: a file of 400 bytes takes what its header claims."""
        header = npy_header(descr="'|u1'", shape="(50000000,)")
        path = npz(tmp_path / "data.npz", x=npy_bytes(header, bytes(100)), y=np.ones(3))
        assert path.stat().st_size < 1000
        tracemalloc.start()
        try:
            with np.load(path) as archive, pytest.raises(ValueError, match=r"expected 50000000 bytes|EOF"):
                archive["x"]
            assert tracemalloc.get_traced_memory()[1] > 50_000_000
        finally:
            tracemalloc.stop()
        assert peak_of(path) < 5_000_000

    def test_a_long_header_is_not_unpacked(self, tmp_path):
        """NumPy unpacks a header of any length before it says that it is too long."""
        member = b"\x93NUMPY\x02\x00" + struct.pack("<I", 50_000_000) + bytes(50_000_000)
        path = npz(tmp_path / "data.npz", zipfile.ZIP_DEFLATED, x=member, y=np.ones(3))
        assert path.stat().st_size < 100_000
        assert peak_of(path) < 5_000_000
        with refused("header of array x cannot be read"):
            datasets.load(path)

    def test_a_lying_directory(self, tmp_path):
        """The zip directory claims 1.9 GB for a member of 200 bytes."""
        x = npy_bytes(npy_header(descr="'|u1'", shape="(1900000000,)"), bytes(100))
        data = bytearray(npz(tmp_path / "data.npz", x=x, y=np.ones(3)).read_bytes())
        at = data.index(b"PK\x01\x02")
        struct.pack_into("<I", data, at + 24, 1_900_000_000)
        (tmp_path / "data.npz").write_bytes(data)
        assert peak_of(tmp_path / "data.npz") < 5_000_000
        with refused("corrupt NPZ archive .*array x claims 1900000000 bytes, but the file has"):
            datasets.load(tmp_path / "data.npz")

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_packers(self, tmp_path, method):
        path = npz(tmp_path / "data.npz", method, x=np.ones(3), y=np.ones(3))
        with refused("array x is packed by a method that NumPy does not use.*save it again"):
            datasets.load(path)

    def test_encrypted(self, tmp_path):
        path = npz(tmp_path / "data.npz", x=np.ones(3), y=np.ones(3))
        data = bytearray(path.read_bytes())
        data[6] |= 1
        data[data.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(data)
        with refused("is a corrupt NPZ archive .*encrypted.*save it again"):
            datasets.load(path)

    def test_not_a_zip(self, text_file):
        with refused("data.npz' is a corrupt NPZ archive .*save it again"):
            datasets.load(text_file("1,2\n3,4\n", "data.npz"))

    def test_single_array(self, tmp_path):
        np.save(tmp_path / "x.npy", np.ones((3, 2)))
        with refused(r"x.npy' holds a single array; save features and targets with np.savez"):
            datasets.load(tmp_path / "x.npy")

    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_fuzz(self, tmp_path, compression):
        """600 files with a few bytes changed, cut off or repeated (seeded)."""
        good = npz(tmp_path / "good.npz", compression, x=np.arange(12.0).reshape(6, 2), y=np.ones(6))
        corrupt_and_load(good, lambda path: load_or_refuse(path))


def corrupt_and_load(path, load, runs=600):
    good, rng = path.read_bytes(), random.Random(0)
    for _ in range(runs):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        if rng.random() < 0.3:
            del data[rng.randrange(2, len(data)) :]
        elif rng.random() < 0.2:
            data += data[: rng.randrange(len(data))]
        path.write_bytes(data)
        load(path)


def peak_of(path, **kwargs):
    """Bytes allocated at most while a file is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            datasets.load(path, **kwargs)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- IDX -------------------------------------------------------------------------------------------


def idx_bytes(array, *, shape=None, kind=8):
    array = np.asarray(array, dtype=np.uint8)
    shape = array.shape if shape is None else shape
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


IMAGES = np.random.default_rng(8).integers(0, 256, size=(40, 3, 2))
LABELS = np.arange(40) % 4 + 3  # 3, 4, 5, 6


@pytest.fixture
def idx(tmp_path):
    def write(images=IMAGES, labels=LABELS, *, pack=False):
        paths = []
        for name, content in (("images", images), ("labels", labels)):
            data = content if isinstance(content, bytes) else idx_bytes(content)
            path = tmp_path / (f"{name}.gz" if pack else name)
            path.write_bytes(gzip.compress(data) if pack else data)
            paths.append(path)
        return paths

    return write


class TestIdx:
    @pytest.mark.parametrize("pack", [False, True])
    @pytest.mark.parametrize("bias", [False, True])
    def test_pixels_and_targets(self, idx, pack, bias):
        problem = datasets.load_idx(*idx(pack=pack), bias=bias)
        np.testing.assert_array_equal(problem.x[:, :6], IMAGES.reshape(40, 6) / 255)
        np.testing.assert_allclose(problem.y, np.array([-1, -1 / 3, 1 / 3, 1])[LABELS - 3], rtol=1e-15)
        assert (problem.d, problem.name) == (6 + bias, "images")

    @pytest.mark.parametrize("pack", [False, True])
    def test_load_recognises_it(self, idx, pack):
        images, labels = idx(pack=pack)
        direct = datasets.load_idx(images, labels)
        assert datasets.load(images, targets=labels).fingerprint == direct.fingerprint
        with refused("is an IDX or gzip file, whose labels are in a second file; give that one as targets"):
            datasets.load(images)

    def test_selection(self, idx):
        images, labels = idx()
        first = datasets.load_idx(images, labels, n=5, classes=(6, 3), bias=False)
        rows = np.flatnonzero((LABELS == 6) | (LABELS == 3))[:5]
        np.testing.assert_array_equal(first.x, IMAGES.reshape(40, 6)[rows] / 255)
        np.testing.assert_array_equal(first.y, np.where(LABELS[rows] == 6, -1.0, 1.0))
        chosen = datasets.load_idx(images, labels, n=9, rng=1)
        assert chosen.fingerprint == datasets.load_idx(images, labels, n=9, rng=1).fingerprint
        assert chosen.fingerprint != datasets.load_idx(images, labels, n=9, rng=2).fingerprint
        larger = datasets.load_idx(images, labels, n=12, rng=1)
        np.testing.assert_array_equal(chosen.x, larger.x[:9])

    def test_repeated_images_are_taken_once(self, idx):
        images = IMAGES.copy()
        images[7] = images[2]
        problem = datasets.load_idx(*idx(images), bias=False)
        keep = np.arange(40) != 7
        np.testing.assert_array_equal(problem.x, images.reshape(40, 6)[keep] / 255)

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"n": 1}, "n is 1; give a whole number >= 2"),
            ({"n": 41}, "n is 41, but '.*images' holds 40 different images of the classes .*; give n <= 40"),
            (
                {"n": 30, "classes": (3, 4)},
                r"holds 20 different images of the classes \[3, 4\]; give n <= 20",
            ),
            ({"classes": (3, 9)}, r"no image of '.*images' has the label 9; choose from \[3, 4, 5, 6\]"),
        ],
    )
    def test_bad_selections(self, idx, arguments, match):
        with refused(match):
            datasets.load_idx(*idx(), **arguments)

    @pytest.mark.parametrize(
        ("images", "labels", "match"),
        [
            (
                LABELS,
                IMAGES,
                r"images .* have shape \(40,\) and labels .* \(40, 3, 2\); give first the images",
            ),
            (
                IMAGES,
                LABELS[:30],
                "images.* holds 40 images but '.*labels.* 30; give images and labels that belong",
            ),
            (
                IMAGES[:0],
                LABELS[:0],
                r"holds data of shape \(0, 3, 2\); a regression needs at least two images",
            ),
            (
                IMAGES[:1],
                LABELS[:1],
                r"holds data of shape \(1, 3, 2\); a regression needs at least two images",
            ),
            (np.zeros((4, 2)), [0, 1, 0, 1], r"holds one sample .*at least two"),
            (
                b"1,2\n3,4\n",
                LABELS,
                r"images.* is not an IDX file \(it begins with 31 2c 32 0a\); give a file",
            ),
            (b"\0", LABELS, r"images.* is not an IDX file \(it begins with 00\)"),
            (idx_bytes(IMAGES, kind=0x0D), LABELS, "is an IDX file of type 0x0d; only unsigned bytes"),
            (idx_bytes(IMAGES, kind=0x07), LABELS, "is not an IDX file"),
            (b"\0\0\x08\x00", LABELS, "truncated IDX file: its header claims 0 dimensions; download"),
            (b"\0\0\x08\x03\0\0", LABELS, "truncated IDX file: its header claims 3 dimensions; download"),
            (b"\0\0\x08\xff" + bytes(1020), LABELS, "has 255 dimensions; give images"),
            (
                idx_bytes(IMAGES)[:-1],
                LABELS,
                "claims shape .* 240 bytes of data, but 239 are there; .*truncated",
            ),
            (idx_bytes(IMAGES) + b"\0", LABELS, "240 bytes of data, but (241|more than 240) are there"),
            (IMAGES, idx_bytes(LABELS)[:-3], "labels.* claims shape .* 40 bytes of data, but 37 are there"),
        ],
        ids=short,
    )
    @pytest.mark.parametrize("pack", [False, True])
    def test_bad_files(self, idx, images, labels, match, pack):
        with refused(match):
            datasets.load_idx(*idx(images, labels, pack=pack))

    @pytest.mark.parametrize("pack", [False, True])
    @pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (60_000, 28, 1000)])
    def test_a_claim_is_refused_before_memory_is_taken(self, idx, pack, shape):
        images, labels = idx(idx_bytes(np.zeros(100), shape=shape), pack=pack)
        assert peak_of(images, targets=labels) < 5_000_000
        with refused("claims shape .* bytes of data, but (at most )?[0-9]+ are there; .*download"):
            datasets.load_idx(images, labels)

    def test_a_bomb_is_refused_before_memory_is_taken(self, idx, monkeypatch):
        monkeypatch.setattr("meanfield.archives.LARGEST", 10_000_000)
        honest = idx_bytes(np.zeros(20_000_000), shape=(20_000, 1000))
        small = idx_bytes(np.zeros(20_000_000), shape=(20, 10))  # more comes than is claimed
        for content, match in (
            (honest, "claims 20000000 bytes of data, more than"),
            (small, "more than 200 are"),
        ):
            images, labels = idx(content, pack=True)
            assert images.stat().st_size < 30_000
            assert peak_of(images, targets=labels) < 5_000_000
            with refused(match):
                datasets.load_idx(images, labels)

    def test_what_gzip_and_numpy_take(self, idx):
        """Why _idx.py reads by hand: whatever reads a packed file in one call unpacks all that it claims."""
        images, labels = idx(idx_bytes(np.zeros(100), shape=(60_000, 28, 28)), pack=True)
        images.write_bytes(
            gzip.compress(idx_bytes(np.zeros(100), shape=(60_000, 28, 28)) + bytes(20_000_000))
        )
        assert images.stat().st_size < 30_000
        tracemalloc.start()
        try:
            with gzip.open(images) as stream:  # as idx2numpy does
                shape = struct.unpack(">3I", stream.read(16)[4:])
                with pytest.raises(ValueError, match="cannot reshape"):
                    np.frombuffer(stream.read(math.prod(shape)), np.uint8).reshape(shape)
            assert tracemalloc.get_traced_memory()[1] > 20_000_000
        finally:
            tracemalloc.stop()
        assert peak_of(images, targets=labels) < 5_000_000

    @pytest.mark.parametrize("damage", [lambda data: data[:40], lambda data: data[:-6] + b"\0" * 6])
    def test_corrupt_gzip(self, idx, damage):
        images, labels = idx(pack=True)
        images.write_bytes(damage(images.read_bytes()))
        with refused(r"images.gz' is a corrupt gzip file \(.*\); download it or pack it again"):
            datasets.load_idx(images, labels)

    def test_packed_table(self, tmp_path, idx):
        path = tmp_path / "table.csv.gz"
        path.write_bytes(gzip.compress(b"1,2\n3,4\n"))
        with refused("is an IDX or gzip file.* unpack a packed table first"):
            datasets.load(path)
        with refused("is not an IDX file .* unpack a packed table first"):
            datasets.load(path, targets=idx()[1])

    def test_missing_labels(self, idx, tmp_path):
        with refused("there is no file '.*none'; check the path"):
            datasets.load_idx(idx()[0], tmp_path / "none")

    @pytest.mark.parametrize("pack", [False, True])
    def test_fuzz(self, idx, pack):
        """600 files with a few bytes changed, cut off or repeated (seeded)."""
        images, labels = idx(pack=pack)

        corrupt_and_load(images, lambda path: load_or_refuse(path, targets=labels))


def test_public_names():
    assert set(datasets.__all__) == {
        "circle",
        "digits",
        "four_points",
        "function_1d",
        "load",
        "load_idx",
        "teacher",
    }
