"""Floor 3: infinite width. Kernel regime in closed form, mean-field flow by quadrature, early alignment."""

from meanfield.arc_cosine import arc_cosine_kernels
from meanfield.limits.comparison import Comparison, Rate, compare, convergence_rate, mean_run
from meanfield.limits.condensed import EarlyAlignment, early_alignment
from meanfield.limits.displacement import LimitDisplacement, limit_displacements
from meanfield.limits.extremals import Extremal
from meanfield.limits.kernel_regime import KernelRegime, empirical_kernels
from meanfield.limits.linear_law import Displacement
from meanfield.limits.linearised import Linearised
from meanfield.limits.mean_field import infinite_width
from meanfield.limits.result import InfiniteWidth, load

__all__ = [
    "Comparison",
    "Displacement",
    "EarlyAlignment",
    "Extremal",
    "InfiniteWidth",
    "KernelRegime",
    "LimitDisplacement",
    "Linearised",
    "Rate",
    "arc_cosine_kernels",
    "compare",
    "convergence_rate",
    "early_alignment",
    "empirical_kernels",
    "infinite_width",
    "limit_displacements",
    "load",
    "mean_run",
]


def __dir__() -> list[str]:
    return sorted(__all__)
