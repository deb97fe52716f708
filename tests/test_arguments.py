"""Hostile arguments: at every public entry a right result or one clear sentence, whatever is given."""

import datetime
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meanfield as mf
from meanfield import arguments, datasets, limits, plotting, symbolic
from meanfield.errors import InputError

PROBLEM = mf.datasets.four_points()
SCALING = mf.Scaling(0.5, 0.0)
NETWORK = mf.Particles.sample(PROBLEM, SCALING, 20, rng=0)
RUN = mf.gradient_flow(PROBLEM, NETWORK, loss_tol=1e-3, progress=False)
LAW = limits.KernelRegime.at(PROBLEM, SCALING, 1e3)
LIMIT = mf.infinite_width(PROBLEM, SCALING, width=20, tol=0.1, nodes=64)
ALIGNMENT = limits.early_alignment(PROBLEM)
DIAGRAM = mf.phase_diagram(PROBLEM, gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[20, 40], progress=False)
BOUNDARY = mf.boundary(PROBLEM, gamma_prime=[0.0], widths=[20, 40], max_points=1, progress=False)
THEORY = symbolic.exponents()

#: Wrong for every argument below, or right.
STRANGE = [
    None, -1, math.nan, math.inf, 1e300, 5e-324, 10**400, 1j, "abc", b"abc", [], [[1], [1, 2]], {"a": 1},
    object(), type, np.array([]), np.array([math.nan]), np.array([None]), np.zeros((2, 2, 2)), np.array(3),
    np.ma.array([1.0, 2.0], mask=[0, 1]), np.datetime64("2020"), datetime.date(2020, 1, 1), PROBLEM, NETWORK,
    RUN, np.full(4, 1e150),
]  # fmt: skip

ENTRIES = {
    "Problem": (mf.Problem, {"x": [0.0, 1.0, 2.0], "y": [1.0, 2.0, 0.0]}),
    "Problem.with_bias": (PROBLEM.with_bias, {"x": [1.0]}),
    "Scaling": (mf.Scaling, {"gamma": 1.0, "gamma_prime": 0.0}),
    "Scaling of laws": (mf.Scaling, {"alpha": "m", "beta1": 1.0, "beta2": "1/d"}),
    "Scaling.named": (mf.Scaling.named, {"scheme": "e-ma-wu", "b": 1.0}),
    "Scaling.from_abc": (mf.Scaling.from_abc, {"a": (0, 0), "b": (0, 0.5)}),
    "Scaling.kappa": (mf.Scaling.named("xavier").kappa, {"m": 100, "d": 2}),
    "Scaling.kappa_prime": (mf.Scaling(1.0).kappa_prime, {"m": 100}),
    "Scaling.tbar": (mf.Scaling.named("xavier").tbar, {"steps": 1, "learning_rate": 0.1, "m": 10, "d": 2}),
    "Scaling.steps": (mf.Scaling.named("xavier").steps, {"tbar": 1, "learning_rate": 0.1, "m": 10, "d": 2}),
    "PowerLaw": (mf.PowerLaw, {"prefactor": 1.0, "exponent": 1.0}),
    "classify": (mf.classify, {"gamma": 1.0, "gamma_prime": 0.0}),
    "exponents": (mf.exponents, {"gamma": 1.0, "gamma_prime": 0.0}),
    "Regime.classify": (mf.Regime.classify, {"gamma": 1.0, "gamma_prime": 0.0}),
    "Particles.sample": (
        mf.Particles.sample,
        {"problem": PROBLEM, "scaling": SCALING, "width": 10, "rng": 0},
    ),
    "Particles.quadrature": (
        mf.Particles.quadrature,
        {"problem": PROBLEM, "scaling": SCALING, "width": 10, "nodes": 32, "rng": 0},
    ),
    "Particles.from_arrays": (
        mf.Particles.from_arrays,
        {"a": [1.0, 2.0], "w": np.eye(2), "kappa": 1.0, "kappa_prime": 1.0, "weight": [1.0, 1.0]},
    ),
    "Particles.output": (NETWORK.output, {"x": PROBLEM.x}),
    "gradient_flow": (
        mf.gradient_flow,
        {
            "problem": PROBLEM, "particles": NETWORK, "loss_tol": 1e-3, "t_end": 10.0, "save_at": [1.0],
            "rtol": 1e-2, "atol": 1e-6, "method": "residual", "max_steps": 50, "max_seconds": 60.0,
            "stationarity": 1e-6, "stop": None,
        },
    ),
    "gradient_descent": (
        mf.gradient_descent,
        {
            "problem": PROBLEM, "particles": NETWORK, "learning_rate": 0.1, "loss_tol": 1e-3,
            "max_steps": 50, "max_seconds": 60.0, "stop": None,
        },
    ),
    "Trajectory.predict": (RUN.predict, {"x": [0.0], "at": None}),
    "Trajectory.load": (mf.Trajectory.load, {"path": "missing.npz"}),
    "infinite_width": (
        mf.infinite_width,
        {
            "problem": PROBLEM, "scaling": SCALING, "width": 1e3, "tol": 0.1, "loss_tol": 1e-3, "nodes": 64,
            "max_nodes": 512, "method": "auto", "rng": 0,
        },
    ),
    "limits.limit_displacements": (
        limits.limit_displacements,
        {"problem": PROBLEM, "scaling": SCALING, "widths": [1e3], "tol": 1e-2, "loss_tol": 1e-3, "nodes": 64},
    ),
    "limits.KernelRegime": (
        limits.KernelRegime,
        {"problem": PROBLEM, "width": 1e3, "kappa": 1.0, "kappa_prime": 1.0},
    ),
    "limits.KernelRegime.at": (
        limits.KernelRegime.at,
        {"problem": PROBLEM, "scaling": SCALING, "width": 1e3},
    ),
    "limits.KernelRegime.loss": (LAW.loss, {"t": 1.0}),
    "limits.KernelRegime.output": (LAW.output, {"x": [1.0], "t": 1.0}),
    "limits.KernelRegime.time_to": (LAW.time_to, {"loss": 1e-3}),
    "limits.KernelRegime.displacement": (LAW.displacement, {"t": 1.0, "nodes": NETWORK}),
    "limits.empirical_kernels": (
        limits.empirical_kernels,
        {"particles": NETWORK, "x": PROBLEM.x, "other": PROBLEM.x},
    ),
    "limits.arc_cosine_kernels": (limits.arc_cosine_kernels, {"x": PROBLEM.x, "other": PROBLEM.x}),
    "limits.early_alignment": (limits.early_alignment, {"problem": PROBLEM, "rng": 0}),
    "EarlyAlignment.escape_time": (ALIGNMENT.escape_time, {"scaling": SCALING, "width": 1e3}),
    "limits.compare": (limits.compare, {"run": RUN, "limit": LIMIT}),
    "limits.convergence_rate": (
        limits.convergence_rate,
        {"widths": [10, 100, 1000], "deviations": [[0.3], [0.1], [0.03]], "confidence": 0.95},
    ),
    "limits.mean_run": (limits.mean_run, {"runs": [RUN], "at": [1.0]}),
    "datasets.function_1d": (datasets.function_1d, {"function": abs, "n": 4, "low": -1.0, "high": 1.0}),
    "datasets.circle": (datasets.circle, {"n": 4, "target": math.sin}),
    "datasets.teacher": (
        datasets.teacher,
        {"n": 4, "d_in": 2, "neurons": 2, "rng": 0, "noise": 0.0},
    ),
    "datasets.digits": (datasets.digits, {"n": 4, "classes": (0, 1), "rng": 0}),
    "datasets.load": (datasets.load, {"path": "missing.csv", "targets": None}),
    "datasets.load_idx": (datasets.load_idx, {"images": "missing", "labels": "missing"}),
    "phase_diagram": (
        mf.phase_diagram,
        {
            "problem": PROBLEM, "gamma": [0.5], "gamma_prime": [0.0], "widths": [10, 20], "seeds": 1,
            "loss_tol": None, "rtol": 0.1, "max_steps": 20, "rng": 0, "confidence": 0.9,
        },
    ),
    "boundary": (
        mf.boundary,
        {
            "problem": PROBLEM, "gamma_prime": [0.0], "widths": [10, 20], "seeds": 3, "tol": 0.5,
            "reach": 0.5, "max_points": 2, "loss_tol": 1e-2, "rtol": 0.1, "max_steps": 20, "rng": 0,
            "confidence": 0.9, "memory": None,
        },
    ),
    "limit_diagram": (
        mf.limit_diagram,
        {
            "problem": PROBLEM, "gamma": [0.5], "gamma_prime": [0.0], "widths": [1e10, 1e20], "nodes": 64,
            "loss_tol": None,
        },
    ),
    "symbolic.exponents": (symbolic.exponents, {"network": None}),
    "symbolic.boundaries": (symbolic.boundaries, {"network": None}),
    "symbolic.regions": (symbolic.regions, {"network": None}),
    "symbolic.TwoLayer": (symbolic.TwoLayer, {"homogeneity": 1, "target": 0}),
    "Exponents.numeric": (lambda name: THEORY.numeric(name), {"name": "S_w"}),
    "plotting.orientations": (plotting.orientations, {"neurons": RUN, "ax": None, "problem": None}),
    "plotting.loss": (plotting.loss, {"runs": RUN, "ax": None, "labels": None}),
    "plotting.learned_function": (plotting.learned_function, {"runs": RUN, "ax": None, "x": None}),
    "plotting.phase_diagram": (
        plotting.phase_diagram,
        {"diagram": DIAGRAM, "ax": None, "limit": None, "theory": None},
    ),
    "plotting.rd_against_width": (
        plotting.rd_against_width,
        {"diagram": DIAGRAM, "points": [(0.5, 0.0)], "ax": None},
    ),
    "plotting.exponent_map": (
        plotting.exponent_map,
        {"theory": THEORY, "ax": None, "gamma": (0.0, 2.0), "gamma_prime": (-1.0, 1.0), "layer": "w"},
    ),
    "plotting.boundary": (plotting.boundary, {"found": BOUNDARY, "ax": None}),
    "plotting.loss_and_kernel": (plotting.loss_and_kernel, {"run": RUN}),
    "plotting.figure": (plotting.figure, {"result": mf.figures.run("schemes")}),
    "plotting.approach": (plotting.approach, {"runs": [RUN], "limit": LIMIT, "ax": None}),
    "plotting.convergence": (plotting.convergence, {"comparisons": [], "ax": None}),
    "plotting.save": (plotting.save, {"figure": plotting.new_axes(), "path": "figure", "formats": "svg"}),
    "plotting.new_axes": (plotting.new_axes, {"width": "column", "height": None}),
}  # fmt: skip

#: What an entry returns holds no number that is none.
SERIES = ("x", "y", "gamma", "gamma_prime", "kappa", "kappa_prime", "loss", "time", "a", "w", "weight")


def numbers(result):
    yield result
    for name in SERIES:
        yield getattr(result, name, None)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_right_result_or_one_clear_sentence(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, good = ENTRIES[entry]
    sentences = {}
    slow = entry.startswith(("plotting", "phase", "limit_", "boundary"))
    for name in good:
        for value in STRANGE[:18] if slow else STRANGE:
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
                            entry.endswith(("time_to", "escape_time")) and quantity == math.inf
                        )
                        assert infinite_is_right or np.all(np.isfinite(quantity)), given
    assert not [given for given, sentence in sentences.items() if "\n" in sentence or len(sentence) < 20]


def test_every_public_entry_is_tried():
    functions = {
        name for name in mf.__all__ if callable(getattr(mf, name)) and not name.endswith(("Error", "Status"))
    }
    made_by_others = {"Boundary", "Trajectory", "InfiniteWidth", "PhaseDiagram", "Regime", "Particles"}
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
        assert arguments.shown(10**5000) == "a int"


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
        run = mf.gradient_flow(problem, network, loss_tol=1e-4, max_steps=60, progress=False)
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


def _read_only(array):
    array.setflags(write=False)
    return array
