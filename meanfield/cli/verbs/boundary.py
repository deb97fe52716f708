"""``meanfield boundary``."""

from __future__ import annotations

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
from meanfield.cli.output import (
    FolderOptions,
    TalkOptions,
    folder_options,
    formats_option,
    json_option,
    save_picture,
    talk_options,
)
from meanfield.cli.values import Number
from meanfield.cli.verb import option, verb


@verb("locate the boundary of the regimes", data_files=True)
@config_option
@data_options
@grid_options(gamma=False)
@loss_options("grid")
@option(
    "--tol",
    metavar="G",
    type=Number(),
    default=0.01,
    section="grid",
    help="tolerance on gamma* (default: 0.01)",
)
@running_options
@memory_option
@folder_options()
@formats_option
@json_option
@talk_options(progress=True)
def boundary(
    data: DataOptions,
    grid: GridOptions,
    loss: LossOptions,
    tol: float,
    running: RunningOptions,
    memory: float | None,
    output: FolderOptions,
    formats: tuple[str, ...],
    as_json: bool,
    talk: TalkOptions,
) -> int:
    """Locate the boundary of the regimes.

    It is where the measured exponent S_w changes sign, gamma*(gamma'), with an interval: networks are trained
    at one or two values of gamma for each gamma' only, about a tenth of what a map costs.

    Finished runs are kept in a store; the same command continues where it was stopped, and a map may share
    it. All options are written beside the results, to boundary.toml, with which it can be run again.
    """
    from meanfield import experiments, plotting
    from meanfield.cli import report
    from meanfield.cli.tables import exit_code, show

    problem = data.problem()
    settings, executor = grid.settings(loss), running.executor()
    del settings["gamma"]  # which is what is looked for
    out = grid.folder(problem, output)
    store = running.store or out / "sweep.sqlite"
    found = experiments.boundary(
        problem, **settings, executor=executor, memory=memory, progress=talk.bar, tol=tol, store=store
    )
    written = [found.to_csv(out / "boundary.csv")]
    written += save_picture(plotting.boundary, found, path=out / "boundary", formats=formats)
    written += [store, write_sweep(out / "boundary.toml", settings, out)]
    show(report.boundary_as_json(found, written) if as_json else report.boundary_as_text(found, written))
    return exit_code(found.settled)
