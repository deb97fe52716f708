"""Problems from files: the kind of a file is recognised by its first bytes, never by its name alone."""

from __future__ import annotations

import os

from meanfield.arguments import shown
from meanfield.datasets._checks import cannot_read, problem_of, regular_file
from meanfield.datasets._idx import GZIP, looks_like_idx
from meanfield.datasets._npz import read_npz
from meanfield.datasets._text import read_table
from meanfield.datasets.images import load_idx
from meanfield.errors import InputError
from meanfield.problem import Problem


def load(
    path: str | os.PathLike[str], *, bias: bool = True, targets: str | os.PathLike[str] | None = None
) -> Problem:
    """Load a problem from a file; its name is the file's, without the ending.

    ============  ===================================================================================
    kind          contents
    ============  ===================================================================================
    text (CSV)    one line per sample, the target in the last column; separated by commas, semicolons,
                  tabs or white space; ``#`` starts a comment; a header line must be commented out
    NPZ           arrays ``x``, shape (n,) or (n, d_in), and ``y``, shape (n,), as ``np.savez`` writes
                  them; nothing is ever unpickled
    IDX           MNIST-like images, plain or packed by gzip, whose labels are in a second file;
                  scaled as in :func:`load_idx`, which can also select samples and classes
    ============  ===================================================================================

    Parameters
    ----------
    path : path
        The file; for IDX that of the images.
    bias : bool
        Append the bias column.
    targets : path, optional
        The file of the labels; for IDX only.

    Returns
    -------
    Problem
        Features and targets as they are in the file (IDX: pixels in [0, 1], targets in [-1, 1]).

    Raises
    ------
    InputError
        If the file is missing, empty, corrupt or of another kind, holds fewer than two samples or
        anything that is not a finite number.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "parabola.csv")
    ...     _ = path.write_text("# x, y\\n-1, 1\\n0, 0\\n1, 1\\n")
    ...     problem = load(path)
    >>> problem
    Problem('parabola', n=3, d=2, bias=True)
    """
    file, size = regular_file(path)
    try:
        with file.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise cannot_read(file, error) from None
    if start.startswith(GZIP) or looks_like_idx(start):
        if targets is None:
            raise InputError(
                f"{str(file)!r} is an IDX or gzip file, whose labels are in a second file; "
                "give that one as targets, or unpack a packed table first"
            )
        return load_idx(file, targets, bias=bias)
    if targets is not None:
        raise InputError(
            f"targets is {shown(targets)}, but {str(file)!r} is not an IDX file and holds its own "
            "targets; leave targets out"
        )
    if start.startswith(b"\x93NUMPY"):
        raise InputError(
            f"{str(file)!r} holds a single array; save features and targets with np.savez(path, x=x, y=y)"
        )
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")) or file.suffix.lower() == ".npz":
        x, y = read_npz(file, size)
    else:
        x, y = read_table(file)
    return problem_of(file, x, y, bias)
