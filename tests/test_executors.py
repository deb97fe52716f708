"""Where cells run: order, memory, lost workers, threads of workers, a real Dask cluster."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import alive, dies_once, finished_cells, needs_proc, wait_until, worker_threads
from sweeps import FOUR, SMALL, numbers

from meanfield import InputError, Problem, limit_diagram, phase_diagram
from meanfield.activations import as_activation
from meanfield.errors import MissingExtraError, WorkerLostError
from meanfield.experiments import Cell, CellSettings, pools, run_cell
from meanfield.experiments.cells import cell_memory, cost
from meanfield.experiments.draining import LOSSES, drain, over_processes
from meanfield.experiments.executors import run_cells
from meanfield.experiments.grid import shard_of
from meanfield.experiments.origin import Outcome, here
from meanfield.experiments.pools import DaskPool, LostCellError
from meanfield.experiments.queueing import CellQueue
from meanfield.experiments.workers import own_processes

SETTINGS = CellSettings(loss_atol=1e-4)
#: Some seconds long, with cells of some tenths of a second.
LONG = {
    "gamma": [0.6, 1.2, 1.6], "gamma_prime": [0.1], "widths": [400, 800], "seeds": 3, "rtol": 1e-4,
}  # fmt: skip


@pytest.fixture(scope="module")
def serial():
    return numbers(phase_diagram(FOUR, **SMALL))


@pytest.fixture(scope="module")
def long_serial():
    return numbers(phase_diagram(FOUR, **LONG))


class Watch:
    """A monitor that remembers."""

    def __init__(self):
        self.plans, self.cells, self.losses = [], [], []

    def plan(self, text):
        self.plans.append(text)

    def started(self, cell):
        self.cells.append(cell)

    def lost(self, cell):
        self.losses.append(cell)

    def tick(self):
        pass


cells_lists = st.lists(
    st.builds(
        Cell, st.sampled_from([0.5, 1.0, 1.5]), st.sampled_from([-0.3, 0.0, 0.3]), st.integers(1, 10_000),
        st.integers(0, 3),
    ),
    min_size=1, max_size=40, unique=True,
)  # fmt: skip


class TestQueue:
    @given(cells_lists, st.integers(1, 5), st.floats(1.0, 4.0))
    def test_all_cells_run_once_within_memory_and_in_time(self, cells, workers, room):
        """Simulated workers: memory is kept, and the end is as early as Graham's bound allows."""
        largest = max(cell.width for cell in cells)
        queue = CellQueue(cells, lambda cell: float(cell.width), room * largest)
        now, running, order, peak = 0.0, [], [], 0.0
        while True:
            while len(running) < workers and (cell := queue.take()) is not None:
                order.append(cell)
                running.append((now + cost(cell), cell))
            peak = max(peak, sum(cell.width for _, cell in running))
            if not running:
                break
            running.sort()
            now, cell = running.pop(0)
            queue.release(cell)
        assert sorted(order) == sorted(cells)
        assert peak <= room * largest
        if room * largest >= workers * largest:  # memory never kept a worker idle
            work, longest = sum(map(cost, cells)), max(map(cost, cells))
            assert now <= work / workers + longest * (1 - 1 / workers) + 1e-9 * work

    def test_longest_first_with_a_share_for_the_short(self):
        cells = [Cell(1.0, 0.0, m, 0) for m in (100, 200, 300, 4000, 5000, 6000)]
        queue = CellQueue(cells, lambda cell: 0.0, 1.0)
        order = [queue.take().width for _ in cells]
        assert order[0] == 6000
        # a quarter of 6000 has room for three short ones
        assert order == [6000, 100, 200, 300, 4000, 5000] or order[1:4] == [100, 200, 300]
        assert queue.take() is None

    def test_a_large_cell_waits_for_memory_and_others_pass(self):
        queue = CellQueue([Cell(1.0, 0.0, m, 0) for m in (10, 60, 70)], lambda cell: cell.width, 100.0)
        first = queue.take()
        assert first.width == 70
        assert queue.take().width == 10  # 60 does not fit beside 70
        assert queue.take() is None
        queue.release(first)
        assert queue.take().width == 60

    def test_a_lost_cell_comes_next(self):
        queue = CellQueue([Cell(1.0, 0.0, m, 0) for m in (10, 60, 70)], lambda cell: 0.0, 100.0)
        first = queue.take()
        queue.release(first)
        queue.put_back(first)
        assert {queue.take().width for _ in range(3)} == {10, 60, 70}


class TestShards:
    @given(cells_lists, st.integers(1, 7))
    def test_shards_are_a_partition(self, cells, parts):
        shards = [shard_of(cells, (part, parts)) for part in range(1, parts + 1)]
        assert sorted(cell for shard in shards for cell in shard) == sorted(cells)
        sizes = [len(shard) for shard in shards]
        assert max(sizes) - min(sizes) <= 1
        assert shards == [shard_of(cells[::-1], (part, parts)) for part in range(1, parts + 1)]

    def test_shards_of_a_map_take_about_as_long(self):
        """The published map in eight: within 15 % of each other by estimated cost."""
        from meanfield.experiments import PRESETS
        from meanfield.experiments.grid import Grid

        preset = PRESETS["paper"]
        cells = list(Grid(preset.gamma, preset.gamma_prime, preset.widths, np.arange(preset.seeds)).cells())
        costs = [sum(map(cost, shard_of(cells, (part, 8)))) for part in range(1, 9)]
        assert max(costs) < 1.15 * min(costs)

    @pytest.mark.parametrize("shard", [(0, 2), (3, 2), (-1, 2), (1, 0), (1,), 3, "1/2", (1.5, 2)])
    def test_shards_that_are_none(self, shard):
        with pytest.raises(InputError, match=r"shard is .*; give \(i, n\) with i from 1 to n"):
            phase_diagram(FOUR, **SMALL, shard=shard)


class TestMemory:
    @pytest.mark.parametrize(
        ("n", "d_in", "width"),
        [
            (4, 1, 5000),
            (40, 1, 4000),
            (20, 5, 3000),
            (45, 60, 1000),
            (150, 3, 600),
            (300, 2, 300),
            (1100, 3, 300),
        ],
    )
    @pytest.mark.parametrize("activation", ["relu", "tanh"])
    def test_estimate(self, activation, n, d_in, width):
        """Against the peak that Python's allocator sees, over the first steps; 0.5 MB are a floor."""
        import tracemalloc

        rng = np.random.default_rng(0)
        problem = Problem(rng.standard_normal((n, d_in)), rng.standard_normal(n))
        settings = CellSettings(
            loss_atol=1e-3 * problem.zero_loss, max_steps=4, per_half=True,
            activation=as_activation(activation), beta2=1.0,
        )  # fmt: skip
        run_cell(problem, Cell(1.2, 0.0, 2, 0), settings)  # compiles, and imports
        cell = Cell(1.2, 0.0, width, 0)
        tracemalloc.start()
        run_cell(problem, cell, settings)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        estimate = cell_memory(problem, cell, settings)
        assert peak <= estimate <= 2.5 * peak + 0.5e6

    def test_a_cell_that_cannot_fit_is_refused_before_anything_runs(self, tmp_path):
        with pytest.raises(
            InputError, match=r"a run of width 1000000 needs about .* GB of memory, but there"
        ):
            phase_diagram(FOUR, **{**SMALL, "widths": [100, 1_000_000]}, memory=1e8)

    def test_the_plan_is_stated(self):
        watch = Watch()
        cells = [Cell(0.5, 0.0, m, 0) for m in (20, 40)]
        assert len(list(run_cells(FOUR, cells, SETTINGS, None, watch, memory=3e8))) == 2
        (plan,) = watch.plans
        assert plan == (
            "2 cells, longest first, in this process; a cell needs up to 0.51 MB, all that run at once stay "
            "below 0.3 GB"
        )

    def test_executors_that_cannot_be_used(self, monkeypatch):
        class Asynchronous(ThreadPoolExecutor):
            asynchronous = True

        with pytest.raises(InputError, match="is asynchronous; give one made with asynchronous=False"):
            phase_diagram(FOUR, **SMALL, executor=Asynchronous(1))
        monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
        with pytest.raises(InputError, match="worker processes import the main script here: put its call"):
            phase_diagram(FOUR, **SMALL, executor=2)

    def test_a_worker_of_another_version_is_refused(self):
        with pytest.raises(InputError, match=r"a worker on .* has meanfield .*, the sweep is run by 0\.0\.0"):
            pools.compute(pools.process(), "0.0.0", FOUR, Cell(0.5, 0.0, 20, 0), SETTINGS)


class TestWorkers:
    def test_one_thread_each(self):
        with own_processes(1, abs) as pool:
            kernel, libraries = pool._idle[0].submit(worker_threads).result(timeout=60)
        assert kernel == 1
        assert set(libraries) <= {1}

    def test_a_users_processes_use_one_thread(self, serial):
        import multiprocessing

        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            assert numbers(phase_diagram(FOUR, **SMALL, executor=pool)) == serial
            kernel, libraries = pool.submit(worker_threads).result(timeout=60)
        assert kernel == 1
        assert set(libraries) <= {1}

    def test_threads_are_given_back(self):
        from concurrent.futures import ThreadPoolExecutor

        before = worker_threads()
        with ThreadPoolExecutor(2) as pool:
            phase_diagram(FOUR, **SMALL, executor=pool)
        assert worker_threads() == before

    def test_same_bits_where_blas_matters(self):
        """Twenty samples in five dimensions: matrices, not closed forms."""
        rng = np.random.default_rng(0)
        problem = Problem(rng.standard_normal((20, 5)), rng.standard_normal(20))
        small = {**SMALL, "gamma": [0.8], "seeds": 1}
        assert numbers(phase_diagram(problem, **small)) == numbers(
            phase_diagram(problem, **small, executor=2)
        )

    @needs_proc
    def test_a_killed_worker_s_cell_runs_again(self, long_serial, tmp_path):
        store = tmp_path / "sweep.sqlite"
        killed = []

        def kill():
            wait_until(lambda: finished_cells(store) >= 3, 60, "first cells")
            from multiprocessing import active_children

            victim = active_children()[0]
            os.kill(victim.pid, signal.SIGKILL)
            killed.append(victim.pid)

        killer = threading.Thread(target=kill)
        killer.start()
        diagram = phase_diagram(FOUR, **LONG, executor=2, store=store, progress=False)
        killer.join()
        assert killed
        assert numbers(diagram) == long_serial

    def test_a_cell_that_kills_its_workers_is_given_up(self, monkeypatch):
        """A pool whose workers die with one cell: three times, then one sentence; the others are kept."""
        bad = Cell(1.75, 0.0, 80, 1)

        class Mortal:
            slots = 2

            def submit(self, cell):
                future = Future()
                future.set_result(cell)
                return future

            def outcome(self, future):
                if future.result() == bad:
                    raise LostCellError
                return Outcome(run_cell(FOUR, future.result(), SETTINGS), here())

        cells = [Cell(1.75, 0.0, 80, 0), bad, Cell(0.5, 0.0, 20, 0)]
        watch, done = Watch(), []
        queue = CellQueue(cells, lambda cell: 0.0, 1.0)
        outcomes = drain(Mortal(), queue, watch)
        with pytest.raises(
            WorkerLostError, match=rf"{LOSSES} worker processes died with the same cell"
        ) as info:
            done.extend(outcome.result.cell for outcome in outcomes)
        assert "\n" not in str(info.value)
        assert watch.cells.count(bad) == LOSSES
        assert watch.losses == [bad] * (LOSSES - 1)
        assert bad not in done

    @needs_proc
    def test_a_users_broken_executor(self, tmp_path):
        with ProcessPoolExecutor(1) as pool:
            doomed = pool.submit(os._exit, 1)
            with pytest.raises(WorkerLostError, match=r"a worker process of the executor died.*0 finished"):
                phase_diagram(FOUR, **SMALL, executor=pool)
            assert doomed.exception() is not None


#: Four cells.
TINY = {
    "gamma": [0.5], "gamma_prime": [0.0], "widths": [20, 40], "seeds": 2, "predict": False, "progress": False,
}  # fmt: skip
#: A sweep over two processes, in the middle of a script; what it prints is compared with a sweep in one.
SWEEP = f"""
import meanfield as mf
diagram = mf.phase_diagram(mf.datasets.four_points(), **{TINY!r}, executor=2)
print(diagram.S_w.tolist(), diagram.rd_w.tolist())
"""
#: The same where workers need what the script defines: a problem of a class of its own.
OWN_CLASS = f"""
import meanfield as mf


class Mine(mf.Problem):
    pass


def sweep():
    diagram = mf.phase_diagram(Mine([-0.5, 0.5], [1.0, 0.5]), **{TINY!r}, executor=2)
    print("done", diagram.S_w.shape)
"""


def run_python(text, folder, *, file=None, code=0):
    """Run a program from a file, or from standard input as `python - <<EOF` in a shell does."""
    if file is None:
        command = f"{sys.executable} - <<'EOF'\n{text}\nEOF"
    else:
        (folder / file).write_text(text)
        command = f"{sys.executable} {file}"
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def alone():
    """What the sweep prints in one process."""
    diagram = phase_diagram(FOUR, **TINY)
    return f"{diagram.S_w.tolist()} {diagram.rd_w.tolist()}\n"


class TestWhereSweepsAreStarted:
    """Workers do not import the main script: there may be none, or one without its guard."""

    def test_from_standard_input(self, alone, tmp_path):
        assert run_python(SWEEP, tmp_path) == alone

    def test_a_script_without_its_guard(self, alone, tmp_path):
        assert run_python(SWEEP, tmp_path, file="unguarded.py") == alone

    def test_a_notebook(self, alone, tmp_path):
        """In a fresh Jupyter kernel, through nbclient; functions of a notebook cannot reach workers."""
        nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
        cells = [SWEEP, OWN_CLASS + "\nsweep()"]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        client = nbclient.NotebookClient(
            notebook, timeout=120, kernel_name="python3", allow_errors=True,
            resources={"metadata": {"path": str(tmp_path)}},
        )  # fmt: skip
        client.execute()
        printed = [out.text for out in notebook.cells[0].outputs if out.get("name") == "stdout"]
        assert printed == [alone], notebook.cells[0].outputs
        (error,) = (out for out in notebook.cells[1].outputs if out.output_type == "error")
        assert error.ename == "InputError"
        assert "defined in this session (a notebook or standard input)" in error.evalue

    def test_what_the_script_defines_with_a_guard(self, tmp_path):
        text = f'{OWN_CLASS}\nif __name__ == "__main__":\n    sweep()'
        assert run_python(text, tmp_path, file="guarded.py") == "done (1, 1)\n"

    def test_what_the_script_defines_without_a_guard(self, tmp_path):
        """The guard is advised, for it is missing; and soon."""
        error = run_python(f"{OWN_CLASS}\nsweep()", tmp_path, file="unguarded.py", code=1)
        assert "InputError: worker processes import the main script here: put its call with exec" in error
        assert re.search(
            r"WorkerLostError: worker processes die before their first cell; put the call under "
            r'`if __name__ == "__main__":`: they import the main script, for it defines what they compute '
            r"\(1 finished cells are lost",
            error,
        ), error

    def test_what_standard_input_defines(self, tmp_path):
        error = run_python(f"{OWN_CLASS}\nsweep()", tmp_path, code=1)
        assert "InputError: what the worker processes are to compute is defined in this session" in error
        assert "__name__" not in error.splitlines()[-1]

    def test_other_processes_still_import_main(self, monkeypatch):
        """What is hidden from our workers is hidden from nobody else."""
        main = sys.modules["__main__"]  # that of a worker of the tests has no file
        monkeypatch.setattr(main, "__file__", __file__, raising=False)
        monkeypatch.setattr(main, "__spec__", None)
        with own_processes(1, abs) as pool:
            assert pool.outcome(pool.submit(-2)) == 2
        data = multiprocessing.spawn.get_preparation_data("of someone else")
        assert [key for key in data if key.startswith("init_main")]

    def test_functions_that_cannot_be_sent(self):
        with pytest.raises(InputError, match=r"cannot be sent to them \(.*\); give functions that a module"):
            dict(over_processes(lambda item: item, [1, 2], 2))


class TestOverProcesses:
    def test_a_lost_item_is_done_again(self, tmp_path):
        items = [(tmp_path / "mark", number) for number in range(4)]
        assert dict(over_processes(dies_once, items, 2)) == {k: (k, 1) for k in range(4)}
        assert (tmp_path / "mark").exists()

    def test_nothing_to_do(self):
        assert dict(over_processes(abs, [], 2)) == {}

    def test_maps_of_the_limit(self):
        """Maps of the limit run over the same workers as sweeps."""
        grid = {"gamma": [0.5, 1.5], "gamma_prime": [0.0], "nodes": 64, "progress": False}
        one, two = (limit_diagram(FOUR, **grid, executor=executor) for executor in (None, 2))
        assert numbers(one) == numbers(two)


class TestWhyOurOwn:
    """What libraries do not do: see docs/architecture.md. If one of these fails, the code can shrink."""

    PROGRAM = """
import concurrent.futures, multiprocessing, os, signal, sys, time
from joblib.externals import loky

POOLS = {
    "concurrent.futures": lambda n: concurrent.futures.ProcessPoolExecutor(
        n, mp_context=multiprocessing.get_context("spawn")
    ),
    "loky": lambda n: loky.ProcessPoolExecutor(n),
}

if __name__ == "__main__":
    pool = POOLS[sys.argv[1]](2)
    pid = pool.submit(os.getpid).result()
    futures = [pool.submit(time.sleep, 60) for _ in range(2)]
    while not all(future.running() for future in futures):
        time.sleep(0.01)
    if sys.argv[2] == "worker":
        os.kill(pid, signal.SIGKILL)
        broken = [isinstance(f.exception(), concurrent.futures.BrokenExecutor) for f in futures]
        open("told", "w").write(" ".join(map(str, broken)))
    else:
        open("told", "w").write(str(pid))
        os.kill(os.getpid(), signal.SIGKILL)
"""

    @pytest.fixture(params=["concurrent.futures", "loky"])
    def start(self, request, tmp_path):
        pytest.importorskip("joblib")
        program = tmp_path / "program.py"
        program.write_text(self.PROGRAM)
        groups = []

        def run(who):
            # Into a file: a pipe would be held open by the workers that are left.
            process = subprocess.Popen(
                [sys.executable, program, request.param, who], cwd=tmp_path, start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            groups.append(process.pid)
            process.wait(60)
            return (tmp_path / "told").read_text().split()

        yield run
        for group in groups:  # what is left of it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    @needs_proc
    def test_a_pool_of_several_loses_all_with_one(self, start):
        """Hence one pool for each worker: only the cell of a killed one is lost."""
        assert start("worker") == ["True", "True"]

    @needs_proc
    def test_workers_that_are_busy_outlive_their_parent(self, start):
        """Hence the pipe that each of ours watches."""
        (pid,) = map(int, start("parent"))
        time.sleep(1.0)
        assert alive({pid})


class TestWithoutDask:
    def test_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'meanfield-nn\[dask\]'"):
            phase_diagram(FOUR, **SMALL, executor="tcp://127.0.0.1:1")


class Cluster:
    """A scheduler and two workers, each a process of its own."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.file = folder / "scheduler.json"

    def start(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--no-dashboard", "--host", "127.0.0.1",
             "--protocol", "tcp", "--scheduler-file", self.file],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},  # they run functions of the tests
        )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(self):
        return self.start(
            "worker",
            "--nthreads",
            "1",
            "--no-nanny",
            "--local-directory",
            self.folder,
            "--death-timeout",
            "60",
        )

    @property
    def address(self):
        """Of the scheduler; None until it is there."""
        try:
            return json.loads(self.file.read_text())["address"]
        except (OSError, ValueError):  # not written, or not to its end
            return None

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("distributed")
    cluster = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        cluster.start("scheduler", "--port", "0")
        wait_until(lambda: cluster.address, 60, "the scheduler")
        cluster.workers = [cluster.worker() for _ in range(2)]
        yield cluster
    finally:
        cluster.stop()


class TestDask:
    """In the order of their lives: the last test kills a worker."""

    def test_a_client_of_the_user(self, cluster, serial):
        from distributed import Client

        with Client(cluster.address, set_as_default=False, timeout=30) as client:
            client.wait_for_workers(2, timeout=60)
            assert numbers(phase_diagram(FOUR, **SMALL, executor=client)) == serial
            assert client.status == "running"  # theirs to close
            threads = client.run(worker_threads)
        assert {kernel for kernel, _ in threads.values()} == {1}
        assert {count for _, libraries in threads.values() for count in libraries} <= {1}

    def test_a_killed_worker(self, cluster, long_serial, tmp_path):
        """SIGKILL to one of two workers in the middle: the other ends the sweep, with the same bits."""
        store = tmp_path / "sweep.sqlite"

        def kill():
            wait_until(lambda: finished_cells(store) >= 3, 60, "first cells")
            cluster.workers[0].kill()

        killer = threading.Thread(target=kill)
        killer.start()
        diagram = phase_diagram(FOUR, **LONG, executor=cluster.address, store=store)
        killer.join()
        assert cluster.workers[0].wait(10) == -signal.SIGKILL
        assert numbers(diagram) == long_serial
        assert finished_cells(store) == len(diagram.results)

    @pytest.mark.parametrize(
        ("status", "error", "raised", "message"),
        [
            (
                "running",
                "killed",
                WorkerLostError,
                r"4 Dask workers died with the same cell",
            ),
            ("running", CancelledError(), LostCellError, "^$"),
            ("closed", CancelledError(), WorkerLostError, r"connection to the Dask scheduler was lost"),
            (
                "running",
                ImportError("no meanfield"),
                InputError,
                r"cannot import .*no meanfield.*; install",
            ),
        ],
    )
    def test_ways_to_fail(self, status, error, raised, message):
        distributed = pytest.importorskip("distributed")
        if error == "killed":
            error = distributed.KilledWorker("cell", None, 3)
        future = Future()
        future.set_exception(error)
        pool = DaskPool.__new__(DaskPool)
        pool._client = SimpleNamespace(status=status)
        with pytest.raises(raised, match=message):
            pool.outcome(future)

    def test_a_cell_larger_than_the_workers_memory(self):
        """Limits of all workers together, three fifths of it; no limit, no bound."""
        from meanfield.experiments.executors import _dask_memory

        def client(*limits):
            workers = {str(i): {"memory_limit": limit} for i, limit in enumerate(limits)}
            return SimpleNamespace(scheduler_info=lambda: {"workers": workers})

        assert _dask_memory(client(1e9, 2e9)) == 3e9
        assert _dask_memory(client(1e9, 0)) == np.inf

    def test_nobody_there(self, monkeypatch):
        pytest.importorskip("distributed")
        monkeypatch.setattr("meanfield.experiments.executors.ANSWER", 0.2)
        for address in ("nonsense://127.0.0.1:1", "tcp://127.0.0.1:1"):
            with pytest.raises(
                InputError, match=rf"no Dask scheduler answers at {address} .* `dask scheduler`"
            ):
                phase_diagram(FOUR, **SMALL, executor=address)
