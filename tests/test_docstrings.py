"""Docstrings agree with signatures: names, order, what may be left out, defaults, shapes and units."""

import importlib
import inspect
import math
import pkgutil
import re

import pytest
from numpydoc.docscrape import NumpyDocString

import meanfield

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(meanfield.__path__, "meanfield.")
    if not info.name.endswith("__main__")
)
#: What a parameter of this name is measured in.
UNITS = {
    "t": "tbar",
    "at": "tbar",
    "save_at": "tbar",
    "tbar": "tbar",
    "memory": "bytes",
    "max_seconds": "second",
    "live_seconds": "second",
    "deadline": "second",
}
EMPTY = inspect.Parameter.empty


def everything():
    """All functions, classes and methods that are written in the package and have no underscore, by name."""
    found = {}
    for module in map(importlib.import_module, MODULES):
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(thing) or inspect.isfunction(thing) or hasattr(thing, "py_func"):
                found[f"{module.__name__}.{name}"] = thing
            if inspect.isclass(thing):
                for key, value in vars(thing).items():
                    function = getattr(value, "__func__", value)
                    if inspect.isfunction(function) and not key.startswith("_"):
                        found[f"{module.__name__}.{name}.{key}"] = function
    return found


def public_names(things):
    """Those that a package lists in ``__all__``, with the methods of its classes."""
    listed = set()
    for module in ["meanfield", *MODULES]:
        room = importlib.import_module(module)
        listed |= {id(getattr(room, name)) for name in getattr(room, "__all__", ())}
    names = {name for name, thing in things.items() if id(thing) in listed}
    classes = {name for name in names if inspect.isclass(things[name])}
    return names | {name for name in things if name.rpartition(".")[0] in classes}


THINGS = everything()
PUBLIC = public_names(THINGS)


def parameters(thing):
    """Parameters without self; none of classes that users do not make, such as enumerations and errors."""
    if inspect.isclass(thing) and (
        "__init__" not in {key for kind in thing.__mro__[:-1] for key in vars(kind)}
        or issubclass(thing, BaseException)
        or thing.__module__ == "enum"
        or hasattr(thing, "__members__")
    ):
        return {}
    found = inspect.signature(thing).parameters
    return {name: one for name, one in found.items() if name not in ("self", "cls", "_cls")}


def documented(thing, sections=("Parameters",)):
    """Each name of these sections with its type and its description."""
    doc = NumpyDocString(inspect.cleandoc(thing.__doc__ or ""))
    entries = [entry for section in sections for entry in doc[section]]
    return [
        (name.strip().lstrip("*"), entry.type, " ".join(entry.desc))
        for entry in entries
        for name in entry.name.split(",")
    ]


def section_of(thing):
    """Records of results are described by attributes, all else by parameters."""
    doc = thing.__doc__ or ""
    return "Attributes" if inspect.isclass(thing) and "Parameters\n" not in doc else "Parameters"


def referred(thing, text):
    """What a description refers to: ``As in :func:`gradient_flow```, or a method."""
    match = re.match(r".*[Aa]s in :(func|meth):`~?([\w.]+)`", text)
    if not match:
        return None
    path, _, name = match[2].rpartition(".")
    if match[1] == "meth" and path:
        return pkgutil.resolve_name(match[2])
    if match[1] == "meth":
        return THINGS[f"{thing.__module__}.{thing.__qualname__.rpartition('.')[0]}.{name}"]
    if path == "meanfield.figures":  # a name for users, no module
        return getattr(meanfield.figures, name)
    module = importlib.import_module(path or thing.__module__)
    return getattr(module, name, None) or getattr(meanfield, name)


def styles_are_known(text):
    """Whether a description says whose keywords ``**kwargs`` are: ``Of :class:`matplotlib.lines.Line2D```."""
    named = re.findall(r"\b[Oo]f :(?:class|func|meth):`~?([\w.]+)`", text)
    try:
        return bool(named) and all(callable(pkgutil.resolve_name(name)) for name in named)
    except (ImportError, AttributeError):
        return False


def names_at_fault(thing, public):
    """Names that differ between docstring and signature, or stand in another order."""
    given = list(parameters(thing))
    section = section_of(thing)
    described = [name for name, _, _ in documented(thing, (section,))]
    if section == "Attributes":  # inherited fields are described by the parent
        parents = [kind for kind in thing.__mro__[1:] if kind.__module__.startswith("meanfield")]
        inherited = [name for kind in parents for name, _, _ in documented(kind, ("Attributes",))]
        given = [name for name in given if name not in inherited and not name.startswith("_")]
        described = [name for name in described if given and (name in given or name not in dir(thing))]
    if described == given or not (described or public):
        return []
    return [f"described are {described}, there are {given}"]


def reference_at_fault(thing, name, default, text):
    """What is wrong with a description that has no type, but refers to another one."""
    if parameters(thing)[name].kind is inspect.Parameter.VAR_KEYWORD and styles_are_known(text):
        return []
    other = referred(thing, text)
    if other is None:
        return [f"{name} has neither a type nor a reference (As in :func:`...`, Of :class:`...`)"]
    there = inspect.signature(other).parameters
    if name not in there or name not in {n for n, _, _ in documented(other)}:
        return [f"{name} is no parameter of {other.__name__}"]
    same = there[name].default is default or there[name].default == default
    return [] if same else [f"{name} = {default!r} here, but not in {other.__name__}"]


def default_at_fault(thing, name, default, kind, text, peers):
    """What a docstring says wrongly of the default of a parameter."""
    if not kind:
        return reference_at_fault(thing, name, default, text)
    said = re.search(r"default (.*)$", kind)
    if default is EMPTY:
        return [f"{name} has no default"] if said or "optional" in kind else []
    if said:
        values = eval(said[1], {"inf": math.inf})
        value = values[peers.index(name)] if len(peers) > 1 and isinstance(values, tuple) else values
        return [] if value == default else [f"{name} = {default!r}, described is {said[1]}"]
    free = "optional" in kind or (default is None and "None" in kind)
    return [] if free else [f"{name} may be left out; write `optional` or `default {default!r}`"]


def measure_at_fault(name, annotation, kind, text, summary):
    """An array without its shape, a quantity without its unit."""
    wrong = []
    if "Array" in str(annotation) and "shape" not in f"{kind} {text}" and not re.search(r"\(.*\)", kind):
        wrong.append(f"{name} has no shape")
    unit = UNITS.get(name)
    if unit and unit not in f"{name if unit == 'tbar' else ''} {kind} {text} {summary}".lower():
        wrong.append(f"{name} has no unit ({unit})")
    return wrong


def faults(thing, public):
    """All that a docstring says wrongly of its parameters."""
    wrong = names_at_fault(thing, public)
    signature = parameters(thing)
    doc = NumpyDocString(inspect.cleandoc(thing.__doc__ or ""))
    summary = " ".join(doc["Summary"] + doc["Extended Summary"])
    for entry in doc["Parameters"]:
        peers = [name.strip().lstrip("*") for name in entry.name.split(",")]
        for name in peers:
            if name in signature and public:
                default, text = signature[name].default, " ".join(entry.desc)
                wrong += default_at_fault(thing, name, default, entry.type, text, peers)
                if entry.type:
                    wrong += measure_at_fault(name, signature[name].annotation, entry.type, text, summary)
    return wrong


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_agree_with_signatures(module):
    wrong = {
        name: found
        for name, thing in THINGS.items()
        if thing.__module__ == module and (found := faults(thing, name in PUBLIC))
    }
    assert not wrong, "\n".join(f"{name}: {'; '.join(found)}" for name, found in wrong.items())


def test_the_walk_reaches_what_users_call():
    for name in ("flow.driver.gradient_flow", "particles.Particles.sample", "kernels.motion.move"):
        assert f"meanfield.{name}" in PUBLIC
    assert len(PUBLIC) > 150


def returns_array(thing):
    return inspect.isfunction(thing) and "Array" in str(inspect.signature(thing).return_annotation)


@pytest.mark.parametrize("name", sorted(name for name in PUBLIC if returns_array(THINGS[name])))
def test_arrays_that_are_returned_have_a_shape(name):
    returned = documented(THINGS[name], ("Returns",))
    assert returned, "no section Returns"
    text = " ".join(f"{kind} {description}" for _, kind, description in returned).lower()
    assert re.search(r"shape|\(.*\)", text), text


def example(a, b=1, c=None, t=0.0, x=None, **kwargs):
    """An example.

    Parameters
    ----------
    a : int
        Something.
    b : int, default 1
        Something.
    c : int, optional
        Something.
    t : float, default 0.0
        Time (tbar).
    x : array_like, shape (n,), or None
        Something.
    **kwargs
        Of :class:`fractions.Fraction`, for something.
    """


example.__annotations__["x"] = "ArrayLike"


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("", "", None),
        ("a : int", "z : int", "described are"),
        ("b : int, default 1", "b : int", "b may be left out"),
        ("default 1", "default 2", "b = 1, described is 2"),
        ("a : int", "a : int, optional", "a has no default"),
        ("c : int, optional", "c : int", "c may be left out"),
        ("c : int, optional", "c", "c has neither a type nor a reference"),
        ("Time (tbar)", "Time", "t has no unit"),
        (", shape (n,), or", " or", "x has no shape"),
        ("Of :class:`fractions.Fraction`", "Something", "kwargs has neither a type nor a reference"),
        ("fractions.Fraction", "fractions.Nothing", "kwargs has neither a type nor a reference"),
        (
            "    c : int, optional\n        Something",
            "    c\n        Of :class:`int`",
            "c has neither a type nor",
        ),
    ],
)
def test_faults_are_seen(right, wrong, message, monkeypatch):
    monkeypatch.setattr(example, "__doc__", example.__doc__.replace(right, wrong, 1))
    found = faults(example, True)
    assert (message is None) == (not found), found
    assert message is None or message in found[0]
