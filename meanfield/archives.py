"""Files of arrays, read without trust: no pickles, and no more memory than the file itself accounts for.

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

from meanfield.errors import InputError

#: More unpacked data than this is refused (2 GiB): a corrupt or crafted size would otherwise
#: exhaust the memory, and no honest data set of this package comes near.
LARGEST = 1 << 31
#: Packed data may become this many bytes of doubles (512 MiB), or hundred times their file: a byte becomes
#: eight, so that a crafted file of some hundred kilobytes would otherwise take gigabytes.
UNPACKED, UNPACKED_SHARE = 1 << 29, 100
#: Deflate cannot shrink data by more than this factor, so a packed file bounds its contents.
DEFLATE_RATIO = 1032
#: What reading a corrupt archive may raise.
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip

_MAGIC = b"\x93NUMPY"
_NUMERIC, _TEXT = re.compile(r"[<>|=]?[biuf]\d{1,2}"), re.compile(r"[<>=]?U\d{1,7}")
_LARGEST_HEADER = 10_000


def check_size(path: Path, size: int) -> None:
    """Raise InputError if a file claims more data than is accepted."""
    if size > LARGEST:
        raise InputError(
            f"{str(path)!r} claims {size} bytes of data, more than the {LARGEST} accepted here; "
            "if the file is not corrupt, save a selection of its samples"
        )


def read_member(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int, *, text: bool = False
) -> NDArray[np.generic]:
    """Return an array of real numbers (or of text) of an NPZ archive whose file has so many bytes.

    Raises
    ------
    InputError
        If it holds something else, or more data than is accepted.
    ValueError or another of ``UNREADABLE``
        If it is corrupt.
    """
    name = info.filename.removesuffix(".npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"array {name} is packed by a method that NumPy does not use")
    packed = info.compress_type == zipfile.ZIP_DEFLATED
    if packed:
        check_size(path, info.file_size)
    if info.file_size > (DEFLATE_RATIO if packed else 1) * size:
        raise ValueError(f"array {name} claims {info.file_size} bytes, but the file has {size}")
    with archive.open(info) as stream:
        dtype, shape, fortran = _header(path, name, stream, text)
        claimed = math.prod(shape) * dtype.itemsize
        if claimed > info.file_size:
            raise ValueError(
                f"the header of array {name} claims shape {shape}, which takes {claimed} bytes, "
                f"but {info.file_size} are there"
            )
        doubles = 8 * math.prod(shape)
        if not text:
            check_size(path, doubles)
        if packed and doubles > max(UNPACKED, UNPACKED_SHARE * size):
            raise InputError(
                f"array {name} of {str(path)!r} holds {doubles // 8} numbers in a file of {size} bytes; if "
                "this is meant, save it without compression (np.savez)"
            )
        data = stream.read(claimed)
        if len(data) != claimed or stream.read(1):
            raise ValueError(f"the shape {shape} of array {name} does not fit the data that follow")
    flat: NDArray[np.generic] = np.frombuffer(data, dtype=dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _header(
    path: Path, name: str, stream: IO[bytes], text: bool
) -> tuple[np.dtype[np.generic], tuple[int, ...], bool]:
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
    if not (isinstance(descr, str) and (_TEXT if text else _NUMERIC).fullmatch(descr)):
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
