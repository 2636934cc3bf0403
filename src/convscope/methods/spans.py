"""Going forward through a graph: of every row at once, which pixels each of its places depends on, along one spatial axis.

Of a set of pixels only the first and the last are kept, which is exact: those of a union are the least and the greatest of its
parts'. So one pass over the rows tells what all of them see, and a place costs three numbers, however large the picture is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Graph, Layer
from ..errors import Unsupported
from .reach import Axis, Step, not_shown, source, step_from, unfed

# (3, places): minus the first pixel, one past the last pixel, and how sure they are; so the union of sets is their maximum.
Spans = npt.NDArray[np.int64]
NOTHING = np.array([[np.iinfo(np.int64).min], [np.iinfo(np.int64).min], [0]])  # in the padding only
UNSURE, SURE = 1, 2


class Seen:
    """What the rows of `graph` see of the input `of` along one axis, `sizes` being the spatial sizes of each row."""

    def __init__(self, graph: Graph, axis: int, sizes: Any, of: str):
        self._graph, self._axis, self._sizes, self._of = graph, axis, sizes, of
        self._found: dict[str, Spans | Unsupported | None] = {}  # None: what does not depend on the picture
        self._flattened: dict[str, Layer] = {}  # rows whose units see less than their row does, and the row that made it so
        self._next = 0  # the first row that is not done

    def of(self, layer: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The first and one past the last pixel of each place, 0 and 0 where it sees nothing.

        raises   Unsupported where the graph does not show it, and says which layer does not; UnknownLayer
        """
        row = self._graph[layer]
        if not self._graph.wired:
            raise Unsupported("In this network it is not known what feeds what.")
        for each in self._graph.layers[self._next : row.index + 1]:
            self._found[each.name] = self._seen_by(each)
        self._next = max(self._next, row.index + 1)
        found = self._found[row.name]
        if found is None:
            raise Unsupported(f"'{layer}' does not depend on the picture.")
        if isinstance(found, Unsupported):
            raise Unsupported(*found.args)
        if row.name in self._flattened:
            raise not_shown(self._flattened[row.name])
        if (found[2] == UNSURE).any():
            raise Unsupported(f"Some places of '{layer}' are seen through the padding of one path only.")
        there = found[2] > 0
        return np.where(there, -found[0], 0), np.where(there, found[1], 0)

    def _seen_by(self, row: Layer) -> Spans | Unsupported | None:
        if row.kind == "input":
            return self._picture() if row.name == self._of else None
        if not row.inputs:
            return unfed(row)
        result: Spans | None = None
        for each in row.inputs:
            value = self._found[each]
            if isinstance(value, Unsupported):
                return value
            try:
                step = step_from(row, self._graph[each], self._axis, self._sizes)
            except Unsupported as why:
                return why
            if value is None:
                continue
            if step.flattened or (each in self._flattened and not step.mixing):
                self._flattened[row.name] = row if step.flattened else self._flattened[each]
            value = through(step, value)
            result = value if result is None else joined(result, value)
        return result

    def _picture(self) -> Spans:
        sizes = self._sizes[self._of]
        pixels = np.arange(sizes[self._axis])
        return np.stack([-pixels, pixels + 1, np.full_like(pixels, SURE)])


def joined(one: Spans, other: Spans) -> Spans:
    """What is seen through either of two paths.

    Where one of them ends in the padding on this axis it ends on all axes, which cannot be told along one: what is seen along the
    others is then not sure.
    """
    both = np.maximum(one, other)
    both[2] = np.where(one[2] == other[2], one[2], UNSURE)
    return both


def through(step: Step, value: Spans) -> Spans:
    """What the places after a step see, by what those before it see."""
    if step.how == "everything":
        return np.repeat(value.max(1, keepdims=True), step.out, axis=1)
    if step.how == "pooled":
        parts = [value[:, at * step.size // step.out : -(-(at + 1) * step.size // step.out)] for at in range(step.out)]
        return np.stack([part.max(1) for part in parts], axis=1)
    return value if step.window is None else windowed(step.window, value, step.out)


def windowed(window: Axis, value: Spans, out: int) -> Spans:
    """The places under a kernel. Those that are seen of one place are seen of its copies in the padding."""
    k, s, d, before, size = window.kernel, window.stride, window.dilation, window.before, value.shape[1]
    if window.transposed:
        spread = _nothing(max((size - 1) * s + (k - 1) * d + 1, before + out))
        for j in range(k):
            at = spread[:, j * d : j * d + (size - 1) * s + 1 : s]
            np.maximum(at, value, out=at)
        return spread[:, before : before + out]
    padded = _nothing(max((out - 1) * s + (k - 1) * d + 1, before + size + max(window.after, 0)))
    padded[:, max(before, 0) : before + size] = value[:, max(-before, 0) :]
    if window.fill != "zeros":
        for place in (*range(-before, 0), *range(size, size + max(window.after, 0))):
            padded[:, before + place] = value[:, source(place, size, window.fill)]
    seen: Spans = np.maximum.reduce([padded[:, j * d : j * d + (out - 1) * s + 1 : s] for j in range(k)])
    return seen


def _nothing(places: int) -> Spans:
    return np.repeat(NOTHING, places, axis=1)
