"""Brute force: Dormand and Prince's RK45 on the plain right-hand side, compiled, one-dimensional inputs.

The algorithm of SciPy's RK45, coefficients of Dormand and Prince (1980), with error control in all
unknowns. Where neurons slide its steps chatter, so that tens of millions of right-hand sides are
needed: this is what the package's solver is measured against.
"""

import numba
import numpy as np

A = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [1 / 5, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ]
)
E = np.array([-71 / 57600, 0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40])

compiled = numba.njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


@compiled
def velocity(theta, x, y, kappa, out, e):
    """Canonical velocity of neurons theta, shape (3, N), at samples x, shape (n, 2); fills the residual e."""
    n, size = x.shape[0], theta.shape[1]
    for i in range(n):
        total = 0.0
        for k in range(size):
            z = theta[1, k] * x[i, 0] + theta[2, k] * x[i, 1]
            total += theta[0, k] * (z if z > 0.0 else 0.0)
        e[i] = kappa * total - y[i]
    out[:] = 0.0
    for i in range(n):
        pull = -e[i] / n
        pull_w, pull_b = pull * x[i, 0], pull * x[i, 1]
        for k in range(size):
            z = theta[1, k] * x[i, 0] + theta[2, k] * x[i, 1]
            out[0, k] += pull * (z if z > 0.0 else 0.0)
            out[1, k] += pull_w if z > 0.0 else 0.0
            out[2, k] += pull_b if z > 0.0 else 0.0
    for k in range(size):
        out[1, k] *= theta[0, k]
        out[2, k] *= theta[0, k]


@compiled
def combine(theta, k, weights, count, h, out):
    for row in range(theta.shape[0]):
        for i in range(theta.shape[1]):
            out[row, i] = theta[row, i]
        for j in range(count):
            c = h * weights[j]
            if c != 0.0:
                for i in range(theta.shape[1]):
                    out[row, i] += c * k[j, row, i]


@compiled
def error_norm(k, theta, new, h, rtol, atol):
    total = 0.0
    for row in range(theta.shape[0]):
        for i in range(theta.shape[1]):
            value = 0.0
            for j in range(7):
                value += E[j] * k[j, row, i]
            scale = atol + rtol * max(abs(theta[row, i]), abs(new[row, i]))
            total += (h * value / scale) ** 2
    return np.sqrt(total / theta.size)


@compiled
def integrate(theta, x, y, kappa, times, rtol, atol):
    """Losses and states at the given canonical times, and the number of right-hand sides."""
    theta, n = theta.copy(), x.shape[0]
    losses, states = np.empty(len(times)), np.empty((len(times), *theta.shape))
    k, new, e = np.empty((7, *theta.shape)), np.empty_like(theta), np.empty(n)
    velocity(theta, x, y, kappa, k[0], e)
    now, h, reached, evaluations = 0.0, 1e-3, 0, 1
    while reached < len(times):
        meets = now + h >= times[reached]
        step = times[reached] - now if meets else h
        for stage in range(1, 7):
            combine(theta, k, A[stage], stage, step, new)
            velocity(new, x, y, kappa, k[stage], e)
        evaluations += 6
        error = error_norm(k, theta, new, step, rtol, atol)
        factor = 10.0 if error == 0.0 else min(10.0, max(0.2, 0.9 * error**-0.2))
        if error <= 1.0:
            now = times[reached] if meets else now + step
            theta[:] = new
            k[0] = k[6]
            if meets:
                losses[reached] = np.sum(e * e) / (2 * n)
                states[reached] = theta
                reached += 1
        if not meets or factor < 1.0:
            h = step * factor
    return losses, states, evaluations
