"""What users find by tab: all public names, nothing else; old names; the choices that editors complete."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import types
import typing
from pathlib import Path

import pytest

import meanfield

ROOMS = [
    name for name in meanfield.__all__ if isinstance(getattr(meanfield, name), types.ModuleType)
]  # as `mf.limits`, also where the module has another name
STUB = Path(meanfield.__file__).with_suffix(".pyi")


def in_stub():
    """Each name of the stub with the module that it comes from."""
    found = {}
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, "a stub gives out what is imported `as` itself"
                found[alias.name] = node.module
    return found


class TestTab:
    def test_the_package_shows_its_public_names_only(self):
        assert dir(meanfield) == sorted([*meanfield.__all__, "__version__"])
        assert {"experiments", "flow", "kernel_law", "kernels", "limits", "WorkerLostError"} <= set(
            dir(meanfield)
        )
        assert not {"Any", "importlib", "annotations", "TYPE_CHECKING"} & set(dir(meanfield))

    def test_before_anything_is_used(self):
        code = "import meanfield as mf; print(*dir(mf)); print(sorted(set(dir(mf)) - set(vars(mf)))[0])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        first, second = done.stdout.splitlines()
        assert first.split() == dir(meanfield)
        assert second == "Activation"  # shown though it is not loaded

    @pytest.mark.parametrize("room", ROOMS)
    def test_rooms_show_their_public_names_only(self, room):
        module = getattr(meanfield, room)
        assert dir(module) == sorted(module.__all__)
        assert all(getattr(module, name) is not None for name in module.__all__)
        assert len(set(module.__all__)) == len(module.__all__)

    def test_every_room_of_the_reference_is_there(self):
        rooms = {path.stem for path in (Path(__file__).parent.parent / "docs" / "reference").glob("*.md")}
        assert rooms - {"index", "core", "cli"} == set(ROOMS)

    def test_in_a_real_kernel(self):
        """What Jupyter offers after `mf.` and `mf.limits.` in a fresh kernel."""
        from jupyter_client.manager import start_new_kernel

        manager, client = start_new_kernel(kernel_name="python3")
        try:
            client.execute_interactive("import meanfield as mf", timeout=60)
            for text, module in (("mf.", meanfield), ("mf.limits.", meanfield.limits)):
                reply = client.complete(text, reply=True, timeout=60)["content"]["matches"]
                shown = {match.removeprefix(text).removeprefix(".") for match in reply}
                assert {name for name in shown if not name.startswith("_")} == set(module.__all__)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


class TestStub:
    def test_it_is_installed(self):
        assert STUB.exists()
        assert STUB.with_name("py.typed").exists()

    def test_it_says_what_is_loaded(self):
        found = in_stub()
        assert set(found) == set(meanfield.__all__)
        for name, home in found.items():
            assert getattr(importlib.import_module(home), name) is getattr(meanfield, name)

    @pytest.mark.slow
    def test_type_checkers_see_types(self, tmp_path):
        """mypy, strict, in the place of a user: types are known, wrong names and words are found."""
        script = tmp_path / "user.py"
        script.write_text(
            "import meanfield as mf\n"
            "problem = mf.datasets.four_points()\n"
            "network = mf.Particles.sample(problem, mf.Scaling(0.5), 10, rng=0)\n"
            "run = mf.gradient_flow(problem, network, method='runge-kutta')\n"
            "reveal_type(run)\n"
            "mf.gradient_flow(problem, network, method='runge')\n"
            "mf.nothing\n"
            "mf.symbolic.nothing\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, script],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
        told = [line.partition("user.py:")[2] for line in done.stdout.splitlines() if "user.py:" in line]
        assert 'Revealed type is "meanfield.flow.trajectory.Trajectory"' in told[0], done.stdout
        assert told[1].startswith('6: error: Argument "method"')
        assert told[2].startswith("7: error: Module has no attribute")
        assert told[3].startswith("8: error: Module has no attribute")


OLD_NAMES = {
    ("meanfield.kernel_law", "KernelLaw"): "DisplacementLaw",
    ("meanfield.symbolic", "Boundary"): "BoundaryLine",
    ("meanfield.symbolic", "exponents"): "derive_exponents",
    ("meanfield.experiments", "Predicted"): "PredictedSlopes",
}


class TestOldNames:
    @pytest.mark.parametrize(("module", "old"), OLD_NAMES)
    def test_they_work_with_a_warning(self, module, old):
        room, new = importlib.import_module(module), OLD_NAMES[module, old]
        with pytest.warns(DeprecationWarning, match=rf"{module}\.{old} is now called {new}; ") as told:
            value = getattr(room, old)
        assert value is getattr(room, new)
        assert told[0].filename == __file__  # it points at the line that has to be changed
        assert old not in dir(room)
        assert new in dir(room)

    def test_from_import(self):
        with pytest.warns(DeprecationWarning, match="is now called DisplacementLaw"):
            from meanfield.kernel_law import KernelLaw
        assert KernelLaw is meanfield.kernel_law.DisplacementLaw

    @pytest.mark.parametrize("module", sorted({module for module, _ in OLD_NAMES}))
    def test_other_names_are_none(self, module):
        with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nothing'"):
            _ = importlib.import_module(module).nothing

    def test_one_name_means_one_thing(self):
        """What is public in two places is the same in both; `plotting.x` draws what `x` gives back."""
        homes = {}
        for room in (meanfield, *(getattr(meanfield, name) for name in ROOMS if name != "plotting")):
            for name in room.__all__:
                homes.setdefault(name, set()).add(id(getattr(room, name)))
        # datasets.load reads a user's data, load a result
        assert {name for name, values in homes.items() if len(values) > 1} == {"load"}

    def test_no_two_classes_have_one_name(self):
        homes = {}
        for path in sorted(Path(meanfield.__file__).parent.rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes.setdefault(node.name, []).append(str(path))
        assert not {name: paths for name, paths in homes.items() if len(paths) > 1}


#: Parameters that take one of a few words, and where the words are used.
CHOICES = {
    "gradient_flow": ("method", "residual", meanfield.flow.METHODS),
    "infinite_width": ("method", "auto", ("auto", "mean-field", "kernel")),
    "Scaling.named": ("scheme", "lecun", meanfield.plotting.theory.SCHEMES),
    "figures.run": ("name", "schemes", meanfield.figures.FIGURES),
    "figures.entry": ("name", "schemes", meanfield.figures.FIGURES),
    "symbolic.TwoLayer": ("law", "gaussian", ("gaussian", "discrete")),
    "symbolic.Exponents.latex": ("layer", "w", ("w", "a")),
    "plotting.ensemble_curves": ("of", "loss", ("loss", "rd_w", "rd_a")),
    "plotting.exponent_map": ("layer", "w", ("w", "a")),
    "plotting.phase_diagram": ("layer", "w", ("w", "a")),
    "plotting.new_axes": ("width", "column", ("column", "page")),
    "plotting.save": ("formats", "png", ("png", "pdf", "svg")),
}


def public(path):
    """What stands at a path below the package."""
    value = meanfield
    for name in path.split("."):
        value = getattr(value, name)
    return inspect.unwrap(value)


def words_of(function, parameter):
    """The words of the Literal in the annotation of a parameter, as an editor finds them."""
    annotation = inspect.signature(function).parameters[parameter].annotation
    module = sys.modules[function.__module__]
    words = []
    for name in re.findall(r"\w+", annotation):
        kind = getattr(module, name, None)
        words += typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else []
    return words


class TestChoices:
    @pytest.mark.parametrize("path", CHOICES)
    def test_types_and_docstrings_name_the_words_that_are_known(self, path):
        parameter, _, known = CHOICES[path]
        function = public(path)
        words = words_of(function, parameter)
        assert sorted(set(words)) == sorted(known)
        braces = re.search(rf"{parameter} : \{{(.*?)\}}", function.__doc__)
        if path.startswith("figures"):  # a list that is too long for a docstring: it refers to FIGURES
            assert "FIGURES" in function.__doc__
        else:
            assert set(re.findall(r'"([\w-]+)"', braces[1])) == set(known)

    def test_no_parameter_of_a_few_words_is_left_out(self):
        """Whoever lists words in a docstring has them in the type."""
        missing = []
        for room in (meanfield, *(getattr(meanfield, name) for name in ROOMS)):
            for name in room.__all__:
                thing = getattr(room, name)
                methods = vars(thing) if isinstance(thing, type) else ()
                for member in [thing, *(getattr(thing, key) for key in methods if not key.startswith("_"))]:
                    for parameter in re.findall(
                        r"(\w+) : (?:sequence of )?\{\"", getattr(member, "__doc__", None) or ""
                    ):
                        if callable(member) and not words_of(inspect.unwrap(member), parameter):
                            missing.append(f"{room.__name__}.{name}: {parameter}")
        assert not missing
