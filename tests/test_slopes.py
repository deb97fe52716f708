"""Exponents from ensembles: estimates, intervals that cover, how slopes change with the width, verdicts."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield import InputError
from meanfield.experiments import Bend, Slope, Verdict, fit_slope

#: Widths of the published map.
WIDTHS = np.array([1000, 5000, 10000, 20000, 40000])
TRUE_SLOPE = 0.3


class TestSlope:
    @pytest.mark.parametrize("slope", [-0.5, 0.0, 0.391])
    def test_exact_power_law(self, slope):
        m = np.array([100, 1000, 5000, 40000])
        fit = fit_slope(m, 3.0 * m[:, None] ** slope * np.array([1.0, 0.8, 1.1]))
        assert fit.value == pytest.approx(slope, abs=1e-13)
        assert fit.low == pytest.approx(slope, abs=1e-12)
        assert fit.high == pytest.approx(slope, abs=1e-12)
        assert fit.points == 12

    def test_is_least_squares(self):
        rng = np.random.default_rng(0)
        m, values = np.array([10.0, 70.0, 300.0, 900.0]), np.exp(rng.standard_normal((4, 1)))
        assert fit_slope(m, values).value == pytest.approx(np.polyfit(np.log(m), np.log(values[:, 0]), 1)[0])

    @pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
    def test_confidence_widens_the_interval(self, confidence):
        rng = np.random.default_rng(1)
        m, values = [10, 100, 1000], np.exp(rng.standard_normal((3, 4)))
        fit, wider = (fit_slope(m, values, confidence=c) for c in (confidence, confidence + 0.005))
        assert wider.low < fit.low < fit.value < fit.high < wider.high

    def test_missing_runs_are_left_out(self):
        m = np.array([10.0, 100.0, 1000.0])
        values = np.column_stack([2 * m**0.5, 3 * m**0.5, m**0.5])
        values[1, 0] = np.nan
        values[1:, 2] = np.nan  # a single width says nothing about a slope
        fit = fit_slope(m, values)
        assert fit.value == pytest.approx(0.5)
        assert fit.points == 5

    @pytest.mark.parametrize(
        "values", [np.full((3, 2), np.nan), np.zeros((3, 2)), [[1.0], [np.nan], [np.nan]]]
    )
    def test_nothing_to_fit(self, values):
        fit = fit_slope([10, 100, 1000], values)
        assert math.isnan(fit.value)
        assert fit.points == 0
        assert fit.verdict is Verdict.UNDECIDED

    def test_two_widths_and_one_seed_have_no_interval(self):
        fit = fit_slope([10, 1000], [[1.0], [10.0]])
        assert fit.value == pytest.approx(0.5)
        assert (fit.low, fit.high) == (-math.inf, math.inf)
        assert fit.verdict is Verdict.UNDECIDED


def nested(rng, m, seeds, draw):
    """Means over the first m of one sequence for each seed: what a narrower network shares with a wider."""
    steps = np.diff(m, prepend=0)
    if draw == "normal":  # sums over the neurons between two widths
        sums = rng.standard_normal((len(m), seeds)) * np.sqrt(steps)[:, None]
    else:  # of squared weights: chi-squared with as many degrees of freedom, about their mean
        sums = (rng.chisquare(np.broadcast_to(steps[:, None], (len(m), seeds))) - steps[:, None]) / math.sqrt(
            2
        )
    return np.cumsum(sums, axis=0) / m[:, None]


#: Deviations of log RD, shape (W, S), by what is known of them.
SCATTER = {
    "nested": lambda rng, m, seeds: 1.35 * nested(rng, m, seeds, "normal"),
    "nested, skew": lambda rng, m, seeds: 1.35 * nested(rng, m, seeds, "squares"),
    "independent, m**-1/2": lambda rng, m, seeds: (
        1.35 * rng.standard_normal((len(m), seeds)) / np.sqrt(m)[:, None]
    ),
    "independent, alike": lambda rng, m, seeds: 0.02 * rng.standard_normal((len(m), seeds)),
    "growing with m": lambda rng, m, seeds: (
        0.01 * (m / 1e3)[:, None] ** 0.3 * rng.standard_normal((len(m), seeds))
    ),
}
#: Whose interval rests on how draws are nested is checked on nested draws.
ENSEMBLES = [(seeds, kind) for seeds in (1, 2) for kind in ("nested", "nested, skew")]
ENSEMBLES += [(seeds, kind) for seeds in (3, 4, 5) for kind in SCATTER]


def coverage(seeds, kind, *, widths=WIDTHS, ensembles=200, confidence=0.95):
    """Shares of synthetic ensembles whose intervals hold the true slope, and the true bend (zero)."""
    rng = np.random.default_rng([seeds, list(SCATTER).index(kind), len(widths)])
    slopes = bends = 0
    for _ in range(ensembles):
        rd = 0.27 * widths[:, None] ** TRUE_SLOPE * np.exp(SCATTER[kind](rng, widths, seeds))
        fit = fit_slope(widths, rd, confidence=confidence)
        slopes += fit.low <= TRUE_SLOPE <= fit.high
        bends += fit.bend.low <= 0.0 <= fit.bend.high
    return slopes / ensembles, bends / ensembles


class TestCoverage:
    @pytest.mark.parametrize(("seeds", "kind"), ENSEMBLES)
    def test_nominal_95_per_cent(self, seeds, kind):
        """90 to 99 % of the intervals hold the truth.

        From three seeds on the interval is exact for normal scatter, and hits are binomial at 95 %: of 200
        ensembles less than 90 % or more than 99 % once in 300 (fixed seeds). With one or two seeds the
        coverage is 97 to 98 %, too close to 99 % to be seen in 200.
        """
        of_slope, of_bend = coverage(seeds, kind, ensembles=200 if seeds >= 3 else 1000)
        assert 0.90 <= of_slope <= 0.99
        assert 0.90 <= of_bend <= 0.99

    def test_levels_are_kept(self):
        """Half of the intervals at 50 %: binomial with standard error 0.035, three of them."""
        of_slope, _ = coverage(3, "nested", confidence=0.5)
        assert abs(of_slope - 0.5) < 0.106

    @pytest.mark.parametrize("seeds", [1, 2])
    def test_scatter_that_is_not_nested_widens_the_interval(self, seeds):
        """Independent scatter is more than nested draws allow: the interval is too wide, never too narrow."""
        for kind in ("independent, m**-1/2", "independent, alike", "growing with m"):
            assert min(coverage(seeds, kind, ensembles=100)) >= 0.95


class TestError:
    @pytest.mark.parametrize("seeds", [1, 2])
    def test_nested_interval_against_its_twin(self, seeds):
        rng = np.random.default_rng(seeds)
        m = np.array([100.0, 300.0, 1000.0, 5000.0])
        rd = m[:, None] ** -0.5 * np.exp(nested(rng, m, seeds, "normal"))
        fit = fit_slope(m, rd, confidence=0.9)
        value, half = naive.nested_slope(m, np.log(rd), 0.9)
        assert fit.value == pytest.approx(value, rel=1e-12)
        assert fit.high - fit.value == pytest.approx(half, rel=1e-10)

    @settings(max_examples=30)
    @given(scale=st.floats(1e-6, 1e6), shift=st.floats(-2, 2), unit=st.floats(0.1, 100))
    def test_units_do_not_matter(self, scale, shift, unit):
        """RD in other units, widths counted in others, a power of m taken out: nothing else changes."""
        m = np.array([100.0, 400.0, 1000.0, 5000.0])
        rd = np.exp(np.random.default_rng(0).standard_normal((4, 2)))
        fit, other = fit_slope(m, rd), fit_slope(unit * m, scale * m[:, None] ** shift * rd)
        for name in ("value", "low", "high"):
            assert getattr(other, name) == pytest.approx(getattr(fit, name) + shift, abs=1e-8)
            assert getattr(other.bend, name) == pytest.approx(getattr(fit.bend, name), abs=1e-7)
        assert other.bend.end == pytest.approx(fit.bend.end + shift, abs=1e-7)

    def test_a_width_given_twice_is_refused(self):
        with pytest.raises(InputError, match="twice"):
            fit_slope([10, 10, 100], [[1.0], [1.0], [2.0]])

    @pytest.mark.parametrize(
        ("widths", "values", "confidence", "message"),
        [
            ([10, 100], np.ones((2, 3)), -1.0, "confidence is -1.0; give a level between 0 and 1"),
            ([10, 100], np.ones((2, 3)), 0.0, "confidence is 0.0"),
            ([10, 100], np.ones((2, 3)), 1.5, "confidence is 1.5"),
            ([0, 100], np.ones((2, 3)), 0.95, "give a list of positive numbers"),
            ([math.nan, 100], np.ones((2, 3)), 0.95, "widths.* is nan"),
            ([1e15, 1e15 + 1], np.ones((2, 3)), 0.95, "a value twice"),
            ([10, 100], np.ones((3, 2)), 0.95, "one row for each of the 2 widths"),
            ([10, 100], np.ones(2), 0.95, "one row for each of the 2 widths"),
            ([10, 100], [["a"], ["b"]], 0.95, "give real numbers"),
        ],
    )
    def test_what_says_nothing_is_refused(self, widths, values, confidence, message):
        """A level below zero once turned an interval inside out, and any slope was critical."""
        with pytest.raises(InputError, match=message):
            fit_slope(widths, values, confidence=confidence)

    def test_masked_runs_are_missing(self):
        m = np.array([10.0, 100.0, 1000.0])
        values = np.ma.masked_equal(np.column_stack([m**0.5, [3.0, -7.0, 99.0]]), -7.0)
        masked, missing = (fit_slope(m, v) for v in (values, np.ma.filled(values, np.nan)))
        assert masked == missing


class TestBend:
    @pytest.mark.parametrize("seeds", [1, 2, 4])
    def test_exact_parabola(self, seeds):
        """log RD = 0.2 x + 0.05 x**2 with x = log m: local slope 0.2 + 0.1 x."""
        m = np.array([10.0, 100.0, 400.0, 1000.0, 9000.0])
        x = np.log(m)
        fit = fit_slope(m, np.exp(0.2 * x + 0.05 * x**2)[:, None] * np.linspace(1.0, 2.0, seeds))
        assert fit.bend.value == pytest.approx(0.1 * (x[-1] - x[0]), abs=1e-10)
        assert fit.bend.end == pytest.approx(0.2 + 0.1 * x[-1], abs=1e-10)
        assert fit.bend.low == pytest.approx(fit.bend.high, abs=1e-10)
        assert fit.not_yet_asymptotic

    def test_a_crossover_is_found_and_a_power_law_is_not(self):
        """RD = m**-0.5 + 0.01: the slope goes from -0.5 to 0 as m grows."""
        rng = np.random.default_rng(3)
        noise = np.exp(SCATTER["nested"](rng, WIDTHS, 5))
        straight = fit_slope(WIDTHS, WIDTHS[:, None] ** -0.5 * noise)
        crossing = fit_slope(WIDTHS, (WIDTHS[:, None] ** -0.5 + 0.01) * noise)
        assert not straight.not_yet_asymptotic
        assert crossing.not_yet_asymptotic
        assert crossing.bend.value > 0.0  # the slope rises towards zero
        assert crossing.value < crossing.bend.end < 0.0

    @pytest.mark.parametrize(("widths", "seeds"), [(2, 5), (3, 1), (3, 2)])
    def test_too_few_runs_tell_nothing_of_it(self, widths, seeds):
        rng = np.random.default_rng(0)
        fit = fit_slope(WIDTHS[:widths], np.exp(rng.standard_normal((widths, seeds))))
        assert fit.bend is None
        assert not fit.not_yet_asymptotic

    def test_three_widths_and_three_seeds_are_enough(self):
        rng = np.random.default_rng(0)
        assert fit_slope(WIDTHS[:3], np.exp(rng.standard_normal((3, 3)))).bend is not None


class TestVerdict:
    @pytest.mark.parametrize(
        ("low", "high", "verdict"),
        [
            (-0.6, -0.4, Verdict.LINEAR),
            (0.2, 0.5, Verdict.CONDENSED),
            (-0.05, 0.05, Verdict.CRITICAL),
            (0.01, 0.04, Verdict.CRITICAL),  # surely positive, but no finite width tells it from zero
            (-0.1, 0.02, Verdict.UNDECIDED),
            (-0.3, 0.4, Verdict.UNDECIDED),
            (0.01, 0.3, Verdict.CONDENSED),
            (-0.2, -0.04, Verdict.LINEAR),
            (-math.inf, math.inf, Verdict.UNDECIDED),
        ],
    )
    def test_verdicts(self, low, high, verdict):
        value = 0.0 if math.isinf(low) else (low + high) / 2
        assert Slope(value, low, high, 9).verdict is verdict

    @pytest.mark.parametrize(
        ("interval", "end", "verdict"),
        [
            ((-0.4, -0.2), (-0.2, -0.1), Verdict.LINEAR),  # bends, but stays below zero
            ((-0.4, -0.2), (-0.1, 0.1), Verdict.UNDECIDED),  # on its way to zero or beyond
            ((-0.4, -0.2), (-0.04, -0.01), Verdict.UNDECIDED),
            ((0.01, 0.03), (0.02, 0.04), Verdict.CRITICAL),
            ((-0.02, 0.03), (0.06, 0.2), Verdict.UNDECIDED),
            ((0.1, 0.3), (0.2, 0.4), Verdict.CONDENSED),
        ],
    )
    def test_a_bent_slope_has_to_decide_at_its_end_too(self, interval, end, verdict):
        bend = Bend(value=0.2, low=0.1, high=0.3, end=sum(end) / 2, end_low=end[0], end_high=end[1])
        assert Slope(sum(interval) / 2, *interval, 9, bend).verdict is verdict

    def test_a_bend_within_its_error_changes_nothing(self):
        bend = Bend(value=0.1, low=-0.1, high=0.3, end=0.4, end_low=-1.0, end_high=2.0)
        assert Slope(-0.3, -0.4, -0.2, 9, bend).verdict is Verdict.LINEAR


def print_table(ensembles=2000):
    """The table of docs/statistics.md: ``python tests/test_slopes.py``."""
    print("| seeds |", " | ".join(SCATTER), "|")
    for seeds in range(1, 6):
        shares = [coverage(seeds, kind, ensembles=ensembles) for kind in SCATTER]
        cells = [f"{100 * slope:.1f} / {100 * bend:.1f}" for slope, bend in shares]
        print(f"| {seeds} |", " | ".join(cells), "|")


if __name__ == "__main__":
    print_table()
