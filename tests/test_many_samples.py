"""Many samples, few neurons: memory and time of a pass are O(n (m + d)), what needs n x n is refused.

No test asserts how fast anything is: bounds on times are far above what an idle machine takes, and far below
what products of all pairs of samples would.
"""

import json
import signal
import subprocess
import sys
import time

import naive
import numpy as np
import pytest

from meanfield import InputError, Particles, Problem, Status, gradient_flow, kernels, limits
from meanfield.flow import replay, tangent_kernel
from meanfield.kernels.kinks import _SAME_KINK, _TABLE

#: A problem and a network, for other processes: n samples in nine dimensions, two neurons.
SETUP = """
import json, resource, sys, time
import numpy as np
import meanfield as mf
from meanfield.flow import FlowInterrupted

def problem_and_network(n):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 9))
    problem = mf.Problem(x, np.maximum(x[:, :8], 0).sum(axis=1), bias=False)
    a, w = rng.standard_normal(2), rng.standard_normal((2, 9))
    return problem, mf.Particles.from_arrays(a, w, kappa=1.0, kappa_prime=1.0)
"""


def mirrored(n, r, seed):
    """Samples among which are equal, opposite, nearly equal and nearly opposite directions, and a zero."""
    rng = np.random.default_rng([seed, n, r])
    x = rng.standard_normal((n, r))
    for i in range(n // 2, n):
        x[i] = rng.choice([-2.0, -1.0, 0.5, 3.0]) * x[rng.integers(0, i)]
        x[i] *= 1.0 + rng.choice([0.0, 2e-13, 5e-12], size=r)
    x[n // 3] = 0.0
    return x


class TestSamples:
    @pytest.mark.parametrize("r", [1, 2, 3, 8])
    def test_kinks_as_by_all_pairs(self, r):
        for seed in range(6):
            x = mirrored(60, r, seed)
            ours = kernels.as_samples(x)
            leader, same, companions = naive.kinks(x, _SAME_KINK)
            assert ours.leader.tolist() == leader
            assert ours.same.tolist() == same
            for i in range(len(x)):
                ring, j = {i}, ours.ring[i]
                while j != i:
                    ring.add(int(j))
                    j = ours.ring[j]
                assert ring == companions[i]

    def test_samples_are_taken_as_they_are(self):
        made = kernels.as_samples(np.eye(3))
        assert kernels.as_samples(made) is made

    def test_products_are_tabulated_for_few_samples_only(self):
        x = np.random.default_rng(0).standard_normal((_TABLE + 1, 3))
        assert kernels.as_samples(x).products.shape == (0, 0)
        few = kernels.as_samples(x[:_TABLE].copy())
        np.testing.assert_allclose(few.products, x[:_TABLE] @ x[:_TABLE].T, rtol=1e-13, atol=1e-13)

    @pytest.mark.parametrize("r", [2, 3, 6])
    def test_same_bits_without_the_table(self, r):
        rng = np.random.default_rng(r)
        x, size = mirrored(24, r, 1), 300
        theta, weight = rng.standard_normal((1 + r, size)), rng.uniform(0.5, 2.0, size)
        e, h = rng.standard_normal((3, 24)), np.array([1.0, 2.0])
        few = kernels.as_samples(x)
        results = []
        for samples in (few, few._replace(products=np.empty((0, 0)))):
            out, partial, change = np.zeros_like(theta), np.empty((1, 2, 24)), np.empty((1, 3))
            events = np.empty((1, 5), dtype=np.int64)
            kernels.move(theta, weight, e, h, samples, 0, 1, out, partial, change, events)
            parts, product = np.empty((3, 1, 24, 24)), np.empty((1, 24))
            kernels.motion_gram(out, weight, e[2], e[1], samples, 496, 0, 1, *parts)
            kernels.motion_gram_product(out, weight, e[2], e[1], e[0], samples, 0, 1, product)
            results.append((out, partial, change, events, np.tril(parts), product))
        assert results[0][3][0, 1] > 0  # neurons slide
        for with_table, without in zip(*results, strict=True):
            np.testing.assert_array_equal(with_table, without)

    def test_blocks(self):
        """Blocks hold fewer neurons for more samples: all are counted once."""
        rng = np.random.default_rng(1)
        n, size = 20_000, 2100
        x, theta, weight = (
            rng.standard_normal((n, 3)),
            rng.standard_normal((4, size)),
            rng.uniform(0, 1, size),
        )
        partial = np.empty((kernels.chunk_count(size), n))
        kernels.output(theta, weight, x, 0, len(partial), partial)
        expected = np.concatenate(
            [np.maximum(rows @ theta[1:], 0.0) @ (weight * theta[0]) for rows in np.array_split(x, 20)]
        )
        np.testing.assert_allclose(partial.sum(axis=0), expected, rtol=0, atol=1e-10)


class TestBounded:
    def test_memory_and_time(self):
        """At n = 20 000 it was 3.2 GB and a minute for a step, at 100 000 a MemoryError after a while."""
        script = (
            SETUP
            + """
problem, network = problem_and_network(20_000)
run = mf.gradient_flow(problem, network, loss_tol=0, t_end=0.5, max_steps=3)
try:  # of this process alone: what getrusage knows may be the peak of the process that started it
    with open("/proc/self/status") as file:
        peak = 1024 * int(next(line for line in file if line.startswith("VmHWM")).split()[1])
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
problem, network = problem_and_network(100_000)
start = time.monotonic()
late = mf.gradient_flow(problem, network, loss_tol=0, max_seconds=2)
print(json.dumps({
    "status": run.status.name, "steps": run.stats.steps, "falls": bool(run.loss[-1] < run.loss[0]),
    "peak": peak,
    "late": late.status.name, "seconds": time.monotonic() - start,
    "loss": late.loss[-1], "again": problem.loss(late.final.output(problem.x)),
}))
"""
        )
        out = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
        )
        seen = json.loads(out.stdout)
        assert (seen["status"], seen["steps"], seen["falls"]) == ("MAX_STEPS", 3, True)
        assert seen["peak"] < 600e6
        assert seen["late"] == "MAX_SECONDS"
        assert seen["seconds"] < 20.0
        assert seen["loss"] == pytest.approx(seen["again"], rel=1e-9)

    def test_interrupt_inside_a_step(self):
        """Ctrl-C ends a run whose steps take many seconds; the same process runs on."""
        script = (
            SETUP
            + """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
problem, network = problem_and_network(200_000)
small, few = problem_and_network(30)
seen = []

def started(now):
    if not seen:
        print("started", flush=True)
    seen.append(now)

try:
    mf.gradient_flow(problem, network, loss_tol=0, progress=started)
except FlowInterrupted as interrupted:
    run = interrupted.trajectory
print(json.dumps({"status": run.status.name, "states": len(run.time), "seen": len(seen)}), flush=True)
again = mf.gradient_flow(small, few, loss_tol=0, t_end=0.1)
late = mf.gradient_flow(problem, network, loss_tol=0, max_seconds=1)
print(json.dumps([again.status.name, late.status.name]), flush=True)
"""
        )
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout.readline() == "started\n"
            time.sleep(2.0)
            child.send_signal(signal.SIGINT)
            start = time.monotonic()
            interrupted = json.loads(child.stdout.readline())
            seconds = time.monotonic() - start
            after, errors = child.communicate(timeout=120)
        assert interrupted["status"] == "INTERRUPTED"
        assert interrupted["states"] == interrupted["seen"] >= 1
        assert seconds < 20.0
        assert json.loads(after) == ["REACHED_TIME", "MAX_SECONDS"], errors


N = 20_000


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    problem = Problem(rng.standard_normal((N, 3)), rng.standard_normal(N), bias=False)
    network = Particles.from_arrays([1.0, -1.0], rng.standard_normal((2, 3)), kappa=0.5, kappa_prime=1.0)
    run = gradient_flow(problem, network, loss_tol=0, max_steps=1, save_path=True)
    return problem, network, run


CALLS = {
    "linearly-implicit": lambda p, net, run: gradient_flow(p, net, method="linearly-implicit"),
    "order parameters": lambda p, net, run: run.order_parameters(),
    "tangent kernel": lambda p, net, run: tangent_kernel(p, net),
    "empirical kernels": lambda p, net, run: limits.empirical_kernels(net, p.x),
    "linearised": lambda p, net, run: limits.Linearised(p, net).loss([0.0, 1.0]),
    "kernel regime": lambda p, net, run: limits.empirical_kernels(net, p.x, p.x),
}


class TestRefused:
    """What holds n x n numbers says in one sentence how many, before it begins."""

    @pytest.fixture(autouse=True)
    def little_memory(self, monkeypatch):
        monkeypatch.setattr("meanfield.resources.free_memory", lambda: 1.5e9)

    @pytest.mark.parametrize("name", CALLS)
    def test_in_a_sentence(self, case, name):
        with pytest.raises(InputError, match=r"20000 x 20000.* GB .*give fewer samples"):
            CALLS[name](*case)

    def test_samples_on_one_ray_count_for_kernels_between_samples(self):
        """The flow merges them; a matrix between all samples does not."""
        problem = Problem(np.linspace(1.0, 2.0, N), np.linspace(1.0, 2.0, N), bias=False)
        network = Particles.from_arrays([0.5], [[1.0]], kappa=1.0, kappa_prime=1.0)
        assert gradient_flow(problem, network, method="linearly-implicit").stats.steps > 0
        with pytest.raises(InputError, match="20000 x 20000"):
            tangent_kernel(problem, network)

    def test_what_needs_no_matrix_goes_on(self, case):
        problem, network, run = case
        assert run.status is Status.MAX_STEPS
        np.testing.assert_array_equal(replay(problem, network, run.path).output, run.output[1:])
