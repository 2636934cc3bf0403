"""Signals as curves and single values as bars: palette indices, so that they stand in a sheet as maps do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .colour import FRAME, GREY, INK, NONFINITE, PAPER, SHADES

Bytes = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]
HEIGHT, NARROWEST, WIDEST = 64, 96, 960
THICK, LONG = 14, 320


def curves(signals: Array, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], *, most: int | None = None) -> Bytes:
    """(t, HEIGHT, w) of (t, n) signals; row 0 is `high`, the last one `low`. A sample is a point, joined to the next one.

    Of a signal with more samples than there are columns each column shows the range of its samples, so that no peak is lost.
    """
    t, n = signals.shape
    wide = min(WIDEST if most is None else most, n * max(1, -(-NARROWEST // n)))
    span = np.where(high > low, high - low, 1.0)[:, None]
    finite = np.stack([bridged(row) for row in signals.astype(np.float64)])
    heights = np.clip((HEIGHT - 1) * (1 - (finite - low[:, None]) / span), 0, HEIGHT - 1)
    heights[high <= low] = (HEIGHT - 1) / 2
    places = np.linspace(0, n - 1, wide + 1)
    left, right = places[:-1], places[1:]
    ends = np.stack([[np.interp(at, np.arange(n), row) for row in heights] for at in (left, right)])
    top, bottom = ends.min(0), ends.max(0)
    if n > wide:  # samples between the ends of a column
        column = np.minimum((np.arange(n) * wide) // n, wide - 1)
        for row in range(t):
            np.minimum.at(top[row], column, heights[row])
            np.maximum.at(bottom[row], column, heights[row])
    tile = np.full((t, HEIGHT, wide), PAPER, np.uint8)
    tile[:, [0, -1]] = tile[:, :, [0, -1]] = FRAME
    _zero_lines(tile, low, high)
    rows = np.arange(HEIGHT)[None, :, None]
    inked = (rows >= np.round(top)[:, None]) & (rows <= np.round(bottom)[:, None])
    tile[inked] = INK + SHADES - 1
    for row, sample in zip(*np.nonzero(~np.isfinite(signals)), strict=True):
        first = int(sample * wide // n)
        tile[row, :, first : max(first + 1, int((sample + 1) * wide // n))] = NONFINITE
    return tile


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
