"""A graph for pictures of another size than it was opened with: what rows say of their sizes has to be what flowed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core import Engine, Graph, Layer
from ..errors import InputError, ModelError, Shape
from .maps import readable


def fits(graph: Graph, shape: tuple[int, ...]) -> bool:
    """Whether the rows' shapes are those for a picture of `shape`, (c, *spatial). Several inputs have the sizes that they had."""
    return len(graph.inputs) > 1 or graph.layers[0].shape == shape


def check_size(graph: Graph, given: object) -> None:
    """Raises InputError for a picture's shape, (c, *spatial), that the network itself says it does not take."""
    takes = graph.layers[0].shape
    if not isinstance(given, list | tuple) or not all(isinstance(size, int) for size in given):
        return  # of several inputs, by number or name
    if len(graph.inputs) == 1 and takes and (len(given) != len(takes) or any(map(_is_another, given, takes))):
        raise InputError(
            f"This network says itself that it takes pictures of shape {takes}, and was to be opened for {tuple(given)}. Leave "
            "the shape away.",
            received=tuple(given),
            expected=takes,
        )


def _is_another(given: int, size: int | None) -> bool:
    return given < 1 if size is None else given != size


def at_size(engine: Engine, shape: tuple[int, ...]) -> Graph:
    """The graph with the shapes that its rows have for a picture of `shape`, by letting a blank one pass.

    Where none can pass, and of rows that cannot be read, the sizes are unknown: better none than those of another picture.
    """
    graph, unknown = engine.graph, of_no_size(engine.graph)
    try:
        values, _ = readable(engine, np.zeros((1, *shape), np.float32), graph.names, graph.names)
    except ModelError:
        return unknown
    return _with(graph, {name: values[name].shape[1:] if name in values else unknown[name].shape for name in graph.names})


def of_no_size(graph: Graph) -> Graph:
    """The graph with unknown spatial sizes."""
    return _with(graph, {row.name: row.shape and (row.shape[0], *[None] * (len(row.shape) - 1)) for row in graph})


def _with(graph: Graph, shapes: dict[str, Shape | None]) -> Graph:
    return replace(graph, layers=tuple(_sized(row, shapes[row.name]) for row in graph))


def _sized(row: Layer, shape: Shape | None) -> Layer:
    """The row with another shape, also as its framework prints it, channels first or last."""
    if shape == row.shape or not shape or not row.shape:
        return replace(row, shape=shape)
    layouts = {(None, *row.shape): (None, *shape), (None, *row.shape[1:], row.shape[0]): (None, *shape[1:], shape[0])}
    return replace(row, shape=shape, native_shape=layouts.get(row.native_shape or ()))
