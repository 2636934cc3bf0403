"""What a layer costs: multiply-adds for one picture, from the shapes alone."""

from __future__ import annotations

from math import prod

from ..core import Graph, Layer
from ..errors import Shape


def multiply_adds(graph: Graph, name: str) -> int | None:
    """Multiply-adds that `name` needs for one picture: weights of its kernel times the places where it is applied.

    0 for a layer without a kernel, whose work is small beside it. None where a size is not known. Biases are not counted.
    A transposed convolution is applied at every place of its input, any other at every place of its output.
    """
    layer = graph[name]
    if layer.kernel is None:
        return 0
    places = _places(graph, layer)
    weights = None if None in layer.kernel else prod(size for size in layer.kernel if size is not None)
    if places is None or weights is None:
        return None
    return (weights + (_pointwise(layer) if layer.kind == "separable" else 0)) * places


def _places(graph: Graph, layer: Layer) -> int | None:
    """At how many places the kernel is applied; 1 for a dense layer after a flatten."""
    shape: Shape | None = layer.shape
    if layer.kind == "transposed":
        shape = graph[layer.inputs[0]].shape if len(layer.inputs) == 1 else None
    if shape is None or None in shape[1:]:
        return None
    return prod(size for size in shape[1:] if size is not None)


def _pointwise(layer: Layer) -> int:
    """Weights of the 1 x 1 convolution in a separable one, whose `kernel` is the depthwise one, (*sizes, in, multiplier)."""
    *_, channels, multiplier = layer.kernel or (0, 0)
    return (channels or 0) * (multiplier or 0) * ((layer.shape or (0,))[0] or 0)
