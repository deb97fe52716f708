"""Tables of activations for the documentation, printed from what each says of itself."""

from __future__ import annotations

import math
from collections.abc import Iterable

import sympy as sp

from meanfield.activations import Activation, Orders

_Z = sp.Symbol("z", real=True)
#: What formulas of duals are written in.
_NAMES = {name: sp.Symbol(name, real=True) for name in ("a", "b", "c", "r", "theta")}


def activation_table(activations: Iterable[Activation]) -> str:
    """Formula, homogeneity, orders and motion of activations, as a table in Markdown.

    Parameters
    ----------
    activations : iterable of Activation
        One a row.

    Returns
    -------
    str

    Examples
    --------
    >>> from meanfield.activations import as_activation
    >>> print(activation_table([as_activation("tanh")]).splitlines()[-1])
    | `tanh` | $\\tanh{\\left(z \\right)}$ | none | $z,\\ 1$ | $1,\\ 0$ | no |
    """
    head = "| name | $\\sigma(z)$ | degree | at zero | at infinity | exact motion |\n" + "| --- " * 6 + "|"
    rows = [
        f"| `{one.name}` | {_formula(one.formula, {'z': _Z})} | "
        f"{'none' if one.degree is None else f'{one.degree:g}'} | {_orders(one.at_zero)} | "
        f"{_orders(one.at_infinity)} | {'no' if one.slopes is None else 'yes'} |"
        for one in activations
    ]
    return "\n".join([head, *rows])


def dual_table(activations: Iterable[Activation]) -> str:
    """Kernels ``E[sigma(u) sigma(v)]`` of activations, as a table in Markdown.

    Parameters
    ----------
    activations : iterable of Activation
        One a row.

    Returns
    -------
    str

    Examples
    --------
    >>> from meanfield.activations import as_activation
    >>> print(dual_table([as_activation("quadratic"), as_activation("tanh")]))
    | name | $E[\\sigma(u)\\, \\sigma(v)]$ |
    | --- | --- |
    | `quadratic` | $a b + 2 c^{2}$ |
    | `tanh` | quadrature |
    """
    head = "| name | $E[\\sigma(u)\\, \\sigma(v)]$ |\n| --- | --- |"
    rows = [
        f"| `{one.name}` | {'quadrature' if one.dual is None else _formula(one.dual.formula, _NAMES)} |"
        for one in activations
    ]
    return "\n".join([head, *rows])


def _formula(text: str, names: dict[str, sp.Symbol]) -> str:
    if not text:
        return "(none)"
    latex = str(sp.latex(sp.sympify(text, locals=names)))
    latex = latex.replace(r"\left|", r"\lvert ").replace(r"\right|", r"\rvert ")  # a bar would end the cell
    return f"${latex}$"


def _orders(orders: Orders | None) -> str:
    return "unknown" if orders is None else f"${_power(orders.value)},\\ {_power(orders.slope)}$"


def _power(order: float) -> str:
    if order == -math.inf:
        return "0"
    return {0.0: "1", 1.0: "z"}.get(order, f"z^{{{order:g}}}")
