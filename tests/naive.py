"""The obvious twin of every kernel and of the flow's right-hand side: plain NumPy, nothing shared.

Kernels have the conventions of :mod:`meanfield.kernels.dense`: ``theta`` (1 + r, N) with p in row 0 and
q below, ``x`` (n, r), ``weight`` (N,). Twins return what a kernel's chunks add up to.
"""

import numpy as np


def relu(z):
    return np.where(z > 0, z, 0.0)


def step(z):
    return np.where(z > 0, 1.0, 0.0)


def features(theta, x):
    """Phi, shape (n, 1 + r, N): the gradient of ``p relu(q . x_i)`` for every sample and neuron."""
    p, q = theta[0], theta[1:]
    phi = np.empty((len(x), *theta.shape))
    for i, x_i in enumerate(x):
        z = np.zeros(len(p))
        for q_c, x_ic in zip(q, x_i, strict=True):
            z = z + q_c * x_ic
        phi[i, 0] = relu(z)
        for c, x_ic in enumerate(x_i):
            phi[i, 1 + c] = p * step(z) * x_ic
    return phi


def output(theta, weight, x):
    return np.array([np.sum(weight * theta[0] * phi_i[0]) for phi_i in features(theta, x)])


def pullback(theta, c, x):
    out = np.zeros(theta.shape)
    for c_i, phi_i in zip(c, features(theta, x), strict=True):
        out += c_i * phi_i
    return out


def tangent(theta, weight, v, x):
    return np.array([np.sum(weight * phi_i * v) for phi_i in features(theta, x)])


def gram(theta, weight, x):
    """The two parts of the Gram matrix, full and symmetric: relu relu, and p**2 1 1."""
    n, p = len(x), theta[0]
    z = [x_i @ theta[1:] for x_i in x]
    part_a, part_w = np.empty((n, n)), np.empty((n, n))
    for i in range(n):
        for j in range(n):
            part_a[i, j] = np.sum(weight * relu(z[i]) * relu(z[j]))
            part_w[i, j] = np.sum(weight * p**2 * step(z[i]) * step(z[j]))
    return part_a, part_w


def tangent_gram(theta, weight, x):
    """The Gram matrix itself: ``sum_k weight_k Phi_ik . Phi_jk``."""
    phi = features(theta, x)
    return np.array([[np.sum(weight * phi_i * phi_j) for phi_j in phi] for phi_i in phi])


def combine(base, increments, coefficients):
    out = base.copy()
    for factor, term in zip(coefficients, increments, strict=True):
        out += factor * term
    return out


def combination_norms(increments, coefficients, weight):
    v = combine(np.zeros(increments.shape[1:]), increments, coefficients)
    return np.array([np.sum(weight * v[0] ** 2), np.sum(weight * np.sum(v[1:] ** 2, axis=0))])


def observe(theta, theta0, weight):
    moved = (theta - theta0) ** 2
    conserved = [t[0] ** 2 - np.sum(t[1:] ** 2, axis=0) for t in (theta, theta0)]
    return np.array(
        [
            np.sum(weight * moved[0]),
            np.sum(weight * np.sum(moved[1:], axis=0)),
            np.sum(weight * theta[0] ** 2),
            np.sum(weight * np.sum(theta[1:] ** 2, axis=0)),
            np.sum(weight * np.abs(conserved[0] - conserved[1])),
        ]
    )


# Passes for any activation and c outputs: theta is (c + r, N), sigma_c(z) = sigma(scale z) / scale.


def jacobian(theta, x, activation, scale, outputs):
    """Phi, shape (n, c, c + r, N): the gradient of ``p_o sigma_c(q . x_i)`` for every sample and output."""
    p, q = theta[:outputs], theta[outputs:]
    phi = np.zeros((len(x), outputs, *theta.shape))
    for i, x_i in enumerate(x):
        z = scale * (x_i @ q)
        for o in range(outputs):
            phi[i, o, o] = activation.value(z) / scale
            for c, x_ic in enumerate(x_i):
                phi[i, o, outputs + c] = p[o] * activation.slope(z) * x_ic
    return phi


def outputs_of(theta, weight, x, activation, scale, outputs):
    """Shape (n, c)."""
    phi = jacobian(theta, x, activation, scale, outputs)
    return np.array([[np.sum(weight * theta[o] * of_i[o, o]) for o in range(outputs)] for of_i in phi])


# The flow in the user's own parameters: f = (1/alpha) sum_k a_k sigma(w_k . x), R = (1/2n) sum (f - y)^2.


def network(a, w, x, alpha, sigma=relu):
    """Output on the rows of x, (n,); a is (m,), w (m, d)."""
    f = np.zeros(len(x))
    for i, x_i in enumerate(x):
        f[i] = np.sum(a * sigma(w @ x_i)) / alpha
    return f


def loss(a, w, x, y, alpha, sigma=relu):
    return np.sum((network(a, w, x, alpha, sigma) - y) ** 2) / (2 * len(y))


def velocity(a, w, x, y, alpha, sigma=relu, slope=step):
    """``-dR/da`` and ``-dR/dw``, the flow in the user's time t; relu'(0) = 0."""
    e, n = network(a, w, x, alpha, sigma) - y, len(y)
    da, dw = np.zeros(a.shape), np.zeros(w.shape)
    for e_i, x_i in zip(e, x, strict=True):
        z = w @ x_i
        da -= e_i * sigma(z) / (n * alpha)
        dw -= np.outer(e_i * a * slope(z) / (n * alpha), x_i)
    return da, dw


# The same in normalised units: abar = a / beta1, wbar = w / beta2, tbar = t / (beta1 beta2).


def normalised_network(abar, wbar, x, kappa, weight):
    return network(weight * abar, wbar, x, 1.0 / kappa)


def normalised_velocity(abar, wbar, x, y, kappa, kappa_prime, weight):
    """``d abar/d tbar`` and ``d wbar/d tbar``; weights multiply a neuron's output, not its speed."""
    e, n = normalised_network(abar, wbar, x, kappa, weight) - y, len(y)
    da, dw = np.zeros(abar.shape), np.zeros(wbar.shape)
    for e_i, x_i in zip(e, x, strict=True):
        z = wbar @ x_i
        da -= (kappa / kappa_prime) * e_i * relu(z) / n
        dw -= (kappa * kappa_prime) * np.outer(e_i * abar * step(z) / n, x_i)
    return da, dw


def relative_displacement(now, initial, weight):
    """Weighted ``|theta(t) - theta(0)| / |theta(0)|`` of one layer, (m,) or (m, d)."""
    w = weight if now.ndim == 1 else weight[:, None]
    return np.sqrt(np.sum(w * (now - initial) ** 2) / np.sum(w * initial**2))


def euler_motion(theta, e, x, h, steps):
    """Particles under a constant residual by Euler's method: chatters where a neuron slides."""
    p, q = theta[0].copy(), theta[1:].copy()
    n, dt = x.shape[0], h / steps
    for _ in range(steps):
        z = x @ q
        pull = np.where(z > 0, e[:, None], 0.0) / n
        dp, dq = -(pull * z).sum(axis=0), -p * (x.T @ pull)
        p, q = p + dt * dp, q + dt * dq
    return np.vstack([p, q])


# Statistics: the slope of one or two seeds whose draws are nested over the widths.


def nested_slope(m, log_rd, confidence):
    """Mean least-squares slope over seeds, half its interval; log_rd is (W, S), covariance 1/max(m, m')."""
    from scipy.stats import t

    covariance = np.array([[1.0 / max(a, b) for a in m] for b in m])
    inverse, design = np.linalg.inv(covariance), np.column_stack([np.ones(len(m)), np.log(m)])
    plain = np.linalg.inv(design.T @ design) @ design.T  # rows: weights of intercept and slope
    general = np.linalg.inv(design.T @ inverse @ design) @ design.T @ inverse
    misfit = 0.0
    for y in log_rd.T:
        rest = y - design @ (general @ y)
        misfit += rest @ inverse @ rest
    seeds = log_rd.shape[1]
    freedom = seeds * (len(m) - 2)
    error = np.sqrt(misfit / freedom * (plain[1] @ covariance @ plain[1]) / seeds)
    return np.mean(plain[1] @ log_rd), t.ppf(0.5 + confidence / 2, freedom) * error


# Order parameters, neuron by neuron; q (N, r) are input weights, x (n, r) samples.


def tangent_kernel(a, q, x, kappa, kappa_prime, weight):
    """``de/d tbar = -(1/n) K e``: sum over neurons and coordinates of gradients of f times their rates."""
    n = len(x)
    K = np.zeros((n, n))
    for k in range(len(a)):
        for i in range(n):
            for j in range(n):
                z_i, z_j = float(q[k] @ x[i]), float(q[k] @ x[j])
                by_a = max(z_i, 0.0) * max(z_j, 0.0) / kappa_prime
                on = [
                    z > 1e-6 * np.sqrt(np.sum(q[k] ** 2) * np.sum(s**2))
                    for z, s in ((z_i, x[i]), (z_j, x[j]))
                ]
                by_w = kappa_prime * a[k] ** 2 * all(on) * float(x[i] @ x[j])
                K[i, j] += kappa**2 * weight[k] * (by_a + by_w)
    return K


def effective_orientations(a, q, weight, resolution):
    amplitude = [w * abs(p) * np.sqrt(np.sum(v * v)) for p, v, w in zip(a, q, weight, strict=True)]
    agree = 0.0
    for i in range(len(a)):
        for j in range(len(a)):
            size = np.sqrt(np.sum(q[i] ** 2) * np.sum(q[j] ** 2))
            if size > 0 and np.arccos(np.clip(np.sum(q[i] * q[j]) / size, -1, 1)) <= resolution:
                agree += amplitude[i] * amplitude[j]
    return sum(amplitude) ** 2 / agree


def dead_fraction(q, x, weight):
    return sum(w for v, w in zip(q, weight, strict=True) if all(v @ x_i <= 0 for x_i in x)) / sum(weight)


def pinned_fraction(a, q, x, weight, tol, *, by_amplitude):
    size = [np.sqrt(np.sum(v * v)) for v in q]
    counted = weight * np.abs(a) * size if by_amplitude else weight
    pinned = [
        any(abs(v @ x_i) <= tol * s * np.sqrt(np.sum(x_i * x_i)) for x_i in x)
        for v, s in zip(q, size, strict=True)
    ]
    return sum(c for c, is_pinned in zip(counted, pinned, strict=True) if is_pinned) / sum(counted)


def kinks(x, apart):
    """Leader, side and companions of the kink of every sample: all pairs, by the definition.

    A sample whose direction differs by at most ``apart``, in every coordinate, from plus or minus that of an
    earlier one that leads belongs to the first such.
    """
    leader, same = list(range(len(x))), [True] * len(x)
    for j in range(len(x)):
        for i in range(j):
            if leader[i] != i or not np.any(x[i]) or not np.any(x[j]):
                continue
            sign = 1.0 if x[i] @ x[j] > 0 else -1.0
            u, v = x[i] / np.linalg.norm(x[i]), x[j] / np.linalg.norm(x[j])
            if np.max(np.abs(u - sign * v)) <= apart:
                leader[j], same[j] = i, sign > 0
                break
    companions = [{j for j in range(len(x)) if leader[j] == leader[i]} for i in range(len(x))]
    return leader, same, companions
