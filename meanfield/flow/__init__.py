"""Floor 2: gradient flow (step, control, stopping, observables, trajectory) and gradient descent."""

from meanfield.flow.descent import gradient_descent
from meanfield.flow.driver import METHODS, FlowInterrupted, gradient_flow
from meanfield.flow.status import Status
from meanfield.flow.stopping import Snapshot
from meanfield.flow.trajectory import Stats, Trajectory

__all__ = [
    "METHODS",
    "FlowInterrupted",
    "Snapshot",
    "Stats",
    "Status",
    "Trajectory",
    "gradient_descent",
    "gradient_flow",
]
