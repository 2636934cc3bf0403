"""Kernels as they act: what a layer hands to torch's convolutions, which need not be the weights that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..core import Array, Window, input_names
from .torch_attributes import parts_of, registered_in
from .torch_graph import acting, acts_as_torchs, has_kernel, is_quantised, to_numpy
from .torch_modules import Visit, Way
from .torch_tensors import memory, version
from .torch_watchers import Enough
from .torch_windows import window_of, window_of_call

if TYPE_CHECKING:
    from .torch import TorchEngine

NAMES = frozenset(f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)) | {"linear", "bilinear"}
PLACES = ((1, "weight"), (2, "bias"))
# kernel        the layer gives what a convolution with it gives, and its bias
# inner_kernel  it convolves with it, and does more
# raw_kernel    what its kernels are made of for each picture, or in a way that is not known
Role = Literal["kernel", "inner_kernel", "raw_kernel"]


@dataclass(frozen=True)
class Caught:
    """What a function got and gave. `written`: how often that had been written into. `called`: its name and all its arguments."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    out: Any
    written: int
    called: tuple[str, Sequence[Any], Mapping[str, Any]]

    def is_all(self, given: torch.Tensor) -> bool:
        return self.out is given and version(given) == self.written


Ended = Callable[[str, list[Caught], torch.Tensor], None]


@dataclass(frozen=True)
class Acting:
    """A kernel in torch's layout. `made`: it is not the weights that the layer keeps."""

    role: Role
    weight: torch.Tensor
    bias: torch.Tensor | None
    made: bool


class Kernels(TorchFunctionMode):
    """Catches, while a network runs by `way`, what layers hand to convolutions and dense functions.

    odd   rows whose kernels may not be their weights, or which may do more than convolve
    """

    def __init__(self, module: nn.Module, way: Way):
        super().__init__()
        self.odd: set[str] = set()
        parameters = registered_in(parts_of(module), "_parameters")
        self._way, self._own = way, set(map(memory, parameters))
        self._versions = {id(each): version(each) for each in parameters}
        self._caught: dict[nn.Module, list[Caught]] = {}

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        running = self._way.running[-1] if self._way.running else None
        name = getattr(function, "__name__", "")
        if name in NAMES and running is not None and has_kernel(running):
            weight, bias = (kwargs.get(each, args[place] if len(args) > place else None) for place, each in PLACES)
            self._caught.setdefault(running, []).append(Caught(weight, bias, out, version(out), (name, args, kwargs)))
        return out

    def _ended(self, name: str, tensor: torch.Tensor, module: Any) -> list[Caught]:
        """A layer is at its end, and gives `tensor`: what it handed on."""
        caught = self._caught.pop(module, [])
        if not (len(caught) == 1 and caught[0].is_all(tensor) and self._is_own(module, caught[0])):
            self.odd.add(name)
        return caught

    def catching(self, visit: Visit, ended: Ended | None = None) -> Visit:
        """`visit`, and besides what is caught of each layer that has a kernel."""

        def instead(name: str, tensor: torch.Tensor, maker: Any, alias: bool) -> torch.Tensor:
            if isinstance(maker, nn.Module) and has_kernel(maker) and not is_quantised(maker):
                caught = self._ended(name, tensor, maker)
                if ended:
                    ended(name, caught, tensor)
            return visit(name, tensor, maker, alias)

        return instead

    def _is_own(self, module: Any, caught: Caught) -> bool:
        if nn.utils.parametrize.is_parametrized(module, "weight"):
            return torch.equal(caught.weight, module.weight)
        own = module._parameters.get("weight")
        kept = memory(caught.weight) in self._own and version(caught.weight) == self._versions.get(id(own))
        return caught.weight is own and kept and caught.bias is module._parameters.get("bias")


def window_of_layer(module: nn.Module, caught: Sequence[Caught], received: int | None, given: torch.Tensor) -> Window | None:
    """Where a layer looks. One whose class or hooks are of the user's looks where its one convolution does, if that takes what
    the layer receives and makes what it gives; else that is not known.

    received   the id of the first tensor that the layer was given
    """
    axes = given.ndim - 2
    if acts_as_torchs(module):
        return window_of(module, axes)
    if len(caught) != 1 or not caught[0].is_all(given):
        return None
    name, args, kwargs = caught[0].called
    return window_of_call(name, args, kwargs, axes) if args and id(args[0]) == received else None


def written_into(modules: Mapping[str, Any], written: Container[int]) -> set[str]:
    """Rows whose kernels the network was seen to write into, through `.data` too, which no version counts. `written`: ids."""
    return {name for name, each in modules.items() if has_kernel(each) and id(each._parameters.get("weight")) in written}


def acting_in(engine: TorchEngine, names: Collection[str]) -> dict[str, Acting]:
    """How the kernels of these rows act, seen in runs of two pictures, of which the second tells whether they depend on them."""
    one, other = (_seen(engine, names, seed) for seed in (0, 1))
    rows = (row.name for row in engine.graph if row.name in names)
    return {name: _judged(engine._modules[name], one.get(name), other.get(name)) for name in rows}


def _seen(engine: TorchEngine, names: Collection[str], seed: int) -> dict[str, tuple[Acting, int]]:
    found: dict[str, tuple[Acting, int]] = {}
    way = Way(functions=True)
    kernels = Kernels(engine.module, way)
    way.standing = lambda: kernels

    def ended(name: str, caught: list[Caught], given: torch.Tensor) -> None:
        if name in names and caught:
            first, role = caught[0], "kernel" if caught[0].is_all(given) else "inner_kernel"
            bias = None if first.bias is None else first.bias.detach().clone()
            found[name] = Acting(role, first.weight.detach().clone(), bias, True), len(caught)  # type: ignore[arg-type]
            if len(found) == len(names):
                raise Enough

    with torch.no_grad(), suppress(Enough, Exception):
        engine._call(any_picture(engine, seed), kernels.catching(lambda _name, tensor, _maker, _alias: tensor, ended), way)
    return found


def any_picture(engine: TorchEngine, seed: int = 0) -> dict[str, Array]:
    """One, of random numbers; zeros where the network takes whole numbers."""
    random, each = np.random.default_rng(seed), zip(input_names(engine.graph), engine._inputs, strict=True)
    return {name: random.random((1, *of.shape), np.float32) * (not of.whole) for name, of in each}


def _judged(module: Any, one: tuple[Acting, int] | None, other: tuple[Acting, int] | None) -> Acting:
    weight, bias = module.weight.detach(), module.bias
    if one is None or other is None or (one[1], other[1]) != (1, 1) or one[0].weight.shape != weight.shape:
        return Acting("raw_kernel", weight, bias, False)
    if not same(one[0].weight, other[0].weight) or not same(one[0].bias, other[0].bias):
        return Acting("raw_kernel", weight, bias, False)
    found = one[0]
    own_bias = bias if found.bias is None or (bias is None and not found.bias.any()) else found.bias
    made = "weight" not in module._parameters or not same(found.weight, weight) or not same(own_bias, bias)
    return Acting(found.role, found.weight, own_bias, made)


def same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))


def weights_as(module: nn.Module, found: Acting) -> dict[str, Array]:
    weights: dict[str, Array] = {found.role: to_numpy(acting(module, found.weight))}
    return weights if found.bias is None else weights | {"bias": to_numpy(found.bias)}


def notes_on_kernels(found: Mapping[str, Acting], modules: Mapping[str, nn.Module]) -> Iterator[str]:
    made = [name for name, each in found.items() if each.made and each.role != "raw_kernel"]
    raw = [name for name, each in found.items() if each.role == "raw_kernel"]
    if made:
        yield f"The kernels of {listed(made, modules)} are made of their weights in every run; they are shown as they act."
    if raw:
        yield (
            f"The kernels of {listed(raw, modules)} are made anew for every picture, or in a way that is not known: shown as "
            "their filters are the weights that they are made of."
        )


def listed(names: list[str], modules: Mapping[str, nn.Module]) -> str:
    kinds = ", ".join(dict.fromkeys(type(modules[name]).__name__ for name in names))
    return f"'{names[0]}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "") + f" ({kinds})"
