"""What a network is made of: the rows of the layer table, and how they feed each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import PieceOfLayer, Shape, UnknownLayer, UnusedLayer

Kind = Literal[
    "input", "convolution", "depthwise", "separable", "transposed", "dense", "normalisation", "activation", "pooling",
    "resizing", "padding", "merge", "reshape", "dropout", "network", "other",
]  # fmt: skip
OF_THE_BATCH = " of the batch"  # behind the word for a BatchNorm that has no statistics of its own, and takes those of what runs
CONVOLUTIONS: frozenset[Kind] = frozenset({"convolution", "depthwise", "separable", "transposed"})


@dataclass(frozen=True)
class Window:
    """Where a convolution, pooling or padding looks, one number per spatial axis.

    Place `o` of the output looks at `o * stride - before + j * dilation` of the input, j = 0 ... kernel - 1. `transposed` ones
    are the other way round: place `i` of the input is looked at by `i * stride - before + j * dilation` of the output.

    padding   (before, after) for each axis, negative where the input is cropped; "same" or "same_lower" where it is what makes
              the output ceil(input / stride), the odd one after or before
    fill      what stands in the padding: "zeros" (or any constant), "reflect", "replicate" or "circular"
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...] | Literal["same", "same_lower"]
    transposed: bool = False
    fill: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"


@dataclass(frozen=True)
class Layer:
    """One row of the layer table: one array that flows through the network.

    A layer that is called twice has two rows, `relu` and `relu#2`; one with several outputs has `lstm:0` and `lstm:1`.
    """

    index: int
    name: str
    kind: Kind
    native: str  # the framework's own word: "Conv2D", "BatchNorm2d", "Gemm"
    shape: Shape | None = None  # of the output, channels first, without the batch: (c, *spatial). None: not known
    native_shape: Shape | None = None  # the same as the framework prints it: (None, 224, 224, 64)
    parameters: int = 0
    kernel: Shape | None = None  # the kernel's shape in the framework's own layout: Keras says (3, 3, 3, 64)
    inputs: tuple[str, ...] = ()  # the rows that feed it, where the graph is wired
    activation: str | None = None  # an activation inside the layer ("relu"), so that its output is after it
    trainable: int = 0  # how many of the parameters are trained
    function: bool = False  # made between the layers, by `x + y` say, in a framework where that is no layer
    window: Window | None = None  # None: it has none, or it is not known

    @property
    def is_convolution(self) -> bool:
        return self.kind in CONVOLUTIONS


@dataclass(frozen=True)
class Graph:
    """The layers in the order in which they run. Row 0 is the input; of several, `input:1` is the second, and row 1.

    wired   whether `Layer.inputs` is known
    mixed   whether what the network makes of a picture depends on the others that run with it: of two changes of one picture,
            each then goes through alone
    """

    layers: tuple[Layer, ...]
    wired: bool = True
    parameters: int | None = None  # in all, shared ones counted once; None: the sum of the rows
    unused: tuple[str, ...] = ()  # layers that the network has, but which did not run
    pieces: tuple[tuple[str, str], ...] = ()  # layers inside others that are read as one piece, and these others
    mixed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers)

    @property
    def inputs(self) -> tuple[Layer, ...]:
        """The rows that are inputs of the network."""
        return tuple(layer for layer in self.layers if layer.kind == "input")

    def __getitem__(self, name: str) -> Layer:
        """The row called `name`. Raises UnknownLayer."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise self.unknown(name)

    def unknown(self, name: str, known: Sequence[str] | None = None) -> UnknownLayer:
        """The error for a name that is none of `known`, by default the rows."""
        known = self.names if known is None else known
        if whole := next((row for path, row in self.pieces if f"/{path}".endswith(f"/{name}")), None):
            return PieceOfLayer(name, whole, known)
        return UnusedLayer(name, known) if name in self.unused else UnknownLayer(name, known)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)
