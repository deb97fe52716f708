"""The IDX format of MNIST: a big-endian header with the shape, then bytes; gzip or plain."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meanfield.archives import DEFLATE_RATIO, check_size
from meanfield.datasets._checks import cannot_read, regular_file
from meanfield.errors import InputError

GZIP = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
_OTHER_TYPES = {0x09, 0x0B, 0x0C, 0x0D, 0x0E}


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def looks_like_idx(start: bytes) -> bool:
    """Tell whether a file that begins with these bytes is meant to be IDX."""
    return len(start) >= 3 and start[:2] == b"\0\0" and start[2] in {_UNSIGNED_BYTE, *_OTHER_TYPES}


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Return the array of an IDX file of unsigned bytes, in the shape that its header claims."""
    file, size = regular_file(path)
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == GZIP
            raw.seek(0)
            if not packed:
                return _read(file, raw, size, exact=True)
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read(file, stream, DEFLATE_RATIO * size, exact=False)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{str(file)!r} is a corrupt gzip file ({error}); download it or pack it again"
        ) from None
    except OSError as error:
        raise cannot_read(file, error) from None


def _read(file: Path, stream: _Stream, bound: int, *, exact: bool) -> NDArray[np.uint8]:
    """Read header and data; ``bound`` is the size of the contents, exactly or at most."""
    shape, used = _header(file, stream)
    claimed, there = math.prod(shape), bound - used
    if claimed > there or (exact and claimed != there):
        raise _mismatch(file, shape, str(there) if exact else f"at most {there}")
    check_size(file, claimed)
    data = stream.read(claimed)
    if len(data) != claimed:
        raise _mismatch(file, shape, str(len(data)))
    if stream.read(1):
        raise _mismatch(file, shape, f"more than {claimed}")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _header(file: Path, stream: _Stream) -> tuple[tuple[int, ...], int]:
    """Return the shape that the header claims, and the header's length in bytes."""
    start = stream.read(4)
    if len(start) < 4 or not looks_like_idx(start):
        raise InputError(
            f"{str(file)!r} is not an IDX file (it begins with {start.hex(' ') or 'nothing'}); give a file "
            "in the MNIST format, or unpack a packed table first"
        )
    if start[2] != _UNSIGNED_BYTE:
        raise InputError(
            f"{str(file)!r} is an IDX file of type {start[2]:#04x}; only unsigned bytes (0x08) are read: "
            "save other data as NPZ with arrays x and y"
        )
    sizes = stream.read(4 * start[3])
    if start[3] == 0 or len(sizes) < 4 * start[3]:
        raise InputError(
            f"{str(file)!r} is a truncated IDX file: its header claims {start[3]} dimensions; "
            "download or write it again"
        )
    shape = tuple(int(k) for k in np.frombuffer(sizes, dtype=">u4"))
    if len(shape) > 3:
        raise InputError(
            f"{str(file)!r} has {len(shape)} dimensions; give images (n, rows, columns) or labels (n,)"
        )
    return shape, 4 + len(sizes)


def _mismatch(file: Path, shape: tuple[int, ...], there: str) -> InputError:
    return InputError(
        f"the header of {str(file)!r} claims shape {shape}, {math.prod(shape)} bytes of data, but {there} "
        "are there; the file is truncated or corrupt: download or write it again"
    )
