"""A residual that a constant kernel drives: ``de/dt = -rate M e``, in closed form at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import number
from meanfield.kernel_modes import KernelModes
from meanfield.kernels import phi_functions

Array = NDArray[np.float64]

#: The smallest number above zero: a loss that underflows has a logarithm, too.
_SMALLEST = 5e-324


@dataclass(frozen=True, eq=False)
class LinearFlow:
    """The flow in the kernel's modes.

    Attributes
    ----------
    rate : float
        Factor of the kernel.
    values : ndarray, shape (r,)
        Eigenvalues of M above zero, ascending.
    vectors : ndarray, shape (n, r)
        Their modes on the samples.
    initial : ndarray, shape (r,)
        The initial residual in the modes.
    rest : ndarray, shape (n,)
        What of the initial residual is in no mode, and stays.
    """

    rate: float
    values: Array
    vectors: Array
    initial: Array
    rest: Array

    @classmethod
    def of(cls, modes: KernelModes, rate: float) -> LinearFlow:
        """The flow that a kernel drives, from its modes and the factor of the kernel."""
        return cls(rate, modes.values, modes.vectors, modes.initial, modes.rest)

    @property
    def rates(self) -> Array:
        """Rates of decay of all modes, ascending, shape (n,); 0 for those that are never learned."""
        return np.append(np.zeros(len(self.rest) - len(self.values)), self.rate * self.values)

    @property
    def unlearnable(self) -> float:
        """Loss that is left at infinite time."""
        return float(self.rest @ self.rest) / (2 * len(self.rest))

    def residual(self, t: float) -> Array:
        """Residual on the samples at a time, shape (n,)."""
        return np.asarray(self.vectors @ self._left(t) + self.rest)

    def loss(self, t: float) -> float:
        """``(1/2n) sum_i e_i**2`` at a time."""
        e = self._left(t)
        return float(e @ e) / (2 * len(self.rest)) + self.unlearnable

    def impulse(self, t: float) -> Array:
        """``T = -(1/n) int_0^t e dt`` in the modes, shape (r,)."""
        rates = self.rate * self.values
        return np.asarray(-self.initial / len(self.rest) * -np.expm1(-self.values * (self.rate * t)) / rates)

    def impulse_products(self, t: float) -> Array:
        """``int_0^t T_k dT_l`` in the modes, shape (r, r)."""
        start, rates = -self.initial / len(self.rest), self.rate * self.values
        return np.outer(start, start) * _double_integral(rates, t)

    def time_to(self, loss: float) -> float:
        """Time at which the loss has fallen to a value; infinite if it never does."""
        loss = number("loss", loss, "a number >= 0", least=0.0)
        if loss >= self.loss(0.0):
            return 0.0
        if loss <= self.unlearnable:
            return math.inf
        from scipy.optimize import brentq

        def excess(log_t: float) -> float:
            return math.log(max(self.loss(math.exp(log_t)), _SMALLEST)) - math.log(loss)

        # In log t: times are of any order. The fastest mode alone bounds the time from below.
        low = high = 1e-12 / float(self.rates[-1])
        while self.loss(high) > loss:
            low, high = high, 4.0 * high
        return math.exp(brentq(excess, math.log(low), math.log(high)))

    def _left(self, t: float) -> Array:
        return np.asarray(np.exp(-self.values * (self.rate * t)) * self.initial)


def _double_integral(rates: Array, t: float) -> Array:
    """``int_0^t int_0^s exp(-k r) dr exp(-l s) ds`` for all pairs of rates k and l.

    With u = l t and v = k t it is ``t^2 [(phi_1(u) - exp(-u)) + exp(-u) (1 - phi_1(v))] / (u + v)``, where
    ``phi_1(u) = (1 - exp(-u)) / u``: a sum of two numbers >= 0, so that nothing cancels.
    """
    k, other = rates[:, None], rates[None, :]
    if math.isinf(t):
        return np.asarray(1.0 / (other * (k + other)))
    if t == 0.0:
        return np.zeros((len(rates), len(rates)))
    u = rates * t
    zero, one, two, _ = phi_functions(u)
    rises = np.where(u < 1.0, u * (one - two), one - zero)
    return np.asarray((t * rises[None, :] + zero[None, :] * (t * (u * two)[:, None])) / (k + other))
