"""Hand-made kernels, to apply to a picture or to put into a network.

    from convscope import kernels

    kernels.apply("cat.png", kernels.sobel()).sheet().save("edges.png")
    net.with_filters("conv1", kernels.gabor_bank(7))

Each function gives (k, size, size) float32. Rows go down and columns to the right, and a kernel is laid on the picture as it
stands, not mirrored, as networks do it: right minus left answers with plus where the picture is brighter at the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .core import Array, Layer
from .errors import InputError
from .methods.maps import Reading
from .results import FeatureMaps

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


def sobel() -> Array:
    """(2, 3, 3) right minus left, and lower minus upper, smoothed across. Sobel and Feldman 1968; not divided by 8."""
    across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
    return np.stack([across, across.T])


def prewitt() -> Array:
    """(2, 3, 3) right minus left, and lower minus upper, means of three. Prewitt 1970; not divided by 6."""
    across = np.array([[-1, 0, 1]] * 3, np.float32)
    return np.stack([across, across.T])


def laplacian() -> Array:
    """(2, 3, 3) the surroundings minus the middle: the second derivative over 4 neighbours, and over 8."""
    return np.array([[[0, 1, 0], [1, -4, 1], [0, 1, 0]], [[1, 1, 1], [1, -8, 1], [1, 1, 1]]], np.float32)


def gaussian(size: int = 5, *, sigma: float | None = None) -> Array:
    """(1, size, size) exp(-(x^2 + y^2) / 2 sigma^2) that sums to one: a blur. `sigma`: in pixels, by default size / 5."""
    y, x = _grid(size)
    weights = np.exp(-(x**2 + y**2) / (2 * (sigma or size / 5) ** 2))
    return np.asarray((weights / weights.sum())[None], np.float32)


def gabor(
    size: int = 7, *, orientation: float = 0.0, frequency: float = 0.2, phase: float = 0.0, sigma: float | None = None
) -> Array:
    """(1, size, size) a wave under a Gaussian, of length one and with a sum of zero.

    orientation   in which the wave runs, in degrees from the x axis towards the y axis (down): 0 finds upright edges and lines
    frequency     cycles per pixel, up to 0.5
    phase         in degrees: 0 a bright line, 90 an edge, 180 a dark line
    sigma         of the Gaussian, in pixels, by default size / 5
    """
    y, x = _grid(size)
    angle, window = np.radians(orientation), np.exp(-(x**2 + y**2) / (2 * (sigma or size / 5) ** 2))
    wave = np.cos(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) - np.radians(phase))
    kernel = window * (wave - (window * wave).sum() / window.sum())
    return np.asarray((kernel / np.linalg.norm(kernel))[None], np.float32)


def gabor_bank(
    size: int = 7,
    *,
    orientations: int = 4,
    frequencies: Sequence[float] = (0.15, 0.3),
    phases: Sequence[float] = (0.0, 90.0),
) -> Array:
    """(frequencies * orientations * phases, size, size) Gabor functions: orientations evenly over 180 degrees."""
    angles = [180 * number / orientations for number in range(orientations)]
    made = [gabor(size, orientation=a, frequency=f, phase=p) for f in frequencies for a in angles for p in phases]
    return np.concatenate(made)


def lines() -> Array:
    """(4, 3, 3) bright lines one pixel wide: level, upright, falling (\\\\) and rising (/). Each sums to zero."""
    level = np.array([[-1, -1, -1], [2, 2, 2], [-1, -1, -1]], np.float32)
    falling = np.where(np.eye(3), 2, -1).astype(np.float32)
    return np.stack([level, level.T, falling, falling[:, ::-1]])


def apply(pictures: Any, kernels: Array, *, name: str = "kernels") -> FeatureMaps:
    """Lay each kernel on each picture: maps (n, k, h, w) of the pictures' own size, without a network.

    pictures   as `net.maps` takes them; they are made grey, 0..1, and mirrored at their edges. All of one size
    kernels    (k, height, width)
    raises     InputError for kernels of another form, and for pictures of several sizes; NotAPicture
    """
    kernels = checked(kernels)
    grey, names = _grey(pictures)
    above, left = (kernels.shape[1] - 1) // 2, (kernels.shape[2] - 1) // 2
    below, right = kernels.shape[1] - 1 - above, kernels.shape[2] - 1 - left
    padded = np.pad(grey, ((0, 0), (above, below), (left, right)), mode="symmetric")
    windows = sliding_window_view(padded, kernels.shape[1:], axis=(1, 2))
    values = np.asarray(np.einsum("nyxij,kij->nkyx", windows, kernels, optimize=True), np.float32)
    layer = Layer(0, name, "convolution", "Kernels", values.shape[1:], kernel=kernels.shape)
    return FeatureMaps(layer, Reading(name, name, False), values, names)


def checked(kernels: Any) -> Array:
    """(k, height, width) float32. Raises InputError."""
    array = np.asarray(kernels, np.float32)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or not array.size or not np.isfinite(array).all():
        raise InputError(
            f"Kernels are finite numbers of shape (k, height, width), but received {array.shape}.", received=array.shape
        )
    return array


def fitted(kernels: Any, shape: tuple[int, ...]) -> Array:
    """Kernels as filters of a layer whose kernel has `shape` (out, in, height, width): (k, in, height, width).

    Those of shape (k, h, w) look at the mean of the input channels. Smaller ones stand in the middle, with zeros around them.
    raises   InputError for kernels that are larger, or of another number of channels
    """
    array = np.asarray(kernels, np.float32)
    if array.ndim != 4:
        array = np.repeat(checked(array)[:, None] / shape[1], shape[1], axis=1)
    if len(shape) != 4 or array.shape[1] != shape[1] or array.shape[2] > shape[2] or array.shape[3] > shape[3]:
        raise InputError(
            f"Kernels of shape {array.shape} do not fit a layer whose kernel is {shape}: they are at most as large, and over "
            f"{shape[1] if len(shape) > 1 else 0} channels.",
            received=array.shape,
            expected=shape,
        )
    result = np.zeros((len(array), *shape[1:]), np.float32)
    top, left = ((whole - part) // 2 for whole, part in zip(shape[2:], array.shape[2:], strict=True))
    result[:, :, top : top + array.shape[2], left : left + array.shape[3]] = array
    return result


def _grid(size: int) -> tuple[Any, Any]:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InputError(f"The size of a kernel is a whole number from 1 on, but received {size!r}.", received=size)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return y, x


def _grey(pictures: Any) -> tuple[Array, tuple[str, ...]]:
    from .pictures import Preprocess, prepare

    prepared = prepare(pictures, Preprocess(channels=3, origin="given"))
    weights = np.array(GREY, np.float32)[:, None, None]
    return (prepared.values * weights).sum(1), prepared.names
