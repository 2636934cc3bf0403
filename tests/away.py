"""A device that is not the CPU, for machines without one: it refuses what a card refuses, and writes down what is moved.

Its tensors keep their numbers on the CPU, where nobody finds them: torch itself sees another device. `MOVED` has what went "up"
to it and "down" from it, as (direction, shape).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

NAME = "away"
MOVED: list[tuple[str, tuple[int, ...]]] = []


class Away(torch.Tensor):
    inner: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor):
        facts = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, inner.size(), device=f"{NAME}:0", **facts)
        made.inner = inner
        return made

    def numpy(self, *, force: bool = False):
        assert force, "can't convert a tensor of another device to numpy"
        return self.detach().cpu().numpy()

    @classmethod
    def __torch_dispatch__(cls, operator: Any, _types: Any, args: Any = (), kwargs: Any = None):
        kwargs = dict(kwargs or {})
        device = kwargs.get("device")
        if operator is torch.ops.aten.copy_.default and isinstance(args[0], Away) != isinstance(args[1], Away):
            moved("down" if isinstance(args[1], Away) else "up", args[0])
        elif any(
            isinstance(each, torch.Tensor) and not isinstance(each, Away) and each.ndim for each in tree_leaves((args, kwargs))
        ):
            raise RuntimeError(f"Expected all tensors to be on the same device ({operator})")
        inside = {"device": torch.device("cpu")} if device is not None else {}
        out = operator(*tree_map_only(Away, inner, args), **tree_map_only(Away, inner, kwargs | inside))
        if device is not None and torch.device(device).type == "cpu":
            moved("down", out)
            return out
        return return_and_correct_aliasing(operator, args, kwargs, tree_map_only(torch.Tensor, Away, out))


def is_elsewhere(value: Any) -> bool:
    """Single numbers may be used with tensors of any device."""
    return isinstance(value, torch.Tensor) and not isinstance(value, Away) and value.ndim > 0


def inner(tensor: Away) -> torch.Tensor:
    return tensor.inner


def moved(where: str, tensor: torch.Tensor) -> None:
    MOVED.append((where, tuple(tensor.shape)))


def empty(size, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):  # noqa: ARG001 - as torch calls it
    return Away(torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format))


def empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):  # noqa: ARG001
    return Away(torch.empty_strided(size, stride, dtype=dtype))


backend_registration._setup_privateuseone_for_python_backend(NAME)
OPERATORS = torch.library.Library("aten", "IMPL")
OPERATORS.impl("empty.memory_format", empty, "PrivateUse1")
OPERATORS.impl("empty_strided", empty_strided, "PrivateUse1")
