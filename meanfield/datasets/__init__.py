"""Data sets: the paper's, other small synthetic ones, scikit-learn's digits, and files of your own.

Every function returns a :class:`~meanfield.problem.Problem`; targets are of order one throughout.
"""

from meanfield.datasets.files import load
from meanfield.datasets.images import digits, load_idx
from meanfield.datasets.synthetic import circle, four_points, function_1d, teacher

__all__ = ["circle", "digits", "four_points", "function_1d", "load", "load_idx", "teacher"]


def __dir__() -> list[str]:
    return sorted(__all__)
