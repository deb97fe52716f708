"""Figures of results: each function draws the data and the theory that belongs to it.

Every function takes the ``Axes`` to draw into, or makes a figure of its own at the width of a column,
and returns the axes. All figures share one style, which is applied while they are drawn: the user's
matplotlib settings are neither used nor changed, and no window system is needed.
"""

from meanfield.plotting.boundaries import boundary
from meanfield.plotting.curves import learned_function, loss
from meanfield.plotting.ensembles import ensemble_curves, ensemble_function
from meanfield.plotting.exponents import exponent_map
from meanfield.plotting.kernels import loss_and_kernel
from meanfield.plotting.limits import approach, convergence
from meanfield.plotting.maps import phase_diagram
from meanfield.plotting.measured import exponents_along_gamma
from meanfield.plotting.neurons import orientations
from meanfield.plotting.output import save
from meanfield.plotting.paper import figure
from meanfield.plotting.style import new_axes
from meanfield.plotting.widths import rd_against_width

__all__ = [
    "approach",
    "boundary",
    "convergence",
    "ensemble_curves",
    "ensemble_function",
    "exponent_map",
    "exponents_along_gamma",
    "figure",
    "learned_function",
    "loss",
    "loss_and_kernel",
    "new_axes",
    "orientations",
    "phase_diagram",
    "rd_against_width",
    "save",
]


def __dir__() -> list[str]:
    return sorted(__all__)
