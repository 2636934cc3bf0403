"""Pictures in a folder per class, as what a network receives and which of its classes each of them is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..pictures import Prepared, Preprocess
from ..pictures.prepare import received
from .plan import right_outputs
from .sources import listing
from .worth import chosen


def in_classes(
    source: Any, preprocess: Preprocess, known: Sequence[str] | None, first: int | None = None
) -> tuple[Prepared, list[int]] | None:
    """Every picture of a folder (or .zip) with a folder per class, and the number of its class; None for anything else.

    All of them are in memory at once. Names of classes are compared as a scan does, "cassette_player" is "cassette player".
    first    so many of them, evenly spread
    raises   InputError for a class that the network does not know, and for pictures of several sizes
    """
    if not isinstance(source, str | os.PathLike) or not _has_classes(Path(os.fsdecode(source))):
        return None
    found = listing(source)
    numbers = right_outputs(found.classes, known, 0)
    if missing := [name for name, number in zip(found.classes, numbers, strict=True) if number < 0]:
        said = "does not name its classes: open it with labels=" if known is None else f"knows no '{missing[0]}'"
        raise InputError(
            f"'{source}' has a folder per class, but this network {said}. Or give the pictures, and their classes as truth=.",
            received=tuple(missing),
        )
    every = list(found.items(0))
    items = [every[number] for number in chosen(len(every), first) if every[number].label >= 0]
    taken = [(item.name, numbers[item.label], received(item.read(), preprocess)) for item in items]  # type: ignore[arg-type]
    if len({values.shape for _, _, (values, _) in taken}) != 1:
        raise InputError(f"The pictures of '{source}' are of several sizes. Give the preprocessing a size, as in '0..1 224'.")
    values = np.stack([values for _, _, (values, _) in taken])
    names, notes = tuple(name for name, _, _ in taken), tuple(notes for _, _, (_, notes) in taken)
    prepared = Prepared(names, notes, values, [preprocess.undo(each) for each in values], preprocess, values)
    return prepared, [number for _, number, _ in taken]


def _has_classes(path: Path) -> bool:
    """Whether it is an archive, or a folder without pictures of its own and with folders in it."""
    if path.is_dir():
        entries = [each for each in path.iterdir() if not each.name.startswith(".")]
        return bool(entries) and all(each.is_dir() for each in entries)
    return path.is_file() and path.suffix.lower() == ".zip"
