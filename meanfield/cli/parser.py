"""The grammar of the command line and its manual."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TypeAlias

import meanfield
from meanfield.cli import commands, figure, sweeping
from meanfield.scaling import SCHEMES

if TYPE_CHECKING:
    _Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

_DESCRIPTION = """\
At which initialisations does a two-layer ReLU network train like a kernel machine, and where do its
neurons condense? meanfield trains networks by gradient flow, without a learning rate, and draws the
phase diagram of Luo, Xu, Ma and Zhang (JMLR 2021) with the theory on top of it.
"""

_EXIT_CODES = """\
exit codes:
  0  success
  1  a run neither converged nor came to rest, a zero was not settled, or a worker process died
  2  bad input; one sentence on standard error says what to do
  130  interrupted by Ctrl-C; what was finished is kept
"""

_PHASE_DIAGRAM = """\
Train networks over a grid of scalings (gamma, gamma') and several widths m, measure how the relative
displacement of the weights scales with m (RD_w ~ m^S_w), and draw the map of S_w with the predicted
boundary. S_w < 0 is the linear regime, S_w > 0 the condensed one, S_w = 0 critical.

Finished runs are kept in a store; the same command continues where it was stopped.
"""

_BOUNDARY = """\
Locate where the measured exponent S_w changes sign, gamma*(gamma'), with an interval: networks are trained
at one or two values of gamma for each gamma' only, about a tenth of what a map costs.

Finished runs are kept in a store; the same command continues where it was stopped, and a map may share it.
"""

_SHARD = """\
Run part I of N of a phase diagram, with the options of phase-diagram; each part has a store of its own,
DIR/shard-I-of-N.sqlite. When all are done, join them and draw:

  meanfield shard $SLURM_ARRAY_TASK_ID/8 --preset paper --out results     # in each job of the array
  meanfield merge results/shard-*.sqlite
  meanfield phase-diagram --preset paper --out results
"""

_MERGE = """\
Join stores of one sweep, as shards leave them, into one. Stores of different data or settings are
refused. The joined store holds what one run of the whole would have kept.
"""

_STORE = """\
What a store holds, and its cells as a table:

  meanfield store show results/sweep.sqlite
  meanfield store export results/sweep.sqlite cells.csv      # or cells.npz, or cells.nc
"""

_DATA = """\
data files:
  CSV or text  one sample per row, the last column is the target; a first line of text is a header.
               --columns chooses columns by name (by number if there is no header), the target last
  NPZ          arrays x, shape (n, d), and y, shape (n,)
  IDX          images in MNIST's format; give the file of labels with --labels
"""

_REGIME = """\
Classify an initialisation f(x) = (1/alpha) sum_k a_k relu(w_k . x) with a ~ N(0, beta1^2) and
w ~ N(0, beta2^2): by name, by its laws in the width m (and the input dimension d), or by its exponents.

examples:
  meanfield regime xavier
  meanfield regime --alpha 'sqrt(m)' --beta1 1 --beta2 1
  meanfield regime --gamma 1.75 --gamma-prime 0
"""

_TRAIN = """\
Train one network by gradient flow and write its trajectory and figures: the loss, and for
one-dimensional inputs the learned function and the orientations of the neurons.

The trajectory is run.npz; meanfield.load reads it in Python. Runs that are in the folder are kept: another
one is run-2.npz, its figures loss-2.png and so on. The same run again has the same name.

examples:
  meanfield train --scheme ntk --width 1000
  meanfield train --data mine.csv --gamma 1.75 --width 2000 --out condensed
"""

_FIGURE = """\
Compute and draw a figure or table of the paper (Luo et al. 2021). Its numbers are printed beside published
ones, or beside theory; the table behind it is written as CSV next to PNG, PDF and SVG.

examples:
  meanfield figure --list
  meanfield figure rd-against-width --quick
  meanfield figure schemes --width 512 --dim 785
"""

#: Where output goes by default.
_BY_DATA = "meanfield-output/NAME-OF-DATA"


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``meanfield``; each verb's namespace carries its function as ``run``."""
    parser = argparse.ArgumentParser(
        prog="meanfield",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"meanfield {meanfield.__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_phase_diagram(verbs)
    _add_boundary(verbs)
    _add_shard(verbs)
    _add_merge(verbs)
    _add_store(verbs)
    _add_regime(verbs)
    _add_train(verbs)
    _add_figure(verbs)
    return parser


def _verb(verbs: _Verbs, name: str, summary: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=text,
        epilog=epilog + _EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return verb


def _add_data(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("data")
    group.add_argument("--data", metavar="FILE", help="your data (default: the paper's four points)")
    group.add_argument(
        "--columns", metavar="NAMES", help="columns to read, as age,height,weight; target last"
    )
    group.add_argument(
        "--standardise", action="store_true", help="shift and scale features to mean 0, standard deviation 1"
    )
    group.add_argument("--labels", metavar="FILE", help="file of labels, for IDX images")
    group.add_argument("--no-bias", action="store_true", help="networks without a bias")


def _add_folder(group: argparse._ArgumentGroup, default: str) -> None:
    group.add_argument(
        "--out", "--output", metavar="DIR", help=f"folder for what is written (default: {default})"
    )


def _add_output(verb: argparse.ArgumentParser, default: str = _BY_DATA) -> None:
    group = verb.add_argument_group("output")
    _add_folder(group, default)
    group.add_argument(
        "--formats",
        metavar="LIST",
        default="png,pdf,svg",
        help="file formats of figures (default: png,pdf,svg)",
    )
    group.add_argument("--json", action="store_true", help="print JSON on standard output, for scripts")
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_phase_diagram(verbs: _Verbs) -> None:
    verb = _verb(verbs, "phase-diagram", "measure and draw the phase diagram", _PHASE_DIAGRAM, _DATA + "\n")
    _add_sweep(verb)
    group = verb.add_argument_group("pictures")
    group.add_argument(
        "--live",
        metavar="SECONDS",
        nargs="?",
        type=float,
        const=30.0,
        help="while it runs, draw phase-diagram.png anew every so often (default: 30)",
    )
    verb.add_argument(
        "--predict",
        action=argparse.BooleanOptionalAction,
        help="compute what these widths show without sampling noise (default: where it costs little)",
    )
    _add_output(verb)
    verb.set_defaults(run=commands.phase_diagram)


def _add_sweep(verb: argparse.ArgumentParser, *, gamma: bool = True) -> None:
    """What a sweep runs, and where: the same for all verbs that run one."""
    _add_data(verb)
    group = verb.add_argument_group("grid")
    group.add_argument(
        "--preset",
        choices=("quick", "paper"),
        default="quick",
        help="quick: 1050 networks, a minute for the four points, hours for larger data, which the first "
        "line of progress says (default); paper: the published map",
    )
    numbers = "0.5,1,1.5 or START:STOP:STEP"
    if gamma:
        group.add_argument("--gamma", metavar="LIST", help=f"values of gamma: {numbers}")
    group.add_argument("--gamma-prime", metavar="LIST", help=f"values of gamma': {numbers}")
    group.add_argument("--widths", metavar="LIST", help="widths m: numbers of neurons, twins included")
    group.add_argument(
        "--per-half",
        action=argparse.BooleanOptionalAction,
        help="widths count one of two twin halves, as in the paper: 2 m neurons, kappa = m^-gamma "
        "(default: with the preset paper only)",
    )
    group.add_argument("--seeds", metavar="N", type=int, help="random draws per point and width")
    group.add_argument(
        "--rng", metavar="N", type=int, default=0, help="root of all random numbers (default: 0)"
    )
    _add_loss(group)
    group = verb.add_argument_group("running")
    group.add_argument(
        "--workers", metavar="N", type=int, help="worker processes (default: one per processor)"
    )
    group.add_argument(
        "--dask", metavar="ADDRESS", help="instead: a Dask scheduler's, such as tcp://host:8786"
    )
    group.add_argument("--memory", metavar="SIZE", help="bound, such as 8GB (default: 4/5 of what is free)")
    group.add_argument(
        "--store", metavar="FILE", help="store of finished runs (default: in the output folder)"
    )
    group.add_argument(
        "--progress", action="store_true", default=None, help="a progress bar in log files, too"
    )


def _add_loss(group: argparse._ArgumentGroup) -> None:
    """Where training ends: the same for all verbs that train."""
    group.add_argument(
        "--loss-tol",
        metavar="SHARE",
        type=float,
        help="train until this share of what can be learned is left (default: 1e-6)",
    )
    group.add_argument(
        "--loss-atol",
        metavar="R",
        type=float,
        help="train to (1/2n) sum (f - y)^2 <= R; with --loss-tol, to whichever is met first",
    )


def _add_boundary(verbs: _Verbs) -> None:
    verb = _verb(verbs, "boundary", "locate the boundary of the regimes", _BOUNDARY, _DATA + "\n")
    _add_sweep(verb, gamma=False)
    verb.add_argument(
        "--tol", metavar="G", type=float, default=0.01, help="tolerance on gamma* (default: 0.01)"
    )
    _add_output(verb)
    verb.set_defaults(run=commands.boundary, gamma=None)


def _add_shard(verbs: _Verbs) -> None:
    verb = _verb(verbs, "shard", "run one part of a phase diagram, as in a job array", _SHARD, _DATA + "\n")
    verb.add_argument("part", metavar="I/N", help="part I of N, from 1 to N")
    _add_sweep(verb)
    group = verb.add_argument_group("output")
    _add_folder(group, _BY_DATA)
    group.add_argument("--quiet", action="store_true", help="no progress bar")
    verb.set_defaults(run=sweeping.shard)


def _add_merge(verbs: _Verbs) -> None:
    verb = _verb(verbs, "merge", "join the stores of shards", _MERGE)
    verb.add_argument("stores", metavar="FILE", nargs="+", help="stores to join")
    verb.add_argument(
        "--into", metavar="FILE", help="the joined store (default: sweep.sqlite beside the first)"
    )
    verb.set_defaults(run=sweeping.merge)


def _add_store(verbs: _Verbs) -> None:
    verb = _verb(verbs, "store", "look into a store, or write it as a table", _STORE)
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="what was run, when, where, with which versions")
    show.add_argument("store", metavar="FILE", help="the store")
    show.set_defaults(run=sweeping.store_show)
    export = actions.add_parser("export", help="write all cells as .csv, .npz or .nc")
    export.add_argument("store", metavar="FILE", help="the store")
    export.add_argument("target", metavar="TABLE", help="what to write, by its ending")
    export.set_defaults(run=sweeping.store_export)


def _add_scaling(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("scaling")
    group.add_argument("--alpha", metavar="LAW", help="output factor, such as 'sqrt(m)'")
    group.add_argument("--beta1", metavar="LAW", help="spread of the output weights, such as 'sqrt(2/(m+1))'")
    group.add_argument("--beta2", metavar="LAW", help="spread of the input weights, such as 'sqrt(1/d)'")
    group.add_argument("--gamma", type=float, help="exponent of kappa = m^-gamma")
    group.add_argument(
        "--gamma-prime", type=float, help="exponent of kappa' = m^-gamma' (default: 0, with --gamma)"
    )
    group.add_argument("-b", type=float, help="exponent of beta = m^-b, for e-ma-wu")


def _add_regime(verbs: _Verbs) -> None:
    verb = _verb(verbs, "regime", "classify an initialisation", _REGIME, "")
    verb.add_argument("scheme", nargs="?", help=f"one of {', '.join(SCHEMES)}")
    _add_scaling(verb)
    verb.add_argument("--width", metavar="M", type=float, help="print kappa and kappa' at this width, too")
    verb.add_argument(
        "--dim", metavar="D", type=float, default=2, help="input dimension d, bias included (default: 2)"
    )
    verb.add_argument("--no-asi", action="store_true", help="initial output not zero: no twins")
    verb.add_argument("--json", action="store_true", help="print JSON, for scripts")
    verb.set_defaults(run=commands.regime)


def _add_train(verbs: _Verbs) -> None:
    verb = _verb(verbs, "train", "train one network by gradient flow", _TRAIN, "\n" + _DATA + "\n")
    _add_data(verb)
    verb.add_argument("--scheme", help=f"one of {', '.join(SCHEMES)} (default: ntk)")
    _add_scaling(verb)
    group = verb.add_argument_group("network and flow")
    group.add_argument(
        "--width",
        metavar="M",
        type=int,
        default=1000,
        help="number of neurons, twins included (default: 1000)",
    )
    group.add_argument(
        "--no-asi", action="store_true", help="no antisymmetric twins: initial output not zero"
    )
    group.add_argument("--rng", metavar="N", type=int, default=0, help="seed of the draw (default: 0)")
    _add_loss(group)
    group.add_argument("--t-end", metavar="TBAR", type=float, help="stop at this normalised time")
    group.add_argument("--max-seconds", metavar="S", type=float, help="stop after this wall time")
    _add_output(verb)
    verb.set_defaults(run=commands.train)


def _add_figure(verbs: _Verbs) -> None:
    verb = _verb(verbs, "figure", "compute and draw a figure of the paper", _FIGURE, "\n")
    verb.add_argument("name", nargs="?", metavar="NAME", help="which figure; --list names them")
    verb.add_argument(
        "--list", action="store_true", help="list the figures with what they need and how long they take"
    )
    verb.add_argument("--quick", action="store_true", help="a small version, in seconds")
    verb.add_argument(
        "--seed", metavar="N", type=int, default=0, help="root of all random numbers (default: 0)"
    )
    group = verb.add_argument_group("for single figures")
    group.add_argument(
        "--width", metavar="M", type=int, default=1000, help="schemes: at this width (default: 1000)"
    )
    group.add_argument(
        "--dim", metavar="D", type=int, default=2, help="schemes: at this d, bias included (default: 2)"
    )
    group.add_argument(
        "--images", metavar="FILE", help="condensation-images: MNIST's images (default: digits)"
    )
    group.add_argument("--labels", metavar="FILE", help="condensation-images: MNIST's labels")
    group = verb.add_argument_group("running")
    group.add_argument(
        "--workers", metavar="N", type=int, help="worker processes of sweeps (default: one per processor)"
    )
    group.add_argument(
        "--dask", metavar="ADDRESS", help="instead: a Dask scheduler's, such as tcp://host:8786"
    )
    group.add_argument(
        "--store", metavar="FILE", help="store of finished runs of sweeps (default: in the output folder)"
    )
    _add_output(verb, "meanfield-output/figures")
    verb.set_defaults(run=figure.figure)
