"""Pictures in places with an address, s3://bucket/pictures or gs://..., through fsspec."""

from __future__ import annotations

import threading
from typing import Any

from ..errors import InputError, MissingExtra
from ..pictures.sources import Source
from .entries import Entry, Listing, of_entries
from .folders import labelled


def of_address(url: str) -> Listing:
    """A folder of pictures, with a folder per class. Raises InputError, MissingExtra."""
    system, root = opened(url)
    try:
        files = system.find(root, detail=True)
    except Exception as error:  # each kind of storage fails in its own way
        raise InputError(f"Cannot list '{url}': {error}") from error
    start = root.rstrip("/") + "/"
    names = [(path.removeprefix(start), str(about.get("size"))) for path, about in files.items()]
    entries = labelled((name, size) for name, size in names if not any(part.startswith(".") for part in name.split("/")))
    one_at_a_time = threading.Lock()

    def get(entry: Entry) -> Source:
        try:
            with one_at_a_time:
                content: bytes = system.cat_file(start + entry.name)
        except Exception as error:
            raise InputError(f"'{entry.name}' cannot be read from '{url}': {error}") from error
        return Source(entry.name, content)

    return of_entries("address", entries, None, get, where=url)


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
