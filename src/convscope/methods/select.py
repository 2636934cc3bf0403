"""From what a user writes for `at` to the names of layers."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Graph, Layer
from ..errors import InputError, UnknownRow
from .blocks import block_ends

Row = str | int | Layer  # a layer by its name, its index in the table, or the row itself
At = Row | Sequence[Row]


def select(graph: Graph, at: At) -> tuple[str, ...]:
    """The names that `at` stands for, in the order in which the layers run, each once.

    at        "blocks", the last convolution before each change of resolution; "convs"; "operations", what functions make
              between the layers (`x + y`, `F.relu`); "all", every row but the input; a name; an index of the layer table; a
              pattern such as "block5_*"; a row of the table itself; or a list of these. A layer that is called as one of
              these words is asked for by its index or row
    raises    UnknownLayer, also for a pattern that fits nothing; InputError if there is nothing to select
    """
    parts = parts_of(at)
    if not parts or "" in parts:
        raise InputError("No layer was asked for: 'at' is empty. Name a layer, or 'blocks', 'convs' or 'all'.", received=at)
    chosen = {name for part in parts for name in _one(graph, part)}
    return tuple(name for name in graph.names if name in chosen)


def parts_of(at: At) -> list[Any]:
    return list(at) if isinstance(at, Sequence) and not isinstance(at, str | bytes) else [at]


def asked_one_by_one(graph: Graph, at: At) -> frozenset[str]:
    """Those of `select(graph, at)` that are meant by themselves, by name or index, and not by a word or a pattern."""
    found = ((plain(part), _one(graph, part)) for part in parts_of(at))
    return frozenset(name for part, names in found for name in names if part == name or str(part).lstrip("-").isdigit())


def _one(graph: Graph, part: object) -> tuple[str, ...]:
    if isinstance(part, Layer) and part.name in graph.names:
        return (part.name,)
    part = plain(part)
    if isinstance(part, bool) or not isinstance(part, str | int):
        raise InputError(f"A layer is asked for by name or index, but received {part!r}.", received=part)
    if isinstance(part, int):
        return (by_index(graph, part),)
    # Before the names: many networks of timm hold their layers in a module called "blocks", and the last value of that alone
    # would look like all that there is to see.
    if part in ("blocks", "convs"):
        convolutions = tuple(layer.name for layer in graph if layer.is_convolution)
        if not convolutions:
            raise InputError("This network has no convolutions. Ask for its layers by name, or at='all'.", received=part)
        return convolutions if part == "convs" else block_ends(graph)
    if part == "operations":
        functions = tuple(layer.name for layer in graph if layer.function)
        if not functions:
            raise InputError("In this network every row of the table is a layer of its own: ask for at='all'.", received=part)
        return functions
    if part == "all":
        return tuple(layer.name for layer in graph if layer.kind != "input")
    if part in graph.names:
        return (part,)
    matching = tuple(fnmatch.filter(graph.names, part)) if any(mark in part for mark in "*?[") else ()
    if matching:
        return matching
    if part.lstrip("-").isdigit():  # the command line has only text
        return (by_index(graph, int(part)),)
    raise graph.unknown(part)


def name_of(graph: Graph, layer: Row) -> str:
    """The name of a row, whichever way it was asked for; a name as it is. Raises UnknownLayer."""
    asked = plain(layer)
    return by_index(graph, asked) if isinstance(asked, int) else str(asked)


def written(at: At) -> Any:
    """What was asked for as plain data."""
    return [plain(part) for part in at] if isinstance(at, Sequence) and not isinstance(at, str) else plain(at)


def plain(part: object) -> object:
    """A row of the table by its name, a number of NumPy's as a number."""
    return part.name if isinstance(part, Layer) else int(part) if isinstance(part, np.integer) else part


def by_index(graph: Graph, index: int) -> str:
    """The name of row `index`; negative ones count from the end. Raises UnknownLayer."""
    try:
        return graph.layers[index].name
    except IndexError:
        raise UnknownRow(index, graph.names) from None
