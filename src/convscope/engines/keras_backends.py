"""How each of Keras' backends runs a forward of ours, and how it is pulled back.

torch        eagerly; a run is repeated with copies if a layer wrote into what was read
tensorflow   a graph per question, the numbers of edits are its inputs; gradients by an eager tape, and from the second time
             on by a graph that begins at the first tap
jax          compiled per question, the weights and the numbers of edits are inputs; gradients by vjp with zeros added at the taps
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    """`held`: what `stop` gave of an earlier run, see keras_held."""

    def run(self, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Any] | None = None) -> list[Native]: ...

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> Traced: ...


def backend(forward: Forward) -> Backend:
    """Raises Unsupported for one that only predicts."""
    name = keras.backend.backend()
    if name == "tensorflow":
        from .keras_tensorflow import TensorFlowBackend

        return TensorFlowBackend(forward)
    if name not in ("torch", "jax"):
        raise Unsupported(f"Keras runs on {name} here, but networks are read on torch, tensorflow or jax. Set KERAS_BACKEND.")
    return TorchBackend(forward) if name == "torch" else JaxBackend(forward)


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

    def run(self, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Any] | None = None) -> list[Native]:
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
                values = self._forward(plan, copies, tensors(edits), keep=keep, instead=held)
                self._writes = self._writes or any(value._version != version for value, version in kept)
            if self._writes:
                values = self._forward(plan, given, tensors(edits), keep=same, hand_on=torch.clone, instead=held)
            return [host(to_float(value)) for value in values]

    def stop(self, plan: Plan, pictures: Natives, edits: Numbers) -> tuple[dict[str, Any], bool]:
        """What each call gave until all that `plan` reads was known, and whether something wrote into that."""
        import torch

        gave, versions = dict[str, Any](), list[tuple[Any, int]]()

        def keep(call: str, outputs: Any) -> None:
            gave[call] = outputs
            tensors = [each for each in keras.tree.flatten(outputs) if isinstance(each, torch.Tensor)]
            versions.extend((each, -1 if each.is_inference() else each._version) for each in tensors)

        copies = [keras.ops.convert_to_tensor(each).clone() for each in pictures]
        with torch.no_grad():
            self._forward(plan, copies, tensors(edits), keep=same, gave=keep)
        return gave, self._writes or any(before < 0 or each._version != before for each, before in versions)

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> TorchTraced:
        import torch

        def begin(value: Any) -> Any:
            """From here on, what follows depends on it, and on no other name for the same tensor."""
            free = value.is_floating_point() and not value.requires_grad
            return value.detach().requires_grad_() if free else value.view_as(value)

        starts = [keras.ops.convert_to_tensor(each).clone() for each in pictures]
        with torch.enable_grad(), torch.inference_mode(False), frozen(self._forward.model):
            return TorchTraced(self._forward(plan, starts, tensors(edits), keep=same, hand_on=torch.clone, begin=begin))


@contextmanager
def frozen(model: Any) -> Iterator[None]:
    """No gradients for weights inside, which nobody asks for and which would cost as much again."""
    trained = [each.value for each in model.variables if each.value.requires_grad]
    try:
        for each in trained:
            each.requires_grad_(False)
        yield
    finally:
        for each in trained:
            each.requires_grad_(True)


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


def question(
    forward: Forward, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Native] | None = None
) -> Hashable:
    """What a compiled forward is good for. Another set of variables, after quantising say, is another question."""
    shapes = tuple((name, scale.shape, shift.shape) for name, (scale, shift) in edits.items())
    kept = tuple((name, each.shape) for name, each in (held or {}).items())
    return plan.taps, shapes, tuple(each.shape for each in pictures), kept, tuple(map(id, forward.model.variables))


class JaxBackend:
    def __init__(self, forward: Forward):
        self._forward, self._compiled = forward, Compiled()

    def run(self, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Native] | None = None) -> list[Native]:
        given: Any = ([each.value for each in self._forward.model.variables], list(pictures), dict(edits), {}, dict(held or {}))
        key = question(self._forward, plan, pictures, edits, held)
        function = self._compiled.get(key, lambda: self._function(plan).lower(*given).compile())
        return list(map(host, function(*given)))

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> JaxTraced:
        import jax

        variables = [each.value for each in self._forward.model.variables]
        key = ("trace", question(self._forward, plan, pictures, edits))
        with ONE_AT_A_TIME:
            function = self._compiled.get(key, lambda: self._function(plan))
            shapes = jax.eval_shape(function, variables, list(pictures), dict(edits), {}, {})
            nudges = {tap.layer: np.zeros(each.shape, np.float32) for tap, each in zip(plan.taps, shapes, strict=True)}
            values, pull = jax.vjp(lambda nudges: function(variables, list(pictures), dict(edits), nudges, {}), nudges)
        return JaxTraced([tap.layer for tap in plan.taps], values, pull)

    def _function(self, plan: Plan) -> Any:
        import jax

        def function(variables: Sequence[Any], pictures: Any, edits: Any, nudges: Any, held: Any) -> Any:
            pairs = list(zip(self._forward.model.variables, variables, strict=True))
            return self._forward(plan, pictures, edits, keep=to_float, nudges=nudges, variables=pairs, held=held)

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
