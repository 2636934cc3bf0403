"""Pictures are read and preprocessed by threads while the network runs on those before them."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..core import Pictures, arrays
from ..errors import ConvscopeError, InputError
from ..pictures import Preprocess
from ..pictures.prepare import received
from ..pictures.sources import Source
from .entries import THREADS, Item, Listing, printable
from .inputs import Inputs
from .marks import Mark, mark_of, paths_of

GONE = 16  # files in a row that are not there any more: then it is the disk that is gone, not a few pictures
Skip = Callable[[Item, str], None]
Read = tuple[Item, Pictures, Mark]  # what the network receives of it, without the axis of pictures; of which file


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures on their way in: values (n, c, h, w), of several inputs {name: array}, filled up to a whole batch by repeating the
    last one.
    """

    items: list[Item]
    values: Pictures
    marks: list[Mark]


def batches(items: Iterator[Item], listing: Listing, preprocess: Preprocess, *, size: int, skip: Skip) -> Iterator[Batch]:
    """Batches of those pictures that can be read, in their order; `skip` is told of the others and why.

    raises   InputError where pictures differ in size, or where the place that they come from is gone
    """
    ready: list[Read] = []
    for read in decoded(items, listing, preprocess, ahead=2 * size, skip=skip):
        if ready:
            check_sizes(ready[0], read)
        ready.append(read)
        if len(ready) == size:
            yield batch(ready, size)
            ready = ready[:0]
    if ready:
        yield batch(ready, size)


def batch(ready: list[Read], size: int) -> Batch:
    # Compiled engines make another program for another size, so that a last batch of five is as long as the others.
    items, values, marks = map(list, zip(*ready, strict=True))
    return Batch(items, stacked(values + values[-1:] * (size - len(values))), marks)


def stacked(pictures: Sequence[Pictures]) -> Pictures:
    """Of pictures without the axis of pictures, with it."""
    first = pictures[0]
    if isinstance(first, Mapping):
        return {name: np.stack([arrays(each)[name] for each in pictures]) for name in first}
    return np.stack(pictures)  # type: ignore[arg-type]


def decoded(items: Iterator[Item], listing: Listing, preprocess: Preprocess, *, ahead: int, skip: Skip) -> Iterator[Read]:
    skips = Skips(listing, skip)
    with ThreadPoolExecutor(max(listing.ahead, THREADS)) as pool:
        waiting: deque[tuple[Item, Future[tuple[Pictures, Mark]]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(decode_marked, item, preprocess)))
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
    return decoded_from(item.read(), preprocess)


def decode_marked(item: Item, preprocess: Preprocess) -> tuple[Pictures, Mark]:
    """As `decode`, with the mark of the file that it was read from."""
    source = item.read()
    mark = (0, 0)
    with contextlib.suppress(OSError):  # what cannot be read is refused below
        mark = mark_of(source)
    return decoded_from(source, preprocess), mark


def decoded_from(source: Source | Inputs, preprocess: Preprocess) -> Pictures:
    try:
        return source.received(preprocess) if isinstance(source, Inputs) else received(source, preprocess)[0]
    except ConvscopeError as error:
        if gone := next((path for path in paths_of(source) if not path.exists()), None):
            raise InputError(str(error)) from FileNotFoundError(str(gone))
        raise


def taken(item: Item, future: Future[tuple[Pictures, Mark]], skips: Skips) -> Iterator[Read]:
    try:
        values, mark = future.result()
    except ConvscopeError as error:
        skips.skip(item, error)
        return
    skips.gone = 0
    yield item, values, mark


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
    (one, values, _), (another, others, _) = first, other
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
