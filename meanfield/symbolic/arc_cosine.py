"""Arc-cosine kernels, derived by integration over a Gaussian weight in the plane of two inputs."""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from meanfield.arguments import shown
from meanfield.errors import InputError

#: Angle between the inputs, between 0 and pi.
theta = sp.Symbol("theta", positive=True)
#: Small angle of an expansion.
epsilon = sp.Symbol("epsilon", positive=True)


@lru_cache(maxsize=8)
def arc_cosine(degree: int) -> sp.Expr:
    """E[sigma(w.u) sigma(w.v)] for w ~ N(0, I) and unit vectors u, v at angle theta.

    sigma is the step function for degree 0 and relu for degree 1. Only the plane of u and v matters; in polar
    coordinates there the radius contributes a moment and the angle runs over the directions in which both
    neurons are active.

    Parameters
    ----------
    degree : int
        Power of relu: 0, 1, 2, ...

    Examples
    --------
    >>> arc_cosine(0)
    (pi - theta)/(2*pi)
    >>> arc_cosine(1)
    ((pi - theta)*cos(theta) + sin(theta))/(2*pi)
    """
    if not isinstance(degree, int) or degree < 0:
        raise InputError(
            f"degree is {shown(degree)}; give 0 for the step function, 1 for relu, 2 for its square"
        )
    rho, phi = sp.symbols("rho phi", positive=True)
    radius = sp.integrate(rho ** (2 * degree + 1) * sp.exp(-(rho**2) / 2), (rho, 0, sp.oo))
    product = (sp.cos(phi) * sp.expand_trig(sp.cos(phi - theta))) ** degree
    angle = sp.integrate(product, (phi, theta - sp.pi / 2, sp.pi / 2))
    kernel = sp.expand(sp.simplify(radius * angle / (2 * sp.pi)))
    return sp.simplify(sp.collect(sp.factor(kernel), sp.cos(theta)))


def small_angle(degree: int, order: int = 5) -> sp.Expr:
    """Expansion at theta = epsilon -> 0, where the arccos form of the angle loses its digits.

    Examples
    --------
    >>> small_angle(1)
    1/2 - epsilon**2/4 + epsilon**3/(6*pi) + epsilon**4/48 + O(epsilon**5)
    """
    return sp.series(arc_cosine(degree).subs(theta, epsilon), epsilon, 0, order)


def straight_angle(degree: int, order: int = 6) -> sp.Expr:
    """Expansion at theta = pi - epsilon, where the kernel vanishes.

    Examples
    --------
    >>> straight_angle(1)
    epsilon**3/(6*pi) - epsilon**5/(60*pi) + O(epsilon**6)
    """
    return sp.series(sp.simplify(arc_cosine(degree).subs(theta, sp.pi - epsilon)), epsilon, 0, order)
