"""Rectangles of maps in which something has changed: how far they reach through a layer, and cutting them out and in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array
from .reach import Axis

Places = npt.NDArray[np.int64]  # (n, axes)


@dataclass(frozen=True, eq=False)
class Rectangles:
    """Of each of n variants the rectangle [low, high) outside of which a map is as it was; one number for each spatial axis."""

    low: Places
    high: Places

    def __getitem__(self, some: slice) -> Rectangles:
        return Rectangles(self.low[some], self.high[some])

    def joined(self, other: Rectangles) -> Rectangles:
        return Rectangles(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def share(self, whole: Sequence[int]) -> float:
        """Of the map, the mean over the variants."""
        return float(((self.high - self.low) / np.asarray(whole)).prod(1).mean())

    def evened(self, whole: Sequence[int]) -> tuple[Places, tuple[int, ...]]:
        """(starts, size) of rectangles of one size that hold these and lie in the map."""
        size = (self.high - self.low).max(0)
        return np.minimum(self.low, np.asarray(whole) - size), tuple(map(int, size))


@dataclass(frozen=True, eq=False)
class Patches:
    """What has changed: `values` (n, c, *size), the first of each at `starts` of the map."""

    starts: Places
    values: Array

    @property
    def size(self) -> tuple[int, ...]:
        return self.values.shape[2:]


def reached(spans: Rectangles, axes: Sequence[Axis], whole: Sequence[int]) -> Rectangles:
    """Which places of a layer, whose map is `whole`, look at one of these. At least one place, where none does."""
    k, s, d, before = (np.array([getattr(each, name) for each in axes]) for name in ("kernel", "stride", "dilation", "before"))
    last = np.asarray(whole) - 1
    low = np.clip(-((spans.low + before - (k - 1) * d) // -s), 0, last)
    high = np.clip((spans.high - 1 + before) // s, low, last) + 1
    return Rectangles(low, high)


def looked_at(starts: Places, size: Sequence[int], axes: Sequence[Axis]) -> tuple[Places, tuple[int, ...]]:
    """(starts, size) of what these places of a layer look at, in what `with_edges` gives."""
    begins = starts * np.array([each.stride for each in axes]) + np.array([max(-each.before, 0) for each in axes])
    return begins, tuple(
        (n - 1) * each.stride + (each.kernel - 1) * each.dilation + 1 for n, each in zip(size, axes, strict=True)
    )


def with_edges(map_: Array, axes: Sequence[Axis], whole: Sequence[int], edge: float) -> Array:
    """(1, c, *spatial) with all that a layer, whose map is `whole`, looks at beyond the edges."""
    before = [max(each.before, 0) for each in axes]
    ends = looked_at(np.zeros((1, len(axes)), np.int64), whole, axes)
    after = [
        max(int(start) + size - first - own, 0)
        for start, size, first, own in zip(ends[0][0], ends[1], before, map_.shape[2:], strict=True)
    ]
    width = [(0, 0), (0, 0), *zip(before, after, strict=True)]
    return np.pad(map_, width, constant_values=edge) if any(map(sum, width)) else map_


def cut_out(map_: Array, starts: Places, size: Sequence[int]) -> Array:
    """(n, c, *size) of (1, c, *spatial)."""
    result = np.empty((len(starts), map_.shape[1], *size), np.float32)
    for part, start in zip(result, starts, strict=True):
        part[...] = map_[0][(slice(None), *map(slice, start, start + size))]
    return result


def put_in(into: Array, starts: Places, patches: Patches) -> None:
    """Write what has changed into cut-out parts (n, c, *size) that begin at `starts`, as far as it lies in them."""
    low, high = patches.starts - starts, patches.starts - starts + patches.size
    inner_low, inner_high = np.maximum(low, 0), np.minimum(high, into.shape[2:])
    for part, values, own, first, last in zip(into, patches.values, low, inner_low, inner_high, strict=True):
        if (first < last).all():
            part[(slice(None), *map(slice, first, last))] = values[(slice(None), *map(slice, first - own, last - own))]
