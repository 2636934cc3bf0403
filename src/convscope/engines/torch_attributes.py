"""What hangs on a torch module besides what it registers: tensors, modules, containers and generators kept as attributes."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from functools import partial
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import nn

from .torch_tensors import ATOMS, flattened, version

OWN = frozenset(vars(nn.Module())) - {"_non_persistent_buffers_set"}  # its switch, its tables and its hooks


def parts_of(module: nn.Module) -> list[nn.Module]:
    """As `module.modules()`, in another order and ten times as quick: it is looked up in every run."""
    found, seen = [module], {module}
    for each in found:  # which grows meanwhile
        if table := each._modules:
            for part in table.values():
                if part is not None and part not in seen:
                    seen.add(part)
                    found.append(part)
    return found


def registered_in(parts: Iterable[nn.Module], table: str) -> list[Any]:
    """All parameters or buffers of these, each once: as `module.parameters()`, and many times as quick."""
    found = dict[Any, None]()
    for part in parts:
        if isinstance(part, torch.jit.ScriptModule):  # which keeps them elsewhere
            found.update(dict.fromkeys(part.parameters() if table == "_parameters" else part.buffers()))
        elif own := vars(part).get(table):
            found.update(dict.fromkeys(own.values()))
    found.pop(None, None)
    return list(found)


def is_torchs_own(part: nn.Module) -> bool:
    return is_of_torch(type(part))


def is_of_torch(kind: type) -> bool:
    return kind.__module__.startswith("torch.nn.modules.")


def written_by_others(parts: Iterable[nn.Module]) -> set[type]:
    """Their classes that are not torch's own. There are few, and hundreds of parts."""
    return {kind for kind in set(map(type, parts)) if not is_of_torch(kind)}


def keeping(parts: Sequence[nn.Module]) -> list[nn.Module]:
    """Those with code that may keep something on them: torch's own layers do not, but hooks on them may."""
    others = written_by_others(parts)
    return [each for each in parts if type(each) in others or each._forward_hooks or each._forward_pre_hooks]


class Found:
    """What the code of modules keeps on them: tensors, modules, and how to undo what is done to containers and generators.

    Not looked into are torch's own layers, which keep nothing, and objects of other classes.
    """

    def __init__(self, parts: Sequence[nn.Module]):
        self.tensors: list[torch.Tensor] = []
        self.hidden: list[nn.Module] = []
        self.undo: list[Callable[[], object]] = []
        self._parts, self._seen = set(parts), set[int]()
        others = written_by_others(parts)
        left = [each for each in parts if type(each) in others]
        while left:
            table = vars(left.pop())
            for value in [value for name, value in table.items() if name not in OWN]:
                if type(value) not in ATOMS:
                    left += [each for each in self._look(value) if not is_torchs_own(each)]

    def _look(self, value: Any) -> list[nn.Module]:
        """Gives the modules that it had not met."""
        if id(value) in self._seen:
            return []
        self._seen.add(id(value))
        if isinstance(value, torch.Tensor):
            self.tensors.append(value)
        elif isinstance(value, nn.Module):
            new = [each for each in parts_of(value) if each not in self._parts]
            self._parts.update(new)
            self.hidden += new
            return new
        elif undo := undoing(value):
            self.undo.append(undo)
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple | set | deque) else ()
        return [new for each in inside if type(each) not in ATOMS for new in self._look(each)]


def undoing(value: Any) -> Callable[[], object] | None:
    """What makes it again what it is now, if that is known."""
    if isinstance(value, dict):
        return partial(refill, value, dict(value))
    if isinstance(value, list | deque):
        return partial(relist, value, list(value))
    if isinstance(value, set):
        return partial(lambda now, before: now == before or (now.clear(), now.update(before)), value, set(value))
    if isinstance(value, np.ndarray):
        return partial(np.copyto, value, value.copy()) if value.flags.writeable else None
    if isinstance(value, torch.Generator):
        return partial(value.set_state, value.get_state())
    if isinstance(value, np.random.RandomState):
        return partial(value.set_state, value.get_state())
    if isinstance(value, np.random.Generator):
        return partial(setattr, value.bit_generator, "state", value.bit_generator.state)
    return partial(value.setstate, value.getstate()) if isinstance(value, random.Random) else None


def refill(table: MutableMapping[Any, Any], before: dict[Any, Any]) -> None:
    if len(table) == len(before) and all(map(is_, table.values(), before.values())) and all(map(is_, table, before)):
        return
    for name in [name for name in table if name not in before]:
        del table[name]
    for name, value in before.items():
        if name not in table or table[name] is not value:
            table[name] = value
    if list(table) != list(before):  # something was taken away and put in again, now at the end
        table.clear()
        table.update(before)


def relist(values: MutableSequence[Any], before: list[Any]) -> None:
    if len(values) != len(before) or not all(map(is_, values, before)):
        values.clear()
        values.extend(before)


def state(module: nn.Module) -> dict[tuple[int, str], Any]:
    """What modules have as attributes and buffers, and how often the tensors in it were written into."""
    return {
        (id(each), name): standing(value)
        for each in module.modules()
        for name, value in (*vars(each).items(), *each._buffers.items())
        if name not in OWN
    }


def standing(value: Any) -> Any:
    """Equal as long as nobody can tell a difference, if all that it is about stays alive."""
    if type(value) in ATOMS:
        return value
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple | set | deque) else ()
    return id(value), [(id(each), version(each)) for each in flattened(value)], list(map(id, inside))
