"""Images with class labels as regression problems: scikit-learn's digits, and MNIST-like IDX files."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import RNG, generator, shown, whole_number
from meanfield.datasets._checks import problem_of, regular_file
from meanfield.datasets._idx import read_idx
from meanfield.errors import InputError, MissingExtraError
from meanfield.losses import Loss, as_loss
from meanfield.problem import Problem


def digits(
    n: int = 45,
    *,
    classes: Iterable[int] | None = None,
    rng: RNG = 0,
    bias: bool = True,
    loss: Loss | str = "mean-square",
) -> Problem:
    """Return a selection of scikit-learn's handwritten digits (8 x 8 pixels).

    Pixels are scaled from 0..16 to [0, 1]. The targets of the K classes are equally spaced from
    -1 to 1 in the order in which the classes are given: -1 and 1 for two classes,
    ``(2 * digit - 9) / 9`` for all ten. No image occurs twice.

    Parameters
    ----------
    n : int, default 45
        Number of samples, at least 2.
    classes : iterable of int, optional
        Digits to choose from, at least two; by default all ten.
    rng : int, SeedSequence, Generator or None, default 0
        Which images are chosen; by default always the same. The first samples of a larger
        selection are the smaller one.
    bias : bool, default True
        Append the bias column (d = 65 instead of 64).
    loss : Loss or str, default "mean-square"
        As in :class:`~meanfield.Problem`; "logistic" to classify two classes.

    Returns
    -------
    Problem
        n samples of 64 features.

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    InputError
        If there are fewer than n images of these classes, or a class is not a digit.

    Examples
    --------
    >>> problem = digits(10, classes=(0, 1))
    >>> problem.n, problem.d, sorted(set(problem.y.tolist()))
    (10, 65, [-1.0, 1.0])
    """
    count = whole_number("n", n, least=2)
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError(
            "the digits come with scikit-learn, which is not installed; run pip install 'meanfield-nn[data]'"
        ) from None
    data = load_digits()
    images, labels = np.asarray(data.data, dtype=np.float64), np.asarray(data.target)
    rows, y = _choose("digits", images, labels, count, classes, generator(rng))
    return Problem(images[rows] / 16.0, y, bias=bias, name="digits", loss=as_loss(loss))


def load_idx(
    images: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    *,
    n: int | None = None,
    classes: Iterable[int] | None = None,
    rng: RNG = None,
    bias: bool = True,
    loss: Loss | str = "mean-square",
) -> Problem:
    """Load images and labels in the IDX format of MNIST, each file plain or packed by gzip.

    Pixels are scaled from 0..255 to [0, 1]. The targets of the K classes are equally spaced from
    -1 to 1 in the order in which the classes are given. An image that occurs twice is taken once.

    Parameters
    ----------
    images : path
        File of shape (N, rows, columns) or (N, d_in), unsigned bytes.
    labels : path
        File of shape (N,), unsigned bytes.
    n : int, optional
        Number of samples, at least 2; by default all.
    classes : iterable of int, optional
        Labels to choose from, at least two; by default all that occur, in increasing order.
    rng : int, SeedSequence, Generator or None
        Which images are chosen, and their order; None takes the first ones of the file.
    bias : bool, default True
        Append the bias column.
    loss : Loss or str, default "mean-square"
        As in :class:`~meanfield.Problem`; "logistic" to classify two classes.

    Returns
    -------
    Problem
        Samples of ``rows * columns`` features; the name is that of the file of images.

    Raises
    ------
    InputError
        If a file is missing, corrupt, truncated or of another format, the two do not match, or
        there are fewer than n images of these classes.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images, labels = pathlib.Path(folder, "images"), pathlib.Path(folder, "labels")
    ...     head = lambda *shape: bytes([0, 0, 8, len(shape)]) + b"".join(k.to_bytes(4, "big") for k in shape)
    ...     _ = images.write_bytes(head(3, 1, 2) + bytes([0, 255, 255, 0, 51, 51]))
    ...     _ = labels.write_bytes(head(3) + bytes([7, 1, 7]))
    ...     problem = load_idx(images, labels, bias=False)
    >>> problem.x.tolist(), problem.y.tolist()
    ([[0.0, 1.0], [1.0, 0.0], [0.2, 0.2]], [1.0, -1.0, 1.0])
    """
    count = None if n is None else whole_number("n", n, least=2)
    pixels, marks = read_idx(images), read_idx(labels)
    if marks.ndim != 1 or pixels.ndim < 2:
        raise InputError(
            f"images {os.fspath(images)!r} have shape {pixels.shape} and labels {os.fspath(labels)!r} "
            f"{marks.shape}; give first the images, shape (n, rows, columns), then the labels, shape (n,)"
        )
    if len(pixels) != len(marks):
        raise InputError(
            f"{os.fspath(images)!r} holds {len(pixels)} images but {os.fspath(labels)!r} {len(marks)}; "
            "give images and labels that belong together"
        )
    if len(pixels) < 2 or pixels.size == 0:
        raise InputError(
            f"{os.fspath(images)!r} holds data of shape {pixels.shape}; a regression needs at least "
            "two images, one per label"
        )
    pixels = pixels.reshape(len(pixels), -1)
    source = None if rng is None else generator(rng)
    path, _ = regular_file(images)
    rows, y = _choose(os.fspath(images), pixels, marks, count, classes, source)
    return problem_of(path, pixels[rows] / 255.0, y, bias=bias, loss=as_loss(loss))


def _choose(
    source: str,
    images: NDArray[np.generic],
    labels: NDArray[np.integer],
    n: int | None,
    classes: Iterable[int] | None,
    source_of_order: np.random.Generator | None,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the rows of n different images of these classes, and their targets."""
    chosen = _classes(source, np.unique(labels).tolist(), classes)
    order = np.flatnonzero(np.isin(labels, chosen))
    if source_of_order is not None:
        order = source_of_order.permutation(order)
    distinct: dict[bytes, int] = {}
    for row in order:
        distinct.setdefault(images[row].tobytes(), int(row))
    rows = np.array(list(distinct.values()), dtype=np.intp)[:n]
    if n is not None and len(rows) < n:
        raise InputError(
            f"n is {n}, but {source!r} holds {len(rows)} different images of the classes {chosen}; "
            f"give n <= {len(rows)} or more classes"
        )
    targets = dict(zip(chosen, np.linspace(-1.0, 1.0, len(chosen)), strict=True))
    return rows, np.array([targets[int(label)] for label in labels[rows]])


def _classes(source: str, present: list[int], classes: Iterable[int] | None) -> list[int]:
    try:
        chosen = present if classes is None else [whole_number("a class", k, least=0) for k in classes]
    except (TypeError, ValueError):
        raise InputError(f"classes is {shown(classes)}; give a sequence of labels such as (0, 1)") from None
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        raise InputError(f"the classes are {chosen}; give at least two different labels out of {present}")
    absent = [label for label in chosen if label not in present]
    if absent:
        raise InputError(f"no image of {source!r} has the label {absent[0]}; choose from {present}")
    return chosen
