"""What this process may use: memory and processors, of the machine, the container, the job.

A container or a job of a cluster sees all memory and all processors of its host; what it is allowed lies in
the control groups that it is in (Linux, versions 1 and 2) and in the variables that Slurm sets.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

from meanfield.errors import InputError

#: Share of what is free that is given away.
_SHARE = 0.8
#: Roots of the file systems that Linux tells limits by.
_PROCESS, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
#: Limits of version 1 from here on mean that there is none.
_NO_LIMIT = 2.0**60


def free_memory() -> float:
    """Bytes that this process can still take: four fifths of what machine, container and job have free."""
    return _SHARE * min(float(psutil.virtual_memory().available), _free_in_groups(), _free_in_job())


def usable_cores() -> int:
    """Processors that this process may use by its affinity, its container's quota and its job; at least 1."""
    cores = float(os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    job = _variable("SLURM_CPUS_PER_TASK")
    cores = min(cores, _cores_of_groups(), _variable("SLURM_CPUS_ON_NODE") if job == math.inf else job)
    return max(1, math.floor(cores))


def check_fits(what: str, size: float, remedy: str = "give fewer samples or inputs") -> None:
    """Refuse what does not fit into memory, before it is begun.

    Parameters
    ----------
    what : str
        What is to be held, for the error, in the plural: "two kernels of 100000 x 100000 inputs".
    size : float
        Bytes that it needs.
    remedy : str
        What to do instead.

    Raises
    ------
    InputError
        If less memory is free.

    Examples
    --------
    >>> check_fits("two kernels of 10 x 10 inputs", 1600.0)
    """
    if size < _UNASKED:
        return
    free = free_memory()
    if size > free:
        raise InputError(
            f"{what} need {gigabytes(size)} of memory, but there are {gigabytes(free)} for them; {remedy}"
        )


#: Bytes that are taken without asking: any machine has them, and asking takes a tenth of a millisecond.
_UNASKED = 1e7


def gigabytes(size: float) -> str:
    """A size in bytes for readers.

    Examples
    --------
    >>> gigabytes(3.2e6), gigabytes(4.5e9)
    ('3.2 MB', '4.5 GB')
    """
    return f"{size / 1e6:.2g} MB" if size < 0.0995e9 else f"{size / 1e9:.3g} GB"


def _free_in_groups() -> float:
    """What the tightest of the control groups has left; infinity without any."""
    free = math.inf
    for group in _groups("memory"):
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.high", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most = _number(group / limit)
            if most < _NO_LIMIT:
                used = _number(group / usage)
                used = 0.0 if used == math.inf else used
                # Files that were read are kept as long as nobody needs the room.
                free = min(free, max(0.0, most - max(0.0, used - _entry(group / "memory.stat", cache))))
    return free


def _free_in_job() -> float:
    """What Slurm gave the job on this machine, less what this process and its children hold."""
    cores = _variable("SLURM_CPUS_ON_NODE")
    per_core = _variable("SLURM_MEM_PER_CPU") * (cores if cores < math.inf else 1.0)
    limit = 2.0**20 * min(_variable("SLURM_MEM_PER_NODE"), per_core)
    if limit == math.inf:
        return math.inf
    me = psutil.Process()
    return max(0.0, limit - sum(map(_held, [me, *me.children(recursive=True)])))


def _held(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss)
    except psutil.Error:  # it has ended meanwhile
        return 0.0


def _cores_of_groups() -> float:
    cores = math.inf
    for group in _groups("cpu"):
        quota, period = _words(group / "cpu.max", 2)  # version 2: "max 100000" or "150000 100000"
        if math.isinf(quota):
            quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
        if 0.0 < quota < math.inf and 0.0 < period < math.inf:
            cores = min(cores, quota / period)
    return cores


def _groups(controller: str) -> Iterator[Path]:
    """Folders of the control groups that this process is in, from its own up to the root."""
    try:
        lines = _PROCESS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 has one tree, version 1 one for each set of controllers.
        names = (controllers, controller) if controllers else ("", "unified")
        inside = PurePosixPath(path.strip("/"))
        for root in (_GROUPS / name for name in names):
            # In a container the path may be that of the host, of which only the root is seen.
            yield from (root / parent for parent in (inside, *inside.parents) if ".." not in parent.parts)


def _words(path: Path, count: int) -> list[float]:
    """Numbers in a file; infinity where it, or one of them, is none."""
    try:
        words = path.read_text().split()
    except (OSError, ValueError):
        words = []
    return [_as_number(word) for word in (words + [""] * count)[:count]]


def _number(path: Path) -> float:
    return _words(path, 1)[0]


def _entry(path: Path, name: str) -> float:
    """One of the named numbers of a file; 0 without it."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, ValueError):
        return 0.0
    found = [_as_number(line[len(name) + 1 :]) for line in lines if line.startswith(f"{name} ")]
    return found[0] if found and found[0] < math.inf else 0.0


def _variable(name: str) -> float:
    """A number that Slurm has set; infinity without it, and for 0, which stands for all there is."""
    value = _as_number(os.environ.get(name, ""))
    return value if value > 0.0 else math.inf


def _as_number(word: str) -> float:
    try:
        return float(int(word))
    except ValueError:
        return math.inf
