"""Which part of a picture is shown for a position of a map: what the unit sees there, where that is not most of the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Engine, Graph, input_names
from ..errors import ConvscopeError
from ..methods.centres import centres
from ..methods.receptive import Edges, Sizes, edges, sizes_at, sizes_of
from ..methods.upstream import inputs_above
from ..pictures.several import is_picture, main_input
from .inputs import shapes_of
from .plan import Part, Plan

Box = tuple[int, int, int, int]
LARGE = 0.5  # of the picture's side: what sees more is shown by its middle
WINDOW = 3  # positions wide, where only the scale of the map is known


@dataclass(frozen=True)
class Field:
    """What is shown for row y and column x: pixels [starts[0][y], stops[0][y]) x [starts[1][x], stops[1][x]) of `size`.

    words    what that is: the receptive field, its middle, or a window
    of       the input whose pictures these are, if it is another one than is shown
    """

    starts: tuple[Sequence[int], ...]
    stops: tuple[Sequence[int], ...]
    size: tuple[int, int]
    words: str
    of: str = ""

    def box(self, y: int, x: int) -> Box:
        """top, left, bottom, right."""
        return self.starts[0][y], self.starts[1][x], self.stops[0][y], self.stops[1][x]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Field:
        starts, stops = (tuple(tuple(axis) for axis in data[name]) for name in ("starts", "stops"))
        return cls(starts, stops, (data["size"][0], data["size"][1]), data["words"], data.get("of", ""))


def fields(engine: Engine, plan: Plan) -> dict[str, Field]:
    """For each layer whose maps have rows and columns what is shown of a picture."""
    if len(plan.size) != 2:
        return {}
    graph, sizes = engine.graph, None
    try:
        sizes = sizes_of(graph)
    except ConvscopeError:  # the network takes pictures of any size
        if len(graph.inputs) == 1:
            sizes = sizes_at(engine, (graph.layers[0].shape[0] or 3, *plan.size) if graph.layers[0].shape else plan.size)
    return {part.layer: field_of(engine.graph, part, plan.size, sizes) for part in plan.parts if len(part.spatial) == 2}


def field_of(graph: Graph, part: Part, size: Sequence[int], sizes: Sizes | None) -> Field:
    """Of several inputs in the pictures of one that the layer follows from: the one that is shown, if it does."""
    shapes, picture = shapes_of(graph), (size[0], size[1])
    if len(shapes) == 1:
        return field(graph, part, picture, sizes)
    above, main = inputs_above(graph, part.read_at), main_input(shapes)
    seen = [name for name in above or () if is_picture(shapes[name])]
    if not seen:
        why = "which inputs the layer follows from is not known" if above is None else "of which the layer sees nothing"
        return whole(part, picture, f"the whole picture, {why}")
    if main in seen:
        return field(graph, part, picture, sizes, main)
    rows = dict(zip(shapes, graph.inputs, strict=True))
    if sizes is None:
        return replace(whole(part, (1, 1), f"the whole picture of '{seen[0]}'"), of=seen[0])
    height, width = sizes[rows[seen[0]].name]
    found = field(graph, part, (height, width), sizes, seen[0])
    return replace(found, words=f"{found.words}, of '{seen[0]}'", of=seen[0])


def field(graph: Graph, part: Part, picture: tuple[int, int], sizes: Sizes | None, of: str = "input") -> Field:
    """In pictures of the input `of`."""
    try:
        row = dict(zip(input_names(graph), graph.inputs, strict=True))[of].name
        seen, middles = edges(graph, part.read_at, sizes, row), centres(graph, part.read_at, sizes, row)
    except ConvscopeError as why:
        return around(
            part, picture, tuple(WINDOW * side / places for side, places in zip(picture, part.spatial, strict=True)), str(why)
        )
    seen = with_edges(seen, middles, picture)
    extent = tuple(int((stop - start).max(initial=0)) for start, stop in zip(seen.starts, seen.stops, strict=True))
    if any(each > LARGE * side for each, side in zip(extent, picture, strict=True)):
        return middle(part, seen, middles, picture, extent)
    starts, stops = (tuple(tuple(axis.tolist()) for axis in ends) for ends in (seen.starts, seen.stops))
    return Field(starts, stops, picture, f"what it sees, its receptive field of {extent[0]} x {extent[1]} pixels")


def with_edges(seen: Edges, middles: Sequence[npt.NDArray[np.float64]] | None, picture: tuple[int, int]) -> Edges:
    """A position that sees nothing but padding is shown by the pixels where it stands, at that edge."""
    if middles is None:
        return seen
    nearest = [np.clip(np.round(each), 0, side - 1).astype(np.int64) for each, side in zip(middles, picture, strict=True)]
    blind = [stop <= start for start, stop in zip(seen.starts, seen.stops, strict=True)]
    starts = tuple(np.where(where, at, start) for where, at, start in zip(blind, nearest, seen.starts, strict=True))
    stops = tuple(np.where(where, at + 1, stop) for where, at, stop in zip(blind, nearest, seen.stops, strict=True))
    return Edges(starts, stops)


def whole(part: Part, picture: tuple[int, int], words: str) -> Field:
    starts = tuple((0,) * places for places in part.spatial)
    return Field(starts, tuple((side,) * places for side, places in zip(picture, part.spatial, strict=True)), picture, words)


def middle(
    part: Part, seen: Edges, middles: Sequence[npt.NDArray[np.float64]] | None, picture: tuple[int, int], extent: Sequence[int]
) -> Field:
    """Along an axis on which positions see more than LARGE, only so much around the middle of what each sees.

    middles   see `centres`; None where every position sees the whole picture: then where it stands in the map, as that is scaled
    """
    starts, stops = [], []
    for axis, side in enumerate(picture):
        start, stop = seen.starts[axis], seen.stops[axis]
        if extent[axis] > LARGE * side:
            places = np.arange(part.spatial[axis])
            centre = (places + 0.5) * side / len(places) if middles is None else np.clip(middles[axis] + 0.5, 0, side)
            start = np.maximum(start, np.round(centre - LARGE * side / 2).astype(int))
            stop = np.minimum(stop, np.round(centre + LARGE * side / 2).astype(int))
        starts.append(tuple(start.tolist()))
        stops.append(tuple(stop.tolist()))
    wide = [min(each, round(LARGE * side)) for each, side in zip(extent, picture, strict=True)]
    words = (
        f"{wide[0]} x {wide[1]} pixels around the position, the middle of what it sees, which is up to {extent[0]} x {extent[1]} "
        f"of {picture[0]} x {picture[1]}"
    )
    return Field(tuple(starts), tuple(stops), picture, words)


def around(part: Part, picture: tuple[int, int], extent: Sequence[float], why: str) -> Field:
    """A window around each position, as the map is scaled to the picture."""
    starts, stops = [], []
    for places, side, wide in zip(part.spatial, picture, extent, strict=True):
        centres = (np.arange(places) + 0.5) * side / places
        first = np.clip(np.round(centres - wide / 2), 0, side - 1).astype(int)
        starts.append(tuple(first.tolist()))
        stops.append(tuple(np.clip(np.round(centres + wide / 2), first + 1, side).astype(int).tolist()))
    window = f"{round(extent[0])} x {round(extent[1])} pixels around the position"
    words = f"{window}, as the map is scaled to the picture; what it sees is not known ({why.rstrip('.')})"
    return Field(tuple(starts), tuple(stops), picture, words)
