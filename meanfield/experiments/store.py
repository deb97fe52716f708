"""The store of a sweep: one SQLite file, one transaction a cell, resumable after any kind of death."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType

from meanfield.errors import StoreError
from meanfield.experiments.cells import Cell, CellResult, CellSettings
from meanfield.problem import Problem

#: Marks a file as ours ("mfpd" in ASCII), and the layout of its tables.
APPLICATION_ID = 0x6D667064
SCHEMA_VERSION = 1

_CELL_COLUMNS = tuple(field.name for field in fields(Cell))
_RESULT_COLUMNS = tuple(field.name for field in fields(CellResult) if field.name != "cell")
_SQL_TYPES = {"int": "INTEGER", "float": "REAL", "str": "TEXT"}
_MAGIC = b"SQLite format 3\0"


class SweepStore:
    """Finished cells of one sweep on one problem, kept in a file.

    Parameters
    ----------
    path : path-like
        The file; made if it does not exist. A file that is something else is never touched.
    problem : Problem
        The data that the cells were run on.
    settings : CellSettings
        What the cells share.

    Raises
    ------
    StoreError
        If the file is not a store, is damaged, cannot be written, or holds another problem or
        other settings.
    """

    def __init__(self, path: str | os.PathLike[str], problem: Problem, settings: CellSettings) -> None:
        self.path = Path(path)
        exists = self._refuse_foreign()
        try:
            self._connection = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
            try:
                if not (exists and self._is_ours()):
                    self._prepare()
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._check_contents(problem, settings)
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"the store {self.path} cannot be used ({error}); give a path in a writable folder, "
                "or another file if this one is damaged"
            ) from None

    def results(self) -> Iterator[CellResult]:
        """All finished cells."""
        columns = ", ".join(_CELL_COLUMNS + _RESULT_COLUMNS)
        count = len(_CELL_COLUMNS)
        for row in self._connection.execute(
            f"SELECT {columns} FROM cells ORDER BY {', '.join(_CELL_COLUMNS)}"
        ):
            yield CellResult(Cell(*row[:count]), *row[count:])

    def add(self, result: CellResult) -> None:
        """Keep a finished cell: once this returns, it survives the death of the process."""
        values = [getattr(result.cell, name) for name in _CELL_COLUMNS]
        values += [getattr(result, name) for name in _RESULT_COLUMNS]
        names = ", ".join(_CELL_COLUMNS + _RESULT_COLUMNS)
        marks = ", ".join("?" * len(values))
        try:
            # Another process may have run the same cell: both found the same numbers.
            self._connection.execute(f"INSERT OR IGNORE INTO cells ({names}) VALUES ({marks})", values)
        except sqlite3.Error as error:
            raise StoreError(
                f"a finished cell cannot be written to {self.path} ({error}); make room or give another "
                "store, and run again: cells finished before are kept"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> SweepStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refuse_foreign(self) -> bool:
        """Whether the file exists and looks like SQLite; refuses what is something else."""
        if self.path.is_dir():
            raise StoreError(f"the store {self.path} is a folder; give the path of a file in it")
        if not self.path.parent.is_dir():
            raise StoreError(f"the folder of the store {self.path} does not exist; make it first")
        try:
            head = self.path.read_bytes()[:16] if self.path.stat().st_size < 16 else self._head()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"the store {self.path} cannot be read ({error.strerror})") from None
        if head and head != _MAGIC:
            raise StoreError(f"{self.path} is not a sweep's store; give another path (it was left as it is)")
        return bool(head)

    def _head(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(16)

    def _is_ours(self) -> bool:
        """Whether the database is a store, not merely empty; refuses another program's, unwritten to."""
        application = self._connection.execute("PRAGMA application_id").fetchone()[0]
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application == 0 and tables == 0:
            return False  # killed between making the file and its tables: still empty
        if application != APPLICATION_ID:
            raise StoreError(
                f"{self.path} is a database of another program; give another path (it was left as it is)"
            )
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"the store {self.path} has layout {version}, this version of meanfield reads "
                f"{SCHEMA_VERSION}; use the version that wrote it, or another path"
            )
        return True

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        types = {
            field.name: _SQL_TYPES[str(field.type)] for field in (*fields(Cell), *fields(CellResult)[1:])
        }
        columns = ", ".join(f"{name} {kind} NOT NULL" for name, kind in types.items())
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
        )
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS cells ({columns}, PRIMARY KEY ({', '.join(_CELL_COLUMNS)})) "
            "WITHOUT ROWID"
        )
        self._connection.execute("COMMIT")

    def _check_contents(self, problem: Problem, settings: CellSettings) -> None:
        mine = {
            "problem": problem.fingerprint,
            "problem_name": problem.name,
            "settings": json.dumps(asdict(settings), sort_keys=True),
        }
        for key, value in mine.items():
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
        kept = dict(self._connection.execute("SELECT key, value FROM meta"))
        if kept["problem"] != mine["problem"]:
            raise StoreError(
                f"the store {self.path} belongs to another problem ({kept['problem_name']!r}, not these "
                "data); give another path"
            )
        if kept["settings"] != mine["settings"]:
            theirs, ours = json.loads(kept["settings"]), asdict(settings)
            changes = [
                f"{key} = {theirs.get(key)} there, {ours[key]} now"
                for key in ours
                if theirs.get(key) != ours[key]
            ]
            raise StoreError(
                f"the store {self.path} was run with other settings ({'; '.join(changes)}); "
                "give another path, or the same settings"
            )
