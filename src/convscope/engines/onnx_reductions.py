"""Nodes of an ONNX graph that collapse maps to one number per unit, chosen for what ONNX Runtime is quick at."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto, TensorProto, helper

TINY = 2.0**-22  # 2 ** 127 times the least float above zero
# 2 ** 127, as an input with a default: were it a constant, ONNX Runtime would multiply the weights of a convolution by it.
ENLARGE = "convscope/enlarge"


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


def position(name: str, result: str, width: int | None, version: int) -> list[NodeProto]:
    """The first position of the maximum over all axes but two, as float32. Over whole maps by TopK: ArgMax is slower there.

    width   of large maps (n, c, h, w): the first row that holds the maximum, and then the place in it, which goes twice over the
            map with the processor's wide instructions instead of once without
    """
    constants = {"sizes": [0, 0, -1], "rank": [0, 0], "count": [1]}
    nodes = [constant(f"{result}/{key}", each) for key, each in constants.items()]
    if width is None or version < 12:  # GatherND
        nodes.append(helper.make_node("Reshape", [name, f"{result}/sizes"], [f"{result}/flat"]))
        nodes.append(
            helper.make_node("TopK", [f"{result}/flat", f"{result}/count"], [f"{result}/value", f"{result}/index"], axis=2)
        )
    else:
        row, place = f"{result}/row", f"{result}/place"
        nodes += over("ReduceMax", name, rows_of(name), [3], version)
        nodes.append(helper.make_node("ArgMax", [rows_of(name)], [row], axis=2))  # of what is short it is the faster one
        nodes.append(helper.make_node("GatherND", [name, row], [f"{row}/values"], batch_dims=2))
        nodes.append(helper.make_node("ArgMax", [f"{row}/values"], [place], axis=2))
        nodes.append(constant(f"{result}/width", [width]))
        nodes.append(helper.make_node("Mul", [row, f"{result}/width"], [f"{row}/start"]))
        nodes.append(helper.make_node("Add", [f"{row}/start", place], [f"{result}/index"]))
    nodes.append(helper.make_node("Reshape", [f"{result}/index", f"{result}/rank"], [f"{result}/whole"]))
    return [*nodes, helper.make_node("Cast", [f"{result}/whole"], [result], to=TensorProto.FLOAT)]


def rows_of(name: str) -> str:
    """The maxima of the rows of maps (n, c, h, w), (n, c, h)."""
    return f"{name}/rows"


def active(name: str, result: str, axes: Sequence[int], version: int) -> list[NodeProto]:
    """The share of values above zero."""
    return [
        *above_zero(name),
        *over("ReduceMean", f"{name}/above_zero", f"{result}/tiny", axes, version),
        constant(f"{result}/one", 1 / TINY),
        helper.make_node("Mul", [f"{result}/tiny", f"{result}/one"], [result]),
    ]


def above_zero(name: str) -> list[NodeProto]:
    """TINY where a value is above zero, else 0. By arithmetic: Greater and a Cast of what it gives take three times as long.

    Even the least float, 2 ** -149, is TINY once it is enlarged. Sums of TINY are exact, and so is their mean times 1 / TINY.
    """
    return [
        constant(f"{name}/nothing", 0.0),
        constant(f"{name}/tiny", TINY),
        helper.make_node("Mul", [name, ENLARGE], [f"{name}/enlarged"]),
        helper.make_node("Clip", [f"{name}/enlarged", f"{name}/nothing", f"{name}/tiny"], [f"{name}/above_zero"]),
    ]


def constant(name: str, value: float | Sequence[int]) -> NodeProto:
    """A float, or a list of whole numbers."""
    if isinstance(value, float):
        return helper.make_node("Constant", [], [name], value=helper.make_tensor("", TensorProto.FLOAT, [], [value]))
    return helper.make_node("Constant", [], [name], value=helper.make_tensor("", TensorProto.INT64, [len(value)], value))
