"""A CSV or Parquet file with a picture's path and label in each row."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any

from ..errors import ConvscopeWarning, InputError, MissingExtra
from ..pictures.sources import Source
from .entries import Entry, Listing, of_entries

PATHS = ("path", "file", "filename", "file_name", "image", "picture")
LABELS = ("label", "class", "category", "target")
ENDINGS = (".csv", ".tsv", ".parquet")
Rows = Sequence[dict[str, Any]]


def is_table(name: str) -> bool:
    return PurePath(name).suffix.lower() in ENDINGS


def of_table(path: Path) -> Listing:
    """Paths are relative to the table. Columns: one of PATHS, and perhaps one of LABELS. Raises InputError, MissingExtra."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read '{path}' as a table: {error.strerror or error}.") from error
    rows = from_parquet(content, str(path)) if path.suffix.lower() == ".parquet" else from_csv(content, str(path))
    entries = entries_of(rows, str(path), lambda name: size_of(path.parent / name))
    return of_entries("table", entries, path, lambda each: Source(each.name, path.parent / each.name))


def entries_of(rows: Rows, where: str, mark: Callable[[str], str]) -> list[Entry]:
    """A row per picture; those without a path are left out, with a warning that counts them. Raises InputError.

    mark   from a path to what tells this version of the picture from another
    """
    names = [name for name in rows[0] if isinstance(name, str)] if rows else []
    file, label = (next((name for name in names if name.strip().lower() in known), None) for known in (PATHS, LABELS))
    if rows and file is None:
        raise InputError(f"'{where}' has the columns {names}, and none of them is one of {', '.join(PATHS)}. Rename one.")
    paths = [(word(row[file]), word(row[label]) if label else None) for row in rows if file is not None]
    if empty := sum(path is None for path, _ in paths):
        said = f"{empty} row{'s' * (empty > 1)} of '{where}' left out, which {'have' if empty > 1 else 'has'} no path."
        warnings.warn(said, category=ConvscopeWarning, stacklevel=2)
    return [Entry(path, each, mark(path)) for path, each in paths if path is not None]


def word(value: Any) -> str | None:
    """As text; None for what is missing. A whole number that became a floating-point one is a whole number again."""
    if value is None or value != value or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def size_of(path: Path) -> str:
    try:
        return str(os.stat(path).st_size)
    except OSError:
        return "gone"


def from_csv(content: bytes, where: str) -> Rows:
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        return list(csv.DictReader(text, delimiter="\t" if where.lower().endswith(".tsv") else ","))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Cannot read '{where}' as a table: {error}. Give a CSV with the columns path and label.") from error


def from_parquet(content: bytes, where: str) -> Rows:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "scan", "A Parquet file") from error
    try:
        rows: Rows = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"Cannot read '{where}' as Parquet: {error}") from error
    return rows
