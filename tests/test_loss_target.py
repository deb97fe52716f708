"""What a tolerance on the loss means: a share of what can be learned, or an absolute loss, everywhere."""

import json
import re

import numpy as np
import pytest
from generic import TANH, GenericNetwork, generic_flow

import meanfield as mf
from meanfield.cli import main
from meanfield.experiments import limit_diagram
from meanfield.flow.target import loss_target

FOUR = mf.datasets.four_points()
#: Two labels for one input: 0 and 1 leave (1/6) (1/4 + 1/4) for R, of (1/6) (1 + 4) at zero.
TWICE = mf.Problem([0.5, 0.5, -0.5], [0.0, 1.0, 2.0])
FLOOR, ZERO = 1 / 12, 5 / 6


def network(problem, gamma=0.5, width=100, **options):
    return mf.Particles.sample(problem, mf.Scaling(gamma), width, rng=0, **options)


class TestMeaning:
    @pytest.mark.parametrize("size", [1e-5, 1e-3, 1e-2, 1.0, 1e3])
    def test_targets_of_any_size_are_learned(self, size):
        """An absolute 1e-6 called targets of 1e-3 learned by the function that is zero."""
        problem = mf.Problem(FOUR.x[:, :1], size * FOUR.y)
        run = mf.gradient_flow(problem, network(problem), progress=False)
        assert run.status is mf.Status.CONVERGED
        left = run.predict(FOUR.x[:, 0]) - problem.y
        assert np.linalg.norm(left) <= 1e-3 * np.linalg.norm(problem.y)
        assert run.loss_target.loss == pytest.approx(1e-6 * np.mean(problem.y**2) / 2, rel=1e-12)

    def test_a_share_counts_from_what_contradictory_labels_leave(self):
        assert TWICE.loss_floor == pytest.approx(FLOOR, rel=1e-12)
        assert TWICE.zero_loss == pytest.approx(ZERO, rel=1e-12)
        assert TWICE.learnable == pytest.approx(ZERO - FLOOR, rel=1e-12)
        run = mf.gradient_flow(TWICE, network(TWICE), loss_tol=1e-2, progress=False)
        assert run.status is mf.Status.CONVERGED
        assert run.loss_target.loss == pytest.approx(FLOOR + 1e-2 * (ZERO - FLOOR), rel=1e-12)
        assert FLOOR < run.loss[-1] <= run.loss_target.loss

    @pytest.mark.parametrize(
        ("tolerances", "loss", "asked"),
        [
            ({}, 1e-6 * FOUR.zero_loss, "loss_tol=1e-06 of what can be learned"),
            ({"loss_tol": 1e-3}, 1e-3 * FOUR.zero_loss, "loss_tol=0.001 of what can be learned"),
            ({"loss_atol": 1e-5}, 1e-5, "loss_atol=1e-05"),
            ({"loss_atol": 1e-12}, 1e-12, "loss_atol=1e-12"),  # and not the default share, which comes first
            ({"loss_tol": 1e-3, "loss_atol": 1e-12}, 1e-3 * FOUR.zero_loss, "loss_tol=0.001 of what"),
            ({"loss_tol": 1e-9, "loss_atol": 1e-4}, 1e-4, "loss_atol=0.0001"),
            ({"loss_tol": 0, "loss_atol": 1e-4}, 1e-4, "loss_atol=0.0001"),
        ],
    )
    def test_of_two_tolerances_the_first_that_is_met_counts(self, tolerances, loss, asked):
        run = mf.gradient_flow(FOUR, network(FOUR), progress=False, **tolerances)
        assert run.status is mf.Status.CONVERGED
        assert run.loss_target.loss == pytest.approx(loss, rel=1e-12)
        assert run.loss_target.asked.startswith(asked)
        assert run.loss[-1] <= loss < run.loss[-2]
        assert f"{run.loss_target.asked}, R <= " in repr(run)

    def test_nothing_to_learn(self):
        """Zero targets: any network trains until its outputs are zero to rounding."""
        problem = mf.Problem([-1.0, 0.3, 1.0], np.zeros(3))
        at_once = mf.gradient_flow(problem, network(problem), progress=False)
        assert (at_once.status, at_once.stats.steps) == (mf.Status.ROUNDING, 0)
        start = network(problem, width=20, antisymmetric=False)
        run = mf.gradient_flow(problem, start, progress=False)
        assert run.status is mf.Status.ROUNDING
        assert run.loss[-1] < 1e-28 * run.loss[0]
        cancelling = mf.Problem([0.5, 0.5], [1.0, -1.0])
        assert cancelling.learnable == 0.0
        run = mf.gradient_flow(cancelling, network(cancelling), progress=False)
        assert (run.status, run.stats.steps) == (mf.Status.CONVERGED, 0)

    @pytest.mark.parametrize(
        ("tolerances", "message"),
        [
            (
                {"loss_tol": 1.0},
                r"loss_tol is 1.0; give a share of what can be learned, .* loss_atol is for",
            ),
            ({"loss_atol": 0.0}, r"loss_atol is 0.0; give a positive loss R"),
            (
                {"loss_atol": 0.08},
                r"loss_atol is 0.08, but contradictory labels .* above 0.08333; give",
            ),
        ],
    )
    def test_refused(self, tolerances, message):
        with pytest.raises(mf.InputError, match=message):
            mf.gradient_flow(TWICE, network(TWICE), **tolerances)


class TestEverywhere:
    """One meaning: what `loss_target` says of the data."""

    WANTED = FLOOR + 1e-3 * (ZERO - FLOOR)
    GRID = {"gamma": [0.5], "gamma_prime": [0.0], "progress": False}  # noqa: RUF012

    def test_descent_and_any_activation(self):
        run = mf.gradient_descent(
            TWICE, network(TWICE), learning_rate=0.02, loss_tol=1e-3, progress=False, max_steps=5000
        )
        assert run.status is mf.Status.CONVERGED
        assert FLOOR < run.loss[-1] <= self.WANTED < run.loss[-2]
        start = GenericNetwork.sample(TWICE, (10.0, 1.0, 1.0), 100, activation=TANH, rng=0)
        own = generic_flow(TWICE, start, loss_tol=1e-3)
        assert own.status is mf.Status.CONVERGED
        assert own.loss[-1] == pytest.approx(self.WANTED, rel=1e-5)

    @pytest.mark.parametrize("method", ["kernel", "mean-field"])
    def test_infinite_width(self, method):
        limit = mf.infinite_width(
            TWICE, mf.Scaling(0.5), width=1e6, loss_tol=1e-3, nodes=256, method=method, progress=False
        )
        assert limit.status is mf.Status.CONVERGED
        assert limit.loss_target.loss == pytest.approx(self.WANTED, rel=1e-12)
        assert FLOOR < limit.loss[-1] <= self.WANTED * (1 + 1e-9)
        with pytest.raises(mf.InputError, match="every target is zero, so there is nothing to learn"):
            mf.infinite_width(mf.Problem([0.0, 1.0], [0.0, 0.0]), mf.Scaling(0.5), width=1e6)

    def test_maps(self):
        found = [
            mf.phase_diagram(TWICE, widths=[10, 20], loss_tol=1e-3, **self.GRID),
            limit_diagram(TWICE, nodes=64, loss_tol=1e-3, **self.GRID),
        ]
        for diagram in found:
            assert diagram.settings.loss_atol == pytest.approx(self.WANTED, rel=1e-12)
        assert all(FLOOR < result.loss <= self.WANTED for result in found[0].results)

    def test_command_line(self, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "twice.csv").write_text("0.5, 0\n0.5, 1\n-0.5, 2\n")
        train = ["train", "--data", "twice.csv", "--width", "100", "--json"]
        assert main([*train, "--loss-tol", "1e-3"]) == 0
        target = json.loads(capsys.readouterr().out)["loss_target"]
        assert target["loss"] == pytest.approx(self.WANTED, rel=1e-12)
        assert main([*train, "--loss-atol", "0.2"]) == 0
        assert json.loads(capsys.readouterr().out)["loss_target"]["loss"] == 0.2
        assert main([*train[:-1], "--loss-tol", "1e-3"]) == 0
        target = str(loss_target(TWICE, 1e-3, None)).replace("loss_tol=", "--loss-tol ")
        assert f"target    {target}" in capsys.readouterr().out

    def test_the_paper_trains_to_a_mean_square(self, capsys, tmp_path, monkeypatch):
        """Of 1e-6, which is R = 5e-7; tolerances that are given come before it."""
        monkeypatch.chdir(tmp_path)
        sweep = ["phase-diagram", "--preset", "paper", "--gamma", "0.5", "--gamma-prime", "0", "--json"]
        sweep += ["--widths", "10,20", "--workers", "1", "--formats", "png", "--out"]
        for out, options, loss in (
            ("paper", [], 5e-7), ("share", ["--loss-tol", "1e-3"], 1e-3 * FOUR.zero_loss),
        ):  # fmt: skip
            assert main([*sweep, out, *options]) == 0
            kept = json.loads(capsys.readouterr().out)["settings"]["loss_atol"]
            assert kept == pytest.approx(loss, rel=1e-12)


class TestDataThatDoublePrecisionCannotSeparate:
    """They are said to be so before anything is trained, with the remedy; no floor is claimed."""

    T = 1.6e9 + 3600.0 * np.arange(30)
    TIMES = mf.Problem(T, np.sin(np.arange(30) / 3), name="hours")
    SENTENCE = (
        r"samples \d+ and \d+ of hours lie in one direction .* cannot tell them apart, but their targets "
        r"differ; feature 1 of hours runs from 1\.6e\+09 to 1\.6001e\+09, far from zero, .* standardise=True"
    )

    @pytest.mark.parametrize("tolerances", [{}, {"loss_tol": 0}, {"loss_atol": 0.1}])
    def test_flow(self, tolerances):
        with pytest.raises(mf.InputError, match=self.SENTENCE):
            mf.gradient_flow(self.TIMES, network(self.TIMES), **tolerances)
        with pytest.raises(mf.InputError, match=self.SENTENCE):
            mf.gradient_descent(self.TIMES, network(self.TIMES), learning_rate=0.1, **tolerances)

    def test_limits_and_sweeps(self):
        with pytest.raises(mf.InputError, match=self.SENTENCE):
            mf.infinite_width(self.TIMES, mf.Scaling(0.5), width=1e6)
        with pytest.raises(mf.InputError, match=self.SENTENCE):
            mf.phase_diagram(self.TIMES, gamma=[0.5], gamma_prime=[0.0], widths=[10, 20])

    def test_the_command_line_says_the_same(self, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        np.savetxt("hours.csv", np.column_stack([self.T, self.TIMES.y]), delimiter=",", fmt="%.17g")
        assert main(["train", "--data", "hours.csv"]) == 2
        said = capsys.readouterr().err
        in_the_shell = self.TIMES.far_from_zero.replace("standardise=True", "--standardise")
        assert f"note: {in_the_shell}\n" in said
        assert re.search(self.SENTENCE.replace("standardise=True", "--standardise"), said)

    def test_the_remedy_helps(self, tmp_path):
        path = tmp_path / "hours.csv"
        np.savetxt(path, np.column_stack([self.T, np.sin(np.arange(30) / 10)]), delimiter=",", fmt="%.17g")
        problem = mf.datasets.load(path, standardise=True)
        assert problem.far_from_zero == ""
        run = mf.gradient_flow(problem, network(problem, width=400), loss_tol=1e-3, progress=False)
        assert run.status is mf.Status.CONVERGED

    def test_what_is_close_but_agrees_is_trained(self):
        problem = mf.Problem([0.5, 0.5 + 1e-13, -0.5], [1.0, 1.0, 2.0])
        assert mf.gradient_flow(problem, network(problem), progress=False).status is mf.Status.CONVERGED

    @pytest.mark.parametrize("gap", [1e-15, 1e-13, 5e-12])
    def test_what_is_close_and_differs(self, gap):
        problem = mf.Problem([0.5, 0.5 + gap, -0.5], [1.0, 0.0, 2.0])
        assert problem.loss_floor == 0.0
        with pytest.raises(mf.InputError, match=r"samples 1 and 2 .* average the targets of such samples"):
            mf.gradient_flow(problem, network(problem))
        # What is asked for is above what they leave, (1/6) (1/4 + 1/4).
        run = mf.gradient_flow(problem, network(problem), loss_atol=0.1, progress=False)
        assert run.status is mf.Status.CONVERGED
        assert run.loss[-1] == pytest.approx(problem.loss(run.final.output(problem.x)), rel=1e-9)

    def test_contradictory_labels_far_from_zero(self):
        """Two labels at one of the times: the floor is theirs alone."""
        t = 19_000.0 + 100.0 * np.arange(5)
        problem = mf.Problem(np.append(t, t[0]), [0.0, 1.0, 2.0, 1.0, 0.0, 1.0], loss="mean-square")
        assert problem.loss_floor == pytest.approx((0.25 + 0.25) / 12, rel=1e-12)
        far = mf.Problem(np.append(self.T, self.T[0]), np.append(self.TIMES.y, 1.0))
        assert far.loss_floor == pytest.approx((0.25 + 0.25) / 62, rel=1e-12)


class TestKept:
    def test_in_files(self, tmp_path):
        run = mf.gradient_flow(FOUR, network(FOUR), loss_tol=1e-3, progress=False)
        assert mf.Trajectory.load(run.save(tmp_path / "run")).loss_target == run.loss_target
        off = mf.gradient_flow(FOUR, network(FOUR), loss_tol=0, t_end=1.0, progress=False)
        assert off.loss_target is None
        assert mf.Trajectory.load(off.save(tmp_path / "off")).loss_target is None

    def test_files_of_earlier_versions_do_not_know_it(self, tmp_path):
        path = mf.gradient_flow(FOUR, network(FOUR), loss_tol=1e-3, progress=False).save(tmp_path / "run")
        with np.load(path) as file:
            arrays = dict(file)
        meta = json.loads(str(arrays["meta"]))
        del meta["loss_target"]
        np.savez(path, **(arrays | {"meta": np.array(json.dumps(meta))}))
        assert mf.Trajectory.load(path).loss_target is None
