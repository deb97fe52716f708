"""The house: import contracts, a cheap public face, and nothing written where it should not be."""

import ast
import configparser
import os
import re
import shutil
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


OTHERS = "Packages of others are imported where they are allowed"
EXPERIMENTS = "Experiments: figures stand on results, results on sweeps"
#: Files that break a contract: what they hold, and the contract.
OFFENDERS = {
    "newroom/__init__.py": ("", "Floors: a room imports from lower floors only"),
    "losses.py": ("import meanfield.problem", "Floors: a room imports from lower floors only"),
    "experiments/new.py": ("", EXPERIMENTS),
    "experiments/slopes.py": ("import meanfield.experiments.sweep", EXPERIMENTS),
    "symbolic/new.py": ("import meanfield.resources", "Derivations know descriptions only"),
    "kernels/new.py": ("import meanfield.errors", "Kernels take arrays and know nothing of the house"),
    "kernels/blocks.py": ("import scipy.linalg", OTHERS),
    "arc_cosine.py": ("import matplotlib", OTHERS),
    "standardisation.py": ("import sympy", OTHERS),
    "flow/new.py": ("def late():\n    import numba", OTHERS),
    "limits/new.py": ("import meanfield.symbolic", "Only figures read derivations"),
}


@pytest.fixture(scope="module")
def copy_of_the_house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(
        Path(meanfield.__file__).parent, folder / "meanfield", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "setup.cfg", folder)
    return folder


def broken_contracts(folder):
    """Names of the contracts that a copy of the package breaks."""
    code = "from importlinter.cli import lint_imports; lint_imports('setup.cfg', no_cache=True)"
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)
    assert "Contracts:" in run.stdout, run.stdout + run.stderr
    return re.findall(r"^(.*) BROKEN\b", run.stdout, flags=re.M)


@pytest.mark.parametrize("name", OFFENDERS)
def test_a_file_that_no_list_names_breaks_a_contract(name, copy_of_the_house):
    """Contracts were lists of what is forbidden: `import matplotlib` in `arc_cosine.py` broke none."""
    line, contract = OFFENDERS[name]
    path = copy_of_the_house / "meanfield" / name
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text((before or "") + "\n" + line + "\n")
    try:
        assert broken_contracts(copy_of_the_house) == [contract]
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()


def test_every_package_of_others_is_under_a_contract():
    """NumPy alone may be imported anywhere; a package that is new here needs a line in setup.cfg."""
    import grimp

    graph = grimp.build_graph("meanfield", include_external_packages=True, cache_dir=None)
    others = graph.find_matching_modules("*") - set(sys.stdlib_module_names) - {"meanfield", "numpy"}
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert set(config["importlinter:contract:others"]["forbidden_modules"].split()) == others


#: Functions in kernels/ that Python runs, without hints.
UNHINTED = {"as_samples", "move", "motion_gram", "motion_gram_product", "_cross", "_pseudo_angle"}


def test_functions_of_kernels_have_hints_unless_they_are_compiled():
    """mypy asks for none in kernels/: each function there either is one of Numba's, or has them."""
    bare = set()
    for path in (Path(meanfield.__file__).parent / "kernels").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and not node.decorator_list:
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                hinted = [a for a in given if a.annotation or a.arg in ("self", "cls")]
                if len(hinted) < len(given) or node.returns is None:
                    bare.add(node.name)
    assert bare == UNHINTED


#: What takes a while: runs, sweeps and figures.
TRAINS = {
    "boundary", "early_alignment", "ensemble", "gradient_descent", "gradient_flow",
    "infinite_width", "limit_diagram", "limit_displacements", "main", "new_axes", "phase_diagram", "replay",
    "run", "run_cell", "train_cells",
}  # fmt: skip
#: How a list, set or mapping changes in place.
CHANGES = {"add", "append", "clear", "discard", "extend", "insert", "pop", "remove", "setdefault", "update"}


def trains_at_import(tree):
    """Lines at which a module trains when it is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda) or _is_main(node):
            continue
        called = node.func if isinstance(node, ast.Call) else None
        if getattr(called, "attr", getattr(called, "id", "")) in TRAINS:
            yield node.lineno
        yield from trains_at_import(node)


def _is_main(node):
    return isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)


def changed_globals(tree):
    """Lists, sets, mappings and random generators of a module that its functions change."""
    bound = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    generators = {
        node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "attr", "") == "default_rng"
    }
    for scope in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        local = {a.arg for a in ast.walk(scope) if isinstance(a, ast.arg)}
        local |= {n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for node in ast.walk(scope):
            if isinstance(node, ast.Global):
                yield from node.names
            elif isinstance(node, ast.Name):
                yield from {node.id} & generators - local
            method = isinstance(node, ast.Attribute) and node.attr in CHANGES
            if method or (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)):
                yield from {getattr(node.value, "id", "")} & bound - local


def test_tests_train_nothing_at_import_and_share_no_state():
    """`pytest --collect-only` stays quick, and a test passes or fails alike after others and alone."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text())
        assert not list(trains_at_import(tree)), f"{path.name}: make it in a fixture, or with entries.Later"
        assert not set(changed_globals(tree)), f"{path.name}: use a fixture, or functools.cache"


def test_state_that_tests_share_is_seen():
    made = "SEEN: set = set()\nMADE = {}\nRNG = np.random.default_rng(0)\nX = RNG.normal(3)\n"
    used = "def test():\n    SEEN.add(1)\n    MADE['a'] = RNG.normal()\n    return X\n"
    assert set(changed_globals(ast.parse(made + used))) == {"SEEN", "MADE", "RNG"}
    assert list(
        trains_at_import(ast.parse("LATER = lambda: mf.ensemble()\nRUN = mf.gradient_flow(a, b)"))
    ) == [2]


#: Homes of networks, which multiply their own w with x; kernels and derivations know no Particles.
HOMES = ("particles.py", "kernels/", "symbolic/")
PRODUCTS = {"dot", "einsum", "inner", "matmul", "tensordot", "vdot"}


def products_with_w(tree):
    """Lines that multiply the input weights ``.w`` of something, or a local name for them."""
    found = []
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef | ast.Module):
            continue
        names = set()
        for node in _inside(scope):
            if isinstance(node, ast.Assign | ast.For | ast.comprehension):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                names |= _named(target, node.value if isinstance(node, ast.Assign) else node.iter)
        for node in _inside(scope):
            factors = []
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
                factors = [node.left, node.right]
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in PRODUCTS:
                factors = node.args
            found += [node.lineno for factor in factors if _is_w(factor, names)]
    return sorted(set(found))


def _inside(scope):
    """What is written in a scope, but not in functions within it."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, ast.FunctionDef):
            yield node
            yield from _inside(node)


def _is_w(node, names=frozenset()):
    """Whether an expression is ``something.w`` or a name of it, rows of it, or its transpose."""
    while isinstance(node, ast.Subscript) or (isinstance(node, ast.Attribute) and node.attr == "T"):
        node = node.value
    return (isinstance(node, ast.Attribute) and node.attr == "w") or getattr(node, "id", None) in names


def _named(target, value):
    """Local names for ``.w``: ``w = p.w[block]``, ``a, w = p.a, p.w``, ``for a, w in zip(p.a, p.w)``."""
    if isinstance(value, ast.Call):
        value = ast.Tuple(list(value.args))
    if isinstance(target, ast.Name):
        return {target.id} if _is_w(value) else set()
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return set().union(*map(_named, target.elts, value.elts))
    return set()


def test_only_particles_multiply_w_with_x():
    """Reduced particles hold w in other coordinates: `Particles.preactivations` knows in which."""
    package = Path(meanfield.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if not str(path.relative_to(package).as_posix()).startswith(HOMES):
            lines = products_with_w(ast.parse(path.read_text()))
            assert not lines, f"{path}, lines {lines}: use Particles.preactivations or .coordinates"


@pytest.mark.parametrize(
    "line",
    [
        "z = p.w @ x.T",
        "z = x @ p.w[block].T",
        "w = p.w[block]; z = w @ x.T",
        "a, w = p.a, p.w; z = w @ x.T",
        "for a, w in zip(p.a, p.w):\n    f = w @ x.T",
        "z = [w @ x.T for w in p.w]",
        "z = np.einsum('kc,ic->ki', p.w, x)",
        "z = np.dot(run.final.w, x.T)",
    ],
)
def test_products_with_w_are_seen(line):
    assert products_with_w(ast.parse(line))


#: Who may diagonalise a matrix, and of which of its eigenvalues are rounding of zero.
DIAGONALISES = {"kernel_modes.py", "flow/tangent.py", "flow/curvature.py", "limits/predictions.py"}


def test_one_rule_says_which_eigenvalues_of_a_kernel_are_rounding():
    """A second rule would let a mode be learned in one place that is never learned in another."""
    package = Path(meanfield.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\b(eigh|eigvalsh|eigh_tridiagonal)\(", path.read_text())
    }
    assert found <= DIAGONALISES, "use KernelModes, or meanfield.kernel_modes.above_rounding and say so here"
    for room in ("kernel_modes.py", "flow/tangent.py"):
        assert "above_rounding(" in (package / room).read_text()


def test_the_boundary_is_written_once():
    """``1 + max(gamma', 0)`` stands in `regime.boundary_gamma` alone."""
    package = Path(meanfield.__file__).parent
    wrote = re.compile(r"\b1(\.0)? \+ (np\.maximum|max)\(")
    found = {path.name for path in package.rglob("*.py") if wrote.search(path.read_text())}
    assert found == {"regime.py"}


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
        "phase-diagram.svg", "phase-diagram.toml", "rd-against-width.svg", "runs.csv", "summary.csv",
        "sweep.sqlite",
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
