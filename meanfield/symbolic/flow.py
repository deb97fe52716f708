"""The gradient flow of a two-layer network as SymPy objects, and what follows from it by algebra.

The rescaling to two parameters is found by solving for the scales; the conservation law by solving for its
coefficient; both, and the energy law, are checked by substitution. Networks are written out for small numbers
of samples and neurons: every statement is a sum over samples and neurons of terms that do not mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from meanfield.arguments import shown
from meanfield.errors import InputError

alpha, beta1, beta2 = sp.symbols("alpha beta_1 beta_2", positive=True)
kappa, kappa_prime = sp.symbols("kappa kappa_prime", positive=True)
#: Units of a, of w and of time.
unit_a, unit_w, unit_t = sp.symbols("A B T", positive=True)


class step(sp.Function):  # type: ignore[misc]  # noqa: N801 - named like SymPy's own functions
    """Indicator of z > 0: relu(z) = z step(z). Its derivative is zero wherever it exists.

    Examples
    --------
    >>> z, c = sp.Symbol("z", real=True), sp.Symbol("c", positive=True)
    >>> step(c * z), sp.diff(z * step(z), z)
    (step(z), step(z))
    """

    nargs = 1
    is_real = True

    @classmethod
    def eval(cls, z: sp.Expr) -> sp.Expr | None:
        """Positive factors do not matter."""
        factored = sp.factor_terms(z)
        rest = sp.Mul(*(factor for factor in sp.Mul.make_args(factored) if not factor.is_positive))
        return cls(rest) if rest != z else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Zero almost everywhere."""
        return sp.S.Zero


@dataclass(frozen=True)
class TwoLayerFlow:
    """A two-layer network, its loss and its gradient flow, written out.

    f(x_i) = prefactor sum_k a_k sigma(w_k . x_i) with sigma(z) = relu(z)**r,
    R = (1/2n) sum_i (f(x_i) - y_i)^2 and d theta/dt = - dR/d theta.

    Parameters
    ----------
    samples, neurons, dimension : int
        How many of each to write out.
    homogeneity : int
        The power r of the activation.

    Examples
    --------
    >>> flow = TwoLayerFlow(samples=1, neurons=1, dimension=1)
    >>> print(flow.output(0))
    a_1*w_11*x_11*step(w_11*x_11)/alpha
    """

    samples: int = 2
    neurons: int = 2
    dimension: int = 2
    homogeneity: int = 1

    def __post_init__(self) -> None:
        for name in ("samples", "neurons", "dimension", "homogeneity"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {shown(value)}; give a positive integer")

    @cached_property
    def a(self) -> tuple[sp.Symbol, ...]:
        """Output weights."""
        return tuple(sp.Symbol(f"a_{k + 1}", real=True) for k in range(self.neurons))

    @cached_property
    def w(self) -> tuple[tuple[sp.Symbol, ...], ...]:
        """Input weights, one tuple for each neuron."""
        return tuple(
            tuple(sp.Symbol(f"w_{k + 1}{j + 1}", real=True) for j in range(self.dimension))
            for k in range(self.neurons)
        )

    @cached_property
    def x(self) -> tuple[tuple[sp.Symbol, ...], ...]:
        """Inputs, one tuple for each sample."""
        return tuple(
            tuple(sp.Symbol(f"x_{i + 1}{j + 1}", real=True) for j in range(self.dimension))
            for i in range(self.samples)
        )

    @cached_property
    def y(self) -> tuple[sp.Symbol, ...]:
        """Targets."""
        return tuple(sp.Symbol(f"y_{i + 1}", real=True) for i in range(self.samples))

    @property
    def state(self) -> tuple[sp.Symbol, ...]:
        """All parameters: a, then w neuron by neuron."""
        return (*self.a, *(weight for neuron in self.w for weight in neuron))

    def neuron(self, k: int, i: int) -> sp.Expr:
        """Output a_k sigma(w_k . x_i) of one neuron at one sample."""
        z = sp.Add(*(weight * x for weight, x in zip(self.w[k], self.x[i], strict=True)))
        return self.a[k] * z**self.homogeneity * step(z)

    def output(self, i: int, prefactor: sp.Expr = 1 / alpha) -> sp.Expr:
        """Network output at one sample."""
        return prefactor * sp.Add(*(self.neuron(k, i) for k in range(self.neurons)))

    def loss(self, prefactor: sp.Expr = 1 / alpha) -> sp.Expr:
        """The loss R."""
        residuals = [self.output(i, prefactor) - self.y[i] for i in range(self.samples)]
        return sp.Add(*(e**2 for e in residuals)) / (2 * self.samples)

    def velocity(self, prefactor: sp.Expr = 1 / alpha) -> dict[sp.Symbol, sp.Expr]:
        """Minus the gradient of the loss, by parameter."""
        loss = self.loss(prefactor)
        return {theta: -sp.diff(loss, theta) for theta in self.state}

    def along_the_flow(self, quantity: sp.Expr, velocity: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
        """Time derivative of a function of the state."""
        return sp.Add(*(sp.diff(quantity, theta) * rate for theta, rate in velocity.items()))


@dataclass(frozen=True)
class Normalisation:
    """Units of a, w and t, and what is left of the parameters of the network in them.

    Attributes
    ----------
    scales : dict
        The units ``unit_a``, ``unit_w``, ``unit_t`` in terms of alpha, beta1, beta2.
    prefactor, rate_a, rate_w : Expr
        Factors of f, da/dt and dw/dt in these units.
    spread_a, spread_w : Expr
        Standard deviations of the initial law in these units.
    """

    scales: Mapping[sp.Symbol, sp.Expr]
    prefactor: sp.Expr
    rate_a: sp.Expr
    rate_w: sp.Expr
    spread_a: sp.Expr
    spread_w: sp.Expr

    def in_kappa(self) -> Normalisation:
        """The same with alpha and the betas eliminated: kappa is the prefactor of f, kappa' = beta1/beta2."""
        (alpha_left,) = sp.solve(self.prefactor - kappa, alpha)

        def reduced(value: sp.Expr) -> sp.Expr:
            return sp.powdenest(sp.simplify(value.subs(alpha, alpha_left).subs(beta1, kappa_prime * beta2)))

        parts = ("prefactor", "rate_a", "rate_w", "spread_a", "spread_w")
        return Normalisation(self.scales, *(reduced(getattr(self, part)) for part in parts))


def rescaled_factors(flow: TwoLayerFlow) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Factors of f, da/dt and dw/dt after a -> A a, w -> B w, t -> T t, read off the written-out equations.

    Returns
    -------
    tuple of Expr
        In the units A, B, T and alpha; each is what multiplies the expression of a network with all
        parameters one, the residuals being the same numbers in both.

    Examples
    --------
    >>> rescaled_factors(TwoLayerFlow())
    (A*B/alpha, B*T/(A*alpha), A*T/(B*alpha))
    """
    neuron = flow.neuron(0, 0)
    units = {flow.a[0]: unit_a * flow.a[0]} | {w: unit_w * w for w in flow.w[0]}
    scaled = (neuron / alpha).subs(units, simultaneous=True)
    output = _ratio(scaled, neuron)
    a, w = flow.a[0], flow.w[0][0]
    # d(abar)/d(tbar) = (T/A) da/dt and da/dt = -mean e df/da, where df/da = (1/A) df/d(abar)
    rate_a = _ratio(unit_t / unit_a**2 * sp.diff(scaled, a), sp.diff(neuron, a))
    rate_w = _ratio(unit_t / unit_w**2 * sp.diff(scaled, w), sp.diff(neuron, w))
    return output, rate_a, rate_w


def _ratio(scaled: sp.Expr, original: sp.Expr) -> sp.Expr:
    ratio = sp.simplify(sp.factor(scaled) / original)
    assert not ratio.free_symbols - {unit_a, unit_w, unit_t, alpha}, "homogeneity takes the state out"
    return ratio


def normalisation(flow: TwoLayerFlow | None = None) -> Normalisation:
    """Find the units in which the initial law is standard normal and two numbers are left.

    The units of a and w follow from the initial law. The unit of time is free; it is solved for so that the
    rates of the two layers have the prefactor of f as their geometric mean, which makes them kappa/kappa'
    and kappa kappa'.

    Examples
    --------
    >>> found = normalisation()
    >>> found.scales
    {A: beta_1, B: beta_2, T: beta_1*beta_2}
    >>> reduced = found.in_kappa()
    >>> reduced.prefactor, reduced.rate_a, reduced.rate_w
    (kappa, kappa/kappa_prime, kappa*kappa_prime)
    """
    output, rate_a, rate_w = rescaled_factors(TwoLayerFlow() if flow is None else flow)
    conditions = [beta1 / unit_a - 1, beta2 / unit_w - 1, rate_a * rate_w - output**2]
    return _solved(conditions, output, rate_a, rate_w)


def canonical(flow: TwoLayerFlow | None = None) -> Normalisation:
    """Find the units in which the equations of motion have no parameter.

    Both rates are one and f keeps its prefactor kappa; kappa' is left in the spread of the initial law only.

    Examples
    --------
    >>> found = canonical()
    >>> found.scales
    {A: sqrt(beta_1)*sqrt(beta_2), B: sqrt(beta_1)*sqrt(beta_2), T: alpha}
    >>> found.in_kappa().spread_a, found.in_kappa().spread_w
    (sqrt(kappa_prime), 1/sqrt(kappa_prime))
    """
    flow = TwoLayerFlow() if flow is None else flow
    output, rate_a, rate_w = rescaled_factors(flow)
    prefactor = normalisation(flow).prefactor
    return _solved([rate_a - 1, rate_w - 1, output - prefactor], output, rate_a, rate_w)


def _solved(conditions: list[sp.Expr], *factors: sp.Expr) -> Normalisation:
    """All conditions are monomials set equal: linear in the logarithms of the units."""
    units = (unit_a, unit_w, unit_t)
    logs = sp.symbols("log_A log_B log_T", real=True)
    known = {s: sp.Symbol(f"log_{s.name}", real=True) for s in (alpha, beta1, beta2)}
    to_log = dict(zip(units, logs, strict=True)) | known
    equations = []
    for condition in conditions:
        left, right = condition.as_two_terms()
        monomial = sp.expand_log(sp.log(-left / right), force=True)
        equations.append(monomial.subs({sp.log(symbol): value for symbol, value in to_log.items()}))
    (solution,) = sp.linsolve(equations, logs)
    back = {value: sp.log(symbol) for symbol, value in known.items()}
    scales = {
        unit: sp.powsimp(sp.expand(sp.exp(value.subs(back))))
        for unit, value in zip(units, solution, strict=True)
    }
    output, rate_a, rate_w = (sp.simplify(factor.subs(scales)) for factor in factors)
    spreads = (sp.simplify(beta1 / scales[unit_a]), sp.simplify(beta2 / scales[unit_w]))
    return Normalisation(scales, output, rate_a, rate_w, *spreads)


def invariants(flow: TwoLayerFlow | None = None) -> int:
    """How many parameters no choice of the unit of time can remove, the initial law being standard normal.

    The rank of the exponents of alpha, beta1, beta2 in the factors that are left, less one for the unit.

    Examples
    --------
    >>> invariants()
    2
    """
    factors = rescaled_factors(TwoLayerFlow() if flow is None else flow)
    logs = [sp.expand_log(sp.log(f.subs({unit_a: beta1, unit_w: beta2})), force=True) for f in factors]
    symbols = (alpha, beta1, beta2, unit_t)
    matrix = sp.Matrix([[sp.expand(log.coeff(sp.log(s))) for s in symbols] for log in logs])
    return int(matrix.rank()) - int(matrix[:, -1].rank())


def conserved(flow: TwoLayerFlow | None = None, neuron: int = 0) -> sp.Expr:
    """Derive the conserved quantity of a neuron in canonical units, a^2 - c |w|^2, by solving for c.

    Examples
    --------
    >>> conserved(TwoLayerFlow(samples=1, neurons=1))
    a_1**2 - w_11**2 - w_12**2
    >>> conserved(TwoLayerFlow(samples=1, neurons=1, homogeneity=2))
    a_1**2 - w_11**2/2 - w_12**2/2
    """
    flow = TwoLayerFlow() if flow is None else flow
    c = sp.Symbol("c")
    quantity = flow.a[neuron] ** 2 - c * sp.Add(*(w**2 for w in flow.w[neuron]))
    change = sp.expand(flow.along_the_flow(quantity, flow.velocity(kappa)))
    (value,) = sp.solve(change, c)
    found = sp.expand(quantity.subs(c, value))
    assert sp.expand(flow.along_the_flow(found, flow.velocity(kappa))) == 0
    return found


def energy_balance(flow: TwoLayerFlow | None = None) -> sp.Expr:
    """dR/ds + kappa sum_k (|dp_k/ds|^2 + |dq_k/ds|^2) along the flow in canonical units: zero.

    Canonical velocities are those of the gradient divided by kappa, the prefactor of f.

    Examples
    --------
    >>> energy_balance()
    0
    """
    flow = TwoLayerFlow() if flow is None else flow
    velocity = {theta: rate / kappa for theta, rate in flow.velocity(kappa).items()}
    loss = flow.loss(kappa)
    terms = [sp.diff(loss, theta) * rate + kappa * rate**2 for theta, rate in velocity.items()]
    return sp.Add(*map(sp.factor_terms, terms))
