"""Pictures are read and preprocessed by threads while the network runs on those before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core import Pictures, arrays
from ..errors import ConvscopeError, InputError
from ..pictures import Preprocess
from ..pictures.prepare import received
from .entries import THREADS, Item, Listing, printable
from .inputs import Inputs

GONE = 16  # files in a row that are not there any more: then it is the disk that is gone, not a few pictures
Skip = Callable[[Item, str], None]
Read = tuple[Item, Pictures]  # what the network receives of it, without the axis of pictures


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures on their way in: values (n, c, h, w), of several inputs {name: array}, filled up to a whole batch by repeating the
    last one.
    """

    items: list[Item]
    values: Pictures


def batches(items: Iterator[Item], listing: Listing, preprocess: Preprocess, *, size: int, skip: Skip) -> Iterator[Batch]:
    """Batches of those pictures that can be read, in their order; `skip` is told of the others and why.

    raises   InputError where pictures differ in size, or where the place that they come from is gone
    """
    ready: list[Read] = []
    for item, values in decoded(items, listing, preprocess, ahead=2 * size, skip=skip):
        if ready:
            check_sizes(ready[0], (item, values))
        ready.append((item, values))
        if len(ready) == size:
            yield batch(ready, size)
            ready = ready[:0]
    if ready:
        yield batch(ready, size)


def batch(ready: list[Read], size: int) -> Batch:
    # Compiled engines make another program for another size, so that a last batch of five is as long as the others.
    values = [values for _, values in ready]
    return Batch([item for item, _ in ready], stacked(values + values[-1:] * (size - len(values))))


def stacked(pictures: Sequence[Pictures]) -> Pictures:
    """Of pictures without the axis of pictures, with it."""
    first = pictures[0]
    if isinstance(first, Mapping):
        return {name: np.stack([arrays(each)[name] for each in pictures]) for name in first}
    return np.stack(pictures)  # type: ignore[arg-type]


def decoded(items: Iterator[Item], listing: Listing, preprocess: Preprocess, *, ahead: int, skip: Skip) -> Iterator[Read]:
    skips = Skips(listing, skip)
    with ThreadPoolExecutor(max(listing.ahead, THREADS)) as pool:
        waiting: deque[tuple[Item, Future[Pictures]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(decode, item, preprocess)))
                if len(waiting) >= ahead:
                    yield from taken(*waiting.popleft(), skips)
            while waiting:
                yield from taken(*waiting.popleft(), skips)
        finally:
            for _, future in waiting:
                future.cancel()


def decode(item: Item, preprocess: Preprocess) -> Pictures:
    """What the network receives, without the axis of pictures.

    raises   ConvscopeError; because of a FileNotFoundError where there is no file any more
    """
    source = item.read()
    try:
        return source.received(preprocess) if isinstance(source, Inputs) else received(source, preprocess)[0]
    except ConvscopeError as error:
        paths = source.paths() if isinstance(source, Inputs) else [source.raw] if isinstance(source.raw, Path) else []
        if gone := next((path for path in paths if not path.exists()), None):
            raise InputError(str(error)) from FileNotFoundError(str(gone))
        raise


def taken(item: Item, future: Future[Pictures], skips: Skips) -> Iterator[Read]:
    try:
        values = future.result()
    except ConvscopeError as error:
        skips.skip(item, error)
        return
    skips.gone = 0
    yield item, values


class Skips:
    """What could not be read, as long as that is a matter of single pictures."""

    def __init__(self, listing: Listing, skip: Skip):
        self.gone, self._root, self._skip = 0, listing.root, skip

    def skip(self, item: Item, error: ConvscopeError) -> None:
        """Raises InputError where the place that the pictures come from is gone."""
        missing = isinstance(error.__cause__, FileNotFoundError)
        self.gone = self.gone + 1 if missing else 0
        if self._root is not None and not self._root.exists():
            what = f"'{self._root}' is gone."
        elif self.gone == GONE:
            what = f"{GONE} pictures in a row are gone, the last of them '{item.name}'."
        else:
            self._skip(item, printable(str(error)))
            return
        raise InputError(
            f"{what} What was finished is kept: when it is back, the same command goes on from there.", received=str(self._root)
        ) from error


def check_sizes(first: Read, other: Read) -> None:
    """Raises InputError where they differ."""
    (one, values), (another, others) = first, other
    for name, array in arrays(values).items():
        size, other_size = array.shape, arrays(others)[name].shape
        if size != other_size:
            of = f" in '{name}'" if isinstance(values, Mapping) else ""
            raise InputError(
                f"The pictures of a scan have one size, but '{one.name}' is {size[1:]} and '{another.name}' {other_size[1:]} "
                f"(height, width){of}. Give the preprocessing a size, as in '0..1 224'.",
                received=other_size,
                expected=size,
            )
