"""Pictures of a finished scan go through the network again. What is found is written as it goes, and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..core import Engine, Pictures, each_array
from ..errors import ConvscopeError, InputError
from ..pictures import Preprocess
from .decoding import Batch, batches, decode
from .entries import Listing
from .finishing import put_npz
from .packing import load, pack
from .store import Store

EVERY = 64  # pictures after which what was found is written
AT_ONCE = 8  # pictures whose gradients are in memory at the same time
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Again:
    """A network and its pictures. numbers: which of them are looked at."""

    engine: Engine
    listing: Listing
    preprocess: Preprocess
    numbers: Sequence[int]

    def first(self) -> Pictures:
        """(1, c, *spatial), of several inputs {name: array}, of the first of them. Raises InputError where none can be read."""
        if self.listing.item is None:
            raise InputError("Pictures that come only once cannot be looked at again. Give a list or a folder.")
        for number in self.numbers:
            try:
                return each_array(decode(self.listing.item(int(number)), self.preprocess), lambda array: array[None])
            except ConvscopeError:  # gone since it was scanned
                continue
        raise InputError("None of these pictures can be read any longer.")

    def groups(self, done: int) -> Iterator[tuple[Iterator[Batch], int]]:
        """Batches of EVERY pictures, and how many are done after them. A picture that is gone by now is left out."""
        assert self.listing.item is not None
        for start in range(done, len(self.numbers), EVERY):
            items = [self.listing.item(int(number)) for number in self.numbers[start : start + EVERY]]
            some = batches(iter(items), self.listing, self.preprocess, size=AT_ONCE, skip=lambda *_: None)
            yield some, start + len(items)


@dataclass(frozen=True, eq=False)
class Found:
    """A monoid over `done` pictures, and in words what it is of."""

    value: Any
    done: int
    said: str


def found_in(path: Path) -> Found | None:
    """What was found so far; None where that is nothing."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return Found(load(path), int(arrays["done"]), str(arrays["said"]))


def go_on(
    again: Again, path: Path, empty: Found, update: Callable[[Any, Batch], Any], progress: Progress | None
) -> Found:  # fmt: skip
    """`update` over all pictures, from where it was stopped. Raises OutputError, also where another process is at it."""
    store = Store(path.parent)
    with store.locked():
        found = found_in(path) or empty
        for some, done in again.groups(found.done):
            value = found.value
            for batch in some:
                value = update(value, batch)
            found = Found(value, done, found.said)
            arrays = {**pack(value), "done": np.array(done), "said": np.array(found.said)}
            store.write(path.name, partial(put_npz, arrays))
            if progress:
                progress(done, len(again.numbers))
    return found
