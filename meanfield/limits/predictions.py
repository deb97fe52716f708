"""What the limit gives on new inputs, and how far off it may be: from independent sets of nodes.

Nodes whose outputs on the samples are right may still be few between the samples, where they scatter like
as many neurons. So independent sets of nodes are moved in the residual of the run, with its own nodes
(:func:`meanfield.flow.replay`). Each set is calibrated as in survey sampling (Deville, Saerndal 1992): with
contributions v of its nodes and their covariance C over all sets,

    f(x) = mean_s v(x) + C(x, X) C(X, X)^-1 (f_run(X) - mean_s v(X)),

which is exact on the samples X. The prediction is the mean over the sets, and their scatter its error. To
it comes what may be wrong in common: the error of the run's outputs on the samples, carried to x by the same
coefficients, and the largest that it was on the way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meanfield.flow import Trajectory
from meanfield.flow.replay import ResidualPath, replayed
from meanfield.limits.fitted import APART
from meanfield.limits.plan import independent_rule, stand_in
from meanfield.particles import Particles
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Independent sets, besides the run's nodes, up to rank 2 and above, where nodes scatter like random ones.
_FEW, _MANY = 3, 7
#: Samples that are calibrated to, at most.
_SAMPLES = 256
#: Share of the variance of contributions that counts as zero, for scatter, and for the doubt: that may lie
#: in directions in which nodes hardly scatter, and is not to be magnified between the samples.
_RIDGE, _SMOOTH = 1e-8, 1e-3
#: Error from the change to a run with a quarter of the nodes, as both may miss the same.
_SAFETY = 2.0
#: Level of the interval.
_LEVEL = 0.95
#: Entries of a block of nodes x inputs (32 MB).
_BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class Predictor:
    """Nodes of all sets at one time, with the weights of each set's prediction.

    Attributes
    ----------
    neurons : Particles
        The nodes; their own weights are not used.
    weight : ndarray, shape (N, K + 1)
        For the predictions of the K sets, that of the run's own nodes first, and for its outputs' doubt.
    rest : float
        Error that is the same everywhere.
    """

    neurons: Particles
    weight: Array
    rest: float = 0.0

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Prediction and its error, both (k,), on inputs (k, d) with the bias column."""
        sums = np.zeros((len(x), self.weight.shape[1]))
        step = max(1, _BLOCK // max(1, len(x)))
        for start in range(0, self.neurons.size, step):
            block = slice(start, start + step)
            z = self.neurons.preactivations(x, block)
            contribution = np.maximum(z, 0.0) * self.neurons.a[block, None]
            sums += contribution.T @ self.weight[block]
        sets, doubt = sums[:, :-1], np.abs(sums[:, -1])
        count, mean = sets.shape[1], sets.mean(axis=1)
        scatter = _quantile(count - 1) * sets.std(axis=1, ddof=1) / math.sqrt(count)
        # The other sets may go wrong in common; the run's own nodes need no calibration.
        return mean, np.maximum(scatter, np.abs(sets[:, 0] - mean)) + doubt + self.rest


def _quantile(freedom: int) -> float:
    from scipy import stats  # a heavy import

    return float(stats.t.ppf(0.5 + 0.5 * _LEVEL, freedom))


@dataclass(frozen=True, eq=False)
class Sets:
    """Independent sets of nodes.

    Attributes
    ----------
    particles : Particles
        Of all sets; the weights of each sum to its share of the width.
    of : ndarray of int, shape (N,)
        The set of each.
    """

    particles: Particles
    of: NDArray[np.int64]

    @classmethod
    def draw(cls, run: Trajectory, seed: int) -> Sets:
        """The run's own nodes and sets of about as many."""
        initial, count = run.initial, 1 + (_FEW if run.problem.rank <= 2 else _MANY)
        each = [initial]
        for rule in range(1, count):
            half = independent_rule(run.problem, initial.size, seed, rule)
            outside = np.random.default_rng([seed, rule])
            each.append(Particles.twins(run.problem, Scaling(0.0), initial.width, half, rng=outside))
        together = Particles(
            np.concatenate([one.a for one in each]),
            np.concatenate([one.w for one in each]),
            np.concatenate([one.weight for one in each]) / count,
            initial.kappa,
            stand_in(initial.width, initial.kappa, initial.kappa_prime),
        )
        return cls(together, np.repeat(np.arange(count), [one.size for one in each]))


def predictors(
    run: Trajectory, path: ResidualPath, doubt: Array, seed: int, rows: Sequence[int]
) -> Iterator[Predictor]:
    """Predictors at some saved times of a limit's run, ascending; row 0 is the start."""
    later = [row for row in rows if row > 0]
    if len(later) < len(rows):
        yield _own(run.initial, run.initial, rest=0.0)
    if not later:
        return
    sets, doubt = Sets.draw(run, seed), np.where(np.isfinite(doubt), doubt, 0.0)
    # What was wrong on the way may be forgotten on the samples, but not between them.
    history = np.maximum.accumulate(np.sqrt(np.mean(doubt**2, axis=1)))
    for row, state in zip(
        later, replayed(run.problem, sets.particles, path.at([row - 1 for row in later])), strict=True
    ):
        found = _calibrated(run, sets, state.particles, row, doubt[row], float(history[row]))
        yield _replay_own(run, path, row) if found is None else found


def _replay_own(run: Trajectory, path: ResidualPath, row: int) -> Predictor:
    """The run's own nodes, where the sets know nothing of it."""
    kappa_prime = stand_in(run.initial.width, run.initial.kappa, run.initial.kappa_prime)
    own = replace(run.initial, kappa_prime=kappa_prime)
    (state,) = replayed(run.problem, own, path.at([row - 1]))
    return _own(run.initial, state.particles, rest=math.inf)


def _own(initial: Particles, moved: Particles, *, rest: float) -> Predictor:
    """Particles that predict by themselves."""
    weight = np.zeros((initial.size, 3))
    weight[:, :2] = (initial.kappa * initial.weight)[:, None]
    return Predictor(moved, weight, rest)


def _calibrated(
    run: Trajectory, sets: Sets, moved: Particles, row: int, doubt: Array, history: float
) -> Predictor | None:
    """Weights with which each set gives the run's outputs; None where the sets went elsewhere."""
    kappa, width, count = moved.kappa, moved.width, int(sets.of[-1]) + 1
    samples = np.unique(np.linspace(0, run.problem.n - 1, _SAMPLES).round().astype(int))
    scale = float(np.sqrt(np.mean(run.problem.y**2)))
    with np.errstate(over="ignore", invalid="ignore"):
        each = moved.a[:, None] * np.maximum(moved.preactivations(run.problem.x[samples]), 0.0)
        # Twins belong together: alone they are far larger than what is left of them.
        value = 0.5 * kappa * width * (each[0::2] + each[1::2])
        share, of = (moved.weight[0::2] + moved.weight[1::2]) / width, sets.of[0::2]
        mean = np.array([count * share[of == k] @ value[of == k] for k in range(count)])
        missing = run.output[row, samples] - mean
        if not np.abs(missing).max() < APART * scale:
            return None
    centred = value - mean.mean(axis=0)
    covariance = (centred * share[:, None]).T @ centred
    exact, _ = _coefficients(covariance, missing.T, _RIDGE)
    carried, rest = _coefficients(covariance, _SAFETY * doubt[samples, None], _SMOOTH)
    weight = share[:, None] * (centred @ np.column_stack([exact, carried]))
    weight[np.arange(len(of)), of] += count * share
    both = 0.5 * kappa * width * np.repeat(weight, 2, axis=0)
    return Predictor(moved, both, float(rest[0]) + history)


def _coefficients(covariance: Array, wanted: Array, ridge: float) -> tuple[Array, Array]:
    """``C^-1 wanted``, and root mean squares of what directions of little variance leave out."""
    values, vectors = np.linalg.eigh(covariance)
    least = ridge * float(np.trace(covariance)) + float(np.finfo(np.float64).tiny)
    modes = vectors.T @ wanted
    values = np.maximum(values, 0.0)[:, None] + least
    return vectors @ (modes / values), np.sqrt(np.mean((modes * least / values) ** 2, axis=0))
