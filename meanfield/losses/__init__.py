"""Losses by name, one file each: a new one needs its file and nothing else.

Every module of this folder that has a tuple ``LOSSES`` offers them by their names; one that has ``FAMILIES``
offers losses with parameters, as in "huber(0.5)".
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType

from meanfield.arguments import did_you_mean, shown
from meanfield.errors import InputError
from meanfield.losses.base import Loss, check_own, curvature_of, mean_loss
from meanfield.losses.mean_square import MEAN_SQUARE

__all__ = [
    "MEAN_SQUARE",
    "Loss",
    "as_loss",
    "available",
    "check_own",
    "curvature_of",
    "is_known",
    "mean_loss",
]


def _modules() -> list[ModuleType]:
    found = pkgutil.iter_modules(__path__)
    return [importlib.import_module(f"{__name__}.{module.name}") for module in found]


@functools.cache
def available() -> Mapping[str, Loss]:
    """All losses of this folder by name, those with parameters at their defaults."""
    found: dict[str, Loss] = {}
    for module in _modules():
        found |= {loss.name.partition("(")[0]: loss for loss in getattr(module, "LOSSES", ())}
    return found


@functools.cache
def _families() -> Mapping[str, Callable[..., Loss]]:
    found: dict[str, Callable[..., Loss]] = {}
    for module in _modules():
        found |= getattr(module, "FAMILIES", {})
    return found


def is_known(loss: Loss) -> bool:
    """Whether a loss is one of this package, which its name stands for.

    Parameters
    ----------
    loss : Loss
        A loss.

    Raises
    ------
    InputError
        If a loss of the user's own has the name of one of this package, or claims to be quadratic.
    """
    try:
        known = as_loss(loss.name)
    except InputError:
        known = None
    if known == loss:
        return True
    if known is not None:
        raise InputError(
            f"a loss of your own is called {loss.name!r}, as one of this package is; give it another name"
        )
    if loss.quadratic:
        raise InputError(
            f"the loss {loss.name!r} has quadratic=True, which is for the mean square; leave it out"
        )
    return False


def as_loss(given: Loss | str) -> Loss:
    """A loss by its name, or the user's own.

    Parameters
    ----------
    given : Loss or str
        A :class:`Loss`, or a name of :func:`available`, with parameters as in "huber(0.5)".

    Raises
    ------
    InputError
        If no loss has that name, or it has no such parameters.

    Examples
    --------
    >>> as_loss("logistic"), as_loss("huber(0.5)")
    (<Loss 'logistic'>, <Loss 'huber(0.5)'>)
    """
    if isinstance(given, Loss):
        return given
    name, bracket, rest = given.partition("(") if isinstance(given, str) else ("", "", "")
    if not bracket and name in available():
        return available()[name]
    if bracket and name in _families() and rest.endswith(")"):
        try:
            return _families()[name](*(float(part) for part in rest[:-1].split(",")))
        except InputError:
            raise
        except (TypeError, ValueError):
            raise InputError(f"the loss is {shown(given)}; give its parameters as in 'huber(0.5)'") from None
    known = ", ".join(available())
    raise InputError(
        f"no loss is called {shown(given)}; choose one of {known}, or give your own as Loss(name, value, "
        f"pull, curvature)" + did_you_mean(given, available())
    )
