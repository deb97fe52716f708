"""``meanfield phase-diagram``."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from meanfield.experiments import PhaseDiagram


@verb("measure and draw the phase diagram", data_files=True)
@config_option
@data_options
@grid_options()
@loss_options("grid")
@running_options
@memory_option
@option(
    "--live",
    metavar="[SECONDS]",
    type=Number(),
    is_flag=False,
    flag_value=30.0,
    section="pictures",
    called="live_seconds",
    help="while it runs, draw phase-diagram.png anew every so often (default: 30)",
)
@option(
    "--predict/--no-predict",
    default=None,
    section="pictures",
    help="compute what these widths show without sampling noise (default: where it costs little)",
)
@folder_options()
@formats_option
@json_option
@talk_options(progress=True)
def phase_diagram(
    data: DataOptions,
    grid: GridOptions,
    loss: LossOptions,
    running: RunningOptions,
    memory: float | None,
    live: float | None,
    predict: bool | None,
    output: FolderOptions,
    formats: tuple[str, ...],
    as_json: bool,
    talk: TalkOptions,
) -> int:
    """Measure and draw the phase diagram.

    Train networks over a grid of scalings (gamma, gamma') and several widths m, measure how the relative
    displacement of the weights scales with m (RD_w ~ m^S_w), and draw the map of S_w with the predicted
    boundary. S_w < 0 is the linear regime, S_w > 0 the condensed one, S_w = 0 critical.

    Finished runs are kept in a store; the same command continues where it was stopped. All options are
    written beside the results, to phase-diagram.toml, with which it can be run again.

    \b
      meanfield phase-diagram --data mine.csv --out results
      meanfield phase-diagram --config results/phase-diagram.toml
    """
    from meanfield import experiments, plotting
    from meanfield.cli import report
    from meanfield.cli.tables import exit_code, show

    problem = data.problem()
    settings, executor = grid.settings(loss), running.executor()
    out = grid.folder(problem, output)
    store = running.store or out / "sweep.sqlite"

    def draw(part: PhaseDiagram) -> None:
        # Written beside and renamed, so that nobody ever sees half a picture.
        (file,) = save_picture(plotting.phase_diagram, part, path=out / ".phase-diagram-part", formats="png")
        file.replace(out / "phase-diagram.png")

    diagram = experiments.phase_diagram(
        problem,
        **settings,
        executor=executor,
        memory=memory,
        progress=talk.bar,
        store=store,
        live=None if live is None else draw,
        live_seconds=live or 0.0,
        predict=predict,
    )
    written = [diagram.to_csv(out / "summary.csv"), diagram.runs_to_csv(out / "runs.csv")]
    written += save_picture(plotting.phase_diagram, diagram, path=out / "phase-diagram", formats=formats)
    points = _spread_points(diagram)
    written += save_picture(
        plotting.rd_against_width, diagram, points, path=out / "rd-against-width", formats=formats
    )
    written += [store, write_sweep(out / "phase-diagram.toml", settings, out)]
    show(report.diagram_as_json(diagram, written) if as_json else report.diagram_as_text(diagram, written))
    return exit_code(result.finished for result in diagram.results)


def _spread_points(diagram: PhaseDiagram, most: int = 5) -> list[tuple[float, float]]:
    """A few points along gamma at the gamma_prime closest to zero, for the figure of RD against m."""
    import numpy as np

    gamma_prime = float(diagram.gamma_prime[np.argmin(np.abs(diagram.gamma_prime))])
    picks = np.unique(
        np.linspace(0, len(diagram.gamma) - 1, min(most, len(diagram.gamma))).round().astype(int)
    )
    return [(float(diagram.gamma[j]), gamma_prime) for j in picks]
