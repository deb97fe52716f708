"""``meanfield merge``."""

from __future__ import annotations

from pathlib import Path

import click

from meanfield.cli.values import FilePath
from meanfield.cli.verb import option, verb


@verb("join the stores of shards")
@click.argument("stores", metavar="FILE...", nargs=-1, required=True, type=FilePath())
@option(
    "--into",
    metavar="FILE",
    type=FilePath(),
    section="output",
    help="the joined store (default: sweep.sqlite beside the first)",
)
def merge(stores: tuple[Path, ...], into: Path | None) -> int:
    """Join the stores of shards.

    Stores of different data or settings are refused. The joined store holds what one run of the whole would
    have kept.
    """
    from meanfield.experiments import merge_stores

    into = into or stores[0].parent / "sweep.sqlite"
    merged = merge_stores(into, stores)
    print(f"{into}: {merged.cells} cells, {merged.added} of them new")
    if merged.repeated:
        print(
            f"{merged.repeated} cells were in several stores, {merged.differing} of them with other bits "
            "(other processors or versions); one copy of each is kept"
        )
    print(f"to draw: meanfield phase-diagram with the options of the shards and --store {into}")
    return 0
