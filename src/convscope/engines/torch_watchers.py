"""What is done to the arrays that flow through a torch module: editing, copying for a run, recording for a gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core import Array, Edit, Reduce, Tap
from ..errors import InputError
from .torch_graph import to_numpy


class Enough(BaseException):
    """Raised in a hook to end the run. Not an Exception, so that it passes through a network that catches those."""


class Watcher(ABC):
    """Edits what flows and takes down what was asked for. What it has not met yet is in `taps` and `edits`."""

    def __init__(self, taps: Iterable[Tap], edits: Mapping[str, Edit]):
        self.taps: dict[str, list[Tap]] = {}
        for tap in taps:
            self.taps.setdefault(tap.layer, []).append(tap)
        self.edits = dict(edits)
        self.last: str | None = None
        self.refused: InputError | None = None  # kept, since a network may catch what is raised inside it

    def visit(self, name: str, tensor: torch.Tensor, module: nn.Module | None) -> torch.Tensor:
        self.last = name if module is not None else self.last
        if name in self.edits:
            try:
                tensor = edited(tensor, self.edits.pop(name))
            except InputError as error:
                self.refused = error
                raise Enough from error
        if name in self.taps:
            tensor = self.take(tensor, self.taps.pop(name))
            if not self.taps and (module is not None or name == "input"):
                raise Enough
        return tensor

    @abstractmethod
    def take(self, tensor: torch.Tensor, taps: Sequence[Tap]) -> torch.Tensor:
        """Keep `tensor` for `taps`, and give what is handed on."""


class Reader(Watcher):
    """Copies at once, so that a later in-place layer cannot change what was read, and hands on the tensor itself."""

    def __init__(self, taps: Iterable[Tap], edits: Mapping[str, Edit]):
        super().__init__(taps, edits)
        self.values: dict[Tap, Array] = {}

    def take(self, tensor: torch.Tensor, taps: Sequence[Tap]) -> torch.Tensor:
        for tap in taps:
            self.values[tap] = to_numpy(reduced(tensor, tap.reduce))
        return tensor


class Recorder(Watcher):
    """Keeps a copy that is part of the computation, and hands on a copy of that: nothing else can write into it."""

    def __init__(self, taps: Iterable[Tap], edits: Mapping[str, Edit]):
        super().__init__(taps, edits)
        self.handles: dict[str, torch.Tensor] = {}

    def take(self, tensor: torch.Tensor, taps: Sequence[Tap]) -> torch.Tensor:
        if not tensor.requires_grad and tensor.is_floating_point():
            tensor = tensor.detach().requires_grad_()  # from here on, what follows depends on it
        self.handles[taps[0].layer] = handle = tensor.clone()
        return handle.clone()


def reduced(tensor: torch.Tensor, reduce: Reduce) -> torch.Tensor:
    """Collapse the spatial axes by mean or max, on the device."""
    axes = tuple(range(2, tensor.ndim))
    if reduce == "none" or not axes:
        return tensor
    return tensor.float().mean(axes) if reduce == "mean" else tensor.amax(axes)


def edited(tensor: torch.Tensor, edit: Edit) -> torch.Tensor:
    scale, shift = constant(edit.scale, tensor), constant(edit.shift, tensor)
    for part in (scale, shift):
        sizes = zip(reversed(part.shape), reversed(tensor.shape), strict=False)
        if part.ndim > tensor.ndim or any(size not in (1, whole) for size, whole in sizes):
            received, expected = tuple(part.shape), tuple(tensor.shape)
            message = f"The edit of '{edit.layer}' has shape {received}, which does not fit its output of shape {expected}."
            raise InputError(message, received=received, expected=expected)
    return tensor * scale + shift


def constant(values: Any, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(values, np.float32, order="C")).to(like.device, like.dtype)
