"""Laws in the width m (and the input dimension d): power laws, expressions, functions.

A law says how alpha, beta1 or beta2 depends on m; :func:`law_exponent` reads its power off.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from meanfield.arguments import as_number, number, shown
from meanfield.errors import InputError

#: Widths at which an exponent is read off a law: so large that corrections such as m + d are gone.
#: The smaller ones are for steep laws, which leave the range of double precision at the larger ones.
_PROBES = ((1e40, 1e60, 1e80), (1e20, 1e25, 1e30))
_SMALLEST_NORMAL = 1e-305


class LawFunction(Protocol):
    """A law as a function of the width and the input dimension."""

    def __call__(self, m: float, d: float, /) -> float:
        """Value at width m and input dimension d."""


@dataclass(frozen=True)
class PowerLaw:
    """The law ``prefactor * m**exponent``.

    Parameters
    ----------
    prefactor : float, default 1.0
        Positive factor.
    exponent : float, default 0.0
        Power of m.

    Examples
    --------
    >>> PowerLaw(2.0, -0.5)(100)
    0.2
    """

    prefactor: float = 1.0
    exponent: float = 0.0

    def __post_init__(self) -> None:
        prefactor = number("a power law's prefactor", self.prefactor, "a positive number", above=0.0)
        object.__setattr__(self, "prefactor", prefactor)
        object.__setattr__(self, "exponent", number("a power law's exponent", self.exponent))

    def __call__(self, m: float, d: float = 1.0) -> float:
        """Value at width m; infinite beyond the range of double precision."""
        try:
            return float(self.prefactor * float(m) ** self.exponent)
        except OverflowError:
            return math.inf


#: What a user may give for alpha, beta1 or beta2; a callable takes m, or m and d.
Law = float | str | PowerLaw | Callable[..., float]


def parse_law(name: str, law: Any) -> LawFunction:
    """Turn what a user gave for ``name`` into a function of m and d, or say why it cannot be one."""
    if isinstance(law, PowerLaw):
        return law
    if isinstance(law, str):
        return _parse_expression(name, law)
    if callable(law):
        return _wrap_callable(law)
    constant = as_number(law)
    if not 0.0 < constant < math.inf:
        what = (
            "a number, an expression in m and d, a PowerLaw or a function of m"
            if math.isnan(constant)
            else "a positive number"
        )
        raise InputError(f"{name} is {shown(law)}; give {what}")
    return PowerLaw(constant, 0.0)


@dataclass(frozen=True)
class _Function:
    """A user's function of m, or of m and d."""

    law: Callable[..., float]
    takes_d: bool

    def __call__(self, m: float, d: float) -> float:
        if not self.takes_d:
            return float(self.law(m))
        return math.nan if math.isnan(d) else float(self.law(m, d))


def _wrap_callable(law: Callable[..., float]) -> _Function:
    try:
        positional = [
            p
            for p in inspect.signature(law).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
        ]
        takes_d = len(positional) >= 2
    except (TypeError, ValueError):  # built-ins without a signature take m only
        takes_d = False
    return _Function(law, takes_d)


def law_code(law: LawFunction) -> str | None:
    """What a user writes for a law in Python; None for a function of the user's own."""
    if isinstance(law, PowerLaw):
        return repr(law.prefactor) if law.exponent == 0.0 else repr(law)
    return repr(law.text) if isinstance(law, _Expression) else None


def law_exponent(name: str, law: LawFunction) -> float:
    """Power of m in a law at m -> infinity, with d fixed."""
    if isinstance(law, PowerLaw):
        return law.exponent
    try:
        probes, logs = _logs(law)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise InputError(
            f"{name} cannot be evaluated at large widths ({error}); give a law that is positive there"
        ) from None
    low, high = ((logs[i + 1] - logs[i]) / (math.log(probes[i + 1]) - math.log(probes[i])) for i in (0, 1))
    if not abs(high - low) < 1e-9:
        raise InputError(
            f"{name} is not a power law at large widths (its slope still changes from {low:.6g} to "
            f"{high:.6g}); the phase diagram is about power laws in m: give one"
        )
    return high


def _logs(law: LawFunction) -> tuple[tuple[float, ...], list[float]]:
    """Probes at which a law is in the range of double precision, and its logarithms there."""
    failure: Exception = ValueError("it has no value")
    for probes in _PROBES:
        try:
            values = [law(m, 2.0) for m in probes]
        except (ArithmeticError, InputError) as error:
            failure = error
            continue
        if all(_SMALLEST_NORMAL < value < math.inf for value in values):
            return probes, [math.log(value) for value in values]
        failure = ValueError(f"at m = {probes[0]:g} it is {values[0]:g}, at m = {probes[2]:g} {values[2]:g}")
        if not all(value >= 0.0 for value in values):
            break
    raise failure


_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


@dataclass(frozen=True)
class _Expression:
    """An expression in m and d: numbers, + - * / ^ **, brackets and sqrt.

    A class rather than a closure, so that scalings can be compared and sent to other processes.
    """

    name: str
    text: str
    tree: ast.expr = field(compare=False, repr=False)

    def __call__(self, m: float, d: float) -> float:
        try:
            return self._value(self.tree, m, d)
        except (OverflowError, ZeroDivisionError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise _refusal(self.name, self.text, f"it has no value at m = {m:g} ({error.args[-1]})") from None

    def _value(self, node: ast.expr, m: float, d: float) -> float:
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id="m"):
                return m
            case ast.Name(id="d"):
                return d
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self._value(inner, m, d)
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return self._value(inner, m, d)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                result = _OPERATORS[type(op)](self._value(left, m, d), self._value(right, m, d))
                if isinstance(result, complex):
                    raise _refusal(self.name, self.text, "it takes a root of a negative number")
                return float(result)
            case ast.Call(func=ast.Name(id="sqrt"), args=[inner], keywords=[]):
                return math.sqrt(self._value(inner, m, d))
        raise _refusal(self.name, self.text, "only numbers, m, d, sqrt and + - * / ^ are understood")


def _parse_expression(name: str, text: str) -> _Expression:
    if len(text) > 200:
        raise _refusal(name, text[:40] + "...", "it is longer than 200 characters")
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refusal(name, text, "it cannot be read") from None
    law = _Expression(name, text, tree)
    law(1000.0, 2.0)  # an unreadable expression is refused at once
    return law


def _refusal(name: str, text: str, reason: str) -> InputError:
    return InputError(
        f"{name} is {text!r}: {reason}; write an expression in m and d such as 'sqrt(2/(m+d))' or '3*m^-0.5'"
    )
