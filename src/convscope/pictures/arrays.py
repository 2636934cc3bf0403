"""NumPy arrays as pictures: whole numbers are pixels, floats are what the network receives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Shape, WrongPictureShape

AnyArray = npt.NDArray[Any]
CHANNELS = (1, 3, 4)  # grey, RGB, RGB with alpha


@dataclass(frozen=True, eq=False)
class Ready:
    """One picture (c, h, w) float32, already preprocessed, of an array of shape `given`."""

    values: npt.NDArray[np.float32]
    given: tuple[int, ...]


def split(array: AnyArray, channels: int | None = None) -> Iterator[npt.NDArray[np.uint8] | Ready]:
    """The pictures in one array, each as uint8 (h, w, 1 | 3 | 4), or of as many `channels`, or as Ready. Raises InputError."""
    if array.size == 0:
        raise InputError(
            f"An array of shape {array.shape} holds no picture. Give one with at least one pixel.", received=array.shape
        )
    if array.dtype.kind == "f":
        values = _ready(array)
        return (Ready(each, array.shape) for each in values)
    return iter(_pixels(array, channels))


def wrong_channels(ready: Ready, channels: int) -> InputError:
    """The error for a float array whose channels are not as many as the network takes."""
    if len(ready.given) == 4:
        return WrongPictureShape(ready.given, (None, channels, None, None))
    hint = ""
    if ready.given[-1] == channels:
        hint = (
            " The channels look last: pass array.transpose(2, 0, 1). If these are pixels, pass them as uint8, 0 to 255, "
            f"(h, w, {channels}); of 0 to 1, (array * 255).round().astype('uint8')."
        )
    expected: Shape = (channels, None, None)
    return InputError(
        f"Float arrays are taken as already preprocessed. This network takes ({channels}, any, any), "
        f"but received {ready.given}.{hint or ' Give pixels of 0 to 255 as uint8.'}",
        received=ready.given,
        expected=expected,
    )


def _ready(array: AnyArray) -> npt.NDArray[np.float32]:
    if array.ndim not in (3, 4):
        raise InputError(
            f"Float arrays are taken as already preprocessed, of shape (n, c, h, w) or (c, h, w), but received {array.shape}. "
            f"{'Pass array[None] for one channel, or give' if array.ndim == 2 else 'Give'} pixels of 0 to 255 as uint8, "
            "(h, w) or (h, w, 3).",
            received=array.shape,
        )
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is counted below
        values = np.ascontiguousarray(array, np.float32)
    if broken := int(np.count_nonzero(~np.isfinite(values))):
        raise InputError(
            f"{broken} of the {values.size} values of an array of shape {array.shape} are NaN or infinite in float32. "
            "Mend what makes them, or replace them with numpy.nan_to_num.",
            received=array.shape,
        )
    return values if values.ndim == 4 else values[None]


def _pixels(array: AnyArray, channels: int | None) -> npt.NDArray[np.uint8]:
    """(n, h, w, 1 | 3 | 4 | channels) uint8."""
    if array.dtype.kind not in "iu" or array.dtype == np.uint16:
        raise InputError(
            f"An array of dtype {array.dtype} is no picture. Give pixels of 0 to 255 as uint8"
            f"{_way_to_uint8(array)}, or float32 (n, c, h, w), already preprocessed.",
            received=array.dtype,
        )
    shape = array.shape
    pictures = array[None, ..., None] if array.ndim == 2 else array[None] if array.ndim == 3 else array
    possible = sorted({*CHANNELS, *([channels] if channels else [])})
    if pictures.ndim != 4 or pictures.shape[-1] not in possible:
        each = " | ".join(map(str, possible))
        raise InputError(
            f"An array of pixels has shape (h, w), (h, w, {each}) or (n, h, w, {each}), but received {shape}.{_hint(shape)}",
            received=shape,
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > 255:
        raise InputError(
            f"Pixels are 0 to 255, but an array of dtype {array.dtype} holds values from {low} to {high}. "
            "Scale it to uint8, or give float32 (n, c, h, w), already preprocessed.",
            received=(low, high),
            expected=(0, 255),
        )
    return pictures.astype(np.uint8, copy=False)


def _way_to_uint8(array: AnyArray) -> str:
    ways = {"bool": ": array.astype(numpy.uint8) * 255", "uint16": ": (array // 257).astype(numpy.uint8) for 0 to 65535"}
    return ways.get(str(array.dtype), "")


def _hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] in CHANNELS:
        return " The channels look first: pass array.transpose(1, 2, 0)."
    if len(shape) == 4 and shape[1] in CHANNELS:
        return " The channels look first: pass array.transpose(0, 2, 3, 1)."
    return " For a stack of grey pictures pass array[..., None]." if len(shape) == 3 else " Give one picture, or a list of them."
