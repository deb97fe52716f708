"""The map against trained networks, at 30 points spread over all regions.

Neurons are quadrature nodes with weights that sum to m, so that m may be large enough for the exponent to be
the asymptotic one: the directions of w are equally spaced on the circle of radius sqrt(2), turned so that
none is a data hyperplane's, and a is +1 and -1 at each, which has the second moments of the Gaussian law.
Widths are taken from the exponents: so large that corrections, powers of 1/m with the distance to the next
kink as exponent, have died out, and small enough for displacements to stay above the rounding of double
precision.
"""

import numpy as np
import pytest

import meanfield as mf
from meanfield.symbolic import derive_exponents

NODES = 128
THEORY = derive_exponents()

# (gamma, gamma'): six in each of the five regions.
POINTS = [
    *((g, gp) for g in (0.5, 0.6, 0.7) for gp in (0.4, 0.6)),  # lazy, output layer first
    *((g, gp) for g in (0.5, 0.6, 0.7) for gp in (-0.4, -0.6)),  # lazy, input layer first
    *((1 + t, t + more) for t in (0.3, 0.4, 0.6) for more in (0.3, 0.5)),  # w-lag
    *((1 + t, -t - more) for t in (0.3, 0.4, 0.6) for more in (0.3, 0.5)),  # a-lag
    *((1 + t, gp) for t in (0.7, 1.0) for gp in (-0.3, 0.0, 0.3)),  # both move
]


def particles(scaling, m):
    angle = (np.arange(NODES) + 0.37) * 2 * np.pi / NODES
    w = np.sqrt(2) * np.column_stack([np.cos(angle), np.sin(angle)])
    return mf.Particles.from_arrays(
        np.tile([1.0, -1.0], NODES), np.repeat(w, 2, axis=0), kappa=scaling.kappa(m),
        kappa_prime=scaling.kappa_prime(m), weight=np.full(2 * NODES, m / (2 * NODES)),
    )  # fmt: skip


def largest_width(S_w, S_a):
    """log10 of a width at which the smaller displacement is still about 1e-9.

    At most 1e12: beyond, the neurons that leave the saddle last start below the rounding of the first.
    """
    return float(np.clip(9.0 / max(-S_w, -S_a, 0.5), 5.5, 12.0))


def final_runs(scaling, top):
    """Two decades of width, both trained to the same end; lower ones where rounding keeps the wider
    network on the plateau that the narrower one leaves.
    """
    widths = 10.0 ** np.array([top - 2.0, top])
    runs = [
        mf.gradient_flow(mf.datasets.four_points(), particles(scaling, m), loss_atol=1e-7, progress=False)
        for m in widths
    ]
    return (widths, runs) if runs[0].status is runs[1].status else final_runs(scaling, top - 1.0)


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_slopes_are_the_derived_exponents(point):
    expected = [float(S) for S in THEORY.numeric()(*point)]
    widths, runs = final_runs(mf.Scaling(*point), largest_width(*expected))
    rd = [[run.rd_w.max(), run.rd_a.max()] for run in runs]
    slopes = np.diff(np.log(rd), axis=0)[0] / np.log(widths[1] / widths[0])
    np.testing.assert_allclose(slopes, expected, atol=0.02)


def half_time(scaling, m):
    """Canonical time at which the loss has halved, between recorded times."""
    run = mf.gradient_flow(mf.datasets.four_points(), particles(scaling, m), loss_atol=1e-7, progress=False)
    return float(np.interp(-0.5 * run.loss[0], -run.loss, run.time)) * scaling.kappa(m)


@pytest.mark.parametrize("point", [(1.3, 0.6), (1.4, 0.7), (1.6, 0.9)], ids=str)
def test_time_is_the_derived_power(point):
    scaling, widths = mf.Scaling(*point), (1e10, 1e12)
    low, high = (half_time(scaling, m) for m in widths)
    (expected,) = THEORY.numeric("time")(*point)
    assert np.log(high / low) / np.log(widths[1] / widths[0]) == pytest.approx(float(expected), abs=0.02)


@pytest.mark.parametrize("point", [(1.7, -0.3), (1.7, 0.0), (1.7, 0.3), (2.0, -0.3), (2.0, 0.0), (2.0, 0.3)])
def test_time_is_a_logarithm_where_both_layers_move(point):
    """s = c log m + O(1): between these widths a factor 12/10, up to the constant; m^0.7 would be 25."""
    low, high = (half_time(mf.Scaling(*point), m) for m in (1e10, 1e12))
    assert high / low == pytest.approx(1.2, abs=0.03)


def test_points_are_spread_over_all_regions():
    assert len(POINTS) == len(set(POINTS)) == 30
    counts = [
        sum(all(r[0] * g + r[1] * gp + r[2] > 1e-9 for r in region.region.rows) for g, gp in POINTS)
        for region in THEORY.regions
    ]
    assert counts == [6] * 5
