"""An activation: a scalar function sigma, its derivatives, and what the package needs to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.activations.gaussian import Angle, Dual, Products, quadrature
from meanfield.arguments import called, number, real_array, shown, text
from meanfield.errors import InputError

Array: TypeAlias = NDArray[np.float64]

#: Step of the central difference for a second derivative, in units of ``max(1, |z|)``: eps**(1/3).
_STEP = 6.0e-6


class Orders(NamedTuple):
    """Powers of z by which sigma and its slope grow or fall: ``sigma ~ C z**value``.

    Attributes
    ----------
    value : float
        Of sigma; 0 for what tends to a constant, -inf for what falls faster than any power.
    slope : float
        Of sigma'.
    """

    value: float
    slope: float


@dataclass(frozen=True)
class OfParameter:
    """A function with its parameter fixed, which equals its like (as that of functools.partial does not).

    Parameters
    ----------
    function : callable
        A function of a module; the parameter is its last argument.
    parameter : float or tuple of float
        The parameter.
    """

    function: Callable[..., Any]
    parameter: Any

    def __call__(self, *given: Any) -> Any:
        """The function of what is given and of the parameter."""
        return self.function(*given, self.parameter)


@dataclass(frozen=True)
class Activation:
    """A scalar nonlinearity and its derivatives, on arrays.

    Your own needs a name and two functions. They are tried where it enters, in
    :meth:`Particles.sample <meanfield.Particles.sample>` for example.

    Parameters
    ----------
    name : str
        For tables, files and the command line.
    value, slope : callable
        ``sigma(z)`` and ``sigma'(z)`` for arrays z of shape (...), entry by entry; they must not change z.
        Functions of a module, if runs go to other processes.
    curvature : callable, optional
        ``sigma''(z)`` for z of shape (...); by default central differences of the slope.
    both : callable, optional
        ``z -> (sigma(z), sigma'(z))`` for z of shape (...), where that costs less than one after the other.
    formula : str, optional
        sigma as an expression in z that SymPy reads.
    degree : float, optional
        k if ``sigma(c z) = c**k sigma(z)`` for every c > 0 (positively homogeneous), else None.
    slopes : tuple of float, optional
        ``(up, down)`` if ``sigma(z) = up max(z, 0) + down min(z, 0)``: then neurons can be moved exactly.
    at_zero : Orders, optional
        Orders of sigma and sigma' at zero.
    at_infinity : Orders, optional
        Orders at plus or minus infinity, whichever are larger: a random network has neurons on both sides.
        Where sigma oscillates, those of its amplitude.
    dual : Dual, optional
        The kernels of infinite width in closed form; by default quadrature.

    Raises
    ------
    InputError
        If one of these is of another kind.

    Examples
    --------
    >>> import numpy as np
    >>> swish = Activation("my swish", lambda z: z / (1 + np.exp(-z)),
    ...                    lambda z: (1 + np.exp(-z) * (1 + z)) / (1 + np.exp(-z)) ** 2)
    >>> swish.value(np.array([0.0, 1.0])).round(3), swish.homogeneous
    (array([0.   , 0.731]), False)
    """

    name: str
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    curvature: Callable[[Array], Array] | None = None
    both: Callable[[Array], tuple[Array, Array]] | None = None
    formula: str = ""
    degree: float | None = None
    slopes: tuple[float, float] | None = None
    at_zero: Orders | None = None
    at_infinity: Orders | None = None
    dual: Dual | None = None

    def __post_init__(self) -> None:
        if not text("name", self.name).strip():
            raise InputError(f"name is {shown(self.name)}; give a name for the activation")
        text("formula", self.formula)
        for name in ("value", "slope"):
            called(name, getattr(self, name), "an array z")
        for name in ("curvature", "both"):
            if getattr(self, name) is not None:
                called(name, getattr(self, name), "an array z, or None")
        if self.degree is not None:
            number("degree", self.degree, "the degree of homogeneity, or None")
        for name, expected in (("slopes", "(up, down)"), ("at_zero", _ORDERS), ("at_infinity", _ORDERS)):
            pair = getattr(self, name)
            if pair is not None and not (isinstance(pair, tuple) and len(pair) == 2):
                raise InputError(f"{name} is {shown(pair)}; give {expected}, or None")
        if self.dual is not None and not isinstance(self.dual, Dual):
            raise InputError(f"dual is {shown(self.dual)}; give Dual(products, formula), or None")

    def __hash__(self) -> int:
        return hash(self.name)  # a user's functions need not have one

    @property
    def kinked(self) -> bool:
        """Whether it is piecewise linear with two slopes."""
        return self.slopes is not None and self.slopes[0] != self.slopes[1]

    @property
    def homogeneous(self) -> bool:
        """Whether kappa and kappa' say all of a network's scales: whether the degree is 1."""
        return self.degree == 1.0

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """``sigma(z)`` and ``sigma'(z)``.

        Parameters
        ----------
        z : ndarray, shape (...)

        Returns
        -------
        value, slope : ndarray, shape (...)
        """
        return (self.value(z), self.slope(z)) if self.both is None else self.both(z)

    def second(self, z: Array) -> Array:
        """``sigma''(z)``, by central differences of the slope where no formula is given.

        Parameters
        ----------
        z : ndarray, shape (...)

        Returns
        -------
        ndarray, shape (...)
        """
        if self.curvature is not None:
            return self.curvature(z)
        step = _STEP * np.maximum(1.0, np.abs(z))
        difference: Array = (self.slope(z + step) - self.slope(z - step)) / (2.0 * step)
        return difference

    def products(self, length: ArrayLike, other: ArrayLike, angle: ArrayLike | Angle) -> Products:
        """``E[sigma(u) sigma(v)]`` and ``E[sigma'(u) sigma'(v)]`` for Gaussian u and v of mean zero.

        Parameters
        ----------
        length, other : array_like, shape (...)
            Standard deviations of u and v.
        angle : array_like or Angle, shape (...)
            The angle between them, from 0 to pi: its cosine is their correlation.

        Returns
        -------
        Products
            Both, and their error: 0 where there is a closed form, else that of the quadrature.

        Raises
        ------
        InputError
            If lengths are negative or angles are not between 0 and pi.

        Examples
        --------
        >>> from meanfield.activations import as_activation
        >>> as_activation("relu").products(1.0, 1.0, [0.0, 3.141592653589793]).value
        array([0.5, 0. ])
        >>> found = as_activation("tanh").products(1.0, 1.0, 0.0)
        >>> float(found.value.round(8)), bool(found.error < 1e-13)
        (0.39429449, True)
        """
        of_u, of_v = real_array("length", length), real_array("other", other)
        if np.any(of_u < 0.0) or np.any(of_v < 0.0):
            raise InputError("length or other has entries below 0; give standard deviations")
        if not isinstance(angle, Angle):
            theta = real_array("angle", angle)
            if np.any((theta < 0.0) | (theta > np.pi)):
                raise InputError(f"angle is {shown(angle)}; give angles from 0 to pi")
            angle = Angle.of(theta)
        if self.dual is None:
            return quadrature(self.value_and_slope, of_u, of_v, angle)
        value, slope = np.broadcast_arrays(*self.dual.products(of_u, of_v, angle))
        return Products(value, slope, np.zeros(value.shape))

    def __repr__(self) -> str:
        return f"<Activation {self.name!r}>"


_ORDERS = "Orders(value, slope)"


def falling(z: Array, rate: float = 1.0) -> tuple[Array, Array]:
    """``exp(-rate |z|)``, which never overflows, and the inverse of one plus that.

    In two arrays and no others: for a tile of numbers in the cache, new memory costs as much as the function.
    """
    decay = np.array(z, dtype=np.float64)
    np.abs(decay, out=decay)
    decay *= -rate
    np.exp(decay, out=decay)
    inverse = np.add(decay, 1.0, out=np.empty_like(decay))
    return decay, np.divide(1.0, inverse, out=inverse)


def plain(value: float) -> str:
    """A number as names and formulas have it: the shortest text that reads back as the same double."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
