"""Going back through a graph: which places of the input the places of a layer depend on, along one spatial axis.

The same walk with two kinds of sets: Masks, exact on a picture of a given size, and Intervals, on a picture without edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..core import Graph, Layer, Window
from ..errors import Unsupported

Mask = npt.NDArray[np.bool_]
Ends = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

# What computes each value from the one at the same place, by the framework's name in small letters without underscores.
ELEMENTWISE = frozenset(
    ("add", "sub", "mul", "div", "subtract", "multiply", "divide", "truediv", "truedivide", "neg", "negative", "pow", "power",
     "sqrt", "exp", "abs", "identity", "cast", "rescaling", "clip", "clamp", "stochasticdepth", "droppath", "quantizelinear",
     "dequantizelinear", "normalization")
)  # fmt: skip
BATCH_NORMS = ("batchnorm", "syncbatchnorm")
OVER_PLACES = ("instancenorm", "groupnorm")
OVERALL = ("global", "adaptive", "mean", "amax", "reducemean", "reducemax")  # over all places, where one is left
MIXING = ("softmax", "logsoftmax", "softmin", "hardmax", "glu", "sparse")  # over an axis that may be a spatial one
JOINING = frozenset(
    ("add", "sub", "mul", "div", "concat", "cat", "concatenate", "subtract", "multiply", "divide", "truedivide", "average",
     "maximum", "minimum", "sum", "mean", "max", "min", "qlinearadd", "qlinearconcat")
)  # fmt: skip
CONCATENATING = frozenset({"concat", "cat", "concatenate", "qlinearconcat"})


class Sets(Protocol):
    """Sets of places along one axis, one set per place of the layer that the walk began at."""

    def through(self, value: Any, window: Axis, size: int, out: int) -> Any: ...
    def pooled(self, value: Any, size: int, out: int) -> Any: ...
    def everything(self, value: Any, size: int) -> Any: ...
    def joined(self, one: Any, other: Any, layer: str) -> Any: ...


@dataclass(frozen=True)
class Axis:
    """A Window along one axis, with its padding in numbers."""

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    transposed: bool
    fill: str


class Masks:
    """(places, size) bool."""

    def start(self, count: int, rows: slice) -> Mask:
        return np.arange(count)[rows][:, None] == np.arange(count) if count else np.ones((1, 1), bool)

    def through(self, value: Mask, window: Axis, size: int, out: int) -> Mask:
        k, s, d = window.kernel, window.stride, window.dilation
        rows = len(value)
        if window.transposed:
            padded = np.zeros((rows, max(out + window.before, (size - 1) * s + (k - 1) * d + 1)), bool)
            padded[:, window.before : window.before + out] = value
            looked: Mask = np.logical_or.reduce([padded[:, j * d : j * d + (size - 1) * s + 1 : s] for j in range(k)])
            return looked
        before = max(window.before, 0)
        seen = np.zeros((rows, max((out - 1) * s + (k - 1) * d + 1, before + size + max(window.after, 0))), bool)
        for j in range(k):
            seen[:, j * d : j * d + (out - 1) * s + 1 : s] |= value
        if window.before < 0:  # cropped
            seen = np.pad(seen, ((0, 0), (-window.before, 0)))
        result = seen[:, before : before + size].copy()
        if window.fill != "zeros":
            for place in (*range(before), *range(before + size, min(seen.shape[1], before + size + max(window.after, 0)))):
                result[:, source(place - before, size, window.fill)] |= seen[:, place]
        return np.pad(result, ((0, 0), (0, max(0, size - result.shape[1]))))

    def pooled(self, value: Mask, size: int, out: int) -> Mask:
        result = np.zeros((len(value), size), bool)
        for place in range(out):
            result[:, place * size // out : -(-(place + 1) * size // out)] |= value[:, place, None]
        return result

    def everything(self, value: Mask, size: int) -> Mask:
        return np.repeat(value.any(1, keepdims=True), size, axis=1)

    def joined(self, one: Mask, other: Mask, layer: str) -> Mask:
        if not (one.any(1).all() and other.any(1).all()):
            # A path that ends in the padding on one axis ends on all, which cannot be told along one.
            raise Unsupported(f"Some places of '{layer}' are seen through the padding of one path only.")
        return one | other


class Intervals:
    """The lowest and the highest place, (places,) each."""

    def through(self, value: Ends, window: Axis, _size: int, _out: int) -> Ends:
        (low, high), reach = value, (window.kernel - 1) * window.dilation
        if window.transposed:
            return np.ceil((low + window.before - reach) / window.stride), np.floor((high + window.before) / window.stride)
        return low * window.stride - window.before, high * window.stride - window.before + reach

    def pooled(self, value: Ends, size: int, out: int) -> Ends:
        if out == 1:
            return self.everything(value, size)
        return np.floor(value[0] * size / out), np.ceil((value[1] + 1) * size / out) - 1

    def everything(self, value: Ends, _size: int) -> Ends:
        return np.full_like(value[0], -np.inf), np.full_like(value[1], np.inf)

    def joined(self, one: Ends, other: Ends, _layer: str) -> Ends:
        return np.minimum(one[0], other[0]), np.maximum(one[1], other[1])


def source(place: int, size: int, fill: str) -> int:
    """The place that stands at `place` of the padding."""
    if fill == "replicate":
        return min(max(place, 0), size - 1)
    if fill == "circular":
        return place % size
    return -place if place < 0 else 2 * (size - 1) - place


def walk(graph: Graph, layer: str, value: Any, sets: Sets, axis: int, sizes: Any) -> Any:
    """What of the input `value`, sets of places of `layer`, depends on. Raises Unsupported where the graph does not show it.

    A unit of a dense layer is at no place: it sees all that its layer's inputs see.
    """
    rows = {each.name: each for each in graph}
    start, end = graph.layers[0].name, graph[layer].name
    if not graph.wired:
        raise Unsupported("In this network it is not known what feeds what.")
    needs, mixed = {end: value}, {end: False}  # mixed: whether all units of a layer without places are needed, or just one
    for name in reversed(graph.names[: graph[layer].index + 1]):
        if name not in needs or rows[name].kind == "input":
            continue
        row, need = rows[name], needs.pop(name)
        if not row.inputs:
            raise Unsupported(f"It is not known what feeds '{name}' ({row.native}).")
        for each in row.inputs:
            got, all_units = _back(row, rows[each], need, mixed[name], sets, axis, sizes)
            needs[each] = sets.joined(needs[each], got, each) if each in needs else got
            mixed[each] = all_units or mixed.get(each, False)
    if start not in needs:
        raise Unsupported(f"'{layer}' does not depend on the picture.")
    return needs[start]


def _back(row: Layer, fed_by: Layer, need: Any, mixed: bool, sets: Sets, axis: int, sizes: Any) -> tuple[Any, bool]:
    """What of `fed_by` is needed for `need` of `row`, and whether that is all of its units."""
    out, size, name = sizes[row.name], sizes[fed_by.name], named(row)
    alone, axes = len(row.inputs) == 1, len(sizes[next(iter(sizes))])
    if {len(out), len(size)} - {0, axes}:
        raise not_shown(row)
    if row.window is not None and alone and len(out) == len(size) == len(row.window.kernel):
        return sets.through(need, along(row.window, axis, size[axis]), size[axis], out[axis]), mixed
    if out == size and (elementwise(row) or (row.kind == "network" and alone)):
        return need, mixed
    if not out and not size and row.kind in ("dense", "activation", "normalisation", "merge"):
        return need, mixed or row.kind != "merge"
    if alone and same_units(row, fed_by) and name.startswith("adaptive") and len(out) == len(size):
        return sets.pooled(need, size[axis], out[axis]), mixed
    if alone and same_units(row, fed_by) and name.startswith(OVERALL) and all(each == 1 for each in out):
        return sets.everything(need, size[axis] if size else 1), mixed
    if row.kind == "reshape" and size and not out and (mixed or all(each == 1 for each in size)):
        return sets.everything(need, size[axis]), mixed
    if row.kind == "reshape" and not size and same_units(row, fed_by) and all(each == 1 for each in out):
        return need, mixed
    if name.startswith(OVER_PLACES) and out == size:
        return sets.everything(need, size[axis]), mixed
    if out and name in JOINING and out == size:
        return need, mixed
    if out and name in JOINING - CONCATENATING and len(out) == len(size) and all(map(fits, size, out)):
        return (need if size[axis] == out[axis] else sets.everything(need, 1)), mixed
    raise not_shown(row)


def fits(size: int, whole: int) -> bool:
    return size in (1, whole)


def elementwise(row: Layer) -> bool:
    """Whether each value is made from that at the same place."""
    name = named(row)
    if len(row.inputs) != 1:
        return False
    if row.kind == "activation":
        return not name.startswith(MIXING) and not (row.activation or "").replace("_", "").lower().startswith(MIXING)
    if row.kind == "normalisation":
        return name.startswith(BATCH_NORMS) or name in ELEMENTWISE
    return row.kind == "dropout" or name in ELEMENTWISE


def same_units(row: Layer, fed_by: Layer) -> bool:
    return row.shape is not None and fed_by.shape is not None and row.shape[0] == fed_by.shape[0]


def named(row: Layer) -> str:
    return row.native.replace("_", "").lower()


def not_shown(row: Layer) -> Unsupported:
    return Unsupported(f"What '{row.name}' ({row.native}) does with the places of a map is not known.")


def along(window: Window, axis: int, size: int) -> Axis:
    """A window along one axis of an input of `size`."""
    k, s, d = window.kernel[axis], window.stride[axis], window.dilation[axis]
    if isinstance(window.padding, str):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        before = total // 2 if window.padding == "same" else total - total // 2
        return Axis(k, s, d, before, total - before, window.transposed, window.fill)
    return Axis(k, s, d, *window.padding[axis], window.transposed, window.fill)
