"""How kernels are compiled: flags, cache and nothing else."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

#: LLVM's rewrites that kernels may use. Sums may be reordered (that is what makes them vectorise)
#: and a*b + c contracted; NaN and infinity keep their meaning, unlike under ``fastmath=True``.
SAFE_FLAGS = {"reassoc", "contract", "nsz"}
#: Division by zero gives infinity or NaN, as in NumPy; an exception would cost a branch per division.
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": SAFE_FLAGS, "error_model": "numpy"}


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call, which may not allocate.

    It gets no entry from Python, which would take time to build, and does not count references to
    its array arguments: two atomic operations per array and call, most of the time of a small function.
    """
    return _without_counting(function, _OPTIONS)


def _without_counting(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    options = {**options, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    try:
        return numba.njit(function, **options, _nrt=False)
    except (KeyError, TypeError):  # an option that Numba does not promise to keep
        return numba.njit(function, **options)


def exact(function: Callable[..., Any]) -> Any:
    """Compile a function like :func:`inner`, but without :data:`SAFE_FLAGS`: for one particle at a time.

    What the flags allow depends on what LLVM inlines where, and that differs between a process that
    compiles and one that loads from the cache. In loops over blocks there is nothing to choose; in long
    functions there is, and results would differ in the last bit.
    """
    return _without_counting(function, {**_OPTIONS, "fastmath": False})


def allocating(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call, and that makes arrays."""
    return numba.njit(function, **_OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function with Numba: without the GIL, with :data:`SAFE_FLAGS`, cached on disk.

    Machine code is kept in the user's cache folder (or ``NUMBA_CACHE_DIR``) rather than beside the
    sources, which may be read-only or shared; a folder that cannot be written means no cache, not a
    failure. Numba does not notice that a function called from another file has changed, and versions
    of Numba write over each other's files, so every state of the sources has a folder of its own for
    every version of Numba.
    """
    folder = _cache_folder()
    previous = numba.config.CACHE_DIR
    if folder is not None:
        numba.config.CACHE_DIR = folder  # read by Numba when the function is decorated
    try:
        return numba.njit(function, **_OPTIONS, cache=folder is not None)
    finally:
        numba.config.CACHE_DIR = previous


@functools.cache
def _cache_folder() -> str | None:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    folder = _cache_base() / digest.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder) if os.access(folder, os.W_OK) else None


def _cache_base() -> Path:
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR) / "meanfield"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "meanfield" / "numba"
