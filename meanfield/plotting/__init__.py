"""Figures of results: each function draws the data and the theory that belongs to it.

Every function draws on the ``Axes`` that it is given, or on a new figure at the width of a column, and
returns the axes, as the axes-level functions of seaborn do.

A new figure has the style of this package: your matplotlib settings are neither used nor changed, apart
from ``figure.dpi``. It is shown like any figure of ``matplotlib.pyplot``: by a notebook, and by
``plt.show()`` in a script. Close it with ``plt.close()`` if you make many.

Your own axes keep your style, limits and labels; legends go inside. Every function takes ``legend``,
``label`` and keywords of its main artist, and ``cmap`` and ``colorbar`` where colours stand for numbers.
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
