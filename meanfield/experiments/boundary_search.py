"""Steps towards the zero of S_w along gamma, with few ensembles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meanfield.experiments.grid import Grid, as_exponents
from meanfield.experiments.reference import ReferenceSlope
from meanfield.experiments.slopes import Slope
from meanfield.experiments.zeros import locate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """An ensemble that was trained on the way to a zero.

    Attributes
    ----------
    gamma, gamma_prime : float
        The point of the plane.
    S_w : Slope
        What it measured.
    reference : float
        The slope of the same widths without sampling noise.
    """

    gamma: float
    gamma_prime: float
    S_w: Slope
    reference: float


class Search:
    """The search at one gamma_prime."""

    def __init__(self, reference: ReferenceSlope) -> None:
        self.reference = reference
        start = reference.zero()
        self.next = _as_point(reference.predicted if np.isnan(start) else start)
        self.visited: dict[float, Slope] = {}
        self.star, self.interval = np.nan, (-np.inf, np.inf)
        self.settled = self.done = False

    @property
    def here(self) -> Array:
        """The next gamma, as an axis of a grid."""
        return as_exponents("gamma", self.next)

    @property
    def there(self) -> Array:
        """The row's gamma_prime, as an axis of a grid."""
        return as_exponents("gamma_prime", self.reference.gamma_prime)

    def take(self, S_w: Slope, tol: float) -> Evaluation:
        """Step from what an ensemble at the next point measured, and those before it."""
        here = self.next
        self.visited[here] = S_w
        at = sorted(self.visited)
        zero = locate(self.reference.gamma_prime, np.array(at), [self.visited[g] for g in at], self.reference)
        self.star, self.interval = (np.nan, (-np.inf, np.inf)) if zero is None else (
            zero.gamma, (zero.low, zero.high)
        )  # fmt: skip
        self.settled = bool(abs(self.star - here) <= tol)
        self.done = self.settled or not np.isfinite(self.star)
        if not self.done:
            self.next = _as_point(self.star)
        return Evaluation(here, self.reference.gamma_prime, S_w, float(self.reference(here)))


def stepped(
    rows: Sequence[Search],
    grid: Grid,
    measured: Callable[[list[Grid]], list[Slope]],
    tol: float,
    max_points: int,
) -> tuple[Evaluation, ...]:
    """Step along all rows at once, with an ensemble at the next point of each, until they are done.

    ``measured`` trains the ensembles at some points and returns their S_w.
    """
    evaluations: list[Evaluation] = []
    for _ in range(max_points):
        going = [row for row in rows if not row.done]
        if not going:
            break
        points = [replace(grid, gamma=row.here, gamma_prime=row.there) for row in going]
        evaluations += [row.take(S_w, tol) for row, S_w in zip(going, measured(points), strict=True)]
    return tuple(evaluations)


def _as_point(gamma: float) -> float:
    """Rounded, so that a search repeated with more seeds visits points that a store may hold."""
    return round(gamma, 3)
