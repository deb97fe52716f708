"""Three layers, experimental: what is checked of them."""

import numpy as np
import pytest
import sympy as sp

from meanfield import InputError
from meanfield.symbolic import ThreeLayer, derive_exponents

THEORY = derive_exponents(ThreeLayer())
LAYERS = ("a", "b", "w")


class Network:
    """f = kappa sum a relu(h), h = B relu(W x) / sqrt(m), with the initial output subtracted, by hand."""

    def __init__(self, m, seed, x):
        rng = np.random.default_rng(seed)
        self.m, self.x = m, x
        self.theta = [
            rng.standard_normal(m),
            rng.standard_normal((m, m)),
            rng.standard_normal((m, x.shape[1])),
        ]

    def forward(self):
        a, B, w = self.theta
        first = np.maximum(self.x @ w.T, 0)
        h = first @ B.T / np.sqrt(self.m)
        return first, h, np.maximum(h, 0) @ a

    def gradients(self, c):
        """Gradient of sum_i c_i f_i / kappa."""
        a, B, _ = self.theta
        first, h, _ = self.forward()
        back = c[:, None] * (h > 0) * a / np.sqrt(self.m)
        return [np.maximum(h, 0).T @ c, back.T @ first, ((back @ B) * (first > 0)).T @ self.x]


X, Y = np.array([[1.0, 0.5], [-0.6, 1.0], [0.9, 1.0]]), np.array([1.0, -0.5, 0.7])
RATES = {"a": 1, "b": 0, "w": -1}


def linear_displacements(m, gamma, gamma_prime, seed):
    """Minimum-norm change that fits the targets, in the metric of the rates: the end of a lazy training."""
    net = Network(m, seed, X)
    start = [part.copy() for part in net.theta]
    rate = [float(m) ** (RATES[layer] * gamma_prime) for layer in LAYERS]
    single = [net.gradients(row) for row in np.eye(len(X))]
    kernel = sum(
        r * np.array([[np.sum(u[k] * v[k]) for v in single] for u in single]) for k, r in enumerate(rate)
    )
    c = np.linalg.solve(kernel, Y) * float(m) ** gamma
    moved = net.gradients(c)
    return [r * np.linalg.norm(g) / np.linalg.norm(s) for r, g, s in zip(rate, moved, start, strict=True)]


def trained_displacements(m, seed, step=0.05):
    """Gradient descent with kappa = 1/m and equal rates, small steps, from f = 0 to a fit of 1 %."""
    net = Network(m, seed, X)
    start, (_, _, initial) = [part.copy() for part in net.theta], net.forward()
    for _ in range(5000):
        e = (net.forward()[2] - initial) / m - Y
        if np.max(np.abs(e)) < 0.01:
            break
        net.theta = [part - step * g / len(X) for part, g in zip(net.theta, net.gradients(e), strict=True)]
    else:
        raise AssertionError("not converged")
    return [
        np.linalg.norm(now - then) / np.linalg.norm(then) for now, then in zip(net.theta, start, strict=True)
    ]


def slopes(displacements, widths, seeds):
    logs = np.log([[displacements(m, seed) for seed in range(seeds)] for m in widths])
    each = (logs[1] - logs[0]) / np.log(widths[1] / widths[0])
    return each.mean(axis=0), each.std(axis=0) / np.sqrt(seeds)


class TestAgainstNetworks:
    @pytest.mark.parametrize("gamma_prime", [0.0, 1.0, -1.0])
    def test_linear_regime(self, gamma_prime):
        """gamma = 1/2, widths 64 and 512; corrections are powers 1/m^|gamma'| and fluctuations."""
        mean, error = slopes(lambda m, s: linear_displacements(m, 0.5, gamma_prime, s), (64, 512), 16)
        expected = [float(v) for v in np.ravel(THEORY.numeric("S_a", "S_b", "S_w")(0.5, gamma_prime))]
        assert np.all(np.abs(mean - expected) < 4 * error + 0.02)
        assert np.all(error < 0.05)

    def test_critical_point(self):
        """gamma = 1: features of both hidden layers move by order one, entries of B by m^(-1/2)."""
        mean, error = slopes(lambda m, s: trained_displacements(m, s), (64, 256), 8)
        expected = [float(v) for v in np.ravel(THEORY.numeric("S_a", "S_b", "S_w")(1.0, 0.0))]
        assert expected == [0.0, -0.5, 0.0]
        assert np.all(np.abs(mean - expected) < 4 * error + 0.02)
        assert np.all(error < 0.05)


class TestStructure:
    def test_continuous(self):
        assert all(set(line.jumps.values()) == {0} for line in THEORY.boundaries)
        assert all(len(line.jumps) == 4 for line in THEORY.boundaries)

    def test_lines_by_hand(self):
        """Sizes a + b + w =: P with changes J + rate + P - own size; the balance of any two layers
        u + u+ - rate is the same for all. All move: u = v + rate difference / 2 and a + b + w = delta, so w
        starts to move with a at delta = 3 gamma'/2; with a alone moving b starts at a = gamma'/2 = delta."""
        G, GP = THEORY.gamma, THEORY.gamma_prime
        lines = {line.equation for line in THEORY.boundaries}
        assert sp.Eq(GP, sp.expand(sp.Rational(2, 3) * (G - 1))) in lines
        assert sp.Eq(GP, 2 * G - 2) in lines

    def test_symmetry_of_the_outer_layers(self):
        for at in ((sp.Rational(1, 3), sp.Rational(2, 7)), (sp.Rational(5, 2), sp.Rational(1, 3)), (2, 3)):
            one, two = ({THEORY.gamma: at[0], THEORY.gamma_prime: s * at[1]} for s in (1, -1))
            assert THEORY.piecewise("a").subs(one) == THEORY.piecewise("w").subs(two)
            assert THEORY.piecewise("b").subs(one) == THEORY.piecewise("b").subs(two)

    def test_a_faster_hidden_layer_does_the_work_alone(self):
        """At rate m for B: its feature change is delta, that of the others delta - 1 (lazy)."""
        theory = derive_exponents(ThreeLayer(hidden_rate=-1))
        at = {theory.gamma: sp.Rational(1, 2), theory.gamma_prime: 0}
        half = sp.Rational(1, 2)
        assert [theory.piecewise(layer).subs(at) for layer in LAYERS] == [-half - 1, -half - half, -half - 1]

    def test_names_and_text(self):
        assert "a, b, w move" in {region.name for region in THEORY.regions}
        assert "S_b" in THEORY.text()
        with pytest.raises(InputError, match=r"hidden_rate is 0\.5"):
            ThreeLayer(hidden_rate=0.5)
