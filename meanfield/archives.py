"""Files of arrays, read without trust: no pickles, and no more memory than the file itself accounts for.

NumPy reads headers and data. It allocates what a header claims before it looks whether the data are
there, and unpacks whatever it is given, so that both are checked here before.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
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

#: As many bytes of an array are given to NumPy to read its header from; honest ones have a hundred.
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
        dtype, shape = _header(name, stream.read(_LARGEST_HEADER))
    if dtype.kind not in ("U" if text else "biuf"):
        raise InputError(
            f"array {name} of {str(path)!r} is of type {dtype.str!r}; save real numbers, "
            f"for example np.asarray({name}, dtype=float)"
        )
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
    with archive.open(info) as stream:
        array: NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
        if stream.read(1):
            raise ValueError(f"the shape {shape} of array {name} does not fit the data that follow")
    return array


def _header(name: str, start: bytes) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    """Return type and shape that the header of an array claims."""
    stream = io.BytesIO(start)
    try:
        version = npy.read_magic(stream)
        # Version 3 differs from 2 in names of fields only, which no array of numbers has.
        read = {(1, 0): npy.read_array_header_1_0}.get(version, npy.read_array_header_2_0)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError
    except ValueError:
        raise ValueError(f"array {name} is not in the NPY format") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of headers that NumPy has to mend first
            shape, _, dtype = read(stream)
    except Exception as error:  # of all kinds: the header is read as Python code
        reason = " ".join(str(error).split())[:100]
        raise ValueError(f"the header of array {name} cannot be read ({reason})") from None
    if not all(type(k) is int and k >= 0 for k in shape):
        raise ValueError(f"the header of array {name} claims the shape {shape!r}")
    return dtype, shape
