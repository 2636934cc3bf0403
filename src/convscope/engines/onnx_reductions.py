"""Nodes of an ONNX graph that collapse maps to one number per unit, chosen for what ONNX Runtime is quick at.

Each node costs it some millionths of a second, however little there is to do: what is left to compute with one number per unit is
left to NumPy, and what depends on the size of the maps alone is computed beforehand where that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from onnx import NodeProto, TensorProto, helper

from ..core import Array, share
from .onnx_wiring import ours


def as_float(value: Any) -> Array:
    return np.asarray(value, np.float32)


class Led(NamedTuple):
    """What is led out of a graph: nodes, the names of their results, and what makes one array of these."""

    nodes: list[NodeProto]
    names: tuple[str, ...]
    made: Callable[..., Array] = as_float


def over(operator: str, name: str, result: str, axes: Sequence[int], version: int) -> list[NodeProto]:
    """ReduceMax or ReduceMean of `name` over `axes`."""
    if version < 18:
        return [helper.make_node(operator, [name], [result], axes=axes, keepdims=0)]
    axes_of = helper.make_node("Constant", [], [f"{result}/axes"], value_ints=axes)
    return [axes_of, helper.make_node(operator, [name, f"{result}/axes"], [result], keepdims=0)]


def maximum(name: str, result: str, axes: Sequence[int], width: int | None, version: int) -> list[NodeProto]:
    """The maximum over all axes but two. width: see `position`, which needs the maxima of the rows too."""
    if width is None:
        return over("ReduceMax", name, result, axes, version)
    return [*over("ReduceMax", name, rows_of(name), [3], version), *over("ReduceMax", rows_of(name), result, [2], version)]


def position(name: str, result: str, width: int | None, version: int) -> Led:
    """The first position of the maximum over all axes but two, int64. Over whole maps by TopK: ArgMax is slower there.

    width   of large maps (n, c, h, w): the first row that holds the maximum, and then the place in it, which goes twice over the
            map with the processor's wide instructions instead of once without
    """
    if width is None or version < 12:  # GatherND
        flat, index = f"{result}/flat", f"{result}/index"
        nodes = [constant(f"{result}/sizes", [0, 0, -1]), constant(f"{result}/count", [1])]
        nodes.append(helper.make_node("Reshape", [name, f"{result}/sizes"], [flat]))
        nodes.append(helper.make_node("TopK", [flat, f"{result}/count"], [f"{result}/value", index], axis=2))
        return Led(nodes, (index,), whole)
    row, values, place = f"{result}/row", f"{result}/row/values", f"{result}/place"
    nodes = over("ReduceMax", name, rows_of(name), [3], version)
    nodes.append(helper.make_node("ArgMax", [rows_of(name)], [row], axis=2))  # of what is short it is the faster one
    nodes.append(helper.make_node("GatherND", [name, row], [values], batch_dims=2))
    nodes.append(helper.make_node("ArgMax", [values], [place], axis=2))
    return Led(nodes, (row, place), partial(in_rows, width))


def whole(index: Array) -> Array:
    """(n, c, 1) to (n, c)."""
    return index[..., 0]


def in_rows(width: int, row: Array, place: Array) -> Array:
    """The position in maps laid flat. row, place   (n, c, 1) whole numbers"""
    return whole(row * width + place)


def rows_of(name: str) -> str:
    """The maxima of the rows of maps (n, c, h, w), (n, c, h)."""
    return ours(name, "rows")


def active(name: str, result: str, positions: int | None) -> Led:
    """The share of values above zero, over all axes but two: how many there are, by a product with ones in whole numbers, for
    which ONNX Runtime has its quickest code, over how many values.

    positions   of a map, if they are known
    """
    flat, ones, counts = f"{result}/flat", f"{result}/ones", f"{result}/counts"
    nodes = [
        constant(f"{result}/nothing", 0.0),
        constant(f"{result}/sizes", [0, 0, -1]),
        helper.make_node("Greater", [name, f"{result}/nothing"], [f"{result}/above"]),
        helper.make_node("Cast", [f"{result}/above"], [f"{result}/bytes"], to=TensorProto.UINT8),
        helper.make_node("Reshape", [f"{result}/bytes", f"{result}/sizes"], [flat]),
    ]
    column = f"{result}/column"
    if positions is None:
        nodes += [
            constant(f"{result}/last", [2]),
            constant(f"{result}/one", [1]),
            helper.make_node("Shape", [flat], [f"{result}/shape"]),
            helper.make_node("Gather", [f"{result}/shape", f"{result}/last"], [f"{result}/positions"]),
            helper.make_node("Concat", [f"{result}/positions", f"{result}/one"], [column], axis=0),
        ]
    else:
        nodes.append(constant(column, [positions, 1]))
    one = helper.make_tensor("", TensorProto.INT8, [1], [1])
    nodes.append(helper.make_node("ConstantOfShape", [column], [ones], value=one))
    nodes.append(helper.make_node("MatMulInteger", [flat, ones], [counts]))
    if positions is None:
        return Led(nodes, (counts, f"{result}/positions"), share_of)
    return Led(nodes, (counts,), partial(share_of, positions=positions))


def share_of(counts: Array, positions: Any) -> Array:
    """Of how many positions there are. counts   (n, c, 1) whole numbers"""
    return share(counts[..., 0], int(np.asarray(positions).item()))


def constant(name: str, value: float | Sequence[int]) -> NodeProto:
    """A float, or a list of whole numbers."""
    if isinstance(value, float):
        return helper.make_node("Constant", [], [name], value=helper.make_tensor("", TensorProto.FLOAT, [], [value]))
    return helper.make_node("Constant", [], [name], value=helper.make_tensor("", TensorProto.INT64, [len(value)], value))
