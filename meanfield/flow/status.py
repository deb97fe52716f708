"""Why a run stopped, and what to do about it."""

from __future__ import annotations

import enum


class Status(enum.Enum):
    """Reason for the end of a run; the value says what to do."""

    CONVERGED = "the loss reached what loss_tol or loss_atol asked for"
    REACHED_TIME = "the flow reached t_end"
    STATIONARY = (
        "the flow came to rest at a loss above its target: a stationary point; other seeds or a larger width "
        "may avoid it, a smaller rtol shows whether the end hangs on it, inputs far from zero for their "
        "spread must be standardised (problem.far_from_zero says so), stationarity=0 goes on regardless"
    )
    HELD = (
        "the flow came to rest at a loss above its target, where it is not unique: some neurons are held at "
        "the origin of w, or on a kink, and a small push of them lowers the loss; go on from "
        "run.final.pushed(), with another rng if that ends as high, or try a smaller rtol"
    )
    MAX_STEPS = (
        "the number of steps reached max_steps; raise max_steps, rtol or loss_tol, or give the run in "
        "place of the network, as in gradient_flow(problem, run), to go on"
    )
    MAX_SECONDS = (
        "the wall time reached max_seconds; raise max_seconds, or give the run in place of the network, "
        "as in gradient_flow(problem, run), to go on"
    )
    ROUNDING = (
        "the residual reached the rounding of the outputs: nothing is left to learn in double precision"
    )
    UNRESOLVED = (
        "the outputs are a difference of terms so large that their rounding hides the targets: nothing can "
        "be learned in double precision; give a smaller width or kappa, or larger targets"
    )
    USER = "the stop rule given by the user fired"
    STEP_TOO_SMALL = (
        "the step size fell below rounding; raise rtol, or check the data for entries of very different size"
    )
    DIVERGED = "the loss grew without bound; lower learning_rate, or use gradient_flow, which has none"
    INTERRUPTED = (
        "the run was interrupted; give it in place of the network, as in gradient_flow(problem, run), "
        "to go on"
    )

    @property
    def remedy(self) -> str:
        """One sentence: what happened and what to do."""
        return self.value

    @property
    def converged(self) -> bool:
        """Whether the run ended where it was meant to."""
        return self in (Status.CONVERGED, Status.REACHED_TIME, Status.ROUNDING, Status.USER)

    @property
    def finished(self) -> bool:
        """Whether the run was not cut off: it converged or came to rest, so that what it found is final.

        Sweeps count such runs, and the command line calls them a success.
        """
        return self.converged or self in (Status.STATIONARY, Status.HELD)
