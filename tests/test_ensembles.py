"""Ensembles: many seeds are one call and one object, with the bits of single runs."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest

import meanfield as mf
from meanfield import InputError, experiments
from meanfield.experiments import EnsembleInterrupted, Spread, ensemble_runs

FOUR = mf.datasets.four_points()
NTK, MEAN_FIELD = mf.Scaling.named("ntk"), mf.Scaling.named("mean-field")
TIMES = np.array([1.0, 10.0, 100.0])


def made(**kwargs):
    given = {"problem": FOUR, "scaling": MEAN_FIELD, "width": 50, "seeds": 4, "progress": False} | kwargs
    return mf.ensemble(**given)


@pytest.fixture(scope="module")
def found():
    return made(save_at=TIMES, loss_tol=0, save_parameters=True)


def network(seed, **kwargs):
    return mf.Particles.sample(
        FOUR, MEAN_FIELD, 50, rng=np.random.SeedSequence(0, spawn_key=(seed,)), **kwargs
    )


def same_bits(one, other):
    for name in ("time", "loss", "output", "rd_w", "rd_a"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.final.w, other.final.w)
    assert one.status is other.status


def left_of(session):
    """Processes of a session that still run."""
    left = []
    for other in psutil.process_iter(["status"]):
        with contextlib.suppress(OSError):
            if os.getsid(other.pid) == session and other.info["status"] != psutil.STATUS_ZOMBIE:
                left.append(other.pid)
    return left


class TestRuns:
    def test_are_those_of_gradient_flow(self, found):
        for seed, run in zip(found.seeds, found.runs, strict=True):
            alone = mf.gradient_flow(
                FOUR, network(int(seed)), save_at=TIMES, loss_tol=0, save_parameters=True
            )
            same_bits(run, alone)

    def test_are_the_same_over_processes(self, found):
        over_two = made(save_at=TIMES, loss_tol=0, save_parameters=True, executor=2)
        for one, other in zip(found.runs, over_two.runs, strict=True):
            same_bits(one, other)
            assert other.problem is FOUR

    def test_draws_are_those_of_sweeps(self, found):
        cell, settings = experiments.Cell(1.0, 0.0, 50, 2), experiments.CellSettings(loss_atol=1e-3)
        np.testing.assert_array_equal(
            found.runs[2].initial.w, experiments.cell_particles(FOUR, cell, settings).w
        )

    def test_which_seeds(self):
        few = made(seeds=[7, 3], save_at=TIMES, loss_tol=0)
        assert few.seeds.tolist() == [3, 7]
        np.testing.assert_array_equal(few.runs[1].initial.w, network(7).w)

    def test_options_arrive(self):
        few = made(seeds=1, t_end=5.0, rtol=1e-2, method="runge-kutta", antisymmetric=False, rng=3)
        rng = np.random.SeedSequence(3, spawn_key=(0,))
        start = mf.Particles.sample(FOUR, MEAN_FIELD, 50, rng=rng, antisymmetric=False)
        alone = mf.gradient_flow(
            FOUR,
            start,
            save_at=np.union1d(few.time, few.unreached),
            t_end=5.0,
            rtol=1e-2,
            method="runge-kutta",
        )
        same_bits(few.runs[0], alone)


class TestStatistics:
    def test_curves_and_their_spread(self, found):
        stacked = np.array([run.loss for run in found.runs])
        np.testing.assert_array_equal(found.loss.values, stacked)
        np.testing.assert_array_equal(np.asarray(found.loss), stacked)
        np.testing.assert_allclose(found.loss.mean, np.mean(stacked, axis=0))
        np.testing.assert_allclose(found.loss.std, np.std(stacked, axis=0, ddof=1))
        np.testing.assert_allclose(found.loss.standard_error, np.std(stacked, axis=0, ddof=1) / 2.0)
        np.testing.assert_allclose(found.loss.band(0.5), np.quantile(stacked, [0.25, 0.75], axis=0))
        np.testing.assert_allclose(found.loss.median, np.median(stacked, axis=0))
        assert found.output.values.shape == (4, 3, 4)

    def test_interval_of_the_mean(self):
        """Student's 97.5 % quantile with 3 degrees of freedom is 3.182446."""
        low, high = Spread(np.array([[1.0], [2.0], [3.0], [4.0]])).band(0.95, of="mean")
        half = 3.182446 * np.std([1, 2, 3, 4], ddof=1) / 2
        np.testing.assert_allclose([low[0], high[0]], [2.5 - half, 2.5 + half], rtol=1e-6)

    def test_the_interval_holds_the_mean_as_often_as_it_says(self):
        """2000 samples of five: 90 % within four standard errors (0.7 %) of a binomial share."""
        draws = np.random.default_rng(0).standard_normal((5, 2000))
        low, high = Spread(draws).band(0.9, of="mean")
        assert abs(np.mean((low < 0) & (high > 0)) - 0.9) < 4 * 0.0068

    def test_one_seed(self):
        one = Spread(np.array([[1.0, 2.0]]))
        assert np.isnan(one.std).all()
        assert one.band(0.9)[0].tolist() == [1.0, 2.0]
        with pytest.raises(InputError, match="one seed has no error of the mean; give two or more"):
            one.band(0.9, of="mean")

    def test_predictions(self, found):
        spread = found.predict([0.1, 0.6])
        np.testing.assert_array_equal(spread.values, [run.predict([0.1, 0.6]) for run in found.runs])
        np.testing.assert_array_equal(
            found.predict([0.1], at=10.0).values, [run.predict([0.1], at=10.0) for run in found.runs]
        )

    def test_runs_that_end_earlier(self):
        """No value is made up: nan after a run's own end, and in the mean."""
        several = made(save_at=[1.0, 50.0, 1e6], loss_tol=1e-2)
        np.testing.assert_array_equal(several.time, [1.0, 50.0, 1e6])
        assert np.isfinite(several.loss.values[:, 0]).all()
        assert np.isnan(several.loss.values[:, 2]).all()
        assert np.isnan(several.loss.mean[2])
        assert np.isnan(several.loss.band()[0][2])

    def test_times_of_our_own_choice(self):
        several = made(loss_tol=1e-2)
        assert several.time[0] == 0.0
        assert several.time[-1] <= max(run.end.time for run in several.runs)
        first = mf.gradient_flow(FOUR, network(0), loss_tol=1e-2)
        assert several.time[1] == pytest.approx(1e-5 * first.end.time, rel=1e-12)
        assert len(several.time) > 90
        np.testing.assert_allclose(several.loss.values[:, 0], FOUR.zero_loss)


class TestGoingOn:
    def test_more_seeds(self):
        few, all_at_once = made(seeds=2, loss_tol=1e-2), made(seeds=4, loss_tol=1e-2)
        more = made(seeds=4, loss_tol=1e-2, done=few)
        assert more.runs[1] is few.runs[1]
        np.testing.assert_array_equal(more.time, all_at_once.time)
        for one, other in zip(more.runs, all_at_once.runs, strict=True):
            same_bits(one, other)

    @pytest.mark.parametrize("given", [{"width": 52}, {"scaling": NTK}, {"rtol": 1e-2}, {"rng": 1}], ids=str)
    def test_of_other_networks(self, found, given):
        options = {"save_at": TIMES, "loss_tol": 0, "save_parameters": True} | given
        with pytest.raises(InputError, match="done is an ensemble of other networks; give the same"):
            made(done=found, **options)
        with pytest.raises(InputError, match="done has other times than save_at; leave save_at out"):
            made(done=found, save_at=[1.0], loss_tol=0, save_parameters=True)

    def test_interrupted(self, monkeypatch):
        """Ctrl-C in the third run; the rest gives what was to be there."""
        whole, run = made(save_at=TIMES, loss_tol=0), experiments.Training.run

        def until_the_third(self, *args):
            if args[-1] == 2:
                raise KeyboardInterrupt
            return run(self, *args)

        monkeypatch.setattr(experiments.Training, "run", until_the_third)
        with pytest.raises(EnsembleInterrupted, match=r"after 2 of 4 runs; they are in \.ensemble") as caught:
            made(save_at=TIMES, loss_tol=0)
        monkeypatch.undo()
        assert caught.value.ensemble.seeds.tolist() == [0, 1]
        rest = made(save_at=TIMES, loss_tol=0, done=caught.value.ensemble)
        for one, other in zip(rest.runs, whole.runs, strict=True):
            same_bits(one, other)

    def test_interrupted_before_the_first(self, monkeypatch):
        def stopped(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(experiments.Training, "run", stopped)
        with pytest.raises(EnsembleInterrupted, match=r"interrupted after 0 of 4 runs$") as caught:
            made()
        assert caught.value.ensemble is None

    @pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")
    def test_a_real_ctrl_c_with_processes(self, tmp_path):
        """A signal to the whole group, as a terminal sends it; workers are gone afterwards."""
        script = tmp_path / "many.py"
        script.write_text(
            textwrap.dedent("""
                import numpy as np
                import meanfield as mf
                from meanfield.experiments import EnsembleInterrupted

                if __name__ == "__main__":
                    x = np.linspace(-1, 1, 60)
                    problem = mf.Problem(x, np.cos(9 * x))
                    try:
                        mf.ensemble(
                            problem, mf.Scaling(1.2), 2000, seeds=2000, save_at=[1.0, 20.0], loss_tol=0,
                            executor=2, progress=True,
                        )
                    except EnsembleInterrupted as error:
                        print(str(error), len(error.ensemble.runs), flush=True)
            """)
        )
        process = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        seen = ""
        while not re.search(r"\b[1-9]\d*/2000", seen) and process.poll() is None:
            seen += process.stderr.read(1)
        os.killpg(process.pid, signal.SIGINT)
        err = process.stderr.read()
        out, _ = process.communicate(timeout=60)
        assert out.startswith("interrupted after "), err
        assert "Traceback" not in err
        assert int(out.split()[-1]) >= 1
        deadline = time.monotonic() + 20.0
        while left_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left_of(process.pid)


class TestMistakes:
    def test_a_share_beyond_one(self):
        with pytest.raises(InputError, match="q is 3; give a share from 0 to 1"):
            Spread(np.array([1.0, 2.0])).quantile(3)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"seeds": 0}, "seeds is 0; give at least 1"),
            ({"width": 2.5}, "width is 2.5; give a whole number"),
            ({"executor": 0}, "executor is 0; give a whole number >= 1"),
            ({"save_at": [2.0, 1.0]}, "save_at must hold increasing"),
            ({"method": "euler"}, "no method is called .euler."),
            ({"done": 3}, "done is an int; give an Ensemble"),
        ],
    )
    def test_in_one_sentence(self, given, message):
        with pytest.raises(InputError, match=message):
            made(**given)

    def test_a_scaling_that_cannot_be_sent(self):
        scaling = mf.Scaling(alpha=lambda m: m, beta1=1, beta2=1)
        with pytest.raises(InputError, match=r"Can.t pickle .* give functions that a module defines"):
            made(scaling=scaling, executor=2, save_at=TIMES)

    def test_memory(self, monkeypatch):
        monkeypatch.setattr("meanfield.resources.free_memory", lambda: 1e7)
        with pytest.raises(InputError, match=r"4 runs of width 500000 need .* GB .*; give fewer seeds"):
            made(width=500_000, save_at=TIMES)


def test_progress(capsys):
    for progress in (None, False):
        made(save_at=TIMES, loss_tol=0, progress=progress)
        assert capsys.readouterr().err == ""
    made(save_at=TIMES, loss_tol=0, progress=True)
    assert "ensemble" in capsys.readouterr().err


def test_no_bar_before_two_seconds():
    assert ensemble_runs.QUIET_SECONDS == 2.0


def test_repr(found):
    assert (
        repr(found) == "<Ensemble: 4 runs of width 50 on 'four points', 4 REACHED_TIME, 3 times to tbar=100>"
    )
    assert repr(replace(found, runs=found.runs[:1], seeds=found.seeds[:1])).startswith("<Ensemble: 1 runs")
