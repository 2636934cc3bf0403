"""What the next linear layer makes of a unit's change, without running it: it adds what the change alone gives.

Between a layer and the next convolution or dense layer stand steps that treat each channel by itself: normalisation, activation,
pooling, padding, adding, depthwise convolutions. So one run with all units changed says what each of them becomes there, and
W (x + d_u) = W x + W_u d_u.
Where the change flows on beside that layer too, through a shortcut say, the unit is switched off as well, and the shortcut runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array, Edit, Engine, Graph, Held, Layer, Window
from .reach import along

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
        assert self.layer.window
        axes = [along(self.layer.window, axis, size) for axis, size in enumerate(map_.shape)]
        seen = np.lib.stride_tricks.sliding_window_view(
            np.pad(map_, [(each.before, each.after) for each in axes]), [(each.kernel - 1) * each.dilation + 1 for each in axes]
        )
        patches = seen[(*(slice(None, None, each.stride) for each in axes), *(slice(None, None, each.dilation) for each in axes))]
        flat, weights = patches.reshape(into[0].size, -1).T, kernel.reshape(len(kernel), -1)
        each_product = np.multiply if len(flat) == 1 else np.matmul  # of one number each, twice as quick
        each_product(weights, flat, out=into.reshape(len(into), -1))


@dataclass(frozen=True, eq=False)
class Quick:
    """From units to edits that come to the same as switching each of them off.

    last      whether a dense layer's features come channels last
    without   the edit at the layer itself, where its change flows on beside the steps; there `beside` says of which channels
    """

    steps: Sequence[Step]
    channels: int
    last: bool
    without: Callable[[Sequence[int]], Edit] | None
    beside: npt.NDArray[np.bool_]

    def __call__(self, units: Sequence[int]) -> list[Edit]:
        itself = [self.without(units)] if self.without else []
        return [
            *itself,
            *(Edit(step.layer.name, 0.0, step.with_each(units, self.channels, last=self.last)) for step in self.steps),
        ]

    @property
    def reaches(self) -> npt.NDArray[np.bool_]:
        """(channels,) whether a unit's change comes as far as one of the layers: behind a ReLU nothing may be left of it."""
        reached = [step.reaches(self.channels, last=self.last) for step in self.steps]
        result: npt.NDArray[np.bool_] = np.any([*reached, self.beside], axis=0)
        return result


def each_way(
    engine: Engine,
    stopped: Held,
    units: Sequence[int],
    without: Callable[[Sequence[int]], Edit],
    all_off: Edit,
    read: str,
    answer: Array,
) -> Quick | None:
    """From some of `units` to edits that come to the same as switching each of them off, and cost less. None where not proven.

    without   from some units to the edit that does that at the held layer itself; `all_off`, that of all units
    answer    what `read` gives with nothing switched off
    proven    the graph shows what lies between; and for the units that change most, and that which changes most of those whose
              change is said to be gone, both ways give the same
    """
    found, others = mixers(engine.graph, stopped.layer)
    if not found or engine.graph.mixed or any(engine.graph[name].index > _place(engine.graph, read) for name in found):
        return None
    fed, channels = [engine.graph[name].inputs[0] for name in found], stopped.value.shape[1]
    plain, changed = stopped.run([*found, *fed, *others]), stopped.run([*fed, *others], [all_off])
    kernels = [engine.weights(name).get("kernel") for name in found]
    steps = [
        Step(engine.graph[name], kernel, plain[name], plain[source], changed[source])
        for name, source, kernel in zip(found, fed, kernels, strict=True)
        if kernel is not None
    ]
    if len(steps) < len(found):  # it is not known how one of them acts
        return None
    if not all(fits(step, channels) for step in steps) or any(plain[name].shape[1] != channels for name in others):
        return None
    beside = np.zeros(channels, np.bool_)
    for name in others:
        beside |= (changed[name] != plain[name]).reshape(channels, -1).any(1)
    sizes = np.abs(all_off.scale * stopped.value + all_off.shift - stopped.value).reshape(channels, -1).sum(1)
    order = sorted(units, key=lambda unit: -sizes[unit])
    for last in (False, True):
        quick = Quick(steps, channels, last, without if others else None, beside)
        reaches = quick.reaches
        gone = [unit for unit in order if not reaches[unit]][:1]
        tried = [*(unit for unit in order[:TRIED] if unit not in gone), *gone]
        slowly = stopped.run([read], [without(tried)], repeat=len(tried))[read]
        quickly = stopped.run([read], quick(tried), repeat=len(tried))[read]
        quickly[len(tried) - len(gone) :] = answer
        if np.abs(quickly - slowly).max() <= AGREES * np.abs(slowly).max():
            return quick
    return None


def fits(step: Step, channels: int) -> bool:
    """Whether the layer is one that this file knows how to take apart."""
    if step.layer.kind == "dense":
        return bool(step.kernel.shape[1] == step.before[0].size and step.before[0].size % channels == 0)
    window = step.layer.window
    plain = window is not None and window.fill == "zeros" and not cropped(window)
    return bool(plain and step.layer.kind == "convolution" and step.kernel.shape[1] == channels == step.before.shape[1])


def cropped(window: Window) -> bool:
    return not isinstance(window.padding, str) and np.min(window.padding) < 0


def mixers(graph: Graph, layer: str) -> tuple[list[str], list[str]]:
    """The convolutions and dense layers that mix what `layer`'s channels have become, and the rows that also feed others.

    What such others receive is not known before they run: a sum of a shortcut and what was mixed, a softmax.
    """
    if not graph.wired:
        return [], []
    reached, mixed, found, others = {layer}, set[str](), list[str](), dict[str, None]()
    for row in graph.layers[graph[layer].index + 1 :]:
        if row.kind == "network" or (reached | mixed).isdisjoint(row.inputs):
            continue
        if mixed.isdisjoint(row.inputs) and keeps_channels(row, graph):
            reached.add(row.name)
            continue
        mixed.add(row.name)
        linear = row.kind in ("convolution", "dense") and row.activation in (None, "linear")
        if linear and len(row.inputs) == 1 and row.inputs[0] in reached:
            found.append(row.name)
        else:
            others |= dict.fromkeys(name for name in row.inputs if name in reached)
    return found, list(others)


def keeps_channels(row: Layer, graph: Graph) -> bool:
    """Whether it makes each channel of that channel alone; or flattens, which a dense layer is proven to follow."""
    name = (row.activation or row.native).lower()
    if row.kind == "activation":
        return name not in OF_CHANNELS
    if row.kind == "merge":
        return name in ("add", "iadd")
    if row.kind in ("depthwise", "padding"):
        sizes = {(each.shape or (None,))[0] for each in (row, *(graph[name] for name in row.inputs))}
        return name not in OF_CHANNELS and len(sizes) == 1
    if row.kind == "reshape":
        return name == "flatten" and all(each.kind == "dense" for each in graph if row.name in each.inputs)
    known: Mapping[str, str] = {"normalisation": "batchnorm", "pooling": "pool", "dropout": "dropout"}
    return row.kind in known and known[row.kind] in row.native.lower().replace("_", "")


def _place(graph: Graph, name: str) -> int:
    return graph[name].index if name in graph.names else len(graph)
