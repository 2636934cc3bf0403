"""A run of a Keras model that was stopped after one row, and goes on from there.

On TensorFlow and JAX the values that cross the cut are given to a compiled forward, which leaves out what nobody uses any more.
On torch calls give back what they gave. Where the graph is not known, all that was given before the cut is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras.src.backend import get_keras_mask, set_keras_mask

from ..core import Edit, Pictures, Run, Tap, as_tap, count, each_array
from .cuts import Cut, checked_repeat, crossing
from .keras_arrays import to_native
from .names import array_names

if TYPE_CHECKING:
    from .keras import KerasEngine


class KerasHeld:
    """See Held. `edits`: made in every run, as if they were given first."""

    def __init__(self, engine: KerasEngine, pictures: Pictures, cut: Cut, edits: Iterable[Edit]):
        self.layer = cut.layer
        self._engine, self._cut, self._pictures = engine, cut, each_array(pictures, np.array)
        self._here, self._later = cut.split(edits)
        self._rows = crossing(engine.graph, [cut.layer]) or self._before()
        self._held: dict[str, Any] = {}
        self._repeatable = True
        self.value = self._torch() if keras.backend.backend() == "torch" else self._graph()

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        """See Held.run."""
        asked, changes = tuple(map(as_tap, taps)) or (Tap("output"),), list(edits)
        self._cut.check(asked, changes)
        n, repeat = count(self._pictures), checked_repeat(repeat)
        here, later = (self._cut.repeated(each, n, repeat) for each in (self._here, self._later))
        pictures = each_array(self._pictures, lambda array: array.repeat(repeat, 0))
        if not self._held or (repeat > 1 and not self._repeatable):
            return self._engine.run(pictures, asked, [*here, *later, *changes])
        again = [edit for edit in here if self._key(edit.layer) not in self._held]
        return self._engine.run_from(all_repeated(self._held, repeat), pictures, asked, [*again, *later, *changes])

    def _before(self) -> tuple[str, ...]:
        """All rows up to the cut but the inputs."""
        at = self._cut.ranks[self.layer][0]
        return tuple(row.name for row in self._engine.graph.layers[: at + 1] if row.kind != "input")

    def _key(self, name: str) -> str:
        """Under which a row is held: on torch by its call."""
        row = self._engine._resolved(Tap(name)).layer
        return self._engine._places[row].call if keras.backend.backend() == "torch" else row

    def _graph(self) -> Any:
        """Keeps the rows that cross the cut, as arrays in Keras' layout."""
        engine, whole = self._engine, any(self._engine._places[name].whole for name in self._rows)
        if self._is_input() or whole:
            return engine.run(self._pictures, [self.layer], self._here)[self.layer]
        run = engine.run(self._pictures, [*self._rows, self.layer], self._here)
        self._held = {name: to_native(run[name], engine._places[name].channels) for name in self._rows}
        self._repeatable = all(engine.graph[name].shape is not None for name in self._rows)
        return run[self.layer]

    def _torch(self) -> Any:
        """Keeps what calls gave: those that cross the cut as they are, of the others whose rows are known only the shape."""
        engine = self._engine
        value = engine.run(self._pictures, [self.layer], self._here)[self.layer]
        if self._is_input():
            return value
        known, real = engine.graph.wired and "output:1" not in engine._places, self._real()
        gave, written = engine.stopped(self._pictures, [*(self._rows if known else ()), self.layer], self._here)
        made = {call: array_names(call, len(keras.tree.flatten(outputs))) for call, outputs in gave.items()}
        below = {call for call, names in made.items() if any(self._is_below(name) for name in names)}
        rows = {call for call in made if self._has_rows(made[call], gave[call])}
        if written or (below and rows != made.keys()):
            return value  # of what has no row it is not known whether it is after the cut
        for call in made.keys() - below:
            shapes = call in rows and all(engine.graph[name].shape is not None for name in made[call])
            self._repeatable = self._repeatable and shapes
            crosses = not (known and call in rows) or not real.isdisjoint(made[call])
            self._held[call] = gave[call] if crosses else keras.tree.map_structure(stand_in, gave[call])
        return value

    def _is_below(self, name: str) -> bool:
        """Whether a row stands below the cut in the table: of two of one depth that may be the one that runs first."""
        return name in self._cut.ranks and self._cut.ranks[name][0] > self._cut.ranks[self.layer][0]

    def _has_rows(self, names: list[str], outputs: Any) -> bool:
        """Whether all that a call gave is in the table."""
        tensors = all(keras.ops.is_tensor(each) for each in keras.tree.flatten(outputs))
        return tensors and all(name in self._engine.graph.names for name in names)

    def _real(self) -> set[str]:
        """The rows that cross the cut, and of networks among them, which run again, what they end in."""
        found, left = set[str](), list(self._rows)
        while left:
            row = self._engine.graph[left.pop()]
            found.add(row.name)
            left += row.inputs if row.kind == "network" else ()
        return found

    def _is_input(self) -> bool:
        return self._engine._resolved(Tap(self.layer)).layer in self._engine._inputs.names


def stand_in(tensor: Any) -> Any:
    """Of the same shape, without memory: what nobody looks at."""
    return tensor.new_zeros(()).expand(tensor.shape)


def all_repeated(held: Any, repeat: int) -> Any:
    """What several calls gave, Dropout and the layer before it say, stays one tensor: a write into it reaches all of them."""
    copies = {id(each): repeated(each, repeat) for each in keras.tree.flatten(held)}
    return keras.tree.map_structure(lambda each: copies[id(each)], held)


def repeated(value: Any, repeat: int) -> Any:
    """Each picture so many times in a row; of torch's tensors a copy with its mask, as layers may write into them."""
    if isinstance(value, np.ndarray):
        return value.repeat(repeat, 0) if repeat > 1 else value
    if not keras.ops.is_tensor(value):
        return value
    if value.ndim and not any(value.stride()):  # a stand-in
        return value[:1].expand(len(value) * repeat, *value.shape[1:])
    copy, mask = value.repeat_interleave(repeat, 0) if repeat > 1 else value.clone(), get_keras_mask(value)
    if mask is not None:
        set_keras_mask(copy, repeated(mask, repeat))
    return copy
