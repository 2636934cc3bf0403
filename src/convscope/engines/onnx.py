"""ONNX Runtime. A tap is one more output of the graph, an edit is a Mul and an Add fed by further inputs.

ONNX Runtime has no gradients, so this engine is not Differentiable.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from ..core import Array, Edit, Graph, Pictures, Run, Tap, as_tap, by_input, input_names, merged, reduced
from ..errors import InputError, Shape, Unsupported
from . import onnx_apart, onnx_graph
from .cuts import Cut
from .names import output_names
from .onnx_card import card
from .onnx_constants import FLOATS, Constants
from .onnx_graph import Read, Reads
from .onnx_held import OnnxHeld
from .onnx_inputs import Inputs, inputs_of, unread
from .onnx_layout import Layouts
from .onnx_learning import learn, open_questions, overhangs, prove
from .onnx_pictures import FirstAxes, checked, fixed_batch, refuse_unreadable, refuse_without_pictures, without_shapes
from .onnx_quantised import quantised, real_weights
from .onnx_rows import by_range, inner_convolutions, notes_on, table
from .onnx_sessions import KEPT, Session, Sessions, failed
from .onnx_sizes import infer, ranks
from .onnx_wiring import Wiring, opset, protocol_layout


class OnnxEngine:
    """Runs an onnx.ModelProto.

    folder     where the weights are that the model keeps in other files
    metadata   what the file says of itself: {key: text}
    notes      what of the network the layer table does not show, a sentence each
    raises     Unsupported for operators that ONNX Runtime lacks; NotAModel for missing weights

    Each set of taps has a session of its own, which ends at the last of them. A convolution that ONNX Runtime would merge with
    what follows is kept apart where it is read, so that a tapped value is what the next layer received. Tensors of other
    types are read as float32, bytes of a quantised network as the numbers that they stand for. Quantised networks are computed as
    written, with floats between the roundings. What a file from TensorFlow or Keras has with channels last is read, edited and
    fed with channels first, as far as the graph shows where they are.
    Weights that lie behind Transpose, DequantizeLinear and the like are those that come out; a ConvTranspose's kernel
    (in, out / groups, *k) is given as (out, in / groups, *k), a Gemm's with its alpha.
    """

    def __init__(self, model: onnx.ModelProto, *, folder: Path | None = None):
        onnx_graph.refuse_rearranged(model)
        body = onnx_graph.inlined(model)
        self._constants = Constants(model.graph, folder, body.graph.node)
        names = inputs_of(body, self._constants)
        self.notes: tuple[str, ...] = (*inner_convolutions(body), *unread(body, names, self._constants))
        self._model = onnx_graph.without_constants(body, names)
        self._count_axes(names)
        self.metadata = {each.key: each.value for each in model.metadata_props}
        self._survey(names)
        self._sessions.check()
        rounding = by_range(self._model, self._wiring) if self.axes.batch is None else ""
        if self.axes.alone([each.name for each in self._model.graph.output]):
            self._take_one_at_a_time()
        elif rounding and all(each.type.tensor_type.shape.dim for each in self._model.graph.input):
            self._take_one_at_a_time(f"Rounding in {rounding} is by the range of all that passes at once")
        self.notes += notes_on(self._model, self._wiring)
        if open_questions(self):
            if not learn(self):
                self._take_one_at_a_time()
                learn(self)
            self._tabulate(names)
        refuse_without_pictures(self.graph, (each.name for each in self._model.graph.output), self._wiring)

    def _count_axes(self, names: Sequence[str]) -> None:
        """Inputs whose shape the file does not say get as many axes as they have to have."""
        for each in self._model.graph.input:
            given = each.type.tensor_type
            if each.name in names and not given.HasField("shape"):
                possible = ranks(without_shapes(onnx_graph.complete(self._model, self._constants)), each.name)
                for _ in range(possible[0] if len(possible) == 1 else 0):
                    given.shape.dim.add()

    def _survey(self, names: Sequence[str]) -> None:
        whole = onnx_graph.complete(self._model, self._constants)
        self.types = infer(whole)
        self.axes = FirstAxes(whole, names, fixed_batch(self.types, names))
        self.types = self.axes.completed(self.types)
        self._wire(self._constants, names)

    def _wire(self, constants: Constants, names: Sequence[str]) -> None:
        self._wiring = Wiring(self._model.graph, names, constants, self.types, self.axes.foreign)
        self._sessions = Sessions(self._model, self._wiring)
        self._tabulate(names)

    def _take_one_at_a_time(self, why: str = "Sizes in the file are those of one picture") -> None:
        self.notes = (*self.notes, f"{why}, so that pictures pass one at a time.")
        for each in self._model.graph.input:
            each.type.tensor_type.shape.dim[0].dim_value = 1
        self._survey(self.inputs.names)

    def _tabulate(self, names: Sequence[str]) -> None:
        self.layouts = Layouts(self._model.graph.node, self._wiring)
        self.inputs = Inputs(names, self.types, self.layouts)
        self._table = table(self._model, self._wiring, self.layouts)
        self._planned = functools.lru_cache(KEPT)(self._plan)  # of a hundred taps it takes as long as a layer

    @property
    def graph(self) -> Graph:
        return self._table.graph

    @property
    def framework(self) -> str:
        return f"onnxruntime {onnxruntime.__version__}"

    @property
    def card(self) -> dict[str, Any]:
        """What the file says of the pictures that it expects, and of its classes: "preprocess", "labels"."""
        return card(self.metadata, whole=self.inputs.whole(self.inputs.names[0]))

    def weights(self, layer: str) -> Mapping[str, Array]:
        """`kernel` and `bias` of convolutions and dense layers, else by ONNX' names ("scale", "B"); float32 copies."""
        row = self.graph[layer]
        if row.kind == "input":
            return {}
        node = self._table.nodes[layer]
        weights = {role: self._value(name) for role, name in self._wiring.weights(node).items()}
        return protocol_layout(node, real_weights(node, weights, self._wiring, self._value))

    def with_weights(self, weights: Mapping[str, Mapping[str, Array]]) -> OnnxEngine:
        """See Reweighable.with_weights. Raises Unsupported also for what the file computes from others, or uses twice."""
        from .onnx_reweighed import replaced

        nodes = {layer: self._table.nodes[self.graph[layer].name] for layer in weights}
        arrays = replaced(weights, nodes, self._wiring, list(self._model.graph.node))
        result = copy.copy(self)
        result._constants = self._constants.replaced(arrays)
        result._wire(result._constants, self.inputs.names)
        return result

    def run(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Run:
        """See Engine.run. A file with a fixed batch size gets its pictures in batches of that size.

        raises   also InputError for an edit that does not fit its layer, Unsupported for one of a layer of whole numbers
        """
        given = self.given(pictures)
        size, count = self.inputs.batch_size(given), len(next(iter(given.values())))
        changes = merged(self.on_tensor(edit, count) for edit in edits)
        reads, computed, of_inputs, beside = self._planned(tuple(taps) or ("output",), frozenset(changes))
        prove(self, computed, {name: array.shape for name, array in given.items()})
        beside = beside if size >= beside else 1
        size = -(-size // beside)
        session = self._sessions.get(computed, changes, threads=int(beside > 1)) if computed else None

        def some(at: int) -> dict[Read, Array]:
            these = {name: array[at : at + size] for name, array in given.items()}
            return self._pass(session, these, [self.of_batch(each, at, size) for each in changes.values()], of_inputs)

        parts = onnx_apart.each(some, range(0, max(count, 1), size), beside)
        whole = parts[0] if len(parts) == 1 else {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        return Run({tap: whole[read] if read.axes else reduced(whole[read], tap.reduce) for tap, read in reads.items()})

    def _plan(
        self, wanted: tuple[Tap | str, ...], edited: frozenset[str]
    ) -> tuple[dict[Tap, Read], tuple[Read, ...], tuple[Read, ...], int]:
        """What each tap reads; what of it has to be computed, and what is given; in how many parts, see onnx_apart."""
        reads = {tap: self._read(tap, edited) for tap in dict.fromkeys(map(as_tap, wanted))}
        different = sorted(set(reads.values()))
        computed, given = ([read for read in different if (read.tensor in self.inputs.names) is one] for one in (False, True))
        beside = onnx_apart.parts(self._model, self._wiring, self.axes.proven, computed) if self.axes.batch is None else 1
        return reads, Reads(computed), tuple(given), beside

    def hold(self, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> OnnxHeld:
        """See Resumable.hold."""
        outputs = [name for name in self._table.tensors if name.partition(":")[0] == "output" and name not in self.graph.names]
        inputs = zip(input_names(self.graph), (row.name for row in self.graph.inputs), strict=True)
        cut = Cut.at(layer, self.graph, outputs, dict(inputs))
        return OnnxHeld(self, pictures, cut, edits)

    def given(self, pictures: Pictures) -> dict[str, Array]:
        """The arrays by the tensors that they go into. Raises InputError, WrongPictureShape."""
        return {self.tensor(name): np.asarray(array, np.float32) for name, array in by_input(pictures, self.graph).items()}

    def standalone(self) -> onnx.ModelProto:
        """The network with its constants in it, each computed: for another program. Its nodes have the tensors' names as here."""
        return onnx_graph.standalone(self._model, self._wiring, self._value)

    def tensor(self, name: str) -> str:
        """What the file calls the tensor that a row, or "input" or "output", stands for. Raises UnknownLayer."""
        return self._table.tensors[name] if name in self._table.tensors else self._table.tensors[self.graph[name].name]

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs that can be read."""
        found = []
        for name in output_names(len(self._model.graph.output)):
            with contextlib.suppress(Unsupported):
                self.refuse_unreadable(name)
                found.append(name)
        return found

    def refuse_unreadable(self, name: str) -> None:
        """Raises UnknownLayer; Unsupported for an output that holds no numbers for each picture."""
        refuse_unreadable(name, self.tensor(name), self._wiring)

    def _read(self, tap: Tap, edited: Container[str]) -> Read:
        """Raises UnknownLayer; Unsupported for an output that holds no numbers for each picture."""
        self.refuse_unreadable(tap.layer)
        tensor = self.tensor(tap.layer)
        tensor = tensor if tensor in edited else self._wiring.inner(tensor)
        shape, turn = self._wiring.shape(tensor), self.layouts.turn(tensor)
        rank = 0 if shape is None or 0 in shape else len(shape)
        if tap.reduce == "none" or rank < 3 or tensor in self.inputs.names or self._reduced_here(tap):
            return Read(tensor, turn=turn)
        return Read(tensor, tap.reduce, tuple(range(2, rank)), turn)

    def _reduced_here(self, tap: Tap) -> bool:
        """Whether it is not done by ONNX Runtime: TopK of a number that is an input came with opset 10; the share active is of as
        many places as inference says there are.
        """
        too_old = tap.reduce in ("argmax", "active") and opset(self._model) < 11
        return too_old or (tap.reduce == "active" and any(overhangs(node, self._wiring) for node in self._model.graph.node))

    def on_tensor(self, edit: Edit, pictures: int) -> Edit:
        """The edit, with the tensor that its layer stands for. Raises UnknownLayer, InputError, Unsupported."""
        self.refuse_unreadable(edit.layer)
        tensor = self.tensor(edit.layer)
        element = self._wiring.element(tensor)
        whole = element not in FLOATS | {None} or quantised(tensor, self._wiring) is not None
        if whole and tensor != self.inputs.names[0]:  # pixels may be edited to other whole numbers
            raise Unsupported(f"'{edit.layer}' holds whole numbers, and only floats can be edited. Edit a layer before it.")
        shape = self.layouts.shape(tensor)
        for values in map(np.shape, (edit.scale, edit.shift)):
            if shape is not None and not broadcasts(values, (pictures, *shape[1:])):
                raise InputError(
                    f"An edit of shape {values} does not fit '{edit.layer}' of shape {shape}. Give one that broadcasts to it.",
                    received=values,
                    expected=shape,
                )
        if tensor in self.inputs.names:  # edited before it is turned
            return replace(edit, layer=tensor)
        scale, shift = (self.layouts.native(np.asarray(values, np.float32), tensor) for values in (edit.scale, edit.shift))
        return Edit(tensor, scale, shift)

    def of_batch(self, edit: Edit, start: int, size: int) -> Edit:
        """What of an edit concerns the pictures from `start` on, where it says something else for each picture."""
        rank = self._wiring.rank(edit.layer)
        scale, shift = (
            values[start : start + size] if values.ndim == rank and len(values) > 1 else values
            for values in (np.asarray(edit.scale, np.float32), np.asarray(edit.shift, np.float32))
        )
        return Edit(edit.layer, scale, shift)

    def _pass(
        self, session: Session | None, given: Mapping[str, Array], edits: Sequence[Edit], of_inputs: Iterable[Read] = ()
    ) -> dict[Read, Array]:
        received = self.inputs.received(given, edits)
        feed: dict[str, object] = dict(received)
        feed |= {onnx_graph.scale_of(edit.layer): edit.scale for edit in edits}
        feed |= {onnx_graph.shift_of(edit.layer): edit.shift for edit in edits}
        values = checked(self.ran(session, feed, given), len(next(iter(given.values())))) if session else {}
        return values | {read: self.inputs.seen(read.tensor, received[read.tensor]) for read in of_inputs}

    def ran(self, session: Session, feed: Mapping[str, object], given: Mapping[str, Array]) -> dict[Read, Array]:
        """Raises EngineError, which names the shapes of the pictures."""
        try:
            return session.run(feed)
        except Exception as error:  # ONNX Runtime's errors have no common base of their own
            raise failed(error, [array.shape for array in given.values()], self.graph.names) from error

    def _value(self, name: str) -> np.ndarray:
        """A constant, computed where the file computes it from others."""
        if name in self._constants:
            return self._constants.array(name)
        return self._sessions.build((Read(name),)).run({})[Read(name)]


def broadcasts(shape: Sequence[int], to: Shape) -> bool:
    """Whether values of `shape` broadcast to `to` without making it larger."""
    return len(shape) <= len(to) and all(
        have == 1 or want in (have, None) for have, want in zip(reversed(shape), reversed(to), strict=False)
    )
