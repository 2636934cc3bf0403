"""A network of several inputs as one of a single input: the others stay as they are, whatever is asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from .core import (
    Array,
    Differentiable,
    Edit,
    Engine,
    Held,
    Pictures,
    Resumable,
    Rule,
    RuledBackward,
    Run,
    Tap,
    Trace,
    arrays,
    as_tap,
)
from .wrapped import Capabilities, Wrapped, able_as


class OneInput(Wrapped):
    """`engine` of one picture's `others`: its "input" is the input called `name`. See `one_input`.

    Rows keep their names, so that "input" and, of several, "input:1" are the same array here if `name` is "input:1".
    """

    def __init__(self, engine: Engine, name: str, others: Mapping[str, Array]):
        self.engine, self.name, self.others = engine, name, others

    def run(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Run:
        names = Names(self.name, taps)
        return names.run(self.engine.run(self._all(pictures), names.taps, names.edits(edits)))

    def _all(self, pictures: Pictures) -> Pictures:
        """The others once for every one of `pictures`."""
        (given,) = arrays(pictures).values()
        return {self.name: given} | {name: np.repeat(array, len(given), axis=0) for name, array in self.others.items()}


class Tracing:
    def trace(self: Any, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> OneInputTrace:
        names = Names(self.name, taps)
        return OneInputTrace(self.engine.trace(self._all(pictures), names.taps, names.edits(edits)), names)


class Ruled:
    def trace_by(
        self: Any, rule: Rule, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()
    ) -> OneInputTrace:
        names = Names(self.name, taps)
        return OneInputTrace(self.engine.trace_by(rule, self._all(pictures), names.taps, names.edits(edits)), names)


class Holding:
    def hold(self: Any, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> OneInputHeld:
        names = Names(self.name)
        return OneInputHeld(self.engine.hold(self._all(pictures), names.of(layer), names.edits(edits)), layer, self.name)


class Names:
    """What a caller calls "input" and the engine `name`: `taps` there, and what was read under the caller's names."""

    def __init__(self, name: str, taps: Iterable[Tap | str] = ()):
        self.name = name
        self.asked = [as_tap(tap) for tap in taps] or [Tap("output")]
        self.taps = [replace(tap, layer=self.of(tap.layer)) for tap in self.asked]

    def of(self, layer: str) -> str:
        return self.name if layer == "input" else layer

    def edits(self, edits: Iterable[Edit]) -> list[Edit]:
        return [replace(edit, layer=self.of(edit.layer)) for edit in edits]

    def run(self, found: Run) -> Run:
        return Run({asked: found[tap] for asked, tap in zip(self.asked, self.taps, strict=True)})


class OneInputTrace:
    def __init__(self, trace: Trace, names: Names):
        self._trace, self._names = trace, names

    def __getitem__(self, tap: Tap | str) -> Array:
        tap = as_tap(tap)
        return self._trace[replace(tap, layer=self._names.of(tap.layer))]

    def pullback(self, seeds: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
        of = self._names.of
        found = self._trace.pullback({of(name): seed for name, seed in seeds.items()}, [of(name) for name in wrt])
        return {name: found[of(name)] for name in wrt}


class OneInputHeld:
    def __init__(self, held: Held, layer: str, name: str):
        self.layer, self.value, self._held, self._name = layer, held.value, held, name

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        names = Names(self._name, taps)
        return names.run(self._held.run(names.taps, names.edits(edits), repeat=repeat))


CAPABILITIES: Capabilities = ((Differentiable, Tracing), (RuledBackward, Ruled), (Resumable, Holding))


def one_input(engine: Engine, picture: Pictures, name: str) -> tuple[Engine, Array]:
    """The engine as one of the input `name` alone, and what of `picture` goes into that: (1, c, *spatial).

    picture   one, with an entry for each input; of a network with one input both are given back as they are
    """
    if not isinstance(picture, Mapping):
        return engine, picture
    others = {each: array for each, array in picture.items() if each != name}
    return cast(Engine, able_as(engine, OneInput, CAPABILITIES)(engine, name, others)), picture[name]
