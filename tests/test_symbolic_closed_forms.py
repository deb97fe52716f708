"""Closed forms: derived ones against independent integration, and their exponents against the map."""

import itertools

import mpmath
import numpy as np
import pytest
import sympy as sp
import systems
from scipy import integrate

from meanfield import InputError, Problem, Scaling, datasets, gradient_flow
from meanfield.arc_cosine import arc_cosine_kernels
from meanfield.kernel_law import DisplacementLaw
from meanfield.particles import Particles
from meanfield.symbolic import derive_exponents
from meanfield.symbolic.arc_cosine import arc_cosine, epsilon, small_angle, straight_angle, theta
from meanfield.symbolic.closed_forms import (
    LinearRegime,
    balanced_mode,
    d,
    early_stage,
    kernels,
    linear_regime,
    width,
)
from meanfield.symbolic.flow import kappa, kappa_prime
from meanfield.symbolic.maxplus import order
from meanfield.symbolic.network import gamma, gamma_prime
from meanfield.symbolic.one_sample import exponents_of_linear, linear, relu
from meanfield.symbolic.polyhedra import cover

THEORY = derive_exponents()
ORDERS = {kappa: -gamma, kappa_prime: -gamma_prime, width: sp.S.One}


class TestKernels:
    @pytest.mark.parametrize("degree", [0, 1, 2])
    def test_against_sampling_free_integration(self, degree):
        """The plane's Gaussian integral in Cartesian form, where one axis is the bisector of the inputs."""
        for angle in (0.3, 1.5, 2.8):

            def over_half_plane(v, u, half=angle / 2):
                first, second = (u * np.cos(half) + side * v * np.sin(half) for side in (1, -1))
                return (first * second) ** degree * np.exp(-(u**2 + v**2) / 2) / (2 * np.pi)

            slope = 1 / np.tan(angle / 2)  # both products are positive for |v| < slope u
            value, _ = integrate.dblquad(
                over_half_plane, 0, 12, lambda u, c=slope: -c * u, lambda u, c=slope: c * u, epsabs=1e-10
            )
            assert float(arc_cosine(degree).subs(theta, angle)) == pytest.approx(value, abs=1e-8)

    def test_checks(self):
        assert all(form.holds() for form in kernels())
        assert arc_cosine(0) == (sp.pi - theta) / (2 * sp.pi)

    def test_expansions_against_fifty_digits(self):
        """The remainder is of the stated order: it falls by 2^order when the angle is halved."""
        for degree, expansion, at, stated in (
            (1, small_angle(1), lambda e: e, 5),
            (1, straight_angle(1), lambda e: mpmath.pi - e, 7),
            (2, small_angle(2), lambda e: e, 5),
        ):
            exact = sp.lambdify(theta, arc_cosine(degree), "mpmath")
            series = sp.lambdify(epsilon, expansion.removeO(), "mpmath")
            with mpmath.workdps(50):
                errors = [abs(exact(at(e)) - series(e)) for e in (mpmath.mpf("1e-4"), mpmath.mpf("5e-5"))]
            assert float(mpmath.log(errors[0] / errors[1], 2)) > stated - 0.01
        assert small_angle(0).removeO() == sp.Rational(1, 2) - epsilon / (2 * sp.pi)

    def test_numeric_kernels_are_the_derived_ones(self):
        x = np.array([[1.0, 0.2], [0.3, -1.0], [-2.0, 0.1], [1.0, 0.2 + 1e-9]])
        G_a, G_w = arc_cosine_kernels(x)
        for i, j in itertools.product(range(4), repeat=2):
            u, v = (mpmath.matrix([mpmath.mpf(float(c)) for c in row]) for row in (x[i], x[j]))
            with mpmath.workdps(40):
                cross, dot = u[0] * v[1] - u[1] * v[0], u[0] * v[0] + u[1] * v[1]
                angle = mpmath.atan2(abs(cross), dot)
                lengths = mpmath.sqrt((u.T * u)[0] * (v.T * v)[0])
                zero, one = (sp.lambdify(theta, arc_cosine(k), "mpmath")(angle) for k in (0, 1))
                assert G_a[i, j] == pytest.approx(float(lengths * one), rel=1e-14, abs=0)
                assert G_w[i, j] == pytest.approx(float(dot * zero), rel=1e-14, abs=0)
        # The test systems' plainer form cancels near opposite inputs: an ulp of |x||x'|, not of the entry.
        np.testing.assert_allclose(
            arc_cosine_kernels(x), systems.arc_cosine_kernels(x), rtol=1e-14, atol=1e-16
        )

    def test_bad_degree(self):
        with pytest.raises(InputError, match="degree is -1; give 0"):
            arc_cosine(-1)


class TestLinearRegime:
    def test_checks(self):
        assert all(form.holds() for form in linear_regime())

    def test_law_against_the_numeric_one(self):
        """The symbolic law with the kernels of a problem, against `DisplacementLaw`."""
        problem = Problem([-0.4, 0.7], [1.0, 0.5])
        G_a, G_w = arc_cosine_kernels(problem.x)
        law, m, k, kp = LinearRegime.of(2), 1000.0, 0.02, 1.7
        values = {width: m, kappa: k, kappa_prime: kp, d: 2}
        for name, matrix, symbols in (("a", G_a, law.G_a), ("w", G_w, law.G_w)):
            values |= dict(zip(symbols, matrix.ravel(), strict=True))
            assert name
        values |= {-entry: target for entry, target in zip(law.initial, problem.y, strict=True)}
        scaling = Scaling(alpha=1, beta1=float(np.sqrt(k * kp)), beta2=float(np.sqrt(k / kp)))
        rd_w, rd_a = DisplacementLaw(problem).displacement(scaling, [m])
        assert float(law.rd_w_squared().subs(values)) == pytest.approx(rd_w[0] ** 2, rel=1e-10)
        assert float(law.rd_a_squared().subs(values)) == pytest.approx(rd_a[0] ** 2, rel=1e-10)

    @pytest.mark.parametrize(("layer", "squared"), [("w", "rd_w_squared"), ("a", "rd_a_squared")])
    def test_exponent_is_the_map_on_the_linear_side(self, layer, squared):
        """One sample, order by order: RD^2 is a quotient of sums of positive terms."""
        exponent = order(getattr(LinearRegime.of(1), squared)(), ORDERS) / 2
        for region in THEORY.regions:
            if region.name == "lazy":
                inside = {gamma: sp.Rational(1, 3), gamma_prime: sp.Rational(1, 7)}
                sign = 1 if bool(region.condition.subs(inside)) else -1
                resolved = exponent.replace(
                    sp.Max, lambda *args, s=sign: max(args, key=lambda t: t.subs({gamma_prime: s, gamma: 0}))
                )
                assert sp.expand(resolved - region.orders[layer]) == 0

    def test_published_number(self):
        """Four points, kappa' = 1, two halves of m neurons each: RD_w = 0.2739 / (m kappa)."""
        rd_w, _ = DisplacementLaw(datasets.four_points()).displacement(Scaling(gamma=0.5), [2000.0])
        assert rd_w[0] * 1000 * 2000**-0.5 == pytest.approx(0.2739, abs=1e-4)

    def test_against_a_wide_network(self):
        problem, scaling, m = datasets.four_points(), Scaling(gamma=0.3, gamma_prime=0.2), 40_000
        run = gradient_flow(
            problem, Particles.sample(problem, scaling, m, rng=0), loss_atol=1e-9, progress=False
        )
        rd_w, rd_a = DisplacementLaw(problem).displacement(scaling, [m])
        # Kernels of 20000 pairs: their entries have relative errors of about 1/sqrt(20000) times a few
        assert run.rd_w[-1] == pytest.approx(rd_w[0], rel=0.05)
        assert run.rd_a[-1] == pytest.approx(rd_a[0], rel=0.05)

    def test_apparent_slope_is_between_the_layers(self):
        """At gamma' = 0.1 and the widths of experiments the slope is far from delta - 2 gamma'."""
        law, scaling = DisplacementLaw(datasets.four_points()), Scaling(gamma=0.5, gamma_prime=0.1)
        near, _ = law.slopes(scaling, [1e3, 5e3, 1e4, 2e4, 4e4])
        far, _ = law.slopes(scaling, [1e30, 1e32])
        asymptotic = float(THEORY.S_w.subs({gamma: sp.Rational(1, 2), gamma_prime: sp.Rational(1, 10)}))
        assert far == pytest.approx(asymptotic, abs=1e-3)
        assert abs(near - asymptotic) > 0.05
        with pytest.raises(InputError, match="1 widths given; give at least two"):
            law.slopes(scaling, [1e3])

    def test_singular_kernels_are_refused(self):
        law = DisplacementLaw(Problem([[1.0, 0.0], [1.0, 0.0]], [1.0, 1.0], bias=False))
        with pytest.raises(InputError, match="singular"):
            law.displacement(Scaling(gamma=0.5), [100])


class TestOneSample:
    def test_checks(self):
        assert all(form.holds() for form in (*linear(), *relu()))

    @pytest.mark.parametrize(("layer", "name"), [("w", "S_w"), ("a", "S_a")])
    def test_linear_exponents_are_the_map(self, layer, name):
        """Two derivations that share no step: limits of the exact solution, and power counting."""
        pieces = exponents_of_linear(layer)
        assert cover([polygon for polygon, _ in pieces])
        for (polygon, exponent), region in itertools.product(pieces, THEORY.regions):
            if polygon.intersection(region.region) is not None:
                assert sp.expand(exponent - getattr(region, name)) == 0

    @pytest.mark.parametrize(
        ("g", "gp"), [(0.5, 0.3), (0.5, -0.3), (2.0, 0.4), (2.0, -0.4), (1.5, 1.0), (1.5, -1.0), (1.0, -0.5)]
    )
    def test_relu_exponents_are_the_map(self, g, gp):
        """The relu solution at widths 10^60 and 10^80, in 200 digits, against the map.

        Its terms are positive and those of the linear solution times factors between fixed bounds, since
        pi/2 <= Phi <= pi; so the exponents are the same and corrections are powers of 1/m.
        """
        tau, Phi = (
            next(s for s in relu()[0].formula.free_symbols if s.name == "tau"),
            sp.Symbol("Phi", positive=True),
        )
        arguments = (
            tau,
            Phi,
            kappa,
            kappa_prime,
            width,
            *(s for s in relu()[0].formula.free_symbols if s.name == "x"),
        )
        f, rd = (sp.lambdify(arguments, form.formula, "mpmath") for form in relu())

        def measured(m):
            k, kp = m ** mpmath.mpf(-g), m ** mpmath.mpf(-gp)

            def at(function, t):
                return function(t, mpmath.pi - mpmath.atan(kp * mpmath.tanh(t)), k, kp, m, 1)

            low, high = mpmath.mpf(10) ** -200, mpmath.mpf(400)
            for _ in range(900):  # bisection in log tau: f grows with tau
                middle = mpmath.sqrt(low * high)
                low, high = (low, middle) if at(f, middle) > 1 else (middle, high)
            return mpmath.log(at(rd, low)) / 2

        with mpmath.workdps(400):
            widths = [mpmath.mpf(10) ** 60, mpmath.mpf(10) ** 80]
            slope = (measured(widths[1]) - measured(widths[0])) / mpmath.log(widths[1] / widths[0])
        expected = THEORY.S_w.subs({gamma: sp.Rational(str(g)), gamma_prime: sp.Rational(str(gp))})
        assert float(slope) == pytest.approx(float(expected), abs=1e-3)

    def test_relu_is_between_multiples_of_the_linear_solution(self):
        """Hence its exponents are those of the linear one, for any way of m and kappa' to their limits.

        With psi = pi - Phi = atan(kappa' tanh tau) in (0, pi/2), RD_w^2 is A (cosh - 1)^2 + B (kappa' sinh)^2
        plus two terms that are not negative: A and B rise with Phi between 1/4 and 1/2. The cross term is at
        most their sum, and the term of neurons that have died is at most tan(psi)^2 / pi, which is less than
        (kappa' sinh)^2. Likewise f, in units of its linear form kappa m x (kappa' + 1/kappa') sinh(2 tau)/2.
        """
        output, rd = (form.formula for form in relu())
        symbols = {s.name: s for s in rd.free_symbols}
        tau, Phi, kp = symbols["tau"], symbols["Phi"], kappa_prime
        c, s, psi = sp.symbols("c s psi", positive=True)  # cosh tau - 1 and kappa' sinh tau
        poly = sp.Poly(sp.expand(rd.subs(sp.sinh(tau), s / kp).subs(sp.cosh(tau), 1 + c)), c, s)
        A, B, cross, rest = (poly.coeff_monomial(monomial) for monomial in (c**2, s**2, c * s, 1))
        assert set(poly.monoms()) == {(2, 0), (0, 2), (1, 1), (0, 0)}
        for coefficient, slope in ((A, sp.sin(Phi) ** 2), (B, sp.cos(Phi) ** 2)):
            assert sp.simplify(sp.diff(coefficient, Phi) - slope / sp.pi) == 0
            ends = [coefficient.subs(Phi, end) for end in (sp.pi / 2, sp.pi)]
            assert ends == [
                sp.Rational(1, 4),
                sp.Rational(1, 2),
            ]
        assert sp.simplify(cross - sp.sin(Phi) ** 2 / sp.pi) == 0  # c s <= (c^2 + s^2)/2
        died = sp.simplify(sp.pi * rest.subs(Phi, sp.pi - psi))
        assert died.subs(psi, 0) == 0
        assert sp.simplify(sp.diff(died, psi) - sp.sin(psi) ** 2) == 0  # <= d tan^2 = 2 tan / cos^2
        # f: A and B again, and a third term sin^2 Phi = t^2/(1 + t^2), t = kappa' tanh tau, which is positive
        # and at most kappa' t / 2 <= kappa'^2 tanh(tau) / 2, with tanh(tau) cosh(2 tau) <= sinh(2 tau)
        unit = output / (kappa * width * next(s for s in output.free_symbols if s.name == "x"))
        third = sp.sin(Phi) ** 2 * sp.cosh(2 * tau) / 2
        linear_part = sp.sinh(2 * tau) / 2 * (kp * B + A / kp)
        assert sp.simplify(sp.expand(unit - linear_part - third / sp.pi)) == 0

    def test_linear_solution_against_the_system_with_its_own_solution(self):
        """`systems.one_sample` integrates general neurons; at p0 = +-sqrt(kappa') it is this form."""
        kp, k, m, x, y = 0.8, 0.1, 6, 1.5, 2.0
        values = {kappa: k, kappa_prime: kp, width: m, "x": x, "y": y}
        end = linear()[0].formula.subs(
            {s: values.get(s, values.get(s.name)) for s in linear()[0].formula.free_symbols}
        )
        tau = np.arcsinh(float(end)) / 2
        p0, q0 = np.sqrt(kp) * np.array([1, -1] * 3), np.full(6, 1 / np.sqrt(kp))
        p, q = p0 * np.cosh(tau) + q0 * np.sinh(tau), q0 * np.cosh(tau) + p0 * np.sinh(tau)
        assert k * x * p @ q == pytest.approx(y, rel=1e-12)
        for form, now, start in ((linear()[1], q, q0), (linear()[2], p, p0)):
            value = form.formula.subs({kappa_prime: kp}).subs(
                {s: tau for s in form.formula.free_symbols if s.name == "tau"}
            )
            assert float(value) == pytest.approx(np.sum((now - start) ** 2) / np.sum(start**2), rel=1e-12)


class TestGrowth:
    def test_checks(self):
        assert balanced_mode().holds()
        assert all(form.holds() for form in early_stage())

    def test_a_wrong_formula_does_not_hold(self):
        import dataclasses

        form = balanced_mode()
        assert not dataclasses.replace(form, checks=(*form.checks, form.formula)).holds()

    def test_escape_takes_as_many_foldings_as_the_map_says(self):
        """exp(2 |D| s_esc) is the order by which the output is too small at the start, delta - |gamma'|."""
        argument = early_stage()[1].formula.atoms(sp.log).pop().args[0]
        for sign in (1, -1):
            exponent = order(argument, ORDERS).replace(
                sp.Max, lambda *args, s=sign: max(args, key=lambda t: t.subs(gamma_prime, s))
            )
            assert sp.expand(exponent - (gamma - 1 - sign * gamma_prime)) == 0

    def test_latex(self):
        for form in (*kernels(), *linear_regime(), *linear(), *early_stage(), balanced_mode()):
            assert "=" in form.latex()
            assert "prime" not in form.latex()
