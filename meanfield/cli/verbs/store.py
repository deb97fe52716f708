"""``meanfield store``."""

from __future__ import annotations

from pathlib import Path

import click

from meanfield.cli.values import FilePath
from meanfield.cli.verb import Group, verb


@click.group(cls=Group, short_help="look into a store, or write it as a table")
def store() -> None:
    """Look into a store, or write it as a table.

    \b
      meanfield store show results/sweep.sqlite
      meanfield store export results/sweep.sqlite cells.csv
    """


@verb("what was run, when, where, with which versions")
@click.argument("file", metavar="FILE", type=FilePath())
def show(file: Path) -> int:
    """Show what was run, when, where, with which versions."""
    from meanfield.experiments import SweepStore, store_text

    with SweepStore.open(file) as opened:
        print(store_text(opened))
    return 0


@verb("write all cells as .csv, .npz or .nc")
@click.argument("file", metavar="FILE", type=FilePath())
@click.argument("table", metavar="TABLE", type=FilePath())
def export(file: Path, table: Path) -> int:
    """Write all cells of a store to TABLE: .csv, .npz or .nc, by its ending."""
    from meanfield.experiments import export_store

    print(export_store(file, table))
    return 0


store.add_command(show)
store.add_command(export)
