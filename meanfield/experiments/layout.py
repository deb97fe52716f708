"""The file of a sweep's store: recognised before it is touched, its tables, its damages, older layouts."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from meanfield.errors import StoreError
from meanfield.experiments.cells import Cell, CellResult, CellSettings

#: Marks a file as ours ("mfpd" in ASCII), the layout of what is written, and the oldest that is read.
APPLICATION_ID = 0x6D667064
SCHEMA_VERSION, OLDEST_VERSION = 3, 2

CELL_COLUMNS = tuple(field.name for field in fields(Cell))
RESULT_COLUMNS = tuple(field.name for field in fields(CellResult) if field.name != "cell")
_SQL_TYPES = {"int": "INTEGER", "float": "REAL", "str": "TEXT"}
_MAGIC = b"SQLite format 3\0"
#: Seconds to wait for another process that is writing.
_PATIENCE = 60.0
#: Seconds between two tries where SQLite itself does not wait.
_PAUSE = 0.02


def connect(path: Path) -> sqlite3.Connection:
    """Open a store, or make the tables of a new one.

    Raises
    ------
    StoreError
        If the file is not a store, is damaged, or cannot be written; it is left as it is.
    """
    exists = _refuse_foreign(path)
    with speaking(path):
        connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            if exists and _is_ours(path, connection):
                damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if damage != "ok":
                    raise sqlite3.DatabaseError(str(damage).replace("\n", " "))
            else:
                _prepare(connection)
            # With a write-ahead log the file stays sound without waiting for the disk after each cell.
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection


def layout_of(connection: sqlite3.Connection) -> int:
    """The layout of a store's file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def upgraded_settings(kept: Mapping[str, Any], layout: int) -> dict[str, Any]:
    """The settings in a store of an older layout, as the newest one names them and with what they mean there.

    The file itself stays as it is: cells that are added to it belong to the same settings.
    """
    kept = dict(kept)
    if layout < 3 and "loss_tol" in kept and "loss_atol" in {field.name for field in fields(CellSettings)}:
        # In layout 2 it was a loss R, whatever the data: today's absolute tolerance.
        kept["loss_atol"] = kept.pop("loss_tol")
    return kept


@contextmanager
def speaking(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a sentence."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise StoreError(
            f"the store {path} cannot be used ({error}); give a path in a writable folder, or another file "
            "if this one is damaged (`sqlite3 FILE .recover` may save what is in it)"
        ) from None


def _refuse_foreign(path: Path) -> bool:
    """Whether the file exists and looks like SQLite; refuses what is something else."""
    if path.is_dir():
        raise StoreError(f"the store {path} is a folder; give the path of a file in it")
    if not path.parent.is_dir():
        raise StoreError(f"the folder of the store {path} does not exist; make it first")
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be read ({error.strerror}); give a file that you may read"
        ) from None
    if head and head != _MAGIC:
        raise StoreError(f"{path} is not a sweep's store; give another path (it was left as it is)")
    return bool(head)


def _is_ours(path: Path, connection: sqlite3.Connection) -> bool:
    """Whether the database is a store, not merely empty; refuses another program's, unwritten to."""
    connection.execute("BEGIN")  # one view of the file, of which another sweep may be making a store
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = layout_of(connection)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    connection.execute("ROLLBACK")
    if application == 0 and tables == 0:
        return False  # killed between making the file and its tables: still empty
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program; give another path (it was left as it is)")
    if not OLDEST_VERSION <= version <= SCHEMA_VERSION:
        raise StoreError(
            f"the store {path} has layout {version}, this version of meanfield reads {OLDEST_VERSION} to "
            f"{SCHEMA_VERSION}; use the version that wrote it, or another path"
        )
    return True


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; SQLite does not wait for others that make the same store."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(_PAUSE)


def _prepare(connection: sqlite3.Connection) -> None:
    _write_ahead(connection)
    types = {field.name: _SQL_TYPES[str(field.type)] for field in (*fields(Cell), *fields(CellResult)[1:])}
    # SQLite keeps nan as NULL, so that only what describes a cell can be asked to be there.
    columns = ", ".join(
        f"{name} {kind}{' NOT NULL' if name in CELL_COLUMNS else ''}" for name, kind in types.items()
    )
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for table in (
        "meta (key TEXT PRIMARY KEY, value NOT NULL)",
        "origins (id INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE)",
        f"cells ({columns}, finished TEXT NOT NULL, origin INTEGER NOT NULL REFERENCES origins (id), "
        f"PRIMARY KEY ({', '.join(CELL_COLUMNS)})) WITHOUT ROWID",
    ):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    connection.execute("COMMIT")
