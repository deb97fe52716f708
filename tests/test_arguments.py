"""Hostile arguments: at every public entry a right result or one clear sentence, whatever is given."""

import datetime
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from entries import ENTRIES, NETWORK, PROBLEM, RUN, ready, write_files
from hypothesis import given
from hypothesis import strategies as st

import meanfield as mf
from meanfield import arguments, datasets, plotting
from meanfield.errors import InputError

#: Wrong for every argument below, or right.
STRANGE = [
    None, -1, math.nan, math.inf, 1e300, 5e-324, 10**400, 1j, "abc", b"abc", [], [[1], [1, 2]], {"a": 1},
    object(), type, np.array([]), np.array([math.nan]), np.array([None]), np.zeros((2, 2, 2)), np.array(3),
    np.ma.array([1.0, 2.0], mask=[0, 1]), np.datetime64("2020"), datetime.date(2020, 1, 1), PROBLEM, NETWORK,
    RUN, np.full(4, 1e150),
]  # fmt: skip

#: What an entry returns holds no number that is none.
SERIES = ("x", "y", "gamma", "gamma_prime", "kappa", "kappa_prime", "loss", "time", "a", "w", "weight")


def numbers(result):
    yield result
    for name in SERIES:
        yield getattr(result, name, None)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_right_result_or_one_clear_sentence(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    function, good = ready(ENTRIES[entry])
    sentences = {}
    slow = entry.startswith(("plotting", "phase", "limit_", "boundary"))
    for name in good:
        for value in ready(STRANGE[:18] if slow else STRANGE):
            given = f"{entry}({name}={arguments.shown(value)})"
            try:
                result = function(**{**good, name: value})
            except InputError as error:
                sentences[given] = str(error)
            except Exception as error:
                raise AssertionError(f"{given}: {type(error).__name__}: {error}") from error
            else:
                if getattr(result, "status", None) is mf.Status.DIVERGED:
                    continue
                for quantity in numbers(result):
                    if isinstance(quantity, float | np.ndarray):
                        infinite_is_right = (
                            entry.endswith(("time_to", "escape_time", "Trajectory.when"))
                            and quantity == math.inf
                        )
                        finite = np.True_
                        if entry == "Problem.to_target_units":  # of a run that diverged: nan stays nan
                            finite = np.isfinite(arguments.real_array(name, value, finite=False))
                        assert infinite_is_right or np.array_equal(
                            np.isfinite(quantity), np.broadcast_to(finite, np.shape(quantity))
                        ), given
    assert not [given for given, sentence in sentences.items() if "\n" in sentence or len(sentence) < 20]


def test_every_public_entry_is_tried():
    functions = {
        name for name in mf.__all__ if callable(getattr(mf, name)) and not name.endswith(("Error", "Status"))
    }
    made_by_others = {
        "Boundary", "Ensemble", "Trajectory", "InfiniteWidth", "PhaseDiagram", "Regime", "Particles",
    }  # fmt: skip
    tried = {name.split(".")[0].split(" ")[0] for name in ENTRIES}
    assert functions - made_by_others <= tried
    for room, module in (("datasets", datasets), ("plotting", plotting)):
        assert {f"{room}.{name}" for name in module.__all__} - {"datasets.four_points"} <= set(ENTRIES)


class TestNumber:
    @pytest.mark.parametrize(
        "value",
        [1, 1.0, np.float32(1), np.int8(1), np.array(1.0), Fraction(1), Decimal("1"), np.longdouble(1)],
    )
    def test_kinds_of_numbers(self, value):
        result = arguments.number("value", value)
        assert result == 1.0
        assert type(result) is float

    @pytest.mark.parametrize(
        "value", [True, np.True_, "1", b"1", 1 + 0j, [1], np.array([1]), None, Decimal("sNaN")]
    )
    def test_what_is_no_number(self, value):
        with pytest.raises(InputError, match=r"value is .*; give a finite number"):
            arguments.number("value", value)

    @given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.booleans(), st.booleans())
    def test_bounds(self, value, bound, lower, strict):
        kind = ("above" if strict else "least") if lower else ("below" if strict else "most")
        inside = value > bound if lower else value < bound
        inside |= value == bound and not strict
        inside &= math.isfinite(value) or (kind == "most" and value == bound == math.inf)
        if inside:
            assert arguments.number("value", value, **{kind: bound}) == value
        else:
            with pytest.raises(InputError):
                arguments.number("value", value, **{kind: bound})

    @pytest.mark.parametrize("value", [0, 1.5, 1e13, 10**400, "2", True, math.nan])
    def test_counts(self, value):
        with pytest.raises(InputError, match=r"value is .*; give a whole number >= 1"):
            arguments.whole_number("value", value)

    def test_counts_beyond_memory_say_where_they_end(self):
        with pytest.raises(InputError, match=r"and <= 1e\+12"):
            arguments.whole_number("value", 1e13)

    def test_long_values_are_cut(self):
        assert len(arguments.shown("x" * 1000)) == 80
        assert arguments.shown(10**5000) == "an int"


class TestChoices:
    def test_truth_values(self):
        assert arguments.flag("value", np.True_) is True
        with pytest.raises(InputError, match="value is 'no'; give True or False"):
            arguments.flag("value", "no")

    def test_progress_has_one_meaning(self):
        assert [arguments.progress_choice(value) for value in (None, False, np.True_)] == [None, False, True]
        assert arguments.progress_choice(print, "a Snapshot") is print
        sentence = "progress is 'yes'; give True or False to show a bar or not, None to show it on a terminal"
        with pytest.raises(InputError, match=rf"^{sentence}$"):
            mf.phase_diagram(PROBLEM, gamma=[0.5], gamma_prime=[0.0], widths=[2, 4], progress="yes")
        with pytest.raises(InputError, match=rf"^{sentence}, or a function of a Snapshot$"):
            mf.gradient_flow(PROBLEM, NETWORK, progress="yes")

    def test_nothing_is_kept_of_a_sweep_that_is_refused(self, tmp_path):
        for wrong in ({"progress": 3}, {"live": 3}, {"memory": -1}, {"executor": 0}):
            with pytest.raises(InputError):
                mf.phase_diagram(
                    PROBLEM, gamma=[0.5], gamma_prime=[0.0], widths=[2, 4], store=tmp_path / "s", **wrong
                )
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("exponents", [mf.exponents, mf.symbolic.derive_exponents().numeric()])
    def test_shapes_that_do_not_fit(self, exponents):
        with pytest.raises(InputError, match=r"gamma has shape \(2,\) and gamma_prime has shape \(3,\)"):
            exponents([0.5, 1.0], [0.0, 0.1, 0.2])

    def test_particles_of_another_problem(self):
        other = mf.Problem(np.eye(3), np.ones(3))
        for of_both in (mf.flow.dead_fraction, mf.flow.tangent_kernel, mf.flow.effective_orientations):
            with pytest.raises(InputError, match="input weights of dimension 2 but the problem has d = 4"):
                of_both(other, NETWORK)


class TestArrays:
    """Values that double precision holds exactly give the same bits, however they are stored."""

    X = np.array([[1, -2, 0], [3, 1, 1], [0, 2, -1], [-1, 1, 2]])
    Y = np.array([1, -1, 2, 0])

    LAYOUTS = {  # noqa: RUF012
        "float32": lambda v: v.astype(np.float32),
        "float16": lambda v: v.astype(np.float16),
        "long double": lambda v: v.astype(np.longdouble),
        "int8": lambda v: v.astype(np.int8),
        "big endian": lambda v: v.astype(">f8"),
        "objects": lambda v: v.astype(object),
        "fractions": lambda v: np.vectorize(Fraction, otypes=[object])(v.astype(object)),
        "lists": lambda v: v.tolist(),
        "nothing masked": lambda v: np.ma.array(v, mask=False),
        "columns first": lambda v: np.asfortranarray(v.astype(float)),
        "strided": lambda v: np.repeat(v.astype(float), 2, axis=0)[::2],
        "reversed twice": lambda v: np.ascontiguousarray(v.astype(float)[::-1])[::-1],
        "read-only": lambda v: _read_only(v.astype(float)),
    }

    def run(self, x, y, a, w, weight):
        problem = mf.Problem(x, y)
        network = mf.Particles.from_arrays(a, w, kappa=0.25, kappa_prime=1.0, weight=weight)
        run = mf.gradient_flow(problem, network, loss_atol=1e-4, max_steps=60, progress=False)
        return [problem.x, problem.y, run.time, run.loss, run.final.a, run.final.w, run.predict(x)]

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_same_bits(self, layout):
        rng = np.random.default_rng(0)
        a, w = rng.integers(-4, 5, 12) / 2, rng.integers(-4, 5, (12, 4)) / 2
        arrays = [self.X.astype(float), self.Y.astype(float), 2 * a, 2 * w, np.ones(12)]
        plain = self.run(*arrays)
        other = self.run(*(self.LAYOUTS[layout](array.astype(int)) for array in arrays))
        for one, two in zip(plain, other, strict=True):
            assert one.tobytes() == two.tobytes()

    def test_what_is_given_is_not_kept(self):
        x, y = self.X.astype(float), self.Y.astype(float)
        problem = mf.Problem(x, y)
        x[:], y[:] = 7.0, 7.0
        assert problem.x[0, 0] == 1.0
        assert problem.y[0] == 1.0


def test_text_is_no_number():
    for text in ("1", ["1", "2"], np.array(["1"], dtype=object), [b"1"]):
        with pytest.raises(InputError, match="value is not an array of numbers"):
            arguments.real_array("value", text)


def _read_only(array):
    array.setflags(write=False)
    return array
