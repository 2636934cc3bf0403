"""What happens while a torch module runs: which layers and functions make which arrays, of what, with the pictures where."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from ..core import Layer
from ..errors import Shape
from .names import is_input
from .torch_axis import (
    ALIKE,
    ORDERING,
    PRODUCTS,
    is_kept_alone,
    is_kept_alone_by_layer,
    is_kept_by,
    is_kept_by_layer,
    may_reorder,
    orders_first_axis,
)
from .torch_constants import Constants
from .torch_functions import KEEPING, MEASURING, Function
from .torch_graph import activation_in, has_kernel, is_looked_into, kernel_of, kind_of, native_of, sizes_of
from .torch_modules import Unwatched
from .torch_tensors import flattened, is_alike, shape_of, version
from .torch_windows import window_of, window_of_call

Given = Sequence[tuple[torch.Tensor, int]]  # tensors, and how often each had been written into when it was used
Parents = tuple[str, ...] | None  # the steps behind an array; none for weights and constants; None if they are not known


@dataclass(frozen=True)
class Step:
    """An array that a layer or a function made.

    row       as the table has it if it is of pictures, but for `index` and `inputs`
    call      number of the call of a layer that made it: its parameters are counted once
    length    of its first axis
    known     whether that is known to be the axis of the pictures
    counted   whether it is as long as values say, as what a detector found
    alike     whether it holds the same for each of the pictures, if all of these are equal
    unseen    whether nobody sees what happens inside: of functions and layers, not of networks
    """

    row: Layer
    parents: Parents
    length: int | None
    known: bool
    counted: bool = False
    alike: bool = True
    unseen: bool = True
    call: int | None = None

    @property
    def name(self) -> str:
        return self.row.name


class Source(NamedTuple):
    """What is known of a tensor that was seen. `written`: how often it had been written into."""

    tensor: weakref.ref[torch.Tensor]
    written: int
    parents: Parents
    first: bool
    counted: bool


@dataclass
class Call:
    """A module that runs. `shape`: of the first thing that it was given, if that has the pictures on its first axis."""

    module: nn.Module
    parents: Parents
    shape: Shape | None
    counted: bool
    number: int


class Survey:
    """Writes down what runs, in which order, with which shape, and what it was made of.

    A step is made of another if it is given the very tensor that the other made, not written into since.

    compare   whether steps are asked whether they are `alike`
    looks     whether code looked at values, or at how much they left over: with others it may go another way
    measures  whether code asked how large something is that was made of the pictures, and may know how many there are
    reorders  whether pictures may have changed places, or are computed by the place at which they stand
    ends      outputs, and whether they may be of pictures, and whether that is known
    """

    def __init__(self, module: nn.Module, *, compare: bool = False) -> None:
        self.steps: list[Step] = []
        self.modules: dict[str, nn.Module] = {}
        self.ran: set[nn.Module] = set()
        self.ends: dict[str, tuple[bool, bool]] = {}
        self.looks = self.measures = self.reorders = False
        self.constants = Constants(module)
        self.pictures = 0
        self._compare = compare
        self._calls: list[Call] = []
        self._number = 0
        self._gave: dict[int, Source] = {}
        self._fed = set[str]()

    @property
    def last(self) -> str | None:
        rows = [step.name for step in self.steps if self.of_pictures(step)]
        return rows[-1] if len(rows) > 1 else None

    def of_pictures(self, step: Step) -> bool:
        """Whether it may be: its first axis is as long as there are pictures."""
        return step.length == self.pictures

    @property
    def doubtful(self) -> bool:
        """Whether there is an array of which it is not known that it is of pictures.

        Where all have the pictures first, none is of one picture, and code that goes over the pictures one by one makes such.
        """
        return any(not step.known for step in self.steps) or any(not known for _, known in self.ends.values())

    def is_fed(self, tensor: torch.Tensor) -> bool:
        """Whether it is known to be made of the pictures."""
        return not self._fed.isdisjoint(self._parents([(tensor, version(tensor))]) or ())

    def look(self, by: str, given: Given) -> None:
        if self._parents(given) != ():
            self.measures = self.measures or by in MEASURING
            self.looks = self.looks or by not in MEASURING

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        with Unwatched():
            self._enter(module, args, kwargs)

    def visit(self, name: str, tensor: torch.Tensor, maker: nn.Module | Function | None, _alias: bool) -> torch.Tensor:
        with Unwatched():
            self._visit(name, tensor, maker)
        return tensor

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = [(each, version(each)) for each in flattened((args, kwargs))]
        self.ran.add(module)
        self._number += 1
        shape = shape_of(given[0][0]) if self._first(given[:1]) else None
        self._calls.append(Call(module, self._parents(given), shape, self._counted(given), self._number))

    def _visit(self, name: str, tensor: torch.Tensor, maker: nn.Module | Function | None) -> None:
        if isinstance(maker, Function):
            self._made_by_function(name, tensor, maker)
        elif maker is not None:
            self._made_by_layer(name, tensor, maker)
        elif is_input(name):
            self.pictures = len(tensor)
            self._step(name, tensor, (), known=True, kind="input", native="Input")
            self._keep(tensor, (name,), first=True)
        else:
            self.ends[name] = (self._has_length(tensor), bool(self._first([(tensor, version(tensor))])))

    def hand_on(self, tensor: torch.Tensor, instead: torch.Tensor) -> None:
        """`instead`, or what was written into `tensor`, goes on in its place."""
        if id(tensor) in self._gave:
            known = self._gave[id(tensor)]
            self._keep(instead, known.parents, first=known.first, counted=known.counted)

    def _made_by_layer(self, name: str, tensor: torch.Tensor, module: nn.Module) -> None:
        while self._calls[-1].module is not module:  # those that ran inside it, or were left by an exception
            self._calls.pop()
        call, kind, itself = self._calls[-1], kind_of(module), [(tensor, version(tensor))]
        # What a container returns is most often what its last layer gave: that one is behind what follows.
        seen = kind == "network" and self._parents(itself) is not None
        keeps = is_kept_alone_by_layer if self.pictures == 1 else is_kept_by_layer
        first = bool(self._first(itself)) or (self._has_length(tensor) and keeps(module, call.shape, tensor, kind))
        counted = self._counted(itself) or (call.counted and not seen)
        if not seen:
            self._keep(tensor, (name,), first=first, counted=counted)
        parameters, trainable = sizes_of(module)
        self.modules[name] = module
        self._step(
            name,
            tensor,
            call.parents,
            known=first,
            counted=counted,
            unseen=not is_looked_into(module),
            call=call.number,
            kind=kind,
            native=native_of(module),
            activation=activation_in(module),
            parameters=parameters,
            trainable=trainable,
            kernel=tuple(kernel_of(module).shape) if has_kernel(module) else None,
            window=window_of(module, tensor.ndim - 2),
        )

    def _made_by_function(self, name: str, tensor: torch.Tensor, function: Function) -> None:
        parents = self._parents(function.given) if function.given else None  # of values that had left
        keeps = is_kept_alone if self.pictures == 1 else is_kept_by
        first = self._has_length(tensor) and keeps(function, self._first(function.given), tensor)
        moved = self._has_length(tensor) and not first and self.pictures > 1
        reorders = (moved and may_reorder(function, self._first(function.given))) or self._flat(function)
        self.reorders = self.reorders or reorders or self._by_place(function)
        finds = bool(function.counted) and self._parents(function.counted) != ()
        self.looks = self.looks or finds
        counted = finds or self._counted(function.given)
        first = first and not (counted and self.pictures == 1)  # as long as values say, it may be 1 long for them
        if parents == () or not tensor.is_floating_point() or function.name in KEEPING:
            self._keep(tensor, parents, first=first, counted=counted)
            return
        window = window_of_call(function.name, function.args, function.kwargs, tensor.ndim - 2)
        facts: dict[str, Any] = {"kind": function.kind, "native": function.native, "function": True, "window": window}
        self._step(name, tensor, parents, known=first, counted=counted, **facts)
        self._keep(tensor, (name,), first=first, counted=counted)

    def _step(
        self,
        name: str,
        tensor: torch.Tensor,
        parents: Parents,
        *,
        known: bool,
        counted: bool = False,
        unseen: bool = True,
        call: int | None = None,
        **facts: Any,
    ) -> None:
        shape: Shape = shape_of(tensor)[1:]
        row = Layer(0, name, shape=shape, native_shape=(None, *shape), **facts)
        length = next(iter(shape_of(tensor)), None)
        alike = not (self._compare and self.pictures > 1 and self._has_length(tensor)) or is_alike(tensor)
        if row.kind == "input" or not self._fed.isdisjoint(parents or ()):
            self._fed.add(name)
        self.steps.append(Step(row, parents, length, known, counted, alike, unseen, call))

    def _keep(self, tensor: torch.Tensor, parents: Parents, *, first: bool = False, counted: bool = False) -> None:
        self._gave[id(tensor)] = Source(weakref.ref(tensor), version(tensor), parents, first, counted)

    def _has_length(self, tensor: torch.Tensor) -> bool:
        return shape_of(tensor)[:1] == (self.pictures,)

    def _sources(self, given: Given) -> list[tuple[torch.Tensor, Source | None]]:
        """All but constants, with what is known of them: nothing of one that was not seen, or written into since."""
        found = list[tuple[torch.Tensor, Source | None]]()
        for tensor, used in given:
            if tensor not in self.constants:
                known = self._gave.get(id(tensor))
                found.append((tensor, known if known and known.tensor() is tensor and known.written == used else None))
        return found

    def _parents(self, given: Given) -> Parents:
        found: list[str] = []
        for _, known in self._sources(given):
            if known is None or known.parents is None:
                return None
            found += known.parents
        return tuple(dict.fromkeys(found))

    def _first(self, given: Given) -> list[torch.Tensor]:
        """Those that are known to have the pictures on their first axis."""
        return [tensor for tensor, known in self._sources(given) if known and known.first]

    def _flat(self, function: Function) -> bool:
        """Whether it orders what has the pictures elsewhere than first: `x.view(-1).flip(0)`; or puts them into a constant."""
        if self.pictures < 2 or function.name not in ORDERING:
            return False
        given = [(each, used) for each, used in function.given if function.args and each is function.args[0]]
        if not given or self._first(given):
            return False
        # Where another axis is as long as there are pictures, the trial of another number tells.
        in_front = self._has_length(function.args[0]) or self._parents(given) == ()
        return orders_first_axis(function) if in_front else True

    def _by_place(self, function: Function) -> bool:
        """Whether it has a constant for each picture, another for the second than for the first: `x + noise[:len(x)]`.

        Or one that may say which picture comes first: `order @ x`.
        """
        if self.pictures > 1 and function.name in PRODUCTS:
            return any(each in self.constants and self.pictures in shape_of(each) for each, _ in function.given)
        several = self.pictures > 1 and function.name in ALIKE
        constants = [each for each, _ in function.given if each in self.constants] if several else []
        most = max((each.ndim for each, _ in function.given), default=0)
        return any(each.ndim == most > 0 and self._has_length(each) and not torch.equal(each[0], each[1]) for each in constants)

    def _counted(self, given: Given) -> bool:
        return any(known.counted for _, known in self._sources(given) if known)
