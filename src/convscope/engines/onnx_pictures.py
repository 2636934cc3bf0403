"""Which tensors of an ONNX network have an entry for each picture, along their first axis.

A row is an array of pictures. What Transpose, Reshape, Concat, Split or Unsqueeze make of one may have channels, windows or
halves in front, and would be shown as if these were pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from onnx import ModelProto, TensorProto

from ..core import Array, Graph
from ..errors import EngineError, Unsupported
from .onnx_constants import BYTES, FLOATS
from .onnx_graph import Read
from .onnx_sizes import Kept, agreed, infer
from .onnx_wiring import Type, Wiring

MANY, MORE = 10_007, 10_009  # pictures to infer shapes with: primes, as long as which no other axis is
# What is read as float32. Text, complex numbers and what are no tensors are not.
NUMBERS = FLOATS | BYTES | {
    TensorProto.BOOL, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT16, TensorProto.UINT32,
    TensorProto.UINT64,
}  # fmt: skip
ROTATED = 1e-4  # of the largest value: how near two runs are in which the pictures have changed places


class FirstAxes:
    """`proven` have an entry for each picture, `foreign` have not. Of all others it is not known; `tried` had one when their
    inputs had so many axes, see onnx_learning.prove.

    model    with its constants in it, see onnx_graph.complete
    batch    how many pictures the file wants at once; None: any number
    """

    def __init__(self, model: ModelProto, inputs: Sequence[str], batch: int | None):
        self.batch = batch
        self._inputs, self._kept = inputs, Kept()
        self._probe = without_shapes(model)
        self.tried: set[tuple[str, tuple[int, ...]]] = set()
        self._many = self._with(MANY)
        many = lengths_of(self._many)
        self.proven = {*inputs, *(name for name, length in many.items() if length == MANY)}
        lengths = many if batch is None else lengths_of(self._with(batch))
        self.foreign = {name for name, length in lengths.items() if length != (batch or MANY)} - set(inputs)
        if batch == 1:  # what one picture gave is of that picture
            self.proven |= {name for name, length in lengths.items() if length == 1}
        self.proven -= self.foreign

    def alone(self, outputs: Sequence[str]) -> bool:
        """Whether the sizes in the file are those of one picture: given more, it no longer answers for each."""
        return self.batch is None and self.foreign.issuperset(outputs) and lengths_of(self._with(1)).get(outputs[0]) == 1

    def completed(self, types: Mapping[str, Type]) -> dict[str, Type]:
        """`types`, where any number of pictures may come, with the sizes that are the same for every number of them."""
        lacking = (name for name, each in self._many.items() if incomplete(types.get(name)) and not incomplete(each))
        if self.batch is not None or not any(lacking):
            return dict(types)
        return {**types, **agreed(types, [self._many, self._with(MORE)])}

    def learn(self, name: str, values: Sequence[np.ndarray], numbers: Sequence[int]) -> None:
        """From what runs of so many pictures made of `name`; one more value is that of the first run's in another order."""
        fits = all(value.ndim and len(value) == number for value, number in zip(values, numbers, strict=False))
        if fits and len(values) > len(numbers):
            fits = turned(values[0], values[-1])
        (self.proven if fits else self.foreign).add(name)

    def _with(self, pictures: int) -> dict[str, Type]:
        """The types for so many pictures, as far as they can be inferred."""
        for each in self._probe.graph.input:
            if each.name in self._inputs and each.type.tensor_type.shape.dim:
                each.type.tensor_type.shape.dim[0].dim_value = pictures
        return infer(self._probe, self._kept)


def without_shapes(model: ModelProto) -> ModelProto:
    """The model without what it says of the shapes behind its inputs, which may be of another number of pictures."""
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.value_info[:]
    for each in result.graph.output:
        each.type.tensor_type.ClearField("shape")
    return result


def lengths_of(types: Mapping[str, Type]) -> dict[str, int]:
    """How long first axes are, where that is known; 0 where there is none."""
    shapes = {name: (*each.shape, 0) for name, each in types.items() if each.shape is not None}
    return {name: shape[0] for name, shape in shapes.items() if shape[0] is not None}


def incomplete(known: Type | None) -> bool:
    """Whether a size is unknown other than that of the first axis."""
    return known is None or known.shape is None or None in known.shape[1:]


def turned(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether the entries have changed places as the pictures have."""
    expected = np.roll(first, -1, 0)
    largest = float(np.abs(first[np.isfinite(first)]).max(initial=0))
    return bool(np.allclose(second, expected, rtol=0, atol=ROTATED * largest, equal_nan=True))


def fixed_batch(types: Mapping[str, Type], inputs: Sequence[str]) -> int | None:
    """How many pictures the file wants at once; None: any number. Raises Unsupported where its inputs differ in that."""
    first = {name: shape[0] for name in inputs if (shape := types[name].shape) and shape[0]}
    if len(set(first.values())) > 1:
        counted = ", ".join(f"'{name}' takes {length}" for name, length in first.items())
        raise Unsupported(
            f"The inputs of this network take different numbers of entries at once ({counted}), so that these are not pictures. "
            "Make the others initialisers of the file."
        )
    return next(iter(first.values()), None)


def checked(values: dict[Read, Array], pictures: int) -> dict[Read, Array]:
    """`values`, if each has as many entries as there are pictures. Raises EngineError."""
    for read, value in values.items():
        if not read.native and (not value.ndim or len(value) != pictures):
            raise EngineError(
                f"Of {pictures} pictures the network made an array of shape {value.shape} in '{read.tensor}', which has no entry "
                "for each, and is not shown as if it had. Give one picture, or another number of them."
            )
    return values


def refuse_unreadable(name: str, tensor: str, wiring: Wiring) -> None:
    """Raises Unsupported for an output of the file that holds no numbers for each picture."""
    element = wiring.element(tensor)
    if element not in NUMBERS | {None}:
        raise Unsupported(f"'{name}' holds no real numbers, but {kind_of(element)}. Ask for another output, or for a layer.")
    if tensor in wiring.foreign or tensor not in wiring.flowing:
        why = "has another first axis than the pictures" if tensor in wiring.flowing else "does not depend on the pictures"
        raise Unsupported(f"'{name}' of this network holds nothing for each picture: it {why}. Ask for a layer of the table.")


def kind_of(element: int | None) -> str:
    return f"values of type {TensorProto.DataType.Name(element).lower()}" if element else "a sequence, a map or an optional value"


def refuse_without_pictures(graph: Graph, outputs: Iterable[str], wiring: Wiring) -> None:
    """Raises Unsupported where nothing that the network makes has an entry for each picture."""
    if len(graph) == len(graph.inputs) and all(name in wiring.foreign for name in outputs):
        shape = graph.layers[0].native_shape
        raise Unsupported(
            f"Nothing in this network has an entry for each picture: its input '{graph.layers[0].name}' of shape {shape} seems "
            "to have no axis of pictures in front. Export it with one, (n, c, h, w)."
        )
