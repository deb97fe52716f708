"""Other processes, for tests that kill, interrupt or share with them."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from meanfield import datasets, kernels, phase_diagram

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes")


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def descendants(pid):
    """Process ids below pid, without those that have ended (Linux)."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, layer = set(), {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer} - found
        found |= layer
    return found


def alive(pids):
    left = set()
    for pid in pids:
        try:
            if (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                left.add(pid)
        except OSError:
            continue
    return left


def rows(store):
    """What a store holds of finished cells, whatever its layout; none while it is not made yet."""
    if not store.exists():
        return set()
    try:
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10.0)) as kept:
            return set(kept.execute("SELECT * FROM cells"))
    except sqlite3.OperationalError:
        return set()


def finished_cells(store):
    """Number of cells that a store holds; 0 while there is none."""
    return len(rows(store))


#: Some seconds of computation, unless less is asked for.
PRECISE = {"rtol": 1e-4, "progress": False}
PROGRAM = """
import resource, signal, sys
from meanfield import datasets, phase_diagram

if __name__ == "__main__":
    store, table, executor, bytes_at_most = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background
    if int(bytes_at_most):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(bytes_at_most), resource.RLIM_INFINITY))
    diagram = phase_diagram(datasets.four_points(), store=store, executor=int(executor) or None, **SWEEP)
    diagram.runs_to_csv(table)
"""


class SweepProgram:
    """A sweep as a program of its own, to be started once or often; what is left is killed in the end.

    Parameters
    ----------
    folder : Path
        Where the program, its store and its table are.
    sweep : dict
        Arguments of the sweep.
    """

    def __init__(self, folder, sweep):
        self.folder, self.processes = folder, []
        self.script = folder / "program.py"
        self.script.write_text(f"SWEEP = {sweep | PRECISE!r}\n{PROGRAM}")

    def __call__(self, executor=None, *, store="sweep.sqlite", table="runs.csv", bytes_at_most=0):
        arguments = [self.folder / store, self.folder / table, executor or 0, bytes_at_most]
        process = subprocess.Popen(
            [sys.executable, "-W", "error", self.script, *map(str, arguments)],
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stderr.close()


def undisturbed_table(path, sweep):
    """The bytes of the table of the same sweep, run in this process without a store."""
    return phase_diagram(datasets.four_points(), **sweep, **PRECISE).runs_to_csv(path).read_bytes()


def worker_threads():
    """Threads of the kernels and of each numerical library in this process."""
    return kernels.get_threads(), [pool["num_threads"] for pool in threadpool_info()]


def dies_once(item):
    """Kills its process the first time that it gets the item 1."""
    mark, number = item
    if number == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number, worker_threads()[0]
