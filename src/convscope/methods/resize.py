"""Maps made larger, for masks and for comparing: bilinear, in any number of dimensions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core import Array


def bilinear(maps: Array, size: tuple[int, ...]) -> Array:
    """(t, *spatial) at another size, linear between the centres of pixels, flat beyond the outermost; float32.

    As torch's interpolate(mode="bilinear", align_corners=False). To a smaller size values are picked, not averaged.
    """
    result = np.asarray(maps, np.float32)
    for axis, wanted in enumerate(size, 1):
        result = np.moveaxis(np.tensordot(weights(result.shape[axis], wanted), result, (1, axis)), 0, axis)
    return np.ascontiguousarray(result, np.float32)


def bilinear_back(slope: Array, size: tuple[int, ...]) -> Array:
    """From the gradient with respect to large maps to that with respect to small ones of `size`: the transpose of `bilinear`."""
    result = np.asarray(slope, np.float32)
    for axis, wanted in enumerate(size, 1):
        result = np.moveaxis(np.tensordot(weights(wanted, result.shape[axis]).T, result, (1, axis)), 0, axis)
    return np.ascontiguousarray(result, np.float32)


def weights(have: int, want: int) -> npt.NDArray[np.float32]:
    """(want, have) what each new pixel takes from each old one; rows sum to one."""
    at = np.clip((np.arange(want) + 0.5) * have / want - 0.5, 0, have - 1)
    left = np.minimum(at.astype(np.intp), max(have - 2, 0))
    share = at - left
    result = np.zeros((want, have), np.float32)
    result[np.arange(want), left] = 1 - share
    result[np.arange(want), np.minimum(left + 1, have - 1)] += share
    return result
