"""The inputs of an ONNX network: which arrays they take, and how many pictures pass at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from ..core import Array, Edit
from ..errors import InputError, Shape, Unsupported, WrongPictureShape
from .names import end_names
from .onnx_constants import FLOATS, Constants
from .onnx_layout import Layouts
from .onnx_wiring import Type, read_by


def inputs_of(model: onnx.ModelProto, constants: Constants) -> tuple[str, ...]:
    """The names of the inputs that are no initialisers, and that something reads: tf2onnx leaves constants among them.

    raises   Unsupported where they are not arrays of one entry per picture
    """
    inputs = [each for each in model.graph.input if each.name not in constants]
    read = {name for node in model.graph.node for name in read_by(node)} | {each.name for each in model.graph.output}
    inputs = [each for each in inputs if each.name in read] or inputs
    if not inputs or not model.graph.output or not all(each.type.HasField("tensor_type") for each in inputs):
        raise Unsupported("Only networks that take and give tensors can be opened, and this one does not.")
    for each in inputs:
        if each.type.tensor_type.HasField("shape") and not each.type.tensor_type.shape.dim:
            raise Unsupported(
                f"The input '{each.name}' of this network is one number for all pictures. Make it an initialiser of the file."
            )
    return tuple(each.name for each in inputs)


def unread(model: onnx.ModelProto, inputs: Sequence[str], constants: Constants) -> tuple[str, ...]:
    """A sentence on the others, if there are any."""
    others = [f"'{each.name}'" for each in model.graph.input if each.name not in constants and each.name not in inputs]
    return (f"Nothing in the file reads its input {' and '.join(others)}, which is not asked for.",) if others else ()


class Inputs:
    """`names`: the tensors, in the order of the file. Arrays are given by these names, with channels first."""

    def __init__(self, names: Sequence[str], types: Mapping[str, Type], layouts: Layouts):
        self.names, self._types, self._layouts = tuple(names), types, layouts
        self._called = dict(zip(names, end_names("input", len(names)), strict=True))

    @property
    def shapes(self) -> dict[str, Shape | None]:
        return {name: self._layouts.shape(name) for name in self.names}

    @property
    def batch(self) -> int | None:
        """How many pictures the file wants at once; None: any number."""
        return next((shape[0] for shape in self.shapes.values() if shape and shape[0]), None)

    def whole(self, name: str) -> bool:
        """Whether it takes whole numbers."""
        return self._types[name].element not in FLOATS

    def batch_size(self, given: Mapping[str, Array]) -> int:
        """How many pictures pass at once. Raises WrongPictureShape."""
        for name, array in given.items():
            shape = self._layouts.shape(name)
            if shape is None:
                continue
            expected = (None if self.batch == 1 else self.batch, *shape[1:])
            fits = array.ndim == len(shape) and all(
                want in (None, got) for want, got in zip(shape[1:], array.shape[1:], strict=True)
            )
            if not fits or len(array) % (self.batch or 1):
                raise WrongPictureShape(array.shape, expected, self._called[name] if len(self.names) > 1 else None)
        return self.batch or max(*map(len, given.values()), 1)

    def received(self, given: Mapping[str, Array], edits: Iterable[Edit]) -> dict[str, np.ndarray]:
        """After the edits of inputs, in the layout and type that the file asks for. Raises InputError."""
        edited = dict(given)
        for edit in edits:
            if edit.layer in edited:
                edited[edit.layer] = edited[edit.layer] * edit.scale + edit.shift
        return {name: self._received(name, array) for name, array in edited.items()}

    def seen(self, name: str, received: np.ndarray) -> Array:
        """What is read of an input: float32, channels first."""
        return self._layouts.first(received.astype(np.float32), name)

    def _received(self, name: str, array: Array) -> np.ndarray:
        turned = self._layouts.native(array, name)
        with np.errstate(all="ignore"):  # too large for float16 is infinite, and shown as such
            received = turned.astype(helper.tensor_dtype_to_np_dtype(self._types[name].element), copy=False)
        if self.whole(name) and not np.array_equal(received, turned):
            what = "This network" if len(self.names) == 1 else f"The input '{self._called[name]}' of this network"
            raise InputError(
                f"{what} takes whole numbers ({received.dtype}), but received others. Give it pixels that are not scaled.",
                expected=str(received.dtype),
            )
        return received
