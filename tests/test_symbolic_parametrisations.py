"""Parametrisations of others as maps into the plane."""

import itertools

import pytest
import sympy as sp

from meanfield import Scaling
from meanfield.symbolic import derive_exponents
from meanfield.symbolic.parametrisations import (
    a1,
    a2,
    abc,
    b1,
    b2,
    c,
    chizat_bach,
    feature_exponent,
    geiger,
    golikov,
    output_scale,
    published_feature_exponent,
    q_a,
    q_sigma,
    q_w,
)
from meanfield.symbolic.polyhedra import Polyhedron

THEORY = derive_exponents()
HALF = sp.Rational(1, 2)


class TestMaps:
    def test_abc_is_that_of_scaling(self):
        scheme = abc()
        for a, b in (((-0.5, 0.5), (0.5, 0.5)), ((0.0, 0.0), (0.0, 0.5)), ((0.25, -1.0), (0.75, 0.5))):
            at = dict(zip((a1, a2, b1, b2), (*a, *b), strict=True))
            scaling = Scaling.from_abc(a, b)
            assert float(scheme.gamma.subs(at)) == scaling.gamma
            assert float(scheme.gamma_prime.subs(at)) == scaling.gamma_prime

    def test_powers_of_relu_count_the_input_layer_more_often(self):
        """sigma(m^-(a1) w.x) = m^(-r a1) sigma(w.x), and likewise the spread of w."""
        assert sp.expand(abc(2).gamma - (a2 + 2 * a1 + b2 + 2 * b1)) == 0
        assert sp.expand(abc(2).gamma_prime - (b2 - b1)) == 0

    def test_known_points(self):
        mean_field = {output_scale: 1}
        assert (chizat_bach().gamma.subs(mean_field), chizat_bach().gamma_prime) == (1, 0)
        # Geiger et al. find the crossover where alpha sqrt(h) stays of order one
        assert (geiger().gamma.subs(output_scale, HALF), geiger().gamma_prime) == (1, 0)
        # Golikov: mean-field at sigma ~ 1/m and rates ~ m, NTK at sigma ~ m^(-1/2) and rates ~ 1
        for at, gamma in (({q_sigma: -1, q_a: 1, q_w: 1}, 1), ({q_sigma: -HALF, q_a: 0, q_w: 0}, HALF)):
            assert (golikov().gamma.subs(at), golikov().gamma_prime.subs(at)) == (gamma, 0)

    def test_separate_rates_agree_with_the_engine(self):
        """golikov() and a network with learning rates, at gamma' of the betas: the same exponents."""
        from meanfield.symbolic import TwoLayer

        sigma, rate_a, rate_w = -sp.Rational(3, 4), sp.Rational(1, 3), sp.Rational(-1, 5)
        at = {q_sigma: sigma, q_a: rate_a, q_w: rate_w}
        plain = THEORY.S_w.subs(
            {THEORY.gamma: golikov().gamma.subs(at), THEORY.gamma_prime: golikov().gamma_prime.subs(at)}
        )
        # eta_a = m^(q_a + 2 q_sigma) in the trained parameters, whose betas give gamma' = -q_sigma
        network = TwoLayer(output_rate=-(rate_a + 2 * sigma), input_rate=-rate_w)
        engine = derive_exponents(network)
        assert engine.S_w.subs({engine.gamma: -sigma, engine.gamma_prime: -sigma}) == plain


VARIABLES = (a1, a2, b2)
SCHEME = abc()
PLANE = {
    THEORY.gamma: sp.expand(SCHEME.gamma.subs(b1, -a1)),
    THEORY.gamma_prime: sp.expand(SCHEME.gamma_prime.subs(b1, -a1)),
}


def pulled_back(region, values, variables, more=()):
    return Polyhedron.where([*region.region.substituted(values), *more], variables)


class TestFeatureExponent:
    """Features that are of order one at the start (a1 + b1 = 0) move by m^-r."""

    def test_derived_is_the_published_one(self):
        """Two minima of affine functions are equal if their arguments are, one by one."""
        derived = {sp.expand(term.subs(b1, -a1)) for term in feature_exponent().args}
        published = published_feature_exponent()
        inner = next(term for term in published.args if isinstance(term, sp.Min))
        rest = published - inner
        assert derived == {sp.expand(term + rest) for term in inner.args}

    def test_is_minus_S_w_on_the_linear_side(self):
        """With the learning rate at which O(1) steps are the training time.

        The map's time is the canonical time m^-c / alpha of those steps, which gives c in each region; there
        the smaller of the two terms of r is -S_w identically.
        """
        checked = 0
        for region in THEORY.regions:
            if "w" in region.moving:
                continue
            rate = sp.expand(-SCHEME.alpha - region.time.xreplace(PLANE))
            terms = [sp.expand(term.subs({b1: -a1, c: rate})) for term in feature_exponent().args]
            for one, other in (terms, terms[::-1]):
                if pulled_back(region, PLANE, VARIABLES, [other - one]) is None:
                    continue
                assert sp.expand(one + region.S_w.xreplace(PLANE)) == 0
                checked += 1
        assert checked >= 3

    def test_training_in_order_one_steps_is_the_published_condition(self):
        """a2 + b2 + r = 1 or 2 a2 + c = 1, the condition under which the output changes by order one."""
        for region in THEORY.regions:
            if "w" in region.moving:
                continue
            rate = sp.expand(-SCHEME.alpha - region.time.xreplace(PLANE))
            r = -region.S_w.xreplace(PLANE)
            conditions = [sp.expand(a2 + b2 + r - 1), sp.expand(2 * a2 + rate - 1)]
            assert 0 in conditions

    def test_feature_learning_is_the_critical_line(self):
        """r = 0 on the closed linear side is S_w = 0: the boundary of the regimes, and nothing else."""
        mup = {a1: -HALF, a2: HALF, b1: HALF, b2: HALF}
        at = {
            THEORY.gamma: SCHEME.gamma.subs(mup),
            THEORY.gamma_prime: SCHEME.gamma_prime.subs(mup),
        }
        assert THEORY.S_w.subs(at) == 0
        assert feature_exponent().subs({**mup, c: 0}) == 0
        linear = [region for region in THEORY.regions if "w" not in region.moving]
        for region in linear:
            assert (
                Polyhedron.where(
                    [*region.region.substituted({}), region.S_w], (THEORY.gamma, THEORY.gamma_prime)
                )
                is None
            )

    @pytest.mark.parametrize(
        ("name", "at", "r"),
        [
            ("NTK", {a1: 0, a2: HALF, b1: 0, b2: 0, c: 0}, HALF),
            ("mean-field, rate m", {a1: 0, a2: 1, b1: 0, b2: 0, c: -1}, 0),
            ("standard, two layers, rate 1/m", {a1: 0, a2: 0, b1: 0, b2: HALF, c: 1}, 3 * HALF),
        ],
    )
    def test_named_parametrisations_by_hand(self, name, at, r):
        assert feature_exponent().subs(at) == published_feature_exponent().subs(at) == r, name
        plane = {
            THEORY.gamma: SCHEME.gamma.subs(at),
            THEORY.gamma_prime: SCHEME.gamma_prime.subs(at),
        }
        assert THEORY.S_w.subs(plane) == -r


def test_the_maps_reach_the_whole_plane_where_they_can():
    """abc and golikov have two free combinations, the output scales one."""
    for scheme, symbols, rank in (
        (abc(), (a1, a2, b1, b2), 2),
        (golikov(), (q_sigma, q_a, q_w), 2),
        (geiger(), (output_scale,), 1),
    ):
        rows = [[sp.diff(e, s) for s in symbols] for e in (scheme.gamma, scheme.gamma_prime)]
        assert sp.Matrix(rows).rank() == rank
    assert len(list(itertools.chain(*[s.gamma.free_symbols for s in (chizat_bach(), geiger())]))) == 2
