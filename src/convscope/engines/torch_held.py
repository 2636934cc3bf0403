"""A run of a torch module that was stopped after one layer, and goes on from there: see torch_keep for how."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..core import Array, Edit, Pictures, Run, Tap, arrays, as_tap, count, each_array, merged
from ..errors import EngineError
from .cuts import Cut, checked_repeat
from .names import is_input
from .torch_keep import Keeper, Kept, Key, Replay
from .torch_modules import Way
from .torch_watchers import Enough, Reader, Stopper, constant

if TYPE_CHECKING:
    from .torch import TorchEngine

NEVER = Tap("")  # no row is called so
PLAIN_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
SHARED = "single memory location"  # in what torch says when it refuses to write into a repeated view


class TorchHeld:
    """See Held. `edits`: made in every run, as if they were given first."""

    def __init__(self, engine: TorchEngine, pictures: Pictures, cut: Cut, edits: Iterable[Edit]):
        self.layer = cut.layer
        self._engine, self._cut, self._pictures = engine, cut, each_array(pictures, np.array)
        self._here, self._later = cut.split(edits)
        self._kept = self._keep()
        self._writes = False  # whether the network writes into what comes from before the cut

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        """See Held.run."""
        asked, changes = tuple(map(as_tap, taps)) or (Tap("output"),), list(edits)
        self._cut.check(asked, changes)
        n, repeat = count(self._pictures), checked_repeat(repeat)
        here, later = (self._cut.repeated(each, n, repeat) for each in (self._here, self._later))
        pictures = each_array(self._pictures, lambda array: repeated(array, repeat))
        whole = self._kept.whole or self._engine.looks  # values may decide what runs after the cut, and an edit changes them
        if whole or not (repeat == 1 or self._kept.has_pictures(n, self._engine.graph.names)):
            return self._engine.run(pictures, asked, [*here, *later, *changes])
        again = [edit for edit in here if edit.layer not in self._kept.rows]
        try:
            return self._go_on(pictures, asked, again, [*later, *changes], repeat)
        except EngineError as error:
            if self._writes or SHARED not in str(error):
                raise
        self._writes = True
        return self._go_on(pictures, asked, again, [*later, *changes], repeat)

    def _go_on(self, pictures: Pictures, asked: tuple[Tap, ...], here: list[Edit], later: list[Edit], repeat: int) -> Run:
        before = Reader([NEVER], merged(edit for edit in here if edit.layer != self.layer))
        reader = Reader(asked, merged([*(edit for edit in here if edit.layer == self.layer), *later]))
        functions = not self._engine._functions.isdisjoint(before.edits)
        rows, answers = self._kept.rows, self._answers(reader, count(pictures))
        given = dict(answers.values())
        replay = Replay(self._kept, self.layer, repeat, copies=self._writes, functions=functions, answers=given)

        def visit(name: str, tensor: torch.Tensor, maker: Any, alias: bool) -> torch.Tensor:
            if maker is None and is_input(name):
                before.pictures = reader.pictures = len(tensor)
            if name in answers:
                reader.edits.pop(name, None)  # it is made already
            if name in self._cut.ranks and not self._cut.is_before(name):
                return reader.visit(name, tensor, maker, alias)
            return tensor if name in rows else before.visit(name, tensor, maker, alias)

        with torch.no_grad():
            self._engine._forward(pictures, reader, replay.way, visit)
        return Run(reader.values)

    def _answers(self, reader: Reader, pictures: int) -> dict[str, tuple[Key, torch.Tensor]]:
        """Of convolutions and dense layers whose whole output is replaced, by scale 0: that need not be computed."""
        found, engine = dict[str, tuple[Key, torch.Tensor]](), self._engine
        shapes = zip(arrays(self._pictures).values(), engine.graph.inputs, strict=True)
        if any(np.shape(array)[1:] != row.shape for array, row in shapes):
            return {}  # the table's shapes are those of other pictures
        for name, edit in reader.edits.items():
            module = engine._modules.get(name)
            if type(module) not in PLAIN_LAYERS or module is None or module._forward_hooks or module._forward_pre_hooks:
                continue
            whole = np.shape(edit.shift) == (pictures, *(engine.graph[name].shape or ()))
            if whole and np.ndim(edit.scale) == 0 and edit.scale == 0:
                found[name] = (module, int(name.partition("#")[2] or 1) - 1), constant(edit.shift, engine._like)
        return found

    def _keep(self) -> Kept:
        """Run to the cut, and keep what is needed to go on."""
        stopper = Stopper([Tap(self.layer)], merged(self._here))
        keeper = Keeper(self._engine.module, self._engine._names, self._around())

        def leave(module: nn.Module, args: Any, out: Any, rows: Any) -> None:
            keeper.leave(module, args, out, rows)
            if stopper.reached:
                raise Enough

        with torch.no_grad():
            self._engine._forward(
                self._pictures, stopper, Way(keeper.begin, leave, True, keeper.counts, standing=keeper.watching)
            )
        self.value = stopper.values[Tap(self.layer)]
        return keeper.result()

    def _around(self) -> list[nn.Module]:
        """The modules in which the cut may lie."""
        engine, module = self._engine, self._engine._modules.get(self.layer)
        if module is not None:
            return [each for each in (engine.module, *engine._names) if any(part is module for part in each.modules())]
        return [each for each, path in engine._paths.items() if not path or self.layer.startswith(f"{path}.")]


def repeated(array: Array, repeat: int) -> Array:
    """Each picture so many times in a row; a single one without a copy."""
    return array.repeat(repeat, 0) if len(array) > 1 else np.broadcast_to(array, (repeat * len(array), *array.shape[1:]))
