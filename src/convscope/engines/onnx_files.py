"""Opening .onnx files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, TensorProto, helper

from ..errors import EngineError, MissingExtra, NotAModel, Unsupported
from . import onnx_graph
from .onnx import OnnxEngine
from .onnx_constants import LARGE, constant_of, constants_of
from .onnx_external import place, tensors_of
from .onnx_sessions import brief, cannot_run

if TYPE_CHECKING:
    from .onnx_via_torch import ConvertedEngine

LARGEST = 2**31  # bytes: protobuf reads no message of so many
# How other kinds of files begin.
BEGINNINGS = {
    b"PK\x03\x04": "it is a zip file, such as a .keras or a .pt file.",
    b"\x89HDF\r\n\x1a\n": "it is an HDF5 file, such as Keras' .h5. Rename it to end in .h5.",
    b"\x80\x02": "it is a pickle, such as PyTorch's older .pt files.",
    b"\x80\x03": "it is a pickle.",
    b"\x80\x04": "it is a pickle.",
    b"\x80\x05": "it is a pickle.",
    b"\x93NUMPY": "it is a NumPy array.",
    b"\x89PNG": "it is a picture.",
    b"\xff\xd8\xff": "it is a picture.",
    b"\x1f\x8b": "it is compressed with gzip. Unpack it first.",
    b"version https://git-lfs": "it is a pointer to a file that git-lfs has not fetched. Run: git lfs pull",
}


def opened(path: Path, *, via: str | None = None) -> OnnxEngine | ConvertedEngine:
    """As `load`; with via="torch", converted for gradients. Raises also what ConvertedEngine does."""
    return through(load(path), via)


def through(engine: OnnxEngine, via: str | None) -> OnnxEngine | ConvertedEngine:
    if via is None:
        return engine
    try:
        from .onnx_via_torch import ConvertedEngine
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "onnx-torch", f"via='{via}'") from error
    return ConvertedEngine(engine)


def load(path: Path) -> OnnxEngine:
    """Open a file. Weights in other files have to lie in its folder.

    raises   NotAModel for a file that is damaged or is none; Unsupported for operators that ONNX Runtime does not have
    """
    path = Path(path)
    model = read(path)
    check_external(model, path)
    check(model, path)
    try:
        return OnnxEngine(model, folder=path.parent)
    except EngineError as error:
        raise NotAModel(path, str(error)) from error


def read(path: Path) -> ModelProto:
    """The message in a file, as it is. Raises NotAModel."""
    if path.is_dir():
        raise NotAModel(path, "it is a folder. Give the file of the network.")
    if path.is_file() and path.stat().st_size >= LARGEST:
        raise NotAModel(
            path, "it has 2 GB or more, as no ONNX message can. Save its weights beside it, with save_as_external_data=True."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotAModel(path, f"it cannot be read ({error.strerror or error}).") from error
    if not content:
        raise NotAModel(path, "it is empty.")
    for beginning, what in BEGINNINGS.items():
        if content.startswith(beginning):
            raise NotAModel(path, what)
    try:
        model: ModelProto = ModelProto.FromString(content)
    except DecodeError as error:
        raise NotAModel(path, "it is " + ("text." if is_text(content) else "damaged, cut short, or no ONNX file.")) from error
    if not model.HasField("graph") or not model.graph.output:
        raise NotAModel(path, "it holds no network. It is text." if is_text(content) else "it holds no network, or is cut short.")
    return model


def is_text(content: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\r\n" for byte in content[:1000])


def check_external(model: ModelProto, path: Path) -> None:
    """Raises NotAModel for weights outside the file's folder, and for files of weights that are missing or too short."""
    for _, tensor in constants_of(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            place(tensor, path.parent, named=path)
    nodes = [node for each in (model.graph, *model.functions) for node in each.node if constant_of(node) is None]
    inner = (tensor for node in nodes for attribute in node.attribute for tensor in tensors_of(attribute))
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in inner):
        raise NotAModel(path, "a node within a branch or function keeps its values in another file, and these are not read.")


def check(model: ModelProto, path: Path) -> None:
    """What ONNX itself finds wrong. Raises NotAModel, or Unsupported for an operator or version that it does not know."""
    try:
        onnx.checker.check_model(without_values(model))
    except onnx.checker.ValidationError as error:
        failure = cannot_run(error)
        if isinstance(failure, Unsupported):
            raise failure from error
        raise NotAModel(path, f"it is no valid ONNX network. {brief(error)}") from error


def without_values(model: ModelProto) -> ModelProto:
    """The model with its large weights, and those in other files, as inputs: their values are checked where they are read."""
    result, graph = onnx_graph.like(model, GraphProto(name=model.graph.name)), model.graph
    result.ir_version = model.ir_version
    for field in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(result.graph, field).extend(getattr(graph, field))
    inputs = {each.name for each in graph.input}
    for each in graph.initializer:
        if each.data_location != TensorProto.EXTERNAL and math.prod(each.dims) <= LARGE:
            result.graph.initializer.append(each)
        elif each.name not in inputs:
            result.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))
    return result
