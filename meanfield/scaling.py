"""Scalings: how the output factor and the initial weights depend on the width m.

A network ``f(x) = (1/alpha) sum_k a_k relu(w_k . x)`` with ``a ~ N(0, beta1**2)`` and
``w ~ N(0, beta2**2 I_d)`` has two scales that decide how it trains: ``kappa = beta1 beta2 / alpha``
and ``kappa_prime = beta1 / beta2`` (Luo et al. 2021, sec. 3). A :class:`Scaling` is a pair of power
laws in m for them.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Protocol

from meanfield.errors import InputError
from meanfield.regime import Classification, Regime, classify

#: alpha, beta1, beta2 of the common schemes, in m and d.
SCHEMES: Mapping[str, tuple[str, str, str]] = {
    "lecun": ("1", "sqrt(1/m)", "sqrt(1/d)"),
    "he": ("1", "sqrt(2/m)", "sqrt(2/d)"),
    "xavier": ("1", "sqrt(2/(m+1))", "sqrt(2/(m+d))"),
    "ntk": ("sqrt(m)", "1", "1"),
    "mean-field": ("m", "1", "1"),
    "e-ma-wu": ("1", "m^-b", "1"),
}
#: How the schemes are written in text and figures, and what else they are called.
SCHEME_LABELS: Mapping[str, str] = {
    "lecun": "LeCun",
    "he": "He",
    "xavier": "Xavier",
    "ntk": "NTK",
    "mean-field": "mean-field",
    "e-ma-wu": "E, Ma, Wu",
}
_ALIASES = {"glorot": "xavier", "kaiming": "he", "mean_field": "mean-field", "meanfield": "mean-field"}

#: Widths at which an exponent is read off a law: so large that corrections such as m + d are gone.
#: The smaller ones are for steep laws, which leave the range of double precision at the larger ones.
_PROBES = ((1e40, 1e60, 1e80), (1e20, 1e25, 1e30))
_SMALLEST_NORMAL = 1e-305
_LARGEST_EXPONENT = 100.0


class _Law(Protocol):
    def __call__(self, m: float, d: float, /) -> float: ...


@dataclass(frozen=True)
class PowerLaw:
    """The law ``prefactor * m**exponent``.

    Parameters
    ----------
    prefactor : float
        Positive factor.
    exponent : float
        Power of m.

    Examples
    --------
    >>> PowerLaw(2.0, -0.5)(100)
    0.2
    """

    prefactor: float = 1.0
    exponent: float = 0.0

    def __post_init__(self) -> None:
        if not _is_positive(self.prefactor):
            raise InputError(f"a power law's prefactor is {self.prefactor!r}; give a positive number")
        if not _is_finite(self.exponent):
            raise InputError(f"a power law's exponent is {self.exponent!r}; give a finite number")

    def __call__(self, m: float, d: float = 1.0) -> float:
        """Value at width m; infinite beyond the range of double precision."""
        try:
            return float(self.prefactor * float(m) ** self.exponent)
        except OverflowError:
            return math.inf


#: What a user may give for alpha, beta1 or beta2; a callable takes m, or m and d.
Law = float | str | PowerLaw | Callable[..., float]


@dataclass(frozen=True, init=False)
class Scaling:
    """Power laws of an initialisation, by their exponents or by alpha, beta1 and beta2.

    Parameters
    ----------
    gamma, gamma_prime : float
        ``kappa = m**-gamma`` and ``kappa_prime = m**-gamma_prime``.
    alpha, beta1, beta2 : float, str, PowerLaw or callable
        Instead of the exponents: the laws themselves. A string is an expression in m and d such as
        ``"sqrt(2/(m+d))"``; a callable takes m, or m and d. Constants are constants, not exponents.
    name : str
        Short name for figures and tables.

    Raises
    ------
    InputError
        If neither or both forms are given, a law is not positive, or it is not a power law at large m.

    Examples
    --------
    >>> Scaling(gamma=1.75, gamma_prime=0.0).regime
    <Regime.CONDENSED: 'condensed'>
    >>> Scaling(alpha="sqrt(m)", beta1=1, beta2=1).gamma
    0.5
    >>> Scaling.named("mean-field").kappa(1000)
    0.001
    """

    gamma: float
    gamma_prime: float
    name: str
    _laws: tuple[_Law, _Law, _Law] | None

    def __init__(
        self,
        gamma: float | None = None,
        gamma_prime: float | None = None,
        *,
        alpha: Law | None = None,
        beta1: Law | None = None,
        beta2: Law | None = None,
        name: str = "",
    ) -> None:
        given = {"alpha": alpha, "beta1": beta1, "beta2": beta2}
        if all(law is None for law in given.values()):
            if gamma is None:
                raise InputError("no scaling given; give gamma and gamma_prime, or alpha, beta1 and beta2")
            parsed = None
            gamma = _exponent_value("gamma", gamma)
            gamma_prime = _exponent_value("gamma_prime", 0.0 if gamma_prime is None else gamma_prime)
        elif gamma is not None or gamma_prime is not None:
            raise InputError("both exponents and alpha, beta1, beta2 given; give one of the two forms")
        else:
            missing = [key for key, law in given.items() if law is None]
            if missing:
                raise InputError(f"{' and '.join(missing)} missing; give all of alpha, beta1 and beta2")
            parsed = (_parse_law("alpha", alpha), _parse_law("beta1", beta1), _parse_law("beta2", beta2))
            e_alpha, e_beta1, e_beta2 = map(_law_exponent, given, parsed)
            gamma = _tidy(e_alpha - e_beta1 - e_beta2)
            gamma_prime = _tidy(e_beta2 - e_beta1)
        object.__setattr__(self, "gamma", gamma)
        object.__setattr__(self, "gamma_prime", gamma_prime)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_laws", parsed)

    @classmethod
    def named(cls, scheme: str, *, b: float | None = None) -> Scaling:
        """One of the common schemes, by name (see ``meanfield.scaling.SCHEMES``).

        Parameters
        ----------
        scheme : str
            ``lecun``, ``he`` (or ``kaiming``), ``xavier`` (or ``glorot``), ``ntk``, ``mean-field`` or
            ``e-ma-wu``; upper and lower case are the same.
        b : float
            Exponent of ``beta = m**-b``, for ``e-ma-wu`` only.

        Examples
        --------
        >>> xavier = Scaling.named("xavier")
        >>> xavier.gamma, xavier.gamma_prime, xavier.regime.value
        (1.0, 0.0, 'critical')
        """
        key = str(scheme).strip().lower()
        key = _ALIASES.get(key, key)
        if key not in SCHEMES:
            raise InputError(f"no scheme is called {scheme!r}; choose one of {', '.join(SCHEMES)}")
        alpha, beta1, beta2 = SCHEMES[key]
        law: Law = beta1
        if key == "e-ma-wu":
            if b is None:
                raise InputError("scheme 'e-ma-wu' has a free exponent (beta = m**-b); give b")
            law = PowerLaw(1.0, -_exponent_value("b", b))
        elif b is not None:
            raise InputError(f"scheme {scheme!r} has no free exponent; leave b out")
        return cls(alpha=alpha, beta1=law, beta2=beta2, name=SCHEME_LABELS[key])

    @classmethod
    def from_abc(cls, a: tuple[float, float], b: tuple[float, float], *, name: str = "") -> Scaling:
        """The scaling of an abc (muP-style) parametrisation.

        Layer l has weights ``m**-a_l w_l`` with ``w_l ~ N(0, m**(-2 b_l))``: layer 1 is the input
        layer, layer 2 the output layer (G. Yang, E. J. Hu 2021; derived by matching it to alpha,
        beta1 and beta2: ``gamma = a1 + a2 + b1 + b2``, ``gamma_prime = b2 - b1``). The exponent c of
        the learning rate only sets the unit of time.

        Parameters
        ----------
        a, b : tuple of float
            ``(a1, a2)`` and ``(b1, b2)``.

        Examples
        --------
        >>> mup = Scaling.from_abc(a=(-0.5, 0.5), b=(0.5, 0.5))
        >>> mup.gamma, mup.gamma_prime, mup.regime.value
        (1.0, 0.0, 'critical')
        """
        a1, a2 = _pair("a", a)
        b1, b2 = _pair("b", b)
        return cls(
            alpha=PowerLaw(1.0, a1 + a2), beta1=PowerLaw(1.0, -b2), beta2=PowerLaw(1.0, -b1), name=name
        )

    @property
    def abc(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """An abc parametrisation ``(a1, a2), (b1, b2)`` of this scaling, the one with a1 = b1 = 0.

        The map is many to one: multiplying the input layer by m**-s and its initial law by m**s
        changes nothing. What all share is ``a1 + a2 + b1 + b2 = gamma`` and ``b2 - b1 = gamma_prime``.
        """
        return (0.0, self.gamma - self.gamma_prime), (0.0, self.gamma_prime)

    @property
    def regime(self) -> Regime:
        """Regime of the scaling: linear, critical or condensed."""
        return Regime.classify(self.gamma, self.gamma_prime)

    def classify(self, *, antisymmetric: bool = True) -> Classification:
        """Regime, distance to the nearest boundary and predicted exponents.

        Examples
        --------
        >>> round(Scaling.named("lecun").classify().distance, 4)
        0.7071
        """
        return classify(self.gamma, self.gamma_prime, antisymmetric=antisymmetric)

    def kappa(self, m: float, d: float | None = None) -> float:
        """Energetic scale ``beta1 beta2 / alpha`` at width m (d where a law depends on it)."""
        m = _width(m)
        if self._laws is None:
            return _power("kappa", m, -self.gamma)
        alpha, beta1, beta2 = self._values(m, d)
        return _in_range("kappa", beta1 * beta2 / alpha, m)

    def kappa_prime(self, m: float, d: float | None = None) -> float:
        """Dynamical scale ``beta1 / beta2`` at width m (d where a law depends on it)."""
        m = _width(m)
        if self._laws is None:
            return _power("kappa_prime", m, -self.gamma_prime)
        _, beta1, beta2 = self._values(m, d)
        return _in_range("kappa_prime", beta1 / beta2, m)

    def tbar(self, steps: float, learning_rate: float, m: float, d: float | None = None) -> float:
        """Normalised time reached by gradient descent: ``steps * learning_rate / (beta1 beta2)``.

        The learning rate is that of full-batch descent on ``R = (1/2n) sum (f - y)**2`` in the
        user's own parameters; on the mean square without the 1/2 give twice the learning rate.

        Parameters
        ----------
        steps : float
            Number of steps.
        learning_rate : float
            Step of the descent.
        m, d : float
            Width and input dimension.

        Examples
        --------
        >>> Scaling(alpha=1, beta1="1/m", beta2=1).tbar(steps=10, learning_rate=0.1, m=100)
        100.0
        """
        return steps * _learning_rate(learning_rate) / self._time_unit(m, d)

    def steps(self, tbar: float, learning_rate: float, m: float, d: float | None = None) -> float:
        """Number of gradient-descent steps to the normalised time tbar; the inverse of :meth:`tbar`."""
        return tbar * self._time_unit(m, d) / _learning_rate(learning_rate)

    def _time_unit(self, m: float, d: float | None) -> float:
        if self._laws is None:
            raise InputError(
                "this scaling is given by gamma and gamma_prime only, which fix no unit of time; "
                "give alpha, beta1 and beta2 to convert learning-rate steps"
            )
        _, beta1, beta2 = self._values(_width(m), d)
        return beta1 * beta2

    def _values(self, m: float, d: float | None) -> tuple[float, float, float]:
        assert self._laws is not None
        if d is None:
            values = [law(m, math.nan) for law in self._laws]
            if any(math.isnan(value) for value in values):
                raise InputError(f"the scaling {self.name!r} depends on the input dimension; give d")
        else:
            values = [law(m, float(d)) for law in self._laws]
        for key, value in zip(("alpha", "beta1", "beta2"), values, strict=True):
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{key} is {value} at m = {m:g}; a law must be positive and finite there")
        return values[0], values[1], values[2]

    def __repr__(self) -> str:
        label = f", name={self.name!r}" if self.name else ""
        return f"Scaling(gamma={self.gamma:g}, gamma_prime={self.gamma_prime:g}{label})"


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_finite(value) and value > 0


def _width(m: float) -> float:
    if not _is_positive(m):
        raise InputError(f"width is {m!r}; give a positive finite number of neurons")
    return float(m)


def _learning_rate(rate: float) -> float:
    if not _is_positive(rate):
        raise InputError(f"learning_rate is {rate!r}; give a positive number")
    return float(rate)


def _pair(name: str, values: Any) -> tuple[float, float]:
    try:
        first, second = values
    except (TypeError, ValueError):
        raise InputError(f"{name} is {values!r}; give two numbers ({name}1, {name}2)") from None
    return _exponent_value(name, first), _exponent_value(name, second)


def _power(name: str, m: float, exponent: float) -> float:
    try:
        value = m**exponent
    except OverflowError:
        value = math.inf
    return _in_range(name, value, m)


def _in_range(name: str, value: float, m: float) -> float:
    if not 0.0 < value < math.inf:
        raise InputError(
            f"{name} is {value:g} at m = {m:g}, outside the range of double precision; "
            "give a smaller width or smaller exponents"
        )
    return value


def _exponent_value(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} is {value!r}; give a number") from None
    if not abs(number) <= _LARGEST_EXPONENT:
        raise InputError(f"{name} is {number}; give a number between -100 and 100")
    return number


def _parse_law(name: str, law: Any) -> _Law:
    if isinstance(law, PowerLaw):
        return law
    if isinstance(law, str):
        return _parse_expression(name, law)
    if callable(law):
        return _wrap_callable(law)
    try:
        constant = float(law)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} is {law!r}; give a number, an expression in m and d, a PowerLaw or a function of m"
        ) from None
    if not (math.isfinite(constant) and constant > 0):
        raise InputError(f"{name} is {constant}; give a positive number")
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


def _law_exponent(name: str, law: _Law) -> float:
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


def _logs(law: _Law) -> tuple[tuple[float, ...], list[float]]:
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


def _tidy(exponent: float) -> float:
    """Remove the rounding of a measured exponent, so that sqrt(m) has exactly 1/2."""
    rounded = round(exponent, 12)
    return rounded + 0.0  # turns -0.0 into 0.0


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
