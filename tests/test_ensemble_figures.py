"""Figures of ensembles and of both layers' exponents show the numbers of their results."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

import meanfield as mf
from meanfield import InputError, plotting
from meanfield.plotting.maps import short

FOUR = mf.datasets.four_points()
NTK = mf.Scaling.named("ntk")


@pytest.fixture(scope="module")
def ensemble():
    return mf.ensemble(FOUR, NTK, 40, seeds=6, save_at=[0.0, 0.5, 2.0, 8.0, 1e6], loss_tol=1e-3)


@pytest.fixture(scope="module")
def diagram():
    grid = {"gamma": [0.5, 1.0, 1.5], "gamma_prime": [0.0, 0.5], "widths": [20, 80]}
    return mf.phase_diagram(FOUR, **grid, seeds=3, loss_tol=1e-1, progress=False)


def named(ax):
    artists = [*ax.lines, *ax.collections, *ax.containers]
    return {artist.get_label(): artist for artist in artists if not str(artist.get_label()).startswith("_")}


class TestCurves:
    @pytest.mark.parametrize("of", ["loss", "rd_w", "rd_a"])
    @pytest.mark.parametrize(("band", "middle"), [("seeds", "median"), ("mean", "mean")])
    def test_line_band_and_seeds(self, ensemble, of, band, middle):
        ax = plotting.ensemble_curves(ensemble, of=of, band=band, level=0.8)
        seen, spread = named(ax), getattr(ensemble, of)
        np.testing.assert_array_equal(seen[middle].get_xdata(), ensemble.time[1:])
        np.testing.assert_array_equal(seen[middle].get_ydata(), getattr(spread, middle)[1:])
        label = "80 % of the seeds" if band == "seeds" else "80 % interval of the mean"
        low, high = spread.band(0.8, of=band)
        corners = seen[label].get_paths()[0].vertices
        for t, ends in zip(ensemble.time[1:4], zip(low[1:4], high[1:4], strict=True), strict=True):
            at = corners[corners[:, 0] == t, 1]
            np.testing.assert_allclose([at.min(), at.max()], ends)
        assert len(ax.lines) == 6 + 1
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert {text.get_text() for text in ax.get_legend().get_texts()} == {"seeds", middle, label}

    def test_options(self, ensemble):
        ax = Figure().subplots()
        assert (
            plotting.ensemble_curves(
                ensemble, ax, seeds=False, label="mine", legend=False, color="tab:red", ls=":"
            )
            is ax
        )
        (line,) = ax.lines
        assert (line.get_label(), line.get_color(), line.get_linestyle()) == ("mine", "tab:red", ":")
        assert matplotlib.colors.same_color(ax.collections[0].get_facecolor()[0][:3], "tab:red")
        assert ax.get_legend() is None

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"of": "accuracy"}, "no of is called 'accuracy'; choose one of loss, rd_w, rd_a"),
            ({"level": 2.0}, "level is 2.0; give a share between 0 and 1"),
            ({"band": "sd"}, "no band is called 'sd'|no of is called 'sd'"),
            ({"ensemble": 3}, "ensemble is an int; give an Ensemble, made by meanfield.ensemble"),
        ],
    )
    def test_mistakes(self, ensemble, given, message):
        with pytest.raises(InputError, match=message):
            plotting.ensemble_curves(**{"ensemble": ensemble} | given)


class TestFunctions:
    def test_line_band_and_data(self, ensemble):
        x = np.array([-0.5, 0.0, 0.7])
        seen = named(plotting.ensemble_function(ensemble, x=x, band="mean", level=0.95))
        np.testing.assert_allclose(seen["mean"].get_ydata(), ensemble.predict(x).mean)
        np.testing.assert_array_equal(seen["data"].get_ydata(), FOUR.y)
        assert "95 % interval of the mean" in seen

    def test_several_features(self):
        problem = mf.Problem(np.eye(2), [1.0, 2.0])
        found = mf.ensemble(problem, NTK, 20, seeds=2, save_at=[1.0])
        with pytest.raises(InputError, match="functions are drawn for one feature, but the data have 2"):
            plotting.ensemble_function(found)


def test_long_names_stay_in_the_figure(ensemble):
    for name in ("median", "NTK, forty neurons", "NTK"):
        for draw in (plotting.ensemble_function, plotting.ensemble_curves):
            ax = draw(ensemble, band="mean", label=name)
            ax.figure.draw_without_rendering()
            assert ax.get_legend().get_window_extent().x1 <= ax.figure.bbox.x1, name


class TestExponentsOfBothLayers:
    def test_rows_one_after_the_other_on_the_axes_of_the_user(self, diagram):
        ax = Figure().subplots()
        for row in (0.0, 0.5):
            plotting.exponents_along_gamma(diagram, ax, gamma_prime=row, layers=["S_w"], label="mine")
        legend = ax.get_legend()
        names = [text.get_text() for text in legend.get_texts()]
        rows = ["$\\gamma$\u2032 = 0", "$\\gamma$\u2032 = 0.5"]
        assert names == [f"{what} $S_w$, {row}" for row in rows for what in ("theory", "mine")]
        points = [line for line in legend.findobj(Line2D) if line.get_marker() == "o"]
        assert len(points) == 2  # also those of the legend before

    def test_the_row_is_named(self, diagram):
        ax = plotting.exponents_along_gamma(diagram, gamma_prime=0.5)
        assert ax.get_xlabel() == "$\\gamma$ (at $\\gamma$\u2032 = 0.5)"
        assert ax.get_title() == ""

    def test_measured_and_theory(self, diagram):
        ax = plotting.exponents_along_gamma(diagram, gamma_prime=0.5)
        seen = named(ax)
        for k, layer in enumerate(("S_w", "S_a")):
            points, _, _ = seen[f"measured ${layer}$"]
            np.testing.assert_array_equal(points.get_xdata(), diagram.gamma)
            np.testing.assert_array_equal(points.get_ydata(), getattr(diagram, layer)[1])
            line = seen[f"theory ${layer}$"]
            at = np.interp(diagram.gamma, line.get_xdata(), line.get_ydata())
            np.testing.assert_allclose(at, getattr(diagram, f"predicted_{layer}")[1], atol=5e-3)
            (bars,) = seen[f"measured ${layer}$"][2]
            ends = np.array([segment[:, 1] for segment in bars.get_segments()])
            np.testing.assert_allclose(ends, getattr(diagram, f"{layer}_interval")[1])
            assert k in (0, 1)

    def test_one_layer(self, diagram):
        assert set(named(plotting.exponents_along_gamma(diagram, gamma_prime=0.0, layers=["S_a"]))) == {
            "theory $S_a$", "measured $S_a$",
        }  # fmt: skip

    def test_which_row(self, diagram):
        with pytest.raises(
            InputError, match=r"has 2 values of gamma_prime; give one of \[0.0, 0.5\] as gamma_p"
        ):
            plotting.exponents_along_gamma(diagram)
        with pytest.raises(InputError, match=r"gamma_prime is 0.3; give one of \[0.0, 0.5\]"):
            plotting.exponents_along_gamma(diagram, gamma_prime=0.3)


class TestMapOfTheOutputLayer:
    def test_colours_numbers_and_words_follow_the_layer(self, diagram):
        ax = plotting.phase_diagram(diagram, layer="a")
        seen = named(ax)
        assert not {"measured S_w", "measured zeros", "theory: boundary", "theory: these widths"} & set(seen)
        cells = seen["measured S_a"]
        np.testing.assert_array_equal(cells.get_array(), diagram.S_a)
        assert cells.norm.vmax == pytest.approx(np.ceil(10 * np.abs(diagram.S_a).max()) / 10)
        ax.figure.draw_without_rendering()
        words = {text.get_text() for text in ax.findobj(Text)}
        assert {short(value) for value in diagram.S_a.ravel()} <= words
        assert not {"linear", "condensed", "critical"} & words
        (bar,) = [other for other in ax.figure.axes if other is not ax]
        assert bar.get_ylabel() == "measured exponent $S_a$"
        key = [text.get_text() for text in ax.get_legend().get_texts()]
        assert key[:2] == [r"theory: $S_a=0$, $m\to\infty$", r"theory: $S_a$, $m\to\infty$ (at frame)"]
        assert any("on theory's side of $S_a=0$" in text.get_text() for text in ax.texts)

    @pytest.mark.parametrize("derived", [False, True])
    @pytest.mark.parametrize("gamma_prime", [[-0.5, 0.25], [-0.75, -0.25], [0.25, 0.5]])
    def test_the_heavy_line_is_where_the_theory_s_exponent_is_zero(self, derived, gamma_prime):
        theory = mf.symbolic.derive_exponents() if derived else None
        grid = mf.limit_diagram(FOUR, gamma=[0.5, 1.0, 1.5], gamma_prime=gamma_prime, progress=False)
        seen = named(plotting.phase_diagram(grid, layer="a", theory=theory, schemes=False))
        heavy = seen["theory: zeros of S_a"]
        line = heavy.get_paths()[0].vertices if derived else np.column_stack(heavy.get_data())
        _, S_a = mf.exponents(line[:, 0], line[:, 1])
        np.testing.assert_allclose(S_a, 0.0, atol=5e-3 if derived else 1e-12)
        np.testing.assert_allclose(line[:, 0], 1.0 + np.maximum(-line[:, 1], 0.0), atol=5e-3)
        assert np.ptp(line[:, 1]) > 0.9 * np.ptp(gamma_prime)
        contours = seen["theory: contours of S_a"]
        for level, path in zip(contours.levels, contours.get_paths(), strict=True):
            if len(path.vertices):
                np.testing.assert_allclose(mf.exponents(*path.vertices.T)[1], level, atol=0.02)

    def test_marks_are_those_of_the_layer(self, diagram):
        wrong = replace(
            diagram, rd_w=diagram.rd_a, rd_a=diagram.rd_a[:, ::-1] * np.array([1.0, 4.0])[:, None]
        )
        for layer, sign in (("w", 1.0), ("a", -1.0)):
            ax = plotting.phase_diagram(wrong, layer=layer)
            rows = [row.S_w if layer == "w" else row.S_a for row in wrong.rows]
            undecided = sum(slope.verdict.value == "undecided" for slope in rows)
            expected = [mf.Regime.classify(r.gamma, sign * r.gamma_prime).value for r in wrong.rows]
            framed = sum(
                slope.verdict.value in ("linear", "condensed") and slope.verdict.value != there
                for slope, there in zip(rows, expected, strict=True)
            )
            counts = {"undecided": undecided, "disagrees with theory": framed}
            seen = named(ax)
            assert {name: len(seen[name].get_paths()) for name in counts if name in seen} == {
                name: count for name, count in counts.items() if count
            }
        assert framed > 0

    def test_mistakes(self, diagram):
        with pytest.raises(InputError, match="no layer is called 'b'; choose one of w, a"):
            plotting.phase_diagram(diagram, layer="b")
        with pytest.raises(
            InputError, match="boundary and published_zeros are zeros of S_w; leave them out for"
        ):
            plotting.phase_diagram(diagram, layer="a", published_zeros=[(1.0, 0.0)])

    def test_on_axes_of_the_user(self, diagram):
        ax = Figure().subplots()
        plotting.phase_diagram(diagram, ax, layer="a", colorbar=False, legend=True)
        assert r"theory: $S_a=0$, $m\to\infty$" in [text.get_text() for text in ax.get_legend().get_texts()]
