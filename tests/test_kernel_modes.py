"""Kernels of samples that nearly coincide: 32 digits, differences, modes, against mpmath."""

import mpmath
import numpy as np
import pytest
from scipy import integrate

import meanfield as mf
from meanfield import arc_cosine
from meanfield import double_double as dd
from meanfield.arc_cosine import arc_cosine_kernels, exact_kernels
from meanfield.errors import InputError
from meanfield.kernel_law import DisplacementLaw
from meanfield.kernel_modes import KernelModes
from meanfield.limits import KernelRegime
from meanfield.limits.linear_flow import _double_integral

EPS = float(np.finfo(float).eps)
CLOSE = [1e-3, 1e-6, 1e-9]
#: Inputs and targets at a distance h of each other: contradictory, consistent, three in a row, in space.
CLOUDS = {
    "pair": lambda h: ([0.3, 0.3 + h, -0.5], [1.0, -1.0, 0.5]),
    "alike": lambda h: ([0.3, 0.3 + h, -0.5], [1.0, 1.0 + 0.3 * h, 0.5]),
    "three": lambda h: ([0.3, 0.3 + h, 0.3 + 2 * h, -0.5], [1.0, -1.0, 0.3, 0.5]),
    "space": lambda h: (
        [[0.3, 0.1, 0.2], [0.3 + h, 0.1, 0.2], [0.3, 0.1 + 3 * h, 0.2 - h], [1.0, 2.0, 3.0]],
        [1.0, -1.0, 0.3, 0.5],
    ),
}


def exact(x, other):
    """Both kernels between rows, in the working precision of mpmath."""
    X, Y = ([[mpmath.mpf(float(c)) for c in row] for row in rows] for rows in (x, other))
    G_a, G_w = mpmath.matrix(len(X), len(Y)), mpmath.matrix(len(X), len(Y))
    for i, u in enumerate(X):
        for j, v in enumerate(Y):
            dot, square = mpmath.fdot(u, v), mpmath.fdot(u, u) * mpmath.fdot(v, v)
            cross = mpmath.sqrt(abs(square - dot**2))
            psi = mpmath.pi - mpmath.atan2(cross, dot)
            G_a[i, j], G_w[i, j] = (cross + psi * dot) / (2 * mpmath.pi), psi * dot / (2 * mpmath.pi)
    return G_a, G_w


def at_rest(problem, kappa_prime):
    """``T = M^-1 y``, its forms with both layers, and the eigenvalues of M."""
    G_a, G_w = exact(problem.x, problem.x)
    M = G_a / kappa_prime + kappa_prime * G_w
    T = mpmath.lu_solve(M, mpmath.matrix([mpmath.mpf(float(v)) for v in problem.y]))
    forms = [float((T.T * part * T)[0]) for part in (G_a / kappa_prime, kappa_prime * G_w)]
    return T, forms, sorted(float(v) for v in mpmath.eigsy(M, eigvals_only=True))


class TestDoubleDouble:
    def test_operations_to_a_few_units_of_the_32nd_digit(self):
        rng = np.random.default_rng(0)
        x, y = (
            dd.Pair(s, s * 1e-17 * rng.uniform(-1, 1, 200))
            for s in rng.standard_normal((2, 200)) * 10.0 ** rng.integers(-9, 3, (2, 200))
        )
        y = dd.Pair(np.abs(y.high), y.low)
        found = {
            "sum": dd.add(x, y), "product": dd.multiply(x, y), "quotient": dd.divide(x, y),
            "root": dd.square_root(y), "angle": dd.arc_tangent(y, x),
        }  # fmt: skip
        with mpmath.workdps(60):
            X, Y = ([mpmath.mpf(float(h)) + mpmath.mpf(float(low)) for h, low in zip(*p, strict=True)]
                    for p in (x, y))  # fmt: skip
            wanted = {
                "sum": [a + b for a, b in zip(X, Y, strict=True)],
                "product": [a * b for a, b in zip(X, Y, strict=True)],
                "quotient": [a / b for a, b in zip(X, Y, strict=True)],
                "root": [mpmath.sqrt(b) for b in Y],
                "angle": [mpmath.atan2(b, a) for a, b in zip(X, Y, strict=True)],
            }
            for name, value in found.items():
                size = [abs(a) + b for a, b in zip(X, Y, strict=True)] if name == "sum" else wanted[name]
                for high, low, exactly, scale in zip(*value, wanted[name], size, strict=True):
                    assert abs((mpmath.mpf(float(high)) + mpmath.mpf(float(low)) - exactly) / scale) < dd.EPS


class TestKernels:
    @pytest.mark.parametrize("d", [2, 7])
    def test_exact_kernels_have_32_digits(self, d):
        rng = np.random.default_rng(1)
        x = 1e30 * rng.standard_normal((3, d))
        other = np.vstack([x[0] * 1.7, x[1] + 1e18 * rng.standard_normal(d), -x[2], 0.0 * x[0]]) / 1e25
        with mpmath.workdps(60):
            lengths = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(other, axis=1))
            for found, wanted in zip(exact_kernels(x, other), exact(x, other), strict=True):
                for i in range(3):
                    for j in range(4):
                        value = mpmath.mpf(float(found.high[i, j])) + mpmath.mpf(float(found.low[i, j]))
                        assert abs(value - wanted[i, j]) <= 2 * dd.EPS * lengths[i, j]

    def test_images_by_one_product_of_matrices(self, monkeypatch):
        """Pairs are taken one by one only next to the same and the opposite ray."""
        rng, taken = np.random.default_rng(0), []
        x = np.vstack([rng.random((40, 784)), rng.standard_normal((3, 784))])
        x = np.vstack([x, -1.3 * x[-1] + 1e-9 * rng.standard_normal(784)])
        one_by_one = arc_cosine._to_nearer_ray
        monkeypatch.setattr(
            arc_cosine, "_to_nearer_ray", lambda u, v: taken.append(len(u)) or one_by_one(u, v)
        )
        found = arc_cosine_kernels(x)
        assert sum(taken) == 44 + 2
        some = [0, 1, 40, 41, 42, 43]
        lengths = np.linalg.norm(x, axis=1)
        with mpmath.workdps(40):
            for kernel, wanted in zip(found, exact(x[some], x[some]), strict=True):
                for i, k in enumerate(some):
                    for j, m in enumerate(some):
                        # the rounding of a product x.x' of 784 terms; next to opposite rays nothing else
                        error = abs(mpmath.mpf(float(kernel[k, m])) - wanted[i, j])
                        tiny = {k, m} == {42, 43}
                        scale = abs(wanted[i, j]) if tiny else lengths[k] * lengths[m]
                        assert error < 1e-14 * scale

    @pytest.mark.parametrize("angle", [0.04, 0.06, 0.3, 2.6, 2.7, 3.1])
    def test_either_side_of_where_pairs_are_taken_one_by_one(self, angle):
        rng = np.random.default_rng(2)
        x, across = np.linalg.qr(rng.standard_normal((100, 2)))[0].T
        y = np.cos(angle) * x + np.sin(angle) * across
        with mpmath.workdps(40):
            for found, wanted in zip(arc_cosine_kernels([x], [y]), exact([x], [y]), strict=True):
                assert abs(mpmath.mpf(float(found[0, 0])) / wanted[0, 0] - 1) < 5e-14


class TestModes:
    @pytest.mark.parametrize("kappa_prime", [1.0, 1e-3, 1e3])
    @pytest.mark.parametrize("cloud", CLOUDS)
    @pytest.mark.parametrize("h", CLOSE)
    def test_forms_and_eigenvalues_of_nearly_coincident_samples(self, h, cloud, kappa_prime):
        problem = mf.Problem(*CLOUDS[cloud](h))
        modes = KernelModes.of(problem, kappa_prime)
        with mpmath.workdps(100):
            _, forms, values = at_rest(problem, kappa_prime)
        T = -modes.initial / modes.values
        assert modes.complete
        np.testing.assert_allclose(modes.values, values, rtol=1e-11)
        np.testing.assert_allclose(modes.forms(T), forms, rtol=1e-10)
        error = np.max(np.abs(np.array(modes.forms(T)) / forms - 1.0))
        assert error / 2 <= modes.rounding(T) + 4 * EPS < 1e-8

    @pytest.mark.parametrize("h", [1e-9, 1e-12])
    def test_where_digits_are_lost_the_error_says_so(self, h):
        """Three in a row, hardly any kernel of the input weights: h^3 of 1e-32 is left."""
        problem, kappa_prime = mf.Problem(*CLOUDS["three"](h)), 1e-8
        modes = KernelModes.of(problem, kappa_prime)
        with mpmath.workdps(120):
            _, forms, _ = at_rest(problem, kappa_prime)
        T = -modes.initial / modes.values
        error = np.max(np.abs(np.sqrt(np.array(modes.forms(T)) / forms) - 1.0))
        assert error <= modes.rounding(T)
        assert modes.rounding(T) > 1e-4
        law = KernelRegime(problem, 1e12, 1e-6, kappa_prime)
        assert law.displacement().rounding == pytest.approx(modes.rounding(T), rel=1e-6)
        assert law.nonlinearity() >= modes.rounding(T)

    @pytest.mark.parametrize("h", CLOSE)
    def test_outputs_between_them(self, h):
        problem = mf.Problem(*CLOUDS["pair"](h))
        new = np.array([0.3 - h, 0.3 + h / 3, 0.7])
        with mpmath.workdps(60):
            T, _, _ = at_rest(problem, 1.0)
            G_a, G_w = exact(problem.with_bias(new), problem.x)
            wanted = [float(v) for v in (G_a + G_w) * T]
        found = KernelRegime(problem, 1e12, 1e-6, 1.0).output(new)
        np.testing.assert_allclose(found, wanted, rtol=1e-9)

    def test_samples_of_one_ray_and_their_time(self):
        """Against the n equations as they stand, integrated."""
        x = np.array([[0.1, 0.7], [0.3, 2.1], [1.0, -1.0], [1.0, -1.0], [0.0, 0.0], [1.001, -1.0]])
        problem = mf.Problem(x, [1.0, 2.0, 0.5, 0.2, 0.3, 0.4], bias=False)
        law = KernelRegime(problem, 1e6, 1e-3, 0.7)
        G_a, G_w = arc_cosine_kernels(x)
        M = G_a / 0.7 + 0.7 * G_w
        path = integrate.solve_ivp(
            lambda _, e: -(M @ e) / 6, (0, 40.0), -problem.y, rtol=1e-11, atol=1e-13, method="BDF"
        )
        np.testing.assert_allclose(law.residual(40.0), path.y[:, -1], atol=1e-8)
        assert law.rates.shape == (6,)
        assert np.sum(law.rates == 0.0) == 3
        np.testing.assert_allclose(law.rates, np.linalg.eigvalsh(M) / 6, atol=1e-14)
        assert law.unlearnable == pytest.approx(problem.loss_floor, rel=1e-12)
        np.testing.assert_allclose(law.output(x, 40.0), problem.y + law.residual(40.0), atol=1e-12)

    @pytest.mark.parametrize("h", [1e-3, 1e-7])
    def test_singular_kernels_of_nearly_coincident_samples(self, h):
        """Three opposite pairs in a plane: relu(z) - relu(-z) = z, of which two directions have three."""
        x = np.array([[1.0, 0.2], [0.3, 1.0], [-0.6, 0.9]])
        x = np.vstack([x, -x, x[0] + [0.0, h]])
        problem = mf.Problem(x, [1.0, -0.4, 0.3, 0.6, -0.2, 0.5, 0.9], bias=False)
        law = KernelRegime(problem, 1e6, 1e-3, 0.7)
        with mpmath.workdps(60):
            G_a, G_w = exact(x, x)
            values, vectors = mpmath.eigsy(G_a / 0.7 + 0.7 * G_w)
            e = [-mpmath.mpf(float(v)) for v in problem.y]
            modes = [mpmath.fdot(vectors[:, k], e) for k in range(7)]
            rates = [float(value) / 7 for value in values]
            left = [
                float(part * mpmath.exp(-value * 40 / 7)) for part, value in zip(modes, values, strict=True)
            ]
            wanted = [float(v) for v in vectors * mpmath.matrix(left)]
        assert rates[0] < 1e-50  # zero, in 60 digits
        assert np.sum(law.rates == 0.0) == 1
        np.testing.assert_allclose(law.rates[1:], rates[1:], rtol=1e-11)
        np.testing.assert_allclose(law.residual(40.0), wanted, atol=1e-10)
        assert law.unlearnable == pytest.approx(float(modes[0]) ** 2 / 14, rel=1e-9)
        np.testing.assert_allclose(law.output(x, 40.0), problem.y + law.residual(40.0), atol=1e-9)

    @pytest.mark.parametrize("t", [1e-9, 0.3, 40.0, 1e9, np.inf])
    def test_double_integral_of_rates_far_apart(self, t):
        rates = np.array([1e-12, 1e-3, 0.9, 3.0])
        found = _double_integral(rates, t)
        with mpmath.workdps(50):
            for i, k in enumerate(map(mpmath.mpf, rates.tolist())):
                for j, other in enumerate(map(mpmath.mpf, rates.tolist())):
                    both = (
                        (1 - mpmath.exp(-other * t)) / other,
                        (1 - mpmath.exp(-(k + other) * t)) / (k + other),
                    )
                    assert found[i, j] == pytest.approx(float((both[0] - both[1]) / k), rel=1e-13)


class TestKernelLaw:
    @pytest.mark.parametrize("h", CLOSE)
    def test_nearly_coincident_points(self, h):
        """DisplacementLaw gave nan, and KernelRegime 100 times the RD_a, at h = 1e-9."""
        problem, scaling, m = mf.Problem(*CLOUDS["pair"](h)), mf.Scaling(0.5), 1e30
        with mpmath.workdps(60):
            _, (a_part, w_part), _ = at_rest(problem, 1.0)
        wanted = 1e-15 * np.sqrt([w_part / 2, a_part])
        np.testing.assert_allclose(
            np.ravel(DisplacementLaw(problem).displacement(scaling, [m])), wanted, rtol=1e-9
        )
        moved = KernelRegime.at(problem, scaling, m).displacement()
        np.testing.assert_allclose([moved.first_w, moved.first_a], wanted, rtol=1e-9)

    @pytest.mark.parametrize(
        "x", [[[1.0, 2.0], [3.0, 6.0], [1.0, -1.0]], [[0.1, 0.7], [0.3, 2.1], [1.0, -1.0]]]
    )
    def test_samples_of_one_ray_are_refused(self, x):
        law = DisplacementLaw(mf.Problem(x, [1.0, 2.0, 0.5], bias=False))
        with pytest.raises(
            InputError, match=r"3 inputs is singular \(of rank 2\); remove samples that coincide"
        ):
            law.displacement(mf.Scaling(0.5), [1e6])

    def test_lost_digits_are_refused(self):
        law = DisplacementLaw(mf.Problem(*CLOUDS["three"](1e-12)))
        with pytest.raises(InputError, match="so close to each other that double precision loses"):
            law.displacement(mf.Scaling(0.5, 2 / 3), [1e12])
