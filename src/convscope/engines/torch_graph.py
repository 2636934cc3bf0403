"""The layer table of a torch module, found by running it once."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from ..core import Array, Graph, Kind, Layer
from ..errors import Shape, Unsupported
from .names import is_input
from .torch_functions import KEEPING, Function
from .torch_modules import flattened, is_script, shape_of, version
from .torch_windows import window_of, window_of_call

# The file of torch.nn.modules in which a layer's class, or the class it derives from, is defined.
KINDS: dict[str, Kind] = {
    "activation": "activation",
    "batchnorm": "normalisation",
    "channelshuffle": "reshape",
    "conv": "convolution",
    "dropout": "dropout",
    "flatten": "reshape",
    "fold": "reshape",
    "instancenorm": "normalisation",
    "linear": "dense",
    "normalization": "normalisation",
    "padding": "padding",
    "pixelshuffle": "reshape",
    "pooling": "pooling",
}


@dataclass
class Call:
    """A module that runs; `inputs`: the rows that feed it, None if not known; `arrays`: how many it has returned so far."""

    module: nn.Module
    inputs: tuple[str, ...] | None
    arrays: int = 0


class Survey:
    """Writes down what runs, in which order, with which shape, and what fed it.

    A layer is fed by a row if it is called with the very tensor that the row gave, not written into since. Functions between
    the layers have rows too, where they make an array with an axis of pictures of others that flow; what else they make, a
    view with windows folded into the batch say, is known to come from the rows behind it. Where a tensor comes from nowhere
    that was seen, the graph is not wired.

    functions   the names of the functions' rows
    folded      functions and layers without a row: what they give has another first axis, as a view with windows folded into it
    unlike      names of what has another first axis, though in this run it happens to be as long as there are pictures
    """

    def __init__(self, constants: Iterable[torch.Tensor], unlike: Container[str] = ()) -> None:
        self.rows: list[Layer] = []
        self.modules: dict[str, nn.Module] = {}
        self.functions: set[str] = set()
        self.folded: list[Layer] = []
        self.outputs: list[str] = []
        self.wired = True
        self._constants = {id(each) for each in constants}
        self._pictures = 0
        self._unlike = unlike
        self._calls: list[Call] = []
        self._ran: set[nn.Module] = set()
        self._gave: dict[int, tuple[weakref.ref[torch.Tensor], int, tuple[str, ...] | None]] = {}

    @property
    def last(self) -> str | None:
        return self.rows[-1].name if len(self.rows) > 1 else None

    def graph(self, module: nn.Module, names: Mapping[nn.Module, str]) -> Graph:
        """Raises Unsupported where two rows have one name, of which only one could ever be read."""
        called = Counter(row.name for row in self.rows)
        if twice := next((name for name, times in called.items() if times > 1), None):
            raise Unsupported(f"Two layers of this network are called '{twice}'. Rename one of the modules.")
        unused = tuple(name for each, name in names.items() if each not in self._ran and kind_of(each) != "network")
        return Graph(tuple(self.rows), self.wired, sum(each.numel() for each in module.parameters()), unused)

    @property
    def doubtful(self) -> set[str]:
        """Rows with a second axis of as many as there are pictures: in `torch.stack([mean, deviation])` that one is theirs."""
        return {row.name for row in self.rows if row.shape and self._pictures in row.shape}

    def keep(self, other: Survey) -> None:
        """Only the rows that a survey of another number of pictures has too, for detectors.

        There, arrays of as many things as there are pictures look like arrays of pictures, and what is done with the things that
        were found is done as often as there are such.
        """
        names = {row.name for row in other.rows if not (row.function and is_bookkeeping(row.name.rpartition(".")[0]))}
        kept = [row for row in self.rows if row.name in names]
        if len(kept) < len(self.rows):
            self.wired = False
            self.rows = [
                replace(row, index=index, inputs=tuple(name for name in row.inputs if name in names))
                for index, row in enumerate(kept)
            ]
            self.functions &= names

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = [(each, version(each)) for each in flattened((args, kwargs))]
        self._ran.add(module)
        self._calls.append(Call(module, self._sources(given)))

    def visit(self, name: str, tensor: torch.Tensor, maker: nn.Module | Function | None, _alias: bool) -> torch.Tensor:
        if isinstance(maker, Function):
            self._row_of_function(name, tensor, maker)
        elif maker is not None:
            self._row_of(name, tensor, maker)
        elif is_input(name):
            self._pictures = len(tensor)
            self._row(name, tensor, kind="input", native="Input")
            self._keep(tensor, (name,))
        else:
            self.outputs.append(name)
        return tensor

    def _row_of(self, name: str, tensor: torch.Tensor, module: nn.Module) -> None:
        while self._calls[-1].module is not module:  # those that ran inside it, or were left by an exception
            self._calls.pop()
        call, kind = self._calls[-1], kind_of(module)
        # What a container returns is most often what its last layer gave: that one feeds what follows.
        known = kind == "network" and self._sources([(tensor, version(tensor))]) is not None
        if not self._of_pictures(name, tensor):  # a loss, a state, windows folded into the batch
            if not known:
                self._keep(tensor, call.inputs)
            if not is_looked_into(module):
                self.folded.append(self._made(name, tensor, kind=kind, native=type(module).__name__, inputs=call.inputs))
            return
        if not known:
            self._keep(tensor, (name,))
        inputs = () if kind == "network" else call.inputs
        parameters = own_parameters(module) if call.arrays == 0 else []
        call.arrays += 1
        self.modules[name] = module
        self._row(
            name,
            tensor,
            kind=kind,
            native=type(module).__name__,
            parameters=sum(each.numel() for each in parameters),
            trainable=sum(each.numel() for each in parameters if each.requires_grad),
            kernel=tuple(cast(torch.Tensor, module.weight).shape) if has_kernel(module) else None,
            inputs=inputs,
            window=window_of(module, tensor.ndim - 2),
        )

    def _row_of_function(self, name: str, tensor: torch.Tensor, function: Function) -> None:
        sources = self._sources(function.given)
        facts: dict[str, Any] = {"kind": function.kind, "native": function.name, "inputs": sources, "function": True}
        if sources == () or not tensor.is_floating_point() or function.name in KEEPING:
            self._keep(tensor, sources)
        elif not self._of_pictures(name, tensor):
            self._keep(tensor, sources)
            self.folded.append(self._made(name, tensor, **facts))
        else:
            self.functions.add(name)
            window = window_of_call(function.name, function.args, function.kwargs, tensor.ndim - 2)
            self._row(name, tensor, window=window, **facts)
            self._keep(tensor, (name,))

    def _of_pictures(self, name: str, tensor: torch.Tensor) -> bool:
        return shape_of(tensor)[:1] == (self._pictures,) and name not in self._unlike

    def _row(self, name: str, tensor: torch.Tensor, *, inputs: tuple[str, ...] | None = (), **facts: Any) -> None:
        self.wired = self.wired and inputs is not None
        self.rows.append(self._made(name, tensor, inputs=inputs, **facts))

    def _made(self, name: str, tensor: torch.Tensor, *, inputs: tuple[str, ...] | None, **facts: Any) -> Layer:
        shape: Shape = shape_of(tensor)[1:]
        return Layer(len(self.rows), name, shape=shape, native_shape=(None, *shape), inputs=inputs or (), **facts)

    def _keep(self, tensor: torch.Tensor, sources: tuple[str, ...] | None) -> None:
        self._gave[id(tensor)] = (weakref.ref(tensor), version(tensor), sources)

    def _sources(self, given: Iterable[tuple[torch.Tensor, int]]) -> tuple[str, ...] | None:
        """The rows that these come from; none for weights and constants; None where one was not seen, or written into since.

        given   tensors, and how often each had been written into when it was used
        """
        found: list[str] = []
        for tensor, used in given:
            if id(tensor) in self._constants:
                continue
            seen, written, sources = self._gave.get(id(tensor), (lambda: None, 0, None))
            if seen() is not tensor or written != used or sources is None:
                return None
            found += sources
        return tuple(dict.fromkeys(found))


def is_bookkeeping(path: str) -> bool:
    """Whether torchvision's detectors sort there what they found, as they do not in the backbone and in heads on whole maps."""
    return path == "rpn" or path.partition(".")[0] in ("", "transform", "roi_heads")


def kind_of(module: nn.Module) -> Kind:
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        return "transposed"
    if isinstance(module, nn.modules.conv._ConvNd):
        return "depthwise" if module.groups == module.in_channels > 1 else "convolution"
    if isinstance(module, nn.Identity | nn.MultiheadAttention) or is_script(module):
        return "other"
    for base in type(module).__mro__:
        package, _, file = base.__module__.rpartition(".")
        if package == "torch.nn.modules" and file in KINDS:
            return KINDS[file]
    return "network" if next(module.children(), None) is not None else "other"


def is_looked_into(module: nn.Module) -> bool:
    """Whether functions that its code calls have rows: in networks and in what a user wrote, not in torch's own layers."""
    kind = kind_of(module)
    return kind == "network" or (kind == "other" and not type(module).__module__.startswith(("torch.nn.", "torch.jit.")))


def has_kernel(module: nn.Module) -> bool:
    return kind_of(module) in ("convolution", "depthwise", "transposed", "dense")


def own_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Those of the module itself, not of the modules in it; of a parametrised weight, what it is made of."""
    if is_script(module):  # in which nothing else has a row
        return list(module.parameters())
    named = dict(module.named_parameters())
    return [value for name, value in named.items() if "." not in name or name.startswith("parametrizations.")]


def weights_of(module: nn.Module) -> dict[str, Array]:
    """`kernel` (out, in / groups, *kernel) and `bias`, or all parameters and buffers of the module itself by torch's names.

    The kernel of a transposed convolution is rearranged from torch's (in, out / groups, *kernel): kernel[o, i] is what a
    single 1 in input channel i of its group stamps into output channel o. It is not mirrored.
    """
    with torch.no_grad():
        if has_kernel(module):
            kernel, bias = cast(torch.Tensor, module.weight), cast(torch.Tensor | None, module.bias)
            if isinstance(module, nn.modules.conv._ConvTransposeNd):
                kernel = kernel.reshape(module.groups, -1, *kernel.shape[1:]).transpose(1, 2).flatten(0, 1)
            found: dict[str, torch.Tensor] = {"kernel": kernel} | ({} if bias is None else {"bias": bias})
        else:
            inner = is_script(module)
            found = {**dict(module.named_parameters(recurse=inner)), **dict(module.named_buffers(recurse=inner))}
        return {name: to_numpy(each) for name, each in found.items() if each.is_floating_point()}


def to_numpy(tensor: torch.Tensor, empty: Callable[[Sequence[int]], Array] | None = None) -> Array:
    """A copy, float32 and in one piece, whatever the dtype, the strides and the device are. `empty`: where memory is from."""
    values = tensor.detach()
    shape = tuple(values.shape)
    array = empty(shape) if empty else np.empty(shape, np.float32)  # NumPy asks for large pages, torch does not
    torch.from_numpy(array).copy_(values.dequantize() if values.is_quantized else values)
    return array
