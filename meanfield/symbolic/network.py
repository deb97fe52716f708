"""Descriptions of networks, as the balances between the orders of their parts.

Normalised variables are used throughout: the flow (see ``meanfield.symbolic.flow``) is

    f = kappa sum_k a_k sigma(w_k . x),
    da/ds = -(1/kappa') mean(e sigma),   dw/ds = -kappa' mean(e a sigma' x)

in canonical time s = kappa tbar, with a and w of order one at the start. So the order of a layer's change is
the exponent of its relative displacement.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any, Literal, Protocol, TypeAlias, get_args

import sympy as sp

from meanfield.arguments import Layer, flag, one_of, shown
from meanfield.errors import InputError
from meanfield.symbolic.maxplus import Balance

gamma = sp.Symbol("gamma", real=True)
gamma_prime = sp.Symbol("gamma_prime", real=True)
#: Order by which a neuron's output must grow, relative to its start, to fit the targets.
drive = sp.Symbol("delta", real=True)
#: Order of the time integral of the residual, in canonical time.
impulse = sp.Symbol("J", real=True)
#: Order of the residual.
residual = sp.Symbol("e", real=True)

#: Laws of the initial weights.
LawName: TypeAlias = Literal["gaussian", "discrete"]
#: The same as a tuple.
LAWS: tuple[LawName, ...] = get_args(LawName)
#: What an exponent may be given as; a float would not be exact.
Exponent: TypeAlias = int | Fraction | sp.Rational


class Network(Hashable, Protocol):
    """What the power counting needs to know of a network."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, the output layer first."""

    @property
    def unknowns(self) -> tuple[sp.Symbol, ...]:
        """Orders to be found."""

    def displacement(self, layer: str) -> sp.Symbol | None:
        """The unknown that is the order of a layer's relative change; None if it is not trained."""

    def balances(self) -> tuple[Balance, ...]:
        """Balances that determine the unknowns, given the drive and gamma_prime."""

    def residual_balance(self) -> Balance:
        """The residual, in terms of gamma."""

    @property
    def loss_exponent(self) -> sp.Rational:
        """Exponent of m by which the loss is divided."""

    @property
    def fastest_wins(self) -> bool:
        """Whether neurons grow by themselves and the fastest of m is ahead of all others; may be absent."""


def change(layer: str) -> sp.Symbol:
    """Order of the change of a layer's weights, relative to their start."""
    return sp.Symbol(f"Delta_{layer}", real=True)


def size(layer: str) -> sp.Symbol:
    """Order of the weights of a layer, relative to their start."""
    return sp.Symbol(layer, real=True)


def rational(name: str, value: Any) -> sp.Rational:
    """An exponent as an exact rational."""
    exact = isinstance(value, Rational) or (isinstance(value, sp.Basic) and value.is_Rational)
    if exact and not isinstance(value, bool):
        return sp.Rational(value)
    raise InputError(f"{name} is {shown(value)}; give an integer, a Fraction or a SymPy Rational")


def initial_residual(target: sp.Rational, zero_initial_output: bool) -> Balance:
    """The residual that training has to remove, from the targets and the initial output."""
    if zero_initial_output:
        return Balance(
            residual, (target,), "f is zero at the start, and the residual is as large as the targets"
        )
    return Balance(
        residual,
        (target, sp.Rational(1, 2) - gamma),
        "the initial output is a sum of m independent terms of order kappa, m**(1/2 - gamma); the larger "
        "of it and the targets is what training has to make up for",
    )


@dataclass(frozen=True)
class TwoLayer:
    """A two-layer network f = (1/alpha) sum_k a_k sigma(w_k . x), sigma homogeneous, and how it is trained.

    Parameters
    ----------
    homogeneity : exponent, default 1
        Degree r of the activation, ``sigma(c z) = c**r sigma(z)`` for c > 0: 1 for ReLU, leaky ReLU and
        linear networks, r for ReLU**r. At least 1.
    train_input, train_output : bool, default True
        Whether w and a are trained.
    input_rate, output_rate : exponent, default 0
        Learning rates of the layers are ``m**-input_rate`` and ``m**-output_rate``.
    zero_initial_output : bool, default True
        Whether f is zero at the start (antisymmetric initialisation) or the random sum that it is without.
    target : exponent, default 0
        Targets are of order ``m**target``.
    loss_normalisation : exponent, default 0
        The loss is divided by ``m**loss_normalisation``.
    law : {"gaussian", "discrete"}, default "gaussian"
        Law of the initial weights: ``"gaussian"``, m independent draws; or ``"discrete"``, finitely many
        values, each of a share of the neurons that does not depend on m (nodes of a fixed quadrature). They
        differ for r > 1 only, where neurons grow at different speeds: of Gaussian neurons one wins, of
        discrete ones the whole share that is the fastest. Continuous laws with a bound, such as directions
        on a circle, are neither; see ``docs/theory.md``.

    Raises
    ------
    InputError
        If an exponent is not rational, the activation not differentiable, nothing is trained or law is not
        one of the two.

    Examples
    --------
    >>> for balance in TwoLayer().balances():
    ...     print(balance.equation)
    Eq(Delta_a, J + gamma_prime + w)
    Eq(Delta_w, J + a - gamma_prime)
    Eq(a, Max(0, Delta_a))
    Eq(w, Max(0, Delta_w))
    Eq(delta, Max(Delta_a + w, Delta_w + a))
    """

    homogeneity: Exponent = 1
    train_input: bool = True
    train_output: bool = True
    input_rate: Exponent = 0
    output_rate: Exponent = 0
    zero_initial_output: bool = True
    target: Exponent = 0
    loss_normalisation: Exponent = 0
    law: LawName = "gaussian"

    def __post_init__(self) -> None:
        for name in ("homogeneity", "input_rate", "output_rate", "target", "loss_normalisation"):
            object.__setattr__(self, name, rational(name, getattr(self, name)))
        for name in ("train_input", "train_output", "zero_initial_output"):
            flag(name, getattr(self, name))
        one_of("law", self.law, LAWS)
        if self.homogeneity < 1:
            raise InputError(f"homogeneity is {self.homogeneity}; give 1 for ReLU, r >= 1 for its powers")
        if not (self.train_input or self.train_output):
            raise InputError("no layer is trained; set train_input or train_output")

    @property
    def layers(self) -> tuple[str, ...]:
        """``("a", "w")``: output and input layer."""
        return ("a", "w")

    @property
    def loss_exponent(self) -> sp.Rational:
        """Exponent of m by which the loss is divided."""
        return sp.Rational(self.loss_normalisation)

    @property
    def fastest_wins(self) -> bool:
        """For Gaussian weights; without effect where all neurons grow at one speed, as for r = 1."""
        return self.law == "gaussian"

    def displacement(self, layer: Layer | str) -> sp.Symbol | None:
        """Order of the layer's relative change; None if it is not trained.

        Parameters
        ----------
        layer : {"w", "a"} or str
            Input or output weights.

        Returns
        -------
        Symbol or None
        """
        layer = one_of("layer", layer, self.layers)
        trained = {"a": self.train_output, "w": self.train_input}[layer]
        return change(layer) if trained else None

    @property
    def unknowns(self) -> tuple[sp.Symbol, ...]:
        """Changes and sizes of the layers, and the impulse that moves them."""
        changes = [self.displacement(layer) for layer in self.layers]
        return (*(c for c in changes if c is not None), *map(size, self.layers), impulse)

    def balances(self) -> tuple[Balance, ...]:
        """Rates, sizes and output; see ``docs/theory.md``."""
        r, a, w = sp.Rational(self.homogeneity), size("a"), size("w")
        gradient = {"a": r * w, "w": a + (r - 1) * w}  # orders of df/da and df/dw of one neuron
        rate = {"a": gamma_prime - self.output_rate, "w": -gamma_prime - self.input_rate}
        moved = [layer for layer in self.layers if self.displacement(layer) is not None]
        rates = [
            Balance(
                change(layer),
                (impulse + rate[layer] + gradient[layer],),
                f"{layer} moves by the impulse times its rate times the gradient df/d{layer} of a neuron",
            )
            for layer in moved
        ]
        sizes = [
            Balance(size(layer), (sp.S.Zero, change(layer)), f"{layer} is its start plus its change")
            if layer in moved
            else Balance(size(layer), (sp.S.Zero,), f"{layer} is not trained and keeps its start")
            for layer in self.layers
        ]
        output = Balance(
            drive,
            tuple(change(layer) + gradient[layer] for layer in moved),
            "each layer follows its own gradient, so that its contribution to the change of f is a sum of "
            "squares in which nothing cancels; training ends when a neuron's output has grown by delta",
        )
        return (*rates, *sizes, output)

    def residual_balance(self) -> Balance:
        """Order of the residual during training: that of the targets or of the initial output."""
        return initial_residual(sp.Rational(self.target), self.zero_initial_output)
