"""Stores joined, and taken out as tables: CSV, NPZ, netCDF."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.arguments import file_path, instance, listed
from meanfield.errors import InputError, StoreError
from meanfield.experiments.cells import CellResult
from meanfield.experiments.csv_files import write_csv
from meanfield.experiments.layout import CELL_COLUMNS, RESULT_COLUMNS
from meanfield.experiments.store import Record, SweepStore, differences
from meanfield.exporting import dataset

if TYPE_CHECKING:
    import xarray

#: Columns of the tables.
COLUMNS = (*CELL_COLUMNS, *RESULT_COLUMNS, "finished", "host", "system", "python")


@dataclass(frozen=True)
class Merged:
    """What joining stores did.

    Attributes
    ----------
    cells : int
        Cells in the joined store.
    added : int
        Of them new in it.
    repeated : int
        Cells that were in several stores; one copy of each is kept.
    differing : int
        Of those the ones whose copies were not the same bits, as from other processors or versions.
    """

    cells: int
    added: int
    repeated: int
    differing: int


def merge_stores(into: str | os.PathLike[str], parts: Sequence[str | os.PathLike[str]]) -> Merged:
    """Join stores of one sweep, as the shards of a job array leave them.

    Parameters
    ----------
    into : path-like
        The store that gets all cells; made if it does not exist, extended if it does.
    parts : sequence of path-like
        The stores to take them from; they are left as they are.

    Returns
    -------
    Merged

    Raises
    ------
    StoreError
        If a file is not a store, or the stores are of different problems or settings; ``into`` is then
        left as it was.

    Examples
    --------
    >>> import tempfile
    >>> from meanfield import datasets, phase_diagram
    >>> grid = dict(gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[10, 20], seeds=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = [f"{folder}/part-{i}.sqlite" for i in (1, 2)]
    ...     for i, part in enumerate(parts, start=1):
    ...         _ = phase_diagram(datasets.four_points(), **grid, store=part, shard=(i, 2))
    ...     print(merge_stores(f"{folder}/whole.sqlite", parts))
    Merged(cells=4, added=4, repeated=0, differing=0)
    """
    into = file_path("into", into)
    parts = listed("parts", parts, "a list of the files that the shards wrote")
    if not parts:
        raise InputError("no stores to merge; give the files that the shards wrote")
    found: list[tuple[Path, list[Record]]] = []
    first: SweepStore | None = None
    for part in parts:
        with SweepStore.open(part) as store:
            first = store if first is None else first
            _check_same(first, store)
            found.append((store.path, list(store.records())))
    assert first is not None
    problem, settings = first.problem, first.settings
    exists = into.exists() and into.stat().st_size > 0
    if problem is None and not exists:
        raise StoreError(
            f"the data of {first.path} are too large to be kept in a store, so that no new one can be made; "
            f"run one shard with --store {into} and merge the others into that"
        )
    with SweepStore.open(into) if exists else SweepStore(into, _known(problem), settings) as target:
        _check_same(first, target)
        kept = {record.result.cell: record.result for record in target.records()}
        before, repeated, differing, new = len(kept), 0, 0, []
        for path, records in found:
            if path.exists() and path.samefile(target.path):
                continue
            for record in records:
                known = kept.setdefault(record.result.cell, record.result)
                if known is record.result:
                    new.append(record)
                else:
                    repeated += 1
                    differing += not _same_bits(known, record.result)
        target.add_all(new)
    return Merged(len(kept), len(kept) - before, repeated, differing)


def _known(problem: Any) -> Any:
    assert problem is not None
    return problem


def _check_same(first: SweepStore, other: SweepStore) -> None:
    if first.fingerprint != other.fingerprint:
        raise StoreError(
            f"{other.path} belongs to another problem ({other.problem_name!r}) than {first.path} "
            f"({first.problem_name!r}); merge stores of one sweep only"
        )
    if first.settings.described() != other.settings.described():
        raise StoreError(
            f"{other.path} was run with other settings than {first.path} "
            f"({differences(other.settings.described(), first.settings.described())} in the latter); merge "
            "stores of one sweep only"
        )


def _same_bits(one: CellResult, other: CellResult) -> bool:
    """Whether two results agree in all but their wall time."""
    return repr(replace(one, seconds=0.0)) == repr(replace(other, seconds=0.0))


def export_store(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> Path:
    """Write all cells of a store as a table.

    Parameters
    ----------
    path : path-like
        The store.
    target : path-like
        What to write, by its ending: ``.csv`` (one row per cell), ``.npz`` (one array per column, with
        the data and settings; no pickle), ``.nc`` (netCDF over gamma_prime, gamma, width and seed,
        extra ``[xarray]``).

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    StoreError
        If there is no such store.
    InputError
        If the ending is another, or the file cannot be written.
    MissingExtraError
        If netCDF is asked for without xarray.

    Examples
    --------
    >>> import tempfile
    >>> from meanfield import datasets, phase_diagram
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = f"{folder}/sweep.sqlite"
    ...     _ = phase_diagram(
    ...         datasets.four_points(), gamma=[1.0], gamma_prime=[0.0], widths=[10, 20], seeds=1, store=store
    ...     )
    ...     table = export_store(store, f"{folder}/cells.csv").read_text().splitlines()
    >>> len(table), table[0].split(",")[:4]
    (3, ['gamma', 'gamma_prime', 'width', 'seed'])
    """
    target = file_path("target", target)
    writers = {".csv": _to_csv, ".npz": _to_npz, ".nc": _to_netcdf}
    if target.suffix not in writers:
        raise InputError(f"{target} ends in {target.suffix or 'nothing'!r}; give a name in .csv, .npz or .nc")
    with SweepStore.open(path) as store:
        if target.exists() and target.samefile(store.path):
            raise InputError(f"{target} is the store itself; give another name")
        try:
            writers[target.suffix](store, target)
        except OSError as error:
            raise InputError(
                f"{target} cannot be written ({error.strerror or error}); give a writable place"
            ) from None
    return target


def store_to_xarray(store: SweepStore) -> xarray.Dataset:
    """All cells of a store as an ``xarray.Dataset`` over gamma_prime, gamma, width and seed.

    Points of the grid that were not run are nan, their status is empty.

    Parameters
    ----------
    store : SweepStore
        An open store.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    MissingExtraError
        If xarray is not installed.
    """
    instance("store", store, SweepStore, "SweepStore.open")
    table = _columns(list(store.records()))
    axes = {name: np.unique(table[name]) for name in ("gamma_prime", "gamma", "width", "seed")}
    place = tuple(np.searchsorted(axis, table[name]) for name, axis in axes.items())
    shape = tuple(len(axis) for axis in axes.values())
    variables = {}
    for name in RESULT_COLUMNS:
        text = table[name].dtype.kind == "U"
        full = np.full(shape, "" if text else math.nan, dtype=table[name].dtype if text else np.float64)
        full[place] = table[name]
        variables[name] = (tuple(axes), full)
    return dataset(variables, axes, _describe(store))


def _to_csv(store: SweepStore, target: Path) -> None:
    rows = [[_value(record, name) for name in COLUMNS] for record in store.records()]
    write_csv(target, list(COLUMNS), rows)


def _to_npz(store: SweepStore, target: Path) -> None:
    arrays = _columns(list(store.records())) | {key: np.array(v) for key, v in _describe(store).items()}
    if store.problem is not None:
        arrays |= {"x": store.problem.x, "y": store.problem.y}
    np.savez_compressed(target, **arrays)


def _to_netcdf(store: SweepStore, target: Path) -> None:
    # SciPy writes netCDF 3, which every program reads, and is there.
    store_to_xarray(store).to_netcdf(target, engine="scipy")


def _columns(records: Sequence[Record]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.array([_value(record, name) for record in records]) for name in COLUMNS}


def _value(record: Record, name: str) -> Any:
    if name in CELL_COLUMNS:
        return getattr(record.result.cell, name)
    if name in RESULT_COLUMNS:
        return getattr(record.result, name)
    return record.finished if name == "finished" else getattr(record.origin, name)


def _describe(store: SweepStore) -> dict[str, str]:
    """What all cells share, as text."""
    origins = sorted({record.origin.as_json() for record in store.records()})
    known = {} if store.problem is None else {"data": json.dumps(store.problem.described())}
    return {
        **known,
        "problem": store.problem_name,
        "problem_sha256": store.fingerprint,
        "settings": json.dumps(store.settings.described(), sort_keys=True),
        "origins": json.dumps([json.loads(origin) for origin in origins]),
    }
