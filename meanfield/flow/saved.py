"""What a saved run has to be like, before it is believed; files of earlier versions."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.activations import Activation, as_activation, named
from meanfield.archives import read_member
from meanfield.arguments import check_types, file_path, shown, squarable_array
from meanfield.errors import InputError
from meanfield.flow.moments import RECORDED
from meanfield.flow.status import Status
from meanfield.flow.target import LossTarget
from meanfield.particles import Particles
from meanfield.problem import Problem

#: Format of the files that are written; :func:`upgraded` brings older ones to it.
FORMAT = 4
#: What a file may hold, in words, and what reads it.
KINDS = {
    "run": ("the run of a network", "Trajectory.load"),
    "limit": ("a limit of infinite width", "InfiniteWidth.load"),
    "diagram": ("a phase diagram", "PhaseDiagram.load"),
}
#: Members that hold text; "limit" is that of limits of infinite width.
_TEXTS = ("meta", "limit")
#: Arrays over the saved times.
SERIES = RECORDED
#: The user's own activation makes the outputs that were saved, to this share of outputs and targets.
_SAME_OUTPUTS = 1e-6
#: Parameters at the saved times, if they were asked for.
SAVED = ("saved_a", "saved_w")


class ActivationError(InputError):
    """The file is good, the activation to read it with is not; the sentence goes on from the file's name."""


def write_archive(
    path: str | os.PathLike[str], meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], what: str
) -> Path:
    """Write an NPZ file without pickles, which replaces an older one only once it is complete.

    Parameters
    ----------
    path : path-like
        Where to write; ``.npz`` is appended if missing.
    meta : mapping
        What the file says of itself: its kind, texts and numbers.
    arrays : mapping
        Arrays by name.
    what : str
        What is written, for the error.
    """
    target = file_path("path", path)
    if target.suffix != ".npz":
        target = target.with_name(target.name + ".npz")
    temporary = target.with_name(target.name + ".part")
    known = {"format": FORMAT, **meta}
    try:
        with temporary.open("wb") as file:
            np.savez(file, meta=np.array(json.dumps(known)), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())  # complete on the disk before it replaces another
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{what} cannot be written to {target} ({error}); give a writable place") from None
    return target


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a file says of itself, in today's format, and its arrays."""
    file = Path(path)
    size = file.stat().st_size
    with zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        arrays: dict[str, Any] = {
            name: read_member(file, archive, info, size, text=name in _TEXTS)
            for name, info in members.items()
        }
    return upgraded(json.loads(str(arrays.pop("meta"))), arrays), arrays


def upgraded(meta: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """What a file says of itself, in today's format.

    Format 1 did not name its kind: a limit is a file with an array of that name. Format 2 knew no
    standardisation and no names of columns, format 3 the ReLU only.

    Raises
    ------
    InputError
        If a later version of this package has written it.
    """
    version = meta["format"]
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise InputError(f"its format is {shown(version)}, this version reads 1 to {FORMAT}")
    if version < 2:
        meta = {**meta, "format": 2, "kind": "limit" if "limit" in names else "run"}
    if version < 3:
        plain = {"feature_names": None, "target_name": None, "standardisation": None}
        meta = {**meta, "format": 3, "problem": {"bias": meta["bias"], "name": meta["name"], **plain}}
    if version < 4:
        meta = {**meta, "format": 4, "activation": "relu", "beta2": 1.0}
    return meta


def check_series(
    arrays: Mapping[str, NDArray[Any]], *, shape: tuple[int, ...], initial: Particles, status: Status
) -> None:
    """Raise InputError unless these can be a run's series: shapes, types, times in order, finite numbers.

    Only what a descent has found that diverged may be beyond all numbers.
    """
    steps = len(arrays["time"])
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(SERIES, (steps,)) | {"output": (steps, *shape)}
    if any(name in arrays for name in SAVED):
        shapes |= {"saved_a": (steps, *initial.a.shape), "saved_w": (steps, *initial.w.shape)}
    for name, expected in shapes.items():
        array = arrays[name]
        if array.shape != expected or array.dtype != np.float64:
            raise InputError(
                f"{name} has shape {array.shape} of {array.dtype}, expected {expected} of float64"
            )
    if "margin" in arrays and arrays["margin"].shape != (steps,):
        raise InputError(f"margin has shape {arrays['margin'].shape}, expected ({steps},)")
    time = arrays["time"]
    if steps < 1 or time[0] != 0.0 or not np.all(np.diff(time) >= 0.0) or not np.isfinite(time[-1]):
        raise InputError("its times do not begin at 0 and rise")
    for name in shapes:
        # A layer that starts at zero has moved infinitely far.
        wrong = np.isnan(arrays[name]) if name in ("rd_w", "rd_a") else ~np.isfinite(arrays[name])
        if np.any(wrong) and status is not Status.DIVERGED:
            raise InputError(f"{name} holds what is no finite number")
        if name in ("loss", "rd_w", "rd_a") and np.any(arrays[name] < 0.0):
            raise InputError(f"{name} is negative")


def asked_times(asked: NDArray[Any]) -> NDArray[np.float64]:
    """The times that a run was asked to keep, as its file has them beside start and end."""
    if asked.ndim != 1 or not np.all(np.isfinite(asked)) or not np.all(np.diff(asked) > 0.0):
        raise InputError("the times that were asked for do not rise")
    return np.asarray(asked, dtype=np.float64)


def kept_target(kept: Any) -> LossTarget | None:
    """The loss at which a run was to end, as its file has it; earlier versions did not keep it."""
    if kept is None:
        return None
    target = LossTarget(**kept)
    check_types(target)
    return target


def final_particles(initial: Particles, a: NDArray[Any], w: NDArray[Any], status: Status) -> Particles:
    """The network at the end of a run; one that diverged may be larger than any that may start."""
    for name, array, like in (("a", a, initial.a), ("w", w, initial.w)):
        if array.shape != like.shape or array.dtype != np.float64:
            raise InputError(f"{name} at its end has shape {array.shape}, expected {like.shape}")
    if status is Status.DIVERGED:
        return initial.moved(a, w)
    for name, array in (("a", a), ("w", w)):
        squarable_array(f"{name} at its end", array)
    return initial.moved(a, w)


def with_activation(meta: dict[str, Any], given: Activation | None) -> dict[str, Any]:
    """What a file says of itself, its activation's name replaced by the activation.

    Raises
    ------
    ActivationError
        If the file has that of a user who has not given it, has another one, or has none.
    """
    name = meta.get("activation")
    if name is None:
        if given is None:
            return meta
        raise ActivationError(
            f"holds {KINDS[meta['kind']][0]}, which has no activation; leave activation out"
        )
    known = named(name)
    if given is None:
        if known is None:
            raise ActivationError(
                f"has the activation {shown(name)}, which is not one of this package; read it with "
                "load(path, activation=...), which takes that activation as it was given to the network"
            )
        return {**meta, "activation": known}
    chosen = as_activation(given)
    if chosen != known and chosen.name != name:
        raise ActivationError(
            f"has the activation {shown(name)}, but the one given is called {shown(chosen.name)}; give the "
            "activation with which the run was made" + ("" if known is None else ", or leave it out")
        )
    return {**meta, "activation": chosen}


def check_outputs(particles: Particles, problem: Problem, saved: NDArray[np.float64]) -> None:
    """Raise unless a network with the user's own activation makes the outputs that were saved.

    Raises
    ------
    ActivationError
        If it does not.
    """
    if named(particles.activation.name) is not None or not np.all(np.isfinite(saved)):
        return
    found = particles.output(problem.x)
    size = float(np.abs(saved).max() + np.abs(problem.y).max())
    if not np.allclose(found, saved, rtol=0.0, atol=_SAME_OUTPUTS * size):
        raise ActivationError(
            f"was not made with this activation {shown(particles.activation.name)}: an output at the end of "
            f"the run was {saved[0]:g}, and with it is {found[0]:g}; give the activation as it was then"
        )
