"""Which part of a picture a position of a map has seen, and that part cut out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .plan import Part

Pixels = npt.NDArray[np.uint8]
WINDOW = 3  # positions wide, where nothing better is known than how a map is scaled


@dataclass(frozen=True)
class Field:
    """How positions of a layer's maps lie in a picture of `size`, in pixels: the first one's centre, the step, the extent."""

    first: tuple[float, float]
    step: tuple[float, float]
    extent: tuple[float, float]
    size: tuple[int, int]
    exact: bool

    def box(self, y: int, x: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """top, left, bottom, right of what position (y, x) has seen, inside a picture of `size`."""
        ends = []
        for first, step, extent, at, limit in zip(self.first, self.step, self.extent, (y, x), size, strict=True):
            centre = first + step * at
            start = int(np.clip(np.floor(centre - extent / 2), 0, limit - 1))
            ends.append((start, int(np.clip(np.ceil(centre + extent / 2), start + 1, limit))))
        (top, bottom), (left, right) = ends
        return top, left, bottom, right

    @property
    def words(self) -> str:
        high, wide = (round(each) for each in self.extent)
        if self.exact:
            return f"the receptive field, {high} x {wide} pixels"
        return f"a window of {high} x {wide} pixels around the position, scaled from the map to the picture"


def field_of(part: Part, size: tuple[int, ...]) -> Field | None:
    """How `part`'s positions lie in pictures of `size`; None for maps that are no pictures."""
    if len(part.spatial) != 2 or len(size) != 2:
        return None
    step = (size[0] / part.spatial[0], size[1] / part.spatial[1])
    extent = tuple(min(max(each * WINDOW, 16.0), float(limit)) for each, limit in zip(step, size, strict=True))
    return Field((step[0] / 2, step[1] / 2), step, (extent[0], extent[1]), (size[0], size[1]), exact=False)
