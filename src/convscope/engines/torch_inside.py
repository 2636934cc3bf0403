"""What functions make inside layers that are none of torch's own: no rows, but by them it is known where the pictures stand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .torch_functions import Function, name_of
from .torch_modules import Unwatched
from .torch_tensors import flattened, version

Follow = Callable[[Function, Sequence[torch.Tensor]], None]


class Inside(TorchFunctionMode):
    """Shows `follow` each function that the code of one of `layers` calls, and what it made.

    running   kept up to date: the modules whose code runs, the innermost last
    """

    def __init__(self, layers: Collection[nn.Module], running: Sequence[nn.Module | None], follow: Follow):
        super().__init__()
        self._layers, self._running, self._follow = layers, running, follow

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self._running or self._running[-1] not in self._layers:
            return function(*args, **kwargs)
        with Unwatched():
            given = [(each, version(each)) for each in flattened((args, kwargs))]
        out = function(*args, **kwargs)
        with Unwatched():
            written = [each for each, before in given if version(each) != before]
            passed_on = {id(each) for each, _ in given} - set(map(id, written))
            made = [each for each in flattened(out) or written[:1] if id(each) not in passed_on]
            self._follow(Function(name_of(function), given, bool(written), args, kwargs), made)
        return out
