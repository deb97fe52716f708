"""What a sweep will take, said before it starts."""

from __future__ import annotations

from meanfield.problem import Problem

#: Work of a step beside its passes over the neurons, in multiplications (measured by CPU time).
_STEP = 50_000.0
#: Multiplications per neuron where samples lie in a plane: sorted by angle, their number hardly counts.
_PLANAR = 8.0


def run_work(problem: Problem, size: int) -> float:
    """Work of a step of a network of so many neurons, about, in multiplications."""
    each = _PLANAR if problem.rank <= 2 else float(problem.n * problem.rank)
    return _STEP + each * size
