"""A torch network that takes one picture at a time: several go through it one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..core import Array, Edit, Graph, Pictures, Run, Tap, Trace, as_tap, batch, by_input, count
from ..errors import InputError
from .cuts import axes, checked_repeat
from .torch_held import TorchHeld


class Picture:
    """One of several. `edits`: what of edits concerns it, where they say something else for each."""

    def __init__(self, pictures: Pictures, at: int, number: int, graph: Graph):
        self.array = batch(pictures, slice(at, at + 1))
        self._at, self._number, self._graph = at, number, graph

    def edits(self, edits: Iterable[Edit]) -> list[Edit]:
        return [of_picture(each, self._at, self._number, self._graph) for each in edits]


def one_by_one(pictures: Pictures, graph: Graph) -> list[Picture]:
    """Raises InputError, WrongPictureShape."""
    given = by_input(pictures, graph)
    number = count(given)
    return [Picture(given, at, number, graph) for at in range(number)]


def of_picture(edit: Edit, at: int, number: int, graph: Graph) -> Edit:
    """`edit`, for the picture at place `at` of so many. Outputs have as many axes as what is given for each picture has."""
    rank = axes(graph[edit.layer].shape) if edit.layer in graph.names else None

    def part(given: Array | float) -> Array:
        values = np.asarray(given, np.float32)
        whole = values.ndim == rank or (rank is None and values.ndim > 1)
        return values[at : at + 1] if whole and len(values) == number else values

    return Edit(edit.layer, part(edit.scale), part(edit.shift))


def joined(runs: Sequence[Run]) -> Run:
    return Run({tap: np.concatenate([run[tap] for run in runs]) for tap in runs[0]})


class TraceApart:
    """See Trace. One for each picture."""

    def __init__(self, parts: Sequence[Trace]):
        self._parts = parts

    def __getitem__(self, tap: Tap | str) -> Array:
        return np.concatenate([part[as_tap(tap)] for part in self._parts])

    def pullback(self, seeds: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
        """See Trace.pullback. Raises InputError for a seed of another number of pictures too."""
        for name, seed in seeds.items():
            if len(seed) != len(self._parts):
                message = f"The seed of '{name}' is for {len(seed)} pictures, but there are {len(self._parts)}."
                raise InputError(message, received=len(seed), expected=len(self._parts))
        found = [
            part.pullback({name: seed[at : at + 1] for name, seed in seeds.items()}, wrt) for at, part in enumerate(self._parts)
        ]
        return {name: np.concatenate([each[name] for each in found]) for name in wrt}


class HeldApart:
    """See Held. One for each picture; each goes on as often as it is repeated."""

    def __init__(self, parts: Sequence[TorchHeld], layer: str, graph: Graph):
        self.layer, self._parts, self._graph = layer, parts, graph
        self.value = np.concatenate([part.value for part in parts])

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        """See Held.run."""
        asked, changes, repeat = tuple(taps), list(edits), checked_repeat(repeat)
        number = len(self._parts) * repeat
        places = [(at, part) for at, part in enumerate(part for part in self._parts for _ in range(repeat))]
        return joined([part.run(asked, [of_picture(each, at, number, self._graph) for each in changes]) for at, part in places])
