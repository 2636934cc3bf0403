"""Which inputs of a network a layer receives something of."""

from __future__ import annotations

from ..core import Graph, input_names


def inputs_above(graph: Graph, layer: str) -> tuple[str, ...] | None:
    """The inputs, "input" and "input:1" as `core.input_names` has them, that `layer` follows from; None where that is not known.

    raises   UnknownLayer
    """
    names = {row.name: name for row, name in zip(graph.inputs, input_names(graph), strict=True)}
    if len(names) == 1:
        return tuple(names.values())
    if not graph.wired:
        return None
    seen, left = set[str](), [graph[layer].name]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += graph[name].inputs
    return tuple(name for row, name in names.items() if row in seen)
