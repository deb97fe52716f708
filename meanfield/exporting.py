"""Results as tables of pandas and data sets of xarray, with coordinates and units.

Both packages are imported where they are used: a result needs none of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas
    import xarray

#: What names of columns and variables mean, and their units: tbar is normalised time, y the targets' unit,
#: 1 a plain number.
MEANINGS = {
    "time": ("normalised time t / (beta1 beta2)", "tbar"),
    "loss": ("loss R = (1/2n) sum (f - y)**2", "y**2"),
    "accuracy": ("share of the samples on the right side", "1"),
    "margin": ("least y f over (1/alpha) sum (a**2 + |w|**2)", "x"),
    "limit_loss": ("loss of the limit", "y**2"),
    "output": ("network output on the samples", "y"),
    "residual": ("residual f - y on the samples", "y"),
    "output_deviation": ("root mean square difference of the outputs", "y"),
    "doubt": ("change of the output from a quarter of the nodes", "y"),
    "target": ("targets", "y"),
    "input": ("samples without the bias column", "x"),
    "rd_w": ("relative displacement of the input weights", "1"),
    "rd_a": ("relative displacement of the output weights", "1"),
    "rd_w_max": ("supremum of RD_w over the run", "1"),
    "rd_a_max": ("supremum of RD_a over the run", "1"),
    "a": ("output weights", "1"),
    "w": ("input weights", "1"),
    "gamma": ("exponent of 1/kappa", "1"),
    "gamma_prime": ("exponent of 1/kappa'", "1"),
    "gamma_star": ("zero of the measured S_w", "1"),
    "S_w": ("measured exponent of RD_w", "1"),
    "S_a": ("measured exponent of RD_a", "1"),
    "predicted_S_w": ("exponent of RD_w for m -> infinity", "1"),
    "predicted_S_a": ("exponent of RD_a for m -> infinity", "1"),
    "width": ("number of neurons m", "1"),
    "rate": ("growth rate in canonical time s = kappa tbar", "1/s"),
    "nonlinearity": ("estimated relative error by the change of the kernel", "1"),
    "time_exponent": ("exponent of the training time in s = kappa tbar", "1"),
    "kernel_change": ("relative change of the tangent kernel", "1"),
    "kernel_alignment": ("alignment of the kernel with the targets", "1"),
    "orientations": ("effective number of orientations", "1"),
    "dead": ("share of neurons inactive on every sample", "1"),
    "pinned": ("share of neurons with the kink on a sample", "1"),
    "pinned_amplitude": ("share of the amplitude with the kink on a sample", "1"),
}


def imported(package: str, what: str) -> Any:
    """A package that only some results need.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingExtraError(
            f"{what} needs {package}, which is not installed; pip install 'meanfield-nn[{package}]'"
        ) from None


def frame(
    columns: Mapping[str, Any],
    index: Mapping[str, NDArray[Any]] | None = None,
    attributes: Mapping[str, Any] | None = None,
    meanings: Mapping[str, tuple[str, str]] | None = None,
) -> pandas.DataFrame:
    """A table of pandas.

    Parameters
    ----------
    columns : mapping
        Arrays of one length, by name.
    index : mapping, optional
        What the rows are: one array, or several for a row of several names.
    attributes : mapping, optional
        Kept in ``.attrs``, with the units of the columns.
    meanings : mapping, optional
        What names mean where that is not what :data:`MEANINGS` says, and their units.
    """
    pandas = imported("pandas", "to_pandas")
    table = pandas.DataFrame({name: np.asarray(values) for name, values in columns.items()})
    if index is not None:
        names, rows = list(index), [np.asarray(values) for values in index.values()]
        many, single = pandas.MultiIndex.from_arrays, len(names) == 1
        table.index = pandas.Index(rows[0], name=names[0]) if single else many(rows, names=names)
    known = {**MEANINGS, **(meanings or {})}
    units = {name: known[name][1] for name in (*(index or ()), *columns) if name in known}
    table.attrs = {**dict(attributes or {}), "units": units}
    return table


def of_samples(problem: Any) -> tuple[dict[str, tuple[str | Sequence[str], Any]], dict[str, Any]]:
    """Variables and coordinates of a data set over the samples of a problem, in the user's units."""
    variables: dict[str, tuple[str | Sequence[str], Any]] = {
        "target": ("sample", problem.targets),
        "input": (("sample", "feature"), problem.features),
    }
    coordinates: dict[str, Any] = {"sample": np.arange(problem.n)}
    if problem.feature_names is not None:
        coordinates["feature"] = np.array(problem.feature_names)
    return variables, coordinates


def dataset(
    variables: Mapping[str, tuple[str | Sequence[str], Any]],
    coordinates: Mapping[str, Any],
    attributes: Mapping[str, Any],
    meanings: Mapping[str, tuple[str, str]] | None = None,
) -> xarray.Dataset:
    """A data set of xarray.

    Parameters
    ----------
    variables : mapping
        Dimensions and values, by name.
    coordinates : mapping
        Values along dimensions.
    attributes : mapping
        What holds for all of it.
    meanings : mapping, optional
        As in :func:`frame`.
    """
    xarray = imported("xarray", "to_xarray")
    found = xarray.Dataset(dict(variables), coords=dict(coordinates), attrs=dict(attributes))
    known = {**MEANINGS, **(meanings or {})}
    for name in (*variables, *coordinates):
        if name in known:
            found[name].attrs = {"long_name": known[name][0], "units": known[name][1]}
    return found
