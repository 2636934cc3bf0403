"""The constant tensors of an ONNX file: initialisers and Constant nodes, in the file or in one beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, SparseTensorProto, TensorProto, helper, numpy_helper

from ..errors import EngineError, Unsupported
from .onnx_external import as_array, item_size, read_bytes

FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})
BYTES = frozenset({TensorProto.INT8, TensorProto.UINT8})  # what a quantised network computes with
# Handed to ONNX Runtime by reference, so that no session copies them and no message grows beyond protobuf's 2 GB.
# Small ones stay in the message: they may be shapes and axes, which are needed while a graph is read.
BY_REFERENCE = (FLOATS | BYTES) - {TensorProto.BFLOAT16}  # which NumPy has no type for
LARGE = 1024  # bytes


class Constants:
    """`name in constants`, `array(name)`, and `put_into(graph, names)`. Raises NotAModel or EngineError for what cannot be read.

    nodes   those of the graph, where its functions were written out; by default as they are
    """

    def __init__(self, graph: GraphProto, folder: Path | None, nodes: Iterable[NodeProto] | None = None):
        self._small: dict[str, TensorProto] = {}
        self._large: dict[str, np.ndarray] = {}
        for name, tensor in constants_of(graph, nodes):
            self._keep(name, tensor, folder)

    def _keep(self, name: str, tensor: TensorProto, folder: Path | None) -> None:
        external = tensor.data_location == TensorProto.EXTERNAL
        if external and folder is None:
            raise Unsupported(f"The values of '{name}' are in another file. Give the path of the network's file instead.")
        content = read_bytes(tensor, folder, named=folder) if external and folder else None
        if tensor.data_type in BY_REFERENCE and math.prod(tensor.dims) * item_size(tensor) > LARGE:
            self._large[name] = values_of(tensor, content)
            return
        copy = TensorProto(name=name, dims=tensor.dims, data_type=tensor.data_type)
        if content is None:
            copy.CopyFrom(tensor)
            copy.name = name
        else:
            copy.raw_data = content.tobytes()
        values_of(copy)
        self._small[name] = copy

    def replaced(self, arrays: Mapping[str, np.ndarray]) -> Constants:
        """The same with other values for some, of the same shape and type."""
        result = Constants(GraphProto(), None)
        result._small, result._large = dict(self._small), dict(self._large)
        for name, array in arrays.items():
            if name in self._large:
                result._large[name] = array
            else:
                result._small[name] = numpy_helper.from_array(array, name)
        return result

    def __contains__(self, name: str) -> bool:
        return name in self._small or name in self._large

    def __iter__(self) -> Iterator[str]:
        yield from self._small
        yield from self._large

    def array(self, name: str) -> np.ndarray:
        """As the file has it, in its own type."""
        return self._large[name] if name in self._large else numpy_helper.to_array(self._small[name])

    def shape(self, name: str) -> tuple[int, ...]:
        return self._large[name].shape if name in self._large else tuple(self._small[name].dims)

    def type(self, name: str) -> int:
        """TensorProto's number of the element type."""
        if name in self._large:
            return int(helper.np_dtype_to_tensor_dtype(self._large[name].dtype))
        return self._small[name].data_type

    def put_into(self, graph: GraphProto, names: Iterable[str], *, as_inputs: bool = False) -> dict[str, np.ndarray]:
        """Add `names` to `graph`; those returned have to be handed over by reference.

        as_inputs   declare the large ones as inputs: to check a graph without moving its weights
        """
        handed: dict[str, np.ndarray] = {}
        for name in names:
            if name in self._small:
                graph.initializer.append(self._small[name])
            elif as_inputs:
                graph.input.append(helper.make_tensor_value_info(name, self.type(name), self.shape(name)))
            else:
                handed[name] = self._large[name]
                stub = TensorProto(name=name, dims=self.shape(name), data_type=self.type(name))
                stub.data_location = TensorProto.EXTERNAL
                stub.external_data.add(key="location", value="handed over in memory")
                graph.initializer.append(stub)
        return handed


def values_of(tensor: TensorProto, content: np.ndarray | None = None) -> np.ndarray:
    """Those that it holds, or `content`, which are its bytes. Raises EngineError where they are not as many as its shape says."""
    try:
        values = numpy_helper.to_array(tensor) if content is None else as_array(content, tensor)
    except (ValueError, TypeError, KeyError):  # which NumPy says of bytes
        values = None
    if values is None or values.shape != tuple(tensor.dims):
        known = tensor.data_type in TensorProto.DataType.values()
        kind = TensorProto.DataType.Name(tensor.data_type).lower() if known else f"the unknown type {tensor.data_type}"
        raise EngineError(f"What '{tensor.name}' holds is no array {tuple(tensor.dims)} of {kind}. The file is damaged.")
    return np.ascontiguousarray(values)


def constant_of(node: NodeProto) -> TensorProto | None:
    """The value of a Constant node; None for other nodes, and for text."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        value: TensorProto = attribute.t
        return value
    if attribute.name == "sparse_value":
        return dense(attribute.sparse_tensor)
    kinds: dict[str, Any] = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if attribute.name not in kinds:
        return None
    return numpy_helper.from_array(np.asarray(helper.get_attribute_value(attribute), kinds[attribute.name]))


def dense(sparse: SparseTensorProto) -> TensorProto:
    """With the zeros that it leaves out. Raises EngineError for places outside of its shape."""
    values, places = values_of(sparse.values), values_of(sparse.indices)
    result = np.zeros(tuple(sparse.dims), values.dtype)
    try:  # each place is one number, or one for each axis
        if (places < 0).any():
            raise IndexError
        result[tuple(places.T) if places.ndim == 2 else np.unravel_index(places, result.shape)] = values
    except (IndexError, ValueError):
        raise EngineError(
            f"The places of the values of '{sparse.values.name}' are not in {result.shape}. The file is damaged."
        ) from None
    return numpy_helper.from_array(result, sparse.values.name)


def constants_of(graph: GraphProto, nodes: Iterable[NodeProto] | None = None) -> Iterator[tuple[str, TensorProto]]:
    """Name and tensor of each initialiser and Constant node, sparse ones written out. nodes: see Constants."""
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    yield from ((each.values.name, dense(each)) for each in graph.sparse_initializer)
    for node in graph.node if nodes is None else nodes:
        if (constant := constant_of(node)) is not None:
            yield node.output[0], constant
