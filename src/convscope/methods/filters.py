"""The learned kernels of one layer."""

from __future__ import annotations

from ..core import CONVOLUTIONS, Array, Engine, Graph
from ..errors import InputError

KERNELS = ("kernel", "depthwise_kernel", "inner_kernel", "raw_kernel")


def kernels(engine: Engine, layer: str) -> dict[str, Array]:
    """The kernels of a convolution or dense layer by name: "kernel", or "depthwise_kernel" and "pointwise_kernel"; and "bias".

    "inner_kernel" of a layer that does more than convolve with it; "raw_kernel" for what kernels are made of in a way that is not
    known, or for each picture anew: nothing can be computed with those.

    A kernel is found by what the layer is, never by its name or by how many weights it has.

    raises   UnknownLayer; InputError for a layer without a kernel
    """
    row = engine.graph[layer]
    weights = {name: values for name, values in engine.weights(layer).items() if name.endswith(("kernel", "bias"))}
    if row.function and row.is_convolution:
        raise InputError(f"'{layer}' is computed by a function ({row.native}), which has no kernel of its own.", received=layer)
    if row.kind == "other" and any(name.endswith("kernel") for name in weights):
        shapes = ", ".join(f"'{name}' {values.shape}" for name, values in weights.items())
        raise InputError(
            f"'{layer}' ({row.native}) is a layer of which it is not known what its weights mean, so they are not shown as "
            f"filters. They are {shapes}: engine.weights('{layer}').",
            received=layer,
        )
    if not any(name.endswith("kernel") for name in weights):
        convolutions = [each.name for each in engine.graph if each.is_convolution]
        hint = f" The first convolution is '{convolutions[0]}'." if convolutions else ""
        raise InputError(f"'{layer}' is of the kind {row.kind} ({row.native}) and has no filters.{hint}", received=layer)
    return weights


def sees_picture(graph: Graph, layer: str) -> bool:
    """Whether no other layer with a kernel comes before `layer`: its input channels are then those of the picture.

    Where the graph is not wired, only the first layer with a kernel is taken for one.
    """
    with_kernel = [row.name for row in graph if row.kind in (*CONVOLUTIONS, "dense")]
    if not graph.wired:
        return with_kernel[:1] == [layer]
    behind, seen = list(graph[layer].inputs), set[str]()
    while behind:
        name = behind.pop()
        if name in with_kernel:
            return False
        if name not in seen:
            seen.add(name)
            behind += graph[name].inputs
    return True
