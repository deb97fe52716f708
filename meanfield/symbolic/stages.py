"""The stages of one training: what has moved when it ends at a given drive, and the time that took.

The plane is that of the drive (how far a neuron's output has to grow) and gamma_prime. Along a line of
constant gamma_prime growing drive is the course of one training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from meanfield.symbolic.maxplus import Dominance
from meanfield.symbolic.network import Network, drive, gamma_prime, impulse, size
from meanfield.symbolic.polyhedra import Polyhedron, shared_edge
from meanfield.symbolic.result import Growth, Step

DRIVE_PLANE = (drive, gamma_prime)


@dataclass(frozen=True)
class Stage:
    """A polygon of the drive plane in which training ends in one way.

    Attributes
    ----------
    region : Polyhedron
        In the drive and gamma_prime.
    orders : dict
        For each layer the order of its relative displacement; minus infinity if it is not trained.
    moving : tuple of str
        Layers whose relative displacement does not vanish.
    passed : Expr
        Order of the impulse that training took to get there.
    growth : Growth
    chosen, solved : tuple of Step
        Which terms are the largest, and what follows.
    """

    region: Polyhedron
    orders: Mapping[str, sp.Expr]
    moving: tuple[str, ...]
    passed: sp.Expr
    growth: Growth
    chosen: tuple[Step, ...]
    solved: tuple[Step, ...]


def together(network: Network, ends: Iterable[Dominance], cells: Sequence[Dominance]) -> Iterator[Stage]:
    """How training ends in some of the cells, if all neurons change alike.

    Where the impulse grows with the drive, displacements grow like powers of time. Where the impulse
    stays, they grow exponentially, and the time it takes is larger by log m only. Where the impulse that
    the balances give falls, growth feeds on itself and each further stage is faster than the last (a
    blow-up): the duration is that of the slowest stage, which was at the entry.
    """
    for cell in ends:
        yield from _together(network, cell, cells)


def growth_of(cell: Dominance) -> Growth:
    """How displacements grow in a cell, from the impulse that the balances give."""
    slope = sp.diff(cell.values[impulse], drive)
    return Growth.POWER if slope > 0 else Growth.EXPONENTIAL if slope == 0 else Growth.BLOW_UP


def differs(network: Network, cell: Dominance) -> bool:
    """Whether neurons of different start grow apart by more than a factor, in a cell.

    In a blow-up each has its own time. Exponential growth has one rate for all as long as the rate is made
    of what grows; it differs if the rate holds a layer that is still at its start.
    """
    growth = growth_of(cell)
    if growth is Growth.EXPONENTIAL:
        return len(moving(network, cell)) < len(network.layers)
    return growth is Growth.BLOW_UP


def moving(network: Network, cell: Dominance) -> tuple[str, ...]:
    """Layers whose change is at least as large as their start throughout a cell."""
    lefts = [balance.left for balance in network.balances()]
    return tuple(layer for layer in network.layers if cell.dominant[lefts.index(size(layer))] > 0)


def orders(network: Network, cell: Dominance) -> dict[str, sp.Expr]:
    """Order of each layer's displacement in a cell."""
    unknowns = {layer: network.displacement(layer) for layer in network.layers}
    return {layer: -sp.oo if u is None else cell.values[u] for layer, u in unknowns.items()}


def entries(
    cell: Dominance, cells: Iterable[Dominance]
) -> Iterator[tuple[Dominance, dict[sp.Symbol, sp.Expr]]]:
    """Cells from which the drive grows into a cell, and the drive at which it does."""
    for other in cells:
        edge = shared_edge(cell.region, other.region)
        if edge is not None and edge[0][0] > 0:
            on_drive, on_gamma_prime, constant = edge[0]
            yield other, {drive: -(on_gamma_prime * gamma_prime + constant) / sp.Integer(on_drive)}


def _together(network: Network, cell: Dominance, cells: Sequence[Dominance]) -> Iterator[Stage]:
    growth = growth_of(cell)
    if growth is not Growth.BLOW_UP:
        yield _stage(network, cell, cell.region, cell.values[impulse], growth)
        return
    for other, entry in entries(cell, cells):
        for before in _together(network, other, cells):
            from_here = [*before.region.substituted(entry), *cell.region.substituted(entry)]
            strip = Polyhedron.where([*cell.region.substituted({}), *from_here], DRIVE_PLANE)
            if strip is not None:
                yield _stage(network, cell, strip, sp.expand(before.passed.xreplace(entry)), growth)


def _stage(network: Network, cell: Dominance, region: Polyhedron, passed: sp.Expr, growth: Growth) -> Stage:
    chosen, solved = resolved(network, cell)
    return Stage(
        region, orders(network, cell), moving(network, cell), passed, growth, chosen=chosen, solved=solved
    )


def resolved(network: Network, cell: Dominance) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The balances with their dominant terms, and their solution."""
    chosen = tuple(
        Step(balance.dominated_by(index), "the largest term here")
        for balance, index in zip(network.balances(), cell.dominant, strict=True)
        if len(balance.terms) > 1
    )
    solved_for = [impulse, *(c for c in map(network.displacement, network.layers) if c is not None)]
    solved = tuple(
        Step(sp.Eq(unknown, cell.values[unknown], evaluate=False), "the linear equations solved")
        for unknown in solved_for
    )
    return chosen, solved
