"""The paper's figures, drawn from the results of :mod:`meanfield.experiments.figures`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from meanfield.arguments import with_article
from meanfield.errors import InputError
from meanfield.experiments.figures import FigureResult
from meanfield.experiments.figures.condensation import Condensation
from meanfield.experiments.figures.condensation_images import CondensationImages
from meanfield.experiments.figures.exponent_map import ExponentMap
from meanfield.experiments.figures.learned_functions import LearnedFunctions
from meanfield.experiments.figures.phase_diagram import PhasePlane
from meanfield.experiments.figures.rd_against_width import RdAgainstWidth
from meanfield.experiments.figures.schemes import SchemeTable
from meanfield.experiments.figures.splitting import Splitting
from meanfield.experiments.figures.tanh import TanhBoundary
from meanfield.plotting.paper.exponents import draw_splitting, draw_tanh
from meanfield.plotting.paper.functions import draw_learned_functions
from meanfield.plotting.paper.neurons import draw_condensation, draw_condensation_images
from meanfield.plotting.paper.plane import draw_phase_plane
from meanfield.plotting.paper.schemes import draw_schemes_table
from meanfield.plotting.paper.sweeps import draw_exponent_map, draw_rd_against_width
from meanfield.plotting.style import styled

_DRAWINGS: Mapping[type[FigureResult], Callable[[Any], Figure]] = {
    SchemeTable: draw_schemes_table,
    PhasePlane: draw_phase_plane,
    LearnedFunctions: draw_learned_functions,
    ExponentMap: draw_exponent_map,
    Condensation: draw_condensation,
    CondensationImages: draw_condensation_images,
    Splitting: draw_splitting,
    TanhBoundary: draw_tanh,
    RdAgainstWidth: draw_rd_against_width,
}


@styled
def figure(result: FigureResult) -> Figure:
    """Draw one of the paper's figures.

    Parameters
    ----------
    result : FigureResult
        What ``meanfield.figures.run`` returned.

    Returns
    -------
    matplotlib.figure.Figure
        At its printed size, a column or a page wide; :func:`meanfield.plotting.save` writes it.

    Raises
    ------
    InputError
        If result is something else.

    Examples
    --------
    >>> import meanfield as mf
    >>> drawn = mf.plotting.figure(mf.figures.run("schemes"))
    >>> float(drawn.get_size_inches()[0])
    6.75
    """
    if type(result) not in _DRAWINGS:
        raise InputError(f"result is {with_article(type(result))}; give the result of meanfield.figures.run")
    return _DRAWINGS[type(result)](result)
