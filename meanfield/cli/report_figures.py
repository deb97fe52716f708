"""What ``meanfield figure`` says, as a page of text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanfield.cli.tables import Page, Table, paths
from meanfield.experiments.figures import FIGURES

if TYPE_CHECKING:
    from meanfield.experiments.figures import Check, FigureResult

#: Tables of at most so many rows are printed, too.
_SHORT = 12


def figure_as_text(name: str, result: FigureResult, written: Sequence[Path]) -> Page:
    """The numbers of a figure beside published ones or theory."""
    agreeing = sum(check.agrees for check in result.checks)
    table: Page = [_table(result), ""] if len(result.rows) <= _SHORT else []
    return [
        f"{name}: {result.ran}",
        "",
        *table,
        _checks(result.checks),
        "",
        f"{agreeing} of {len(result.checks)} numbers agree.",
        "",
        *paths(written),
    ]


def _table(result: FigureResult) -> Table:
    rows = [[f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row] for row in result.rows]
    numbers = {
        name
        for k, name in enumerate(result.header)
        if all(isinstance(row[k], int | float) for row in result.rows)
    }
    return Table(result.header, rows, prose=tuple(name for name in result.header if name not in numbers))


def _checks(checks: Sequence[Check]) -> Table:
    """Measured beside published numbers."""
    rows = []
    for check in checks:
        unit, scale = (" %", 100.0) if check.relative else ("", 1.0)
        rows.append(
            (check.quantity, f"{check.measured:.5g}", f"{check.expected:.5g}", check.source,
             f"{scale * check.difference:+.4f}{unit}", f"{scale * check.allowed:.3g}{unit}",
             "yes" if check.agrees else "NO")
        )  # fmt: skip
    header = ("quantity", "measured", "expected", "from", "difference", "allowed", "agrees")
    return Table(header, rows, words=("agrees",), prose=("quantity", "from"))


def figure_as_json(name: str, result: FigureResult, written: Sequence[Path]) -> dict[str, object]:
    """The same, for scripts."""
    return {
        "figure": name,
        "ran": result.ran,
        "checks": [asdict(check) | {"agrees": check.agrees} for check in result.checks],
        "table": [dict(zip(result.header, row, strict=True)) for row in result.rows],
        "written": [str(path) for path in written],
    }


def figures_as_text() -> Page:
    """The figures with what they need and how long they take."""
    rows = [
        (entry.name, *(f"{seconds:.0f} s" if seconds >= 1 else "0 s" for seconds in entry.seconds),
         f"{entry.shows}; needs {entry.needs}")
        for entry in FIGURES.values()
    ]  # fmt: skip
    return [
        Table(("name", "quick", "full", "shows"), rows, words=("name",), prose=("shows",)),
        "Times are rough: two cores, kernels compiled.",
    ]


def figures_as_json() -> list[dict[str, Any]]:
    """The same, for scripts."""
    return [
        {"name": entry.name, "shows": entry.shows, "needs": entry.needs,
         "seconds_quick": entry.seconds[0], "seconds": entry.seconds[1]}
        for entry in FIGURES.values()
    ]  # fmt: skip
