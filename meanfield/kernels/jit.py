"""How kernels are compiled: flags, cache and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from meanfield.kernels.code_cache import CodeCache, find_folder

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
    """Compile a function with Numba: without the GIL, with :data:`SAFE_FLAGS`, cached on disk if possible.

    See :mod:`meanfield.kernels.code_cache`: a folder that cannot be used means no cache, not a failure.
    """
    folder, why = find_folder()
    previous = numba.config.CACHE_DIR
    if folder is not None:
        numba.config.CACHE_DIR = folder  # read by Numba when the cache is made
    try:
        compiled = numba.njit(function, **_OPTIONS)
        if not hasattr(compiled, "enable_caching"):  # NUMBA_DISABLE_JIT leaves functions to Python
            return compiled
        try:
            if folder is not None:
                compiled.enable_caching()
        except RuntimeError:  # Numba has found no folder
            why = f"no file can be made in {folder}"
        compiled._cache = CodeCache(compiled._cache, why)
        return compiled
    finally:
        numba.config.CACHE_DIR = previous
