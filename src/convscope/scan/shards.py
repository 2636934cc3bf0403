"""From the pictures of a shard to its statistics: one pass of the network, of which only pooled values and positions come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine, Run, Tap
from ..errors import InputError, Unsupported
from ..methods.answers import probabilities
from ..methods.scores import ends_in_sigmoid
from ..pictures import Preprocess
from .decoding import Batch, batches
from .entries import THREADS, Item, Listing
from .histogram import BINS, Histogram
from .marks import Mark
from .plan import Plan
from .statistics import ClassSums, CoMoments, Confusion, Firing, MapSums, Moments, Top

Whole = npt.NDArray[np.int64]
REDUCED = ("mean", "max", "argmax", "active")


@dataclass(frozen=True, eq=False)
class Statistics:
    """All that is kept of many pictures.

    means, peaks   of the mean and of the maximum of a unit's map in a picture
    firing, histogram, top   of the maximum
    classes        sums per class
    pairs          per layer, how the means of its units vary together
    maps           per layer, sums of whole maps per class
    by_class       per class the same as top, of its pictures; empty where that was too much to keep
    """

    means: Moments
    peaks: Moments
    firing: Firing
    histogram: Histogram
    top: Top
    classes: ClassSums
    confusion: Confusion
    pairs: Mapping[str, CoMoments]
    maps: Mapping[str, MapSums]
    by_class: Mapping[int, Top] = field(default_factory=dict)

    @classmethod
    def empty(cls, plan: Plan) -> Statistics:
        number, units = len(plan.classes), plan.units
        return cls(
            Moments(),
            Moments(),
            Firing(0, np.zeros(units, np.int64), np.zeros(units), np.zeros(units, np.int64)),
            Histogram(np.zeros((units, BINS), np.uint32)),
            Top(plan.k),
            ClassSums(np.zeros(number, np.int64), np.zeros((number, 1)), np.zeros((number, 1), np.int64)),
            Confusion(np.zeros((number, plan.outputs), np.int64)),
            {part.layer: CoMoments() for part in plan.parts} if plan.pairs else {},
            {layer: MapSums() for layer in plan.maps},
            {label: Top(plan.k) for label in range(number)} if plan.per_class else {},
        )

    def update(self, pooled: Pooled, plan: Plan) -> Statistics:
        read, labels = pooled.values, pooled.labels
        if not len(labels):
            return self
        shape = len(plan.classes), plan.outputs
        with ThreadPoolExecutor(THREADS) as pool:
            top = pool.submit(self.top.update, read["max"], read["mean"], pooled.numbers, read["argmax"])
            histogram = pool.submit(self.histogram.update, read["max"])
            means, peaks = pool.submit(self.means.update, read["mean"]), pool.submit(self.peaks.update, read["max"])
            firing = pool.submit(self.firing.update, read["max"], read["active"])
            classes = pool.submit(self.classes.update, labels, shape[0], read["mean"], read["max"])
            return Statistics(
                means.result(),
                peaks.result(),
                firing.result(),
                histogram.result(),
                top.result(),
                classes.result(),
                self.confusion.update(labels, pooled.answers, shape) if plan.outputs else self.confusion,
                {layer: each.update(read["mean"][:, plan[layer].place]) for layer, each in self.pairs.items()},
                {layer: each.merge(pooled.maps[layer]) for layer, each in self.maps.items()},
                {label: topped(each, pooled, np.flatnonzero(labels == label)) for label, each in self.by_class.items()},
            )

    def merge(self, other: Statistics) -> Statistics:
        merged: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            mine, others = getattr(self, name), getattr(other, name)
            keyed = isinstance(mine, Mapping)
            merged[name] = {key: mine[key].merge(others[key]) for key in mine} if keyed else mine.merge(others)
        return Statistics(**merged)


def topped(top: Top, pooled: Pooled, rows: npt.NDArray[np.intp]) -> Top:
    """With some of the pictures of a shard."""
    values, means, places = (pooled.values[name][rows] for name in ("max", "mean", "argmax"))
    return top.update(values, means, pooled.numbers[rows], places) if len(rows) else top


@dataclass(eq=False)
class Pooled:
    """What left the network for the pictures of a shard.

    values          by reduction ("mean", "max", "argmax", "active"): (n, units) float32, positions int64
    answers         the most probable class of each, -1 for a network that is no classifier; probability beside it
    maps            sums of whole maps
    skipped         (number, name, reason) of pictures that could not be used
    marks           (n, 2) of the files that were read: time and content, see marks.py
    """

    numbers: Whole
    names: list[str]
    labels: Whole
    values: dict[str, Array]
    answers: Whole
    probability: Array
    maps: dict[str, MapSums]
    skipped: list[tuple[int, str, str]]
    marks: Whole = field(default_factory=lambda: np.empty((0, 2), np.int64))


def read_shard(
    engine: Engine,
    items: Iterator[Item],
    listing: Listing,
    preprocess: Preprocess,
    plan: Plan,
    done: Callable[[int], None] | None = None,
) -> Pooled:
    """Run the pictures through the network. `done` is told after each batch how many pictures that was."""
    gathered = Gathered(plan, apart=ends_in_sigmoid(engine.graph))

    def skip(item: Item, why: str) -> None:
        gathered.skipped.append((item.number, item.name, why))

    taps = plan.taps()
    with ThreadPoolExecutor(1) as beside:  # what a batch left is gathered while the network runs on the next one
        gathering: Future[None] | None = None
        for batch in batches(with_known_labels(items, plan), listing, preprocess, size=plan.batch, skip=skip):
            run = engine.run(batch.values, taps)
            if gathering:
                gathering.result()
            gathering = beside.submit(gathered.add, batch, run)
            if done:
                done(len(batch.items))
        if gathering:
            gathering.result()
    return gathered.pooled()


def with_known_labels(items: Iterator[Item], plan: Plan) -> Iterator[Item]:
    """Raises InputError for the number of a class that there is not, of pictures that come with numbers."""
    for item in items:
        if item.label >= len(plan.classes):
            has = f"has the classes 0 to {len(plan.classes) - 1}" if plan.classes else "is no classifier"
            raise InputError(f"'{item.name}' has the label {item.label}, but the network {has}.", received=item.label)
        yield item


class Gathered:
    """What batches left, one after the other."""

    def __init__(self, plan: Plan, *, apart: bool):
        self.plan, self._apart = plan, apart
        self.skipped: list[tuple[int, str, str]] = []
        self._items: list[Item] = []
        self._marks: list[Mark] = []
        self._values: dict[str, list[Array]] = {each: [] for each in REDUCED}
        self._answers: list[tuple[Whole, Array]] = []
        self._maps = {layer: MapSums() for layer in plan.maps}

    def add(self, batch: Batch, run: Run) -> None:
        plan, n = self.plan, len(batch.items)
        read = {each: side_by_side(run, plan, each)[:n] for each in REDUCED}
        sound = finite(read, run, plan, n)
        for at in np.flatnonzero(~sound):
            self.skipped.append((batch.items[at].number, batch.items[at].name, broken(read["mean"][at], plan)))
        kept = np.flatnonzero(sound)
        items = [batch.items[at] for at in kept]
        self._items += items
        self._marks += [batch.marks[at] for at in kept]
        for name, values in read.items():
            self._values[name].append(values if sound.all() else values[kept])
        self._answers.append(answered(run, plan, kept, self._apart))
        labels = np.array([item.label for item in items], np.int64)
        for layer, sums in self._maps.items():
            self._maps[layer] = sums.update(labels, run[plan[layer].read_at][kept])

    def pooled(self) -> Pooled:
        items, units = self._items, self.plan.units
        return Pooled(
            numbers=np.array([item.number for item in items], np.int64),
            names=[item.name for item in items],
            labels=np.array([item.label for item in items], np.int64),
            values={each: np.concatenate([nothing(each, units), *parts]) for each, parts in self._values.items()},
            answers=np.concatenate([np.empty(0, np.int64), *(answers for answers, _ in self._answers)]),
            probability=np.concatenate([np.empty(0, np.float32), *(shares for _, shares in self._answers)]),
            maps=self._maps,
            skipped=sorted(self.skipped),
            marks=np.array(self._marks, np.int64).reshape(-1, 2),
        )


def nothing(reduce: str, units: int) -> Array:
    return np.empty((0, units), np.int64 if reduce == "argmax" else np.float32)


def side_by_side(run: Run, plan: Plan, reduce: str) -> Array:
    """(n, units) of all layers side by side."""
    return np.concatenate([run[Tap(part.read_at, reduce)] for part in plan.parts], axis=1)  # type: ignore[arg-type]


def finite(read: Mapping[str, Array], run: Run, plan: Plan, n: int) -> Any:
    """(n,) bool: whether all that a picture left is finite. A mean is NaN or infinite if one of its values is."""
    read = {**read, "output": run["output"][:n].reshape(n, -1)} if plan.outputs else read
    return np.all([np.isfinite(read[name]).all(1) for name in read], axis=0)


def broken(means: Array, plan: Plan) -> str:
    layer = next((part.layer for part in plan.parts if not np.isfinite(means[part.place]).all()), None)
    where = f"from '{layer}' on" if layer else "in its output"
    return f"For this picture the network gives values that are not finite, {where}."


def answered(run: Run, plan: Plan, kept: npt.NDArray[np.intp], apart: bool) -> tuple[Whole, Array]:
    if not plan.outputs or not len(kept):
        return np.full(len(kept), -1), np.full(len(kept), np.nan, np.float32)
    try:
        shares = probabilities(run["output"][kept], apart=apart)[0]
    except Unsupported:  # another shape for these pictures than for the first one
        return np.full(len(kept), -1), np.full(len(kept), np.nan, np.float32)
    return shares.argmax(1), shares.max(1)
