"""Over which part of the picture, or of the signal, the places of a layer stand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core import Graph
from ..errors import Unsupported
from .reach import walk
from .receptive import Sizes, edges, sizes_of


def centres(
    graph: Graph, layer: str, sizes: Sizes | None = None, of: str | None = None
) -> tuple[npt.NDArray[np.float64], ...] | None:
    """Per spatial axis, (places,): the middle of the pixels, or of the samples, that each place of `layer` depends on.

    As if the picture had no edges, so that neighbours are as far apart as they are; near the edges it may lie outside. Where a
    layer has made a map larger, several places depend on the same pixels, and stand beside each other there.
    of        the row of the input whose pixels are meant, by default the first
    returns   None where places depend on the whole picture, and so stand over no part of it
    raises    as `edges`
    """
    known = sizes_of(graph) if sizes is None else sizes
    own = known[graph[layer].name]
    if len(own) != len(known[graph.layers[0].name if of is None else of]) or not own:
        raise Unsupported(f"The maps of '{layer}' have not the axes of what the network received.")
    found = []
    for axis, count in enumerate(own):
        places = np.arange(count, dtype=np.float64)
        low, high = walk(graph, layer, (places, places.copy()), axis, known, of)
        if not np.isfinite(high - low).all():
            return None
        if (np.diff(low + high) <= 0).any():  # of places that stand on one another all but one would not be drawn
            low, high = walk(graph, layer, (places, places.copy()), axis, known, of, whole=False)
        found.append((low + high) / 2)
    return tuple(found)


def over(graph: Graph, layer: str, size: tuple[int, ...]) -> tuple[npt.NDArray[np.float64], ...] | None:
    """Per axis, for each pixel of a picture of `size`, where among the places of `layer` it lies: 2.25 is a quarter of the way
    from place 2 to place 3. Beyond the first and the last it is theirs; NaN outside of all that they see.

    returns   None where that is not known: the picture has another size, the network several inputs, the graph does not show it
    """
    try:
        if len(graph.inputs) != 1 or sizes_of(graph)[graph.layers[0].name] != size:
            return None
        found, seen = centres(graph, layer), edges(graph, layer)
    except Unsupported:
        return None
    if found is None or any((np.diff(axis) < 0).any() for axis in found):
        return None
    result = []
    for middles, starts, stops, count in zip(found, seen.starts, seen.stops, size, strict=True):
        pixels, sees = np.arange(count, dtype=np.float64), stops > starts
        at = np.interp(pixels, middles, np.arange(len(middles)))
        at[(pixels < starts[sees].min(initial=count)) | (pixels >= stops[sees].max(initial=0))] = np.nan
        result.append(at)
    return tuple(result)


def cell(middles: tuple[npt.NDArray[np.float64], ...], position: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
    """Per axis [start, stop) of the part of the picture that stands for one place: half-way to its neighbours.

    middles   the `centres` of its layer; a pixel reaches from its number to the next
    """
    result = []
    for middle_, at in zip(middles, position, strict=True):
        step = float(middle_[1] - middle_[0]) if len(middle_) > 1 else 1.0
        result.append((float(middle_[at]) + 0.5 - step / 2, float(middle_[at]) + 0.5 + step / 2))
    return tuple(result)
