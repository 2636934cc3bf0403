"""From the nodes of an ONNX graph to the rows of the layer table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from onnx import ModelProto, NodeProto

from ..core import CONVOLUTIONS, Graph, Kind, Layer
from ..errors import Shape
from .names import RESERVED, end_names, output_names
from .onnx_apart import ROUNDING, mixes
from .onnx_layout import Layouts
from .onnx_windows import window_of
from .onnx_wiring import Wiring, attribute, draws, operator, read_by

KINDS: dict[Kind, str] = {
    "convolution": "Conv FusedConv NhwcConv NhwcFusedConv QLinearConv ConvInteger DeformConv",
    "transposed": "ConvTranspose",
    "dense": "Gemm FusedGemm MatMul QGemm QLinearMatMul MatMulInteger",
    "normalisation": "BatchNormalization InstanceNormalization LayerNormalization GroupNormalization RMSNormalization "
    "LpNormalization MeanVarianceNormalization LRN SkipLayerNormalization",
    "activation": "Relu LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Clip Sigmoid HardSigmoid HardSwish Tanh Softplus "
    "Softsign Softmax LogSoftmax Hardmax Gelu FastGelu QuickGelu BiasGelu Mish Swish Shrink",
    "pooling": "MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool GlobalLpPool MaxRoiPool RoiAlign "
    "QLinearAveragePool QLinearGlobalAveragePool NhwcMaxPool",
    "resizing": "Resize Upsample GridSample",
    "padding": "Pad",
    "merge": "Add Sub Mul Div Sum Mean Max Min Concat QLinearAdd QLinearConcat",
    "reshape": "Flatten Reshape Transpose Squeeze Unsqueeze Expand DepthToSpace SpaceToDepth",
    "dropout": "Dropout",
}
LINEAR = frozenset(" ".join(KINDS[kind] for kind in ("convolution", "transposed", "dense")).split())
FUSED = frozenset({"FusedConv", "NhwcFusedConv", "FusedGemm"})  # by ONNX Runtime, when it saves an optimised network
KIND_OF: dict[str, Kind] = {operator: kind for kind, operators in KINDS.items() for operator in operators.split()}


@dataclass(frozen=True)
class Table:
    """The layer table, and what its names stand for."""

    graph: Graph
    tensors: Mapping[str, str]  # of each row, and of the aliases "input", "output", "output:1"
    nodes: Mapping[str, NodeProto]


def table(model: ModelProto, wiring: Wiring, layouts: Layouts) -> Table:
    """One row for each input and one for each activation.

    A row has its node's name, made unique as `name#2`; of several outputs that are used, `name:0` and `name:1`. A node without a
    name has that of its tensor, as viewers show it, or, where that is only a number, a name such as `Conv_0`.
    """
    given = [each.name for each in model.graph.input]
    aliases = end_names("input", len(given))
    tensors = dict(zip(aliases, given, strict=True))
    tensors |= dict(zip(output_names(len(model.graph.output)), (each.name for each in model.graph.output), strict=True))
    row_of, layers, nodes = dict[str, str](), list[Layer](), dict[str, NodeProto]()
    for tensor, alias in zip(given, aliases, strict=True):
        row_of[tensor] = tensor if tensor == alias else unique(tensor, tensors)
        tensors[row_of[tensor]] = tensor
        layers.append(input_row(len(layers), row_of[tensor], tensor, layouts))
    numbers, weights = Counter[str](), set[str]()
    for node in model.graph.node:
        carried = wiring.carried(node)
        if not carried:
            continue
        for tensor in carried:
            name = unique(own_name(node, tensor, numbers[node.op_type], alone=len(carried) == 1), tensors)
            layers.append(row(len(layers), name, node, tensor, layouts, sources(node, wiring, row_of)))
            row_of[tensor], tensors[name], nodes[name] = name, tensor, node
        numbers[node.op_type] += 1
        weights |= set(wiring.weights(node).values())
    mixed = any(mixes(node, wiring) for node in model.graph.node)
    return Table(Graph(tuple(layers), parameters=wiring.size(weights), mixed=mixed), tensors, nodes)


def own_name(node: NodeProto, tensor: str, number: int, *, alone: bool) -> str:
    if not node.name and any(letter.isalpha() for letter in tensor):
        return tensor
    name = node.name or f"{node.op_type}_{number}"
    return name if alone else f"{name}:{list(node.output).index(tensor)}"


def unique(name: str, taken: Container[str]) -> str:
    """`name`, or `name#2` if that is taken; as other engines do, `output#1` for a node that is called as the network's end."""
    if name in RESERVED:
        name = f"{name}#1"
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}#{number}"
    return candidate


def input_row(index: int, name: str, tensor: str, layouts: Layouts) -> Layer:
    return Layer(index, name, "input", "Input", without_batch(layouts.shape(tensor)), layouts.wiring.shape(tensor))


def row(index: int, name: str, node: NodeProto, tensor: str, layouts: Layouts, inputs: tuple[str, ...]) -> Layer:
    wiring = layouts.wiring
    weights, unlike = wiring.weights(node), other_than_its_kind(node, wiring)
    kernel = wiring.shape(weights["kernel"]) if "kernel" in weights else None
    return Layer(
        index,
        name,
        "other" if unlike else kind_of(node, kernel, wiring),
        f"{operator(node)} ({unlike})" if unlike else operator(node),
        without_batch(layouts.shape(tensor)),
        wiring.shape(tensor),
        wiring.size(weights.values()),
        kernel,
        inputs,
        activation_of(node),
        window=window_of(node, kernel, layouts),
    )


def activation_of(node: NodeProto) -> str | None:
    """Of what ONNX Runtime fused. A fused convolution with a fourth input adds that before its activation."""
    said = attribute(node, "activation", b"").decode().lower() if operator(node) in FUSED else ""
    adds = operator(node) in FUSED & LINEAR - {"FusedGemm"} and len(node.input) > 3 and node.input[3]
    return f"{said or 'none'} of a sum" if adds else said or None


def kind_of(node: NodeProto, kernel: Shape | None, wiring: Wiring) -> Kind:
    kind = KIND_OF.get(operator(node), "other")
    if kind == "convolution" and kernel is not None and kernel[1] == 1 and attribute(node, "group", 1) > 1:
        return "depthwise"
    if kind == "dense" and kernel is None:
        return "other"
    if kind == "merge" and sum(name in wiring.flowing for name in node.input) < 2:
        return "other"  # a bias or a scale
    return kind


def other_than_its_kind(node: NodeProto, wiring: Wiring) -> str:
    """Why its places need not be made of those of the rows that feed it in the way that its name says; "" if they are.

    indirect   between it and these rows lies what has no row: whole numbers, one number for all pictures, another first axis
    training   it takes the mean and the variance of what it is given, or drops some of it
    """
    if (operator(node) == "BatchNormalization" and attribute(node, "training_mode", 0)) or (
        operator(node) == "Dropout" and draws(node, wiring)
    ):
        return "training"
    hidden = any(name in wiring.flowing and not wiring.has_row(name) for name in read_by(node))
    return "indirect" if hidden and operator(node) not in LINEAR else ""


def sources(node: NodeProto, wiring: Wiring, row_of: Mapping[str, str]) -> tuple[str, ...]:
    """The rows that feed a node, through nodes that have none."""
    found: dict[str, None] = {}
    for tensor in read_by(node):
        if tensor in row_of:
            found[row_of[tensor]] = None
        elif tensor in wiring.flowing and tensor in wiring.maker:
            found |= dict.fromkeys(sources(wiring.maker[tensor], wiring, row_of))
    return tuple(found)


def inner_convolutions(model: ModelProto) -> tuple[str, ...]:
    """A sentence for each node whose branches or loop hold convolutions, which run once, never or many times and have no row."""
    found = []
    for number, node in enumerate(model.graph.node):
        count = sum(KIND_OF.get(operator(each)) in CONVOLUTIONS for each in nodes_within(node))
        if count:
            what = "1 convolution" if count == 1 else f"{count} convolutions"
            found.append(f"{what} within '{node.name or number}' ({node.op_type}) can be read only by what comes out of it.")
    return tuple(found)


def by_range(model: ModelProto, wiring: Wiring) -> str:
    """The nodes that round by the range of all pictures that pass at once, in words."""
    nodes = (node for node in model.graph.node if operator(node) in ROUNDING and mixes(node, wiring))
    return listed([f"'{node.name or node.output[0]}'" for node in nodes])


def listed(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def notes_on(model: ModelProto, wiring: Wiring) -> tuple[str, ...]:
    """A sentence on convolutions that have no row, on nodes that give other values in each run, and on those whose values depend
    on the other pictures.
    """
    named = {node.name or node.output[0]: node for node in model.graph.node}
    drawing = [f"'{name}' ({node.op_type})" for name, node in named.items() if draws(node, wiring)]
    whole = [f"'{name}'" for name, node in named.items() if operator(node) == "ConvInteger" and not wiring.carried(node)]
    mixing = [f"'{name}' ({node.op_type})" for name, node in named.items() if mixes(node, wiring)]
    found = []
    if whole:
        what = "1 convolution" if len(whole) == 1 else f"{len(whole)} convolutions"
        found.append(f"{what} of whole numbers ({listed(whole)}) can be read only by what comes of the sums.")
    if drawing:
        found.append(f"No two runs of this network need agree: random numbers are drawn in {', '.join(drawing)}.")
    if mixing:
        found.append(f"What is shown of one picture depends on those beside it, of which {', '.join(mixing)} make one number.")
    return tuple(found)


def nodes_within(node: NodeProto) -> Iterator[NodeProto]:
    for each in node.attribute:
        for graph in (each.g, *each.graphs):
            for inner in graph.node:
                yield inner
                yield from nodes_within(inner)


def without_batch(shape: Sequence[int | None] | None) -> Shape | None:
    return None if shape is None else tuple(shape[1:])
