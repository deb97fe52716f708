"""Figures of ensembles and of both layers' exponents show the numbers of their results."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf
from meanfield import InputError, plotting

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


class TestNames:
    def test_columns_of_a_table_name_the_axes(self):
        names = {"feature_names": ["temperature"], "target_name": "cost in $"}
        problem = mf.Problem([280.0, 300.0, 320.0], [0.0, 1.0, 0.0], **names).standardised()
        found = mf.ensemble(problem, NTK, 20, seeds=2, loss_tol=1e-1)
        for ax in (plotting.ensemble_function(found), plotting.learned_function(found.runs[0])):
            assert (ax.get_xlabel(), ax.get_ylabel()) == ("temperature", r"cost in \$")
            ax.figure.draw_without_rendering()
        ax = Figure().subplots()
        ax.set_ylabel("mine")
        plotting.ensemble_function(found, ax)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("temperature", "mine")


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
            ({"ensemble": 3}, "ensemble is an int"),
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


class TestExponentsOfBothLayers:
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
            InputError,
            match=r"has 2 values of gamma_prime; give one of \[0.0, 0.5\] as gamma_prime",
        ):
            plotting.exponents_along_gamma(diagram)
        with pytest.raises(InputError, match=r"gamma_prime is 0.3; give one of \[0.0, 0.5\]"):
            plotting.exponents_along_gamma(diagram, gamma_prime=0.3)
