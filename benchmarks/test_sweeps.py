"""Sweeps of 2000 quick cells: what a cell costs beside its run, the size of the store, looking again."""

import time

import pytest

import meanfield as mf
from meanfield.experiments import SweepStore

PROBLEM = mf.datasets.four_points()
#: 2000 cells of some milliseconds each.
QUICK = {
    "gamma": [0.5 + 0.05 * i for i in range(10)],
    "gamma_prime": [0.0],
    "widths": [10, 20],
    "seeds": 100,
    "loss_atol": 1e-3,
    "progress": False,
}
CELLS = 2000


def sweep(store, executor):
    began = time.perf_counter()
    diagram = mf.phase_diagram(PROBLEM, **QUICK, executor=executor, store=store)
    assert len(diagram.results) == CELLS
    return time.perf_counter() - began, sum(result.seconds for result in diagram.results)


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    mf.phase_diagram(PROBLEM, **QUICK | {"seeds": 1})


@pytest.mark.parametrize("executor", [None, 2])
def test_overhead_per_cell(benchmark, tmp_path, executor):
    """Wall time less the runs' own, spread over the workers; processes start once, which counts, too."""
    benchmark.group = "sweep of 2000 quick cells with a store"
    stores = (tmp_path / f"{i}.sqlite" for i in range(100))
    began = time.process_time()
    wall, runs = benchmark.pedantic(lambda: sweep(next(stores), executor), rounds=1)
    driver = (time.process_time() - began) / CELLS if executor else float("nan")
    overhead, run = (wall - runs / (executor or 1)) / CELLS, runs / CELLS
    size = (tmp_path / "0.sqlite").stat().st_size
    benchmark.extra_info |= {
        "overhead_ms": 1e3 * overhead,
        "driver_cpu_ms": 1e3 * driver,
        "store_bytes": size,
    }
    print(
        f"\nexecutor {executor}: {1e3 * overhead:.2f} ms (driver's CPU {1e3 * driver:.2f}) beside "
        f"{1e3 * run:.2f} ms of a run, store {size / 1e6:.2f} MB"
    )


def test_resume(benchmark, tmp_path):
    benchmark.group = "sweep of 2000 quick cells: the same call again"
    store = tmp_path / "sweep.sqlite"
    sweep(store, None)
    benchmark(sweep, store, 2)
    with SweepStore.open(store) as kept:
        assert len(list(kept.results())) == CELLS
