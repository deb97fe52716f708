"""Every parameter of every public entry refuses what its annotation does not name, in one clear sentence."""

import inspect
import math
import re

import pytest
from entries import ENTRIES, ready, write_files

import meanfield as mf
from meanfield import activations, datasets, experiments, figures, flow, limits, plotting, symbolic
from meanfield.errors import InputError, StoreError

#: Values by name; each parameter refuses all of them but those that its kinds take.
VALUES = {
    "None": None,
    "truth value": True,
    "whole number": 3,
    "negative number": -1,
    "fraction": 1.5,
    "nan": math.nan,
    "string": "no such thing",
    "digits": "3",
    "bytes": b"abc",
    "complex": 1j,
    "object": object(),
    "mapping": {"a": 1},
    "strings": ["1", "2"],
    "function": len,
}
REAL = {"whole number", "negative number", "fraction"}
#: What the kinds of the annotations take; kinds that are not here take none of the values. Bounds and shapes
#: are the matter of other tests.
KINDS = {
    "None": {"None"},
    "bool": {"truth value"},
    "int": {"whole number"},
    "float": REAL,
    "ArrayLike": {*REAL, "truth value"},
    "RNG": {"None", "whole number"},
    "Law": {*REAL, "digits", "function"},
    "Exponent": REAL - {"fraction"},
    "AnyExecutor": {"None", "whole number", "string", "digits"},
    "PathLike": {"string", "digits"},
    "Callable": {"function"},
    "OfOutputs": {"function"},
    "dict": {"mapping"},
}
#: What parameters take besides: texts of any kind (other texts are one of a few words).
TEXTS = {
    "name": {"string", "digits"},
    "target_name": {"string", "digits"},
    "formula": {"string", "digits"},
    "unit": {"string", "digits"},
    "summary": {"string", "digits"},
    "labels": {"string", "digits"},
    "label": {"string", "digits"},
    "parts": {"strings"},
    "columns": {"strings"},
    "values": {"nan"},  # outputs of a run that diverged
}


def kinds(annotation):
    """The kinds of a union; of what they hold nothing is kept."""
    parts = re.split(r" \| (?![^\[]*\])", annotation.replace("os.", ""))
    return {re.sub(r"\[.*", "", part) for part in parts}


def test_kinds():
    assert kinds("bool | Callable[[int | None], object] | None") == {"bool", "Callable", "None"}
    assert kinds("str | os.PathLike[str] | None") == {"str", "PathLike", "None"}


def taken(name, annotation):
    """Names of the values that a parameter may take."""
    here = set().union(*(KINDS.get(kind, set()) for kind in kinds(annotation)))
    return here | TEXTS.get(name, set())


@pytest.mark.parametrize("entry", ENTRIES)
def test_other_kinds_are_refused(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    function, good = ready(ENTRIES[entry])
    wrong = []
    for name, parameter in inspect.signature(function).parameters.items():
        for kind in sorted(VALUES.keys() - taken(name, parameter.annotation)) if name in good else ():
            outcome = "is taken"
            try:
                function(**{**good, name: VALUES[kind]})
            except (InputError, StoreError) as error:
                outcome = "" if len(str(error)) > 20 and "\n" not in str(error) else f"gives {error}"
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"
            if outcome:
                wrong.append(f"{name}={kind} {outcome}")
    assert not wrong, "\n".join(wrong)


#: Made or called by the package, with what it has checked where it came from.
ITS_OWN = {
    "store_text", "store_to_xarray", "Exponents.numeric",  # a store that is open; any number of names
    "Particles.moved", "Particles.twins", "SweepStore.add", "SweepStore.add_all", "Origin.from_json",
    "BoundaryLine.between", "FigureResult.column", "Prediction.over", "Stats.after",
    "CellSettings.restored", "LimitSettings.restored", "Moment.of", "Training.particles", "Training.run",
    "Activation.value_and_slope", "Activation.second", "Angle.of", "kept_activation",
}  # fmt: skip


def public_functions():
    """Functions in the rooms, and methods of their classes, that take anything."""
    for room in (mf, activations, datasets, experiments, figures, flow, limits, plotting, symbolic):
        for name in room.__all__:
            thing = getattr(room, name)
            if inspect.isclass(thing):
                members = inspect.getmembers(thing, lambda m: inspect.isfunction(m) or inspect.ismethod(m))
                yield from ((f"{name}.{n}", f) for n, f in members if not n.startswith("_"))
            elif inspect.isfunction(thing):
                yield name, thing


def test_every_parameter_of_every_public_function_is_tried():
    tried = {}
    for function, good in ready(ENTRIES).values():
        tried.setdefault(getattr(function, "__func__", function), set()).update(good)
    missing = []
    for name, function in public_functions():
        plain = getattr(function, "__func__", function)
        signature = inspect.signature(plain).parameters.values()
        # Keywords of artists are Matplotlib's business.
        parameters = {p.name for p in signature if p.kind is not p.VAR_KEYWORD} - {"self", "cls"}
        if parameters and name not in ITS_OWN:
            missing += [f"{name}({each})" for each in sorted(parameters - tried.get(plain, set()))]
    assert not missing
