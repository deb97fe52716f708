"""Published numbers: RD_w and its slopes at gamma' = 0 on the paper's four points.

Source: Luo et al. 2021, read from figures (RD_w to about one per cent, slopes to about 0.001). Protocol:
antisymmetric initialisation of two halves of m neurons each, trained to a mean square of 1e-6. The paper
shows one random draw per width; the bounds below are those of its scatter: 0.05 in a slope over five
widths, ten per cent in a displacement.
"""

import numpy as np
import pytest

from meanfield import datasets, phase_diagram

WIDTHS = (1000, 5000, 10000, 20000, 40000)
# Luo et al. 2021, read from figures: slope of log RD_w against log m, by gamma.
PUBLISHED_S_W = {
    0.5: -0.511, 0.6: -0.411, 0.7: -0.318, 0.75: -0.215, 0.8: -0.179, 0.9: -0.088,
    1.0: 0.014, 1.1: 0.062, 1.25: 0.164, 1.4: 0.224, 1.5: 0.266, 1.75: 0.391,
}  # fmt: skip
# Luo et al. 2021, read from figures: RD_w after training, by gamma, at each of WIDTHS.
PUBLISHED_RD_W = {
    0.5: (0.00883, 0.00375, 0.00274, 0.00192, 0.00136),
    1.0: (0.262, 0.270, 0.269, 0.263, 0.272),
    1.75: (7.98, 13.4, 18.4, 23.9, 31.0),
}


def measure(gamma, widths, seeds, executor=None):
    return phase_diagram(
        datasets.four_points(),
        gamma=gamma,
        gamma_prime=[0.0],
        widths=widths,
        seeds=seeds,
        per_half=True,
        loss_atol=5e-7,  # R is half of the mean square
        executor=executor,
    )


def check_slopes(diagram):
    wrong = {
        row.gamma: (row.S_w, PUBLISHED_S_W[row.gamma])
        for row in diagram.rows
        if not abs(row.S_w.value - PUBLISHED_S_W[row.gamma]) <= 0.05
    }
    assert not wrong


def check_displacements(diagram):
    wrong = {}
    for j, gamma in enumerate(diagram.gamma):
        for k, width in enumerate(diagram.widths):
            if gamma in PUBLISHED_RD_W:
                ours = float(np.exp(np.mean(np.log(diagram.rd_w[0, j, k]))))
                theirs = PUBLISHED_RD_W[gamma][WIDTHS.index(width)]
                if not abs(ours / theirs - 1) <= 0.10:
                    wrong[float(gamma), int(width)] = (ours, theirs)
    assert not wrong


@pytest.fixture(scope="module")
def paper():
    return measure(list(PUBLISHED_S_W), WIDTHS, seeds=3, executor=2)


@pytest.mark.slow
def test_all_trained(paper):
    assert all(result.converged for result in paper.results)
    assert len(paper.results) == 12 * 5 * 3


@pytest.mark.slow
def test_published_slopes(paper):
    check_slopes(paper)


@pytest.mark.slow
def test_published_displacements(paper):
    check_displacements(paper)


@pytest.fixture(scope="module")
def reduced():
    """Three gammas at the three smallest widths."""
    return measure(list(PUBLISHED_RD_W), WIDTHS[:3], seeds=3)


def test_reduced_displacements(reduced):
    check_displacements(reduced)


def test_reduced_slopes(reduced):
    """Against the slope of the published values at the same widths."""
    for j, row in enumerate(reduced.rows):
        published = np.polyfit(np.log(WIDTHS[:3]), np.log(PUBLISHED_RD_W[reduced.gamma[j]][:3]), 1)[0]
        assert abs(row.S_w.value - published) <= 0.05
        assert row.agrees in (True, None)
