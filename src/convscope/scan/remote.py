"""Pictures in places with an address, s3://bucket/pictures or gs://..., through fsspec."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import PurePosixPath
from typing import Any

from ..errors import InputError, MissingExtra
from ..paths import is_address, path_of
from ..pictures.sources import Source
from .entries import Entry, Listing, of_entries
from .folders import labelled
from .tables_of_paths import columns_of, entries_of, is_table, rows_from, size_of

AHEAD = 16  # pictures that are fetched at the same time, where the storage allows it: each waits for the network
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")


def of_address(url: str) -> Listing:
    """A folder of pictures, with a folder per class; or a CSV or Parquet of paths and labels. Raises InputError, MissingExtra."""
    system, root = opened(url)
    if PurePosixPath(root).suffix.lower() in ARCHIVES:
        raise InputError(f"An archive is read where it lies, and '{url}' is far away. Fetch it first, or unpack it there.")
    place = Place(system, url)
    if is_table(url):
        return of_table(place, root)
    try:
        files = system.find(root, detail=True)
    except Exception as error:  # each kind of storage fails in its own way
        raise InputError(f"Cannot list '{url}': {error}") from error
    start = root.rstrip("/") + "/"
    names = [(path.removeprefix(start), str(about.get("size"))) for path, about in files.items()]
    entries = labelled((name, size) for name, size in names if not any(part.startswith(".") for part in name.split("/")))
    return of_entries(
        "address", entries, None, lambda each: place.source(each.name, start + each.name), where=url, ahead=place.ahead
    )


def of_table(place: Place, root: str) -> Listing:
    """Paths are addresses of their own, or relative to the table."""
    rows = rows_from(place.read(root), place.url)
    return beside(place, root, entries_of(list(rows), place.url, lambda _: ""))


def of_columns(url: str, columns: Sequence[str]) -> dict[str, Listing]:
    """The pictures of each of these columns of a table. Raises InputError, MissingExtra."""
    system, root = opened(url)
    place = Place(system, url)
    found = columns_of(rows_from(place.read(root), url), url, columns, lambda _: "")
    return {name: beside(place, root, entries) for name, entries in found.items()}


def beside(place: Place, table: str, entries: Sequence[Entry]) -> Listing:
    """The pictures that a table names."""
    folder = table.partition("?")[0].rpartition("/")[0]

    def get(entry: Entry) -> Source:
        return near_or_far(entry.name) if "://" in entry.name else place.source(entry.name, f"{folder}/{entry.name}")

    return of_entries("table", entries, None, get, where=place.url, ahead=place.ahead)


def of_list(names: Sequence[str], labels: Sequence[str | None]) -> Listing:
    """Addresses, and paths among them. Raises InputError, MissingExtra for a kind of address that cannot be read here."""
    for url in {name.partition("://")[0]: name for name in names if is_address(name)}.values():
        opened(url)
    marks = ["" if is_address(name) else size_of(path_of(name)) for name in names]
    entries = list(map(Entry, names, labels, marks))
    return of_entries("list", entries, None, lambda each: near_or_far(each.name), where="a list")


def near_or_far(name: str) -> Source:
    if not is_address(name):
        return Source(name, path_of(name))
    system, path = opened(name)
    return Place(system, name).source(name, path)


class Place:
    """Where files are read from. Systems that work asynchronously may be asked for many at a time, others for one."""

    def __init__(self, system: Any, url: str):
        self.url, self._system = url, system
        several = bool(getattr(system, "async_impl", False))
        self.ahead = AHEAD if several else 1
        self._turn: AbstractContextManager[Any] = nullcontext() if several else threading.Lock()

    def read(self, path: str) -> bytes:
        """Raises InputError."""
        try:
            with self._turn:
                content: bytes = self._system.cat_file(path)
        except Exception as error:
            said = "there is no such file." if isinstance(error, FileNotFoundError) else error
            where = f"'{path}'" if path == self.url else f"'{path}' of '{self.url}'"
            raise InputError(f"{where} cannot be read: {said}") from error
        return content

    def source(self, name: str, path: str) -> Source:
        return Source(name, self.read(path))


def opened(url: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra("fsspec", "ray", "An address") from error
    try:
        system, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:  # the package for this kind of storage is missing, or there is none
        raise InputError(f"Cannot open '{url}': {error}") from error
    return system, str(root)
