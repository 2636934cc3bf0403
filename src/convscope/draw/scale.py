"""From values to levels of a colour map: what range each map has, and what in it cannot be scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import WrongOption
from .colour import DEAD, LEVELS, MIDDLE, NONFINITE

Array = npt.NDArray[np.float32]
Scale = str | tuple[float, float]
SCALES = ("map", "shared", "percentile")
PERCENTILES = (1.0, 99.0)
# A map whose range is under this share of its magnitude is constant: what differs is rounding, and stretched it would be noise.
NOISE = 1e-6


@dataclass(frozen=True)
class Ranges:
    """What is known of t maps before they are drawn.

    low, high   (t,) the least and greatest finite value of each; 0 where there is none
    dead        (t,) zero everywhere
    constant    (t,) one value everywhere, other than zero
    nonfinite   (t,) how many values are NaN or infinite
    size        how many values a map has
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    dead: npt.NDArray[np.bool_]
    constant: npt.NDArray[np.bool_]
    nonfinite: npt.NDArray[np.int64]
    size: int

    @property
    def whole(self) -> tuple[float, float]:
        """The least and greatest finite value of all maps; (0, 0) where there is none."""
        some = self.nonfinite < self.size
        return (float(self.low[some].min()), float(self.high[some].max())) if some.any() else (0.0, 0.0)


def fixed(scale: Scale) -> tuple[float, float]:
    """(low, high) as it was asked for. Raises WrongOption for what is no range."""
    try:
        low, high = map(float, scale)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise WrongOption("The scale", scale, (*SCALES, "two numbers, the lesser first"))
    return low, high


def beyond(tiles: Array, between: tuple[float, float], *, signed: bool) -> int:
    """How many finite values lie outside of a fixed range, as it is drawn."""
    low, high = around_zero(*between) if signed else between
    return int(np.count_nonzero(np.isfinite(tiles) & ((tiles < np.float32(low)) | (tiles > np.float32(high)))))


def around_zero(low: Any, high: Any) -> tuple[Any, Any]:
    """The range of signed values: zero is its middle."""
    high = np.maximum(np.abs(low), np.abs(high))
    return -high, high


def ranges(tiles: Array) -> Ranges:
    """The ranges of (t, ...) maps, of whatever is in them."""
    flat = tiles.reshape(len(tiles), -1)
    low, high = flat.min(1).astype(np.float64), flat.max(1).astype(np.float64)
    nonfinite = np.zeros(len(flat), np.int64)
    for number in np.flatnonzero(~(np.isfinite(low) & np.isfinite(high))):
        finite = flat[number][np.isfinite(flat[number])]
        nonfinite[number] = flat.shape[1] - finite.size
        low[number], high[number] = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    sound = nonfinite == 0
    dead = sound & (low == 0) & (high == 0)
    constant = sound & ~dead & (high - low <= NOISE * np.maximum(np.abs(low), np.abs(high)))
    return Ranges(low, high, dead, constant, nonfinite, flat.shape[1])


def limits(
    known: Ranges, scale: Scale, *, signed: bool, tiles: Array | None = None, between: tuple[float, float] | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(t,) the values that get the first and the last colour. Of signed maps they lie around zero, so that zero is the middle.

    tiles     the maps themselves, for their percentiles; a map whose percentiles are equal keeps its whole range
    between   the range of all, where it is not that of these maps alone
    """
    low, high = known.low, known.high
    if scale == "percentile" and tiles is not None:
        finite = np.where(np.isfinite(tiles), tiles, np.nan).reshape(len(tiles), -1).astype(np.float64)
        finite[known.nonfinite == finite.shape[1]] = 0
        inner = np.nanpercentile(finite, PERCENTILES, axis=1)
        apart = inner[1] > inner[0]
        low, high = np.where(apart, inner[0], low), np.where(apart, inner[1], high)
    if scale == "shared" or between is not None:
        least, greatest = between or known.whole
        low, high = np.full_like(low, least), np.full_like(high, greatest)
    return around_zero(low, high) if signed else (low, high)


def levels(
    tiles: Array, known: Ranges, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], *, shared: bool
) -> npt.NDArray[np.uint8]:
    """(t, h, w) palette indices of (t, h, w) values: levels, or the marks for what is dead or not finite.

    A constant map is drawn flat: at its own place in a shared range and in one around zero, which is in the middle there; else
    in the middle of its own.
    """
    across = (-1, *([1] * (tiles.ndim - 1)))
    span = np.where(high > low, high - low, 1.0)
    # In float64 per map, float32 per pixel: (max - min) of float32 values can overflow.
    # Where even that is too little, or something is not finite, all of it is done the slow and safe way.
    safe = not known.nonfinite.any() and span.min() > 1e-30 and span.max() < 1e30
    if not safe:
        with np.errstate(invalid="ignore", over="ignore"):
            ratio = (tiles.astype(np.float64) - low.reshape(across)) / span.reshape(across) * (LEVELS - 1)
        result = np.clip(np.nan_to_num(ratio, nan=0.0, posinf=0.0, neginf=0.0) + 0.5, 0, LEVELS - 0.5).astype(np.uint8)
        result[~np.isfinite(tiles)] = NONFINITE
    else:
        scaled = tiles - low.astype(np.float32).reshape(across)
        scaled *= ((LEVELS - 1) / span).astype(np.float32).reshape(across)
        scaled += np.float32(0.5)
        np.clip(scaled, 0, LEVELS - 0.5, out=scaled)
        result = scaled.astype(np.uint8)
    if not shared:
        result[known.constant & (low != -high)] = MIDDLE
    result[known.dead] = DEAD
    return result


def levels_of_zero(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], *, shared: bool) -> npt.NDArray[np.uint8]:
    """(t,) the level of a map of zeros drawn as the constant it is: at its place in a shared range, else in the middle."""
    ratio = np.clip(-low / np.where(high > low, high - low, 1.0), 0, 1)
    found: npt.NDArray[np.uint8] = np.rint(ratio * (LEVELS - 1)).astype(np.uint8)
    return found if shared else np.full_like(found, MIDDLE)
