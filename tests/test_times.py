"""Times: `save_at` gives exactly what was asked for, laws and predictions take several times at once."""

from dataclasses import fields

import numpy as np
import pytest

import meanfield as mf
from meanfield import InputError
from meanfield.flow import FlowInterrupted, replay

FOUR = mf.datasets.four_points()
TIMES = np.array([0.5, 1.0, 3.0])
SERIES = ("time", "loss", "output", "rd_w", "rd_a")


def network(width=20, seed=0, gamma=0.5):
    return mf.Particles.sample(FOUR, mf.Scaling(gamma), width, rng=seed)


def flow(start=None, **kwargs):
    kwargs = {"loss_tol": 0, "progress": False} | kwargs
    return mf.gradient_flow(FOUR, network() if start is None else start, **kwargs)


class TestExactlyTheAskedTimes:
    def test_runs_of_different_seeds_are_stacked(self):
        runs = [flow(network(seed=seed), save_at=TIMES) for seed in range(3)]
        for run in runs:
            np.testing.assert_array_equal(run.time, TIMES)
        assert np.stack([run.output for run in runs]).shape == (3, 3, 4)
        assert np.stack([run.loss for run in runs]).shape == (3, 3)

    def test_states_are_those_of_runs_that_end_there(self):
        run = flow(save_at=TIMES, rtol=1e-6, atol=1e-9)
        for j, t in enumerate(TIMES):
            end = flow(t_end=t, rtol=1e-6, atol=1e-9).end
            assert run.loss[j] == pytest.approx(end.loss, rel=1e-3)
            assert run.rd_w[j] == pytest.approx(end.rd_w, rel=1e-3)

    def test_start_only_where_it_was_asked_for(self):
        np.testing.assert_array_equal(flow(save_at=[0.0, 1.0]).time, [0.0, 1.0])

    @pytest.mark.parametrize("times", [TIMES, [0.0, *TIMES], [0.0, *TIMES, 4.0], [*TIMES, 4.0]], ids=len)
    def test_start_and_end_are_known(self, times):
        run = flow(save_at=times, t_end=4.0, save_parameters=True)
        np.testing.assert_array_equal(run.time, times)
        assert (run.start.time, run.start.loss, run.start.rd_w) == (0.0, FOUR.zero_loss, 0.0)
        assert run.end.time == 4.0
        np.testing.assert_allclose(run.final.output(FOUR.x), run.end.output, rtol=0, atol=1e-12)
        whole = run.with_ends()
        np.testing.assert_array_equal(whole.time, [0.0, *TIMES, 4.0])
        assert whole.saved_w.shape == (5, 20, 2)
        assert len(run.unreached) == 0
        assert "save_at" not in repr(run)

    def test_a_run_that_stops_before_says_so(self):
        run = flow(save_at=[*TIMES, 1e4, 2e4], loss_tol=1e-3)
        assert run.status is mf.Status.CONVERGED
        np.testing.assert_array_equal(run.time, TIMES)
        np.testing.assert_array_equal(run.unreached, [1e4, 2e4])
        assert TIMES[-1] < run.end.time < 1e4
        assert "2 times of save_at not reached" in repr(run)

    def test_nothing_reached(self, tmp_path):
        run = flow(save_at=[1e4], loss_tol=1e-3)
        assert run.time.shape == (0,)
        assert run.output.shape == (0, 4)
        assert run.end.loss <= 1e-3 * FOUR.zero_loss
        assert mf.load(run.save(tmp_path / "run")).end.loss == run.end.loss
        np.testing.assert_array_equal(run.predict([0.1], at=run.end.time), run.predict([0.1])[None][0])

    def test_order_parameters_count_from_the_start(self):
        run = flow(network(gamma=1.0), save_at=[5.0, 20.0], t_end=30.0, save_parameters=True)
        whole = flow(network(gamma=1.0), save_at=[0.0, 5.0, 20.0, 30.0], save_parameters=True)
        seen, expected = run.order_parameters(), whole.order_parameters()
        np.testing.assert_array_equal(seen.time, [5.0, 20.0])
        np.testing.assert_array_equal(seen.kernel_change, expected.kernel_change[1:3])
        assert seen.kernel_change[0] > 0.0
        np.testing.assert_array_equal(flow(save_at=TIMES, t_end=4.0).order_parameters().time, [0.0, 4.0])

    def test_files_keep_times_and_ends(self, tmp_path):
        run = flow(save_at=[*TIMES, 1e4], t_end=4.0, save_parameters=True)
        again = mf.load(run.save(tmp_path / "run"))
        for name in (*SERIES, "saved_a", "saved_w", "unreached"):
            np.testing.assert_array_equal(getattr(again, name), getattr(run, name))
        for one, other in ((again.start, run.start), (again.end, run.end)):
            for field in fields(one):
                np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))

    def test_interrupted(self):
        def stop(now):
            if now.time >= 2.0:
                raise KeyboardInterrupt

        with pytest.raises(FlowInterrupted, match=r"interrupted at tbar = [23]") as caught:
            flow(save_at=TIMES, progress=stop)
        run = caught.value.trajectory
        np.testing.assert_array_equal(run.time, [t for t in TIMES if t <= run.end.time])

    @pytest.mark.parametrize("from_file", [False, True])
    def test_going_on_from_a_time_that_was_not_asked_for(self, from_file, tmp_path):
        part = flow(save_at=[0.5, 1.0, 3.0], t_end=2.0, save_path=not from_file)
        np.testing.assert_array_equal(part.time, [0.5, 1.0])
        np.testing.assert_array_equal(part.unreached, [3.0])
        if from_file:
            part = mf.load(part.save(tmp_path / "part"))
        run = flow(part, save_at=part.unreached, t_end=4.0, save_path=not from_file)
        np.testing.assert_array_equal(run.time, TIMES)
        np.testing.assert_array_equal(run.output[:2], part.output)
        assert run.start.time == 0.0
        whole = flow(save_at=[*TIMES])
        np.testing.assert_allclose(run.loss, whole.loss, rtol=1e-2)
        np.testing.assert_allclose(run.rd_w, whole.rd_w, rtol=1e-2)
        if not from_file:  # the path goes on, too
            again = replay(FOUR, network(), run.path)
            np.testing.assert_allclose(again.output, run.with_ends().output[1:], rtol=0, atol=1e-12)

    def test_predictions_at_several_times(self):
        run = flow(save_at=TIMES, save_parameters=True)
        found = run.predict([0.1, 0.6], at=TIMES)
        assert found.shape == (3, 2)
        for row, t in zip(found, TIMES, strict=True):
            np.testing.assert_array_equal(row, run.predict([0.1, 0.6], at=t))
        np.testing.assert_array_equal(run.predict([0.1], at=[0.0, 3.0])[0], network().output([[0.1, 1.0]]))


class TestLimits:
    @pytest.mark.parametrize("gamma", [0.5, 1.0])
    def test_exactly_the_asked_times(self, gamma, tmp_path):
        t = 1.0 if gamma == 0.5 else 1e4
        at = t * np.array([0.5, 1.0])
        limit = mf.infinite_width(
            FOUR, mf.Scaling(gamma), width=1e6, max_nodes=64, save_at=[*at, 1e9 * t], t_end=3 * t
        )
        np.testing.assert_array_equal(limit.time, at)
        np.testing.assert_array_equal(limit.unreached, [1e9 * t])
        assert limit.end.time == pytest.approx(3 * t, rel=1e-12)
        assert limit.predict([0.1], at=[0.0, *at, limit.end.time]).shape == (4, 1)
        np.testing.assert_array_equal(limit.predict([0.1]), limit.predict([0.1], at=limit.end.time))
        again = mf.load(limit.save(tmp_path / "limit"))
        np.testing.assert_array_equal(again.time, at)
        np.testing.assert_array_equal(again.predict([0.1]), limit.predict([0.1]))
        np.testing.assert_array_equal(again.predict([0.1], at=at), limit.predict([0.1], at=at))

    def test_without_save_at_all_times_are_reached(self):
        limit = mf.infinite_width(FOUR, mf.Scaling(1.0), width=1e6, max_nodes=64)
        assert len(limit.unreached) == 0
        assert limit.ends is None

    def test_a_run_beside_a_limit_with_few_times(self):
        scaling = mf.Scaling(1.0)
        limit = mf.infinite_width(FOUR, scaling, width=200, max_nodes=256, t_end=2e3)
        few = mf.infinite_width(FOUR, scaling, width=200, max_nodes=256, t_end=2e3, save_at=limit.time[1:-1])
        run = mf.gradient_flow(FOUR, network(200, gamma=1.0), t_end=1e3)
        one, other = (mf.limits.compare(run, each) for each in (limit, few))
        np.testing.assert_allclose(one.output_deviation, other.output_deviation, rtol=1e-6, atol=1e-12)


LAWS = {
    "kernel regime": mf.limits.KernelRegime.at(FOUR, mf.Scaling(0.5), 1e4),
    "linearised": mf.limits.Linearised(FOUR, network(200)),
}


class TestLaws:
    AT = np.array([0.0, 0.3, 20.0, np.inf])

    @pytest.mark.parametrize(
        ("law", "name"),
        [
            *((law, name) for law in LAWS for name in ("loss", "residual", "impulse")),
            ("linearised", "impulse_products"),
            ("kernel regime", "nonlinearity"),
        ],
    )
    def test_arrays_of_times(self, law, name):
        at = getattr(LAWS[law], name)
        found = at(self.AT)
        assert found.shape == (4, *np.shape(at(0.3)))
        np.testing.assert_array_equal(found, [at(t) for t in self.AT])
        np.testing.assert_array_equal(at(list(self.AT)), found)

    @pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))
    def test_outputs_and_displacements(self, law):
        found = law.output([0.1, 0.6], self.AT)
        np.testing.assert_array_equal(found, [law.output([0.1, 0.6], t) for t in self.AT])
        moved = law.displacement(self.AT)
        for name in ("rd_w", "rd_a", "first_w", "second_a", "rounding"):
            expected = [getattr(law.displacement(t), name) for t in self.AT]
            np.testing.assert_array_equal(getattr(moved, name), expected)

    @pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))
    def test_one_time_is_a_number(self, law):
        assert type(law.loss(1.0)) is float
        assert type(law.displacement(1.0).rd_w) is float

    @pytest.mark.parametrize("t", [[-1.0], [1.0, np.nan], [[1.0]], [], "soon", ["soon"]], ids=str)
    def test_refused(self, t):
        with pytest.raises(InputError, match=r"^t (is|has|holds)"):
            LAWS["kernel regime"].loss(t)
