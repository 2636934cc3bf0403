"""Laws on computing a layer on parts of maps."""

from __future__ import annotations

import numpy as np

from ..core import Array, Layer, Local, Pictures
from .compare import require, same


def law_a_layer_makes_of_parts_what_it_makes_of_the_whole(engine: Local, pictures: Pictures) -> None:
    maps = engine.run(pictures, engine.graph.names)
    for row in engine.graph:
        part = engine.local(row.name)
        whole = maps[row.name]
        if part is None or (row.window is None and any(maps[name].shape[2:] != whole.shape[2:] for name in row.inputs)):
            continue
        given = [edged(maps[name], row, whole.shape[2:], part.edge) for name in row.inputs]
        before = [each.copy() for each in given]
        same(part.call(given), whole, f"'{row.name}' of all that it looks at")
        require(all(map(np.array_equal, given, before)), f"'{row.name}' writes into what it is given")
        if whole.ndim > 2:
            half = tuple(slice(size // 2, size) for size in whole.shape[2:])
            some = [each[(slice(1), slice(None), *looked_at(half, row))] for each in given]
            same(part.call(some), whole[(slice(1), slice(None), *half)], f"'{row.name}' of a part")


def looked_at(places: tuple[slice, ...], row: Layer) -> tuple[slice, ...]:
    """Where the row looks for these of its places, in what `edged` gives."""
    window = row.window
    if window is None:
        return places
    sizes = zip(places, window.kernel, window.stride, window.dilation, strict=True)
    return tuple(slice(each.start * s, (each.stop - 1) * s + (k - 1) * d + 1) for each, k, s, d in sizes)


def edged(map_: Array, row: Layer, out: tuple[int, ...], edge: float) -> Array:
    """All that a row of the size `out` looks at of this map, and nothing else: with its edges, or cropped."""
    window = row.window
    if window is None:
        return map_
    for axis, (size, k, s, d) in enumerate(zip(out, window.kernel, window.stride, window.dilation, strict=True)):
        own, length = map_.shape[2 + axis], (size - 1) * s + (k - 1) * d + 1
        if isinstance(window.padding, str):
            total = max(length - own, 0)
            before = total // 2 if window.padding == "same" else total - total // 2
        else:
            before = window.padding[axis][0]
        places = np.arange(length) - before
        taken = np.take(map_, np.clip(places, 0, own - 1), 2 + axis)
        beyond = ((places < 0) | (places >= own)).reshape(-1, *[1] * (map_.ndim - 3 - axis))
        map_ = np.where(beyond, np.float32(edge), taken)
    return map_
