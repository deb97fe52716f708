"""The step protocol: what a method of integration is to the driver.

A method is a small class that is built on a :class:`~meanfield.flow.system.CanonicalSystem` and
turns a state and a step size into an attempt: a new state and an estimate of the error made. It
neither chooses step sizes nor accepts its own attempts; that is :mod:`meanfield.flow.control`'s.

A step is a pure function of the state, its length and the memory that is handed in: what a method wants to
know at its next step goes out with the attempt, once for the case that it is accepted and once for the case
that it is tried again from the same state. The driver hands on one of the two and never looks inside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.tangent import Array

#: Methods of integration that users choose from.
MethodName: TypeAlias = Literal["residual", "linearly-implicit", "runge-kutta", "rosenbrock", "stabilised"]

#: What a method remembers between steps: its own business.
Memory: TypeAlias = Any


@dataclass(frozen=True)
class EventCounts:
    """Events that particles met at the kinks of the ReLU; zeros for methods that do not see them.

    Attributes
    ----------
    crossed : int
        Kinks crossed.
    slid : int
        Times that a neuron began to slide along a kink.
    origin : int
        Times that a sliding neuron passed the origin of q, or came to rest there.
    unresolved : int
        Particles whose events in one step were too many to follow; not zero is a reason for doubt.
    """

    crossed: int = 0
    slid: int = 0
    origin: int = 0
    unresolved: int = 0

    def __add__(self, other: EventCounts) -> EventCounts:
        return EventCounts(
            self.crossed + other.crossed,
            self.slid + other.slid,
            self.origin + other.origin,
            self.unresolved + other.unresolved,
        )


class Motion(NamedTuple):
    """Constant residuals e (stages, n), each felt for a canonical time h (stages,)."""

    h: Array
    e: Array


@dataclass(frozen=True, eq=False)
class Attempt:
    """A step that was tried.

    Attributes
    ----------
    state : State
        Where it leads.
    loss_rate : float
        ``-dR/ds`` at the start of the step, ``kappa sum_k weight_k |d(p_k, q_k)/ds|**2``.
    output_error : ndarray, shape (n,)
        Estimated error of the outputs made in this step; or of e, which for the mean square is the same.
    layer_error : ndarray, shape (2,)
        Weighted norms of the estimated error of p and q.
    dissipated : float
        Energy that the particles gave off in the step, ``kappa int sum_k weight_k |d(p_k, q_k)/ds|**2 ds`` as
        the method has it; by the energy law the loss falls by as much. nan where a method does not know.
    events : EventCounts
        Events met in the step.
    motion : Motion, optional
        What moved the particles; None for methods that do not move them under constant residuals.
    stiff : bool
        Whether its error sits in fast modes, which decay at once but may raise the loss meanwhile.
    meets : float
        Length of the step that would end at the first kink that this one went across, as far as is known;
        what to try next if this was too long. No less than the step if there was none.
    memory : object
        What the method remembers at ``state``, for the step that goes on from there.
    again : object
        What it remembers at the start of this step, for the next attempt from there.
    of_pull : bool
        Whether ``output_error`` is that of e.
    """

    state: State
    loss_rate: float
    output_error: Array
    layer_error: Array
    dissipated: float = math.nan
    events: EventCounts = EventCounts()
    motion: Motion | None = None
    stiff: bool = False
    meets: float = math.inf
    memory: Memory = None
    again: Memory = None
    of_pull: bool = False


class Method(Protocol):
    """One way to take a step."""

    #: Name under which users choose it.
    name: ClassVar[MethodName]
    #: Power of h with which the estimated error of a step falls.
    error_order: ClassVar[int]
    #: What it must know of a system: all of them, or the kind of system that serves it.
    needs: ClassVar[type[CanonicalSystem]]

    def __init__(self, system: CanonicalSystem) -> None:
        """Bind the method to a system and allocate its buffers."""

    def step(self, state: State, h: float, memory: Memory = None) -> Attempt:
        """Try a step of canonical length h.

        Parameters
        ----------
        state : State
            Where it starts.
        h : float
            Its canonical length.
        memory : object
            ``memory`` of the attempt that led to the state, or ``again`` of the last one from it that was
            refused; None at the start of a run, and where a state was changed by hand.
        """
