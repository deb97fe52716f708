"""A point of the flow, as a system makes it and methods take it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class State:
    """A point of the flow: see :meth:`meanfield.flow.system.CanonicalSystem.state`.

    Attributes
    ----------
    s : float
        Canonical time ``kappa tbar``.
    theta : ndarray, shape (1 + r, N)
        Canonical parameters. Methods reuse buffers: copy it to keep it beyond the next step.
    f : ndarray, shape (n,)
        Outputs on the samples.
    e : ndarray, shape (n,)
        Derivative of each sample's loss with respect to its output: the residual of the mean square.
    loss : float
        R, without what is lost on rays.
    felt : ndarray, shape (n,), optional
        Mean of e that particles felt at the end of the last step; None at the start.
    """

    s: float
    theta: Array
    f: Array
    e: Array
    loss: float
    felt: Array | None = None
