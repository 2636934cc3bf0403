"""Maps made larger, for masks and for comparing: bilinear, in any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence

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
    return weights_at(np.clip((np.arange(want) + 0.5) * have / want - 0.5, 0, have - 1), have)


def weights_at(at: npt.NDArray[np.float64], have: int) -> npt.NDArray[np.float32]:
    """The same for new pixels that lie `at` places (want,) of the old ones, 0 to have - 1."""
    left = np.minimum(at.astype(np.intp), max(have - 2, 0))
    share, every = at - left, np.arange(len(at))
    result = np.zeros((len(at), have), np.float32)
    result[every, left] = 1 - share
    result[every, np.minimum(left + 1, have - 1)] += share
    return result


def laid_over(maps: Array, places: Sequence[npt.NDArray[np.float64]]) -> Array:
    """(t, *spatial) as large as a picture, each place where it stands, linear between; -inf outside of all that places see.

    places   per axis, for each pixel where among the places it lies, as `centres.over` gives them
    """
    result = np.asarray(maps, np.float32)
    for axis, at in enumerate(places, 1):
        result = np.moveaxis(np.tensordot(weights_at(np.nan_to_num(at), result.shape[axis]), result, (1, axis)), 0, axis)
    result = np.ascontiguousarray(result, np.float32)
    for axis, at in enumerate(places, 1):
        np.moveaxis(result, axis, 0)[np.isnan(at)] = -np.inf
    return result
