"""Scalings: how the output factor and the initial weights depend on the width m.

A network ``f(x) = (1/alpha) sum_k a_k relu(w_k . x)`` with ``a ~ N(0, beta1**2)`` and
``w ~ N(0, beta2**2 I_d)`` has two scales that decide how it trains: ``kappa = beta1 beta2 / alpha``
and ``kappa_prime = beta1 / beta2`` (Luo et al. 2021, sec. 3). A :class:`Scaling` is a pair of power
laws in m for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from meanfield import displays
from meanfield.arguments import did_you_mean, number, shown, text
from meanfield.errors import InputError
from meanfield.laws import Law, LawFunction, PowerLaw, law_code, law_exponent, parse_law
from meanfield.regime import Classification, Regime, classify

#: The common schemes; what else they are called is in ``_ALIASES``.
SchemeName: TypeAlias = Literal["lecun", "he", "xavier", "ntk", "mean-field", "e-ma-wu"]

#: alpha, beta1, beta2 of the common schemes, in m and d.
SCHEMES: Mapping[SchemeName, tuple[str, str, str]] = {
    "lecun": ("1", "sqrt(1/m)", "sqrt(1/d)"),
    "he": ("1", "sqrt(2/m)", "sqrt(2/d)"),
    "xavier": ("1", "sqrt(2/(m+1))", "sqrt(2/(m+d))"),
    "ntk": ("sqrt(m)", "1", "1"),
    "mean-field": ("m", "1", "1"),
    "e-ma-wu": ("1", "m^-b", "1"),
}
#: How the schemes are written in text and figures, and what else they are called.
SCHEME_LABELS: Mapping[SchemeName, str] = {
    "lecun": "LeCun",
    "he": "He",
    "xavier": "Xavier",
    "ntk": "NTK",
    "mean-field": "mean-field",
    "e-ma-wu": "E, Ma, Wu",
}
_ALIASES = {"glorot": "xavier", "kaiming": "he", "mean_field": "mean-field", "meanfield": "mean-field"}

_LARGEST_EXPONENT = 100.0


@dataclass(frozen=True, init=False)
class Scaling:
    """Power laws of an initialisation, by their exponents or by alpha, beta1 and beta2.

    Parameters
    ----------
    gamma, gamma_prime : float, optional
        ``kappa = m**-gamma`` and ``kappa_prime = m**-gamma_prime``.
    alpha, beta1, beta2 : float, str, PowerLaw or callable, optional
        Instead of the exponents: the laws themselves. A string is an expression in m and d such as
        ``"sqrt(2/(m+d))"``; a callable takes m, or m and d. Constants are constants, not exponents. beta2
        may be given with the exponents: where the activation is not homogeneous of degree one, as tanh is
        not, kappa and kappa_prime alone do not decide how a network trains.
    name : str, optional
        Short name for figures and tables.

    Raises
    ------
    InputError
        If neither or both forms are given (but for beta2), a law is not positive, or it is not a power law
        at large m.

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
    _laws: tuple[LawFunction, LawFunction, LawFunction] | None
    _size: LawFunction | None

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
        name = text("name", name)
        given = {"alpha": alpha, "beta1": beta1, "beta2": beta2}
        size = None
        if alpha is None and beta1 is None and (beta2 is None or gamma is not None):
            if gamma is None:
                raise InputError("no scaling given; give gamma and gamma_prime, or alpha, beta1 and beta2")
            parsed, size = None, None if beta2 is None else parse_law("beta2", beta2)
            gamma = _exponent_value("gamma", gamma)
            gamma_prime = _exponent_value("gamma_prime", 0.0 if gamma_prime is None else gamma_prime)
        elif gamma is not None or gamma_prime is not None:
            raise InputError(
                "both exponents and alpha, beta1, beta2 given; give one of the two forms (beta2 may go with "
                "gamma)"
            )
        else:
            missing = [key for key, law in given.items() if law is None]
            if missing:
                raise InputError(f"{' and '.join(missing)} missing; give all of alpha, beta1 and beta2")
            parsed = (parse_law("alpha", alpha), parse_law("beta1", beta1), parse_law("beta2", beta2))
            e_alpha, e_beta1, e_beta2 = map(law_exponent, given, parsed)
            gamma = _tidy(e_alpha - e_beta1 - e_beta2)
            gamma_prime = _tidy(e_beta2 - e_beta1)
        object.__setattr__(self, "gamma", gamma)
        object.__setattr__(self, "gamma_prime", gamma_prime)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_laws", parsed)
        object.__setattr__(self, "_size", size)

    @classmethod
    def named(cls, scheme: SchemeName | str, *, b: float | None = None) -> Scaling:
        """One of the common schemes, by name (see ``meanfield.scaling.SCHEMES``).

        The laws are those of Luo et al. (2021), in d, which counts the bias. PyTorch, Keras and JAX
        do not count it: theirs are these laws for networks without a bias; with a bias d - 1 takes the
        place of d, as in ``Scaling(alpha=1, beta1="sqrt(2/m)", beta2="sqrt(2/(d-1))")``.

        Parameters
        ----------
        scheme : {"lecun", "he", "xavier", "ntk", "mean-field", "e-ma-wu"} or str
            ``kaiming`` is ``he``, ``glorot`` is ``xavier``; upper and lower case are the same.
        b : float, optional
            Exponent of ``beta = m**-b``, for ``e-ma-wu`` only.

        Examples
        --------
        >>> xavier = Scaling.named("xavier")
        >>> xavier.gamma, xavier.gamma_prime, xavier.regime.value
        (1.0, 0.0, 'critical')
        """
        word = str(scheme).strip().lower()
        word = _ALIASES.get(word, word)
        key = next((name for name in get_args(SchemeName) if name == word), None)
        if key is None:
            raise InputError(
                f"no scheme is called {shown(scheme)}; choose one of {', '.join(SCHEMES)}"
                + did_you_mean(word, SCHEMES)
            )
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
        name : str, optional
            Short name for figures and tables.

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

        The map is many to one: a factor may move between a1 and a2, and a common factor of both
        initial laws into them. What all share is ``a1 + a2 + b1 + b2 = gamma`` and
        ``b2 - b1 = gamma_prime``.
        """
        return (0.0, self.gamma - self.gamma_prime), (0.0, self.gamma_prime)

    @property
    def regime(self) -> Regime:
        """Regime of the scaling: linear, critical or condensed."""
        return Regime.classify(self.gamma, self.gamma_prime)

    def classify(self, *, antisymmetric: bool = True) -> Classification:
        """Regime, distance to the nearest boundary and predicted exponents.

        Parameters
        ----------
        antisymmetric : bool, default True
            Whether the initial output is zero.

        Returns
        -------
        Classification

        Examples
        --------
        >>> round(Scaling.named("lecun").classify().distance, 4)
        0.7071
        """
        return classify(self.gamma, self.gamma_prime, antisymmetric=antisymmetric)

    def kappa(self, m: float, d: float | None = None) -> float:
        """Energetic scale ``beta1 beta2 / alpha`` at width m (d where a law depends on it).

        Parameters
        ----------
        m : float
            Width.
        d : float, optional
            Input dimension, the bias included; needed where a law depends on it.

        Returns
        -------
        float
        """
        m = _width(m)
        if self._laws is None:
            return _power("kappa", m, -self.gamma)
        alpha, beta1, beta2 = self._values(m, d)
        return _in_range("kappa", beta1 * beta2 / alpha, m)

    def kappa_prime(self, m: float, d: float | None = None) -> float:
        """Dynamical scale ``beta1 / beta2`` at width m (d where a law depends on it).

        Parameters
        ----------
        m : float
            Width.
        d : float, optional
            Input dimension, the bias included; needed where a law depends on it.

        Returns
        -------
        float
        """
        m = _width(m)
        if self._laws is None:
            return _power("kappa_prime", m, -self.gamma_prime)
        _, beta1, beta2 = self._values(m, d)
        return _in_range("kappa_prime", beta1 / beta2, m)

    def beta2(self, m: float, d: float | None = None) -> float | None:
        """Spread of the initial input weights at width m; None for a scaling by gamma and gamma_prime only.

        Parameters
        ----------
        m : float
            Width.
        d : float, optional
            Input dimension, the bias included; needed where a law depends on it.

        Returns
        -------
        float or None
        """
        return None if self._laws is None and self._size is None else self._values(_width(m), d)[2]

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
        m : float
            Width.
        d : float, optional
            Input dimension, the bias included; needed where a law depends on it.

        Examples
        --------
        >>> Scaling(alpha=1, beta1="1/m", beta2=1).tbar(steps=10, learning_rate=0.1, m=100)
        100.0
        """
        taken = number("steps", steps, "a number >= 0", least=0.0)
        return _in_range("tbar", taken * _learning_rate(learning_rate) / self._time_unit(m, d), m, least=0.0)

    def steps(self, tbar: float, learning_rate: float, m: float, d: float | None = None) -> float:
        """Number of gradient-descent steps to the normalised time tbar; the inverse of :meth:`tbar`.

        Parameters
        ----------
        tbar : float
            Normalised time.
        learning_rate : float
            Step of the descent, as for :meth:`tbar`.
        m : float
            Width.
        d : float, optional
            Input dimension, the bias included; needed where a law depends on it.

        Returns
        -------
        float
            Any real number.
        """
        time = number("tbar", tbar, "a number >= 0", least=0.0)
        return _in_range("steps", time * self._time_unit(m, d) / _learning_rate(learning_rate), m, least=0.0)

    def _time_unit(self, m: float, d: float | None) -> float:
        if self._laws is None and self._size is None:
            raise InputError(
                "this scaling is given by gamma and gamma_prime only, which fix no unit of time; "
                "give alpha, beta1 and beta2, or beta2 as well, to convert learning-rate steps"
            )
        _, beta1, beta2 = self._values(_width(m), d)
        return beta1 * beta2

    def _values(self, m: float, d: float | None) -> tuple[float, float, float]:
        if d is not None:
            d = number("d", d, "the input dimension, a positive number", above=0.0)
        at = math.nan if d is None else d
        if self._laws is not None:
            values = [law(m, at) for law in self._laws]
        else:
            assert self._size is not None
            beta2 = self._size(m, at)
            beta1 = self.kappa_prime(m) * beta2
            values = [beta1 * beta2 / self.kappa(m), beta1, beta2]
        if d is None and any(math.isnan(value) for value in values):
            raise InputError(f"the scaling {self.name!r} depends on the input dimension; give d")
        for key, value in zip(("alpha", "beta1", "beta2"), values, strict=True):
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{key} is {value} at m = {m:g}; a law must be positive and finite there")
        return values[0], values[1], values[2]

    def _repr_html_(self) -> str:
        place = self.classify()
        rows = {
            "name": self.name or None,
            "gamma": self.gamma,
            "gamma'": self.gamma_prime,
            "regime": place.regime.value,
            "distance to the boundary": place.distance,
            "RD_w ~ m**S_w, S_w": place.S_w,
            "RD_a ~ m**S_a, S_a": place.S_a,
        }
        return displays.card("Scaling", rows)

    def __repr__(self) -> str:
        """Code that makes an equal scaling; in angle brackets where a law is a function, which has none."""
        label = f", name={self.name!r}" if self.name else ""
        exponents = f"gamma={self.gamma!r}, gamma_prime={self.gamma_prime!r}{label}"
        if self._laws is None:
            size = None if self._size is None else law_code(self._size)
            if self._size is not None and size is None:
                return f"<Scaling by functions: {exponents}>"
            return f"Scaling({exponents})" if size is None else f"Scaling({exponents}, beta2={size})"
        laws = [law_code(law) for law in self._laws]
        if any(code is None for code in laws):
            return f"<Scaling by functions: {exponents}>"
        alpha, beta1, beta2 = laws
        return f"Scaling(alpha={alpha}, beta1={beta1}, beta2={beta2}{label})"


def _width(m: float) -> float:
    return number("width", m, "a positive finite number of neurons", above=0.0)


def _learning_rate(rate: float) -> float:
    return number("learning_rate", rate, "a positive number", above=0.0)


def _pair(name: str, values: Any) -> tuple[float, float]:
    try:
        first, second = values
    except (TypeError, ValueError):
        raise InputError(f"{name} is {shown(values)}; give two numbers ({name}1, {name}2)") from None
    return _exponent_value(name, first), _exponent_value(name, second)


def _power(name: str, m: float, exponent: float) -> float:
    try:
        value = m**exponent
    except OverflowError:
        value = math.inf
    return _in_range(name, value, m)


def _in_range(name: str, value: float, m: float, *, least: float = 5e-324) -> float:
    if not least <= value < math.inf:
        raise InputError(
            f"{name} is {value:g} at m = {m:g}, outside the range of double precision; "
            "give a smaller width or smaller exponents"
        )
    return value


def _exponent_value(name: str, value: Any) -> float:
    largest = _LARGEST_EXPONENT
    return number(name, value, "a number between -100 and 100", least=-largest, most=largest)


def _tidy(exponent: float) -> float:
    """Remove the rounding of a measured exponent, so that sqrt(m) has exactly 1/2."""
    rounded = round(exponent, 12)
    return rounded + 0.0  # turns -0.0 into 0.0
