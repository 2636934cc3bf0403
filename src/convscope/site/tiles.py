"""Feature maps as the page receives them: one byte a value, with the range of each map and exact numbers per unit."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..draw import as_planes

Array = npt.NDArray[np.float32]
STEPS = 254  # a value is low + level / STEPS * (high - low); an even number, so that there is a level in the middle
NONFINITE = 255
# What the page knows of each unit, from the values themselves and not from the bytes. `peak` counts along the drawn map.
COLUMNS = ("low", "high", "mean", "max", "active", "variance", "peak", "nonfinite")
TOGETHER = 1 << 16  # values that are worked on at a time: they stay in a processor's cache, which is twice as fast


def payload(key: str, maps: Array, extra: Mapping[str, Array]) -> str:
    """`packed` of (units, *spatial) maps."""
    return packed(key, *quantised(strips(maps)), extra)


def packed(key: str, columns: Mapping[str, Array], levels: npt.NDArray[np.uint8], extra: Mapping[str, Array]) -> str:
    """A layer's maps for one picture as JSON, of what `quantised` gives.

    key     by which the page asks for it
    extra   more columns, (units,) each: "answer", how much a unit speaks for the answer
    """
    how, squeezed_levels = squeezed(levels)
    # What says nothing is left out: the page takes `high` for a missing `max`, and 0 for a missing `nonfinite`.
    silent = () if columns["nonfinite"].any() else ("nonfinite", "max")
    every = {name: each for name, each in columns.items() if name not in silent} | dict(extra)
    numbers = np.stack([np.asarray(each, np.float32) for each in every.values()]).astype("<f4")
    return _with_texts(
        {"key": key, "units": len(levels), "size": levels.shape[1:], "columns": [*every], "way": how},
        numbers=text(numbers.tobytes()),
        levels=text(squeezed_levels),
    )


def _with_texts(rest: Mapping[str, Any], **texts: str) -> str:
    """JSON of all of it. `texts` have nothing to be escaped; to look for it in megabytes takes longer than to deflate them."""
    return json.dumps(rest)[:-1] + "".join(f', "{name}": "{each}"' for name, each in texts.items()) + "}"


def kernels(key: str, inputs: npt.NDArray[np.int64], values: Array, of: int) -> str:
    """Slices of a layer's kernels as JSON, a byte a weight: 127 is the unit's greatest magnitude.

    inputs   (units, k) numbers of input channels
    values   (units, k, *kernel); of three dimensions the slices lie side by side
    of       how many input channels each unit has
    """
    units, most = inputs.shape
    planes = strips(values.reshape(units * most, *values.shape[2:]))
    flat = planes.reshape(units, most, -1)
    peaks = np.abs(np.nan_to_num(flat)).max((1, 2), initial=0)
    scaled = np.nan_to_num(flat) / np.where(peaks > 0, peaks, 1)[:, None, None] * 127
    wide = bool(inputs.max(initial=0) > 65535)
    return _with_texts(
        {"key": key, "size": planes.shape[1:], "most": most, "of": of, "wide": wide},
        inputs=text(inputs.astype("<u4" if wide else "<u2").tobytes()),
        peaks=text(peaks.astype("<f4").tobytes()),
        values=text(np.rint(scaled).astype(np.int8).tobytes()),
    )


def squeezed(levels: npt.NDArray[np.uint8]) -> tuple[str, bytes]:
    """(how, bytes): levels (units, h, w) deflated, by the one of three ways that seems to take the fewest bytes.

    "plain"      as they are, which is best where most are zero
    "left"       each less the one to its left, modulo 256: where neighbours are alike, that is mostly small
    "gradient"   and that less what stands above it, where maps are smooth
    """
    sample = levels[:: max(1, levels.size // SAMPLE)]
    how = min(WAYS, key=lambda way: _entropy(WAYS[way](sample)))
    deflate = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return how, deflate.compress(np.ascontiguousarray(WAYS[how](levels)).data) + deflate.flush()


def _left(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    differences = levels.copy()
    differences[:, :, 1:] -= levels[:, :, :-1]
    return differences


def _gradient(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    left = _left(levels)
    differences = left.copy()
    differences[:, 1:] -= left[:, :-1]
    return differences


WAYS = {"plain": lambda levels: levels, "left": _left, "gradient": _gradient}
SAMPLE = 1 << 15  # levels of some of the units, by which the way is chosen


def _entropy(levels: npt.NDArray[np.uint8]) -> float:
    """Bits a level if neighbours say nothing of each other."""
    counts = np.bincount(levels.ravel(), minlength=256)
    shares = counts[counts > 0] / levels.size
    return float(-(shares * np.log2(shares)).sum())


def strips(maps: Array) -> Array:
    """(units, *spatial) as pictures (units, h, w): a signal is one row, the slices of a volume lie side by side."""
    if maps.ndim == 2:
        return maps[:, None, :]
    return as_planes(maps)[0]


def quantised(planes: Array) -> tuple[dict[str, Array], npt.NDArray[np.uint8]]:
    """The COLUMNS of (units, h, w) maps, and their levels 0..STEPS, each by its own range; NONFINITE where a value is not finite.

    A value is off by at most half a step of its map's range. Zero is exact wherever it is the least value, as after a ReLU.
    """
    flat = np.ascontiguousarray(planes, np.float32).reshape(len(planes), -1)
    columns = {name: np.zeros(len(flat), np.float32) for name in COLUMNS}
    levels = np.zeros(flat.shape, np.uint8)
    step = max(1, TOGETHER // flat.shape[1])
    for start in range(0, len(flat), step):
        of = slice(start, start + step)
        _facts(flat[of], {name: each[of] for name, each in columns.items()})
        _levels(flat[of], columns["low"][of], columns["high"][of], levels[of])
    return columns, levels.reshape(planes.shape)


def _facts(flat: Array, into: Mapping[str, Array]) -> None:
    count = flat.shape[1]
    with np.errstate(invalid="ignore", over="ignore"):
        into["low"][:], into["high"][:] = flat.min(1), flat.max(1)
        into["max"][:] = into["high"]
        into["mean"][:] = mean = flat.mean(1)
        into["active"][:] = (flat > 0).sum(1, dtype=np.uint32) / np.float32(count)
        into["peak"][:] = flat.argmax(1)
        rest = flat - mean[:, None]
        into["variance"][:] = np.einsum("ij,ij->i", rest, rest) / np.float32(count)
    for unit in np.flatnonzero(~(np.isfinite(into["low"]) & np.isfinite(into["high"]))):
        sound = np.isfinite(flat[unit])
        into["nonfinite"][unit] = count - np.count_nonzero(sound)
        finite = flat[unit][sound]
        into["low"][unit], into["high"][unit] = (finite.min(), finite.max()) if finite.size else (0, 0)
        into["peak"][unit] = np.where(sound, flat[unit], -np.inf).argmax()


def _levels(flat: Array, low: Array, high: Array, into: npt.NDArray[np.uint8]) -> None:
    # As in `draw`: the difference of two float32 values can overflow, and can be too small to divide by.
    span = high.astype(np.float64) - low
    if np.isfinite(flat).all() and span.max() < 1e30 and (span[span > 0].min() if span.any() else 1) > 1e-30:
        scaled = flat - low[:, None]
        scaled *= (STEPS / np.where(span > 0, span, 1)).astype(np.float32)[:, None]
        scaled += np.float32(0.5)
        np.clip(scaled, 0, STEPS, out=scaled)
        into[:] = scaled
        return
    with np.errstate(invalid="ignore", over="ignore"):
        ratio = (flat.astype(np.float64) - low[:, None]) / np.where(span > 0, span, 1)[:, None]
    into[:] = np.clip(np.nan_to_num(ratio, nan=0, posinf=1, neginf=0) * STEPS + 0.5, 0, STEPS)
    into[~np.isfinite(flat)] = NONFINITE


def text(content: bytes) -> str:
    return b64encode(content).decode("ascii")


def script(content: str) -> str:
    """A payload as a script that hands it over: pages opened from a disk may load scripts, but no other files."""
    return f"convscope.receive({content});\n"


def data_uri(png: bytes) -> str:
    """A picture within the page."""
    return f"data:image/png;base64,{text(png)}"


def embedded(content: Any) -> str:
    """JSON that can stand within a page whatever is in it: no "</script>" can end it early."""
    return json.dumps(content).replace("<", "\\u003c")
