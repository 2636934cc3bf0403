"""Where to read, what to change, and what was read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .inputs import Array

Reduce = Literal["none", "mean", "max", "argmax", "active"]


@dataclass(frozen=True)
class Tap:
    """Read `layer`'s output. `reduce` collapses the spatial axes where the network runs: (n, c, *spatial) -> (n, c).

    mean, max   over the positions
    argmax      the position of the maximum, int64, since float32 has not every whole number above 2 ** 24: the index into the
                spatial axes laid flat, row by row; of equal values the first; not defined where a value is NaN
    active      the share, 0..1, of the positions whose value is above zero, 1 only where all are, however many there are; not
                defined where a value is NaN
    """

    layer: str
    reduce: Reduce = "none"


@dataclass(frozen=True, eq=False)
class Edit:
    """Replace `layer`'s output `a` by `a * scale + shift`; both broadcast against (n, c, *spatial), channels first.

    An edit is data, not a callback, so that it survives jit, ONNX and a trip to another machine. To switch off unit 17
    of 64: `Edit("conv1", scale=mask)` with `mask` of shape (64, 1, 1), zero at 17.
    """

    layer: str
    scale: Array | float = 1.0
    shift: Array | float = 0.0


class Run(Mapping[Tap, Array]):
    """What was read: `run["conv1"]`, `run[Tap("conv1", "mean")]`, `run["output"]`."""

    def __init__(self, values: Mapping[Tap, Array]):
        self._values = dict(values)

    def __getitem__(self, tap: Tap | str) -> Array:
        tap = as_tap(tap)
        if tap not in self._values:
            asked = ", ".join(f"'{each.layer}'" for each in self._values)
            raise InputError(f"'{tap.layer}' with reduce='{tap.reduce}' was not read in this run. What was read: {asked}.")
        return self._values[tap]

    def __iter__(self) -> Iterator[Tap]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def as_tap(tap: Tap | str) -> Tap:
    return Tap(tap) if isinstance(tap, str) else tap


def merged(edits: Iterable[Edit]) -> dict[str, Edit]:
    """One edit per layer: several of the same layer act one after the other, (a * s + t) * s' + t'."""
    result: dict[str, Edit] = {}
    for edit in edits:
        factor, shift = np.asarray(edit.scale, np.float32), np.asarray(edit.shift, np.float32)
        before = result.get(edit.layer)
        if before is not None:
            factor, shift = factor * before.scale, before.shift * factor + shift
        result[edit.layer] = Edit(edit.layer, factor, shift)
    return result


def reduced(values: Array, reduce: Reduce) -> Array:
    """Collapse the spatial axes of (n, c, *spatial), see Tap. A unit of (n, units) is its own mean and maximum, at position 0.

    Of maps without a position all that is NaN, and the position -1.
    """
    if reduce == "none":
        return values
    if 0 in values.shape[2:]:
        return np.full(values.shape[:2], -1) if reduce == "argmax" else np.full(values.shape[:2], np.nan, np.float32)
    positions = math.prod(values.shape[2:])  # which -1 leaves open where there are no pictures, or no units
    flat = values.reshape(*values.shape[:2], positions) if values.ndim > 2 else values[..., None]
    if reduce == "argmax":
        places: Array = flat.argmax(-1).astype(np.int64)
        return places
    if reduce == "active":
        return share(np.count_nonzero(flat > 0, axis=-1), flat.shape[-1])
    result: Array = flat.mean(-1) if reduce == "mean" else flat.max(-1)
    return result


# The greatest share that is not all: float32 has no 1 - 1/n for n above 2 ** 24.
NOT_ALL = float(np.nextafter(np.float32(1), np.float32(0)))


def share(counts: npt.NDArray[Any], positions: int) -> Array:
    """How many of the positions, in whole numbers, as the share "active", see Tap; NaN where there are none."""
    with np.errstate(invalid="ignore"):
        exact = np.asarray(counts, np.float64) / positions
    return np.where(counts < positions, np.minimum(exact, NOT_ALL), exact).astype(np.float32)
