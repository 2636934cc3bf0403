"""Along which axis of what a step of a torch module makes the pictures stand, as far as that is known.

They stand there one after the other, each taking up as much of it as the others: on an axis of their own, or on one that has the
windows of the first picture, then those of the second. What is of one picture there is made of that picture and of constants.

A step that is not named here may well keep them apart too; then a second trial with another number of pictures shows it.
`placed`: what a function was given, and along which axis the pictures stand in that. `tensor`: what it made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from math import prod
from typing import Any

import torch
from torch import nn

from ..core import Kind
from .torch_axis_rules import IN_PLACE, OF_ONE, OF_SEVERAL, Placed, Sizes
from .torch_functions import KEEPING, Function
from .torch_tensors import shape_of

# They leave the values in their order.
REORDERING = frozenset("view reshape flatten unflatten squeeze unsqueeze".split()) | KEEPING  # noqa: SIM905
MODULES = "torch.nn.modules."


def axis_after(function: Function, placed: Placed, tensor: torch.Tensor, pictures: int) -> int | None:
    """None where it is not known."""
    name, shape = function.name, shape_of(tensor)
    own = next((axis for each, axis in placed if function.args and each is function.args[0]), None)
    if not placed or (function.in_place and not (name in IN_PLACE and any(tensor is each for each, _ in placed))):
        return None
    if name in REORDERING:
        return None if own is None else axis_of_same(shape_of(function.args[0]), own, shape, pictures)
    if name in OF_SEVERAL:
        axis = OF_SEVERAL[name](function, placed, shape)
    else:  # of nothing else that is of pictures
        axis = OF_ONE[name](function, own, shape) if own is not None and len(placed) == 1 and name in OF_ONE else None
    lengths = {shape_of(each)[along] for each, along in placed}
    return axis if axis is not None and set(shape[axis : axis + 1]) == lengths else None


def axis_of_same(given: Sizes, axis: int, shape: Sizes, pictures: int) -> int | None:
    """Of the same values in the same order, in another shape."""
    ahead, before = 1, prod(given[:axis])
    for at, size in enumerate(shape if prod(shape) == prod(given) else ()):
        if ahead == before and size > 0 and size % pictures == 0:
            return at
        ahead *= size
    return None


def axis_after_layer(
    module: nn.Module, given: Sizes | None, axis: int | None, tensor: torch.Tensor, kind: Kind, pictures: int
) -> int | None:
    """`given`, `axis`: shape and axis of the first thing that the layer was given. Only torch's own layers are known."""
    own = type(module).__module__.startswith(MODULES) and "forward" not in vars(module) and len(module._forward_hooks) < 2
    if given is None or axis is None or not own:
        return None
    shape, axes = shape_of(tensor), re.search(r"(\d)d$", type(module).__name__)
    if isinstance(module, nn.Flatten | nn.Unflatten):
        return axis_of_same(given, axis, shape, pictures)
    if kind in ("activation", "normalisation", "dropout") or isinstance(module, nn.Identity):
        kept = shape == given and axis not in mixed_by(module, len(given))
    elif kind in ("convolution", "depthwise", "transposed", "pooling", "padding"):
        kept = axes is not None and axis == 0 and len(shape) == len(given) == int(axes[1]) + 2
    elif kind == "resizing":
        kept = axis == 0 and len(shape) == len(given) > 2
    else:
        dense = kind == "dense" and not isinstance(module, nn.Bilinear)
        kept = dense and axis < len(given) - 1 == len(shape) - 1
    return axis if kept and shape[axis] == given[axis] else None


def mixed_by(module: Any, axes: int) -> Collection[int]:
    """The axes along which a layer that gives as much as it was given does not take each value as any other."""
    if isinstance(module, nn.Softmax | nn.LogSoftmax | nn.Softmin):
        return range(axes) if module.dim is None else (module.dim % axes,)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return range(axes - len(module.normalized_shape), axes)
    of_each = not isinstance(module, nn.Softmax2d | nn.PReLU) and not re.search("norm", type(module).__module__)
    return () if of_each else range(1, axes)


def is_kept_alone(function: Function, first: Sequence[torch.Tensor], tensor: torch.Tensor) -> bool:
    """Whether a single picture still stands along the first axis: it is 1 long, as others may be. `first`: where it does."""
    given = next((each for each in first if function.args and each is function.args[0]), None)
    if given is not None and function.name in REORDERING:
        return is_reordered_alone(tuple(given.shape), tensor, squeezed=function.name == "squeeze")
    if not first:  # what lost its axis of pictures, `x[0]`, gets one again, `y[None]`: no other axis is 1 long
        sources = [each for each, _ in function.given]
        return bool(sources) and all(1 not in each.shape and each.ndim < tensor.ndim for each in sources)
    kept = axis_after(function, [(each, 0) for each in first], tensor, 1) == 0
    return kept or any(is_only_one(tuple(each.shape), tensor) for each in first)


def is_kept_alone_by_layer(module: nn.Module, shape: Sizes | None, tensor: torch.Tensor, kind: Kind) -> bool:
    if shape is None:
        return False
    if isinstance(module, nn.Flatten | nn.Unflatten):
        return is_reordered_alone(shape, tensor)
    return axis_after_layer(module, shape, 0, tensor, kind, 1) == 0 or is_only_one(shape, tensor)


def is_reordered_alone(shape: Sizes, tensor: torch.Tensor, *, squeezed: bool = False) -> bool:
    """Of one channel, the first axis of what has lost one may be that of the channels: (1, 1, h, w) -> (1, h, w)."""
    return shape[1:2] != (1,) or tensor.ndim >= len(shape) or (tensor.ndim == 2 and not squeezed)


def is_only_one(shape: Sizes, tensor: torch.Tensor) -> bool:
    """Whether no other axis was 1 long than that of the pictures, and none came to it."""
    return 1 not in shape[1:] and tensor.ndim <= len(shape)
