"""Changes of what a layer gives, as edits: units off, at their mean, at another picture's, scaled, pushed in a direction.

Each takes `units` (None for all of them) and `region`, a mask (*spatial) of the map (None for all of it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ..core import Array, Edit, Engine, Pictures, Tap, batch, count
from ..errors import InputError
from .asked import unit_numbers
from .maps import reading

Units = int | Sequence[int] | None
Region = npt.NDArray[np.bool_] | None
FILLS = ("zero", "mean", "resample")
BATCH = 8


def place(engine: Engine, layer: str, *, activated: bool = True) -> str:
    """Where a unit of `layer` is changed: after the activation that alone follows it, where there is one.

    A normalisation between the two would give a unit that is zero before it some other value after it.
    """
    return reading(engine.graph, layer, activated=activated).read_at


def selection(shape: Sequence[int], units: Units, region: Region, layer: str) -> Array:
    """(c, *spatial) or (c, 1, 1), 1 where something is to be changed and 0 elsewhere. Raises InputError."""
    chosen = list(range(shape[0])) if units is None else unit_numbers(units, shape[0], layer)
    spatial = tuple(shape[1:])
    mask = np.zeros((shape[0], *[1] * len(spatial)), np.float32)
    mask[chosen] = 1
    return mask if region is None else mask * within(region, spatial, layer)


def within(region: Region, spatial: Sequence[int], layer: str) -> Array:
    """A region of a layer's map as (*spatial), 1 inside and 0 outside. Raises InputError where it is empty or does not fit."""
    where = np.asarray(region, bool)
    if where.shape != tuple(spatial) or not where.any():
        raise InputError(
            f"The region has shape {where.shape} and {int(where.sum())} positions, but it selects some of '{layer}', "
            f"{tuple(spatial)}.",
            received=where.shape,
            expected=tuple(spatial),
        )
    return where.astype(np.float32)


def shape_of(engine: Engine, layer: str, pictures: Pictures | None = None) -> tuple[int, ...]:
    """(c, *spatial) of what a layer gives; where its row does not say, by running a picture. Raises UnknownLayer, InputError."""
    shape = engine.graph[layer].shape
    if shape is not None and all(size is not None for size in shape):
        return tuple(size for size in shape if size is not None)
    if pictures is not None:
        return engine.run(batch(pictures, slice(0, 1)), [layer])[layer].shape[1:]
    if shape is not None and shape[0] is not None:
        return (shape[0], *[1] * (len(shape) - 1))
    raise InputError(f"How many units '{layer}' has is only known with a picture. Give some: over='pictures/'.", received=layer)


def zeroed(layer: str, chosen: Array) -> Edit:
    """a -> 0 where chosen."""
    return Edit(layer, 1 - chosen)


def scaled(layer: str, chosen: Array, factor: float) -> Edit:
    """a -> factor * a where chosen."""
    return Edit(layer, 1 + np.float32(factor - 1) * chosen)


def replaced(layer: str, chosen: Array, values: Array) -> Edit:
    """a -> values where chosen; values broadcast against (n, c, *spatial)."""
    return Edit(layer, 1 - chosen, chosen * values)


def steered(layer: str, direction: Array, strength: float = 1.0) -> Edit:
    """a -> a + strength * direction, of (c,) at every position or (c, *spatial)."""
    return Edit(layer, 1.0, np.float32(strength) * direction)


def means(engine: Engine, pictures: Pictures, layer: str) -> Array:
    """(c, 1, 1) the mean of each unit over positions and pictures."""
    total: npt.NDArray[np.float64] | None = None
    for part in batches(pictures):
        tap = Tap(layer, "mean")
        some = engine.run(part, [tap])[tap].sum(0, dtype=np.float64)
        total = some if total is None else total + some
    if total is None:
        raise InputError("The mean of a unit is over pictures, but there are none. Give some: over='pictures/'.")
    axes = len(engine.graph[layer].shape or (0, 0, 0)) - 1
    return (total / count(pictures)).astype(np.float32).reshape(-1, *[1] * axes)


def every_map(engine: Engine, pictures: Pictures, layer: str) -> Array:
    """(n, c, *spatial) what each of `pictures` leaves at `layer`. Raises InputError where there are none."""
    found = [engine.run(part, [layer])[layer] for part in batches(pictures)]
    if not found:
        raise InputError("Maps are drawn from those of pictures, but there are none. Give some: over='pictures/'.")
    return np.concatenate(found)


def sampled(values: Array, *, seed: int = 0) -> Array:
    """(c, *spatial) each unit's map as one of (n, c, *spatial), drawn at random, has it."""
    drawn = np.random.default_rng(seed).integers(len(values), size=values.shape[1])
    result: Array = values[drawn, np.arange(values.shape[1])]
    return result


def batches(pictures: Pictures) -> Iterator[Pictures]:
    return (batch(pictures, slice(start, start + BATCH)) for start in range(0, count(pictures), BATCH))
