"""Two-layer ReLU networks at large width: gradient flow, infinite-width limits, the phase diagram.

The public names are loaded on first use (SPEC 1), so that ``import meanfield`` stays cheap. Their types
stand in ``__init__.pyi``.
"""

__version__ = "0.1.0"

#: Where each public name comes from, in the order in which a user meets them.
_HOMES = {
    "Problem": "problem",
    "Scaling": "scaling",
    "PowerLaw": "laws",
    "Regime": "regime",
    "classify": "regime",
    "exponents": "regime",
    "Activation": "activations",
    "Particles": "particles",
    "gradient_flow": "flow",
    "gradient_descent": "flow",
    "Trajectory": "flow",
    "Status": "flow",
    "ensemble": "experiments",
    "Ensemble": "experiments",
    "infinite_width": "limits",
    "InfiniteWidth": "limits",
    "load": "experiments",
    "phase_diagram": "experiments",
    "limit_diagram": "experiments",
    "PhaseDiagram": "experiments",
    "boundary": "experiments",
    "Boundary": "experiments",
    "InputError": "errors",
    "StoreError": "errors",
    "MissingExtraError": "errors",
    "WorkerLostError": "errors",
    "figures": "experiments",
}
#: Modules for users.
_ROOMS = (
    "activations",
    "datasets",
    "experiments",
    "flow",
    "kernel_law",
    "kernels",
    "limits",
    "plotting",
    "symbolic",
)

__all__ = [*_HOMES, *_ROOMS]


def __getattr__(name: str) -> object:
    from importlib import import_module  # here, so that it is no name of the package

    value: object
    if name in _HOMES:
        value = getattr(import_module(f"meanfield.{_HOMES[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"meanfield.{name}")
    else:
        raise AttributeError(f"module 'meanfield' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
