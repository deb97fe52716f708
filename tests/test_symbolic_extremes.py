"""Powers of ReLU from Gaussian weights: the fastest neuron wins.

Expected values are written by hand, and neurons are integrated here: with one sample x = 1 they do not feel
each other in the time of the impulse tau, da = w^r/kappa' dtau, dw = r kappa' a w^(r-1) dtau, and training
ends when kappa times the sum of what a w^r has grown by is 1. The integrator is Runge-Kutta of order four
with steps of a tenth of the shortest e-folding. Neurons are draws at true widths; or nodes with the expected
numbers of neurons as weights, down to a single one, so that the width may be so large (1e40 and 1e60) that
logarithms have died out.
"""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from meanfield import InputError
from meanfield.symbolic import Growth, TwoLayer, derive_exponents


def velocity(z, r, kp):
    a, w = z[0], np.maximum(z[1], 0.0)
    return np.array([w**r / kp, r * kp * a * w ** (r - 1)])


def grown(r, gamma, gamma_prime, m, a0, w0, weight):
    """RD_w, RD_a and impulse at the end of training, of neurons (a0, w0) and their twins (-a0, w0)."""
    kappa, kp = m**-gamma, m**-gamma_prime
    start = np.array([np.concatenate([a0, -a0]), np.concatenate([w0, w0])])
    weight, moved = np.concatenate([weight, weight]), np.zeros_like(start)
    at_rest = start[1] ** r

    def output(moved):
        power = np.maximum(start[1] + moved[1], 0.0) ** r
        return kappa * np.sum(weight * (moved[0] * power + start[0] * (power - at_rest)))

    def stepped(moved, h):
        k1 = velocity(start + moved, r, kp)
        k2 = velocity(start + moved + h / 2 * k1, r, kp)
        k3 = velocity(start + moved + h / 2 * k2, r, kp)
        k4 = velocity(start + moved + h * k3, r, kp)
        return moved + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    tau = 0.0
    for _ in range(20_000):
        scale = np.maximum(np.abs(start + moved), 1.0)
        h = 0.1 / np.max(np.abs(velocity(start + moved, r, kp)) / scale)
        new = stepped(moved, h)
        if output(new) >= 1:
            break
        moved, tau = new, tau + h
    low, high = 0.0, h
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if output(stepped(moved, middle)) >= 1 else (middle, high)
    moved = stepped(moved, high)
    a, w = np.sqrt(np.sum(weight * moved**2, axis=1) / np.sum(weight * start**2, axis=1))
    return np.array([w, a, tau + high])


def gaussian_nodes(m, rings=60, angles=4):
    """(a, w) > 0 on rings beyond which there are m^0 to m^1 neurons, the last a single one."""
    beyond = m ** -(np.arange(rings + 1) / rings)
    radius = np.sqrt(-2 * np.log(beyond[1:]))
    number = m * np.append(-np.diff(beyond[1:]), beyond[-1])
    angle = (np.arange(angles) + 0.5) * np.pi / 2 / angles
    a, w = radius * np.cos(angle)[:, None], radius * np.sin(angle)[:, None]
    return a.ravel(), w.ravel(), np.tile(number / (4 * angles), angles)


def slopes(r, point, widths, nodes):
    low, high = (np.log(grown(r, *point, m, *nodes(m))) for m in widths)
    return (high - low) / np.log(widths[1] / widths[0])


def hand_3(g, p):
    """S_w, S_a for r = 3: of all neurons (lazy, w-lag, or where they are when one blows up), and of one.

    One neuron alone has kappa a w^3 = 1; a stays while w < kappa', that is for w = m^(gamma/3) if
    gamma < -3 gamma'; else kappa' a = w and w^4 = kappa'/kappa.
    """
    if g <= 1:
        return g - 1 - 2 * max(p, 0), g - 1 + 2 * min(p, 0)
    if p >= g - 1:
        return 2 * (g - 1 - p), g - 1
    one_w, one_a = (g / 3, 2 * g / 3 + 2 * p) if g < -3 * p else ((g - p) / 4, (g + 3 * p) / 4)
    return max(0, one_w - 0.5), max(p if p > 0 else 2 * p, one_a - 0.5)


def hand_2(g, p):
    """The same for r = 2. For gamma' < 0, w^2 of a neuron with a = x sqrt(2 log m) is m^(2 x y)."""
    if g <= 1 or p >= g - 1:
        return hand_3(g, p)
    one = (g - p) / 3 - 0.5, (g + 2 * p) / 3 - 0.5
    if p >= 0:
        return max(0, one[0]), max(p, one[1])
    x = np.linspace(0, 1, 10_001)

    def total(power, y):  # exponent of the sum of (w^2)^power over m^(1 - x^2) neurons
        return np.max(1 - x**2 + power * x * y)

    blow_up = -2 * p  # where w of the fastest has reached kappa'
    if total(1, blow_up) >= g:  # all have made up for the targets before
        low, high = 0.0, blow_up
        for _ in range(40):
            y = (low + high) / 2
            low, high = (low, y) if total(1, y) >= g else (y, high)
        return (total(1, y) - 1) / 2, (total(2, y) - 1) / 2 + 2 * p
    before = (total(1, blow_up) - 1) / 2, (total(2, blow_up) - 1) / 2 + 2 * p
    return max(before[0], one[0]), max(before[1], one[1])


def hand_three_halves(g, p):
    """For r = 3/2: with gamma' < 0 w is m^(2 delta / 3) until it reaches kappa', where neurons blow up."""
    if g <= 1 or p >= g - 1:
        return hand_3(g, p)
    if p < 0 and (g - 1) / 1.5 < -p:
        return (g - 1) / 1.5, 2 * ((g - 1) / 1.5 + p)
    one = (g - p) / 2.5 - 0.5, (g + 1.5 * p) / 2.5 - 0.5
    return max(max(-p, 0), one[0]), max(max(p, 0), one[1])


HAND = {Fraction(3, 2): hand_three_halves, 2: hand_2, 3: hand_3}


class TestByHand:
    @pytest.mark.parametrize("r", HAND, ids=str)
    def test_in_the_whole_plane(self, r):
        """On a grid that lies on no line."""
        gamma, gamma_prime = np.meshgrid(np.arange(-1, 5, 0.101) + 0.0017, np.arange(-2, 2, 0.103) + 0.0013)
        derived = np.array(derive_exponents(TwoLayer(homogeneity=r)).numeric()(gamma, gamma_prime))
        expected = np.vectorize(HAND[r])(gamma, gamma_prime)
        np.testing.assert_allclose(derived, expected, atol=1e-8)

    def test_where_S_w_vanishes(self):
        """Two lines: all neurons start to move; the one that carries the function outweighs m neurons."""
        theory = derive_exponents(TwoLayer(homogeneity=3))
        g, p = theory.gamma, theory.gamma_prime
        lines = {line.equation for line in theory.boundaries if line.regime}
        assert lines == {
            sp.Eq(g, 1),
            sp.Eq(p, g - 1),
            sp.Eq(p, g - 2),
            sp.Eq(g, sp.Rational(3, 2)),
        }
        between = [region for region in theory.regions if region.orders["w"] == 0]
        assert {region.growth for region in between} == {Growth.ONE_NEURON}
        assert {region.name for region in between} == {"one neuron, lazy", "one neuron, w-lag"}

    def test_time_is_that_of_the_entry(self):
        theory = derive_exponents(TwoLayer(homogeneity=3))
        (time,) = theory.numeric("time")([2.5, 2.5, 1.2], [0.4, -0.4, 0.7])
        np.testing.assert_allclose(time, [0.0, -0.4, -0.5])

    def test_ReLU_does_not_care(self):
        """All neurons of a cone grow at one rate: r = 1 is the same for both laws."""
        gaussian, discrete = (derive_exponents(TwoLayer(law=law)) for law in ("gaussian", "discrete"))
        assert gaussian.regions == discrete.regions
        assert gaussian.boundaries == discrete.boundaries

    def test_an_exponent_may_jump(self):
        """r = 3, gamma' < -1/3: at gamma = 1 one neuron moves its a by kappa'^-2 m^(2/3)."""
        theory = derive_exponents(TwoLayer(homogeneity=3))
        line = next(
            b for b in theory.boundaries if b.equation == sp.Eq(theory.gamma, 1) and b.jumps["a"] != 0
        )
        assert line.jumps["a"] == -sp.Rational(1, 6)
        assert line.jumps["w"] == 0

    def test_frozen_output_layer(self):
        """r = 2: the squares of w add up like the outputs; r = 3: one neuron, w^3 = 1/kappa."""
        for r, S_w in ((2, 0.75), (3, 2.5 / 3 - 0.5)):
            theory = derive_exponents(TwoLayer(homogeneity=r, train_output=False))
            assert float(theory.numeric("S_w")(2.5, -0.3)[0]) == pytest.approx(S_w)

    def test_text_names_the_winner(self):
        text = derive_exponents(TwoLayer(homogeneity=3)).text()
        assert "Region 'one neuron, both move'" in text
        assert "one neuron that has to grow by delta + 1" in text

    def test_law_is_one_of_two(self):
        with pytest.raises(InputError, match="no law is called 'uniform'"):
            TwoLayer(law="uniform")


# In each region with its own formula: r, gamma, gamma'.
POINTS = [
    (1.5, 2.0, 0.5), (1.5, 2.5, 0.3), (1.5, 1.9, -0.4), (1.5, 3.0, -0.3),
    (2, 1.4, 0.2), (2, 3.0, 0.5), (2, 3.0, -0.4), (2, 2.2, -0.4), (2, 1.2, -0.2),
    (2, 1.2, -0.6), (2, 2.5, -1.1),
    (3, 1.6, 0.0), (3, 2.5, 0.0), (3, 2.0, 0.6), (3, 3.0, -0.2), (3, 1.6, -0.1),
    (3, 1.2, -0.6), (3, 2.5, -1.0),
]  # fmt: skip


class TestNodes:
    @pytest.mark.parametrize(("r", "gamma", "gamma_prime"), POINTS, ids=str)
    def test_slopes(self, r, gamma, gamma_prime):
        found = slopes(r, (gamma, gamma_prime), (1e40, 1e60), gaussian_nodes)
        theory = derive_exponents(TwoLayer(homogeneity=Fraction(r)))
        np.testing.assert_allclose(
            found, theory.numeric("S_w", "S_a", "time")(gamma, gamma_prime), atol=0.025
        )


class TestDraws:
    @pytest.mark.parametrize("point", [(2, 3.0, 0.8), (2, 3.0, -0.4), (3, 2.5, 0.0), (3, 3.0, -0.2)], ids=str)
    def test_slope_at_true_widths(self, point):
        """Eight networks at each width; the exponents of a discrete law lie more than 0.15 away."""
        r, *place = point
        logs = []
        widths = (300, 10_000)
        for m in widths:
            runs = []
            for seed in range(8):
                a, w = np.random.default_rng([seed, m]).standard_normal((2, m // 2))
                runs.append(np.log(grown(r, *place, m, a[w > 0], w[w > 0], np.ones(np.sum(w > 0)))[:2]))
            logs.append((np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1) / np.sqrt(8)))
        span = np.log(widths[1] / widths[0])
        slope, error = (logs[1][0] - logs[0][0]) / span, np.hypot(logs[0][1], logs[1][1]) / span
        expected, other = (
            derive_exponents(TwoLayer(homogeneity=r, law=law)).numeric()(*place)
            for law in ("gaussian", "discrete")
        )
        assert np.all(np.abs(slope - expected) < 3 * error + 0.03)
        assert np.all(np.abs(slope - other) > 3 * error + 0.03)


class TestSeveralSamples:
    def test_slope_of_trained_networks(self):
        """Three samples in two dimensions, gradient flow until 0.6 of the initial loss.

        Here neurons feel each other. ReLU squared at (2.5, 0), where a discrete law has 1/2; Runge-Kutta
        steps as above.
        """
        x, y = np.array([[0.9, 1.0], [-0.4, 1.0], [0.2, 1.0]]), np.array([0.8, -0.5, 0.3])

        def trained(m, seed):
            rng, kappa = np.random.default_rng([seed, m]), m**-2.5
            a = np.repeat(rng.standard_normal(m // 2), 2) * np.tile([1, -1], m // 2)
            start = np.vstack([a, np.repeat(rng.standard_normal((2, m // 2)), 2, axis=1)])

            def field(z):
                active = np.maximum(x @ z[1:], 0.0)
                e = kappa * active**2 @ z[0] - y
                return -np.vstack([e @ active**2, 2 * z[0] * (x.T @ (e[:, None] * active))]) / 3, np.sum(e**2)

            z, first = start, np.sum(y**2)
            for _ in range(20_000):
                k1, loss = field(z)
                if loss < 0.6 * first:
                    break
                h = 0.05 / np.max(np.abs(k1) / np.maximum(np.abs(z), 1.0))
                k2 = field(z + h / 2 * k1)[0]
                k3 = field(z + h / 2 * k2)[0]
                z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + field(z + h * k3)[0])
            assert loss < 0.6 * first
            return np.log(np.linalg.norm((z - start)[1:]) / np.linalg.norm(start[1:]))

        widths = (300, 3000)
        runs = [[trained(m, seed) for seed in range(10)] for m in widths]
        slope = (np.mean(runs[1]) - np.mean(runs[0])) / np.log(10)
        error = np.sqrt(np.var(runs[0], ddof=1) + np.var(runs[1], ddof=1)) / np.sqrt(10) / np.log(10)
        assert error < 0.05
        assert abs(slope - 1 / 3) < 2.5 * error
        assert slope + 2.5 * error < 1 / 2


class TestBetween:
    """Directions on a circle, |w| = 1 and a = +-1: neither law, see the page."""

    @pytest.mark.parametrize(("r", "S_w"), [(2, 0.3), (3, 1 / 6)])
    def test_circle(self, r, S_w):
        """gamma = 2, gamma' = 0, beta = 1/2: (2 - beta (r - 1))/(r + 1 - beta (r - 1))/2, not 1/(r + 1)."""

        def nodes(m, number=400):
            edges = np.concatenate([[0.0], np.geomspace(1e-8, np.pi / 2, number + 1)])
            middle = (edges[1:] + edges[:-1]) / 2
            return np.ones_like(middle), np.cos(middle), m * np.diff(edges) / np.pi / 2

        found = slopes(r, (2.0, 0.0), (1e9, 1e12), nodes)
        assert found[0] == pytest.approx(S_w, abs=0.01)
