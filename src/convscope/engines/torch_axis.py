"""Which steps of a torch module are known to leave the pictures on the first axis of what they make.

A step that is not named here may well leave them there too; then a second trial with another number of pictures shows it.
`first`: tensors that have the pictures first. `tensor`: what the step made, whose first axis is as long as there are pictures,
of which there are two or more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType, NoneType
from typing import Any

import torch
from torch import nn

from ..errors import Shape
from .torch_functions import KEEPING, KINDS, Function

# They take what they are given value by value, smaller arrays repeated along the first axes, or mix the values of one array.
ARITHMETIC = """
    add sub mul div maximum minimum pow exp log sqrt rsqrt square abs neg reciprocal lerp masked_fill copy fill zero setitem"""
ALIKE = frozenset(name for name, kind in KINDS.items() if kind in ("activation", "normalisation", "dropout"))
ALIKE = ALIKE.union(ARITHMETIC.split())
# They leave the values in their order, picture by picture.
REORDERING = frozenset("view reshape flatten unflatten squeeze unsqueeze".split()) | KEEPING  # noqa: SIM905
# As many axes as before, the first still that of the pictures, however they change the others.
MAPPING = frozenset(
    name for name, kind in KINDS.items() if kind in ("dense", "resizing") or (kind == "pooling" and name not in ("mean", "amax"))
) | {"split", "chunk", "tensor_split"}
CONVOLUTIONS = frozenset(name for name, kind in KINDS.items() if kind in ("convolution", "transposed"))
MODULES = "torch.nn.modules."


def is_kept_by(function: Function, first: Sequence[torch.Tensor], tensor: torch.Tensor) -> bool:
    name = function.name
    if function.in_place:
        return name in ALIKE and any(tensor is each for each in first)
    if name in ALIKE:  # axes are matched from the last one: the first ones are the same only of arrays with as many
        return bool(first) and all(each.ndim == tensor.ndim for each in first)
    if name in JOINS:
        return bool(first) and JOINS[name](function, tensor.ndim)
    given = next((each for each in first if function.args and each is function.args[0]), None)
    if given is None:
        return False
    if name in REORDERING:
        return True
    if name in CONVOLUTIONS:  # with an axis less it takes the first one for that of the channels
        return bool(given.ndim == tensor.ndim == int(name[-2]) + 2)
    if name in MAPPING:
        return bool(given.ndim == tensor.ndim > 1)
    return name in AXES and AXES[name](function, given.ndim)


def is_kept_by_layer(module: nn.Module, shape: Shape | None, tensor: torch.Tensor, kind: str) -> bool:
    """`shape`: of the first thing that the layer was given, if that has the pictures first. Only torch's own layers are known."""
    own = type(module).__module__.startswith(MODULES) and "forward" not in vars(module) and len(module._forward_hooks) < 2
    if shape is None or not own:
        return False
    if kind in ("activation", "normalisation", "dropout") or isinstance(module, nn.Identity):
        return tuple(tensor.shape) == shape
    if kind in ("convolution", "depthwise", "transposed", "pooling", "padding"):
        axes = re.search(r"(\d)d$", type(module).__name__)
        return axes is not None and tensor.ndim == len(shape) == int(axes[1]) + 2
    if kind == "dense":
        return tensor.ndim == len(shape) > 1
    return isinstance(module, nn.Flatten | nn.Unflatten)


def is_kept_alone(function: Function, first: Sequence[torch.Tensor], tensor: torch.Tensor) -> bool:
    """As `is_kept_by`, of a single picture: its axis is 1 long, as others may be."""
    given = next((each for each in first if function.args and each is function.args[0]), None)
    if given is not None and function.name in REORDERING:
        return is_reordered_alone(tuple(given.shape), tensor, squeezed=function.name == "squeeze")
    if not first:  # what lost its axis of pictures, `x[0]`, gets one again, `y[None]`: no other axis is 1 long
        sources = [each for each, _ in function.given]
        return bool(sources) and all(1 not in each.shape and each.ndim < tensor.ndim for each in sources)
    return is_kept_by(function, first, tensor) or any(is_only_one(tuple(each.shape), tensor) for each in first)


def is_kept_alone_by_layer(module: nn.Module, shape: Shape | None, tensor: torch.Tensor, kind: str) -> bool:
    if shape is None:
        return False
    if isinstance(module, nn.Flatten | nn.Unflatten):
        return is_reordered_alone(shape, tensor)
    return is_kept_by_layer(module, shape, tensor, kind) or is_only_one(shape, tensor)


def is_reordered_alone(shape: Shape, tensor: torch.Tensor, *, squeezed: bool = False) -> bool:
    """Of one channel, the first axis of what has lost one may be that of the channels: (1, 1, h, w) -> (1, h, w)."""
    return shape[1:2] != (1,) or tensor.ndim >= len(shape) or (tensor.ndim == 2 and not squeezed)


def is_only_one(shape: Shape, tensor: torch.Tensor) -> bool:
    """Whether no other axis was 1 long than that of the pictures, and none came to it."""
    return 1 not in shape[1:] and tensor.ndim <= len(shape)


def may_reorder(function: Function, first: Sequence[torch.Tensor]) -> bool:
    """Whether pictures may have changed places in what it made, or were put together of what was made of each."""
    if function.name in JOINS or function.name == "stack":
        return bool(_told(function, 1, ("dim", "axis"), 0) == 0)
    if not (function.args and any(each is function.args[0] for each in first)):
        return False
    if function.name == "getitem":
        places = function.args[1]
        foremost = places[0] if isinstance(places, tuple) and places else places
        return isinstance(foremost, torch.Tensor | list)
    return function.name in ORDERING and orders_first_axis(function)


def orders_first_axis(function: Function) -> bool:
    place, default = ORDERING[function.name]
    axes = function.args[1:] if function.name == "flip" and len(function.args) > 2 else _told(function, place, WORDS, default)
    if axes is None:  # all of them
        return True
    return 0 in [each % function.args[0].ndim for each in (axes if isinstance(axes, tuple | list) else [axes])]


def _told(function: Function, place: int, words: Sequence[str], default: Any) -> Any:
    return next((function.kwargs[word] for word in words if word in function.kwargs), (*function.args, *[default] * 3)[place])


def _is_elsewhere(function: Function, axes: int) -> bool:
    places = _axes_named(function, axes)
    return places is not None and 0 not in places


def _left_in_place(function: Function, axes: int) -> bool:
    return (_axes_named(function, axes) or [-1])[0] == 0


def _sliced_elsewhere(function: Function, axes: int) -> bool:
    """`x[:, 1]`, `x[..., 0]`: arrays of places could move axes."""
    places = function.args[1] if len(function.args) > 1 else None
    if not isinstance(places, tuple) or not all(isinstance(each, int | slice | NoneType | EllipsisType) for each in places):
        return False
    whole = bool(places) and places[0] == slice(None)
    return whole or (places[:1] == (...,) and sum(each is not None and each is not ... for each in places) < axes)


def _axes_named(function: Function, axes: int) -> list[int] | None:
    """Those that a function was told, counted from the first; None where it is not known."""
    told = [*function.args[1:], *(function.kwargs[name] for name in WORDS if name in function.kwargs)]
    if function.name not in MOVING:
        told = told[:1]  # what follows is no axis: keepdim
    if told and isinstance(told[0], tuple | list):
        told = list(told[0])
    known = bool(told) and all(isinstance(each, int) and not isinstance(each, bool) for each in told)
    return [each % axes for each in told] if known else None


# They move values along an axis: the place of that among their arguments, and which one it is if it is not told.
ORDERING = {
    "flip": (1, 0), "flipud": (1, 0), "roll": (2, 0), "index_select": (1, 0), "gather": (1, 0), "take_along_dim": (2, 0),
    "sort": (1, -1), "fft_fftshift": (1, None), "fft_ifftshift": (1, None), "rot90": (2, (0, 1)), "index_copy": (1, 0),
    "index_add": (1, 0), "scatter": (1, 0), "scatter_add": (1, 0),
}  # fmt: skip
PRODUCTS = ("matmul", "mm", "einsum", "tensordot")
WORDS = ("dim", "axis", "dims", "dim0", "dim1")
MOVING = ("permute", "transpose", "swapaxes")
JOINS: Mapping[str, Callable[[Function, int], bool]] = dict.fromkeys(("cat", "concat", "concatenate"), _is_elsewhere)
AXES: Mapping[str, Callable[[Function, int], bool]] = {
    **dict.fromkeys(("mean", "sum", "amax", "amin", "var", "std"), _is_elsewhere),
    **dict.fromkeys(MOVING, _is_elsewhere),
    "permute": _left_in_place,
    "getitem": _sliced_elsewhere,
}
