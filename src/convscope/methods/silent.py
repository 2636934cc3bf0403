"""Filters that cannot fire: those whose ReLU gives zero for every picture, proven by interval arithmetic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine, Graph, Layer
from .blocks import activation_after
from .filters import kernels
from .folding import NotAffine, affine, batch_norm_after

Interval = tuple[float, float]
INFINITE: Interval = (-np.inf, np.inf)
# What an activation gives, by the framework's name in small letters without underscores.
RANGES: dict[str, Interval] = {
    "relu": (0, np.inf), "relu6": (0, 6), "sigmoid": (0, 1), "hardsigmoid": (0, 1), "tanh": (-1, 1), "softmax": (0, 1),
    "softplus": (0, np.inf), "softsign": (-1, 1),
}  # fmt: skip
ZERO_BELOW = ("relu", "relu6")
KEEPING = ("pooling", "dropout", "reshape")  # they give what they get, or means of it
INVENTING = ("lp",)  # values beyond those that it gets
ROUNDING = 1e-6
Doubles = npt.NDArray[np.float64]


def silent(engine: Engine, layer: str) -> tuple[int, ...] | None:
    """The filters of `layer` that are zero after their ReLU whatever the picture; None if no ReLU follows.

    The greatest value that a filter can have is bias + sum of max(w * low, w * high) over its weights, where low and high bound
    what the layer receives: 0 and infinity after a ReLU, say; through a BatchNorm that follows, with its scale and shift.
    What is not in the list may fire or not; nothing is guessed.
    """
    graph = engine.graph
    if not _relu_follows(graph, layer):
        return None
    weights = kernels(engine, layer)
    if "kernel" not in weights:  # a separable layer: two kernels, one after the other
        return None
    least, greatest = bounds(weights["kernel"], weights.get("bias"), *received(graph, layer))
    norm = batch_norm_after(graph, layer)
    if norm is not None:
        try:
            scale, shift = (each.astype(np.float64) for each in affine(engine, layer, norm))
        except NotAffine:
            return ()
        end = np.where((scale >= 0)[:, None], greatest, least)  # each with its size beside it
        with np.errstate(invalid="ignore"):
            scaled = np.where(scale[:, None] == 0, 0, end * scale[:, None])
        greatest = np.stack([scaled[:, 0] + shift, np.abs(scaled[:, 1]) + np.abs(shift)], axis=1)
    return tuple(int(unit) for unit in np.flatnonzero(greatest[:, 0] <= -ROUNDING * greatest[:, 1]))


def bounds(kernel: Array, bias: Array | None, low: float, high: float) -> tuple[Doubles, Doubles]:
    """(out, 2) each: the least and the greatest value of each filter over inputs in [low, high], with the size of what is summed.

    What is summed may be off by its magnitude times ROUNDING in the network's own float32.
    """
    flat = kernel.reshape(len(kernel), -1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        ends = np.stack([np.where(flat == 0, 0, flat * low), np.where(flat == 0, 0, flat * high)])
    shift = np.zeros(len(flat)) if bias is None else bias.astype(np.float64)
    low_end, high_end = (
        np.stack([end.sum(1) + shift, np.abs(end).sum(1) + np.abs(shift)], axis=1) for end in (ends.min(0), ends.max(0))
    )
    return low_end, high_end


def received(graph: Graph, layer: str) -> Interval:
    """What bounds the values that `layer` receives, with 0 among them, since its padding is zeros."""
    return _joined(graph, graph[layer]) if graph.wired else INFINITE


def _joined(graph: Graph, row: Layer) -> Interval:
    found = [_given(graph, graph[name]) for name in row.inputs] or [INFINITE]
    return min(0.0, *(low for low, _ in found)), max(0.0, *(high for _, high in found))


def _given(graph: Graph, row: Layer) -> Interval:
    """What bounds the values that a row gives."""
    name = _activation(row)
    if name in RANGES:
        return RANGES[name]
    native = row.native.replace("_", "").lower()
    joining = native in ("concat", "cat", "concatenate")
    invents = native.startswith(INVENTING) or "lppool" in native
    return _joined(graph, row) if joining or (row.kind in KEEPING and not invents) else INFINITE


def _activation(row: Layer) -> str:
    inside = row.activation or (row.native if row.kind == "activation" else "")
    return inside.replace("_", "").lower()


def _relu_follows(graph: Graph, layer: str) -> bool:
    if graph[layer].activation is not None:
        return _activation(graph[layer]) in ZERO_BELOW
    after = activation_after(graph, layer)
    return after is not None and _activation(graph[after]) in ZERO_BELOW and _passes_only_batch_norm(graph, layer, after)


def _passes_only_batch_norm(graph: Graph, layer: str, activation: str) -> bool:
    before = graph[activation].inputs
    return before == (layer,) or before == (batch_norm_after(graph, layer),)
