"""Forty-five handwritten digits, trained to a mean square of 1e-4: ours against PyTorch's descent.

    python benchmarks/digits.py --width 10000

prints one line for each gamma and method, and writes them to a CSV file. PyTorch takes full-batch
steps at the constant learning rate that gets there soonest, found by trying a geometric grid from the
largest that can be stable down; no time of the search counts, but that of the best run.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import alternate
import environment
import numpy as np
import peer_runs
from peer_runs import Descent
from sine import largest_rate

import meanfield as mf

#: On the loss R, which is half of the mean square.
TARGET = 0.5e-4
#: Learning rates tried, in units of 1 / lambda_max at the start: descent is stable below 2 at first.
SHARES = 4.0 * 2.0 ** (-0.5 * np.arange(28))


@dataclass(frozen=True)
class Row:
    """A line of the table; ``evaluations`` are passes over the particles of ours, steps of PyTorch's."""

    gamma: float
    width: int
    method: str
    setting: float
    end: str
    evaluations: int
    seconds: float
    loss: float


def ours(problem: mf.Problem, network: mf.Particles, gamma: float, rtol: float, cap: float) -> Row:
    run = mf.gradient_flow(problem, network, loss_atol=TARGET, rtol=rtol, max_seconds=cap, progress=False)
    name, stats = f"meanfield, rtol = {rtol:g}", run.stats
    return Row(
        gamma, network.size, name, rtol, run.status.name.lower(), stats.passes, stats.seconds, run.loss[-1]
    )


def torch_run(problem: mf.Problem, network: mf.Particles) -> Callable[[float, float], Descent]:
    """PyTorch's descent as a function of the learning rate, times lambda_max, and the seconds it has."""
    x, y = np.array(problem.x), np.array(problem.y)
    theta0 = np.vstack([network.a, network.w.T])  # gamma' = 0: normalised units are canonical ones
    rate = largest_rate(x, network.kappa, theta0)

    def run(share: float, cap: float) -> Descent:
        return peer_runs.torch_descent(x, y, network.kappa, theta0, share / rate, TARGET, cap)

    return run


def torch_runs(problem: mf.Problem, network: mf.Particles, gamma: float, cap: float) -> list[Row]:
    """All learning rates tried."""
    shares = [float(share) for share in SHARES]
    tried = peer_runs.best_descent(torch_run(problem, network), shares, cap)
    return [
        Row(gamma, network.size, "PyTorch descent", share, d.end, d.steps, d.seconds, d.loss)
        for share, d in zip(shares, tried, strict=False)
    ]


def summary(rows: Sequence[Row]) -> list[str]:
    """The best learning rate against each of our runs."""
    descents = [row for row in rows if row.method == "PyTorch descent"]
    reached = [row for row in descents if row.end == "reached"]
    best = min(reached, key=lambda row: row.seconds, default=None)
    if not descents:
        return []
    if best is None:
        longest = max(row.seconds for row in descents)
        return [
            f"  PyTorch did not get there in {longest:.3g} s at any learning rate: {_ratios(rows, longest)}"
        ]
    return [
        f"  best learning rate {best.setting:.3g} / lambda_max(0): {best.evaluations} steps, "
        f"{best.seconds:.3g} s: {_ratios(rows, best.seconds)}"
    ]


def _ratios(rows: Sequence[Row], seconds: float) -> str:
    mine = [row for row in rows if row.end == "converged"]
    return ", ".join(f"{seconds / row.seconds:.3g} x {row.method}" for row in mine)


def _line(row: Row) -> str:
    return (
        f"  {row.method:24s} {row.setting:9.3g}  {row.end:10s} {row.evaluations:7d} evaluations "
        f"{row.seconds:9.3g} s  loss {row.loss:.2e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--width", type=int, default=100_000)
    parser.add_argument("--gamma", type=float, nargs="+", default=[0.75, 1.0, 1.5])
    parser.add_argument("--rtol", type=float, nargs="+", default=[1e-2, 1e-1], help="of ours")
    parser.add_argument("--cap", type=float, default=600.0, help="seconds for one learning rate")
    parser.add_argument("--rounds", type=int, default=3, help="rounds in which ours and PyTorch take turns")
    parser.add_argument("--out", type=Path, default=Path("digits.csv"))
    args = parser.parse_args()
    environment.two_threads()
    print("\n".join(environment.described()))
    rows: list[Row] = []
    for gamma in args.gamma:
        rows += at(gamma, args)
    with args.out.open("w", newline="") as file:
        table = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def at(gamma: float, args: argparse.Namespace) -> list[Row]:
    """All runs at one gamma, printed."""
    problem = mf.datasets.digits(45)
    network = mf.Particles.sample(problem, mf.Scaling(gamma, 0.0), args.width, rng=0)
    print(f"gamma = {gamma:g}, m = {args.width}, loss R to {TARGET:g}", flush=True)
    # Once for the compiler: kernels are compiled for the shape of the data, too.
    mf.gradient_flow(problem, network, loss_tol=0.0, max_steps=1, progress=False)
    rows = [ours(problem, network, gamma, rtol, args.cap) for rtol in args.rtol]
    print("\n".join(map(_line, rows)), flush=True)
    descents = torch_runs(problem, network, gamma, args.cap)
    rows += descents
    print("\n".join([*map(_line, descents), *in_turn(problem, network, rows, args)]), flush=True)
    return rows


def in_turn(
    problem: mf.Problem, network: mf.Particles, rows: Sequence[Row], args: argparse.Namespace
) -> list[str]:
    """PyTorch at its best learning rate and each of our runs, in turn."""
    reached = [row for row in rows if row.method == "PyTorch descent" and row.end == "reached"]
    if not reached:
        return summary(rows)
    best = min(reached, key=lambda row: row.seconds)
    descent = torch_run(problem, network)
    lines = [f"  in turn, at the learning rate {best.setting:.3g} / lambda_max(0), {best.evaluations} steps:"]
    for rtol in args.rtol:
        runs = {
            f"meanfield, rtol {rtol:g}": lambda rtol=rtol: mf.gradient_flow(
                problem, network, loss_atol=TARGET, rtol=rtol, progress=False
            ),
            "PyTorch descent": lambda: descent(best.setting, args.cap),
        }
        lines += alternate.compared(alternate.in_turn(runs, args.rounds), next(iter(runs)))
    return lines


if __name__ == "__main__":
    main()
