"""Activations by name, one file each: a new one needs its file and nothing else.

Every module of this folder that has a tuple ``ACTIVATIONS`` offers them by their names. One that has
``FAMILIES`` offers, by name, functions that make an activation from a parameter: "leaky-relu(0.2)".
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

from meanfield.activations.base import Activation, Array, Orders
from meanfield.activations.gaussian import Angle, Dual, Products
from meanfield.activations.hermite import hermite
from meanfield.activations.leaky_relu import leaky_relu
from meanfield.activations.own import check_own
from meanfield.activations.relu import RELU
from meanfield.arguments import did_you_mean, shown
from meanfield.errors import InputError

__all__ = [
    "RELU",
    "Activation",
    "Angle",
    "Dual",
    "Orders",
    "Products",
    "as_activation",
    "available",
    "families",
    "hermite",
    "kept_activation",
    "leaky_relu",
]


def __dir__() -> list[str]:
    return sorted(__all__)


#: A family and its parameter: "leaky-relu(0.2)".
_MEMBER = re.compile(r"\s*([\w-]+)\s*\(\s*([^()\s]+)\s*\)\s*")


@functools.cache
def available() -> Mapping[str, Activation]:
    """All activations of this folder by name; of families some members.

    Examples
    --------
    >>> from meanfield import activations
    >>> [name for name in activations.available() if "relu" in name]
    ['leaky-relu(0.01)', 'relu', 'relu2', 'relu3']
    """
    return {activation.name: activation for module in _modules() for activation in _offered(module)}


@functools.cache
def families() -> Mapping[str, Callable[[float], Activation]]:
    """Functions that make an activation from a number, by the name of the family.

    Examples
    --------
    >>> from meanfield import activations
    >>> sorted(activations.families())
    ['hermite', 'leaky-relu']
    """
    found: dict[str, Callable[[float], Activation]] = {}
    for module in _modules():
        found |= getattr(module, "FAMILIES", {})
    return found


def _modules() -> Iterator[ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return (importlib.import_module(f"{__name__}.{name}") for name in names)


def _offered(module: ModuleType) -> tuple[Activation, ...]:
    offered: tuple[Activation, ...] = getattr(module, "ACTIVATIONS", ())
    return offered


def named(name: str) -> Activation | None:
    """The activation of this name, if this package has it."""
    found = available().get(name.strip())
    if found is not None:
        return found
    match = _MEMBER.fullmatch(name)
    make = families().get(match[1]) if match else None
    if match is None or make is None:
        return None
    try:
        parameter = float(match[2])
    except ValueError:
        return None
    return make(parameter)


def as_activation(given: Activation | str) -> Activation:
    """An activation by its name, or the user's own, which is tried at a few numbers.

    Parameters
    ----------
    given : Activation or str
        An :class:`Activation`, a name of :func:`available`, or a family of :func:`families` with its
        parameter.

    Returns
    -------
    Activation

    Raises
    ------
    InputError
        If no activation has that name; if the user's own does not work on arrays, its slope is not the
        derivative of its value, or it has the name of another one of this package.

    Examples
    --------
    >>> as_activation("tanh")
    <Activation 'tanh'>
    >>> as_activation("leaky-relu(0.20)") == leaky_relu(0.2)
    True
    """
    if not isinstance(given, Activation | str):
        raise InputError(f"activation is {shown(given)}; give {_choices()}")
    found = named(given if isinstance(given, str) else given.name)
    if isinstance(given, Activation):
        if found is None:
            check_own(given)
        elif found != given:
            raise InputError(
                f"your activation is called {shown(given.name)}, as one of this package that is another "
                "function; give yours another name"
            )
        return given
    if found is None:
        raise InputError(
            f"no activation is called {shown(given)}; give {_choices()}" + did_you_mean(given, available())
        )
    return found


def kept_activation(name: str) -> Activation:
    """The activation that a file names; one of the user's own can be named, but not evaluated.

    Parameters
    ----------
    name : str
        Its name in the file.

    Returns
    -------
    Activation
    """
    return named(name) or Activation(name, _unknown, _unknown)


def _unknown(z: Array) -> Array:
    raise InputError(
        "the file names an activation of the user's own, which files do not hold; run it again with that one"
    )


def _choices() -> str:
    members = ", ".join(f"{name}({_parameter(make)})" for name, make in families().items())
    plain = ", ".join(name for name in available() if "(" not in name)
    return f"one of {plain}, {members}, or your own as Activation(name, value, slope)"


def _parameter(make: Callable[[float], Activation]) -> str:
    """What a family's parameter is called."""
    import inspect

    return next(iter(inspect.signature(make).parameters))
