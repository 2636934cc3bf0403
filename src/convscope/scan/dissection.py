"""Which units find a concept, where masks say what is where: the overlap of a unit's map with a mask. Bau et al. 2017."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine
from ..errors import InputError
from ..methods.centres import over
from ..methods.resize import bilinear, laid_over

TOP = 0.005  # the share of all positions that count as the unit's own
BATCH = 8
Whole = npt.NDArray[np.int64]
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Overlap:
    """Pixels over all pictures: `own` (units,) of the map, `masked` (concepts,) of the mask, `both` (units, concepts)."""

    both: Whole | int = 0
    own: Whole | int = 0
    masked: Whole | int = 0

    def update(self, maps: Array, masks: Masks, thresholds: Array) -> Overlap:
        """maps (n, units, h, w) as large as masks (n, concepts, h, w); thresholds (units,)"""
        found = maps > thresholds[:, None, None]
        n, units = found.shape[:2]
        flat, marked = found.reshape(n, units, -1), masks.reshape(n, masks.shape[1], -1)
        both = sum(one.astype(np.float64) @ other.T.astype(np.float64) for one, other in zip(flat, marked, strict=True))
        return self.merge(Overlap(np.rint(both).astype(np.int64), flat.sum((0, 2)), marked.sum((0, 2))))

    def merge(self, other: Overlap) -> Overlap:
        return Overlap(self.both + other.both, self.own + other.own, self.masked + other.masked)

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """(units, concepts): intersection over union, 0..1."""
        union = np.asarray(self.own)[:, None] + np.asarray(self.masked) - np.asarray(self.both)
        result: npt.NDArray[np.float64] = np.asarray(self.both) / np.maximum(union, 1)
        return result


def dissect(engine: Engine, pictures: Array, masks: Masks, layer: str, *, top: float = TOP) -> Overlap:
    """How far each unit's strongest positions are those that masks mark.

    A unit's own positions are the `top` share of all its values over the pictures. Maps are made as large as the masks, each
    value over the middle of what it sees, bilinear between; stretched where that is not known, or masks have another size.

    pictures   (n, c, h, w), already preprocessed
    masks      (n, concepts, height, width), true where the concept is
    raises     UnknownLayer; InputError for masks of another number, or maps without rows and columns
    """
    if len(masks) != len(pictures) or masks.ndim != 4:
        raise InputError(f"Masks are (n, concepts, height, width) for {len(pictures)} pictures, but received {masks.shape}.")
    parts = [slice(start, start + BATCH) for start in range(0, len(pictures), BATCH)]
    maps = np.concatenate([engine.run(pictures[part], [layer])[layer] for part in parts])
    if maps.ndim != 4:
        raise InputError(f"The maps of '{layer}' have no rows and columns: {maps.shape}.", received=maps.shape)
    thresholds = np.quantile(maps, 1 - top, axis=(0, 2, 3)).astype(np.float32)
    overlap, places = Overlap(), over(engine.graph, layer, masks.shape[2:])
    for part in parts:
        some, size = maps[part], masks.shape[2:]
        flat = some.reshape(-1, *some.shape[2:])
        large = (bilinear(flat, size) if places is None else laid_over(flat, places, outside=-np.inf)).reshape(
            *some.shape[:2], *size
        )
        overlap = overlap.update(large, masks[part].astype(bool), thresholds)
    return overlap
