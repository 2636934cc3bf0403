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


def laid_over(maps: Array, places: Sequence[npt.NDArray[np.float64]], upsample: str = "bilinear", *, outside: float = 0) -> Array:
    """(..., *spatial) as large as a picture, each value where its place stands.

    places     per axis, for each pixel where among the places it lies, as `centres.over` gives them
    upsample   between places: "bilinear", a mixture of the two beside it; "nearest", the value of the nearest
    outside    the value of pixels that no place sees
    """
    result = np.asarray(maps, np.float32)
    for axis, at in enumerate(places, result.ndim - len(places)):
        known = np.nan_to_num(at)
        if upsample == "nearest":
            result = result.take(np.floor(known + 0.5).astype(np.intp), axis)
        else:
            result = _mixed(result, known, axis)
    for axis, at in enumerate(places, result.ndim - len(places)):
        np.moveaxis(result, axis, 0)[np.isnan(at)] = outside
    return result


def _mixed(values: Array, at: npt.NDArray[np.float64], axis: int) -> Array:
    """Along one axis the values `at` places of it, linear between two."""
    low = np.floor(at).astype(np.intp)
    share = (at - low).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1 - axis))
    first = values.take(low, axis)
    with np.errstate(invalid="ignore"):  # infinity times a share of zero
        between = first * (1 - share) + values.take(np.minimum(low + 1, values.shape[axis] - 1), axis) * share
    result: Array = np.where(share > 0, between, first)
    return result
