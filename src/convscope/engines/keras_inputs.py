"""What a Keras model takes: how many arrays, of which shapes, and how its `call` wants them."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

from ..errors import Shape, Unsupported
from .keras_calls import graph_of, is_functional
from .keras_layout import LAST, usual_channels
from .names import RESERVED, end_names, numbered


@dataclass(frozen=True)
class Start:
    """One array that goes into the network: the row's name, Keras' word for it, its shape with the batch, and its dtype."""

    name: str
    native: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Inputs:
    """All that goes into a network, in the order of its rows.

    structure   a nest as `call` takes it, with the number of a start for each array; None for one that is absent
    keywords    whether the nest is a dict of arguments, and not the first argument
    rows        of a graph: by the id of each of its tensors that goes in, the row
    """

    starts: tuple[Start, ...]
    structure: Any
    keywords: bool = False
    rows: Mapping[int, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """As the forward knows them: "input", "input:1"."""
        return end_names("input", len(self.starts))

    def call(self, model: Any, arrays: Sequence[Any]) -> Any:
        given = keras.tree.map_structure(lambda number: None if number is None else arrays[number], self.structure)
        with kept_losses(model):
            return model(**given, training=False) if self.keywords else model(given, training=False)


@contextmanager
def kept_losses(model: Any) -> Iterator[None]:
    """What the user's own call added to `model.losses` stays: Keras clears it in each call of a model."""
    object.__setattr__(model, "_clear_losses", lambda: None)
    try:
        yield
    finally:
        object.__delattr__(model, "_clear_losses")


def inputs_of(model: Any, paths: Mapping[Any, str], given: Any = None) -> Inputs:
    """How a model is called.

    paths    its operations, and their names
    given    (c, *spatial) of what goes in, a list or a dict of such, or a dict of these by the arguments of `call`; for a model
             that is no graph, of which Keras has kept the shape of the first argument at most. Of a graph optional inputs that
             a dict does not name are absent
    raises   Unsupported where it is not known what the model takes
    """
    graph = model if is_functional(model) else graph_of(model)
    if graph is not None:
        return inputs_of_graph(model, graph, given if isinstance(given, Mapping) else None)
    arguments = needed_arguments(model)
    if given is not None:
        keywords = isinstance(given, Mapping) and set(arguments) <= set(given)
        return inputs_of_call(native(given, list(paths)), paths.values(), keywords=keywords)
    shapes = getattr(model, "_build_shapes_dict", None)
    if shapes and len(arguments) < 2:
        return inputs_of_call(next(iter(shapes.values())), paths.values())
    if shapes:
        raise Unsupported(
            f"'{model.name}' takes several inputs ({', '.join(arguments)}). Say the shape of each without the axis of pictures, "
            f"channels first: picture_shape={{'{arguments[0]}': (3, 224, 224), '{arguments[1]}': ...}}."
        )
    if model.built and all(getattr(each, "built", True) for each in model._flatten_layers()):
        raise Unsupported(
            f"It is not known what '{model.name}' takes: Keras did not keep it. Say the shape without the axis of pictures, "
            "channels first: picture_shape=(3, 224, 224)."
        )
    raise Unsupported(
        f"It is not known what '{model.name}' takes, so it has no layers yet. "
        "Call it once on a batch of pictures, or begin it with keras.Input."
    )


def inputs_of_graph(model: Any, graph: Any, given: Mapping[str, Any] | None) -> Inputs:
    """Raises Unsupported for one that takes strings."""
    starts, places, rows = list[Start](), list[int | None](), dict[int, str]()
    for tensor in graph.inputs:
        layer = tensor._keras_history.operation
        if tensor.dtype == "string":
            raise Unsupported(
                f"The input '{layer.name}' of '{model.name}' takes strings, and networks are given numbers here. Open the part "
                "of it that follows the layer that turns strings into numbers, as a keras.Model that begins with an Input."
            )
        if given is not None and getattr(layer, "optional", False) and layer.name not in given:
            places.append(None)
            continue
        places.append(len(starts))
        starts.append(Start(row_name(layer.name, len(starts)), "InputLayer", tuple(tensor.shape), tensor.dtype))
        rows[id(tensor)] = starts[-1].name
    return Inputs(tuple(starts), keras.tree.pack_sequence_as(graph._inputs_struct, places), rows=rows)


def needed_arguments(model: Any) -> list[str]:
    """The arguments of `call` that have no default."""
    return [
        name
        for name, each in inspect.signature(model.call).parameters.items()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) and name != "training"
    ]


def native(given: Any, operations: Sequence[Any]) -> Any:
    """Shapes of a nest without and channels first, as with the axis of pictures and as the operations have it."""
    if isinstance(given, Mapping):
        return {key: native(each, operations) for key, each in given.items()}
    if not is_shape(given):
        return [native(each, operations) for each in given]
    channels = usual_channels(operations, len(given) + 1)
    sizes = [None, *given[1:]]
    sizes.insert(len(sizes) if channels == LAST else channels, given[0])
    return tuple(sizes)


def is_shape(nest: Any) -> bool:
    return not isinstance(nest, Mapping) and all(isinstance(size, int | None) for size in nest)


def inputs_of_call(nest: Any, taken: Collection[str], *, keywords: bool = False) -> Inputs:
    """From the shapes of one argument, perhaps a nest of them, or of several by name."""
    found: list[tuple[str, Shape]] = []
    structure = numbers(nest, "", found)
    names = end_names("input", len(found))
    if len(found) > 1:
        names = [names[at] if name in taken or not name else row_name(name, at) for at, (name, _) in enumerate(found)]
    starts = (Start(name, "Input", (None, *shape[1:]), "float32") for name, (_, shape) in zip(names, found, strict=True))
    return Inputs(tuple(starts), structure, keywords)


def numbers(nest: Any, name: str, found: list[tuple[str, Shape]]) -> Any:
    """The nest with a number for each shape in it, which goes to `found` with the key that it has, "" without one."""
    if isinstance(nest, Mapping):
        return {key: numbers(each, str(key), found) for key, each in nest.items()}
    if not is_shape(nest):
        return [numbers(each, "", found) for each in nest]
    found.append((name, tuple(nest)))
    return len(found) - 1


def row_name(name: str, at: int) -> str:
    """An input's own name, unless the network's ends have that."""
    return name if name not in RESERVED or (name, at) == ("input", 0) else numbered(name, 1)
