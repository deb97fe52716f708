"""The cells of a sweep: a grid of the plane with an ensemble at each point, checked where it enters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import real_array, shown, whole_number
from meanfield.errors import InputError
from meanfield.experiments.cells import Cell

_MOST_SEEDS = 1_000_000


@dataclass(frozen=True, eq=False)
class Grid:
    """All pairs of exponents, all widths, all seeds.

    Attributes
    ----------
    gamma, gamma_prime : ndarray, shapes (G,) and (P,)
        Exponents, sorted.
    widths, seeds : ndarray of int, shapes (W,) and (S,)
        The ensemble at each point, sorted.
    """

    gamma: NDArray[np.float64]
    gamma_prime: NDArray[np.float64]
    widths: NDArray[np.int64]
    seeds: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Numbers of gamma_prime, gamma, widths and seeds, the order in which cells are listed."""
        return (len(self.gamma_prime), len(self.gamma), len(self.widths), len(self.seeds))

    def cells(self) -> Iterator[Cell]:
        """The cells in the order of :attr:`shape`, the last axis fastest."""
        for gp in self.gamma_prime:
            for g in self.gamma:
                for m in self.widths:
                    for seed in self.seeds:
                        yield Cell(float(g), float(gp), int(m), int(seed))


def shard_of(cells: Sequence[Cell], shard: tuple[int, int]) -> list[Cell]:
    """Part i of n of a list of cells, ``shard = (i, n)``: about the same work in each.

    Cells are dealt like cards, the widest first and neighbours in the plane to different parts. The
    order uses no computed number, so that every machine deals alike.

    Examples
    --------
    >>> cells = [Cell(1.0, 0.0, m, seed) for m in (100, 200) for seed in (0, 1)]
    >>> [(cell.width, cell.seed) for cell in shard_of(cells, (1, 2))]
    [(200, 0), (100, 0)]
    """
    try:
        part, parts = (whole_number("shard", value) for value in shard)
        if part > parts:
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(f"shard is {shown(shard)}; give (i, n) with i from 1 to n") from None
    return sorted(cells, key=lambda cell: (-cell.width, *astuple(cell)))[part - 1 :: parts]


def astuple(cell: Cell) -> tuple[float, float, int, int]:
    """A cell as the numbers that order it."""
    return (cell.gamma, cell.gamma_prime, cell.width, cell.seed)


def as_exponents(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Exponents along one axis of the plane: sorted, each once."""
    try:
        array = np.atleast_1d(real_array(name, values))
    except InputError:
        array = np.array([math.nan])
    array = np.clip(array, -1e6, 1e6)  # beyond, rounding would overflow: refused below
    # Rounding makes a point of the plane the same cell however it was computed.
    array = np.unique(np.round(array, 12)) + 0.0 if array.ndim == 1 and array.size else np.array([math.nan])
    if not np.all(np.abs(array) <= 100):
        raise InputError(f"{name} must be a list of exponents between -100 and 100, but is {shown(values)}")
    return array


def as_widths(name: str, values: Sequence[int]) -> NDArray[np.int64]:
    """Widths: sorted, each once."""
    array = _listed(values)
    if array.ndim != 1 or array.dtype.kind not in "iuf" or not np.all(array == np.floor(array)):
        raise InputError(f"{name} is {shown(values)}; give positive whole numbers")
    if not np.all((array >= 1) & (array <= 1e9)):
        raise InputError(f"{name} is {shown(list(array))}; give whole numbers from 1 to 1e9")
    return np.unique(array.astype(np.int64))


def as_seeds(seeds: int | Sequence[int]) -> NDArray[np.int64]:
    """Seeds, given as a number of them or as a list."""
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        if not 1 <= seeds <= _MOST_SEEDS:
            raise InputError(f"seeds is {shown(seeds)}; give at least 1, at most {_MOST_SEEDS}")
        return np.arange(int(seeds), dtype=np.int64)
    array = _listed(seeds)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu" or np.any(array < 0):
        raise InputError(f"seeds is {shown(seeds)}; give a number of seeds, or a list of whole numbers >= 0")
    return np.unique(array.astype(np.int64))


def _listed(values: Any) -> NDArray[Any]:
    try:
        return np.atleast_1d(np.asarray(values))
    except ValueError:  # lists of different lengths
        return np.array([values], dtype=object)
