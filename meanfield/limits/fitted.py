"""Weights of few nodes that give off what many nodes do: fitted along a run.

Neurons that cross kinks make the outputs, as functions of where neurons started, rough; quadrature needs
many nodes there. But particles meet only in the residual: given that of a run with few nodes, many others are
moved at a fraction of a run's cost (:func:`meanfield.flow.replay`), and the weights of the few are changed as
little as makes their outputs along the run those of the many. A run with the new weights is off by the
product of two errors: of the few nodes' rule, and of the residual in which the many were moved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from meanfield.flow import Trajectory
from meanfield.limits.plan import Plan
from meanfield.nodes import Directions

Array = NDArray[np.float64]

#: Equations of the fit, about, and samples that enter it at most.
_EQUATIONS, _SAMPLES = 400, 64
#: Difference of the outputs, in units of the targets, beyond which the residual says nothing of the many.
APART = 1.0
#: Weight of the parameters' squares in units of the mean square of an equation: noise is not fitted.
_RIDGE = 1e-9
#: Steps of Newton's method at most, and share of the first error at which it ends.
_NEWTON, _ENOUGH = 8, 1e-6
#: How much more than outputs the initial moments count.
_HEAVY = 10.0


def fitted(plan: Plan, run: Trajectory, nodes: Directions, many: Directions) -> Directions:
    """Nodes with weights that make their outputs along a run's residual those of many nodes.

    Parameters
    ----------
    plan : Plan
        What is computed.
    run : Trajectory
        A run of any nodes, with its path.
    nodes, many : Directions
        The nodes whose weights are changed, and those that they stand for.
    """
    samples = some_samples(plan.problem.n)
    x, scale = plan.problem.x[samples], float(np.sqrt(np.mean(plan.problem.y**2)))
    assert run.path is not None
    path = run.path.thinned(_EQUATIONS // len(samples))
    with np.errstate(over="ignore", invalid="ignore"):  # neurons that are not felt may leave the range
        wanted = plan.replay(many, path).output[:, samples] / scale
        moved = plan.replay(nodes, path, save_parameters=True)
    twins = plan.twins(nodes)
    assert moved.a is not None
    assert moved.w is not None
    values, target = [_HEAVY * _moments(nodes)], [_HEAVY * _moments(many) @ many.weight]
    for a, w, total in zip(moved.a, moved.w, wanted, strict=True):
        f = a[:, None] * np.maximum(twins.moved(a, w).preactivations(x), 0.0)
        f = 0.5 * plan.width * plan.law.kappa / scale * (f[0::2] + f[1::2])
        if not np.abs(total - nodes.weight @ f).max() < APART:
            break  # from here on the many would have felt themselves
        values.append(f.T)
        target.append(total)
    weight = nearest_weights(nodes.weight, np.concatenate(values), np.concatenate(target))
    return Directions(nodes.a, nodes.q, weight / weight.sum())


def some_samples(n: int) -> NDArray[np.int64]:
    """Indices of samples that stand for all."""
    return np.unique(np.linspace(0, n - 1, _SAMPLES).round().astype(np.int64))


def _moments(nodes: Directions) -> Array:
    return np.array([np.ones_like(nodes.a), nodes.a**2, np.einsum("kc,kc->k", nodes.q, nodes.q)])


def nearest_weights(weight: Array, values: Array, target: Array) -> Array:
    """The weights w nearest to given ones in relative entropy for which ``values @ w`` is about the target.

    They are ``weight exp(values^T c)`` and so positive; c minimises the convex dual
    ``sum w - target.c + ridge |c|^2 / 2``, by Newton's method.

    Parameters
    ----------
    weight : ndarray, shape (K,)
        Positive.
    values : ndarray, shape (R, K)
    target : ndarray, shape (R,)
    """
    c, w, ridge = np.zeros(len(values)), weight, 0.0
    missing = first = target - values @ weight
    for _ in range(_NEWTON):
        hessian = (values * w) @ values.T
        ridge = ridge or _RIDGE * float(np.trace(hessian))
        hessian[np.diag_indices_from(hessian)] += ridge
        step = cho_solve(cho_factor(hessian, overwrite_a=True), missing)
        c += step / max(1.0, float(np.abs(step @ values).max()))
        w = weight * np.exp(c @ values)
        missing = target - values @ w - ridge * c
        if np.linalg.norm(missing) <= _ENOUGH * np.linalg.norm(first):
            break
    better = np.abs(target - values @ w).max() < np.abs(first).max()
    return w if better else weight
