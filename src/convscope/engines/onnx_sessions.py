"""ONNX Runtime's sessions: one for each set of things to read and to edit, and what it says when it fails."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import onnxruntime
from onnx import ModelProto

from ..core import Array
from ..errors import EngineError, ModelError, Unsupported
from . import onnx_graph
from .failures import LOWER
from .onnx_apart import threads_said
from .onnx_graph import Read
from .onnx_reductions import Led, as_float
from .onnx_wiring import Wiring, opset

KEPT = 4  # each holds its own rearranged copy of the weights that it needs
OLDEST = 7  # opset
# What ONNX and ONNX Runtime say, and what that means.
NO_TYPE = "version {of} of '{what}' cannot be computed for its type of numbers"
NO_OPERATOR = "there is no operator '{what}' here"
TOO_NEW = "it is of {kind} {what}, and the newest that can be read here is {of}"
UNSUPPORTED = {
    r"No Op registered for (?P<what>\S+)": NO_OPERATOR,
    r"(?P<what>\S+)\(-?\d+\) is not a registered function/op": NO_OPERATOR,
    r"implementation for (?P<what>\w+)\((?P<of>\d+)\) node": NO_TYPE,
    r"(?P<kind>Opset) (?P<what>\d+) is under.*till opset (?P<of>\d+)": TOO_NEW,
    r"(?P<kind>ir_version) (?P<what>\d+) is higher than the checker's \((?P<of>\d+)\)": TOO_NEW,
    r"(?P<kind>IR version): (?P<what>\d+), max\D+(?P<of>\d+)": TOO_NEW,
}


@dataclass(frozen=True)
class Session:
    """`run(feed)` gives what `reads` ask for, made of what is `led_out`. `inputs`: what has to be fed."""

    runtime: onnxruntime.InferenceSession
    inputs: frozenset[str]
    led_out: tuple[Led, ...]
    reads: tuple[Read, ...]

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        return tuple(name for led in self.led_out for name in led.names)

    def run(self, feed: Mapping[str, Any]) -> dict[Read, Array]:
        """Float32, but positions and what is read natively. `feed` may hold more than that. Raises what ONNX Runtime raises."""
        values = self.runtime.run(self.outputs, {name: feed[name] for name in self.inputs})
        if self._as_they_are:
            return dict(zip(self.reads, values, strict=True))
        several = iter(values)
        return {read: led.made(*islice(several, len(led.names))) for read, led in zip(self.reads, self.led_out, strict=True)}

    @cached_property
    def _as_they_are(self) -> bool:
        """Whether nothing has to be made of what comes out. Of a hundred maps even looking at each takes some time."""
        floats = all(each.type == "tensor(float)" for each in self.runtime.get_outputs())
        return floats and all(led.made is as_float for led in self.led_out)


class Sessions:
    """`get(reads, edited, held)`: a session for them, made once and kept until others are wanted more. Safe among threads.

    threads   that compute a layer; 0: as many as OMP_NUM_THREADS says, which torch obeys too, or as there are cores
    """

    def __init__(self, model: ModelProto, wiring: Wiring):
        self._model, self._wiring = model, wiring
        self._kept: OrderedDict[object, Session] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, reads: tuple[Read, ...], edited: Collection[str], held: Mapping[str, int] | None = None, *, threads: int = 0
    ) -> Session:
        key = (reads, frozenset(edited), frozenset((held or {}).items()), threads)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self.build(reads, edited, held, threads=threads)
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def build(
        self, reads: tuple[Read, ...], edited: Collection[str] = (), held: Mapping[str, int] | None = None, *, threads: int = 0
    ) -> Session:
        """A new session. `held`: see onnx_graph.part. Raises Unsupported or EngineError."""
        part = onnx_graph.part(self._model, self._wiring, reads, edited, held)
        options = quiet()
        options.intra_op_num_threads = threads or options.intra_op_num_threads
        # As written: with its roundings merged into whole-number kernels, a network gives other values once it is watched.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in part.handed.values()]
        options.add_external_initializers(list(part.handed), values)
        try:
            runtime = start(part.model, options)
        except Exception as error:  # ONNX Runtime's errors have no common base of their own
            raise cannot_run(error, version=opset(self._model)) from error
        return Session(runtime, frozenset(each.name for each in runtime.get_inputs()), part.led_out, reads)

    def check(self) -> None:
        """Raises Unsupported or EngineError if ONNX Runtime cannot run the network."""
        options = quiet()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            start(onnx_graph.complete(self._model, self._wiring.constants), options)
        except Exception:  # perhaps only since its weights are inputs here; if not, this says what is wrong
            self.build(tuple(Read(output.name) for output in self._model.graph.output))


def quiet() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is raised, and need not be printed too
    options.intra_op_num_threads = threads_said()
    return options


def start(model: ModelProto, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def cannot_run(error: Exception, *, version: int = OLDEST) -> ModelError:
    """For a session that cannot be made: Unsupported, naming the operator or version, or EngineError."""
    if version < OLDEST:
        return Unsupported(
            f"This network is of opset {version}, and the oldest that ONNX Runtime promises to run is {OLDEST}. "
            f"Convert it: onnx.version_converter.convert_version(model, {OLDEST})."
        )
    for pattern, meaning in UNSUPPORTED.items():
        if found := re.search(pattern, str(error), re.DOTALL):
            other = "in float32" if meaning is NO_TYPE else "with another opset"
            return Unsupported(
                f"ONNX Runtime {onnxruntime.__version__} cannot run this network: {meaning.format(**found.groupdict())}. "
                f"Export it {other}, or install a newer onnx and onnxruntime."
            )
    return EngineError(f"ONNX Runtime {onnxruntime.__version__} cannot read this network: {brief(error)} Is the file sound?")


def failed(error: Exception, received: Sequence[Sequence[int]], names: Sequence[str]) -> EngineError:
    """For a run that fails. The node is named as far as ONNX Runtime says which it was."""
    shape = " and ".join(map(str, map(tuple, received)))
    why = brief(error)
    if asked := re.search(r"Failed to allocate memory for requested buffer of size (\d+)", str(error)):
        why = f"it asked for {int(asked[1]) / 1e9:,.0f} GB of memory at once, which are not there. {LOWER}"
    node = re.search(r"running (?P<operator>\w+) node\. Name:'(?P<name>[^']*)'", str(error))
    if node is None:
        return EngineError(f"ONNX Runtime failed on pictures of shape {shape}: {why}")
    # A node that ONNX Runtime made of several is called after one of them.
    layer = max((name for name in names if name in node["name"]), key=len, default=None)
    place = f"in node '{node['name']}' ({node['operator']})"
    return EngineError(f"ONNX Runtime failed {place} on pictures of shape {shape}: {why}", layer)


def brief(error: Exception) -> str:
    """What ONNX Runtime says, without the place in its own source, on one line."""
    text = str(error).split("Status Message: ")[-1].split(" : ", 2)[-1]
    return re.sub(r"\s+", " ", re.sub(r"^/\S+:\d+ ", "", text)).strip().rstrip(".") + "."
