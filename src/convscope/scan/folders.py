"""Folders of pictures, with a folder per class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from ..errors import ConvscopeWarning, InputError
from ..pictures.sources import Source, endings
from .entries import Entry

SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def files_of(folder: Path) -> Iterator[tuple[str, str]]:
    """(path inside `folder` with slashes, mark of size) of every file that is not hidden, in any order.

    A link back to a folder that it lies in is left out: what is there is listed already.
    """
    waiting: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", ())]
    while waiting:
        inside, outer = waiting.pop()
        try:
            about = os.stat(folder / inside)
            itself = about.st_dev, about.st_ino
            if itself in outer:
                continue
            with os.scandir(folder / inside) as found:
                for each in found:
                    if each.name.startswith((".", "__MACOSX")):
                        continue
                    name = f"{inside}/{each.name}" if inside else each.name
                    if each.is_dir():
                        waiting.append((name, (*outer, itself)))
                    else:
                        yield name, str(each.stat().st_size) if each.is_file() else "gone"
        except OSError as error:
            why = error.strerror or error
            raise InputError(f"The folder '{folder / inside}' cannot be read: {why}. Make it readable.") from error


def in_folder(root: Path, entry: Entry) -> Source:
    return Source(entry.name, root / entry.name)


def labelled(files: Iterable[tuple[str, str]]) -> list[Entry]:
    """Entries in the order of their names, labelled by their first folder; by the second, where all are in one.

    Files that no picture has the ending of are left out, with a warning that counts them.
    """
    known = endings()
    pairs = list(files)
    pictures = [(name, mark) for name, mark in pairs if os.path.splitext(name)[1].lower() in known]
    if others := len(pairs) - len(pictures):
        first = next(name for name, _ in pairs if os.path.splitext(name)[1].lower() not in known)
        said = f"{others} file{'s' * (others > 1)} left out, which no picture has the ending of, such as '{first}'."
        warnings.warn(said, category=ConvscopeWarning, stacklevel=2)
    parts = {name: PurePosixPath(name).parts for name, _ in pictures}
    outer = {each[0] for each in parts.values()}
    if len(outer) > 1 and outer <= SPLITS:
        folders = ", ".join(map(repr, sorted(outer)))
        said = f"The folders {folders} are taken for classes. If they are parts of a data set, scan one of them."
        warnings.warn(said, category=ConvscopeWarning, stacklevel=2)
    depth = 1 if len(outer) == 1 and any(len(each) > 2 for each in parts.values()) else 0
    return sorted(
        (Entry(name, parts[name][depth] if len(parts[name]) > depth + 1 else None, mark) for name, mark in pictures),
        key=lambda entry: entry.name,
    )
