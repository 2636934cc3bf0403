"""One forward of ours through a Keras model: read, edit, stop early. The same on every backend."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src.backend import get_keras_mask, set_keras_mask  # what Keras itself keeps of a mask beside a tensor

from ..core import NOT_ALL, Edit, Reduce, Tap
from ..errors import EngineError, InputError, ModelError, Unsupported, not_read
from .keras_arrays import check_fit
from .keras_calls import Call, Enough, Operations, Watch
from .keras_failures import cannot_be_reached
from .keras_graph import Place
from .keras_inputs import Inputs
from .keras_layout import LAST, protocol
from .names import array_names, output_names

Tensors = dict[str, tuple[Any, Any]]  # scale and shift of each edited layer, in Keras' layout
Hook = Callable[[Any], Any]
Keep = Callable[[Any, int], Any]
# Only the real parts would be drawn, with nothing that says so.
COMPLEX = "'{}' holds complex numbers, which no map can show. Take the layer before or after it."


@dataclass(frozen=True)
class Plan:
    """What a forward reads and changes: `edits` only say where and of which shapes, their numbers are inputs.

    crossing   of a trace: the rows from which all that follows the first tap can be computed; () where they are not known
    """

    taps: tuple[Tap, ...]
    edits: Mapping[str, Edit] = field(default_factory=dict)
    crossing: tuple[str, ...] = ()


@dataclass
class Reader:
    """Stands behind every call: edits what it returns, and keeps what is asked for.

    keep       from a tensor, and the axis of its channels, to what is kept of it; positions stay
    hand_on    from a tensor that was read to what the next layer receives
    nudges     zeros that are added, so that a gradient with respect to them is one with respect to the layer
    held       what rows give, whatever came out of them; edits come after it
    begin      from a tensor that is read to one that a gradient can be taken for
    gave       is told what each call gave that is no network
    reachable  whether what is read or edited at this moment reaches what follows, and gradients with it
    """

    plan: Plan
    places: Mapping[str, Place]
    edits: Tensors
    keep: Keep
    hand_on: Hook
    nudges: Mapping[str, Any]
    held: Mapping[str, Any] = field(default_factory=dict)
    begin: Hook = lambda value: value
    gave: Callable[[str, Any], None] | None = None
    reachable: Callable[[], bool] = lambda: True
    networks: Container[Any] = ()
    seen: dict[Tap, Any] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)
    refused: InputError | ModelError | None = None
    unread: dict[str, ModelError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._taps: dict[str, list[Tap]] = {}
        for tap in self.plan.taps:
            self._taps.setdefault(tap.layer, []).append(tap)
        self._calls = {self.places[name].call for name in (*self._taps, *self.edits, *self.held)}

    def visit(self, call: Call, outputs: Any) -> Any:
        changed = outputs
        if call.name in self._calls:
            leaves = keras.tree.flatten(outputs)
            names = array_names(call.name, len(leaves))
            changed = keras.tree.pack_sequence_as(outputs, [self.read(*pair) for pair in zip(names, leaves, strict=True)])
        if self.gave and call.operation not in self.networks:
            self.gave(call.name, changed)
        if self.done and call.name in self._calls:
            raise Enough
        return changed

    @property
    def done(self) -> bool:
        return len(self.seen) == len(self.plan.taps)

    @property
    def missed(self) -> list[str]:
        """Layers that were to be read or edited, and did not run."""
        return [tap.layer for tap in self.plan.taps if tap not in self.seen] + [
            name for name in self.edits if name not in self.edited
        ]

    def read(self, name: str, value: Any) -> Any:
        mask = get_keras_mask(value)
        received = self._read(name, value)
        if mask is not None and received is not value:
            set_keras_mask(received, mask)  # which networks and layers of the user's set on what they return
        return received

    def _read(self, name: str, value: Any) -> Any:
        if name not in self._taps and name not in self.edits and name not in self.held and name not in self.nudges:
            return value
        if error := self._why_not(name, value):
            return self._unread(name, value, error)
        if name in self.held:
            value = keras.ops.cast(self.held[name], value.dtype)
        if name in self.edits:
            value = self._edited(name, value)
        if name in self.nudges:
            value = value + keras.ops.cast(self.nudges[name], value.dtype)
        if name in self._taps:
            value = self.begin(value)
        for tap in self._taps.get(name, ()):
            part = reduced(value, tap.reduce, self.places[name].channels)
            channels = self.places[name].channels if len(part.shape) > 2 else 1
            self.seen[tap] = part if tap.reduce == "argmax" else self.keep(part, channels)
        return self.hand_on(value) if name in self._taps else value

    def _why_not(self, name: str, value: Any) -> ModelError | None:
        """Why a row can be neither read nor changed."""
        if not self.reachable():  # and a function of the user's would keep what we did in it
            return cannot_be_reached()
        if not self.places[name].pictures:
            return Unsupported(f"'{name}' of this network holds nothing for each picture. Ask for a layer of the table.")
        return Unsupported(COMPLEX.format(name)) if "complex" in str(value.dtype) else None

    def _unread(self, name: str, value: Any, error: ModelError) -> Any:
        """Reads the others."""
        if name in self.edits or name not in self._taps:
            self.refused = error
            raise Enough from error
        self.unread[name] = error
        self.seen |= dict.fromkeys(self._taps[name])
        return value

    def _edited(self, name: str, value: Any) -> Any:
        shape = tuple(value.shape)
        try:
            check_fit(self.plan.edits[name], (shape[0], *protocol(shape, self.places[name].channels)))
        except InputError as error:
            self.refused = error
            raise Enough from error  # Keras would make another exception of an ordinary one
        self.edited.add(name)
        scale, shift = self.edits[name]
        return keras.ops.cast(keras.ops.cast(value, "float32") * scale + shift, value.dtype)


class Scope(keras.StatelessScope):  # type: ignore[misc]  # Keras has no types
    """Remembers, on JAX, which variables were read that it has no value for, and what they held."""

    def __init__(self, variables: Sequence[tuple[Any, Any]]):
        super().__init__(state_mapping=variables)
        self.constants: dict[int, tuple[Any, Any]] = {}

    def get_current_value(self, variable: Any) -> Any:
        value = super().get_current_value(variable)
        if value is None and keras.backend.backend() == "jax":
            self.constants[id(variable)] = variable, variable._value
        return value


@dataclass
class Forward:
    """`model` with its operations; `reached` and `failure` are those of the last forward that Python went through.

    assigned   whether that forward would have changed the state of a layer: seeds, statistics
    constants  variables that a forward read and was not given, with what they held: what is compiled keeps that on JAX
    """

    model: Any
    inputs: Inputs
    operations: Operations
    places: Mapping[str, Place]
    reached: str | None = None
    failure: Exception | None = None
    assigned: bool = False
    constants: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def __call__(
        self,
        plan: Plan,
        pictures: Sequence[Any],
        edits: Tensors,
        *,
        keep: Keep,
        hand_on: Hook = lambda value: value,
        nudges: Mapping[str, Any] | None = None,
        variables: Sequence[tuple[Any, Any]] = (),
        held: Mapping[str, Any] | None = None,
        begin: Hook = lambda value: value,
        instead: Mapping[str, Any] | None = None,
        gave: Callable[[str, Any], None] | None = None,
        reachable: Callable[[], bool] = lambda: True,
    ) -> list[Any]:
        """What `plan.taps` ask for, in their order. Raises InputError for an edit that does not fit, EngineError.

        pictures    an array for each of the inputs
        variables   values to run with instead of the model's own
        instead     by name, what calls give that need not run
        """
        networks = self.operations.networks
        reader = Reader(plan, self.places, edits, keep, hand_on, nudges or {}, held or {}, begin, gave, reachable, networks)
        watch = Watch(self.operations, reader.visit, instead)
        scope = Scope(variables)
        before = dict(scope.state_mapping)
        try:
            # Whatever the network assigns, seeds and statistics, stays in the scope and is dropped with it.
            with scope, self.operations.settings.counting(), watch.standing():
                self._run(reader, pictures)
        except Enough:
            pass
        finally:
            self.reached, self.failure = watch.reached, watch.failure
            self.constants |= scope.constants
            self.assigned = any(before.get(key) is not value for key, value in scope.state_mapping.items())
        if reader.refused:
            raise reader.refused
        if reader.unread:
            raise not_read(reader.unread)
        return [reader.seen[tap] for tap in plan.taps]

    def channels(self, tap: Tap) -> int:
        """The axis of the channels in what the tap reads."""
        place = self.places[tap.layer]
        return place.channels if place.axes > 2 and tap.reduce == "none" else 1

    def _run(self, reader: Reader, pictures: Sequence[Any]) -> None:
        given = [reader.read(name, array) for name, array in zip(self.inputs.names, pictures, strict=True)]
        if reader.done:
            return
        outputs = list(filter(keras.ops.is_tensor, keras.tree.flatten(self.inputs.call(self.model, given))))
        for name, value in zip(output_names(len(outputs)), outputs, strict=True):
            reader.read(name, value)
        if reader.missed:
            says = "'{}' did not run for these pictures: the network took another way, or has it in a function compiled before."
            raise not_read({name: EngineError(says.format(name)) for name in reader.missed})


def reduced(value: Any, reduce: Reduce, channels: int) -> Any:
    """Spatial axes collapsed, in float32, positions in whole numbers, see Tap."""
    if reduce == "none":
        return value
    values = keras.ops.cast(value, "float32")
    if channels not in (1, LAST):
        values = keras.ops.moveaxis(values, channels, 1)
    sizes = keras.ops.shape(values)
    if len(value.shape) < 3:
        values, axis = values[..., None], -1
    elif channels == LAST:
        values, axis = keras.ops.reshape(values, (sizes[0], -1, sizes[-1])), 1
    else:
        values, axis = keras.ops.reshape(values, (*sizes[:2], -1)), 2
    if reduce == "argmax":
        return keras.ops.argmax(values, axis)
    if reduce == "active":
        return share_of(keras.ops.sum(keras.ops.cast(values > 0, "int32"), axis), keras.ops.shape(values)[axis])
    return keras.ops.max(values, axis) if reduce == "max" else keras.ops.mean(values, axis)


def share_of(counts: Any, positions: Any) -> Any:
    """As core.share, on the device. Counts are divided by themselves where a product with 1 / positions could be below one."""
    several, whole = keras.ops.cast(counts, "float32"), keras.ops.cast(positions, "int32")
    part = keras.ops.minimum(several / keras.ops.cast(whole, "float32"), NOT_ALL)
    return keras.ops.where(counts < whole, part, several / several)
