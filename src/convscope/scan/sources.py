"""The pictures of a scan, from whatever they are in: a numbered list with names and labels, read one by one.

No data set is in memory as a whole, and a picture's number is what ties it to its results.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..paths import is_address, path_of
from ..pictures.sources import Source, sources
from .archives import of_tar, of_zip
from .entries import Entry, Item, Listing, in_order, indexed, of_entries
from .folders import files_of, in_folder, labelled
from .remote import of_address, of_list
from .tables_of_paths import is_table, of_table, size_of

FORMS = (
    "Give a folder (with a folder per class), a zip or tar of one, a CSV or Parquet of paths and labels, a Hugging Face data "
    "set, or a list or iterable of pictures or of (picture, label)."
)
PICTURES, LABELS = ("image", "img", "picture"), ("label", "labels", "class", "fine_label")


Get = Callable[[Any, str], Any]


def listing(source: Any, get: Get | None = None) -> Listing:
    """The pictures of `source`, in an order that is the same each time. Raises InputError, NotAPicture, MissingExtra.

    get   from a picture in memory and its name to what is read, by default its Source
    """
    if is_address(source):
        return of_address(source)
    if isinstance(source, str | os.PathLike):
        return of_path(path_of(source, "A collection of pictures"))
    if hasattr(source, "features") and hasattr(source, "__getitem__"):
        return of_data_set(source)
    if isinstance(source, Sequence) or hasattr(source, "__array__"):
        return of_sequence(source, get or one)
    if isinstance(source, Iterable):
        return of_iterable(source, get or one)
    what = f"a value of type {type(source).__name__}"
    raise InputError(f"No collection of pictures was given, but {what}. {FORMS}", received=type(source))


def of_path(path: Path) -> Listing:
    if path.is_dir():
        return of_entries("folder", labelled(files_of(path)), path, lambda each: in_folder(path, each))
    if not path.exists():
        raise InputError(f"There is no '{path}'. {FORMS}", received=str(path))
    if zipfile.is_zipfile(path):
        return of_zip(path)
    if is_table(path.name):
        return of_table(path)
    if tarfile.is_tarfile(path):
        return of_tar(path)
    raise InputError(f"'{path}' is no collection of pictures. {FORMS}", received=str(path))


def of_data_set(data: Any) -> Listing:
    """A Hugging Face data set, of which nothing is asked but its length, its rows and `features`."""
    picture, label = (next((name for name in known if name in data.features), None) for known in (PICTURES, LABELS))
    if picture is None:
        raise InputError(f"This data set has the columns {list(data.features)}, and none of {', '.join(PICTURES)}. Rename one.")
    named = getattr(data.features[label], "names", None) if label else None
    names = (
        tuple(map(str, named)) if named else in_order(str(each) for each in (data[label] if label else ()) if each is not None)
    )

    def item(number: int) -> Item:
        try:
            row = data[number]  # which may decode the picture
        except Exception as error:
            return Item(number, f"row {number}", -1, partial(cannot, f"Row {number} cannot be read: {error}"))
        value = None if label is None else row[label]
        at = -1 if value is None else int(value) if named and not isinstance(value, str) else names.index(str(value))
        return Item(number, f"row {number}", at, lambda: one(row[picture], f"row {number}"))

    mark = getattr(data, "_fingerprint", None) or f"{len(data)} rows of {', '.join(data.features)}"
    return indexed("data set", names, len(data), str(mark), item)


def of_sequence(source: Any, get: Get) -> Listing:
    """Pictures, or pairs of a picture and its label."""
    pairs = [split(each) for each in source]
    if not pairs:
        raise InputError(f"No pictures were given: the list is empty. {FORMS}")
    labels = [None if label is None else str(label) for _, label in pairs]
    if all(isinstance(picture, str | os.PathLike) for picture, _ in pairs):
        if any(is_address(picture) for picture, _ in pairs):
            return of_list([os.fsdecode(picture) for picture, _ in pairs], labels)
        paths = [path_of(picture, "A picture") for picture, _ in pairs]
        entries = [Entry(str(path), label, size_of(path)) for path, label in zip(paths, labels, strict=True)]
        return of_entries("list", entries, paths[0].parent, lambda each: Source(each.name, Path(each.name)))
    classes = in_order(label for label in labels if label is not None)
    digest = sha256()
    for (picture, _), label in zip(pairs, labels, strict=True):
        digest.update(content(picture) + f"{label}\n".encode())

    def item(number: int) -> Item:
        label = labels[number]
        at = -1 if label is None else classes.index(label)
        return Item(number, f"picture {number}", at, lambda: get(pairs[number][0], f"picture {number}"))

    return indexed("list", classes, len(pairs), digest.hexdigest(), item)


def of_iterable(source: Iterable[Any], get: Get) -> Listing:
    """Pictures that come once. Labels are whole numbers here, the network's classes: names are not known before the end."""

    def items(start: int) -> Iterator[Item]:
        for number, each in enumerate(islice(source, start, None), start):
            picture, label = split(each)
            if label is not None and not isinstance(label, int):
                raise InputError(f"Labels of an iterable are whole numbers, but picture {number} has {label!r}.", received=label)
            name = f"picture {number}"
            yield Item(number, name, -1 if label is None else label, lambda picture=picture, name=name: get(picture, name))  # type: ignore[misc]

    return Listing("iterable", (), len(source) if isinstance(source, Sized) else None, "an iterable", items)


def split(each: Any) -> tuple[Any, Any]:
    """A picture and its label, None where there is none."""
    if isinstance(each, tuple) and len(each) == 2 and (each[1] is None or np.ndim(each[1]) == 0):
        return each[0], each[1].item() if isinstance(each[1], np.generic) else each[1]
    return each, None


def one(picture: Any, name: str) -> Source:
    """The one picture in whatever it is. Raises InputError."""
    found = sources(picture)
    if len(found) != 1:
        raise InputError(f"'{name}' holds {len(found)} pictures. A scan takes one picture at a time.", received=len(found))
    return Source(name, found[0].raw)


def cannot(why: str) -> Source:
    raise InputError(why)


def content(picture: Any) -> bytes:
    """What tells a picture in memory from another."""
    if isinstance(picture, str | os.PathLike):
        return os.fsencode(picture)
    if isinstance(picture, Mapping):
        return b"".join(f"{name}\0".encode() + content(each) for name, each in picture.items())
    values = np.ascontiguousarray(np.asarray(picture))
    return sha256(values.tobytes()).digest() + f"{values.dtype}{values.shape}".encode()
