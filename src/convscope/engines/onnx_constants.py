"""The constant tensors of an ONNX file: initialisers and Constant nodes, in the file or in one beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

from ..errors import NotAModel

FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})
BYTES = frozenset({TensorProto.INT8, TensorProto.UINT8})  # what a quantised network computes with
# Handed to ONNX Runtime by reference, so that no session copies them and no message grows beyond protobuf's 2 GB.
# Small ones stay in the message: they may be shapes and axes, which are needed while a graph is read.
BY_REFERENCE = (FLOATS | BYTES) - {TensorProto.BFLOAT16}
LARGE = 1024  # bytes


class Constants:
    """`name in constants`, `array(name)`, and `put_into(graph, names)`. Raises NotAModel for weights that cannot be read."""

    def __init__(self, graph: GraphProto, folder: Path | None):
        self._small: dict[str, TensorProto] = {}
        self._large: dict[str, np.ndarray] = {}
        for tensor in graph.initializer:
            self._keep(tensor, tensor.name, folder)
        for node in graph.node:
            if (constant := constant_of(node)) is not None:
                self._keep(constant, node.output[0], folder)

    def _keep(self, tensor: TensorProto, name: str, folder: Path | None) -> None:
        external = tensor.data_location == TensorProto.EXTERNAL
        if external and folder is None:
            raise NotAModel(name, "its values are in a file beside the network. Give the path of the network's file instead.")
        if tensor.data_type in BY_REFERENCE and size_in_bytes(tensor) > LARGE:
            values = read_external(tensor, folder) if external and folder else numpy_helper.to_array(tensor)
            self._large[name] = np.ascontiguousarray(values)
            return
        copy = TensorProto()
        copy.CopyFrom(tensor)
        copy.name = name
        if external and folder:
            copy.raw_data = read_external_bytes(tensor, folder).tobytes()
            copy.data_location = TensorProto.DEFAULT
            copy.ClearField("external_data")
        self._small[name] = copy

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


def constant_of(node: NodeProto) -> TensorProto | None:
    """The value of a Constant node; None for other nodes, and for text and sparse values."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        return attribute.t
    kinds: dict[str, Any] = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if attribute.name not in kinds:
        return None
    return numpy_helper.from_array(np.asarray(helper.get_attribute_value(attribute), kinds[attribute.name]))


def size_in_bytes(tensor: TensorProto) -> int:
    """Of the unpacked values. Raises KeyError or TypeError for a type that this version of onnx does not know."""
    return math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def read_external(tensor: TensorProto, folder: Path) -> np.ndarray:
    values = read_external_bytes(tensor, folder).view(helper.tensor_dtype_to_np_dtype(tensor.data_type).newbyteorder("<"))
    return values.reshape(tuple(tensor.dims))


def read_external_bytes(tensor: TensorProto, folder: Path) -> np.ndarray:
    path, offset, length = external_place(tensor, folder)
    return np.fromfile(path, np.uint8, length, offset=offset)


def external_place(tensor: TensorProto, folder: Path) -> tuple[Path, int, int]:
    """File, offset and length in bytes of a tensor's values. Raises NotAModel if they are not there or outside `folder`."""
    given = {entry.key: entry.value for entry in tensor.external_data}
    location = given.get("location", "")
    path = folder / location
    inside = location and not Path(location).is_absolute() and ".." not in Path(location).parts
    if not inside or not path.resolve().is_relative_to(folder.resolve()):
        raise NotAModel(folder, f"its weights are said to be in '{location}', outside its folder, and are not read from there.")
    if not path.is_file():
        raise NotAModel(folder, f"its weights are in '{location}', which is missing. Put that file into the same folder.")
    there = path.stat().st_size
    try:
        offset = int(given.get("offset", 0))
        length = int(given.get("length", size_in_bytes(tensor) if tensor.data_type in BY_REFERENCE else there - offset))
    except ValueError:
        raise NotAModel(folder, f"where '{tensor.name}' lies in '{location}' is no number. The file is damaged.") from None
    if tensor.data_type in BY_REFERENCE and length != size_in_bytes(tensor):
        raise NotAModel(
            folder, f"'{tensor.name}' has {length} bytes in '{location}', but its shape needs {size_in_bytes(tensor)}."
        )
    if offset < 0 or length < 0 or offset + length > there:
        raise NotAModel(
            folder,
            f"'{location}' is too short: '{tensor.name}' needs {length} bytes from byte {offset} on, and the file has {there}. "
            "Copy that file again.",
        )
    return path, offset, length


def tensors_in(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor of a graph, also those in its nodes and their subgraphs."""
    yield from graph.initializer
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        yield from tensors_of(attribute)


def tensors_of(attribute: AttributeProto) -> Iterator[TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for graph in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
        yield from tensors_in(graph)
