"""Accuracy against wall time, on sixteen samples of a sine: our methods and what a user could pick instead.

    python benchmarks/work_precision.py --reference reference.npz --out work-precision

writes work-precision.csv and .png, and prints who needs how long for the same accuracy: the fastest setting
of each is found first, then these run in turn, so that ratios do not depend on what else the machine does.
The reference is brute force, minutes of it at gamma = 1.5: with ``--reference`` it is kept for later runs.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import alternate
import environment
import numpy as np
import peer_runs
import sine
from peer_runs import Solve, Solver
from sine import Reference, Sine
from work_precision_figure import draw

import meanfield as mf
from meanfield.flow import METHODS

#: Runs shorter than this are timed three times, and the median counts.
SHORT = 2.0
#: Rounds in which the fastest runs take turns.
ROUNDS = 5
#: The accuracy at which times are compared: brute force itself is no better than this at gamma = 1.5.
TARGETS = {0.5: 1e-3, 1.0: 1e-3, 1.5: 1e-2}


@dataclass(frozen=True)
class Contender:
    """A solver, its tolerances from coarse to fine, and the library that it needs."""

    prepare: Solver
    tolerances: Sequence[float]
    library: str = "meanfield"


@dataclass(frozen=True)
class Row:
    """One run: a line of the table."""

    gamma: float
    width: int
    method: str
    tolerance: float
    seconds: float
    evaluations: int
    error: float
    finished: bool
    uncertainty: float


def ours(method: str) -> Solver:
    """A method of this package; its evaluations are passes over the particles, two to a right-hand side."""

    def prepare(case: Sine, rtol: float, cap: float) -> Callable[[], Solve]:
        save_at = case.times / case.network.kappa
        settings = {"rtol": rtol, "method": method, "loss_tol": 0.0, "stationarity": 0.0, "progress": False}
        mf.gradient_flow(case.problem, case.network, max_steps=1, **settings)  # compiles

        def run() -> Solve:
            flow = mf.gradient_flow(
                case.problem, case.network, save_at=save_at, max_steps=10**9, max_seconds=cap, **settings
            )
            losses = np.full(len(save_at), np.nan)
            saved = np.searchsorted(flow.time, save_at)
            losses[saved < len(flow.time)] = flow.loss[saved[saved < len(flow.time)]]
            return Solve(losses, flow.stats.seconds, flow.stats.passes)

        return run

    return prepare


def contenders() -> dict[str, Contender]:
    """Our methods, then the peers."""
    fine = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)
    adaptive = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
    return {name: Contender(ours(name), fine) for name in METHODS} | {
        "diffrax Tsit5": Contender(peer_runs.diffrax_tsit5, adaptive, "diffrax"),
        "SciPy RK45": Contender(peer_runs.scipy_solver("RK45"), adaptive, "scipy"),
        "SciPy LSODA": Contender(peer_runs.scipy_solver("LSODA"), adaptive, "scipy"),
        "gradient descent": Contender(peer_runs.gradient_descent, (1, 0.3, 0.1, 0.03, 0.01, 3e-3), "numba"),
    }


def measure(name: str, contender: Contender, case: Sine, reference: Reference, cap: float) -> list[Row]:
    """Runs at finer and finer tolerances, until two in a row do not finish within the cap."""
    rows = []
    for tolerance in contender.tolerances:
        run = contender.prepare(case, tolerance, cap)
        solves = [run()]
        if solves[0].seconds < SHORT:
            solves += [run(), run()]
        seconds = statistics.median(solve.seconds for solve in solves)
        found = solves[0]
        error = reference.error(found.losses)
        rows.append(
            Row(case.gamma, case.width, name, tolerance, seconds, found.evaluations, error, found.finished,
                reference.uncertainty)
        )  # fmt: skip
        print(_line(rows[-1]), flush=True)
        # The coarsest run may be the slowest: explicit steps at the edge of stability are rejected in masses.
        if not any(row.finished for row in rows[-2:]) and len(rows) > 1:
            break
    return rows


def _line(row: Row) -> str:
    end = f"error {row.error:.1e}" if row.finished else "not finished"
    return (
        f"gamma = {row.gamma:<4g} {row.method:18s} {row.tolerance:7.0e} {row.seconds:9.3g} s "
        f"{row.evaluations:10d} evaluations  {end}"
    )


def at_equal_accuracy(rows: Sequence[Row]) -> list[str]:
    """For each gamma and method, the evaluations of the fastest run within the target."""
    lines = []
    for gamma in dict.fromkeys(row.gamma for row in rows):
        here = [row for row in rows if row.gamma == gamma]
        target = TARGETS.get(gamma, 1e-3)
        best = _fastest(here, here[0].method, target)
        lines.append(f"gamma = {gamma:g}, loss within {target:g} all along, against brute force:")
        for name in dict.fromkeys(row.method for row in here):
            runs = [row for row in here if row.method == name]
            met = sum(row.finished and row.error <= target for row in runs)
            line = _against(name, _fastest(here, name, target), best, max(row.seconds for row in runs))
            lines.append(f"{line}; {met} of {len(runs)} settings meet it")
    return lines


def _fastest(rows: Sequence[Row], method: str, target: float) -> Row | None:
    good = [row for row in rows if row.method == method and row.finished and row.error <= target]
    return min(good, key=lambda row: row.seconds, default=None)


def _against(name: str, row: Row | None, best: Row | None, longest: float) -> str:
    if row is None:
        return f"  {name:18s} not reached by any run of up to {longest:.3g} s"
    evaluations = f"{row.evaluations:10d} evaluations"
    if best is not None:
        evaluations += f" ({row.evaluations / best.evaluations:8.3g} x)"
    return f"  {name:18s} {evaluations} at {row.tolerance:g}"


def in_turn_at_equal_accuracy(case: Sine, rows: Sequence[Row], cap: float, rounds: int) -> list[str]:
    """The fastest run of each method within the target, ours and the peers' in turn."""
    target = TARGETS.get(case.gamma, 1e-3)
    found = {name: _fastest(rows, name, target) for name in dict.fromkeys(row.method for row in rows)}
    ours = rows[0].method
    if found[ours] is None:
        return [f"gamma = {case.gamma:g}: {ours} does not meet {target:g}; nothing to compare with"]
    every = contenders()
    runs = {
        name: every[name].prepare(case, row.tolerance, cap) for name, row in found.items() if row is not None
    }
    return [
        f"gamma = {case.gamma:g}, loss within {target:g} all along, in turn:",
        *alternate.compared(alternate.in_turn(runs, rounds), ours),
    ]


def write(rows: Sequence[Row], path: Path) -> None:
    """The table as CSV."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def read(path: Path) -> list[Row]:
    """The table of an earlier run."""
    with path.open(newline="") as file:
        return [
            Row(
                float(line["gamma"]), int(line["width"]), line["method"], float(line["tolerance"]),
                float(line["seconds"]), int(line["evaluations"]), float(line["error"]),
                line["finished"] == "True", float(line["uncertainty"]),
            )
            for line in csv.DictReader(file)
        ]  # fmt: skip


def run(args: argparse.Namespace) -> list[Row]:
    """All contenders at all gammas."""
    rows: list[Row] = []
    for gamma in args.gamma:
        case = Sine(gamma, args.width)
        reference = sine.reference(case, args.reference, args.reference_rtol)
        print(f"gamma = {gamma:g}: brute force is converged to {reference.uncertainty:.1e}", flush=True)
        for name, contender in contenders().items():
            if args.only and name not in args.only:
                continue
            if importlib.util.find_spec(contender.library) is None:
                print(f"{name} is skipped: {contender.library} is not installed")
                continue
            rows += measure(name, contender, case, reference, args.cap)
        here = [row for row in rows if row.gamma == gamma]
        if here:
            print("\n".join(in_turn_at_equal_accuracy(case, here, args.cap, args.rounds)), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gamma", type=float, nargs="+", default=[0.5, 1.0, 1.5])
    parser.add_argument("--width", type=int, default=200)
    parser.add_argument("--cap", type=float, default=600.0, help="seconds that a run may take")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of the runs that take turns")
    parser.add_argument("--only", nargs="+", help="names of methods, in place of all")
    parser.add_argument("--reference", type=Path, help="npz file that keeps the reference")
    parser.add_argument("--reference-rtol", type=float, default=3e-7)
    parser.add_argument("--table", type=Path, help="draw this table of an earlier run; run nothing")
    parser.add_argument("--out", type=Path, default=Path("work-precision"), help="stem of the files")
    args = parser.parse_args()
    if args.table is None:
        environment.two_threads()
        print("\n".join(environment.described()))
        rows = run(args)
        write(rows, args.out.with_suffix(".csv"))
    else:
        rows = read(args.table)
    print("\n".join(at_equal_accuracy(rows)))
    mf.plotting.save(draw(rows, guided="residual", order=2), args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
