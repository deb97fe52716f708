"""Messages name options that exist: whatever stands in backquotes or before "=" is a parameter."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import meanfield as mf

#: In backquotes or before "=", but of other programs and libraries.
OTHERS = {
    "asynchronous", "dtype", "dask scheduler", "dask worker ADDRESS --nthreads 1",
    'if __name__ == "__main__":', "sqlite3 FILE .recover",
}  # fmt: skip
NAMED = re.compile(r"`+([^`]+)`+|\b([A-Za-z_]\w*)=(?!=)")


def parameters():
    """Names of the parameters of everything that users can call."""
    names = set()
    for module in pkgutil.walk_packages(mf.__path__, "meanfield."):
        if module.name.endswith("__main__"):
            continue
        for thing in vars(importlib.import_module(module.name)).values():
            called = [thing, *vars(thing).values()] if inspect.isclass(thing) else [thing]
            for function in (getattr(one, "__func__", one) for one in called):
                own = inspect.isclass(function) and not issubclass(function, Exception)
                if (inspect.isfunction(function) or own) and function.__module__.startswith("meanfield"):
                    names |= set(inspect.signature(function).parameters)
    return names


def messages():
    """Texts of all errors that are raised for users, and of all statuses."""
    for file in Path(mf.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                raised = getattr(node.exc.func, "id", "")
                if raised in ("InputError", "StoreError", "MissingExtraError", "WorkerLostError"):
                    for part in ast.walk(node.exc):
                        if isinstance(part, ast.Constant) and isinstance(part.value, str):
                            yield f"{file.name}:{part.lineno}", part.value
    for status in mf.Status:
        yield status.name, status.remedy


def test_every_name_is_a_parameter():
    known, seen = parameters() | OTHERS, 0
    for place, text in messages():
        for quoted, option in NAMED.findall(text):
            seen += 1
            assert (quoted or option) in known, f"{place}: {text}"
    assert seen > 10


def test_remedies_of_a_limit_are_options_of_it():
    """What a limit's messages and the docs say to give is there, as for finite networks."""
    options = set(inspect.signature(mf.infinite_width).parameters)
    assert {"save_at", "save_parameters", "t_end", "loss_tol", "max_nodes"} <= options
