"""A loss: what one sample costs, as a convex function of the network's output on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import called, flag, text
from meanfield.errors import InputError

Array: TypeAlias = NDArray[np.float64]
#: A function of outputs f and targets y, sample by sample; it must not change its arguments.
OfOutputs: TypeAlias = Callable[[Array, Array], Array]

#: Step of a central difference, in units of ``max(1, |f|)``: eps**(1/3).
_STEP = 6.0e-6
#: Distances from the targets at which a loss of the user's own is looked at.
_PROBES = np.array([0.0, 1e-3, 0.1, 0.5, 1.0, 2.0, 3.5, 10.0])
#: Differences that a numerical derivative may leave, as a share of the largest derivative nearby.
_DIFFERENCE = 1e-3
#: Most targets at which a loss of the user's own is looked at.
_MOST_TARGETS = 50


def over_outputs(values: Array) -> Array:
    """Sums over the outputs, shape (n,), of what is (n,) for one output or (n, c) for c."""
    return values if values.ndim == 1 else np.asarray(values.sum(axis=1))


def blocks(values: Array) -> Array:
    """Curvatures (n,) of one output, or blocks (n, c, c) that have those of c outputs on their diagonals."""
    return values if values.ndim == 1 else values[:, :, None] * np.eye(values.shape[1])


@dataclass(frozen=True)
class Loss:
    """A convex loss ``l(f, y)`` of one sample. Training lowers ``R = (1/n) sum_i l(f_i, y_i)``.

    Parameters
    ----------
    name : str
        For tables, files and the command line.
    value : callable
        ``l(f, y) >= 0``, shape (n,), of outputs f and targets y, each of shape (n,) or (n, c).
    pull : callable
        ``dl/df``, of the shape of f.
    curvature : callable, optional
        ``d^2 l/df^2 >= 0``, shape (n,), or (n, c, c) for c outputs; by default central differences of the
        pull. Functions of a module, if runs go to other processes.
    formula : str, optional
        l as an expression in f and y.
    targets : callable, optional
        ``y -> y`` checks targets of a user, shape (n,), and turns them into those that the loss takes;
        raises :class:`~meanfield.InputError`. By default any numbers.
    labels : bool, default False
        Whether targets are the labels -1 and 1 of two classes: then runs have a margin and an accuracy.
    quadratic : bool, default False
        Whether the curvature is one everywhere, as that of the mean square.
    several : bool, default False
        Whether it is for networks with several outputs.
    unit : str, optional
        Of l: ``"y**2"``, or ``"1"`` for a plain number (the default).
    summary : str, optional
        One sentence for the docs.

    Examples
    --------
    A loss that falls off like a Cauchy distribution's is not convex; the log-cosh is:

    >>> import numpy as np
    >>> import meanfield as mf
    >>> def value(f, y):
    ...     r = np.abs(f - y)
    ...     return r + np.log1p(np.exp(-2 * r)) - np.log(2)
    >>> log_cosh = mf.Loss("log-cosh", value, lambda f, y: np.tanh(f - y))
    >>> problem = mf.Problem([-1.0, 0.0, 1.0], [0.5, 0.1, 20.0], loss=log_cosh)
    >>> problem.loss_function, round(problem.zero_loss, 4)
    (<Loss 'log-cosh'>, 6.4773)
    """

    name: str
    value: OfOutputs
    pull: OfOutputs
    curvature: OfOutputs | None = None
    formula: str = ""
    targets: Callable[[Array], Array] | None = None
    labels: bool = False
    quadratic: bool = False
    several: bool = False
    unit: str = "1"
    summary: str = ""

    def __post_init__(self) -> None:
        text("name", self.name)
        for what in ("formula", "unit", "summary"):
            text(what, getattr(self, what))
        for what in ("labels", "quadratic", "several"):
            flag(what, getattr(self, what))
        called("value", self.value, "outputs and targets")
        called("pull", self.pull, "outputs and targets")
        if self.curvature is not None:
            called("curvature", self.curvature, "outputs and targets")
        if self.targets is not None:
            called("targets", self.targets, "targets")

    def __repr__(self) -> str:
        return f"<Loss {self.name!r}>"


def mean_loss(loss: Loss, f: Array, y: Array) -> float:
    """``R = (1/n) sum_i l(f_i, y_i)``.

    Parameters
    ----------
    loss : Loss
        The loss.
    f, y : ndarray, shape (n,) or (n, c)
        Outputs and targets.
    """
    if loss.quadratic:
        e = (f - y).ravel()
        return float(np.dot(e, e)) / (2 * len(f))
    return float(np.mean(loss.value(f, y)))


def curvature_of(loss: Loss, f: Array, y: Array) -> Array | None:
    """``d^2 l/df^2``, by central differences of the pull where no formula is given.

    Parameters
    ----------
    loss : Loss
        The loss.
    f, y : ndarray, shape (n,) or (n, c)
        Outputs and targets.

    Returns
    -------
    ndarray, shape (n,) or (n, c, c), or None
        None if it is one everywhere.
    """
    if loss.quadratic:
        return None
    if loss.curvature is not None:
        return loss.curvature(f, y)
    if f.ndim == 2:
        return _curvature_of_several(loss, f, y)
    step = _STEP * np.maximum(1.0, np.abs(f))
    difference: Array = (loss.pull(f + step, y) - loss.pull(f - step, y)) / (2.0 * step)
    return np.maximum(difference, 0.0)  # rounding


def _curvature_of_several(loss: Loss, f: Array, y: Array) -> Array:
    """The same for f of shape (n, c), shape (n, c, c)."""
    step = _STEP * np.maximum(1.0, np.abs(f).max(axis=1))[:, None]
    found = np.empty((*f.shape, f.shape[1]))
    for k, direction in enumerate(np.eye(f.shape[1])):
        ends = loss.pull(f + step * direction, y) - loss.pull(f - step * direction, y)
        found[:, :, k] = ends / (2.0 * step)
    return np.asarray(0.5 * (found + found.transpose(0, 2, 1)))


def check_own(loss: Loss, y: Array) -> None:
    """Check a loss of the user's own around the targets that it is for.

    Parameters
    ----------
    loss : Loss
        A loss for one output.
    y : ndarray, shape (n,)
        The targets.

    Raises
    ------
    InputError
        If shapes are wrong, values are negative or not finite, derivatives differ from numerical ones, or
        the loss is not convex.
    """
    some = np.unique(y)[:: max(1, len(np.unique(y)) // _MOST_TARGETS)]
    size = max(1.0, float(np.max(np.abs(some))))
    offsets = size * np.concatenate([-_PROBES[:0:-1], _PROBES])
    f = (some[:, None] + offsets).ravel()
    at = np.repeat(some, len(offsets))
    step = _STEP * np.maximum(1.0, np.abs(f))
    found = {}
    for what in ("value", "pull", "curvature"):
        function = getattr(loss, what)
        if function is None:
            continue
        values = np.asarray(function(f.copy(), at.copy()), dtype=np.float64)
        if values.shape != f.shape:
            raise InputError(
                f"the {what} of the loss {loss.name!r} has shape {values.shape} for {len(f)} samples; return "
                f"one number for each sample, shape ({len(f)},)"
            )
        if not np.all(np.isfinite(values)):
            k = int(np.argmin(np.isfinite(values)))
            raise InputError(
                f"the {what} of the loss {loss.name!r} is {values[k]} at f = {f[k]:.6g}, y = {at[k]:.6g}; "
                "give a loss that is finite for every output"
            )
        found[what] = values
    if np.any(found["value"] < 0.0):
        k = int(np.argmin(found["value"]))
        raise InputError(
            f"the loss {loss.name!r} is {found['value'][k]:.6g} at f = {f[k]:.6g}, y = {at[k]:.6g}; add a "
            "constant, so that it is nowhere negative"
        )
    _same_slope(loss, "pull", "value", found["pull"], f, at, step)
    rises = np.diff(found["pull"].reshape(len(some), -1), axis=1)
    if np.any(rises < -_DIFFERENCE * np.max(np.abs(found["pull"]))) or np.any(
        found.get("curvature", np.zeros(1)) < 0.0
    ):
        raise InputError(
            f"the loss {loss.name!r} is not convex in f: its derivative falls somewhere; give a convex loss"
        )
    if "curvature" in found:
        _same_slope(loss, "curvature", "pull", found["curvature"], f, at, step)


def _same_slope(loss: Loss, what: str, of: str, given: Array, f: Array, y: Array, step: Array) -> None:
    """Compare a derivative with one-sided differences on both sides: at a kink it may be between them."""
    function = getattr(loss, of)
    here = np.asarray(function(f, y))
    right = (np.asarray(function(f + step, y)) - here) / step
    left = (here - np.asarray(function(f - step, y))) / step
    rounding = 4.0 * float(np.finfo(np.float64).eps) * np.abs(here) / step
    allowed = _DIFFERENCE * np.maximum(np.abs(given), np.maximum(np.abs(left), np.abs(right))) + rounding
    allowed += 2.0 * step * max(1.0, float(np.max(np.abs(given))))
    wrong = (given < np.minimum(left, right) - allowed) | (given > np.maximum(left, right) + allowed)
    if np.any(wrong):
        k = int(np.argmax(wrong))
        raise InputError(
            f"the {what} of the loss {loss.name!r} is {given[k]:.6g} at f = {f[k]:.6g}, y = {y[k]:.6g}, but "
            f"the derivative of its {of} is {0.5 * (left[k] + right[k]):.6g} there; give the derivative with "
            "respect to f"
        )
