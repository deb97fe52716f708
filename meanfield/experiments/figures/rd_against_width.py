"""RD_w against m at gamma' = 0 in the three regimes, with fits, theory and the published runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.experiments.cells import CellResult
from meanfield.experiments.diagram import PhaseDiagram
from meanfield.experiments.figures import published
from meanfield.experiments.figures.entry import Check, Entry, FigureResult, Request, as_rows
from meanfield.experiments.figures.protocol import listed, sweep
from meanfield.kernel_law import DisplacementLaw
from meanfield.scaling import Scaling

#: Share by which a random kernel of m = 1000 neurons may move RD_w: three times m**(-1/2) / 2.
_KERNEL_SCATTER = 0.05


@dataclass(frozen=True, eq=False)
class RdAgainstWidth(FigureResult):
    """The sweep behind the figure.

    Attributes
    ----------
    diagram : PhaseDiagram
        gamma = 0.5, 1, 1.75 at gamma' = 0.
    """

    diagram: PhaseDiagram


def compute(request: Request) -> RdAgainstWidth:
    """Train three widths and two draws (quick), or the five published widths and three draws."""
    widths, seeds = (published.WIDTHS[:3], 2) if request.quick else (published.WIDTHS, 3)
    diagram = sweep(request, gamma=list(published.RD_W), gamma_prime=[0.0], widths=widths, seeds=seeds)
    rows = [
        (result.cell.gamma, result.cell.width, result.cell.seed, result.rd_w, result.rd_a, result.loss,
         result.status, published.RD_W[result.cell.gamma][published.WIDTHS.index(result.cell.width)])
        for result in diagram.results if isinstance(result, CellResult)
    ]  # fmt: skip
    return RdAgainstWidth(
        header=("gamma", "m", "seed", "rd_w", "rd_a", "loss", "status", "rd_w_published"),
        rows=as_rows(rows), checks=(*_displacements(diagram), *_slopes(diagram)),
        ran=f"{len(rows)} networks, m = {listed(widths)} per twin half, {seeds} draws each",
        diagram=diagram,
    )  # fmt: skip


def _displacements(diagram: PhaseDiagram) -> list[Check]:
    """Geometric mean over draws against the published run and, where RD_w is small, the linear law."""
    checks = []
    law = DisplacementLaw(diagram.problem, neurons_per_width=2)
    for j, gamma in enumerate(map(float, diagram.gamma)):
        expected, _ = law.displacement(Scaling(gamma), [float(m) for m in diagram.widths])
        for k, width in enumerate(map(int, diagram.widths)):
            mean = float(np.exp(np.mean(np.log(diagram.rd_w[0, j, k]))))
            what = f"RD_w at gamma = {gamma:g}, m = {width}"
            known = published.RD_W[gamma][published.WIDTHS.index(width)]
            checks.append(Check(what, mean, known, "published", published.RD_SCATTER, relative=True))
            if gamma < 1.0:
                checks.append(Check(what, mean, float(expected[k]), "theory", _KERNEL_SCATTER, relative=True))
    return checks


def _slopes(diagram: PhaseDiagram) -> list[Check]:
    """Against the published slope at all widths, or that of the published runs at some of them."""
    checks = []
    count = len(diagram.widths)
    for row in diagram.rows:
        runs = np.log(published.RD_W[row.gamma][:count])
        known = (
            published.S_W[row.gamma]
            if count == len(published.WIDTHS)
            else float(np.polyfit(np.log(diagram.widths), runs, 1)[0])
        )
        checks.append(
            Check(f"S_w at gamma = {row.gamma:g}", row.S_w.value, known, "published", published.SLOPE_SCATTER)
        )
    return checks


ENTRY = Entry(
    "rd-against-width", "RD_w against m at gamma = 0.5, 1, 1.75, with fits and published runs", "nothing",
    (3.0, 20.0), compute,
)  # fmt: skip
