"""S_w against gamma at gamma' = 0, for three ways of splitting kappa into alpha, beta1 and beta2.

All have ``beta1 beta2 / alpha = m**-gamma`` and beta1 / beta2 constant in m: theory says that nothing else
matters in the limit, and at finite m only the constant kappa' = beta1 / beta2. Each splitting has draws of
its own. They are compared with the noise-free dynamics at the same widths, and, where kappa' = 1, with the
published slopes. One network of each is also trained in its own parameters, by a general solver that knows
nothing of kappa, for the time that the normalised flow took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.datasets import four_points
from meanfield.experiments.figures import published
from meanfield.experiments.figures.entry import Check, Entry, FigureResult, Request, as_rows
from meanfield.experiments.figures.protocol import LOSS_ATOL, RTOL, listed, noise_free_slope
from meanfield.experiments.slopes import Slope, fit_slope
from meanfield.flow import Trajectory, gradient_flow
from meanfield.laws import parse_law
from meanfield.particles import Particles
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: alpha, beta1 and beta2 as laws in the number m of neurons of both halves.
SPLITTINGS: Mapping[str, Callable[[float], tuple[str, str, str]]] = {
    "only alpha": lambda g: (f"(m/2)**{g}", "1", "1"),
    "only beta": lambda g: ("1", f"(m/2)**-{g / 2}", f"(m/2)**-{g / 2}"),
    "both, beta1 = 4 beta2": lambda g: (f"(m/2)**{g / 2}", f"2*(m/2)**-{g / 4}", f"(m/2)**-{g / 4}/2"),
}
#: Two single draws differ by the scatter of both; the noise-free dynamics has none.
_SCATTER = 0.07
#: Neurons per half and gamma of the runs in own parameters; what both solvers' tolerances allow.
_OWN_WIDTH, _OWN_GAMMA, _OWN_RTOL, _OWN_ALLOWED = 100, (0.5, 1.0, 1.75), 1e-4, 0.01


@dataclass(frozen=True, eq=False)
class Splitting(FigureResult):
    """Measured exponents of the splittings.

    Attributes
    ----------
    gamma : tuple of float
        The points.
    slopes : mapping of str to tuple of Slope
        S_w at each gamma, by splitting.
    noise_free : mapping of float to tuple of float
        Slopes at each gamma of the limit's dynamics at the same widths, by kappa'.
    """

    gamma: tuple[float, ...]
    slopes: Mapping[str, tuple[Slope, ...]]
    noise_free: Mapping[float, tuple[float, ...]]


def compute(request: Request) -> Splitting:
    """Train three gammas and widths (quick), or all that were published; one draw for each splitting."""
    gamma = _OWN_GAMMA if request.quick else tuple(published.S_W)
    widths = (500, 2000, 8000) if request.quick else published.WIDTHS
    own = _OWN_GAMMA[1:2] if request.quick else _OWN_GAMMA
    rows: list[tuple[object, ...]] = []
    slopes: dict[str, tuple[Slope, ...]] = {}
    noise_free: dict[float, tuple[float, ...]] = {}
    checks = []
    for number, (name, laws) in enumerate(SPLITTINGS.items()):
        seed = np.random.SeedSequence(request.seed, spawn_key=(number,))
        found = []
        kappa_prime = _scaling(laws(1.0)).kappa_prime(2.0)
        if kappa_prime not in noise_free:
            noise_free[kappa_prime] = tuple(noise_free_slope(_scaling(laws(g)), widths) for g in gamma)
        for g, expected in zip(gamma, noise_free[kappa_prime], strict=True):
            runs = [_train(laws(g), m, seed, RTOL) for m in widths]
            rd = [run.stats.rd_w_max for run in runs]
            found.append(fit_slope(widths, np.array(rd)[:, None]))
            rows += [
                (name, *laws(g), g, m, run.initial.kappa, run.initial.kappa_prime, run.stats.rd_w_max,
                 run.status.name, found[-1].value, published.S_W[g])
                for m, run in zip(widths, runs, strict=True)
            ]  # fmt: skip
            what, value = f"S_w at gamma = {g:g}, {name}", found[-1].value
            checks.append(Check(what, value, expected, "theory", published.SLOPE_SCATTER))
            if kappa_prime == 1.0:
                checks.append(Check(what, value, published.S_W[g], "published", _SCATTER))
        slopes[name] = tuple(found)
        checks += [_own_units(name, laws(g), g, seed) for g in own]
    return Splitting(
        header=("splitting", "alpha", "beta1", "beta2", "gamma", "m", "kappa", "kappa_prime", "rd_w",
                "status", "S_w", "S_w_published"),
        rows=as_rows(rows), checks=tuple(checks), gamma=gamma, slopes=slopes, noise_free=noise_free,
        ran=f"{len(rows)} networks, m = {listed(widths)} per twin half, one draw for each splitting; "
        f"{len(SPLITTINGS) * len(own)} more in their own parameters",
    )  # fmt: skip


def _train(laws: tuple[str, str, str], width: int, seed: np.random.SeedSequence, rtol: float) -> Trajectory:
    problem, scaling = four_points(), _scaling(laws)
    network = Particles.sample(problem, scaling, 2 * width, rng=seed)
    return gradient_flow(problem, network, loss_atol=LOSS_ATOL, rtol=rtol, progress=False)


def _scaling(laws: tuple[str, str, str]) -> Scaling:
    alpha, beta1, beta2 = laws
    return Scaling(alpha=alpha, beta1=beta1, beta2=beta2)


def _own_units(name: str, laws: tuple[str, str, str], g: float, seed: np.random.SeedSequence) -> Check:
    """RD_w of one draw: SciPy in (a, w) and t, against the normalised flow for tbar."""
    normalised = _train(laws, _OWN_WIDTH, seed, _OWN_RTOL)
    numbers = tuple(parse_law(name, law)(2.0 * _OWN_WIDTH, 2.0) for law in laws)
    return Check(f"RD_w in own units, gamma = {g:g}, {name}", _own_flow(normalised, *numbers),
                 normalised.stats.rd_w_max, "theory", _OWN_ALLOWED, relative=True)  # fmt: skip


def _own_flow(run: Trajectory, alpha: float, beta1: float, beta2: float) -> float:
    """Largest RD_w of the same network in a user's parameters and time, by SciPy's explicit solver."""
    from scipy.integrate import RK45

    x, y = run.problem.x, run.problem.y
    a, w = beta1 * run.initial.a, beta2 * run.initial.w
    start, m = np.concatenate([a, w.ravel()]), len(a)

    def velocity(_: float, theta: Array) -> Array:
        a, w = theta[:m], theta[m:].reshape(w_shape)
        z = w @ x.T
        force = (a @ np.maximum(z, 0.0) / alpha - y) / (-alpha * len(y))
        return np.concatenate([np.maximum(z, 0.0) @ force, ((a[:, None] * (z > 0.0) * force) @ x).ravel()])

    w_shape = w.shape
    scale = np.repeat([np.sqrt(np.mean(a**2)), np.sqrt(np.mean(w**2))], [a.size, w.size])
    end = beta1 * beta2 * run.end.time
    solver = RK45(velocity, 0.0, start, end, rtol=1e-5, atol=1e-5 * scale)
    furthest = 0.0
    while solver.status == "running":
        solver.step()
        furthest = max(furthest, float(np.linalg.norm(solver.y[m:] - start[m:])))
    return furthest / float(np.linalg.norm(w))


ENTRY = Entry(
    "splitting", "S_w against gamma at gamma' = 0 for three splittings into alpha, beta1, beta2", "nothing",
    (5.0, 120.0), compute,
)  # fmt: skip
