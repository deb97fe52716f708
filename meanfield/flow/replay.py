"""Other neurons in the residual of a run: they feel it and are not felt.

Particles meet only in the residual, so that a run's residual says where any neuron would have gone. Moving
a neuron with it costs two passes a step; running it costs four and more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield import kernels
from meanfield.arguments import flag, instance
from meanfield.errors import InputError
from meanfield.flow.method import Motion
from meanfield.flow.system import CanonicalSystem, check_pair
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
        After which steps the run saved its state.
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
        rows = np.flatnonzero(self.kept)
        chosen = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]
        thin = ResidualPath()
        thin.start, thin.motions = self.start, self.motions
        thin.kept = np.isin(np.arange(len(self.kept)), chosen).tolist()
        return thin


@dataclass(frozen=True, eq=False)
class Replay:
    """Where other neurons went, at the saved times of the run without its start.

    Attributes
    ----------
    output : ndarray, shape (T, n)
        What they would give to the outputs on the samples.
    a, w : ndarray, shapes (T, N) and (T, N, d), or None
        Their weights, if they were asked for.
    """

    output: Array
    a: Array | None = None
    w: Array | None = None


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
    save_parameters : bool
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
    check_pair(problem, particles)
    instance("path", path, ResidualPath, "run.path of a run with save_path=True")
    save_parameters = flag("save_parameters", save_parameters)
    system = CanonicalSystem(problem, particles)
    if len(path.start) != system.n:
        raise InputError(
            f"the path has residuals on {len(path.start)} samples but the problem has {system.n}; give the "
            "problem of the run"
        )
    theta, new, before = system.theta0.copy(), np.zeros_like(system.theta0), path.start
    output, a, w = [], [], []
    with kernels.one_blas_thread():
        for (h, felt), kept in zip(path.motions, path.kept, strict=True):
            e, _ = system.move(theta, np.vstack([before, felt]), h, new)
            theta, new, before = new, theta, felt[-1]
            if kept:
                output.append(system.output(e[-1]))
                if save_parameters:
                    now = system.to_particles(theta)
                    a.append(now.a)
                    w.append(now.w)
    outputs = np.array(output).reshape(-1, problem.n)
    return Replay(outputs, np.array(a), np.array(w)) if save_parameters else Replay(outputs)
