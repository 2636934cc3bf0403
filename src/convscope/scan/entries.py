"""One picture in a list of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from ..errors import InputError
from ..pictures.sources import Source


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
    read: Callable[[], Source]


@dataclass(frozen=True)
class Listing:
    """All pictures of a scan.

    classes    the names of the classes, which labels count in
    count      how many pictures there are; None for an iterable that does not say
    digest     what tells this list from another: of names, labels and sizes; of an iterable only its kind
    items      the pictures from a number on
    item       the picture of a number; None where pictures come only once
    root       a folder or file that has to stay there while the scan runs
    """

    kind: str
    classes: tuple[str, ...]
    count: int | None
    digest: str
    items: Callable[[int], Iterator[Item]] = field(repr=False)
    item: Callable[[int], Item] | None = field(default=None, repr=False)
    root: Path | None = None


def of_entries(
    kind: str, entries: Sequence[Entry], root: Path | None, get: Callable[[Entry], Source], *, where: str = ""
) -> Listing:
    """where   what to call the place, if it is no path. Raises InputError if there are none."""
    if not entries:
        raise InputError(
            f"There are no pictures in '{where or root}'. Give a folder, a zip, a tar, a CSV or a list that has some."
        )
    classes = tuple(sorted({each.label for each in entries if each.label is not None}))
    numbers = {name: number for number, name in enumerate(classes)}
    digest = sha256()
    for each in entries:
        digest.update(f"{each.name}\0{each.label}\0{each.mark}\n".encode(errors="surrogateescape"))

    def item(number: int) -> Item:
        each = entries[number]
        return Item(number, each.name, -1 if each.label is None else numbers[each.label], lambda: get(each))

    return indexed(kind, classes, len(entries), digest.hexdigest(), item, root)


def indexed(
    kind: str, classes: tuple[str, ...], count: int, digest: str, item: Callable[[int], Item], root: Path | None = None
) -> Listing:
    return Listing(kind, classes, count, digest, lambda start: map(item, range(start, count)), item, root)
