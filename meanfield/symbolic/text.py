"""A derivation as plain text."""

from __future__ import annotations

import sympy as sp

from meanfield.symbolic.result import Exponents, Growth, Region, Step

_INTRODUCTION = """\
All letters are exponents of the width m: a and w the size of the weights of the output and the input layer
relative to their start, Delta_a and Delta_w that of their changes, J the time integral of the residual e in
canonical time, delta the order by which a neuron's output has to grow relative to its start."""

_LOGARITHM = {Growth.EXPONENTIAL: "log m", Growth.SPREAD: "sqrt(log m)"}


def derivation_text(exponents: Exponents) -> str:
    """Balances, then for each region its dominant terms, the solution and what it means."""
    parts = [_INTRODUCTION, "Balances:\n" + "\n".join(map(_step, exponents.derivation))]
    parts += [_region(region) for region in exponents.regions]
    lines = [
        f"  {plain(line.equation)}, {plain(line.condition)}: "
        f"{line.sides[0].name} | {line.sides[1].name}" + (" (regime boundary)" if line.regime else "")
        for line in exponents.boundaries
    ]
    return "\n\n".join([*parts, "Lines:\n" + "\n".join(lines)]) + "\n"


def plain(relation: sp.Basic) -> str:
    """An equation or inequality in one line.

    Examples
    --------
    >>> x, y = sp.symbols("x gamma_prime")
    >>> plain(sp.Eq(x, y + 1)), plain(sp.And(x >= 0, y <= 1))
    ("x = gamma' + 1", "x >= 0 and gamma' <= 1")
    """
    if isinstance(relation, sp.And):
        return " and ".join(plain(part) for part in sorted(relation.args, key=sp.default_sort_key))
    if isinstance(relation, sp.core.relational.Relational):
        symbol = "=" if relation.rel_op == "==" else relation.rel_op
        return f"{plain(relation.lhs)} {symbol} {plain(relation.rhs)}"
    return str(relation).replace("gamma_prime", "gamma'")


def _step(step: Step) -> str:
    return f"  {plain(step.equation)}\n      because {step.reason}"


def _region(region: Region) -> str:
    lines = [f"Region '{region.name}': {plain(region.condition)}"]
    lines += [f"  {plain(step.equation)}  ({step.reason})" for step in region.steps]
    power = f"m^({plain(region.time)})" if region.time != 0 else ""
    logarithm = _LOGARITHM.get(region.growth, "")
    time = f"{power} {logarithm}".strip() or "1"
    exponents = [f"S_{layer} = {plain(order)}" for layer, order in region.orders.items()]
    lines.append(f"  so {', '.join(exponents)}; training takes s ~ {time}")
    return "\n".join(lines)
