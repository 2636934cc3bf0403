"""Which part of the picture a unit sees: derived from the graph where that is possible, else measured.

derived     where each place of a layer can look, from kernels, strides, dilations and paddings, through every path
measured    where a change reaches one place: by gradients, or by changing the picture
effective   how strongly each pixel acts on one place (Luo et al. 2016)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Differentiable, Engine, Graph, Pictures, Tap, arrays, batch, input_names
from ..errors import InputError, Unsupported
from .reach import walk
from .spans import Seen

Sizes = Mapping[str, tuple[int, ...]]  # of each row the spatial sizes
TRIALS = 4  # random pictures that a measurement is made with
PHASES = 64  # places over which the regular size of a field is looked for: transposed layers give neighbours different ones


@dataclass(frozen=True)
class ReceptiveField:
    """What one place of a layer sees. Everything in pixels of the picture that the network receives, one number per axis.

    position      the place in the map
    start, stop   the rectangle [start, stop) on the picture; what would lie outside is cut off
    size          of the rectangle where no edge is near; None: the whole picture, wherever it is
    stride        how far the rectangle moves from one place to the next; None where that is not known
    offset        the middle of the rectangle of place 0, which may lie outside; None where that is not known
    how           "derived from the graph", or how it was measured
    """

    layer: str
    position: tuple[int, ...]
    start: tuple[int, ...]
    stop: tuple[int, ...]
    size: tuple[int, ...] | None
    stride: tuple[float, ...] | None
    offset: tuple[float, ...] | None
    how: str

    def __str__(self) -> str:
        spans = " x ".join(f"{low} to {high - 1}" for low, high in zip(self.start, self.stop, strict=True))
        size = "the whole picture" if self.size is None else " x ".join(map(str, self.size))
        return f"'{self.layer}' sees {size}; at {self.position} pixels {spans} ({self.how})"


@dataclass(frozen=True, eq=False)
class Edges:
    """The rectangles of all places of a layer: of place (y, x), [starts[0][y], stops[0][y]) x [starts[1][x], stops[1][x])."""

    starts: tuple[npt.NDArray[np.int64], ...]
    stops: tuple[npt.NDArray[np.int64], ...]

    def of(self, position: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(start, stop) of one place; zeros where it sees nothing."""
        start = tuple(int(axis[at]) for axis, at in zip(self.starts, position, strict=True))
        stop = tuple(int(axis[at]) for axis, at in zip(self.stops, position, strict=True))
        nothing = (0,) * len(start)
        return (start, stop) if all(low < high for low, high in zip(start, stop, strict=True)) else (nothing, nothing)


def receptive_field(
    engine: Engine, layer: str, position: tuple[int, ...] | None = None, shape: tuple[int, ...] | None = None
) -> ReceptiveField:
    """What one place of `layer` sees, by default the middle one; derived where the graph shows it, else measured.

    shape    of the picture, (c, *spatial), where the network takes any
    raises   UnknownLayer; InputError for a place that is not there; Unsupported if the size of the picture is not known
    """
    graph = engine.graph
    sizes = sizes_of(graph) if shape is None else sizes_at(engine, shape)
    if not sizes[graph.layers[0].name]:
        raise Unsupported("This network takes features, which lie at no place, so that no unit sees a part of them.")
    taken = tuple(size or 0 for size in graph.layers[0].shape or ()) if shape is None else shape
    position = middle(sizes[graph[layer].name]) if position is None else position
    try:
        return derived(graph, layer, position, sizes)
    except Unsupported as why:
        return measured(engine, layer, position, taken, str(why))


def sizes_at(engine: Engine, shape: tuple[int, ...]) -> Sizes:
    """The spatial sizes of every row for a picture of `shape`, by letting one pass."""
    run = engine.run(batch(_random(engine.graph, shape), slice(1)), engine.graph.names)
    return {name: run[name].shape[2:] for name in engine.graph.names}


def sizes_of(graph: Graph) -> Sizes:
    """The spatial sizes of every row. Raises Unsupported where they depend on the picture."""
    unknown = [layer.name for layer in graph if layer.shape is None or None in layer.shape[1:]]
    if unknown:
        raise Unsupported(f"The size of '{unknown[0]}' is not fixed. Say for which picture: picture_shape=(3, 224, 224).")
    return {layer.name: tuple(size or 0 for size in (layer.shape or ())[1:]) for layer in graph}


def edges(graph: Graph, layer: str, sizes: Sizes | None = None, of: str | None = None) -> Edges:
    """The rectangle of every place of `layer`, exact through chains, sums, concatenations, strides, dilations and paddings.

    of       the row of the input whose places are meant, by default the first
    raises   Unsupported where the graph does not show it, and says which layer does not; UnknownLayer
    """
    return Fields(graph, sizes, of).of(layer)


class Fields:
    """`edges` of many layers of one network, in one pass over its graph. Raises Unsupported where no size of a row is fixed."""

    def __init__(self, graph: Graph, sizes: Sizes | None = None, of: str | None = None):
        self._graph, self._sizes = graph, sizes_of(graph) if sizes is None else sizes
        of = graph.layers[0].name if of is None else of
        self._picture = self._sizes[of]
        self._axes = [Seen(graph, axis, self._sizes, of) for axis in range(len(self._picture))]

    def of(self, layer: str) -> Edges:
        """As `edges`."""
        if len(self._sizes[self._graph[layer].name]) not in (0, len(self._picture)):
            raise Unsupported(f"'{layer}' has not as many spatial axes as the picture.")
        found = [seen.of(layer) for seen in self._axes]
        return Edges(tuple(start for start, _ in found), tuple(stop for _, stop in found))


def derived(graph: Graph, layer: str, position: tuple[int, ...], sizes: Sizes | None = None) -> ReceptiveField:
    """The receptive field of one place from the graph alone. Raises as `edges`; InputError for a place that is not there."""
    known = sizes_of(graph) if sizes is None else sizes
    _check(layer, position, known[graph[layer].name])
    start, stop = edges(graph, layer, known).of(position or (0,) * len(known[graph.layers[0].name]))
    regular = [_regular(graph, layer, axis, known) for axis in range(len(start))]
    whole = any(each is None for each in regular)
    size, stride, offset = (None, None, None) if whole else zip(*(each for each in regular if each), strict=True)
    return ReceptiveField(layer, position, start, stop, size, stride, offset, "derived from the graph")


def measured(engine: Engine, layer: str, position: tuple[int, ...], shape: tuple[int, ...], why: str = "") -> ReceptiveField:
    """The receptive field of one place: up to the outermost pixels that acted on it in some random pictures of `shape`.

    shape   (c, *spatial)
    why     why it is not derived, for the words of the result

    What never acted in any of them is missing: it is the least that the place sees.
    """
    pictures = _random(engine.graph, shape)
    differentiable = isinstance(engine, Differentiable)
    if isinstance(engine, Differentiable):
        # Not their sum: that of a softmax never changes.
        acts = np.abs(_gradients(engine, layer, position, pictures, mixed=True)).sum((0, 1)) > 0
        spans = [_spans(acts.any(tuple(other for other in range(acts.ndim) if other != axis))[None]) for axis in range(acts.ndim)]
        start, stop = (tuple(int(each[side][0]) for each in spans) for side in (0, 1))
    else:
        start, stop = _by_changing(engine, layer, position, pictures)
    by = "gradients" if differentiable else "changing the picture"
    size = tuple(high - low for low, high in zip(start, stop, strict=True))
    how = f"measured by {by}, on {TRIALS} random pictures; it may be larger" + (f". {why}" if why else "")
    return ReceptiveField(layer, position, start, stop, size, None, None, how)


def differentiable(engine: Engine) -> Differentiable:
    """`engine`, if it has gradients. Raises Unsupported."""
    if not isinstance(engine, Differentiable):
        raise Unsupported(
            f"The effective receptive field needs gradients, which {engine.framework} does not have. "
            "receptive_field() needs none."
        )
    return engine


def effective(engine: Differentiable, layer: str, position: tuple[int, ...] | None, pictures: Pictures) -> Array:
    """How strongly each pixel acts on one place: mean over pictures of |sum over units and colours of gradients|, (*spatial).

    Luo, Li, Urtasun and Zemel 2016: it is much smaller than the receptive field, and falls off as a Gaussian does.
    """
    result: Array = np.abs(_gradients(engine, layer, position, pictures).sum(1)).mean(0)
    return result


def effective_size(field: Array) -> float:
    """The side of a square of as many pixels as act with over 4.55 % of the strongest: two standard deviations of a Gaussian."""
    strongest = float(field.max())
    return float(np.count_nonzero(field > 0.0455 * strongest) ** (1 / field.ndim)) if strongest > 0 else 0.0


def middle(size: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(each // 2 for each in size)


def _gradients(
    engine: Differentiable, layer: str, position: tuple[int, ...] | None, pictures: Pictures, *, mixed: bool = False
) -> Array:
    """The gradient of the sum of all units at `position` with respect to the pictures; `mixed`: of a random mixture of them."""
    trace = engine.trace(pictures, [Tap(layer), *map(Tap, input_names(engine.graph))])
    seeds = np.zeros_like(trace[layer])
    position = middle(seeds.shape[2:]) if position is None else position
    _check(layer, position, seeds.shape[2:])
    place: Any = (slice(None), slice(None), *position)
    seeds[place] = np.random.default_rng(2).normal(size=seeds.shape[1]) if mixed else 1
    return trace.pullback({layer: seeds}, wrt=["input"])["input"]


def _by_changing(
    engine: Engine, layer: str, position: tuple[int, ...], pictures: Pictures
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """[start, stop) on each axis: all before and all after can be replaced by other pixels without changing the place."""
    given = arrays(pictures)
    first_input = next(iter(given))
    size = given[first_input].shape
    other = np.random.default_rng(1).normal(size=size).astype(np.float32)
    place: Any = (slice(None), slice(None), *position)
    first = engine.run(pictures, [layer])[layer]
    _check(layer, position, first.shape[2:])

    def acts(axis: int, replaced: slice) -> bool:
        changed = given[first_input].copy()
        at: Any = tuple(replaced if each == axis else slice(None) for each in range(-2, len(size) - 2))
        changed[at] = other[at]
        trial = changed if not isinstance(pictures, Mapping) else {**given, first_input: changed}
        return bool((engine.run(trial, [layer])[layer][place] != first[place]).any())

    starts, stops = [], []
    for axis, pixels in enumerate(size[2:]):
        # The most pixels that can be replaced from either side; what acts with some acts with more.
        start = _most(pixels, lambda count, axis=axis: not acts(axis, slice(0, count)))
        after = (
            _most(pixels - start, lambda count, axis=axis, n=pixels: not acts(axis, slice(n - count, n))) if start < pixels else 0
        )
        starts.append(start if start < pixels else 0)
        stops.append(pixels - after if start < pixels else 0)
    return tuple(starts), tuple(stops)


def _most(highest: int, holds: Any) -> int:
    """The greatest number up to `highest` for which `holds`, which holds for 0."""
    low, high = 0, highest
    while low < high:
        tried = (low + high + 1) // 2
        low, high = (tried, high) if holds(tried) else (low, tried - 1)
    return low


def _random(graph: Graph, shape: tuple[int, ...]) -> Pictures:
    """TRIALS pictures of `shape`, and whatever else the network takes."""
    sizes = [shape, *(tuple(size or 1 for size in row.shape or ()) for row in graph.inputs[1:])]
    numbers = np.random.default_rng(0)
    made = [numbers.normal(size=(TRIALS, *each)).astype(np.float32) for each in sizes]
    return dict(zip(input_names(graph), made, strict=True)) if len(made) > 1 else made[0]


def _check(layer: str, position: tuple[int, ...], size: tuple[int, ...]) -> None:
    if len(position) != len(size) or not all(0 <= at < most for at, most in zip(position, size, strict=True)):
        raise InputError(
            f"'{layer}' has no place {position}: its maps have the size {tuple(size)}.", received=position, expected=size
        )


def _spans(masks: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The first and one past the last True of each row; 0 and 0 where there is none."""
    there = masks.any(1)
    first, last = masks.argmax(1), masks.shape[1] - masks[:, ::-1].argmax(1)
    return np.where(there, first, 0), np.where(there, last, 0)


def _regular(graph: Graph, layer: str, axis: int, sizes: Sizes) -> tuple[int, float, float] | None:
    """Size, stride and offset on a picture without edges; None for the whole picture."""
    places = np.arange(PHASES + 1, dtype=np.float64)
    low, high = walk(graph, layer, (places, places.copy()), axis, sizes)
    if not np.isfinite(high - low).all():
        return None
    return int((high - low).max()) + 1, float((low[-1] - low[0]) / PHASES), float((low[0] + high[0]) / 2)
