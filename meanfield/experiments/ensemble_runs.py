"""Training an ensemble: over processes, interrupted and gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.activations import Activation, as_activation
from meanfield.arguments import flag, instance, number, one_of, progress_choice, root, whole_number
from meanfield.bars import QUIET_SECONDS
from meanfield.errors import InputError
from meanfield.experiments.ensembles import Ensemble, Training
from meanfield.experiments.executors import check_executor
from meanfield.experiments.grid import as_seeds
from meanfield.experiments.progress import streamed
from meanfield.flow import METHODS, Trajectory
from meanfield.flow.method import MethodName
from meanfield.flow.recording import SaveTimes
from meanfield.limits.refinement import dense_times
from meanfield.problem import Problem
from meanfield.resources import check_fits
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Times of an ensemble that was not asked for any go beyond the end of its first run by this factor.
_BEYOND = 4.0


class EnsembleInterrupted(KeyboardInterrupt):
    """Ctrl-C during an ensemble; ``.ensemble`` holds the runs that were finished, None if there are none."""

    def __init__(self, ensemble: Ensemble | None, wanted: int) -> None:
        done = 0 if ensemble is None else len(ensemble.runs)
        go_on = "; they are in .ensemble: give it as done= to go on" if done else ""
        super().__init__(f"interrupted after {done} of {wanted} runs{go_on}")
        self.ensemble = ensemble


def ensemble(
    problem: Problem,
    scaling: Scaling,
    width: int,
    *,
    seeds: int | Sequence[int] = 20,
    save_at: ArrayLike | None = None,
    loss_tol: float | None = None,
    loss_atol: float | None = None,
    t_end: float | None = None,
    rtol: float = 1e-3,
    atol: float = 1e-6,
    method: MethodName | None = None,
    max_steps: int = 20_000,
    save_parameters: bool = False,
    antisymmetric: bool = True,
    activation: Activation | str = "relu",
    beta2: float | None = None,
    rng: int = 0,
    executor: int | None = None,
    done: Ensemble | None = None,
    progress: bool | None = None,
) -> Ensemble:
    """Train many networks that differ in their random draw only.

    Every run is what :func:`meanfield.gradient_flow` returns for that network, to the bit, whatever the
    number of processes.

    Parameters
    ----------
    problem : Problem
        The data.
    scaling : Scaling
        The scaling.
    width : int
        Number of neurons.
    seeds : int or sequence of int, default 20
        Random draws: how many, or which. The same seeds are the same draws at any scaling (paired) and
        width (nested), as in :func:`meanfield.phase_diagram`.
    save_at : array_like, shape (T,), optional
        Times (tbar) of the curves, met exactly by all runs. By default the first seed is trained to see how
        long it takes, and all are then trained with the time 0 and 120 times from 1e-5 of that to four times
        as long.
    loss_tol, loss_atol, t_end, rtol, atol, method, max_steps, save_parameters
        As in :func:`meanfield.gradient_flow`. A run stops once its own loss is reached: after that its
        curves are nan. With ``loss_tol=0`` and ``save_at`` runs go on to the last time.
    antisymmetric : bool, default True
        Pair every neuron with a twin, so that the initial output is zero.
    activation, beta2
        As in :meth:`meanfield.Particles.sample`.
    rng : int, default 0
        Root of the random numbers.
    executor : int, optional
        Number of worker processes; by default this one.
    done : Ensemble, optional
        An ensemble of the same networks: its seeds are not trained again. It continues one that was
        interrupted, or gives it more seeds, at the same times.
    progress : None or bool
        None shows a bar over the seeds in a terminal or notebook once it has lasted two seconds, True at
        once, False never.

    Returns
    -------
    Ensemble
        Curves and predictions of all seeds, with mean and band.

    Raises
    ------
    InputError
        For arguments that cannot be used.
    EnsembleInterrupted
        On Ctrl-C; the exception holds the runs that were finished.
    WorkerLostError
        If a worker process dies.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem, scaling = mf.datasets.four_points(), mf.Scaling.named("mean-field")
    >>> found = mf.ensemble(problem, scaling, width=100, seeds=4, loss_tol=1e-3)
    >>> spread = found.predict([0.1])
    >>> spread.values.shape, bool(spread.std < 0.3)
    ((4, 1), True)
    >>> more = mf.ensemble(problem, scaling, width=100, seeds=6, loss_tol=1e-3, done=found)
    >>> more.runs[0] is found.runs[0], len(more.runs)
    (True, 6)
    """
    instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    instance("scaling", scaling, Scaling, "Scaling(gamma, gamma_prime) or Scaling.named")
    width, wanted = whole_number("width", width), as_seeds(seeds)
    training = Training(
        loss_tol, loss_atol, t_end, float(number("rtol", rtol, "a positive number", above=0.0)),
        float(number("atol", atol, "a number >= 0", least=0.0)),
        None if method is None else one_of("method", method, METHODS),
        whole_number("max_steps", max_steps), flag("save_parameters", save_parameters),
        flag("antisymmetric", antisymmetric), root(rng), as_activation(activation),
        None if beta2 is None else number("beta2", beta2, "a positive finite number", above=0.0),
    )  # fmt: skip
    asked = None if save_at is None else SaveTimes(save_at).asked
    progress = progress_choice(progress)
    if executor is not None:
        whole_number("executor", executor)
    check_executor(executor)
    found: dict[int, Trajectory] = {}
    if done is not None:
        asked = _going_on(done, problem, scaling, width, training, asked)
        found = dict(zip(done.seeds.tolist(), done.runs, strict=True))

    def gathered() -> Ensemble | None:
        kept = [seed for seed in wanted.tolist() if seed in found]
        if not kept:
            return None
        runs = tuple(found[seed] for seed in kept)
        return Ensemble(
            problem, scaling, width, np.array(kept), _times(asked, save_at is None, runs), runs, training
        )

    left = [seed for seed in wanted.tolist() if seed not in found]
    try:
        if left:
            if asked is None:
                asked = _chosen_times(training.run(problem, scaling, width, None, left[0]))
            _check_memory(problem, width, len(left), len(asked), training)
            work = partial(training.run, problem, scaling, width, asked)
            delay = 0.0 if progress else QUIET_SECONDS
            for index, run in streamed(
                work, left, min(executor or 1, len(left)), "ensemble", progress, delay=delay
            ):
                found[left[index]] = replace(run, problem=problem)  # one copy of the data for all
    except KeyboardInterrupt:
        raise EnsembleInterrupted(gathered(), len(wanted)) from None
    whole = gathered()
    assert whole is not None
    return whole


def _chosen_times(first: Trajectory) -> Array:
    """Times for all runs by that of the first one."""
    end = first.end.time
    if first.status.name == "REACHED_TIME":  # no run goes on after t_end
        return np.append(0.0, dense_times(end, beyond=1.0))
    return np.append(0.0, dense_times(end, beyond=_BEYOND))


def _times(asked: Array | None, chosen: bool, runs: Sequence[Trajectory]) -> Array:
    """Times of the curves: as asked for; of our own choice those that some run has reached."""
    assert asked is not None
    if not chosen:
        return asked
    return asked[asked <= max(float(run.end.time) for run in runs)]


def _going_on(
    done: Ensemble, problem: Problem, scaling: Scaling, width: int, training: Training, asked: Array | None
) -> Array:
    """The times of an ensemble that is gone on with, if it is one of the same networks."""
    instance("done", done, Ensemble, "meanfield.ensemble")
    same = done.problem.fingerprint == problem.fingerprint and done.width == width
    if not (same and repr(done.scaling) == repr(scaling) and done.training == training):
        raise InputError(
            "done is an ensemble of other networks; give the same problem, scaling, width and options as then"
        )
    times = np.union1d(done.time, done.unreached)
    if asked is not None and not np.array_equal(asked, times):
        raise InputError("done has other times than save_at; leave save_at out, or give the same as then")
    return times


def _check_memory(problem: Problem, width: int, runs: int, times: int, training: Training) -> None:
    each = 2 * width * (problem.d + 2) + times * (problem.n + 4)
    if training.save_parameters:
        each += times * width * (problem.d + 1)
    check_fits(f"{runs} runs of width {width}", 8.0 * runs * each, "give fewer seeds, times or neurons")
