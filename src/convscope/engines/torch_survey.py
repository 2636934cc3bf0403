"""What happens while a torch module runs: which layers and functions make which arrays, of what, with the pictures where."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..core import Kind, Layer
from ..errors import Shape
from .names import is_input
from .torch_arguments import ORDERING, axes_ordered
from .torch_axis import axis_after, axis_after_layer, is_kept_alone, is_kept_alone_by_layer
from .torch_constants import Constants
from .torch_functions import KEEPING, MEASURING, Function
from .torch_graph import activation_in, acts_as_torchs, has_kernel, is_looked_into, kernel_of, kind_of, native_of, sizes_of
from .torch_kernels import Caught, window_of_layer
from .torch_modules import Unwatched
from .torch_order import is_by_place, may_reorder
from .torch_sources import Call, Given, Parents, Source, Sources, counted_of, parents_of, placed_of
from .torch_tensors import flattened, is_alike, shape_of, version
from .torch_windows import window_of_call


@dataclass(frozen=True)
class Step:
    """An array that a layer or a function made.

    row       as the table has it if it is of pictures, but for `index` and `inputs`
    call      number of the call of a layer that made it: its parameters are counted once
    length    of its first axis
    known     whether that is known to be the axis of the pictures
    placed    whether it is known where the pictures stand in it: on the first axis, on one of windows, or on another
    counted   whether it is as long as values say, as what a detector found
    alike     whether it holds the same for each of the pictures, if all of these are equal
    unseen    whether nobody sees what happens inside: of functions and layers, not of networks
    """

    row: Layer
    parents: Parents
    length: int | None
    known: bool
    placed: bool = False
    counted: bool = False
    alike: bool = True
    unseen: bool = True
    call: int | None = None

    @property
    def name(self) -> str:
        return self.row.name


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
        self._caught: dict[str, Sequence[Caught]] = {}
        self.pictures = 0
        self._compare = compare
        self._calls: list[Call] = []
        self._number = 0
        self._gave: dict[int, Source] = {}
        self._fed = set[str]()
        self._lost = False  # whether that is so of an array inside a layer, which has no step

    @property
    def last(self) -> str | None:
        rows = [step.name for step in self.steps if self.of_pictures(step)]
        return rows[-1] if len(rows) > 1 else None

    def of_pictures(self, step: Step) -> bool:
        """Whether it may be: its first axis is as long as there are pictures, and they are not known to stand elsewhere."""
        return step.known or (step.length == self.pictures and not step.placed)

    @property
    def doubtful(self) -> bool:
        """Whether there is an array of which it is not known where the pictures stand in it.

        Where it is known of all, none is of one picture, and code that goes over the pictures one by one makes such.
        """
        return self._lost or any(not step.placed for step in self.steps) or any(not known for _, known in self.ends.values())

    def is_fed(self, tensor: torch.Tensor) -> bool:
        """Whether it is known to be made of the pictures."""
        sources = self._sources([(tensor, version(tensor))])
        return bool(placed_of(sources)) or not self._fed.isdisjoint(parents_of(sources) or ())

    def look(self, by: str, given: Given) -> None:
        if parents_of(self._sources(given)) != ():
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
        received = id(given[0][0]) if given else None
        sources = self._sources(given)
        first = placed_of(sources[:1]) if sources and sources[0][0] is given[0][0] else []
        shape, axis = next(((shape_of(each), axis) for each, axis in first), (None, None))
        self._calls.append(Call(module, parents_of(sources), shape, axis, counted_of(sources), self._number, received))

    def _visit(self, name: str, tensor: torch.Tensor, maker: nn.Module | Function | None) -> None:
        if isinstance(maker, Function):
            self._made_by_function(name, tensor, maker)
        elif maker is not None:
            self._made_by_layer(name, tensor, maker)
        elif is_input(name):
            self.pictures = len(tensor)
            self._step(name, tensor, (), axis=0, kind="input", native="Input")
            self._keep(tensor, (name,), axis=0)
        else:
            axis = next((axis for _, axis in placed_of(self._sources([(tensor, version(tensor))]))), None)
            self.ends[name] = (self._has_length(tensor) and not axis, axis is not None)

    def follow(self, function: Function, made: Sequence[torch.Tensor]) -> None:
        """What a function made inside a layer, which has no row: only where the pictures stand in it is written down."""
        sources = self._sources(function.given)
        constant = all(known is not None and known.parents == () for _, known in sources)
        for each in made:
            axis = None if constant else self._after(function, each, sources)
            self._lost = self._lost or not (constant or axis is not None or self.pictures == 1)
            self._keep(each, () if constant else None, axis=axis, counted=counted_of(sources))

    def catch(self, name: str, caught: Sequence[Caught], _given: torch.Tensor) -> None:
        """What the layer that is shown next handed to convolutions."""
        self._caught = {name: caught}

    def hand_on(self, tensor: torch.Tensor, instead: torch.Tensor) -> None:
        """`instead`, or what was written into `tensor`, goes on in its place."""
        if id(tensor) in self._gave:
            known = self._gave[id(tensor)]
            self._keep(instead, known.parents, axis=known.axis, counted=known.counted)

    def _made_by_layer(self, name: str, tensor: torch.Tensor, module: nn.Module) -> None:
        while self._calls[-1].module is not module:  # those that ran inside it, or were left by an exception
            self._calls.pop()
        call, kind, itself = self._calls[-1], kind_of(module), self._sources([(tensor, version(tensor))])
        # What a container returns is most often what its last layer gave: that one is behind what follows.
        seen = kind == "network" and parents_of(itself) is not None
        placed = placed_of(itself)
        axis = placed[0][1] if placed else self._after_layer(call, tensor, kind)
        counted = counted_of(itself) or (call.counted and not seen)
        if not seen:
            self._keep(tensor, (name,), axis=axis, counted=counted)
        parameters, trainable = sizes_of(module)
        self.modules[name] = module
        if kind in ("activation", "dropout") and not acts_as_torchs(module):
            kind = "other"  # it may look further than at one place
        self._step(
            name,
            tensor,
            call.parents,
            axis=axis,
            counted=counted,
            unseen=not is_looked_into(module),
            call=call.number,
            kind=kind,
            native=native_of(module),
            activation=activation_in(module),
            parameters=parameters,
            trainable=trainable,
            kernel=tuple(kernel_of(module).shape) if has_kernel(module) else None,
            window=window_of_layer(module, self._caught.get(name, ()), call.received, tensor),
        )

    def _made_by_function(self, name: str, tensor: torch.Tensor, function: Function) -> None:
        sources = self._sources(function.given)
        parents = parents_of(sources) if function.given else None  # of values that had left
        axis = self._after(function, tensor, sources)
        finds = bool(function.counted) and parents_of(self._sources(function.counted)) != ()
        self.looks = self.looks or finds
        counted = finds or counted_of(sources)
        if counted and self.pictures == 1:  # as long as values say, it may be 1 long for them
            axis = None
        if parents == () or not tensor.is_floating_point() or function.name in KEEPING:
            self._keep(tensor, parents, axis=axis, counted=counted)
            return
        window = window_of_call(function.name, function.args, function.kwargs, tensor.ndim - 2)
        facts: dict[str, Any] = {"kind": function.kind, "native": function.native, "function": True, "window": window}
        self._step(name, tensor, parents, axis=axis, counted=counted, **facts)
        self._keep(tensor, (name,), axis=axis, counted=counted)

    def _after_layer(self, call: Call, tensor: torch.Tensor, kind: Kind) -> int | None:
        """Along which axis of what a layer gives the pictures stand, as far as it is known."""
        if self.pictures > 1:
            return axis_after_layer(call.module, call.shape, call.axis, tensor, kind, self.pictures)
        return 0 if self._has_length(tensor) and is_kept_alone_by_layer(call.module, call.shape, tensor, kind) else None

    def _after(self, function: Function, tensor: torch.Tensor, sources: Sources) -> int | None:
        """The same of what a function made. Whether it may have changed their places is written down."""
        placed = placed_of(sources)
        if self.pictures == 1:
            first = [each for each, _ in placed]
            return 0 if self._has_length(tensor) and is_kept_alone(function, first, tensor) else None
        axis = axis_after(function, placed, tensor, self.pictures)
        moved = axis is None and (may_reorder(function, placed, tensor, self.pictures) or self._orders_unknown(function))
        some = len(sources) < len(function.given)
        constants = [each for each, _ in function.given if each in self.constants] if some else []
        self.reorders = self.reorders or moved or is_by_place(function, placed, axis, constants, self.pictures)
        return axis

    def _step(
        self,
        name: str,
        tensor: torch.Tensor,
        parents: Parents,
        *,
        axis: int | None,
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
        known, placed = axis == 0 and length == self.pictures, axis is not None
        self.steps.append(Step(row, parents, length, known, placed, counted, alike, unseen, call))

    def _keep(self, tensor: torch.Tensor, parents: Parents, *, axis: int | None = None, counted: bool = False) -> None:
        self._gave[id(tensor)] = Source(weakref.ref(tensor), version(tensor), parents, axis, counted)

    def _has_length(self, tensor: torch.Tensor) -> bool:
        return shape_of(tensor)[:1] == (self.pictures,)

    def _sources(self, given: Given) -> Sources:
        """All but constants, with what is known of them: nothing of one that was not seen, or written into since."""
        found: Sources = []
        for tensor, used in given:
            if tensor not in self.constants:
                known = self._gave.get(id(tensor))
                found.append((tensor, known if known and known.tensor() is tensor and known.written == used else None))
        return found

    def _orders_unknown(self, function: Function) -> bool:
        """Whether it orders what has the pictures where it is not known: `x.view(-1).flip(0)`; or puts them into a constant."""
        given = [(each, used) for each, used in function.given if function.args and each is function.args[0]]
        if function.name not in ORDERING or not given or placed_of(self._sources(given)):
            return False
        # Where another axis is as long as there are pictures, the trial of another number tells.
        in_front = self._has_length(function.args[0]) or parents_of(self._sources(given)) == ()
        return 0 in axes_ordered(function) if in_front else True
