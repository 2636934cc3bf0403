"""What networks take that see no pictures: signals (EEG, audio, text as vectors), volumes, plain features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, NotAPicture, Shape, WrongPictureShape
from ..paths import is_address, path_of
from .decode import Pixels
from .prepare import Prepared
from .preprocess import Array, Preprocess

THICK = 8  # pixels of a channel of a signal, as it is shown
KINDS = {1: "features", 2: "a signal", 4: "a volume"}


def takes_pictures(shape: Shape | None) -> bool:
    """Whether an input of this shape, without the axis of pictures, has the axes of pictures."""
    return shape is None or len(shape) == 3


def prepare_arrays(given: Any, shape: Sequence[int | None], preprocess: Preprocess) -> Prepared:
    """Arrays (n, *shape), or one of (*shape), or .npy files with such; they pass as they are, as float32.

    shown    each as a strip per channel, the slices of a volume side by side, by its own range, in grey
    raises   WrongPictureShape, InputError; NotAPicture for a file that is none
    """
    values = _read(given)
    if values.ndim == len(shape):
        values = values[None]
    fits = values.ndim == len(shape) + 1 and all(want in (None, have) for have, want in zip(values.shape[1:], shape, strict=True))
    if not fits or not values.size:
        raise WrongPictureShape(values.shape, (None, *shape))
    kind = KINDS.get(len(shape), "an array")
    names = tuple(f"array {number}" for number in range(1, len(values) + 1)) if len(values) > 1 else ("array",)
    note = f"{kind} of shape {values.shape[1:]}, taken as it is; drawn in grey by its own range"
    return Prepared(names, ((note,),) * len(values), values, [shown(each) for each in values], preprocess, values)


def shown(values: Array) -> Pixels:
    """(h, w, 3) of one entry. What is not finite is black."""
    if values.ndim == 1:
        values = values[None]
    if values.ndim == 2:
        values = np.repeat(values, THICK, axis=0)
    while values.ndim > 2:  # the last but two axes side by side
        values = np.concatenate(list(values), axis=-1)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    levels = np.nan_to_num((values.astype(np.float64) - low) / ((high - low) or 1.0), nan=0, posinf=0, neginf=0)
    grey = np.clip(levels * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _read(given: Any) -> Array:
    if isinstance(given, str | Path):
        if is_address(given):
            raise NotAPicture(given, "it is an address, and nothing is downloaded here. Download it and give the file.")
        path = path_of(given, "An array")
        try:
            given = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise NotAPicture(path, f"this network takes arrays, in .npy files ({error}).") from error
    if isinstance(given, Sequence) and len(given) and all(isinstance(each, str | Path) for each in given):
        return np.concatenate([_read(each)[None] for each in given])
    try:
        values = np.asarray(given)
        return values if values.dtype.kind in "iu" else np.ascontiguousarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"What was given is no array of numbers: {error}. Give a NumPy array.", received=type(given)) from error
