"""What a torch module is before a run, and how it becomes that again: docs/decisions/0025 says what belongs to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from operator import is_, not_
from typing import Any

import torch
from torch import nn

from .torch_attributes import Found, keeps_things, parts_of, refill
from .torch_tensors import version

REGISTERED = ("_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
SMALL = 1 << 16  # numbers: tensors of no more are copied together
PLAIN = frozenset({torch.Tensor, nn.Parameter, getattr(nn, "Buffer", nn.Parameter)})


@dataclass
class Known:
    """What is known of a network, so that every run need not look at everything. At first nothing.

    written     by id, the parameters that it writes into, or may: they are copied
    uncounted   whether it may write into other tensors without torch counting it, as batch_norm and observers do
    everywhere  whether something is kept on torch's own layers too
    """

    written: set[int] = field(default_factory=set)
    uncounted: bool = True
    everywhere: bool = True


class State:
    """A module and what hangs on it, as they are now. Gradients that it has are hidden until they are put back.

    parts    its modules
    devices  of its tensors, once one of them can be other than a CPU
    """

    def __init__(self, module: nn.Module, known: Known):
        self.parts = parts_of(module)
        found = Found(self.parts)
        self._undo = found.undo
        every = [*self.parts, *found.hidden]
        self._tables = tables = Tables(every, every if known.everywhere else [each for each in every if keeps_things(each)])
        loose = [isinstance(each, nn.Parameter) for each in found.tensors]
        parameters = unique((*tables.parameters, *compress(found.tensors, loose)))
        others = unique((*tables.buffers, *compress(found.tensors, map(not_, loose))))
        devices = {each.device for each in (*parameters, *others)} if torch.cuda.is_initialized() else set()  # type: ignore[no-untyped-call]
        self.devices: set[torch.device] = devices
        self._contents, self._parameters = Contents(others, known.uncounted), Parameters(parameters, known.written)

    def put_back(self) -> bool:
        """Whether all is as it was: not where parameters were written into of which there are no copies."""
        self._tables.put_back()
        for undo in self._undo:
            undo()
        self._contents.put_back()
        return self._parameters.put_back()


class Tables:
    """What modules have as attributes, and what they have registered. Scripted ones keep that elsewhere."""

    def __init__(self, parts: Sequence[nn.Module], keeping: Sequence[nn.Module]):
        every = [vars(each) for each in parts]
        parameters, buffers, *others = ([each[name] for each in every if is_table(each.get(name))] for name in REGISTERED)
        tables = [*parameters, *buffers, *chain.from_iterable(others)]
        self._registered = list(filter(None, tables))
        self._empty = [each for each in tables if not each]
        self._flat = list(self._values())
        self._attributes = [vars(each) for each in keeping]
        # A third of what dict(each) costs.
        self._before: list[dict[str, Any]] = list(map(dict.copy, self._attributes + self._registered))
        scripted = [each for each in parts if isinstance(each, torch.jit.ScriptModule)]
        self.parameters = [*values_of(parameters), *chain.from_iterable(each.parameters() for each in scripted)]
        self.buffers = [*values_of(buffers), *chain.from_iterable(each.buffers() for each in scripted)]

    def _values(self) -> Iterator[Any]:
        return chain.from_iterable(map(dict.values, self._registered))

    def put_back(self) -> None:
        for table in filter(None, self._empty):
            table.clear()
        as_registered = all(map(is_, self._values(), self._flat)) and sum(map(len, self._registered)) == len(self._flat)
        if not (as_registered and equal(self._attributes, self._before[: len(self._attributes)])):
            for table, before in zip(self._attributes + self._registered, self._before, strict=True):
                refill(table, before)


def is_table(value: Any) -> bool:
    return type(value) is dict or type(value) is OrderedDict


def values_of(tables: Iterable[dict[str, Any]]) -> list[Any]:
    return [each for table in tables for each in table.values() if each is not None]


def unique(tensors: Iterable[torch.Tensor]) -> list[Any]:
    return list({id(each): each for each in tensors}.values())


def equal(now: list[dict[str, Any]], before: list[dict[str, Any]]) -> bool:
    """Quick, since what was not replaced is not looked into."""
    try:
        return now == before
    except Exception:  # two tensors, or whatever cannot say it
        return False


class Contents:
    """What tensors hold. Small ones are copied together: one by one, those of ResNet-50 cost a millisecond.

    compared   whether what was written into is found by comparing, and not by torch's own count
    """

    def __init__(self, tensors: list[torch.Tensor], compared: bool):
        self._places, self._tensors, self._compared, self._versions = Places(tensors), tensors, compared, versions(tensors)
        groups: dict[Any, list[torch.Tensor]] = {}
        for kind, each in zip(kinds(tensors), tensors, strict=True):
            groups.setdefault(kind or id(each), []).append(each)
        with torch.no_grad():
            self._groups = [(kind, group, together(kind, group, copied=True)) for kind, group in groups.items()]

    def put_back(self) -> None:
        self._places.put_back()
        if not self._compared and versions(self._tensors) == self._versions:
            return
        with torch.no_grad():
            for kind, group, before in self._groups:
                if not same(together(kind, group), before):
                    copy_back(group, before)


class Parameters:
    def __init__(self, parameters: list[nn.Parameter], written: set[int]):
        self._all, self._written = parameters, written
        self._places = Places(parameters)
        self._trained = [each.requires_grad for each in parameters]
        self._versions = versions(parameters)
        self._leaves = [each for each in parameters if each.is_leaf]  # of a copied script they are none, and have no gradient
        self._gradients = [each.grad for each in self._leaves]
        pairs = zip(parameters, self._places.data, strict=True)
        self._copies = [(data, data.clone()) for each, data in pairs if id(each) in written]
        for each, gradient in zip(self._leaves, self._gradients, strict=True):
            if gradient is not None:
                each.grad = None  # a backward pass inside the network would add to it

    def put_back(self) -> bool:
        self._places.put_back()
        if [each.requires_grad for each in self._all] != self._trained:
            for each, trained in zip(self._all, self._trained, strict=True):
                each.requires_grad = trained
        if not all(map(is_, (each.grad for each in self._leaves), self._gradients)):
            for each, gradient in zip(self._leaves, self._gradients, strict=True):
                each.grad = gradient
        with torch.no_grad():
            for data, before in self._copies:
                copy_back([data], before)
        now = versions(self._all)
        pairs = zip(self._all, now, self._versions, strict=True)
        return now == self._versions or all(one == other or id(each) in self._written for each, one, other in pairs)


class Places:
    """Where tensors have their numbers. `data`: each once more, in the same memory."""

    def __init__(self, tensors: Sequence[torch.Tensor]):
        self._tensors = tensors
        self.data = [each.data for each in tensors]
        self._addresses, self._shapes = addresses(tensors), [each.shape for each in tensors]

    def put_back(self) -> None:
        """What got other memory or another size (`weight.data = ...`, `resize_`) has its own again."""
        if [each.shape for each in self._tensors] == self._shapes and addresses(self._tensors) == self._addresses:
            return
        for each, data in zip(self._tensors, self.data, strict=True):
            if each.shape != data.shape or addresses([each]) != addresses([data]):
                each.data = data


def addresses(tensors: Iterable[torch.Tensor]) -> list[int]:
    try:
        return [each.data_ptr() for each in tensors]
    except (NotImplementedError, RuntimeError):  # sparse ones, and some classes
        return [each.data_ptr() if type(each) in PLAIN and each.layout is torch.strided else 0 for each in tensors]


def versions(tensors: Iterable[torch.Tensor]) -> list[int]:
    try:
        return [each._version for each in tensors]
    except RuntimeError:  # those of inference mode have none
        return list(map(version, tensors))


def kinds(tensors: Iterable[torch.Tensor]) -> list[tuple[torch.dtype, torch.device, bool] | None]:
    """What can be copied together is of one kind; None for what is copied alone."""
    return [
        (each.dtype, each.device, each.ndim > 0)
        if type(each) in PLAIN and each.numel() <= SMALL and each.layout is torch.strided and not each.is_quantized
        else None
        for each in tensors
    ]


def together(kind: Any, tensors: list[torch.Tensor], *, copied: bool = False) -> torch.Tensor:
    """In one tensor; `kind` is a number for what is alone."""
    if isinstance(kind, int):
        return tensors[0].clone() if copied else tensors[0]
    return torch.cat([each if each.ndim == 1 else each.reshape(-1) for each in tensors]) if kind[2] else torch.stack(tensors)


def same(now: torch.Tensor, before: torch.Tensor) -> bool:
    try:
        return torch.equal(now, before)
    except (NotImplementedError, RuntimeError):  # sparse ones
        return False


def copy_back(tensors: list[torch.Tensor], before: torch.Tensor) -> None:
    parts = [before] if len(tensors) == 1 else torch.split(before.reshape(-1), [each.numel() for each in tensors])
    for each, part in zip(tensors, parts, strict=True):
        with torch.inference_mode(each.is_inference()):
            each.copy_(part if part.shape == each.shape else part.reshape(each.shape))
