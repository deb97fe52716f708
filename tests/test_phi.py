"""The phi functions against their definition in 50 digits, over every size of argument."""

import mpmath
import numpy as np

from meanfield.kernels import phi_functions


def exact(z):
    """phi_k(-z) as the integral that defines it: ``int_0^1 exp(-(1 - s) z) s**(k-1)/(k-1)! ds``."""
    with mpmath.workdps(50):
        z = mpmath.mpf(z)
        values = [mpmath.exp(-z)]
        for k in (1, 2, 3):
            # Kummer's function, M(1, k + 1, -z) / k!, is that integral and is safe at z = 0.
            values.append(mpmath.hyp1f1(1, k + 1, -z) / mpmath.factorial(k))
        return [float(value) for value in values]


def test_few_ulp_for_every_argument():
    z = np.concatenate([[0.0], np.geomspace(1e-20, 0.999, 40), [1.0], np.geomspace(1.001, 1e6, 40)])
    ours = np.array(phi_functions(z))
    theirs = np.array([exact(float(value)) for value in z]).T
    # exp(-z) itself carries the rounding of its argument, z ulp, wherever it is not zero.
    np.testing.assert_allclose(ours[0], theirs[0], rtol=4e-16, atol=1e-300)
    np.testing.assert_allclose(ours[1:], theirs[1:], rtol=2e-15)


def test_infinitely_stiff_directions_are_damped():
    decay, mean, response, response_mean = phi_functions(np.array([1e300]))
    assert decay[0] == 0.0
    assert mean[0] == 1e-300
    np.testing.assert_allclose([response[0], response_mean[0]], [1e-300, 0.5e-300], rtol=1e-15)
