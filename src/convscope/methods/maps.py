"""Reading feature maps: which layer is read for which, and all of them in one pass."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np

from ..core import Array, Engine, Graph, Pictures, Run, Tap, batch, count
from ..errors import ModelError
from .blocks import activation_after, is_activated

# So many pictures pass at a time: enough to keep two cores busy, few enough that VGG16's maps of a batch fit in 1 GB.
BATCH = 8
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Reading:
    """What is read for a layer: its own output, or that of the activation after it."""

    layer: str
    read_at: str
    activated: bool  # whether what is read is after an activation, so that a map of zeros is a dead one
    activation: str | None = None  # which one, by the framework's name

    def __str__(self) -> str:
        if self.read_at != self.layer:
            return f"after its activation ({self.read_at})"
        return "its own output, after an activation" if self.activated else "its own output, before any activation"

    def without(self, why: str) -> str:
        """That the layer is not there, since what is read for it could not be."""
        return why if self.read_at == self.layer else f"'{self.layer}' is read after its activation. {why}"


def reading(graph: Graph, layer: str, *, activated: bool) -> Reading:
    """How `layer` is read: with `activated`, after the activation that alone follows it, where there is one."""
    own = is_activated(graph, layer)
    after = activation_after(graph, layer) if activated and not own and graph[layer].is_convolution else None
    row = graph[after or layer]
    return Reading(
        layer, row.name, own or after is not None, row.activation or (row.native if row.kind == "activation" else None)
    )


def optional(readings: Sequence[Reading], named: Container[str]) -> frozenset[str]:
    """What may be left out of what is read: that of which no layer is meant by its name."""
    return frozenset(each.read_at for each in readings) - {each.read_at for each in readings if each.layer in named}


def readable(
    engine: Engine,
    pictures: Pictures,
    names: Sequence[str],
    optional: Container[str],
    progress: Progress | None = None,
    size: int = BATCH,
) -> tuple[dict[str, Array], dict[str, str]]:
    """As `read`, without those of `optional` that cannot be read for these pictures; of these {name: why}."""
    left: dict[str, str] = {}
    while True:
        asked = [name for name in names if name not in left]
        try:
            return read(engine, pictures, asked, progress, size), left
        except ModelError as error:
            rows = {name: why for name, why in error.rows.items() if name in optional and name in asked}
            if not rows or len(rows) == len(set(asked)):
                raise
            left |= rows


def read(
    engine: Engine, pictures: Pictures, names: Sequence[str], progress: Progress | None = None, size: int = BATCH
) -> dict[str, Array]:
    """`{name: (n, c, *spatial)}` for each of `names` ("output" may be one), in one pass per batch of pictures.

    pictures   (n, c, *spatial), already preprocessed; of several inputs {name: array}
    progress   called with (pictures done, pictures in all)
    size       of a batch
    """
    taps, number = [Tap(name) for name in dict.fromkeys(names)], count(pictures)
    runs: list[Run] = []
    for start in range(0, number, size):
        runs.append(engine.run(batch(pictures, slice(start, start + size)), taps))
        if progress:
            progress(min(start + size, number), number)
    if len(runs) == 1:
        return {tap.layer: runs[0][tap] for tap in taps}
    return {tap.layer: np.concatenate([run[tap] for run in runs]) for tap in taps}
