"""The linear regime's law for one network, with the kernels of its own draw: no free constant, no average.

While input weights move little against their size, activations stay as drawn. The residual then obeys
``e' = -(K/n) e`` with the tangent kernel K of the initial network, output weights follow its integral T, and
input weights follow both (K as in ``meanfield.kernel_law``, there averaged over infinitely many neurons):

    a_k(t) = a_k + (kappa/kappa') sum_i relu(w_k.x_i) T_i
    dw_k(t) = kappa kappa' sum_i x_i 1[w_k.x_i > 0] int_0^t a_k dT_i,     T = -(1/n) int_0^t e dt
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.errors import InputError
from meanfield.flow import Trajectory
from meanfield.limits import empirical_kernels

Array = NDArray[np.float64]


class OwnKernel:
    """Predictions for the end of a run, from its initial network alone.

    Parameters
    ----------
    run : Trajectory
        A network with zero initial output (antisymmetric); only its data, initial network and final time are
        used.

    Raises
    ------
    InputError
        If the network's neurons are not pairs of twins.
    """

    def __init__(self, run: Trajectory) -> None:
        if not run.initial.antisymmetric:
            raise InputError("the network's neurons are no pairs of twins; draw it with antisymmetric=True")
        self._run = run
        K_a, K_w = empirical_kernels(run.initial, run.problem.x)
        rates, self._vectors = np.linalg.eigh(self._combined(K_a, K_w) / run.problem.n)
        self._rates = np.maximum(rates, 1e-14 * rates[-1])  # those of kernels without full rank
        self._start = self._vectors.T @ run.problem.y / run.problem.n

    def predict(self, x: ArrayLike) -> Array:
        """The learned function on new inputs, shape (k,)."""
        run = self._run
        K_a, K_w = empirical_kernels(run.initial, run.problem.with_bias(x), run.problem.x)
        return np.asarray(self._combined(K_a, K_w) @ self._impulse())

    def rd_w(self) -> float:
        """Relative displacement of the input weights."""
        network, x = self._run.initial, self._run.problem.x
        z = network.preactivations(x)
        first = network.a[:, None] * self._impulse()
        second = network.kappa / network.kappa_prime * (np.maximum(z, 0.0) @ self._products())
        moved = network.kappa * network.kappa_prime * (((first + second) * (z > 0.0)) @ x)
        return float(np.linalg.norm(moved) / np.sqrt(network.w_squared.sum()))

    def _combined(self, K_a: Array, K_w: Array) -> Array:
        network = self._run.initial
        return network.width * network.kappa**2 * (K_a / network.kappa_prime + network.kappa_prime * K_w)

    def _grown(self, rates: Array) -> Array:
        """``int_0^t exp(-rate s) ds``."""
        return np.asarray(-np.expm1(-rates * self._run.time[-1]) / rates)

    def _impulse(self) -> Array:
        return np.asarray(self._vectors @ (self._start * self._grown(self._rates)))

    def _products(self) -> Array:
        """``int T_i dT_j``, shape (n, n)."""
        k, j = self._rates[:, None], self._rates[None, :]
        modes = np.outer(self._start, self._start) * (self._grown(j) - self._grown(k + j)) / k
        return np.asarray(self._vectors @ modes @ self._vectors.T)
