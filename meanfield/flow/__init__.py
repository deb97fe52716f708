"""Floor 2: gradient flow (step, control, stopping, observables, trajectory) and gradient descent."""

from meanfield.flow.descent import gradient_descent
from meanfield.flow.driver import METHODS, FlowInterrupted, gradient_flow
from meanfield.flow.moments import Moment
from meanfield.flow.order_parameters import (
    OrderParameters,
    dead_fraction,
    effective_orientations,
    kernel_alignment,
    pinned_fraction,
    tangent_kernel,
)
from meanfield.flow.replay import Replay, replay
from meanfield.flow.status import Status
from meanfield.flow.stopping import Snapshot
from meanfield.flow.target import LossTarget
from meanfield.flow.trajectory import Stats, Trajectory

__all__ = [
    "METHODS",
    "FlowInterrupted",
    "LossTarget",
    "Moment",
    "OrderParameters",
    "Replay",
    "Snapshot",
    "Stats",
    "Status",
    "Trajectory",
    "dead_fraction",
    "effective_orientations",
    "gradient_descent",
    "gradient_flow",
    "kernel_alignment",
    "pinned_fraction",
    "replay",
    "tangent_kernel",
]


def __dir__() -> list[str]:
    return sorted(__all__)
