"""Which part of a picture is shown for a position of a map: what the unit sees there, where that is not most of the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..core import Engine
from ..errors import ConvscopeError
from ..methods.receptive import edges, sizes_at, sizes_of
from .plan import Part, Plan

Box = tuple[int, int, int, int]
LARGE = 0.5  # of the picture's side: what sees more is shown by its middle
WINDOW = 3  # positions wide, where only the scale of the map is known


@dataclass(frozen=True)
class Field:
    """What is shown for row y and column x: pixels [starts[0][y], stops[0][y]) x [starts[1][x], stops[1][x]) of `size`.

    words    what that is: the receptive field, its middle, or a window
    """

    starts: tuple[Sequence[int], ...]
    stops: tuple[Sequence[int], ...]
    size: tuple[int, int]
    words: str

    def box(self, y: int, x: int) -> Box:
        """top, left, bottom, right."""
        return self.starts[0][y], self.starts[1][x], self.stops[0][y], self.stops[1][x]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Field:
        starts, stops = (tuple(tuple(axis) for axis in data[name]) for name in ("starts", "stops"))
        return cls(starts, stops, (data["size"][0], data["size"][1]), data["words"])


def fields(engine: Engine, plan: Plan) -> dict[str, Field]:
    """For each layer whose maps have rows and columns what is shown of a picture."""
    if len(plan.size) != 2:
        return {}
    try:
        sizes = sizes_of(engine.graph)
    except ConvscopeError:  # the network takes pictures of any size
        sizes = sizes_at(
            engine, (engine.graph.layers[0].shape[0] or 3, *plan.size) if engine.graph.layers[0].shape else plan.size
        )
    return {part.layer: field(engine, part, plan.size, sizes) for part in plan.parts if len(part.spatial) == 2}


def field(engine: Engine, part: Part, size: Sequence[int], sizes: Mapping[str, tuple[int, ...]]) -> Field:
    picture = (size[0], size[1])
    try:
        seen = edges(engine.graph, part.read_at, sizes)
    except ConvscopeError as why:
        return around(
            part, picture, tuple(WINDOW * side / places for side, places in zip(picture, part.spatial, strict=True)), str(why)
        )
    extent = tuple(int((stop - start).max(initial=0)) for start, stop in zip(seen.starts, seen.stops, strict=True))
    if any(each > LARGE * side for each, side in zip(extent, picture, strict=True)):
        return around(part, picture, tuple(LARGE * side for side in picture), "", extent)
    starts, stops = (tuple(tuple(axis.tolist()) for axis in ends) for ends in (seen.starts, seen.stops))
    return Field(starts, stops, picture, f"what it sees, its receptive field of {extent[0]} x {extent[1]} pixels")


def around(part: Part, picture: tuple[int, int], extent: Sequence[float], why: str, seen: Sequence[int] | None = None) -> Field:
    """A window around each position, as the map is scaled to the picture."""
    starts, stops = [], []
    for places, side, wide in zip(part.spatial, picture, extent, strict=True):
        centres = (np.arange(places) + 0.5) * side / places
        first = np.clip(np.round(centres - wide / 2), 0, side - 1).astype(int)
        starts.append(tuple(first.tolist()))
        stops.append(tuple(np.clip(np.round(centres + wide / 2), first + 1, side).astype(int).tolist()))
    window = f"{round(extent[0])} x {round(extent[1])} pixels around the position"
    if seen:
        words = f"{window}, the middle of what it sees, which is up to {seen[0]} x {seen[1]} of {picture[0]} x {picture[1]}"
    else:
        words = f"{window}, as the map is scaled to the picture; what it sees is not known ({why.rstrip('.')})"
    return Field(tuple(starts), tuple(stops), picture, words)
