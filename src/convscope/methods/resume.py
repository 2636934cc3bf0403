"""Running a network many times under small changes: nothing is computed twice, and the memory stays under a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import prod
from typing import Protocol

import numpy as np

from ..core import Array, Bulk, Edit, Engine, Graph, Held, Pictures, Resumable, Run, Tap, as_tap, count, each_array
from ..errors import InputError, UnknownLayer

MEMORY = 2 << 30  # bytes: the default limit of everything that runs many variants
QUICK = 32 << 20  # bytes in the largest array of a batch: more at a time is slower per picture, measured on two cores
IN_BULK = 8  # pictures at a time that are quick in bulk, however large they are
MOST = 256  # variants at a time, however small they are
LIVE = 4  # arrays as large as the largest that live at the same time: what a layer takes and gives, a copy, its workspace
Progress = Callable[[int, int], None]


class Scored(Protocol):
    """What is looked at: where it is read, and from (n, ...) read there to (n,) numbers."""

    @property
    def layer(self) -> str: ...

    def values(self, read: Array) -> Array: ...


def held(engine: Engine, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> Held:
    """`pictures` stopped after `layer`; of an engine that cannot do that, something that answers the same by full runs.

    raises   UnknownLayer, WrongPictureShape, EngineError
    """
    return engine.hold(pictures, layer, edits) if isinstance(engine, Resumable) else FromTheStart(engine, pictures, layer, edits)


class FromTheStart:
    """As Held, for an engine that is not Resumable: every run begins with the pictures."""

    def __init__(self, engine: Engine, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()):
        self.layer, self._edits = layer, list(edits)
        self._engine, self._pictures = engine, each_array(pictures, np.array)
        self.value = engine.run(pictures, [layer], [edit for edit in self._edits if not self._is_before(layer, edit.layer)])[
            layer
        ]

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        """See Held.run."""
        asked, changes = list(taps), list(edits)
        if repeat < 1:
            raise InputError(f"Pictures can be repeated 1, 2, 3, ... times, but received {repeat!r}.", received=repeat)
        for name in (*(as_tap(tap).layer for tap in asked), *(edit.layer for edit in changes)):
            if self._is_before(name, self.layer):
                raise InputError(
                    f"The pictures are held at '{self.layer}', and '{name}' lies before it. Hold them at '{name}' or earlier.",
                    received=name,
                )
        if repeat > 1 and count(self._pictures) > 1 and self._edits:
            raise InputError("Several pictures that are held with edits cannot be repeated here. Hold one picture at a time.")
        many = each_array(self._pictures, lambda array: array.repeat(repeat, 0))
        return self._engine.run(many, asked, [*self._edits, *changes])

    def _is_before(self, name: str, other: str) -> bool:
        """Whether `name` is a row above `other`. The network's outputs are below all rows. Raises UnknownLayer."""
        names = self._engine.graph.names
        places = [names.index(each) if each in names else self._end(each) for each in (name, other)]
        return places[0] < places[1]

    def _end(self, name: str) -> int:
        start, _, _ = name.partition(":")
        if start not in ("input", "output"):
            raise UnknownLayer(name, (*self._engine.graph.names, "output"))
        return 0 if start == "input" else len(self._engine.graph)


def at_once(
    graph: Graph, after: str = "input", *, memory: int = MEMORY, most: int = MOST, quick: int = 1, largest_array: int = QUICK
) -> int:
    """How many pictures to let pass at a time from `after` on: as many as are quick, and fit in `memory` bytes. At least 1.

    Estimated from the shapes in the layer table; sizes that are not known there count as 1, unless they are the picture's.
    quick    how many are quick whatever their size
    largest_array   bytes in the largest array of a batch up to which it is quick

    One of a network in which pictures that run together change each other.
    raises   InputError for a limit below which not even one picture fits
    """
    start = next((row.index for row in graph if row.name == after), 0)
    largest = max((size_of(row.shape) for row in graph.layers[start:]), default=1) * 4
    if memory < LIVE * largest:
        raise InputError(
            f"One picture takes about {LIVE * largest >> 10} KiB from '{after}' on, but the limit is {memory >> 10} KiB. "
            "Give more memory.",
            received=memory,
        )
    return 1 if graph.mixed else max(1, min(memory // (LIVE * largest), max(largest_array // largest, quick), most))


def size_of(shape: Iterable[int | None] | None) -> int:
    return prod(size or 1 for size in shape or ())


def chunks(number: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, number)) for start in range(0, number, size))


def score_many(
    engine: Engine,
    pictures: Iterable[Array],
    target: Scored,
    *,
    memory: int = MEMORY,
    number: int = 0,
    progress: Progress | None = None,
) -> Array:
    """(n,) the target's value of each of many pictures, which are made one by one and never all at once.

    pictures   each (c, *spatial), already preprocessed
    memory     bytes that a batch may take
    number     how many there are, for `progress`, which is called with (done, in all)
    """
    in_bulk = isinstance(engine, Bulk)
    size, values, left = at_once(engine.graph, memory=memory, quick=IN_BULK if in_bulk else 1), list[Array](), iter(pictures)
    done = 0
    while some := list(islice(left, size)):
        many = np.stack(some)
        read = engine.bulk(many, target.layer) if isinstance(engine, Bulk) else engine.run(many, [target.layer])[target.layer]
        values.append(np.asarray(target.values(read), np.float32))
        done += len(some)
        if progress:
            progress(done, max(number, done))
    return np.concatenate(values) if values else np.zeros(0, np.float32)
