"""What users give, checked once: each check returns the value in the type that the code below trusts.

Every error says what was given, what was expected and what to do.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.errors import InputError

T = TypeVar("T")
Word = TypeVar("Word", bound=str)

#: What NumPy accepts as a source of randomness (SPEC 7).
RNG = np.random.Generator | np.random.SeedSequence | np.random.BitGenerator | int | None

#: Layers of a two-layer network: its input and its output weights.
Layer: TypeAlias = Literal["w", "a"]

#: Counts beyond this are mistakes: no memory holds as many numbers.
MOST = 10**12
#: The flow forms products of four entries of the data and of two scales, which must not overflow or vanish.
LARGEST_DATUM, LARGEST_SCALE = 1e70, 1e140


def instance(name: str, value: Any, kind: type[T], made_by: str) -> T:
    """Return a value of a type of this package, or say how such a thing is made."""
    if not isinstance(value, kind):
        raise InputError(
            f"{name} is {with_article(type(value))}; give {with_article(kind)}, made by {made_by}"
        )
    return value


def with_article(kind: type) -> str:
    """The name of a type after its article."""
    return f"{'an' if kind.__name__[0] in 'AEIOUaeiou' else 'a'} {kind.__name__}"


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
    **bounds : float
        ``least`` and ``most``, the smallest and largest value (``most=inf`` allows infinity); ``above`` and
        ``below``, the same, themselves not included.

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


def level(confidence: Any) -> float:
    """Return the level of intervals as a float."""
    return number("confidence", confidence, "a level between 0 and 1, such as 0.95", above=0.0, below=1.0)


def whole_number(name: str, value: Any, *, least: int = 1, most: int = MOST) -> int:
    """Return a count as an int."""
    given = as_number(value)
    if not (least <= given <= most and given == math.floor(given)):
        limit = f" and <= {most:g}" if given > most else ""
        raise InputError(f"{name} is {shown(value)}; give a whole number >= {least}{limit}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Return a truth value; a word or a number in its place is a mistake, whatever its own truth value is."""
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} is {shown(value)}; give True or False")
    return bool(value)


def text(name: str, value: Any) -> str:
    """Return a text that may be anything, such as a name for figures."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}; give a string")
    return value


def called(name: str, value: Callable[..., T], of: str) -> Callable[..., T]:
    """Return a function of the user's own."""
    if not callable(value):
        raise InputError(f"{name} is {shown(value)}; give a function of {of}")
    return value


def progress_choice(value: Any, callback_of: str = "") -> Any:
    """Return how progress is to be shown: True, False, None where a terminal decides, or a function.

    Parameters
    ----------
    value : object
        What was given as ``progress``.
    callback_of : str
        What a function would be called with; empty where none is called.
    """
    if value is None or (callback_of and callable(value)):
        return value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    more = f" or a function of {callback_of}" if callback_of else ""
    raise InputError(
        f"progress is {shown(value)}; give True or False to show a bar or not, None to show it on a terminal"
        f"{',' if more else ''}{more}"
    )


def real_array(name: str, values: ArrayLike, *, finite: bool = True) -> NDArray[np.float64]:
    """Return a copy of what was given as an array of double-precision numbers, by default all finite."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError(f"{name} has masked entries; fill them or drop those samples")
    if values is None:  # NumPy reads it as nan
        raise InputError(f"{name} is None; give an array of real numbers")
    _refuse_without_entries(name, values)
    try:
        raw = np.asarray(values)
        if np.iscomplexobj(raw):
            raise InputError(f"{name} is complex; give real numbers")
        if raw.dtype.kind in "mM":
            raise InputError(f"{name} holds dates or durations; give real numbers")
        if raw.dtype.kind in "US" or any(isinstance(entry, str | bytes) for entry in _objects(raw)):
            raise InputError(f"{name} is not an array of numbers (it holds text); give real numbers")
        with np.errstate(over="ignore"):  # wider floats may become infinite: refused below
            array = np.array(raw, dtype=np.float64, order="C")
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # the last of lists of tensors
        reason = " ".join(str(error).split())
        raise InputError(f"{name} is not an array of numbers ({reason}); give real numbers") from None
    if finite and not np.all(np.isfinite(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(
            f"{name}{list(where) if where else ''} is {array[where]}; every entry must be a finite number: "
            "drop or fill such entries"
        )
    return array


def _refuse_without_entries(name: str, values: Any) -> None:
    """Raise InputError for sparse matrices and tensors in a graph, whose entries NumPy does not get."""
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise InputError(
            f"{name} is a sparse matrix ({type(values).__name__}), but networks see every entry; give "
            f"{name}.toarray()"
        )
    if getattr(values, "requires_grad", False) is True:
        raise InputError(
            f"{name} is a tensor that requires gradients, which nothing here computes; give {name}.detach()"
        )


def over_times(name: str, times: ArrayLike, value: Callable[[float], Any]) -> Any:
    """Return a function of time at one time, or at each of several, stacked along a first axis.

    Parameters
    ----------
    name : str
        What the times are called.
    times : float or array_like, shape (S,)
        One time as it was given, or several.
    value : callable
        The function; it checks each time.

    Returns
    -------
    object or ndarray, shape (S, ...)
        What the function returns at a time; an array of it at several.

    Examples
    --------
    >>> over_times("t", [1.0, 2.0], lambda t: [t, t**2])
    array([[1., 1.],
           [2., 4.]])
    """
    if isinstance(times, str) or not isinstance(times, Iterable) or getattr(times, "ndim", 1) == 0:
        return value(times)  # type: ignore[arg-type]
    several = real_array(name, times, finite=False)
    if several.ndim != 1 or not several.size:
        raise InputError(f"{name} has shape {several.shape}; give one time, or a list of them")
    return np.array([value(t) for t in several.tolist()])


def shared_shape(**arrays: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the shape to which arrays, given by their names, are broadcast."""
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = " and ".join(f"{name} has shape {array.shape}" for name, array in arrays.items())
        raise InputError(f"{shapes}; give shapes that broadcast against each other") from None


def _objects(array: NDArray[Any]) -> Iterable[Any]:
    """The entries of an array of Python objects; none of any other."""
    return array.flat if array.dtype.kind == "O" else ()


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
    """Return the entries of what should be a sequence; a text or a mapping is none."""
    try:
        if isinstance(values, str | bytes | Mapping):
            raise TypeError
        return list(values)
    except TypeError:  # also for arrays without dimensions, which claim to be iterable
        raise InputError(f"{name} is {shown(values)}; give {expected}") from None


def one_of(name: str, value: Any, known: Iterable[Word]) -> Word:
    """Return one of a few words, such as those of a ``Literal`` (``typing.get_args``)."""
    for word in known:
        if isinstance(value, str) and value == word:
            return word
    words = ", ".join(known)
    raise InputError(f"no {name} is called {shown(value)}; choose one of {words}{did_you_mean(value, known)}")


def did_you_mean(given: Any, known: Iterable[str]) -> str:
    """Return the end of an error that names the words closest to what was given; empty if none is close.

    Examples
    --------
    >>> did_you_mean("lecunn", ["lecun", "he"])
    "; did you mean 'lecun'?"
    >>> did_you_mean("nkt", ["lecun", "ntk"])
    "; did you mean 'ntk'?"
    >>> did_you_mean("x", ["lecun", "he"])
    ''
    """
    from difflib import get_close_matches

    words = {word.lower().lstrip("-"): word for word in known}
    plain = given.lower().lstrip("-") if isinstance(given, str) else ""
    close = get_close_matches(plain, words, n=2, cutoff=0.65)
    return f"; did you mean {' or '.join(repr(words[word]) for word in close)}?" if close else ""


def interval(name: str, ends: Iterable[float]) -> tuple[float, float]:
    """Return the ends of a range."""
    values = real_array(f"the range of {name}", ends)  # type: ignore[arg-type]
    if values.shape != (2,) or not values[0] < values[1]:
        raise InputError(f"the range of {name} is {shown(ends)}; give a lower and a higher number")
    return float(values[0]), float(values[1])


def pairs(name: str, values: Iterable[Iterable[float]]) -> list[tuple[float, float]]:
    """Return points of the plane."""
    expected = "a list of pairs of finite numbers"
    points = [listed(name, point, expected) for point in listed(name, values, expected)]
    if any(len(point) != 2 for point in points):
        raise InputError(f"{name} is {shown(values)}; give {expected}")
    return [(number(name, one), number(name, two)) for one, two in points]


def generator(rng: RNG) -> np.random.Generator:
    """Return NumPy's generator for a seed, or for another source of randomness."""
    known = isinstance(rng, int | np.integer | np.random.SeedSequence | np.random.BitGenerator)
    if isinstance(rng, bool) or not (known or rng is None or isinstance(rng, np.random.Generator)):
        raise InputError(_no_source(rng))
    try:
        return np.random.default_rng(rng)
    except ValueError:  # a negative number
        raise InputError(_no_source(rng)) from None


def _no_source(rng: Any) -> str:
    return f"rng is {shown(rng)}; give a whole number >= 0, a SeedSequence, a Generator or None"


def root(rng: Any) -> int:
    """Return the whole number from which all random numbers of a repeatable computation come."""
    if not isinstance(rng, int | np.integer) or isinstance(rng, bool) or rng < 0:
        raise InputError(f"rng is {shown(rng)}; give a whole number >= 0, the root of all random numbers")
    return int(rng)


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
        text = with_article(type(value))
    return text if len(text) <= 80 else text[:77] + "..."
