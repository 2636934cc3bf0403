"""One picture in a list of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from ..errors import InputError
from ..pictures.sources import Source
from .inputs import Inputs

THREADS = 2  # that read and decode; Pillow lets go of Python's lock meanwhile


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture that lies somewhere: its name, the name of its class, and what tells it from another version of itself."""

    name: str
    label: str | None
    mark: str


@dataclass(frozen=True, slots=True)
class Item:
    """One picture: its number in the list, a name, the number of its class or -1, and how to get at it."""

    number: int
    name: str
    label: int
    read: Callable[[], Source | Inputs]


@dataclass(frozen=True)
class Listing:
    """All pictures of a scan.

    classes    the names of the classes, which labels count in
    count      how many pictures there are; None for an iterable that does not say
    digest     what tells this list from another: of names, labels and sizes; of an iterable only its kind
    items      the pictures from a number on
    item       the picture of a number; None where pictures come only once
    root       a folder or file that has to stay there while the scan runs
    ahead      how many pictures are read at the same time
    """

    kind: str
    classes: tuple[str, ...]
    count: int | None
    digest: str
    items: Callable[[int], Iterator[Item]] = field(repr=False)
    item: Callable[[int], Item] | None = field(default=None, repr=False)
    root: Path | None = None
    ahead: int = THREADS


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Each once, numbers by their size and all else by the alphabet."""
    found = set(labels)
    return tuple(sorted(found, key=(lambda each: (int(each), each)) if all(map(str.isdecimal, found)) else None))


def printable(name: str) -> str:
    """A name that is no text, from a disk of another encoding, with its odd bytes as numbers."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def of_entries(
    kind: str,
    entries: Sequence[Entry],
    root: Path | None,
    get: Callable[[Entry], Source],
    *,
    where: str = "",
    ahead: int = THREADS,
) -> Listing:
    """where   what to call the place, if it is no path. Raises InputError if there are none."""
    if not entries:
        raise InputError(
            f"There are no pictures in '{where or root}'. Give a folder, a zip, a tar, a CSV or a list that has some."
        )
    classes = in_order(each.label for each in entries if each.label is not None)
    numbers = {name: number for number, name in enumerate(classes)}
    digest = sha256()
    for each in entries:
        digest.update(f"{each.name}\0{each.label}\0{each.mark}\n".encode(errors="surrogateescape"))

    def item(number: int) -> Item:
        each = entries[number]
        return Item(number, printable(each.name), -1 if each.label is None else numbers[each.label], lambda: get(each))

    return indexed(kind, tuple(map(printable, classes)), len(entries), digest.hexdigest(), item, root, ahead)


def indexed(
    kind: str,
    classes: tuple[str, ...],
    count: int,
    digest: str,
    item: Callable[[int], Item],
    root: Path | None = None,
    ahead: int = THREADS,
) -> Listing:
    return Listing(kind, classes, count, digest, lambda start: map(item, range(start, count)), item, root, ahead)
