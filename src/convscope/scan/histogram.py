"""A histogram whose bins are the same for every unit of every network, so that any two can be merged.

Eight bins per octave, by the bits of float32: sign, exponent and the first three bits of the fraction. No first look at the
data is needed, and a quantile is off by less than a bin, which is an eighth of the value at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ..core import Array
from .blocks import blocks

OCTAVES, STEPS = (-16, 16), 8
SIDE = (OCTAVES[1] - OCTAVES[0]) * STEPS  # bins of one sign
BINS = 2 * SIDE + 1  # in the middle the bin of what is nearer to zero than 2 ** -16
SHIFT = 20  # bits of the fraction that a bin leaves out
BLOCK = 512  # units counted at once
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often each unit's value fell into each bin: counts (units, BINS). What is beyond 2 ** 16 is in the outermost bin."""

    counts: npt.NDArray[np.uint32] | int = 0

    def update(self, values: Array) -> Histogram:
        """values   (n, units), finite"""
        n, units = values.shape
        if not n:
            return self
        counts = np.zeros((units, BINS), np.uint32)
        counts += np.asarray(self.counts, np.uint32)
        for place in blocks(units, BLOCK):
            some = counts[place]
            places = bins(values[:, place]) + np.arange(len(some)) * BINS
            some += np.bincount(places.reshape(-1), minlength=some.size).reshape(some.shape).astype(np.uint32)
        return Histogram(counts)

    def merge(self, other: Histogram) -> Histogram:
        return Histogram(np.asarray(self.counts + other.counts, np.uint32))

    def quantile(self, share: float) -> Doubles:
        """(units,): the value below which `share` of the values lie, taken to be spread evenly inside a bin."""
        counts = np.asarray(self.counts, np.int64)
        until = counts.cumsum(1)
        rank = share * (until[:, -1:] - 1)
        place = np.minimum((until <= rank).sum(1), BINS - 1)
        rows = np.arange(len(counts))
        inside = counts[rows, place]
        fraction = (rank[:, 0] - (until[rows, place] - inside) + 0.5) / np.maximum(inside, 1)
        low, high = edges()[place], edges()[place + 1]
        values: Doubles = np.where(place == SIDE, 0.0, low + (high - low) * np.clip(fraction, 0, 1))
        return values


def bins(values: Array) -> npt.NDArray[np.int64]:
    """The number of the bin of each value, 0 to BINS - 1, in the order of the values."""
    places: npt.NDArray[np.int64] = bins_of_bits()[np.ascontiguousarray(values, np.float32).view(np.uint32) >> SHIFT]
    return places


@cache
def bins_of_bits() -> npt.NDArray[np.int64]:
    """The bin by the twelve bits that say it: sign, exponent and the first three of the fraction."""
    bits = np.arange(1 << (32 - SHIFT))
    negative, size = bits >> (31 - SHIFT), bits & ((1 << (31 - SHIFT)) - 1)
    place = np.clip(size - ((127 + OCTAVES[0]) * STEPS - 1), 0, SIDE)
    places: npt.NDArray[np.int64] = np.where(negative, SIDE - place, SIDE + place)
    return places


def edges() -> Doubles:
    """(BINS + 1,): where bins begin, and where the last one ends."""
    steps = np.arange(SIDE + 1)
    positive = 2.0 ** (OCTAVES[0] + steps // STEPS) * (1 + steps % STEPS / STEPS)
    return np.concatenate([-positive[::-1], positive])
