"""What the rows of a graph do with places, along one spatial axis; and going back through them on a picture without edges.

`methods.spans` goes forward by the same steps, exactly, on a picture of a given size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import OF_THE_BATCH, Graph, Layer, Window
from ..errors import Unsupported

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


@dataclass(frozen=True)
class Step:
    """What a row does with the places of one of its inputs, along one axis.

    how         "same": each place is made of that of its own number; "window": of those under a kernel; "pooled": of one of `out`
                parts; "everything": of all of them
    size, out   how many places there are before and after; 1 where there are none
    flattened   its units become units of no place, each of them made of one place only
    mixing      each of its units, which are at no place, is made of all that it receives
    """

    how: str
    size: int
    out: int
    window: Axis | None = None
    flattened: bool = False
    mixing: bool = False


Ends = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # the lowest and the highest place, (places,) each


def source(place: int, size: int, fill: str) -> int:
    """The place that stands at `place` of the padding."""
    if fill == "replicate":
        return min(max(place, 0), size - 1)
    if fill == "circular":
        return place % size
    return -place if place < 0 else 2 * (size - 1) - place


def walk(graph: Graph, layer: str, value: Ends, axis: int, sizes: Any, of: str | None = None, *, whole: bool = True) -> Ends:
    """Which places of an input without edges the places `value` of `layer` depend on. Raises Unsupported as `spans`.

    of      the row of the input, by default the first
    whole   as for `back`
    """
    rows = {each.name: each for each in graph}
    start, end = graph.layers[0].name if of is None else of, graph[layer].name
    needs, mixed = {end: value}, {end: False}  # mixed: whether all units of a layer without places are needed, or just one
    for name in reversed(graph.names[: graph[layer].index + 1]):
        if name not in needs or rows[name].kind == "input":
            continue
        row, need = rows[name], needs.pop(name)
        if not row.inputs:
            raise unfed(row)
        for each in row.inputs:
            step = step_from(row, rows[each], axis, sizes)
            if step.flattened and not mixed[name]:
                raise not_shown(row)
            got = back(step, need, whole=whole)
            needs[each] = (np.minimum(needs[each][0], got[0]), np.maximum(needs[each][1], got[1])) if each in needs else got
            mixed[each] = mixed[name] or step.mixing or mixed.get(each, False)
    if start not in needs:
        raise Unsupported(f"'{layer}' does not depend on the picture.")
    return needs[start]


def back(step: Step, value: Ends, *, whole: bool = True) -> Ends:
    """The places before a step that those after it are made of.

    whole   False: where there are more places after it than before it, of parts of places too. Those that are all made of the
            same ones then stay apart, as they lie in the map, and do not fall on one another
    """
    low, high = value
    up, down = (np.ceil, np.floor) if whole else (np.asarray, np.asarray)
    if step.how == "everything" or (step.how == "pooled" and step.out == 1):
        return np.full_like(low, -np.inf), np.full_like(high, np.inf)
    if step.how == "pooled" and (whole or step.out <= step.size):
        return np.floor(low * step.size / step.out), np.ceil((high + 1) * step.size / step.out) - 1
    if step.how == "pooled":
        return low * step.size / step.out, (high + 1) * step.size / step.out - 1
    if step.window is None:
        return value
    window, reach = step.window, (step.window.kernel - 1) * step.window.dilation
    if window.transposed:
        return up((low + window.before - reach) / window.stride), down((high + window.before) / window.stride)
    return low * window.stride - window.before, high * window.stride - window.before + reach


def step_from(row: Layer, fed_by: Layer, axis: int, sizes: Any) -> Step:
    """What `row` does with the places of `fed_by`. Raises Unsupported where the graph does not show it.

    A unit of a dense layer is at no place: it sees all that its layer's inputs see.
    """
    out, size, name = sizes[row.name], sizes[fed_by.name], named(row)
    alone, axes = len(row.inputs) == 1, len(sizes[next(iter(sizes))])
    if {len(out), len(size)} - {0, axes}:
        raise not_shown(row)
    before, after = size[axis] if size else 1, out[axis] if out else 1
    same, everything = Step("same", before, after), Step("everything", before, after)
    if row.window is not None and alone and len(out) == len(size) == len(row.window.kernel):
        return Step("window", before, after, along(row.window, axis, before))
    if out == size and (elementwise(row) or (row.kind == "network" and alone)):
        return same
    if not out and not size and row.kind in ("dense", "activation", "normalisation", "merge"):
        return replace(same, mixing=row.kind != "merge")
    if alone and same_units(row, fed_by) and name.startswith("adaptive") and len(out) == len(size):
        return replace(same, how="pooled")
    if alone and same_units(row, fed_by) and name.startswith(OVERALL) and all(each == 1 for each in out):
        return everything
    if row.kind == "reshape" and size and not out:
        return replace(everything, flattened=any(each != 1 for each in size))
    if row.kind == "reshape" and not size and same_units(row, fed_by) and all(each == 1 for each in out):
        return same
    if (name.startswith(OVER_PLACES) or row.native.endswith(OF_THE_BATCH)) and out == size:
        return everything
    if out and name in JOINING and out == size:
        return same
    if out and name in JOINING - CONCATENATING and len(out) == len(size) and all(map(fits, size, out)):
        return same if before == after else everything
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
        return (name.startswith(BATCH_NORMS) and not row.native.endswith(OF_THE_BATCH)) or name in ELEMENTWISE
    return row.kind == "dropout" or name in ELEMENTWISE


def same_units(row: Layer, fed_by: Layer) -> bool:
    return bool(row.shape and fed_by.shape and row.shape[0] == fed_by.shape[0])


def named(row: Layer) -> str:
    return row.native.replace("_", "").lower()


def not_shown(row: Layer) -> Unsupported:
    return Unsupported(f"What '{row.name}' ({row.native}) does with the places of a map is not known.")


def unfed(row: Layer) -> Unsupported:
    return Unsupported(f"It is not known what feeds '{row.name}' ({row.native}).")


def along(window: Window, axis: int, size: int) -> Axis:
    """A window along one axis of an input of `size`."""
    k, s, d = window.kernel[axis], window.stride[axis], window.dilation[axis]
    if isinstance(window.padding, str):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        before = total // 2 if window.padding == "same" else total - total // 2
        return Axis(k, s, d, before, total - before, window.transposed, window.fill)
    return Axis(k, s, d, *window.padding[axis], window.transposed, window.fill)
