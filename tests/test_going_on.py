"""A run that goes on with another one is that run, uninterrupted: clock, start, record and statistics."""

import dataclasses
import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow import METHODS, FlowInterrupted, replay
from meanfield.flow.system import SmoothSystem

FOUR = mf.datasets.four_points()
OTHER = mf.Problem([-0.5, 0.0, 0.5], [0.3, -0.2, 0.1])


def network(problem=FOUR, gamma=1.5, width=200, **options):
    return mf.Particles.sample(problem, mf.Scaling(gamma), width, rng=0, **options)


def flow(start, problem=FOUR, **options):
    return mf.gradient_flow(problem, start, progress=False, **options)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def displacement(one, other, layer):
    there, here = getattr(one, layer), getattr(other, layer)
    return np.linalg.norm(there - here) / np.linalg.norm(here)


class TestTheSameRun:
    def test_displacements_and_time_count_from_the_first_start(self):
        """Continued by hand from part.final, RD_w was 2.5 where it is 4.3, and time began at 0 again."""
        start = network(width=1000)
        whole, part = flow(start), flow(start, max_steps=10)
        run = flow(part)
        assert (part.status, run.status) == (mf.Status.MAX_STEPS, mf.Status.CONVERGED)
        for layer, series in (("w", run.rd_w), ("a", run.rd_a)):
            assert series[-1] == pytest.approx(displacement(run.final, start, layer), rel=1e-9)
        assert run.initial is start
        assert run.rd_w[-1] == pytest.approx(whole.rd_w[-1], rel=1e-2)
        assert run.stats.rd_w_max >= run.rd_w[-1] > 4.0
        assert run.time[-1] == pytest.approx(whole.time[-1], rel=1e-2)
        assert np.all(np.diff(run.time) > 0.0)
        assert run.stats.conservation_drift >= part.stats.conservation_drift

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("from_file", [False, True])
    def test_of_every_method_and_from_a_file(self, method, from_file, tmp_path):
        at = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
        # Smooth steps see kinks as noise, and take small ones at such a tolerance: not what is tested here.
        smooth = {"activation": "tanh", "beta2": 1.0} if METHODS[method].needs is SmoothSystem else {}
        start = network(OTHER, 0.5, **smooth)
        options = {"method": method, "rtol": 1e-5, "atol": 1e-8, "loss_tol": 0}
        whole = flow(start, OTHER, save_at=at, **options)
        part = flow(start, OTHER, save_at=at, t_end=2.0, **options)
        if from_file:
            part = mf.Trajectory.load(part.save(tmp_path / "part"))
        run = flow(part, OTHER, save_at=at, **options)
        np.testing.assert_array_equal(run.time, whole.time)
        share = 1e-5 * (whole.stats.steps + run.stats.steps)
        assert rms(run.output - whole.output) <= share * rms(OTHER.y)
        np.testing.assert_allclose(run.rd_w, whole.rd_w, rtol=3 * share, atol=1e-15)
        np.testing.assert_allclose(run.rd_a, whole.rd_a, rtol=3 * share, atol=1e-15)
        np.testing.assert_array_equal(run.output[:3], part.output)

    def test_of_a_reduced_network(self):
        problem = mf.Problem(np.random.default_rng(0).standard_normal((3, 6)), [0.1, -0.2, 0.3])
        start = network(problem, 0.8, 20, reduced=True)
        whole = flow(start, problem, save_at=[1.0, 3.0], loss_tol=0)
        run = flow(flow(start, problem, t_end=1.0, loss_tol=0), problem, save_at=[3.0], loss_tol=0)
        np.testing.assert_allclose(run.rd_w[-1], whole.rd_w[-1], rtol=1e-2)
        np.testing.assert_allclose(run.predict(problem.x[:, :6]), run.output[-1], rtol=1e-9, atol=1e-12)

    def test_many_short_parts(self):
        """Neither the record nor the step size starts again: parts cost hardly more than the whole."""
        start = network()
        whole, run = flow(start), flow(start, max_steps=7)
        for _ in range(100):
            if run.status is not mf.Status.MAX_STEPS:
                break
            run = flow(run, max_steps=7)
        assert run.status is mf.Status.CONVERGED
        assert run.stats.steps <= 1.5 * whole.stats.steps
        assert run.rd_w[-1] == pytest.approx(whole.rd_w[-1], rel=1e-2)
        assert run.time[-1] == pytest.approx(whole.time[-1], rel=2e-2)

    def test_descent(self):
        """Step after step the same numbers, whichever of them the parts hold."""
        options = {"learning_rate": 0.3, "loss_tol": 0, "save_parameters": True, "progress": False}
        whole = mf.gradient_descent(FOUR, network(gamma=1.0), max_steps=50, **options)
        part = mf.gradient_descent(FOUR, network(gamma=1.0), max_steps=20, **options)
        run = mf.gradient_descent(FOUR, part, max_steps=30, **options)
        assert run.stats.steps == 50
        assert run.time[-1] == pytest.approx(whole.time[-1], rel=1e-12)
        np.testing.assert_allclose(run.final.w, whole.final.w, rtol=1e-11, atol=1e-14)
        assert run.rd_w[-1] == pytest.approx(whole.rd_w[-1], rel=1e-10)
        assert len(run.saved_a) == len(run.time)


class TestRecord:
    def test_one_record_without_a_point_twice(self):
        options = {"loss_tol": 0, "save_parameters": True, "save_path": True}
        part = flow(network(), t_end=30.0, **options)
        before = (len(part.time), len(part.path.motions))
        run = flow(part, t_end=300.0, loss_tol=0, save_path=True)  # parameters are kept without asking again
        assert (len(part.time), len(part.path.motions)) == before
        assert np.all(np.diff(run.time) > 0)
        assert np.sum(run.time == part.time[-1]) == 1
        for name in ("time", "loss", "output", "rd_w", "rd_a", "saved_a", "saved_w"):
            np.testing.assert_array_equal(getattr(run, name)[: len(part.time)], getattr(part, name))
            assert len(getattr(run, name)) == len(run.time) > len(part.time)
        at = float(run.time[len(part.time) - 1])
        assert run.particles(at).w.tobytes() == part.final.w.tobytes()
        moved = replay(FOUR, run.initial, run.path).output
        assert rms(moved - run.output[1:]) <= 1e-2 * rms(FOUR.y)

    def test_statistics_are_of_both(self):
        part = flow(network(), max_steps=12)
        alone = flow(part, max_steps=5)
        assert alone.stats.steps == 17
        for name in ("rejected", "passes", "seconds", "rd_w_max", "rd_a_max", "energy_drift", "capacity"):
            assert getattr(alone.stats, name) >= getattr(part.stats, name)
        assert alone.stats.events.crossed >= part.stats.events.crossed
        assert alone.stats.next_step != part.stats.next_step

    def test_a_saved_run_that_went_on(self, tmp_path):
        run = flow(flow(network(), max_steps=12), max_steps=5)
        back = mf.Trajectory.load(run.save(tmp_path / "run"))
        assert dataclasses.asdict(back.stats) == dataclasses.asdict(run.stats)

    def test_a_run_at_its_end_stays_as_it_is(self):
        done = flow(network(gamma=0.5))
        again = flow(done)
        assert (again.status, again.stats.steps) == (mf.Status.CONVERGED, done.stats.steps)
        np.testing.assert_array_equal(again.time, done.time)
        assert flow(done, loss_tol=1e-8).stats.steps > done.stats.steps

    def test_after_an_interrupt(self):
        def interrupt(now):
            if now.steps == 7:
                raise KeyboardInterrupt

        with pytest.raises(FlowInterrupted, match=r"gradient_flow\(problem, run\), to go on") as info:
            mf.gradient_flow(FOUR, network(), progress=interrupt)
        run = flow(info.value.trajectory)
        assert run.status is mf.Status.CONVERGED
        assert run.stats.steps > 7

    @pytest.mark.parametrize("status", ["MAX_STEPS", "MAX_SECONDS", "INTERRUPTED"])
    def test_the_remedy_names_it(self, status):
        assert "in place of the network, as in gradient_flow(problem, run)" in mf.Status[status].remedy


class TestRefused:
    PART = flow(network(width=20), max_steps=3)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"t_end": 1e-9},
                r"t_end is 1e-09, but the run to go on with is at tbar = .*; give a later",
            ),
            (
                {"save_at": [1e-9]},
                r"save_at ends at 1e-09, but the run to go on with is at .*; give later",
            ),
            ({"save_parameters": True}, r"save_parameters is True, but the run to go on with kept none"),
            ({"save_path": True}, r"save_path is True, but the run to go on with kept no path"),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(mf.InputError, match=message):
            flow(self.PART, **options)

    def test_runs(self):
        with pytest.raises(mf.InputError, match=r"trained on other data; give its own, run\.problem"):
            flow(self.PART, OTHER)
        limit = mf.infinite_width(FOUR, mf.Scaling(0.5), width=1e6, progress=False)
        with pytest.raises(mf.InputError, match="particles is an InfiniteWidth, which has no flow to go on"):
            flow(limit)
        with np.errstate(all="ignore"):
            wild = mf.gradient_descent(FOUR, network(gamma=0.5), learning_rate=1e3, progress=False)
        assert wild.status is mf.Status.DIVERGED
        with pytest.raises(mf.InputError, match="has diverged; start again with a lower learning_rate"):
            flow(wild)

    def test_a_step_that_is_not_known(self):
        """Files of earlier versions, and descent, keep none: the first step is the one of a new run."""
        part = dataclasses.replace(self.PART, stats=dataclasses.replace(self.PART.stats, next_step=math.nan))
        assert flow(part).status is mf.Status.CONVERGED
