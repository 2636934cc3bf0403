"""What is kept of many pictures, as monoids: `update` takes pictures in, `merge` joins two parts, the empty one is neutral.

Parts may be of any sizes and merged in any order. Counts, extremes and top lists come out the same to the bit; sums, means and
variances to 1e-6, since floating-point sums depend on their order in the last digits.

Units of all layers stand side by side on one axis, (n, units), so that a network's 26,560 units are one array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array
from .blocks import blocks
from .foremost import foremost

Real = npt.NDArray[np.float64] | float
Doubles = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean, variance and extremes of each unit. Chan, Golub and LeVeque 1979.

    squares   the sum of squared deviations from the mean
    """

    count: int = 0
    mean: Real = 0.0
    squares: Real = 0.0
    least: Real = np.inf
    greatest: Real = -np.inf

    def update(self, values: Array) -> Moments:
        """values   (n, units)"""
        if not len(values):
            return self
        mean, squares = np.empty((2, values.shape[1]))
        for place in blocks(values.shape[1]):
            exact = values[:, place].astype(np.float64)
            mean[place] = exact.mean(0)
            exact -= mean[place]
            squares[place] = np.square(exact, out=exact).sum(0)
        least, greatest = (each.astype(np.float64) for each in (values.min(0), values.max(0)))
        return self.merge(Moments(len(values), mean, squares, least, greatest))

    def merge(self, other: Moments) -> Moments:
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * (other.count / count),
            self.squares + other.squares + np.square(apart) * (self.count * other.count / count),
            np.minimum(self.least, other.least),
            np.maximum(self.greatest, other.greatest),
        )

    @property
    def std(self) -> Real:
        """Of the pictures that were seen, dividing by their number."""
        return np.sqrt(self.squares / max(self.count, 1))


@dataclass(frozen=True, eq=False)
class Firing:
    """In how many pictures a unit is above zero anywhere, and the sum over pictures of the share of its positions that are."""

    count: int = 0
    pictures: Whole | int = 0
    shares: Real = 0.0
    everywhere: Whole | int = 0  # pictures in which all positions are above zero

    def update(self, peaks: Array, shares: Array) -> Firing:
        """peaks, shares   (n, units): the maximum over positions, and the share of positions above zero"""
        everywhere = (shares >= 1).sum(0)
        return self.merge(Firing(len(peaks), (peaks > 0).sum(0), shares.sum(0, dtype=np.float64), everywhere))

    def merge(self, other: Firing) -> Firing:
        return Firing(
            self.count + other.count,
            self.pictures + other.pictures,
            self.shares + other.shares,
            self.everywhere + other.everywhere,
        )


def nothing(kind: Any) -> Any:
    return field(default_factory=lambda: np.empty((0, 0), kind))


@dataclass(frozen=True, eq=False)
class Top:
    """The k greatest values of each unit, greatest first, with their pictures and positions.

    Of equal values the one of the greater mean comes first: a ReLU6 stops at 6, which many pictures reach. Of those equal
    in that too, the picture of the lower number, so that the list does not depend on who was first.

    values      (at most k, units)
    means       of the maps that the values are the maxima of
    pictures    numbers of the pictures
    positions   where in the map: the index into the spatial axes laid flat
    """

    k: int = 9
    values: Array = nothing(np.float32)
    means: Array = nothing(np.float32)
    pictures: npt.NDArray[np.int64] = nothing(np.int64)
    positions: npt.NDArray[np.int32] = nothing(np.int32)

    def update(self, values: Array, means: Array, pictures: Whole, positions: Array) -> Top:
        """values, means, positions   (n, units); pictures (n,), each once"""
        numbers = np.broadcast_to(np.asarray(pictures, np.int64)[:, None], values.shape)
        return self.merge(Top(self.k, *foremost(self.k, values, means, numbers, positions)))

    def merge(self, other: Top) -> Top:
        """Of both, in order."""
        full = [each for each in (self, other) if len(each.values)]
        if len(full) < 2:
            return full[0] if full else self
        names = ("values", "means", "pictures", "positions")
        return Top(self.k, *foremost(self.k, *(np.concatenate([getattr(each, name) for each in full]) for name in names)))


@dataclass(frozen=True, eq=False)
class ClassSums:
    """Per class the number of pictures, and per class and unit the sum of the means and the pictures in which it fires.

    counts   (classes,)
    means    (classes, units), sums of the means over positions; while no label is known (classes, 1) is enough
    fired    (classes, units), pictures whose maximum is above zero; likewise
    """

    counts: Whole | int = 0
    means: Real = 0.0
    fired: Whole | int = 0

    def update(self, labels: Whole, classes: int, means: Array, peaks: Array) -> ClassSums:
        """labels   (n,), numbers of classes, -1 for none"""
        known = labels >= 0
        if not known.any():
            return self
        counts = np.bincount(labels[known], minlength=classes)
        sums = grouped(means[known].astype(np.float64), labels[known], classes)
        fired = grouped((peaks[known] > 0).astype(np.int64), labels[known], classes)
        return self.merge(ClassSums(counts, sums, fired))

    def merge(self, other: ClassSums) -> ClassSums:
        if np.ndim(self.counts) and not np.any(other.counts):  # of a thousand classes the sums are large
            return self
        return ClassSums(self.counts + other.counts, self.means + other.means, self.fired + other.fired)


def grouped(values: Any, labels: Whole, classes: int) -> Any:
    """(classes, units): the rows of `values` added up by label."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    result = np.zeros((classes, values.shape[1]), values.dtype)
    if len(present):
        result[present] = np.add.reduceat(values[order], starts, axis=0)
    return result


@dataclass(frozen=True, eq=False)
class CoMoments:
    """How the units of one layer vary together: counts, means and the sums of products of deviations, (units, units)."""

    count: int = 0
    mean: Real = 0.0
    products: Real = 0.0

    def update(self, values: Array) -> CoMoments:
        """values   (n, units)"""
        if not len(values):
            return self
        exact = np.asarray(values, np.float64)
        mean = exact.mean(0)
        apart = exact - mean
        return self.merge(CoMoments(len(exact), mean, apart.T @ apart))

    def merge(self, other: CoMoments) -> CoMoments:
        if not self.count or not other.count:
            return self if self.count else other
        count, apart = self.count + other.count, np.asarray(other.mean - self.mean)
        together = np.outer(apart, apart)
        together *= self.count * other.count / count
        products = np.add(self.products, other.products)  # in place from here on: of 2,048 units each is 32 MB
        products += together
        return CoMoments(count, self.mean + apart * (other.count / count), products)

    @property
    def covariance(self) -> Doubles:
        """(units, units), dividing by the number of pictures."""
        return np.asarray(self.products) / max(self.count, 1)

    @property
    def correlation(self) -> Doubles:
        """(units, units), Pearson's; 0 with a unit that never varies."""
        products = np.asarray(self.products)
        spread = np.sqrt(np.clip(np.diag(products), 0, None))
        steady = spread <= 1e-12 * np.maximum(np.abs(self.mean), 1e-30) * np.sqrt(max(self.count, 1))
        inverse = np.where(steady, 0.0, 1 / np.where(steady, 1.0, spread))
        result: Doubles = np.clip(products * inverse * inverse[:, None], -1, 1)
        return result


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often pictures of a class got an answer: (classes, outputs)."""

    counts: Whole | int = 0

    def update(self, labels: Whole, answers: Whole, shape: tuple[int, int]) -> Confusion:
        """labels, answers   (n,), -1 where there is none"""
        known = (labels >= 0) & (answers >= 0)
        counts = np.zeros(shape, np.int64)
        np.add.at(counts, (labels[known], answers[known]), 1)
        return self.merge(Confusion(counts))

    def merge(self, other: Confusion) -> Confusion:
        return Confusion(self.counts + other.counts)


@dataclass(frozen=True, eq=False)
class MapSums:
    """Per class the number of pictures, and the sum of one layer's maps (c, *spatial); -1 is the class of what has no label."""

    counts: Mapping[int, int] = field(default_factory=dict)
    sums: Mapping[int, Doubles] = field(default_factory=dict)

    def update(self, labels: Whole, maps: Array) -> MapSums:
        """maps   (n, c, *spatial)"""
        present = [int(label) for label in np.unique(labels)]
        sums = {label: maps[labels == label].sum(0, dtype=np.float64) for label in present}
        return self.merge(MapSums({label: int((labels == label).sum()) for label in present}, sums))

    def merge(self, other: MapSums) -> MapSums:
        labels = sorted({*self.counts, *other.counts})
        counts = {label: self.counts.get(label, 0) + other.counts.get(label, 0) for label in labels}
        both = {label: [each.sums[label] for each in (self, other) if label in each.sums] for label in labels}
        return MapSums(counts, {label: parts[0] if len(parts) == 1 else parts[0] + parts[1] for label, parts in both.items()})
