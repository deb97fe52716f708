"""The same call gives the same bits wherever it runs; and the stored golden runs are found again."""

import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys

import golden
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import meanfield as mf
from meanfield import kernels

STORED = json.loads(golden.FILE.read_text())


@pytest.mark.parametrize("name", golden.RUNS)
def test_golden_runs(name):
    """If this fails after a change of the solver: ``python tests/golden.py`` says what moved."""
    assert golden.differences(name, STORED["runs"][name]) == []


def test_golden_runs_are_stored_with_versions():
    assert set(STORED["runs"]) == set(golden.RUNS)
    assert set(STORED["versions"]) == {"meanfield", "python", "numpy", "scipy", "numba", "machine"}


def test_a_changed_solver_is_noticed():
    """The comparison would fail: a loss off by a thousandth, a status, a lost observable."""
    stored = STORED["runs"]["linear"]
    value, error = stored["loss at 0.3"]
    for change in ({"loss at 0.3": [1.001 * value, error]}, {"status": "CONVERGED"}, {"another": [1.0, 0.0]}):
        assert len(golden.differences("linear", stored | change)) == 1


#: Digest of runs on the line, in the plane and in space.
CODE = """
import hashlib, numpy as np, meanfield as mf

def digest(_=None):
    found = hashlib.sha256()
    x = np.random.default_rng(0).standard_normal((5, 3))
    for problem in (mf.Problem([1.0, -2.0], [1.0, 0.5], bias=False), mf.datasets.four_points(), mf.Problem(x, x[:, 0])):
        network = mf.Particles.sample(problem, mf.Scaling(1.2, 0.1), 3000, rng=3)
        run = mf.gradient_flow(problem, network, loss_atol=1e-4, progress=False)
        for array in (run.final.w, run.final.a, run.loss, run.time, run.output):
            found.update(array.tobytes())
    return found.hexdigest()
"""  # noqa: E501
namespace = {}
exec(CODE, namespace)
digest = namespace["digest"]


@pytest.fixture(scope="module")
def reference():
    return digest()


class TestSameBits:
    def test_repetition(self, reference):
        assert digest() == reference

    @pytest.mark.parametrize("threads", [1, 2, 5])
    def test_threads_inside(self, threads, reference):
        before = kernels.get_threads()
        kernels.set_threads(threads)
        try:
            assert digest() == reference
        finally:
            kernels.set_threads(before)

    def test_threads_outside(self, reference):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            assert set(pool.map(digest, range(3))) == {reference}

    @pytest.mark.parametrize(
        "variables", [{}, {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}, {"PYTHONHASHSEED": "7"}]
    )
    def test_processes(self, variables, reference):
        done = subprocess.run(
            [sys.executable, "-c", CODE + "print(digest())"], capture_output=True, text=True, check=True,
            env={**os.environ, **variables},
        )  # fmt: skip
        assert done.stdout.strip() == reference

    def test_what_is_saved_is_what_was_computed(self, tmp_path):
        problem = mf.datasets.four_points()
        network = mf.Particles.sample(problem, mf.Scaling(0.5), 20, rng=0)
        run = mf.gradient_flow(problem, network, loss_atol=1e-3, progress=False)
        back = mf.Trajectory.load(run.save(tmp_path / "run"))
        for name in ("time", "loss", "output", "rd_w", "rd_a"):
            assert getattr(back, name).tobytes() == getattr(run, name).tobytes()
        assert back.final.w.tobytes() == run.final.w.tobytes()
        assert back.stats == run.stats

    def test_executors(self):
        """Serial, own processes, forked and spawned pools, threads: one table."""
        grid = {"gamma": [0.5, 1.5], "gamma_prime": [0.0], "widths": [20, 40], "seeds": 2, "progress": False}
        problem = mf.datasets.four_points()

        def table(executor):
            diagram = mf.phase_diagram(problem, **grid, executor=executor)
            return hashlib.sha256(diagram.rd_w.tobytes() + diagram.rd_a.tobytes()).hexdigest()

        found = {table(None), table(2)}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            found.add(table(pool))
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
            found.add(table(pool))
        assert len(found) == 1


def test_draws_do_not_depend_on_the_machine():
    """The first numbers of a draw, as NumPy's stream compatibility promises them."""
    network = mf.Particles.sample(mf.datasets.four_points(), mf.Scaling(0.5), 2, rng=0)
    expected = np.random.default_rng(0).standard_normal(3)
    np.testing.assert_array_equal([network.a[0], *network.w[0]], expected)


def test_same_bits_for_any_number_of_blas_threads():
    """Enough samples for BLAS to share the work of their eigendecomposition."""
    rng = np.random.default_rng(0)
    problem = mf.Problem(rng.standard_normal((200, 6)), rng.standard_normal(200))
    network = mf.Particles.sample(problem, mf.Scaling(0.5, 0.0), 100, rng=0)
    runs = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            runs.append(mf.gradient_flow(problem, network, max_steps=4, progress=False))
    np.testing.assert_array_equal(runs[0].final.w, runs[1].final.w)
    np.testing.assert_array_equal(runs[0].loss, runs[1].loss)
