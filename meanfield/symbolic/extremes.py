"""Growth at different speeds from Gaussian weights: the fastest of m neurons wins.

**Blow-up.** Neurons do not feel each other until the loss is learned. One that is larger at the start by a
factor c blows up earlier by the factor c**(1 - r), so that the largest of m Gaussian neurons, of size
sqrt(2 log m), is the first, and the next one is later by a share 1/log m of the time. That is long: when the
others have changed by what they had at the entry of the blow-up, up to powers of log m, the first makes up
for the targets alone. It has to grow by m times more than if all shared the work, a drive of delta + 1, and
counts with m**(-1/2) in the root mean square over neurons. So the order of a displacement is the larger of

    order(entry)    and    order(delta + 1) - 1/2.

**Exponential growth at different rates** (ReLU squared while a stands still: rates are proportional to
a). Of neurons with a = alpha sqrt(2 log m), 0 <= alpha <= 1, there are m**(1 - alpha**2). When the output of
the fastest, alpha = 1, has grown by m**y, that of the others has by m**(alpha y). A sum over neurons of what
grows like the power s of the output is of the order

    max over alpha of  1 - alpha**2 + s alpha y,

and s = 1 gives the y at which the targets are made up for, m**(delta + 1) in all. A blow-up that the fastest
neuron reaches before that is won by it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import sympy as sp

from meanfield.symbolic.maxplus import Dominance
from meanfield.symbolic.network import Network, change, drive, gamma, gamma_prime, impulse
from meanfield.symbolic.polyhedra import Polyhedron
from meanfield.symbolic.result import Growth, Step
from meanfield.symbolic.stages import (
    DRIVE_PLANE,
    Stage,
    differs,
    entries,
    growth_of,
    moving,
    orders,
    resolved,
)

#: A value, and the conditions under which it holds.
_Branch: TypeAlias = tuple[sp.Expr, tuple[sp.Basic, ...]]

_HALF = sp.Rational(1, 2)
_ALONE = {drive: drive + 1}

_AT_ENTRY = "all neurons, when the first of them blows up"
_ONE = "one neuron that has to grow by delta + 1; of m it counts with m**(-1/2)"
_SPREAD = "neurons grow at rates proportional to what is at its start: the sum over them is a large deviation"


def share_that_blows_up() -> sp.Expr:
    """S_w if the share of neurons within a share h of the shortest time of blow-up is h**beta.

    With a time m**-x left, w of the fastest is m**(x / (r - 1)) and its output m**(x (r + 1) / (r - 1)); with
    it go m**(1 - beta x) neurons. Both layers move, gamma_prime >= 0, and these neurons outweigh the others.

    Examples
    --------
    >>> r, beta = sp.symbols("r beta", positive=True)
    >>> sp.factor(share_that_blows_up().subs(beta, 0))
    (gamma - gamma_prime - 1)/(r + 1)
    """
    r, beta, x = sp.symbols("r beta x", positive=True)
    output, weight = x * (r + 1) / (r - 1), x / (r - 1)
    (left,) = sp.solve(output - beta * x - (gamma - gamma_prime - 1), x)
    return sp.factor(sp.simplify((weight - beta * x / 2).subs(x, left)))


def won_by_the_fastest(network: Network, cells: Sequence[Dominance]) -> Iterator[Stage]:
    """Stages from the entry into growth at different speeds upwards, at every gamma_prime."""
    for cell in cells:
        if not differs(network, cell):
            continue
        for before, entry in entries(cell, cells):
            if differs(network, before):  # the fastest neuron has won already
                continue
            rows = [drive - entry[drive], *before.region.substituted(entry), *cell.region.substituted(entry)]
            column = Polyhedron.where(rows, DRIVE_PLANE)
            if column is None:
                continue
            passed = sp.expand(before.values[impulse].xreplace(entry))
            if growth_of(cell) is Growth.BLOW_UP:
                typical = {layer: _at(order, entry) for layer, order in orders(network, cell).items()}
                yield from _blow_up(network, column, typical, passed, cells)
            else:
                yield from _spread(network, column, cell, passed, cells)


def _at(order: sp.Expr, values: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    return sp.expand(order.xreplace(values))


def _alone(
    network: Network, column: Polyhedron, cells: Sequence[Dominance]
) -> Iterator[tuple[Dominance, Polyhedron, dict[str, sp.Expr]]]:
    """What one neuron contributes to the displacements if it has to make up for the targets alone."""
    for cell in cells:
        inside = [*column.substituted({}), *cell.region.substituted(_ALONE)]
        polygon = Polyhedron.where(inside, DRIVE_PLANE)
        if polygon is not None:
            found = orders(network, cell)
            yield cell, polygon, {layer: _at(order, _ALONE) - _HALF for layer, order in found.items()}


def _trained(network: Network) -> list[str]:
    return [layer for layer in network.layers if network.displacement(layer) is not None]


def _inside(polygon: Polyhedron, *rows: sp.Expr) -> Polyhedron | None:
    return Polyhedron.where([*polygon.substituted({}), *rows], DRIVE_PLANE)


def _steps(found: Mapping[str, sp.Expr], reason: str) -> tuple[Step, ...]:
    return tuple(
        Step(sp.Eq(change(layer), order, evaluate=False), reason)
        for layer, order in found.items()
        if order.is_finite is not False
    )


def _blow_up(
    network: Network,
    column: Polyhedron,
    typical: Mapping[str, sp.Expr],
    passed: sp.Expr,
    cells: Sequence[Dominance],
) -> Iterator[Stage]:
    """The larger of the typical displacement and that of one neuron, cut where the latter passes zero."""
    trained = _trained(network)
    for cell, polygon, one in _alone(network, column, cells):
        chosen, _ = resolved(network, cell)
        cuts = [
            (
                (typical[layer], typical[layer] - one[layer], sp.S.Zero),
                (one[layer], one[layer] - typical[layer], -one[layer]),
                (one[layer], one[layer] - typical[layer], one[layer]),
            )
            for layer in trained
        ]
        for choice in itertools.product(*cuts):
            region = _inside(polygon, *(row for _, *rows in choice for row in rows))
            if region is None:
                continue
            found = dict.fromkeys(network.layers, -sp.oo)
            found |= {layer: order for layer, (order, *_) in zip(trained, choice, strict=True)}
            yield Stage(
                region=region,
                orders=found,
                moving=tuple(layer for layer in trained if _positive(region, found[layer])),
                passed=passed,
                growth=Growth.ONE_NEURON,
                chosen=chosen,
                solved=(*_steps(typical, _AT_ENTRY), *_steps(one, _ONE)),
            )


def _positive(region: Polyhedron, order: sp.Expr) -> bool:
    """Whether an order of one sign is positive in a region; one that is zero throughout is not."""
    return order != 0 and _inside(region, order) is not None


def _spread(
    network: Network, column: Polyhedron, cell: Dominance, passed: sp.Expr, cells: Sequence[Dominance]
) -> Iterator[Stage]:
    """Exponential growth at different rates, and the blow-up of the fastest neuron that may follow."""
    at_first, grown, trained = orders(network, cell), moving(network, cell), _trained(network)
    end = next((at[drive] for other in cells for one, at in entries(other, cells) if one is cell), None)
    for one_cell, polygon, one in _alone(network, column, cells):
        chosen, _ = resolved(network, one_cell)
        if one_cell is cell or end is None:
            found = {layer: _together(polygon, order) for layer, order in at_first.items()}
            solved = _steps(found, _SPREAD)
            yield Stage(polygon, found, grown, passed, Growth.SPREAD, chosen, solved)
            continue
        still = [layer for layer in trained if layer not in grown]
        for region, moved, won in _won_or_not(polygon, {layer: one[layer] for layer in still}, end):
            found = dict.fromkeys(network.layers, -sp.oo)
            for layer in trained:
                before = [] if won else _branches(at_first[layer], sp.Le(drive, end**2 / 4))[:2]
                after = _after(region, at_first[layer], one[layer], end)
                found[layer] = _pieces(region, [*before, *after])
            yield Stage(
                region=region,
                orders=found,
                moving=tuple(layer for layer in network.layers if layer in (*grown, *moved)),
                passed=passed,
                growth=Growth.ONE_NEURON if won else Growth.SPREAD,
                chosen=chosen,
                solved=(*_steps(found, _SPREAD), *_steps(one, _ONE)),
            )


def _won_or_not(
    polygon: Polyhedron, one: Mapping[str, sp.Expr], end: sp.Expr
) -> Iterator[tuple[Polyhedron, list[str], bool]]:
    """Parts of a polygon with the layers that one neuron moves, and whether it surely comes to blow up.

    When the output of the fastest has grown by m**end, all together have given m**(1 + end) at most, and no
    more than the fastest alone if end >= 2; else m**(1 + end**2 / 4), which makes up for drives up to
    end**2 / 4 <= 1.
    """
    for signs in itertools.product((-1, 1), repeat=len(one)):
        moved = [layer for sign, layer in zip(signs, one, strict=True) if sign > 0]
        region = _inside(polygon, *(sign * order for sign, order in zip(signs, one.values(), strict=True)))
        if region is None:
            continue
        if _inside(region, end - drive) is None:
            yield region, moved, True
            continue
        for late, won in ((end - 2, True), (2 - end, False)):
            part = _inside(region, late)
            if part is not None:
                yield part, moved, won


def _branches(order: sp.Expr, *condition: sp.Basic) -> list[_Branch]:
    """Order of a root mean square that grows like the power s of the output, when all made up for delta.

    With s = 1/2 the squares add up like the outputs do, and nothing depends on who carries them.
    """
    s = sp.diff(order, drive)
    start = sp.expand(order - s * drive)
    if s == _HALF:
        return [(order, condition)]
    return [
        (start + 2 * s**2 * drive, (*condition, sp.Le(drive, 1 / (4 * s**2)))),
        (start + 2 * s * sp.sqrt(drive) - _HALF, (*condition, sp.Le(drive, 1))),
        (start + sp.expand(s * (drive + 1)) - _HALF, condition),
    ]


def _together(region: Polyhedron, order: sp.Expr) -> sp.Expr:
    return order if order.is_finite is False else _pieces(region, _branches(order))


def _after(region: Polyhedron, order: sp.Expr, one: sp.Expr, end: sp.Expr) -> list[_Branch]:
    """Order of a displacement after the fastest neuron has blown up at m**end; the larger of two."""
    bound = sp.expand(order.xreplace({drive: end}))  # if all had grown like the fastest
    if _inside(region, bound - one) is None:
        return [(one, ())]
    s = sp.diff(order, drive)
    start = sp.expand(order - s * drive)
    return [
        (sp.Max(start + sp.expand((s * end) ** 2) / 2, one), (sp.Le(sp.expand(s * end), 1),)),
        (sp.Max(sp.expand(start + s * end) - _HALF, one), ()),
    ]


def _pieces(region: Polyhedron, branches: Sequence[_Branch]) -> sp.Expr:
    """Branches, the first that holds, without those and without conditions that a region decides."""
    kept: list[tuple[sp.Expr, sp.Basic]] = []
    for value, conditions in branches:
        linear = {c: c.gts - c.lts for c in conditions if sp.Poly(c.gts - c.lts, *DRIVE_PLANE).is_linear}
        if _inside(region, *linear.values()) is None:
            continue
        open_ = [c for c in conditions if c not in linear or _inside(region, -linear[c]) is not None]
        kept.append((_larger(region, value), sp.And(*open_)))
        if not open_:
            break
    return kept[0][0] if len(kept) == 1 else sp.Piecewise(*kept, evaluate=False)


def _larger(region: Polyhedron, value: sp.Expr) -> sp.Expr:
    """A maximum of two, or the one of them that is the larger throughout a region."""
    if not isinstance(value, sp.Max) or not all(v.is_polynomial(*DRIVE_PLANE) for v in value.args):
        return value
    first, second = value.args
    if not sp.Poly(first - second, *DRIVE_PLANE).is_linear:
        return value
    return (
        first
        if _inside(region, second - first) is None
        else (second if _inside(region, first - second) is None else value)
    )
