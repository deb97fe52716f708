"""Checks that the readers share: counts, files, and the problem that is made of a file's arrays."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.archives import check_size
from meanfield.arguments import shown
from meanfield.errors import InputError
from meanfield.problem import Problem


def regular_file(path: str | os.PathLike[str]) -> tuple[Path, int]:
    """Return the path of an existing, non-empty regular file and its size in bytes."""
    try:
        file = Path(path)
        status = os.stat(file)
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}; check the path") from None
    except (TypeError, ValueError):
        raise InputError(f"{shown(path)} is not the path of a file; give a string or a Path") from None
    except OSError as error:
        raise cannot_read(path, error) from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{str(file)!r} is a folder; give the path of a file inside it")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{str(file)!r} is a device or a pipe; give the path of a regular file")
    if status.st_size == 0:
        raise InputError(f"{str(file)!r} is empty; give a file with one row per sample")
    check_size(file, status.st_size)
    return file, status.st_size


def cannot_read(path: str | os.PathLike[str], error: OSError) -> InputError:
    """Return the error for a file that the system refuses to open or read."""
    return InputError(
        f"{str(path)!r} cannot be read ({error.strerror or error}); check the path and its permissions"
    )


def problem_of(path: Path, x: NDArray[np.generic], y: NDArray[np.generic], **how: Any) -> Problem:
    """Return the problem of a file's arrays, with options as Problem has them; errors name the file."""
    if x.ndim > 0 and x.shape[0] == 1:
        raise InputError(
            f"{str(path)!r} holds one sample (x has shape {x.shape}); a regression needs at least two, "
            "one row per sample; is the file transposed?"
        )
    try:
        return Problem(x, y, **{"name": path.stem, **how})
    except InputError as error:
        raise InputError(f"in {str(path)!r} {error}") from None
