"""Tensors of torch: those in a structure, and which of them share memory and were written into."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

import torch

ATOMS = frozenset({int, float, bool, str, bytes, complex, type(None), torch.Size, torch.dtype, torch.device})


def is_passed_on(tensor: torch.Tensor, args: Any) -> bool:
    """Whether it is a view, or among the arguments that it was made from."""
    if len(args) == 1 and isinstance(args[0], torch.Tensor):
        return tensor is args[0] or tensor._is_view()
    return is_alias(tensor, flattened(args))


def is_alias(tensor: torch.Tensor, given: Iterable[torch.Tensor]) -> bool:
    """Whether it is a view, or passed on as it was given: what is written into it is written into others."""
    return tensor._is_view() or any(tensor is each for each in given)


def is_plain(tensor: torch.Tensor, pictures: int) -> bool:
    """Whether it is of the most common kind, with floats for each picture, so that nothing more has to be asked."""
    common = type(tensor) is torch.Tensor and tensor.dtype is torch.float32 and tensor.layout is torch.strided
    return common and not (tensor.is_nested or tensor.is_meta) and tensor.ndim > 0 and tensor.shape[0] == pictures


def shape_of(tensor: torch.Tensor) -> tuple[int, ...]:
    """Nothing for a nested tensor, each part of which has its own, nor for one under torch.vmap."""
    return () if tensor.is_nested or is_vmapped(tensor) else tuple(tensor.shape)


def is_vmapped(tensor: torch.Tensor) -> bool:
    """Whether it runs under torch.vmap, where an axis is hidden and no values can be looked at."""
    return bool(torch._C._functorch.is_batchedtensor(tensor))


def memory(tensor: torch.Tensor) -> int:
    """Where its numbers are: the same for all that share them."""
    try:
        return tensor.untyped_storage().data_ptr() or id(tensor)
    except (NotImplementedError, RuntimeError):  # sparse ones
        return id(tensor)


def version(tensor: torch.Tensor) -> int:
    """How often `tensor` was written into."""
    try:
        return tensor._version
    except RuntimeError:  # in inference mode there is no count
        return 0


def flattened(value: Any) -> list[torch.Tensor]:
    """The tensors in a tensor, or in tuples, lists, dicts and dataclasses of such, in order."""
    found: list[torch.Tensor] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[torch.Tensor]) -> None:
    """Most of what functions are called with is plain, and they are many: that is asked first."""
    kind = type(value)
    if kind in ATOMS:
        return
    if kind is tuple:
        for each in value:
            if type(each) is torch.Tensor:
                found.append(each)
            elif type(each) not in ATOMS:
                _gather(each, found)
        return
    if isinstance(value, torch.Tensor):
        found.append(value)
        return
    if kind is not list and kind is not dict and is_record(value):
        value = [getattr(value, each.name) for each in dataclasses.fields(value)]
    if isinstance(value, tuple | list):
        for each in value:
            _gather(each, found)
    elif isinstance(value, Mapping):
        for each in value.values():
            _gather(each, found)


def is_record(value: Any) -> bool:
    """A dataclass, but not one that is a dict too, as the outputs of Hugging Face's networks are."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type | Mapping)


def rebuilt(value: Any, tensors: Iterator[torch.Tensor]) -> Any:
    """`value` with its tensors replaced by the next of `tensors`: the inverse of `flattened`."""
    if isinstance(value, torch.Tensor):
        return next(tensors)
    if is_record(value):
        copied = copy.copy(value)
        for each in dataclasses.fields(value):
            object.__setattr__(copied, each.name, rebuilt(getattr(value, each.name), tensors))
        return copied
    if isinstance(value, Mapping):
        return refilled(value, {key: rebuilt(each, tensors) for key, each in value.items()})
    if isinstance(value, tuple | list):
        parts = [rebuilt(each, tensors) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def refilled(value: Mapping[Any, Any], parts: dict[Any, Any]) -> Mapping[Any, Any]:
    """A copy, and not made anew: a defaultdict needs its default, and others know what else they need."""
    if not isinstance(value, MutableMapping):
        return type(value)(parts)  # type: ignore[call-arg]
    filled = copy.copy(value)
    for key, each in parts.items():
        filled[key] = each
    return filled


def is_alike(tensor: torch.Tensor) -> bool:
    """Whether what it holds for the second picture is what it holds for the first, but for rounding."""
    if not tensor.is_floating_point() or tensor.layout is not torch.strided or tensor.is_meta:
        return True
    one, other = tensor[0], tensor[1]
    if torch.equal(one, other):
        return True
    most = float(one.abs().max())
    return bool(torch.allclose(one, other, rtol=0, atol=SAME * most, equal_nan=True))


SAME = 1e-2  # of the largest value: rounding differs from picture to picture, and deep networks make more of it
