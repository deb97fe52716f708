"""The phase diagram of two-layer ReLU networks: regimes, boundaries and exponents in the plane.

The plane is that of (gamma, gamma_prime), the exponents of the energetic scale
``kappa ~ m**-gamma`` and of the dynamical scale ``kappa_prime ~ m**-gamma_prime``.

References
----------
.. [1] T. Luo, Z.-Q. J. Xu, Z. Ma, Y. Zhang, "Phase diagram for two-layer ReLU neural networks
   at infinite-width limit", JMLR 22(71), 2021.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.arguments import flag, number, real_array, shared_shape, shown
from meanfield.errors import InputError

#: Far beyond this the differences of exponents, on which the regime rests, are rounding.
_LARGEST = 1e6
#: Distances in the plane below this count as "on the boundary": exponents are given or measured
#: from power laws in double precision, and nobody means gamma = 1 + 1e-12.
ON_BOUNDARY = 1e-9


class _Shown:
    """What a notebook shows of a regime; an enumeration's own body may hold no such name."""

    value: str

    def _repr_html_(self) -> str:
        meaning = {
            "linear": "the relative change of the input weights vanishes as m grows",
            "critical": "the relative change of the input weights stays finite as m grows",
            "condensed": "the relative change of the input weights diverges as m grows",
        }
        return displays.card(f"Regime: {self.value}", {}, meaning[self.value])


class Regime(_Shown, enum.Enum):
    """How a two-layer ReLU network trains as its width m goes to infinity (Luo et al. 2021, sec. 3).

    Examples
    --------
    >>> Regime.classify(0.5, 0.0) is Regime.LINEAR
    True
    """

    #: The input weights' relative change vanishes: the network trains like a kernel machine.
    LINEAR = "linear"
    #: The relative change stays finite: the mean-field limit and its relatives.
    CRITICAL = "critical"
    #: The relative change diverges: neurons condense onto a few directions.
    CONDENSED = "condensed"

    @classmethod
    def classify(cls, gamma: float, gamma_prime: float) -> Regime:
        """Regime of a scaling, by the side of the boundary that it lies on.

        Parameters
        ----------
        gamma, gamma_prime : float
            Exponents of the scaling.

        Returns
        -------
        Regime

        Raises
        ------
        InputError
            If an exponent is no number between -1e6 and 1e6.

        Examples
        --------
        >>> Regime.classify(0.5, 0.0), Regime.classify(1.0, 0.0), Regime.classify(1.75, 0.0)
        (<Regime.LINEAR: 'linear'>, <Regime.CRITICAL: 'critical'>, <Regime.CONDENSED: 'condensed'>)
        """
        gamma, gamma_prime = _exponent_of("gamma", gamma), _exponent_of("gamma_prime", gamma_prime)
        depth = _depth(gamma, gamma_prime)
        if abs(depth) <= ON_BOUNDARY:
            return cls.CRITICAL
        return cls.CONDENSED if depth > 0 else cls.LINEAR


@dataclass(frozen=True)
class Classification:
    """Where a scaling lies in the phase diagram.

    Attributes
    ----------
    gamma, gamma_prime : float
        The point in the plane.
    regime : Regime
        Its regime.
    distance : float
        Euclidean distance to the nearest point of the boundary; 0 on the boundary.
    nearest : tuple of float
        That nearest point (gamma, gamma_prime).
    boundary : str
        The line on which the nearest point lies, as an equation.
    S_w, S_a : float
        Predicted exponents of RD_w and RD_a in m (see :func:`exponents`).
    """

    gamma: float
    gamma_prime: float
    regime: Regime
    distance: float
    nearest: tuple[float, float]
    boundary: str
    S_w: float
    S_a: float

    def _repr_html_(self) -> str:
        rows = {
            "gamma": self.gamma,
            "gamma'": self.gamma_prime,
            "regime": self.regime.value,
            "distance to the boundary": self.distance,
            "nearest point": f"({self.nearest[0]:.4g}, {self.nearest[1]:.4g}) on {self.boundary}",
            "S_w": self.S_w,
            "S_a": self.S_a,
        }
        return displays.card("Place in the phase diagram", rows)


def boundary_gamma(gamma_prime: ArrayLike) -> NDArray[np.float64]:
    """Gamma at which the regime changes, for each gamma_prime: ``1 + max(gamma_prime, 0)``.

    Parameters
    ----------
    gamma_prime : array_like

    Returns
    -------
    ndarray
        Same shape; left of it (smaller gamma) lies the linear regime, right of it the condensed.

    Examples
    --------
    >>> boundary_gamma([-0.4, 0.0, 0.4])
    array([1. , 1. , 1.4])
    """
    return 1.0 + np.maximum(_exponents("gamma_prime", gamma_prime), 0.0)


def exponents(
    gamma: ArrayLike, gamma_prime: ArrayLike, *, antisymmetric: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predicted exponents ``S_w = lim log RD_w / log m`` and ``S_a``.

    Power counting of the gradient flow for fixed data with O(1) targets (derivation:
    ``docs/theory.md``): with ``delta = gamma - 1`` and ``tau = delta - |gamma_prime|`` training takes
    a canonical time of order ``m**tau`` for tau <= 0 and log m for tau > 0, and

    - ``tau <= 0``: ``S_w = max(tau - gamma_prime, 2 tau)``,
    - ``tau >= 0``: ``S_w = (delta - gamma_prime) / 2``,

    while ``S_a(gamma, gamma_prime) = S_w(gamma, -gamma_prime)``.

    Parameters
    ----------
    gamma, gamma_prime : float or array_like, any shape
        Points of the plane; broadcast against each other.
    antisymmetric : bool, default True
        Whether the initial output is zero. If not, the initial output ``~ m**(1/2 - gamma)`` takes
        the target's place once it is the larger one, and the exponents stop falling at gamma = 1/2.

    Returns
    -------
    S_w, S_a : ndarray, of the common shape
        Exponents of the relative displacement of input and output weights.

    Examples
    --------
    >>> S_w, S_a = exponents([0.5, 1.0, 1.75], 0.0)
    >>> S_w
    array([-0.5  ,  0.   ,  0.375])
    """
    g, gp = _exponents("gamma", gamma), _exponents("gamma_prime", gamma_prime)
    shared_shape(gamma=g, gamma_prime=gp)
    g, gp = np.broadcast_arrays(g, gp)
    if not flag("antisymmetric", antisymmetric):
        g = np.maximum(g, 0.5)
    return _exponent(g, gp), _exponent(g, -gp)


def classify(gamma: float, gamma_prime: float, *, antisymmetric: bool = True) -> Classification:
    """Regime of a point, its distance to the nearest boundary and the predicted exponents.

    Parameters
    ----------
    gamma, gamma_prime : float
        The point.
    antisymmetric : bool, default True
        As in :func:`exponents`.

    Returns
    -------
    Classification

    Examples
    --------
    >>> c = classify(0.5, 0.0)      # the NTK scaling
    >>> c.regime.value, c.distance, c.nearest
    ('linear', 0.5, (1.0, 0.0))
    """
    gamma, gamma_prime = _exponent_of("gamma", gamma), _exponent_of("gamma_prime", gamma_prime)
    # The boundary is two rays from the corner (1, 0): downwards, and along the diagonal upwards.
    along = max((gamma - 1.0 + gamma_prime) / 2.0, 0.0)
    candidates = [
        ((1.0, min(gamma_prime, 0.0)), "gamma = 1 (gamma' <= 0)"),
        ((1.0 + along, along), "gamma' = gamma - 1 (gamma' >= 0)"),
    ]
    distances = [math.hypot(gamma - g, gamma_prime - gp) for (g, gp), _ in candidates]
    best = int(np.argmin(distances))
    regime = Regime.classify(gamma, gamma_prime)
    S_w, S_a = exponents(gamma, gamma_prime, antisymmetric=antisymmetric)
    return Classification(
        gamma=gamma,
        gamma_prime=gamma_prime,
        regime=regime,
        distance=0.0 if regime is Regime.CRITICAL else distances[best],
        nearest=candidates[best][0],
        boundary=candidates[best][1],
        S_w=float(S_w),
        S_a=float(S_a),
    )


def _exponent_of(name: str, value: Any) -> float:
    return number(name, value, "a number between -1e6 and 1e6", least=-_LARGEST, most=_LARGEST)


def _exponents(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = real_array(name, values)
    if np.any(np.abs(array) > _LARGEST):
        raise InputError(f"{name} is {shown(values)}; give numbers between -1e6 and 1e6")
    return array


def _depth(gamma: float, gamma_prime: float) -> float:
    """Signed horizontal distance to the boundary: positive on the condensed side."""
    return float(gamma) - float(boundary_gamma(gamma_prime))


def _exponent(gamma: NDArray[np.float64], gamma_prime: NDArray[np.float64]) -> NDArray[np.float64]:
    delta = gamma - 1.0
    tau = delta - np.abs(gamma_prime)
    lazy_side = np.maximum(tau - gamma_prime, 2.0 * tau)
    return np.where(tau <= 0.0, lazy_side, (delta - gamma_prime) / 2.0)
