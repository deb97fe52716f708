"""Experimental: three-layer networks by the same power counting.

Checked: exponents of the linear regime and of the critical point gamma = 1, gamma' = 0 against trained
networks; continuity and uniqueness by SymPy; agreement with the maximal update parametrisation at the
critical point. Not checked: growth beyond the critical lines against trained networks, and every number that
other authors give for three-layer phase diagrams, whose normalisations differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from meanfield.arguments import flag, one_of
from meanfield.symbolic.maxplus import Balance
from meanfield.symbolic.network import (
    Exponent,
    change,
    drive,
    gamma_prime,
    impulse,
    initial_residual,
    rational,
    size,
)

_HALF = sp.Rational(1, 2)


@dataclass(frozen=True)
class ThreeLayer:
    """f = kappa sum_j a_j relu(h_j), h_j = m^(-1/2) sum_k B_jk relu(w_k . x), all layers standard normal.

    Experimental. Both hidden layers have width m. The rates of a and w are 1/kappa' and kappa' as for two
    layers, that of B is ``m**-hidden_rate``. The layer ``b`` is B: its size in the balances is that of the
    operator m^(-1/2) B, of order one at the start, to which a change of B adds coherently, as its entries are
    products of what its two ends see; its displacement is that of the matrix, RD_B.

    Parameters
    ----------
    hidden_rate : exponent, default 0
        The learning rate of B is ``m**-hidden_rate``.
    zero_initial_output : bool, default True
        As for two layers.

    Examples
    --------
    >>> from meanfield.symbolic import derive_exponents
    >>> theory = derive_exponents(ThreeLayer())
    >>> {layer: theory.piecewise(layer).subs({theory.gamma: 1, theory.gamma_prime: 0}) for layer in "abw"}
    {'a': 0, 'b': -1/2, 'w': 0}
    """

    hidden_rate: Exponent = 0
    zero_initial_output: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden_rate", rational("hidden_rate", self.hidden_rate))
        flag("zero_initial_output", self.zero_initial_output)

    @property
    def layers(self) -> tuple[str, ...]:
        """``("a", "b", "w")``: output, hidden and input layer."""
        return ("a", "b", "w")

    @property
    def loss_exponent(self) -> sp.Rational:
        """The loss is the mean square."""
        return sp.S.Zero

    @property
    def fastest_wins(self) -> bool:
        """No unit grows by itself: the growth of each is carried by a matrix that all share."""
        return False

    def displacement(self, layer: str) -> sp.Symbol:
        """Order of the layer's relative change; every layer is trained.

        Parameters
        ----------
        layer : str
            One of ``layers``.

        Returns
        -------
        Symbol
        """
        return change(one_of("layer", layer, self.layers))

    @property
    def unknowns(self) -> tuple[sp.Symbol, ...]:
        """Changes and sizes of the layers, and the impulse that moves them."""
        return (*map(change, self.layers), *map(size, self.layers), impulse)

    def balances(self) -> tuple[Balance, ...]:
        """Each layer moves by the product of the two others, forwards and backwards."""
        a, b, w = map(size, self.layers)
        others = {"a": b + w, "b": a + w, "w": a + b}
        rate = {"a": gamma_prime, "b": -sp.Rational(self.hidden_rate), "w": -gamma_prime}
        # An entry of B is one of m inputs of its unit, hence m^(-1/2) in its gradient, and its change adds
        # up over the m inputs: m^(1/2) more than the random entries it started from.
        entry = {"a": sp.S.Zero, "b": _HALF, "w": sp.S.Zero}
        rates = [
            Balance(
                change(layer),
                (impulse + rate[layer] + others[layer] - entry[layer],),
                f"{layer} moves by the impulse times its rate times its gradient, a product of what its "
                "two ends see",
            )
            for layer in self.layers
        ]
        sizes = [
            Balance(
                size(layer),
                (sp.S.Zero, change(layer) + entry[layer]),
                f"the effect of {layer} is that of its start plus that of its change",
            )
            for layer in self.layers
        ]
        output = Balance(
            drive,
            tuple(change(layer) + entry[layer] + others[layer] for layer in self.layers),
            "each layer follows its own gradient, so that its contribution to the change of f is a sum of "
            "squares; training ends when a unit's output has grown by delta",
        )
        return (*rates, *sizes, output)

    def residual_balance(self) -> Balance:
        """Order of the residual, as for two layers."""
        return initial_residual(sp.S.Zero, self.zero_initial_output)
