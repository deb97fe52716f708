"""``meanfield shard``."""

from __future__ import annotations

import re

import click

from meanfield.cli.config import config_option
from meanfield.cli.options import (
    DataOptions,
    GridOptions,
    LossOptions,
    RunningOptions,
    data_options,
    grid_options,
    loss_options,
    memory_option,
    running_options,
    write_sweep,
)
from meanfield.cli.output import FolderOptions, TalkOptions, folder_options, talk_options
from meanfield.cli.verb import verb
from meanfield.errors import InputError


@verb("run one part of a phase diagram, as in a job array", data_files=True)
@click.argument("part", metavar="I/N")
@config_option
@data_options
@grid_options()
@loss_options("grid")
@running_options
@memory_option
@folder_options()
@talk_options(progress=True)
def shard(
    part: str,
    data: DataOptions,
    grid: GridOptions,
    loss: LossOptions,
    running: RunningOptions,
    memory: float | None,
    output: FolderOptions,
    talk: TalkOptions,
) -> int:
    """Run one part of a phase diagram, as in a job array.

    This is part I of N, with the options of phase-diagram. Each part has a store of its own,
    DIR/shard-I-of-N.sqlite. When all are done, join them and draw:

    \b
      meanfield shard $SLURM_ARRAY_TASK_ID/8 --preset paper --out results
      meanfield merge results/shard-*.sqlite
      meanfield phase-diagram --preset paper --out results
    """
    from meanfield import experiments
    from meanfield.cli.tables import exit_code

    match = re.fullmatch(r"(\d+)/(\d+)", part)
    if match is None:
        raise InputError(f"the shard is {part!r}; give I/N, such as 3/8")
    this, parts = int(match[1]), int(match[2])
    problem = data.problem()
    settings, executor = grid.settings(loss), running.executor()
    if not 1 <= this <= parts:
        raise InputError(f"the shard is {part}; give I/N with I from 1 to N")
    out = grid.folder(problem, output)
    store = running.store or out / f"shard-{this}-of-{parts}.sqlite"
    diagram = experiments.phase_diagram(
        problem,
        **settings,
        executor=executor,
        memory=memory,
        progress=talk.bar,
        store=store,
        shard=(this, parts),
    )
    write_sweep(out / f"shard-{this}-of-{parts}.toml", settings, out)
    done, failed = len(diagram.results), sum(not result.finished for result in diagram.results)
    print(
        f"shard {this}/{parts}: {done} of {done + diagram.missing} cells are in {store}"
        + (f"; {failed} of them did not converge" if failed else "")
    )
    return exit_code(result.finished for result in diagram.results)
