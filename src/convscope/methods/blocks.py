"""Which layers to look at: the ends of blocks, and the activation that follows a convolution."""

from __future__ import annotations

from dataclasses import dataclass

from ..core import Graph, Layer

CONCATENATIONS = ("cat", "concat", "concatenate", "qlinearconcat")
KEEPING_ZERO = ("pooling", "resizing", "padding", "dropout", "reshape")  # a map of zeros comes out of these as one


def block_ends(graph: Graph) -> tuple[str, ...]:
    """The last convolution before each change of resolution, and the last one of all.

    It is found by what flows, never by names: VGG16 gives its layers 2, 5, 9, 13 and 17. Convolutions on 1 x 1 maps
    (squeeze-and-excite, a classifier at the end) do not end a block, unless there are no others.
    """
    convolutions = [layer for layer in graph if layer.is_convolution and layer.shape is not None]
    spread = [layer for layer in convolutions if any(size != 1 for size in resolution(layer))] or convolutions
    following = [*spread[1:], None]
    return tuple(
        layer.name
        for layer, after in zip(spread, following, strict=True)
        if after is None or resolution(after) != resolution(layer)
    )


def resolution(layer: Layer) -> tuple[int | None, ...]:
    """The spatial sizes of a layer's output; () for a dense layer."""
    return (layer.shape or ())[1:]


def activation_after(graph: Graph, name: str) -> str | None:
    """The activation layer that alone receives `name`'s output, directly or through a normalisation; None if there is none.

    None too where the graph is not known well enough to be sure: a wrong name here would be a wrong picture.
    """
    at = name
    while True:
        followers = [layer for layer in graph if at in layer.inputs]
        if len(followers) != 1 or followers[0].kind not in ("activation", "normalisation"):
            return None
        if followers[0].kind == "activation":
            return followers[0].name
        at = followers[0].name


def is_activated(graph: Graph, name: str) -> bool:
    """Whether `name`'s own output is after an activation: one inside the layer, the layer itself, or one before a pooling say.

    Maps that are put together, in a block of Inception say, are after one if all of them are.
    """
    layer = graph[name]
    while layer.kind in KEEPING_ZERO and len(layer.inputs) == 1:
        layer = graph[layer.inputs[0]]
    if layer.kind == "merge" and layer.inputs and layer.native.lower() in CONCATENATIONS:
        return all(is_activated(graph, each) for each in layer.inputs)
    return layer.kind == "activation" or layer.activation is not None


@dataclass(frozen=True)
class Block:
    """A run of rows of the layer table that work at one resolution; the last may be the dense layers after all of them."""

    layers: tuple[Layer, ...]
    resolution: tuple[int | None, ...]  # () for dense layers


def stages(graph: Graph) -> tuple[Block, ...]:
    """The rows of a network as blocks: a new one begins with each convolution or dense layer at another resolution.

    Poolings and paddings belong to the block that they end, as they do in the drawings of papers. Convolutions on 1 x 1 maps
    stay where they stand, as for `block_ends`.
    """
    ends = set(block_ends(graph)) if any(layer.is_convolution and layer.shape for layer in graph) else set()
    spread = {name for name in ends if any(size != 1 for size in resolution(graph[name]))}
    blocks: list[list[Layer]] = []
    at: tuple[int | None, ...] | None = None
    for layer in graph:
        if layer.kind == "input":
            continue
        opens = layer.kind == "dense" or (layer.is_convolution and (not spread or any(size != 1 for size in resolution(layer))))
        if not blocks or (opens and layer.shape is not None and resolution(layer) != at):
            blocks.append([])
            at = resolution(layer) if layer.shape is not None else at
        blocks[-1].append(layer)
    return tuple(Block(tuple(block), _resolution_of(block)) for block in blocks)


def _resolution_of(block: list[Layer]) -> tuple[int | None, ...]:
    """That of its first convolution or dense layer; of a block without one, of its first row."""
    weighty = [layer for layer in block if layer.is_convolution or layer.kind == "dense"]
    return resolution((weighty or block)[0])
