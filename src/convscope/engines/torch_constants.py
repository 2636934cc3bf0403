"""Tensors of a torch module that come from no picture."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterable
from functools import _lru_cache_wrapper
from itertools import filterfalse
from types import CellType, FunctionType
from typing import Any

import torch
from torch import nn

from .torch_attributes import OWN, is_of_torch, parts_of, written_by_others
from .torch_modules import is_script
from .torch_tensors import ATOMS, flattened


class Constants:
    """What a module has before it runs, its weights and what it keeps from one run to the next, and what is made of only that.

    left   whether values have left the tensors, as NumPy arrays or numbers: what is made of no tensor may come from them
    """

    def __init__(self, module: nn.Module) -> None:
        self.left = False
        parts = parts_of(module)
        kept = flattened([gc.get_referents(each) for each in caches_of(written_by_others(parts))])
        for part in parts:
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


def caches_of(kinds: Iterable[type]) -> list[Any]:
    """functools.lru_cache in the code of classes: on their methods, and on the functions of the files that they are in.

    A grid of positions that one of them keeps from an earlier run, also from one that nobody saw, would be taken for something
    made of pictures, and what is made of it would take the names of what follows.
    """
    bases = {base for kind in kinds for base in kind.__mro__ if not (is_of_torch(base) or base is object)}
    files = [sys.modules[name] for name in {base.__module__ for base in bases} if name in sys.modules]
    functions = {id(each): each for table in map(vars, (*bases, *files)) for each in [*table.values()] if type(each) in DECORATED}
    todo, found = list(functions.values()), []
    while todo:
        each = todo.pop()
        if isinstance(each, FunctionType):  # under other decorators, which have in their closure what they decorate
            inner = [contents(cell) for cell in each.__closure__ or ()]
        else:
            found += [each] if isinstance(each, _lru_cache_wrapper) else []
            inner = [getattr(each, name, None) for name in ("__func__", "fget")]
        new = {id(one): one for one in inner if type(one) in DECORATED and id(one) not in functions}
        functions |= new
        todo += new.values()
    return found


def contents(cell: CellType) -> Any:
    """None of what is not known yet, as a class in its own methods."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def may_hold(value: Any) -> bool:
    """Whether there may be tensors in it: not in sizes and in empty tables, which are most of what a layer of torch has."""
    kind = type(value)
    if kind is tuple:
        return not ATOMS.issuperset(map(type, value))
    return kind not in ATOMS and not (kind in (dict, set) and not value)


DECORATED = frozenset({FunctionType, _lru_cache_wrapper, staticmethod, classmethod, property})
