"""The Rosenbrock method with the exact Jacobian: coefficients, derivatives, linear algebra, runs."""

from types import SimpleNamespace

import numpy as np
import pytest

from meanfield import kernels
from meanfield.activations import as_activation
from meanfield.flow.elementwise import ElementwisePasses
from meanfield.flow.jacobian import Blocks, Jacobian
from meanfield.flow.linearly_implicit import LinearlyImplicit
from meanfield.flow.rosenbrock import Rosenbrock

TANH = as_activation("tanh")


class Stub:
    """A system with c outputs, any D and any weights, of which a Jacobian needs this much."""

    def __init__(self, *, c=1, curvature=None, seed=0, size=7, n=5, r=3, scale=0.8):
        rng = np.random.default_rng(seed)
        self.n, self.kappa, self.c = n, 0.4, c
        self.x, self.y = rng.standard_normal((n, r)), rng.standard_normal(n * c)
        self.weight = rng.uniform(0.5, 2.0, size)
        self.theta = rng.standard_normal((c + r, size))
        self.passes = ElementwisePasses(self.x, self.weight, TANH, scale, outputs=c)
        self.D = curvature(rng, n, c) if curvature else None

    def forward(self, theta):
        return self.passes.forward(theta)

    def curvature(self, state):
        return self.D

    def pull(self, f):
        """e of a loss that is quadratic, with second derivative D."""
        wide = (f - self.y).reshape(self.n, self.c)
        if self.D is None:
            return wide.ravel()
        D = self.D[:, None, None] if self.D.ndim == 1 else self.D
        return np.einsum("iab,ib->ia", D, wide).ravel()

    def state(self):
        return SimpleNamespace(theta=self.theta, e=self.pull(self.kappa * self.forward(self.theta).output()))

    def velocity(self, theta):
        forward = self.forward(theta)
        e = self.pull(self.kappa * forward.output())
        return forward.pullback(-e / self.n, np.empty_like(theta))

    def combine(self, base, increments, coefficients, out):
        out[...] = base + np.tensordot(coefficients, increments, 1)
        return out

    def combination_norms(self, increments, coefficients):
        v = np.tensordot(coefficients, increments, 1)
        return np.sqrt([np.sum(self.weight * v[: self.c] ** 2), np.sum(self.weight * v[self.c :] ** 2)])


def positive(rng, n, c):
    return rng.uniform(0.1, 2.0, n)


def with_zeros(rng, n, c):
    return np.array([1.0, 0.0, 0.3, 0.0, 2.0])


def blocks(rng, n, c):
    """Of rank one, so that c - 1 directions of each sample have no curvature."""
    root = rng.standard_normal((n, c))
    return root[:, :, None] * root[:, None, :]


STUBS = {
    "mean square": {},
    "plane": {"r": 2},
    "line": {"r": 1},
    "D": {"curvature": positive},
    "D with zeros": {"curvature": with_zeros},
    "two outputs": {"c": 2},
    "two outputs, singular D": {"c": 2, "curvature": blocks},
}


@pytest.fixture(params=STUBS)
def stub(request):
    return Stub(**STUBS[request.param])


def dense(jacobian, theta):
    """F' as a matrix."""
    columns = [jacobian.product(v.reshape(theta.shape)).ravel() for v in np.eye(theta.size)]
    return np.array(columns).T


class TestTableau:
    def test_order_conditions_of_rodas4(self):
        """All eight of order 4 and, embedded, all four of order 3 (Hairer, Wanner, IV.7); L-stable, both."""
        t = Rosenbrock.tableau
        full = t.coupling + t.gamma * np.eye(6)
        beta = t.alpha + full
        a, b = t.alpha.sum(axis=1), beta.sum(axis=1)
        conditions = lambda m: {  # noqa: E731
            "1": (m.sum(), 1),
            "beta": (m @ b, 1 / 2),
            "alpha^2": (m @ a**2, 1 / 3),
            "beta beta": (m @ beta @ b, 1 / 6),
            "alpha^3": (m @ a**3, 1 / 4),
            "alpha (alpha beta)": (m * a @ t.alpha @ b, 1 / 8),
            "beta alpha^2": (m @ beta @ a**2, 1 / 12),
            "beta beta beta": (m @ beta @ beta @ b, 1 / 24),
        }
        for weights, order in ((t.b, 8), (t.embedded, 4)):
            found = list(conditions(weights).items())[:order]
            wrong = {name: got - want for name, (got, want) in found if abs(got - want) > 2e-14}
            assert not wrong
        assert abs(conditions(t.embedded)["alpha^3"][0] - 1 / 4) > 0.1  # an estimate, not another solution
        np.testing.assert_allclose(a, [0.0, 0.386, 0.21, 0.63, 1.0, 1.0], atol=2e-14)
        for weights, s in ((t.b, 6), (t.embedded, 5)):
            assert abs(1 - weights[:s] @ np.linalg.solve(beta[:s, :s], np.ones(s))) < 1e-14
        np.testing.assert_allclose(
            t.alpha[5], t.embedded, atol=1e-14
        )  # the last stage is the embedded solution
        np.testing.assert_allclose(beta[5], t.b, atol=1e-14)

    def test_both_methods_are_one_loop(self):
        assert Rosenbrock.step is LinearlyImplicit.step


class TestJacobian:
    def test_against_finite_differences(self, stub):
        jacobian = Jacobian(stub, stub.state())
        rng = np.random.default_rng(1)
        for _ in range(4):
            v, h = rng.standard_normal(stub.theta.shape), 1e-4
            fine, coarse = (
                (stub.velocity(stub.theta + s * v) - stub.velocity(stub.theta - s * v)) / (2 * s)
                for s in (h, 2 * h)
            )
            np.testing.assert_allclose(jacobian.product(v), (4 * fine - coarse) / 3, rtol=1e-8, atol=1e-9)

    def test_symmetric_in_the_weighted_inner_product(self, stub):
        J = dense(Jacobian(stub, stub.state()), stub.theta)
        weighted = np.tile(stub.weight, len(stub.theta))[:, None] * J
        np.testing.assert_allclose(weighted, weighted.T, rtol=1e-12, atol=1e-13)

    @pytest.mark.parametrize("tau", [0.01, 1.0, 30.0])
    def test_solutions_against_dense_ones(self, stub, tau):
        """Also where blocks of 1 + tau H, and 1 - tau F' itself, are indefinite."""
        jacobian = Jacobian(stub, stub.state())
        matrix = np.eye(stub.theta.size) - tau * dense(jacobian, stub.theta)
        b = np.random.default_rng(2).standard_normal(stub.theta.shape)
        found = np.empty_like(b)
        jacobian.stages(0.25, 4 * tau).solve(b.copy(), found)
        expected = np.linalg.solve(matrix, b.ravel()).reshape(b.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())
        if tau == 30.0:
            symmetric = np.sqrt(np.tile(stub.weight, len(stub.theta)))
            symmetric = symmetric[:, None] * matrix / symmetric
            assert np.linalg.eigvalsh(symmetric)[0] < 0.0

    def test_loss_rate(self, stub):
        rate = stub.kappa * np.sum(stub.weight * stub.velocity(stub.theta) ** 2)
        assert Jacobian(stub, stub.state()).loss_rate == pytest.approx(rate, rel=1e-13)

    @pytest.mark.parametrize("r", [1, 2, 3])
    def test_a_singular_block_makes_no_solution(self, r):
        pq = np.zeros((1, r, 2))
        qq = np.zeros((r, r, 2))
        qq[0, 0, 1] = -1.0
        found = Blocks(pq, qq).solve(np.ones((1 + r, 2)), np.empty((1 + r, 2)))
        assert not np.isfinite(found[:, 1]).all()

    @pytest.mark.parametrize("which", ["hessian", "solve"])
    def test_same_bits_for_any_number_of_threads(self, which):
        stub = Stub(size=9000, n=40, r=3)
        found = []
        before = kernels.get_threads()
        for threads in (1, 2, 3):
            kernels.set_threads(threads)
            try:
                with kernels.one_blas_thread():
                    jacobian = Jacobian(stub, stub.state())
                    out = np.empty_like(stub.theta)
                    jacobian.stages(0.25, 0.1).solve(stub.theta.copy(), out)
            finally:
                kernels.set_threads(before)
            found.append(
                np.concatenate([jacobian.pq.ravel(), jacobian.qq.ravel()]) if which == "hessian" else out
            )
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])
