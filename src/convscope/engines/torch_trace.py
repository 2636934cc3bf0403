"""What flows back through a run of a torch module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch

from ..core import Array, Run, Tap, as_tap
from ..errors import InputError, Unsupported, not_read
from .failures import no_gradient
from .names import is_input
from .torch_graph import to_numpy
from .torch_watchers import constant, read

NO_FLOW = (
    "the network computes it in torch.no_grad or torch.inference_mode, as whole or quantised numbers, or without the pictures. "
    "Use a method that needs no gradients: occlusion, rise, score-cam"
)


class TorchTrace:
    """A run that remembers how it was computed.

    handles   what was tapped, as part of the computation
    again     runs once more, with the inputs tapped too
    standing  entered around each way back
    """

    def __init__(
        self,
        handles: Mapping[str, torch.Tensor],
        asked: Iterable[Tap],
        again: Callable[[], Mapping[str, torch.Tensor]],
        standing: Callable[[], AbstractContextManager[None]],
    ):
        self._handles, self._asked, self._again, self._standing = handles, frozenset(asked), again, standing

    def __getitem__(self, tap: Tap | str) -> Array:
        if as_tap(tap) not in self._asked:
            return Run(dict.fromkeys(self._asked, np.empty(0, np.float32)))[tap]  # raises, and says what was asked
        self._run_again_for([as_tap(tap).layer])
        return read(self._handles[as_tap(tap).layer].detach(), as_tap(tap).reduce)

    def pullback(self, seeds: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
        """The gradient of sum_k <seeds[k], value of k> for each of `wrt`, zero where nothing flows.

        raises   InputError for what was not tapped, and for a seed of another shape than the value; Unsupported where the
                 network computes without gradients (torch.no_grad, integers); EngineError. Law: what does not follow from the
                 pictures has no gradient of zero, but none
        """
        self._run_again_for([*seeds, *wrt])
        self._check_flow_through([*seeds, *wrt])
        weights = [self._seed(name, seed) for name, seed in seeds.items()]
        ends, starts = ([self._handle(name) for name in names] for names in (seeds, wrt))
        with self._standing():
            try:
                found = torch.autograd.grad(ends, starts, weights, retain_graph=True, allow_unused=True) if ends else ()
            except RuntimeError as error:
                raise no_gradient(error, "torch") from error
            if found and all(each is None for each in found):
                self._check_flow(list(seeds), weights)
        pairs = zip(wrt, starts, found or [None] * len(starts), strict=True)
        return {name: to_numpy(torch.zeros_like(start) if each is None else each) for name, start, each in pairs}

    def _check_flow(self, ends: Sequence[str], weights: Sequence[torch.Tensor]) -> None:
        """Raises Unsupported if nothing flows back to the pictures either: else zeros would look like an answer."""
        again = self._again()
        inputs = [each for name, each in again.items() if is_input(name)]
        if not all(each.requires_grad for each in inputs):
            return  # it may follow from whole numbers alone
        found = torch.autograd.grad([again[name] for name in ends], inputs, weights, retain_graph=True, allow_unused=True)
        if all(each is None for each in found):
            raise Unsupported(f"Nothing flows back from '{ends[0]}' to the pictures: {NO_FLOW}.")

    def _run_again_for(self, names: Sequence[str]) -> None:
        if any(Tap(name) in self._asked and name not in self._handles for name in names):
            self._handles = self._again()

    def _handle(self, name: str) -> torch.Tensor:
        if name not in self._handles:
            raise InputError(f"'{name}' was not tapped in this trace. Tap it to take gradients there.", received=name)
        return self._handles[name]

    def _check_flow_through(self, names: Sequence[str]) -> None:
        if stuck := [name for name in names if not self._handle(name).requires_grad]:
            raise not_read({name: Unsupported(f"Nothing flows back through '{name}': {NO_FLOW}.") for name in stuck})

    def _seed(self, name: str, seed: Array) -> torch.Tensor:
        handle, received = self._handle(name), np.shape(seed)
        if received != tuple(handle.shape):
            message = f"The seed of '{name}' has shape {received}, but its value has {tuple(handle.shape)}."
            raise InputError(message, received=received, expected=tuple(handle.shape))
        return constant(seed, handle)
