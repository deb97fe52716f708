"""Sweeps: slopes and intervals, cells, executors, the store, death and interruption of real processes."""

import contextlib
import csv
import dataclasses
import math
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import naive
import numpy as np
import pytest
import systems
from processes import (
    SweepProgram,
    alive,
    descendants,
    finished_cells,
    needs_proc,
    undisturbed_table,
    wait_until,
)
from sweeps import FOUR, SMALL, numbers, sweep

from meanfield import InputError, Particles, Problem, Regime, Scaling, phase_diagram
from meanfield.experiments import (
    PRESETS,
    Cell,
    CellSettings,
    PhaseDiagram,
    Verdict,
    cell_particles,
    fit_slope,
    run_cell,
)
from meanfield.experiments.cells import CellResult, cost

SETTINGS = CellSettings(loss_atol=1e-4)


class TestCells:
    def test_per_half(self):
        """Width m of a twin half: 2 m neurons, kappa = m**-gamma, kappa' = m**-gamma'."""
        cell = Cell(1.75, 0.3, 50, 0)
        half = cell_particles(FOUR, cell, dataclasses.replace(SETTINGS, per_half=True))
        assert half.size == 100
        assert half.kappa == pytest.approx(50**-1.75)
        assert half.kappa_prime == pytest.approx(50**-0.3)
        plain = cell_particles(FOUR, cell, SETTINGS)
        assert plain.size == 50
        assert plain.kappa == pytest.approx(50**-1.75)
        assert plain.kappa_prime == pytest.approx(50**-0.3)

    def test_per_half_may_be_odd(self):
        assert (
            cell_particles(FOUR, Cell(1.0, 0.0, 7, 0), dataclasses.replace(SETTINGS, per_half=True)).size
            == 14
        )

    def test_draws_are_paired_over_scalings_and_nested_over_widths(self):
        one = cell_particles(FOUR, Cell(0.5, 0.0, 40, 3), SETTINGS)
        other = cell_particles(FOUR, Cell(1.75, -0.4, 40, 3), SETTINGS)
        wide = cell_particles(FOUR, Cell(0.5, 0.0, 80, 3), SETTINGS)
        np.testing.assert_array_equal(one.a, other.a)
        np.testing.assert_array_equal(one.w, other.w)
        np.testing.assert_array_equal(one.w, wide.w[:40])

    def test_seeds_and_entropy_change_the_draw(self):
        draws = [
            cell_particles(FOUR, Cell(0.5, 0.0, 40, seed), dataclasses.replace(SETTINGS, entropy=entropy)).a
            for seed, entropy in ((0, 0), (1, 0), (0, 1), (1, 1))
        ]
        assert len({draw.tobytes() for draw in draws}) == 4

    def test_without_twins(self):
        plain = cell_particles(
            FOUR, Cell(0.5, 0.0, 41, 0), dataclasses.replace(SETTINGS, antisymmetric=False)
        )
        assert plain.size == 41
        assert np.abs(plain.output(FOUR.x)).max() > 0.01

    def test_run_cell_is_pure(self):
        cell = Cell(1.0, 0.0, 40, 1)
        one, two = (dataclasses.replace(run_cell(FOUR, cell, SETTINGS), seconds=0.0) for _ in range(2))
        assert one == two
        assert one.cell == cell
        assert one.converged
        assert one.loss <= SETTINGS.loss_atol

    def test_what_is_kept_is_the_flows(self):
        cell = Cell(0.7, 0.2, 40, 0)
        result = run_cell(FOUR, cell, SETTINGS)
        from meanfield import gradient_flow

        run = gradient_flow(
            FOUR, cell_particles(FOUR, cell, SETTINGS), loss_atol=SETTINGS.loss_atol, rtol=SETTINGS.rtol,
            atol=SETTINGS.atol,
        )  # fmt: skip
        assert result.rd_w == run.stats.rd_w_max
        assert result.rd_a == run.stats.rd_a_max
        assert result.rd_w >= naive.relative_displacement(run.final.w, run.initial.w, run.initial.weight) * (
            1 - 1e-12
        )
        assert (result.time, result.steps) == (run.time[-1], run.stats.steps)

    def test_cost_grows(self):
        assert cost(Cell(1.0, 0.0, 2000, 0)) > cost(Cell(1.0, 0.0, 1000, 0))
        assert cost(Cell(1.75, 0.0, 1000, 0)) > cost(Cell(0.5, 0.0, 1000, 0))


@pytest.fixture(scope="module")
def serial():
    return sweep()


class TestSweep:
    def test_shapes_and_table(self, serial, tmp_path):
        assert serial.rd_w.shape == serial.rd_a.shape == (1, 2, 3, 2)
        assert serial.missing == 0
        assert len(serial.results) == 12
        assert [result.cell for result in serial.results] == sorted(result.cell for result in serial.results)
        for result in serial.results:
            j = list(serial.gamma).index(result.cell.gamma)
            k = list(serial.widths).index(result.cell.width)
            assert serial.rd_w[0, j, k, result.cell.seed] == result.rd_w
            assert serial.rd_a[0, j, k, result.cell.seed] == result.rd_a
        with serial.runs_to_csv(tmp_path / "runs.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 12
        assert "seconds" not in rows[0]
        assert float(rows[0]["rd_w"]) == serial.results[0].rd_w  # every digit is written

    def test_summary(self, serial, tmp_path):
        for row in serial.rows:
            j = list(serial.gamma).index(row.gamma)
            assert row.S_w == fit_slope(serial.widths, serial.rd_w[0, j])
            assert row.regime is Regime.classify(row.gamma, row.gamma_prime)
            assert row.verdict is row.S_w.verdict
        assert serial.S_w.shape == serial.predicted_S_w.shape == (1, 2)
        assert serial.S_w_interval.shape == (1, 2, 2)
        assert np.all(serial.S_w_interval[..., 0] <= serial.S_w)
        with serial.to_csv(tmp_path / "map.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [float(row["S_w"]) for row in rows] == [row.S_w.value for row in serial.rows]

    def test_processes_give_the_same_bits(self, serial):
        assert numbers(sweep(executor=2)) == numbers(serial)

    def test_a_users_executor_gives_the_same_bits(self, serial):
        with ThreadPoolExecutor(3) as pool:
            assert numbers(sweep(executor=pool)) == numbers(serial)
            assert pool.submit(int, 3).result() == 3  # ours to use, not to shut down

    def test_order_of_arguments_does_not_matter(self, serial):
        again = sweep(gamma=[1.75, 0.5, 0.5], widths=[80, 20, 40, 40], seeds=[1, 0])
        assert numbers(again) == numbers(serial)

    def test_a_point_is_the_same_cell_however_it_was_computed(self):
        from meanfield.experiments.grid import as_exponents

        assert as_exponents("gamma", 0.1 + 0.2) == as_exponents("gamma", 0.3)
        assert math.copysign(1.0, as_exponents("gamma", [-0.0])[0]) == 1.0

    def test_seeds_may_be_listed(self, serial):
        one = sweep(seeds=[1])
        np.testing.assert_array_equal(one.rd_w[..., 0], serial.rd_w[..., 1])

    def test_per_half_is_another_sweep(self):
        diagram = sweep(gamma=[1.0], per_half=True, widths=[11, 31], seeds=1)
        assert diagram.settings.per_half
        half = Particles.sample(
            FOUR,
            Scaling(alpha=1, beta1=11**-0.5, beta2=11**-0.5),
            22,
            rng=np.random.SeedSequence(0, spawn_key=(0,)),
        )
        from meanfield import gradient_flow

        run = gradient_flow(FOUR, half, loss_atol=diagram.settings.loss_atol, rtol=1e-2)
        assert diagram.rd_w[0, 0, 0, 0] == pytest.approx(run.stats.rd_w_max, rel=1e-9)

    def test_runs_that_do_not_converge_are_left_out(self):
        """With 12 steps at most, some of the harder cells do not make it."""
        full = sweep(seeds=3)
        steps = sorted(result.steps for result in full.results)
        limit = steps[len(steps) // 2]
        short = sweep(seeds=3, max_steps=limit - 1)
        lost = {result.cell for result in short.results if not result.converged}
        assert lost == {result.cell for result in full.results if result.steps >= limit}
        assert 0 < len(lost) < len(short.results)
        assert {result.status for result in short.results if result.cell in lost} == {"MAX_STEPS"}
        assert short.missing == 0
        for result in short.results:
            j = list(short.gamma).index(result.cell.gamma)
            k = list(short.widths).index(result.cell.width)
            value = short.rd_w[0, j, k, result.cell.seed]
            assert math.isnan(value) if result.cell in lost else value == result.rd_w
        assert sum(row.S_w.points for row in short.rows) <= len(short.results) - len(lost)

    def test_nothing_converges(self):
        diagram = sweep(max_steps=2)
        assert np.isnan(diagram.rd_w).all()
        assert all(row.verdict is Verdict.UNDECIDED for row in diagram.rows)
        assert all(row.agrees is None and row.regime_agrees is None for row in diagram.rows)
        assert diagram.zeros == ()

    def test_zeros(self):
        """Slopes linear in gamma with a zero at 1.04, intervals from known scatter of the seeds."""
        gamma, m, seeds = np.array([0.8, 1.0, 1.1, 1.3]), np.array([100, 1000, 10000]), np.arange(3)
        slopes = gamma[:, None] - 1.04 + np.array([-0.02, 0.0, 0.02])
        rd = m[None, :, None] ** slopes[:, None, :]
        diagram = PhaseDiagram(
            FOUR, SETTINGS, gamma, np.array([0.2]), m, seeds, rd[None], rd[None], 0.95, (), 0
        )
        (zero,) = diagram.zeros
        assert zero.gamma_prime == 0.2
        assert zero.gamma == pytest.approx(1.04, abs=1e-12)
        half = 4.302652729911275 * 0.02 / math.sqrt(3)  # Student's t with two degrees of freedom
        # The variance of log RD, 1000 (0.02 log 1000)^2 / m, as a bias of its mean, twice.
        scatter = 1000 * (0.02 * math.log(1000)) ** 2 / m
        half += 2.0 * (scatter[0] - scatter[2]) / math.log(m[2] / m[0])
        assert zero.low == pytest.approx(1.04 - half, abs=1e-9)
        assert zero.high == pytest.approx(1.04 + half, abs=1e-9)
        np.testing.assert_allclose(diagram.S_w[0], gamma - 1.04, atol=1e-12)

    @pytest.mark.parametrize(("gamma", "gamma_prime"), [(0.5, 0.0), (0.5, 0.3), (0.5, -0.3)])
    def test_linear_side_against_the_finite_width_law(self, gamma, gamma_prime):
        """Slopes over these widths of RD_w = (kappa'/(m kappa)) sqrt(y' M^-1 G^w M^-1 y / d), and RD_a.

        The law is the m -> infinity one at finite (m kappa, kappa'); the interval is at 99.9 % (four of
        six comparisons are independent: false alarms under 1 %, fixed seeds).
        """
        m = np.array([1000, 4000, 16000])
        G_a, G_w = systems.arc_cosine_kernels(FOUR.x)
        law_w, law_a = [], []
        for width in m.astype(float):
            kappa, kp = width**-gamma, width**-gamma_prime
            c = np.linalg.solve(G_a / kp + kp * G_w, FOUR.y)
            law_w.append(kp / (width * kappa) * math.sqrt(c @ G_w @ c / 2))
            law_a.append(math.sqrt(c @ G_a @ c) / (kp * width * kappa))
        expected_w, expected_a = (np.polyfit(np.log(m), np.log(law), 1)[0] for law in (law_w, law_a))
        diagram = phase_diagram(
            FOUR, gamma=[gamma], gamma_prime=[gamma_prime], widths=m, seeds=5, confidence=0.999
        )
        (row,) = diagram.rows
        assert row.S_w.low <= expected_w <= row.S_w.high
        assert row.S_a.low <= expected_a <= row.S_a.high
        assert row.verdict is Verdict.LINEAR
        assert row.agrees
        assert row.regime_agrees
        # the law itself, at the widest networks: within five standard errors over seeds
        for values, law in ((diagram.rd_w, law_w), (diagram.rd_a, law_a)):
            logs = np.log(values[0, 0, -1])
            assert abs(logs.mean() - math.log(law[-1])) < 5 * logs.std(ddof=1) / math.sqrt(5) + 0.01

    @pytest.mark.parametrize(("gamma", "gamma_prime"), [(1.0, 0.0), (1.5, 0.1), (1.6, 0.3), (1.75, 0.0)])
    def test_condensed_side_against_the_asymptotic_exponents(self, gamma, gamma_prime):
        """Corrections here fall like 1/log m: within 0.05 (as published slopes are) plus the interval."""
        diagram = phase_diagram(
            FOUR, gamma=[gamma], gamma_prime=[gamma_prime], widths=[500, 2000, 8000], seeds=3
        )
        (row,) = diagram.rows
        assert row.S_w.low - 0.05 <= row.predicted_S_w <= row.S_w.high + 0.05
        assert row.S_a.low - 0.05 <= row.predicted_S_a <= row.S_a.high + 0.05
        assert row.regime_agrees in (True, None)

    @pytest.mark.parametrize("name", PRESETS)
    def test_presets(self, name):
        preset = PRESETS[name]
        assert len(preset.widths) >= 3
        assert min(preset.gamma) < 1 < max(preset.gamma)
        assert min(preset.gamma_prime) < 0 < max(preset.gamma_prime)


class TestBadArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"widths": [100]}, r"widths holds 1 value; a slope needs at least two"),
            ({"widths": [100, 100]}, r"widths holds 1 value"),
            ({"widths": []}, r"widths holds 0 value"),
            (
                {"widths": [100, 201]},
                r"widths must be even for antisymmetric .* \(or count .*: per_half=True\)",
            ),
            ({"widths": [100.5, 200]}, r"widths is .*; give positive whole numbers"),
            ({"widths": ["a", "b"]}, r"widths is .*; give positive whole numbers"),
            ({"widths": [[100], [200, 300]]}, r"widths is .*; give positive whole numbers"),
            ({"widths": None}, r"widths is None; give positive whole numbers"),
            ({"widths": [0, 10]}, r"widths is .*; give whole numbers from 1 to 1e9"),
            ({"widths": [-10, 10]}, r"widths is .*; give whole numbers from 1 to 1e9"),
            ({"widths": [10, math.inf]}, r"widths is .*; give whole numbers from 1 to 1e9"),
            ({"widths": [10, math.nan]}, r"widths is .*; give positive whole numbers"),
            ({"gamma": []}, r"gamma must be a list of exponents"),
            ({"gamma": [math.nan]}, r"gamma must be a list of exponents between -100 and 100, but is"),
            ({"gamma": [[0.5, 1.0]]}, r"gamma must be a list of exponents"),
            ({"gamma": "high"}, r"gamma must be a list of exponents .*, but is 'high'"),
            ({"gamma_prime": [1000.0]}, r"gamma_prime must be a list of exponents between -100 and 100"),
            ({"gamma_prime": None}, r"gamma_prime must be a list of exponents|gamma_prime is None"),
            ({"seeds": 0}, r"seeds is 0; give at least 1"),
            ({"seeds": []}, r"seeds is \[\]; give a number of seeds, or a list of whole numbers >= 0"),
            ({"seeds": [-1]}, r"seeds is \[-1\]; give a number of seeds"),
            ({"seeds": 1.5}, r"seeds is 1.5; give a number of seeds"),
            ({"seeds": True}, r"seeds is True; give a number of seeds"),
            ({"per_half": True, "antisymmetric": False}, r"per_half counts one of two twin halves; it needs"),
            ({"confidence": 1.0}, r"confidence is 1.0; give a level between 0 and 1"),
            ({"confidence": math.nan}, r"confidence is nan; give a level between 0 and 1"),
            ({"loss_tol": 0.0}, r"loss_tol is 0; give a positive share of what can be learned, or loss_atol"),
            ({"loss_tol": 1.0}, r"loss_tol is 1.0; give a share of what can be learned"),
            (
                {"loss_atol": 1.0},
                r"loss_atol=1 is a loss of 1, but the loss starts at .*; give a smaller one",
            ),
            ({"executor": 0}, r"executor is 0; give None, a number of processes >= 1, an executor"),
            ({"executor": "dask"}, r"executor is 'dask'; give None"),
            ({"executor": True}, r"executor is True; give None"),
            ({"rtol": 2.0}, r"rtol is 2.0; give a relative tolerance between 0 and 1"),
            ({"rtol": -1.0}, r"rtol is -1.0; give a relative tolerance between 0 and 1"),
            ({"max_steps": 0}, r"max_steps is 0; give a whole number >= 1"),
            ({"rng": -1}, r"rng is -1; give a whole number >= 0"),
        ],
    )
    def test_one_clear_sentence(self, arguments, message):
        with pytest.raises(InputError, match=message) as info:
            sweep(**arguments)
        assert "\n" not in str(info.value)

    def test_targets_that_cannot_be_learned(self):
        with pytest.raises(InputError, match=r"every target is zero, so there is nothing to learn"):
            phase_diagram(Problem([0.0, 1.0], [0.0, 0.0]), **SMALL)
        with pytest.raises(InputError, match=r"contradictory labels .* above 0.125; give a larger loss_atol"):
            phase_diagram(Problem([0.5, 0.5], [0.0, 1.0]), **SMALL, loss_atol=0.1)

    def test_repeated_samples_are_trained_to_above_their_floor(self):
        problem = Problem([0.0, 0.0, 1.0, 1.0], [0.0, 0.5, 1.0, 2.0])
        assert problem.loss_floor == pytest.approx((0.25**2 + 0.5**2) / 4)
        diagram = phase_diagram(problem, **SMALL)
        assert all(result.converged for result in diagram.results)
        learned = problem.zero_loss - problem.loss_floor
        assert diagram.settings.loss_atol == pytest.approx(problem.loss_floor + 1e-6 * learned, rel=1e-12)

    def test_csv_that_cannot_be_written(self, serial, tmp_path):
        with pytest.raises(InputError, match=r"cannot be written \(.*\); give a writable place"):
            serial.to_csv(tmp_path / "nowhere" / "map.csv")


# Real processes, real signals. The sweep takes some seconds; its first cells are there early.

LONG = {"gamma": [0.6, 1.2, 1.6], "gamma_prime": [-0.1, 0.1], "widths": [400, 800], "seeds": 4}
LONG_CELLS = 3 * 2 * 2 * 4


@pytest.fixture
def start(tmp_path):
    with contextlib.closing(SweepProgram(tmp_path, LONG)) as program:
        yield program


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return undisturbed_table(tmp_path_factory.mktemp("undisturbed") / "runs.csv", LONG)


@needs_proc
class TestDeath:
    @pytest.mark.parametrize("executor", [2, None])
    def test_kill_and_run_again(self, executor, start, undisturbed, tmp_path):
        """SIGKILL at several seeded moments of one sweep; then it is finished, with the same table."""
        store, table = tmp_path / "sweep.sqlite", tmp_path / "runs.csv"
        moments = random.Random(f"kill {executor}")
        kept = 0
        for _ in range(3):
            goal = kept + moments.randint(1, 4)
            process = start(executor)
            wait_until(
                lambda goal=goal, process=process: (
                    finished_cells(store) >= goal or process.poll() is not None
                ),
                60,
                "first cells",
            )
            time.sleep(moments.uniform(0.0, 0.15))
            workers = descendants(process.pid)
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
            wait_until(lambda workers=workers: not alive(workers), 5, f"workers {workers} end")
            assert finished_cells(store) >= goal > kept  # nothing finished is lost
            kept = finished_cells(store)
        assert kept < LONG_CELLS
        assert not table.exists()
        process = start(executor)
        assert process.wait(120) == 0, process.stderr.read()
        assert finished_cells(store) == LONG_CELLS
        assert table.read_bytes() == undisturbed

    def test_kill_before_the_first_cell(self, start, undisturbed, tmp_path):
        """While the program starts, and while its workers do."""
        for delay in (0.3, 0.9, 1.4):
            process = start(2)
            time.sleep(delay)
            workers = descendants(process.pid)
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            wait_until(lambda workers=workers: not alive(workers), 5, f"workers {workers} end")
        process = start(2)
        assert process.wait(120) == 0, process.stderr.read()
        assert (tmp_path / "runs.csv").read_bytes() == undisturbed

    @pytest.mark.parametrize("executor", [2, None])
    @pytest.mark.parametrize("whole_group", [False, True])
    def test_interrupt(self, executor, whole_group, start, undisturbed, tmp_path):
        """SIGINT, to the program alone or (as a terminal does) to its workers too."""
        store = tmp_path / "sweep.sqlite"
        process = start(executor)
        wait_until(lambda: finished_cells(store) >= 3 or process.poll() is not None, 60, "first cells")
        workers, before = descendants(process.pid), finished_cells(store)
        sent = time.monotonic()
        if whole_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        process.wait(30)
        seconds = time.monotonic() - sent
        assert process.returncode not in (0, None)
        assert seconds < 1.0
        wait_until(lambda: not alive(workers), 5, f"workers {workers} end")
        message = process.stderr.read()
        kept = finished_cells(store)
        assert before <= kept < LONG_CELLS
        cells = "1 cell, which is" if kept == 1 else f"{kept} cells, which are"
        assert f"interrupted after {cells} kept in {store}; the same call resumes there" in message
        again = start(executor)
        assert again.wait(120) == 0, again.stderr.read()
        assert (tmp_path / "runs.csv").read_bytes() == undisturbed


@pytest.mark.parametrize(
    ("status", "finished"), [("CONVERGED", True), ("STATIONARY", True), ("HELD", True), ("MAX_STEPS", False)]
)
def test_a_run_at_rest_is_finished_held_or_not(status, finished):
    values = dict.fromkeys((field.name for field in dataclasses.fields(CellResult)), 0.0)
    assert CellResult(**{**values, "status": status}).finished is finished
