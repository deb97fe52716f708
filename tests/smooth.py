"""Smooth flows by SciPy, in the user's own parameters: a reference that shares nothing with the package."""

import numpy as np
from scipy.integrate import solve_ivp

from meanfield.activations import Activation, as_activation


def _square(z):
    return np.maximum(z, 0.0) ** 2


def _square_slope(z):
    return 2.0 * np.maximum(z, 0.0)


#: Activations that these tests need, some of them a user's own.
ACTIVATIONS = {
    "tanh": as_activation("tanh"),
    "square": Activation("my square", _square, _square_slope, degree=2.0),
}


def exact(problem, particles, times, *, rtol=1e-10):
    """a (T, m), w (T, m, d) and outputs (T, n), in normalised units, from theta = (A, W) with A = beta1 a.

    ``f = sum_k weight_k A_k sigma(W_k . x) / alpha`` and each parameter obeys minus its gradient of R, shared
    by the copies of a neuron. With beta2 given and kappa' = beta1 / beta2, alpha follows from kappa.
    """
    m, d = particles.w.shape
    beta2 = particles.beta2
    beta1 = particles.kappa_prime * beta2
    alpha = beta1 * beta2 / particles.kappa
    sigma, x, y, n = particles.activation, problem.x, problem.y, problem.n

    def rate(_, state):
        A, W = state[:m], state[m:].reshape(m, d)
        z = W @ x.T
        e = (particles.weight * A) @ sigma.value(z) / alpha - y
        dW = -(A[:, None] * sigma.slope(z) * e) @ x / (n * alpha)
        return np.concatenate([-sigma.value(z) @ e / (n * alpha), dW.ravel()])

    start = np.concatenate([beta1 * particles.a, beta2 * particles.w.ravel()])
    # d theta / dt = -grad R, and tbar = t / (beta1 beta2).
    t = beta1 * beta2 * np.asarray(times)
    found = solve_ivp(
        rate, (0.0, t[-1]), start, t_eval=t, method="LSODA", rtol=rtol, atol=1e-3 * rtol * min(beta1, beta2)
    )
    assert found.success
    A, W = found.y[:m].T, found.y[m:].T.reshape(-1, m, d)
    f = np.array([(particles.weight * a) @ sigma.value(w @ x.T) / alpha for a, w in zip(A, W, strict=True)])
    return A / beta1, W / beta2, f
