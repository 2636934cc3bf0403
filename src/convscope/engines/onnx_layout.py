"""Which tensors of an ONNX file have their channels last, and how these are turned.

ONNX' own convolutions have channels first. Files that come from TensorFlow or Keras take pictures with channels last and turn
them with Transpose nodes; whatever lies between such a node and the next layer that has channels first is then turned too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from onnx import NodeProto

from ..core import Array
from ..errors import Shape
from .onnx_wiring import Wiring, attribute, operator

Layout = Literal["first", "last"]
# What has channels first by definition, at its first input and its first output.
FIRST = (
    "Conv FusedConv QLinearConv ConvInteger ConvTranspose DeformConv BatchNormalization InstanceNormalization "
    "GroupNormalization LRN MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool GlobalLpPool QLinearAveragePool "
    "QLinearGlobalAveragePool MaxUnpool MaxRoiPool RoiAlign DepthToSpace SpaceToDepth"
)
# What ONNX Runtime puts in their places when it saves an optimised file; its quantised ones say it by `channels_last`.
LAST = "NhwcConv NhwcFusedConv NhwcMaxPool"
# What leaves each axis where it is, as long as the rank stays the same.
KEEPING = (
    "Relu LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Clip Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Softmax "
    "LogSoftmax Gelu FastGelu QuickGelu BiasGelu Mish Swish Shrink Erf Abs Neg Exp Log Sqrt Reciprocal Floor Ceil Round Sign "
    "Cast Identity Dropout Add Sub Mul Div Pow Sum Mean Max Min Where Mod Concat Split Slice Pad Resize Upsample "
    "QuantizeLinear DequantizeLinear QLinearAdd QLinearMul QLinearConcat QLinearLeakyRelu QLinearSigmoid "
    "LayerNormalization LpNormalization MeanVarianceNormalization ReduceMean ReduceMax ReduceSum ReduceMin ReduceL2 "
    "ReduceSumSquare CumSum"
)
CHANNELS_FIRST, CHANNELS_LAST, AXES_KEPT = (frozenset(each.split()) for each in (FIRST, LAST, KEEPING))
Fact = tuple[str, Layout]


class Layouts:
    """What is known of where the channels are. A tensor of which nothing is known is taken to have them first."""

    def __init__(self, nodes: Iterable[NodeProto], wiring: Wiring):
        self.wiring = wiring
        known: list[Fact] = []
        same: defaultdict[Fact, list[Fact]] = defaultdict(list)
        for node in nodes:
            flowing = [name for name in node.input if name in wiring.flowing]
            if operator(node) in CHANNELS_FIRST | CHANNELS_LAST:
                last = operator(node) in CHANNELS_LAST or attribute(node, "channels_last", 0)
                known += [(name, "last" if last else "first") for name in (*flowing[:1], node.output[0])]
            for one, other in self._links(node, flowing):
                same[one].append(other)
                same[other].append(one)
        self._facts = set[Fact]()
        while known:
            fact = known.pop()
            if fact not in self._facts:
                self._facts.add(fact)
                known += same[fact]

    def last(self, tensor: str) -> bool:
        """Whether the channels are known to be last. A tensor that would have to be both is left as it is."""
        return (tensor, "last") in self._facts and (tensor, "first") not in self._facts

    def shape(self, tensor: str) -> Shape | None:
        """As the protocol has it, channels first, with the batch; None if it is not known."""
        shape = self.wiring.shape(tensor)
        return tuple(shape[axis] for axis in self.turn(tensor)) or shape if shape is not None else None

    def first(self, values: Array, tensor: str) -> Array:
        """Values of the file, channels first."""
        return np.ascontiguousarray(np.moveaxis(values, -1, 1)) if self.last(tensor) else values

    def native(self, values: Array, tensor: str) -> Array:
        """The other way round. What has fewer axes, since it broadcasts, is turned as if it had them all."""
        rank = self.wiring.rank(tensor)
        if not self.last(tensor) or rank is None or not values.ndim:
            return values
        whole = values.reshape((1,) * (rank - values.ndim) + values.shape)
        return np.ascontiguousarray(np.moveaxis(whole, 1, -1))

    def turn(self, tensor: str) -> tuple[int, ...]:
        """The order of the file's axes that has the channels first; () where they are."""
        rank = self.wiring.rank(tensor) or 0
        return (0, rank - 1, *range(1, rank - 1)) if self.last(tensor) else ()

    def _links(self, node: NodeProto, flowing: Sequence[str]) -> Iterator[tuple[Fact, Fact]]:
        """Pairs of which both are so or neither is."""
        if operator(node) == "Transpose" and flowing:
            axes = list(attribute(node, "perm", ()))
            if len(axes) > 2 and axes == [0, *range(2, len(axes)), 1]:
                yield (node.input[0], "first"), (node.output[0], "last")
            if len(axes) > 2 and axes == [0, len(axes) - 1, *range(1, len(axes) - 1)]:
                yield (node.input[0], "last"), (node.output[0], "first")
        elif operator(node) == "MatMul" and flowing == [node.input[0]]:  # a dense layer at each place
            yield (node.input[0], "last"), (node.output[0], "last")
        elif operator(node) in AXES_KEPT and flowing:
            ranks = {name: self.wiring.rank(name) for name in (*flowing, *node.output) if name}
            rank = max((each for each in ranks.values() if each is not None), default=None)
            start, *others = [name for name in ranks if rank is not None and ranks[name] == rank] or [""]
            for name in others:
                yield (start, "first"), (name, "first")
                yield (start, "last"), (name, "last")
