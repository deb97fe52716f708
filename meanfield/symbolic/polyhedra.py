"""Exact geometry of polyhedra with rational coefficients: emptiness, redundancy, shared edges.

A polyhedron is a set ``{x : row . (x, 1) >= 0 for each row}``. Everything is decided by Fourier-Motzkin
elimination over the rationals, so an answer is a proof and not a rounding.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from meanfield.errors import InputError

#: Coefficients of the variables, then the constant; primitive integers.
AffineRow = tuple[int, ...]


def affine_row(expression: sp.Expr, variables: Sequence[sp.Symbol]) -> AffineRow:
    """Coefficients of an affine expression, scaled by a positive factor to primitive integers."""
    coefficients = affine_coefficients(expression, variables)
    scale = math.lcm(*(c.denominator for c in coefficients))
    integers = [int(c * scale) for c in coefficients]
    divisor = math.gcd(*integers) or 1
    return tuple(c // divisor for c in integers)


def affine_coefficients(expression: sp.Expr, variables: Sequence[sp.Symbol]) -> tuple[Fraction, ...]:
    """Rational coefficients of the variables and the constant of an affine expression.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> affine_coefficients(x / 2 - 3, (x, y))
    (Fraction(1, 2), Fraction(0, 1), Fraction(-3, 1))
    """
    polynomial = sp.Poly(expression, *variables)
    if polynomial.total_degree() > 1 or not all(c.is_Rational for c in polynomial.coeffs()):
        raise InputError(
            f"{expression} is not affine in {', '.join(map(str, variables))} with rational coefficients; "
            "give exponents as integers, fractions or SymPy rationals"
        )
    constants = [polynomial.coeff_monomial(v) for v in (*variables, 1)]
    return tuple(Fraction(int(c.p), int(c.q)) for c in constants)


def feasible(rows: Iterable[Sequence[int | Fraction]]) -> bool:
    """Whether some point makes every row strictly positive (Fourier-Motzkin elimination).

    Examples
    --------
    >>> feasible([(1, 0), (-1, 1)])  # 0 < x < 1
    True
    >>> feasible([(1, 0), (-1, 0)])  # 0 < x < 0
    False
    """
    system = {tuple(row) for row in rows}
    while system and len(next(iter(system))) > 1:
        below = [row for row in system if row[0] > 0]
        above = [row for row in system if row[0] < 0]
        kept = {row[1:] for row in system if row[0] == 0}
        for low, high in itertools.product(below, above):
            kept.add(tuple(low[0] * h - high[0] * c for c, h in zip(low[1:], high[1:], strict=True)))
        system = kept
    return all(row[0] > 0 for row in system)


def negated(row: AffineRow) -> AffineRow:
    """The row of the opposite half-space."""
    return tuple(-c for c in row)


@dataclass(frozen=True)
class Polyhedron:
    """A polyhedron by its irredundant rows, in the order in which they were given.

    Attributes
    ----------
    variables : tuple of Symbol
    rows : tuple of tuple of int
        Each is a half-space ``row . (variables, 1) >= 0``.
    """

    variables: tuple[sp.Symbol, ...]
    rows: tuple[AffineRow, ...]

    @classmethod
    def where(cls, nonnegative: Iterable[sp.Expr], variables: Sequence[sp.Symbol]) -> Polyhedron | None:
        """The points where all expressions are at least 0; None if they have no interior.

        Examples
        --------
        >>> x, y = sp.symbols("x y", real=True)
        >>> Polyhedron.where([x, x + 1, y - x], (x, y)).condition
        (x >= 0) & (y >= x)
        """
        rows = dict.fromkeys(affine_row(expression, variables) for expression in nonnegative)
        return cls.of_rows(rows, variables)

    @classmethod
    def of_rows(cls, rows: Iterable[AffineRow], variables: Sequence[sp.Symbol]) -> Polyhedron | None:
        """The same from rows."""
        kept = [row for row in dict.fromkeys(rows) if any(row)]
        if not feasible(kept):
            return None
        for row in tuple(kept):
            others = [other for other in kept if other != row]
            if not feasible([*others, negated(row)]):
                kept = others
        return cls(tuple(variables), tuple(kept))

    def intersection(self, other: Polyhedron) -> Polyhedron | None:
        """What both contain; None if that has no interior."""
        return Polyhedron.of_rows((*self.rows, *other.rows), self.variables)

    @property
    def condition(self) -> sp.Basic:
        """The rows as SymPy inequalities, each solved for its last variable."""
        return sp.And(*(inequality(row, self.variables) for row in self.rows))

    def substituted(self, values: Mapping[sp.Symbol, sp.Expr]) -> list[sp.Expr]:
        """Expressions that are at least 0 where this polyhedron's variables take the given values."""
        return [expression(row, self.variables).xreplace(values) for row in self.rows]


def expression(row: Sequence[int | Fraction], variables: Sequence[sp.Symbol]) -> sp.Expr:
    """The affine expression of a row."""
    terms = [sp.Rational(c.numerator, c.denominator) * v for c, v in zip(row, (*variables, 1), strict=True)]
    return sp.Add(*terms)


def solved(row: AffineRow, variables: Sequence[sp.Symbol]) -> tuple[sp.Symbol, sp.Expr, bool]:
    """Last variable of a row, its value where the row vanishes, whether the row grows with it."""
    index = max(i for i, c in enumerate(row[:-1]) if c)
    rest = [Fraction(-c, row[index]) if i != index else Fraction(0) for i, c in enumerate(row)]
    return variables[index], expression(rest, variables), row[index] > 0


def inequality(row: AffineRow, variables: Sequence[sp.Symbol]) -> sp.Basic:
    """A row as an inequality."""
    variable, value, grows = solved(row, variables)
    return sp.Ge(variable, value) if grows else sp.Le(variable, value)


def shared_edge(first: Polyhedron, second: Polyhedron) -> tuple[AffineRow, tuple[AffineRow, ...]] | None:
    """The line on which two polyhedra of the plane meet, and the rows that bound their common edge.

    The line's row is positive inside ``first``. None if they meet in less than a segment.
    """
    for line in first.rows:
        if negated(line) not in second.rows:
            continue
        others = [row for row in (*first.rows, *second.rows) if row not in (line, negated(line))]
        if feasible(on_line(row, line) for row in others):
            ends = Polyhedron.of_rows(_along(others, line), _free(first.variables, line))
            assert ends is not None
            return line, ends.rows
    return None


def on_line(row: AffineRow, line: AffineRow) -> tuple[Fraction, ...]:
    """A row restricted to the points where another vanishes: its last variable is eliminated."""
    index = max(i for i, c in enumerate(line[:-1]) if c)
    factor = Fraction(row[index], line[index])
    return tuple(
        Fraction(c) - factor * on for i, (c, on) in enumerate(zip(row, line, strict=True)) if i != index
    )


def _free(variables: Sequence[sp.Symbol], line: AffineRow) -> tuple[sp.Symbol, ...]:
    eliminated, _, _ = solved(line, variables)
    return tuple(v for v in variables if v != eliminated)


def _along(rows: Iterable[AffineRow], line: AffineRow) -> list[AffineRow]:
    restricted = [on_line(row, line) for row in rows]
    scales = [math.lcm(*(c.denominator for c in row)) for row in restricted]
    integers = [[int(c * scale) for c in row] for row, scale in zip(restricted, scales, strict=True)]
    return [tuple(c // (math.gcd(*row) or 1) for c in row) for row in integers if any(row[:-1])]


def cover(polyhedra: Sequence[Polyhedron]) -> bool:
    """Whether polyhedra leave no open part of space out.

    A point outside all of them violates a row of each; the choices of rows are searched in depth and
    given up as soon as they contradict each other.
    """

    def uncovered(violated: list[AffineRow], rest: Sequence[Polyhedron]) -> bool:
        if not feasible(violated):
            return False
        if not rest:
            return True
        return any(uncovered([*violated, negated(row)], rest[1:]) for row in rest[0].rows)

    return not uncovered([], polyhedra)
