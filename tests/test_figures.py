"""The paper's figures: their quick versions' numbers against theory, closed forms or published values."""

import csv
import functools
import json
import math
import re
import struct
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import meanfield as mf
from meanfield.cli import main
from meanfield.experiments.figures import FIGURES, Check


@functools.cache
def quick(name):
    """The result of a quick version, computed once."""
    return mf.figures.run(name, quick=True, progress=False)


def run(capsys, *argv):
    code = main([str(argument) for argument in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def disagreeing(result):
    return [check for check in result.checks if not check.agrees]


@pytest.mark.parametrize("name", FIGURES)
class TestEveryFigure:
    def test_numbers_agree_with_published_ones_and_theory(self, name):
        result = quick(name)
        assert result.checks
        assert not disagreeing(result)

    def test_table_is_tidy(self, name):
        result = quick(name)
        assert result.rows
        assert {len(row) for row in result.rows} == {len(result.header)}
        assert len(set(result.header)) == len(result.header)

    def test_drawing_lies_on_the_paper_at_a_printed_width(self, name):
        figure = mf.plotting.figure(quick(name))
        figure.draw_without_rendering()
        width, height = figure.get_size_inches()
        assert width in (3.25, 6.75)
        box = figure.get_tightbbox()
        assert box.x0 >= -0.01
        assert box.y0 >= -0.01
        assert box.x1 <= width + 0.01
        assert box.y1 <= height + 0.01


class TestCommand:
    def test_list_names_all_with_needs_and_times(self, capsys):
        code, out, _ = run(capsys, "figure", "--list")
        assert code == 0
        for name, entry in FIGURES.items():
            (row,) = re.findall(rf"^{name} +\d+ s +\d+ s (.*(?:\n {{10}}.*)*)", out, flags=re.M)
            assert row.split() == f"{entry.shows}; needs {entry.needs}".split()
        listed = json.loads(run(capsys, "figure", "--list", "--json")[1])
        assert [figure["name"] for figure in listed] == list(FIGURES)

    def test_writes_pictures_and_the_table_beside_them(self, capsys, tmp_path):
        code, out, err = run(
            capsys, "figure", "rd-against-width", "--quick", "--workers", "1", "--output", tmp_path
        )
        assert code == 0
        assert not err
        assert "published" in out
        result = quick("rd-against-width")
        assert f"{len(result.checks)} of {len(result.checks)} numbers agree" in out
        for name in ("png", "pdf", "svg", "csv"):
            assert (tmp_path / f"rd-against-width.{name}").stat().st_size > 0
        with (tmp_path / "rd-against-width.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [float(row["rd_w"]) for row in rows] == result.column("rd_w")

    def test_leaves_no_figure_open(self, capsys, tmp_path):
        import matplotlib.pyplot as plt

        assert run(capsys, "figure", "schemes", "--out", tmp_path, "--formats", "svg")[0] == 0
        assert plt.get_fignums() == []

    def test_resumes_from_the_store(self, capsys, tmp_path):
        argv = [
            "figure",
            "rd-against-width",
            "--quick",
            "--workers",
            "1",
            "--out",
            tmp_path,
            "--formats",
            "svg",
        ]
        first = run(capsys, *argv)
        store = tmp_path / "sweep-seed-0.sqlite"
        written = store.stat().st_mtime_ns
        assert run(capsys, *argv) == first
        assert store.stat().st_mtime_ns == written

    def test_json_holds_table_and_checks(self, capsys, tmp_path):
        code, out, _ = run(
            capsys, "figure", "schemes", "--width", "512", "--dim", "785", "--json", "--out", tmp_path,
            "--formats", "svg",
        )  # fmt: skip
        printed = json.loads(out)
        assert code == 0
        assert all(check["agrees"] for check in printed["checks"])
        assert printed["table"][0]["kappa"] == pytest.approx(1 / math.sqrt(512 * 785), rel=1e-14)

    @pytest.mark.parametrize(
        ("argv", "sentence"),
        [
            (["nothing"], "no figure is called 'nothing'; choose one of schemes"),
            ([], "no figure given; choose one of"),
            (["schemes", "--rng", "-1"], "--rng is -1; give at least 0"),
            (["schemes", "--width", "1"], "--width is 1; give a whole number >= 2"),
            (["schemes", "--images", "x"], "one of images and labels is given without the other"),
            (["schemes", "--formats", "gif"], "--formats is 'gif'"),
        ],
    )
    def test_mistakes(self, capsys, tmp_path, monkeypatch, argv, sentence):
        monkeypatch.chdir(tmp_path)
        code, out, err = run(capsys, "figure", *argv)
        assert code == 2
        assert not out
        assert err.count("\n") == 1
        assert sentence in err


class TestCheck:
    def test_difference_and_verdict(self):
        assert Check("x", 1.1, 1.0, "theory", 0.2).difference == pytest.approx(0.1)
        assert Check("x", 1.1, 1.0, "theory", 0.2).agrees
        assert not Check("x", 11.0, 10.0, "theory", 0.2).agrees
        assert Check("x", 11.0, 10.0, "theory", 0.2, relative=True).agrees
        assert Check("x", -9.0, -10.0, "theory", 1.0, relative=True).difference == pytest.approx(0.1)
        assert not Check("x", math.nan, 1.0, "theory", 9.0).agrees


def test_gallery_shows_every_figure_with_its_command():
    docs = Path(__file__).resolve().parent.parent / "docs"
    page = (docs / "figures.md").read_text()
    for name in FIGURES:
        assert re.search(rf"^meanfield figure {name}( |$)", page, flags=re.M), name
        assert f"(images/figures/{name}.png)" in page
        picture = (docs / "images" / "figures" / f"{name}.png").read_bytes()
        assert len(picture) < 400_000
        width, _, _, colours = struct.unpack(">IIBB", picture[16:26])
        assert width in (3.25 * 300, 6.75 * 300)  # as the command writes it
        assert colours in (2, 6)  # all of them: no palette


def test_only_results_are_drawn():
    with pytest.raises(mf.InputError, match=r"result is a str; give the result of meanfield\.figures\.run"):
        mf.plotting.figure("schemes")


class TestSchemes:
    def test_numbers_are_the_closed_forms(self):
        """By hand from alpha, beta1 and beta2, at odd m and d."""
        m, d = 777, 31
        table = mf.figures.run("schemes", width=m, dim=d)
        found = {row[0]: row[4:6] for row in table.rows}
        expected = {
            "LeCun": ((m * d) ** -0.5, (d / m) ** 0.5),
            "He": (2 * (m * d) ** -0.5, (d / m) ** 0.5),
            "Xavier": (2 * ((m + 1) * (m + d)) ** -0.5, ((m + d) / (m + 1)) ** 0.5),
            "NTK": (m**-0.5, 1.0),
            "mean-field": (1 / m, 1.0),
            "E, Ma, Wu, b = 1": (1 / m, 1 / m),
        }
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name] == pytest.approx(values, rel=1e-14), name

    def test_regimes(self):
        """E, Ma and Wu (2020) at b = 1 lie off the boundary on the linear side."""
        regimes = dict(zip(*(quick("schemes").column(name) for name in ("scheme", "regime")), strict=True))
        assert [name for name, regime in regimes.items() if regime == "critical"] == ["Xavier", "mean-field"]
        assert set(regimes.values()) == {"critical", "linear"}


class TestRdAgainstWidth:
    def test_published_runs_are_drawn_where_they_are(self):
        from meanfield.experiments.figures import published

        (ax,) = mf.plotting.figure(quick("rd-against-width")).axes
        drawn = {line.get_label(): line.get_data() for line in ax.lines}
        for k, gamma in enumerate((0.5, 1.0, 1.75)):
            widths, values = drawn[f"published {k}"]
            np.testing.assert_array_equal(widths, published.WIDTHS[:3])
            np.testing.assert_array_equal(values, published.RD_W[gamma][:3])


class TestPhaseDiagram:
    def test_points_stand_at_the_schemes_exponents(self):
        (ax,) = mf.plotting.figure(quick("phase-diagram")).axes
        (points,) = [line for line in ax.lines if line.get_label() == "schemes"]
        assert set(zip(*points.get_data(), strict=True)) == {(0.5, 0.5), (1.0, 0.0), (0.5, 0.0), (1.0, 1.0)}

    def test_every_scheme_is_named_with_its_exponent(self):
        result = quick("phase-diagram")
        (ax,) = mf.plotting.figure(result).axes
        written = "\n".join(text.get_text() for text in ax.texts)
        for scheme in result.schemes:
            assert scheme.name in written
            assert f"{abs(scheme.S_w.value):.2f}" in written

    def test_xavier_and_mean_field_share_a_limit_he_and_lecun_a_law(self):
        """He's kappa is twice LeCun's at the same kappa': RD_w is half (linear regime), draw by draw."""
        rows = quick("phase-diagram").rows
        rd = {name: np.array([row[5] for row in rows if row[0] == name]) for name in ("LeCun", "He")}
        np.testing.assert_allclose(rd["He"] / rd["LeCun"], 0.5, rtol=0.05)


class TestOwnKernel:
    def test_is_the_frozen_pattern_flow_integrated(self):
        """The law's differential equations by SciPy, neuron by neuron: residual, a, and w by a."""
        from scipy.integrate import solve_ivp

        from meanfield.experiments.figures.own_kernel import OwnKernel

        problem = mf.Problem([-1.0, 0.2, 0.9], [1.0, -0.4, 0.6])
        network = mf.Particles.sample(
            problem, mf.Scaling(alpha="m**0.7", beta1="m**-0.2", beta2=1), 12, rng=5
        )
        run = mf.gradient_flow(problem, network, loss_atol=1e-3, progress=False)
        a0, w0, x, n = network.a, network.w, problem.x, problem.n
        kappa, kappa_prime = network.kappa, network.kappa_prime
        z = w0 @ x.T
        relu, on = np.maximum(z, 0.0), z > 0
        K = kappa**2 * (relu.T @ relu / kappa_prime)
        K += kappa**2 * kappa_prime * (x @ x.T) * np.einsum("k,ki,kj->ij", a0**2, on, on)

        def velocity(_t, state):
            e, a = state[:n], state[n : n + 12]
            da = -kappa / kappa_prime * (relu @ e) / n
            dw = -kappa * kappa_prime * a[:, None] * ((on * e) @ x) / n
            return np.concatenate([-K @ e / n, da, dw.ravel()])

        start = np.concatenate([-problem.y, a0, np.zeros(w0.size)])
        end = solve_ivp(velocity, (0.0, run.time[-1]), start, rtol=1e-10, atol=1e-12, method="DOP853").y[
            :, -1
        ]
        law = OwnKernel(run)
        assert law.rd_w() == pytest.approx(np.linalg.norm(end[n + 12 :]) / np.linalg.norm(w0), rel=1e-7)
        np.testing.assert_allclose(law.predict(problem.x[:, 0]) - problem.y, end[:n], atol=1e-9)


class TestLearnedFunctions:
    def test_kernel_solution_passes_through_the_data_and_is_the_limit_s_closed_form(self):
        from meanfield.experiments.figures.learned_functions import kernel_solution
        from meanfield.limits import KernelRegime

        problem, x = mf.datasets.four_points(), np.linspace(-1, 1, 31)
        np.testing.assert_allclose(kernel_solution(problem, problem.x[:, 0]), problem.y, atol=1e-12)
        other = KernelRegime.at(problem, mf.Scaling(0.5), 1e6).output(x)
        np.testing.assert_allclose(kernel_solution(problem, x), other, atol=1e-9)

    def test_curves_are_the_runs_and_the_limit(self):
        result = quick("learned-functions")
        for ax, panel in zip(mf.plotting.figure(result).axes, result.panels, strict=True):
            drawn = {line.get_label(): line.get_data() for line in ax.lines}
            x, f = drawn["infinite width"]
            np.testing.assert_array_equal(f, panel.limit.predict(x))
            assert ("kernel solution" in drawn) == (panel.gamma < 1)
            at, f = drawn["$m$ = 2000"]
            np.testing.assert_allclose(f, panel.runs[-1].predict(at))


class TestSplitting:
    def test_kappa_is_that_of_gamma_whatever_the_splitting(self):
        """By hand from alpha, beta1 and beta2 in the table: m counts one half."""
        result = quick("splitting")
        for row in result.rows:
            cells = dict(zip(result.header, row, strict=True))
            assert cells["kappa"] == pytest.approx(cells["m"] ** -cells["gamma"], rel=1e-12)
            assert cells["kappa_prime"] == pytest.approx(4.0 if "4" in cells["splitting"] else 1.0, rel=1e-12)

    def test_marks_stand_at_the_measured_slopes(self):
        result = quick("splitting")
        (ax,) = mf.plotting.figure(result).axes
        drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
        for name, slopes in result.slopes.items():
            assert list(drawn[name]) == [slope.value for slope in slopes]


class TestExponentMap:
    def test_published_zeros_stand_beside_measured_ones(self):
        from meanfield.experiments.figures import published

        ax = mf.plotting.figure(quick("exponent-map")).axes[0]
        (stars,) = [line for line in ax.lines if line.get_label() == "published zeros"]
        gamma, gamma_prime = stars.get_data()
        assert {published.ZEROS[at] for at in gamma_prime} == set(gamma)
        assert set(gamma_prime) == {-0.4, 0.0, 0.2}


class TestCondensation:
    def test_three_neurons_are_the_condensed_limit(self):
        """A network of the limit's directions and sizes is the linear interpolant of the four points."""
        from meanfield.experiments.figures.condensation import condensed_limit

        problem = mf.datasets.four_points()
        directions, shares = condensed_limit(problem)
        angles = np.array([*directions, np.pi / 2])
        sizes = np.array([*shares, 1 - shares.sum()])
        sizes *= problem.y[1] / sizes[-1]  # the last one is the constant
        w = np.column_stack([np.cos(angles), np.sin(angles)])
        network = mf.Particles.from_arrays(sizes, w, kappa=1.0, kappa_prime=1.0)
        x = np.linspace(-0.5, 0.5, 41)
        expected = np.interp(x, problem.x[:, 0], problem.y)
        np.testing.assert_allclose(network.output(np.column_stack([x, np.ones(41)])), expected, atol=1e-14)

    def test_shares_by_hand(self):
        from meanfield.experiments.figures.condensation import shares_near

        angles = np.array([0.0, 0.04, 0.06, np.pi - 0.02])
        w = np.column_stack([np.cos(angles), np.sin(angles)])
        network = mf.Particles.from_arrays([1.0, -2.0, 3.0, 4.0], w, kappa=1.0, kappa_prime=1.0)
        np.testing.assert_allclose(shares_near(network, np.array([0.0, -np.pi + 0.02])), [0.3, 0.4])

    def test_another_seed_is_another_draw_and_the_same_seed_the_same(self):
        first, other, again = (
            mf.figures.run("condensation", quick=True, seed=seed).shares for seed in (1, 2, 1)
        )
        assert not np.array_equal(first, other)
        np.testing.assert_array_equal(first, again)


class TestCondensationImages:
    def test_takes_idx_files(self, tmp_path):
        from meanfield.experiments.figures.condensation_images import images
        from meanfield.experiments.figures.entry import Request

        rng = np.random.default_rng(0)
        pixels, marks = rng.integers(0, 256, (60, 3, 4), dtype=np.uint8), np.arange(60, dtype=np.uint8) % 10
        for name, array in (("images", pixels), ("labels", marks)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(k.to_bytes(4, "big") for k in array.shape)
            (tmp_path / name).write_bytes(head + array.tobytes())
        problem = images(Request(images=tmp_path / "images", labels=tmp_path / "labels"))
        assert (problem.n, problem.d) == (45, 13)
        assert images(Request()).name == "digits"

    def test_early_direction_is_a_fixed_point_of_its_own_cone(self):
        from meanfield.experiments.figures.condensation_images import early_direction

        problem = mf.datasets.digits(45)
        u, rate = early_direction(problem)
        D = (problem.y * (problem.x @ u > 0)) @ problem.x / problem.n
        assert abs(D @ u) == pytest.approx(rate, rel=1e-12)
        np.testing.assert_allclose(np.sign(D @ u) * D, rate * u, atol=1e-12)

    @pytest.mark.slow
    def test_early_direction_is_the_fastest_that_the_general_search_finds(self):
        from meanfield.experiments.figures.condensation_images import early_direction

        problem = mf.datasets.digits(45)
        u, rate = early_direction(problem)
        fastest = mf.limits.early_alignment(problem).extremals[0]
        assert fastest.rate == pytest.approx(rate, rel=1e-6)
        assert fastest.direction @ u == pytest.approx(1.0, abs=1e-6)


class TestTanh:
    def test_stars_stand_at_the_zeros_and_points_at_the_grid(self):
        result = quick("tanh")
        left, right, _ = mf.plotting.figure(result).axes
        (stars,) = [line for line in right.lines if line.get_label() == "measured zeros"]
        assert list(stars.get_xdata()) == [zero.gamma for zero in result.zeros]
        (limit,) = [line for line in left.lines if line.get_label() == "theory: limit"]
        gamma, S_w = limit.get_data()
        np.testing.assert_allclose(S_w, np.where(gamma < 1, gamma - 1, 0.0))

    def test_all_networks_trained(self):
        assert set(quick("tanh").column("status")) == {"CONVERGED"}


def test_figures_load_no_matplotlib():
    import subprocess
    import sys

    code = "import sys, meanfield as mf; mf.figures.run('schemes'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "sympy"} & set(loaded.stdout.split())


def test_matplotlib_settings_are_untouched():
    before = dict(matplotlib.rcParams)
    mf.plotting.figure(quick("schemes"))
    assert dict(matplotlib.rcParams) == before
