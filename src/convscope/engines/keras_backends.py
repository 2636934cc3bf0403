"""What each of Keras' backends has to do: run a forward of ours, and pull it back.

torch        eagerly; what is read is copied at once, before a layer can write into it
tensorflow   a graph per question, the numbers of edits are its inputs; gradients by an eager tape, and from the second time
             on by a graph that begins at the first tap
jax          compiled per question, the weights and the numbers of edits are inputs; gradients by a compiled vjp with zeros
             added at the taps
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy.typing as npt

from ..core import Array
from ..errors import Unsupported
from .keras_calls import ONE_AT_A_TIME
from .keras_forward import Forward, Plan

Native = npt.NDArray[Any]  # in Keras' layout
Natives = Sequence[Native]  # one for each input
Numbers = Mapping[str, tuple[Native, Native]]  # scale and shift of each edited layer
KEPT = 8  # compiled forwards that an engine keeps


class Traced(Protocol):
    """A run that remembers how it was computed: `values` in the order of the taps."""

    values: Sequence[Any]

    def pull(self, seeds: Mapping[int, Native], wrt: Sequence[int]) -> list[Native]:
        """Gradients with respect to the values number `wrt`, given those with respect to the values number `seeds`."""
        ...


class Backend(Protocol):
    """A run gives arrays of the receiver's own, channels first. `held`: see keras_held."""

    def run(self, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Any] | None = None) -> list[Array]: ...

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> Traced: ...


def backend(forward: Forward) -> Backend:
    """Raises Unsupported for one that only predicts."""
    name = keras.backend.backend()
    if name == "tensorflow":
        from .keras_tensorflow import TensorFlowBackend

        return TensorFlowBackend(forward)
    if name == "jax":
        from .keras_jax import JaxBackend

        return JaxBackend(forward)
    if name == "torch":
        from .keras_torch import TorchBackend

        return TorchBackend(forward)
    raise Unsupported(f"Keras runs on {name} here, but networks are read on torch, tensorflow or jax. Set KERAS_BACKEND.")


def as_it_is(value: Any, _channels: int) -> Any:
    """Keeps it as the backend has it, for what can be pulled back."""
    return value


def to_float(value: Any) -> Any:
    return keras.ops.cast(value, "float32")


def tensors(edits: Numbers) -> dict[str, tuple[Any, Any]]:
    convert = keras.ops.convert_to_tensor
    return {name: (convert(scale), convert(shift)) for name, (scale, shift) in edits.items()}


class Compiled:
    """The last few compiled forwards."""

    def __init__(self) -> None:
        self._functions: dict[Hashable, Any] = {}  # the last used last

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with ONE_AT_A_TIME:
            function = self._functions.pop(key, None) or make()
            self._functions[key] = function
            while len(self._functions) > KEPT:
                del self._functions[next(iter(self._functions))]
            return function


def question(
    forward: Forward, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Native] | None = None
) -> Hashable:
    """What a compiled forward is good for. Another set of variables, after quantising say, is another question; so is what
    layers are set to.
    """
    shapes = tuple((name, scale.shape, shift.shape) for name, (scale, shift) in edits.items())
    kept = tuple((name, each.shape) for name, each in (held or {}).items())
    known = tuple(map(id, forward.model.variables)), forward.operations.settings.state
    return plan.taps, shapes, tuple(each.shape for each in pictures), kept, *known
