"""The located boundary: against a grid, against the noise-free slope, its cost, its refusals, its command."""

import csv
import json
import math

import numpy as np
import pytest
import systems
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield import InputError, datasets, plotting
from meanfield.cli import main
from meanfield.experiments import CellSettings, PhaseDiagram, Slope, predicted_slopes, straight_line_zero
from meanfield.experiments.grid import Grid
from meanfield.experiments.prediction import Prediction
from meanfield.experiments.reference import ReferenceSlope
from meanfield.experiments.zeros import locate

FOUR = datasets.four_points()
SMALL = {"widths": [200, 800, 3200], "seeds": 3, "progress": False}
# Luo et al. 2021, read from figures: gamma at which the stars of the map lie, by gamma'.
PUBLISHED_ZEROS = {
    0.4: 1.389, 0.3: 1.334, 0.2: 1.238, 0.1: 1.134, 0.0: 1.039,
    -0.1: 1.000, -0.2: 0.993, -0.3: 0.997, -0.4: 0.999,
}  # fmt: skip
#: The published map's gamma, and the published slopes of another figure (gamma' = 0) at its points.
PUBLISHED_GRID = [0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0, 1.02, 1.05, 1.1, 1.2, 1.3, 1.4]
PUBLISHED_S_W = {
    0.6: -0.411, 0.7: -0.318, 0.75: -0.215, 0.8: -0.179, 0.9: -0.088,
    1.0: 0.014, 1.1: 0.062, 1.25: 0.164, 1.4: 0.224,
}  # fmt: skip


def step_slope(gamma, at=1.07):
    """The theory's shape: slope 1 below the boundary, 1/2 above it."""
    return np.where(gamma < at, gamma - at, (gamma - at) / 2)


@pytest.fixture(scope="module")
def found():
    return mf.boundary(FOUR, gamma_prime=[0.2, -0.2], **SMALL)


class TestBoundary:
    def test_agrees_with_a_grid(self, found):
        """The zero that a fine grid of the same ensembles has, interpolated between neighbours."""
        grid = mf.phase_diagram(
            FOUR, gamma=[0.84, 0.9, 0.96, 1.02], gamma_prime=[-0.2], loss_atol=found.settings.loss_atol,
            predict=True, **SMALL,
        )  # fmt: skip
        (zero,) = grid.zeros
        assert found.gamma_prime[0] == -0.2
        assert found.gamma_star[0] == pytest.approx(zero.gamma, abs=found.tol)
        assert found.interval[0] == pytest.approx([zero.low, zero.high], abs=2 * found.tol)

    def test_what_it_says_of_itself(self, found):
        assert found.settled.all()
        np.testing.assert_array_equal(found.predicted, [1.0, 1.2])
        low, high = found.interval.T
        assert np.all((low < found.gamma_star) & (found.gamma_star < high))
        assert [zero.gamma for zero in found.zeros] == list(found.gamma_star)
        assert len(found.results) == 9 * len(found.evaluations)
        assert len(found.evaluations) <= 4
        assert repr(found).startswith("Boundary('four points'")
        for e in found.evaluations:
            assert e.S_w.points == 9

    def test_the_zero_of_what_was_measured(self, found):
        """Trained at gamma*, the ensemble's slope is zero within a small part of its error."""
        gp, star = float(found.gamma_prime[1]), float(found.gamma_star[1])
        there = mf.phase_diagram(FOUR, gamma=[star], gamma_prime=[gp], **SMALL).rows[0].S_w
        assert abs(there.value) < 0.01 < 0.5 * (there.high - there.low)

    def test_store_is_shared_with_a_map_and_resumed(self, found, tmp_path):
        store = tmp_path / "sweep.sqlite"
        mf.phase_diagram(
            FOUR, gamma=[found.evaluations[0].gamma], gamma_prime=[-0.2], store=store, **SMALL
        )  # fmt: skip
        again = mf.boundary(FOUR, gamma_prime=[-0.2], store=store, **SMALL)
        assert again.gamma_star[0] == found.gamma_star[0]
        assert {r.cell for r in again.results} <= {r.cell for r in found.results}

    def test_nothing_converges(self, monkeypatch):
        """Runs without an end leave no zero, and no exception."""
        monkeypatch.setattr("meanfield.experiments.cells.CellResult.finished", property(lambda _: False))
        lost = mf.boundary(FOUR, gamma_prime=[0.0], widths=[10, 20], progress=False)
        assert math.isnan(lost.gamma_star[0])
        assert list(lost.interval[0]) == [-math.inf, math.inf]
        assert not lost.settled[0]
        assert lost.zeros == ()
        assert lost.reference[0] == pytest.approx(1.0)  # the theory's exponents stand in

    def test_most_points_are_kept(self):
        few = {"widths": [100, 400], "max_points": 2, "progress": False}
        short = mf.boundary(FOUR, gamma_prime=[0.0], tol=1e-9, **few)
        assert len(short.evaluations) == 2
        assert not short.settled[0]

    def test_table(self, found, tmp_path):
        with found.to_csv(tmp_path / "b.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [float(row["gamma_star"]) for row in rows] == list(found.gamma_star)
        assert [row["settled"] for row in rows] == ["True", "True"]
        assert sum(int(row["evaluations"]) for row in rows) == len(found.evaluations)

    def test_interruption_says_where_to_go_on(self, tmp_path, monkeypatch):
        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("meanfield.experiments.executors.run_cell", interrupted)
        store = tmp_path / "sweep.sqlite"
        with pytest.raises(
            KeyboardInterrupt, match=f"after 0 cells, which are kept in {store}; the same call"
        ):
            mf.boundary(FOUR, gamma_prime=[0.0], store=store, **SMALL)
        with pytest.raises(KeyboardInterrupt, match="lost; give a store"):
            mf.boundary(FOUR, gamma_prime=[0.0], **SMALL)

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"tol": 0.0}, "tol is 0.0; give a positive distance"),
            ({"reach": -1}, "reach is -1; give a positive distance"),
            ({"max_points": 0}, "max_points is 0; give a whole number"),
            ({"widths": [100]}, "a slope needs at least two"),
            ({"gamma_prime": ["a"]}, "gamma_prime must be"),
        ],
    )
    def test_refusals(self, wrong, sentence):
        with pytest.raises(InputError, match=sentence):
            mf.boundary(FOUR, **{"gamma_prime": [0.0], "widths": [10, 20], **wrong})


class TestReference:
    def test_scale_free_at_the_mean_field_point(self):
        """At gamma = 1, gamma' = 0 the limit depends on m kappa = 1 and kappa' = 1 only: no width at all."""
        reference = ReferenceSlope.around(
            FOUR, CellSettings(loss_atol=5e-7), np.array([1000, 40000]), 0.0, 0.5
        )
        assert reference.zero() == pytest.approx(1.0, abs=1e-9)
        assert reference(0.75) == pytest.approx(-0.25, abs=0.01)

    def test_tends_to_the_theorys_line(self):
        """The wider the networks, the closer the zero at gamma' = -0.1 is to 1: a crossover, not noise."""
        widths = (np.array([1e3, 4e4]) * factor for factor in (1, 1e3, 1e6))
        zeros = [
            ReferenceSlope.around(FOUR, CellSettings(loss_atol=5e-7, per_half=True), m, -0.1, 0.5).zero()
            for m in widths
        ]
        assert zeros[0] < 0.96
        assert zeros[0] + 0.01 < zeros[1] < zeros[2] - 0.01 < 0.99

    def test_plateau_of_too_few_particles_is_seen(self):
        """At (1.7, -0.4) 512 particles rest on a plateau that every network leaves: a slope off by 0.42."""
        found = predicted_slopes(FOUR, CellSettings(loss_atol=5e-6), [1000, 16000], 1.7, -0.4)
        networks = mf.phase_diagram(
            FOUR, gamma=[1.7], gamma_prime=[-0.4], widths=[1000, 16000], seeds=3, loss_atol=5e-6
        )
        (row,) = networks.rows
        assert abs(found.S_w - row.S_w.value) < 0.03
        assert found.S_w_error < 0.01
        assert found.nodes > 512

    @pytest.mark.parametrize(("gamma", "gamma_prime"), [(0.5, 0.0), (0.5, 0.3), (0.6, -0.3)])
    def test_linear_side_is_the_closed_law(self, gamma, gamma_prime):
        """RD_w = (kappa'/(m kappa)) sqrt(y' M^-1 G^w M^-1 y / d), RD_a likewise: exact at huge m."""
        m = np.array([1e8, 1e10])
        G_a, G_w = systems.arc_cosine_kernels(FOUR.x)
        law = []
        for width in m:
            kappa, kp = width**-gamma, width**-gamma_prime
            c = np.linalg.solve(G_a / kp + kp * G_w, FOUR.y)
            size = 1.0 / (width * kappa)
            law.append([kp * size * math.sqrt(c @ G_w @ c / 2), size / kp * math.sqrt(c @ G_a @ c)])
        expected = np.diff(np.log(law), axis=0)[0] / np.log(m[1] / m[0])
        found = predicted_slopes(FOUR, CellSettings(loss_atol=5e-7, rtol=1e-4), m, gamma, gamma_prime)
        assert [found.S_w, found.S_a] == pytest.approx(expected, abs=2e-3)
        assert found.S_w_error < 2e-3


def linear(at, values, half=0.02):
    """Slopes with intervals of one half-width."""
    return [Slope(float(v), float(v) - half, float(v) + half, 9) for v in values]


class TestLocate:
    @given(shift=st.floats(-0.18, 0.2))
    @settings(max_examples=20)
    def test_zero_of_a_shifted_shape(self, shift):
        """One point, measured off the shape by a constant: the zero of the shape moved by as much."""
        from scipy.interpolate import PchipInterpolator

        gamma = np.linspace(0.5, 1.5, 13)
        shape = ReferenceSlope(0.0, 1.0, PchipInterpolator(gamma, step_slope(gamma), extrapolate=False))
        zero = locate(0.0, np.array([1.1]), linear(1.1, shape(np.array([1.1])) + shift), shape)
        assert shape(zero.gamma) == pytest.approx(-shift, abs=1e-5)
        assert shape(zero.low) == pytest.approx(-shift - 0.02, abs=1e-5)
        assert shape(zero.high) == pytest.approx(-shift + 0.02, abs=1e-5)
        assert locate(0.0, np.array([1.1]), linear(1.1, [5.0]), shape) is None
        assert locate(0.0, np.array([1.1]), linear(1.1, [math.nan]), shape) is None

    @given(at=st.floats(0.93, 1.27), step=st.sampled_from([0.1, 0.2, 0.3]))
    @settings(max_examples=60)
    def test_interval_holds_the_error_of_interpolation(self, at, step):
        """Exact slopes of the theory's shape: a line between points misses, the interval does not."""
        gamma = np.arange(0.4, 1.9, step)
        zero = locate(0.0, gamma, linear(gamma, step_slope(gamma, at), half=0.0))
        assert zero.low - 1e-9 <= at <= zero.high + 1e-9
        assert zero.high - zero.low <= step + 1e-9

    def test_two_points_say_little(self):
        """Between two points without a shape the zero may be almost anywhere."""
        zero = locate(0.0, np.array([0.5, 1.5]), linear(0, [-0.5, 0.25], half=0.0))
        assert zero.gamma == pytest.approx(0.5 + 2 / 3)
        assert zero.low < 0.75
        assert zero.high > 1.4

    def test_open_ends(self):
        slopes = [Slope(v, -math.inf, math.inf, 2) for v in (-0.1, 0.1)]
        zero = locate(0.0, np.array([0.9, 1.1]), slopes)
        assert (zero.low, zero.high) == (-math.inf, math.inf)

    def test_the_zero_nearest_to_the_boundary_counts(self):
        zero = locate(0.0, np.array([0.5, 0.6, 0.7, 0.95, 1.05]), linear(0, [-0.1, 0.1, -0.2, -0.1, 0.1]))
        assert zero.gamma == pytest.approx(1.0)

    def test_front_picture_of_the_issue(self):
        """Stars were zeros of a line between grid points: 0.965 [0.956, 0.974] where 0.947 is true."""
        grid = {"gamma": [0.7, 0.9, 1.1, 1.3], "gamma_prime": [-0.2], "widths": [1000, 4000, 16000]}
        diagram = mf.phase_diagram(FOUR, **grid, seeds=3, predict=True, progress=False)
        (zero,) = diagram.zeros
        straight = np.interp(0.0, diagram.S_w[0], diagram.gamma)
        (truth,) = diagram.zeros_at_widths
        assert abs(straight - truth) > 0.012
        assert abs(zero.gamma - truth) < 0.008
        assert zero.low < truth < zero.high
        same = mf.boundary(FOUR, gamma_prime=[-0.2], widths=grid["widths"], seeds=3, progress=False)
        assert same.reference[0] == pytest.approx(truth, abs=2e-3)
        assert same.gamma_star[0] == pytest.approx(zero.gamma, abs=5e-3)
        assert same.interval[0] == pytest.approx([zero.low, zero.high], abs=1e-2)


class TestStraightLine:
    def test_exact_where_slopes_are_linear(self):
        gamma = np.array([0.5, 0.9, 1.4])
        assert straight_line_zero(gamma, 0.7 * (gamma - 1.07)) == pytest.approx(1.07, abs=1e-14)

    def test_is_off_where_they_bend(self):
        """Exact exponents with a zero at 1.0, on the published grid."""
        gamma = np.array(PUBLISHED_GRID)
        assert straight_line_zero(gamma, step_slope(gamma, 1.0)) > 1.03

    def test_missing_slopes(self):
        assert straight_line_zero([1.0, 1.5, 2.0], [0.0, np.nan, 1.0]) == pytest.approx(1.0)
        assert math.isnan(straight_line_zero([1.0, 2.0], [np.nan, 1.0]))
        with pytest.raises(InputError, match="one length"):
            straight_line_zero([1.0, 2.0], [1.0])

    def test_published_figures_agree_with_each_other_in_no_other_way(self):
        """The published slopes at gamma' = 0 cross zero at 0.986, the published star lies at 1.039.

        A straight line through the same slopes at the map's points has its zero at 1.033: within what can
        be read off the figures.
        """
        gamma, slopes = np.array(list(PUBLISHED_S_W)), np.array(list(PUBLISHED_S_W.values()))
        on_grid = np.interp(PUBLISHED_GRID, gamma, slopes)
        assert abs(np.interp(0.0, slopes, gamma) - PUBLISHED_ZEROS[0.0]) > 0.05
        assert abs(straight_line_zero(PUBLISHED_GRID, on_grid) - PUBLISHED_ZEROS[0.0]) < 0.01


class TestFigureAndCommand:
    def test_figure_draws_the_numbers(self, found):
        ax = plotting.boundary(found)
        lines = {str(line.get_label()): line for line in ax.lines}
        np.testing.assert_array_equal(
            lines["theory: these widths"].get_data(), [found.reference, found.gamma_prime]
        )
        (stars,) = (c for c in ax.containers if c.get_label() == "measured zeros")
        np.testing.assert_array_equal(stars.lines[0].get_xdata(), found.gamma_star)
        assert "theory: boundary" in lines
        with pytest.raises(InputError, match=r"result of meanfield\.boundary"):
            plotting.boundary(None)

    def test_stars_on_a_map(self, found):
        diagram = mf.phase_diagram(FOUR, gamma=[0.5, 1.5], gamma_prime=[-0.2, 0.2], widths=[10, 20])
        ax = plotting.phase_diagram(diagram, boundary=found)
        (stars,) = (c for c in ax.containers if c.get_label() == "measured zeros")
        np.testing.assert_array_equal(stars.lines[0].get_xdata(), found.gamma_star)

    def test_command(self, tmp_path, capsys):
        arguments = ["boundary", "--gamma-prime", "-0.2,0", "--widths", "100,400", "--seeds", "3"]
        arguments += ["--workers", "1", "--formats", "png", "--quiet", "--out", str(tmp_path)]
        assert main(arguments) == 0
        assert "tend to the limit" in capsys.readouterr().out
        assert main([*arguments, "--json"]) == 0  # again, from the store
        data = json.loads(capsys.readouterr().out)
        assert [point["gamma_prime"] for point in data["points"]] == [-0.2, 0.0]
        for point in data["points"]:
            assert point["interval"][0] < point["gamma_star"] < point["interval"][1]
        for name in ("boundary.csv", "boundary.png", "sweep.sqlite"):
            assert (tmp_path / name).stat().st_size > 0


@pytest.mark.slow
class TestPublished:
    """The published map, at its widths: 117 points for the straight lines, 9 to 18 for the boundary."""

    WIDTHS = (1000, 5000, 10000, 20000, 40000)
    PROTOCOL = {"widths": WIDTHS, "seeds": 1, "per_half": True, "loss_atol": 5e-7, "progress": False}  # noqa: RUF012

    def test_stars(self):
        """Straight lines through rows of the map, as the published stars seem to have been found."""
        gamma_prime = sorted(PUBLISHED_ZEROS)
        diagram = mf.phase_diagram(
            FOUR, gamma=PUBLISHED_GRID, gamma_prime=gamma_prime, executor=2, **self.PROTOCOL
        )
        off = {
            gp: straight_line_zero(PUBLISHED_GRID, S_w) - PUBLISHED_ZEROS[gp]
            for gp, S_w in zip(gamma_prime, diagram.S_w, strict=True)
        }
        assert max(map(abs, off.values())) <= 0.03, off

    def test_boundary_at_a_tenth_of_the_cost(self):
        """The zeros themselves, which lie up to 0.05 before the stars for small negative gamma'."""
        found = mf.boundary(FOUR, gamma_prime=sorted(PUBLISHED_ZEROS), **self.PROTOCOL)
        assert found.settled.all()
        assert len(found.evaluations) <= 12  # of 117
        off = {gp: g - PUBLISHED_ZEROS[gp] for gp, g in zip(found.gamma_prime, found.gamma_star, strict=True)}
        assert max(abs(off[gp]) for gp in off if gp not in (-0.1, -0.2)) <= 0.03, off
        assert max(map(abs, off.values())) <= 0.06, off
        # What these widths have without sampling noise lies inside every interval.
        assert np.all((found.interval[:, 0] < found.reference) & (found.reference < found.interval[:, 1]))


@pytest.mark.slow
def test_coverage_of_zeros_and_predictions():
    """100 ensembles of other draws at small widths: nominal 95 %, 90 to 98 wanted (docs/statistics.md)."""
    gamma, gamma_prime, widths = (
        np.array([0.7, 0.9, 1.1, 1.3]),
        np.array([-0.2, 0.2]),
        np.array([100, 400, 1600]),
    )
    together = mf.phase_diagram(
        FOUR, gamma=gamma, gamma_prime=gamma_prime, widths=widths, seeds=300, executor=2, predict=False
    )
    grid = Grid(gamma, gamma_prime, widths, np.arange(3))
    prediction = Prediction.over(FOUR, together.settings, grid)
    truth = {float(curve.gamma_prime): curve.zero() for curve in prediction.curves}
    agrees, zeros = [], []
    for first in range(0, 300, 3):
        rd = together.rd_w[..., first : first + 3]
        part = PhaseDiagram(
            FOUR, together.settings, gamma, gamma_prime, widths, np.arange(3), rd, rd, 0.95, (), 0,
            prediction=prediction,
        )  # fmt: skip
        agrees += [row.agrees for row in part.rows]
        zeros += [zero.low < truth[zero.gamma_prime] < zero.high for zero in part.zeros]
    assert len(agrees) == 800
    assert len(zeros) > 190
    assert 0.90 <= np.mean(agrees) <= 0.98, np.mean(agrees)
    assert 0.90 <= np.mean(zeros) <= 0.98, np.mean(zeros)
    print(f"predictions inside: {np.mean(agrees):.3f} of 800, zeros: {np.mean(zeros):.3f} of {len(zeros)}")
