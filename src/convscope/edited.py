"""An engine with edits that stay: whatever is asked of it, it answers as the edited network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from .core import (
    Array,
    Differentiable,
    Edit,
    Engine,
    Held,
    Local,
    Part,
    Pictures,
    Resumable,
    Reweighable,
    Rule,
    RuledBackward,
    Run,
    Tap,
    Trace,
)
from .wrapped import Capabilities, Wrapped, able_as


class EditedEngine(Wrapped):
    """`engine`, with `edits` before those of every call. It has the capabilities that the engine has; see `edited`."""

    def __init__(self, engine: Engine, edits: Sequence[Edit]):
        self.engine, self.edits = engine, tuple(edits)
        for edit in edits:
            engine.graph[edit.layer]  # raises UnknownLayer now, and not at the first picture

    def run(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Run:
        return self.engine.run(pictures, taps, (*self.edits, *edits))


class Tracing:
    def trace(self: Any, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Trace:
        return cast(Trace, self.engine.trace(pictures, taps, (*self.edits, *edits)))


class Ruled:
    def trace_by(self: Any, rule: Rule, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Trace:
        return cast(Trace, self.engine.trace_by(rule, pictures, taps, (*self.edits, *edits)))


class Reweighing:
    def with_weights(self: Any, weights: Mapping[str, Mapping[str, Array]]) -> EditedEngine:
        return edited(self.engine.with_weights(weights), self.edits)


class Holding:
    def hold(self: Any, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> EditedHeld:
        """Edits up to `layer` act on the way there; those after it in every run that goes on from there."""
        at = self.graph[layer].index
        before = [edit for edit in self.edits if self.graph[edit.layer].index <= at]
        after = [edit for edit in self.edits if self.graph[edit.layer].index > at]
        axes = {edit.layer: self.graph[edit.layer].shape for edit in after}
        ranks = {name: None if shape is None else len(shape) + 1 for name, shape in axes.items()}
        return EditedHeld(self.engine.hold(pictures, layer, (*before, *edits)), after, ranks)


class Parts:
    def local(self: Any, layer: str) -> Part | None:
        """An edit may differ from place to place."""
        row = self.graph[layer].name
        is_edited = any(self.graph[edit.layer].name == row for edit in self.edits)
        return None if is_edited else cast("Part | None", self.engine.local(layer))


class EditedHeld:
    """Pictures held in a network with edits that stay. `ranks`: how many axes the edited layers have, None if not known."""

    def __init__(self, held: Held, edits: Sequence[Edit], ranks: Mapping[str, int | None]):
        self.layer, self.value, self._held, self._edits, self._ranks = held.layer, held.value, held, edits, ranks

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        stay = [
            Edit(each.layer, *(self._each(part, self._ranks[each.layer], repeat) for part in (each.scale, each.shift)))
            for each in self._edits
        ]
        return self._held.run(taps, (*stay, *edits), repeat=repeat)

    def _each(self, part: Array | float, rank: int | None, repeat: int) -> Array | float:
        """A part of an edit with an entry per picture, once for each of its repetitions."""
        pictures = len(self.value)
        has_entries = np.ndim(part) > 1 and np.shape(part)[0] == pictures > 1 and np.ndim(part) == (rank or np.ndim(part))
        return np.repeat(np.asarray(part), repeat, axis=0) if has_entries else part


CAPABILITIES: Capabilities = (
    (Differentiable, Tracing),
    (RuledBackward, Ruled),
    (Reweighable, Reweighing),
    (Resumable, Holding),
    (Local, Parts),
)


def edited(engine: Engine, edits: Sequence[Edit]) -> EditedEngine:
    """An engine that answers as `engine` with `edits`, and can do what that can. Raises UnknownLayer."""
    return cast(EditedEngine, able_as(engine, EditedEngine, CAPABILITIES)(engine, edits))
