"""The measured map of S_w over the plane; its zeros along gamma beside published and noise-free ones.

At finite width a slope does not change sign on the limit's boundary, draws or no draws: the zeros are
compared with those of the limit's dynamics at the same widths, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from meanfield.experiments.diagram import PhaseDiagram
from meanfield.experiments.figures import published
from meanfield.experiments.figures.entry import Check, Entry, FigureResult, Request, as_rows
from meanfield.experiments.figures.protocol import listed, sweep
from meanfield.experiments.presets import PRESETS, Preset

#: A quick map: rows on both sides of gamma' = 0, columns around their zeros.
_QUICK = Preset(
    gamma=(0.8, 0.9, 1.0, 1.1, 1.2, 1.3), gamma_prime=(-0.4, 0.0, 0.2), widths=(400, 1600, 6400), seeds=2,
    per_half=True,
)  # fmt: skip
#: The published map ends before the zero at gamma' = 0.4.
_BEYOND = 1.5


@dataclass(frozen=True, eq=False)
class ExponentMap(FigureResult):
    """The sweep behind the map.

    Attributes
    ----------
    diagram : PhaseDiagram
        S_w with intervals, verdicts and zeros.
    noise_free : mapping of float to float
        By gamma', the zero of the slope that the limit's dynamics has at these widths.
    """

    diagram: PhaseDiagram
    noise_free: Mapping[float, float]


def compute(request: Request) -> ExponentMap:
    """Train a coarse map of smaller networks (quick), or the published one."""
    grid = _QUICK if request.quick else replace(PRESETS["paper"], gamma=(*PRESETS["paper"].gamma, _BEYOND))
    diagram = sweep(
        request,
        gamma=grid.gamma,
        gamma_prime=grid.gamma_prime,
        widths=grid.widths,
        seeds=grid.seeds,
        predict=True,
    )
    rows = [
        (row.gamma, row.gamma_prime, row.S_w.value, row.S_w.low, row.S_w.high, row.predicted_S_w,
         row.verdict.value, row.regime.value)
        for row in diagram.rows
    ]  # fmt: skip
    zeros = {zero.gamma_prime: zero.gamma for zero in diagram.zeros}
    noise_free = dict(zip(diagram.gamma_prime.tolist(), diagram.zeros_at_widths.tolist(), strict=True))
    # Both are allowed what a single draw's scatter moves a zero by, where S_w rises with slope one.
    checks = [
        Check(f"zero of S_w at gamma' = {at:g}", zeros.get(at, math.nan), known[at], source,
              published.SLOPE_SCATTER)
        for at in noise_free
        for source, known in (("theory", noise_free), ("published", published.ZEROS))
    ]  # fmt: skip
    return ExponentMap(
        header=("gamma", "gamma_prime", "S_w", "S_w_low", "S_w_high", "S_w_limit", "verdict", "regime"),
        rows=as_rows(rows), checks=tuple(checks), diagram=diagram, noise_free=noise_free,
        ran=f"{len(diagram.results)} networks at {len(rows)} points, m = {listed(grid.widths)} per twin "
        f"half, {grid.seeds} draw{'s' if grid.seeds > 1 else ''} each",
    )  # fmt: skip


ENTRY = Entry(
    "exponent-map", "measured map of S_w, its zeros as stars beside the published ones", "nothing",
    (6.0, 150.0), compute,
)  # fmt: skip
