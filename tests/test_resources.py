"""What a process may use: trees of control groups as Linux writes them, a job's variables, a refusal."""

import os

import psutil
import pytest

from meanfield import resources
from meanfield.errors import InputError
from meanfield.resources import check_fits, free_memory, usable_cores

GIGA = 1e9
#: How "no limit" is written in version 1: the largest number of pages.
NONE = "9223372036854771712"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 64 GB free and 16 processors, in groups and a job to be given."""

    def build(groups="", files=None, **job):
        process = tmp_path / "cgroup"
        process.write_text(groups)
        for name, content in (files or {}).items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        monkeypatch.setattr(resources, "_PROCESS", process)
        monkeypatch.setattr(resources, "_GROUPS", tmp_path / "fs")
        monkeypatch.setattr(psutil, "virtual_memory", lambda: type("", (), {"available": 64 * GIGA}))
        monkeypatch.setattr(resources, "_held", lambda process: 0.5 * GIGA)
        monkeypatch.setattr(psutil.Process, "children", lambda self, recursive=False: [self])
        monkeypatch.setattr(os, "cpu_count", lambda: 16)
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
        for name in list(os.environ):
            if name.startswith("SLURM"):
                monkeypatch.delenv(name)
        for name, value in job.items():
            monkeypatch.setenv(name, value)

    return build


def free():
    return free_memory() / 0.8 / GIGA


class TestLimits:
    def test_machine_alone(self, machine):
        machine()
        assert (free(), usable_cores()) == (64.0, 16)
        machine("0::/user.slice\n", {"cgroup.controllers": "cpu memory\n"})
        assert (free(), usable_cores()) == (64.0, 16)

    def test_container_of_version_2(self, machine):
        """docker run --memory 4g --cpus 2.5: only the container's own group is seen, as the root."""
        machine("0::/\n", {
            "memory.max": "4000000000\n", "memory.current": "1500000000\n", "cpu.max": "250000 100000\n",
            "memory.stat": "anon 900000000\nfile 600000000\nactive_file 100000000\ninactive_file 500000000\n",
        })  # fmt: skip
        assert (free(), usable_cores()) == (3.0, 2)

    def test_tightest_group_counts(self, machine):
        """A job's step in a job: the limit is on the group above."""
        machine("0::/system.slice/job_7/step_0\n", {
            "system.slice/job_7/step_0/memory.max": "max\n",
            "system.slice/job_7/step_0/memory.current": "100000000\n",
            "system.slice/job_7/step_0/cpu.max": "max 100000\n",
            "system.slice/job_7/memory.max": "8000000000\n",
            "system.slice/job_7/memory.current": "2000000000\n",
            "system.slice/job_7/cpu.max": "400000 100000\n",
            "system.slice/memory.high": "7000000000\n",
            "system.slice/memory.current": "3000000000\n",
        })  # fmt: skip
        assert (free(), usable_cores()) == (4.0, 4)

    def test_version_1(self, machine):
        groups = "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"
        machine(groups, {
            "memory/memory.limit_in_bytes": "2000000000\n", "memory/memory.usage_in_bytes": "700000000\n",
            "memory/memory.stat": "cache 300000000\ntotal_inactive_file 200000000\n",
            "cpu,cpuacct/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        })  # fmt: skip
        assert (free(), usable_cores()) == (1.5, 1)

    def test_version_1_without_limits(self, machine):
        machine("12:memory:/\n4:cpu,cpuacct:/\n", {
            "memory/memory.limit_in_bytes": NONE, "memory/memory.usage_in_bytes": "700000000\n",
            "cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        })  # fmt: skip
        assert (free(), usable_cores()) == (64.0, 16)

    def test_hybrid(self, machine):
        machine("3:cpu,cpuacct:/a\n0::/a\n", {
            "unified/a/memory.max": "1000000000\n", "unified/a/memory.current": "0\n",
            "cpu/a/cpu.cfs_quota_us": "300000\n", "cpu/a/cpu.cfs_period_us": "100000\n",
        })  # fmt: skip
        assert (free(), usable_cores()) == (1.0, 3)

    def test_more_in_use_than_allowed(self, machine):
        machine("0::/\n", {"memory.max": "1000\n", "memory.current": "2000\n", "cpu.max": "nonsense\n"})
        assert (free(), usable_cores()) == (0.0, 16)

    def test_slurm(self, machine):
        """Variables are in MB; this process and its child hold half a gigabyte each."""
        machine(SLURM_MEM_PER_NODE="4000", SLURM_CPUS_PER_TASK="4", SLURM_CPUS_ON_NODE="8")
        assert (free(), usable_cores()) == (pytest.approx(4000 * 2**20 / GIGA - 1.0), 4)
        machine(SLURM_MEM_PER_CPU="1000", SLURM_CPUS_ON_NODE="3")
        assert (free(), usable_cores()) == (pytest.approx(3000 * 2**20 / GIGA - 1.0), 3)
        machine(SLURM_MEM_PER_NODE="0", SLURM_CPUS_PER_TASK="words")  # 0: all of the node's
        assert (free(), usable_cores()) == (64.0, 16)

    def test_this_machine(self):
        assert 1e7 < free_memory() < 1e14
        assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_what_does_not_fit_is_refused_with_its_size(machine):
    machine("0::/\n", {"memory.max": "5000000000\n", "memory.current": "0\n"})
    check_fits("two kernels of 10000 x 10000 inputs", 3.9e9)
    with pytest.raises(
        InputError, match=r"^two kernels .* need 4.1 GB of memory, but there are 4 GB for them; give fewer"
    ):
        check_fits("two kernels of 10000 x 10000 inputs", 4.1e9)
