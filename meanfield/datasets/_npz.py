"""NumPy archives: the arrays x and y of an NPZ file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meanfield.archives import UNREADABLE, read_member
from meanfield.errors import InputError


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
            x = read_member(path, archive, members["x.npy"], size)
            y = read_member(path, archive, members["y.npy"], size)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(
            f"{str(path)!r} is a corrupt NPZ archive ({error}); save it again with np.savez(path, x=x, y=y)"
        ) from None
    return x, y


def _listed(members: dict[str, zipfile.ZipInfo]) -> str:
    names = [repr(name.removesuffix(".npy")) for name in members]
    return ", ".join(names[:5] + ["..."] * (len(names) > 5)) or "nothing"
