"""Tensors of a torch module that come from no picture."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import torch
from torch import nn

from .torch_attributes import parts_of
from .torch_modules import is_script
from .torch_tensors import flattened

PLAIN = frozenset({bool, int, float, str, type(None)})
TORCHS_OWN = frozenset(vars(nn.Module())) - {"_parameters", "_buffers"}  # its hooks, and the modules in it


class Constants:
    """What a module has before it runs, its weights and what it keeps from one run to the next, and what is made of only that.

    left   whether values have left the tensors, as NumPy arrays or numbers: what is made of no tensor may come from them
    """

    def __init__(self, module: nn.Module) -> None:
        self.left = False
        self._seen: dict[int, weakref.ref[torch.Tensor]] = {}
        for part in parts_of(module):
            kept = [value for name, value in vars(part).items() if type(value) not in PLAIN and name not in TORCHS_OWN]
            self.add(flattened(kept))
            if is_script(part):  # which keeps them elsewhere
                self.add([*part.parameters(), *part.buffers()])

    def __contains__(self, tensor: torch.Tensor) -> bool:
        seen = self._seen.get(id(tensor))
        return seen is not None and seen() is tensor

    def are_all(self, given: Iterable[torch.Tensor]) -> bool:
        given = list(given)
        return all(each in self for each in given) and (bool(given) or not self.left)

    def add(self, tensors: Iterable[torch.Tensor]) -> None:
        self._seen.update((id(each), weakref.ref(each)) for each in tensors)

    def discard(self, tensors: Iterable[torch.Tensor]) -> None:
        """Something else was written into them."""
        for each in tensors:
            self._seen.pop(id(each), None)
