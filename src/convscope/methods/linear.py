"""What the next linear layer makes of a unit's change, without running it: it adds what the change alone gives.

Between a layer and the next convolution or dense layer stand steps that treat each channel by itself: normalisation, activation,
pooling, adding. So one run with all units changed says what each of them becomes there, and W (x + d_u) = W x + W_u d_u.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array, Edit, Engine, Graph, Held, Layer

OF_CHANNELS = frozenset({"softmax", "log_softmax", "logsoftmax", "hardmax", "glu", "softmax2d", "crelu"})  # these mix them
AGREES = 1e-4  # of the largest value: how near the units that are tried both ways must come
TRIED = 2


@dataclass(frozen=True)
class Step:
    """A linear layer, and what goes into it, before and after the change of all units, (1, c, *spatial) or (1, features)."""

    layer: Layer
    kernel: Array
    gave: Array
    before: Array
    after: Array

    def with_each(self, units: Sequence[int], channels: int, *, last: bool) -> Array:
        """(units, *output) what the layer gives with each of `units` changed. `last`: features come channels last."""
        change = self.after[0] - self.before[0]
        if self.layer.kind == "dense":
            of_unit, change = self._features(channels, last=last), change.ravel()
            return np.concatenate([self.gave + self.kernel[:, of_unit[unit]] @ change[of_unit[unit]] for unit in units])
        result: Array = np.empty((len(units), *self.gave.shape[1:]), np.float32)
        for into, unit in zip(result, units, strict=True):
            self._convolve(change[unit], self.kernel[:, unit], into)
            into += self.gave[0]
        return result

    def reaches(self, channels: int, *, last: bool) -> npt.NDArray[np.bool_]:
        """(channels,) whether anything changes here with each unit."""
        changed = (self.after[0] != self.before[0]).ravel()
        where = (
            self._features(channels, last=last) if self.layer.kind == "dense" else np.arange(changed.size).reshape(channels, -1)
        )
        result: npt.NDArray[np.bool_] = changed[where].any(1)
        return result

    def _features(self, channels: int, *, last: bool) -> npt.NDArray[np.intp]:
        """(channels, ...) which features of a flattened map are of each channel."""
        features = np.arange(self.before[0].size)
        return features.reshape(-1, channels).T if last else features.reshape(channels, -1)

    def _convolve(self, map_: Array, kernel: Array, into: Array) -> None:
        """Write one channel's map (*spatial) under its kernels (out, *kernel) into (out, *spatial)."""
        window, axes = self.layer.window, range(map_.ndim)
        if window is None or isinstance(window.padding, str):
            raise ValueError("no window")
        wide = np.pad(map_, [(max(a, 0), max(b, 0)) for a, b in window.padding])
        reach = [(size - 1) * step + 1 for size, step in zip(window.kernel, window.dilation, strict=True)]
        seen = np.lib.stride_tricks.sliding_window_view(wide, reach)
        places = tuple(slice(None, None, window.stride[axis]) for axis in axes)
        inside = tuple(slice(None, None, window.dilation[axis]) for axis in axes)
        patches = seen[(*places, *inside)]
        flat, weights = patches.reshape(into[0].size, -1).T, kernel.reshape(len(kernel), -1)
        each_product = np.multiply if len(flat) == 1 else np.matmul  # of one number each, twice as quick
        each_product(weights, flat, out=into.reshape(len(into), -1))


@dataclass(frozen=True, eq=False)
class Quick:
    """From units to edits further on that come to the same as switching each of them off.

    last   whether a dense layer's features come channels last
    """

    steps: Sequence[Step]
    channels: int
    last: bool

    def __call__(self, units: Sequence[int]) -> list[Edit]:
        return [Edit(step.layer.name, 0.0, step.with_each(units, self.channels, last=self.last)) for step in self.steps]

    @property
    def reaches(self) -> npt.NDArray[np.bool_]:
        """(channels,) whether a unit's change comes as far as one of the layers: behind a ReLU nothing may be left of it."""
        reached = [step.reaches(self.channels, last=self.last) for step in self.steps]
        result: npt.NDArray[np.bool_] = np.any(reached, axis=0)
        return result


def each_way(
    engine: Engine, stopped: Held, units: Sequence[int], without: Callable[[Sequence[int]], Edit], all_off: Edit, read: str
) -> Quick | None:
    """From some of `units` to edits further on that come to the same as switching each of them off. None where not proven.

    without   from some units to the edit that does that at the held layer itself; `all_off`, that of all units
    proven    the graph shows what lies between, and for the units that change most both ways give the same
    """
    found = mixers(engine.graph, stopped.layer)
    if not found or any(engine.graph[name].index > _place(engine.graph, read) for name in found):
        return None
    fed, channels = [engine.graph[name].inputs[0] for name in found], stopped.value.shape[1]
    plain, changed = stopped.run([*found, *fed]), stopped.run(fed, [all_off])
    steps = [
        Step(engine.graph[name], engine.weights(name)["kernel"], plain[name], plain[source], changed[source])
        for name, source in zip(found, fed, strict=True)
    ]
    if not all(fits(step, channels) for step in steps):
        return None
    sizes = np.abs(all_off.scale * stopped.value + all_off.shift - stopped.value).reshape(channels, -1).sum(1)
    tried = sorted(units, key=lambda unit: -sizes[unit])[:TRIED]
    slowly = stopped.run([read], [without(tried)], repeat=len(tried))[read]
    for last in (False, True):
        quick = Quick(steps, channels, last)
        quickly = stopped.run([read], quick(tried), repeat=len(tried))[read]
        if np.abs(quickly - slowly).max() <= AGREES * np.abs(slowly).max():
            return quick
    return None


def fits(step: Step, channels: int) -> bool:
    """Whether the layer is one that this file knows how to take apart."""
    if step.layer.kind == "dense":
        return bool(step.kernel.shape[1] == step.before[0].size and step.before[0].size % channels == 0)
    window = step.layer.window
    plain = window is not None and not isinstance(window.padding, str) and window.fill == "zeros"
    return bool(plain and step.layer.kind == "convolution" and step.kernel.shape[1] == channels == step.before.shape[1])


def mixers(graph: Graph, layer: str) -> list[str]:
    """The convolutions and dense layers that mix what `layer`'s channels have become; [] where something else may do so."""
    if not graph.wired:
        return []
    reached, found = {layer}, list[str]()
    for row in graph.layers[graph[layer].index + 1 :]:
        if row.kind == "network" or reached.isdisjoint(row.inputs):
            continue
        if row.kind in ("convolution", "dense"):
            if len(row.inputs) != 1 or row.activation not in (None, "linear"):
                return []
            found.append(row.name)
        elif keeps_channels(row, graph):
            reached.add(row.name)
        else:
            return []
    return found


def keeps_channels(row: Layer, graph: Graph) -> bool:
    """Whether it makes each channel of that channel alone; or flattens, which a dense layer is proven to follow."""
    name = (row.activation or row.native).lower()
    if row.kind == "activation":
        return name not in OF_CHANNELS
    if row.kind == "merge":
        return name in ("add", "iadd")
    if row.kind == "reshape":
        return name == "flatten" and all(each.kind == "dense" for each in graph if row.name in each.inputs)
    known: Mapping[str, str] = {"normalisation": "batchnorm", "pooling": "pool", "dropout": "dropout"}
    return row.kind in known and known[row.kind] in row.native.lower().replace("_", "")


def _place(graph: Graph, name: str) -> int:
    return graph[name].index if name in graph.names else len(graph)
