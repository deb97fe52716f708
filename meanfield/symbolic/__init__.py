"""Theory derived rather than typed, in SymPy: the flow, its normalisation, exponents and closed forms.

This room stands beside the others: nothing that computes imports it, and it imports nothing that does.
"""

from meanfield.symbolic.deep import ThreeLayer
from meanfield.symbolic.network import TwoLayer, gamma, gamma_prime
from meanfield.symbolic.power_counting import boundaries, exponents, regions
from meanfield.symbolic.result import Boundary, Exponents, Growth, Region, Step

__all__ = [
    "Boundary",
    "Exponents",
    "Growth",
    "Region",
    "Step",
    "ThreeLayer",
    "TwoLayer",
    "boundaries",
    "exponents",
    "gamma",
    "gamma_prime",
    "regions",
]
