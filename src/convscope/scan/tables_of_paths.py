"""A CSV or Parquet file with a picture's path and label in each row."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingExtra
from ..pictures.sources import Source
from .entries import Entry, Listing, of_entries

PATHS = ("path", "file", "filename", "file_name", "image", "picture")
LABELS = ("label", "class", "category", "target")


def of_table(path: Path) -> Listing:
    """Paths are relative to the table. Columns: one of PATHS, and perhaps one of LABELS. Raises InputError, MissingExtra."""
    rows = list(from_parquet(path) if path.suffix.lower() == ".parquet" else from_csv(path))
    names = list(rows[0]) if rows else []
    file, label = (next((name for name in names if name.strip().lower() in known), None) for known in (PATHS, LABELS))
    if rows and not file:
        raise InputError(f"'{path}' has the columns {names}, and none of them is one of {', '.join(PATHS)}. Rename one.")
    entries = [entry(path.parent, str(row[file]), row[label] if label else None) for row in rows if file and row[file]]
    return of_entries("table", entries, path, lambda each: Source(each.name, path.parent / each.name))


def entry(folder: Path, name: str, label: Any) -> Entry:
    try:
        size = str(os.stat(folder / name).st_size)
    except OSError:
        size = "gone"
    return Entry(name, None if label in (None, "") else str(label), size)


def from_csv(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Cannot read '{path}' as a table: {error}. Give a CSV with the columns path and label.") from error


def from_parquet(path: Path) -> Sequence[dict[str, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "scan", "A Parquet file") from error
    try:
        rows: Sequence[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"Cannot read '{path}' as Parquet: {error}") from error
    return rows
