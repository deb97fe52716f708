"""A point of the map of the limit: what cells are to a sweep, without a network, a draw or a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.activations import RELU, Activation
from meanfield.arguments import check_types
from meanfield.flow import Status
from meanfield.regime import exponents

Array = NDArray[np.float64]


@dataclass(frozen=True, order=True)
class LimitPoint:
    """A scaling and a width at which the limit was computed.

    Attributes
    ----------
    gamma, gamma_prime : float
        Exponents of the scaling.
    width : float
        The scale m, any real number.
    """

    gamma: float
    gamma_prime: float
    width: float


@dataclass(frozen=True)
class LimitSettings:
    """What all points of a map of the limit share.

    Attributes
    ----------
    loss_atol : float
        Loss ``R = (1/2n) sum (f - y)**2`` at which training ends.
    nodes : int or None
        Particles of a flow; None where the file of an older version does not say.
    tol : float or None
        As in :func:`meanfield.limits.limit_displacements`; None where a file does not say.
    """

    loss_atol: float
    nodes: int | None = None
    tol: float | None = None

    #: The initial output of the limit is zero, and a width counts all neurons.
    antisymmetric: ClassVar[bool] = True
    per_half: ClassVar[bool] = False
    activation: ClassVar[Activation] = RELU
    beta2: ClassVar[None] = None

    def described(self) -> dict[str, Any]:
        """Names and values of the settings, for files and tables.

        Returns
        -------
        dict
            Numbers and None only.
        """
        return asdict(self)

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> LimitSettings:
        """The settings that :meth:`described` has described.

        Parameters
        ----------
        kept : mapping
            From a file.

        Returns
        -------
        LimitSettings
        """
        settings = cls(**kept)
        check_types(settings)
        return settings

    def theory(self, gamma: ArrayLike, gamma_prime: ArrayLike) -> tuple[Array, Array]:
        """Predicted exponents S_w and S_a.

        Parameters
        ----------
        gamma, gamma_prime : float or array_like, shape (...)
            Points of the plane; they are broadcast against each other.

        Returns
        -------
        S_w, S_a : ndarray, shape (...)
        """
        return exponents(gamma, gamma_prime)


@dataclass(frozen=True)
class LimitResult:
    """What is kept of a point; see :class:`meanfield.limits.LimitDisplacement`.

    Attributes
    ----------
    cell : LimitPoint
        Where it is.
    rd_w, rd_a : float
        Suprema of the relative displacements.
    loss, time : float
        Loss and normalised time at the end.
    status : str
        Name of the status in which the computation ended.
    steps : int
        Steps of the flow; 0 for the closed form.
    source : str
        "kernel" for the closed form, "mean-field" for a flow of nodes.
    """

    cell: LimitPoint
    rd_w: float
    rd_a: float
    loss: float
    time: float
    status: str
    steps: int
    source: str

    @property
    def converged(self) -> bool:
        """Whether the loss that was asked for was reached."""
        return self.status == "CONVERGED"

    @property
    def finished(self) -> bool:
        """Whether training ended by itself: at the tolerance, or at rest."""
        return Status[self.status].finished
