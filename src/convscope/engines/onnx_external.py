"""Weights that an ONNX file keeps in another file beside it. Nothing outside its folder is ever read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnx import AttributeProto, GraphProto, TensorProto, helper

from ..errors import NotAModel

# NumPy has a type of the same size for these. Of others, only the file says how many bytes there are.
SIZED = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8})


def read_bytes(tensor: TensorProto, folder: Path, *, named: Path) -> np.ndarray:
    """The values' bytes, uint8. Raises as `place` does."""
    path, offset, length = place(tensor, folder, named=named)
    return np.fromfile(path, np.uint8, length, offset=offset)


def as_array(content: np.ndarray, tensor: TensorProto) -> np.ndarray:
    """Bytes, which are little-endian in every ONNX file, as the values of `tensor`."""
    stored = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return content.view(stored.newbyteorder("<")).reshape(tuple(tensor.dims)).astype(stored, copy=False)


def item_size(tensor: TensorProto) -> int:
    return helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def place(tensor: TensorProto, folder: Path, *, named: Path) -> tuple[Path, int, int]:
    """File, offset and length in bytes of a tensor's values.

    named    what to call the network in an error
    raises   NotAModel if they are not there, or outside `folder`
    """
    given = {entry.key: entry.value for entry in tensor.external_data}
    location = given.get("location", "")
    path = inside(folder, location)
    if path is None:
        raise NotAModel(named, f"its weights are said to be in '{location}', outside its folder, and are not read from there.")
    if not path.is_file():
        raise NotAModel(named, f"its weights are in '{location}', which is missing. Put that file into the same folder.")
    there = path.stat().st_size
    needed = math.prod(tensor.dims) * item_size(tensor) if tensor.data_type in SIZED else None
    try:
        offset = int(given.get("offset", 0))
        length = int(given.get("length", there - offset if needed is None else needed))
    except ValueError:
        raise NotAModel(named, f"where '{tensor.name}' lies in '{location}' is no number. The file is damaged.") from None
    if offset < 0 or length < 0 or needed not in (None, length):
        raise NotAModel(named, f"'{tensor.name}' cannot be {length} bytes from byte {offset} on. The file is damaged.")
    if offset + length > there:
        raise NotAModel(
            named,
            f"'{location}' is too short: it has {there} bytes, and '{tensor.name}' ends at {offset + length}. Copy it again.",
        )
    return path, offset, length


def inside(folder: Path, location: str) -> Path | None:
    """The path of `location` if it lies within `folder`, also once links are followed; else None."""
    relative = Path(location)
    if not location or "\0" in location or relative.is_absolute() or ".." in relative.parts:
        return None
    path = folder / relative
    return path if path.resolve().is_relative_to(folder.resolve()) else None


def tensors_of(attribute: AttributeProto) -> Iterator[TensorProto]:
    """Every tensor of a node's attribute, also those within its subgraphs."""
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for graph in (attribute.g, *attribute.graphs):
        yield from tensors_in(graph)


def tensors_in(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from tensors_of(attribute)
