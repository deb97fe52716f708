"""The table of common initialisations, set as a figure."""

from __future__ import annotations

import math
import re

from matplotlib.figure import Figure

from meanfield.experiments.figures.schemes import SchemeTable
from meanfield.plotting.style import GAMMA_PRIME, KAPPA, KAPPA_PRIME, exact, new_axes, number

#: Left edges of the columns as shares of the width, and heights in inches.
_COLUMNS = (0.0, 0.175, 0.245, 0.375, 0.515, 0.66, 0.805, 0.86, 0.915)
_ROW, _HEAD, _FOOT = 0.185, 0.22, 0.2


def draw_schemes_table(result: SchemeTable) -> Figure:
    """One row for each scheme: laws, kappa and kappa' at the given m and d, exponents, regime."""
    height = _HEAD + _ROW * len(result.rows) + _FOOT
    ax = new_axes("page", height)
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(height, 0))
    head = ("scheme", r"$\alpha$", r"$\beta_1$", r"$\beta_2$", KAPPA, KAPPA_PRIME, r"$\gamma$", GAMMA_PRIME,
            "regime")  # fmt: skip
    _write(ax, 0.5 * _HEAD, head)
    for k, row in enumerate(result.rows):
        _write(ax, _HEAD + (k + 0.5) * _ROW, _cells(dict(zip(result.header, row, strict=True))))
    bottom = height - _FOOT
    for y, width in ((0.02, 0.9), (_HEAD, 0.5), (bottom, 0.9)):
        ax.plot([0, 1], [y, y], color="black", lw=width, clip_on=False)
    ax.text(
        0.0, bottom + 0.5 * _FOOT, f"{KAPPA} and {KAPPA_PRIME} at $m$ = {number(result.width)}, $d$ = "
        rf"{result.dim} (bias included); $\gamma$ and {GAMMA_PRIME} are their exponents: minus the slopes of "
        f"log {KAPPA} and log {KAPPA_PRIME} against log $m$ in the limit.",
        va="center_baseline", fontsize=7.0, color="0.25",
    )  # fmt: skip
    return ax.figure  # type: ignore[return-value]


def _write(ax: object, y: float, cells: tuple[str, ...]) -> None:
    for x, text in zip(_COLUMNS, cells, strict=True):
        ax.text(x, y, text, va="center_baseline")  # type: ignore[attr-defined]


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    laws = [law_text(str(row[name])) for name in ("alpha", "beta1", "beta2")]
    scales = [_digits(float(str(row[name]))) for name in ("kappa", "kappa_prime")]
    exponents = [_fraction(float(str(row[name]))) for name in ("gamma", "gamma_prime")]
    return (str(row["scheme"]), *laws, *scales, *exponents, str(row["regime"]))


def law_text(law: str) -> str:
    r"""A law in m and d as mathematics.

    Examples
    --------
    >>> law_text("sqrt(2/(m+d))"), law_text("m^-b"), law_text("1")
    ('$\\sqrt{2/(m+d)}$', '$m^{-b}$', '$1$')
    """
    root = re.fullmatch(r"sqrt\((.*)\)", law)
    body = rf"\sqrt{{{root[1]}}}" if root else re.sub(r"\^(-?\w+)", r"^{\1}", law)
    return f"${body}$"


def _digits(value: float) -> str:
    """Five significant digits, as a power of ten where it is small."""
    if 1e-2 <= value < 1e5:
        return f"{value:.5g}"
    digits, exponent = f"{value:.4e}".split("e")
    digits = digits.rstrip("0").rstrip(".")
    if digits == "1":
        return rf"$10^{{{int(exponent)}}}$"
    return rf"${digits}\times10^{{{int(exponent)}}}$"


def _fraction(value: float) -> str:
    return "1/2" if math.isclose(value, 0.5, abs_tol=1e-9) else exact(value)
