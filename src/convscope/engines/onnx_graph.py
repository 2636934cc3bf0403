"""Surgery: the part of an ONNX graph that computes what is asked for, with edits put in and what is read led out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import onnx.inliner
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from ..core import Reduce
from ..errors import Unsupported
from .onnx_constants import Constants, constant_of
from .onnx_quantised import Quantised, quantised
from .onnx_reductions import Led, active, maximum, over, position
from .onnx_wiring import END, Wiring, opset, ours, read_by

LARGE = 40  # positions of a map from which on its maximum is looked for row by row


class Read(NamedTuple):  # which hash sooner than dataclasses: of a hundred, several times in a run
    """One thing to read: a tensor, its axes in the order `turn` if that is given, whole or with `axes` collapsed.

    native   as it is in the graph, to be fed again, and not as float32
    """

    tensor: str
    reduce: Reduce = "none"
    axes: tuple[int, ...] = ()
    turn: tuple[int, ...] = ()
    native: bool = False


class Reads(tuple[Read, ...]):
    """Things to read, which are hashed once: of a hundred, each time takes as long as a small layer."""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()


@dataclass(frozen=True)
class Part:
    """A model that ends at what is led out; `handed`, the weights that it gets by reference."""

    model: ModelProto
    led_out: tuple[Led, ...]
    handed: dict[str, np.ndarray]


def refuse_rearranged(model: ModelProto) -> None:
    """Raises Unsupported for a file in which the values of a map do not lie one after the other."""
    if any(each.domain in ("com.microsoft.nchwc", "com.ms.internal.nhwc") for each in model.graph.node):
        raise Unsupported(
            "ONNX Runtime optimised this file for one kind of processor, and the values in it are rearranged, so that no map can "
            "be read. Open the file that it was made from, or save it with ORT_ENABLE_EXTENDED instead of ORT_ENABLE_ALL."
        )


def inlined(model: ModelProto) -> ModelProto:
    """The model with the nodes of its functions in place of these, and then without its initialisers; itself if it has none."""
    if not model.functions:
        return model
    graph = GraphProto(name=model.graph.name)
    for field in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(graph, field).extend(getattr(model.graph, field))
    return onnx.inliner.inline_local_functions(like(model, graph))


def without_constants(model: ModelProto, inputs: Sequence[str]) -> ModelProto:
    """The nodes and signature of a model. Its weights are left to `Constants`, so that nothing large is ever copied."""
    graph, named = GraphProto(name=model.graph.name), Counter[str]()
    graph.node.extend(node for node in model.graph.node if constant_of(node) is None)
    for node in graph.node:
        named[node.name] += 1
        if node.name and named[node.name] > 1:  # which ONNX Runtime refuses
            node.name = f"{node.name}#{named[node.name]}"
    graph.input.extend(each for each in model.graph.input if each.name in inputs)
    graph.output.extend(model.graph.output)
    set_ends_apart(graph)
    graph.value_info.extend(model.graph.value_info)
    return like(model, graph)


def set_ends_apart(graph: GraphProto) -> None:
    """An output of the network is a tensor of its own, so that an edit of it changes what comes out, and no row."""
    for number, each in enumerate(graph.output):
        if each.type.WhichOneof("value") in (None, "tensor_type"):
            graph.node.append(helper.make_node("Identity", [each.name], [f"{END}{number}"]))
            each.name = graph.node[-1].output[0]


def like(model: ModelProto, graph: GraphProto) -> ModelProto:
    # Before version 4 an initialiser has to be an input too, and is then no constant that ONNX Runtime can fold.
    result = ModelProto(ir_version=max(model.ir_version, 4), producer_name=model.producer_name, graph=graph)
    result.opset_import.extend(model.opset_import)
    result.functions.extend(model.functions)
    return result


def complete(model: ModelProto, constants: Constants) -> ModelProto:
    """The model with its constants, the large ones as inputs: all that is needed to check it or to infer its shapes."""
    result = ModelProto()
    result.CopyFrom(model)
    constants.put_into(result.graph, constants, as_inputs=True)
    return result


def standalone(model: ModelProto, wiring: Wiring, value: Callable[[str], np.ndarray]) -> ModelProto:
    """The nodes that depend on the picture, what they need of the constants, computed by `value`, and the known shapes."""
    graph = GraphProto(name=model.graph.name)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    _, nodes = needed(model.graph.node, (each.name for each in model.graph.output))
    graph.node.extend(node for node in nodes if not wiring.constant.issuperset(node.output))
    used = dict.fromkeys(name for node in graph.node for name in read_by(node) if name in wiring.constant)
    graph.initializer.extend(numpy_helper.from_array(value(name), name) for name in used)
    made = [name for node in graph.node for name in node.output if not name.startswith(END)]
    types = {name: wiring.types[name] for name in made if name in wiring.types}
    shapes = (helper.make_tensor_value_info(name, each.element, each.shape) for name, each in types.items() if each.element)
    graph.value_info.extend(shapes)
    return like(model, graph)


def part(
    model: ModelProto, wiring: Wiring, reads: Sequence[Read], edited: Collection[str], held: Mapping[str, int] | None = None
) -> Part:
    """The nodes that `reads` need and no others, with each tensor in `edited` replaced by `tensor * scale + shift`.

    Scales and shifts are further inputs, `scale_of(tensor)` and `shift_of(tensor)`. Outputs are float32.

    held   {tensor: element type} of what is not computed but fed, as `held_of(tensor)`
    """
    graph, held = GraphProto(name=model.graph.name), held or {}
    bytes_of = {read.tensor: quantised(read.tensor, wiring) for read in reads}
    steps = (name for each in bytes_of.values() if each for name in (each.step, each.zero) if name)
    names, nodes = needed(model.graph.node, (*(read.tensor for read in reads), *steps), held)
    graph.input.extend(each for each in model.graph.input if each.name in names and each.name not in held)
    graph.input.extend(helper.make_tensor_value_info(held_of(each), held[each], None) for each in held if each in names)
    nodes = [helper.make_node("Identity", [held_of(each)], [each]) for each in held if each in names] + nodes
    for node in nodes:
        changed = [tensor for tensor in node.output if tensor in edited]
        graph.node.append(renamed(node, changed))
        for tensor in changed:
            graph.input.extend(helper.make_tensor_value_info(f(tensor), TensorProto.FLOAT, None) for f in (scale_of, shift_of))
            graph.node.extend(edit(tensor, wiring.element(tensor)))
    led_out = tuple(lead_out(read, wiring, bytes_of[read.tensor], opset(model)) for read in reads)
    # The last ends first: ONNX Runtime begins with what was written last, so that each map is reduced while it is at hand.
    steps_out = (node for led in reversed(led_out) for node in led.nodes)
    graph.node.extend({node.output[0]: node for node in steps_out}.values())  # what several reads begin with, once
    outputs = (name for led in led_out for name in led.names)
    graph.output.extend(ValueInfoProto(name=name) for name in outputs)  # without a type: ONNX Runtime knows it
    handed = wiring.constants.put_into(graph, [name for name in wiring.constants if name in names])
    return Part(like(model, graph), led_out, handed)


def needed(nodes: Sequence[NodeProto], tensors: Iterable[str], held: Collection[str] = ()) -> tuple[set[str], list[NodeProto]]:
    """The nodes that `tensors` depend on, in their order, up to `held`; and the names of all that these read or make."""
    names, kept, known = set(tensors), [], frozenset(held)
    for node in reversed(nodes):
        if not (names - known).isdisjoint(node.output):
            names |= {*read_by(node), *node.output}
            kept.append(node)
    return names, kept[::-1]


def renamed(node: NodeProto, changed: Collection[str]) -> NodeProto:
    """`node`, with the outputs in `changed` under another name: whoever reads them gets what the edit makes."""
    if not changed:
        return node
    result = NodeProto()
    result.CopyFrom(node)
    result.output[:] = [unedited(name) if name in changed else name for name in node.output]
    return result


def edit(tensor: str, element: int | None) -> list[NodeProto]:
    """unedited(tensor) * scale + shift, in float32 whatever the tensor's own type."""
    steps = [unedited(tensor), *(ours(tensor, step) for step in ("as_float", "scaled", "shifted")), tensor]
    narrow = element not in (TensorProto.FLOAT, None)
    if not narrow:
        steps[1], steps[3] = steps[0], steps[4]
    nodes = [
        helper.make_node("Mul", [steps[1], scale_of(tensor)], [steps[2]]),
        helper.make_node("Add", [steps[2], shift_of(tensor)], [steps[3]]),
    ]
    if not narrow:
        return nodes
    return [
        helper.make_node("Cast", steps[:1], steps[1:2], to=TensorProto.FLOAT),
        *nodes,
        helper.make_node("Cast", steps[3:4], steps[4:], to=element),
    ]


def lead_out(read: Read, wiring: Wiring, bytes_of: Quantised | None, version: int) -> Led:
    """From a tensor to what is read of it."""
    nodes: list[NodeProto] = []
    name, element = read.tensor, wiring.element(read.tensor)
    if read.native:
        return Led(nodes, (name,), np.asarray)
    if bytes_of is not None:
        nodes.append(bytes_of.node(name, ours(read.tensor, "dequantised")))
        name = nodes[-1].output[0]
    if element not in (TensorProto.FLOAT, None):
        nodes.append(helper.make_node("Cast", [name], [ours(read.tensor, "float")], to=TensorProto.FLOAT))
        name = nodes[-1].output[0]
    if read.turn:
        nodes.append(helper.make_node("Transpose", [name], [ours(read.tensor, "turned")], perm=read.turn))
        name = nodes[-1].output[0]
    led = collapsed(read, name, sizes(read, wiring), version) if read.axes else Led([], (name,))
    return led._replace(nodes=[*nodes, *led.nodes])


def collapsed(read: Read, name: str, sizes: Sequence[int] | None, version: int) -> Led:
    """From maps `name` to one number per unit. sizes: of the maps, if they are known."""
    result = ours(read.tensor, read.reduce)
    width = sizes[-1] if sizes and len(sizes) == 2 and math.prod(sizes) >= LARGE else None
    if read.reduce == "argmax":
        return position(name, result, width, version)
    if read.reduce == "active":
        return active(name, result, math.prod(sizes) if sizes else None)
    if read.reduce == "max":
        return Led(maximum(name, result, read.axes, width, version), (result,))
    return Led(over("ReduceMean", name, result, read.axes, version), (result,))


def sizes(read: Read, wiring: Wiring) -> list[int] | None:
    """Of the maps of a read tensor; None where one is not known."""
    shape = wiring.shape(read.tensor) or ()
    found = [shape[axis] for axis in read.turn or range(len(shape))][2:]
    return None if None in found else [size for size in found if size is not None]


def scale_of(tensor: str) -> str:
    return ours(tensor, "scale")


def shift_of(tensor: str) -> str:
    return ours(tensor, "shift")


def held_of(tensor: str) -> str:
    return ours(tensor, "held")


def unedited(tensor: str) -> str:
    return ours(tensor, "unedited")
