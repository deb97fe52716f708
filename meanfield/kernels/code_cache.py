"""Machine code of kernels on disk, as a help and never as a reason to fail.

Numba's cache raises what the file system or the unpickler raises: on a full disk, and on a damaged file in
every later process. Here such a cache is set aside and said to be so, once; kernels are compiled again.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import multiprocessing
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numba

_LOGGER = logging.getLogger("meanfield")
_REMEDY = (
    "every process compiles them again, in about a minute: make room there, or set NUMBA_CACHE_DIR to a "
    "folder that can be written"
)
_DIGEST = hashlib.sha256().digest_size


class CodeCache:
    """What a Numba function asks for machine code, around the cache that Numba has made for it.

    Parameters
    ----------
    cache : object
        Numba's cache of the function.
    why : str
        Why it is not one on disk; empty if it is.
    """

    def __init__(self, cache: Any, why: str) -> None:
        self._cache, self._why = cache, why
        if not why:
            _check_contents(cache._cache_file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Machine code for a signature; None if it has to be compiled."""
        if self._why:
            say_once(f"compiled kernels are not kept ({self._why}); {_REMEDY}")
            return None
        try:
            return self._cache.load_overload(signature, context)
        except Exception as error:  # whatever an unpickler makes of a damaged file
            say_once(
                f"a file of compiled kernels in {self._cache.cache_path} cannot be used ({_brief(error)}); "
                "it is set aside, and they are compiled again"
            )
            self._flush()
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep machine code, if that is possible."""
        try:
            self._cache.save_overload(signature, result)
        except Exception as error:  # no space, a quota, a folder that is gone
            say_once(
                f"compiled kernels cannot be kept in {self._cache.cache_path} ({_brief(error)}); {_REMEDY}"
            )

    def _flush(self) -> None:
        try:
            self._cache.flush()
        except OSError:
            self._cache.disable()


def say_once(text: str) -> None:
    """Log a warning, one for each process, to standard error where nobody has asked for another place."""
    if _said:
        return
    _said.append(text)
    # Worker processes find what their parent has found, and said.
    level = logging.WARNING if multiprocessing.parent_process() is None else logging.INFO
    _LOGGER.log(level, "%s", text)


_said: list[str] = []


@functools.cache
def find_folder() -> tuple[str | None, str]:
    """The folder for the sources as they are, and why there is none.

    Machine code is kept in the user's cache folder (or ``NUMBA_CACHE_DIR``) rather than beside the sources,
    which may be read-only or shared. Numba does not notice that a function called from another file has
    changed, and versions of Numba write over each other's files, so every state of the sources has a folder
    of its own for every version of Numba.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    try:
        folder = _base() / digest.hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        return None, _brief(error)
    if not os.access(folder, os.W_OK):
        return None, f"{folder} cannot be written"
    return str(folder), ""


def _base() -> Path:
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR) / "meanfield"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "meanfield" / "numba"


def _check_contents(file: Any) -> None:
    """Keep a digest before each file's machine code: damaged code would end the process, not raise."""

    def save(name: str, data: Any) -> None:
        code = file._dump(data)
        with file._open_for_write(file._data_path(name)) as stream:
            stream.write(hashlib.sha256(code).digest() + code)

    def load(name: str) -> Any:
        content = Path(file._data_path(name)).read_bytes()
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            raise ValueError(f"{name} is damaged")
        return pickle.loads(content[_DIGEST:])

    file._save_data, file._load_data = save, load


def _brief(error: Exception) -> str:
    return str(error) or type(error).__name__
