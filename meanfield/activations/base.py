"""An activation: a scalar function sigma, its derivatives, and what the package needs to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
#: A function of one number, applied to every entry of an array; it must not change its argument.
Elementwise: TypeAlias = Callable[[Array], Array]

#: Step of the central difference for a second derivative, in units of ``max(1, |z|)``: eps**(1/3).
_STEP = 6.0e-6


@dataclass(frozen=True)
class Activation:
    """A scalar nonlinearity and its derivatives, on arrays.

    Parameters
    ----------
    name : str
        For tables, files and the command line.
    value, slope : callable
        ``sigma(z)`` and ``sigma'(z)``, elementwise. Functions of a module, if runs go to other processes.
    curvature : callable, optional
        ``sigma''(z)``; by default central differences of the slope.
    both : callable, optional
        ``z -> (sigma(z), sigma'(z))`` where that costs less than one after the other.
    formula : str, optional
        sigma as an expression in z that SymPy reads.
    degree : float, optional
        k if ``sigma(c z) = c**k sigma(z)`` for every c > 0 (positively homogeneous), else None.
    slopes : tuple of float, optional
        ``(up, down)`` if ``sigma(z) = up max(z, 0) + down min(z, 0)``: then neurons can be moved exactly.

    Examples
    --------
    >>> import numpy as np
    >>> swish = Activation("my swish", lambda z: z / (1 + np.exp(-z)),
    ...                    lambda z: (1 + np.exp(-z) * (1 + z)) / (1 + np.exp(-z)) ** 2)
    >>> swish.value(np.array([0.0, 1.0])).round(3), swish.homogeneous
    (array([0.   , 0.731]), False)
    """

    name: str
    value: Elementwise
    slope: Elementwise
    curvature: Elementwise | None = None
    both: Callable[[Array], tuple[Array, Array]] | None = None
    formula: str = ""
    degree: float | None = None
    slopes: tuple[float, float] | None = None

    @property
    def homogeneous(self) -> bool:
        """Whether kappa and kappa' say all of a network's scales: whether the degree is 1."""
        return self.degree == 1.0

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """``sigma(z)`` and ``sigma'(z)``."""
        return (self.value(z), self.slope(z)) if self.both is None else self.both(z)

    def second(self, z: Array) -> Array:
        """``sigma''(z)``, by central differences of the slope where no formula is given."""
        if self.curvature is not None:
            return self.curvature(z)
        step = _STEP * np.maximum(1.0, np.abs(z))
        difference: Array = (self.slope(z + step) - self.slope(z - step)) / (2.0 * step)
        return difference

    def __repr__(self) -> str:
        return f"<Activation {self.name!r}>"
