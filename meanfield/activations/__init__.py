"""Activations by name, one file each: a new one needs its file and nothing else.

Every module of this folder that has a tuple ``ACTIVATIONS`` offers them by their names.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from meanfield.activations.base import Activation, Array
from meanfield.activations.relu import RELU
from meanfield.arguments import did_you_mean, shown
from meanfield.errors import InputError

__all__ = ["RELU", "Activation", "as_activation", "available", "kept_activation"]


@functools.cache
def available() -> Mapping[str, Activation]:
    """All activations of this folder by name."""
    found: dict[str, Activation] = {}
    for module in pkgutil.iter_modules(__path__):
        offered = getattr(importlib.import_module(f"{__name__}.{module.name}"), "ACTIVATIONS", ())
        found |= {activation.name: activation for activation in offered}
    return found


def as_activation(given: Activation | str) -> Activation:
    """An activation by its name, or the user's own.

    Parameters
    ----------
    given : Activation or str
        An :class:`Activation`, or a name of :func:`available`.

    Returns
    -------
    Activation

    Raises
    ------
    InputError
        If no activation has that name.

    Examples
    --------
    >>> as_activation("tanh")
    <Activation 'tanh'>
    """
    if isinstance(given, Activation):
        return given
    found = available().get(given) if isinstance(given, str) else None
    if found is None:
        raise InputError(
            f"no activation is called {shown(given)}; choose one of {', '.join(available())}, or give "
            "your own as Activation(name, value, slope)" + did_you_mean(str(given), available())
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
    return available().get(name) or Activation(name, _unknown, _unknown)


def _unknown(z: Array) -> Array:
    raise InputError(
        "the file names an activation of the user's own, which files do not hold; run it again with that one"
    )
