"""Exponents of training time and displacement over the plane, derived from a description of the network.

The balances of ``meanfield.symbolic.network`` are solved in the plane of the drive (how far a neuron's
output has to grow) and gamma_prime; the drive is then expressed in gamma. Along a line of constant
gamma_prime growing drive is the course of one training, which is how its duration is found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from meanfield.arguments import shown
from meanfield.errors import InputError
from meanfield.symbolic.maxplus import Cell, solve
from meanfield.symbolic.network import (
    Network,
    TwoLayer,
    drive,
    gamma,
    gamma_prime,
    impulse,
    residual,
    size,
)
from meanfield.symbolic.polyhedra import Polyhedron, shared_edge
from meanfield.symbolic.result import Boundary, Exponents, Growth, Region, Step

_DRIVE_PLANE = (drive, gamma_prime)
_PLANE = (gamma, gamma_prime)


@dataclass(frozen=True)
class _Stage:
    """A cell of the drive plane, or a strip of one, with the impulse that training took to reach it."""

    cell: Cell
    region: Polyhedron
    passed: sp.Expr
    growth: Growth


def exponents(network: Network | None = None) -> Exponents:
    """Derive the exponents of time and displacement for a network.

    Parameters
    ----------
    network : TwoLayer or other Network, optional
        By default the two-layer ReLU network with both layers trained and zero initial output.

    Returns
    -------
    Exponents
        Piecewise-linear functions of gamma and gamma_prime with regions, boundaries and derivation.

    Raises
    ------
    InputError
        If network describes none, or its balances have no unique solution.

    Examples
    --------
    >>> theory = exponents()
    >>> for region in theory.regions:
    ...     print(region.name, "|", region.condition, "|", region.S_w)
    lazy | (gamma_prime >= 0) & (gamma <= 1) | gamma - 2*gamma_prime - 1
    lazy | (gamma <= 1) & (gamma_prime <= 0) | gamma - 1
    a-lag | (gamma >= 1) & (gamma_prime <= 1 - gamma) | gamma - 1
    w-lag | (gamma >= 1) & (gamma_prime >= gamma - 1) | 2*gamma - 2*gamma_prime - 2
    both move | (gamma_prime <= gamma - 1) & (gamma_prime >= 1 - gamma) | gamma/2 - gamma_prime/2 - 1/2
    >>> theory.S_w.subs({theory.gamma: sp.Rational(7, 4), theory.gamma_prime: 0})
    3/8
    """
    network = TwoLayer() if network is None else network
    if not hasattr(network, "balances"):
        raise InputError(f"network is {shown(network)}; give a description of a network such as TwoLayer()")
    return _exponents(network)


def regions(network: Network | None = None) -> tuple[Region, ...]:
    """Regions of the plane in which the exponents are linear; see :func:`exponents`.

    Examples
    --------
    >>> len(regions())
    5
    """
    return exponents(network).regions


def boundaries(network: Network | None = None) -> tuple[Boundary, ...]:
    """Lines on which an exponent has a kink or a layer starts to move; see :func:`exponents`.

    Examples
    --------
    >>> for line in boundaries():
    ...     if line.regime:
    ...         print(line.equation, line.condition)
    Eq(gamma, 1) gamma_prime <= 0
    Eq(gamma_prime, gamma - 1) gamma >= 1
    """
    return exponents(network).boundaries


@lru_cache(maxsize=32)
def _exponents(network: Network) -> Exponents:
    balances = network.balances()
    stages = _stages(solve(balances, network.unknowns, _DRIVE_PLANE))
    needed = network.residual_balance()
    found = tuple(_regions(network, stages))
    steps = (
        *(Step(balance.equation, balance.reason) for balance in balances),
        Step(needed.equation, needed.reason),
        Step(
            sp.Eq(drive, gamma - 1 + residual, evaluate=False),
            "f is kappa times a sum of m neurons that change alike; each has to make up for e / (m kappa)",
        ),
    )
    return Exponents(network, found, _boundaries(found), steps)


def _regions(network: Network, stages: Sequence[_Stage]) -> Iterator[Region]:
    """Stages over the plane of gamma and gamma_prime, for each term that may dominate the residual."""
    needed = network.residual_balance()
    for index, term in enumerate(needed.terms):
        dominates = [term - other for i, other in enumerate(needed.terms) if i != index]
        values = {drive: sp.expand(gamma - 1 + term)}
        for stage in stages:
            inside = Polyhedron.where([*dominates, *stage.region.substituted(values)], _PLANE)
            if inside is None:
                continue
            moves = {layer: _moves(network, stage.cell, layer) for layer in network.layers}
            orders = {
                layer: sp.S.NegativeInfinity
                if (unknown := network.displacement(layer)) is None
                else sp.expand(stage.cell.values[unknown].xreplace(values))
                for layer in network.layers
            }
            yield Region(
                region=inside,
                orders=orders,
                moving=tuple(layer for layer, moved in moves.items() if moved),
                time=sp.expand(stage.passed.xreplace(values) - term + network.loss_exponent),
                growth=stage.growth,
                steps=_resolved(network, stage.cell, sp.Eq(residual, term, evaluate=False)),
            )


def _moves(network: Network, cell: Cell, layer: str) -> bool:
    """Whether the change of a layer is at least as large as its start throughout a cell."""
    index = next(i for i, balance in enumerate(network.balances()) if balance.left == size(layer))
    return cell.dominant[index] > 0


def _resolved(network: Network, cell: Cell, needed: sp.Eq) -> tuple[Step, ...]:
    """The balances with their dominant terms, and their solution."""
    chosen = [
        Step(balance.dominated_by(index), "the largest term here")
        for balance, index in zip(network.balances(), cell.dominant, strict=True)
        if len(balance.terms) > 1
    ]
    if len(network.residual_balance().terms) > 1:
        chosen.append(Step(needed, "the largest term here"))
    solved_for = [impulse, *(c for c in map(network.displacement, network.layers) if c is not None)]
    solution = [
        Step(sp.Eq(unknown, cell.values[unknown], evaluate=False), "the linear equations solved")
        for unknown in solved_for
    ]
    return (*chosen, *solution)


def _stages(cells: Sequence[Cell]) -> tuple[_Stage, ...]:
    """Duration of the way to each cell.

    At fixed gamma_prime the course of a training is a line of growing drive. Where the impulse grows
    with it, displacements grow like powers of time. Where the impulse stays, they grow exponentially, and
    the time it takes is larger by log m only. Where the impulse that the balances give falls, growth feeds
    on itself and each further stage is faster than the last (a blow-up): the duration is that of the
    slowest stage, which was at the entry.
    """
    return tuple(itertools.chain.from_iterable(_stages_of(cell, cells) for cell in cells))


def _stages_of(cell: Cell, cells: Sequence[Cell]) -> Iterator[_Stage]:
    slope = sp.diff(cell.values[impulse], drive)
    if slope >= 0:
        growth = Growth.POWER if slope > 0 else Growth.EXPONENTIAL
        yield _Stage(cell, cell.region, cell.values[impulse], growth)
        return
    for other in cells:
        edge = shared_edge(cell.region, other.region)
        if edge is None or edge[0][0] <= 0:  # not an entry: the drive does not grow from there to here
            continue
        on_drive, on_gamma_prime, constant = edge[0]
        entry = {drive: -(on_gamma_prime * gamma_prime + constant) / sp.Integer(on_drive)}
        for before in _stages_of(other, cells):
            from_here = [*before.region.substituted(entry), *cell.region.substituted(entry)]
            strip = Polyhedron.where([*cell.region.substituted({}), *from_here], _DRIVE_PLANE)
            if strip is not None:
                yield _Stage(cell, strip, sp.expand(before.passed.xreplace(entry)), Growth.BLOW_UP)


def _boundaries(found: Sequence[Region]) -> tuple[Boundary, ...]:
    lines = []
    for first, second in itertools.combinations(found, 2):
        edge = shared_edge(first.region, second.region)
        alike = first.linear_pieces == second.linear_pieces and first.moving == second.moving
        if edge is not None and not alike:
            lines.append(Boundary.between(first, second, *edge))
    return tuple(lines)
