"""Is an activation of the user's own what the flow takes it for? Tried at a few numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meanfield.activations.base import Activation, Array
from meanfield.arguments import shown
from meanfield.errors import InputError

#: Where functions are tried: zero and one, and numbers at which nobody puts a kink.
_POINTS = np.array([[0.0, 1.0, -1.0], [0.3719, -0.6173, 1.4717], [-2.2391, 0.0837, -0.0291]])
#: Steps of the central differences; a slope has to agree with one of them, to this share.
_STEPS, _AGREED = (1e-3, 1e-4, 1e-5, 1e-6), 2e-3


def check_own(activation: Activation) -> None:
    """Try the functions of an activation.

    Parameters
    ----------
    activation : Activation
        The user's own.

    Raises
    ------
    InputError
        If a function fails on arrays, changes their shape or its argument, or is not finite near zero; if
        the slope is not the derivative of the value, or the second derivative not that of the slope.
    """
    name = activation.name
    value, slope = _tried(name, "value", activation.value), _tried(name, "slope", activation.slope)
    _compare(name, "slope", slope, "value", activation.value)
    if activation.curvature is not None:
        curvature = _tried(name, "curvature", activation.curvature)
        _compare(name, "curvature", curvature, "slope", activation.slope)
    if activation.both is not None:
        pair = activation.both
        for index, (kind, alone) in enumerate((("value", value), ("slope", slope))):

            def one(z: Array, index: int = index) -> Array:
                return pair(z)[index]

            found = _tried(name, "both", one)
            if not np.allclose(found, alone, rtol=1e-12, atol=1e-12):
                raise InputError(
                    f"both of the activation {shown(name)} gives another {kind} than {kind} itself; give "
                    "functions that agree, or leave both out"
                )


def _tried(name: str, kind: str, function: Callable[[Array], Array]) -> Array:
    """Values at the points."""
    what, z = f"{kind} of the activation {shown(name)}", _POINTS.copy()
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(function(z))
    except Exception as error:
        raise InputError(
            f"{what} fails on an array of shape {z.shape} ({type(error).__name__}: {error}); give a function "
            "of arrays that works entry by entry, as NumPy's do"
        ) from error
    if found.shape != z.shape:
        raise InputError(
            f"{what} makes shape {found.shape} of an array of shape {z.shape}; give a function that works "
            "entry by entry"
        )
    if found.dtype.kind not in "biuf" or (found.dtype.kind == "f" and found.dtype.itemsize < 8):
        raise InputError(
            f"{what} gives numbers of type {found.dtype}; give a function that computes in double precision"
        )
    if not np.array_equal(z, _POINTS):
        raise InputError(f"{what} changes the array that it is given; give a function that makes a new one")
    wrong = ~np.isfinite(found)
    if wrong.any():
        at = z[wrong][0]
        raise InputError(f"{what} is {found[wrong][0]} at z = {at:g}; give a function that is finite there")
    return found.astype(np.float64)


def _compare(name: str, kind: str, given: Array, of: str, function: Callable[[Array], Array]) -> None:
    """Raise unless ``given`` is the derivative of the function at all points but those where kinks may be."""
    z, given = _POINTS[1:], given[1:]
    with np.errstate(all="ignore"):
        changes = np.array([(function(z + h) - function(z - h)) / (2.0 * h) for h in _STEPS])
    misses = np.min(np.abs(changes - given), axis=0)
    wrong = ~(misses <= _AGREED * np.maximum(np.abs(given), 1e-2))
    if wrong.any():
        at = z[wrong][0]
        raise InputError(
            f"{kind} of the activation {shown(name)} is {given[wrong][0]:g} at z = {at:g}, but the "
            f"{of} rises by {changes[1][wrong][0]:g} per unit of z there; give the derivative of the {of}"
        )
