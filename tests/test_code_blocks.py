"""Every block of code in README and docs is run.

Python blocks run as they stand, those of a page one after the other; examples with a prompt are compared
with their output; commands of `meanfield` run with the grid and the width made small. Cells of executed
pages run when the documentation is built, which a test of the build's configuration secures.
"""

import contextlib
import doctest
import glob
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from meanfield.cli import main

ROOT = Path(__file__).resolve().parent.parent
BUILT = {"_build", "jupyter_execute"}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if not BUILT & set(p.relative_to(ROOT / "docs").parts)),
]
#: What makes a command small; it comes last, so it takes precedence.
_GRID = "--gamma 0.5,1.5 --gamma-prime 0 --widths 20,40 --seeds 1 --loss-tol 1e-3 --workers 1"
SMALL = {
    "phase-diagram": _GRID,
    "shard": _GRID,
    "merge": "",
    "boundary": "--gamma-prime 0 --widths 100,400 --seeds 3 --workers 1 --out boundary",
    "store": "",
    "train": "--width 40 --loss-tol 1e-3",
    "regime": "",
    "figure": "--quick --workers 1 --formats svg",
    "doctor": "--no-check",
    "completion": "",
}
#: Commands that are not ours: what CI itself does, or what only a developer does. Files they name must exist.
TOOLS = (
    "python3 -m venv", "pip install", "pytest", "codespell", "python", ".ci/run", ".ci/coverage",
    ".ci/minimum", ".ci/pythons", "pre-commit install", "dask scheduler", "dask worker",
)  # fmt: skip
#: What pages call the address of a scheduler; commands get that of a small cluster.
SCHEDULER = "tcp://host:8786"
#: Languages of blocks that are no code.
TEXT = {"text", "bibtex", "csv", "ini", "toml"}
FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ ]*$", re.M | re.S)


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    """Language and text of the fenced blocks of a page."""
    found = FENCE.finditer(page.read_text(encoding="utf-8"))
    return [(m["info"].strip().partition(" ")[0], m["body"]) for m in found]


def commands(page):
    """Shell commands of a page, one by one, without comments."""
    text = "".join(body for language, body in blocks(page) if language == "sh")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#")]
    return [part.strip() for line in lines for part in line.partition(" #")[0].split("&&") if part.strip()]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_are_of_a_kind_that_is_run(page):
    executed = page.read_text(encoding="utf-8").startswith("---\nfile_format: mystnb\n")
    for language, _ in blocks(page):
        if language == "{code-cell}":
            assert executed, f"{name(page)} has cells; begin it with 'file_format: mystnb'"
        elif not language.startswith("{"):
            known = {"python", "sh"} | TEXT
            assert language in known, f"{name(page)} has a block of {language!r}; use {sorted(known)}"


def has_python(page):
    return any(
        language == "python" or (language in TEXT and body.startswith(">>>"))
        for language, body in blocks(page)
    )


@pytest.mark.parametrize("page", [page for page in PAGES if has_python(page)], ids=name)
def test_python_blocks_run(page, tmp_path):
    """In a process of their own, with warnings as errors; examples with a prompt give what they say."""
    script = ["import doctest"]
    for language, body in blocks(page):
        if language == "python":
            script.append(
                re.sub(r"executor=\d+,\s*", "", body)
            )  # worker processes need an importable main script
        elif language in TEXT and body.startswith(">>>"):
            script.append(
                f"test = doctest.DocTestParser().get_doctest({body!r}, globals(), {name(page)!r}, None, 0)\n"
                "assert doctest.DocTestRunner().run(test).failed == 0\n"
            )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(script)], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    if name(page) == "README.md":
        assert {p.name for p in tmp_path.iterdir()} >= {"condensed.png", "condensed.pdf", "sweep.sqlite"}


@pytest.fixture
def scheduler():
    """The address of a Dask cluster of one worker, in this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=":0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name)
def test_commands_run(page, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    Path("mine.csv").write_text("temperature,yield\n-1,1\n0,0\n1,0.5\n")
    for command in commands(page):
        command = command.replace(".venv/bin/", "")
        words = [
            name for word in shlex.split(os.path.expandvars(command)) for name in glob.glob(word) or [word]
        ]
        if SCHEDULER in words:
            words[words.index(SCHEDULER)] = request.getfixturevalue("scheduler")
        if words[0] == "meanfield":
            assert words[1] in SMALL, f"say in SMALL how to make 'meanfield {words[1]}' small"
            output = io.StringIO()
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                small = SMALL[words[1]].replace("--workers 1", "" if "--dask" in words else "--workers 1")
                code = main([*words[1:], *small.split()])
            assert code == 0, f"{command}\n{output.getvalue()}"
        else:
            assert command.startswith(TOOLS), f"is {command!r} run anywhere?"
            scripts = [word.partition("::")[0] for word in words if word.endswith(".py")]
            missing = [script for script in scripts if not (ROOT / script).exists()]
            assert not missing, f"{command!r} of {name(page)} names {missing}"


def test_executed_pages_fail_the_build():
    """Cells are run by the build, and one that fails or warns is an error."""
    configuration = (ROOT / "docs" / "conf.py").read_text()
    assert 'nb_execution_mode = "cache"' in configuration
    assert "nb_execution_raise_on_error = True" in configuration
    assert 'nb_output_stderr = "warn"' in configuration
    assert "sphinx -W" in (ROOT / ".ci" / "run").read_text()


def test_an_example_that_is_wrong_would_be_noticed():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    with contextlib.redirect_stdout(io.StringIO()):
        assert doctest.DocTestRunner().run(wrong).failed == 1
