"""Tables that users give: data frames and series of pandas, Polars and others, and plain arrays.

Narwhals tells the libraries apart. It is imported only when something that is not NumPy's comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import listed, shown, squarable_array
from meanfield.errors import InputError

Array = NDArray[np.float64]

#: Names that an error lists at most.
_MOST_NAMES = 8


@dataclass(frozen=True, eq=False)
class UserTable:
    """Numbers with what a table knows of them.

    Attributes
    ----------
    values : ndarray
        As given: one dimension for a series, two for a data frame.
    names : tuple of str or None
        Of the columns, if all are text; a series has one.
    labels : pandas.Index or None
        Of the rows, in libraries that have them.
    """

    values: Array
    names: tuple[str, ...] | None = None
    labels: Any = None

    def inputs(self) -> Array:
        """The values as samples, shape (n, d_in), one row each."""
        array = self.values[:, None] if self.values.ndim == 1 else self.values
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(f"x has shape {self.values.shape}; give (n,) or (n, d_in) with n, d_in >= 1")
        return array

    def targets(self) -> Array:
        """The values as targets, shape (n,), or (n, c) for c > 1 columns."""
        values = self.values
        array = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
        if array.ndim not in (1, 2) or array.size == 0:
            raise InputError(
                f"y has shape {values.shape}; give one target per sample, shape (n,), or one for each of c "
                "outputs, shape (n, c)"
            )
        return array

    def in_order_of(self, names: Sequence[str]) -> UserTable:
        """The same columns in the order of these names; one row of a data frame becomes a table of one row.

        What has no names stays as it is.

        Raises
        ------
        InputError
            If a column is missing or unknown.
        """
        if self.values.ndim == 1 and self._is_row(names):
            labels = [str(label) for label in self.labels]
            _check_names(labels, names, "entry", "entries")
            return UserTable(self.values[[labels.index(name) for name in names]][None, :])
        if self.names is None:
            return self
        _check_names(self.names, names, "column", "columns")
        if self.values.ndim == 1:
            return self
        order = [self.names.index(name) for name in names]
        return replace(self, values=self.values[:, order], names=tuple(names))

    def _is_row(self, names: Sequence[str]) -> bool:
        """Whether a series holds one value for each column, not many values of one."""
        labels = [] if self.labels is None else list(self.labels)
        text = bool(labels) and all(isinstance(label, str) for label in labels)
        return text and (len(names) > 1 or labels == list(names))


@dataclass(frozen=True, eq=False)
class UserSamples:
    """What features and targets hold: shapes (n, d_in) and (n,), and the names of both."""

    inputs: Array
    targets: Array
    feature_names: tuple[str, ...] | None
    target_name: str | None


def read_samples(x: Any, y: Any) -> UserSamples:
    """Return the features and targets that a user gave, row by row.

    Raises
    ------
    InputError
        If rows do not belong together, or nothing can be learned from them.
    """
    features = read_table("x", x)
    marks = _aligned(features, read_table("y", y))
    inputs, targets = features.inputs(), marks.targets()
    if inputs.shape[0] != targets.shape[0]:
        hint = (
            "; give a single sample as x of shape (1, d_in)"
            if targets.shape[0] == 1
            else "; give one row of x for each entry of y"
        )
        raise InputError(f"x holds {inputs.shape[0]} samples but y holds {targets.shape[0]}{hint}")
    if not inputs.any():
        raise InputError(
            f"every input of the {inputs.shape[0]} samples is zero, so nothing can be learned from "
            "them; give x with at least one non-zero entry"
        )
    return UserSamples(inputs, targets, features.names, marks.names[0] if marks.names else None)


def read_table(name: str, data: Any) -> UserTable:
    """Return what a user gave as numbers, with the names of columns and the labels of rows if it has them.

    Raises
    ------
    InputError
        If entries are not finite real numbers, or columns have no names of their own.
    """
    frame = _frame(name, data)
    if frame is None:
        return UserTable(squarable_array(name, data))
    import narwhals.stable.v2 as nw

    labels = nw.maybe_get_index(frame)
    if isinstance(frame, nw.Series):
        names = _names(name, [frame.name]) if isinstance(frame.name, str) else None
        return UserTable(squarable_array(name, frame.to_numpy()), names, labels)
    names = _names(name, frame.columns)
    columns = [
        squarable_array(f"column {column.name!r} of {name}", column.to_numpy())
        for column in frame.iter_columns()
    ]
    values = np.column_stack(columns) if columns else np.zeros((len(frame), 0))
    return UserTable(values, names, labels)


def column_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Names that a user gave to so many features."""
    found = listed("feature_names", names, "one name for each feature")
    if len(found) != count or not all(isinstance(name, str) for name in found) or len(set(found)) < count:
        raise InputError(
            f"feature_names is {shown(names)}; give {count} different names, one for each feature"
        )
    return tuple(found)


def _aligned(x: UserTable, y: UserTable) -> UserTable:
    """Return the targets in the order of the features' row labels; by position where either has none.

    Raises
    ------
    InputError
        If the labels differ, or repeat in another order.
    """
    if x.labels is None or y.labels is None or len(x.labels) != len(y.labels) or x.labels.equals(y.labels):
        return y
    remedy = (
        "give both with the same labels, or as arrays (x.to_numpy(), y.to_numpy()) to pair them by position"
    )
    if not (x.labels.is_unique and y.labels.is_unique):
        raise InputError(f"the row labels of x and y are in different orders, and some occur twice; {remedy}")
    order = y.labels.get_indexer(x.labels)
    if np.any(order < 0):
        alone = x.labels[int(np.argmax(order < 0))]
        raise InputError(f"the row labels of x and y differ (y has no row {shown(alone)}); {remedy}")
    return replace(y, values=y.values[order], labels=x.labels)


def _listed(names: Sequence[str]) -> str:
    """Names in quotes for an error, cut to a readable number."""
    quoted = [repr(name) for name in names[:_MOST_NAMES]]
    return ", ".join(quoted) + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def _frame(name: str, data: Any) -> Any:
    """What Narwhals makes of a data frame or series; None for all else."""
    if type(data).__module__.partition(".")[0] in ("builtins", "numpy"):
        return None
    import narwhals.stable.v2 as nw

    try:
        frame = nw.from_native(data, allow_series=True, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            raise InputError(f"{name} is a lazy table, whose rows are not there yet; give {name}.collect()")
        if isinstance(frame, nw.DataFrame):
            _ = frame.columns
    except nw.exceptions.DuplicateError:
        columns = list(data.columns)
        twice = next(column for column in columns if columns.count(column) > 1)
        raise InputError(
            f"{name} has {columns.count(twice)} columns called {twice!r}; give each column a name of its own"
        ) from None
    return frame if isinstance(frame, nw.DataFrame | nw.Series) else None


def _names(name: str, columns: Sequence[Any]) -> tuple[str, ...] | None:
    """Names of columns if all are text, as scikit-learn has it; None if none is."""
    text = [isinstance(column, str) for column in columns]
    if any(text) and not all(text):
        other = columns[text.index(False)]
        raise InputError(
            f"{name} has columns named by text and one named {shown(other)}; name all of them by text, for "
            f"example {name}.columns = {name}.columns.astype(str)"
        )
    return tuple(columns) if any(text) else None


def _check_names(given: Sequence[str], known: Sequence[str], one: str, many: str) -> None:
    missing = [name for name in known if name not in given]
    unknown = [name for name in given if name not in known]
    faults = [
        f"{what} {one if len(names) == 1 else many} {_listed(names)}"
        for what, names in (("no", missing), ("the unknown", unknown))
        if names
    ]
    if faults:
        raise InputError(
            f"x has {' and '.join(faults)}; give the {many} {_listed(known)} of the problem, in any order"
        )
