"""The operations of a Keras model, and a way to stand between them and what they return while our own forward runs.

Patching `call` around `model.predict` does nothing on JAX and TensorFlow, where the compiled function is used again. So `call`
is replaced only inside a forward of ours, and what is read leaves it by its return value.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from ..errors import Unsupported
from .keras_compiled import as_python, nothing_compiled
from .keras_settings import Settings
from .names import numbered

# Networks share layers, and calls are replaced on the layers: one forward of ours at a time, whichever engine it is of.
ONE_AT_A_TIME = threading.RLock()


class Enough(BaseException):
    """All that was asked for is known. No Exception, so that nobody's `except Exception` holds it back."""


@dataclass(frozen=True, eq=False)
class Call:
    """An operation that runs. `name`: its path, and `relu#2` when it runs for the second time."""

    operation: Any
    name: str
    parent: Call | None  # the nested network that it is a part of


Visit = Callable[[Call, Any], Any]  # gets what the call returned, gives what its followers receive


class Watch:
    """One forward in which `visit` stands behind every operation.

    instead   by name, what calls give that need not run
    reached   the last call that came to its end
    failure   what an operation raised first; Keras raises another exception in its place
    """

    def __init__(self, operations: Operations, visit: Visit, instead: Mapping[str, Any] | None = None):
        self.reached: str | None = None
        self.failure: Exception | None = None
        self._operations, self._visit, self._instead = operations, visit, instead or {}
        self._calls: list[Call] = []
        self._counts: Counter[str] = Counter()
        self._thread = threading.get_ident()

    @contextmanager
    def standing(self) -> Iterator[None]:
        with ONE_AT_A_TIME, ExitStack() as undo:
            undo.enter_context(nothing_compiled())
            for operation in (self._operations.model, *self._operations.paths):
                undo.enter_context(kept_values(operation))
                undo.enter_context(as_python(operation))
            for operation, path in self._operations.paths.items():
                undo.enter_context(kept_modes(operation))
                undo.enter_context(replaced(operation, partial(self._around, operation, path)))
            yield

    def _around(self, operation: Any, path: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread or (
                self._calls and self._calls[-1].operation not in self._operations.networks
            ):
                return call(*args, **kwargs)  # somebody else's forward, or the inside of a layer of Keras' own
            self._counts[path] += 1
            made = Call(operation, numbered(path, self._counts[path]), self._calls[-1] if self._calls else None)
            self._calls.append(made)
            try:
                outputs = self._instead[made.name] if made.name in self._instead else call(*args, **kwargs)
            except Exception as error:
                self.failure = self.failure or error
                raise
            finally:
                self._calls.pop()
            outputs = self._visit(made, outputs)
            self.reached = made.name
            return outputs

        return watched


@contextmanager
def replaced(operation: Any, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """`call` replaced on this operation; put back whatever happens. Keras' and torch's __setattr__ would register it."""
    name = "quantized_call" if getattr(operation, "quantization_mode", None) else "call"
    own = vars(operation).get(name)
    object.__setattr__(operation, name, around(getattr(operation, name)))
    try:
        yield
    finally:
        if own is None:
            object.__delattr__(operation, name)
        else:
            object.__setattr__(operation, name, own)


@contextmanager
def kept_values(operation: Any) -> Iterator[None]:
    """Without keras.RematScope, which runs `call` a second time, behind our back, when a gradient is taken."""
    mode = getattr(operation, "_remat_mode", None)
    if mode is None:
        yield
        return
    object.__setattr__(operation, "_remat_mode", None)
    try:
        yield
    finally:
        object.__setattr__(operation, "_remat_mode", mode)


@contextmanager
def kept_modes(operation: Any) -> Iterator[None]:
    """A module of torch in a layer is put into evaluation by that layer, and put back here."""
    modes = [(each, each.training) for each in operation.modules()] if type(operation).__name__ == "TorchModuleWrapper" else []
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training


class Operations:
    """Every operation of a model but its inputs.

    paths      by operation, `outer/inner` in a nested network; names that occur twice are told apart
    networks   those that have parts which are operations of their own
    """

    def __init__(self, model: Any):
        self.model = model
        self.paths: dict[Any, str] = {}
        self._walk(model, "")
        self.networks = frozenset(operation for operation in self.paths if parts(operation))
        self._made = self._making()
        self.settings = Settings(self._set())

    def check_unchanged(self) -> None:
        """Raises Unsupported where the model is made of other parts, or with other activations, than when it was opened."""
        if self._made != self._making():
            raise self.changed()

    def changed(self) -> Unsupported:
        return Unsupported(
            f"'{self.model.name}' was changed after it was opened: it has other layers, activations, shapes or means now. "
            "Open it again."
        )

    def _set(self) -> list[Any]:
        """All that can be set to something, also inside layers of Keras' own. Models of Keras' own only run what they hold."""
        every = [self.model, *self.paths]
        inside = [each for outer in every if isinstance(outer, keras.Layer) for each in outer._flatten_layers()]
        found = list({id(each): each for each in (*every, *inside)}.values())
        return [each for each in found if not (isinstance(each, keras.Model) and is_of_keras(each))]

    def _making(self) -> list[tuple[Any, ...]]:
        """Each part, with what it computes that is no weight and that people change."""
        made = [(each, getattr(each, "activation", None)) for outer in (self.model, *self.networks) for each in parts(outer)]
        return [
            (each, activation if callable(activation) else None, getattr(each, "quantization_mode", None), scaled(each))
            for each, activation in made
        ]

    def _walk(self, outer: Any, prefix: str) -> None:
        taken = set(self.paths.values())
        for operation in parts(outer):
            if operation not in self.paths:
                self.paths[operation] = free(prefix + operation.name, taken)
                taken.add(self.paths[operation])
                self._walk(operation, self.paths[operation] + "/")


def scaled(operation: Any) -> tuple[bytes, ...]:
    """What a layer of Keras' does to pixels: from that it was found what a picture has to be when the network was opened."""
    if not isinstance(operation, keras.layers.Normalization | keras.layers.Rescaling):
        return ()
    numbers = (getattr(operation, name, None) for name in ("mean", "variance", "scale", "offset"))
    return tuple(np.asarray(keras.ops.convert_to_numpy(each)).tobytes() for each in numbers if each is not None)


def parts(operation: Any) -> list[Any]:
    """What a network is made of. Layers of Keras' own are one piece: what runs in them may run in a loop of the backend."""
    graph = graph_of(operation)
    if graph is not None:
        inside = graph.operations
    elif isinstance(operation, keras.Model) and is_functional(operation):  # with a call of the user's around it
        inside = [*operation.operations, *operation._flatten_layers(include_self=False, recursive=False)]
    elif isinstance(operation, keras.Layer) and (isinstance(operation, keras.Model) or not is_of_keras(operation)):
        inside = operation._flatten_layers(include_self=False, recursive=False)
    else:
        inside = []
    return [each for each in inside if not isinstance(each, keras.layers.InputLayer)]


def graph_of(operation: Any) -> Any:
    """The graph that a functional or sequential model runs; None where code of the user's decides what runs."""
    if not is_of_keras(operation):
        return None
    if isinstance(operation, keras.Sequential):
        return operation._functional
    return operation if is_functional(operation) else None


def is_functional(operation: Any) -> bool:
    return hasattr(operation, "_nodes_by_depth")


def is_of_keras(operation: Any) -> bool:
    """Whether what the operation does was written by Keras."""
    module: str = type(operation).call.__module__
    return module.split(".")[0] == "keras"


def free(name: str, taken: set[str]) -> str:
    """`name`, or `name_1`, `name_2` as Keras counts."""
    number = 1
    result = name
    while result in taken:
        result, number = f"{name}_{number}", number + 1
    return result
