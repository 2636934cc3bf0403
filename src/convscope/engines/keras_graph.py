"""The layer table of a Keras model: a dry run says what runs and with which shapes, functional graphs say what feeds what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras.src.backend import compute_output_spec  # what Keras itself infers shapes with; it computes no numbers

from ..core import Graph, Layer
from ..errors import EngineError, Shape, Unsupported
from .failures import first_line
from .keras_calls import Call, Operations, Watch, graph_of
from .keras_inputs import Inputs, Start
from .keras_layout import channels_of, input_channels, protocol, usual_channels
from .keras_rows import facts, kind_of
from .keras_windows import window_of
from .names import array_names, output_names

SIZES = (256, 512)  # of pictures that may be of any size: maps of half and twice as many places, however often halved
BATCH = 11  # of the dry run: not 1, which broadcasts, and no number that axes of networks have


@dataclass(frozen=True)
class Place:
    """Where a row is read: the operation, the call's name, which axis is that of its channels (see keras_layout), how many axes
    it has, whether it holds whole numbers or truth values, and whether it holds something for each picture."""

    operation: Any
    call: str
    channels: int
    axes: int
    whole: bool = False
    pictures: bool = True


@dataclass(frozen=True)
class Table:
    """The rows, and where each of them and each output of the network is read."""

    graph: Graph
    places: Mapping[str, Place]

    def is_like(self, other: Table) -> bool:
        """Whether all is the same but which weights are trained."""
        first, second = (
            replace(each.graph, layers=tuple(replace(row, trainable=0) for row in each.graph)) for each in (self, other)
        )
        return first == second and self.places == other.places


def survey(model: Any, operations: Operations, inputs: Inputs) -> Table:
    """Raises Unsupported for a model that was never built, EngineError for one that does not run."""
    run = dry_run(model, operations, inputs)
    wiring = Wiring(model, run.calls, inputs.rows)
    usual = usual_channels(call.operation for call in run.calls)
    rows: list[Layer] = []
    places: dict[str, Place] = {}
    for end, start in zip(inputs.names, inputs.starts, strict=True):
        channels = input_channels(run.calls, start.shape)
        rows.append(Layer(len(rows), start.name, "input", start.native, protocol(start.shape, channels), start.shape))
        places[start.name] = Place(None, end, channels, len(start.shape), is_whole(start.dtype))
    behind: dict[str, tuple[str, ...]] = {}  # of what has no row, those that it was made of
    for call in wiring.ordered():
        fed_by = tuple(dict.fromkeys(row for name in wiring.inputs(call) for row in behind.get(name, (name,))))
        source = places[fed_by[0] if fed_by else rows[-1].name]
        kind = kind_of(call.operation, is_network=call.operation in operations.networks)
        for name, spec in zip(array_names(call.name, len(run.arrays[call])), run.arrays[call], strict=True):
            if spec is None or not is_of_pictures(spec.shape, run.batch):
                behind[name] = fed_by
                continue
            channels = channels_of(call.operation, len(spec.shape), (source.channels, source.axes), usual)
            known = {**facts(call.operation, kind), **shapes(spec, channels, inputs.starts[0], run.batch)}
            known["function"] = not isinstance(call.operation, keras.Layer)
            known["window"] = window_of(call.operation, kind, len(spec.shape) - 2)
            rows.append(Layer(len(rows), name, kind, type(call.operation).__name__, inputs=fed_by, **known))
            places[name] = Place(call.operation, call.name, channels, len(spec.shape), is_whole(spec.dtype))
    for name, (spec, made_by) in zip(output_names(len(run.outputs)), run.outputs, strict=True):
        source = places.get(made_by or "", places[rows[-1].name])
        channels = channels_of(None, len(spec.shape), (source.channels, source.axes), usual)
        pictures = is_of_pictures(spec.shape, run.batch)
        places[name] = Place(None, name, channels, len(spec.shape), is_whole(spec.dtype), pictures)
    ends = [end for end, start in zip(inputs.names, inputs.starts, strict=True) if end != start.name]
    check_names([*(row.name for row in rows), *ends, *output_names(len(run.outputs))])
    graph = Graph(tuple(rows), wiring.complete, model.count_params(), not_called(operations, run.calls), pieces(operations))
    return Table(graph, places)


def check_names(names: Sequence[str]) -> None:
    """Raises Unsupported where two have one name, of which only one could ever be read."""
    if twice := next((name for name, times in Counter(names).items() if times > 1), None):
        raise Unsupported(
            f"Two rows of this network would be called '{twice}'. Rename the layer that has a '#' or ':' in its name."
        )


def not_called(operations: Operations, calls: Sequence[Call]) -> tuple[str, ...]:
    """The layers that the network has, but which did not run."""
    ran = {id(call.operation) for call in calls}
    return tuple(
        path
        for operation, path in operations.paths.items()
        if id(operation) not in ran
        and operation not in operations.networks
        and not isinstance(operation, keras.layers.InputLayer)
    )


def pieces(operations: Operations) -> tuple[tuple[str, str], ...]:
    """The layers inside layers of Keras' own, TimeDistributed or Bidirectional, and the row that they are inside of."""
    whole = [(each, path) for each, path in operations.paths.items() if each not in operations.networks]
    return tuple((inside, path) for operation, path in whole for inside in below(operation, path))


def below(operation: Any, path: str) -> Iterator[str]:
    for each in operation._flatten_layers(include_self=False, recursive=False) if isinstance(operation, keras.Layer) else ():
        yield f"{path}/{each.name}"
        yield from below(each, f"{path}/{each.name}")


@dataclass(frozen=True)
class DryRun:
    """`arrays`: the specs of what each call returned, None for what is no array. `outputs`: the network's, with their rows."""

    batch: int
    calls: list[Call]
    arrays: dict[Call, list[Any]]
    outputs: list[tuple[Any, str | None]]


def dry_run(model: Any, operations: Operations, inputs: Inputs) -> DryRun:
    if not model.built and (unbuilt := without_weights(operations)):
        raise unbuilt  # a dry run would draw weights for them
    batch = next((start.shape[0] for start in inputs.starts if start.shape[0]), BATCH)  # as many as a stateful layer wants
    watches: list[Watch] = []
    calls: list[Call] = []
    made_by: list[str | None] = []

    def forward(*given: Any) -> tuple[list[Any], list[Any]]:
        calls.clear()  # Keras may try on several devices and with several sizes
        arrays: list[Any] = []

        def visit(call: Call, outputs: Any) -> Any:
            calls.append(call)
            arrays.append([each if keras.ops.is_tensor(each) else None for each in keras.tree.flatten(outputs)])
            return outputs

        watches.append(Watch(operations, visit))
        with operations.settings.counting(), watches[-1].standing():
            outputs = list(filter(keras.ops.is_tensor, keras.tree.flatten(inputs.call(model, given))))
        names = {
            id(each): name
            for call, parts in zip(calls, arrays, strict=True)
            for name, each in zip(array_names(call.name, len(parts)), parts, strict=True)
        }
        made_by[:] = [names.get(id(each)) for each in outputs]
        return arrays, outputs

    try:
        arrays, outputs = specs_of(forward, inputs.starts, batch)
    except Exception as error:
        raise not_run(operations, watches[-1] if watches else None, inputs, error) from error
    return DryRun(batch, list(calls), dict(zip(calls, arrays, strict=True)), list(zip(outputs, made_by, strict=True)))


def specs_of(forward: Callable[..., Any], starts: Sequence[Start], batch: int) -> Any:
    """What `forward` gives. Some layers cannot do without sizes (UpSampling2D to bilinear, on TensorFlow): they are given two,
    and what differs is not known."""

    def given(size: int | None) -> Any:
        sizes = ((batch, *(size if each is None else each for each in start.shape[1:])) for start in starts)
        return compute_output_spec(forward, *(keras.KerasTensor(*each) for each in zip(sizes, dtypes, strict=True)))

    dtypes = [start.dtype for start in starts]
    try:
        return given(None)
    except Exception:
        if all(None not in start.shape[1:] for start in starts):
            raise
        return keras.tree.map_structure(either, *map(given, SIZES))


def either(small: Any, large: Any) -> Any:
    """A spec without the sizes that differ."""
    if small is None:
        return None
    return keras.KerasTensor([a if a == b else None for a, b in zip(small.shape, large.shape, strict=True)], small.dtype)


def not_run(operations: Operations, watch: Watch | None, inputs: Inputs, error: Exception) -> Exception:
    if unbuilt := without_weights(operations):
        return unbuilt
    reached = watch.reached if watch else None
    where = f"after '{reached}'" if reached else "in its first layer"
    cause = (watch and watch.failure) or error
    shape = ", ".join(str(start.shape) for start in inputs.starts)
    return EngineError(f"The network does not run: it failed {where}, on pictures of shape {shape}. {first_line(cause)}", reached)


def without_weights(operations: Operations) -> Unsupported | None:
    """Of layers that make their weights when they are called, and were not."""
    unbuilt = [path for each, path in operations.paths.items() if not getattr(each, "built", True) and makes_weights(each)]
    if not unbuilt:
        return None
    return Unsupported(
        f"'{operations.model.name}' has layers without weights yet ({', '.join(unbuilt[:3])}). "
        "Call it once on a batch of pictures."
    )


def makes_weights(operation: Any) -> bool:
    return type(operation).build not in (keras.Layer.build, keras.Model.build, keras.Sequential.build)


class Wiring:
    """In which order the rows stand and what feeds them, from the graphs of functional models.

    Each call in a functional model is a node of its graph, in the order in which Keras runs them.
    """

    def __init__(self, model: Any, calls: Sequence[Call], starts: Mapping[int, str]):
        self._children: dict[Call | None, list[Call]] = {}
        for call in calls:
            self._children.setdefault(call.parent, []).append(call)
        self._nodes: dict[Call, Any] = {}
        self._rank: dict[Call, tuple[int, int]] = {}
        self._names: dict[Call | None, dict[int, str]] = {}  # of the tensors in a graph, by id: the row that each is
        self._graphs: dict[Call | None, Any] = {None: graph_of(model)}
        self.complete = True
        self._match(None, dict(starts))

    def ordered(self, parent: Call | None = None) -> Iterator[Call]:
        """As Keras lists them: by depth, then as the model has them. A network stands after its parts."""
        for call in sorted(self._children.get(parent, ()), key=lambda call: self._rank.get(call, (0, 0))):
            yield from self.ordered(call)
            yield call

    def inputs(self, call: Call) -> tuple[str, ...]:
        """The rows that feed a call, each once: of a nested network, those that it ends in. () where that is not known."""
        if self._graphs.get(call) is not None:
            return self._rows(call, self._graphs[call].outputs)
        return self._rows(call.parent, self._nodes[call].input_tensors) if call in self._nodes else ()

    def _rows(self, parent: Call | None, tensors: Sequence[Any]) -> tuple[str, ...]:
        names = [self._names[parent].get(id(tensor)) for tensor in tensors]
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def _match(self, parent: Call | None, names: dict[int, str]) -> None:
        """Pair the calls in a network with the nodes of its graph, and go on in the networks among them."""
        graph, calls = self._graphs[parent], self._children.get(parent, [])
        nodes = list(run_order(graph)) if graph is not None else []
        if graph is None or [node.operation for _, node in nodes] != [call.operation for call in calls]:
            self.complete, self._graphs[parent] = False, None
            for call in calls:
                self._enter(call, [])
            return
        self._names[parent] = names
        places = {id(operation): index for index, operation in enumerate(graph.operations)}
        for call, (depth, node) in zip(calls, nodes, strict=True):
            self._nodes[call], self._rank[call] = node, (-depth, places[id(node.operation)])
            self._enter(call, [names.get(id(tensor)) for tensor in node.input_tensors])
            names |= {
                id(tensor): name for tensor, name in zip(node.outputs, array_names(call.name, len(node.outputs)), strict=True)
            }

    def _enter(self, call: Call, fed_by: Sequence[str | None]) -> None:
        if call not in self._children:
            return
        graph = self._graphs[call] = graph_of(call.operation)
        known = graph is not None and len(graph.inputs) == len(fed_by)
        pairs = zip(graph.inputs, fed_by, strict=True) if known else []
        self._match(call, {id(tensor): name for tensor, name in pairs if name is not None})


def run_order(graph: Any) -> Iterator[tuple[int, Any]]:
    """The nodes that a functional model runs, with their depths, as its `call` goes through them."""
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from ((depth, node) for node in graph._nodes_by_depth[depth] if node.operation and not node.is_input)


def is_whole(dtype: str) -> bool:
    return "float" not in keras.backend.standardize_dtype(dtype)


def is_of_pictures(shape: Shape, batch: int) -> bool:
    """Whether the first axis is that of the pictures, perhaps with others folded into it; not so of one number for the whole
    batch, of what is stacked before it, or of what is the same for all."""
    return len(shape) > 0 and (shape[0] is None or shape[0] % batch == 0)


def shapes(spec: Any, channels: int, start: Start, batch: int) -> dict[str, Shape | None]:
    """Native and protocol shape of a row, without its own batch where something was folded into that."""
    if spec.shape[0] != batch:
        return {"shape": None, "native_shape": (None, *spec.shape[1:])}
    native = (start.shape[0], *spec.shape[1:])
    return {"shape": protocol(native, channels), "native_shape": native}
