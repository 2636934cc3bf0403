"""Reading feature maps: which layer is read for which, and all of them in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core import Array, Engine, Graph, Pictures, Run, Tap, batch, count
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


def reading(graph: Graph, layer: str, *, activated: bool) -> Reading:
    """How `layer` is read: with `activated`, after the activation that alone follows it, where there is one."""
    own = is_activated(graph, layer)
    after = activation_after(graph, layer) if activated and not own and graph[layer].is_convolution else None
    row = graph[after or layer]
    return Reading(
        layer, row.name, own or after is not None, row.activation or (row.native if row.kind == "activation" else None)
    )


def read(engine: Engine, pictures: Pictures, names: Sequence[str], progress: Progress | None = None) -> dict[str, Array]:
    """`{name: (n, c, *spatial)}` for each of `names` ("output" may be one), in one pass per batch of pictures.

    pictures   (n, c, *spatial), already preprocessed; of several inputs {name: array}
    progress   called with (pictures done, pictures in all)
    """
    taps, number = [Tap(name) for name in dict.fromkeys(names)], count(pictures)
    runs: list[Run] = []
    for start in range(0, number, BATCH):
        runs.append(engine.run(batch(pictures, slice(start, start + BATCH)), taps))
        if progress:
            progress(min(start + BATCH, number), number)
    if len(runs) == 1:
        return {tap.layer: runs[0][tap] for tap in taps}
    return {tap.layer: np.concatenate([run[tap] for run in runs]) for tap in taps}
