"""The real numbers behind the bytes of a quantised network: (byte - zero point) * step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import AttributeProto, NodeProto, helper

from .onnx_wiring import DENSE, QUANTISED, SUMMING, Wiring, attribute, operator

# Where an operator that writes bytes has the step and the zero point of its output: which of its inputs they are.
STEP_OF_OUTPUT = {
    "QuantizeLinear": 1,
    "QLinearConv": 6,
    "QLinearMatMul": 6,
    "QLinearAdd": 6,
    "QLinearMul": 6,
    "QGemm": 7,
    "QLinearConcat": 0,
    "QLinearSigmoid": 3,
    "QLinearSoftmax": 3,
    "QLinearLeakyRelu": 3,
    "QLinearAveragePool": 3,
    "QLinearGlobalAveragePool": 3,
    "QLinearReduceMean": 3,
}
# What hands on the bytes that it gets.
PASSING = frozenset(
    {"MaxPool", "NhwcMaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Identity", "Gather"}
)


@dataclass(frozen=True)
class Quantised:
    """How the bytes of a tensor become numbers. `step`, `zero`: names of tensors; `options`: the axis of several steps."""

    step: str
    zero: str
    options: tuple[AttributeProto, ...] = ()

    def node(self, tensor: str, result: str) -> NodeProto:
        node = helper.make_node("DequantizeLinear", [tensor, self.step, *([self.zero] if self.zero else [])], [result])
        node.attribute.extend(self.options)
        return node


def quantised(tensor: str, wiring: Wiring) -> Quantised | None:
    """None for a tensor that holds no bytes, or bytes of which nothing says what they stand for, such as pixels."""
    if tensor in wiring.sums:
        return Quantised(wiring.sums[tensor].step, "")
    while tensor in wiring.maker:
        node = wiring.maker[tensor]
        kind = operator(node)
        if kind == "DynamicQuantizeLinear":
            return Quantised(node.output[1], node.output[2])
        if kind in STEP_OF_OUTPUT:
            step, zero = (*node.input, "", "")[STEP_OF_OUTPUT[kind] :][:2]
            options = node.attribute if kind == "QuantizeLinear" else ()
            return Quantised(step, zero, tuple(each for each in options if each.name in ("axis", "block_size"))) if step else None
        if kind not in PASSING:
            return None
        tensor = node.input[0]
    return None


def real_weights(
    node: NodeProto, weights: Mapping[str, np.ndarray], wiring: Wiring, value: Callable[[str], np.ndarray]
) -> dict[str, np.ndarray]:
    """A kernel and bias of whole numbers as the numbers that they stand for; those of any other node as they are.

    value   gives the constant of a name
    """
    if "kernel" not in weights:
        return dict(weights)
    if operator(node) in SUMMING:
        of_input, names = np.ones(()), (wiring.sums[node.output[0]].of_kernel, (*node.input, "", "")[3])
    elif operator(node) in QUANTISED:
        at = QUANTISED[operator(node)][0]
        of_input, names = np.asarray(value(node.input[1])), (node.input[at + 1], node.input[at + 2])
    else:
        return dict(weights)
    step, zero = (np.asarray(value(name)) if name else np.zeros(()) for name in names)
    axis = 1 if operator(node) in DENSE and not attribute(node, "transB", 0) else 0
    kernel = weights["kernel"]
    along = [-1 if each == axis else 1 for each in range(kernel.ndim)]
    real = {"kernel": (kernel.astype(np.float32) - zero.reshape(along).astype(np.float32)) * step.reshape(along)}
    if "bias" in weights:
        real["bias"] = weights["bias"] * (of_input * step)
    return real
