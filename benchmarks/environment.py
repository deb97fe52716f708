"""Where numbers were measured: the machine, threads and versions; and how to hold threads at two."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from meanfield import kernels

#: Of every library.
THREADS = 2
LIBRARIES = ("meanfield-nn", "numpy", "numba", "scipy", "torch", "jax", "jaxlib", "diffrax")


def two_threads() -> None:
    """Hold every library at two threads; call it before any of them starts its own."""
    kernels.set_threads(THREADS)
    if hasattr(os, "sched_setaffinity"):
        # JAX has no setting for its threads: it starts one per processor that it may use.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def described() -> list[str]:
    """Machine, processors, threads and versions, one line each."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return [
        f"machine: {_processor()}, {os.cpu_count()} CPUs{load}; {platform.system()}, "
        f"Python {platform.python_version()}",
        f"threads: meanfield {kernels.get_threads()}, peers {THREADS}",
        "versions: " + ", ".join(f"{name} {_version(name)}" for name in LIBRARIES),
    ]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
