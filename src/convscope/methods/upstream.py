"""What a layer follows from: the rows before it, and of those the inputs of the network."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..core import Engine, Graph, Layer, Pictures, input_names
from ..errors import UnknownLayer


def inputs_above(graph: Graph, layer: str) -> tuple[str, ...] | None:
    """The inputs, "input" and "input:1" as `core.input_names` has them, that `layer` follows from; None where that is not known.

    raises   UnknownLayer
    """
    names = {row.name: name for row, name in zip(graph.inputs, input_names(graph), strict=True)}
    if len(names) == 1:
        return tuple(names.values())
    if not graph.wired:
        return None
    above = rows_above(graph, layer)
    return tuple(name for row, name in names.items() if row in above)


def rows_above(graph: Graph, layer: str) -> set[str]:
    """The rows that `layer` follows from, itself among them, in a graph that is wired. Raises UnknownLayer."""
    seen, left = set[str](), [graph[layer].name]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += graph[name].inputs
    return seen


def rows_behind(engine: Engine, pictures: Pictures, end: str) -> Collection[str] | None:
    """The rows that `end`, a row or "output" or "output:1", follows from; None where that is not known.

    The table does not say which row an output is. Where there is a doubt, it is the first whose values are the output's.
    raises   UnknownLayer, EngineError
    """
    graph = engine.graph
    if not graph.wired:
        return None
    if end in graph.names:
        return rows_above(graph, end)
    read = {name for row in graph for name in row.inputs}
    last = [row.name for row in graph if row.name not in read and row.kind not in ("network", "input")]
    if len(last) == 1 and not has(engine, pictures, "output:1"):
        return rows_above(graph, last[0])
    values = engine.run(pictures, [end])[end]
    alike = [row.name for row in graph if row.kind not in ("network", "input") and may_have(row, values.shape[1:])]
    run = engine.run(pictures, [*alike, end])
    same = (name for name in alike if np.array_equal(run[name], run[end], equal_nan=True))
    found = next(same, None)
    return None if found is None else rows_above(graph, found)


def has(engine: Engine, pictures: Pictures, name: str) -> bool:
    """Whether there is such an output."""
    try:
        engine.run(pictures, [name])
    except UnknownLayer:
        return False
    return True


def may_have(row: Layer, shape: tuple[int, ...]) -> bool:
    """Whether a row may give arrays of this shape; the table has sizes of other pictures, so that only the channels count."""
    return row.shape is not None and len(row.shape) == len(shape) and row.shape[:1] == shape[:1]
