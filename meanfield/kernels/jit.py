"""How kernels are compiled: flags, cache and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

#: LLVM's rewrites that kernels may use. Sums may be reordered (that is what makes them vectorise)
#: and a*b + c contracted; NaN and infinity keep their meaning, unlike under ``fastmath=True``.
SAFE_FLAGS = {"reassoc", "contract", "nsz"}


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call: an entry from Python would take time to build."""
    return numba.njit(
        function, nogil=True, fastmath=SAFE_FLAGS, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function with Numba: without the GIL, with :data:`SAFE_FLAGS`, cached on disk.

    Machine code is kept in the user's cache folder rather than beside the sources, which may be
    read-only or shared. ``NUMBA_CACHE_DIR`` takes precedence; a folder that cannot be written means
    no cache, not a failure.
    """
    folder = _cache_folder()
    previous = numba.config.CACHE_DIR
    if folder is not None:
        numba.config.CACHE_DIR = folder  # read by Numba when the function is decorated
    try:
        return numba.njit(function, nogil=True, fastmath=SAFE_FLAGS, cache=folder is not None)
    finally:
        numba.config.CACHE_DIR = previous


def _cache_folder() -> str | None:
    if numba.config.CACHE_DIR:
        return str(numba.config.CACHE_DIR)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "meanfield" / "numba"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder) if os.access(folder, os.W_OK) else None
