"""Theory derived rather than typed, in SymPy: the flow, its normalisation, exponents and closed forms.

This room stands beside the others: nothing that computes imports it, and it imports nothing that does
(of activations it reads what they say of themselves).
"""

from typing import TYPE_CHECKING

from meanfield.names import old_names
from meanfield.symbolic.deep import ThreeLayer
from meanfield.symbolic.network import TwoLayer, gamma, gamma_prime
from meanfield.symbolic.power_counting import boundaries, derive_exponents, regions
from meanfield.symbolic.result import BoundaryLine, Exponents, Growth, Region, Step

__all__ = [
    "BoundaryLine",
    "Exponents",
    "Growth",
    "Region",
    "Step",
    "ThreeLayer",
    "TwoLayer",
    "boundaries",
    "derive_exponents",
    "gamma",
    "gamma_prime",
    "regions",
]


if not TYPE_CHECKING:  # type checkers see the names that are there
    __getattr__ = old_names(__name__, Boundary="BoundaryLine", exponents="derive_exponents")


def __dir__() -> list[str]:
    return sorted(__all__)
