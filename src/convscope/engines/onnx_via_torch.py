"""An ONNX network converted to a torch module, for its gradients. Its rows, shapes and weights stay those of the file."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, version_converter
from torch import nn

from ..core import Array, Edit, Graph, Pictures, Rule, Run, Tap, Trace, as_tap, merged, reduced
from ..errors import EngineError, InputError, MissingExtra, Unsupported
from .onnx import OnnxEngine
from .onnx_held import OnnxHeld
from .onnx_learning import SIDES
from .torch import TorchEngine

OPSET = 17  # the newest whose operators onnx2torch knows
MORE = 9  # pixels to a side, for pictures of another size
CLOSE = 1e-4  # of a layer's largest value: sums in another order, over the depth of a network
WITHOUT = "Open the file without via='torch': all that needs no gradients works then."


class ConvertedEngine:
    """Runs what onnx2torch makes of `exact`, and is Differentiable.

    exact    stays the source of the layer table and the weights
    notes    who converted it, and how far its values are from those of ONNX Runtime
    raises   MissingExtra; Unsupported for an operator that cannot be converted, which is named, and where any value that a layer
             gives differs from ONNX Runtime's by more than 1e-4 of the layer's largest
    """

    def __init__(self, exact: OnnxEngine):
        self._exact = exact
        if len(exact.inputs.names) > 1:
            raise Unsupported(
                f"Only networks with one input are converted, and this one has {len(exact.inputs.names)}. {WITHOUT}"
            )
        convert, version = converter()
        model = numbered(of_known_opset(exact.standalone()))
        module = converted(convert, model, f"onnx2torch {version}")
        self._row_of = {tensor: f"n{at}{f':{k}' if len(node.output) > 1 else ''}" for at, node in enumerate(model.graph.node)
                        for k, tensor in enumerate(node.output)}  # fmt: skip
        turn = exact.layouts.turn(exact.tensor("input"))
        self._torch = opened(Turned(module, turn) if turn else module, exact.graph)
        if turn:
            self._row_of = {tensor: f"network.{row}" for tensor, row in self._row_of.items()}
        self._row_of[exact.tensor("input")] = "input"
        self.graph = self._known_to_torch()
        self._by = f"onnx2torch {version}"
        self.notes = (*exact.notes, f"Converted from ONNX to torch by {self._by}; {self._check()}")

    @property
    def framework(self) -> str:
        return f"{self._torch.framework}, converted from ONNX by {self._by}"

    @property
    def card(self) -> dict[str, Any]:
        return self._exact.card

    def weights(self, layer: str) -> Mapping[str, Array]:
        """Those of the file, see OnnxEngine."""
        return self._exact.weights(self.graph[layer].name)

    def with_weights(self, weights: Mapping[str, Mapping[str, Array]]) -> ConvertedEngine:
        """See Reweighable.with_weights: converted, and checked, again."""
        return ConvertedEngine(self._exact.with_weights(weights))

    def hold(self, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> OnnxHeld:
        """See Resumable.hold. On ONNX Runtime, whose values were found to be the same."""
        return self._exact.hold(pictures, layer, edits)

    def run(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Run:
        """See Engine.run and OnnxEngine.run."""
        wanted = tuple(dict.fromkeys(map(as_tap, taps))) or (Tap("output"),)
        parts = []
        for part, changes in self._batches(pictures, edits):
            run = self._torch.run(part, [self._inner(tap) for tap in wanted], changes)
            parts.append({tap: self._outer(run[self._inner(tap)], tap) for tap in wanted})
        return Run({tap: joined([part[tap] for part in parts]) for tap in wanted})

    def trace(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> ConvertedTrace:
        """See Differentiable.trace."""
        return self._traced(self._torch.trace, pictures, taps, edits)

    def trace_by(
        self, rule: Rule, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()
    ) -> ConvertedTrace:
        """See RuledBackward.trace_by."""
        return self._traced(partial(self._torch.trace_by, rule), pictures, taps, edits)

    def _traced(
        self, trace: Callable[..., Trace], pictures: Pictures, taps: Iterable[Tap | str], edits: Iterable[Edit]
    ) -> ConvertedTrace:
        names = dict.fromkeys([*(as_tap(tap).layer for tap in taps), "input", "output"])
        inner = [self._inner(Tap(name)) for name in names]
        return ConvertedTrace(self, [trace(part, inner, changes) for part, changes in self._batches(pictures, edits)])

    def _batches(self, pictures: Pictures, edits: Iterable[Edit]) -> list[tuple[Array, list[Edit]]]:
        """As OnnxEngine does it: a file with a fixed batch size gets its pictures in batches of that size."""
        given = self._exact.given(pictures)
        size, (array,) = self._exact.inputs.batch_size(given), given.values()
        changes = list(merged(self._exact.on_tensor(edit, len(array)) for edit in edits).values())
        starts = range(0, max(len(array), 1), size)
        return [(array[at : at + size], [self._edit(self._exact.of_batch(each, at, size)) for each in changes]) for at in starts]

    def _edit(self, edit: Edit) -> Edit:
        return Edit(self._row_of[edit.layer], edit.scale, edit.shift)

    def _inner(self, tap: Tap) -> Tap:
        """What to read in torch. Of a tensor with channels last all, since torch would reduce over the wrong axes."""
        tensor = self._exact.tensor(tap.layer)
        self._exact.refuse_unreadable(tap.layer)
        whole = self._exact.layouts.last(tensor) and tensor != self._exact.tensor("input")
        return Tap(self._row_of[tensor], "none" if whole else tap.reduce)

    def _outer(self, value: Array, tap: Tap) -> Array:
        if self._inner(tap).reduce == tap.reduce != "none":
            return value
        return reduced(self.turned(value, tap.layer), tap.reduce)

    def turned(self, value: Array, layer: str) -> Array:
        """From torch: channels first."""
        tensor = self._exact.tensor(layer)
        return value if self._row_of[tensor] == "input" else self._exact.layouts.first(value, tensor)

    def turned_back(self, value: Array, layer: str) -> Array:
        tensor = self._exact.tensor(layer)
        return value if self._row_of[tensor] == "input" else self._exact.layouts.native(value, tensor)

    def inner_name(self, layer: str) -> str:
        return self._inner(Tap(layer)).layer

    def _known_to_torch(self) -> Graph:
        known = set(self._torch.graph.names)
        for row in self._exact.graph:
            if self._row_of.get(self._exact.tensor(row.name)) not in known:
                raise Unsupported(
                    f"In the converted network, the output of '{row.name}' ({row.native}) cannot be found. {WITHOUT}"
                )
        return self._exact.graph

    def _check(self) -> str:
        """How far the values are from ONNX Runtime's, in words. Raises Unsupported."""
        names, worst = [*self.graph.names, *self._exact.outputs], 0.0
        for pictures in self._trials():
            expected, received = self._exact.run(pictures, names), self.run(pictures, names)
            worst = max(worst, *(self._off(name, received[name], expected[name]) for name in names))
        return f"every value agrees with ONNX Runtime's to {max(worst, 1e-8):.0e} of the largest in its layer."

    def _trials(self) -> Iterator[Array]:
        """Pictures to compare with: of small values, and of ten times as large ones, which meet the limits of a ReLU6 say.

        Of another size too, where the network takes any.
        """
        shape = tuple(size or 1 for size in self._torch.graph.layers[0].shape or ())
        said = self._exact.graph.layers[0].shape or shape
        number, random = (self._exact.inputs.batch or 1) * 2, np.random.default_rng(0)
        whole = self._exact.inputs.whole(self._exact.tensor("input"))
        for times, more in ((1, 0), (10, 0), *(((10, MORE),) if None in said[1:] else ())):
            sizes = (
                size + more if known is None and axis else size
                for axis, (size, known) in enumerate(zip(shape, said, strict=True))
            )
            pictures = random.normal(size=(number, *sizes)).astype(np.float32) * times
            if whole:
                pictures = random.integers(0, 256, pictures.shape).astype(np.float32)
            if not more or self._takes(pictures):
                yield pictures

    def _takes(self, pictures: Array) -> bool:
        try:
            self._exact.run(pictures)
        except EngineError:
            return False
        return True

    def _off(self, name: str, received: Array, expected: Array) -> float:
        """How far, of the largest value. What is not finite has to be so in both. Raises Unsupported."""
        finite = np.isfinite(expected)
        largest = max(float(np.abs(expected[finite]).max(initial=0)), 1e-6)
        same = received.shape == expected.shape and np.array_equal(received[~finite], expected[~finite], equal_nan=True)
        off = float(np.abs(received[finite] - expected[finite]).max(initial=0)) if same else np.inf
        if not off <= CLOSE * largest:
            raise Unsupported(
                f"{self._by} makes another network of this one: what '{name}' gives differs by {off:.3g} from ONNX Runtime's "
                f"values, of which the largest is {largest:.3g}. {WITHOUT}"
            )
        return off / largest


class ConvertedTrace:
    """See Trace. One of torch's for each batch."""

    def __init__(self, engine: ConvertedEngine, parts: Sequence[Trace]):
        self._engine, self._parts = engine, parts

    def __getitem__(self, tap: Tap | str) -> Array:
        tap = as_tap(tap)
        name = self._engine.inner_name(tap.layer)
        return reduced(joined([self._engine.turned(part[name], tap.layer) for part in self._parts]), tap.reduce)

    def pullback(self, seeds: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
        names = {name: self._engine.inner_name(name) for name in wrt}
        at, found, count = 0, [], sum(len(part["input"]) for part in self._parts)
        if wrong := [name for name, seed in seeds.items() if len(seed) != count]:
            raise InputError(f"The seed of '{wrong[0]}' is for {len(seeds[wrong[0]])} pictures, but there are {count}.")
        for part in self._parts:
            size = len(part["input"])
            inner: dict[str, Array] = {}
            for name, seed in seeds.items():
                of_part = self._engine.turned_back(np.asarray(seed, np.float32)[at : at + size], name)
                row = self._engine.inner_name(name)
                inner[row] = inner[row] + of_part if row in inner else of_part
            found.append(part.pullback(inner, list(dict.fromkeys(names.values()))))
            at += size
        return {name: joined([self._engine.turned(each[row], name) for each in found]) for name, row in names.items()}


class Turned(nn.Module):
    """Takes pictures with channels first, and gives them to a network whose file wants them last."""

    def __init__(self, network: nn.Module, turn: Sequence[int]):
        super().__init__()
        self.network, self._back = network, [turn.index(axis) for axis in range(len(turn))]

    def forward(self, pictures: torch.Tensor) -> Any:
        return self.network(pictures.permute(self._back))


def converter() -> tuple[Any, str]:
    """onnx2torch's function, and its version. Raises MissingExtra."""
    try:
        from onnx2torch import convert
    except ImportError as error:
        raise MissingExtra(error.name or "onnx2torch", "onnx-torch", "via='torch'") from error
    except RuntimeError as error:  # a torchvision that was built for another torch
        raise Unsupported(
            f"onnx2torch cannot be imported here ({error}). Install the torchvision that fits this torch."
        ) from error
    return convert, importlib.metadata.version("onnx2torch")


def converted(convert: Any, model: ModelProto, by: str) -> nn.Module:
    """`model` as a torch module whose parts are called as its nodes are. Raises Unsupported."""
    try:
        module: nn.Module = convert(model)
    except NotImplementedError as error:
        found = re.search(r"domain='(?P<domain>[^']*)', operation_type='(?P<name>[^']*)', version=(?P<version>\d+)", str(error))
        what = f"version {found['version']} of the operator '{found['name']}'" if found else str(error)
        raise Unsupported(f"{by} cannot convert {what}. {WITHOUT}") from error
    except Exception as error:  # it raises whatever it stumbles over
        raise Unsupported(f"{by} cannot convert this network ({type(error).__name__}: {error}). {WITHOUT}") from error
    return module.eval()


def of_known_opset(model: ModelProto) -> ModelProto:
    """`model`, with its operators in the versions that onnx2torch knows. Raises Unsupported."""
    if any(each.version == OPSET for each in model.opset_import if each.domain in ("", "ai.onnx")):
        return model
    try:
        result: ModelProto = version_converter.convert_version(model, OPSET)
    except Exception as error:  # its errors have no common base of their own
        raise Unsupported(
            f"onnx cannot convert this network to opset {OPSET} ({' '.join(str(error).split())}). {WITHOUT}"
        ) from error
    return result


def numbered(model: ModelProto) -> ModelProto:
    """Its nodes are called n0, n1, ...: what torch can call its modules too."""
    for at, node in enumerate(model.graph.node):
        node.name = f"n{at}"
    return model


def opened(module: nn.Module, graph: Graph) -> TorchEngine:
    """With pictures of the smallest likely size that it takes, where the file does not say. Raises Unsupported."""
    failed: EngineError | None = None
    shape = graph.layers[0].shape or (3, None, None)
    for side in SIDES if None in shape else SIDES[:1]:
        sizes = tuple(size or (side if axis else 3) for axis, size in enumerate(shape))
        try:
            return TorchEngine(module, picture_shape=sizes)
        except EngineError as error:
            failed = error
    raise Unsupported(f"The converted network does not run: {failed} {WITHOUT}") from failed


def joined(parts: Sequence[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
