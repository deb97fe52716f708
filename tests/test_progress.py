"""What is seen of a sweep: the bar, partial results, the paragraph for a paper."""

import dataclasses
import io
import itertools
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from sweeps import FOUR, SMALL

from meanfield import Problem, boundary, phase_diagram, plotting
from meanfield.experiments import Cell, CellSettings, estimate, methods_text
from meanfield.experiments import progress as progress_module
from meanfield.experiments.cells import CellResult
from meanfield.experiments.estimate import CostModel, Probe, announcement, probe_cells, probes
from meanfield.experiments.progress import Live, SweepProgress

CELLS = [Cell(1.0, 0.0, m, 0) for m in (20, 40, 80)]
#: What a cell may have come to.
RESULT = CellResult(
    CELLS[0], rd_w=0.5, rd_a=0.6, loss=9e-4, time=40.0, status="CONVERGED", steps=60,
    conservation_drift=1e-14, capacity=0.2, seconds=0.05,
)  # fmt: skip


class Clock:
    """Stands for the module time: it goes on by hand."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


class TestBar:
    def test_text(self, clock):
        with SweepProgress(CELLS, 0, shown=False) as bar:
            assert bar.text() == "0/3 cells"
            bar.started(CELLS[1])
            bar.started(CELLS[0])
            assert bar.text() == "0/3 cells, running m=40 gamma=1 gamma'=0 and 1 more"
            clock.now += 2.0
            bar.done(RESULT)
            assert bar.text() == "1/3 cells, 0.5/s, running m=40 gamma=1 gamma'=0"
            bar.lost(CELLS[1])
            assert bar.text() == "1/3 cells, 0.5/s, 1 lost with their workers and run again"

    def test_shown(self, monkeypatch):
        """In a log file (no terminal): plan, time left, what is running; in the end all is done."""
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        monkeypatch.setattr(progress_module, "_LOG_SECONDS", 0.0)
        phase_diagram(FOUR, **SMALL, progress=True)
        text = sys.stderr.getvalue()
        text = text.lstrip("\r \n")
        assert re.search(r"estimate: about [\d.]+ (s|min) for 12 networks in this process", text)
        assert text.startswith("estimate"), text[:80]  # before the bar
        # Three cells were timed for it.
        assert "9 cells, longest first, in this process; a cell needs up to" in text
        assert re.search(r"\d+%\|.*\| \d+:\d+<\d+:\d+, \d+/12 cells, [\d.]+/s, running m=\d+ gamma=", text)
        assert re.search(r"100%.* 12/12 cells", text)

    def test_hidden(self, capsys):
        phase_diagram(FOUR, **SMALL, progress=False)
        assert capsys.readouterr().err == ""

    def test_where_nobody_sees_a_bar_long_sweeps_say_how_long(self, monkeypatch, capsys):
        phase_diagram(FOUR, **SMALL)
        assert capsys.readouterr().err == ""  # short
        monkeypatch.setattr(progress_module, "_WORTH_A_LINE", 0.0)
        phase_diagram(FOUR, **SMALL)
        line = r"estimate: about [\d.]+ s for 12 networks in this process\n"
        assert re.fullmatch(line, capsys.readouterr().err)
        phase_diagram(FOUR, **SMALL, progress=False)
        boundary(FOUR, gamma_prime=[0.0], widths=[20, 40], max_points=1)
        monkeypatch.setenv("TQDM_DISABLE", "1")
        phase_diagram(FOUR, **SMALL)
        assert capsys.readouterr().err == ""

    def test_a_command_whose_messages_go_to_a_pipe_says_it_first(self, tmp_path):
        """The line is there while networks are trained, and nothing but the line."""
        command = [sys.executable, "-m", "meanfield", "phase-diagram", "--seeds", "100", "--workers", "2"]
        with subprocess.Popen(
            [*command, "--out", tmp_path], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as process:
            line = process.stderr.readline()
            assert process.poll() is None
            process.terminate()
            rest = process.stderr.read()
        assert re.fullmatch(
            r"estimate: about [\d.]+ (s|min|h) for \d+ networks in 2 processes(; a first look .*)?\n", line
        )
        assert rest == ""

    def test_resumed(self, monkeypatch, tmp_path):
        phase_diagram(FOUR, **SMALL, shard=(1, 3), store=tmp_path / "s")
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        phase_diagram(FOUR, **SMALL, store=tmp_path / "s", progress=True)
        assert "resuming: 4 cells are done, 8 to go" in sys.stderr.getvalue()


def by_count(diagram):
    """Operations of each cell in the place of seconds: steps times (3000 + neurons), as times go."""
    return {r.cell: r.steps * (3000.0 + r.cell.width) for r in diagram.results}


class TestEstimate:
    @pytest.mark.parametrize(
        "problem",
        [
            FOUR,
            Problem([-0.9, -0.35, 0.1, 0.3, 0.8], [0.2, -0.5, 0.4, 0.9, -0.3]),
            Problem(np.sin(np.arange(16.0)).reshape(8, 2), np.cos(np.arange(8.0))),
            Problem(np.linspace(-1, 1, 12), np.sin(4 * np.linspace(-1, 1, 12)), bias=True),
        ],
        ids=["four points", "irregular", "two inputs", "sine"],
    )
    def test_within_a_factor_of_two(self, problem):
        """From six probes, in counted operations: they do not depend on what else the machine does."""
        diagram = phase_diagram(
            problem, gamma=[0.5, 0.9, 1.3, 1.7], gamma_prime=[-0.4, 0.0, 0.4], widths=[50, 200, 800], seeds=2,
            progress=False, loss_atol=1e-3 * problem.zero_loss,
        )  # fmt: skip
        count = by_count(diagram)
        cells = list(count)
        found = {r.cell: r for r in diagram.results}
        timed = [Probe(found[c], found[c].steps, count[c] / found[c].steps, True) for c in probe_cells(cells)]
        assert len(timed) == 6
        assert sum(count[p.result.cell] for p in timed) < 0.15 * sum(count.values())
        model = CostModel.fitted(timed)
        ratio = model.total(cells, 1) / sum(count.values())
        assert 0.5 < ratio < 2.0
        assert model.total(cells, 2) == pytest.approx(0.5 * model.total(cells, 1))

    def test_says_it_first_and_offers_a_smaller_job(self):
        cells = [Cell(g, 0.0, m, s) for g in (0.5, 1.5) for m in (100, 200, 400) for s in range(5)]
        slow = [
            Probe(dataclasses.replace(RESULT, cell=cell, steps=100), 100.0, 0.1, True)
            for cell in probe_cells(cells)
        ]
        text = announcement(CostModel.fitted(slow), cells, 2, cut=False)
        assert text == (
            "estimate: about 2.5 min for 30 networks in 2 processes; a first look with one seed and widths "
            "100,200 takes about 20 s"
        )
        assert "at least about" in announcement(CostModel.fitted(slow), cells, 2, cut=True)
        quick = [dataclasses.replace(probe, seconds=1e-3) for probe in slow]
        assert "first look" not in announcement(CostModel.fitted(quick), cells, 2, cut=False)

    def test_probes_that_are_cut(self, monkeypatch):
        """A probe that takes too long counts by how far its loss fell; it is no finished cell."""
        settings, start = CellSettings(loss_atol=1e-6), FOUR.zero_loss
        half_way = dataclasses.replace(RESULT, status="MAX_SECONDS", steps=10, loss=math.sqrt(start * 1e-6))
        monkeypatch.setattr(estimate, "run_particles", lambda *_, **__: half_way)
        (probe,) = probes(FOUR, CELLS[:1], settings)
        assert not probe.complete
        assert probe.steps == pytest.approx(20.0)
        stuck = dataclasses.replace(half_way, loss=start)
        monkeypatch.setattr(estimate, "run_particles", lambda *_, **__: stuck)
        (probe,) = probes(FOUR, CELLS[:1], settings)
        assert 1000.0 < probe.steps <= settings.max_steps

    def test_a_sweep_that_goes_on_times_nothing(self, monkeypatch, tmp_path):
        """Finished cells were timed: workers need not wait for probes, of the widest networks at worst."""
        kept = {"gamma": [0.5, 1.0, 1.75], "gamma_prime": [0.0], "widths": [20, 40], "seeds": 2}
        begun = phase_diagram(FOUR, **kept, store=tmp_path / "s", progress=False)
        timed = []
        real = estimate.run_particles
        monkeypatch.setattr(
            estimate, "run_particles", lambda *of, **how: timed.append(of) or real(*of, **how)
        )
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        phase_diagram(FOUR, **kept | {"widths": [20, 40, 80]}, store=tmp_path / "s", progress=True)
        assert timed == []
        assert re.search(r"estimate: about [\d.]+ s for 6 networks", sys.stderr.getvalue())
        model = CostModel.fitted(estimate.recalled(begun.results))
        assert (model.width, len(model.points)) == (20, 3)
        narrow = [r for r in begun.results if r.cell.width == 20 and r.cell.seed == 0]
        assert sorted(model.log_steps) == pytest.approx(sorted(math.log(r.steps) for r in narrow))

    def test_cells_of_one_width_do_not_tell(self):
        results = [dataclasses.replace(RESULT, cell=Cell(g, 0.0, 20, 0)) for g in (0.5, 1.0, 1.5)]
        assert estimate.recalled(results) == []
        assert estimate.recalled([]) == []

    def test_results_are_those_without_an_estimate(self, monkeypatch):
        quiet = phase_diagram(FOUR, **SMALL, progress=False)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        loud = phase_diagram(FOUR, **SMALL, progress=True)
        np.testing.assert_array_equal(loud.rd_w, quiet.rd_w)
        assert [r.steps for r in loud.results] == [r.steps for r in quiet.results]


class TestLive:
    def test_takes_a_tenth_of_the_time_at_most(self, clock):
        calls = []

        def draw():
            calls.append(clock.now)
            clock.now += 6.0  # a slow picture

        live = Live(draw, 30.0)
        while clock.now < 400.0:
            live.offer()
            clock.now += 1.0
        assert calls[0] == 130.0
        assert all(later - earlier >= 6.0 + 60.0 for earlier, later in itertools.pairwise(calls))
        assert len(calls) == 5

    def test_partial_diagrams_can_be_drawn(self, tmp_path):
        """From the first cell on: pictures of what is there, the last of them complete but for none."""
        seen = []

        def draw(diagram):
            seen.append((len(diagram.results), diagram.missing))
            if len(seen) in (1, 4, 9):
                plotting.save(plotting.phase_diagram(diagram), tmp_path / f"{len(seen)}.png")

        whole = phase_diagram(FOUR, **SMALL, live=draw, live_seconds=0.0)
        assert whole.missing == 0
        assert seen[0] == (1, 11)
        assert [count for count, _ in seen] == sorted(count for count, _ in seen)
        assert all(count + missing == 12 for count, missing in seen)

    def test_the_short_end_is_seen_early(self):
        """After half of the cells there are slopes: the narrow networks do not wait for all wide ones."""
        grid = {"gamma": [0.6, 1.0], "gamma_prime": [0.0], "widths": [20, 40, 80, 160, 320, 640], "seeds": 1}
        halves = []

        def look(diagram):
            if len(diagram.results) == 6:
                halves.append({result.cell.width for result in diagram.results})

        phase_diagram(FOUR, **grid, live=look, live_seconds=0.0)
        if halves:  # a slow machine may look at another moment
            assert {20, 640} <= halves[0]


class TestMethods:
    def test_says_what_was_run(self):
        diagram = phase_diagram(FOUR, **SMALL, per_half=True, rng=7)
        text = methods_text(diagram)
        assert "\n" not in text
        for phrase in (
            "four points (n = 4 samples, d = 2, bias included): 2 scalings (gamma = 0.5, 1.75; gamma' = 0)",
            "widths m = 20, 40, 80 (neurons in each of two twin halves, antisymmetric initialisation)",
            "2 random draws each (seeds 0, 1 below root 7)",
            "12 networks were trained by gradient flow to R = (1/2n) sum (f - y)^2 <=",
            "12 reached it, 0 came to rest above it, 0 were stopped",
            "of computation in all",
            f"numpy {np.__version__}",
        ):
            assert phrase in text
        assert "missing" not in text

    def test_says_what_is_missing(self):
        diagram = phase_diagram(FOUR, **SMALL, shard=(1, 2))
        assert "6 networks of the grid are missing." in methods_text(diagram)

    def test_all_machines_are_named(self):
        diagram = phase_diagram(FOUR, **SMALL)
        (here,) = diagram.origins
        other = dataclasses.replace(here, host="node", python="3.99.0", system="Linux other")
        text = methods_text(dataclasses.replace(diagram, origins=(here, other)))
        assert "; and " in text
        assert "Python 3.99.0" in text
        assert "Linux other" in text
