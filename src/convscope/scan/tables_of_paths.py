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
    """Also of an address, which may end in a key: https://host/list.csv?key=..."""
    return PurePath(name.partition("?")[0] if "://" in name else name).suffix.lower() in ENDINGS


def rows_from(content: bytes, where: str) -> Rows:
    """Raises InputError, MissingExtra."""
    name = where.partition("?")[0] if "://" in where else where
    return from_parquet(content, name) if name.lower().endswith(".parquet") else from_csv(content, name)


def of_table(path: Path) -> Listing:
    """Paths are relative to the table. Columns: one of PATHS, and perhaps one of LABELS. Raises InputError, MissingExtra."""
    entries = entries_of(rows_of(path), str(path), lambda name: size_of(path.parent / name))
    return of_entries("table", entries, path, lambda each: Source(each.name, path.parent / each.name))


def rows_of(path: Path) -> Rows:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read '{path}' as a table: {error.strerror or error}.") from error
    return rows_from(content, str(path))


def of_columns(path: Path, columns: Sequence[str]) -> dict[str, Listing]:
    """The pictures of each of these columns, see `columns_of`."""
    found = columns_of(rows_of(path), str(path), columns, lambda name: size_of(path.parent / name))
    return {
        name: of_entries("table", entries, path, lambda each: Source(each.name, path.parent / each.name))
        for name, entries in found.items()
    }


def columns_of(rows: Rows, where: str, columns: Sequence[str], mark: Callable[[str], str]) -> dict[str, list[Entry]]:
    """A row per picture. One that lacks one of `columns` is left out of all, with a warning that counts them.

    mark     see entries_of
    raises   InputError for a column that there is not
    """
    known = {name.strip().lower(): name for name in (rows[0] if rows else ()) if isinstance(name, str)}
    if missing := [name for name in columns if rows and name not in known]:
        raise InputError(
            f"'{where}' has the columns {list(known.values())}, and none called '{missing[0]}'. Name one after each input."
        )
    whole = [row for row in rows if all(word(row[known[name]]) for name in columns)]
    warn_of_empty(len(rows) - len(whole), where)
    label = next((known[name] for name in known if name in LABELS), None)

    def entry(row: dict[str, Any], name: str) -> Entry:
        picture = str(word(row[known[name]]))
        return Entry(picture, word(row[label]) if label else None, mark(picture))

    return {name: [entry(row, name) for row in whole] for name in columns}


def entries_of(rows: Rows, where: str, mark: Callable[[str], str]) -> list[Entry]:
    """A row per picture; those without a path are left out, with a warning that counts them. Raises InputError.

    mark   from a path to what tells this version of the picture from another
    """
    names = [name for name in rows[0] if isinstance(name, str)] if rows else []
    file, label = (next((name for name in names if name.strip().lower() in known), None) for known in (PATHS, LABELS))
    if rows and file is None:
        raise InputError(f"'{where}' has the columns {names}, and none of them is one of {', '.join(PATHS)}. Rename one.")
    paths = [(word(row[file]), word(row[label]) if label else None) for row in rows if file is not None]
    warn_of_empty(sum(path is None for path, _ in paths), where)
    return [Entry(path, each, mark(path)) for path, each in paths if path is not None]


def warn_of_empty(rows: int, where: str) -> None:
    if rows:
        said = f"{rows} row{'s' * (rows > 1)} of '{where}' left out, which {'have' if rows > 1 else 'has'} no path."
        warnings.warn(said, category=ConvscopeWarning, stacklevel=3)


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
