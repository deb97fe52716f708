"""``meanfield figure``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meanfield.cli.config import config_option, write_config
from meanfield.cli.options import RunningOptions, rng_option, running_options
from meanfield.cli.output import (
    FolderOptions,
    TalkOptions,
    folder_options,
    formats_option,
    json_option,
    save_picture,
    talk_options,
)
from meanfield.cli.values import FilePath, Known, Whole
from meanfield.cli.verb import option, verb

if TYPE_CHECKING:
    from meanfield.experiments.figures.entry import FigureName


def _names() -> Sequence[str]:
    from meanfield.experiments.figures import FIGURES

    return list(FIGURES)


@verb("compute and draw a figure of the paper")
@click.argument("name", metavar="NAME", required=False, type=Known(_names))
@option(
    "-l",
    "--list",
    "listed",
    is_flag=True,
    section="which",
    file=False,
    help="list the figures with what they need and how long they take",
)
@config_option
@option("--quick", is_flag=True, section="which", help="a small version, in seconds")
@rng_option("which", formerly={"--seed": "--rng"}, called="seed")
@option(
    "-w",
    "--width",
    metavar="M",
    type=Whole(),
    default=1000,
    section="for single figures",
    help="schemes: at this width (default: 1000)",
)
@option(
    "--dim",
    metavar="D",
    type=Whole(),
    default=2,
    section="for single figures",
    help="schemes: at this d, bias included (default: 2)",
)
@option(
    "--images",
    metavar="FILE",
    type=FilePath(),
    section="for single figures",
    help="condensation-images: MNIST's images (default: digits)",
)
@option(
    "--labels",
    metavar="FILE",
    type=FilePath(),
    section="for single figures",
    help="condensation-images: MNIST's labels",
)
@running_options
@folder_options("meanfield-output/figures")
@formats_option
@json_option
@talk_options()
def figure(
    name: FigureName | None,
    listed: bool,
    quick: bool,
    rng: int,
    width: int,
    dim: int,
    images: Path | None,
    labels: Path | None,
    running: RunningOptions,
    output: FolderOptions,
    formats: tuple[str, ...],
    as_json: bool,
    talk: TalkOptions,
) -> int:
    """Compute and draw a figure or table of the paper (Luo et al. 2021).

    Its numbers are printed beside published ones, or beside theory; the table behind it is written as CSV
    next to PNG, PDF and SVG.

    \b
      meanfield figure --list
      meanfield figure rd-against-width --quick
      meanfield figure schemes --width 512 --dim 785
    """
    from meanfield.cli import report_figures as report
    from meanfield.cli.tables import show
    from meanfield.experiments import figures

    if listed:
        show(report.figures_as_json() if as_json else report.figures_as_text())
        return 0
    entry = figures.entry(name)  # a wrong name is refused before a folder is made
    from meanfield import plotting

    out = output.folder("figures")
    result = figures.run(
        entry.name,
        quick=quick,
        seed=rng,
        executor=running.executor(),
        # One store for all figures with the same root of random numbers: what they share is run once.
        store=running.store or out / f"sweep-seed-{rng}.sqlite",
        width=width,
        dim=dim,
        images=images,
        labels=labels,
        progress=talk.bar,
    )
    written = [result.to_csv(out / f"{entry.name}.csv")]
    written += save_picture(plotting.figure, result, path=out / entry.name, formats=formats)
    written.append(write_config(out / f"{entry.name}.toml", out=out))
    show(
        report.figure_as_json(entry.name, result, written)
        if as_json
        else report.figure_as_text(entry.name, result, written)
    )
    return 0
