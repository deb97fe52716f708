"""Two-layer ReLU networks at large width: gradient flow, infinite-width limits, the phase diagram.

The public names are loaded on first use, so that ``import meanfield`` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meanfield import datasets, limits, plotting, symbolic
    from meanfield.errors import InputError, MissingExtraError, StoreError
    from meanfield.experiments import (
        Boundary,
        Ensemble,
        PhaseDiagram,
        boundary,
        ensemble,
        figures,
        limit_diagram,
        load,
        phase_diagram,
    )
    from meanfield.flow import Status, Trajectory, gradient_descent, gradient_flow
    from meanfield.laws import PowerLaw
    from meanfield.limits import InfiniteWidth, infinite_width
    from meanfield.particles import Particles
    from meanfield.problem import Problem
    from meanfield.regime import Regime, classify, exponents
    from meanfield.scaling import Scaling

__version__ = "0.1.0"

_HOMES = {
    "Boundary": "experiments",
    "Ensemble": "experiments",
    "InfiniteWidth": "limits",
    "InputError": "errors",
    "MissingExtraError": "errors",
    "Particles": "particles",
    "PhaseDiagram": "experiments",
    "PowerLaw": "laws",
    "Problem": "problem",
    "Regime": "regime",
    "Scaling": "scaling",
    "Status": "flow",
    "StoreError": "errors",
    "Trajectory": "flow",
    "boundary": "experiments",
    "classify": "regime",
    "ensemble": "experiments",
    "exponents": "regime",
    "figures": "experiments",
    "gradient_descent": "flow",
    "gradient_flow": "flow",
    "infinite_width": "limits",
    "limit_diagram": "experiments",
    "load": "experiments",
    "phase_diagram": "experiments",
}
_ROOMS = ("datasets", "limits", "plotting", "symbolic")

__all__ = [  # noqa: RUF022 - in the order in which a user meets them
    "Problem",
    "Scaling",
    "PowerLaw",
    "Regime",
    "classify",
    "exponents",
    "Particles",
    "gradient_flow",
    "gradient_descent",
    "Trajectory",
    "Status",
    "ensemble",
    "Ensemble",
    "infinite_width",
    "InfiniteWidth",
    "load",
    "phase_diagram",
    "limit_diagram",
    "PhaseDiagram",
    "boundary",
    "Boundary",
    "InputError",
    "StoreError",
    "MissingExtraError",
    "datasets",
    "figures",
    "limits",
    "plotting",
    "symbolic",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"meanfield.{_HOMES[name]}"), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"meanfield.{name}")
    else:
        raise AttributeError(f"module 'meanfield' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
