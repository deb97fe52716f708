"""Networks with one sample, solved exactly; their exponents, found from the solution alone.

With d tau = -e |x| ds every active neuron obeys dp = q d tau, dq = p d tau, where q is the weight along x:
the solution is a hyperbolic rotation by tau whatever the residual does.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from meanfield.symbolic.closed_forms import DERIVED, ClosedForm, _form, impulse, width, x, y
from meanfield.symbolic.flow import kappa, kappa_prime
from meanfield.symbolic.maxplus import order
from meanfield.symbolic.network import gamma, gamma_prime
from meanfield.symbolic.polyhedra import Polyhedron

_ORDERS = {kappa: -gamma, kappa_prime: -gamma_prime, width: sp.S.One}
_sinh2 = sp.Symbol("X", positive=True)  # sinh 2 tau at the end of training
_angle = sp.Symbol("Phi", positive=True)


def rotated(p0: sp.Expr, q0: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """State of an active neuron after the impulse tau."""
    return (
        p0 * sp.cosh(impulse) + q0 * sp.sinh(impulse),
        q0 * sp.cosh(impulse) + p0 * sp.sinh(impulse),
    )


@lru_cache(maxsize=1)
def linear() -> tuple[ClosedForm, ClosedForm, ClosedForm]:
    """Every neuron active, d = 1, p0 = +-sqrt(kappa') in equal numbers and q0 = 1/sqrt(kappa').

    Returns
    -------
    tuple of ClosedForm
        sinh 2 tau at the end of training, RD_w^2 and RD_a^2.

    Examples
    --------
    >>> for form in linear():
    ...     print(form.equation.lhs, "=", form.formula)
    X = 2*kappa_prime*y/(kappa*m*x*(kappa_prime**2 + 1))
    RD_w**2 = kappa_prime**2*sinh(tau)**2 + (cosh(tau) - 1)**2
    RD_a**2 = (cosh(tau) - 1)**2 + sinh(tau)**2/kappa_prime**2
    """
    p0, q0 = sp.sqrt(kappa_prime), 1 / sp.sqrt(kappa_prime)
    p, q = rotated(p0, q0)
    p_twin, q_twin = rotated(-p0, q0)
    output = sp.simplify(kappa * width * x * (p * q + p_twin * q_twin) / 2)
    per_sinh = sp.simplify(output / sp.sinh(2 * impulse))
    moved_w = sp.simplify(((q - q0) ** 2 + (q_twin - q0) ** 2) / (2 * q0**2))
    moved_a = sp.simplify(((p - p0) ** 2 + (p_twin + p0) ** 2) / (2 * p0**2))
    C, S = sp.cosh(impulse), sp.sinh(impulse)
    rd_w, rd_a = (C - 1) ** 2 + kappa_prime**2 * S**2, (C - 1) ** 2 + S**2 / kappa_prime**2
    motion = (sp.diff(p, impulse) - q, sp.diff(q, impulse) - p)
    return (
        _form(
            "one sample, linear: end of training", _sinh2, y / per_sinh, DERIVED,
            r"for $p_0 = \pm \sqrt{\kappa'}$ in equal numbers and $q_0 = 1 / \sqrt{\kappa'}$, $d = 1$: "
            r"$f = m \kappa x\, E[p q]$ is proportional to $\sinh 2 \tau = X$ and ends at $y$",
            output - per_sinh * 2 * S * C, sp.diff(per_sinh, impulse), *motion,
        ),
        _form(
            "one sample, linear: RD_w", sp.Symbol("RD_w") ** 2, rd_w, DERIVED,
            "for the same start: mean of $(q - q_0)^2$ over both signs of $p_0$", rd_w - moved_w, *motion,
        ),
        _form(
            "one sample, linear: RD_a", sp.Symbol("RD_a") ** 2, rd_a, DERIVED,
            "for the same start: mean of $(p - p_0)^2$ over both signs of $p_0$", rd_a - moved_a, *motion,
        ),
    )  # fmt: skip


@lru_cache(maxsize=2)
def exponents_of_linear(layer: str = "w") -> tuple[tuple[Polyhedron, sp.Expr], ...]:
    """Exponent of RD at m -> infinity, from the exact solution and not from power counting.

    X = sinh 2 tau is a power of m; RD^2 is a sum of two positive terms in it and in kappa'. SymPy finds the
    power of X with which each term starts and ends (the limit of its logarithmic derivative); the larger
    term decides.

    Returns
    -------
    tuple of (Polyhedron, Expr)
        Polygons of the plane and the exponent in each.

    Examples
    --------
    >>> for polygon, exponent in exponents_of_linear():
    ...     print(polygon.condition, "|", exponent)
    (gamma_prime <= 0) & (gamma_prime <= 1 - gamma) | gamma - 1
    (gamma_prime <= 0) & (gamma_prime >= 1 - gamma) | gamma/2 - gamma_prime/2 - 1/2
    (gamma >= 1) & (gamma_prime >= gamma - 1) | 2*gamma - 2*gamma_prime - 2
    (gamma_prime >= 0) & (gamma <= 1) | gamma - 2*gamma_prime - 1
    (gamma_prime >= 0) & (gamma_prime <= gamma - 1) | gamma/2 - gamma_prime/2 - 1/2
    """
    cosh = sp.sqrt((1 + sp.sqrt(1 + _sinh2**2)) / 2)
    by_layer = {"w": (sp.S.One, kappa_prime**2), "a": (sp.S.One, kappa_prime**-2)}
    terms = list(zip(by_layer[layer], ((cosh - 1) ** 2, cosh**2 - 1), strict=True))
    end = linear()[0].formula
    pieces = []
    for sign in (-1, 1):
        size = order(end, _ORDERS).replace(sp.Max, lambda *args, s=sign: _larger(args, s))
        for ahead, at in ((-1, sp.S.Zero), (1, sp.oo)):
            powers = [_power(term, at) for _, term in terms]
            parts = [
                sp.expand((order(factor, _ORDERS) + power * size) / 2)
                for (factor, _), power in zip(terms, powers, strict=True)
            ]
            for one, other in (parts, parts[::-1]):
                polygon = Polyhedron.where(
                    [sign * gamma_prime, ahead * size, one - other], (gamma, gamma_prime)
                )
                if polygon is not None:
                    pieces.append((polygon, one))
    return tuple(pieces)


def _larger(terms: tuple[sp.Expr, ...], sign: int) -> sp.Expr:
    """The maximum of multiples of gamma_prime on one side of zero."""
    return max(terms, key=lambda term: term.subs(gamma_prime, sign))


def _power(term: sp.Expr, at: sp.Expr) -> sp.Expr:
    """Leading power of X."""
    return sp.limit(sp.simplify(_sinh2 * sp.diff(term, _sinh2) / term), _sinh2, at, "+" if at == 0 else "-")


@lru_cache(maxsize=1)
def relu() -> tuple[ClosedForm, ClosedForm]:
    """ReLU neurons of a Gaussian law, m -> infinity: output and RD_w^2 after the impulse tau.

    By homogeneity the law of (a, w along x) may be uniform on the circle of radius sqrt(2), where a neuron's
    angle phi starts active for 0 < phi < pi and dies when it reaches q = 0. At the impulse tau the active
    ones are 0 < phi < Phi = pi - atan(kappa' tanh tau); one that starts active and has died rests at q = 0,
    and one that starts inactive never moves.

    Examples
    --------
    >>> relu()[0].symbol
    f
    """
    phi = sp.Symbol("phi", real=True)
    p0, q0 = sp.sqrt(2 * kappa_prime) * sp.cos(phi), sp.sqrt(2 / kappa_prime) * sp.sin(phi)
    p, q = rotated(p0, q0)

    def mean(value: sp.Expr, low: sp.Expr, high: sp.Expr) -> sp.Expr:
        return sp.integrate(sp.expand(value), (phi, low, high)) / (2 * sp.pi)

    integrated = kappa * width * x * mean(p * q, sp.S.Zero, _angle)
    C, S = sp.cosh(impulse), sp.sinh(impulse)
    sin2 = sp.sin(2 * _angle) / 4
    output = (width * kappa * x / (sp.pi * kappa_prime)) * (
        sp.sinh(2 * impulse) / 2 * (kappa_prime**2 * (_angle / 2 + sin2) + _angle / 2 - sin2)
        + kappa_prime * sp.cosh(2 * impulse) / 2 * sp.sin(_angle) ** 2
    )
    moved = kappa_prime * (mean((q - q0) ** 2, sp.S.Zero, _angle) + mean(q0**2, _angle, sp.pi))
    rd_w = (
        (C - 1) ** 2 * (_angle / 2 - sin2)
        + kappa_prime**2 * S**2 * (_angle / 2 + sin2)
        + kappa_prime * S * (C - 1) * sp.sin(_angle) ** 2
        + (sp.pi - _angle) / 2
        + sin2
    ) / sp.pi
    died = sp.expand(q.subs(sp.cos(phi), -1).subs(sp.sin(phi), kappa_prime * S / C))
    return (
        _form(
            "one sample, relu: output", sp.Symbol("f"), output, DERIVED,
            r"Gaussian weights, the sum over neurons replaced by its mean: $m \kappa x$ times that of $p q$ "
            r"over the active angles of $(p, q)$, which end at "
            r"$\Phi = \pi - \arctan(\kappa' \tanh \tau)$",
            sp.expand(output - integrated), died,
        ),
        _form(
            "one sample, relu: RD_w", sp.Symbol("RD_w") ** 2, rd_w, DERIVED,
            "for the same law and $d = 1$: mean of $(q - q_0)^2$ over the active and of $q_0^2$ over the "
            "angles that have died",
            sp.expand(rd_w - moved), died,
        ),
    )  # fmt: skip
