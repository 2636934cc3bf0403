"""A signal above its maps, curves or strips: all of them along one axis, which counts its samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .colour import PAPER
from .curves import HEIGHT, WIDEST, Array, Bytes, Limits, curves, width_of
from .scale import limits, ranges
from .words import amount

MOST = 6  # channels that are drawn, unless some are chosen
TICKS = 5


@dataclass(frozen=True, eq=False)
class Signal:
    """values    (c, samples) of the channels that are drawn
    names     of these
    centres   (positions,) the sample over which each position of a map stands; it may lie outside
    of        how many channels the signal has
    """

    values: Array
    names: tuple[str, ...]
    centres: Limits
    of: int

    @property
    def ends(self) -> tuple[float, float]:
        """The samples at the left and the right edge of a tile: those of the signal, and all positions of the maps."""
        return min(0.0, float(self.centres.min())), max(self.values.shape[1] - 1.0, float(self.centres.max()))

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round samples: [(share of the axis, "200"), ...]."""
        first, last = self.ends
        return [((at - first) / ((last - first) or 1.0), str(at)) for at in self._round()]

    def width(self, most: int | None = None) -> int:
        """How many columns a tile has."""
        return width_of(self.values.shape[1], most)

    def above(self, most: int | None = None) -> Bytes:
        """(c, HEIGHT, w) tiles of the channels, each by its own range."""
        tiles = self.values[:, None]
        own = limits(ranges(tiles), "map", signed=False, tiles=tiles)
        return curves(self.values, *own, ends=self.ends, wide=self.width(most), ticks=self._round())

    def curves(self, maps: Array, low: Limits, high: Limits, most: int | None = None) -> Bytes:
        """(t, HEIGHT, w) tiles of maps (t, positions), along the same axis."""
        wide, ticks = self.width(most), self._round()
        return curves(maps, low, high, places=self.centres, ends=self.ends, wide=wide, ticks=ticks)

    def strips(self, levels: Bytes, most: int | None = None) -> Bytes:
        """(t, HEIGHT, w) tiles of levels (t, positions): each reaches half-way to its neighbours; beyond the last is nothing."""
        wide, (first, last), centres = self.width(most), self.ends, self.centres
        half = np.diff(centres) / 2 if len(centres) > 1 else np.full(1, 0.5)
        sides = np.concatenate([centres[:1] - half[:1], centres[:-1] + half[: len(centres) - 1], centres[-1:] + half[-1:]])
        middles = first + (np.arange(wide) + 0.5) / wide * (last - first)
        at = np.searchsorted(sides, middles, side="right") - 1
        inside = (at >= 0) & (at < len(centres))
        row = np.where(inside, levels[:, np.clip(at, 0, len(centres) - 1)], np.uint8(PAPER))
        return np.repeat(row[:, None], HEIGHT, axis=1)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the channels, and their ranges."""
        known = ranges(self.values[:, None])
        return tuple(
            f"{name}, the input: {amount(low, 3)} to {amount(high, 3)}"
            for name, low, high in zip(self.names, known.low, known.high, strict=True)
        )

    def says(self) -> str:
        """For the caption."""
        which = "the signal" if len(self.names) == self.of else f"{len(self.names)} of its {self.of} channels"
        return (
            f"above them {which} as the network received it, each channel by its own range; the axis counts samples, and each "
            "position of a map stands over the middle of those that it depends on"
        )

    def _round(self) -> list[int]:
        first, last = self.ends
        steps = (base * 10**power for power in range(9) for base in (1, 2, 5))
        step = next(step for step in steps if (last - first) / step <= TICKS)
        return [at for at in range(0, int(last) + 1, step) if at >= first]


def columns(width: int, most: int) -> int:
    """How many tiles of that width stand side by side."""
    return max(1, min(most, WIDEST // width))
