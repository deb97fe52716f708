"""The page ``docs/theory.md``, rendered from the objects: what it states is what the code derives.

The prose stands in ``page.md`` beside this module, with places for formulas and tables.
``python -m meanfield.symbolic > docs/theory.md`` writes the page, and a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import resources

import sympy as sp

from meanfield.symbolic.closed_forms import DERIVED
from meanfield.symbolic.deep import ThreeLayer
from meanfield.symbolic.network import Network, TwoLayer
from meanfield.symbolic.parametrisations import abc, chizat_bach, feature_exponent, geiger, golikov
from meanfield.symbolic.power_counting import derive_exponents
from meanfield.symbolic.registry import LATEX, Claim, claims
from meanfield.symbolic.result import BoundaryLine, Exponents, Growth, Region, Step


def render() -> str:
    """The whole page as Markdown.

    Examples
    --------
    >>> render().splitlines()[0]
    '# Theory'
    """
    page = resources.files("meanfield.symbolic").joinpath("page.md").read_text(encoding="utf-8")
    for name, text in _parts().items():
        page = page.replace(f"<<{name}>>", text.rstrip("\n"))
    return page


def _parts() -> dict[str, str]:
    """What the objects have to say, by the names of the places in the page."""
    theory, by_name = derive_exponents(), {claim.name: claim for claim in claims()}

    def formulas(*names: str) -> str:
        return "\n".join(_formula(by_name[name]) for name in names)

    in_text = {*_FLOW, *_EXPONENTS, *_OTHER_CLAIMS, _SATURATION, _BETWEEN}
    return {
        "flow": formulas(*_FLOW),
        "balances": "\n".join(_balances(theory)),
        "regions": "\n".join(map(_region, theory.regions)),
        "exponents": formulas(*_EXPONENTS),
        "lines": _lines(theory.boundaries),
        "saturation": formulas(_SATURATION),
        "networks": "\n".join(_other(name, network) for name, network in _NETWORKS),
        "gaussian": "\n".join(_other(f"ReLU to the power {r}", TwoLayer(homogeneity=r)) for r in (2, 3)),
        "discrete": _other("ReLU to the power 2, discrete", TwoLayer(homogeneity=2, law="discrete")),
        "between": formulas(_BETWEEN),
        "three layers": _other("three layers", ThreeLayer()),
        "schemes": "".join(_scheme_rows()),
        "features": "r = " + _latex(feature_exponent()),
        "forms": formulas(*(name for name in by_name if name not in in_text)),
        "claims": _table(by_name.values()),
    }


_FLOW = ("normalised flow", "canonical coordinates", "conservation law of a neuron", "energy law")
_EXPONENTS = ("exponent of RD_w", "exponent of RD_a")
_SATURATION = "without antisymmetric initialisation"
_BETWEEN = "blow-up of a share of the neurons"
#: Claims that the page shows in tables or sentences.
_OTHER_CLAIMS = (
    "boundaries of the regimes",
    "further lines",
    "powers of ReLU, Gaussian weights",
    "powers of ReLU, discrete weights",
    "feature exponent of abc parametrisations",
)

_NETWORKS = (
    ("only the input layer trained", TwoLayer(train_output=False)),
    ("only the output layer trained (random features)", TwoLayer(train_input=False)),
    ("learning rate of the input layer smaller by 1/m", TwoLayer(input_rate=1)),
)

_LOGARITHM = {Growth.EXPONENTIAL: r"\log m", Growth.SPREAD: r"\sqrt{\log m}"}


def _latex(expression: sp.Basic) -> str:
    return str(sp.latex(expression, symbol_names=LATEX))


def _formula(claim: Claim) -> str:
    test = claim.test.rpartition("::")[2]
    source = " here" if claim.source == DERIVED else f"; source: {claim.source}"
    head = f"**{_name(claim)}** ({claim.standing.value}{source}; test: `{test}`)."
    note = f" {_upper(claim.note)}." if claim.note else ""
    return f"{head}{note}\n\n$${claim.render()}$$\n"


def _balances(theory: Exponents) -> Iterator[str]:
    for step in theory.derivation:
        yield f"$${_latex(step.equation)}$$\n\nbecause {step.reason};\n"


def _name(claim: Claim) -> str:
    return re.sub(r"\bRD_([aw])\b", r"$\\mathrm{RD}_\1$", _upper(claim.name))


def _upper(text: str) -> str:
    """Begin with a capital, unless the first word is a symbol."""
    return text[0].upper() + text[1:] if len(text.split()[0]) > 2 else text


def _region(region: Region) -> str:
    chosen = [step for step in region.steps if step.reason.startswith("the largest")]
    solved = [step for step in region.steps if not step.reason.startswith("the largest")]
    orders = ",\\ ".join(f"S_{layer} = {_latex(order)}" for layer, order in region.orders.items())
    power = f"m^{{{_latex(region.time)}}}" if region.time != 0 else ""
    logarithm = _LOGARITHM.get(region.growth, "")
    time = f"{power} {logarithm}".strip() or "1"
    return (
        f"**{region.name}**, ${_latex(region.condition)}$. Dominant: {_equations(chosen)}. Solved: "
        f"{_equations(solved)}. So ${orders}$, training takes $s \\sim {time}$.\n"
    )


def _equations(steps: Iterable[Step]) -> str:
    return f"${', '.join(_latex(step.equation) for step in steps)}$"


def _lines(lines: Iterable[BoundaryLine]) -> str:
    head = "| line | where | one side | other side | zero on it |\n| --- | --- | --- | --- | --- |\n"
    return head + "".join(map(_line, lines))


def _line(line: BoundaryLine) -> str:
    low, high = line.sides
    zero = ", ".join(f"$S_{layer} = 0$" for layer in line.critical)
    return f"| ${_latex(line.equation)}$ | ${_latex(line.condition)}$ | {low.name} | {high.name} | {zero} |\n"


def _other(name: str, network: Network) -> str:
    theory = derive_exponents(network)
    found = [theory.latex(layer) for layer in theory.network.layers]
    return f"{_upper(name)}:\n\n" + "\n\n".join(f"$${text}$$" for text in found) + "\n"


def _scheme_rows() -> Iterator[str]:
    for scheme in (abc(), chizat_bach(), geiger(), golikov()):
        place = f"${_latex(scheme.gamma)}$ | ${_latex(scheme.gamma_prime)}$"
        yield f"| {scheme.name} | {scheme.source} | {place} |\n"


def _table(found: Iterable[Claim]) -> str:
    rows = [
        f"| {_name(claim)} | {claim.standing.value} | {claim.source} | {_code(claim.numeric)} | "
        f"{_test(claim)} |"
        for claim in found
    ]
    head = ["| statement | standing | source | numbers | test |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"


def _code(name: str | None) -> str:
    return f"`{name.removeprefix('meanfield.')}`" if name else ""


def _test(claim: Claim) -> str:
    file, *_, test = claim.test.split("::")
    return f"`{file}`<br>`{test}`"
