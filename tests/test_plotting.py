"""Figures, by their numbers: what is drawn where, and what is written to files."""

import dataclasses
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

import meanfield as mf
from meanfield.experiments import Prediction, Verdict
from meanfield.experiments.grid import Grid
from meanfield.plotting.curves import linear_interpolant
from meanfield.plotting.map_cells import cell_edges
from meanfield.plotting.neurons import kink_angles
from meanfield.plotting.placing import Obstacles, PlacedText, crosses, spread
from meanfield.plotting.style import number
from meanfield.plotting.theory import contour_levels, scheme_points
from meanfield.regime import boundary_gamma

plot = mf.plotting


@pytest.fixture(scope="module")
def diagram():
    return mf.phase_diagram(
        mf.datasets.four_points(),
        gamma=[0.5, 0.9, 1.1, 1.7],
        gamma_prime=[-0.2, 0.0, 0.2],
        widths=[20, 80, 320],
        seeds=3,
        per_half=True,
        progress=False,
    )


@pytest.fixture(scope="module")
def runs():
    problem, scaling = mf.datasets.four_points(), mf.Scaling(gamma=1.5)
    return [
        mf.gradient_flow(
            problem, mf.Particles.sample(problem, scaling, m, rng=0), loss_atol=1e-4, progress=False
        )
        for m in (100, 20)
    ]


def with_holes(diagram, where):
    rd_w = diagram.rd_w.copy()
    rd_w[where] = np.nan
    return dataclasses.replace(diagram, rd_w=rd_w)


def numbers_in_cells(ax):
    """Exponents that a drawn map shows in its cells (contours are labelled above them): zero has no sign."""
    inside = [t for t in ax.findobj(PlacedText) if t.shown and ax.bbox.contains(*t.get_window_extent().min)]
    return [t for t in inside if re.fullmatch("[+\u2212](0\\.\\d\\d|\\d\\.\\d|\\d+)|0\\.00", t.get_text())]


def labelled(ax, label):
    """The artist with a label."""
    found = [a for a in (*ax.get_children(), *ax.containers) if a.get_label() == label]
    assert len(found) == 1, f"{len(found)} artists are labelled {label!r}"
    return found[0]


def draw(ax):
    ax.figure.draw_without_rendering()
    return ax


def assert_nothing_clipped(ax):
    """Everything lies on the paper, and drawing again changes nothing."""
    figure = draw(ax).figure
    place = ax.get_position().bounds
    outside = [artist for artist in (*ax.texts, ax.get_legend()) if artist is not None]
    boxes = [artist.get_window_extent().transformed(figure.dpi_scale_trans.inverted()) for artist in outside]
    size = figure.get_size_inches()
    for box in (figure.get_tightbbox(), *boxes):
        assert box.x0 >= -0.01
        assert box.y0 >= -0.01
        assert box.x1 <= size[0] + 0.01
        assert box.y1 <= size[1] + 0.01
    draw(ax)
    assert ax.get_position().bounds == pytest.approx(place, abs=2e-3)


class TestPhaseDiagram:
    def test_colours_are_the_measured_exponents_on_symmetric_limits(self, diagram):
        cells = labelled(plot.phase_diagram(diagram), "measured S_w")
        np.testing.assert_array_equal(cells.get_array(), diagram.S_w)
        low, high = cells.get_clim()
        assert low == -high
        assert 0 <= high - np.abs(diagram.S_w).max() < 0.1

    def test_zero_is_the_lightest_colour_and_the_map_is_symmetric_in_lightness(self, diagram):
        cells = labelled(plot.phase_diagram(diagram, limit=1.0), "measured S_w")
        lightness = cells.to_rgba(np.linspace(-1, 1, 41))[:, :3] @ [0.2126, 0.7152, 0.0722]
        assert np.argmax(lightness) == 20
        assert np.all(np.diff(lightness[:21]) > 0)
        assert np.all(np.diff(lightness[20:]) < 0)
        assert lightness.min() > 0.35  # black numbers stay readable

    def test_limits_can_be_set_and_what_is_beyond_is_announced(self, diagram):
        ax = plot.phase_diagram(diagram, limit=0.1)
        cells = labelled(ax, "measured S_w")
        assert cells.get_clim() == (-0.1, 0.1)
        assert cells.colorbar.extend == "both"
        assert labelled(plot.phase_diagram(diagram), "measured S_w").colorbar.extend == "neither"

    def test_cells_have_their_edges_midway(self, diagram):
        cells = labelled(plot.phase_diagram(diagram), "measured S_w")
        corners = cells.get_coordinates()
        np.testing.assert_allclose(corners[0, :, 0], [0.3, 0.7, 1.0, 1.4, 2.0])
        np.testing.assert_allclose(corners[:, 0, 1], [-0.3, -0.1, 0.1, 0.3])
        np.testing.assert_allclose(cell_edges(np.array([1.0])), [0.9, 1.1])

    def test_boundary_is_the_theory_and_crosses_the_view(self, diagram):
        ax = plot.phase_diagram(diagram)
        gamma, gamma_prime = labelled(ax, "theory: boundary").get_data()
        np.testing.assert_array_equal(gamma, boundary_gamma(gamma_prime))
        assert 0.0 in gamma_prime  # the corner is a vertex
        assert (gamma_prime[0], gamma_prime[-1]) == ax.get_ylim()

    def test_contours_lie_on_their_exponents(self, diagram):
        lines = labelled(plot.phase_diagram(diagram), "theory: contours of S_w")
        assert 0.0 not in lines.levels
        for level, path in zip(lines.levels, lines.get_paths(), strict=True):
            S_w, _ = mf.exponents(*path.vertices.T)
            np.testing.assert_allclose(S_w, level, atol=0.01)

    def test_stars_are_the_zeros_with_their_intervals(self, diagram):
        stars, _, bars = labelled(plot.phase_diagram(diagram), "measured zeros")
        assert diagram.zeros
        np.testing.assert_array_equal(stars.get_xdata(), [z.gamma for z in diagram.zeros])
        np.testing.assert_array_equal(stars.get_ydata(), [z.gamma_prime for z in diagram.zeros])
        segments = np.array(bars[0].get_segments())
        np.testing.assert_allclose(segments[:, :, 0], [[z.low, z.high] for z in diagram.zeros])

    def test_undecided_cells_are_hatched(self, diagram):
        holes = with_holes(diagram, np.s_[1, 2])
        ax = plot.phase_diagram(holes)
        hatched = labelled(ax, "undecided")
        assert hatched.get_hatch()
        corners = [path.vertices.min(axis=0) for path in hatched.get_paths()]
        expected = [
            (ax_edge, ay_edge)
            for i, ay_edge in enumerate(cell_edges(holes.gamma_prime)[:-1])
            for j, ax_edge in enumerate(cell_edges(holes.gamma)[:-1])
            if holes.verdicts[i][j] is Verdict.UNDECIDED
        ]
        np.testing.assert_allclose(corners, expected)
        assert any(np.allclose(corner, (1.0, -0.1)) for corner in corners)
        assert labelled(ax, "measured S_w").get_array().mask.sum() == 1

    def test_cells_that_disagree_are_framed(self, diagram):
        wrong = dataclasses.replace(diagram, rd_w=diagram.rd_w[:, ::-1])
        frames = labelled(plot.phase_diagram(wrong), "disagrees with theory")
        assert len(frames.get_paths()) == sum(row.regime_agrees is False for row in wrong.rows) > 0

    def test_prediction_at_these_widths_is_drawn(self, diagram):
        grid = Grid(diagram.gamma, diagram.gamma_prime, diagram.widths, diagram.seeds)
        prediction = Prediction.over(diagram.problem, diagram.settings, grid)
        known = dataclasses.replace(diagram, prediction=prediction)
        ax = plot.phase_diagram(known)
        line = labelled(ax, "theory: these widths")
        np.testing.assert_array_equal(line.get_data(), [known.zeros_at_widths, diagram.gamma_prime])
        inside = sum(row.agrees for row in known.rows)
        assert f"{inside} of 12 measured 95 % intervals hold the prediction" in "".join(
            text.get_text() for text in ax.texts
        )
        assert_nothing_clipped(ax)
        far = tuple(tuple(dataclasses.replace(p, S_w=p.S_w + 5.0) for p in row) for row in prediction.points)
        ax = plot.phase_diagram(
            dataclasses.replace(known, prediction=dataclasses.replace(prediction, points=far))
        )
        assert len(labelled(ax, "prediction outside the interval").get_paths()) == 12

    def test_schemes_widen_the_view_modestly(self, diagram):
        ax = plot.phase_diagram(diagram)
        shown = set(zip(*labelled(ax, "schemes").get_data(), strict=True))
        assert shown == {(0.5, 0.0), (1.0, 0.0)}  # (1/2, 1/2) is too far from this grid
        assert {t.get_text() for t in ax.texts} >= {"NTK", "Xavier, mean-field"}
        near = dataclasses.replace(diagram, gamma_prime=np.array([-0.4, 0.0, 0.4]))
        assert plot.phase_diagram(near).get_ylim()[1] > 0.5
        assert scheme_points()[0.5, 0.5] == "LeCun, He"
        plain = plot.phase_diagram(near, schemes=False)
        assert plain.get_ylim()[1] == pytest.approx(0.6)
        assert plain.get_xlim() == pytest.approx((0.3, 2.0))

    def test_schemes_of_one_s_own(self, diagram):
        mine = [mf.Scaling(0.6, 0.1, name="mine"), mf.Scaling.named("ntk"), mf.Scaling(0.6, 0.1)]
        for ax in (
            plot.phase_diagram(diagram, schemes=mine),
            plot.exponent_map(mf.symbolic.derive_exponents(), schemes=mine),
        ):
            assert set(zip(*labelled(ax, "schemes").get_data(), strict=True)) == {(0.6, 0.1), (0.5, 0.0)}
            assert {"mine", "NTK"} <= {t.get_text() for t in ax.texts}
        for wrong in ("ntk", ["ntk"], 1):
            with pytest.raises(mf.InputError, match=r"schemes is .* give True, False or a list of Scaling"):
                plot.phase_diagram(diagram, schemes=wrong)

    def test_numbers_and_names_stay_apart(self, diagram):
        ax = draw(plot.phase_diagram(diagram))
        placed = [t for t in ax.findobj(PlacedText) if t.shown]
        assert {"linear", "condensed", "critical"} <= {t.get_text() for t in placed}
        others = [t for t in ax.texts if not isinstance(t, PlacedText)]
        boxes = [t.get_window_extent() for t in (*placed, *others)]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:i])

    def test_zero_is_written_as_people_do(self, diagram):
        limit = mf.limit_diagram(mf.datasets.four_points(), gamma=[0.5, 1.0, 1.5], gamma_prime=[0.0])
        ax = draw(plot.phase_diagram(limit))
        assert [t.get_text() for t in numbers_in_cells(ax)] == ["\u22120.50", "0.00", "+0.25"]

    def test_numbers_that_do_not_fit_are_left_out(self, diagram):
        count = []
        for width in (6.75, 1.7):
            ax = draw(plot.phase_diagram(diagram, plot.new_axes(width, 2.5), legend=False))
            count.append(len(numbers_in_cells(ax)))
        assert count[0] == diagram.S_w.size > count[1]

    def test_note_states_the_ensemble_and_the_agreement(self, diagram):
        texts = "\n".join(t.get_text() for t in plot.phase_diagram(diagram).texts)
        assert "20, 80, 320 neurons per twin half; 3 seeds" in texts
        assert f"{sum(r.regime_agrees is True for r in diagram.rows)} of 12 points on theory's side" in texts
        bare = plot.phase_diagram(diagram, legend=False)
        assert bare.get_legend() is None

    @pytest.mark.parametrize("where", [np.s_[:0], np.s_[:], np.s_[:, 0]], ids=["whole", "empty", "holes"])
    def test_nothing_is_clipped(self, diagram, where):
        assert_nothing_clipped(plot.phase_diagram(with_holes(diagram, where)))

    def test_a_single_row_is_its_own_tick(self, diagram):
        row = dataclasses.replace(diagram, gamma_prime=diagram.gamma_prime[1:2], rd_w=diagram.rd_w[1:2],
                                  rd_a=diagram.rd_a[1:2])  # fmt: skip
        ax = plot.phase_diagram(row)
        assert list(ax.get_yticks()) == [0.0]
        assert_nothing_clipped(ax)

    def test_no_zeros_no_stars(self, diagram):
        ax = plot.phase_diagram(with_holes(diagram, np.s_[:]))
        assert ax.containers == []
        assert labelled(ax, "measured S_w").get_clim() == (-1.0, 1.0)

    def test_ticks_are_the_trained_values(self, diagram):
        ax = plot.phase_diagram(diagram)
        assert sorted([*ax.get_xticks(), *ax.get_xticks(minor=True)]) == list(diagram.gamma)
        assert sorted([*ax.get_yticks(), *ax.get_yticks(minor=True)]) == list(diagram.gamma_prime)
        noisy = dataclasses.replace(diagram, gamma_prime=np.array([-0.2, -1.11e-16, 0.2]))
        for rows in (ax, plot.phase_diagram(noisy)):
            assert [t.get_text() for t in rows.get_yticklabels()] == ["\u22120.2", "0.0", "0.2"]

    def test_numbers_stand_upright_and_no_line_runs_through_them(self, diagram):
        """Every number has the cell's colour around it, and keeps off contours where there is room."""
        ax = draw(plot.phase_diagram(diagram, plot.new_axes("page", 5.0)))
        numbers = numbers_in_cells(ax)
        (contours,) = [c for c in ax.collections if c.get_label() == "theory: contours of S_w"]
        lines = [line for path in contours.get_paths() for line in path.to_polygons(closed_only=False)]
        assert len(numbers) == diagram.S_w.size
        for text in numbers:
            assert text.get_rotation() == 0.0
            assert text.get_bbox_patch().get_facecolor()[3] == 1.0
            assert not any(crosses(ax.transData.transform(line), text.box) for line in lines)

    def test_what_was_not_trained_is_tinted(self, diagram):
        ax = plot.phase_diagram(diagram)
        tinted = labelled(ax, "theory only")
        assert np.all(tinted.get_facecolor()[:, :3] < 0.95)
        area = sum(np.prod(np.ptp(path.vertices, axis=0)) for path in tinted.get_paths())
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        cells = np.ptp(cell_edges(diagram.gamma)) * np.ptp(cell_edges(diagram.gamma_prime))
        assert area == pytest.approx((right - left) * (top - bottom) - cells)
        assert "theory only" in [t.get_text() for t in ax.get_legend().get_texts()]

    def test_refuses_other_things(self, diagram, runs):
        with pytest.raises(mf.InputError, match="diagram is a Trajectory"):
            plot.phase_diagram(runs[0])
        with pytest.raises(mf.InputError, match="limit"):
            plot.phase_diagram(diagram, limit=-1.0)


class TestRdAgainstWidth:
    def test_marks_fit_interval_and_theory(self, diagram):
        ax = plot.rd_against_width(diagram, [(0.5, 0.0), (1.7, -0.2)])
        for k, (i, j) in enumerate([(1, 0), (0, 3)]):
            m, rd = labelled(ax, f"runs {k}").get_data()
            np.testing.assert_array_equal(rd, diagram.rd_w[i, j].ravel())
            np.testing.assert_array_equal(m, np.repeat(diagram.widths, 3))
            row = diagram.rows[4 * i + j]
            slopes = [
                np.diff(np.log(y)) / np.diff(np.log(x))
                for x, y in (labelled(ax, f"{kind} {k}").get_data() for kind in ("fit", "theory"))
            ]
            np.testing.assert_allclose(np.ravel(slopes), [row.S_w.value, row.predicted_S_w])
            fan = np.log(labelled(ax, f"interval {k}").get_paths()[0].vertices)
            right = fan[np.isclose(fan[:, 0], fan[:, 0].max())][:, 1]
            left = fan[np.isclose(fan[:, 0], fan[:, 0].min())][:, 1]
            width = (row.S_w.high - row.S_w.low) * (fan[:, 0].max() - fan[:, 0].min())
            assert np.ptp(right) + np.ptp(left) == pytest.approx(width)
        assert_nothing_clipped(ax)

    def test_labels_state_slopes(self, diagram):
        texts = [t.get_text() for t in plot.rd_against_width(diagram, [(0.5, 0.0)]).texts]
        assert any(f"{diagram.rows[4].S_w.value:.2f}".replace("-", "\u2212") in text for text in texts)
        assert any(text.endswith("theory \u22120.5") for text in texts)
        exact = "\n".join(t.get_text() for t in plot.rd_against_width(diagram, [(1.7, -0.2)]).texts)
        assert exact.endswith("theory 0.45")  # (1.7 - 1 + 0.2) / 2
        noisy = dataclasses.replace(diagram, gamma_prime=np.array([-0.2, -1.11e-16, 0.2]))
        texts = [t.get_text() for t in plot.rd_against_width(noisy, [(0.5, 0.0)]).texts]
        assert any("$\\gamma$\u2032 = 0\n" in text for text in texts)

    def test_points_without_runs(self, diagram):
        ax = plot.rd_against_width(with_holes(diagram, np.s_[:]), [(0.5, 0.0)])
        assert_nothing_clipped(ax)
        assert len(labelled(ax, "runs 0").get_xdata()) == 0

    @pytest.mark.parametrize("points", [[], [(0.55, 0.0)], [0.5], [(0.5, "a")]])
    def test_refuses_points_off_the_grid(self, diagram, points):
        with pytest.raises(mf.InputError):
            plot.rd_against_width(diagram, points)


class TestOrientations:
    def test_neurons_and_kinks(self, runs):
        ax = plot.orientations(runs[0])
        for label, particles in (("initial", runs[0].initial), ("final", runs[0].final)):
            angle, amplitude = labelled(ax, label).get_data()
            np.testing.assert_array_equal(angle, particles.orientation)
            np.testing.assert_array_equal(amplitude, particles.amplitude)
        lines = np.array(labelled(ax, "kinks at the samples").get_segments())[:, 0, 0]
        assert len(lines) == 8
        np.testing.assert_allclose(lines, np.sort(kink_angles(runs[0].problem).ravel()))
        assert_nothing_clipped(ax)

    def test_kinks_are_where_the_neuron_switches(self):
        problem = mf.Problem([-0.7, 0.0, 3.0], [0.0, 1.0, 2.0])
        angles = kink_angles(problem)
        w = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        np.testing.assert_allclose(np.einsum("nkd,nd->nk", w, problem.x), 0.0, atol=1e-15)
        assert np.all(np.abs(angles) <= np.pi)

    def test_a_sample_at_the_origin_has_no_kink(self):
        problem = mf.Problem([[0.0, 0.0], [1.0, 1.0]], [1.0, 2.0], bias=False)
        assert np.isnan(kink_angles(problem)[0]).all()
        ax = plot.orientations(
            mf.Particles.sample(problem, mf.Scaling.named("ntk"), 20, rng=0), problem=problem
        )
        lines = np.array(labelled(ax, "kinks at the samples").get_segments())[:, 0, 0]
        np.testing.assert_allclose(lines, [-np.pi / 4, 3 * np.pi / 4])

    def test_the_published_condensed_angles_are_kinks(self):
        angles = kink_angles(mf.datasets.four_points())
        for angle in (-np.pi + np.arctan(1 / 6), -np.arctan(1 / 6)):
            assert np.min(np.abs(angles - angle)) < 1e-15

    def test_many_neurons_are_counted(self):
        problem = mf.datasets.four_points()
        crowd = mf.Particles.sample(problem, mf.Scaling.named("ntk"), 12_000, rng=0)
        ax = plot.orientations(crowd)
        assert labelled(ax, "final").get_array().sum() == crowd.size

    def test_refuses_other_dimensions(self, runs):
        three = mf.Particles.from_arrays([1.0], [[1.0, 0.0, 0.0]], kappa=1.0, kappa_prime=1.0)
        with pytest.raises(mf.InputError, match="d = 3"):
            plot.orientations(three)
        with pytest.raises(mf.InputError, match="neurons is a list"):
            plot.orientations(runs)


class TestLearnedFunction:
    def test_data_functions_and_interpolant(self, runs):
        ax = plot.learned_function(runs)
        data = labelled(ax, "data").get_data()
        np.testing.assert_array_equal(data, [runs[0].problem.x[:, 0], runs[0].problem.y])
        for run, name in zip(runs, ("$m$ = 100", "$m$ = 20"), strict=True):
            x, f = labelled(ax, name).get_data()
            np.testing.assert_array_equal(f, run.predict(x))
            assert x[0] < data[0].min()
            assert x[-1] > data[0].max()
        shades = [
            np.mean(matplotlib.colors.to_rgb(labelled(ax, f"$m$ = {m}").get_color())) for m in (100, 20)
        ]
        assert shades[0] < shades[1]  # the wider network is the stronger line
        np.testing.assert_array_equal(labelled(ax, "linear interpolant").get_data(), data)
        assert_nothing_clipped(ax)

    def test_given_inputs_and_labels(self, runs):
        ax = plot.learned_function(runs[0], x=[0.3, -1.0], labels=["flow"])
        np.testing.assert_array_equal(labelled(ax, "flow").get_xdata(), [-1.0, 0.3])
        assert ax.get_xlim() == (-1.0, 0.5)  # the data stay in view

    def test_equal_inputs_are_averaged(self):
        knots, values = linear_interpolant(mf.Problem([1.0, 0.0, 1.0], [4.0, 0.0, 2.0]))
        np.testing.assert_array_equal([knots, values], [[0.0, 1.0], [0.0, 3.0]])

    def test_refusals(self, runs):
        with pytest.raises(mf.InputError, match="runs is empty"):
            plot.learned_function([])
        with pytest.raises(mf.InputError, match="holds an int"):
            plot.learned_function([3])
        with pytest.raises(mf.InputError, match="1 names for 2 runs"):
            plot.learned_function(runs, labels=["one"])
        other = dataclasses.replace(runs[0], problem=mf.Problem([0.0, 1.0], [0.0, 1.0]))
        with pytest.raises(mf.InputError, match="different data"):
            plot.learned_function([runs[0], other])
        flat = dataclasses.replace(runs[0], problem=mf.Problem(np.eye(2), [0.0, 1.0], bias=False))
        with pytest.raises(mf.InputError, match="one feature"):
            plot.learned_function(flat)


class TestLoss:
    def test_loss_against_normalised_time(self, runs):
        ax = plot.loss(runs)
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert "normalised time" in ax.get_xlabel()
        for run, name in zip(runs, ("$m$ = 100", "$m$ = 20"), strict=True):
            np.testing.assert_array_equal(labelled(ax, name).get_data(), [run.time[1:], run.loss[1:]])
        assert_nothing_clipped(ax)

    def test_names_tell_runs_apart(self, runs):
        other = dataclasses.replace(runs[0], initial=dataclasses.replace(runs[0].initial, kappa=0.5))
        labels = [line.get_label() for line in plot.loss([runs[0], other]).lines]
        assert labels[0].startswith("$\\kappa$ = 0.001")
        assert labels[1].startswith("$\\kappa$ = 0.5")
        same = [line.get_label() for line in plot.loss([runs[0], runs[0]]).lines]
        assert same == ["run 1", "run 2"]

    def test_refuses_other_units(self, runs):
        with pytest.raises(mf.InputError, match="time units"):
            plot.loss(dataclasses.replace(runs[0], time_unit="steps"))


class TestSave:
    def test_formats_sizes_and_same_bytes(self, diagram, tmp_path):
        ax = plot.phase_diagram(diagram)
        first = plot.save(ax, tmp_path / "map.v1")
        assert [file.name for file in first] == ["map.v1.png", "map.v1.pdf", "map.v1.svg"]
        again = plot.save(plot.phase_diagram(diagram).figure, tmp_path / "again")
        for one, two, three in zip(first, again, plot.save(ax, tmp_path / "third"), strict=True):
            assert one.read_bytes() == two.read_bytes() == three.read_bytes()
        png, pdf, svg = (file.read_bytes() for file in first)
        assert np.frombuffer(png[16:24], ">u4")[0] == 3.25 * 300
        assert b"/CreationDate" not in pdf
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf
        assert b"<dc:date>" not in svg
        assert "γ".encode() in svg
        assert b">condensed</text>" in svg

    def test_endings_and_formats(self, tmp_path):
        ax = plot.new_axes()
        assert [f.name for f in plot.save(ax, tmp_path / "a.svg")] == ["a.svg"]
        assert [f.name for f in plot.save(ax, tmp_path / "a.svg", formats="pdf")] == ["a.pdf"]
        for formats in (["gif"], [], "jpg"):
            with pytest.raises(mf.InputError, match="choose from png, pdf, svg"):
                plot.save(ax, tmp_path / "a", formats=formats)

    def test_refuses_missing_folders_and_other_things(self, tmp_path):
        with pytest.raises(mf.InputError, match="cannot be written"):
            plot.save(plot.new_axes(), tmp_path / "missing" / "map.svg")
        with pytest.raises(mf.InputError, match="is no figure"):
            plot.save("map", tmp_path / "map")
        with pytest.raises(mf.InputError, match="path of a file"):
            plot.save(plot.new_axes(), "")


class TestStyle:
    def test_users_settings_are_neither_used_nor_changed(self, diagram, tmp_path):
        plain = plot.save(plot.phase_diagram(diagram), tmp_path / "plain.svg")[0].read_bytes()
        mine = {"font.size": 20, "lines.linewidth": 9, "svg.fonttype": "path", "figure.dpi": 77}
        with matplotlib.rc_context(mine):
            before = dict(matplotlib.rcParams)
            other = plot.save(plot.phase_diagram(diagram), tmp_path / "other.svg")[0].read_bytes()
            assert dict(matplotlib.rcParams) == before
        assert plain == other

    def test_processes_agree(self, tmp_path):
        code = (
            "import sys, meanfield as mf; ax = mf.plotting.new_axes(); ax.set_xlabel(r'$\\gamma$ and x');"
            "mf.plotting.save(ax, sys.argv[1])"
        )
        ax = plot.new_axes()
        ax.set_xlabel(r"$\gamma$ and x")
        here = plot.save(ax, tmp_path / "here")
        subprocess.run([sys.executable, "-W", "error", "-c", code, "there"], check=True, cwd=tmp_path)
        for file in here:
            assert file.read_bytes() == (tmp_path / f"there{file.suffix}").read_bytes()

    def test_sizes(self):
        assert list(plot.new_axes("page").figure.get_size_inches()) == [6.75, 5.0625]
        for size in ("poster", -1.0, 0.0):
            with pytest.raises(mf.InputError, match="width is"):
                plot.new_axes(size)
        with pytest.raises(mf.InputError, match="height is"):
            plot.new_axes("page", -2.0)


class TestHelpers:
    def test_placed_text_takes_the_first_free_place_or_none(self):
        ax = plot.new_axes()
        obstacles = Obstacles(ax, points=[(0.5, 0.5, 3.0)])
        obstacles.add_line([0.0, 1.0], [0.2, 0.2])
        blocked = ax.add_artist(
            PlacedText("a", [(0.5, 0.5, 0), (0.3, 0.2, 0)], obstacles, transform=ax.transData)
        )
        free = ax.add_artist(
            PlacedText("b", [(0.5, 0.5, 0), (0.3, 0.8, 0)], obstacles, transform=ax.transData)
        )
        small = ax.add_artist(
            PlacedText("c", [(0.6, 0.8, 0)], obstacles, inside=(0.6, 0.8, 0.61, 0.81), transform=ax.transData)
        )
        obstacles.texts.append(free)
        late = ax.add_artist(PlacedText("d", [(0.3, 0.8, 0)], obstacles, transform=ax.transData))
        draw(ax)
        assert [t.shown for t in (blocked, free, small, late)] == [False, True, False, False]
        assert free.get_position() == (0.3, 0.8)
        assert isinstance(free, Text)

    def test_crossing_a_box(self):
        """Against points on the segments, close to one another."""
        rng = np.random.default_rng(0)
        box = matplotlib.transforms.Bbox([[-0.3, -0.2], [0.4, 0.5]])
        seen = set()
        for _ in range(300):
            line = rng.uniform(-1, 1, (2, 2))
            line[1, 0] = line[0, 0] if rng.uniform() < 0.2 else line[1, 0]  # some are vertical
            points = line[0] + np.linspace(0, 1, 4001)[:, None] * (line[1] - line[0])
            inside = np.all((points >= box.min + 1e-3) & (points <= box.max - 1e-3), axis=1).any()
            near = np.all((points >= box.min - 1e-3) & (points <= box.max + 1e-3), axis=1).any()
            assert inside <= crosses(line, box) <= near
            seen.add((bool(inside), bool(near)))
        assert {(True, True), (False, False)} <= seen

    def test_spread_keeps_order_and_distance(self):
        rng = np.random.default_rng(0)
        for _ in range(20):
            wanted = rng.uniform(size=6)
            places = np.array(spread(wanted, 0.1))
            assert list(np.argsort(places)) == list(np.argsort(wanted))
            assert np.diff(np.sort(places)).min() >= 0.1 - 1e-9
            assert places.mean() == pytest.approx(wanted.mean())

    def test_contour_levels_are_round_and_few(self):
        np.testing.assert_allclose(contour_levels(-0.55, 0.35), [-0.5, -0.4, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3])
        for low, high in ((-3.0, 1.0), (-200.0, 50.0), (0.01, 0.02)):
            levels = contour_levels(low, high)
            assert len(levels) <= 12
            assert np.all((levels >= low) & (levels <= high))

    def test_numbers(self):
        assert [number(v) for v in (8000.0, 0.03162, 12345.0)] == ["8000", "0.0316", "12345"]
        assert number(5.62e-6) == r"$5.62\times10^{-6}$"
