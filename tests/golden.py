"""Golden runs: small runs of every kind whose numbers a change of the solver has to explain.

``python tests/golden.py`` runs them again and prints how they differ from the stored ones;
``python tests/golden.py --write`` stores what is found. Commit the stored file together with the change
that moved it, and say why in the message.

Two machines do not agree to the last bit: compilers contract and vectorise sums differently, and near a
threshold of the step-size control one bit may make another step. What both do keep is the tolerance of the
run: an observable is stored with the error that its own tolerance allows, estimated by running it again at a
tenth of that tolerance. A difference above that is a change of the solver.
"""

import json
import platform
import sys
from pathlib import Path

import numpy as np

import meanfield as mf

FILE = Path(__file__).parent / "golden" / "runs.json"
RTOL = 1e-4
#: Observables are compared to this many times the stored error estimate, and to rounding.
FACTOR, ROUNDING = 4.0, 1e-9


def _line():
    return mf.Problem([[1.0], [2.0], [-1.5]], [0.5, 1.0, -0.3], bias=False, name="line")


def _space():
    rng = np.random.default_rng(0)
    return mf.Problem(rng.standard_normal((8, 3)), rng.standard_normal(8), name="space")


def _contradictory():
    return mf.Problem([0.5, 0.5, -0.5], [0.0, 1.0, 0.5], name="contradictory")


PROBLEMS = {
    "four points": mf.datasets.four_points,
    "line": _line,
    "space": _space,
    "contradictory": _contradictory,
}
#: Name: problem, gamma, gamma_prime, antisymmetric, method.
RUNS = {
    "linear": ("four points", 0.5, 0.0, True, "residual"),
    "critical": ("four points", 1.0, 0.0, True, "residual"),
    "condensed": ("four points", 1.75, 0.0, True, "residual"),
    "condensed, lower layer": ("four points", 1.6, -0.5, True, "residual"),
    "critical, upper layer": ("four points", 1.5, 0.5, True, "residual"),
    "one dimension": ("line", 0.7, 0.0, True, "residual"),
    "no twins": ("four points", 0.5, 0.0, False, "residual"),
    "space, linear": ("space", 0.5, 0.0, True, "residual"),
    "space, condensed": ("space", 1.5, 0.0, True, "residual"),
    "contradictory labels": ("contradictory", 0.6, 0.0, True, "residual"),
    "linearly implicit": ("four points", 0.5, 0.0, True, "linearly-implicit"),
    "explicit": ("four points", 0.5, 0.0, True, "runge-kutta"),
}  # fmt: skip


def observables(name, rtol=RTOL):
    """Observables of a golden run: what does not depend on where its steps are."""
    data, gamma, gamma_prime, antisymmetric, method = RUNS[name]
    problem = PROBLEMS[data]()
    network = mf.Particles.sample(
        problem, mf.Scaling(gamma, gamma_prime), 60, antisymmetric=antisymmetric, rng=1
    )
    # In canonical time runs of all scalings last about as long.
    times = np.array([0.03, 0.3, 3.0]) / network.kappa
    run = mf.gradient_flow(
        problem, network, loss_tol=0.0, save_at=times, t_end=times[-1], rtol=rtol, method=method,
        stationarity=0.0, progress=False,
    )  # fmt: skip
    found = {"status": run.status.name}
    for at, loss, rd_w, rd_a in zip(("0.03", "0.3", "3"), run.loss, run.rd_w, run.rd_a, strict=False):
        found |= {f"loss at {at}": loss, f"rd_w at {at}": rd_w, f"rd_a at {at}": rd_a}
    found |= {f"output {i}": value for i, value in enumerate(run.output[-1])}
    return {key: value if isinstance(value, str) else float(value) for key, value in found.items()}


def record(name):
    """What is stored of a run: values with the error that the tolerance allows."""
    coarse, fine = observables(name), observables(name, RTOL / 10.0)
    return {
        key: value if isinstance(value, str) else [value, abs(value - fine[key])]
        for key, value in coarse.items()
    }


def differences(name, stored):
    """Lines that say what has changed beyond its error."""
    found, lines = observables(name), []
    for key in stored | found:
        if key not in stored or key not in found:
            lines.append(f"{name}: {key} is {'new' if key in found else 'gone'}")
        elif isinstance(stored[key], str):
            if stored[key] != found[key]:
                lines.append(f"{name}: {key} is {found[key]}, stored was {stored[key]}")
        else:
            value, error = stored[key]
            allowed = FACTOR * max(error, 0.1 * RTOL * abs(value)) + ROUNDING * abs(value)
            if not abs(found[key] - value) <= allowed:
                lines.append(
                    f"{name}: {key} is {found[key]:.12g}, stored was {value:.12g} "
                    f"(off by {abs(found[key] - value):.2g}, allowed is {allowed:.2g})"
                )
    return lines


def versions():
    import numba
    import scipy

    return {
        "meanfield": mf.__version__, "python": platform.python_version(), "numpy": np.__version__,
        "scipy": scipy.__version__, "numba": numba.__version__, "machine": platform.machine(),
    }  # fmt: skip


def main(arguments):
    if arguments == ["--write"]:
        content = {"versions": versions(), "rtol": RTOL, "runs": {name: record(name) for name in RUNS}}
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(content, indent=1) + "\n")
        return 0
    stored = json.loads(FILE.read_text())
    print(f"stored by {stored['versions']}\nrunning   {versions()}")
    lines = [line for name in RUNS for line in differences(name, stored["runs"].get(name, {}))]
    print("\n".join(lines) or "no differences")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
