"""Other parametrisations as maps into the plane of gamma and gamma_prime.

Whatever a parametrisation calls its exponents, at any width a two-layer network is
f = (1/alpha) sum_k a_k sigma(w_k . x) with a ~ N(0, beta1^2), w ~ N(0, beta2^2 I) and learning rates of the
layers. The normalisation of ``meanfield.symbolic.flow`` does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from meanfield.symbolic.flow import Normalisation, TwoLayerFlow, alpha, beta1, beta2, normalisation
from meanfield.symbolic.maxplus import order
from meanfield.symbolic.network import TwoLayer, change, impulse, size
from meanfield.symbolic.network import gamma_prime as gamma_prime_symbol

a1, a2, b1, b2, c = sp.symbols("a1 a2 b1 b2 c", real=True)
output_scale = sp.Symbol("p", real=True)
q_sigma, q_a, q_w = sp.symbols("q_sigma q_a q_w", real=True)


@dataclass(frozen=True)
class Parametrisation:
    """Exponents of m of the parts of a two-layer network, in the symbols of a parametrisation.

    Attributes
    ----------
    name, source : str
    alpha, beta1, beta2 : Expr
        Exponents of the output factor and of the initial spreads of a and w.
    rate_a, rate_w : Expr
        Exponents of the learning rates of a and w.
    homogeneity : int
        Power of the activation.
    """

    name: str
    source: str
    alpha: sp.Expr
    beta1: sp.Expr
    beta2: sp.Expr
    rate_a: sp.Expr = sp.S.Zero
    rate_w: sp.Expr = sp.S.Zero
    homogeneity: int = 1

    @property
    def gamma(self) -> sp.Expr:
        """Exponent of 1/kappa.

        Examples
        --------
        >>> abc().gamma
        a1 + a2 + b1 + b2
        """
        return sp.expand(-order(self._found.prefactor, self._orders))

    @property
    def gamma_prime(self) -> sp.Expr:
        """Exponent of 1/kappa' that the flow sees: learning rates count with half their ratio.

        The rates kappa/kappa' and kappa kappa' of the layers times learning rates eta_a and eta_w are those
        of kappa' sqrt(eta_w / eta_a).

        Examples
        --------
        >>> abc().gamma_prime
        -b1 + b2
        """
        found = self._found
        ratio = order(found.rate_w, self._orders) - order(found.rate_a, self._orders)
        return sp.expand(-(ratio + self.rate_w - self.rate_a) / 2)

    @property
    def _found(self) -> Normalisation:
        return normalisation(TwoLayerFlow(1, 1, 1, self.homogeneity))

    @property
    def _orders(self) -> Mapping[sp.Symbol, sp.Expr]:
        return {alpha: self.alpha, beta1: self.beta1, beta2: self.beta2}


def abc(homogeneity: int = 1) -> Parametrisation:
    """Layer l has weights m^-a_l w_l with w_l ~ N(0, m^(-2 b_l)); the learning rate is m^-c.

    Layer 1 is the input, layer 2 the output layer; a factor in front of w_l divides its gradient as well, so
    the trained parameters are the w_l, and alpha takes the factors.

    Examples
    --------
    >>> mup = {a1: -sp.Rational(1, 2), a2: sp.Rational(1, 2), b1: sp.Rational(1, 2), b2: sp.Rational(1, 2)}
    >>> abc().gamma.subs(mup), abc().gamma_prime.subs(mup)
    (1, 0)
    """
    return Parametrisation(
        "abc (maximal update and others)", "Yang, Hu (2021)",
        alpha=a2 + homogeneity * a1, beta1=-b2, beta2=-b1, rate_a=-c, rate_w=-c, homogeneity=homogeneity,
    )  # fmt: skip


def chizat_bach() -> Parametrisation:
    """f = alpha(m) sum_k a_k sigma(w_k . x), all weights of order one, alpha(m) = m^-p.

    Examples
    --------
    >>> chizat_bach().gamma, chizat_bach().gamma_prime
    (p, 0)
    """
    return Parametrisation(
        "output scale", "Chizat, Oyallon, Bach (2019)", alpha=output_scale, beta1=sp.S.Zero, beta2=sp.S.Zero
    )


def geiger() -> Parametrisation:
    """f = alpha h^(-1/2) sum_k a_k sigma(w_k . x) at width h, all weights of order one, alpha = h^-p.

    Examples
    --------
    >>> geiger().gamma, geiger().gamma_prime
    (p + 1/2, 0)
    """
    return Parametrisation(
        "scale over the square root of the width", "Geiger, Spigler, Jacot, Wyart (2020)",
        alpha=output_scale + sp.Rational(1, 2), beta1=sp.S.Zero, beta2=sp.S.Zero,
    )  # fmt: skip


def golikov() -> Parametrisation:
    """f = sum_k a_k sigma(w_k . x), a ~ N(0, sigma^2), w of order one, with learning rates of both layers.

    sigma = m^q_sigma; the learning rates are given for weights of order one, i.e. eta_a / sigma^2 = m^q_a and
    eta_w = m^q_w.

    Examples
    --------
    >>> golikov().gamma, golikov().gamma_prime
    (-q_sigma, q_a/2 - q_w/2)
    """
    return Parametrisation(
        "separate learning rates", "Golikov (2020)",
        alpha=sp.S.Zero, beta1=q_sigma, beta2=sp.S.Zero, rate_a=q_a + 2 * q_sigma, rate_w=q_w,
    )  # fmt: skip


def feature_exponent() -> sp.Expr:
    """The exponent r by which features move, m^-r, in O(1) steps of an abc parametrisation (ReLU).

    Derived from the balances of the flow while w moves less than its start: the canonical time of O(1) steps
    is m^-c / alpha, and features are w . x in units of their own layer, m^-(a1 + b1) times w.

    Examples
    --------
    >>> feature_exponent()
    Min(2*a1 + a2 + b2 + c, 3*a1 + 2*a2 + b1 + 2*c)
    """
    scheme = abc()
    now = {impulse: -c - scheme.alpha, gamma_prime_symbol: scheme.gamma_prime}
    rates = {balance.left: balance.terms for balance in TwoLayer().balances()}
    (moved_a,), (moved_w,) = rates[change("a")], rates[change("w")]
    moved_a = moved_a.xreplace({size("w"): sp.S.Zero})
    choices = [moved_w.xreplace({size("a"): term}) for term in rates[size("a")]]
    moved = [sp.expand(choice.xreplace({change("a"): moved_a}).xreplace(now)) for choice in choices]
    return sp.Min(*(sp.expand(a1 + b1 - order_) for order_ in moved))


def published_feature_exponent() -> sp.Expr:
    """The same exponent as it is published for abc parametrisations, for one hidden layer.

    r = min(b2, a2 + c) + a2 + c + 2 a1 (Yang, Hu 2021, with L = 1), for features of order one at the start,
    a1 + b1 = 0.
    """
    return sp.Min(b2, a2 + c) + a2 + c + 2 * a1
