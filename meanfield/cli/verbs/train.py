"""``meanfield train``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanfield.cli.config import config_option, write_config
from meanfield.cli.options import (
    SCHEME,
    SCHEMES_TEXT,
    DataOptions,
    LossOptions,
    ScalingOptions,
    activation_option,
    antisymmetric_option,
    data_options,
    loss_options,
    rng_option,
    scaling_options,
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
from meanfield.cli.values import Number, Whole
from meanfield.cli.verb import note, option, verb

if TYPE_CHECKING:
    from meanfield.flow import Trajectory


@verb("train one network by gradient flow", data_files=True)
@config_option
@data_options
@option(
    "--scheme", metavar="NAME", type=SCHEME, section="scaling", help=f"one of {SCHEMES_TEXT} (default: ntk)"
)
@scaling_options
@option(
    "-w",
    "--width",
    metavar="M",
    type=Whole(),
    default=1000,
    section="network and flow",
    help="number of neurons, twins included (default: 1000)",
)
@activation_option("network and flow")
@antisymmetric_option("network and flow")
@rng_option("network and flow")
@loss_options("network and flow")
@option(
    "--t-end", metavar="TBAR", type=Number(), section="network and flow", help="stop at this normalised time"
)
@option(
    "--max-seconds", metavar="S", type=Number(), section="network and flow", help="stop after this wall time"
)
@folder_options()
@formats_option
@json_option
@talk_options()
def train(
    data: DataOptions,
    scheme: str | None,
    scaling: ScalingOptions,
    width: int,
    activation: str,
    antisymmetric: bool,
    rng: int,
    loss: LossOptions,
    t_end: float | None,
    max_seconds: float | None,
    output: FolderOptions,
    formats: tuple[str, ...],
    as_json: bool,
    talk: TalkOptions,
) -> int:
    """Train one network by gradient flow.

    Its trajectory and figures are written: the loss, and for one-dimensional inputs the learned function and
    the orientations of the neurons.

    The trajectory is run.npz; meanfield.load reads it in Python. Runs that are in the folder are kept:
    another one is run-2.npz, its figures loss-2.png and so on. The same run again has the same name. All
    options are in run.toml, with which it can be run again.

    \b
      meanfield train --scheme ntk --width 1000
      meanfield train --data mine.csv --gamma 1.75 --width 2000 --out condensed
      meanfield train --config condensed/run.toml --width 4000
    """
    from meanfield.cli import report
    from meanfield.cli.names import number_of, save_run
    from meanfield.cli.tables import exit_code, show
    from meanfield.flow import FlowInterrupted, gradient_flow
    from meanfield.particles import Particles

    problem = data.problem()
    law = scaling.scaling(scheme or ("ntk" if scaling.missing else None))
    out = output.folder(problem.name)
    network = Particles.sample(
        problem, law, width, antisymmetric=antisymmetric, activation=activation, rng=rng
    )
    try:
        run = gradient_flow(
            problem,
            network,
            loss_tol=loss.loss_tol,
            loss_atol=loss.loss_atol,
            t_end=t_end,
            max_seconds=max_seconds,
            progress=talk.bar,
        )
    except FlowInterrupted as interrupt:
        path = save_run(interrupt.trajectory, out)
        raise KeyboardInterrupt(f"interrupted; the run so far is in {path}") from None
    path = save_run(run, out)
    if number := number_of(path):
        note(f"other runs in {out} are kept; this one is {path.name}")
    written = [path, *_draw_run(run, out, number, formats), write_config(path.with_suffix(".toml"), out=out)]
    show(report.run_as_json(run, law, written) if as_json else report.run_as_text(run, law, written))
    return exit_code([run.status.finished])


def _draw_run(run: Trajectory, out: Path, number: str, formats: tuple[str, ...]) -> list[Path]:
    from meanfield import plotting

    if run.stats.steps == 0:
        return []
    figures: dict[str, Callable[[Trajectory], Any]] = {"loss": plotting.loss}
    if run.problem.d_in == 1:
        figures["learned-function"] = plotting.learned_function
    if run.problem.d == 2:
        figures["orientations"] = plotting.orientations
    written: list[Path] = []
    for name, draw in figures.items():
        written += save_picture(draw, run, path=out / (name + number), formats=formats)
    return written
