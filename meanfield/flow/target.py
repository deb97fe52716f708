"""The loss at which training has converged: the one place that turns tolerances into a bound on R."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.arguments import number
from meanfield.errors import InputError
from meanfield.problem import Problem

#: Share of what can be learned that a run may leave, where nothing else is asked for.
LOSS_TOL = 1e-6
_SHARE = (
    "a share of what can be learned, from 0 (which switches the rule off) to below 1; "
    "loss_atol is for an absolute loss"
)


@dataclass(frozen=True)
class LossTarget:
    """The loss at which a run has converged, and which tolerance asked for it.

    Attributes
    ----------
    loss : float
        The run has converged once R is at most this.
    asked : str
        The tolerance that sets it: of two, the one that is met first.
    """

    loss: float
    asked: str

    def __str__(self) -> str:
        return f"{self.asked}, R <= {self.loss:.3g}"


def loss_target(
    problem: Problem, loss_tol: float | None, loss_atol: float | None, degree: float | None = 1.0
) -> LossTarget | None:
    """What a relative and an absolute tolerance mean on these data; None switches the rule off.

    Parameters
    ----------
    problem : Problem
        The data.
    loss_tol : float or None
        ``R <= floor + loss_tol (zero_loss - floor)``: a share of what can be learned. None is 1e-6, or no
        such rule if ``loss_atol`` is given.
    loss_atol : float or None
        ``R <= loss_atol``.
    degree : float or None
        Of homogeneity of the network's activation, see :meth:`meanfield.Problem.floors`.

    Raises
    ------
    InputError
        For numbers that are no tolerances, and for a ``loss_atol`` below what any network can reach on
        these data.

    Examples
    --------
    >>> import meanfield as mf
    >>> print(loss_target(mf.Problem([-1.0, 1.0], [0.02, 0.02]), loss_tol=1e-6, loss_atol=None))
    loss_tol=1e-06 of what can be learned, R <= 2e-10
    """
    if loss_tol is None:
        loss_tol = LOSS_TOL if loss_atol is None else 0.0
    loss_tol = number("loss_tol", loss_tol, _SHARE, least=0.0, below=1.0)
    found, floor, learnable = [], problem.floors(degree).loss, problem.floors(degree).learnable
    if loss_atol is not None:
        loss_atol = number("loss_atol", loss_atol, "a positive loss R, or None", above=0.0)
        if loss_atol <= floor:
            raise InputError(
                f"loss_atol is {loss_atol:g}, but contradictory labels keep the loss of any network on "
                f"these data above {floor:.4g}; give a larger loss_atol, or loss_tol, which "
                "is a share of what can be learned"
            )
        found.append(LossTarget(loss_atol, f"loss_atol={loss_atol:g}"))
    if loss_tol > 0.0:
        loss = floor + loss_tol * learnable
        found.append(LossTarget(loss, f"loss_tol={loss_tol:g} of what can be learned"))
    target = max(found, key=lambda target: target.loss, default=None)
    _check_separated(problem, floor + LOSS_TOL * learnable if target is None else target.loss, degree)
    return target


def _check_separated(problem: Problem, loss: float, degree: float | None) -> None:
    """Refuse data that a network could fit to this loss, but training in double precision cannot."""
    floors = problem.floors(degree)
    if floors.flow <= max(loss, floors.loss) or (pair := floors.unseparated) is None:
        return
    one, other = pair
    remedy = problem.far_from_zero or (
        "shift and scale the inputs so that they lie around 0, or average the targets of such samples"
    )
    raise InputError(
        f"seen from the origin, samples {one + 1} and {other + 1} of {problem.name} lie in one direction to "
        "1e-11, so that training in double precision cannot tell them apart, but their targets differ; "
        f"{remedy}"
    )


def needed_target(problem: Problem, loss_tol: float | None, loss_atol: float | None) -> LossTarget:
    """The same for computations that end there only, and that have something to learn until then."""
    target = loss_target(problem, loss_tol, loss_atol)
    if target is None:
        raise InputError("loss_tol is 0; give a positive share of what can be learned, or loss_atol")
    if problem.learnable == 0.0:
        why = "contradictory labels cancel on average" if problem.loss_floor else "every target is zero"
        raise InputError(f"{why}, so there is nothing to learn; give targets that vary with the inputs")
    if not target.loss < problem.zero_loss:
        raise InputError(
            f"{target.asked} is a loss of {target.loss:g}, but the loss starts at "
            f"{problem.zero_loss:.4g}; give a smaller one"
        )
    return target
