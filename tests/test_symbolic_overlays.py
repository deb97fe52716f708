"""Derived lines and contours in figures, and the documentation that is printed from the objects."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

import meanfield as mf
from meanfield.kernel_law import DisplacementLaw
from meanfield.plotting.exponents import clipped
from meanfield.plotting.theory import View
from meanfield.regime import boundary_gamma
from meanfield.symbolic import TwoLayer, derive_exponents
from meanfield.symbolic.page import render
from meanfield.symbolic.registry import Standing, claims

ROOT = Path(__file__).resolve().parent.parent


def labelled(ax, label):
    return [a for a in ax.get_children() if a.get_label() == label]


def points(line):
    xy = np.column_stack(line.get_data())
    return xy[np.isfinite(xy).all(axis=1)]


class TestExponentMap:
    @pytest.mark.parametrize(
        ("gamma", "gamma_prime"),
        [((0, 2), (-1, 1)), ((0.9, 1.1), (-5, 5)), ((-3, 0.5), (0, 1)), ((2, 7), (-9, 4))],
    )
    def test_lines_lie_where_the_theory_says_in_any_rectangle(self, gamma, gamma_prime):
        ax = mf.plotting.exponent_map(derive_exponents(), gamma=gamma, gamma_prime=gamma_prime)
        ax.figure.draw_without_rendering()
        (g0, g1), (p0, p1) = gamma, gamma_prime
        for line in labelled(ax, "theory: boundary"):
            drawn = points(line)
            np.testing.assert_allclose(drawn[:, 0], boundary_gamma(drawn[:, 1]), atol=1e-12)
            assert np.all(
                (g0 <= drawn[:, 0]) & (drawn[:, 0] <= g1) & (p0 <= drawn[:, 1]) & (drawn[:, 1] <= p1)
            )
        crosses = g0 < 1 < g1 or (g0 < 1 + p1 and g1 > 1 and p1 > 0)
        assert len(labelled(ax, "theory: boundary")) == int(crosses)
        assert ax.get_xlim() == gamma
        assert ax.get_ylim() == gamma_prime

    def test_kinks_turn_with_the_activation(self):
        ax = mf.plotting.exponent_map(
            derive_exponents(TwoLayer(homogeneity=2, law="discrete")), gamma=(1, 3), gamma_prime=(-1, -0.01)
        )
        (kinks,) = labelled(ax, "theory: kinks")
        np.testing.assert_allclose(points(kinks)[:, 1], (1 - points(kinks)[:, 0]) / 2, atol=1e-12)

    def test_contours_of_a_layer(self):
        ax = mf.plotting.exponent_map(derive_exponents(), layer="a")
        (contours,) = labelled(ax, "theory: contours of S_a")
        for level, path in zip(contours.levels, contours.get_paths(), strict=True):
            if len(path.vertices):
                (S_a,) = derive_exponents().numeric("S_a")(*path.vertices.T)
                # Piecewise linear: contours on a mesh of 2/240 err at kinks only
                assert np.max(np.abs(S_a - level)) < 2 * 2 / 240
        assert "critical" not in {text.get_text() for text in ax.texts}
        assert 0.0 in contours.levels  # the heavy line is that of S_w
        assert {text.get_text() for text in ax.texts if text.get_position()[0] == 1.0} >= {"0.5"}

    def test_a_frozen_layer_has_no_contours(self):
        ax = mf.plotting.exponent_map(derive_exponents(TwoLayer(train_input=False)))
        assert labelled(ax, "theory: contours of S_w") == []

    def test_bad_input(self):
        with pytest.raises(mf.InputError, match=r"the range of gamma is \(2, 1\)"):
            mf.plotting.exponent_map(derive_exponents(), gamma=(2, 1))
        with pytest.raises(mf.InputError, match="no exponent is called 'S_b'"):
            mf.plotting.exponent_map(derive_exponents(), layer="b")

    def test_regions_are_clipped_to_the_view(self):
        view = View((0.0, 2.0), (-1.0, 1.0))
        area = 0.0
        for region in derive_exponents().regions:
            x, y = clipped(region, view).T
            area += abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
        assert area == pytest.approx(4.0, rel=1e-12)  # they tile the rectangle


@pytest.fixture(scope="module")
def diagram():
    return mf.phase_diagram(
        mf.datasets.four_points(), gamma=[0.5, 1.0, 1.5], gamma_prime=[-0.5, 0.5], widths=[20, 80], seeds=2,
        progress=False,
    )  # fmt: skip


class TestOverDiagram:
    def test_derived_theory_is_the_default_one(self, diagram):
        """The same boundary and the same contours, from both."""
        plain, derived = (
            mf.plotting.phase_diagram(diagram),
            mf.plotting.phase_diagram(diagram, theory=derive_exponents()),
        )
        (one,), (two,) = labelled(plain, "theory: boundary"), labelled(derived, "theory: boundary")
        reached = {tuple(np.round(p, 9)) for p in points(two)}
        assert {tuple(np.round(p, 9)) for p in points(one)} <= reached
        contours = [labelled(ax, "theory: contours of S_w")[0] for ax in (plain, derived)]
        np.testing.assert_array_equal(contours[0].levels, contours[1].levels)
        for left, right in zip(*(c.get_paths() for c in contours), strict=True):
            np.testing.assert_allclose(left.vertices, right.vertices, atol=1e-12)
        assert labelled(plain, "theory: kinks") == []

    def test_another_network(self, diagram):
        frozen = derive_exponents(TwoLayer(train_output=False))
        ax = mf.plotting.phase_diagram(diagram, theory=frozen)
        (line,) = labelled(ax, "theory: boundary")
        assert np.all(points(line)[:, 0] == 1.0)

    def test_an_interval_of_zeros_is_critical(self, diagram):
        """ReLU cubed, gamma' = -0.5: S_w is 0 for 1 <= gamma <= 3/2, condensed begins beyond the view."""
        names = {}
        for homogeneity in (1, 3):
            ax = mf.plotting.phase_diagram(
                diagram, theory=derive_exponents(TwoLayer(homogeneity=homogeneity))
            )
            names[homogeneity] = [text.get_text() for text in ax.findobj(Text)]
        assert names[1].count("critical") + 1 == names[3].count("critical")


class TestLawAgainstWidth:
    def test_law_is_drawn_where_it_holds(self, diagram):
        ax = mf.plotting.rd_against_width(diagram, [(0.5, 0.5), (1.5, -0.5)])
        (law,) = labelled(ax, "law 0")
        assert labelled(ax, "law 1") == []  # condensed
        m, rd_w = law.get_data()
        expected, _ = DisplacementLaw(diagram.problem).displacement(mf.Scaling(0.5, 0.5), m)
        np.testing.assert_allclose(rd_w, expected, rtol=1e-12)
        assert (m[0], m[-1]) == pytest.approx((20, 80))

    def test_law_counts_neurons_as_the_diagram_does(self):
        """Widths that count one of two halves: the law goes through the runs, without a free constant.

        With 2 x 400 neurons kernels fluctuate by a few over sqrt(400); a wrong count would be off by 2.
        """
        halves = mf.phase_diagram(
            mf.datasets.four_points(), gamma=[0.4], gamma_prime=[0.0], widths=[100, 400], seeds=3,
            per_half=True, progress=False,
        )  # fmt: skip
        ax = mf.plotting.rd_against_width(halves, [(0.4, 0.0)])
        (law,) = labelled(ax, "law 0")
        measured = np.exp(np.mean(np.log(halves.rd_w[0, 0, -1])))
        assert law.get_ydata()[-1] == pytest.approx(measured, rel=0.25)

    def test_no_law_without_twins(self):
        random = mf.phase_diagram(
            mf.datasets.four_points(), gamma=[0.5], gamma_prime=[0.0], widths=[20, 80], seeds=1,
            antisymmetric=False, progress=False,
        )  # fmt: skip
        assert labelled(mf.plotting.rd_against_width(random, [(0.5, 0.0)]), "law 0") == []


class TestDocumentation:
    def test_the_page_is_what_the_objects_say(self):
        assert (ROOT / "docs" / "theory.md").read_text() == render(), (
            "docs/theory.md is not what the code derives; run python -m meanfield.symbolic > docs/theory.md"
        )

    def test_every_claim_has_a_formula_and_a_test_that_exists(self):
        names = set()
        for claim in claims():
            assert claim.name not in names
            names.add(claim.name)
            assert claim.standing in Standing
            assert len(claim.render()) > 5
            file, *path = claim.test.split("::")
            found = importlib.util.spec_from_file_location(file[:-3], ROOT / "tests" / file)
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
            for name in path:
                module = getattr(module, name)
            assert callable(module)

    def test_numeric_counterparts_exist(self):
        for claim in claims():
            if claim.numeric is not None:
                module, _, name = claim.numeric.rpartition(".")
                assert callable(getattr(importlib.import_module(module), name))
