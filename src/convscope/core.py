"""The whole vocabulary between a network and those who look into it. No framework is imported here.

    Layer, Graph      what the network is made of
    Window            which places of its input a place of a layer looks at
    Tap               where to read
    Edit              what to change
    Engine            runs a network with taps and edits
    Differentiable    an Engine whose runs can be pulled back
    Reweighable       an Engine that can be copied with other weights
    RuledBackward     a Differentiable Engine whose ReLUs can be given another backward rule
    Resumable         an Engine that can stop at a layer and go on from there, again and again
    Local             an Engine that can compute a layer on parts of maps
    Bulk              an Engine that is quicker on many pictures where the last digits may differ

Every array that crosses this boundary is NumPy, float32, channels first: (n, c, *spatial) for maps, (n, units) for dense
layers, (out, in, *kernel) for kernels. Engines transpose; nobody else does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .errors import InputError, Shape, UnknownLayer, UnusedLayer, WrongPictureShape

Array = npt.NDArray[np.float32]
# What a network takes: (n, c, *spatial), or for a network with several inputs such an array for each, by the names of their rows.
Pictures = Array | Mapping[str, Array]
Reduce = Literal["none", "mean", "max", "argmax", "active"]
Kind = Literal[
    "input", "convolution", "depthwise", "separable", "transposed", "dense", "normalisation", "activation", "pooling",
    "padding", "merge", "reshape", "dropout", "network", "other",
]  # fmt: skip
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
    """

    layers: tuple[Layer, ...]
    wired: bool = True
    parameters: int | None = None  # in all, shared ones counted once; None: the sum of the rows
    unused: tuple[str, ...] = ()  # layers that the network has, but which did not run

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
        return UnusedLayer(name, known) if name in self.unused else UnknownLayer(name, known)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)


@dataclass(frozen=True)
class Tap:
    """Read `layer`'s output. `reduce` collapses the spatial axes where the network runs: (n, c, *spatial) -> (n, c).

    mean, max   over the positions
    argmax      the position of the maximum, int64, since float32 has not every whole number above 2 ** 24: the index into the
                spatial axes laid flat, row by row; of equal values the first; not defined where a value is NaN
    active      the share, 0..1, of the positions whose value is above zero; not defined where a value is NaN
    """

    layer: str
    reduce: Reduce = "none"


@dataclass(frozen=True, eq=False)
class Edit:
    """Replace `layer`'s output `a` by `a * scale + shift`; both broadcast against (n, c, *spatial), channels first.

    An edit is data, not a callback, so that it survives jit, ONNX and a trip to another machine. To switch off unit 17
    of 64: `Edit("conv1", scale=mask)` with `mask` of shape (64, 1, 1), zero at 17.
    """

    layer: str
    scale: Array | float = 1.0
    shift: Array | float = 0.0


class Run(Mapping[Tap, Array]):
    """What was read: `run["conv1"]`, `run[Tap("conv1", "mean")]`, `run["output"]`."""

    def __init__(self, values: Mapping[Tap, Array]):
        self._values = dict(values)

    def __getitem__(self, tap: Tap | str) -> Array:
        tap = as_tap(tap)
        if tap not in self._values:
            asked = ", ".join(f"'{each.layer}'" for each in self._values)
            raise InputError(f"'{tap.layer}' with reduce='{tap.reduce}' was not read in this run. What was read: {asked}.")
        return self._values[tap]

    def __iter__(self) -> Iterator[Tap]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Trace(Protocol):
    """A run that remembers how it was computed."""

    def __getitem__(self, tap: Tap | str) -> Array: ...

    def pullback(self, seeds: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
        """Vector-Jacobian product: for each name in `wrt`, the gradient of sum_k <seeds[k], value of k>.

        `seeds` may stand at "output" and at tapped layers; `wrt` may name inputs and tapped layers. Zero where nothing flows.
        Gradients begin at the first tapped layer; of an input that was not tapped they can cost a second run.
        """
        ...


class Engine(Protocol):
    """Runs one network. "input" and "output" are names too; of several, "input:1" and "output:1" are the second."""

    @property
    def graph(self) -> Graph: ...

    @property
    def framework(self) -> str:
        """Name and version, for the provenance: "onnxruntime 1.32.0"."""
        ...

    def weights(self, layer: str) -> Mapping[str, Array]:
        """`kernel` (out, in / groups, *kernel) and `bias` (out,) where there are such; else by the framework's names.

        Raises UnknownLayer.
        """
        ...

    def run(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Run:
        """Read `taps` while `pictures` pass: (n, c, *spatial), or of several inputs {name: array}. Without taps, the output.

        What is read is what the next layer received, after any edit. Stops as soon as the last tap is known.
        Raises UnknownLayer, UnusedLayer, WrongPictureShape, EngineError.
        """
        ...


@runtime_checkable
class Differentiable(Engine, Protocol):
    """An Engine with gradients."""

    def trace(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Trace:
        """As `run`, always to the output, remembering how it was computed."""
        ...


@runtime_checkable
class Reweighable(Engine, Protocol):
    """An Engine that can be copied with other weights."""

    def with_weights(self, weights: Mapping[str, Mapping[str, Array]]) -> Engine:
        """A copy in which these layers have these weights, named and laid out as `weights` gives them; this one stays as it is.

        raises   UnknownLayer; InputError for weights of another name or shape; Unsupported for what cannot be copied
        """
        ...


Rule = Literal["guided", "deconvnet"]
RULES: tuple[Rule, ...] = ("guided", "deconvnet")


@runtime_checkable
class RuledBackward(Differentiable, Protocol):
    """An Engine whose gradients can flow back by another rule."""

    def trace_by(self, rule: Rule, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Trace:
        """As `trace`, with another backward rule at every ReLU, whatever makes it. Raises Unsupported where there is none.

        guided      relu(g) where the ReLU let something through
        deconvnet   relu(g) everywhere
        """
        ...


class Held(Protocol):
    """Pictures on their way through a network, stopped after one layer.

    layer   where they stopped
    value   (n, c, *spatial), what the next layer is about to receive; the receiver's own copy
    """

    layer: str
    value: Array

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        """As `Engine.run` on the same pictures, but computing only what lies after `layer`. Without taps, the output.

        taps, edits   at `layer` or at rows below it in the layer table
        repeat        each picture so many times in a row: (n * repeat, ...), so that edits with a batch axis try as many things
        raises        InputError for a row above the held one
        """
        ...


@runtime_checkable
class Resumable(Engine, Protocol):
    """An Engine that need not compute the same thing twice."""

    def hold(self, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> Held:
        """Run `pictures` up to `layer`. `edits` stay: those of rows above it are made once, those of rows below in every run.

        Law: `hold(x, L, first).run(taps, then)` equals `run(x, taps, [*first, *then])` for taps and `then` at or after L.
        """
        ...


@dataclass(frozen=True)
class Part:
    """What one layer makes of parts of the maps that feed it.

    call   from an array (n, c, *spatial) for each of the layer's inputs, which it does not write into, to (n, c', *spatial'):
           the places whose windows lie inside, since nothing is padded
    edge   what stands beyond the edges of the whole maps: 0 around a convolution, -inf around a maximum
    """

    call: Callable[[Sequence[Array]], Array]
    edge: float = 0.0


@runtime_checkable
class Local(Engine, Protocol):
    """An Engine that can compute a layer on parts of maps."""

    def local(self, layer: str) -> Part | None:
        """How a row is computed on parts; None where a place may depend on more than the row's window shows.

        A row without a window makes each place of those at the same place, of maps of its own size.
        Law: of the maps that feed `layer`, with their edges, `call` makes what `run` reads there.
        """
        ...


@runtime_checkable
class Bulk(Engine, Protocol):
    """An Engine that has a quicker way for many pictures."""

    def bulk(self, pictures: Pictures, layer: str) -> Array:
        """What `run` reads of `layer`, to 1e-5 of the largest value: the network may compute it in another order."""
        ...


def arrays(pictures: Pictures) -> dict[str, Array]:
    """By the rows that they go into: a single array into "input"."""
    return dict(pictures) if isinstance(pictures, Mapping) else {"input": pictures}


def each_array(pictures: Pictures, change: Callable[[Array], Array]) -> Pictures:
    """`change` of every array, whether there is one or several: `each_array(pictures, lambda array: array[::-1])`."""
    return {name: change(array) for name, array in pictures.items()} if isinstance(pictures, Mapping) else change(pictures)


def batch(pictures: Pictures, part: slice) -> Pictures:
    """Some of the pictures, of every input the same ones."""
    return each_array(pictures, lambda array: array[part])


def count(pictures: Pictures) -> int:
    """How many pictures there are. Raises InputError where the inputs differ in that."""
    lengths = {name: (np.shape(array) or (0,))[0] for name, array in arrays(pictures).items()}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"'{name}' has {length}" for name, length in lengths.items())
        raise InputError(f"Every input takes as many entries as there are pictures, but {counted}.", received=lengths)
    return next(iter(lengths.values()), 0)


def input_names(graph: Graph) -> list[str]:
    """ "input", and "input:1" for the second of several, however the rows are called."""
    return ["input"] + [f"input:{index}" for index in range(1, len(graph.inputs))]


def by_input(pictures: Pictures, graph: Graph) -> dict[str, Array]:
    """The arrays by `input_names`, in that order, whether they were given by these or by the names of the rows.

    raises   InputError for one that is missing, unknown or of another length; WrongPictureShape for one of other axes
    """
    names = input_names(graph)
    known = {row.name: name for name, row in zip(names, graph.inputs, strict=True)}
    given = {known.get(name, name): array for name, array in arrays(pictures).items()}
    if set(given) != set(names):
        wanted, received = (", ".join(map(repr, each)) for each in (names, given))
        raise InputError(
            f"This network takes {wanted}, but received {received}. Give an array for each: {{'{names[0]}': array}}.",
            received=tuple(given),
            expected=tuple(names),
        )
    for name, row in zip(names, graph.inputs, strict=True):
        if row.shape is not None and np.ndim(given[name]) != len(row.shape) + 1:
            raise WrongPictureShape(np.shape(given[name]), (None, *row.shape), name if len(names) > 1 else None)
    count(given)
    return {name: given[name] for name in names}


def as_tap(tap: Tap | str) -> Tap:
    return Tap(tap) if isinstance(tap, str) else tap


def merged(edits: Iterable[Edit]) -> dict[str, Edit]:
    """One edit per layer: several of the same layer act one after the other, (a * s + t) * s' + t'."""
    result: dict[str, Edit] = {}
    for edit in edits:
        factor, shift = np.asarray(edit.scale, np.float32), np.asarray(edit.shift, np.float32)
        before = result.get(edit.layer)
        if before is not None:
            factor, shift = factor * before.scale, before.shift * factor + shift
        result[edit.layer] = Edit(edit.layer, factor, shift)
    return result


def reduced(values: Array, reduce: Reduce) -> Array:
    """Collapse the spatial axes of (n, c, *spatial), see Tap. A unit of (n, units) is its own mean and maximum, at position 0.

    Of maps without a position all that is NaN, and the position -1.
    """
    if reduce == "none":
        return values
    if 0 in values.shape[2:]:
        return np.full(values.shape[:2], -1) if reduce == "argmax" else np.full(values.shape[:2], np.nan, np.float32)
    flat = values.reshape(*values.shape[:2], -1) if values.ndim > 2 else values[..., None]
    if reduce == "argmax":
        places: Array = flat.argmax(-1).astype(np.int64)
        return places
    if reduce == "active":
        return np.asarray((flat > 0).mean(-1), np.float32)
    result: Array = flat.mean(-1) if reduce == "mean" else flat.max(-1)
    return result
