"""What a torch module is before a run, and how it becomes that again: docs/decisions/0025 says what belongs to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, compress, filterfalse
from operator import attrgetter, is_, itemgetter, not_
from typing import Any

import torch
from torch import nn

from .torch_attributes import Found, keeping, parts_of, refill
from .torch_tensors import version

REGISTERED = ("_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
IN_TURN = itemgetter(*REGISTERED)
TABLES = frozenset({dict, OrderedDict})
SMALL = 1 << 16  # numbers: tensors of no more are copied together
KIND = attrgetter("layout", "dtype", "device", "ndim")
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
        self._tables = tables = Tables(every, every if known.everywhere else keeping(every))
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
    """What modules have as attributes, and what they have registered. Scripted ones keep that elsewhere.

    A network has a thousand tables, of which most are empty: what is done to each is done by functions of Python in C, and the
    others are kept as names and values in a row, a third of the time of a copy of each.
    """

    def __init__(self, parts: Sequence[nn.Module], keeping: Sequence[nn.Module]):
        parameters, buffers, *others = map(tables_in, zip(*registered(parts), strict=True))
        tables = [*parameters, *buffers, *chain.from_iterable(others)]
        self._empty, self._filled = list(filterfalse(None, tables)), list(filter(None, tables))
        self._lengths, self._names, self._values = map(list, self._contents())
        self._attributes = list(map(vars, keeping))
        self._before: list[dict[str, Any]] = list(map(dict.copy, self._attributes))
        scripted = [each for each in parts if isinstance(each, torch.jit.ScriptModule)]
        self.parameters = [*values_of(parameters), *chain.from_iterable(each.parameters() for each in scripted)]
        self.buffers = [*values_of(buffers), *chain.from_iterable(each.buffers() for each in scripted)]

    def _contents(self) -> tuple[Iterable[int], Iterable[Any], Iterable[Any]]:
        """Of the tables with something in them: how much, under which names, and what."""
        filled = self._filled
        return map(len, filled), chain.from_iterable(filled), chain.from_iterable(map(dict.values, filled))

    def put_back(self) -> None:
        for table in filter(None, self._empty):
            table.clear()
        if not equal(self._attributes, self._before):
            for table, before in zip(self._attributes, self._before, strict=True):
                refill(table, before)
        lengths, names, values = self._contents()
        same = list(lengths) == self._lengths and list(names) == self._names and all(map(is_, values, self._values))
        if not same:
            ends = accumulate(self._lengths)
            for table, end, length in zip(self._filled, ends, self._lengths, strict=True):
                own = slice(end - length, end)
                refill(table, dict(zip(self._names[own], self._values[own], strict=True)))


def registered(parts: Sequence[nn.Module]) -> list[tuple[Any, ...]]:
    tables = list(map(vars, parts))
    try:
        return list(map(IN_TURN, tables))
    except KeyError:  # of scripted ones
        return [tuple(map(table.get, REGISTERED)) for table in tables]


def tables_in(values: Sequence[Any]) -> Sequence[Any]:
    return values if TABLES.issuperset(map(type, values)) else [each for each in values if type(each) in TABLES]


def values_of(tables: Iterable[dict[str, Any]]) -> list[Any]:
    return [each for table in filter(None, tables) for each in table.values() if each is not None]


def unique(tensors: Iterable[torch.Tensor]) -> list[Any]:
    found = list(tensors)
    return list(dict(zip(map(id, found), found, strict=True)).values())


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
        with torch.no_grad():
            self._groups = [(kind, group, together(kind, group, copied=True)) for kind, group in grouped(tensors).items()]

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
        self._addresses = addresses(tensors)
        # Equal ones once. Hundreds of live objects more in every run would set off Python's garbage collector in each.
        known: dict[torch.Size, torch.Size] = {}
        self._shapes = [known.setdefault(shape, shape) for shape in (each.shape for each in tensors)]

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


def grouped(tensors: Sequence[torch.Tensor]) -> dict[Any, list[torch.Tensor]]:
    """Those of one kind, which are copied together. What has to be copied alone is under a number of its own."""
    groups: dict[Any, list[torch.Tensor]] = {}
    for each, kind in zip(tensors, map(KIND, tensors), strict=True):
        small = type(each) in PLAIN and kind[0] is torch.strided and each.numel() <= SMALL and not each.is_quantized
        groups.setdefault(kind if small else id(each), []).append(each)
    return groups


def together(kind: Any, tensors: list[torch.Tensor], *, copied: bool = False) -> torch.Tensor:
    """In one tensor; `kind` is a number for what is alone."""
    if isinstance(kind, int):
        return tensors[0].clone() if copied else tensors[0]
    *_, axes = kind
    return torch.cat([each.reshape(-1) for each in tensors] if axes > 1 else tensors) if axes else torch.stack(tensors)


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
