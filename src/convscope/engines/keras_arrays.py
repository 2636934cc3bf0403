"""Between Keras' tensors, channels last as a rule, and the protocol's arrays, channels first, float32 and in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..core import Array, Edit
from ..errors import InputError, Shape

BLOCK = 1 << 16  # values that are turned at a time: 256 KiB, which stays in a core's cache
MANY = 1 << 18  # values from which on two threads are quicker than one


def host(tensor: Any) -> npt.NDArray[Any]:
    """A tensor as a NumPy array, without a copy where the backend can do that."""
    if isinstance(tensor, keras.Variable):
        tensor = tensor.value
    if keras.backend.backend() == "torch" and hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        tensor = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor  # which NumPy does not know
    return np.asarray(tensor)


def contiguous(values: npt.NDArray[Any]) -> Array:
    """A float32 copy in one piece."""
    return np.array(values, np.float32, order="C")


def copied(values: npt.NDArray[Any]) -> Array:
    """In one piece, as float32; positions as whole numbers."""
    return np.array(values, np.int64 if values.dtype.kind in "iu" else np.float32, order="C")


def to_protocol(values: Sequence[npt.NDArray[Any]], channels: Sequence[int]) -> list[Array]:
    """Copies, channels first. `channels`: the axis of each where they are, see keras_layout."""
    if sum(each.size for each in values) < MANY:
        return list(map(channels_first, values, channels))
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(channels_first, values, channels))


def channels_first(values: npt.NDArray[Any], axis: int) -> Array:
    """A copy (n, c, *spatial). Turned in blocks, because NumPy's own copy of a turned array misses the cache all the time."""
    if values.ndim < 3 or axis == 1:
        return copied(values)
    if axis not in (-1, values.ndim - 1):
        return copied(np.moveaxis(values, axis, 1))
    n, channels = values.shape[0], values.shape[-1]
    source = values.reshape(n, -1, channels)
    result = np.empty((n, channels, source.shape[1]), np.float32)
    rows = max(16, BLOCK // max(channels, 1))
    for picture in range(n):
        for start in range(0, source.shape[1], rows):
            result[picture, :, start : start + rows] = source[picture, start : start + rows].T
    return result.reshape(n, channels, *values.shape[1:-1])


def to_native(values: Array, channels: int, ndim: int | None = None) -> Array:
    """A copy in Keras' layout; first filled up with axes of length one to `ndim`, as broadcasting does."""
    values = np.asarray(values, np.float32)
    values = values.reshape((1,) * ((ndim or 0) - values.ndim) + values.shape)
    return contiguous(np.moveaxis(values, 1, channels) if values.ndim > 2 else values)


def check_fit(edit: Edit, shape: Shape) -> None:
    """Raises InputError unless the edit broadcasts to (n, c, *spatial), without making it larger."""
    for part in (np.shape(edit.scale), np.shape(edit.shift)):
        if len(part) > len(shape) or any(
            b is not None and a not in (1, b) for a, b in zip(part[::-1], shape[::-1], strict=False)
        ):
            raise InputError(
                f"The edit of '{edit.layer}' has shape {part}, which does not fit its output of shape {shape}.",
                received=part,
                expected=shape,
            )
