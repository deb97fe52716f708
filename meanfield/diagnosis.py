"""What a report of a bug needs: versions, machine, compiled kernels, and whether results are right here.

The checks compare gradient flows with their closed forms, which need no other run and no random numbers.
"""

from __future__ import annotations

import importlib.metadata
import logging
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numba.core.event import install_timer
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from meanfield.arguments import flag
from meanfield.flow import gradient_flow
from meanfield.kernels import code_cache, get_threads, phi_functions, set_threads
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.resources import free_memory, usable_cores
from meanfield.scaling import Scaling

_REQUIRED = (
    "meanfield-nn", "numpy", "scipy", "numba", "llvmlite", "sympy", "matplotlib", "tqdm", "threadpoolctl",
    "psutil", "click", "rich", "tomlkit",
)  # fmt: skip
_OPTIONAL = (
    "scikit-learn",
    "distributed",
    "pandas",
    "polars",
    "xarray",
    "h5netcdf",
    "torch",
    "jax",
    "ipython",
)
#: Beginnings of names of variables that change how we run.
_VARIABLES = ("MEANFIELD", "NUMBA", "OMP_", "OPENBLAS_", "MKL_", "SLURM_CPUS", "SLURM_MEM", "MPLBACKEND")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SelfCheck:
    """One comparison with a closed form.

    Attributes
    ----------
    name : str
        What is compared.
    error : float
        Largest relative difference.
    allowed : float
        What it may be.
    seconds : float
        How long it took, without what is compiled.
    compiled : float
        Seconds for kernels that had to be compiled first.
    """

    name: str
    error: float
    allowed: float
    seconds: float
    compiled: float

    @property
    def passed(self) -> bool:
        """Whether the difference is as small as it should be."""
        return self.error <= self.allowed


@dataclass(frozen=True)
class Diagnosis:
    """What a report of a bug needs; sizes are in bytes.

    Attributes
    ----------
    python, system : str
        Version of Python; operating system and processor.
    packages, optional : dict
        Versions by name; None for what is not installed.
    processors, memory, cache : dict
        What this process may use, and where compiled kernels are kept.
    blas : list of dict
        Libraries with threads of their own, as threadpoolctl finds them.
    environment : dict
        Variables that change how this package runs.
    checks : tuple of SelfCheck
        Comparisons with closed forms; empty if they were not asked for.
    """

    python: str
    system: str
    packages: dict[str, str | None]
    optional: dict[str, str | None]
    processors: dict[str, int]
    memory: dict[str, float]
    cache: dict[str, Any]
    blas: list[dict[str, Any]]
    environment: dict[str, str]
    checks: tuple[SelfCheck, ...]

    @property
    def well(self) -> bool:
        """Whether all checks passed."""
        return all(check.passed for check in self.checks)


def diagnose(*, check: bool = True) -> Diagnosis:
    """Look at this installation, and compare its kernels with closed forms.

    Parameters
    ----------
    check : bool
        Whether to run the comparisons: about two seconds, a minute if kernels have to be compiled.

    Returns
    -------
    Diagnosis
        What was found.

    Raises
    ------
    InputError
        If ``check`` is no truth value.

    Examples
    --------
    >>> found = diagnose(check=False)
    >>> found.packages["numpy"] == np.__version__, found.processors["usable"] >= 1
    (True, True)
    """
    check = flag("check", check)
    said: list[str] = []
    with _listening(said):
        checks = tuple(_timed(*one) for one in _CHECKS) if check else ()
    return Diagnosis(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        packages=_versions(_REQUIRED),
        optional=_versions(_OPTIONAL),
        processors={"machine": os.cpu_count() or 1, "usable": usable_cores(), "threads": get_threads()},
        memory={"machine": float(psutil.virtual_memory().total), "limit": free_memory()},
        cache=_cache(said),
        blas=[
            {key: info.get(key) for key in ("internal_api", "version", "num_threads", "filepath")}
            for info in threadpool_info()
        ],
        environment={name: os.environ[name] for name in sorted(os.environ) if name.startswith(_VARIABLES)},
        checks=checks,
    )


def _versions(names: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _cache(said: Sequence[str]) -> dict[str, Any]:
    """Where compiled kernels are kept, what is there, and whether a file can be written and read there."""
    folder, why = code_cache.find_folder()
    if folder is None:
        return {"folder": None, "works": False, "why": why, "files": 0, "size": 0}
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"meanfield" * 100_000)
            probe.flush()
            probe.seek(0)
            why = "" if probe.read(9) == b"meanfield" else "what is written there cannot be read again"
    except OSError as error:
        why = str(error)
    why = why or "; ".join(said)
    size = sum(path.stat().st_size for path in files)
    return {"folder": folder, "works": not why, "why": why, "files": len(files), "size": size}


@contextmanager
def _listening(said: list[str]) -> Iterator[None]:
    """Collect what the package says of its compiled kernels."""

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, ear = logging.getLogger("meanfield"), Ear(logging.WARNING)
    logger.addHandler(ear)
    try:
        yield
    finally:
        logger.removeHandler(ear)


def _timed(name: str, compare: Callable[[], float], allowed: float) -> SelfCheck:
    compiled: list[float] = []
    start = time.perf_counter()
    with install_timer("numba:compile", compiled.append):
        error = compare()
    taken = time.perf_counter() - start
    return SelfCheck(name, error, allowed, taken - sum(compiled), sum(compiled))


def _off(found: Any, exact: Any) -> float:
    """Largest difference, relative to the largest exact value; infinity where something is not finite."""
    found, exact = np.asarray(found, dtype=np.float64), np.asarray(exact, dtype=np.float64)
    difference = float(np.max(np.abs(found - exact)) / np.max(np.abs(exact)))
    return difference if math.isfinite(difference) else math.inf


def _phi() -> float:
    """phi_1(-z) = (1 - exp(-z)) / z and phi_2(-z) = (1 - phi_1(-z)) / z."""
    z = np.array([0.5, 2.0, 30.0])
    one = -np.expm1(-z) / z
    _, first, second, _ = phi_functions(z)
    return max(_off(first, one), _off(second, (1.0 - one) / z))


def _one_sample() -> float:
    """Neurons that are active on the only sample: the output is B sinh 2 tau, with tau(t) by fractions."""
    x, y, count = 1.5, 2.0, 12
    kappa = 1.0 / count
    network = Particles.from_arrays(np.zeros(count), np.ones((count, 1)), kappa=kappa, kappa_prime=1.0)
    B = x / 2.0  # kappa x sum q0^2 / 2
    S = math.hypot(B, y)
    end, t = y / (B + S), 2.0 / (S * kappa * x)
    E = math.exp(2.0 * S * kappa * x * t)
    exact = B * math.sinh(2.0 * math.atanh(end * (E - 1.0) / (E + end**2)))
    return _end_is_off(Problem([[x]], [y], bias=False), network, t, np.array([exact]))


def _modes(count: int) -> float:
    """One balanced neuron along each axis, on one sample each: u' = 2 c u (y - u) / n, a logistic curve."""
    kappa, u0 = 0.25, 0.02
    c, y = np.linspace(1.0, 2.0, count), np.linspace(1.0, 0.5, count)
    size = np.sqrt(u0 / (kappa * c))
    network = Particles.from_arrays(size, np.diag(size), kappa=kappa, kappa_prime=1.0)
    t = 2.0 * count / kappa
    grown = np.exp(2.0 * c * kappa * t / count * y)
    return _end_is_off(Problem(np.diag(c), y, bias=False), network, t, y * grown / (grown - 1.0 + y / u0))


def _end_is_off(problem: Problem, network: Particles, t: float, exact: Array) -> float:
    run = gradient_flow(problem, network, t_end=t, loss_tol=0.0, rtol=1e-8, progress=False)
    return max(_off(run.predict(problem.x), exact), _off(run.time[-1], t))


def _threads() -> float:
    """The same bits with one thread and with all of them."""
    x = np.random.default_rng(0).standard_normal((6, 3))
    problem = Problem(x, np.sin(x[:, 0]))
    network = Particles.sample(problem, Scaling(1.0), 20_000, rng=0)
    before = get_threads()
    ends = []
    try:
        for threads in (1, max(2, before)):
            set_threads(threads)
            run = gradient_flow(problem, network, loss_tol=0.1, progress=False)
            ends.append(run.final.w)
    finally:
        set_threads(before)
    return 0.0 if np.array_equal(ends[0], ends[1]) else math.inf


_CHECKS: tuple[tuple[str, Callable[[], float], float], ...] = (
    ("exponential functions of the steps", _phi, 1e-12),
    ("one sample: the sinh law", _one_sample, 1e-6),
    ("two samples in a plane: logistic curves", lambda: _modes(2), 1e-6),
    ("three samples in space: logistic curves", lambda: _modes(3), 1e-6),
    ("the same bits with one thread and several", _threads, 0.0),
)
