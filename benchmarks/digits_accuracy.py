"""How far training on 45 digits is from the gradient flow: descent at its fastest rate, and our flow.

    python benchmarks/digits_accuracy.py

prints, for each gamma, the largest distance of the loss along the run from that of a flow at rtol = 1e-4,
as a share of the initial loss. The first learning rate of each gamma is the fastest that gets there, see
``digits.py``.
"""

from __future__ import annotations

import argparse

import environment
import numpy as np
from digits import TARGET
from sine import largest_rate

import meanfield as mf

#: Fastest learning rates that get there, times lambda_max at the start, as found by ``digits.py``.
FASTEST = {0.75: 2.83, 1.0: 2.83, 1.5: 0.0221}


def distance(run: mf.Trajectory, reference: mf.Trajectory) -> float:
    """Largest difference of the losses at the run's times, over the initial loss."""
    seen = (run.time >= reference.time[1]) & (run.time <= reference.time[-1])
    loss = np.exp(np.interp(run.time[seen], reference.time, np.log(reference.loss)))
    return float(np.max(np.abs(run.loss[seen] - loss)) / reference.loss[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--width", type=int, default=20_000)
    parser.add_argument("--rtol", type=float, nargs="+", default=[1e-2, 1e-1], help="of ours")
    args = parser.parse_args()
    environment.two_threads()
    problem = mf.datasets.digits(45)
    for gamma, fastest in FASTEST.items():
        network = mf.Particles.sample(problem, mf.Scaling(gamma, 0.0), args.width, rng=0)

        def flow(rtol: float, network: mf.Particles = network) -> mf.Trajectory:
            return mf.gradient_flow(problem, network, loss_atol=TARGET, rtol=rtol, progress=False)

        reference = flow(1e-4)
        for rtol in args.rtol:
            print(
                f"gamma {gamma:g}  meanfield, rtol {rtol:g}: {distance(flow(rtol), reference):.1e}",
                flush=True,
            )
        rate = network.kappa * largest_rate(problem.x, network.kappa, np.vstack([network.a, network.w.T]))
        for share in fastest / np.array([1.0, 2.0, 4.0]):
            run = mf.gradient_descent(
                problem, network, learning_rate=share / rate, loss_atol=TARGET, max_steps=3000, progress=False
            )
            print(
                f"gamma {gamma:g}  descent at {share:.3g} / lambda_max: {distance(run, reference):.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
