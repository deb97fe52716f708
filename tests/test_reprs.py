"""What looks like code in a `repr` is code: it makes an equal object."""

import ast
import math
from pathlib import Path

import pytest
from entries import ENTRIES, ready, write_files

import meanfield as mf
from meanfield import experiments, figures, flow, kernel_law, limits, symbolic
from meanfield.scaling import SCHEMES

#: All public names, and what numbers that are none look like.
NAMES = {"nan": math.nan, "inf": math.inf}
for room in (mf, experiments, figures, flow, limits, symbolic, kernel_law):
    NAMES |= {name: getattr(room, name) for name in getattr(room, "__all__", vars(room))}
SCALINGS = [
    *(mf.Scaling.named(key, b=1 / 3 if key == "e-ma-wu" else None) for key in SCHEMES),
    mf.Scaling(1 / 3, -0.1),
    mf.Scaling(gamma=1.75, gamma_prime=0.0, name='it\'s "mine"'),
    mf.Scaling.from_abc(a=(-0.5, 0.5), b=(0.5, 1 / 3), name="muP"),
    mf.Scaling(alpha="sqrt(m)", beta1=0.1, beta2=mf.PowerLaw(2, -1 / 3)),
    mf.Scaling(alpha=math.sqrt, beta1=1, beta2=1),
    mf.Scaling(alpha=lambda m, d: m * d, beta1="1", beta2=1),
]


def is_code(text):
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return True


def writes_itself(kind):
    """Whether a class has a `__repr__` of its own, not that of all dataclasses."""
    code = getattr(kind.__repr__, "__code__", None)
    return code is not None and "meanfield" in Path(code.co_filename).parts


def check(thing):
    """Code that makes an equal object, or no code."""
    text = repr(thing)
    if is_code(text):
        again = eval(text, NAMES | {type(thing).__name__: type(thing)})
        assert again == thing or repr(again) == text  # the latter for what is not a number
        assert type(again) is type(thing)


@pytest.mark.parametrize("scaling", SCALINGS, ids=repr)
def test_scalings(scaling):
    check(scaling)
    if is_code(repr(scaling)):
        again = eval(repr(scaling), dict(NAMES))
        assert (again.gamma, again.gamma_prime, again.name) == (
            scaling.gamma,
            scaling.gamma_prime,
            scaling.name,
        )
        assert again.kappa(50, 3) == scaling.kappa(50, 3)
        assert again.kappa_prime(50, 3) == scaling.kappa_prime(50, 3)


def test_all_that_public_entries_return(tmp_path, monkeypatch):
    """Of objects that are compared as wholes, or that write themselves; arrays in plain records are not."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    seen = set()
    for name, (function, arguments) in ready(ENTRIES).items():
        if name.startswith("plotting"):
            continue
        try:
            made = function(**arguments)
        except mf.InputError:  # files that are not there
            continue
        for thing in (made, *arguments.values()):
            kind = type(thing)
            if kind.__module__.startswith("meanfield"):  # shorter than a screen
                assert sum(len(line) // 80 + 1 for line in repr(thing).splitlines()) < 25, name
            if kind.__module__.startswith("meanfield") and (
                kind.__eq__ is not object.__eq__ or writes_itself(kind)
            ):
                seen.add(kind.__name__)
                check(thing)
    assert seen >= {
        "Boundary", "Cell", "CellSettings", "InfiniteWidth", "Particles", "PhaseDiagram", "PowerLaw",
        "Problem", "Scaling", "Trajectory", "TwoLayer",
    }  # fmt: skip
