"""Other weights for an ONNX network, from the protocol's layout back to the file's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from onnx import NodeProto

from ..core import Array
from ..errors import InputError, Unsupported
from .onnx_constants import Constants
from .onnx_wiring import DENSE, QUANTISED, SUMMING, Wiring, attribute, operator, read_by

Weights = Mapping[str, Mapping[str, Array]]


def replaced(weights: Weights, nodes: Mapping[str, NodeProto], wiring: Wiring, every: list[NodeProto]) -> dict[str, np.ndarray]:
    """{tensor: array} in the file's layout and type.

    nodes    by layer
    raises   InputError for weights of another name or shape; Unsupported for what the file computes from others, or uses twice
    """
    used, result = Counter(name for node in every for name in read_by(node)), {}
    for layer, given in weights.items():
        node = nodes[layer]
        tensors = wiring.weights(node)
        for role, values in given.items():
            if role not in tensors:
                raise InputError(f"'{layer}' has no weights '{role}': it has {', '.join(map(repr, tensors))}.", received=role)
            tensor = tensors[role]
            if operator(node) in QUANTISED or operator(node) in SUMMING:
                raise Unsupported(f"The weights of '{layer}' are quantised, and cannot be replaced.")
            if tensor not in wiring.constants or used[tensor] > 1:
                why = "is computed from others" if tensor not in wiring.constants else "is used by several layers"
                raise Unsupported(f"The {role} of '{layer}' {why} in this file, so that it cannot be replaced.")
            result[tensor] = native(node, role, np.asarray(values, np.float32), wiring.constants, tensor, layer)
    return result


def native(node: NodeProto, role: str, values: Array, constants: Constants, tensor: str, layer: str) -> np.ndarray:
    """One weight as the file has it. Raises InputError for another shape."""
    shape, kind = constants.shape(tensor), operator(node)
    if kind == "ConvTranspose" and role == "kernel":  # (in, out / groups, *k)
        groups = attribute(node, "group", 1)
        split = values.reshape(groups, -1, *values.shape[1:])
        values = np.moveaxis(split, 2, 1).reshape(-1, split.shape[1], *values.shape[2:])
    elif kind in DENSE and role == "kernel":
        values = (values if attribute(node, "transB", 0) else values.T) / np.float32(attribute(node, "alpha", 1.0))
    elif kind in DENSE and role == "bias":
        values = values / np.float32(attribute(node, "beta", 1.0))
        values = values.reshape(shape) if values.size == np.prod(shape) else values
    if values.shape != tuple(shape):
        raise InputError(f"The {role} of '{layer}' is {tuple(shape)} in the file, not {values.shape}.", received=values.shape)
    return np.ascontiguousarray(values, constants.array(tensor).dtype)
