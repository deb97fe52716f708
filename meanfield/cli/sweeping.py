"""Verbs around sweeps: parts of one for job arrays, and stores."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from meanfield.cli import commands
from meanfield.errors import InputError


def shard(arguments: argparse.Namespace) -> int:
    """``meanfield shard``."""
    from meanfield import experiments

    match = re.fullmatch(r"(\d+)/(\d+)", arguments.part)
    if match is None:
        raise InputError(f"the shard is {arguments.part!r}; give I/N, such as 3/8")
    part, parts = int(match[1]), int(match[2])
    problem = commands.problem_of(arguments)
    options = commands.sweep_options(arguments)
    if not 1 <= part <= parts:
        raise InputError(f"the shard is {arguments.part}; give I/N with I from 1 to N")
    out = commands.sweep_folder(arguments, problem)
    store = Path(arguments.store) if arguments.store else out / f"shard-{part}-of-{parts}.sqlite"
    diagram = experiments.phase_diagram(problem, **options, store=store, shard=(part, parts))
    done, failed = len(diagram.results), sum(not result.finished for result in diagram.results)
    print(
        f"shard {part}/{parts}: {done} of {done + diagram.missing} cells are in {store}"
        + (f"; {failed} of them did not converge" if failed else "")
    )
    return commands.exit_code(result.finished for result in diagram.results)


def merge(arguments: argparse.Namespace) -> int:
    """``meanfield merge``."""
    from meanfield.experiments import merge_stores

    into = Path(arguments.into or Path(arguments.stores[0]).parent / "sweep.sqlite")
    merged = merge_stores(into, arguments.stores)
    print(f"{into}: {merged.cells} cells, {merged.added} of them new")
    if merged.repeated:
        print(
            f"{merged.repeated} cells were in several stores, {merged.differing} of them with other bits "
            "(other processors or versions); one copy of each is kept"
        )
    print(f"to draw: meanfield phase-diagram with the options of the shards and --store {into}")
    return 0


def store_show(arguments: argparse.Namespace) -> int:
    """``meanfield store show``."""
    from meanfield.experiments import SweepStore, store_text

    with SweepStore.open(arguments.store) as store:
        print(store_text(store))
    return 0


def store_export(arguments: argparse.Namespace) -> int:
    """``meanfield store export``."""
    from meanfield.experiments import export_store

    print(export_store(arguments.store, arguments.target))
    return 0
