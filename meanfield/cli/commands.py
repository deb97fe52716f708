"""What the verbs do: read arguments, call the library, print and write."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.cli import report
from meanfield.cli.names import number_of, save_run
from meanfield.errors import InputError
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.resources import usable_cores
from meanfield.scaling import Scaling

if TYPE_CHECKING:
    from meanfield.experiments import PhaseDiagram
    from meanfield.flow import Trajectory

_LAWS = ("alpha", "beta1", "beta2")


def phase_diagram(arguments: argparse.Namespace) -> int:
    """``meanfield phase-diagram``."""
    from meanfield import experiments, plotting
    from meanfield.plotting.windows import offscreen

    problem = problem_of(arguments)
    formats = formats_of(arguments.formats)
    out = sweep_folder(arguments, problem)
    store = Path(arguments.store) if arguments.store else out / "sweep.sqlite"

    def draw(part: PhaseDiagram) -> None:
        # Written beside and renamed, so that nobody ever sees half a picture.
        with offscreen():
            picture = plotting.phase_diagram(part)
        (file,) = plotting.save(picture, out / ".phase-diagram-part", formats="png")
        file.replace(out / "phase-diagram.png")

    diagram = experiments.phase_diagram(
        problem,
        **sweep_options(arguments),
        store=store,
        live=None if arguments.live is None else draw,
        live_seconds=arguments.live or 0.0,
        predict=arguments.predict,
    )
    written = [diagram.to_csv(out / "summary.csv"), diagram.runs_to_csv(out / "runs.csv")]
    with offscreen():
        pictures = {
            "phase-diagram": plotting.phase_diagram(diagram),
            "rd-against-width": plotting.rd_against_width(diagram, _spread_points(diagram)),
        }
    for name, picture in pictures.items():
        written += plotting.save(picture, out / name, formats=formats)
    written.append(store)
    if arguments.json:
        print(json.dumps(report.diagram_as_json(diagram, written), indent=2))
    else:
        print(report.diagram_as_text(diagram, written))
    return exit_code(result.finished for result in diagram.results)


def sweep_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options of a sweep mean for :func:`meanfield.phase_diagram`."""
    from meanfield import experiments

    preset = experiments.PRESETS[arguments.preset]
    asked = (arguments.loss_tol, arguments.loss_atol)
    return {
        "gamma": _numbers("--gamma", arguments.gamma) or preset.gamma,
        "gamma_prime": _numbers("--gamma-prime", arguments.gamma_prime) or preset.gamma_prime,
        "widths": [_whole("--widths", w) for w in _numbers("--widths", arguments.widths) or preset.widths],
        "seeds": preset.seeds if arguments.seeds is None else arguments.seeds,
        "executor": executor_of(arguments),
        "memory": _bytes(arguments.memory),
        "per_half": preset.per_half if arguments.per_half is None else arguments.per_half,
        "loss_tol": arguments.loss_tol,
        "loss_atol": preset.loss_atol if asked == (None, None) else arguments.loss_atol,
        "rng": arguments.rng,
        "progress": False if arguments.quiet else arguments.progress,
    }


def boundary(arguments: argparse.Namespace) -> int:
    """``meanfield boundary``."""
    from meanfield import experiments, plotting
    from meanfield.plotting.windows import offscreen

    problem = problem_of(arguments)
    formats = formats_of(arguments.formats)
    out = sweep_folder(arguments, problem)
    store = Path(arguments.store) if arguments.store else out / "sweep.sqlite"
    options = sweep_options(arguments)
    del options["gamma"]  # which is what is looked for
    found = experiments.boundary(problem, **options, tol=arguments.tol, store=store)
    written = [found.to_csv(out / "boundary.csv")]
    with offscreen():
        picture = plotting.boundary(found)
    written += plotting.save(picture, out / "boundary", formats=formats)
    written.append(store)
    if arguments.json:
        print(json.dumps(report.boundary_as_json(found, written), indent=2))
    else:
        print(report.boundary_as_text(found, written))
    return exit_code(found.settled)


def regime(arguments: argparse.Namespace) -> int:
    """``meanfield regime``."""
    scaling = _scaling(arguments, default=None)
    place = scaling.classify(antisymmetric=not arguments.no_asi)
    scales = None
    if arguments.width is not None:
        scales = (
            scaling.kappa(arguments.width, arguments.dim),
            scaling.kappa_prime(arguments.width, arguments.dim),
        )
    if arguments.json:
        print(json.dumps(report.place_as_json(scaling, place, scales), indent=2))
    else:
        print(report.place_as_text(scaling, place, scales))
    return 0


def train(arguments: argparse.Namespace) -> int:
    """``meanfield train``."""
    from meanfield.flow import FlowInterrupted, gradient_flow

    problem = problem_of(arguments)
    scaling = _scaling(arguments, default="ntk")
    formats = formats_of(arguments.formats)
    out = output_folder(arguments.out, problem.name)
    network = Particles.sample(
        problem, scaling, arguments.width, antisymmetric=not arguments.no_asi, rng=arguments.rng
    )
    try:
        run = gradient_flow(
            problem,
            network,
            loss_tol=arguments.loss_tol,
            loss_atol=arguments.loss_atol,
            t_end=arguments.t_end,
            max_seconds=arguments.max_seconds,
            progress=False if arguments.quiet else None,
        )
    except FlowInterrupted as interrupt:
        path = save_run(interrupt.trajectory, out)
        raise KeyboardInterrupt(f"interrupted; the run so far is in {path}") from None
    path = save_run(run, out)
    if number := number_of(path):
        print(f"meanfield: note: other runs in {out} are kept; this one is {path.name}", file=sys.stderr)
    written = [path, *_draw_run(run, out, number, formats)]
    if arguments.json:
        print(json.dumps(report.run_as_json(run, scaling, written), indent=2))
    else:
        print(report.run_as_text(run, scaling, written))
    return exit_code([run.status.finished])


def _draw_run(run: Trajectory, out: Path, number: str, formats: tuple[str, ...]) -> list[Path]:
    from meanfield import plotting
    from meanfield.plotting.windows import offscreen

    if run.stats.steps == 0:
        return []
    figures: dict[str, Callable[[Trajectory], Any]] = {"loss": plotting.loss}
    if run.problem.d_in == 1:
        figures["learned-function"] = plotting.learned_function
    if run.problem.d == 2:
        figures["orientations"] = plotting.orientations
    written: list[Path] = []
    for name, draw in figures.items():
        with offscreen():
            picture = draw(run)
        written += plotting.save(picture, out / (name + number), formats=formats)
    return written


def exit_code(ends: Iterable[Any]) -> int:
    """0 if all that was asked for came to its end, else 1; for runs see :attr:`meanfield.Status.finished`."""
    return 0 if all(ends) else 1


def problem_of(arguments: argparse.Namespace) -> Problem:
    """The data that the options name."""
    from meanfield import datasets

    if arguments.data is None:
        for option in ("labels", "columns", "standardise"):
            if getattr(arguments, option):
                raise InputError(f"--{option} is given without --data; give your file with --data")
        problem = datasets.four_points()
        return (
            Problem(problem.x[:, :1], problem.y, bias=False, name=problem.name)
            if arguments.no_bias
            else problem
        )
    columns = None if arguments.columns is None else [name.strip() for name in arguments.columns.split(",")]
    problem = datasets.load(
        arguments.data,
        bias=not arguments.no_bias,
        columns=columns,
        standardise=arguments.standardise,
        targets=arguments.labels,
    )
    if problem.far_from_zero:
        print(f"meanfield: note: {problem.far_from_zero}", file=sys.stderr)
    return problem


def _scaling(arguments: argparse.Namespace, *, default: str | None) -> Scaling:
    laws = {name: getattr(arguments, name) for name in _LAWS if getattr(arguments, name) is not None}
    exponents = arguments.gamma is not None or arguments.gamma_prime is not None
    forms = [arguments.scheme is not None, bool(laws), exponents]
    if sum(forms) > 1:
        raise InputError("give the scaling in one form: a scheme's name, alpha, beta1 and beta2, or gamma")
    if laws:
        return Scaling(**laws)
    if exponents:
        return Scaling(arguments.gamma, arguments.gamma_prime)
    scheme = arguments.scheme or default
    if scheme is None:
        raise InputError("no scaling given; give a scheme's name, --alpha --beta1 --beta2, or --gamma")
    return Scaling.named(scheme, b=arguments.b)


def sweep_folder(arguments: argparse.Namespace, problem: Problem) -> Path:
    """The output folder of a sweep: presets train in other ways, so that their stores are apart."""
    preset = arguments.preset
    return output_folder(arguments.out, problem.name if preset == "quick" else f"{problem.name}-{preset}")


def output_folder(given: str | None, name: str) -> Path:
    """The output folder, made and found writable before anything is computed; by default one of that name."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"
    folder = Path(given) if given is not None else Path("meanfield-output") / plain
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"nothing can be written to the folder {folder} ({error.strerror}); "
            "give a writable one with --out"
        ) from None
    return folder


def formats_of(text: str) -> tuple[str, ...]:
    """The file formats in a list."""
    formats = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if not formats or not set(formats) <= {"png", "pdf", "svg"}:
        raise InputError(f"--formats is {text!r}; give some of png, pdf and svg, separated by commas")
    return formats


def executor_of(arguments: argparse.Namespace) -> int | str | None:
    """What ``--workers`` or ``--dask`` stand for; None for this process alone."""
    if arguments.dask is not None:
        if arguments.workers is not None:
            raise InputError("give --workers for processes here, or --dask for a cluster, not both")
        if "://" not in arguments.dask:
            raise InputError(
                f"--dask is {arguments.dask!r}; give a scheduler's address such as tcp://host:8786"
            )
        return str(arguments.dask)
    workers = usable_cores() if arguments.workers is None else arguments.workers
    if workers < 1:
        raise InputError(f"--workers is {workers}; give at least 1")
    return None if workers == 1 else workers


def _bytes(text: str | None) -> float | None:
    """Read ``8GB``, ``500 MB`` or ``8e9``."""
    if text is None:
        return None
    match = re.fullmatch(r"([\d.]+(?:e\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    try:
        if match is None:
            raise ValueError
        return float(match[1]) * {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}[match[2]]
    except ValueError:
        raise InputError(f"--memory is {text!r}; give a size such as 8GB or 500MB") from None


def _numbers(option: str, text: str | None) -> tuple[float, ...]:
    """Read ``0.5,1,1.5`` or ``START:STOP:STEP`` (the stop included)."""
    if text is None:
        return ()
    try:
        if ":" in text:
            start, stop, step = (float(part) for part in text.split(":"))
            count = round((stop - start) / step) + 1
            if not 1 <= count <= 10_000:
                raise ValueError
            return tuple(float(np.round(start + i * step, 12)) for i in range(count))
        numbers = tuple(float(part) for part in text.split(",") if part.strip())
        if not numbers:
            raise ValueError
        return numbers
    except (ValueError, ZeroDivisionError, OverflowError):
        raise InputError(f"{option} is {text!r}; give numbers as 0.5,1,1.5 or START:STOP:STEP") from None


def _whole(option: str, value: float) -> int:
    if value != int(value) or value < 1:
        raise InputError(f"{option} holds {value:g}; give positive whole numbers")
    return int(value)


def _spread_points(diagram: PhaseDiagram, most: int = 5) -> list[tuple[float, float]]:
    """A few points along gamma at the gamma_prime closest to zero, for the figure of RD against m."""
    gamma_prime = float(diagram.gamma_prime[np.argmin(np.abs(diagram.gamma_prime))])
    picks = np.unique(
        np.linspace(0, len(diagram.gamma) - 1, min(most, len(diagram.gamma))).round().astype(int)
    )
    return [(float(diagram.gamma[j]), gamma_prime) for j in picks]
