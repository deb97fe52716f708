"""Every activation of the folder, found by walking it: a new one is tried by all that stands here.

Functions against their formulas in 40 digits, what is said of them against numbers, kernels against an
integral of their own, flows against SciPy in the user's own parameters; and the user's own activations.
"""

import functools
import math
import pickle
import subprocess
import sys
from dataclasses import replace

import mpmath
import naive
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import simpson, solve_ivp

import meanfield as mf
from meanfield import InputError, activations, kernels
from meanfield.activations import Activation, Angle, Orders, as_activation
from meanfield.flow import elementwise
from meanfield.flow.elementwise import ElementwisePasses
from meanfield.symbolic.listing import activation_table, dual_table

EPS = np.finfo(np.float64).eps
Z = sp.Symbol("z", real=True)
#: Tiny, moderate and huge; some next to where implementations change from one form to another.
SIZES = [1e-300, 1e-20, 1e-8, 1e-3, 0.1, 0.34, 0.36, 0.4, 0.9, 1.3, 2.7, 5.5, 12.0, 19.5, 37.9, 354.0, 700.0]
POINTS = np.array([sign * size for size in [*SIZES, 1e5, 1e20, 1e300] for sign in (1.0, -1.0)])
#: Digits: 1 - tanh(354) is 1e-307, and 40 of its digits are wanted.
DIGITS = 360


def exact(formula, times):
    """The derivative of a formula, so many times, at the points, in mpmath's numbers."""
    derivative = sp.diff(sp.sympify(formula, locals={"z": Z}), Z, times)
    at_kinks = {"DiracDelta": lambda *_: mpmath.mpf(0), "Heaviside": lambda z, *_: mpmath.mpf(z > 0)}
    function = sp.lambdify(Z, derivative, modules=[at_kinks, "mpmath"])
    with mpmath.workdps(DIGITS):
        return [mpmath.mpf(function(mpmath.mpf(z))) for z in POINTS]


def miss(found, function, derivative):
    """Largest error of an array in units of eighths of its allowance: 1 is the most allowed.

    Eight units in the last place of the function, and what four of its argument are worth to it.
    """
    worst = 0.0
    for z, value, wanted, rate in zip(POINTS, found, function, derivative, strict=True):
        if abs(wanted) < 1e290:
            with mpmath.workdps(DIGITS):
                allowed = EPS * (8 * abs(wanted) + 4 * abs(rate * mpmath.mpf(z))) + mpmath.mpf(1e-306)
                worst = max(worst, float(abs(mpmath.mpf(float(value)) - wanted) / allowed))
    return worst


def check_functions(activation):
    value, slope, curvature, third = (exact(activation.formula, times) for times in range(4))
    with np.errstate(over="ignore", invalid="ignore"):
        # Polynomials of 1e300 are beyond all numbers; all else must not even warn.
        quiet = np.array([abs(one) < 1e290 for one in value])
        both = activation.value_and_slope(POINTS)
        found = [activation.value(POINTS), activation.slope(POINTS), activation.second(POINTS)]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for function in (activation.value, activation.slope, activation.second, activation.value_and_slope):
            function(POINTS[quiet])
    for values in (found[0], both[0]):
        assert miss(values, value, slope) <= 1.0
    for values in (found[1], both[1]):
        assert miss(values, slope, curvature) <= 1.0
    assert miss(found[2], curvature, third) <= 1.0
    at_zero = [float(function(np.zeros(1))[0]) for function in (activation.value, activation.slope)]
    assert np.all(np.isfinite(at_zero))


def check_shapes(activation):
    z = np.random.default_rng(0).standard_normal((2, 5, 3))
    kept = z.copy()
    for number in (0.4, -0.3):
        assert activation.value(np.array(number)) == activation.value(np.array([number]))[0]
        assert activation.slope(np.array(number)) == activation.slope(np.array([number]))[0]
    for given in (z, z.transpose(2, 0, 1), z[:, ::2], np.zeros((0, 3))):
        for found in (activation.value(given), activation.slope(given), activation.second(given)):
            assert found.shape == given.shape
            assert found.dtype == np.float64
            assert not np.shares_memory(found, given)
        value, slope = activation.value_and_slope(given)
        np.testing.assert_allclose(value, activation.value(given), rtol=8 * EPS, atol=8 * EPS)
        np.testing.assert_allclose(slope, activation.slope(given), rtol=8 * EPS, atol=8 * EPS)
        assert not np.shares_memory(value, given)
    np.testing.assert_array_equal(z, kept)


def check_degree(activation):
    z = np.random.default_rng(1).standard_normal(50)
    grown = [activation.value(c * z) for c in (1.0, 1.7, 30.0)]
    if activation.degree is None:
        ratios = grown[1][grown[0] != 0] / grown[0][grown[0] != 0]
        assert np.ptp(ratios) > 1e-3
    else:
        for c, values in zip((1.0, 1.7, 30.0), grown, strict=True):
            np.testing.assert_allclose(values, c**activation.degree * grown[0], rtol=1e-13)
        # Euler's identity
        np.testing.assert_allclose(z * activation.slope(z), activation.degree * grown[0], rtol=1e-13)
    assert activation.homogeneous == (activation.degree == 1)


def check_slopes(activation):
    z = np.linspace(-3.0, 3.0, 62)
    if activation.slopes is None:
        assert np.any(activation.second(z) != 0.0)
        return
    up, down = activation.slopes
    np.testing.assert_allclose(
        activation.value(z), up * np.maximum(z, 0) + down * np.minimum(z, 0), rtol=2 * EPS
    )
    np.testing.assert_array_equal(activation.slope(z), np.where(z > 0, up, down))
    assert activation.degree == 1


def check_orders(activation):
    """Powers of z from two decades; what falls faster than any power has no slope there."""
    turn = np.linspace(0.0, 2 * np.pi, 200)  # where it oscillates, its amplitude
    for orders, ends, window in (
        (activation.at_zero, (1e-7, 1e-6), np.zeros(1)),
        (activation.at_infinity, (1e4, 1e5), turn),
    ):
        for order, function in zip(orders, (activation.value, activation.slope), strict=True):
            sizes = [max(np.max(np.abs(function(s * (end + window)))) for s in (1, -1)) for end in ends]
            if order == -math.inf:
                assert sizes[0] < 1e-300
            else:
                assert sizes[0] > 0.0
                assert math.log10(sizes[1] / sizes[0]) == pytest.approx(order, abs=2e-3)


LENGTHS = [(1.0, 1.0), (0.3, 2.0), (2.5, 2.5)]
ANGLES = [0.0, 1e-3, 0.7, math.pi / 2, 2.5, math.pi - 1e-3, math.pi]


@functools.cache
def panels():
    """Gauss and Legendre's rule on panels that shrink towards 0 from both sides, on [-12, 12]."""
    node, weight = np.polynomial.legendre.leggauss(14)
    edges = 12.0 * np.concatenate([[0.0], 2.0 ** -np.arange(16.0, -1.0, -1.0)])
    edges = np.sort(np.concatenate([edges, 12 * np.array([0.1875, 0.375, 0.625, 0.75, 0.875])]))
    half = 0.5 * np.diff(edges)[:, None]
    x, w = (0.5 * (edges[1:] + edges[:-1])[:, None] + half * node).ravel(), (half * weight).ravel()
    return np.concatenate([-x[::-1], x]), np.concatenate([w[::-1], w])


def integral(activation, length, other, theta):
    """Both kernels, by an integral over v given u for every u, cut where v is zero."""
    x, weight = panels()
    c, s = math.cos(theta), math.sin(theta) if theta < 3 else math.sin(math.pi - theta)
    share, each = np.polynomial.legendre.leggauss(24)
    zero = np.clip(-c * x / s if s else np.full(x.shape, 12.0), -12.0, 12.0)
    inner = np.zeros((2, x.size))
    for lo, hi in ((np.full(x.shape, -12.0), zero), (zero, np.full(x.shape, 12.0))):
        for part in range(8):
            half = (hi - lo) / 16
            y = (lo + (2 * part + 1) * half)[:, None] + half[:, None] * share
            density = half[:, None] * each * np.exp(-0.5 * y**2) / math.sqrt(2 * math.pi)
            v = other * (c * x[:, None] + s * y)
            inner[0] += np.sum(density * activation.value(v), axis=1)
            inner[1] += np.sum(density * activation.slope(v), axis=1)
    outer = weight * np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    u = length * x
    return np.array([outer * activation.value(u) @ inner[0], outer * activation.slope(u) @ inner[1]])


def check_dual(activation):
    for length, other in LENGTHS:
        found = activation.products(length, other, ANGLES)
        own = [activation.products(one, one, 0.0) for one in (length, other)]
        scales = [math.sqrt(getattr(own[0], k) * getattr(own[1], k)) for k in ("value", "slope")]
        assert np.all(found.error <= 1e-12 * max(scales))
        for index, theta in enumerate(ANGLES):
            wanted = integral(activation, length, other, theta)
            for k in (0, 1):
                assert (
                    abs((found.value, found.slope)[k][index] - wanted[k])
                    <= 2e-12 * scales[k] + found.error[index]
                )
        # dT/dc = T', in the angle, where neither end is near
        step = 1e-4
        before, after = (activation.products(length, other, 1.1 + s).value for s in (-step, step))
        rate = (after - before) / (2 * step) / (-length * other * math.sin(1.1))
        assert rate == pytest.approx(float(activation.products(length, other, 1.1).slope), rel=1e-6, abs=1e-9)
    # Kernels: no eigenvalue below zero, here over directions in the plane, of which two are nearly the same.
    direction = np.array([0.0, 1e-9, 0.5, 1.1, 2.0, 2.9, 3.14159, 4.4])
    apart = np.abs(direction[:, None] - direction)
    kernels_ = activation.products(1.3, 1.3, np.minimum(apart, 2 * np.pi - apart))
    for K in (kernels_.value, kernels_.slope * np.cos(apart)):
        assert np.linalg.eigvalsh(K)[0] >= -1e-13 * K.max()


def check_dual_formula(activation):
    """The formula that is printed, in 40 digits, is the function that is used."""
    if activation.dual is None:
        return
    a, b, c, r, theta = sp.symbols("a b c r theta", real=True)
    formula = sp.sympify(activation.dual.formula, locals={"a": a, "b": b, "c": c, "r": r, "theta": theta})
    for length, other in LENGTHS:
        for angle in (0.3, 1.2, 2.8):
            numbers = {a: sp.Float(length, 50) ** 2, b: sp.Float(other, 50) ** 2, theta: sp.Float(angle, 50)}
            product = sp.Float(length, 50) * sp.Float(other, 50)
            numbers |= {r: product, c: product * sp.cos(numbers[theta])}
            scale = (
                activation.products(length, length, 0.0).value + activation.products(other, other, 0.0).value
            )
            found = float(activation.products(length, other, angle).value)
            assert found == pytest.approx(float(formula.evalf(40, subs=numbers)), abs=4e-15 * float(scale))


def check_name(activation):
    assert as_activation(activation.name) == activation
    assert as_activation(activation) is activation
    assert activation != replace(activation, name="another")
    again = pickle.loads(pickle.dumps(activation))
    assert again == activation
    assert hash(again) == hash(activation)


def check_rows(activation):
    """A row in each table of the documentation; a bar within a formula would end its cell."""
    for table, cells in ((activation_table, 6), (dual_table, 2)):
        row = table([activation]).splitlines()[-1]
        assert row.startswith(f"| `{activation.name}` | ")
        assert row.count("|") == cells + 1
        assert ("quadrature" in row) == (table is dual_table and activation.dual is None)
        assert "unknown" not in row


X, Y = np.array([-1.1, -0.4, 0.3, 0.9]), np.array([0.4, -0.3, 0.1, 0.5])
ALPHA, BETA1, BETA2, WIDTH = 3.0, 1.5, 0.8, 12
#: A draw whose neurons cross kinks and slide along none, where SciPy would need endless steps.
SEED = 0
TIMES = 2.0 * np.linspace(0.0, 1.0, 41)[1:] ** 2


def check_flow(activation):
    """Outputs along the run, by SciPy in the user's own parameters, and the energy law."""
    problem = mf.Problem(X, Y)
    scaling = mf.Scaling(alpha=ALPHA, beta1=BETA1, beta2=BETA2)
    start = mf.Particles.sample(problem, scaling, WIDTH, antisymmetric=False, activation=activation, rng=SEED)
    rtol = 1e-5 if activation.slopes else 1e-4  # a step across a kink is of first order
    run = mf.gradient_flow(
        problem, start, method="runge-kutta", rtol=rtol, save_at=TIMES, loss_tol=0, stationarity=0,
        save_parameters=True, progress=False,
    )  # fmt: skip
    assert run.stats.method == "runge-kutta"
    functions = {"sigma": activation.value, "slope": activation.slope}

    def parts(theta):
        return theta[:WIDTH], theta[WIDTH:].reshape(WIDTH, 2)

    def velocity(_, theta):
        return np.concatenate(
            [v.ravel() for v in naive.velocity(*parts(theta), problem.x, Y, ALPHA, **functions)]
        )

    first = np.concatenate([BETA1 * start.a, BETA2 * start.w.ravel()])
    times = BETA1 * BETA2 * TIMES
    own = solve_ivp(velocity, (0.0, times[-1]), first, "DOP853", t_eval=times, rtol=1e-9, atol=1e-11)
    expected = np.array(
        [naive.network(*parts(theta), problem.x, ALPHA, activation.value) for theta in own.y.T]
    )
    initial = naive.network(*parts(first), problem.x, ALPHA, activation.value)
    assert np.abs(expected - initial).max() > 0.03  # it trains, by 100 times the tolerance
    size = max(np.abs(expected - Y).max(), np.abs(Y).max())
    np.testing.assert_allclose(run.output, expected, rtol=0, atol=3e-4 * size)
    # dR/dt = -|theta'|^2, from the run's own parameters
    states = [
        np.concatenate([BETA1 * a, BETA2 * w.ravel()]) for a, w in zip(run.saved_a, run.saved_w, strict=True)
    ]
    power = [np.sum(velocity(0.0, theta) ** 2) for theta in states]
    fallen = run.loss[0] - run.loss[-1]
    assert fallen == pytest.approx(simpson(power, x=times), rel=1e-2 if activation.slopes else 1e-3)


CHECKS = [
    check_functions, check_shapes, check_degree, check_slopes, check_orders, check_dual, check_dual_formula,
    check_name, check_rows, check_flow,
]  # fmt: skip
EVERY = list(activations.available().values())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("activation", EVERY, ids=lambda activation: activation.name)
def test_every_activation(activation, check):
    check(activation)


def test_all_that_were_asked_for_are_there():
    wanted = {
        "relu", "leaky-relu(0.01)", "absolute", "linear", "relu2", "relu3", "tanh", "erf", "sigmoid",
        "softplus", "gelu", "gelu-tanh", "silu", "sin", "quadratic", "hermite(2)", "hermite(3)",
    }  # fmt: skip
    assert wanted <= set(activations.available())
    assert set(activations.families()) == {"leaky-relu", "hermite"}


# Families


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("leaky-relu(0.2)", activations.leaky_relu(0.2)),
        (" leaky-relu( 2e-1 ) ", activations.leaky_relu(0.2)),
        ("leaky-relu(-0.1)", activations.leaky_relu(-0.1)),
        ("leaky-relu(0.1234567890123456)", activations.leaky_relu(0.1234567890123456)),
        ("leaky-relu(0)", as_activation("relu")),
        ("leaky-relu(1)", as_activation("linear")),
        ("leaky-relu(-1)", as_activation("absolute")),
        ("hermite(6)", activations.hermite(6)),
        ("hermite(1)", as_activation("linear")),
    ],
)
def test_names_of_families(text, same):
    found = as_activation(text)
    assert found == same
    assert hash(found) == hash(same)
    assert as_activation(found.name) == found
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize("activation", [activations.leaky_relu(-0.3), activations.hermite(7)])
@pytest.mark.parametrize("check", CHECKS[:-1], ids=lambda check: check.__name__)
def test_other_members(activation, check):
    check(activation)


def test_other_parameters_are_other_activations():
    assert activations.leaky_relu(0.2) != activations.leaky_relu(0.3)
    assert activations.hermite(3) != activations.hermite(5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("relu^2", r"no activation is called 'relu\^2'; give one of .*; did you mean 'relu2' or 'relu'\?$"),
        ("leaky-relu", r"give one of .*leaky-relu\(slope\).*did you mean 'leaky-relu\(0\.01\)'"),
        ("leaky-relu(x)", r"no activation is called 'leaky-relu\(x\)'"),
        ("leaky-relu(nan)", r"^slope is nan; give a number such as 0\.01"),
        ("hermite(2.5)", r"^order is 2\.5; give a whole number >= 1$"),
        ("hermite(31)", r"^order is 31.*; give a whole number >= 1 and <= 30$"),
    ],
)
def test_names_that_are_none(text, sentence):
    with pytest.raises(InputError, match=sentence):
        as_activation(text)


def test_hermite_polynomials_are_orthonormal():
    x, weight = np.polynomial.hermite_e.hermegauss(64)
    rows = np.array([as_activation(f"hermite({k})").value(x) for k in range(1, 31)])
    gram = rows * (weight / math.sqrt(2 * math.pi)) @ rows.T
    np.testing.assert_allclose(gram, np.eye(30), atol=1e-10)


def test_another_process_reads_them(tmp_path):
    every = [*EVERY, activations.leaky_relu(0.2), activations.hermite(5)]
    (tmp_path / "all").write_bytes(pickle.dumps(every))
    code = (
        "import pickle, sys; from pathlib import Path\n"
        "every = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "from meanfield.activations import as_activation\n"
        "print(all(as_activation(one.name) == one for one in every), 'scipy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "all"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]


def test_angles_keep_their_digits_near_both_ends():
    """Kernels of nearly opposite inputs are small: psi**3 / (6 pi) for the ReLU."""
    psi = np.array([1e-3, 1e-6, 1e-9])
    found = as_activation("relu").products(1.0, 1.0, Angle(math.pi - psi, psi))
    np.testing.assert_allclose(found.value, (psi**3 / 3 - psi**5 / 30) / (2 * math.pi), rtol=1e-14)
    np.testing.assert_allclose(found.slope, psi / (2 * math.pi), rtol=1e-15)


# A newcomer

SWISH = '''
"""A wavy line."""

import numpy as np

from meanfield.activations.base import Activation, Orders


def _slope(z):
    return 1.0 + np.cos(z)


def _value(z):
    return z + np.sin(z)


ACTIVATIONS = (
    Activation(
        "wavy", _value, _slope, formula="z + sin(z)", at_zero=Orders(1, 0), at_infinity=Orders(1, 0)
    ),
)
'''


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
    """One more file, in another folder of the package, and no registration."""
    (tmp_path / "wavy.py").write_text(SWISH)
    monkeypatch.setattr(activations, "__path__", [*activations.__path__, str(tmp_path)])
    activations.available.cache_clear()
    activations.families.cache_clear()
    yield as_activation("wavy")
    sys.modules.pop("meanfield.activations.wavy", None)
    activations.__dict__.pop("wavy", None)
    activations.available.cache_clear()
    activations.families.cache_clear()


def test_one_file_adds_an_activation(newcomer):
    assert "wavy" in activations.available()
    for check in CHECKS:
        if check is not check_functions:  # its curvature is by differences
            check(newcomer)
    z = POINTS[np.abs(POINTS) < 50]
    np.testing.assert_allclose(newcomer.second(z), -np.sin(z), atol=2e-9)
    with pytest.raises(InputError, match=r"another function; give yours another name"):
        as_activation(Activation("wavy", np.sin, np.cos))


def test_checks_could_fail():
    """An activation that is wrong by 1 % in any of what it says fails the check of that."""
    good = as_activation("erf")
    wrong = {
        check_functions: {"slope": lambda z: 1.01 * good.slope(z)},
        check_shapes: {"value": lambda z: good.value(z).astype(np.float32)},
        check_degree: {"degree": 1.0},
        check_slopes: {"slopes": (1.0, 0.0)},
        check_orders: {"at_infinity": Orders(0, 0)},
        check_dual: {
            "dual": good.dual._replace(products=lambda *a: np.multiply(1.01, good.dual.products(*a)))
        },
        check_dual_formula: {"dual": good.dual._replace(formula="2/pi*asin(2*c/sqrt((1 + 2*a)*(1 + b)))")},
        check_name: {"value": np.tanh},
        check_rows: {"formula": "Abs(z)", "at_zero": None},
        check_flow: {"both": lambda z: (good.value(z), 1.01 * good.slope(z))},
    }
    assert set(wrong) == set(CHECKS)
    for check, change in wrong.items():
        with pytest.raises((AssertionError, InputError)):
            check(replace(good, **change))
    with pytest.raises(AssertionError):
        check_functions(replace(as_activation("tanh"), slope=lambda z: 1 - np.tanh(z) ** 2))


# The user's own


def swish(z):
    return z / (1 + np.exp(-z))


def swish_slope(z):
    return (1 + np.exp(-z) * (1 + z)) / (1 + np.exp(-z)) ** 2


OWN = Activation("my swish", swish, swish_slope)
FOUR = mf.datasets.four_points()


def test_two_functions_are_enough():
    network = mf.Particles.sample(FOUR, mf.Scaling(1.0), 10, activation=OWN, beta2=1.0, rng=0)
    same = mf.Particles.sample(FOUR, mf.Scaling(1.0), 10, activation="silu", beta2=1.0, rng=0)
    runs = [mf.gradient_flow(FOUR, one, method="runge-kutta", t_end=2.0) for one in (network, same)]
    np.testing.assert_allclose(runs[0].output[-1], runs[1].output[-1], rtol=1e-12)
    assert "my swish" in repr(network)
    assert pickle.loads(pickle.dumps(network)).activation == OWN


class Unhashable:
    """A callable that compares by value has no hash."""

    def __init__(self, factor):
        self.factor = factor

    def __eq__(self, other):
        return type(other) is Unhashable and other.factor == self.factor

    def __call__(self, z):
        return self.factor * np.sin(z)


def test_functions_without_a_hash():
    own = Activation("mine", Unhashable(2.0), lambda z: 2 * np.cos(z))
    assert hash(own) == hash(replace(own, name="mine"))
    network = mf.Particles.sample(FOUR, mf.Scaling(1.0), 10, activation=own, beta2=1.0, rng=0)
    assert mf.gradient_flow(FOUR, network, method="runge-kutta", t_end=0.1).loss[-1] > 0


@pytest.mark.parametrize(
    "own",
    [
        Activation("steep", lambda z: np.sin(3000 * z), lambda z: 3000 * np.cos(3000 * z)),
        Activation(
            "single inside", lambda z: np.tanh(z.astype("f")).astype("d"), lambda z: np.cosh(z) ** -2.0
        ),
        Activation("hard tanh", lambda z: np.clip(z, -1, 1), lambda z: abs(z) < 1),
        Activation("step", lambda z: (z > 0) * 1.0, np.zeros_like),
        Activation("overflowing", swish, swish_slope, both=lambda z: (swish(z), swish_slope(z))),
        Activation("tiny", lambda z: 1e-200 * z, lambda z: np.full_like(z, 1e-200)),
    ],
    ids=lambda own: own.name,
)
def test_what_is_unusual_is_taken(own):
    assert as_activation(own) is own


def in_place(z):
    z += 1.0
    return z


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"slope": np.sin},
            r"^slope of the activation 'my swish' is 0\.363386 at z = 0\.3719, but the value rises by "
            r"0\.68\d+ per unit of z there; give the derivative of the value$",
        ),
        ({"slope": lambda z: 1.01 * swish_slope(z)}, r"give the derivative of the value$"),
        ({"curvature": swish_slope}, r"^curvature of .* but the slope rises by .*derivative of the slope$"),
        ({"both": lambda z: (swish(z), swish(z))}, r"^both of .* gives another slope than slope itself"),
        ({"both": lambda z: swish(z)}, r"^both of the activation 'my swish' makes shape \(3,\)"),
        (
            {"value": math.tanh},
            r"^value of .* fails on an array of shape \(3, 3\) \(TypeError: .*entry by entry",
        ),
        ({"value": lambda z: max(z, 0)}, r"^value of .* fails .*ValueError"),
        ({"value": np.sum}, r"^value of .* makes shape \(\) of an array of shape \(3, 3\)"),
        ({"value": np.log}, r"^value of .* is -inf at z = 0; give a function that is finite there$"),
        ({"value": np.sqrt}, r"^value of .* is nan at z = -1; give"),
        ({"slope": lambda z: swish_slope(z).astype("f")}, r"^slope of .* numbers of type float32; give"),
        ({"value": in_place}, r"^value of .* changes the array that it is given"),
        ({"name": "tanh"}, r"^your activation is called 'tanh', as one of this package that is another"),
    ],
)
def test_faults_are_told_where_they_enter(changes, sentence):
    own = replace(OWN, **changes)
    with pytest.raises(InputError, match=sentence) as told:
        mf.Particles.sample(FOUR, mf.Scaling(1.0), 10, activation=own, beta2=1.0)
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match=sentence):
        mf.Particles.from_arrays([1.0], [[1.0]], kappa=1.0, kappa_prime=1.0, activation=own, beta2=1.0)


@pytest.mark.parametrize("name", ["", "  ", 3])
def test_names_are_needed(name):
    with pytest.raises(InputError, match=r"^name is .*; give a"):
        Activation(name, swish, swish_slope)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run with the user's own activation, and its file."""
    network = mf.Particles.sample(FOUR, mf.Scaling(1.0), 10, activation=OWN, beta2=0.7, rng=0)
    run = mf.gradient_flow(FOUR, network, method="runge-kutta", t_end=1.0)
    return run, str(run.save(tmp_path_factory.mktemp("own") / "run"))


class TestSaved:
    @pytest.mark.parametrize("read", [mf.load, mf.Trajectory.load, mf.limits.load])
    def test_own(self, saved, read):
        run, path = saved
        again = read(path, activation=OWN)
        assert again.initial.activation == OWN
        assert again.initial.beta2 == 0.7
        np.testing.assert_array_equal(again.predict([0.3]), run.predict([0.3]))

    def test_own_is_asked_for(self, saved):
        with pytest.raises(
            InputError,
            match=r"run\.npz' has the activation 'my swish', which is not one of this package; read it with "
            r"load\(path, activation=\.\.\.\)",
        ):
            mf.load(saved[1])

    def test_another_name(self, saved):
        with pytest.raises(
            InputError, match=r"has the activation 'my swish', but the one given is called 'silu'"
        ):
            mf.load(saved[1], activation=as_activation("silu"))

    def test_another_function(self, saved):
        """Found by the outputs that were saved: 1 % is enough."""
        other = Activation("my swish", lambda z: 1.01 * swish(z), lambda z: 1.01 * swish_slope(z))
        with pytest.raises(
            InputError, match=r"was not made with this activation 'my swish': an output at the end"
        ):
            mf.load(saved[1], activation=other)

    def test_faults_are_told_here_too(self, saved):
        with pytest.raises(InputError, match=r"slope of the activation 'my swish'"):
            mf.load(saved[1], activation=replace(OWN, slope=np.sin))

    @pytest.mark.parametrize("name", ["tanh", "leaky-relu(0.2)", "hermite(3)"])
    def test_those_of_the_package(self, name, tmp_path):
        network = mf.Particles.sample(FOUR, mf.Scaling(1.0), 10, activation=name, beta2=0.7, rng=0)
        path = mf.gradient_flow(FOUR, network, method="runge-kutta", t_end=0.1).save(tmp_path / "run")
        for given in (None, as_activation(name)):
            assert mf.load(path, activation=given).initial.activation == as_activation(name)
        with pytest.raises(InputError, match=r"or leave it out$"):
            mf.load(path, activation=OWN)

    def test_a_diagram_has_none(self, tmp_path):
        diagram = mf.limit_diagram(FOUR, gamma=[0.5, 1.5], gamma_prime=[0.0])
        with pytest.raises(InputError, match=r"holds a phase diagram, .*; leave activation out$"):
            mf.load(diagram.save(tmp_path / "map"), activation=OWN)


# Passes


@pytest.fixture
def threads():
    before = kernels.get_threads()
    yield kernels.set_threads
    kernels.set_threads(before)


@pytest.fixture(params=["whole", "small tiles", "nothing kept"])
def tiles(request, monkeypatch):
    """Tiles as they are, or of a few numbers; activations kept or not."""
    if request.param != "whole":
        monkeypatch.setattr(elementwise, "_TILE", 24)
        monkeypatch.setattr(elementwise, "_NEURONS", 4)
        monkeypatch.setattr(elementwise, "_PIECE", 8)
    if request.param == "nothing kept":
        monkeypatch.setattr(elementwise, "KEPT", 0)
    return request.param


#: Functions that give back what they are given: nothing may be written over it.
ALIASES = [
    Activation("half square", lambda z: 0.5 * z * z, lambda z: z),
    Activation("identity", lambda z: z, np.ones_like),
]


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("name", ["tanh", "gelu", "leaky-relu(0.2)", *ALIASES], ids=str)
@pytest.mark.parametrize(("n", "size"), [(5, 7), (1, 1), (3, 41)])
def test_passes_are_their_naive_twins(name, outputs, n, size, tiles, monkeypatch):
    rng = np.random.default_rng(n + size)
    r, scale, activation = 3, 1.7, as_activation(name)
    theta, x, weight = rng.standard_normal((outputs + r, size)), rng.standard_normal((n, r)), rng.random(size)
    v, g = rng.standard_normal(theta.shape), rng.standard_normal((n, outputs))
    passes = ElementwisePasses(x, weight, activation, scale, outputs)
    phi = naive.jacobian(theta, x, activation, scale, outputs)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-13)
    f = naive.outputs_of(theta, weight, x, activation, scale, outputs).ravel()
    change = np.einsum("iocN,N,cN->io", phi, weight, v).ravel()
    K = np.einsum("iocN,N,jpcN->iojp", phi, weight, phi).reshape(n * outputs, n * outputs)
    for forward in (passes, passes.forward(theta)):
        given = (theta,) if forward is passes else ()
        for _ in range(2):  # kept values give the same again
            close(forward.output(*given), f)
            close(forward.tangent(*given, v), change)
            pulled = forward.pullback(*given, g.ravel(), np.full(theta.shape, np.nan))
            close(pulled, np.einsum("iocN,io->cN", phi, g))
            close(forward.gram(*given), K)
    # Adjoint: g . (Phi W v) = (Phi^T g) . W v
    assert g.ravel() @ change == pytest.approx(np.sum(weight * pulled * v), rel=1e-10)
    monkeypatch.setattr(elementwise, "_GRAM", 1)  # one part at a time
    close(passes.gram(theta), K)


@pytest.mark.parametrize(("n", "size"), [(700, 300), (40, 9000)])
@pytest.mark.parametrize("kept", [True, False])
def test_passes_have_the_same_bits_for_any_number_of_threads(n, size, kept, threads, monkeypatch):
    """Few neurons share samples, many share neurons."""
    if not kept:
        monkeypatch.setattr(elementwise, "KEPT", 0)
    rng = np.random.default_rng(0)
    theta, x, weight = rng.standard_normal((4, size)), rng.standard_normal((n, 2)), rng.random(size)
    v, g = rng.standard_normal(theta.shape), rng.standard_normal(2 * n)
    found = []
    for count in (1, 2, 2, 1):
        threads(count)
        with kernels.one_blas_thread():
            forward = ElementwisePasses(x, weight, as_activation("gelu"), 1.3, 2).forward(theta)
            results = (forward.output(), forward.pullback(g, np.empty(theta.shape)), forward.tangent(v))
            found.append([result.tobytes() for result in (*results, forward.gram()[:80, :80])])
    assert all(one == found[0] for one in found)


def test_attempts_that_overflow_are_silent_in_every_thread(threads):
    """Threads do not inherit how NumPy handles overflow: what a caller ignores was a warning in them."""
    threads(2)
    rng = np.random.default_rng(0)
    theta, x = 1e200 * rng.standard_normal((3, 9000)), rng.standard_normal((200, 2))
    with np.errstate(over="ignore", invalid="ignore"):
        output = ElementwisePasses(x, np.ones(9000), as_activation("quadratic"), 1.0).output(theta)
    assert not np.all(np.isfinite(output))
