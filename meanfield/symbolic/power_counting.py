"""Exponents of training time and displacement over the plane, derived from a description of the network.

The balances of ``meanfield.symbolic.network`` are solved in the plane of the drive (how far a neuron's
output has to grow) and gamma_prime; the drive is then expressed in gamma. Along a line of constant
gamma_prime growing drive is the course of one training, which is how its duration is found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache

import sympy as sp

from meanfield.arguments import shown
from meanfield.errors import InputError
from meanfield.symbolic.extremes import won_by_the_fastest
from meanfield.symbolic.maxplus import Dominance, solve
from meanfield.symbolic.network import (
    Network,
    TwoLayer,
    drive,
    gamma,
    gamma_prime,
    residual,
)
from meanfield.symbolic.polyhedra import Polyhedron, shared_edge
from meanfield.symbolic.result import BoundaryLine, Exponents, Region, Step
from meanfield.symbolic.stages import DRIVE_PLANE, Stage, differs, together

_PLANE = (gamma, gamma_prime)


def derive_exponents(network: Network | None = None) -> Exponents:
    """Derive the exponents of time and displacement for a network.

    Parameters
    ----------
    network : TwoLayer or other Network, optional
        By default the two-layer ReLU network with both layers trained and zero initial output.

    Returns
    -------
    Exponents
        Functions of gamma and gamma_prime with regions, boundaries and derivation. They are piecewise
        linear, but for ReLU squared with Gaussian weights in a part of gamma_prime < 0.

    Raises
    ------
    InputError
        If network describes none, or its balances have no unique solution.

    Notes
    -----
    For homogeneity above 1 the law of the initial weights counts; see ``TwoLayer`` and ``docs/theory.md``.

    Examples
    --------
    >>> theory = derive_exponents()
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
    """Regions of the plane in which the exponents are linear; see :func:`derive_exponents`.

    Parameters
    ----------
    network : TwoLayer or ThreeLayer, optional
        The network; by default the paper's.

    Returns
    -------
    tuple of Region

    Examples
    --------
    >>> len(regions())
    5
    """
    return derive_exponents(network).regions


def boundaries(network: Network | None = None) -> tuple[BoundaryLine, ...]:
    """Lines on which an exponent has a kink or a jump, or a layer starts to move.

    They are part of the result of :func:`derive_exponents`.

    Parameters
    ----------
    network : TwoLayer or ThreeLayer, optional
        The network; by default the paper's.

    Returns
    -------
    tuple of BoundaryLine

    Examples
    --------
    >>> for line in boundaries():
    ...     if line.regime:
    ...         print(line.equation, line.condition)
    Eq(gamma, 1) gamma_prime <= 0
    Eq(gamma_prime, gamma - 1) gamma >= 1
    """
    return derive_exponents(network).boundaries


@lru_cache(maxsize=32)
def _exponents(network: Network) -> Exponents:
    balances = network.balances()
    ends = _stages(network, solve(balances, network.unknowns, DRIVE_PLANE))
    needed = network.residual_balance()
    found = tuple(_regions(network, ends))
    steps = (
        *(Step(balance.equation, balance.reason) for balance in balances),
        Step(needed.equation, needed.reason),
        Step(
            sp.Eq(drive, gamma - 1 + residual, evaluate=False),
            "f is kappa times a sum of m neurons that change alike; each has to make up for e / (m kappa)",
        ),
    )
    return Exponents(network, found, _boundaries(found), steps)


def _stages(network: Network, cells: Sequence[Dominance]) -> tuple[Stage, ...]:
    """How training ends, everywhere in the drive plane."""
    if not getattr(network, "fastest_wins", False):  # a description of your own may leave it out
        return tuple(together(network, cells, cells))
    alike = [cell for cell in cells if not differs(network, cell)]
    return (*together(network, alike, cells), *won_by_the_fastest(network, cells))


def _regions(network: Network, ends: Sequence[Stage]) -> Iterator[Region]:
    """Stages over the plane of gamma and gamma_prime, for each term that may dominate the residual."""
    needed = network.residual_balance()
    for index, term in enumerate(needed.terms):
        dominates = [term - other for i, other in enumerate(needed.terms) if i != index]
        values = {drive: sp.expand(gamma - 1 + term)}
        largest = (Step(sp.Eq(residual, term, evaluate=False), "the largest term here"),) if dominates else ()
        for stage in ends:
            inside = Polyhedron.where([*dominates, *stage.region.substituted(values)], _PLANE)
            if inside is None:
                continue
            yield Region(
                region=inside,
                orders={layer: sp.expand(order.xreplace(values)) for layer, order in stage.orders.items()},
                moving=stage.moving,
                time=sp.expand(stage.passed.xreplace(values) - term + network.loss_exponent),
                growth=stage.growth,
                steps=(*stage.chosen, *largest, *stage.solved),
            )


def _boundaries(found: Sequence[Region]) -> tuple[BoundaryLine, ...]:
    lines = []
    for first, second in itertools.combinations(found, 2):
        edge = shared_edge(first.region, second.region)
        alike = first.linear_pieces == second.linear_pieces and first.moving == second.moving
        if edge is not None and not alike:
            lines.append(BoundaryLine.between(first, second, *edge))
    return tuple(lines)
