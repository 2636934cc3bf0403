"""How an ONNX graph hangs together: what carries the picture, what is constant, and which constants are whose weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, helper

from ..core import Array
from ..errors import Shape
from .onnx_constants import BYTES, FLOATS, Constants

DENSE = frozenset({"Gemm", "FusedGemm", "MatMul", "QGemm", "QLinearMatMul", "MatMulInteger"})
CONVOLVING = ("Conv", "FusedConv", "NhwcConv", "NhwcFusedConv", "ConvTranspose")  # the filters of all lie channels first
ROLES = {operator: {1: "kernel", 2: "bias"} for operator in (*DENSE, *CONVOLVING)}
# Which inputs are the kernel and the bias; a step and a zero point follow the kernel.
QUANTISED = {"QLinearConv": (3, 8), "QGemm": (3, 6), "QLinearMatMul": (3,)}
SUMMING = frozenset({"ConvInteger", "MatMulInteger"})  # the kernel is their second input, its zero point the fourth
# What these take besides the picture are settings, not weights.
SETTINGS = frozenset(
    {"Clip", "Resize", "Upsample", "Pad", "Dropout", "QuantizeLinear", "DequantizeLinear", "OneHot", "Where", "Pow", "Range"}
)
SIZES = frozenset({"Shape", "Size"})
SUBGRAPHS = (AttributeProto.GRAPH, AttributeProto.GRAPHS)  # kinds of attributes
END = "convscope:output "  # what a tensor that comes out is called here, see onnx_graph.set_ends_apart
RANDOM = frozenset({"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"})


@dataclass(frozen=True)
class Type:
    """What is known of a tensor: TensorProto's number of its element type (0: no tensor), and its shape with the batch."""

    element: int
    shape: Shape | None


@dataclass(frozen=True)
class Sums:
    """What sums of whole numbers stand for: `step`, the tensor by which they are multiplied; `of_kernel`, the kernel's part."""

    step: str
    of_kernel: str


class Wiring:
    """Which tensors carry the picture, which are constant, and which node makes each.

    What depends on the picture's size alone (`Shape` and the arithmetic after it) does neither.

    foreign   tensors that have no entry for each picture, see FirstAxes
    """

    def __init__(
        self,
        graph: GraphProto,
        inputs: Iterable[str],
        constants: Constants,
        types: Mapping[str, Type],
        foreign: AbstractSet[str] = frozenset(),
    ):
        self.constants, self.types, self.foreign = constants, types, foreign
        self.maker = {output: node for node in graph.node for output in node.output if output}
        self.flowing, self.constant = set(inputs), set(constants)
        self.used = {output.name for output in graph.output}
        for node in graph.node:
            inputs = list(read_by(node))
            self.used |= set(inputs)
            if node.op_type not in SIZES and not self.flowing.isdisjoint(inputs):
                self.flowing |= set(node.output) - {""}
            elif inputs and node.op_type not in RANDOM and self.constant.issuperset(inputs):
                self.constant |= set(node.output) - {""}
        found = sums_of(graph, self.maker, self.constant)
        self.sums = {name: each for name, each in found if math.prod(size or 0 for size in self.shape(each.step) or (1,)) == 1}

    def inner(self, name: str) -> str:
        """The tensor that comes out as `name`, if that is an output of the network; else `name`."""
        return self.maker[name].input[0] if name.startswith(END) and name in self.maker else name

    def element(self, name: str) -> int | None:
        """The element type of a tensor, None if it is not known."""
        if name in self.constants:
            return self.constants.type(name)
        return self.types[name].element if name in self.types else None

    def carried(self, node: NodeProto) -> list[str]:
        """The outputs of `node` that are activations: floats (or bytes and sums of a quantised network) that depend on the
        picture, with an entry for each.
        """
        if node.output[0].startswith(END):
            return []
        known = FLOATS | BYTES | {None}
        outputs = [name for name in node.output if name in self.flowing and (self.element(name) in known or name in self.sums)]
        outputs = [name for name in outputs if self.rank(name) != 0]
        read = [name for name in outputs if name in self.used] or outputs[:1]
        return [name for name in read if name not in self.foreign]  # not another one in its place, of which nothing is known

    def has_row(self, name: str) -> bool:
        return name not in self.maker or name in self.carried(self.maker[name])

    def rank(self, name: str) -> int | None:
        shape = self.shape(name)
        return None if shape is None else len(shape)

    def shape(self, name: str) -> Shape | None:
        """As the file has it, with the batch; None if it is not known."""
        if name in self.constants:
            return self.constants.shape(name)
        return self.types[name].shape if name in self.types else None

    def weights(self, node: NodeProto) -> dict[str, str]:
        """{role: tensor} of the constants that `node` computes with: "kernel" and "bias", else by ONNX' own names.

        Settings such as the limits of Clip are none, nor are scalars, but for a bias: most are literals of somebody's formula.
        """
        if operator(node) in SETTINGS:
            return {}
        if operator(node) in QUANTISED:
            names = [node.input[index] for index in QUANTISED[operator(node)] if index < len(node.input)]
            found = {role: name for role, name in zip(("kernel", "bias"), names, strict=False) if name in self.constant}
            stacked = operator(node) == "QLinearMatMul" and "kernel" in found and self.rank(found["kernel"]) != 2
            return {} if stacked else found
        if operator(node) in SUMMING:
            dense = operator(node) != "MatMulInteger" or self.rank(node.input[1]) == 2
            return {"kernel": node.input[1]} if node.output[0] in self.sums and dense else {}
        constant = {
            index: name
            for index, name in enumerate(node.input)
            if name in self.constant
            and self.element(name) in FLOATS
            and (self.rank(name) != 0 or ROLES.get(operator(node), {}).get(index) == "bias")
        }
        return {self._role(node, index, name): name for index, name in constant.items()}

    def _role(self, node: NodeProto, index: int, name: str) -> str:
        role = ROLES.get(operator(node), {}).get(index)
        if operator(node) == "MatMul" and self.rank(name) != 2:  # a stack of matrices is no dense layer
            role = None
        return role or formal_name(node, index)

    def leaves(self, name: str, *, quantised: bool = False) -> Iterator[str]:
        """The parameters behind a constant tensor: the floats, and the bytes that are made floats by DequantizeLinear."""
        if name in self.constants:
            if self.constants.type(name) in FLOATS or quantised:
                yield name
            return
        node = self.maker[name]
        dequantises = node.op_type == "DequantizeLinear"
        for each in node.input[:1] if dequantises else read_by(node):
            yield from self.leaves(each, quantised=quantised or dequantises)

    def size(self, names: Iterable[str]) -> int:
        leaves = {leaf for name in names for leaf in ([name] if name in self.constants else self.leaves(name))}
        return sum(math.prod(self.constants.shape(leaf)) for leaf in leaves)


def sums_of(graph: GraphProto, maker: Mapping[str, NodeProto], constant: AbstractSet[str]) -> Iterator[tuple[str, Sums]]:
    """As dynamic quantisation writes them, read by nothing else: Mul(Cast(sums), Mul(step of the input, step of the kernel)).

    constant   the tensors that do not depend on the picture
    """
    summing = [node for node in graph.node if operator(node) in SUMMING and node.input[1] in constant]
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node if summing else ():
        for name in read_by(node):
            readers.setdefault(name, []).append(node)
    for node in summing:
        casts = readers.get(node.output[0], [])
        products = readers.get(casts[0].output[0], []) if [operator(each) for each in casts] == ["Cast"] else []
        if [operator(each) for each in products] != ["Mul"]:
            continue
        step = next((name for name in products[0].input if name != casts[0].output[0]), "")
        factors = maker[step].input if step in maker and operator(maker[step]) == "Mul" else ()
        fixed = [name for name in factors if name in constant]
        if len(fixed) == 1:
            yield node.output[0], Sums(step, fixed[0])


def ours(tensor: str, what: str) -> str:
    """A name for what is put into a graph beside `tensor`; "conv1/scale" may well be the file's own."""
    return f"convscope:{what} of {tensor}"


def read_by(node: NodeProto) -> list[str]:
    """The names that a node reads, with those that its subgraphs take from outside (and, harmlessly, names of their own)."""
    found = [name for name in node.input if name]
    for each in node.attribute:
        if each.type in SUBGRAPHS:
            for graph in (each.g, *each.graphs):
                found += [output.name for output in graph.output]
                for inner in graph.node:
                    found += read_by(inner)
    return found


def formal_name(node: NodeProto, index: int) -> str:
    """What ONNX calls input `index` of this operator: "scale", "B"."""
    try:
        inputs = onnx.defs.get_schema(node.op_type, domain=node.domain).inputs
    except onnx.defs.SchemaError:
        inputs = ()
    return inputs[index].name if index < len(inputs) else f"input{index}"


def draws(node: NodeProto, wiring: Wiring) -> bool:
    """Whether it may give other numbers in each run."""
    on = (*node.input, "", "")[2] if operator(node) == "Dropout" else ""
    trains = on != "" and (on not in wiring.constants or bool(wiring.constants.array(on)))
    return operator(node) in RANDOM or trains


def operator(node: NodeProto) -> str:
    """The operator's name; with its domain where that is somebody's own, who may mean anything by "Conv"."""
    return node.op_type if node.domain in ("", "ai.onnx", "com.microsoft") else f"{node.domain}.{node.op_type}"


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def opset(model: ModelProto) -> int:
    """The version of ONNX' own operators."""
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)


def type_of(given: onnx.TypeProto) -> Type:
    if not given.HasField("tensor_type"):
        return Type(0, None)
    tensor = given.tensor_type
    if not tensor.HasField("shape"):
        return Type(tensor.elem_type, None)
    return Type(tensor.elem_type, tuple(size.dim_value if size.dim_value > 0 else None for size in tensor.shape.dim))


def protocol_layout(node: NodeProto, weights: Mapping[str, np.ndarray]) -> dict[str, Array]:
    """As the protocol has them: `kernel` (out, in / groups, *k) or (out, in), `bias` (out,). Float32 copies."""
    result = {role: np.array(values, np.float32) for role, values in weights.items()}
    if "kernel" not in result:
        return result
    kernel, kind = result["kernel"], operator(node)
    if kind == "ConvTranspose":  # (in, out / groups, *k)
        split = kernel.reshape(attribute(node, "group", 1), -1, *kernel.shape[1:])
        kernel = np.moveaxis(split, 1, 2).reshape(-1, split.shape[1], *kernel.shape[2:])
    elif kind in DENSE:
        kernel = (kernel if attribute(node, "transB", 0) else kernel.T) * np.float32(attribute(node, "alpha", 1.0))
    if kind in DENSE and "bias" in result:
        bias = result.pop("bias").reshape(-1) * np.float32(attribute(node, "beta", 1.0))
        if len(bias) in (1, len(kernel)):
            result["bias"] = np.broadcast_to(bias, len(kernel)).copy()
        else:  # another one for each picture of a fixed batch
            result["C"] = np.array(weights["bias"], np.float32)
    return result | {"kernel": np.ascontiguousarray(kernel)}
