"""Signals as curves and single values as bars: palette indices, so that they stand in a sheet as maps do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .colour import FRAME, GREY, INK, NONFINITE, PAPER, SHADES

Bytes = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]
Limits = npt.NDArray[np.float64]
HEIGHT, NARROWEST, WIDEST = 64, 96, 960
THICK, LONG = 14, 320


def curves(
    signals: Array,
    low: Limits,
    high: Limits,
    *,
    most: int | None = None,
    places: Limits | None = None,
    ends: tuple[float, float] | None = None,
    wide: int | None = None,
    ticks: Sequence[float] = (),
) -> Bytes:
    """(t, HEIGHT, w) of (t, n) signals; row 0 is `high`, the last one `low`. A sample is a point, joined to the next one.

    Of a signal with more samples than there are columns each column shows the range of its samples, so that no peak is lost.

    places   (n,) where along the axis each sample stands, ascending; None: one after the other
    ends     what the left and the right edge of a tile stand for; None: the first and the last place
    wide     columns; None: as many as the samples need, `most` at most
    ticks    where along the axis there are lines
    """
    t, n = signals.shape
    wide = width_of(n, most) if wide is None else wide
    at = np.arange(n, dtype=np.float64) if places is None else places
    first, last = (float(at[0]), float(at[-1])) if ends is None else ends
    span = np.where(high > low, high - low, 1.0)[:, None]
    finite = np.stack([bridged(row) for row in signals.astype(np.float64)])
    heights = np.clip((HEIGHT - 1) * (1 - (finite - low[:, None]) / span), 0, HEIGHT - 1)
    heights[high <= low] = (HEIGHT - 1) / 2
    column = columns_of(at, first, last, wide)
    top, bottom = _between(heights, at, np.linspace(first, last, wide + 1), column)
    tile = np.full((t, HEIGHT, wide), PAPER, np.uint8)
    tile[:, [0, -1]] = tile[:, :, [0, -1]] = FRAME
    tile[:, :, columns_of(np.asarray(ticks, np.float64), first, last, wide)] = FRAME
    _zero_lines(tile, low, high)
    rows = np.arange(HEIGHT)[None, :, None]
    inked = (rows >= np.round(top)[:, None]) & (rows <= np.round(bottom)[:, None])  # never where there is no curve: NaN
    tile[inked] = INK + SHADES - 1
    edges = np.append(column, wide)
    for row, sample in zip(*np.nonzero(~np.isfinite(signals)), strict=True):
        tile[row, :, edges[sample] : max(edges[sample] + 1, edges[sample + 1])] = NONFINITE
    return tile


def width_of(samples: int, most: int | None = None) -> int:
    """How many columns so many samples are drawn in: the same number for each, where there is room for them."""
    return min(WIDEST if most is None else most, samples * max(1, -(-NARROWEST // samples)))


def columns_of(at: Limits, first: float, last: float, wide: int) -> npt.NDArray[np.intp]:
    """In which of `wide` columns from `first` to `last` each place lies."""
    share = (at - first) / ((last - first) or 1.0)
    return np.clip((share * wide).astype(np.intp), 0, wide - 1)


def _between(heights: Limits, at: Limits, sides: Limits, column: npt.NDArray[np.intp]) -> tuple[Limits, Limits]:
    """(t, w) the least and the greatest height of the curves within each column; NaN where there is none."""
    # Along the axis, not beyond the first and the last sample: a curve says nothing there.
    ends = np.stack(
        [[np.interp(side, at, row, left=np.nan, right=np.nan) for row in heights] for side in (sides[:-1], sides[1:])]
    )
    top, bottom = np.fmin(*ends), np.fmax(*ends)
    for row, each in enumerate(heights):  # samples between the ends of a column
        np.fmin.at(top[row], column, each)
        np.fmax.at(bottom[row], column, each)
    return top, bottom


def bridged(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What is not finite between its neighbours, so that the curve goes on to where it is marked, and not to zero."""
    sound = np.isfinite(signal)
    if sound.all() or not sound.any():
        return signal if sound.all() else np.zeros_like(signal)
    places = np.arange(len(signal))
    return np.interp(places, places[sound], signal[sound])


def _zero_lines(tile: Bytes, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> None:
    for number in np.flatnonzero((low < 0) & (high > 0)):
        tile[number, round((HEIGHT - 1) * high[number] / (high[number] - low[number]))] = FRAME


def bars(values: Array, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> Bytes:
    """(t, THICK, LONG) of (t,) values: a bar from zero to each, on a scale from the least (or zero) to the greatest (or zero)."""
    least, greatest = min(0.0, float(low.min(initial=0))), max(0.0, float(high.max(initial=0)))
    span = (greatest - least) or 1.0
    columns = least + (np.arange(LONG) + 0.5) / LONG * span
    tile = np.full((len(values), THICK, LONG), PAPER, np.uint8)
    finite = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)[:, None]
    filled = ((columns > 0) & (columns <= finite)) | ((columns < 0) & (columns >= finite))
    tile[np.repeat(filled[:, None], THICK, axis=1)] = GREY + SHADES - 1
    tile[:, :, min(LONG - 1, round(-least / span * LONG))] = INK + SHADES - 1
    tile[~np.isfinite(values)] = NONFINITE
    return tile
