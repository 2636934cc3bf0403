"""What tells the file of a picture from another of the same name and size: when it was written, and what is in it.

Where the time is the same, nothing was written. A folder that was copied has other times and the same content, so that a file of
another time is read before it is called another picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..pictures.sources import Source
from .entries import THREADS, Listing
from .inputs import Inputs

Mark = tuple[int, int]  # time and content; 0 and 0 of what is no file: archives and addresses have marks of their own, or none
AT_ONCE = 4096  # files that are looked at together
Marks = npt.NDArray[np.int64]  # (n, 3): the number of the picture, time, content


def mark_of(source: Source | Inputs) -> Mark:
    """Asked before the picture is read: what is written meanwhile has a later time. Raises OSError."""
    paths = paths_of(source)
    return (time_of(paths), content_of(paths)) if paths else (0, 0)


def paths_of(source: Source | Inputs) -> Sequence[Path]:
    """The files that are read for it."""
    if isinstance(source, Inputs):
        return source.paths()
    return [source.raw] if isinstance(source.raw, Path) else []


def time_of(paths: Iterable[Path]) -> int:
    """In nanoseconds, of several files the sum."""
    return sum(path.stat().st_mtime_ns for path in paths) % 2**63


def content_of(paths: Iterable[Path]) -> int:
    digest = blake2b(digest_size=8)
    for path in paths:
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest(), "little", signed=True)


def replaced(listing: Listing, marks: Marks) -> str | None:
    """The name of the first picture whose file is not the one that was read; None if there is none."""
    if listing.item is None:
        return None
    item = listing.item

    def is_another(mark: Any) -> bool:
        number, time, content = map(int, mark)
        try:
            paths = paths_of(item(number).read())
            return time_of(paths) != time and content_of(paths) != content
        except OSError:  # gone
            return True

    of_files = marks[marks[:, 1] != 0]
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(of_files), AT_ONCE):
            some = of_files[start : start + AT_ONCE]
            for mark, another in zip(some, pool.map(is_another, some), strict=True):
                if another:
                    return item(int(mark[0])).name
    return None
