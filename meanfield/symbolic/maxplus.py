"""Max-plus (tropical) algebra: orders of magnitude, and systems of balances between them.

Quantities are powers of the width, and only their exponents are kept: a product becomes a sum, a sum of
terms that cannot cancel becomes the maximum. A set of equations between quantities becomes a set of
:class:`Balance`; choosing the dominant term of each makes it linear, and the choices that are consistent
with themselves hold in polyhedra of the parameters, which together tile the space.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from meanfield.errors import InputError
from meanfield.symbolic.polyhedra import Polyhedron, cover


@dataclass(frozen=True)
class Balance:
    """An equation between orders: ``left`` is the largest of ``terms``.

    Attributes
    ----------
    left : Symbol
        An order (exponent of m).
    terms : tuple of Expr
        Affine expressions in orders.
    reason : str
        Why it holds.
    """

    left: sp.Symbol
    terms: tuple[sp.Expr, ...]
    reason: str

    @property
    def equation(self) -> sp.Eq:
        """The balance as a SymPy equation."""
        return sp.Eq(self.left, sp.Max(*self.terms), evaluate=False)

    def dominated_by(self, index: int) -> sp.Eq:
        """The linear equation that is left when one term is the largest."""
        return sp.Eq(self.left, self.terms[index], evaluate=False)


@dataclass(frozen=True)
class Dominance:
    """A polyhedron of the parameters in which the same terms dominate.

    Attributes
    ----------
    values : dict
        Each unknown as an affine expression in the parameters.
    region : Polyhedron
        Where these values hold.
    dominant : tuple of int
        For each balance the term that is the largest.
    """

    values: Mapping[sp.Symbol, sp.Expr]
    region: Polyhedron
    dominant: tuple[int, ...]


def solve(
    balances: Sequence[Balance], unknowns: Sequence[sp.Symbol], parameters: Sequence[sp.Symbol]
) -> tuple[Dominance, ...]:
    """Solve balances for their unknowns, everywhere in the space of the parameters.

    Parameters
    ----------
    balances : sequence of Balance
        As many as there are unknowns.
    unknowns, parameters : sequence of Symbol

    Returns
    -------
    tuple of Dominance
        Cells that tile the space, each with another solution or another dominant term.

    Raises
    ------
    InputError
        If some part of the space has no solution, or has two.

    Examples
    --------
    >>> x, y, t = sp.symbols("x y t", real=True)
    >>> cells = solve([Balance(y, (x, 2 * x), "a sum of two powers")], [x], [y])
    >>> [(cell.values[x], cell.region.condition) for cell in cells]
    [(y, y <= 0), (y/2, y >= 0)]
    """
    cells: list[Dominance] = []
    for dominant in itertools.product(*(range(len(balance.terms)) for balance in balances)):
        values = _linear_solution(balances, dominant, unknowns)
        if values is None:
            continue
        region = Polyhedron.where(_dominance(balances, dominant, values), parameters)
        if region is not None and not any(_repeats(cell, values, region) for cell in cells):
            cells.append(Dominance(values, region, dominant))
    _check_tiling(cells)
    return tuple(cells)


def _linear_solution(
    balances: Sequence[Balance], dominant: Sequence[int], unknowns: Sequence[sp.Symbol]
) -> dict[sp.Symbol, sp.Expr] | None:
    """Values of the unknowns if they are determined; a family of values has no interior of its own."""
    equations = [
        balance.left - balance.terms[index] for balance, index in zip(balances, dominant, strict=True)
    ]
    matrix, right = sp.linear_eq_to_matrix(equations, *unknowns)
    if matrix.det() == 0:
        return None
    return {unknown: sp.expand(value) for unknown, value in zip(unknowns, matrix.LUsolve(right), strict=True)}


def _dominance(
    balances: Sequence[Balance], dominant: Sequence[int], values: Mapping[sp.Symbol, sp.Expr]
) -> list[sp.Expr]:
    """By how much each dominant term exceeds the others."""
    return [
        sp.expand((balance.terms[index] - other).xreplace(values))
        for balance, index in zip(balances, dominant, strict=True)
        for i, other in enumerate(balance.terms)
        if i != index
    ]


def _repeats(cell: Dominance, values: Mapping[sp.Symbol, sp.Expr], region: Polyhedron) -> bool:
    """Two terms that are equal throughout give the same cell twice."""
    return cell.values == values and set(cell.region.rows) == set(region.rows)


def _check_tiling(cells: Sequence[Dominance]) -> None:
    if not cover([cell.region for cell in cells]):
        raise InputError(
            "these balances have no solution in a part of the plane; give a network with a layer that trains "
            "and an output that grows with it"
        )
    for first, second in itertools.combinations(cells, 2):
        if first.values != second.values and first.region.intersection(second.region) is not None:
            raise InputError(
                "these balances have two solutions in a part of the plane; give balances that say which one "
                "training reaches"
            )


def order(expression: sp.Expr, orders: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Order of an expression built from positive quantities by sums, products and powers.

    Parameters
    ----------
    expression : Expr
        Sums may have positive terms only: nothing cancels, so the largest term decides.
    orders : mapping
        Exponent of m of each symbol; symbols that are not listed are O(1).

    Returns
    -------
    Expr
        Exponent of m, with ``Max`` for sums.

    Raises
    ------
    InputError
        If a term could cancel, or a function other than a power occurs.

    Examples
    --------
    >>> k, m = sp.symbols("k m", positive=True)
    >>> g = sp.Symbol("g", real=True)
    >>> order(2 * k * m / (1 + k**2), {k: g, m: 1})
    g - Max(0, 2*g) + 1
    """
    if expression.is_Number or expression.is_NumberSymbol:
        if not expression.is_positive:
            raise InputError(f"the term {expression} is not positive; write the expression with sums only")
        return sp.S.Zero
    if expression.is_Symbol:
        return sp.sympify(orders.get(expression, 0))
    if expression.is_Add:
        return sp.Max(*(order(term, orders) for term in expression.args))
    if expression.is_Mul:
        return sp.Add(*(order(factor, orders) for factor in expression.args))
    if expression.is_Pow and expression.exp.is_Rational:
        return sp.expand(expression.exp * order(expression.base, orders))
    raise InputError(f"{expression} has no order; give sums, products and powers of positive symbols")
