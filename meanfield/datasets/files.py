"""Problems from files: the kind of a file is recognised by its first bytes, never by its name alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from meanfield.arguments import flag, listed, shown
from meanfield.datasets._checks import cannot_read, problem_of, regular_file
from meanfield.datasets._idx import GZIP, looks_like_idx
from meanfield.datasets._npz import read_npz
from meanfield.datasets._numbers import DecimalMark, ThousandsMark
from meanfield.datasets._text import Marks, read_table
from meanfield.datasets.images import load_idx
from meanfield.errors import InputError
from meanfield.losses import MEAN_SQUARE, Loss
from meanfield.problem import Problem


def load(
    path: str | os.PathLike[str],
    *,
    bias: bool = True,
    columns: Sequence[str] | None = None,
    standardise: bool = False,
    standardise_targets: bool = False,
    targets: str | os.PathLike[str] | None = None,
    delimiter: str | None = None,
    decimal: DecimalMark | None = None,
    thousands: ThousandsMark | None = None,
    loss: Loss | str | None = None,
) -> Problem:
    """Load a problem from a file; its name is the file's, without the ending.

    ============  ===================================================================================
    kind          contents
    ============  ===================================================================================
    text (CSV)    one line per sample, the target in the last column; separated by commas, semicolons,
                  tabs or white space, which may be in cells in quotes; ``#`` starts a comment; a first
                  line of text is a header; UTF-8, or UTF-16 with a byte order mark
    NPZ           arrays ``x``, shape (n,) or (n, d_in), and ``y``, shape (n,), as ``np.savez`` writes
                  them; nothing is ever unpickled
    IDX           MNIST-like images, plain or packed by gzip, whose labels are in a second file;
                  scaled as in :func:`load_idx`, which can also select samples and classes
    ============  ===================================================================================

    Parameters
    ----------
    path : path
        The file; for IDX that of the images.
    bias : bool, default True
        Append the bias column.
    columns : sequence of str, optional
        Text only: the columns to read, the target last, by their names in the header or, where there is
        none, by their numbers "1", "2", ...; by default all. Other columns may hold anything.
    standardise : bool, default False
        Shift and scale every feature to mean 0 and standard deviation 1 over the samples, without which
        features such as temperatures in kelvin lie far from where random neurons bend. The problem keeps
        the shift and the scale (``problem.standardisation``), so that ``predict`` takes and gives the units
        of the file.
    standardise_targets : bool, default False
        The same for the targets.
    targets : path, optional
        The file of the labels; for IDX only.
    delimiter : str, optional
        Text only: the character between cells, a space for any white space; by default recognised in the
        first line.
    decimal : {".", ","}, optional
        Text only: the decimal mark; by default recognised: "0,5" is a number with a decimal comma. What may
        be read in two ways, such as "1,234", is an error that asks. Without commas, a point is a decimal
        point.
    thousands : {",", ".", " ", "'"}, optional
        Text only: the mark between thousands; by default recognised where cells have both marks, as in
        "1,234.5", or one of them twice.
    loss : Loss or str, optional
        As in :class:`~meanfield.Problem`, which says it if targets look like class labels and no loss is
        given; for IDX the mean square without a word.

    Returns
    -------
    Problem
        Features and targets as they are in the file (IDX: pixels in [0, 1], targets in [-1, 1]), but for
        ``standardise``.

    Raises
    ------
    InputError
        If the file is missing, empty, corrupt or of another kind, holds fewer than two samples or
        anything that is not a finite number, or may be two, in the columns that are read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "parabola.csv")
    ...     _ = path.write_text("# x, y\\n-1, 1\\n0, 0\\n1, 1\\n")
    ...     problem = load(path)
    >>> problem
    <Problem 'parabola': n=3, d=2, bias=True>

    A table as it comes, with names, an index and a remark:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "oven.csv")
    ...     _ = path.write_text(",kelvin,yield,who\\n0,290,1.0,A\\n1,310,2.0,B\\n2,330,4.0,A\\n")
    ...     problem = load(path, columns=["kelvin", "yield"], standardise=True)
    >>> problem.x[:, 0].round(3).tolist(), problem.y.tolist()
    ([-1.225, 0.0, 1.225], [1.0, 2.0, 4.0])
    >>> problem.features[:, 0].round(6).tolist(), problem.feature_names, problem.target_name
    ([290.0, 310.0, 330.0], ('kelvin',), 'yield')
    """
    features, of_targets = flag("standardise", standardise), flag("standardise_targets", standardise_targets)
    problem = _load(path, bias, _names(columns), targets, Marks(delimiter, decimal, thousands), loss)
    if not (features or of_targets):
        return problem
    try:
        return problem.standardised(
            features=features, targets=of_targets, name=f"{problem.name}, standardised"
        )
    except InputError as error:
        raise InputError(f"in {os.fspath(path)!r} {error}") from None


def _names(columns: Sequence[str] | None) -> list[str] | None:
    """Columns that a user chose, checked as far as that goes without the file."""
    if columns is None:
        return None
    expected = "the names of at least two different columns, the target last"
    names = listed("columns", columns, expected)
    if len(names) < 2 or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InputError(f"columns is {shown(columns)}; give {expected}")
    return names


def _refuse_for_text(file: Path, columns: list[str] | None, marks: Marks) -> None:
    """Raise InputError if something was given that only tables of text have."""
    if columns is not None:
        raise InputError(f"columns are chosen, but {str(file)!r} is no table of text; leave columns out")
    for name, value in asdict(marks).items():
        if value is not None:
            raise InputError(f"{name} is {value!r}, but {str(file)!r} is no table of text; leave {name} out")


def _load(
    path: str | os.PathLike[str],
    bias: bool,
    columns: list[str] | None,
    targets: str | os.PathLike[str] | None,
    marks: Marks,
    loss: Loss | str | None,
) -> Problem:
    file, size = regular_file(path)
    try:
        with file.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise cannot_read(file, error) from None
    idx = start.startswith(GZIP) or looks_like_idx(start)
    npz = start.startswith((b"PK\x03\x04", b"PK\x05\x06")) or file.suffix.lower() == ".npz"
    if idx or npz:
        _refuse_for_text(file, columns, marks)
    if idx:
        if targets is None:
            raise InputError(
                f"{str(file)!r} is an IDX or gzip file, whose labels are in a second file; "
                "give that one as targets, or unpack a packed table first"
            )
        return load_idx(file, targets, bias=bias, loss=MEAN_SQUARE if loss is None else loss)
    if targets is not None:
        raise InputError(
            f"targets is {shown(targets)}, but {str(file)!r} is not an IDX file and holds its own "
            "targets; leave targets out"
        )
    if start.startswith(b"\x93NUMPY"):
        raise InputError(
            f"{str(file)!r} holds a single array; save features and targets with np.savez(path, x=x, y=y)"
        )
    if npz:
        return problem_of(file, *read_npz(file, size), bias=bias, loss=loss)
    x, y, names = read_table(file, columns, marks)
    if names is None or len(set(names[:-1])) < len(names) - 1:  # two columns of one name have none
        return problem_of(file, x, y, bias=bias, loss=loss)
    columns_of = {"feature_names": names[:-1], "target_name": names[-1]}
    return problem_of(file, x, y, bias=bias, loss=loss, **columns_of)
