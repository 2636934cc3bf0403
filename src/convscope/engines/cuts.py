"""What all engines share in holding a run: which rows lie before the cut, and edits for pictures that are repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core import Array, Edit, Graph, Tap
from ..errors import InputError, UnknownLayer


@dataclass(frozen=True)
class Cut:
    """A run that stops when `layer` is known. The rows above it are before, it and those below are after.

    ranks   {row or output: (its place in the order, how many axes it has with that of the pictures, None if not known)}
    """

    layer: str
    ranks: Mapping[str, tuple[int, int | None]]

    @classmethod
    def at(cls, layer: str, graph: Graph, outputs: Sequence[str], also: Mapping[str, str] | None = None) -> Cut:
        """`outputs`: their names, in order. `also`: other names of rows. Raises UnknownLayer."""
        ranks: dict[str, tuple[int, int | None]] = {row.name: (row.index, axes(row.shape)) for row in graph}
        ranks |= {other: ranks[name] for other, name in (also or {}).items()}
        ranks |= {name: (len(graph) + index, None) for index, name in enumerate(outputs)}
        if layer not in ranks:
            raise UnknownLayer(layer, tuple(ranks))
        return cls(layer, ranks)

    def is_before(self, name: str) -> bool:
        return self.ranks[name][0] < self.ranks[self.layer][0]

    def split(self, edits: Iterable[Edit]) -> tuple[list[Edit], list[Edit]]:
        """Those to make before the run stops, at `layer` too, and those for what lies after. Raises UnknownLayer."""
        here, later = list[Edit](), list[Edit]()
        for edit in edits:
            self._check_known(edit.layer)
            (here if self.ranks[edit.layer][0] <= self.ranks[self.layer][0] else later).append(edit)
        return here, later

    def check(self, taps: Iterable[Tap], edits: Iterable[Edit]) -> None:
        """Raises UnknownLayer, InputError for what lies before the cut."""
        for name in (*(tap.layer for tap in taps), *(edit.layer for edit in edits)):
            self._check_known(name)
            if self.is_before(name):
                raise InputError(
                    f"The pictures are held at '{self.layer}', and '{name}' lies before it. Hold them at '{name}' or earlier.",
                    received=name,
                )

    def _check_known(self, name: str) -> None:
        if name not in self.ranks:
            raise UnknownLayer(name, tuple(self.ranks))

    def repeated(self, edits: Iterable[Edit], pictures: int, repeat: int) -> list[Edit]:
        """The edits for pictures that stand `repeat` times in a row: what they say for each picture, said as often."""
        if repeat == 1 or pictures == 1:
            return list(edits)
        return [
            replace(
                edit,
                scale=self._repeated(edit.layer, edit.scale, pictures, repeat),
                shift=self._repeated(edit.layer, edit.shift, pictures, repeat),
            )
            for edit in edits
        ]

    def _repeated(self, name: str, part: Array | float, pictures: int, repeat: int) -> Array:
        values, rank = np.asarray(part, np.float32), self.ranks[name][1]
        whole = values.ndim == rank or (rank is None and values.ndim > 1)
        return values.repeat(repeat, 0) if whole and len(values) == pictures else values


def crossing(graph: Graph, names: Iterable[str]) -> tuple[str, ...]:
    """The rows from which all that follows the first of `names` can be computed, itself among them.

    () where that is not known, or is the inputs: one of `names` is an input, or none of them a row.
    """
    indices = [row.index for row in graph if row.name in set(names)]
    known = graph.wired and indices and all(name in graph.names or name.partition(":")[0] == "output" for name in names)
    if not known or graph.layers[min(indices)].kind == "input":
        return ()
    cut = min(indices)
    fed = {name for row in graph.layers[cut + 1 :] for name in row.inputs}
    return tuple(row.name for row in graph.layers[: cut + 1] if row.name in fed or row.index == cut)


def axes(shape: Sequence[int | None] | None) -> int | None:
    return None if shape is None else len(shape) + 1


def checked_repeat(repeat: int) -> int:
    """Raises InputError."""
    if not isinstance(repeat, int | np.integer) or repeat < 1:
        raise InputError(f"Pictures can be repeated 1, 2, 3, ... times, but received {repeat!r}.", received=repeat)
    return int(repeat)
