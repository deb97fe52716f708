"""Faults from outside: full disks, folders without permission, signals, clocks that jump, lost workers.

Nothing that was reported finished is lost or changed. All goes through the public call, in processes of
their own.
"""

import ast
import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import SweepProgram, alive, descendants, needs_proc, rows, undisturbed_table, wait_until

import meanfield as mf
from meanfield.errors import InputError, StoreError

FOUR = mf.datasets.four_points()
SWEEP = {"gamma": [0.6, 1.2, 1.6], "gamma_prime": [0.0], "widths": [200, 400], "seeds": 6}
CELLS = 3 * 2 * 6


@pytest.fixture
def start(tmp_path):
    with contextlib.closing(SweepProgram(tmp_path, SWEEP)) as program:
        yield program


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return undisturbed_table(tmp_path_factory.mktemp("undisturbed") / "runs.csv", SWEEP)


def kill_at_random_moments(start, store, moments, repetitions, kind, executor=0):
    """Kill a sweep again and again: what it had finished is there each time. Returns what is kept."""
    kept = set()
    for repetition in range(repetitions):
        process = start(executor)
        goal = len(kept) + moments.randint(0, 2)
        wait_until(lambda: len(rows(store)) >= goal or process.poll() is not None, 120, "cells")  # noqa: B023
        time.sleep(moments.uniform(0.0, 0.2))
        before = rows(store)
        process.send_signal(kind)
        process.wait(10)
        after = rows(store)
        assert kept <= before <= after, f"repetition {repetition}"
        kept = after
        if len(kept) == CELLS:  # all is done: begin again
            store.unlink()
            kept = set()
    return kept


class TestSignals:
    @pytest.mark.parametrize("kind", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
    def test_killed_and_run_again(self, kind, start, undisturbed, tmp_path):
        store = tmp_path / "sweep.sqlite"
        kill_at_random_moments(start, store, random.Random(int(kind)), 2, kind)
        process = start()
        assert process.wait(120) == 0, process.stderr.read()
        assert len(rows(store)) == CELLS
        assert (tmp_path / "runs.csv").read_bytes() == undisturbed

    @pytest.mark.slow
    def test_killed_a_hundred_times(self, start, undisturbed, tmp_path):
        store, moments = tmp_path / "sweep.sqlite", random.Random(100)
        for _ in range(10):
            executor = moments.choice([0, 2])
            kill_at_random_moments(start, store, moments, 10, signal.SIGKILL, executor)
            process = start(executor)
            assert process.wait(300) == 0, process.stderr.read()
            assert (tmp_path / "runs.csv").read_bytes() == undisturbed
            (tmp_path / "runs.csv").unlink()
            store.unlink()

    @needs_proc
    @pytest.mark.parametrize("to_all", [False, True], ids=["to the sweep", "to its group"])
    def test_terminated_with_workers(self, to_all, start, tmp_path):
        """As batch systems do: workers end, nothing is leaked, and the shell sees the signal's exit code."""
        process = start(2)
        wait_until(lambda: len(rows(tmp_path / "sweep.sqlite")) >= 2, 120, "first cells")
        workers = descendants(process.pid)
        assert len(workers) >= 2
        (os.killpg if to_all else os.kill)(process.pid, signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
        assert process.stderr.read() == ""
        wait_until(lambda: not alive(workers), 10, "workers end")

    @needs_proc
    def test_a_worker_killed_for_its_memory(self, start, undisturbed, tmp_path):
        """As the kernel does it: SIGKILL to one worker. Its cell runs again, and the table is the same."""
        store = tmp_path / "sweep.sqlite"
        process = start(2)

        def busy():
            return len(rows(store)) >= 3 or process.poll() is not None

        wait_until(busy, 120, "first cells")
        workers, before = descendants(process.pid), rows(store)
        os.kill(max(workers), signal.SIGKILL)
        assert process.wait(120) == 0, process.stderr.read()
        wait_until(lambda: not alive(workers), 10, "workers end")
        assert before <= rows(store)
        assert len(rows(store)) == CELLS
        assert (tmp_path / "runs.csv").read_bytes() == undisturbed


class TestDisk:
    @pytest.mark.parametrize("room", [45_000, pytest.param(30_000, marks=pytest.mark.slow)])
    def test_full_while_a_sweep_runs(self, room, start, undisturbed, tmp_path):
        """Files may not grow beyond a limit (as on a full disk): a sentence, and the sweep goes on later."""
        process = start(bytes_at_most=room)
        assert process.wait(120) == 1
        message = process.stderr.read().strip().splitlines()[-1]
        assert message.startswith("meanfield.errors.StoreError: ")
        assert "make room" in message or "writable folder" in message
        again = start()
        assert again.wait(120) == 0, again.stderr.read()
        assert (tmp_path / "runs.csv").read_bytes() == undisturbed

    def test_full_from_the_command_line(self, tmp_path):
        """Exit code 2 and one sentence."""
        grid = [
            "--gamma",
            "0.5,1.5",
            "--gamma-prime",
            "0",
            "--widths",
            "20,40",
            "--seeds",
            "1",
            "--formats",
            "svg",
            "--workers",
            "1",
        ]

        def limited():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

        done = subprocess.run(
            [sys.executable, "-m", "meanfield", "phase-diagram", "--out", tmp_path, *grid],
            capture_output=True, text=True, preexec_fn=limited, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_tables_on_a_full_device(self):
        diagram = mf.phase_diagram(FOUR, gamma=[0.5], gamma_prime=[0.0], widths=[4, 8], progress=False)
        with pytest.raises(InputError, match=r"cannot be written.*give a writable place"):
            diagram.to_csv("/dev/full")
        with pytest.raises(InputError, match=r"cannot be written.*give a writable place"):
            diagram.runs_to_csv("/dev/full")

    def test_a_run_that_does_not_fit_leaves_the_old_file(self, tmp_path):
        network = mf.Particles.sample(FOUR, mf.Scaling(0.5), 200, rng=0)
        run = mf.gradient_flow(FOUR, network, loss_atol=1e-3, progress=False)
        path = run.save(tmp_path / "run.npz")
        before = path.read_bytes()
        code = (
            "import resource, signal, sys, meanfield as mf\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "run = mf.Trajectory.load(sys.argv[1])\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))\n"
            "try:\n    run.save(sys.argv[1])\nexcept mf.InputError as error:\n    print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        assert "cannot be written" in done.stdout
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
    def test_a_folder_without_permission(self):
        with pytest.raises(StoreError, match=r"cannot be used.*writable folder"):
            mf.phase_diagram(FOUR, gamma=[0.5], gamma_prime=[0.0], widths=[4, 8], store="/proc/sweep.sqlite")
        network = mf.Particles.sample(FOUR, mf.Scaling(0.5), 4, rng=0)
        run = mf.gradient_flow(FOUR, network, loss_atol=1e-2, progress=False)
        with pytest.raises(InputError, match=r"cannot be written to /proc/run.npz.*give a writable place"):
            run.save("/proc/run")
        with pytest.raises(InputError, match=r"cannot be written to /proc/figure.svg"):
            mf.plotting.save(mf.plotting.loss(run), "/proc/figure.svg")


def test_two_sweeps_on_one_store(start, undisturbed, tmp_path):
    """Both end well and write the same table; the store holds every cell once."""
    processes = [start(0, table=f"{name}.csv") for name in ("one", "two")]
    for process in processes:
        assert process.wait(240) == 0, process.stderr.read()
    assert len(rows(tmp_path / "sweep.sqlite")) == CELLS
    for name in ("one", "two"):
        assert (tmp_path / f"{name}.csv").read_bytes() == undisturbed


class TestClocks:
    def test_only_the_monotonic_clock_is_read(self):
        """The wall clock may be set at any time: stop rules and waits must not depend on it.

        A store notes when a cell was finished, for people to read.
        """
        wall = {"time", "time_ns", "now", "utcnow", "today", "gmtime", "localtime", "ctime", "strftime"}
        notes = {"store.py"}
        for path in Path(mf.__file__).parent.rglob("*.py"):
            if path.name in notes:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    is_clock = node.value.id in {"time", "datetime", "date"} and node.attr in wall
                    assert not is_clock, f"{path.name}:{node.lineno} reads the wall clock"
                if isinstance(node, ast.ImportFrom) and node.module in {"time", "datetime"}:
                    assert not wall & {name.name for name in node.names}, f"{path.name}:{node.lineno}"

    @pytest.mark.parametrize("jump", [-1e9, 1e9])
    def test_a_wall_clock_that_jumps(self, jump, monkeypatch, tmp_path):
        real, calls = time.time, []

        def jumping():
            calls.append(None)
            return real() + (jump if len(calls) % 2 else 0.0)

        monkeypatch.setattr(time, "time", jumping)
        network = mf.Particles.sample(FOUR, mf.Scaling(0.5), 20, rng=0)
        run = mf.gradient_flow(FOUR, network, max_seconds=600.0, progress=False)
        assert run.status is mf.Status.CONVERGED
        assert 0.0 <= run.stats.seconds < 600.0
        grid = {"gamma": [0.5], "gamma_prime": [0.0], "widths": [4, 8], "progress": False}
        one, two = (mf.phase_diagram(FOUR, **grid, store=tmp_path / "s.sqlite") for _ in range(2))
        assert one.S_w == two.S_w
