"""The flow as SymPy objects: the rescaling is found, the laws hold, and both are the package's own flow."""

import numpy as np
import pytest
import sympy as sp

from meanfield import InputError, Particles, Problem, Scaling, gradient_flow
from meanfield.symbolic.flow import (
    TwoLayerFlow,
    alpha,
    beta1,
    beta2,
    canonical,
    conserved,
    energy_balance,
    invariants,
    kappa,
    kappa_prime,
    normalisation,
    rescaled_factors,
    step,
    unit_a,
    unit_t,
    unit_w,
)


class TestNormalisation:
    def test_scales_are_found(self):
        found = normalisation()
        assert dict(found.scales) == {unit_a: beta1, unit_w: beta2, unit_t: beta1 * beta2}
        assert found.prefactor == beta1 * beta2 / alpha
        assert (found.spread_a, found.spread_w) == (1, 1)
        reduced = found.in_kappa()
        assert (reduced.prefactor, reduced.rate_a, reduced.rate_w) == (
            kappa, kappa / kappa_prime, kappa * kappa_prime,
        )  # fmt: skip

    def test_canonical_units_are_found(self):
        found = canonical()
        assert sp.simplify(found.scales[unit_a] - sp.sqrt(beta1 * beta2)) == 0
        assert found.scales[unit_t] == alpha
        assert (found.rate_a, found.rate_w) == (1, 1)
        reduced = found.in_kappa()
        assert (reduced.prefactor, reduced.spread_a, reduced.spread_w) == (
            kappa, sp.sqrt(kappa_prime), 1 / sp.sqrt(kappa_prime),
        )  # fmt: skip

    @pytest.mark.parametrize("r", [1, 2, 3])
    def test_powers_of_relu_by_hand(self, r):
        """kappa = beta1 beta2^r / alpha; rates of canonical units are one if A = B and T = alpha B^(1-r)."""
        flow = TwoLayerFlow(1, 1, 1, homogeneity=r)
        assert rescaled_factors(flow) == (
            unit_a * unit_w**r / alpha,
            unit_t * unit_w**r / (alpha * unit_a),
            unit_t * unit_a * unit_w ** (r - 2) / alpha,
        )  # fmt: skip
        assert normalisation(flow).prefactor == beta1 * beta2**r / alpha
        reduced = normalisation(flow).in_kappa()
        assert (reduced.rate_a, reduced.rate_w) == (kappa / kappa_prime, kappa * kappa_prime)
        spreads = canonical(flow).in_kappa()
        third = sp.Rational(1, r + 1)
        assert (spreads.spread_a, spreads.spread_w) == (kappa_prime ** (r * third), kappa_prime**-third)

    def test_two_numbers_are_left(self):
        assert invariants() == 2

    def test_by_substitution(self):
        """Velocities in the user's units and in the found ones, written out, are the same."""
        flow, found = TwoLayerFlow(samples=2, neurons=1, dimension=2), normalisation()
        units = {flow.a[0]: unit_a * flow.a[0]} | {w: unit_w * w for w in flow.w[0]}
        normalised = flow.velocity(kappa)  # minus the gradient of R with prefactor kappa
        for theta, rate in flow.velocity().items():
            unit, factor = (unit_a, 1 / kappa_prime) if theta in flow.a else (unit_w, kappa_prime)
            scaled = (unit_t / unit * rate.subs(units, simultaneous=True)).subs(found.scales)
            scaled = scaled.subs(alpha, beta1 * beta2 / kappa).subs(beta1, kappa_prime * beta2)
            assert sp.simplify(scaled - factor * normalised[theta]) == 0

    def test_is_the_flow_that_the_package_integrates(self):
        rng = np.random.default_rng(0)
        n, neurons, d = 2, 2, 2
        x, y = rng.standard_normal((n, d)), rng.standard_normal(n)
        a, w, k, kp = rng.standard_normal(neurons), rng.standard_normal((neurons, d)), 0.3, 1.7
        flow = TwoLayerFlow(n, neurons, d)
        p, q = np.sqrt(kp) * a, w / np.sqrt(kp)
        values = dict(zip(flow.a, p, strict=True)) | dict(zip(flow.y, y, strict=True)) | {kappa: k}
        values |= dict(zip(np.array(flow.w).ravel(), q.ravel(), strict=True))
        values |= dict(zip(np.array(flow.x).ravel(), x.ravel(), strict=True))
        velocity = {
            theta: float(rate.subs(values).replace(step, lambda z: sp.Integer(bool(z > 0))))
            for theta, rate in flow.velocity(kappa).items()
        }
        particles = Particles.from_arrays(a, w, kappa=k, kappa_prime=kp)
        tbar = 1e-6
        run = gradient_flow(Problem(x, y, bias=False), particles, t_end=tbar, loss_tol=0.0, progress=False)
        # p and q move by ds = kappa dtbar times minus the gradient over kappa; abar = p / sqrt(kappa')
        moved_a, moved_w = (run.final.a - a) / tbar, (run.final.w - w) / tbar
        root = np.sqrt(kp)
        expected_a = [velocity[theta] / root for theta in flow.a]
        expected_w = [[velocity[theta] * root for theta in neuron] for neuron in flow.w]
        np.testing.assert_allclose(moved_a, expected_a, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(moved_w, expected_w, rtol=1e-5, atol=1e-7)


class TestLaws:
    @pytest.mark.parametrize(("neurons", "samples", "r"), [(2, 2, 1), (1, 3, 1), (1, 2, 2), (1, 1, 3)])
    def test_conservation(self, neurons, samples, r):
        flow = TwoLayerFlow(samples=samples, neurons=neurons, homogeneity=r)
        expected = flow.a[-1] ** 2 - (flow.w[-1][0] ** 2 + flow.w[-1][1] ** 2) / r
        assert sp.expand(conserved(flow, neuron=neurons - 1) - expected) == 0

    def test_nothing_else_of_the_family_is_conserved(self):
        flow = TwoLayerFlow(samples=1, neurons=1)
        wrong = flow.a[0] ** 2 - 2 * flow.w[0][0] ** 2 - 2 * flow.w[0][1] ** 2
        assert sp.expand(flow.along_the_flow(wrong, flow.velocity(kappa))) != 0

    @pytest.mark.parametrize(("samples", "r"), [(2, 1), (3, 1), (2, 2)])
    def test_energy(self, samples, r):
        assert energy_balance(TwoLayerFlow(samples=samples, homogeneity=r)) == 0

    def test_the_step_function(self):
        z, c = sp.Symbol("z", real=True), sp.Symbol("c", positive=True)
        assert step(3 * c * z) == step(z)
        assert step(-c * z) == step(-z) != step(z)
        assert sp.diff(z**2 * step(z), z) == 2 * z * step(z)

    def test_sizes_are_checked(self):
        with pytest.raises(InputError, match="samples is 0; give a positive integer"):
            TwoLayerFlow(samples=0)


def test_schemes_have_the_exponents_of_the_found_kappa():
    """`Scaling` and the derived prefactor agree on kappa and kappa' of a scheme."""
    scheme, m, d = Scaling.named("he"), 1000.0, 3.0
    values = {alpha: 1, beta1: sp.sqrt(2 / sp.Float(m)), beta2: sp.sqrt(2 / sp.Float(d))}
    found = normalisation()
    assert float(found.prefactor.subs(values)) == pytest.approx(scheme.kappa(m, d), rel=1e-14)
    ratio = sp.sqrt(found.rate_w / found.rate_a)
    assert float(ratio.subs(values)) == pytest.approx(scheme.kappa_prime(m, d), rel=1e-14)
