"""Covering the picture with a window, place by place, and looking at the score. Zeiler and Fergus 2014."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from ..core import Array, Engine
from ..errors import InputError, WrongOption
from .incremental import Changes, incremental
from .patches import Rectangles
from .resume import MEMORY, Progress, Scored, chunks, score_many
from .targets import of_one

Fill = Literal["mean", "blur"] | float | Array
FEW = 8  # windows: so many at least at a time, so that layers are not called too often, and for fewer full runs are as quick
Box = tuple[slice, ...]  # of a window, one slice for each spatial axis


@dataclass(frozen=True, eq=False)
class Occlusion:
    """The score under a window at each of its places.

    scores   (n, *places), in units of score
    score    (n,) of the whole picture
    starts   for each spatial axis, where the window begins
    window   its size
    fill     what it was filled with, in words
    how      how it was computed, in words
    """

    scores: Array
    score: Array
    starts: tuple[tuple[int, ...], ...]
    window: tuple[int, ...]
    fill: str
    how: str

    def drop(self, spatial: Sequence[int]) -> Array:
        """(n, *spatial) how much of the score is lost, signed: for each position the mean over the windows that cover it."""
        lost = self.score.reshape(-1, *[1] * len(spatial)) - self.scores
        total, covers = np.zeros((len(lost), *spatial)), np.zeros(tuple(spatial))
        for place, box in zip(np.ndindex(*self.scores.shape[1:]), boxes(self.starts, self.window), strict=True):
            total[(slice(None), *box)] += lost[(slice(None), *place)].reshape(-1, *[1] * len(spatial))
            covers[box] += 1
        result: Array = (total / np.maximum(covers, 1)).astype(np.float32)
        return result


def occlusion(
    engine: Engine,
    pictures: Array,
    target: Scored,
    *,
    window: int | Sequence[int] = 32,
    stride: int | Sequence[int] = 16,
    fill: Fill = "mean",
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Occlusion:
    """score(x with the window at p filled), for each place p.

    pictures   (n, c, *spatial), already preprocessed
    window     positions along each axis; `stride`, by how many it moves. The last window ends where the picture does
    fill       "mean" of each channel of the picture, "blur" of the picture itself, a number, or an array that broadcasts to
               the pictures; in what the network receives
    raises     InputError for a window that is larger than the picture or empty; WrongOption
    """
    spatial = pictures.shape[2:]
    size, step = (per_axis(each, len(spatial), what) for each, what in ((window, "window"), (stride, "stride")))
    if any(one > whole for one, whole in zip(size, spatial, strict=True)):
        raise InputError(f"A window of {size} is larger than the picture, {spatial}.", received=size, expected=spatial)
    starts = tuple(starts_along(*each) for each in zip(spatial, size, step, strict=True))
    filled, said = filling(pictures, fill, size)
    found, said_how = list[Array](), dict[str, None]()
    number = 1 + int(np.prod([len(each) for each in starts]))

    def told(done: int, _all: int) -> None:
        if progress:
            progress(len(found) * number + done, len(pictures) * number)

    for index, (picture, cover) in enumerate(zip(pictures, filled, strict=True)):
        changes = Changes(picture[None], np.array(cover[None], np.float32), spans_of(starts, size))
        goal = of_one(target, index, len(pictures))
        scores, how = under_windows(engine, changes, goal, memory, len(starts[-1]), told)
        found.append(scores)
        said_how[how] = None
    scores = np.stack(found)
    places = [len(each) for each in starts]
    return Occlusion(scores[:, 1:].reshape(-1, *places), scores[:, 0], starts, size, said, "; ".join(said_how))


def under_windows(
    engine: Engine, changes: Changes, target: Scored, memory: int, row: int, progress: Progress
) -> tuple[Array, str]:
    """(1 + variants,) the score of the picture and of each variant, and how they were computed. `row`: windows side by side."""
    number = len(changes.spans.low)
    found = incremental(engine, changes, target, memory=memory) if number > FEW else None
    if found is None:
        variants = (each[0] for each in (changes.picture, *map(changes.variant, range(number))))
        scores = score_many(engine, variants, target, memory=memory, number=1 + number, progress=progress)
        return scores, "the whole network ran for each place"
    quick, most = found
    values = [np.asarray(target.values(quick.read), np.float32)]
    for some in chunks(number, min(most, max(row, FEW))):  # windows side by side reach as far up and down
        values.append(np.asarray(target.values(quick.read_of(some)), np.float32))
        progress(1 + min(some.stop, number), 1 + number)
    return np.concatenate(values), f"of each place only what the window can reach was computed again, up to '{quick.cut}'"


def spans_of(starts: Sequence[Sequence[int]], window: Sequence[int]) -> Rectangles:
    low = np.array(list(product(*starts)), np.int64)
    return Rectangles(low, low + np.asarray(window))


def boxes(starts: Sequence[Sequence[int]], window: Sequence[int]) -> Iterator[Box]:
    for corner in product(*starts):
        yield tuple(slice(start, start + size) for start, size in zip(corner, window, strict=True))


def starts_along(whole: int, window: int, stride: int) -> tuple[int, ...]:
    """Where windows begin: every `stride`, and one more that ends where the picture does if the others do not."""
    starts = list(range(0, whole - window + 1, stride))
    return (*starts, *([whole - window] if starts[-1] + window < whole else []))


def per_axis(value: int | Sequence[int], axes: int, what: str) -> tuple[int, ...]:
    sizes = (value,) * axes if isinstance(value, int | np.integer) else tuple(value)
    if len(sizes) != axes or any(not isinstance(size, int | np.integer) or size < 1 for size in sizes):
        raise InputError(f"The {what} is a number from 1 up, or {axes} of them, but received {value!r}.", received=value)
    return tuple(int(size) for size in sizes)


def filling(pictures: Array, fill: Fill, window: Sequence[int]) -> tuple[Array, str]:
    """What the window is filled with, of the pictures' shape, and that in words."""
    axes = tuple(range(2, pictures.ndim))
    if isinstance(fill, str):
        if fill not in ("mean", "blur"):
            raise WrongOption("The filling of a window", fill, ["mean", "blur"])
        if fill == "mean":
            return np.broadcast_to(pictures.mean(axes, keepdims=True), pictures.shape), "the mean of each channel"
        return blurred(pictures, window), "the picture, blurred"
    values = np.asarray(fill, np.float32)
    try:
        return np.broadcast_to(values, pictures.shape), f"{float(values):g}" if values.ndim == 0 else "values that were given"
    except ValueError:
        message = f"A filling of shape {values.shape} does not fit pictures of shape {pictures.shape}."
        raise InputError(message, received=values.shape, expected=pictures.shape) from None


def blurred(pictures: Array, window: Sequence[int]) -> Array:
    """The mean over a box of the window's size around each position; beyond the edge, the edge goes on."""
    result = pictures.astype(np.float64)
    for axis, size in enumerate(window, 2):
        width = [(0, 0)] * result.ndim
        width[axis] = (size // 2 + 1, size - size // 2 - 1)
        sums = np.pad(result, width, mode="edge").cumsum(axis)
        whole = pictures.shape[axis]
        result = (np.take(sums, range(size, size + whole), axis) - np.take(sums, range(whole), axis)) / size
    return result.astype(np.float32)
