"""Table of common initialisations: kappa and kappa' at a given width and dimension, and their limits."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.experiments.figures.entry import Check, Entry, FigureResult, Request, as_rows
from meanfield.experiments.figures.published import SCHEMES as PUBLISHED
from meanfield.scaling import SCHEMES, Scaling, SchemeName

#: E, Ma and Wu leave an exponent free; the table shows them at this one.
FREE_EXPONENT = 1.0


@dataclass(frozen=True, eq=False)
class SchemeTable(FigureResult):
    """Initialisations with their laws and numbers, one row each.

    Attributes
    ----------
    width, dim : int
        The m and d (bias included) of the numbers.
    """

    width: int
    dim: int


def named_schemes() -> dict[SchemeName, tuple[str, Scaling]]:
    """All common initialisations: their names, with the free exponent where one has it, and scalings."""
    found = {}
    for key in SCHEMES:
        free = FREE_EXPONENT if key == "e-ma-wu" else None
        scheme = Scaling.named(key, b=free)
        found[key] = (scheme.name if free is None else f"{scheme.name}, b = {free:g}", scheme)
    return found


def compute(request: Request) -> SchemeTable:
    """Evaluate the laws; nothing is random, and quick is full."""
    m, d = request.width, request.dim
    rows, checks = [], []
    for key, (name, scheme) in named_schemes().items():
        alpha, beta1, beta2 = SCHEMES[key]
        place = scheme.classify()
        rows.append(
            (name, alpha, beta1, beta2, scheme.kappa(m, d), scheme.kappa_prime(m, d), scheme.gamma,
             scheme.gamma_prime, place.regime.value, place.S_w)
        )  # fmt: skip
        # Both are limits, taken of the laws numerically: equal up to rounding.
        for what, found, known in zip(
            ("gamma", "gamma'"), (scheme.gamma, scheme.gamma_prime), PUBLISHED[key], strict=True
        ):
            checks.append(Check(f"{what} of {name}", found, known, "published", 1e-9))
    return SchemeTable(
        header=("scheme", "alpha", "beta1", "beta2", "kappa", "kappa_prime", "gamma", "gamma_prime", "regime",
                "S_w"),
        rows=as_rows(rows), checks=tuple(checks), ran=f"{len(rows)} initialisations at m = {m}, d = {d}",
        width=m, dim=d,
    )  # fmt: skip


ENTRY = Entry("schemes", "table of common initialisations, at any m and d", "nothing", (1.0, 1.0), compute)
