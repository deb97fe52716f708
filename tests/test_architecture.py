"""The house: import contracts, a cheap public face, and nothing written where it should not be."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import meanfield

ROOT = Path(__file__).resolve().parent.parent


def python(code, **kwargs):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, **kwargs
    ).stdout


def test_import_contracts_hold():
    assert lint_imports(config_filename=str(ROOT / "setup.cfg"), no_cache=True) == 0


def test_import_loads_nothing_heavy():
    """`import meanfield` stays cheap because it imports none of what it stands on."""
    loaded = python("import sys, meanfield; print(*sys.modules)").split()
    assert not {"numpy", "numba", "scipy", "sympy", "matplotlib", "tqdm"} & set(loaded)


def test_flow_loads_neither_sympy_nor_matplotlib():
    code = "import sys, meanfield as mf; mf.gradient_flow, mf.phase_diagram, mf.datasets; print(*sys.modules)"
    assert not {"sympy", "matplotlib", "sklearn"} & set(python(code).split())


def test_public_names_exist_and_are_listed():
    for name in meanfield.__all__:
        assert getattr(meanfield, name) is not None
    assert set(meanfield.__all__) <= set(dir(meanfield))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = meanfield.nothing


def test_version_is_the_distribution_s():
    assert metadata.version("meanfield-nn") == meanfield.__version__


def test_readme_commands_are_the_gate_s():
    readme = (ROOT / "README.md").read_text()
    lines = re.findall(r"^python3 -m venv .*$", readme, flags=re.M)
    assert lines == [
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/meanfield phase-diagram",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest",
    ]
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_writes_only_into_given_folders_and_the_cache(tmp_path):
    home, out, cwd = (tmp_path / name for name in ("home", "out", "cwd"))
    for folder in (home, cwd):
        folder.mkdir()
    package = Path(meanfield.__file__).parent
    before = {path for path in package.rglob("*") if path.suffix in (".nbi", ".nbc")}
    environment = {**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("XDG_CACHE_HOME", None)
    environment.pop("NUMBA_CACHE_DIR", None)
    grid = ["--gamma", "0.5,1.5", "--gamma-prime", "0", "--widths", "20,40", "--seeds", "1"]
    command = [sys.executable, "-m", "meanfield", "phase-diagram", "--out", str(out), "--workers", "1", *grid]
    subprocess.run([*command, "--formats", "svg"], check=True, cwd=cwd, env=environment, capture_output=True)
    assert not list(cwd.iterdir())
    assert {path for path in package.rglob("*") if path.suffix in (".nbi", ".nbc")} == before
    assert {path.relative_to(home).parts[0] for path in home.rglob("*") if path.is_file()} <= {".cache"}
    assert {path.name for path in out.iterdir()} == {
        "phase-diagram.svg", "rd-against-width.svg", "runs.csv", "summary.csv", "sweep.sqlite",
    }  # fmt: skip


def test_same_bits_from_a_cold_cache(tmp_path):
    """A process that compiles and one that loads machine code compute the same, to the last bit."""
    code = """
import hashlib, numpy as np, meanfield as mf
digest = hashlib.sha256()
x = np.random.default_rng(0).standard_normal((6, 3))
for problem in (mf.datasets.four_points(), mf.Problem(x, np.ones(6))):
    network = mf.Particles.sample(problem, mf.Scaling(1.3, 0.0), 500, rng=0)
    run = mf.gradient_flow(problem, network, rtol=1e-3, progress=False)
    digest.update(run.final.w.tobytes() + run.final.a.tobytes() + run.loss.tobytes())
print(digest.hexdigest())
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    cold, warm = (python(code, env=environment) for _ in range(2))
    assert cold == warm
