"""``meanfield figure``: the paper's figures by name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.cli.commands import executor_of, formats_of, output_folder

if TYPE_CHECKING:
    from meanfield.experiments.figures import Check, FigureResult

#: Tables of at most so many rows are printed, too.
_SHORT = 12


def figure(arguments: argparse.Namespace) -> int:
    """``meanfield figure``."""
    from meanfield.experiments import figures

    if arguments.list:
        print(_list_as_json() if arguments.json else _list_as_text())
        return 0
    figures.entry(arguments.name)  # a wrong name is refused before a folder is made
    from meanfield import plotting
    from meanfield.plotting.windows import offscreen

    kinds = formats_of(arguments.formats)
    out = output_folder(arguments.out, "figures")
    result = figures.run(
        arguments.name,
        quick=arguments.quick,
        seed=arguments.seed,
        executor=executor_of(arguments),
        # One store for all figures with the same root of random numbers: what they share is run once.
        store=Path(arguments.store) if arguments.store else out / f"sweep-seed-{arguments.seed}.sqlite",
        width=arguments.width,
        dim=arguments.dim,
        images=arguments.images,
        labels=arguments.labels,
        progress=False if arguments.quiet else None,
    )
    written = [result.to_csv(out / f"{arguments.name}.csv")]
    with offscreen():
        picture = plotting.figure(result)
    written += plotting.save(picture, out / arguments.name, formats=kinds)
    if arguments.json:
        print(json.dumps(_as_json(arguments.name, result, written), indent=2))
    else:
        print(_as_text(arguments.name, result, written))
    return 0


def _as_text(name: str, result: FigureResult, written: Sequence[Path]) -> str:
    lines = [f"{name}: {result.ran}", ""]
    if len(result.rows) <= _SHORT:
        lines += [*_table_as_text(result), ""]
    lines += checks_as_text(result.checks)
    agreeing = sum(check.agrees for check in result.checks)
    lines += ["", f"{agreeing} of {len(result.checks)} numbers agree.", ""]
    return "\n".join([*lines, "written:", *(f"  {path}" for path in written)])


def _table_as_text(result: FigureResult) -> list[str]:
    cells = [list(result.header), *([_cell(value) for value in row] for row in result.rows)]
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, wide, strict=True)).rstrip() for row in cells]


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def checks_as_text(checks: Sequence[Check]) -> list[str]:
    """A table of measured against published numbers, as lines of text."""
    wide = max(len(check.quantity) for check in checks)
    lines = [f"{'':<{wide}}    measured    expected  from         difference   allowed  agrees"]
    for check in checks:
        unit = " %" if check.relative else "  "
        scale = 100.0 if check.relative else 1.0
        lines.append(
            f"{check.quantity:<{wide}}  {check.measured:10.5g}  {check.expected:10.5g}  {check.source:<10}"
            f"  {scale * check.difference:+9.4f}{unit}  {scale * check.allowed:7.3g}{unit} "
            f"{'yes' if check.agrees else 'NO'}"
        )
    return lines


def _as_json(name: str, result: FigureResult, written: Sequence[Path]) -> dict[str, object]:
    return {
        "figure": name,
        "ran": result.ran,
        "checks": [asdict(check) | {"agrees": check.agrees} for check in result.checks],
        "table": [dict(zip(result.header, row, strict=True)) for row in result.rows],
        "written": [str(path) for path in written],
    }


def _list_as_text() -> str:
    from meanfield.experiments.figures import FIGURES

    wide = max(map(len, FIGURES))
    lines = [f"{'name':<{wide}}  quick    full  shows"]
    for entry in FIGURES.values():
        quick, full = (_seconds(value) for value in entry.seconds)
        lines.append(f"{entry.name:<{wide}}  {quick:>5}  {full:>6}  {entry.shows}; needs {entry.needs}")
    return "\n".join([*lines, "Times are rough: two cores, kernels compiled."])


def _list_as_json() -> str:
    from meanfield.experiments.figures import FIGURES

    return json.dumps(
        [
            {"name": entry.name, "shows": entry.shows, "needs": entry.needs,
             "seconds_quick": entry.seconds[0], "seconds": entry.seconds[1]}
            for entry in FIGURES.values()
        ],
        indent=2,
    )  # fmt: skip


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value >= 1 else "0 s"
