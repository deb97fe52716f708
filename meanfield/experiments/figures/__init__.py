"""Figures and tables of Luo et al. 2021, each computed by one call: ``meanfield.figures.run(name)``.

Every module holds one figure: a computation that returns a frozen result with a tidy table and with its
numbers beside published ones or theory's. ``meanfield.plotting.figure`` draws results.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import get_args

from meanfield.arguments import did_you_mean, shown
from meanfield.errors import InputError
from meanfield.experiments.executors import AnyExecutor
from meanfield.experiments.figures import (
    condensation,
    condensation_images,
    exponent_map,
    learned_functions,
    phase_diagram,
    rd_against_width,
    schemes,
    splitting,
    tanh,
)
from meanfield.experiments.figures.entry import Check, Entry, FigureName, FigureResult, Request

#: All figures by name, in the paper's order.
FIGURES: Mapping[FigureName, Entry] = {
    module.ENTRY.name: module.ENTRY
    for module in (
        schemes,
        phase_diagram,
        learned_functions,
        splitting,
        rd_against_width,
        exponent_map,
        condensation,
        condensation_images,
        tanh,
    )
}

__all__ = ["FIGURES", "Check", "Entry", "FigureResult", "Request", "entry", "run"]


def __dir__() -> list[str]:
    return sorted(__all__)


def run(
    name: FigureName,
    *,
    quick: bool = False,
    seed: int = 0,
    executor: AnyExecutor = None,
    store: str | os.PathLike[str] | None = None,
    width: int = 1000,
    dim: int = 2,
    images: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> FigureResult:
    """Compute the numbers of one of the paper's figures.

    Parameters
    ----------
    name : str
        One of :data:`FIGURES`.
    quick : bool, default False
        A small version, in seconds: fewer points, widths and draws.
    seed : int, default 0
        Root of all random numbers.
    executor, store
        For figures that rest on a sweep: as in :func:`meanfield.phase_diagram`.
    width, dim : int, default 1000, 2
        The m and d (bias included) of the table of initialisations.
    images, labels : path-like, optional
        MNIST's IDX files, for the figure on images; by default scikit-learn's digits.
    progress
        As in :func:`meanfield.phase_diagram`.

    Returns
    -------
    FigureResult
        A subclass with what :func:`meanfield.plotting.figure` draws; ``.header`` and ``.rows`` are its table,
        ``.checks`` its numbers beside published or theoretical ones.

    Raises
    ------
    InputError
        If there is no such figure, or an argument cannot be used.
    MissingExtraError
        If the figure needs an optional package.

    Examples
    --------
    >>> import meanfield as mf
    >>> table = mf.figures.run("schemes", width=1000, dim=10)
    >>> table.column("scheme")[:2], [round(kappa, 4) for kappa in table.column("kappa")[:2]]
    (['LeCun', 'He'], [0.01, 0.02])
    """
    request = Request(
        quick=quick, seed=seed, executor=executor, store=store, width=width, dim=dim, images=images,
        labels=labels, progress=progress,
    )  # fmt: skip
    return entry(name).compute(request)


def entry(name: FigureName | None) -> Entry:
    """One of :data:`FIGURES` by name; an :class:`InputError` if there is none.

    Parameters
    ----------
    name : str or None
        Name of the figure.

    Returns
    -------
    Entry

    Examples
    --------
    >>> print(entry("schemes").shows)
    table of common initialisations, at any m and d
    """
    if not isinstance(name, str) or name not in get_args(FigureName):
        given = "no figure given" if name is None else f"no figure is called {shown(name)}"
        raise InputError(f"{given}; choose one of {', '.join(FIGURES)}{did_you_mean(name, FIGURES)}")
    return FIGURES[name]
