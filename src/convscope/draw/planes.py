"""What has another form than a picture, as one; and in how many columns."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def as_planes(values: Array) -> tuple[Array, str]:
    """(t, *spatial) as flat pictures (t, h, w), and a note on how, where it is not plain.

    Signals become strips, volumes their slices side by side, single values one pixel.
    """
    if values.ndim == 1:
        return values[:, None, None], ""
    if values.ndim == 2:
        thick = max(1, values.shape[1] // 8)
        return np.repeat(values[:, None, :], thick, axis=1), "; signals drawn as strips"
    if values.ndim == 3:
        return values, ""
    t, depth, h, w = values.shape
    return values.transpose(0, 2, 1, 3).reshape(t, h, depth * w), f"; the {depth} slices of each volume side by side"


def nearly_square(count: int) -> int:
    """How many columns make `count` tiles a square, or a little wider than high: 64 -> 8, 96 -> 10, 3 -> 2."""
    return max(1, math.ceil(math.sqrt(count)))
