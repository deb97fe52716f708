"""Other neurons in the residual of a run: they feel it and are not felt.

Particles meet only in the residual, so that a run's residual says where any neuron would have gone. Moving
a neuron with it costs two passes a step; running it costs four and more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from meanfield import kernels
from meanfield.arguments import flag, instance
from meanfield.displays import brief
from meanfield.errors import InputError
from meanfield.flow.method import Motion
from meanfield.flow.observables import Observer
from meanfield.flow.system import ReluSystem, check_pair
from meanfield.flow.tangent import Array
from meanfield.particles import Particles
from meanfield.problem import Problem


class ResidualPath:
    """What particles felt along a run.

    Attributes
    ----------
    start : ndarray, shape (n,)
        The residual at time 0, on the rays of samples.
    motions : list of Motion
        Residuals of each step, and for how long they were felt.
    kept : list of bool
        After which steps the run saved its state; the end is always among them.
    """

    def __init__(self) -> None:
        self.start: Array = np.empty(0)
        self.motions: list[Motion] = []
        self.kept: list[bool] = []

    def add(self, e: Array, motion: Motion | None, kept: bool) -> None:
        """Take in the residual after a step and what was felt in it; the start comes without motion."""
        if motion is None:
            self.start = e
        else:
            self.motions.append(motion)
            self.kept.append(kept)

    def keep_last(self) -> None:
        """The last state is always saved."""
        if self.kept:
            self.kept[-1] = True

    def copy(self) -> ResidualPath:
        """A path that can go on without changing this one."""
        path = ResidualPath()
        path.start, path.motions, path.kept = self.start, list(self.motions), list(self.kept)
        return path

    def thinned(self, most: int) -> ResidualPath:
        """The same path with at most so many of the saved states, the first and the last among them."""
        saved = sum(self.kept)
        return self.at(np.linspace(0, saved - 1, min(most, saved)).round().astype(int).tolist())

    def at(self, saved: Collection[int]) -> ResidualPath:
        """The same path up to the last of some of its saved states, with those only.

        Parameters
        ----------
        saved : collection of int
            Which of the saved states, 0 for the first one after the start.
        """
        rows = np.flatnonzero(self.kept)[sorted(saved)]
        end = int(rows[-1]) + 1 if len(rows) else 0
        part = ResidualPath()
        part.start, part.motions = self.start, self.motions[:end]
        part.kept = np.isin(np.arange(end), rows).tolist()
        return part

    def arrays(self) -> dict[str, Array]:
        """The path as arrays, for a file."""
        stages = self.motions[0].h.shape if self.motions else (0,)
        return {
            "path_start": self.start,
            "path_h": np.array([motion.h for motion in self.motions]).reshape(-1, *stages),
            "path_e": np.array([motion.e for motion in self.motions]).reshape(-1, *stages, len(self.start)),
            "path_kept": np.array(self.kept, dtype=np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> ResidualPath:
        """The path that :meth:`arrays` gave; raises InputError where they do not fit together."""
        start, h, e, kept = (arrays[f"path_{name}"] for name in ("start", "h", "e", "kept"))
        shapes = h.ndim == 2 and e.shape == (*h.shape, len(start)) and kept.shape == (len(h),)
        if not (shapes and all(np.all(np.isfinite(array)) for array in (start, h, e)) and np.all(h >= 0.0)):
            raise InputError("its residual path has arrays of other shapes, or numbers that are none")
        path = cls()
        path.start, path.kept = start, (kept != 0.0).tolist()
        path.motions = [Motion(times, felt) for times, felt in zip(h, e, strict=True)]
        return path


@dataclass(frozen=True, eq=False)
class Replay:
    """Where other neurons went, at the times of ``run.with_ends()`` without the start.

    Attributes
    ----------
    output : ndarray, shape (T, n)
        What they would give to the outputs on the samples.
    rd_w, rd_a : ndarray, shape (T,)
        Their relative displacements.
    a, w : ndarray, shapes (T, N) and (T, N, d), or None
        Their weights, if they were asked for.
    """

    output: Array
    rd_w: Array
    rd_a: Array
    a: Array | None = None
    w: Array | None = None

    __repr__ = brief


def replay(
    problem: Problem, particles: Particles, path: ResidualPath, *, save_parameters: bool = False
) -> Replay:
    """Move particles in the residual of a run.

    Parameters
    ----------
    problem : Problem
        The data of the run.
    particles : Particles
        Neurons at time 0, with the scales of the run's.
    path : ResidualPath
        ``run.path`` of a run with ``save_path=True``.
    save_parameters : bool, default False
        Keep a and w at the saved times, too.

    Returns
    -------
    Replay

    Raises
    ------
    InputError
        For arguments that cannot be used, and for a path of other samples.

    Examples
    --------
    The run's own particles do what they did:

    >>> import meanfield as mf
    >>> from meanfield.flow import replay
    >>> problem = mf.datasets.four_points()
    >>> network = mf.Particles.sample(problem, mf.Scaling(gamma=1.0), width=100, rng=0)
    >>> run = mf.gradient_flow(problem, network, save_path=True)
    >>> bool((replay(problem, network, run.path).output == run.output[1:]).all())
    True
    """
    save_parameters = flag("save_parameters", save_parameters)
    output, rd, a, w = [], [], [], []
    for seen in replayed(problem, particles, path):
        output.append(seen.output)
        rd.append((seen.rd_w, seen.rd_a))
        if save_parameters:
            now = seen.particles
            a.append(now.a)
            w.append(now.w)
    outputs, (rd_w, rd_a) = np.array(output).reshape(-1, problem.n), np.array(rd).reshape(-1, 2).T
    if not save_parameters:
        return Replay(outputs, rd_w, rd_a)
    return Replay(outputs, rd_w, rd_a, np.array(a), np.array(w))


@dataclass(frozen=True, eq=False)
class Replayed:
    """Other neurons at one saved time of a run.

    Attributes
    ----------
    output : ndarray, shape (n,)
        What they would give to the outputs on the samples.
    rd_w, rd_a : float
        Their relative displacements.
    """

    output: Array
    rd_w: float
    rd_a: float
    _system: ReluSystem
    _theta: Array

    __repr__ = brief

    @property
    def particles(self) -> Particles:
        """The neurons, to be asked for before the next time."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._system.to_particles(self._theta)


def replayed(problem: Problem, particles: Particles, path: ResidualPath) -> Iterator[Replayed]:
    """The states of :func:`replay` one by one, so that only one of them is held."""
    check_pair(problem, particles)
    instance("path", path, ResidualPath, "run.path of a run with save_path=True")
    system = ReluSystem.of(problem, particles)
    if len(path.start) != system.n:
        raise InputError(
            f"the path has residuals on {len(path.start)} samples but the problem has {system.n}; give the "
            "problem of the run"
        )
    observer = Observer(system)
    theta, new, before = system.theta0.copy(), np.zeros_like(system.theta0), path.start
    with kernels.one_blas_thread():
        for (h, felt), kept in zip(path.motions, path.kept, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):  # who is not felt may leave the range
                f, _ = system.move(theta, np.vstack([before, felt]), h, new)
            theta, new, before = new, theta, felt[-1]
            if kept:
                with np.errstate(over="ignore", invalid="ignore"):
                    seen, output = observer.measure(system.state(0.0, theta, f=f[-1])), system.output(f[-1])
                yield Replayed(output, seen.rd_w, seen.rd_a, system, theta)
