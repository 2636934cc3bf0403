"""An engine with edits that stay: whatever is asked of it, it answers as the edited network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

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
    def hold(self: Any, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> Held:
        return cast(Held, self.engine.hold(pictures, layer, (*self.edits, *edits)))


class Parts:
    def local(self: Any, layer: str) -> Part | None:
        """An edit may differ from place to place."""
        row = self.graph[layer].name
        is_edited = any(self.graph[edit.layer].name == row for edit in self.edits)
        return None if is_edited else cast("Part | None", self.engine.local(layer))


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
