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
from meanfield.limits import Linearised

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
        self._linear = Linearised(run.problem, run.initial)

    def predict(self, x: ArrayLike) -> Array:
        """The learned function on new inputs, shape (k,)."""
        return self._linear.output(x, self._end)

    def rd_w(self) -> float:
        """Relative displacement of the input weights."""
        network, x = self._run.initial, self._run.problem.x
        z = network.preactivations(x)
        first = network.a[:, None] * self._linear.impulse(self._end)
        products = self._linear.impulse_products(self._end)
        second = network.kappa / network.kappa_prime * (np.maximum(z, 0.0) @ products)
        moved = network.kappa * network.kappa_prime * (((first + second) * (z > 0.0)) @ x)
        return float(np.linalg.norm(moved) / np.sqrt(network.w_squared.sum()))

    @property
    def _end(self) -> float:
        return self._run.end.time
