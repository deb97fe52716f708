"""Work and accuracy of the methods on smooth networks: ``python benchmarks/smooth.py [activation ...]``.

Sixteen samples of sin 4 pi x, 200 neurons, beta2 = 1, to the loss 1e-6. A sweep is an evaluation of all
activations, forward and backward (a right-hand side); products with activations that are kept do not count,
nor does the linear algebra. The error is the largest relative one of the loss from a thousandth of the run's
time on, against SciPy's Radau on the user's own parameters. With ``--cost`` the time of a stage against that
of the activations themselves, and how a step of the stabilised method grows with the number of samples.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import erf, expit

import meanfield as mf
from meanfield import kernels
from meanfield.activations import Activation, as_activation
from meanfield.flow.stabilised import Stabilised
from meanfield.flow.system import SmoothSystem

ROOT_PI = np.sqrt(np.pi)


def _bell(z: np.ndarray) -> np.ndarray:
    return 2.0 / ROOT_PI * np.exp(-z * z)


ACTIVATIONS = {
    "tanh": as_activation("tanh"),
    "erf": Activation("erf", erf, _bell, lambda z: -2.0 * z * _bell(z)),
    "softplus": Activation("softplus", lambda z: np.logaddexp(0.0, z), expit, lambda z: expit(z) * expit(-z)),
    "square": Activation(
        "ReLU squared",
        lambda z: np.maximum(z, 0.0) ** 2,
        lambda z: 2.0 * np.maximum(z, 0.0),
        lambda z: 2.0 * (z > 0.0),
        degree=2.0,
    ),
}
#: gamma: tolerance of "rosenbrock", sweeps at most, error at most.
BARS = {0.5: (1e-3, 1000, 2e-3), 1.0: (1e-3, 1500, 2e-3), 1.5: (3e-4, 4000, 2e-2)}
LOSS = 1e-6


def case(activation: Activation, gamma: float, width: int = 200) -> tuple[mf.Problem, mf.Particles]:
    """The problem and the network of the table."""
    x = np.linspace(-0.5, 0.5, 16)
    problem = mf.Problem(x, np.sin(4 * np.pi * x))
    network = mf.Particles.sample(problem, mf.Scaling(gamma), width, activation=activation, beta2=1.0, rng=0)
    return problem, network


def reference(
    problem: mf.Problem, network: mf.Particles, times: np.ndarray, rtol: float = 1e-7
) -> np.ndarray:
    """Losses at times tbar by SciPy's Radau with the exact Jacobian, kappa' = beta2 = 1."""
    m, d, n = *network.w.shape, problem.n
    x, y, sigma, kappa = problem.x, problem.y, network.activation, network.kappa
    inner = np.einsum("ic,id->icd", x, x).reshape(n, d * d)

    def split(state: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        a, w = state[:m], state[m:].reshape(m, d)
        z = w @ x.T
        return a, z, kappa * a @ sigma.value(z) - y

    def rate(_: float, state: np.ndarray) -> np.ndarray:
        a, z, e = split(state)
        dw = (a[:, None] * sigma.slope(z) * e) @ x
        return -kappa / n * np.concatenate([sigma.value(z) @ e, dw.ravel()])

    def jacobian(_: float, state: np.ndarray) -> np.ndarray:
        a, z, e = split(state)
        by_w = (a[:, None] * sigma.slope(z))[:, :, None] * x
        features = np.concatenate([sigma.value(z).T, by_w.transpose(1, 0, 2).reshape(n, m * d)], axis=1)
        whole = kappa * features.T @ features
        cross = (sigma.slope(z) * e) @ x
        blocks = ((a[:, None] * sigma.second(z) * e) @ inner).reshape(m, d, d)
        for k in range(m):
            q = slice(m + k * d, m + (k + 1) * d)
            whole[k, q] += cross[k]
            whole[q, k] += cross[k]
            whole[q, q] += blocks[k]
        return -kappa / n * whole

    start = np.concatenate([network.a, network.w.ravel()])
    found = solve_ivp(
        rate, (0.0, times[-1]), start, "Radau", t_eval=times, rtol=rtol, atol=1e-2 * rtol, jac=jacobian
    )
    return np.array([np.mean(split(state)[2] ** 2) / 2 for state in found.y.T])


def rows(
    activation: Activation, gamma: float, methods: dict[str, tuple[float, ...]], loss_of: Callable = reference
) -> list[tuple[str, float, int, int, float, float]]:
    """Method, rtol, steps, sweeps, error and seconds of runs to the loss of the table."""
    problem, network = case(activation, gamma)
    end = mf.gradient_flow(
        problem, network, loss_atol=LOSS, rtol=1e-5, method="rosenbrock", max_steps=10**5, progress=False
    ).time[-1]
    times = np.geomspace(1e-3 * end, end, 40)
    exact, found = loss_of(problem, network, times), []
    for method, tolerances in methods.items():
        for rtol in tolerances:
            common = {"rtol": rtol, "atol": 1e-3 * rtol, "method": method, "max_steps": 10**5}
            run = mf.gradient_flow(problem, network, loss_atol=LOSS, progress=False, **common)
            along = mf.gradient_flow(
                problem, network, save_at=times, loss_tol=0, stationarity=0, progress=False, **common
            )
            error = float(np.abs(along.loss / exact - 1.0).max()) if len(along.loss) == 40 else np.inf
            stats = run.stats
            found.append((method, rtol, stats.steps, stats.passes, error, stats.seconds))
    return found


def stage_cost(n: int = 64, m: int = 2000, repeats: int = 20) -> float:
    """CPU time of a stage of "rosenbrock" over that of the values and slopes of its activations."""
    x = np.random.default_rng(0).standard_normal((n, 1))
    problem = mf.Problem(x, np.sin(x[:, 0]))
    system = SmoothSystem(
        problem, mf.Particles.sample(problem, mf.Scaling(0.5), m, activation="tanh", beta2=1.0, rng=0)
    )
    stepper, state = mf.flow.METHODS["rosenbrock"](system), system.state(0.0, system.theta0)
    again = stepper.step(state, 1e-3).again
    z = system.x @ state.theta[1:]

    def seconds(call: Callable[[], object]) -> float:
        started = time.process_time()
        for _ in range(repeats):
            call()
        return (time.process_time() - started) / repeats

    with kernels.one_blas_thread():
        step = seconds(lambda: stepper.step(state, 1e-3, again))
        activations = seconds(lambda: system.particles.activation.value_and_slope(z))
    return step / 6 / activations


def growth(counts: tuple[int, ...] = (300, 600, 1200, 3000), m: int = 1000, d: int = 9) -> float:
    """Fitted exponent in n of the CPU time of a step of "stabilised" with 20 stages."""
    times = []
    for n in counts:
        x = np.random.default_rng(0).standard_normal((n, d))
        problem = mf.Problem(x, np.sin(x[:, 0]))
        system = SmoothSystem(
            problem, mf.Particles.sample(problem, mf.Scaling(0.5), m, activation="tanh", beta2=1.0, rng=0)
        )
        stepper, state = Stabilised(system), system.state(0.0, system.theta0)
        known = stepper.step(state, 1e-9).again
        with kernels.one_blas_thread():
            started = time.process_time()
            for _ in range(3):
                stepper.step(state, 19.0**2 / 1.54 / known.rate, known)
            times.append((time.process_time() - started) / 3)
    return float(np.polyfit(np.log(counts), np.log(times), 1)[0])


def main(arguments: list[str]) -> None:
    if "--cost" in arguments:
        print(f"a stage costs {stage_cost():.1f} times its activations")
        print(f"a step with 20 stages grows like n**{growth():.2f} from n = 300 to 3000")
        return
    print("activation gamma      method    rtol  steps  sweeps    error    s")
    for name in arguments or ["tanh"]:
        for gamma, (rtol, _, _) in BARS.items():
            methods = {"rosenbrock": (rtol, rtol / 10), "stabilised": (1e-3, 1e-4)}
            for method, tolerance, steps, sweeps, error, seconds in rows(ACTIVATIONS[name], gamma, methods):
                print(
                    f"{name:10} {gamma:5} {method:>11} {tolerance:7.0e} {steps:6} {sweeps:7} {error:8.1e} "
                    f"{seconds:5.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1:])
