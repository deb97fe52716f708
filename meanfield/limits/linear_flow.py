"""A residual that a constant kernel drives: ``de/dt = -rate M e``, in closed form at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.arguments import number, over_times
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


class LinearLaw:
    """What a constant kernel makes of the residual, for users: times are checked, and may be several."""

    @property
    def _flow(self) -> LinearFlow:
        raise NotImplementedError

    @property
    def rates(self) -> Array:
        """Rates of decay of the residual's modes in 1/tbar, ascending, shape (n,); 0: never learned."""
        return self._flow.rates

    @property
    def unlearnable(self) -> float:
        """Loss that is left at infinite time: of the targets' part in the kernel's null space."""
        return self._flow.unlearnable

    def residual(self, t: ArrayLike) -> Array:
        """Residual f - y on the samples at the time tbar = t (may be infinite), shape (n,).

        All laws with a time take several, too, as an array of shape (S,): results are stacked, here (S, n).

        Parameters
        ----------
        t : float or array_like, shape (S,)
            Time (tbar), may be infinite; or several.

        Returns
        -------
        ndarray, shape (n,) or (S, n)
        """
        return np.asarray(over_times("t", t, lambda s: self._flow.residual(a_time(s))))

    @overload
    def loss(self, t: float) -> float: ...

    @overload
    def loss(self, t: ArrayLike) -> float | Array: ...

    def loss(self, t: ArrayLike) -> float | Array:
        """``R = (1/2n) sum_i e_i**2`` at the time tbar = t.

        Parameters
        ----------
        t : float or array_like, shape (S,)
            Time (tbar), may be infinite; or several.

        Returns
        -------
        float or ndarray, shape (S,)
            In the units of the squared targets.
        """
        found: float | Array = over_times("t", t, lambda s: self._flow.loss(a_time(s)))
        return found

    def time_to(self, loss: float) -> float:
        """Time tbar at which the loss has fallen to a value; infinite if it never does.

        Parameters
        ----------
        loss : float
            A value of ``R``, in the units of the squared targets.

        Returns
        -------
        float
            Time (tbar).
        """
        return self._flow.time_to(loss)

    def impulse(self, t: ArrayLike) -> Array:
        """``T_i = -(1/n) int_0^t e_i dtbar`` in its learnable part, shape (n,); (S, n) at S times.

        Parameters
        ----------
        t : float or array_like, shape (S,)
            Time (tbar), may be infinite; or several.

        Returns
        -------
        ndarray, shape (n,) or (S, n)
        """
        vectors = self._flow.vectors
        return np.asarray(over_times("t", t, lambda s: vectors @ self._flow.impulse(a_time(s))))


def a_time(t: float) -> float:
    """A time, checked: >= 0, or infinite."""
    return number("t", t, "a time tbar >= 0, or infinity", least=0.0, most=math.inf)


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
