"""Pictures whose channels lie last in memory: of two or more, torch computes many networks quicker on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..core import Array, Pictures, Tap
from ..errors import ConvscopeError
from .torch_modules import Way
from .torch_watchers import Reader

if TYPE_CHECKING:
    from .torch import TorchEngine

TRIED = 2  # pictures that are run both ways, once in an engine's life
AGREES = 1e-5  # of the largest value: how near the two must come


class Layout:
    """Reads a layer of `engine` with the channels of the pictures last, if nothing else changes by that, which is tried first.

    Code may depend on how a tensor lies in memory: `view` refuses what `reshape` copies, into which somebody may write, and
    `as_strided` gives other values. Of maps nothing is gained, since they have to be turned back.
    """

    def __init__(self, engine: TorchEngine):
        self._engine = engine
        self._same: bool | None = None

    def read(self, pictures: Pictures, tap: Tap) -> Array:
        """As `TorchEngine.run`, in whichever way is known to give the same."""
        if isinstance(pictures, Mapping) or np.ndim(pictures) != 4 or len(pictures) < TRIED or not self._can(tap):
            return self._engine.run(pictures, [tap])[tap]
        if self._same is None:
            self._same = self._tried(pictures[:TRIED], tap)
        return self._read(pictures, tap) if self._same else self._engine.run(pictures, [tap])[tap]

    def _can(self, tap: Tap) -> bool:
        engine = self._engine
        units = tap.layer not in engine.graph.names or len(engine.graph[tap.layer].shape or (0, 0)) == 1
        hooked = any(each._forward_hooks or each._forward_pre_hooks for each in engine.module.modules())
        return units and engine.graph.wired and engine._like.device.type == "cpu" and not hooked

    def _read(self, pictures: Array, tap: Tap) -> Array:
        reader = Reader([tap], {})
        with torch.no_grad():
            self._engine._forward(pictures, reader, Way(channels_last=True))
        return reader.values[tap]

    def _tried(self, pictures: Array, tap: Tap) -> bool:
        plain = self._engine.run(pictures, [tap])[tap]
        try:
            other = self._read(pictures, tap)
        except ConvscopeError:
            return False
        largest = float(np.abs(plain).max(initial=0))
        return other.shape == plain.shape and bool(np.abs(other - plain).max(initial=0) <= AGREES * largest)
