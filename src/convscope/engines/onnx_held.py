"""A run of an ONNX file that was stopped after one tensor: what goes on from there is a graph of its own, fed with what crosses
the cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from ..core import Edit, Pictures, Run, Tap, arrays, as_tap, count, each_array, merged, reduced
from . import onnx_graph
from .cuts import Cut, checked_repeat
from .onnx_constants import BYTES, FLOATS
from .onnx_graph import Read
from .onnx_learning import prove
from .onnx_pictures import checked

if TYPE_CHECKING:
    from .onnx import OnnxEngine

# What NumPy can hold, and ONNX Runtime takes again: bfloat16, text and sequences are not among it.
FED = (FLOATS | BYTES | {TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL}) - {TensorProto.BFLOAT16}
Native = np.ndarray[Any, Any]  # in the file's own layout and type


class OnnxHeld:
    """See Held. `edits`: made in every run, as if they were given first.

    What depends on the pictures' size alone is not kept but computed again, so that they can be repeated.
    """

    def __init__(self, engine: OnnxEngine, pictures: Pictures, cut: Cut, edits: Iterable[Edit]):
        self.layer = cut.layer
        self._engine, self._cut, self._pictures = engine, cut, each_array(pictures, np.array)
        self._here, self._later = cut.split(edits)
        self._number, self._size = count(pictures), engine.inputs.batch_size(engine.given(pictures))
        self._crossing = self._crossing_tensors()
        # Rows have an axis of pictures; what is none, a mask of whole numbers say, need not.
        self._repeatable = set(self._crossing) <= set(engine._table.tensors.values())
        whole = engine.tensor(cut.layer) in engine.inputs.names or not all(map(self._can_be_fed, self._crossing))
        several = self._size < self._number
        self._kept: Mapping[str, Native] = {} if whole or (several and not self._repeatable) else self._keep()
        self.value = self.run([self.layer])[self.layer]

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        """See Held.run."""
        asked, changes = tuple(dict.fromkeys(map(as_tap, taps))) or (Tap("output"),), list(edits)
        self._cut.check(asked, changes)
        n, repeat = self._number, checked_repeat(repeat)
        here, later = (self._cut.repeated(each, n, repeat) for each in (self._here, self._later))
        if not self._kept or (repeat > 1 and not self._repeatable):
            return self._engine.run(
                each_array(self._pictures, lambda array: array.repeat(repeat, 0)), asked, [*here, *later, *changes]
            )
        return self._go_on(asked, [*later, *changes], repeat)

    def _go_on(self, asked: Sequence[Tap], edits: Sequence[Edit], repeat: int) -> Run:
        engine, number = self._engine, self._number * repeat
        changes = merged(engine.on_tensor(edit, number) for edit in edits)
        reads = {tap: engine._read(tap, changes) for tap in asked}
        prove(engine, tuple(reads.values()), {name: array.shape for name, array in engine.given(self._pictures).items()})
        elements = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in self._kept.items()}
        session = engine._sessions.get(tuple(sorted(set(reads.values()))), changes, elements)
        size = number if self._size == self._number else self._size
        kept = {name: value.repeat(repeat, 0) if repeat > 1 else value for name, value in self._kept.items()}
        parts = []
        for start in range(0, number, size):
            feed: dict[str, Any] = {
                onnx_graph.held_of(name): value[start : start + size] if size < number else value for name, value in kept.items()
            }
            for edit in (engine.of_batch(each, start, size) for each in changes.values()):
                feed |= {onnx_graph.scale_of(edit.layer): edit.scale, onnx_graph.shift_of(edit.layer): edit.shift}
            parts.append(checked(engine.ran(session, feed, arrays(self._pictures)), min(size, number - start)))
        whole = {read: np.concatenate([part[read] for part in parts]) if len(parts) > 1 else parts[0][read] for read in parts[0]}
        return Run({tap: whole[read] if read.axes else reduced(whole[read], tap.reduce) for tap, read in reads.items()})

    def _crossing_tensors(self) -> list[str]:
        """What is made up to the cut, depends on the pictures' values, and is read after it."""
        engine, wiring = self._engine, self._engine._wiring
        at = next((index for index, node in enumerate(engine._model.graph.node) if engine.tensor(self.layer) in node.output), -1)
        made = [name for node in engine._model.graph.node[: at + 1] for name in node.output if name in wiring.flowing]
        before = dict.fromkeys([*engine.inputs.names, *made])
        later = [engine.tensor(name) for name in self._cut.ranks if not self._cut.is_before(name)]
        read, _ = onnx_graph.needed(engine._model.graph.node, later, before)
        return [name for name in before if name in read]

    def _can_be_fed(self, tensor: str) -> bool:
        return self._engine._wiring.element(tensor) in FED

    def _keep(self) -> dict[str, Native]:
        engine, given = self._engine, self._engine.given(self._pictures)
        changes = merged(engine.on_tensor(edit, self._number) for edit in self._here)
        reads = tuple(Read(name, native=True) for name in self._crossing if name not in given)
        session = engine._sessions.get(reads, changes)
        parts = []
        for start in range(0, self._number, self._size):
            edits = [engine.of_batch(each, start, self._size) for each in changes.values()]
            some = {name: array[start : start + self._size] for name, array in given.items()}
            found = {read.tensor: value for read, value in engine._pass(session, some, edits).items() if read.native}
            parts.append(found | engine.inputs.received(some, edits))
        whole = {name: np.concatenate([part[name] for part in parts]) if len(parts) > 1 else parts[0][name] for name in parts[0]}
        return {name: whole[name] for name in self._crossing}
