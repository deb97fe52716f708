"""Gradient flows that know their own solution.

A :class:`System` holds a problem, particles and the exact outputs and displacements at any tbar; the
derivation stands with each. All are written in canonical coordinates p = sqrt(kappa') a,
q = w / sqrt(kappa'), s = kappa tbar, in which

    dp/ds = -(1/n) sum_i e_i relu(q . x_i),   dq/ds = -(1/n) sum_i e_i p 1[q . x_i > 0] x_i,
    e_i = kappa sum_k weight_k p_k relu(q_k . x_i) - y_i.

``model_error`` and ``rd_error`` bound how far the particles' own flow may be from the formula (nodes of a
quadrature), relative to the targets and to the displacement; zero where the formula is exact for them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import integrate, optimize

from meanfield import Particles, Problem


@dataclass(frozen=True, eq=False)
class Solution:
    """Exact outputs (n,) and displacements at one time; nan where there is no formula."""

    output: np.ndarray
    rd_w: float = math.nan
    rd_a: float = math.nan


@dataclass(frozen=True, eq=False)
class System:
    name: str
    problem: Problem
    particles: Particles
    t_end: float
    exact: Callable[[float], Solution]
    model_error: float = 0.0
    rd_error: float = 0.0
    kink_free: bool = True

    def loss(self, tbar: float) -> float:
        e = self.exact(tbar).output - self.problem.y
        return float(np.mean(e**2)) / 2


def _particles(p, q, kappa, kappa_prime, weight=None):
    """From canonical coordinates; q has shape (N, d)."""
    root = math.sqrt(kappa_prime)
    return Particles.from_arrays(p / root, q * root, kappa=kappa, kappa_prime=kappa_prime, weight=weight)


def _displacement(now, initial, weight):
    """Relative; the ratio is the same in canonical and in normalised units."""
    axis = tuple(range(1, now.ndim))
    moved = np.sum((now - initial) ** 2, axis=axis)
    return math.sqrt(weight @ moved / (weight @ np.sum(initial**2, axis=axis)))


def one_sample(kappa_prime=0.5, seed=0, count=12) -> System:
    """One sample x > 0, d = 1 without a bias, every neuron active throughout: a sinh law.

    With d tau = -e x ds each neuron obeys dp = q d tau, dq = p d tau, hence

        p = p0 cosh tau + q0 sinh tau,   q = q0 cosh tau + p0 sinh tau,
        f = A cosh 2 tau + B sinh 2 tau,   A = kappa x sum p0 q0,   B = kappa x sum (p0^2 + q0^2) / 2.

    |A| < B, so f = C sinh 2 sigma with C = sqrt(B^2 - A^2), sigma = tau + artanh(A/B) / 2, and
    d sigma / d tbar = kappa x (y - C sinh 2 sigma). With u = tanh sigma, S = sqrt(C^2 + y^2) and
    u* = y / (C + S) the partial fractions of du / (y (1 - u^2) - 2 C u) give

        (1 + u u*) / (1 - u / u*) = exp(2 S kappa x tbar) (1 + u0 u*) / (1 - u0 / u*).

    At A = 0 and p0^2 = kappa', q0^2 = 1/kappa' this is sinh 2 tau* = 2 kappa' y / (m kappa x
    (1 + kappa'^2)), the law of the theory page. Neurons stay active while q > 0: q0 > |p0| suffices.
    """
    rng = np.random.default_rng(seed)
    x, y, kappa = 1.5, 2.0, 1.0 / count
    p0 = rng.uniform(-1.0, 1.0, count)
    q0 = np.abs(p0) + rng.uniform(0.05, 1.0, count)
    particles = _particles(p0, q0[:, None], kappa, kappa_prime)
    A, B = kappa * x * np.sum(p0 * q0), kappa * x * np.sum(p0**2 + q0**2) / 2
    C, sigma0 = math.sqrt(B**2 - A**2), math.atanh(A / B) / 2
    S = math.hypot(C, y)
    u_star, u0 = y / (C + S), math.tanh(sigma0)

    def exact(tbar):
        # E u*^2 in the form (u u* + u*^2) / (u* - u) = E, solved for u
        E = math.exp(2 * S * kappa * x * tbar) * (1 + u0 * u_star) / (1 - u0 / u_star)
        tau = math.atanh(u_star * (E - 1) / (E + u_star**2)) - sigma0
        p = p0 * math.cosh(tau) + q0 * math.sinh(tau)
        q = q0 * math.cosh(tau) + p0 * math.sinh(tau)
        assert np.all(q > 0)
        one = np.ones(count)
        f = np.array([kappa * x * p @ q])
        return Solution(f, _displacement(q[:, None], q0[:, None], one), _displacement(p, p0, one))

    return System(
        "one sample, always active",
        Problem([[x]], [y], bias=False),
        particles,
        t_end=5.0 / (2 * S * kappa * x),
        exact=exact,
    )


def balanced_modes(y=(1.0, -0.5), u0=(0.02, -0.02), lengths=(1.0, 2.0)) -> System:
    """Balanced linear modes, u' = 2 u (y - u), two of them side by side.

    Sample i is c_i times the i-th unit vector and one neuron lies along each axis with |p| = q: it is
    exactly inactive on the other sample (pre-activation zero), and balance is conserved. Its output
    u = kappa c p q obeys du/ds = 2 c |u| (y - u) / n. For y > 0 with T = 2 c s / n:

        u = y e^{yT} / (e^{yT} - 1 + y / u0);   a mode with y < 0 is the mirror image.
    """
    y, u0, c = (np.array(values, dtype=float) for values in (y, u0, lengths))
    kappa, kappa_prime, n = 0.25, 2.0, len(y)
    size0 = np.sqrt(np.abs(u0) / (kappa * c))

    def modes(tbar):
        T = 2 * c * kappa * tbar / n
        grown = np.exp(np.abs(y) * T)
        return y * grown / (grown - 1 + y / u0)

    def exact(tbar):
        u = modes(tbar)
        size = np.sqrt(np.abs(u) / (kappa * c))
        moved = math.sqrt(np.sum((size - size0) ** 2) / np.sum(size0**2))  # |p| and q move alike
        return Solution(u, moved, moved)

    return System(
        "balanced linear modes",
        Problem(np.diag(c), y, bias=False),
        _particles(np.sign(y) * size0, np.diag(size0), kappa, kappa_prime),
        t_end=float(np.max(n / (2 * c * kappa * np.abs(y)) * np.log(20 * np.abs(y / u0)))),
        exact=exact,
    )


def single_linear_neuron(seed=1) -> System:
    """A single neuron that is active on all samples of whitened data: a Riccati equation.

    Source: Kunin et al. 2024 (unbalanced initialisations). With (1/n) sum_i x_i x_i' = I, beta = (1/n)
    sum_i y_i x_i and P = sqrt(kappa) p, Q = sqrt(kappa) q:

        P' = beta.Q - |Q|^2 P,   Q' = P beta - P^2 Q,   delta = P^2 - |Q|^2 conserved.

    mu = beta.Q / P obeys mu' = |beta|^2 - delta mu - mu^2, so mu = phi'/phi with
    phi = e^{-delta s/2} (cosh w s + ((mu0 + delta/2)/w) sinh w s), w = sqrt(|beta|^2 + delta^2/4).
    P'/P = mu - P^2 + delta makes v = 1/P^2 linear: (v phi^2 e^{2 delta s})' = 2 phi^2 e^{2 delta s}.
    Q is mu P / |beta|^2 along beta; across it Q'/Q = -P^2 = P'/P - mu - delta, so
    Q_perp(s) = Q_perp(0) P(s) / (P0 phi(s) e^{delta s}).
    """
    n, kappa, kappa_prime = 3, 0.5, 1.5
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    x = math.sqrt(n) * rotation
    P0, Q0 = 0.6, x.T @ np.array([0.2, 0.1, 0.4]) / n  # x.Q0 = (0.2, 0.1, 0.4): active on all samples
    y = np.array([0.5, 1.5, 1.0])  # positive, so that the neuron turns further into its cone
    beta = x.T @ y / n
    s2, delta = beta @ beta, P0**2 - Q0 @ Q0
    mu0 = beta @ Q0 / P0
    w = math.sqrt(s2 + delta**2 / 4)
    c = (mu0 + delta / 2) / w

    def exact(tbar):
        s = kappa * tbar
        C, S = math.cosh(w * s), math.sinh(w * s)
        phi_scaled = C + c * S  # phi e^{delta s/2}
        mu = w * (S + c * C) / phi_scaled - delta / 2
        # phi^2 e^{2 delta s} = e^{delta s} phi_scaled^2, and phi_scaled^2 is a sum of three exponentials
        parts = [
            ((1 + c) ** 2 / 4, delta + 2 * w),
            ((1 - c**2) / 2, delta),
            ((1 - c) ** 2 / 4, delta - 2 * w),
        ]
        integral = sum(2 * k * (math.expm1(rate * s) / rate if rate else s) for k, rate in parts)
        v = (1 / P0**2 + integral) / (math.exp(delta * s) * phi_scaled**2)
        P = 1 / math.sqrt(v)
        across = (Q0 - mu0 * P0 / s2 * beta) * P / (P0 * phi_scaled * math.exp(delta * s / 2))
        Q = mu * P / s2 * beta + across
        assert np.all(x @ Q > 0)
        rd_w = float(np.linalg.norm(Q - Q0) / np.linalg.norm(Q0))
        return Solution(P * (x @ Q), rd_w, abs(P - P0) / P0)

    root = math.sqrt(kappa)
    return System(
        "single linear neuron",
        Problem(x, y, bias=False),
        _particles(np.array([P0 / root]), Q0[None] / root, kappa, kappa_prime),
        t_end=6.0 / (kappa * w),
        exact=exact,
    )


def one_sample_infinite_width(kappa_prime=0.7, m=1e6, gamma=1.2, nodes=4000) -> System:
    """One sample, a and w Gaussian, m -> infinity: angles phi on the circle (a, w) = sqrt(2) (cos, sin).

    As in :func:`one_sample`, p = p0 cosh tau + q0 sinh tau and q likewise while q > 0. Neurons with
    q0 <= 0 never move; of the others those with tan phi < -kappa' tanh tau have died, i.e. the active
    ones are 0 < phi < Phi = pi - atan(kappa' tanh tau). Integrating p q over them,

        f(tau) = (m kappa x / (pi kappa')) [(1/2) sinh 2tau (kappa'^2 (Phi/2 + sin 2Phi/4) + Phi/2
                 - sin 2Phi/4) + (1/2) kappa' cosh 2tau sin^2 Phi],   d tau/d tbar = kappa x (y - f).

    A dead neuron rests at q = 0, |p| = sqrt(p0^2 - q0^2). Midpoints of equal angles: f and the squared
    displacements are integrals with the ends of the active range at cell edges or at zeros of the
    integrand, so the error is that of the midpoint rule, O(nodes^-2).
    """
    x, y, kappa = 2.0, 1.0, m**-gamma
    phi = (np.arange(nodes) + 0.5) * 2 * np.pi / nodes
    root = math.sqrt(kappa_prime)
    p0, q0 = root * math.sqrt(2) * np.cos(phi), math.sqrt(2) / root * np.sin(phi)
    particles = _particles(p0, q0[:, None], kappa, kappa_prime, np.full(nodes, m / nodes))

    def active_end(tau):
        return math.pi - math.atan(kappa_prime * math.tanh(tau))

    def f(tau):
        Phi = active_end(tau)
        balance = kappa_prime**2 * (Phi / 2 + math.sin(2 * Phi) / 4) + Phi / 2 - math.sin(2 * Phi) / 4
        bracket = 0.5 * math.sinh(2 * tau) * balance
        bracket += 0.5 * kappa_prime * math.cosh(2 * tau) * math.sin(Phi) ** 2
        return m * kappa * x / (math.pi * kappa_prime) * bracket

    tau_star = optimize.brentq(lambda tau: f(tau) - y, 0.0, 50.0, xtol=1e-15, rtol=1e-14)
    t_end = 4 * tau_star / (kappa * x * y)
    path = integrate.solve_ivp(
        lambda _, tau: [kappa * x * (y - f(tau[0]))], (0, t_end), [0.0], method="DOP853",
        rtol=1e-12, atol=1e-14, dense_output=True,
    )  # fmt: skip

    def moved(tau):
        """Mean of (dq)^2 and (dp)^2 over all angles."""
        Phi, C, S = active_end(tau), math.cosh(tau), math.sinh(tau)

        def p(a):
            return root * math.cos(a)

        def q(a):
            return math.sin(a) / root

        def died(a):
            return (-math.sqrt(max(p(a) ** 2 - q(a) ** 2, 0.0)) - p(a)) ** 2

        def mean(function, lo, hi):  # over the circle of radius sqrt(2)
            return integrate.quad(function, lo, hi, epsabs=1e-13, epsrel=1e-11)[0] / math.pi

        dq2 = mean(lambda a: (q(a) * (C - 1) + p(a) * S) ** 2, 0, Phi) + mean(
            lambda a: q(a) ** 2, Phi, math.pi
        )
        dp2 = mean(lambda a: (p(a) * (C - 1) + q(a) * S) ** 2, 0, Phi) + mean(died, Phi, math.pi)
        return dq2, dp2

    def exact(tbar):
        tau = float(path.sol(tbar)[0])
        dq2, dp2 = moved(tau)
        # mean q0^2 = 1/kappa', mean p0^2 = kappa'
        return Solution(np.array([f(tau)]), math.sqrt(dq2 * kappa_prime), math.sqrt(dp2 / kappa_prime))

    # f is a sum of terms m kappa x larger than itself; the squared displacement has its edge at Phi, a
    # cell of which may count wholly or not at all.
    cell = 2 * math.pi / nodes
    return System(
        "one sample, infinite width",
        Problem([[x]], [y], bias=False),
        particles,
        t_end=t_end,
        exact=exact,
        model_error=cell**2 * max(1.0, m * kappa * x / y),
        rd_error=cell,
        kink_free=False,
    )


def arc_cosine_kernels(x):
    """``E[relu(w.x_i) relu(w.x_j)]`` and ``(x_i.x_j) E[relu' relu']`` for w ~ N(0, I), both (n, n).

    The angle is Kahan's, 2 atan2(| u - v |, | u + v |) of the unit vectors: exact near zero.
    """
    lengths = np.linalg.norm(x, axis=1)
    u = x / lengths[:, None]
    apart = np.linalg.norm(u[:, None] - u[None], axis=2)
    theta = 2 * np.arctan2(apart, np.linalg.norm(u[:, None] + u[None], axis=2))
    G_a = np.outer(lengths, lengths) * (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (2 * np.pi)
    return G_a, (x @ x.T) * (np.pi - theta) / (2 * np.pi)


def kernel_law(problem, m, kappa, kappa_prime, tbar, e0):
    """Residual of the infinite-width kernel regime: ``e = exp(-(m kappa^2/n) M tbar) e(0)``.

    df_i/dtbar = -(kappa^2/n) sum_k sum_j [relu relu / kappa' + kappa' a^2 relu' relu' x.x] e_j, and at
    large m the sums over k are m times their expectations.
    """
    G_a, G_w = arc_cosine_kernels(problem.x)
    values, vectors = np.linalg.eigh(G_a / kappa_prime + kappa_prime * G_w)
    return vectors @ (np.exp(-m * kappa**2 / problem.n * values * tbar) * (vectors.T @ e0))


def kernel_regime(m=1e12, kappa_prime=1.5, nodes=4096) -> System:
    """The linear regime at a width so large that nothing moves: the kernel law, with quadrature nodes.

    d = 2 with a bias: directions of w at equal angles on the circle of radius sqrt(2) (E w_c^2 = 1), each
    with a = +1 and a = -1 (E a^2 = 1; kernels hold a^2 only, and f(0) = 0).
    """
    problem = Problem([-0.8, -0.1, 0.3, 0.9], [0.5, -0.3, 0.8, 0.2])
    kappa = m**-0.5
    angle = (np.arange(nodes // 2) + 0.5) * 4 * np.pi / nodes
    w = math.sqrt(2) * np.column_stack([np.cos(angle), np.sin(angle)])
    particles = Particles.from_arrays(
        np.tile([1.0, -1.0], nodes // 2), np.repeat(w, 2, axis=0), kappa=kappa, kappa_prime=kappa_prime,
        weight=np.full(nodes, m / nodes),
    )  # fmt: skip

    def exact(tbar):
        return Solution(problem.y + kernel_law(problem, m, kappa, kappa_prime, tbar, -problem.y))

    # Each entry of M jumps at the edges of half-planes, which a cell of angle 4 pi / nodes smears; for
    # the decay exp(-lambda t) e the sensitivity to a relative change of M is at most 1/e.
    return System(
        "kernel regime",
        problem,
        particles,
        t_end=100.0,
        exact=exact,
        model_error=4 * np.pi / nodes,
        kink_free=False,
    )


def kink_free(seed=2, count=10, n=3, d=3) -> System:
    """All inputs and input weights positive, no neuron ever changes its activation.

    All neurons are then active on all samples and obey one linear equation: the state (p, q) of each is
    Lambda(s) times its initial one, with a single (1 + d) x (1 + d) matrix

        Lambda' = [[0, g'], [g, 0]] Lambda,   g = -(1/n) sum_i e_i x_i,   Lambda(0) = I

    (a Lorentz boost: it conserves p^2 - |q|^2). With Sigma = kappa sum_k (p, q)(p, q)' at the start,
    f(x_i) = (Lambda Sigma Lambda')_{0, 1:} . x_i; SciPy integrates (1 + d)^2 smooth equations to 1e-13.
    """
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0.2, 1.5, (n, d)), rng.uniform(0.5, 1.5, n)
    kappa, kappa_prime = 1.0 / count, 0.8
    theta0 = np.vstack([rng.uniform(-0.4, 1.0, count), rng.uniform(0.5, 1.5, (d, count))])
    sigma = kappa * theta0 @ theta0.T

    def outputs(boost):
        return x @ (boost @ sigma @ boost.T)[0, 1:]

    def rate(_, flat):
        boost = flat.reshape(1 + d, 1 + d)
        g = x.T @ (y - outputs(boost)) / n
        generator = np.zeros((1 + d, 1 + d))
        generator[0, 1:] = generator[1:, 0] = g
        return (generator @ boost).ravel()

    t_end = 60.0
    path = integrate.solve_ivp(
        rate,
        (0, kappa * t_end),
        np.eye(1 + d).ravel(),
        method="DOP853",
        rtol=1e-13,
        atol=1e-14,
        dense_output=True,
    )

    def exact(tbar):
        boost = path.sol(kappa * tbar).reshape(1 + d, 1 + d)
        theta = boost @ theta0
        assert np.all(x @ theta[1:] > 0)
        one = np.ones(count)
        rd_w, rd_a = _displacement(theta[1:].T, theta0[1:].T, one), _displacement(theta[0], theta0[0], one)
        return Solution(outputs(boost), rd_w, rd_a)

    return System(
        "kink-free",
        Problem(x, y, bias=False),
        _particles(theta0[0], theta0[1:].T, kappa, kappa_prime),
        t_end=t_end,
        exact=exact,
    )


SYSTEMS = {
    "one-sample": one_sample,
    "one-sample-small-kappa-prime": lambda: one_sample(kappa_prime=0.05, seed=5),
    "balanced-modes": balanced_modes,
    "single-neuron": single_linear_neuron,
    "one-sample-infinite-width": one_sample_infinite_width,
    "one-sample-condensed": lambda: one_sample_infinite_width(gamma=1.6),
    "one-sample-linear": lambda: one_sample_infinite_width(gamma=0.6),
    "kernel-regime": kernel_regime,
    "kink-free": kink_free,
}
