"""What to train: options that several verbs share. A verb gets each group of them as one typed object."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from meanfield.cli.config import write_config
from meanfield.cli.output import FolderOptions
from meanfield.cli.values import FilePath, Known, Names, Number, Numbers, OneOf, Size, Whole, Wholes
from meanfield.cli.verb import gathered, note, of_this_command, option
from meanfield.errors import InputError

if TYPE_CHECKING:
    from meanfield.datasets._numbers import DecimalMark, ThousandsMark
    from meanfield.problem import Problem
    from meanfield.scaling import Scaling

_F = TypeVar("_F", bound=Callable[..., Any])
_NUMBERS = "0.5,1,1.5 or START:STOP:STEP"


@dataclass(frozen=True)
class DataOptions:
    """What to learn."""

    data: Path | None
    columns: tuple[str, ...] | None
    standardise: bool
    standardise_targets: bool
    delimiter: str | None
    decimal: DecimalMark | None
    thousands: ThousandsMark | None
    labels: Path | None
    loss_function: str | None
    bias: bool

    def problem(self) -> Problem:
        """The data that the options name."""
        from meanfield import datasets
        from meanfield.problem import Problem

        if self.data is None:
            for field in fields(self):
                if field.name not in ("data", "bias") and getattr(self, field.name):
                    flag = field.name.replace("_function", "").replace("_", "-")
                    raise InputError(f"--{flag} is given without --data; give your file with --data")
            problem = datasets.four_points()
            return (
                problem if self.bias else Problem(problem.x[:, :1], problem.y, bias=False, name=problem.name)
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            problem = self._loaded()
        for warning in caught:
            note(of_this_command(warning.message))
        if problem.far_from_zero:
            note(of_this_command(problem.far_from_zero))
        return problem

    def _loaded(self) -> Problem:
        from meanfield import datasets

        assert self.data is not None
        return datasets.load(
            self.data,
            bias=self.bias,
            columns=self.columns,
            standardise=self.standardise,
            standardise_targets=self.standardise_targets,
            delimiter=self.delimiter,
            decimal=self.decimal,
            thousands=self.thousands,
            targets=self.labels,
            loss=self.loss_function,
        )


def data_options(function: _F) -> _F:
    """Add the options that name data."""
    return gathered(
        "data", DataOptions,
        option("-d", "--data", metavar="FILE", type=FilePath(), section="data",
               help="your data (default: the paper's four points)"),
        option("--columns", metavar="NAMES", type=Names(), section="data",
               help="columns to read, as age,height,weight; target last"),
        option("--standardise", is_flag=True, section="data",
               help="shift and scale features to mean 0, standard deviation 1"),
        option("--standardise-targets", is_flag=True, section="data",
               help="shift and scale targets, too; predictions are in your units"),
        option("--delimiter", metavar="CHAR", section="data",
               help="between the cells of a table; a space for any white space (default: found out)"),
        option("--decimal", metavar="CHAR", section="data",
               help="decimal mark of a table: . or , (default: found out, or asked for)"),
        option("--thousands", metavar="CHAR", section="data",
               help="mark between thousands in a table (default: found out, or asked for)"),
        option("--labels", metavar="FILE", type=FilePath(), section="data", called="targets",
               help="file of labels, for IDX images"),
        option("--loss", "loss_function", metavar="NAME", section="data", called="loss",
               help="mean-square, logistic (two classes), huber(DELTA) (default: mean-square)"),
        option("--bias/--no-bias", default=True, section="data",
               help="networks with a bias, or without (default: with)"),
    )(function)  # fmt: skip


@dataclass(frozen=True)
class LossOptions:
    """Where training ends: the same for all verbs that train."""

    loss_tol: float | None
    loss_atol: float | None


def loss_options(section: str) -> Callable[[_F], _F]:
    """Add the options that say where training ends."""
    return gathered(
        "loss", LossOptions,
        option("--loss-tol", metavar="SHARE", type=Number(), section=section,
               help="train until this share of what can be learned is left (default: 1e-6)"),
        option("--loss-atol", metavar="R", type=Number(), section=section,
               help="train to (1/2n) sum (f - y)^2 <= R; with --loss-tol, to whichever is met first"),
    )  # fmt: skip


def antisymmetric_option(section: str) -> Callable[[_F], _F]:
    """Add ``--antisymmetric/--no-antisymmetric``."""
    return option(
        "--antisymmetric/--no-antisymmetric", default=True, section=section,
        formerly={"--no-asi": "--no-antisymmetric"},
        help="neurons in pairs of twins, so that the initial output is zero, or not (default: twins)",
    )  # fmt: skip


def rng_option(section: str, **attributes: Any) -> Callable[[_F], _F]:
    """Add ``--rng``, which means the same everywhere."""
    return option(
        "--rng", metavar="N", type=Whole(0), default=0, section=section,
        help="root of all random numbers: other numbers, other draws (default: 0)", **attributes,
    )  # fmt: skip


def _activations() -> list[str]:
    from meanfield.activations import available

    return list(available())


def activation_option(section: str) -> Callable[[_F], _F]:
    """Add ``--activation``."""
    return option(
        "--activation", metavar="NAME", type=Known(_activations), default="relu", section=section,
        help="the nonlinearity: relu (default), tanh, ...; an unknown name lists all",
    )  # fmt: skip


@dataclass(frozen=True)
class GridOptions:
    """Which networks a sweep trains."""

    preset: str
    gamma_prime: tuple[float, ...] | None
    widths: tuple[int, ...] | None
    per_half: bool | None
    antisymmetric: bool
    seeds: int | None
    rng: int
    activation: str = "relu"
    beta2: float | None = None
    gamma: tuple[float, ...] | None = None

    def settings(self, loss: LossOptions) -> dict[str, Any]:
        """What the options mean for :func:`meanfield.phase_diagram`: a preset, and what was given."""
        from meanfield.experiments import PRESETS

        preset = PRESETS[self.preset]
        asked = (loss.loss_tol, loss.loss_atol)
        return {
            "gamma": self.gamma or preset.gamma,
            "gamma_prime": self.gamma_prime or preset.gamma_prime,
            "widths": list(self.widths or preset.widths),
            "seeds": preset.seeds if self.seeds is None else self.seeds,
            "per_half": preset.per_half if self.per_half is None else self.per_half,
            "antisymmetric": self.antisymmetric,
            "activation": self.activation,
            "beta2": self.beta2,
            "loss_tol": loss.loss_tol,
            "loss_atol": preset.loss_atol if asked == (None, None) else loss.loss_atol,
            "rng": self.rng,
        }

    def folder(self, problem: Problem, output: FolderOptions) -> Path:
        """The output folder of a sweep: presets train in other ways, so that their stores are apart."""
        return output.folder(problem.name if self.preset == "quick" else f"{problem.name}-{self.preset}")


def grid_options(*, gamma: bool = True) -> Callable[[_F], _F]:
    """Add the options that say which networks a sweep trains."""
    of_gamma = [
        option("-g", "--gamma", metavar="LIST", type=Numbers(), section="grid",
               help=f"values of gamma: {_NUMBERS}"),
    ]  # fmt: skip
    return gathered(
        "grid", GridOptions,
        option("-p", "--preset", metavar="NAME", type=OneOf(("quick", "paper")), default="quick",
               section="grid",
               help="quick: 1050 networks, a minute for the four points, hours for larger data, which the "
                    "first line of progress says (default); paper: the published map"),
        *(of_gamma if gamma else []),
        option("--gamma-prime", metavar="LIST", type=Numbers(), section="grid",
               help=f"values of gamma': {_NUMBERS}"),
        option("-w", "--widths", metavar="LIST", type=Wholes(), section="grid",
               help="widths m: numbers of neurons, twins included"),
        option("--per-half/--no-per-half", default=None, section="grid",
               help="widths count one of two twin halves, as in the paper: 2 m neurons, kappa = m^-gamma "
                    "(default: with the preset paper only)"),
        activation_option("grid"),
        option("--beta2", metavar="X", type=Number(), section="grid",
               help="spread of the initial input weights, where the activation is not homogeneous"),
        antisymmetric_option("grid"),
        option("-s", "--seeds", metavar="N", type=Whole(), section="grid",
               help="how many random draws for each point and width"),
        rng_option("grid"),
    )  # fmt: skip


@dataclass(frozen=True)
class RunningOptions:
    """Where a sweep runs."""

    workers: int | None
    dask: str | None
    store: Path | None

    def executor(self) -> int | str | None:
        """What ``--workers`` or ``--dask`` stand for; None for this process alone."""
        from meanfield.resources import usable_cores

        if self.dask is not None:
            if self.workers is not None:
                raise InputError("give --workers for processes here, or --dask for a cluster, not both")
            if "://" not in self.dask:
                raise InputError(
                    f"--dask is {self.dask!r}; give a scheduler's address such as tcp://host:8786"
                )
            return self.dask
        workers = usable_cores() if self.workers is None else self.workers
        return None if workers == 1 else workers


def running_options(function: _F) -> _F:
    """Add the options that say where a sweep runs."""
    return gathered(
        "running", RunningOptions,
        option("-j", "--workers", metavar="N", type=Whole(), section="running", called="executor",
               help="worker processes (default: one per processor)"),
        option("--dask", metavar="ADDRESS", section="running",
               help="instead: a Dask scheduler's, such as tcp://host:8786"),
        option("--store", metavar="FILE", type=FilePath(), section="running",
               help="store of finished runs (default: in the output folder)"),
    )(function)  # fmt: skip


memory_option = option(
    "--memory", metavar="SIZE", type=Size(), section="running",
    help="bound, such as 8GB (default: 4/5 of what is free)",
)  # fmt: skip


@dataclass(frozen=True)
class ScalingOptions:
    """A scaling, in one of its three forms."""

    alpha: str | None
    beta1: str | None
    beta2: str | None
    gamma: float | None
    gamma_prime: float | None
    b: float | None

    def scaling(self, scheme: str | None) -> Scaling:
        """The scaling; ``scheme`` is a name that was given."""
        from meanfield.scaling import Scaling

        given = {"alpha": self.alpha, "beta1": self.beta1, "beta2": self.beta2}
        laws: dict[str, Any] = {name: law for name, law in given.items() if law is not None}
        exponents = self.gamma is not None or self.gamma_prime is not None
        size = laws.pop("beta2") if exponents and set(laws) == {"beta2"} else None
        if sum([scheme is not None, bool(laws), exponents]) > 1:
            raise InputError(
                "give the scaling in one form: a scheme's name; --alpha, --beta1 and --beta2; or --gamma"
            )
        if laws:
            return Scaling(**laws)
        if exponents:
            return Scaling(self.gamma, self.gamma_prime, beta2=size)
        if scheme is None:
            raise InputError("no scaling given; give a scheme's name, --alpha --beta1 --beta2, or --gamma")
        return Scaling.named(scheme, b=self.b)

    @property
    def missing(self) -> bool:
        """Whether none of the options is given."""
        values = (self.alpha, self.beta1, self.beta2, self.gamma, self.gamma_prime)
        return all(value is None for value in values)


def scaling_options(function: _F) -> _F:
    """Add the options that give a scaling."""
    return gathered(
        "scaling", ScalingOptions,
        option("--alpha", metavar="LAW", section="scaling", help="output factor, such as 'sqrt(m)'"),
        option("--beta1", metavar="LAW", section="scaling",
               help="spread of the output weights, such as 'sqrt(2/(m+1))'"),
        option("--beta2", metavar="LAW", section="scaling",
               help="spread of the input weights, such as 'sqrt(1/d)'; also with --gamma"),
        option("-g", "--gamma", metavar="GAMMA", type=Number(), section="scaling",
               help="exponent of kappa = m^-gamma"),
        option("--gamma-prime", metavar="GAMMA", type=Number(), section="scaling",
               help="exponent of kappa' = m^-gamma' (default: 0, with --gamma)"),
        option("-b", metavar="B", type=Number(), section="scaling",
               help="exponent of beta = m^-b, for e-ma-wu"),
    )(function)  # fmt: skip


def _schemes() -> Sequence[str]:
    from meanfield.scaling import SCHEMES

    return list(SCHEMES)


SCHEME = Known(_schemes)
#: The names of schemes, for help, which does not import them: a test compares them.
SCHEMES_TEXT = "lecun, he, xavier, ntk, mean-field, e-ma-wu"


def write_sweep(path: Path, settings: dict[str, Any], out: Path) -> Path:
    """Write the options of a sweep with what its preset stands for."""
    # A preset is written as what it stands for, so that the file means the same in later versions.
    names = ("gamma", "gamma_prime", "widths", "seeds", "per_half", "loss_tol", "loss_atol")
    return write_config(
        path, preset=None, out=out, **{name: settings[name] for name in names if name in settings}
    )
