"""Figures of the paper that rest on a sweep."""

from __future__ import annotations

from matplotlib.figure import Figure

from meanfield.experiments.figures import published
from meanfield.experiments.figures.exponent_map import ExponentMap
from meanfield.experiments.figures.rd_against_width import RdAgainstWidth
from meanfield.plotting.maps import phase_diagram
from meanfield.plotting.style import new_axes
from meanfield.plotting.widths import rd_against_width


def draw_rd_against_width(result: RdAgainstWidth) -> Figure:
    """RD_w against m: runs, fits, theory and the published runs at the same widths."""
    points = [(float(gamma), 0.0) for gamma in result.diagram.gamma]
    count = len(result.diagram.widths)
    known = {
        (gamma, 0.0): (published.WIDTHS[:count], values[:count]) for gamma, values in published.RD_W.items()
    }
    ax = new_axes("column", 2.6)
    rd_against_width(result.diagram, points, ax, published=known)
    return ax.figure  # type: ignore[return-value]  # new_axes made it


def draw_exponent_map(result: ExponentMap) -> Figure:
    """The map of S_w with its zeros as stars, and the published zeros as hollow ones."""
    rows = {float(at) for at in result.diagram.gamma_prime}
    zeros = [(gamma, at) for at, gamma in published.ZEROS.items() if at in rows]
    ax = new_axes("column", 3.7)
    phase_diagram(result.diagram, ax, schemes=False, published_zeros=zeros)
    return ax.figure  # type: ignore[return-value]
