"""The sizes that an ONNX file computes: inference from node to node, with the numbers that are known by then.

Exporters that trace write `Reshape` to what `Shape`, `Gather`, `Mod` and `Concat` make of another tensor's sizes. Inference of a
whole graph follows few of these operators, and gives up the shape of everything behind them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, TypeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ..errors import Shape
from .onnx_wiring import RANDOM, SIZES, Type, attribute, operator, opset, read_by, type_of

# What inference says; a ValidationError of an operator that a later opset took back, which ONNX Runtime computes all the same.
FAILING = (
    onnx.defs.SchemaError, onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError, ValueError,
)  # fmt: skip
MOST = 64  # numbers: no tensor has more sizes, axes or paddings


@dataclass
class Kept:
    """What is kept of one walk for another, of another number of pictures: most sizes do not depend on that.

    small        small constants, and `numbers` those in them that were asked for
    constants    the types of all constants, as ONNX has them and as we do, and their sizes
    read         what each node reads
    evaluators   by what they compute
    made         by that too: what each was given last, and what it made of it
    """

    small: dict[str, TensorProto] = field(default_factory=dict)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    constants: dict[str, tuple[TypeProto, tuple[int, ...] | None, Type]] = field(default_factory=dict)
    read: list[list[str]] = field(default_factory=list)
    evaluators: dict[str, ReferenceEvaluator] = field(default_factory=dict)
    made: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = field(default_factory=dict)


def infer(model: ModelProto, kept: Kept | None = None) -> dict[str, Type]:
    """The types that ONNX' inference finds, as far as it goes; where each input has a known shape, also behind computed sizes.

    model        with its constants in it, see onnx_graph.complete
    kept         of an inference of the same model for another number of pictures
    """
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except FAILING:  # ONNX Runtime says better what is wrong
        graph = model.graph
    types = {each.name: each.type for each in (*graph.output, *graph.value_info, *graph.input) if each.HasField("type")}
    made = (name for node in model.graph.node for name in node.output if name)
    if all(sizes(each.type) is not None for each in model.graph.input) and any(sizes(types.get(name)) is None for name in made):
        kept = kept or Kept()
        Walk(model, types, kept).on()
        same = {name: known for name, (each, _, known) in kept.constants.items() if types[name] is each}
        return {name: same[name] if name in same else type_of(each) for name, each in types.items()}
    return {name: type_of(each) for name, each in types.items()}


def ranks(model: ModelProto, name: str) -> list[int]:
    """How many axes the input `name` can have, by what its nodes take: a convolution of 3 x 3 takes four. model: see infer."""
    probe, found = ModelProto(), []
    probe.CopyFrom(model)
    shape = next(each for each in probe.graph.input if each.name == name).type.tensor_type.shape
    for rank in range(1, 7):
        shape.dim.add()
        try:
            graph = onnx.shape_inference.infer_shapes(probe, strict_mode=True).graph
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
            continue
        known = {each.name: type_of(each.type).shape for each in (*graph.input, *graph.value_info)}
        turns = (node for node in graph.node if operator(node) == "Transpose" and attribute(node, "perm", ()))
        if all(len(known.get(node.input[0]) or node.attribute[0].ints) == len(node.attribute[0].ints) for node in turns):
            found.append(rank)
    return found


def sizes(given: TypeProto | None) -> tuple[int, ...] | None:
    """The shape of a tensor, if every size in it is known."""
    if given is None or not given.tensor_type.HasField("shape"):
        return None
    dims = given.tensor_type.shape.dim
    found = tuple(dim.dim_value for dim in dims)
    if all(found):  # most often, and there are thousands: what is not known is 0
        return found if min(found, default=1) > 0 else None
    known = all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims)
    return found if known else None


class Walk:
    """`on()` completes `types`, from node to node. What depends on more than sizes stays unknown, and so does what follows it."""

    def __init__(self, model: ModelProto, types: dict[str, TypeProto], kept: Kept):
        self._nodes, self._types, self._kept = model.graph.node, types, kept
        self._opset = helper.make_opsetid("", opset(model))
        if not kept.read:
            constants = model.graph.initializer
            kept.small = {each.name: each for each in constants if math.prod(each.dims) <= MOST}
            found = {each.name: helper.make_tensor_type_proto(each.data_type, each.dims) for each in constants}
            kept.constants = {name: (each, sizes(each), type_of(each)) for name, each in found.items()}
            kept.read = list(map(read_by, self._nodes))
        self._made: dict[str, np.ndarray] = {}  # numbers, of nodes
        self._sizes = {name: sizes(each) for name, each in types.items()}
        for name, (each, shape, _) in kept.constants.items():
            if name not in types:
                types[name], self._sizes[name] = each, shape

    def on(self) -> None:
        for node, given in zip(self._nodes, self._kept.read, strict=True):
            if node.domain not in ("", "ai.onnx") or not given or not all(name in self._types for name in given):
                continue
            if any(self._sizes.get(name) is None for name in node.output if name):
                self._infer(node, given)
            if self._can_be_computed(node, given):
                self._compute(node)

    def _infer(self, node: NodeProto, given: Sequence[str]) -> None:
        known = {name: self._as_tensor(name) for name in given if name in self._made or name in self._kept.small}
        types = {name: self._types[name] for name in given}
        with contextlib.suppress(*FAILING):
            schema = onnx.defs.get_schema(node.op_type, self._opset.version)
            found = onnx.shape_inference.infer_node_outputs(schema, node, types, known, opset_imports=[self._opset])
            self._types |= found
            self._sizes |= {name: sizes(each) for name, each in found.items()}

    def _as_tensor(self, name: str) -> TensorProto:
        made = self._made.get(name)
        return self._kept.small[name] if made is None else numpy_helper.from_array(made, name)

    def _numbers(self, name: str) -> np.ndarray | None:
        """Those that are known of a tensor."""
        if name in self._made:
            return self._made[name]
        if name in self._kept.small and name not in self._kept.numbers:
            self._kept.numbers[name] = numpy_helper.to_array(self._kept.small[name])
        return self._kept.numbers.get(name)

    def _can_be_computed(self, node: NodeProto, given: Sequence[str]) -> bool:
        """From sizes alone, to a few numbers: what a file makes of its sizes may be a mask of a million."""
        known = all(name in self._made or name in self._kept.small for name in given) and node.op_type not in RANDOM
        if not known and (node.op_type not in SIZES or self._sizes[node.input[0]] is None):
            return False
        made = [self._sizes.get(name) for name in node.output if name]
        return all(shape is not None and math.prod(shape) <= MOST for shape in made)

    def _compute(self, node: NodeProto) -> None:
        """The commonest operators at once, the others by ONNX' own evaluator, if they were not given the same before."""
        given = dict.fromkeys(name for name in node.input if name)
        with contextlib.suppress(Exception):  # whatever it stumbles over stays unknown
            if node.op_type == "Shape" and not node.attribute:
                self._made[node.output[0]] = np.array(self._sizes[node.input[0]], np.int64)
                return
            feed = {name: self._of_its_shape(name) if (own := self._numbers(name)) is None else own for name in given}
            if node.op_type in PLAINLY and not (node.op_type == "Unsqueeze" and node.attribute):
                self._made[node.output[0]] = PLAINLY[node.op_type](node, [feed[name] for name in node.input])
                return
            self._made |= zip(node.output, self._evaluated(node, feed), strict=True)

    def _evaluated(self, node: NodeProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        key = node.output[0]
        before, made = self._kept.made.get(key, ([], []))
        if made and all(map(same, before, feed.values())):
            return made
        if key not in self._kept.evaluators:
            function = helper.make_function("convscope", "sizes", [*feed], [*node.output], [node], [self._opset])
            self._kept.evaluators[key] = ReferenceEvaluator(function)
        made = [np.asarray(value) for value in self._kept.evaluators[key].run(None, feed, {})]
        self._kept.made[key] = [*feed.values()], made
        return made

    def _of_its_shape(self, name: str) -> np.ndarray:
        """Size looks at no value, so that it needs no memory."""
        return np.broadcast_to(np.float32(0), self._sizes[name] or ())


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one is other or (one.dtype == other.dtype and np.array_equal(one, other))


def axis_of(node: NodeProto) -> int:
    return int(attribute(node, "axis", 0))


# As ONNX defines them; each takes the node and what it is given.
PLAINLY: Mapping[str, Callable[[NodeProto, list[np.ndarray]], np.ndarray]] = {
    "Gather": lambda node, given: np.asarray(np.take(given[0], given[1], axis_of(node))),
    "Concat": lambda node, given: np.concatenate(given, axis_of(node)),
    "Unsqueeze": lambda _node, given: np.expand_dims(given[0], tuple(given[1].reshape(-1).tolist())),
}


def agreed(known: Mapping[str, Type], runs: Sequence[Mapping[str, Type]]) -> dict[str, Type]:
    """`known` completed by the sizes that do not depend on how many pictures there are: those that all `runs` agree on."""
    found = {}
    for name, one in runs[0].items():
        if one.shape is None or None in one.shape:
            continue
        if name not in known and all(each.get(name) is one for each in runs):
            found[name] = one  # a constant
            continue
        shapes = [shape for each in runs if name in each and (shape := each[name].shape) is not None and None not in shape]
        if len(shapes) == len(runs) and len(set(map(len, shapes))) == 1:
            found[name] = learnt(known.get(name, Type(runs[0][name].element, None)), shapes)
    return found


def learnt(inferred: Type, shapes: Sequence[Sequence[int | None]], first: Shape | None = None) -> Type:
    """The shape that `shapes` agree on, None where they do not, with `first` in front; there, what inference found."""
    shape: Shape = tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=False))
    shape = shape if first is None else (*first, *shape[1:])
    known = inferred.shape if inferred.shape is not None and len(inferred.shape) == len(shape) else shape
    return Type(inferred.element, tuple(size if found is None else found for size, found in zip(known, shape, strict=True)))
