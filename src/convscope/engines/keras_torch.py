"""How Keras on torch runs a forward of ours, and how it is pulled back: eagerly, as torch does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import torch

from ..core import Array
from .keras_arrays import copied, host
from .keras_backends import Native, Natives, Numbers, as_it_is, tensors, to_float
from .keras_forward import Forward, Plan
from .memory import Pool


class TorchBackend:
    def __init__(self, forward: Forward):
        self._forward, self._pool = forward, Pool()

    def run(self, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Any] | None = None) -> list[Array]:
        starts = list(map(keras.ops.convert_to_tensor, pictures))
        with torch.no_grad():
            found = self._forward(plan, starts, tensors(edits), keep=self._copied, instead=held)
        self._pool.trim()
        return [copied(host(each)) if isinstance(each, torch.Tensor) else each for each in found]

    def _copied(self, value: Any, channels: int) -> Array:
        """At once: the next layer may write into what is read."""
        return self._pool.copy(value if channels == 1 else value.movedim(channels, 1))

    def stop(self, plan: Plan, pictures: Natives, edits: Numbers) -> tuple[dict[str, Any], bool]:
        """What each call gave until all that `plan` reads was known, and whether something wrote into that, or into a state."""
        gave, versions = dict[str, Any](), list[tuple[Any, int]]()

        def keep(call: str, outputs: Any) -> None:
            gave[call] = outputs
            tensors = [each for each in keras.tree.flatten(outputs) if isinstance(each, torch.Tensor)]
            versions.extend((each, -1 if each.is_inference() else each._version) for each in tensors)

        copies = [keras.ops.convert_to_tensor(each).clone() for each in pictures]
        with torch.no_grad():
            self._forward(plan, copies, tensors(edits), keep=as_it_is, gave=keep)
        # A tensor of inference mode does not count who writes into it. Who draws a random number lets the next one draw another.
        return gave, self._forward.assigned or any(before < 0 or each._version != before for each, before in versions)

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> TorchTraced:
        def begin(value: Any) -> Any:
            """From here on, what follows depends on it, and on no other name for the same tensor."""
            free = value.is_floating_point() and not value.requires_grad
            return value.detach().requires_grad_() if free else value.view_as(value)

        starts = [keras.ops.convert_to_tensor(each).clone() for each in pictures]
        with torch.enable_grad(), torch.inference_mode(False), frozen(self._forward.model):
            return TorchTraced(self._forward(plan, starts, tensors(edits), keep=as_it_is, hand_on=torch.clone, begin=begin))


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
