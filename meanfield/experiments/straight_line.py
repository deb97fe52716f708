"""The zero of a row of slopes by one straight line: how published maps were evaluated, not what is true."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from meanfield.arguments import real_array
from meanfield.errors import InputError


def straight_line_zero(gamma: ArrayLike, S_w: ArrayLike) -> float:
    """Gamma at which a straight line through all slopes of a row says that S_w = 0.

    For comparison with published zeros only (docs/reproduction.md). The line is fitted by least squares
    to gamma as a function of S_w. The exponent is not linear in gamma: it rises with slope 1 on one side
    of the boundary and 1/2 on the other, so that this zero lies off the true one, by an amount that
    depends on the grid. Use :func:`meanfield.boundary`, or :attr:`PhaseDiagram.zeros`.

    Parameters
    ----------
    gamma, S_w : array_like, shape (G,)
        A row of the map, at least two finite and different slopes.

    Returns
    -------
    float

    Examples
    --------
    >>> print(f"{straight_line_zero([0.5, 1.5], [-0.5, 0.25]):.4f}")
    1.1667
    """
    at, slopes = real_array("gamma", gamma), real_array("S_w", S_w, finite=False)
    if at.ndim != 1 or at.shape != slopes.shape:
        raise InputError(f"gamma has shape {at.shape} and S_w {slopes.shape}; give two rows of one length")
    usable = np.isfinite(slopes)
    if len(np.unique(slopes[usable])) < 2:
        return math.nan
    return float(np.polyfit(slopes[usable], at[usable], 1)[1])
