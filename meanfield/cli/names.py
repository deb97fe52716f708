"""Names of saved runs: none takes the place of another one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import InputError

if TYPE_CHECKING:
    from meanfield.flow import Trajectory

_STEM = "run"


def save_run(run: Trajectory, out: Path) -> Path:
    """Save a run as ``run.npz``, or ``run-2.npz`` and so on where another run has that name.

    The same run, to the bit, has the same name: a command that is repeated replaces its own files.

    Returns
    -------
    Path
        The file; see :func:`number_of` for the names of what belongs to it.
    """
    for number in itertools.count(1):
        path = out / (f"{_STEM}.npz" if number == 1 else f"{_STEM}-{number}.npz")
        try:
            path.touch(exist_ok=False)  # at once: jobs that share a folder do not share a name
        except FileExistsError:
            if _holds(path, run):
                return run.save(path)
            continue
        try:
            return run.save(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    raise AssertionError  # numbers do not end


def number_of(path: Path) -> str:
    """What files that belong to a saved run have at the end of their names: nothing, or ``-2`` and so on."""
    return path.stem.removeprefix(_STEM)


def _holds(path: Path, run: Trajectory) -> bool:
    """Whether a file is of the same run: same data, same start, same steps, same end."""
    from meanfield.limits import load

    try:
        kept = load(path)
    except InputError:
        return False
    pairs = [(kept.time, run.time), (kept.output, run.output)]
    for mine, theirs in ((kept.initial, run.initial), (kept.final, run.final)):
        pairs += [(getattr(mine, name), getattr(theirs, name)) for name in ("a", "w", "kappa", "kappa_prime")]
    same = kept.problem.fingerprint == run.problem.fingerprint and kept.status is run.status
    return same and all(np.array_equal(one, other) for one, other in pairs)
