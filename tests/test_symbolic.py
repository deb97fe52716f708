"""Power counting: the derived map, its lines, and what changes when the network does.

Expected values are written down here by hand, from the balances on paper or from an integration of the
flow; nothing is compared with what the package derives in another place.
"""

import itertools
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize

from meanfield import InputError, regime
from meanfield.symbolic import Growth, TwoLayer, boundaries, derive_exponents, regions
from meanfield.symbolic.maxplus import Balance, order, solve
from meanfield.symbolic.polyhedra import Polyhedron, cover, feasible

THEORY = derive_exponents()
G, GP = THEORY.gamma, THEORY.gamma_prime
DELTA = G - 1
PLANE = (G, GP)

# The two-layer ReLU network by hand: polygons (expressions that are at least 0), S_w, S_a, time.
BY_HAND = [
    ([1 - G, GP], DELTA - 2 * GP, DELTA, DELTA - GP),
    ([1 - G, -GP], DELTA, DELTA + 2 * GP, DELTA + GP),
    ([DELTA, GP - DELTA], 2 * (DELTA - GP), DELTA, DELTA - GP),
    ([DELTA, -DELTA - GP], DELTA, 2 * (DELTA + GP), DELTA + GP),
    ([DELTA - GP, DELTA + GP], (DELTA - GP) / 2, (DELTA + GP) / 2, sp.S.Zero),
]


def by_tau():
    """The same in the form of a maximum: tau = delta - |gamma'|, split by the signs of tau and gamma'."""
    for sign in (1, -1):
        tau = DELTA - sign * GP
        for first, second in ((tau - GP, 2 * tau), (2 * tau, tau - GP)):
            yield [sign * GP, -tau, first - second], first
        yield [sign * GP, tau], (DELTA - GP) / 2


def polygons(theory, name):
    return [(region.region, getattr(region, name)) for region in theory.regions]


def reference(pieces):
    found = [(Polyhedron.where(rows, PLANE), sp.sympify(value)) for rows, value in pieces]
    return [(polygon, value) for polygon, value in found if polygon is not None]


def assert_same_function(derived, expected):
    """Two piecewise-linear functions are equal: on every common polygon their expressions are."""
    assert cover([polygon for polygon, _ in derived])
    assert cover([polygon for polygon, _ in expected])
    for (one, left), (two, right) in itertools.product(derived, expected):
        if one.intersection(two) is not None:
            assert sp.expand(left - right) == 0, f"{left} is not {right} on {one.condition}"


def shifted(theory, name, shift):
    """A derived function of other arguments: gamma -> shift[0], gamma' -> shift[1]."""
    values = dict(zip(PLANE, shift, strict=True))
    return [
        (Polyhedron.where(polygon.substituted(values), PLANE), value.xreplace(values))
        for polygon, value in polygons(theory, name)
    ]


class TestTheMap:
    @pytest.mark.parametrize(("name", "index"), [("S_w", 1), ("S_a", 2), ("time", 3)])
    def test_equals_the_map_by_hand_in_every_region(self, name, index):
        assert_same_function(
            polygons(THEORY, name), reference([(piece[0], piece[index]) for piece in BY_HAND])
        )

    def test_equals_the_maximum_form(self):
        assert_same_function(polygons(THEORY, "S_w"), reference(by_tau()))

    def test_layers_are_exchanged_by_the_sign_of_gamma_prime(self):
        assert_same_function(polygons(THEORY, "S_a"), shifted(THEORY, "S_w", (G, -GP)))

    def test_five_regions_and_their_names(self):
        names = [region.name for region in regions()]
        assert sorted(names) == ["a-lag", "both move", "lazy", "lazy", "w-lag"]
        for polygon, name, growth in [
            ([DELTA, GP - DELTA], "w-lag", Growth.POWER),
            ([DELTA, -DELTA - GP], "a-lag", Growth.POWER),
            ([DELTA - GP, DELTA + GP], "both move", Growth.EXPONENTIAL),
        ]:
            region = next(r for r in regions() if r.name == name)
            assert set(region.region.rows) == set(Polyhedron.where(polygon, PLANE).rows)
            assert region.growth is growth

    def test_lines(self):
        found = {(line.equation, line.condition): line for line in boundaries()}
        assert set(found) == {
            (sp.Eq(GP, 0), G <= 1),
            (sp.Eq(G, 1), GP >= 0),
            (sp.Eq(G, 1), GP <= 0),
            (sp.Eq(GP, G - 1), G >= 1),
            (sp.Eq(GP, 1 - G), G >= 1),
        }
        regime_lines = {key for key, line in found.items() if line.regime}
        assert regime_lines == {(sp.Eq(G, 1), GP <= 0), (sp.Eq(GP, G - 1), G >= 1)}
        extra = found[sp.Eq(GP, 1 - G), G >= 1]
        assert [side.name for side in extra.sides] == ["a-lag", "both move"]
        assert extra.critical == ("a",)
        assert [side.S_a for side in extra.sides] == [2 * G + 2 * GP - 2, G / 2 + GP / 2 - sp.Rational(1, 2)]

    @pytest.mark.parametrize("network", [TwoLayer(), TwoLayer(zero_initial_output=False)])
    def test_continuous_across_every_line_and_exact_on_it(self, network):
        for line in derive_exponents(network).boundaries:
            assert set(line.jumps) == {"a", "w", "time"}
            assert set(line.jumps.values()) == {0}

    def test_equals_the_map_by_hand_on_every_line(self):
        """Lines belong to both their regions: whichever branch is taken there, the value is the same."""
        for line in boundaries():
            variable, value = line.equation.args
            for rows, S_w, S_a, time in BY_HAND:
                polygon = set(Polyhedron.where(rows, PLANE).rows)
                for side in line.sides:
                    if set(side.region.rows) == polygon:
                        for mine, hand in ((side.S_w, S_w), (side.S_a, S_a), (side.time, time)):
                            assert sp.expand((mine - hand).subs(variable, value)) == 0

    def test_sympy_forms(self):
        at = {G: sp.Rational(7, 4), GP: sp.Rational(1, 4)}
        assert THEORY.S_w.subs(at) == sp.Rational(1, 4)
        assert THEORY.S_a.subs(at) == sp.Rational(1, 2)
        assert THEORY.time.subs(at) == 0
        assert {s.name for s in THEORY.S_w.free_symbols} == {"gamma", "gamma_prime"}
        assert r"\gamma'" in THEORY.latex()
        assert "prime" not in THEORY.latex()

    def test_the_derivation_can_be_read(self):
        text = THEORY.text()
        for step in THEORY.derivation:
            assert step.reason in text
        assert "gamma' = 1 - gamma, gamma >= 1: a-lag | both move" in text
        assert "training takes s ~ log m" in text
        assert text.count("Region") == 5


class TestSaturation:
    """Without antisymmetric initialisation the initial output m^(1/2 - gamma) takes over."""

    RANDOM = derive_exponents(TwoLayer(zero_initial_output=False))

    @pytest.mark.parametrize("name", ["S_w", "S_a"])
    def test_exponents_stop_at_one_half(self, name):
        half = sp.Rational(1, 2)
        expected = [
            (polygon, value)
            for condition, gamma in ((G - half, G), (half - G, half))
            for rows, *values in BY_HAND
            if (polygon := Polyhedron.where([condition, *(r.subs(G, gamma) for r in rows)], PLANE))
            is not None
            for value in [values[name == "S_a"].subs(G, gamma)]
        ]
        assert_same_function(polygons(self.RANDOM, name), expected)

    def test_the_line_is_found(self):
        half = sp.Rational(1, 2)
        lines = {line.equation for line in self.RANDOM.boundaries}
        assert sp.Eq(G, half) in lines
        value = -half - 2 * sp.Max(GP, 0)
        for region in self.RANDOM.regions:
            if Polyhedron.where([half - G], PLANE).intersection(region.region) is not None:
                assert region.S_w in (value.subs(sp.Max(0, GP), GP), value.subs(sp.Max(0, GP), 0))

    def test_measured_on_one_sample(self):
        """gamma = gamma' = 0: exponent -1/2 although the map with twins says -1.

        One sample, d = 1: p = p0 cosh + q0 sinh, and at these widths no neuron moves far enough to die.
        The random initial output has a spread of order one in log |f|; four standard errors.
        """
        rng, slopes = np.random.default_rng(0), []
        widths = (100, 10_000)
        for _ in range(200):
            moved = []
            for m in widths:
                a, w = rng.standard_normal((2, m))
                a, w = a[w > 0], w[w > 0]

                def missing(tau, a=a, w=w):
                    return (
                        np.sum((a * np.cosh(tau) + w * np.sinh(tau)) * (w * np.cosh(tau) + a * np.sinh(tau)))
                        - 1
                    )

                tau = optimize.brentq(missing, -5, 5)
                moved.append(np.sqrt(np.sum((w * (np.cosh(tau) - 1) + a * np.sinh(tau)) ** 2) / m))
            slopes.append(np.log(moved[1] / moved[0]) / np.log(widths[1] / widths[0]))
        error = np.std(slopes) / np.sqrt(len(slopes))
        assert abs(np.mean(slopes) + 0.5) < 4 * error + 0.01
        assert error < 0.05


class TestOtherNetworks:
    @pytest.mark.parametrize("r", [1, Fraction(3, 2), 2, 3])
    def test_powers_of_relu(self, r):
        """All neurons alike, by hand from the conservation law of a neuron.

        It says u + max(u,0) = v + max(v,0) + 2 gamma', u = S_a, v = S_w.
        The output has to reach delta = max(u + r v+, v + u+ + (r-1) v+). If both move, u - v = gamma' and
        u + r v = delta; if only w moves, r v = delta. So the boundary of the regimes stays and the line on
        which a starts to move turns to gamma' = (1 - gamma)/r.
        """
        r = sp.Rational(r)
        expected = [
            ([1 - G, GP], DELTA - 2 * GP, DELTA),
            ([1 - G, -GP], DELTA, DELTA + 2 * GP),
            ([DELTA, GP - DELTA], 2 * (DELTA - GP), DELTA),
            ([DELTA, -DELTA - r * GP], DELTA / r, 2 * (DELTA / r + GP)),
            ([DELTA - GP, DELTA + r * GP], (DELTA - GP) / (r + 1), (DELTA + r * GP) / (r + 1)),
        ]
        theory = derive_exponents(TwoLayer(homogeneity=r, law="discrete"))
        assert_same_function(polygons(theory, "S_w"), reference([(p, w) for p, w, _ in expected]))
        assert_same_function(polygons(theory, "S_a"), reference([(p, a) for p, _, a in expected]))
        lines = {(line.equation, line.regime) for line in theory.boundaries}
        assert (sp.Eq(GP, (1 - G) / r).expand(), False) in lines
        assert (sp.Eq(GP, G - 1), True) in lines

    def test_growth_of_powers_of_relu(self):
        """ReLU^2: w alone grows exponentially at fixed a; both together blow up after a wait.

        The wait is that of the first e-folding: rate kappa' of w while a is frozen (gamma' < 0), else of
        order one in canonical time.
        """
        theory = derive_exponents(TwoLayer(homogeneity=2, law="discrete"))
        growth = {region.name: region.growth for region in theory.regions}
        assert growth == {
            "lazy": Growth.POWER, "w-lag": Growth.POWER, "a-lag": Growth.EXPONENTIAL,
            "both move": Growth.BLOW_UP,
        }  # fmt: skip
        expected = [
            ([1 - G, GP], DELTA - GP),
            ([1 - G, -GP], DELTA + GP),
            ([DELTA, GP - DELTA], DELTA - GP),
            ([DELTA, -GP], GP),
            ([DELTA - GP, GP], 0),
        ]
        assert_same_function(polygons(theory, "time"), reference(expected))

    @pytest.mark.parametrize(
        ("r", "gamma", "gamma_prime"),
        [
            (2, 0.5, 0.4),
            (2, 0.5, -0.4),
            (2, 2.5, 0.5),
            (2, 2.5, -0.5),
            (2, 2.0, -1.5),
            (2, 1.5, 1.2),
            (3, 2.5, -0.3),
        ],
    )
    def test_powers_of_relu_against_an_integration(self, r, gamma, gamma_prime):
        """One sample x = 1, one active neuron and its twin: the impulse that f = 1 takes, at two widths."""

        def measured(m):
            kappa, kp = m**-gamma, m**-gamma_prime
            unit = min(1.0, kp, 1 / kp)  # events are found to an absolute tolerance
            a0 = np.array([1.0, -1.0])

            def velocity(_, z):
                a, w = a0 + z[:2], np.maximum(1 + z[2:], 0.0)
                return unit * np.concatenate([w**r / kp, r * kp * a * w ** (r - 1)])

            def reached(_, z):
                u, v = z[:2], np.maximum(1 + z[2:], 0.0)
                power = np.expm1(r * np.log(np.maximum(v, 1e-300)))  # v^r - 1 without cancellation at 1
                small = np.abs(z[2:]) < 1e-3
                power = np.where(small, np.expm1(r * np.log1p(np.where(small, z[2:], 0.0))), power)
                return kappa * m / 2 * np.sum(u + (a0 + u) * power) - 1

            reached.terminal = True
            end = 100 * np.log(m) / unit**2
            run = integrate.solve_ivp(
                velocity, (0, end), np.zeros(4), method="DOP853", events=reached, rtol=1e-10, atol=1e-40,
                first_step=1e-30,
            )  # fmt: skip
            z = run.y_events[0][0]
            return np.sqrt(np.mean(z[2:] ** 2)), np.sqrt(np.mean(z[:2] ** 2))

        widths = (1e12, 1e16)
        low, high = map(measured, widths)
        slopes = np.log(np.array(high) / np.array(low)) / np.log(widths[1] / widths[0])
        expected = derive_exponents(TwoLayer(homogeneity=r, law="discrete")).numeric()(gamma, gamma_prime)
        np.testing.assert_allclose(slopes, expected, atol=0.02)

    def test_frozen_output_layer(self):
        """a stays: v = delta at first order, and kappa m a Delta w = O(1) also when w has grown."""
        theory = derive_exponents(TwoLayer(train_output=False))
        assert_same_function(polygons(theory, "S_w"), reference([([G - 1], DELTA), ([1 - G], DELTA)]))
        assert theory.S_a.subs({G: 1, GP: 0}) == -sp.oo
        (line,) = theory.boundaries  # S_w passes zero without a kink, on the whole line gamma = 1
        assert (line.equation, line.condition, line.regime) == (sp.Eq(G, 1), sp.true, True)

    def test_frozen_input_layer_leaves_random_features(self):
        """w stays, the output is linear in a: kappa m Delta a = O(1), whatever kappa'."""
        theory = derive_exponents(TwoLayer(train_input=False))
        assert_same_function(polygons(theory, "S_a"), reference([([G - 1], DELTA), ([1 - G], DELTA)]))
        assert theory.S_w.subs({G: 3, GP: -2}) == -sp.oo
        (line,) = theory.boundaries
        assert (line.equation, line.critical, line.regime) == (sp.Eq(G, 1), ("a",), False)

    def test_frozen_output_layer_of_a_power_of_relu(self):
        """kappa m w^r = O(1): S_w = delta/r once w moves."""
        theory = derive_exponents(TwoLayer(train_output=False, homogeneity=2))
        assert_same_function(polygons(theory, "S_w"), reference([([1 - G], DELTA), ([G - 1], DELTA / 2)]))

    @pytest.mark.parametrize(("c_w", "c_a"), [(1, 0), (0, 1), (Fraction(1, 3), Fraction(-1, 2))])
    def test_learning_rates_shift_gamma_prime(self, c_w, c_a):
        """Only rate_a = eta_a/kappa' and rate_w = eta_w kappa' occur.

        They are those of kappa'_eff = kappa' sqrt(eta_w/eta_a) in a time measured in units of
        1/sqrt(eta_a eta_w): gamma' shifts by (c_w - c_a)/2 and the time by (c_w + c_a)/2.
        """
        c_w, c_a = sp.Rational(c_w), sp.Rational(c_a)
        theory = derive_exponents(TwoLayer(input_rate=c_w, output_rate=c_a))
        to = (G, GP + (c_w - c_a) / 2)
        for name in ("S_w", "S_a"):
            assert_same_function(polygons(theory, name), shifted(THEORY, name, to))
        later = [(p, t + (c_w + c_a) / 2) for p, t in shifted(THEORY, "time", to)]
        assert_same_function(polygons(theory, "time"), later)
        assert sp.Eq(GP, sp.expand(G - 1 - (c_w - c_a) / 2)) in {line.equation for line in theory.boundaries}

    def test_loss_normalisation_changes_the_time_and_nothing_else(self):
        theory = derive_exponents(TwoLayer(loss_normalisation=1))
        for name in ("S_w", "S_a"):
            assert_same_function(polygons(theory, name), polygons(THEORY, name))
        assert_same_function(polygons(theory, "time"), [(p, t + 1) for p, t in polygons(THEORY, "time")])

    def test_growing_targets_shift_gamma(self):
        """Targets m^t with kappa are targets O(1) with kappa m^-t; the residual drives m^t faster."""
        theory = derive_exponents(TwoLayer(target=Fraction(1, 2)))
        to = (G + sp.Rational(1, 2), GP)
        assert_same_function(polygons(theory, "S_w"), shifted(THEORY, "S_w", to))
        earlier = [(p, t - sp.Rational(1, 2)) for p, t in shifted(THEORY, "time", to)]
        assert_same_function(polygons(theory, "time"), earlier)

    def test_what_is_no_network_is_refused(self):
        with pytest.raises(InputError, match="network is 'relu'; give a description"):
            derive_exponents("relu")

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"homogeneity": 0.5}, "homogeneity is 0.5; give an integer"),
            ({"homogeneity": 0}, "homogeneity is 0; give 1 for ReLU"),
            ({"train_input": False, "train_output": False}, "no layer is trained"),
            ({"target": "1/2"}, "target is '1/2'"),
        ],
    )
    def test_bad_descriptions_are_refused(self, given, message):
        with pytest.raises(InputError, match=message):
            TwoLayer(**given)


class TestFastForms:
    def test_regime_is_pinned_to_the_derived_map(self):
        """`regime.exponents` is linear on cones with their tip at (1, 0), cut by multiples of 45 degrees
        and at tan = 1/2, and at gamma = 1/2 without twins; this dyadic grid has more than three points that
        are not on a line in each, and double precision is exact on it: equal there is equal everywhere."""
        gamma, gamma_prime = np.meshgrid(np.arange(-16, 33) / 8, np.arange(-24, 25) / 8)
        for twins in (True, False):
            derived = derive_exponents(TwoLayer(zero_initial_output=twins)).numeric()(gamma, gamma_prime)
            typed = regime.exponents(gamma, gamma_prime, antisymmetric=twins)
            np.testing.assert_array_equal(derived, typed)

    def test_boundary_of_regime_is_the_derived_one(self):
        lines = [line for line in boundaries() if line.regime]
        for gamma_prime in (-2, -1, Fraction(-1, 2), 0, Fraction(1, 4), 1, 3):
            at = [
                line.equation.rhs if line.equation.lhs == G else sp.solve(line.equation, G)[0]
                for line in lines
                if line.condition.subs({GP: gamma_prime}) != sp.false
            ]
            found = {sp.sympify(gamma).subs(GP, gamma_prime) for gamma in at}
            assert sp.Rational(regime.boundary_gamma(float(gamma_prime)).item()) in found
        gamma, gamma_prime = np.meshgrid(np.arange(-8, 25) / 8, np.arange(-16, 17) / 8)
        (S_w,) = derive_exponents().numeric("S_w")(gamma, gamma_prime)
        sign = {regime.Regime.LINEAR: -1, regime.Regime.CRITICAL: 0, regime.Regime.CONDENSED: 1}
        classes = [
            sign[regime.Regime.classify(g, p)] for g, p in zip(gamma.flat, gamma_prime.flat, strict=True)
        ]
        np.testing.assert_array_equal(np.sign(S_w).ravel(), classes)

    @given(st.floats(-5, 5), st.floats(-5, 5))
    def test_numeric_form_is_the_sympy_form(self, gamma, gamma_prime):
        at = {G: sp.Rational(gamma), GP: sp.Rational(gamma_prime)}
        values = derive_exponents().numeric("S_w", "S_a", "time")(gamma, gamma_prime)
        for name, value in zip(("S_w", "S_a", "time"), values, strict=True):
            assert float(getattr(THEORY, name).subs(at)) == pytest.approx(float(value), abs=1e-11)

    def test_numeric_form_is_defined_everywhere(self):
        """No point of an edge or a corner is lost to rounding; names that do not exist are refused."""
        rng = np.random.default_rng(0)
        t, corner = rng.uniform(0, 3, 2000), 1 + rng.uniform(-1e-15, 1e-15, 2000)
        for gamma, gamma_prime in (
            (1 + t, t),
            (1 + t, -t),
            (corner, t),
            (corner, corner - 1),
            (1 - t, 0 * t),
        ):
            assert np.all(np.isfinite(derive_exponents().numeric()(gamma, gamma_prime)))
        assert np.isnan(derive_exponents().numeric("S_w")(np.nan, 0.0)[0])
        with pytest.raises(InputError, match="choose of time, S_a, S_w"):
            derive_exponents().numeric("S_b")

    def test_segments_for_any_rectangle(self):
        line = next(line for line in boundaries() if line.equation == sp.Eq(GP, G - 1))
        np.testing.assert_allclose(line.segment((0, 2), (-1, 0.5)), [[1, 0], [1.5, 0.5]])
        np.testing.assert_allclose(line.segment((1.25, 3), (-1, 5)), [[1.25, 0.25], [3, 2]])
        assert line.segment((0, 0.9), (-1, 1)) is None
        upright = next(line for line in boundaries() if line.regime and line is not boundaries()[-1])
        np.testing.assert_allclose(upright.segment((0, 2), (-1, 1)), [[1, -1], [1, 0]])
        assert upright.segment((1.5, 2), (-1, 1)) is None

    def test_sympy_is_loaded_by_this_room_only(self):
        code = (
            "import sys, meanfield as mf; mf.plotting.phase_diagram, mf.classify(1, 0); print(*sys.modules)"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "sympy" not in run.stdout.split()


ROW = st.tuples(*[st.integers(-3, 3)] * 3)


class TestGeometry:
    @given(st.lists(ROW, min_size=1, max_size=6))
    def test_feasibility_against_linear_programming(self, rows):
        """The largest margin t with row . (x, 1) >= t inside a large box is positive iff there is a point.

        Vertices of such rows lie within |x| <= 18, and margins that are positive are above 1e-3.
        """
        a_ub = [[-a, -b, 1] for a, b, _ in rows]
        best = optimize.linprog(
            [0, 0, -1], A_ub=a_ub, b_ub=[c for *_, c in rows], bounds=[(-100, 100)] * 2 + [(-10, 10)]
        )
        assert feasible(rows) == (-best.fun > 1e-9)

    def test_redundant_rows_go(self):
        x, y = sp.symbols("x y", real=True)
        polygon = Polyhedron.where([x, x + 1, 2 * x, y, x + y], (x, y))
        assert polygon.rows == ((1, 0, 0), (0, 1, 0))
        assert Polyhedron.where([x, -x], (x, y)) is None

    def test_cover(self):
        x, y = sp.symbols("x y", real=True)
        halves = [Polyhedron.where([x], (x, y)), Polyhedron.where([-x, y], (x, y))]
        assert not cover(halves)
        assert cover([*halves, Polyhedron.where([-x, -y], (x, y))])

    def test_bad_systems_are_refused(self):
        x, y = sp.symbols("x y", real=True)
        with pytest.raises(InputError, match="no solution"):
            solve([Balance(y, (sp.S.Zero, x), "")], [x], [y])  # y < 0 cannot be
        z = sp.Symbol("z", real=True)
        twice = [Balance(x, (-z, z - 2), ""), Balance(y, (x,), "")]
        with pytest.raises(InputError, match=r"no solution|two solutions"):
            solve(twice, [x, z], [y])
        with pytest.raises(InputError, match="not affine"):
            Polyhedron.where([x * y], (x, y))

    def test_orders(self):
        k, m = sp.symbols("k m", positive=True)
        g = sp.Symbol("g", real=True)
        assert order(3 * m * sp.sqrt(k) / (1 + k**2), {k: g, m: 1}) == 1 + g / 2 - sp.Max(0, 2 * g)
        for bad in (1 - k, sp.exp(k)):
            with pytest.raises(InputError):
                order(bad, {k: g})
