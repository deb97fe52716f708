"""NumPy archives: the arrays x and y of an NPZ file, read without unpickling.

The header of an array is checked against the size of its zip member before anything is allocated.
"""

from __future__ import annotations

import ast
import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from meanfield.datasets._checks import DEFLATE_RATIO, check_size
from meanfield.errors import InputError

_MAGIC = b"\x93NUMPY"
_NUMERIC = re.compile(r"[<>|=]?[biuf]\d{1,2}")
_LARGEST_HEADER = 10_000
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, OverflowError)


def read_npz(path: Path, size: int) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return the arrays x and y of an archive whose file has so many bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            missing = [name for name in ("x", "y") if f"{name}.npy" not in members]
            if missing:
                raise InputError(
                    f"{str(path)!r} has no array {' and no array '.join(missing)} (it holds "
                    f"{_listed(members)}); save it with np.savez(path, x=x, y=y)"
                )
            x = _member(path, archive, members["x.npy"], size)
            y = _member(path, archive, members["y.npy"], size)
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(
            f"{str(path)!r} is a corrupt NPZ archive ({error}); save it again with np.savez(path, x=x, y=y)"
        ) from None
    return x, y


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int) -> NDArray[np.generic]:
    name = info.filename.removesuffix(".npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"array {name} is packed by a method that NumPy does not use")
    check_size(path, info.file_size)
    if info.file_size > DEFLATE_RATIO * size:
        raise ValueError(f"array {name} claims {info.file_size} bytes, but the file has {size}")
    with archive.open(info) as stream:
        dtype, shape, fortran = _header(path, name, stream)
        claimed = math.prod(shape) * dtype.itemsize
        if claimed > info.file_size:
            raise ValueError(
                f"the header of array {name} claims shape {shape}, which takes {claimed} bytes, "
                f"but {info.file_size} are there"
            )
        data = stream.read(claimed)
        if len(data) != claimed or stream.read(1):
            raise ValueError(f"the shape {shape} of array {name} does not fit the data that follow")
    flat: NDArray[np.generic] = np.frombuffer(data, dtype=dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _header(path: Path, name: str, stream: IO[bytes]) -> tuple[np.dtype[np.generic], tuple[int, ...], bool]:
    """Return type, shape and order (True: columns first) that the header of an array claims."""
    start = stream.read(8)
    if len(start) < 8 or not start.startswith(_MAGIC) or start[6] not in (1, 2, 3):
        raise ValueError(f"array {name} is not in the NPY format")
    length = int.from_bytes(stream.read(2 if start[6] == 1 else 4), "little")
    if length > _LARGEST_HEADER:
        raise ValueError(f"the header of array {name} claims {length} bytes")
    try:
        header = ast.literal_eval(stream.read(length).decode("latin1").strip())
        descr, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError):
        raise ValueError(f"the header of array {name} cannot be read") from None
    if not (isinstance(descr, str) and _NUMERIC.fullmatch(descr)):
        raise InputError(
            f"array {name} of {str(path)!r} is of type {descr!r}; save real numbers, "
            f"for example np.asarray({name}, dtype=float)"
        )
    if not (isinstance(shape, tuple) and all(type(k) is int and k >= 0 for k in shape)):
        raise ValueError(f"the header of array {name} claims the shape {shape!r}")
    try:
        dtype = np.dtype(descr)
    except TypeError:
        raise ValueError(f"the type {descr!r} of array {name} is unknown") from None
    return dtype, shape, bool(fortran)


def _listed(members: dict[str, zipfile.ZipInfo]) -> str:
    names = [repr(name.removesuffix(".npy")) for name in members]
    return ", ".join(names[:5] + ["..."] * (len(names) > 5)) or "nothing"
