"""Whether pictures may have changed places in a torch module, or are computed by the place at which they stand: equal ones, as
those of a second trial are, do not show it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .torch_arguments import ORDERING, after_index, axes_ordered, told
from .torch_axis_rules import ALIKE, JOINS, MAPPING, Placed
from .torch_functions import Function
from .torch_tensors import shape_of

PRODUCTS = frozenset({"matmul", "mm", "bmm", "einsum", "tensordot"})
BY_VALUE = ALIKE | MAPPING | JOINS | PRODUCTS | {"stack", "scaled_dot_product_attention", "setitem"}


def may_reorder(function: Function, placed: Placed, tensor: torch.Tensor, pictures: int) -> bool:
    """Of what was made so that it is not known where the pictures stand in it: whether they may stand in another order."""
    name, shape = function.name, shape_of(tensor)
    windows = [each for each, axis in placed if axis or len(each) > pictures]
    if not windows and shape[:1] != (pictures,):
        return False
    if name in JOINS or name == "stack":
        along = told(function, 1, default=0)
        return bool(along == 0 or any(along % each.ndim == axis for each, axis in placed))
    axis = next((axis for each, axis in placed if function.args and each is function.args[0]), None)
    if axis is None:
        return False
    if name == "getitem":
        places = function.args[1] if isinstance(function.args[1], tuple) else (function.args[1],)
        return any(isinstance(each, torch.Tensor | list) for each in (places if axis else places[:1]))
    return name in ORDERING and axis in axes_ordered(function)


def is_by_place(function: Function, placed: Placed, axis: int | None, constants: Sequence[torch.Tensor], pictures: int) -> bool:
    """Whether it has a constant for each picture, another for the second than for the first: `x + noise[:len(x)]`.

    Or one that may say which picture comes first: `order @ x`. `axis`: along which the pictures stand in what it made, if known.
    """
    if function.name not in BY_VALUE or not constants:
        return False
    if function.name in PRODUCTS and axis is None:
        lengths = {pictures, *(shape_of(each)[along] for each, along in placed)}
        return any(not lengths.isdisjoint(shape_of(each)) for each in constants)
    constants = [each for each in constants if placed or shape_of(each)[:1] == (pictures,)]
    most = max(each.ndim for each, _ in function.given)
    from_last = {each.ndim - along for each, along in placed} or {most}
    if function.name == "setitem" and placed:
        part = after_index(function.args[1], most, most - min(from_last))
        from_last = {part[1] - part[0]} if part else set()
    return any(differs_along(each, each.ndim - at, pictures) for each in constants for at in from_last)


def differs_along(constant: torch.Tensor, axis: int, pictures: int) -> bool:
    """Whether what it has for the second picture is not what it has for the first. One for all has one entry."""
    size = shape_of(constant)[axis] if axis >= 0 else 1
    if size == 1 or size % pictures or not size:
        return False
    first, *others = constant.chunk(pictures, axis)
    return any(not torch.equal(first, each) for each in others)
