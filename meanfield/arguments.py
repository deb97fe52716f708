"""What users give, checked once: each check returns the value in the type that the code below trusts.

Every error says what was given, what was expected and what to do.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import fields
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.errors import InputError

T = TypeVar("T")

#: What NumPy accepts as a source of randomness (SPEC 7).
RNG = np.random.Generator | np.random.SeedSequence | np.random.BitGenerator | int | None

#: Counts beyond this are mistakes: no memory holds as many numbers.
MOST = 10**12
#: The flow forms products of four entries of the data and of two scales, which must not overflow or vanish.
LARGEST_DATUM, LARGEST_SCALE = 1e70, 1e140


def instance(name: str, value: Any, kind: type[T], made_by: str) -> T:
    """Return a value of a type of this package, or say how such a thing is made."""
    if not isinstance(value, kind):
        raise InputError(f"{name} is a {type(value).__name__}; give a {kind.__name__}, made by {made_by}")
    return value


def as_number(value: Any) -> float:
    """Return a real number as a float; nan for all else: text, truth values, arrays, complex numbers."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and not isinstance(value, np.ma.MaskedArray):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):  # a signalling nan; a whole number beyond all floats
        return math.nan


def number(name: str, value: Any, expected: str = "a finite number", **bounds: float) -> float:
    """Return a number within bounds as a float.

    Parameters
    ----------
    name : str
        Of the argument.
    value : object
        What was given.
    expected : str
        What to give instead, for the error.
    least, most : float, optional
        Smallest and largest value; ``most=inf`` allows infinity.
    above, below : float, optional
        The same, themselves not included.

    Raises
    ------
    InputError
        If the value is no real number or out of bounds.

    Examples
    --------
    >>> number("noise", 1, "a number >= 0", least=0.0)
    1.0
    """
    given = as_number(value)
    least, most = bounds.get("least", -math.inf), bounds.get("most", np.finfo(np.float64).max)
    inside = least <= given <= most and bounds.get("above", -math.inf) < given
    if not (inside and given < bounds.get("below", math.inf)) and not (given == most == math.inf):
        raise InputError(f"{name} is {shown(value)}; give {expected}")
    return given


def whole_number(name: str, value: Any, *, least: int = 1, most: int = MOST) -> int:
    """Return a count as an int."""
    given = as_number(value)
    if not (least <= given <= most and given == math.floor(given)):
        limit = f" and <= {most:g}" if given > most else ""
        raise InputError(f"{name} is {shown(value)}; give a whole number >= {least}{limit}")
    return int(value)


def real_array(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a copy of what was given as an array of finite double-precision numbers."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError(f"{name} has masked entries; fill them or drop those samples")
    try:
        raw = np.asarray(values)
        if np.iscomplexobj(raw):
            raise InputError(f"{name} is complex; give real numbers")
        if raw.dtype.kind in "mM":
            raise InputError(f"{name} holds dates or durations; give real numbers")
        with np.errstate(over="ignore"):  # wider floats may become infinite: refused below
            array = np.array(raw, dtype=np.float64, order="C")
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is not an array of numbers ({error}); give real numbers") from None
    if not np.all(np.isfinite(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(
            f"{name}{list(where) if where else ''} is {array[where]}; every entry must be a finite number: "
            "drop or fill such samples"
        )
    return array


def squarable_array(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a real array whose squares, and products of a few entries, are in the range of doubles."""
    array = real_array(name, values)
    largest = float(np.max(np.abs(array), initial=0.0))
    if largest > LARGEST_DATUM or 0.0 < largest < 1.0 / LARGEST_DATUM:
        raise InputError(
            f"the entries of {name} reach {largest:.3g}, beyond what double precision can square and "
            "multiply; rescale the data to order one"
        )
    return array


def scale(name: str, value: Any) -> float:
    """Return a positive factor whose square is in the range of doubles."""
    factor = number(name, value, "a positive finite number", above=0.0)
    if not 1.0 / LARGEST_SCALE <= factor <= LARGEST_SCALE:
        raise InputError(
            f"{name} is {factor:.3g}, beyond what double precision can square; give exponents or a width "
            f"for which it is between {1.0 / LARGEST_SCALE:g} and {LARGEST_SCALE:g}"
        )
    return factor


def listed(name: str, values: Iterable[T], expected: str) -> list[T]:
    """Return the entries of what should be a sequence."""
    try:
        return list(values)
    except TypeError:  # also for arrays without dimensions, which claim to be iterable
        raise InputError(f"{name} is {shown(values)}; give {expected}") from None


def generator(rng: RNG) -> np.random.Generator:
    """Return NumPy's generator for a seed, or for another source of randomness."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise InputError(
            f"rng is {shown(rng)}; give a whole number >= 0, a SeedSequence, a Generator or None"
        ) from None


def file_path(name: str, value: str | os.PathLike[str]) -> Path:
    """Return the path of a file to be written."""
    try:
        path = Path(value)
    except TypeError:
        raise InputError(f"{name} is {shown(value)}; give a string or a Path") from None
    if not path.name or "\0" in str(path):
        raise InputError(f"{name} is {shown(value)}; give the path of a file")
    return path


def check_types(record: Any) -> None:
    """Raise ValueError if a field of a dataclass that was read from a file is not of its (plain) type."""
    for field in fields(record):
        value, kind = getattr(record, field.name), str(field.type)
        if kind in ("int", "float", "str", "bool") and type(value).__name__ != kind:
            raise ValueError(f"{field.name} is {shown(value)}, expected is a {kind}")


def shown(value: Any) -> str:
    """Return a value as it is written in an error, cut to a readable length."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whole numbers of thousands of digits, objects that are broken
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
