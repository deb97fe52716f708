"""Neurons moved in the residual of a run: bit for bit what they do in the run itself."""

from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import InputError
from meanfield.flow import replay
from meanfield.flow.replay import ResidualPath

PLANE = mf.datasets.four_points()
SPACE = mf.Problem(np.random.default_rng(0).standard_normal((7, 3)), np.linspace(-1.0, 1.0, 7))
TWICE = mf.Problem([-0.5, 0.5, 0.5, 1.0], [0.3, 0.8, 0.9, -0.2])
PROBLEMS = pytest.mark.parametrize("problem", [PLANE, SPACE, TWICE], ids=["plane", "space", "twice"])


def network(problem, width, rng=0):
    return mf.Particles.sample(problem, mf.Scaling(1.3), width, rng=rng)


@PROBLEMS
def test_neurons_of_the_run_do_what_they_did(problem):
    own = network(problem, 60)
    run = mf.gradient_flow(problem, own, loss_atol=1e-2, save_path=True, save_parameters=True)
    again = replay(problem, own, run.path, save_parameters=True)
    np.testing.assert_array_equal(again.output, run.output[1:])
    np.testing.assert_array_equal(again.rd_w, run.rd_w[1:])
    np.testing.assert_array_equal(again.rd_a, run.rd_a[1:])
    np.testing.assert_array_equal(again.a, run.saved_a[1:])
    np.testing.assert_array_equal(again.w, run.saved_w[1:])


@PROBLEMS
def test_other_neurons_do_what_they_do_when_they_ride_along_without_weight(problem):
    own, other = network(problem, 60), network(problem, 40, rng=1)
    both = replace(
        own,
        a=np.append(own.a, other.a),
        w=np.concatenate([own.w, other.w]),
        weight=np.append(own.weight, np.zeros(40)),
        kappa=own.kappa,
    )
    run = mf.gradient_flow(problem, both, loss_atol=1e-2, save_path=True, save_parameters=True)
    again = replay(problem, replace(other, kappa=own.kappa), run.path, save_parameters=True)
    np.testing.assert_allclose(again.a, run.saved_a[1:, 60:], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(again.w, run.saved_w[1:, 60:], rtol=1e-12, atol=1e-14)
    last = replace(other, kappa=own.kappa).moved(again.a[-1], again.w[-1])
    np.testing.assert_allclose(again.output[-1], last.output(problem.x), rtol=1e-12, atol=1e-14)


def test_the_end_is_always_there():
    run = mf.gradient_flow(PLANE, network(PLANE, 60), t_end=3.0, loss_tol=0.0, save_at=[1.0], save_path=True)
    assert len(replay(PLANE, network(PLANE, 60), run.path).output) == len(run.with_ends().time) - 1 == 2


def test_thinned_paths_keep_both_ends():
    own = network(PLANE, 60)
    path = mf.gradient_flow(PLANE, own, loss_atol=1e-2, save_path=True).path
    every = replay(PLANE, own, path).output
    for most in (2, 5, len(every), 10_000):
        few = replay(PLANE, own, path.thinned(most)).output
        assert len(few) == min(most, len(every))
        np.testing.assert_array_equal(few[[0, -1]], every[[0, -1]])
        assert all((row == every).all(axis=1).any() for row in few)
    assert path.thinned(1).kept.count(True) == 1


def test_paths_survive_as_arrays_and_can_be_cut():
    own = network(PLANE, 60)
    path = mf.gradient_flow(PLANE, own, loss_tol=1e-2, save_path=True).path
    every = replay(PLANE, own, path).output
    again = ResidualPath.from_arrays(path.arrays())
    np.testing.assert_array_equal(replay(PLANE, own, again).output, every)
    np.testing.assert_array_equal(replay(PLANE, own, path.at([2, 0])).output, every[[0, 2]])
    assert len(replay(PLANE, own, path.at([])).output) == 0
    for name in ("path_h", "path_e", "path_kept"):
        with pytest.raises(InputError, match="its residual path has arrays of other shapes"):
            ResidualPath.from_arrays({**path.arrays(), name: np.zeros((2, 2))})


def test_mistakes_are_named():
    run = mf.gradient_flow(PLANE, network(PLANE, 20), max_steps=3, save_path=True)
    with pytest.raises(InputError, match="the path has residuals on 4 samples but the problem has 3"):
        replay(TWICE, network(TWICE, 20), run.path)
    with pytest.raises(InputError, match="save_path needs method='residual'"):
        mf.gradient_flow(PLANE, network(PLANE, 20), save_path=True, method="runge-kutta")
    assert mf.gradient_flow(PLANE, network(PLANE, 20), max_steps=3).path is None
