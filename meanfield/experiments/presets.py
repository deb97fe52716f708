"""Ready-made grids for the phase diagram."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Arguments of :func:`meanfield.phase_diagram` that make a sensible map.

    Attributes
    ----------
    gamma, gamma_prime : tuple of float
        The grid.
    widths : tuple of int
        Widths.
    seeds : int
        Draws per point.
    loss_atol : float or None
        The loss R to train to; None for the default of :func:`meanfield.phase_diagram`.
    per_half : bool
        What a width counts: the neurons of one of two twin halves, or all of them.
    """

    gamma: tuple[float, ...]
    gamma_prime: tuple[float, ...]
    widths: tuple[int, ...]
    seeds: int
    loss_atol: float | None = None
    per_half: bool = False


PRESETS: Mapping[str, Preset] = {
    # About a minute for the four points on two cores. The boundary runs midway between neighbouring points,
    # where a few thousand neurons can tell its sides apart.
    "quick": Preset(
        gamma=(0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7),
        gamma_prime=(-0.4, -0.2, 0.0, 0.2, 0.4),
        widths=(500, 2000, 8000),
        seeds=10,
    ),
    # The published map: Luo et al. 2021, its grid, its widths, each of one of two halves, and its mean square
    # of 1e-6, which is 2 R.
    "paper": Preset(
        gamma=(0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0, 1.02, 1.05, 1.1, 1.2, 1.3, 1.4),
        gamma_prime=(-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4),
        widths=(1000, 5000, 10000, 20000, 40000),
        seeds=1,
        loss_atol=5e-7,
        per_half=True,
    ),
}
