"""The phase diagram's lines, distances and exponents."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meanfield.errors import InputError
from meanfield.regime import Regime, boundary_gamma, classify, exponents

EXPONENT = st.floats(-3.0, 3.0)
RNG_POINTS = np.random.default_rng(20).uniform(-3, 3, size=(2, 4000))


def four_pieces(gamma, gamma_prime):
    """S_w with ASI, piece by piece (derived by power counting; a different form from the code's)."""
    delta = gamma - 1.0
    if delta <= 0:
        return delta - 2 * max(gamma_prime, 0.0)
    if gamma_prime >= delta:
        return 2 * (delta - gamma_prime)
    if gamma_prime <= -delta:
        return delta
    return (delta - gamma_prime) / 2


def paper_regime(gamma, gamma_prime):
    """Luo et al. 2021, section 3, as they state it."""
    if gamma < 1 or gamma_prime > gamma - 1:
        return Regime.LINEAR
    if gamma > 1 and gamma_prime < gamma - 1:
        return Regime.CONDENSED
    return Regime.CRITICAL


class TestRegime:
    @given(EXPONENT, EXPONENT)
    def test_against_the_papers_statement(self, gamma, gamma_prime):
        if abs(gamma - boundary_gamma(gamma_prime)) > 1e-8:
            assert Regime.classify(gamma, gamma_prime) is paper_regime(gamma, gamma_prime)

    @pytest.mark.parametrize("point", [(1, 0), (1, -0.5), (1, -3), (1.5, 0.5), (3, 2), (1 + 1e-12, 0)])
    def test_boundary_is_critical(self, point):
        assert Regime.classify(*point) is Regime.CRITICAL

    @pytest.mark.parametrize("point", [(1 - 1e-6, -0.5), (1.5, 0.5 + 1e-6), (0.5, 0), (2, 1.5), (0.5, -4)])
    def test_linear_beside_the_boundary(self, point):
        assert Regime.classify(*point) is Regime.LINEAR

    @pytest.mark.parametrize("point", [(1 + 1e-6, -0.5), (1.5, 0.5 - 1e-6), (1.75, 0), (2, -5)])
    def test_condensed_beside_the_boundary(self, point):
        assert Regime.classify(*point) is Regime.CONDENSED

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e17])
    def test_exponents_that_decide_nothing_are_refused(self, bad):
        """At 1e17 both sides of the boundary, gamma' = gamma - 1, would be the same number."""
        for call in (Regime.classify, classify, exponents):
            with pytest.raises(InputError, match="gamma"):
                call(bad, 0.0)
            with pytest.raises(InputError, match="gamma_prime"):
                call(0.0, bad)
        with pytest.raises(InputError, match="gamma_prime"):
            boundary_gamma([0.0, bad])

    def test_boundary_gamma(self):
        np.testing.assert_array_equal(boundary_gamma([[-2.0, 0.0], [0.25, 1.0]]), [[1.0, 1.0], [1.25, 2.0]])


class TestExponents:
    @given(EXPONENT, EXPONENT)
    def test_four_pieces(self, gamma, gamma_prime):
        S_w, S_a = exponents(gamma, gamma_prime)
        assert S_w == pytest.approx(four_pieces(gamma, gamma_prime), abs=1e-12)
        assert S_a == pytest.approx(four_pieces(gamma, -gamma_prime), abs=1e-12)

    def test_on_arrays(self):
        gamma, gamma_prime = RNG_POINTS
        expected = [four_pieces(g, gp) for g, gp in zip(gamma, gamma_prime, strict=True)]
        np.testing.assert_allclose(exponents(gamma, gamma_prime)[0], expected, atol=1e-12)

    def test_broadcasting(self):
        S_w, S_a = exponents(np.zeros((3, 1)), np.zeros(4))
        assert S_w.shape == S_a.shape == (3, 4)

    @given(EXPONENT, EXPONENT, st.sampled_from([True, False]))
    def test_exchange_of_the_layers(self, gamma, gamma_prime, antisymmetric):
        S_w, S_a = exponents(gamma, gamma_prime, antisymmetric=antisymmetric)
        swapped_w, swapped_a = exponents(gamma, -gamma_prime, antisymmetric=antisymmetric)
        assert (S_w, S_a) == (swapped_a, swapped_w)

    @given(EXPONENT, EXPONENT, st.floats(-1, 1), st.floats(-1, 1), st.sampled_from([True, False]))
    def test_continuity(self, gamma, gamma_prime, u, v, antisymmetric):
        """Piecewise linear with slopes of at most 2 in each variable: no jump across any line."""
        for h in (1e-3, 1e-6):
            here = exponents(gamma, gamma_prime, antisymmetric=antisymmetric)
            there = exponents(gamma + h * u, gamma_prime + h * v, antisymmetric=antisymmetric)
            for one, other in zip(here, there, strict=True):
                assert abs(one - other) <= 2 * h * (abs(u) + abs(v)) + 1e-12

    def test_continuity_across_each_line(self):
        t, h = np.linspace(0.01, 2, 50), 1e-9
        lines = [
            (1 + 0 * t, t),
            (1 + 0 * t, -t),
            (1 + t, t),
            (1 + t, -t),
            (0.5 + 0 * t, t),
            (0.5 + 0 * t, -t),
        ]
        for gamma, gamma_prime in lines:
            for antisymmetric in (True, False):
                left, _ = exponents(gamma - h, gamma_prime, antisymmetric=antisymmetric)
                right, _ = exponents(gamma + h, gamma_prime, antisymmetric=antisymmetric)
                np.testing.assert_allclose(left, right, atol=1e-8)

    def test_zero_set_of_S_w_is_the_boundary_and_the_sign_is_the_regime(self):
        gamma, gamma_prime = RNG_POINTS
        S_w, _ = exponents(gamma, gamma_prime)
        sign = {Regime.LINEAR: -1, Regime.CRITICAL: 0, Regime.CONDENSED: 1}
        expected = [sign[paper_regime(g, gp)] for g, gp in zip(gamma, gamma_prime, strict=True)]
        np.testing.assert_array_equal(np.sign(S_w), expected)
        t = np.linspace(-3, 3, 25)
        np.testing.assert_allclose(exponents(boundary_gamma(t), t)[0], 0.0, atol=1e-15)

    @given(st.floats(-3, 0.5), EXPONENT)
    def test_without_twins_the_exponent_saturates(self, gamma, gamma_prime):
        S_w, S_a = exponents(gamma, gamma_prime, antisymmetric=False)
        assert S_w == pytest.approx(-0.5 - 2 * max(gamma_prime, 0.0), abs=1e-12)
        assert S_a == pytest.approx(-0.5 - 2 * max(-gamma_prime, 0.0), abs=1e-12)

    @given(st.floats(0.5, 3), EXPONENT)
    def test_without_twins_nothing_else_changes(self, gamma, gamma_prime):
        assert exponents(gamma, gamma_prime, antisymmetric=False) == exponents(gamma, gamma_prime)


def dense_boundary(step=1e-3, reach=12.0):
    t = np.arange(0.0, reach, step)
    return np.concatenate([np.stack([np.ones_like(t), -t], 1), np.stack([1 + t, t], 1)])


BOUNDARY = dense_boundary()


class TestDistance:
    @given(EXPONENT, EXPONENT)
    def test_against_dense_sampling_of_the_boundary(self, gamma, gamma_prime):
        c = classify(gamma, gamma_prime)
        brute = np.min(np.hypot(BOUNDARY[:, 0] - gamma, BOUNDARY[:, 1] - gamma_prime))
        # The sampled minimum lies above the true one by at most half a sampling interval.
        assert c.distance <= brute + 1e-12
        assert brute <= c.distance + 1e-3
        if c.regime is not Regime.CRITICAL:
            assert math.dist(c.nearest, (gamma, gamma_prime)) == pytest.approx(c.distance)
        assert abs(c.nearest[0] - boundary_gamma(c.nearest[1])) < 1e-12

    @pytest.mark.parametrize(
        ("point", "distance", "nearest", "line"),
        [
            ((0.5, -1.0), 0.5, (1.0, -1.0), "gamma = 1 "),
            ((0.5, 0.5), math.sqrt(0.5), (1.0, 0.0), "gamma"),
            ((1.0, 1.0), math.sqrt(0.5), (1.5, 0.5), "gamma' = gamma - 1"),
            ((2.0, 0.0), math.sqrt(0.5), (1.5, 0.5), "gamma' = gamma - 1"),
            ((1.25, -2.0), 0.25, (1.0, -2.0), "gamma = 1 "),
            ((1.5, 0.5), 0.0, (1.5, 0.5), "gamma' = gamma - 1"),
        ],
    )
    def test_by_hand(self, point, distance, nearest, line):
        c = classify(*point)
        assert c.distance == pytest.approx(distance)
        assert c.nearest == pytest.approx(nearest)
        assert c.boundary.startswith(line)

    def test_carries_the_exponents(self):
        c = classify(0.25, 0.5, antisymmetric=False)
        assert (c.gamma, c.gamma_prime, c.S_w, c.S_a) == (0.25, 0.5, -1.5, -0.5)
        assert c.regime is Regime.LINEAR
