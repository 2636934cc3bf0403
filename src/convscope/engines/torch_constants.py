"""Tensors of a torch module that come from no picture."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from itertools import filterfalse
from typing import Any

import torch
from torch import nn

from .torch_attributes import OWN, parts_of
from .torch_modules import is_script
from .torch_tensors import ATOMS, flattened


class Constants:
    """What a module has before it runs, its weights and what it keeps from one run to the next, and what is made of only that.

    left   whether values have left the tensors, as NumPy arrays or numbers: what is made of no tensor may come from them
    """

    def __init__(self, module: nn.Module) -> None:
        self.left = False
        kept: list[torch.Tensor] = []
        for part in parts_of(module):
            table = vars(part)
            if is_script(part):  # which keeps them elsewhere
                kept += [*part.parameters(), *part.buffers()]
            else:
                kept += [each for each in (*part._parameters.values(), *part._buffers.values()) if each is not None]
            kept += flattened([table[name] for name in filterfalse(OWN.__contains__, table) if may_hold(table[name])])
        self._kept = dict(zip(map(id, kept), kept, strict=True))
        self._made: dict[int, weakref.ref[torch.Tensor]] = {}  # the network frees them when it wants to

    def __contains__(self, tensor: torch.Tensor) -> bool:
        if id(tensor) in self._kept:
            return True
        made = self._made.get(id(tensor))
        return made is not None and made() is tensor

    def are_all(self, given: Iterable[torch.Tensor]) -> bool:
        given = list(given)
        return all(each in self for each in given) and (bool(given) or not self.left)

    def add(self, tensors: Iterable[torch.Tensor]) -> None:
        self._made.update((id(each), weakref.ref(each)) for each in tensors)

    def discard(self, tensors: Iterable[torch.Tensor]) -> None:
        """Something else was written into them."""
        for each in tensors:
            self._kept.pop(id(each), None)
            self._made.pop(id(each), None)


def may_hold(value: Any) -> bool:
    """Whether there may be tensors in it: not in sizes and in empty tables, which are most of what a layer of torch has."""
    kind = type(value)
    if kind is tuple:
        return not ATOMS.issuperset(map(type, value))
    return kind not in ATOMS and not (kind in (dict, set) and not value)
