"""The command line: what it prints and writes, its exit codes, and one kind sentence for every mistake."""

import csv
import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield.cli import main

TINY = ["--gamma", "0.5,1.5", "--gamma-prime", "0", "--widths", "20,40,80", "--seeds", "2", "--workers", "1"]


def run(capsys, *argv):
    code = main([str(argument) for argument in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def data_file(tmp_path):
    path = tmp_path / "my data.csv"
    x = np.linspace(-1, 1, 5)
    np.savetxt(path, np.column_stack([x, np.abs(x)]), delimiter=",")
    return path


class TestPhaseDiagram:
    def test_default_data(self, capsys, tmp_path):
        code, out, err = run(capsys, "phase-diagram", *TINY, "--out", tmp_path / "o")
        assert code == 0
        assert not err
        assert "four points: 4 samples, d = 2" in out
        assert re.search(r"of \d decided points are on the theory's side of the boundary", out)
        assert "For a paper: Phase diagram of four points" in out
        for name in ("summary.csv", "runs.csv", "sweep.sqlite", "phase-diagram.png", "phase-diagram.pdf"):
            assert (tmp_path / "o" / name).stat().st_size > 0
            assert name in out
        with (tmp_path / "o" / "summary.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [float(row["gamma"]) for row in rows] == [0.5, 1.5]
        assert float(rows[0]["S_w"]) < 0 < float(rows[1]["S_w"])

    def test_prediction_at_these_widths(self, capsys, tmp_path):
        code, out, _ = run(
            capsys, "phase-diagram", *TINY, "--predict", "--quiet", "--formats", "png", "--out", tmp_path
        )
        assert code == 0
        with (tmp_path / "summary.csv").open() as file:
            rows = list(csv.DictReader(file))
        inside = 0
        for row in rows:
            S_w, low, high = (float(row[name]) for name in ("S_w", "S_w_low", "S_w_high"))
            predicted, error = float(row["S_w_at_widths"]), float(row["S_w_at_widths_error"])
            assert f"{predicted:+.3f}" in out
            assert abs(predicted - S_w) < 0.3
            half = math.hypot((high - low) / 2, error) + float(row["S_w_fluctuation"])
            assert row["agrees"] in ("", str(abs(predicted - S_w) <= half))
            inside += row["agrees"] == "True"
        decided = sum(row["agrees"] != "" for row in rows)
        if decided:
            assert f"{inside} of {decided} points hold the prediction at these widths" in out

    def test_own_data_goes_to_a_folder_of_its_name(self, capsys, tmp_path, data_file, monkeypatch):
        monkeypatch.chdir(tmp_path)
        code, out, _ = run(capsys, "phase-diagram", "--data", data_file, *TINY, "--formats", "svg")
        assert code == 0
        assert (tmp_path / "meanfield-output" / "my-data" / "phase-diagram.svg").exists()
        assert "my data: 5 samples" in out

    def test_json_is_the_library_s_result(self, capsys, tmp_path):
        code, out, _ = run(
            capsys, "phase-diagram", *TINY, "--out", tmp_path, "--json", "--formats", "svg", "--quiet"
        )
        assert code == 0
        printed = json.loads(out)
        diagram = mf.phase_diagram(
            mf.datasets.four_points(),
            gamma=[0.5, 1.5],
            gamma_prime=0,
            widths=[20, 40, 80],
            seeds=2,
        )
        assert [point["S_w"] for point in printed["points"]] == diagram.S_w.ravel().tolist()
        assert printed["runs"] == 12
        assert printed["methods"].startswith("Phase diagram of four points")
        assert printed["not_converged"] == 0

    def test_a_width_counts_all_neurons(self, capsys, tmp_path):
        """m neurons and kappa = m**-gamma, as in Python and in `train`; run here by hand."""
        argv = ["--gamma", "0.9", "--gamma-prime", "-0.2", "--widths", "20,80", "--seeds", "1"]
        common = ["phase-diagram", *argv, "--workers", "1", "--formats", "svg"]
        code, out, _ = run(capsys, *common, "--out", tmp_path)
        assert code == 0
        assert "widths 20, 80 (m neurons), 1 seeds" in out
        assert "widths m = 20, 80 (neurons, antisymmetric initialisation)" in out
        with (tmp_path / "runs.csv").open() as file:
            found = {int(row["width"]): float(row["rd_w"]) for row in csv.DictReader(file)}
        problem = mf.datasets.four_points()
        for m in (20, 80):
            seed = np.random.SeedSequence(0, spawn_key=(0,))
            network = mf.Particles.sample(problem, mf.Scaling(0.9, -0.2), m, rng=seed)
            assert (network.size, network.kappa) == (m, pytest.approx(m**-0.9))
            by_hand = mf.gradient_flow(problem, network, rtol=1e-2)
            assert found[m] == pytest.approx(by_hand.stats.rd_w_max, rel=1e-12)

    @pytest.mark.parametrize(
        ("argv", "halves"),
        [
            ([], False),
            (["--per-half"], True),
            (["--preset", "paper"], True),
            (["--preset", "paper", "--no-per-half"], False),
        ],
    )
    def test_the_paper_s_halves_are_an_option_and_said(self, capsys, tmp_path, argv, halves):
        grid = ["--gamma", "0.9", "--gamma-prime", "-0.2", "--widths", "20,80", "--seeds", "1"]
        common = [*argv, *grid, "--workers", "1", "--out", tmp_path]
        code, out, _ = run(capsys, "phase-diagram", *common, "--formats", "svg", "--json")
        assert code == 0
        printed = json.loads(out)
        direct = mf.phase_diagram(
            mf.datasets.four_points(), gamma=0.9, gamma_prime=-0.2, widths=[20, 80], per_half=halves,
            loss_atol=5e-7 if "paper" in argv else None,
        )  # fmt: skip
        assert printed["points"][0]["S_w"] == direct.S_w.item()
        assert printed["settings"]["per_half"] is halves
        assert ("(neurons in each of two twin halves, " in printed["methods"]) is halves
        picture = (tmp_path / "phase-diagram.svg").read_text()
        assert ("neurons per twin half" in picture) is halves
        code, out, _ = run(capsys, "phase-diagram", *common, "--formats", "svg")
        assert ("(m in each of two twin halves)" in out) is halves

    def test_again_is_a_resumption(self, capsys, tmp_path):
        first = run(capsys, "phase-diagram", *TINY, "--out", tmp_path, "--formats", "svg")
        table = (tmp_path / "runs.csv").read_bytes()
        written = (tmp_path / "sweep.sqlite").stat().st_mtime_ns
        again = run(capsys, "phase-diagram", *TINY, "--out", tmp_path, "--formats", "svg")
        assert again == first
        assert (tmp_path / "runs.csv").read_bytes() == table
        assert (tmp_path / "sweep.sqlite").stat().st_mtime_ns == written

    def test_runs_that_do_not_converge_are_named_and_exit_1(self, capsys, tmp_path, monkeypatch):
        from meanfield.experiments import sweep

        checked = sweep.checked_settings
        monkeypatch.setattr(
            sweep, "checked_settings", lambda *grid, **given: checked(*grid, **{**given, "max_steps": 2})
        )
        code, out, _ = run(capsys, "phase-diagram", *TINY, "--out", tmp_path, "--formats", "svg")
        assert code == 1
        assert "12 of 12 runs did not converge" in out
        assert "MAX_STEPS" in out

    def test_ranges_and_negative_lists(self, capsys, tmp_path):
        argv = ["--gamma", "0.5:1.5:0.5", "--gamma-prime", "-0.4,0", "--widths", "10,20", "--seeds", "1"]
        code, out, _ = run(
            capsys, "phase-diagram", *argv, "--workers", "1", "--out", tmp_path, "--json", "--formats", "svg"
        )
        assert code == 0
        points = {(point["gamma"], point["gamma_prime"]) for point in json.loads(out)["points"]}
        assert points == {(g, gp) for g in (0.5, 1.0, 1.5) for gp in (-0.4, 0.0)}


class TestSweeps:
    """Verbs around a sweep: parts of it, stores, pictures while it runs."""

    def test_shards_merge_into_the_same_table(self, capsys, tmp_path):
        for part in (1, 2):
            code, out, err = run(capsys, "shard", f"{part}/2", *TINY, "--out", tmp_path / "parts")
            assert (code, err) == (0, "")
            assert f"shard {part}/2: 6 of 12 cells are in" in out
        stores = sorted((tmp_path / "parts").glob("shard-*.sqlite"))
        assert [path.name for path in stores] == ["shard-1-of-2.sqlite", "shard-2-of-2.sqlite"]
        code, out, _ = run(capsys, "merge", *stores)
        assert code == 0
        merged = tmp_path / "parts" / "sweep.sqlite"
        assert out.splitlines()[0] == f"{merged}: 12 cells, 12 of them new"
        before = merged.read_bytes()
        run(capsys, "phase-diagram", *TINY, "--out", tmp_path / "parts", "--formats", "svg")
        assert merged.read_bytes() == before  # nothing was left to run
        grid = {"gamma": [0.5, 1.5], "gamma_prime": 0, "widths": [20, 40, 80], "seeds": 2}
        whole = mf.phase_diagram(mf.datasets.four_points(), **grid)
        table = whole.runs_to_csv(tmp_path / "whole.csv").read_bytes()
        assert (tmp_path / "parts" / "runs.csv").read_bytes() == table

    def test_store_show_and_export(self, capsys, tmp_path):
        store = tmp_path / "shard-1-of-1.sqlite"
        run(capsys, "shard", "1/1", *TINY, "--out", tmp_path)
        code, out, _ = run(capsys, "store", "show", store)
        assert code == 0
        assert "12 cells" in out
        assert "width       20, 40, 80" in out
        code, out, _ = run(capsys, "store", "export", store, tmp_path / "cells.csv")
        assert (code, out.strip()) == (0, str(tmp_path / "cells.csv"))
        with (tmp_path / "cells.csv").open() as file:
            assert len(list(csv.DictReader(file))) == 12

    def test_live(self, capsys, tmp_path, monkeypatch):
        """The picture is there before the sweep is done, and nothing else is left of it."""
        from meanfield import plotting

        drawn = []
        save = plotting.save

        def counting(figure, path, formats=None):
            drawn.append(path)
            return save(figure, path, formats=formats)

        monkeypatch.setattr(plotting, "save", counting)
        code, _, _ = run(capsys, "phase-diagram", *TINY, "--live", "0", "--out", tmp_path, "--formats", "png")
        assert code == 0
        assert len(drawn) > 2
        assert {path.name for path in tmp_path.iterdir()} == {
            "phase-diagram.png", "phase-diagram.toml", "rd-against-width.png", "runs.csv", "summary.csv",
            "sweep.sqlite",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("argv", "sentence"),
        [
            (["shard", "3"], r"the shard is '3'; give I/N, such as 3/8"),
            (["shard", "3/2"], r"the shard is 3/2; give I/N with I from 1 to N"),
            (["shard", "1/2", "--memory", "much"], r"--memory is 'much'; give a size such as 8GB or 500MB"),
            (
                ["phase-diagram", "--memory", "1MB"],
                r"a run of width 8000 needs about .*; give smaller",
            ),
            (
                ["phase-diagram", "--dask", "here"],
                r"--dask is 'here'; give a scheduler's address",
            ),
            (["phase-diagram", "--dask", "tcp://a:1", "--workers", "2"], r"give --workers .* not both"),
            (["phase-diagram", "--live", "-1"], r"--live is -1\.0; give a number of seconds >= 0"),
            (["merge", "none.sqlite"], r"there is no store none\.sqlite; give the file that a sweep wrote"),
            (["store", "show", "none.sqlite"], r"there is no store none\.sqlite"),
            (["store", "export", "none.sqlite", "cells.csv"], r"there is no store none\.sqlite"),
            (
                ["store", "export", "none.sqlite", "cells.doc"],
                r"ends in '\.doc'; give a name in \.csv",
            ),
        ],
    )
    def test_mistakes(self, capsys, tmp_path, monkeypatch, argv, sentence):
        monkeypatch.chdir(tmp_path)
        code, out, err = run(capsys, *argv)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert re.search(sentence, err), err


class TestMistakes:
    def test_an_interruption_without_words_says_so(self, capsys, monkeypatch):
        def interrupted(**_):
            raise KeyboardInterrupt

        monkeypatch.setattr("meanfield.cli.verbs.regime.regime.callback", interrupted)
        assert run(capsys, "regime", "ntk") == (130, "", "\nmeanfield: interrupted\n")

    @pytest.mark.parametrize(
        ("argv", "sentence"),
        [
            (["--data", "nowhere.csv"], r"nowhere\.csv"),
            (["--gamma", "0.5,one"], r"--gamma is '0\.5,one'; give numbers"),
            (["--gamma", "1:0:0.1"], r"--gamma is '1:0:0\.1'; give numbers"),
            (["--widths", "100"], r"a slope needs at least two"),
            (["--widths", "-100,200"], r"--widths holds -100; give positive whole numbers"),
            (["--widths", "100.5,200"], r"--widths holds 100\.5"),
            (["--widths", "11,31"], r"widths must be even .* \(or count .*: --per-half\)"),
            (["--seeds", "0"], r"--seeds is 0; give at least 1"),
            (["--workers", "0"], r"--workers is 0; give at least 1"),
            (["--formats", "gif"], r"--formats is 'gif'; give some of png, pdf and svg"),
            (["--labels", "y.idx"], r"--labels is given without --data"),
            (["--standardise"], r"--standardise is given without --data"),
            (["--loss-tol", "-1"], r"--loss-tol is -1\.0; give a share of what can be learned, from 0"),
            (["--loss-tol", "5"], r"--loss-tol is 5\.0; give a share of what can be learned, .* below 1"),
            (["--loss-atol", "5"], r"the loss starts at .*; give a smaller one"),
            (["--store", "no/such/folder/s.sqlite"], r"folder of the store .* does not exist"),
        ],
    )
    def test_phase_diagram(self, capsys, tmp_path, monkeypatch, argv, sentence):
        monkeypatch.chdir(tmp_path)
        code, out, err = run(capsys, "phase-diagram", *argv)
        assert code == 2
        assert not out
        assert err.count("\n") == 1
        assert err.startswith("meanfield: error: ")
        assert re.search(sentence, err), err

    def test_data_without_its_option(self, capsys, tmp_path):
        path = tmp_path / "mine.csv"
        path.write_text("0,1\n1,2\n")
        code, out, err = run(capsys, "phase-diagram", path)
        assert (code, out) == (2, "")
        assert err.endswith(f"is no argument of this command; give your data as --data {path}\n")
        code, out, err = run(capsys, "train", "--widht", "20")
        assert (code, out) == (2, "")
        assert "'--widht' is no argument of this command; did you mean '--width'?" in err
        code, _, err = run(capsys, "train", "--zzz", "20")
        assert "'--zzz' is no argument of this command; --help lists all" in err

    def test_no_command_shows_them_all(self, capsys):
        code, out, err = run(capsys)
        assert (code, out) == (2, "")
        assert "phase-diagram" in err

    def test_table_as_it_comes(self, capsys, tmp_path):
        """A header, columns to choose from, features far from zero: said once, and mended by an option."""
        path = tmp_path / "oven.csv"
        path.write_text(",kelvin,who,yield\n0,290,A,1\n1,300,B,2\n2,310,A,4\n")
        code, _, err = run(capsys, "train", "--data", path, "--out", tmp_path, "--formats", "svg")
        assert code == 2
        assert "column 1 no name" in err
        common = [
            "--data",
            path,
            "--columns",
            "kelvin, yield",
            "--out",
            tmp_path,
            "--formats",
            "svg",
            "--quiet",
        ]
        code, _, err = run(capsys, "train", *common, "--width", "20", "--max-seconds", "0.1")
        assert code in (0, 1)
        assert "feature 'kelvin' of oven runs from 290 to 310, far from zero" in err
        code, _, err = run(capsys, "train", *common, "--standardise", "--width", "200")
        assert code == 0
        assert "far from zero" not in err

    def test_folder_that_cannot_be_written(self, capsys, tmp_path):
        (tmp_path / "file").write_text("")
        code, _, err = run(capsys, "phase-diagram", *TINY, "--out", tmp_path / "file" / "sub")
        assert code == 2
        assert "give a writable one with --out" in err

    def test_store_of_another_problem_is_left_alone(self, capsys, tmp_path, data_file):
        run(capsys, "phase-diagram", *TINY, "--out", tmp_path / "o", "--formats", "svg")
        store = tmp_path / "o" / "sweep.sqlite"
        before = store.read_bytes()
        code, _, err = run(
            capsys, "phase-diagram", *TINY, "--data", data_file, "--out", tmp_path / "o", "--store", store
        )
        assert code == 2
        assert "belongs to another problem ('four points', not these data)" in err
        assert store.read_bytes() == before

    def test_regime(self, capsys):
        code, _, err = run(capsys, "regime", "lecunn")
        assert code == 2
        assert "no scheme is called 'lecunn'; choose one of lecun," in err
        code, _, err = run(capsys, "regime")
        assert code == 2
        assert "no scaling given" in err
        code, _, err = run(capsys, "regime", "ntk", "--gamma", "1")
        assert code == 2
        assert "in one form" in err
        code, _, err = run(capsys, "regime", "--alpha", "sqrt(m)")
        assert code == 2
        assert "beta1 and beta2 missing" in err

    def test_unknown_words_exit_2(self, capsys):
        assert run(capsys, "dance") == (
            2, "", "meanfield: error: there is no command 'dance'; meanfield --help lists all\n"
        )  # fmt: skip
        code, _, err = run(capsys, "regime", "--volume", "11")
        assert code == 2
        assert "'--volume' is no argument" in err


class TestRegime:
    def test_text(self, capsys):
        code, out, _ = run(capsys, "regime", "xavier", "--width", "1000", "--dim", "2")
        assert code == 0
        assert "Xavier: gamma = 1, gamma' = 0" in out
        assert "critical" in out
        # kappa = sqrt(2/1001) sqrt(2/1002), kappa' = sqrt(1002/1001)
        assert "kappa = 0.001997, kappa' = 1.0005" in out

    @pytest.mark.parametrize(
        ("argv", "gamma", "gamma_prime", "regime"),
        [
            (["ntk"], 0.5, 0.0, "linear"),
            (["--alpha", "1", "--beta1", "sqrt(1/m)", "--beta2", "sqrt(1/d)"], 0.5, 0.5, "linear"),
            (["--gamma", "1.75", "--gamma-prime", "-0.5"], 1.75, -0.5, "condensed"),
            (["e-ma-wu", "-b", "2"], 2.0, 2.0, "linear"),
            (["--alpha", "m", "--beta1", "1", "--beta2", "1"], 1.0, 0.0, "critical"),
        ],
    )
    def test_json(self, capsys, argv, gamma, gamma_prime, regime):
        code, out, _ = run(capsys, "regime", *argv, "--json")
        place = json.loads(out)
        assert code == 0
        assert (place["gamma"], place["gamma_prime"], place["regime"]) == (gamma, gamma_prime, regime)


#: Of every status: those that came to their end, and those that something cut off.
EXIT_CODES = {
    mf.Status.CONVERGED: 0, mf.Status.REACHED_TIME: 0, mf.Status.STATIONARY: 0, mf.Status.HELD: 0,
    mf.Status.ROUNDING: 0, mf.Status.USER: 0,
    mf.Status.MAX_STEPS: 1, mf.Status.MAX_SECONDS: 1, mf.Status.UNRESOLVED: 1,
    mf.Status.STEP_TOO_SMALL: 1, mf.Status.DIVERGED: 1, mf.Status.INTERRUPTED: 1,
}  # fmt: skip


class TestExitCodes:
    def test_every_status_has_one(self):
        assert set(EXIT_CODES) == set(mf.Status)

    @pytest.mark.parametrize("status", mf.Status, ids=lambda status: status.name)
    def test_train_and_sweeps(self, capsys, tmp_path, monkeypatch, status):
        from meanfield import flow
        from meanfield.experiments import executors

        train, cell = flow.gradient_flow, executors.run_cell
        monkeypatch.setattr("meanfield.cli.verbs.train._draw_run", lambda *_: [])
        monkeypatch.setattr(
            flow, "gradient_flow", lambda *of, **how: dataclasses.replace(train(*of, **how), status=status)
        )
        monkeypatch.setattr(
            executors, "run_cell", lambda *of: dataclasses.replace(cell(*of), status=status.name)
        )
        code, out, _ = run(capsys, "train", "--width", "10", "--loss-tol", "1e-3", "--out", tmp_path)
        assert (code, f"status    {status.name}" in out) == (EXIT_CODES[status], True)
        grid = ["--gamma", "0.5", "--gamma-prime", "0", "--widths", "10,20", "--seeds", "1", "--workers", "1"]
        code, out, _ = run(capsys, "shard", "1/1", *grid, "--out", tmp_path, "--quiet")
        assert code == EXIT_CODES[status]
        assert ("2 of them did not converge" in out) == (code == 1)

    def test_manual_and_readme_say_the_same(self, capsys):
        code, manual, _ = run(capsys, "--help")
        assert code == 0
        assert re.search("1 +a run neither converged nor came to rest, ", manual)
        assert re.search("143 +ended by SIGTERM", manual)
        readme = (Path(__file__).parent.parent / "README.md").read_text()
        said = "exit codes are 0, 1 (a run neither converged nor came to rest), 2 (bad input), 130 (Ctrl-C)"
        assert f"{said} and 143 (SIGTERM)" in readme


class TestTrain:
    def test_writes_run_and_figures(self, capsys, tmp_path):
        code, out, _ = run(
            capsys, "train", "--gamma", "1.75", "--width", "100", "--out", tmp_path, "--formats", "svg"
        )
        assert code == 0
        assert "condensed regime" in out
        assert "CONVERGED" in out
        run_ = mf.Trajectory.load(tmp_path / "run.npz")
        assert run_.converged
        assert {path.name for path in tmp_path.iterdir()} == {
            "run.npz", "run.toml", "loss.svg", "learned-function.svg", "orientations.svg",
        }  # fmt: skip

    def test_other_runs_are_kept(self, capsys, tmp_path):
        """Other settings get a number, which is said; the same command again replaces its own files."""
        common = ["train", "--width", "20", "--out", tmp_path, "--formats", "svg", "--loss-tol", "1e-3"]
        gammas = {"run.npz": "0.5", "run-2.npz": "1.5", "run-3.npz": "1.0"}
        for name, gamma in gammas.items():
            code, out, err = run(capsys, *common, "--gamma", gamma)
            assert code == 0
            assert str(tmp_path / name) in out
            kept = f"other runs in {tmp_path} are kept; this one is {name}"
            assert (kept in err) == (name != "run.npz"), err
        before = {path.name for path in tmp_path.iterdir()}
        assert {"loss.svg", "loss-2.svg", "orientations-3.svg", "learned-function-2.svg"} <= before
        for gamma in reversed(gammas.values()):
            run(capsys, *common, "--gamma", gamma)
        run(capsys, *common, "--gamma", "1.0", "--width", "10")  # the last --width counts
        assert {path.name for path in tmp_path.iterdir()} - before == {
            f"{name}-4.{kind}"
            for name, kind in (
                ("run", "npz"),
                ("run", "toml"),
                ("loss", "svg"),
                ("orientations", "svg"),
                ("learned-function", "svg"),
            )
        }
        for name, gamma in gammas.items():
            assert mf.load(tmp_path / name).initial.kappa == pytest.approx(20 ** -float(gamma))

    def test_a_run_that_cannot_be_saved_leaves_no_file(self, capsys, tmp_path, monkeypatch):
        def full(*_, **__):
            raise OSError("no space left on device")

        monkeypatch.setattr("meanfield.flow.trajectory.np.savez", full)
        code, _, err = run(capsys, "train", "--width", "20", "--out", tmp_path, "--loss-tol", "1e-3")
        assert code == 2
        assert "no space left on device" in err
        assert not list(tmp_path.iterdir())

    def test_json_and_exit_1(self, capsys, tmp_path):
        code, out, _ = run(
            capsys, "train", "--width", "50", "--max-seconds", "1e-9", "--out", tmp_path, "--json",
            "--formats", "svg",
        )  # fmt: skip
        assert code == 1
        printed = json.loads(out)
        assert printed["status"] == "MAX_SECONDS"
        assert printed["time_unit"] == "tbar"

    def test_more_than_one_feature(self, capsys, tmp_path):
        path = tmp_path / "d.npz"
        rng = np.random.default_rng(0)
        np.savez(path, x=rng.standard_normal((6, 3)), y=rng.standard_normal(6))
        code, _, _ = run(
            capsys, "train", "--data", path, "--width", "200", "--out", tmp_path / "o", "--formats", "png"
        )
        assert code == 0
        assert {path.name for path in (tmp_path / "o").iterdir()} == {"run.npz", "run.toml", "loss.png"}


class TestProcess:
    """As a stranger runs it: a process of its own."""

    def command(self, *argv, **kwargs):
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "meanfield", *map(str, argv)],
            capture_output=True, text=True, timeout=120, **kwargs,
        )  # fmt: skip

    def test_help_is_a_manual(self):
        done = self.command("phase-diagram", "--help")
        assert done.returncode == 0
        for word in ("--data", "--preset", "--workers", "--store", "--out", "exit codes", "data files"):
            assert word in done.stdout

    def test_version(self):
        assert self.command("--version").stdout.strip() == f"meanfield {mf.__version__}"

    def test_workers_give_the_same_bits(self, tmp_path):
        argv = ["phase-diagram", *TINY[:-2], "--formats", "svg"]
        for workers in ("1", "2"):
            done = self.command(*argv, "--workers", workers, "--out", tmp_path / workers)
            assert done.returncode == 0, done.stderr
            assert not done.stderr
        assert (tmp_path / "1" / "runs.csv").read_bytes() == (tmp_path / "2" / "runs.csv").read_bytes()

    def test_closed_pipe_is_no_error(self, tmp_path):
        code = f"{sys.executable} -m meanfield regime ntk --json | head -c 1 > /dev/null"
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
