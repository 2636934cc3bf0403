"""What is done to the arrays that flow through a torch module: editing, copying for a run, recording for a gradient."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from ..core import Array, Edit, Reduce, Tap, share
from ..errors import ConvscopeError, EngineError, InputError, ModelError, Unsupported, not_read
from .memory import Pool
from .names import is_input
from .torch_functions import Function
from .torch_graph import to_numpy
from .torch_tensors import is_plain, version


class Enough(BaseException):
    """Raised in a hook to end the run. Not an Exception, so that it passes through a network that catches those."""


class Watcher(ABC):
    """Edits what flows and takes down what was asked for. What it has not met yet is in `taps` and `edits`."""

    def __init__(self, taps: Iterable[Tap], edits: Mapping[str, Edit]):
        self.taps: dict[str, list[Tap]] = {}
        for tap in taps:
            self.taps.setdefault(tap.layer, []).append(tap)
        self.edits = dict(edits)
        self._asked = tuple(tap for each in self.taps.values() for tap in each), dict(edits)
        self.last: str | None = None
        # Kept, since a network may catch what is raised inside it. Rows that cannot be read do not stand in the way of others.
        self.refused: ConvscopeError | None = None
        self.unread: dict[str, ModelError] = {}
        self.pictures = 0
        self._replaced: list[tuple[str, torch.Tensor, int]] = []

    def again(self) -> Self:
        """One that has not met anything."""
        return type(self)(*self._asked)

    def visit(self, name: str, tensor: torch.Tensor, maker: nn.Module | Function | None, alias: bool) -> torch.Tensor:
        """The array that is handed on instead of `tensor`. Raises Enough when all is read, or something is refused."""
        beginning = maker is None and is_input(name)
        if beginning:
            self.pictures = len(tensor)
        if maker is not None:
            self.last = name
        if name not in self.taps and name not in self.edits:
            return tensor
        given = tensor
        try:
            given = self._taken(name, tensor)
        except ConvscopeError as error:
            self.leave_out(name, error)
        if given is not tensor and isinstance(maker, Function) and maker.in_place:
            given = tensor.copy_(given)  # others know it by its place
        elif given is not tensor:
            self._replaced.append((name, tensor, version(tensor)))
            if alias:  # what is written into the copy should have reached others
                self._replaced.append((name, given, version(given)))
        at_end = maker is None and not beginning
        if not self.taps and not at_end:
            self.stop(maker)
        return given

    def leave_out(self, name: str, error: ConvscopeError) -> None:
        """`name` cannot be read. Raises Enough where nothing else is to be, and where it was to be edited."""
        if name in self._asked[1] or not isinstance(error, ModelError):
            self.refused = error
            raise Enough from error
        self.unread[name] = error
        del self.taps[name]
        if not self.taps:
            raise Enough from error

    def stop(self, _maker: nn.Module | Function | None) -> None:
        """All is read."""
        raise Enough

    def _taken(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        refuse(name, tensor, self.pictures)
        if name in self.edits:
            tensor = edited(tensor, self.edits.pop(name))
        if name in self.taps:
            tensor = self.take(name, tensor, self.taps[name])
            del self.taps[name]  # and not before: if it fails, it was not read
        return tensor

    def check(self) -> None:
        """Raises what stands against the result, after the run."""
        if self.refused:
            raise self.refused
        if self.unread:
            raise not_read(self.unread)
        for name, tensor, before in self._replaced:
            if version(tensor) != before:
                # What was handed on instead does not get what is written into the original.
                raise Unsupported(
                    f"The network writes into what '{name}' returned by another name for the same memory, so that it cannot "
                    "be edited or differentiated there. Take the layer before or after it."
                )
        if missed := (*self.edits, *self.taps):
            says = "'{}' did not run for these pictures: the network took another way."
            raise not_read({name: EngineError(says.format(name), self.last) for name in missed})

    @abstractmethod
    def take(self, name: str, tensor: torch.Tensor, taps: Sequence[Tap]) -> torch.Tensor:
        """Keep what `name` returned for `taps`, and give what is handed on."""


class Reader(Watcher):
    """Copies at once, so that a later in-place layer cannot change what was read, and hands on the tensor itself."""

    def __init__(self, taps: Iterable[Tap], edits: Mapping[str, Edit], pool: Pool | None = None):
        super().__init__(taps, edits)
        self.values: dict[Tap, Array] = {}
        self._pool = pool
        wholly = (each[0] for each in self.taps.values() if len(each) == 1 and each[0].reduce == "none")
        self._copied = {tap.layer: tap for tap in wholly if tap.layer not in self.edits}

    def visit(self, name: str, tensor: torch.Tensor, maker: nn.Module | Function | None, alias: bool) -> torch.Tensor:
        """As any watcher, but in one go where an array is only to be copied: most are, and there are hundreds in a run."""
        tap = self._copied.get(name)
        if tap is None or name not in self.taps or maker is None or not is_plain(tensor, self.pictures):
            return super().visit(name, tensor, maker, alias)
        self.last = name
        self.values[tap] = to_numpy(tensor, self._pool)
        del self.taps[name]
        if not self.taps:
            self.stop(maker)
        return tensor

    def take(self, _name: str, tensor: torch.Tensor, taps: Sequence[Tap]) -> torch.Tensor:
        for tap in taps:
            self.values[tap] = read(dense(tensor), tap.reduce, self._pool)
        return tensor


class Stopper(Reader):
    """Reads one layer; where a module gives it, the run goes on until that is at its end."""

    reached = False

    def stop(self, maker: nn.Module | Function | None) -> None:
        self.reached = isinstance(maker, nn.Module)
        if not self.reached:
            raise Enough


class Recorder(Watcher):
    """Keeps a copy that is part of the computation, and hands on a copy of that: nothing else can write into it."""

    def __init__(self, taps: Iterable[Tap], edits: Mapping[str, Edit]):
        super().__init__(taps, edits)
        self.handles: dict[str, torch.Tensor] = {}

    def take(self, name: str, tensor: torch.Tensor, _taps: Sequence[Tap]) -> torch.Tensor:
        refuse_sparse(name, tensor, "differentiated")
        if not tensor.requires_grad and tensor.is_floating_point() and not tensor.is_inference():
            tensor = tensor.detach().requires_grad_()  # from here on, what follows depends on it
        self.handles[name] = handle = tensor.clone()
        return handle.clone()


class Saved:
    """What gradients need later. As it is, which costs nothing, until it is seen that the network writes into it; then in copies.

    copies      of all but parameters
    parameters  and of these: the network writes into them, and they are put back before a gradient is taken
    """

    def __init__(self, *, copies: bool, parameters: bool = False):
        self._parameters, self._copies, self._seen = parameters, copies or parameters, list[tuple[torch.Tensor, int]]()

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        if isinstance(tensor, nn.Parameter) and not self._parameters:
            return tensor.detach()  # as it is now: the network may have put another in its place
        # Detached: what a step gave and keeps for its own gradient would otherwise hold that step, and nothing would ever be
        # freed. It has the memory and the version of the tensor itself.
        tensor = tensor.detach()
        if self._copies:
            return tensor.clone()
        self._seen.append((tensor, version(tensor)))
        return tensor

    @property
    def overwritten(self) -> bool:
        """Once after the run: whether an in-place layer changed what was kept. Then its gradients would be wrong."""
        seen, self._seen = self._seen, []  # the trace holds `keep`, and need not hold all this
        return any(version(tensor) != before for tensor, before in seen)


def refuse(name: str, tensor: torch.Tensor, pictures: int) -> None:
    """Raises Unsupported for what is no array with a value for every picture."""
    if tensor.is_nested:
        raise Unsupported(f"'{name}' is a nested tensor, of another shape for each picture. Take the layer before or after it.")
    if tensor.is_meta:
        raise Unsupported(f"'{name}' is on the 'meta' device, where there are no values. Take a layer before it.")
    if tensor.is_complex():
        raise Unsupported(f"'{name}' holds complex numbers, which no map can show. Take the layer before or after it.")
    if not tensor.ndim or tensor.shape[0] != pictures:
        shape = tuple(tensor.shape)
        raise Unsupported(f"'{name}' has shape {shape}, without an axis of {pictures} pictures. Take another layer.")


def refuse_sparse(name: str, tensor: torch.Tensor, what: str) -> None:
    if tensor.layout is not torch.strided:
        raise Unsupported(f"'{name}' is a sparse tensor, which can be read, but not {what}. Take the layer before or after it.")


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """As plain numbers: torch cannot reduce sparse and quantised ones."""
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


def read(tensor: torch.Tensor, reduce: Reduce, pool: Pool | None = None) -> Array:
    """As an array of the receiver's own. `pool`: where memory is from."""
    found = reduced(tensor, reduce)
    if reduce == "active":
        return share(found.numpy(force=True), math.prod(tensor.shape[2:]))
    return found.numpy(force=True) if reduce == "argmax" else to_numpy(found, pool)


def reduced(tensor: torch.Tensor, reduce: Reduce) -> torch.Tensor:
    """Collapse the spatial axes on the device, see Tap.

    Of "active" how many there are: as a product with 1/n the mean of n ones is not one.
    """
    if reduce == "none":
        return tensor
    axes = tuple(range(2, tensor.ndim)) or (-1,)
    tensor = tensor if tensor.ndim > 2 else tensor[..., None]
    if reduce == "argmax":
        return tensor.flatten(axes[0]).argmax(-1)
    if reduce == "active":
        return (tensor > 0).sum(axes, dtype=torch.int32)
    return tensor.amax(axes) if reduce == "max" else tensor.float().mean(axes)


def edited(tensor: torch.Tensor, edit: Edit) -> torch.Tensor:
    refuse_sparse(edit.layer, tensor, "edited")
    if not tensor.is_floating_point():
        raise Unsupported(f"'{edit.layer}' holds whole numbers, and only floats can be edited. Edit another layer.")
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
