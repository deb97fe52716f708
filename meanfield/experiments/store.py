"""The store of a sweep: one SQLite file, one transaction a cell, resumable after any kind of death."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import numpy as np

from meanfield.arguments import check_types, file_path, instance, shown
from meanfield.errors import InputError, StoreError
from meanfield.experiments.cells import Cell, CellResult, CellSettings
from meanfield.experiments.layout import (
    CELL_COLUMNS,
    RESULT_COLUMNS,
    connect,
    layout_of,
    speaking,
    upgraded_settings,
)
from meanfield.experiments.origin import Origin, here
from meanfield.flow import Status
from meanfield.problem import Problem

#: Data sets up to this size are kept in the store themselves, larger ones by their fingerprint only.
_DATA_BYTES = 4_000_000


@dataclass(frozen=True)
class Record:
    """A finished cell as the store keeps it.

    Attributes
    ----------
    result : CellResult
        What was computed.
    finished : str
        When, in UTC, as ISO 8601.
    origin : Origin
        Where, and with which versions.
    """

    result: CellResult
    finished: str
    origin: Origin


class SweepStore:
    """Finished cells of one sweep on one problem, kept in a file.

    Several processes may use one store at the same time; each finished cell is kept once.

    Parameters
    ----------
    path : path-like
        The file; made if it does not exist. A file that is something else is never touched.
    problem : Problem
        The data that the cells were run on.
    settings : CellSettings
        What the cells share.

    Attributes
    ----------
    path, problem, settings
        As given; ``problem`` is None in a store that was opened, if the data were too large to be kept.
    problem_name, fingerprint : str
        Name and SHA-256 of the data.

    Raises
    ------
    StoreError
        If the file is not a store, is damaged, cannot be written, or holds another problem or
        other settings.

    Examples
    --------
    >>> import tempfile
    >>> from meanfield import datasets, phase_diagram
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/sweep.sqlite"
    ...     _ = phase_diagram(
    ...         datasets.four_points(), gamma=[1.0], gamma_prime=[0.0], widths=[10, 20], seeds=1, store=path
    ...     )
    ...     with SweepStore.open(path) as store:
    ...         print(store.problem_name, [record.result.cell.width for record in store.records()])
    four points [10, 20]
    """

    def __init__(self, path: str | os.PathLike[str], problem: Problem, settings: CellSettings) -> None:
        self.path = file_path("store", path)
        instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
        instance("settings", settings, CellSettings, "CellSettings(loss_atol)")
        self.problem: Problem | None = problem
        self.problem_name, self.fingerprint = problem.name, problem.fingerprint
        self.settings = settings
        self._origins: dict[Origin, int] = {}
        self._connection = connect(self.path)
        try:
            with speaking(self.path):
                self._check_contents(problem, settings)
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> SweepStore:
        """A store that exists, whatever it holds.

        Parameters
        ----------
        path : path-like
            The SQLite file.

        Returns
        -------
        SweepStore

        Raises
        ------
        StoreError
            If there is no store, or it is damaged.
        """
        store = cls.__new__(cls)
        store.path = file_path("store", path)
        if not store.path.exists() or store.path.stat().st_size == 0:
            raise StoreError(f"there is no store {store.path}; give the file that a sweep wrote")
        store._origins = {}
        store._connection = connect(store.path)
        try:
            with speaking(store.path):
                kept = store._meta()
                store.settings = store._settings(kept)
                store.problem = _problem(kept)
                store.problem_name, store.fingerprint = str(kept["problem_name"]), str(kept["problem"])
        except StoreError:
            store._connection.close()
            raise
        except (KeyError, TypeError, ValueError) as error:
            store._connection.close()
            raise StoreError(
                f"the store {store.path} does not say what was run ({error}); it is damaged, or no sweep has "
                "begun in it"
            ) from None
        except BaseException:
            store._connection.close()
            raise
        return store

    def results(self) -> Iterator[CellResult]:
        """All finished cells, sorted."""
        with self._sound():
            found = [_result(row) for row in self._rows(", ".join(CELL_COLUMNS + RESULT_COLUMNS))]
        yield from found

    def records(self) -> Iterator[Record]:
        """All finished cells, sorted, with when and where each was computed."""
        rows = self._rows(", ".join((*CELL_COLUMNS, *RESULT_COLUMNS, "finished", "origin")))
        with self._sound():
            origins = {number: origin for origin, number in self._read_origins().items()}
            found = [Record(_result(row), finished, origins[origin]) for *row, finished, origin in rows]
        yield from found

    def add(self, result: CellResult, origin: Origin | None = None) -> None:
        """Keep a finished cell: once this returns, it survives the death of the process.

        Parameters
        ----------
        result : CellResult
            The cell.
        origin : Origin, optional
            Where it was computed; by default here.
        """
        finished = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write([Record(result, finished, here() if origin is None else origin)])

    def add_all(self, records: Iterable[Record]) -> None:
        """Keep many cells, or none if something goes wrong.

        Parameters
        ----------
        records : iterable of Record
            Finished cells.
        """
        self._write(records)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> SweepStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, records: Iterable[Record]) -> None:
        names = (*CELL_COLUMNS, *RESULT_COLUMNS, "finished", "origin")
        # Another process may have run the same cell: both found the same numbers.
        insert = f"INSERT OR IGNORE INTO cells ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for record in records:
                    result = record.result
                    values: list[Any] = [getattr(result.cell, name) for name in CELL_COLUMNS]
                    values += [getattr(result, name) for name in RESULT_COLUMNS]
                    self._connection.execute(
                        insert, [*values, record.finished, self._origin_number(record.origin)]
                    )
                self._connection.execute("COMMIT")
            except BaseException:
                self._origins.clear()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(
                f"a finished cell cannot be written to {self.path} ({error}); make room or give another "
                "store, and run again: cells finished before are kept"
            ) from None

    def _origin_number(self, origin: Origin) -> int:
        if origin not in self._origins:
            self._connection.execute("INSERT OR IGNORE INTO origins (origin) VALUES (?)", (origin.as_json(),))
            self._origins = self._read_origins()
        return self._origins[origin]

    def _read_origins(self) -> dict[Origin, int]:
        with speaking(self.path):
            rows = self._connection.execute("SELECT id, origin FROM origins").fetchall()
        return {Origin.from_json(text): number for number, text in rows}

    def _rows(self, columns: str) -> list[tuple[Any, ...]]:
        with speaking(self.path):
            return self._connection.execute(
                f"SELECT {columns} FROM cells ORDER BY {', '.join(CELL_COLUMNS)}"
            ).fetchall()

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """Turn what damaged contents do into a sentence."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise StoreError(
                f"the store {self.path} holds what no sweep writes ({type(error).__name__}: {error}); it is "
                "damaged: give another path, or a copy of it from before"
            ) from None

    def _meta(self) -> dict[str, Any]:
        return dict(self._connection.execute("SELECT key, value FROM meta"))

    def _settings(self, kept: dict[str, Any]) -> CellSettings:
        """What the cells share; what was added since the store was made has its default."""
        settings = upgraded_settings(json.loads(kept["settings"]), layout_of(self._connection))
        if unknown := settings.keys() - {field.name for field in fields(CellSettings)}:
            raise StoreError(
                f"the store {self.path} was run with settings that this version of meanfield does not know "
                f"({', '.join(sorted(unknown))}); use the version that wrote it, or another path"
            )
        return CellSettings.restored(settings)

    def _check_contents(self, problem: Problem, settings: CellSettings) -> None:
        mine = {
            "problem": problem.fingerprint,
            "problem_name": problem.name,
            "settings": json.dumps(settings.described(), sort_keys=True),
        }
        kept = self._meta()
        if not kept.keys() >= mine.keys():
            data = _data(problem) if problem.x.nbytes + problem.y.nbytes <= _DATA_BYTES else {}
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT OR IGNORE INTO meta VALUES (?, ?)", [*mine.items(), *data.items()]
            )
            self._connection.execute("COMMIT")
            kept = self._meta()  # another process may have come first
        if kept["problem"] != mine["problem"]:
            raise StoreError(
                f"the store {self.path} belongs to another problem ({kept['problem_name']!r}, not these "
                "data); give another path"
            )
        with self._sound():
            theirs = self._settings(kept)
        if theirs.described() != settings.described():
            raise StoreError(
                f"the store {self.path} was run with other settings "
                f"({differences(theirs.described(), settings.described())}); give another path, or the same "
                "settings"
            )


def differences(there: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs between two sets of settings, as a phrase."""
    return "; ".join(
        f"{key} = {there.get(key)} there, {now.get(key)} now"
        for key in {**now, **there}
        if there.get(key) != now.get(key)
    )


def _result(row: Sequence[Any]) -> CellResult:
    """A cell from its row; ValueError if no run can have made it."""
    count = len(CELL_COLUMNS)
    values: list[Any] = [math.nan if value is None else value for value in row]
    result = CellResult(Cell(*values[:count]), *values[count:])
    check_types(result.cell)
    check_types(result)
    sizes = (result.cell.width - 1, result.cell.seed, result.rd_w, result.rd_a, result.loss, result.steps)
    if result.status not in Status.__members__ or any(size < 0 for size in sizes):
        raise ValueError(f"a cell is {shown(row)}")
    return result


def _data(problem: Problem) -> dict[str, Any]:
    return {
        "x": problem.x.astype("<f8").tobytes(),
        "y": problem.y.astype("<f8").tobytes(),
        "shape": json.dumps([problem.n, problem.d, problem.bias]),
        "described": json.dumps(problem.described()),
    }


def _problem(kept: dict[str, Any]) -> Problem | None:
    if "x" not in kept:
        return None
    n, d, bias = json.loads(kept["shape"])
    x = np.frombuffer(kept["x"], dtype="<f8").reshape(n, d)
    # Stores of earlier versions know no standardisation and no names of columns.
    plain = {"bias": bias, "name": kept["problem_name"], "standardisation": None}
    described = json.loads(kept["described"]) if "described" in kept else plain
    problem = Problem.restored(x[:, : d - bias], np.frombuffer(kept["y"], dtype="<f8"), described)
    if problem.fingerprint != kept["problem"]:
        raise ValueError("its data are not those that were run")
    return problem
