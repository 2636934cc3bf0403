"""How each of Keras' backends runs a forward of ours, and how it is pulled back.

torch        eagerly; a run is repeated with copies if a layer wrote into what was read
tensorflow   a graph per question, the numbers of edits are its inputs; gradients by an eager tape
jax          compiled per question, the weights and the numbers of edits are inputs; gradients by vjp with zeros added at the taps
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

from ..errors import Unsupported
from .keras_arrays import host
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
    def run(self, plan: Plan, pictures: Natives, edits: Numbers) -> list[Native]: ...

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> Traced: ...


def backend(forward: Forward) -> Backend:
    """Raises Unsupported for one that only predicts."""
    kinds: dict[str, Callable[[Forward], Backend]] = {
        "torch": TorchBackend,
        "tensorflow": TensorFlowBackend,
        "jax": JaxBackend,
    }
    name = keras.backend.backend()
    if name not in kinds:
        raise Unsupported(f"Keras runs on {name} here, but networks are read on torch, tensorflow or jax. Set KERAS_BACKEND.")
    return kinds[name](forward)


def same(value: Any) -> Any:
    return value


def to_float(value: Any) -> Any:
    return keras.ops.cast(value, "float32")


def tensors(edits: Numbers) -> dict[str, tuple[Any, Any]]:
    convert = keras.ops.convert_to_tensor
    return {name: (convert(scale), convert(shift)) for name, (scale, shift) in edits.items()}


class TorchBackend:
    def __init__(self, forward: Forward):
        self._forward = forward
        self._writes = False  # whether a layer of this network writes into what it received

    def run(self, plan: Plan, pictures: Natives, edits: Numbers) -> list[Native]:
        import torch

        kept: list[tuple[Any, int]] = []

        def keep(value: Any) -> Any:
            self._writes = self._writes or value.is_inference()  # such a tensor does not count who writes into it
            kept.append((value, 0 if self._writes else value._version))
            return value

        given = list(map(keras.ops.convert_to_tensor, pictures))
        with torch.no_grad():
            if not self._writes:
                copies = list(map(torch.clone, given))  # what is written into must not be what the second forward starts from
                values = self._forward(plan, copies, tensors(edits), keep=keep)
                self._writes = self._writes or any(value._version != version for value, version in kept)
            if self._writes:
                values = self._forward(plan, given, tensors(edits), keep=same, hand_on=torch.clone)
            return [host(to_float(value)) for value in values]

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> TorchTraced:
        import torch

        starts = list(map(keras.ops.convert_to_tensor, pictures))
        with torch.enable_grad(), torch.inference_mode(False):
            for start in starts:
                start.requires_grad_(start.is_floating_point())
            return TorchTraced(self._forward(plan, starts, tensors(edits), keep=same, hand_on=torch.clone))


class TorchTraced:
    def __init__(self, values: Sequence[Any]):
        self.values = values

    def pull(self, seeds: Mapping[int, Native], wrt: Sequence[int]) -> list[Native]:
        import torch

        # No dict: the same tensor may be several outputs, each with a seed of its own.
        ends = [(self.values[at], seed) for at, seed in seeds.items() if self.values[at].requires_grad]
        starts = [self.values[at] for at in wrt if self.values[at].requires_grad]
        numbers = [keras.ops.convert_to_tensor(seed, end.dtype) for end, seed in ends]
        found = (
            torch.autograd.grad([end for end, _ in ends], starts, numbers, retain_graph=True, allow_unused=True)
            if ends and starts
            else ()
        )
        gradients = dict(zip(starts, found, strict=False))
        every = [gradients.get(self.values[at]) for at in wrt]
        return [
            np.zeros(self.values[at].shape, np.float32) if each is None else host(to_float(each))
            for at, each in zip(wrt, every, strict=True)
        ]


class Compiled:
    """The last few compiled forwards."""

    def __init__(self) -> None:
        self._functions: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with ONE_AT_A_TIME:
            if key not in self._functions:
                self._functions[key] = make()
            self._functions.move_to_end(key)
            while len(self._functions) > KEPT:
                self._functions.popitem(last=False)
            return self._functions[key]


def question(forward: Forward, plan: Plan, pictures: Natives, edits: Numbers) -> Hashable:
    """What a compiled forward is good for. Another set of variables, after quantising say, is another question."""
    shapes = tuple((name, scale.shape, shift.shape) for name, (scale, shift) in edits.items())
    return plan.taps, shapes, tuple(each.shape for each in pictures), tuple(map(id, forward.model.variables))


class TensorFlowBackend:
    def __init__(self, forward: Forward):
        self._forward, self._compiled = forward, Compiled()

    def run(self, plan: Plan, pictures: Natives, edits: Numbers) -> list[Native]:
        import tensorflow as tf

        def make() -> Any:
            def function(pictures: Any, edits: Any) -> Any:
                return self._forward(plan, pictures, edits, keep=to_float)

            starts = [tf.TensorSpec(each.shape, each.dtype) for each in pictures]
            return tf.function(function, autograph=False).get_concrete_function(starts, tensors(edits))

        function = self._compiled.get(question(self._forward, plan, pictures, edits), make)
        return list(map(host, function(list(map(tf.constant, pictures)), tensors(edits))))

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> TensorFlowTraced:
        import tensorflow as tf

        starts = list(map(tf.constant, pictures))
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([start for start in starts if start.dtype.is_floating])
            values = self._forward(plan, starts, tensors(edits), keep=same, hand_on=tf.identity)
        return TensorFlowTraced(tape, values)


class TensorFlowTraced:
    def __init__(self, tape: Any, values: Sequence[Any]):
        self._tape, self.values = tape, values

    def pull(self, seeds: Mapping[int, Native], wrt: Sequence[int]) -> list[Native]:
        import tensorflow as tf

        ends, starts = [self.values[at] for at in seeds], [self.values[at] for at in wrt]
        numbers = [tf.cast(seed, end.dtype) for end, seed in zip(ends, seeds.values(), strict=True)]
        zero = tf.UnconnectedGradients.ZERO
        found = self._tape.gradient(ends, starts, numbers, unconnected_gradients=zero) if seeds else map(tf.zeros_like, starts)
        return [host(to_float(each)) for each in found]


class JaxBackend:
    def __init__(self, forward: Forward):
        self._forward, self._compiled = forward, Compiled()

    def run(self, plan: Plan, pictures: Natives, edits: Numbers) -> list[Native]:
        variables = [each.value for each in self._forward.model.variables]

        def make() -> Any:
            return self._function(plan).lower(variables, list(pictures), dict(edits), {}).compile()

        function = self._compiled.get(question(self._forward, plan, pictures, edits), make)
        return list(map(host, function(variables, list(pictures), dict(edits), {})))

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> JaxTraced:
        import jax

        variables = [each.value for each in self._forward.model.variables]
        key = ("trace", question(self._forward, plan, pictures, edits))
        with ONE_AT_A_TIME:
            function = self._compiled.get(key, lambda: self._function(plan))
            shapes = jax.eval_shape(function, variables, list(pictures), dict(edits), {})
            nudges = {tap.layer: np.zeros(each.shape, np.float32) for tap, each in zip(plan.taps, shapes, strict=True)}
            values, pull = jax.vjp(lambda nudges: function(variables, list(pictures), dict(edits), nudges), nudges)
        return JaxTraced([tap.layer for tap in plan.taps], values, pull)

    def _function(self, plan: Plan) -> Any:
        import jax

        def function(variables: Sequence[Any], pictures: Any, edits: Any, nudges: Any) -> Any:
            pairs = list(zip(self._forward.model.variables, variables, strict=True))
            return self._forward(plan, pictures, edits, keep=to_float, nudges=nudges, variables=pairs)

        return jax.jit(function)


class JaxTraced:
    def __init__(self, names: Sequence[str], values: Sequence[Any], pull: Callable[[Any], Any]):
        self._names, self.values, self._pull = names, values, pull

    def pull(self, seeds: Mapping[int, Native], wrt: Sequence[int]) -> list[Native]:
        whole = [
            np.asarray(seeds[at], np.float32) if at in seeds else np.zeros(v.shape, np.float32)
            for at, v in enumerate(self.values)
        ]
        (gradients,) = self._pull(whole)
        return [host(gradients[self._names[at]]) for at in wrt]
