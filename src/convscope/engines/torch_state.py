"""What a torch module is before a run, and how it becomes that again: docs/decisions/0025 says what belongs to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, compress
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

    Looked up anew before each run: the user may have changed anything since the last.

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
        parameters = [*tables.parameters, *compress(found.tensors, loose)]
        others = [*tables.buffers, *compress(found.tensors, map(not_, loose))]
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

    A network has a thousand tables, of which most are empty: what is done to each is done by functions of Python in C, and what
    is in them is kept as names and values in a row, a third of the time of a copy of each.
    """

    def __init__(self, parts: Sequence[nn.Module], keeping: Sequence[nn.Module]):
        tables = registered(parts)
        self.parameters, self.buffers = (values_of(tables[place :: len(REGISTERED)]) for place in (0, 1))
        if not TABLES.issuperset(map(type, tables)):
            tables = [each for each in tables if type(each) in TABLES]
            for each in [each for each in parts if isinstance(each, torch.jit.ScriptModule)]:
                self.parameters += each.parameters()
                self.buffers += each.buffers()
        self._tables = tables
        self._lengths = list(map(len, self._tables))
        self._names, self._values = map(list, self._contents())
        self._attributes = list(map(vars, keeping))
        self._before: list[dict[str, Any]] = list(map(dict.copy, self._attributes))

    def _contents(self) -> tuple[Iterable[Any], Iterable[Any]]:
        """Under which names, and what: of the tables that had something in them."""
        filled = list(compress(self._tables, self._lengths))
        return chain.from_iterable(filled), chain.from_iterable(map(dict.values, filled))

    def put_back(self) -> None:
        if not equal(self._attributes, self._before):
            for table, before in zip(self._attributes, self._before, strict=True):
                refill(table, before)
        same = list(map(len, self._tables)) == self._lengths
        if same:
            names, values = self._contents()
            same = list(names) == self._names and all(map(is_, values, self._values))
        if not same:
            ends = accumulate(self._lengths)
            for table, end, length in zip(self._tables, ends, self._lengths, strict=True):
                own = slice(end - length, end)
                refill(table, dict(zip(self._names[own], self._values[own], strict=True)))


def registered(parts: Sequence[nn.Module]) -> list[Any]:
    """The tables of all, those of each module after each other."""
    tables = list(map(vars, parts))
    try:
        return list(chain.from_iterable(map(IN_TURN, tables)))
    except KeyError:
        return [table.get(name) for table in tables for name in REGISTERED]


def values_of(tables: Iterable[Any]) -> list[Any]:
    filled = chain.from_iterable([each.values() for each in filter(None, tables) if type(each) in TABLES])
    return [each for each in filled if each is not None]


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
        self._copies = [(data, data.clone()) for each, data in pairs if id(each) in written] if written else []
        for each, gradient in zip(self._leaves, self._gradients, strict=True):
            if gradient is not None:
                each.grad = None  # a backward pass inside the network would add to it

    def put_back(self) -> bool:
        self._places.put_back()
        if [each.requires_grad for each in self._all] != self._trained:
            for each, trained in zip(self._all, self._trained, strict=True):
                each.requires_grad = trained
        if not all(map(is_, [each.grad for each in self._leaves], self._gradients)):
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

    def put_back(self) -> None:
        """What got other memory or lies in it otherwise (`weight.data = ...`, `resize_`, `weight.t_()`) has its own again."""
        try:
            there = PLAIN.issuperset(map(type, self._tensors)) and all(map(torch.Tensor.is_set_to, self._tensors, self.data))
        except (NotImplementedError, RuntimeError):  # sparse ones, and others that cannot say it
            there = False
        if not there:
            for each, data in zip(self._tensors, self.data, strict=True):
                if not is_at(each, data):
                    each.data = data


def is_at(tensor: torch.Tensor, data: torch.Tensor) -> bool:
    """Whether both are the same numbers of the same memory; of sparse ones, and of other classes, only whether as many."""
    if type(tensor) not in PLAIN or tensor.layout is not torch.strided:
        return tensor.shape == data.shape
    try:
        return tensor.is_set_to(data)
    except (NotImplementedError, RuntimeError):  # quantised ones, and those that went to another device
        return tensor.shape == data.shape and tensor.data_ptr() == data.data_ptr()


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
