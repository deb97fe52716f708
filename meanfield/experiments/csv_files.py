"""Tables as CSV files."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from meanfield.arguments import file_path
from meanfield.errors import InputError


def write_columns(path: str | os.PathLike[str], columns: dict[str, list[Any]]) -> Path:
    """A table by columns as CSV; what is not known is empty."""
    rows = zip(*columns.values(), strict=True)
    return write_csv(path, list(columns), [["" if v is None else v for v in row] for row in rows])


def write_csv(path: str | os.PathLike[str], header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    """Write a table and return its path; one sentence if that is impossible."""
    target = file_path("path", path)
    try:
        with target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error.strerror}); give a writable place") from None
    return target
