"""Where a classifier's scores are read: before the softmax, or the sigmoid of each class, if it ends in one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine, Graph, Layer

SQUASHED = {"softmax": "softmax", "logsoftmax": "softmax", "sigmoid": "sigmoid"}  # before these a score is read


@dataclass(frozen=True, eq=False)
class Scores:
    """How the scores of the classes follow from what one layer gives.

    layer           where to read; "output" for a network that ends in neither
    kernel, bias    (classes, features) and (classes,) of a dense layer with it inside: scores = kernel @ value + bias

    The probability is no good score: where it is near 1 the softmax is flat, so that its gradient vanishes in float32.
    """

    layer: str
    said: str
    kernel: Array | None = None
    bias: Array | float = 0.0

    def of(self, values: Array) -> Array:
        """(n, classes) from what `layer` gave."""
        flat: Array = values.reshape(len(values), -1)
        return flat if self.kernel is None else np.asarray(flat @ self.kernel.T + self.bias, np.float32)

    def seeds(self, values: Array, classes: npt.NDArray[np.intp]) -> Array:
        """The gradient of sum_n scores[n, classes[n]] with respect to what `layer` gave, in its shape."""
        if self.kernel is not None:
            return np.asarray(self.kernel[classes], np.float32).reshape(values.shape)
        seeds = np.zeros((len(values), values[0].size), np.float32)
        seeds[np.arange(len(values)), classes] = 1
        return seeds.reshape(values.shape)


def scores(engine: Engine) -> Scores:
    """Where `engine` has its scores. Only what its graph shows is believed; otherwise its output is taken."""
    end = _end(engine.graph)
    what = None if end is None else SQUASHED.get(_function(end))
    if end is None or what is None or len(end.inputs) != 1:
        return Scores("output", "the network's output")
    before = end.inputs[0]
    if end.kind != "dense":
        return Scores(before, f"the score in '{before}', before the {what}")
    weights = engine.weights(end.name)
    if "kernel" not in weights:
        return Scores("output", "the network's output")
    return Scores(before, f"the score in '{end.name}', before its {what}", weights["kernel"], weights.get("bias", 0.0))


def ends_in_sigmoid(graph: Graph) -> bool:
    """Whether the graph shows that each class has a probability of its own, so that they need not sum to one."""
    end = _end(graph)
    return end is not None and _function(end).endswith("sigmoid") and not _function(end).startswith("log")


def class_count(graph: Graph) -> int | None:
    """How many classes the graph shows; None for no classifier, and where several rows may be the output."""
    end = _end(graph) if graph.wired else graph.layers[-1]
    return end.shape[0] if end is not None and end.shape and all(size == 1 for size in end.shape[1:]) else None


def _end(graph: Graph) -> Layer | None:
    """The row that the output is, looked for through what changes no value; None where several rows may be it."""
    if not graph.wired:
        return None
    read = {name for layer in graph for name in layer.inputs}
    ends = [layer for layer in graph if layer.kind != "network" and layer.name not in read]
    while len(ends) == 1 and ends[0].kind in ("reshape", "dropout") and len(ends[0].inputs) == 1:
        ends = [graph[ends[0].inputs[0]]]
    return ends[0] if len(ends) == 1 else None


def _function(layer: Layer) -> str:
    """What a layer makes of its scores, in small letters: "softmax", "hardsigmoid"; empty for nothing."""
    named = layer.activation or (layer.native if layer.kind == "activation" else "")
    return named.lower().replace("_", "") if layer.kind in ("dense", "activation") else ""
