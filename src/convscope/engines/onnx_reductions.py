"""Nodes of an ONNX graph that collapse maps to one number per unit, chosen for what ONNX Runtime is quick at."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto, TensorProto, helper

from .onnx_wiring import ours


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
    """The first position of the maximum over all axes but two, int64. Over whole maps by TopK: ArgMax is slower there.

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
    return [*nodes, helper.make_node("Reshape", [f"{result}/index", f"{result}/rank"], [result])]


def rows_of(name: str) -> str:
    """The maxima of the rows of maps (n, c, h, w), (n, c, h)."""
    return ours(name, "rows")


def active(name: str, result: str) -> list[NodeProto]:
    """The share of values above zero, over all axes but two, as float32: how many there are, by a product with ones in whole
    numbers, for which ONNX Runtime has its quickest code, over how many values.
    """
    constants = {"sizes": [0, 0, -1], "rank": [0, 0], "last": [2], "one": [1]}
    ones = helper.make_tensor("", TensorProto.INT8, [1], [1])
    return [
        *(constant(f"{result}/{key}", each) for key, each in constants.items()),
        constant(f"{result}/nothing", 0.0),
        helper.make_node("Greater", [name, f"{result}/nothing"], [f"{result}/above"]),
        helper.make_node("Cast", [f"{result}/above"], [f"{result}/bytes"], to=TensorProto.UINT8),
        helper.make_node("Reshape", [f"{result}/bytes", f"{result}/sizes"], [f"{result}/flat"]),
        helper.make_node("Shape", [f"{result}/flat"], [f"{result}/shape"]),
        helper.make_node("Gather", [f"{result}/shape", f"{result}/last"], [f"{result}/positions"]),
        helper.make_node("Concat", [f"{result}/positions", f"{result}/one"], [f"{result}/column"], axis=0),
        helper.make_node("ConstantOfShape", [f"{result}/column"], [f"{result}/ones"], value=ones),
        helper.make_node("MatMulInteger", [f"{result}/flat", f"{result}/ones"], [f"{result}/counts"]),
        helper.make_node("Reshape", [f"{result}/counts", f"{result}/rank"], [f"{result}/count"]),
        helper.make_node("Cast", [f"{result}/count"], [f"{result}/found"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [f"{result}/positions"], [f"{result}/all"], to=TensorProto.FLOAT),
        helper.make_node("Div", [f"{result}/found", f"{result}/all"], [result]),
    ]


def constant(name: str, value: float | Sequence[int]) -> NodeProto:
    """A float, or a list of whole numbers."""
    if isinstance(value, float):
        return helper.make_node("Constant", [], [name], value=helper.make_tensor("", TensorProto.FLOAT, [], [value]))
    return helper.make_node("Constant", [], [name], value=helper.make_tensor("", TensorProto.INT64, [len(value)], value))
