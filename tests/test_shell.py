"""The command line as a shell sees it: words, files of options, completion, tables, the doctor."""

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import click
import numba
import numpy as np
import pytest

import meanfield as mf
from meanfield.cli import main
from meanfield.cli.app import cli
from meanfield.cli.options import SCHEMES_TEXT
from meanfield.cli.tables import Table, show
from meanfield.cli.verb import in_words_of_the_shell
from meanfield.scaling import SCHEMES

TINY = ["--gamma", "0.5,1.5", "--gamma-prime", "0", "--widths", "20,40", "--seeds", "2", "--workers", "1"]
MEANFIELD = Path(sys.executable).parent / "meanfield"


def run(capsys, *argv):
    code = main([str(argument) for argument in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def commands():
    """All commands with their contexts, those within others too."""
    top = click.Context(cli, info_name="meanfield", **cli.context_settings)
    found, open_ = [], [(cli, top)]
    while open_:
        command, ctx = open_.pop()
        found.append((command, ctx))
        if isinstance(command, click.Group):
            for name in command.list_commands(ctx):
                below = command.get_command(ctx, name)
                open_.append((below, click.Context(below, parent=ctx, info_name=name)))
    return found


class TestOneStyleOfErrors:
    """One sentence on standard error, exit code 2, in the words of the shell."""

    @pytest.mark.parametrize(
        ("argv", "sentence"),
        [
            ("train --width abc", "--width is 'abc'; give a whole number >= 1"),
            ("train --width 1.5", "--width is '1.5'; give a whole number >= 1"),
            ("train --width 101", "give an even width, or --no-antisymmetric"),
            ("train --gamma x", "--gamma is 'x'; give a number, such as 0.5"),
            ("train --rng -1", "--rng is -1; give at least 0"),
            ("train --width", "--width has no value; give --width M"),
            ("train --json=3", "--json takes no value; give it alone"),
            ("train --loss-tol -1", "--loss-tol is -1.0; give a share"),
            ("train --max-seconds -1", "--max-seconds is -1.0; give"),
            ("train --t-end -1", "--t-end is -1.0; give"),
            ("train --data none.csv", "none.csv"),
            ("train mine.csv", "'mine.csv' is no argument of this command; --help lists all"),
            ("phase-diagram --widths 11,31", "widths must be even for antisymmetric initialisation"),
            ("phase-diagram --widths 11,31", "two twin halves: --per-half)"),
            ("phase-diagram --per-half --no-antisymmetric", "it needs --antisymmetric"),
            ("phase-diagram --preset papr", "--preset is 'papr'; give quick or paper; did you mean 'paper'?"),
            ("phase-diagram --memory 1.2.3GB", "--memory is '1.2.3GB'; give a size"),
            ("phase-diagram --gamma nan,1", "--gamma is 'nan,1'; give numbers"),
            ("boundary --tol 0", "--tol is 0.0; give"),
            ("regime --gamma 1 --dim x", "--dim is 'x'; give a number"),
            ("regime --alpha foo(m) --beta1 1 --beta2 1", "foo"),
            ("shard", "I/N is missing; see meanfield shard --help"),
            ("merge", "FILE... is missing; see meanfield merge --help"),
            ("completion tcsh", "shell is 'tcsh'; give bash or zsh or fish"),
        ],
    )  # fmt: skip
    def test_sentence(self, capsys, tmp_path, monkeypatch, argv, sentence):
        monkeypatch.chdir(tmp_path)
        code, out, err = run(capsys, *argv.split())
        assert (code, out) == (2, ""), err
        assert err.startswith("meanfield: error: ")
        assert err.count("\n") == 1
        assert sentence in err
        assert not re.search(r"\b[a-z_]+=(True|False|None)|\b[a-z]+_[a-z]+\b", err), "words of Python"

    def test_a_shell_sees_the_same(self, tmp_path):
        done = subprocess.run(
            [MEANFIELD, "train", "--widht", "1e3"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "meanfield: error: '--widht' is no argument of this command; did you mean '--width'?\n"
        )

    @pytest.mark.parametrize(
        ("argv", "hint"),
        [
            (["traim"], "there is no command 'traim'; did you mean 'train'?"),
            (["storr"], "did you mean 'store'?"),
            (["store", "showw", "x"], "there is no command 'showw'; did you mean 'show'?"),
            (["phase-diagram", "--widht", "3"], "did you mean '--widths'?"),
            (["regime", "xavir"], "did you mean 'xavier'?"),
            (["figure", "rd-against-widht"], "did you mean 'rd-against-width'?"),
            (
                ["train", "--data", "oven.csv", "--columns", "temperaturr,yield"],
                "did you mean 'temperature'?",
            ),
        ],
    )
    def test_did_you_mean(self, capsys, tmp_path, monkeypatch, argv, hint):
        monkeypatch.chdir(tmp_path)
        Path("oven.csv").write_text("temperature,yield\n-1,1\n0,0\n1,1\n")
        code, out, err = run(capsys, *argv)
        assert (code, out) == (2, "")
        assert hint in err

    def test_messages_of_the_library_get_flags(self):
        train = cli.get_command(None, "train")
        for python, shell in {
            "give an even width, or antisymmetric=False": "give an even width, or --no-antisymmetric",
            "width is 1; give 2": "--width is 1; give 2",
            "the width is 1": "the width is 1",
            "give loss_atol=0.1 or loss_tol=": "give --loss-atol 0.1 or --loss-tol",
            "with columns= (--columns)": "with --columns (--columns)",
            "(columns=, --columns)": "(--columns)",
            "bias=False": "--no-bias",
            "standardise=True": "--standardise",
            "targets is 3; give a path": "--labels is 3; give a path",
        }.items():
            assert in_words_of_the_shell(python, train) == shell

    def test_results_speak_so_too(self, capsys, tmp_path):
        argv = ["--width", "20", "--loss-tol", "1e-3", "--max-seconds", "1e-9", "--out", tmp_path]
        code, out, _ = run(capsys, "train", *argv, "--formats", "svg")
        assert code == 1
        assert "the wall time reached --max-seconds; raise --max-seconds, or give the run" in out
        assert "gradient_flow(problem, meanfield.load(FILE)), to go on" in out
        assert "target    --loss-tol 0.001 of what can be learned" in out

    def test_an_interruption_too(self, capsys, monkeypatch, tmp_path):
        def interrupted(*_, **__):
            raise KeyboardInterrupt("after 0 cells, which are kept in s.sqlite; the same call resumes there")

        monkeypatch.setattr("meanfield.experiments.phase_diagram", interrupted)
        code, _, err = run(capsys, "shard", "1/2", "--out", tmp_path)
        assert code == 130
        assert (
            err == "\nmeanfield: after 0 cells, which are kept in s.sqlite; the same command resumes there\n"
        )

    def test_verbose_shows_where_an_error_arose(self, capsys, tmp_path):
        code, _, err = run(capsys, "train", "--width", "3", "--verbose", "--out", tmp_path)
        assert code == 2
        assert "Traceback" in err
        assert "meanfield: --width 3\n" in err
        assert err.splitlines()[-1].startswith("meanfield: error: ")


class TestOptions:
    def test_names_for_the_same(self, capsys):
        asked = ["regime", "--gamma", "1", "--json"]
        code, out, err = run(capsys, *asked, "--no-asi")
        assert code == 0
        assert "--no-asi is called --no-antisymmetric now" in err
        assert run(capsys, *asked, "--no-antisymmetric") == (0, out, "")

    def test_seed_of_figures_is_rng(self, capsys, tmp_path):
        common = ["figure", "schemes", "--out", tmp_path, "--formats", "svg", "--quick", "--workers", "1"]
        code, old, err = run(capsys, *common, "--seed", "3")
        assert code == 0
        assert "--seed is called --rng now" in err
        assert run(capsys, *common, "--rng", "3") == (0, old, "")

    def test_short_ones(self, capsys, tmp_path):
        long = ["--width", "1e2", "--gamma", "1.5", "--out", tmp_path, "--loss-tol", "1e-2", "--quiet"]
        short = ["-w", "100", "-g", "1.5", "-o", tmp_path, "--loss-tol", "1e-2", "-q"]
        _, first, _ = run(capsys, "train", *long, "--formats", "svg")
        code, again, err = run(capsys, "train", *short, "--formats", "svg")
        assert (code, err) == (0, "")  # no note: it is the same run, to the bit
        seconds = re.compile(r"\d+\.\d\d s")
        assert seconds.sub("", again) == seconds.sub("", first)
        for version in ("-V", "--version"):
            assert run(capsys, version)[:2] == (0, f"meanfield {mf.__version__}\n")

    def test_no_antisymmetric_in_sweeps(self, capsys, tmp_path):
        _, out, _ = run(
            capsys, "phase-diagram", *TINY, "--no-antisymmetric", "--out", tmp_path, "--json", "--formats",
            "svg",
        )  # fmt: skip
        printed = json.loads(out)
        direct = mf.phase_diagram(
            mf.datasets.four_points(), gamma=[0.5, 1.5], gamma_prime=0, widths=[20, 40], seeds=2,
            antisymmetric=False,
        )  # fmt: skip
        assert [point["S_w"] for point in printed["points"]] == direct.S_w.ravel().tolist()

    def test_no_name_means_two_things(self):
        """Every command says the same of an option that several of them have, but for what it is about."""
        meanings = {}
        for command, _ in commands():
            for option in getattr(command, "options", []):
                if option.name in ("rng", "seeds", "antisymmetric", "workers", "store", "loss_tol", "config"):
                    meanings.setdefault(option.name, set()).add(option.help)
        assert {name: len(helps) for name, helps in meanings.items()} == dict.fromkeys(meanings, 1)


class TestFilesOfOptions:
    def test_a_sweep_runs_again_from_its_file(self, capsys, tmp_path, monkeypatch):
        """From another folder, in a shell, with the same bits, and nothing trained anew."""
        monkeypatch.chdir(tmp_path)
        np.savetxt("mine.csv", [[-1, 1], [0, 0], [1, 1]], delimiter=",")
        code, out, _ = run(
            capsys, "phase-diagram", "-d", "mine.csv", *TINY, "--out", "results", "--formats", "svg"
        )
        assert code == 0
        assert "results/phase-diagram.toml" in out
        results = tmp_path / "results"
        written = tomllib.loads((results / "phase-diagram.toml").read_text())
        assert written["gamma"] == [0.5, 1.5]
        assert (written["widths"], written["seeds"], written["rng"]) == ([20, 40], 2, 0)
        assert (written["data"], written["out"]) == ("../mine.csv", ".")
        before = {name: (results / name).read_bytes() for name in ("runs.csv", "sweep.sqlite")}
        (tmp_path / "elsewhere").mkdir()
        done = subprocess.run(
            [MEANFIELD, "phase-diagram", "--config", results / "phase-diagram.toml"],
            cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert {name: (results / name).read_bytes() for name in before} == before
        assert not list((tmp_path / "elsewhere").iterdir())
        # The command line comes first; another command takes what it knows and says what it leaves out.
        code, out, err = run(capsys, "shard", "1/1", "-c", results / "phase-diagram.toml", "--seeds", "1")
        assert code == 0
        assert "4 of 4 cells are in" in out
        assert "formats in " in err
        assert "is left out: an option of boundary, figure, phase-diagram, train, not of shard" in err

    def test_a_preset_is_written_as_what_it_stands_for(self, capsys, tmp_path):
        from meanfield.experiments import PRESETS

        argv = ["--preset", "paper", "--gamma", "0.5", "--gamma-prime", "0", "--widths", "10,20"]
        run(capsys, "phase-diagram", *argv, "-j", "1", "--formats", "svg", "--out", tmp_path)
        written = tomllib.loads((tmp_path / "phase-diagram.toml").read_text())
        assert "preset" not in written
        assert written["per-half"] is True
        assert written["loss-atol"] == PRESETS["paper"].loss_atol
        before = (tmp_path / "sweep.sqlite").read_bytes()
        code, _, err = run(capsys, "phase-diagram", "--config", tmp_path / "phase-diagram.toml")
        assert (code, err) == (0, "")
        assert (tmp_path / "sweep.sqlite").read_bytes() == before

    def test_a_run_of_one_network(self, capsys, tmp_path):
        argv = ["--width", "20", "--alpha", "sqrt(m)", "--beta1", "1", "--beta2", "1", "--loss-tol", "1e-2"]
        run(capsys, "train", *argv, "--no-antisymmetric", "--formats", "svg", "--out", tmp_path)
        before = mf.load(tmp_path / "run.npz")
        (tmp_path / "run.npz").unlink()
        code, _, err = run(capsys, "train", "--config", tmp_path / "run.toml")
        assert (code, err) == (0, "")
        assert {path.name for path in tmp_path.glob("run*")} == {"run.npz", "run.toml"}
        np.testing.assert_array_equal(mf.load(tmp_path / "run.npz").final.w, before.final.w)
        first = tomllib.loads((tmp_path / "run.toml").read_text())
        assert first["antisymmetric"] is False
        assert first["alpha"] == "sqrt(m)"

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("widthz = [3]", "widthz in a.toml is no option of phase-diagram; did you mean 'widths'?"),
            ("seeds = 2.5", "seeds in a.toml is 2.5; give a whole number >= 1"),
            ("seeds = true", "seeds in a.toml is True; give a whole number >= 1"),
            ("gamma = ['a']", "gamma in a.toml is ['a']; give numbers"),
            ("bias = 'no'", "bias in a.toml is 'no'; give true or false"),
            ("[gamma]\nx = 1", "gamma in a.toml is a table; give a value"),
            ("gamma = ", "a.toml is no TOML file"),
        ],
    )
    def test_mistakes(self, capsys, tmp_path, monkeypatch, text, sentence):
        monkeypatch.chdir(tmp_path)
        Path("a.toml").write_text(text)
        code, out, err = run(capsys, "phase-diagram", "--config", "a.toml")
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert sentence in err

    def test_no_file(self, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        code, _, err = run(capsys, "train", "--config", "none.toml")
        assert code == 2
        assert "--config is 'none.toml', which cannot be read (No such file or directory)" in err


class TestHelpAndTables:
    @pytest.mark.parametrize("columns", [60, 80, 100])
    def test_help_wraps_to_the_terminal(self, monkeypatch, columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        for command, ctx in commands():
            text = command.get_help(click.Context(command, parent=ctx.parent, info_name=ctx.info_name))
            examples = ("    meanfield ", '    eval "')  # commands stay in one line
            lines = [line for line in text.splitlines() if not line.startswith(examples)]
            assert max(map(len, lines)) <= columns, ctx.command_path
            assert max(map(len, text.splitlines())) <= max(columns, 80), ctx.command_path

    def test_help_loads_nothing_heavy(self):
        code = "import sys; from meanfield.cli import main; main(['--help']); print(*sys.modules)"
        loaded = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]
        assert not {"numpy", "numba", "scipy", "rich", "tomlkit", "psutil"} & set(loaded.split())

    def test_help_takes_less_than_a_third_of_a_second(self):
        """Of a processor, and of the best of three: the machine may be busy with other things."""
        resource = pytest.importorskip("resource")
        times = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([MEANFIELD, "--help"], capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert min(times) < 0.3

    def test_schemes_in_help_are_the_library_s(self):
        assert SCHEMES_TEXT.split(", ") == list(SCHEMES)

    def test_a_sweep_in_80_columns(self, capsys, tmp_path, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        _, out, _ = run(capsys, "phase-diagram", *TINY, "--out", tmp_path, "--formats", "svg")
        table = out[out.index("gamma'") : out.index("decided points")].splitlines()[:-1]
        assert max(map(len, table)) <= 80
        verdict = mf.phase_diagram(
            mf.datasets.four_points(), gamma=[0.5, 1.5], gamma_prime=0, widths=[20, 40], seeds=2
        ).rows[1].verdict.value  # fmt: skip
        (row,) = [line for line in table if line.split()[:2] == ["0.00", "1.50"] and verdict in line.split()]
        assert row.split()[-1] in ("yes", "NO", "-")
        assert "\x1b" not in out

    def test_every_list_of_figures_in_80_columns(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        _, out, _ = run(capsys, "figure", "--list")
        assert max(map(len, out.splitlines())) <= 80

    @pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
    def test_colours_on_a_terminal_only(self, no_color, coloured):
        pty = pytest.importorskip("pty")
        code = (
            "from meanfield.cli.tables import Table, show; "
            "show([Table(('check', 'passed'), [('one', 'NO')], words=('check', 'passed'))])"
        )
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        environment |= {"TERM": "xterm-256color"} | ({"NO_COLOR": no_color} if no_color else {})
        terminal, shell = pty.openpty()
        with subprocess.Popen([sys.executable, "-c", code], stdout=shell, env=environment) as process:
            process.wait()
        os.close(shell)
        text = os.read(terminal, 10_000).decode()
        os.close(terminal)
        assert "NO" in text
        assert ("\x1b" in text) == coloured

    def test_a_locale_without_lines(self):
        code = "from meanfield.cli.tables import Table, show; show([Table(('a',), [('1',)])])"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )  # fmt: skip
        assert done.stdout.decode("ascii").split()[0] == "a"

    def test_no_number_is_cut_on_a_narrow_terminal(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "20")
        numbers = [f"{k}.123456789" for k in range(4)]
        show([Table(("a", "b", "c", "d", "e"), [(*numbers, "two words")], prose=("e",))])
        assert capsys.readouterr().out.split()[-6:] == [*numbers, "two", "words"]

    def test_square_brackets_are_text(self, capsys):
        show([Table(("extra",), [("[data]",)]), "[bold]"])
        assert capsys.readouterr().out.split() == ["extra", "─" * 6, "[data]", "[bold]"]


class TestCompletion:
    """In real shells; zsh and fish where they are installed."""

    def shell(self, program, script, tmp_path):
        path = f"{MEANFIELD.parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [program, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
            env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout.split()

    def test_bash(self, tmp_path):
        script = """
        eval "$(meanfield completion bash)"
        complete -p meanfield > /dev/null
        complete_words() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _meanfield_completion meanfield; echo "${COMPREPLY[@]}" /
        }
        complete_words meanfield ph
        complete_words meanfield train --loss
        complete_words meanfield train --scheme x
        complete_words meanfield phase-diagram --preset ""
        complete_words meanfield store e
        """
        assert " ".join(self.shell("bash", script, tmp_path)) == (
            "phase-diagram / --loss --loss-tol --loss-atol / xavier / quick paper / export /"
        )

    def test_fish(self, tmp_path):
        if shutil.which("fish") is None:
            pytest.skip("fish is not installed")
        script = "meanfield completion fish | source; complete -C 'meanfield ph'"
        assert self.shell("fish", script, tmp_path)[0].startswith("phase-diagram")

    def test_zsh(self, tmp_path):
        if shutil.which("zsh") is None:
            pytest.skip("zsh is not installed")
        script = """
        autoload -U compinit; compinit -u -d ./dump
        eval "$(meanfield completion zsh)"
        print ${_comps[meanfield]}
        """
        assert self.shell("zsh", script, tmp_path) == ["_meanfield_completion"]


class TestNewVerb:
    """A newcomer adds a verb by writing one small file."""

    FILE = '''
        """``meanfield say-hello``."""

        from meanfield.cli.values import Whole
        from meanfield.cli.verb import option, verb


        @verb("say hello")
        @option("-t", "--times", metavar="N", type=Whole(), default=1, help="how often")
        def say_hello(times: int) -> int:
            """Say hello."""
            print("hello " * times)
            return 0
    '''

    def test_is_found_by_its_file(self, capsys, tmp_path, monkeypatch):
        import textwrap

        from meanfield.cli import verbs

        (tmp_path / "say_hello.py").write_text(textwrap.dedent(self.FILE))
        monkeypatch.setattr(verbs, "__path__", [*verbs.__path__, str(tmp_path)])
        importlib.invalidate_caches()
        try:
            assert "say-hello" in run(capsys, "--help")[1]
            assert run(capsys, "say-hello", "-t", "2")[:2] == (0, "hello hello \n")
            assert "--times is 'x'; give a whole number >= 1" in run(capsys, "say-hello", "--times", "x")[2]
            assert "exit codes" in run(capsys, "say-hello", "--help")[1]
        finally:
            sys.modules.pop("meanfield.cli.verbs.say_hello", None)

    def test_verbs_get_typed_arguments(self):
        for command, ctx in commands():
            if not isinstance(command, click.Group):
                function = inspect.unwrap(command.callback)
                parameters = set(inspect.signature(function).parameters)
                assert parameters <= set(function.__annotations__), ctx.command_path


class TestDoctor:
    def test_healthy(self, capsys):
        code, out, err = run(capsys, "doctor")
        assert (code, err) == (0, "")
        assert f"meanfield-nn {mf.__version__}" in out
        assert f"numpy {np.__version__}" in out
        assert re.search(r"kernels +/.*\n +works \(\d+ files", out)
        assert re.search(r"memory +[\d.]+ GB for sweeps", out)
        assert "openblas" in out or "mkl" in out
        assert out.count(" yes") == 5

    def test_time_to_compile_is_a_column_of_its_own(self, capsys, monkeypatch):
        """Of kernels that are compiled in a check: here of one that no cache holds."""
        from meanfield import diagnosis

        def compare():
            kernel = numba.njit(lambda x: sum(np.sort(x)) + np.linalg.norm(x))
            began = time.perf_counter()
            kernel.compile("float64(float64[::1])")
            compiling.append(time.perf_counter() - began)
            time.sleep(0.2)
            return 0.0

        compiling = []
        monkeypatch.setattr(diagnosis, "_CHECKS", (("a kernel", compare, 1e-9), ("none", lambda: 0.0, 1e-9)))
        first, second = diagnosis.diagnose().checks
        assert first.compiled == pytest.approx(compiling[0], rel=0.1)
        assert 0.2 <= first.seconds < 0.2 + 0.1 * compiling[0] + 0.1
        assert (second.compiled, second.seconds < 0.1) == (0.0, True)
        _, out, _ = run(capsys, "doctor")
        assert re.search(r"time +compiled in +passed", out)
        assert re.search(r"a kernel +0\.0e\+00 +1e-09 +0\.2\d s +\d+\.\d s +yes", out)

    def test_json_and_numbers(self, capsys):
        code, out, _ = run(capsys, "doctor", "--json")
        found = json.loads(out)
        assert code == 0
        assert found["well"]
        assert all(check["error"] <= check["allowed"] for check in found["checks"])
        assert all(check["compiled"] >= 0.0 for check in found["checks"])
        assert found["packages"]["numpy"] == np.__version__
        assert found["cache"]["works"]

    def test_a_kernel_that_is_wrong_by_one_percent_is_found(self, capsys, monkeypatch):
        from meanfield import diagnosis

        true = diagnosis.gradient_flow

        def wrong(problem, network, **options):
            bad = mf.Particles.from_arrays(
                1.01 * network.a, network.w, kappa=network.kappa, kappa_prime=network.kappa_prime
            ) if network.size < 100 else network  # fmt: skip
            return true(problem, bad, **options)

        monkeypatch.setattr(diagnosis, "gradient_flow", wrong)
        code, out, _ = run(capsys, "doctor")
        assert code == 1
        assert "NO" in out

    def test_a_cache_folder_that_does_not_work(self, tmp_path):
        (tmp_path / "file").write_text("")
        done = subprocess.run(
            [MEANFIELD, "doctor", "--no-check"], capture_output=True, text=True, check=False,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file")},
        )  # fmt: skip
        assert done.returncode == 0
        assert "DOES NOT WORK: " in done.stdout
        assert f"NUMBA_CACHE_DIR={tmp_path / 'file'}" in done.stdout
        assert not done.stderr


class TestWhatIsOurOwn:
    """What click and rich cannot do: the reasons that docs/architecture.md gives for code of our own."""

    def test_click_s_numbers(self):
        with pytest.raises(click.BadParameter):
            click.INT.convert("1e3", None, None)
        assert click.INT.convert(2.5, None, None) == 2  # as a file may hold it

    def test_click_s_options(self):
        option = click.Option(["--seeds"])
        assert not hasattr(option, "section")
        with pytest.raises(TypeError):
            click.Option(["--rng"], formerly={"--seed": "--rng"})

    def test_click_takes_defaults_that_no_option_has(self):
        @click.command()
        @click.option("--seeds", default=1)
        def command(seeds):
            return seeds

        with command.make_context("command", [], default_map={"sedes": 3}) as ctx:
            assert command.invoke(ctx) == 1

    def test_rich_cuts_numbers(self):
        import io

        import rich.console
        import rich.table

        table = rich.table.Table("a", "b", "c")
        table.add_row("0.123456789", "1.123456789", "2.123456789")
        console = rich.console.Console(file=io.StringIO(), width=20)
        console.print(table)
        assert "0.123456789" not in console.file.getvalue()
        assert Path(mf.__file__).parent.joinpath("cli", "tables.py").exists()

    def test_the_page_names_every_file(self):
        page = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()
        kept = {"values", "verb", "config", "tables", "report", "report_figures"}
        assert all(f"`cli/{name}.py`" in page for name in kept)
        glue = {"__init__", "app", "options", "output", "names"}  # declarations for click, and names of files
        assert {path.stem for path in (Path(mf.__file__).parent / "cli").glob("*.py")} == kept | glue
