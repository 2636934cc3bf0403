"""keras.Model on torch, TensorFlow or JAX -> Engine.

`call` is replaced only while a forward of ours runs; what is read leaves it by its return value. See keras_calls.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np

from ..core import Array, Edit, Graph, Layer, Pictures, Rule, Run, Tap, as_tap, by_input, each_array, merged, reduced
from ..errors import ConvscopeError, InputError, ModelError, Shape, Unsupported, WrongPictureShape
from .cuts import Cut, crossing
from .failures import no_gradient
from .keras_arrays import to_native, to_protocol
from .keras_backends import Native, Traced, backend
from .keras_calls import Operations
from .keras_failures import failure
from .keras_forward import Forward, Plan
from .keras_graph import Place, survey
from .keras_held import KerasHeld
from .keras_inputs import Start, inputs_of
from .keras_rows import weights_of

if TYPE_CHECKING:
    from .keras_torch import TorchBackend


class KerasEngine:
    """Runs a keras.Model on the backend that Keras is on, always with training=False. The model is left as it was.

    model           the model itself
    picture_shape   (c, *spatial) of what goes in, or of each by the arguments of `call`: for a model that is no graph, and of
                    which Keras does not know that
    raises          Unsupported for a model that was never built; EngineError for one that does not run
    """

    def __init__(self, model: Any, *, picture_shape: Any = None):
        if not isinstance(model, keras.Model):
            raise InputError(f"A KerasEngine runs a keras.Model, but received a {type(model).__name__}.", received=type(model))
        self.model, self._picture_shape = model, picture_shape
        operations = Operations(model)
        self._inputs = inputs_of(model, operations.paths, picture_shape)
        self._table = table = survey(model, operations, self._inputs)
        self._state = operations.settings.now()
        self.graph: Graph = table.graph
        self._ends = dict(zip((start.name for start in self._inputs.starts), self._inputs.names, strict=True))
        self._places: dict[str, Place] = {**table.places, **{end: table.places[row] for row, end in self._ends.items()}}
        self._forward = Forward(model, self._inputs, operations, self._places)
        self._backend = backend(self._forward)

    @property
    def framework(self) -> str:
        return f"keras {keras.__version__} on {keras.backend.backend()}"

    def weights(self, layer: str) -> Mapping[str, Array]:
        """`kernel` and `bias`, of separable layers `depthwise_kernel` and `pointwise_kernel`; else by Keras' names. Copies."""
        row, operation = self.graph[layer], self.operation(layer)
        return {} if operation is None else weights_of(operation, row.kind)

    def operation(self, layer: str) -> Any:
        """The layer or operation of Keras that a row stands for; None for the input. Raises UnknownLayer."""
        return self._places[self.graph[layer].name].operation

    def with_weights(self, weights: Mapping[str, Mapping[str, Array]]) -> KerasEngine:
        """See Reweighable.with_weights."""
        from .keras_reweighed import check_same, copied, fill

        rows = {layer: self.graph[layer] for layer in weights}
        copy = copied(self.model)
        check_same(self.model, copy, self._inputs)
        result = KerasEngine(copy, picture_shape=self._picture_shape)
        for layer, row in rows.items():
            fill(result.operation(row.name), row.kind, weights[layer], layer)
        return result

    def hold(self, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> KerasHeld:
        """See Resumable.hold."""
        outputs = [name for name in self._places if name.partition(":")[0] == "output" and name not in self.graph.names]
        return KerasHeld(self, pictures, Cut.at(layer, self.graph, outputs, {end: row for row, end in self._ends.items()}), edits)

    def run(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Run:
        """See Engine.run."""
        return self.run_from({}, pictures, taps, edits)

    def run_from(self, held: Mapping[str, Any], pictures: Pictures, taps: Iterable[Tap | str], edits: Iterable[Edit]) -> Run:
        """As `run`. `held`: what need not be computed, see keras_held."""
        asked = [as_tap(tap) for tap in taps] or [Tap("output")]
        changes, resolved = self._changes(edits), list(map(self._resolved, asked))
        plan = Plan(tuple(dict.fromkeys(resolved)), changes)
        received = by_input(pictures, self.graph)
        native = self._received(received)
        with self._failing(received):
            found = self._backend.run(plan, native, self._numbers(changes), held)
        arrays = dict(zip(plan.taps, found, strict=True))
        return Run({tap: arrays[other] for tap, other in zip(asked, resolved, strict=True)})

    def stopped(self, pictures: Pictures, layers: Iterable[str], edits: Iterable[Edit]) -> tuple[dict[str, Any], bool]:
        """On torch: what each call gave until all of `layers` were known, and whether something wrote into that or a state."""
        changes, received = self._changes(edits), by_input(pictures, self.graph)
        plan = Plan(tuple(self._resolved(Tap(layer)) for layer in dict.fromkeys(layers)), changes)
        with self._failing(received):
            return cast("TorchBackend", self._backend).stop(plan, self._received(received), self._numbers(changes))

    def trace(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> KerasTrace:
        """See Differentiable.trace."""
        asked, changes = [as_tap(tap) for tap in taps], self._changes(edits)
        given = each_array(by_input(pictures, self.graph), np.array)
        inputs = list(map(Tap, self._inputs.names))
        return KerasTrace(
            self,
            {*asked, *inputs, Tap("output")},
            self._traced(given, [*asked, Tap("output")], changes),
            lambda: self._traced(given, [*inputs, *asked, Tap("output")], changes),
        )

    def _traced(self, pictures: Pictures, taps: Sequence[Tap], changes: Mapping[str, Edit]) -> tuple[Plan, Traced]:
        """A run whose gradients begin at what is tapped."""
        names = tuple(dict.fromkeys(self._resolved(tap).layer for tap in taps))
        crossed = tuple(self._resolved(Tap(name)).layer for name in crossing(self.graph, names))
        plan = Plan(tuple(map(Tap, names)), changes, crossed)
        received = by_input(pictures, self.graph)
        native = self._received(received)
        with self._failing(received):
            return plan, self._backend.trace(plan, native, self._numbers(changes))

    def trace_by(self, rule: Rule, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> KerasTrace:
        """See RuledBackward.trace_by. Raises Unsupported on backends other than torch."""
        if keras.backend.backend() != "torch":
            raise Unsupported(
                f"The backward rule of ReLUs cannot be changed on {self.framework}. It can in Keras on torch "
                "(KERAS_BACKEND=torch). Here saliency, integrated-gradients and grad-cam work."
            )
        from .torch_rules import ReluRule

        with ReluRule(rule) as standing:
            trace = self.trace(pictures, (*self._inputs.names, *taps), edits)
        standing.check()
        return trace

    def _resolved(self, tap: Tap) -> Tap:
        """The tap by the name that the forward uses. Raises UnknownLayer."""
        if tap.layer not in self._places:
            self.graph[tap.layer]
        return replace(tap, layer=self._ends[tap.layer]) if tap.layer in self._ends else tap

    def _changes(self, edits: Iterable[Edit]) -> dict[str, Edit]:
        changes = []
        for edit in edits:
            layer = self._resolved(Tap(edit.layer)).layer
            if self._places[layer].whole:
                raise Unsupported(f"'{edit.layer}' holds whole numbers, and only floats can be edited. Edit a layer before it.")
            changes.append(replace(edit, layer=layer))
        return merged(changes)

    def _numbers(self, changes: Mapping[str, Edit]) -> dict[str, tuple[Native, Native]]:
        """The numbers of the edits in Keras' layout, of as many axes as what they change."""
        numbers = {}
        for name, edit in changes.items():
            channels, axes = self._places[name].channels, self._places[name].axes
            scale, shift = (to_native(np.asarray(each), channels, axes) for each in (edit.scale, edit.shift))
            numbers[name] = (scale, shift)
        return numbers

    def _received(self, pictures: Mapping[str, Array]) -> list[Native]:
        """What Keras receives. Raises Unsupported for a model that was changed; WrongPictureShape; InputError if the network
        wants whole numbers and they are none."""
        self._check_unchanged()
        return [self._as_received(*each) for each in zip(pictures.items(), self.graph.inputs, self._inputs.starts, strict=True)]

    def _check_unchanged(self) -> None:
        """What layers are set to is seen by the next run, if the table stays what it is."""
        operations = self._forward.operations
        operations.check_unchanged()
        if operations.settings.now() is not self._state:
            if not self._table.is_like(survey(self.model, operations, self._inputs)):
                raise operations.changed()
            self._state = operations.settings.now()

    def _as_received(self, given: tuple[str, Array], row: Layer, start: Start) -> Native:
        name, pictures = given
        takes: Shape = (None, *(row.shape or ()))
        fits = all(want in (None, have) for have, want in zip(np.shape(pictures), takes, strict=True))
        if not fits or len(pictures) == 0:
            raise WrongPictureShape(np.shape(pictures), takes, name if len(self._inputs.starts) > 1 else None)
        native = to_native(pictures, self._places[name].channels)
        received = native.astype(start.dtype, copy=False)
        if self._places[name].whole and not np.array_equal(received, native):
            raise InputError(
                f"The input '{name}' takes whole numbers ({received.dtype}), but received others. Give it pixels that are not "
                "scaled, numbers of classes or the like.",
                received=native.dtype,
            )
        return received

    def _arrays(self, taps: Sequence[Tap], values: Sequence[Native]) -> list[Array]:
        return to_protocol(values, list(map(self._forward.channels, taps)))

    @contextmanager
    def _failing(self, pictures: Mapping[str, Array]) -> Iterator[None]:
        """Turns what Keras raises into an EngineError that names the layer."""
        self._forward.reached = self._forward.failure = None  # of an earlier run
        try:
            yield
        except ModelError as error:
            unread = error.rows  # by the forward's names
            error.rows = {**unread, **{row: unread[end] for row, end in self._ends.items() if end in unread}}
            raise
        except ConvscopeError:
            raise
        except Exception as error:
            shapes = [np.shape(each) for each in pictures.values()]
            inside = self._forward.failure
            raise failure(error, self._forward.reached, inside, shapes) from inside or error


class KerasTrace:
    """A run that remembers how it was computed."""

    def __init__(
        self,
        engine: KerasEngine,
        asked: Collection[Tap],
        traced: tuple[Plan, Traced],
        again: Callable[[], tuple[Plan, Traced]],
    ):
        self._engine, self._asked, self._again = engine, asked, again
        self._plan, self._traced = traced

    def __getitem__(self, tap: Tap | str) -> Array:
        tap = as_tap(tap)
        if tap not in self._asked:
            return Run(dict.fromkeys(self._asked, np.empty(0, np.float32)))[tap]  # raises, and says what was asked
        whole = Tap(self._engine._resolved(tap).layer)
        self._run_again_for([tap.layer])
        return reduced(self._values(whole), tap.reduce)

    def pullback(self, seeds: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
        """The gradient of sum_k <seeds[k], value of k> for each of `wrt`, zero where nothing flows.

        raises   InputError for what was not tapped, and for a seed of another shape than the value; EngineError
        """
        self._run_again_for([*seeds, *wrt])
        numbers = {self._number(name): self._seed(name, seed) for name, seed in seeds.items()}
        places = [self._number(name) for name in wrt]
        try:
            gradients = self._traced.pull(numbers, places)
        except Exception as error:
            raise no_gradient(error, self._engine.framework) from error
        taps = [self._plan.taps[at] for at in places]
        return dict(zip(wrt, self._engine._arrays(taps, gradients), strict=True))

    def _run_again_for(self, names: Sequence[str]) -> None:
        """Where an input is asked for that was not tapped: gradients begin at what is."""
        ends = {self._engine._resolved(Tap(name)).layer for name in names} & set(self._engine._inputs.names)
        if not ends <= {tap.layer for tap in self._plan.taps}:
            self._plan, self._traced = self._again()

    def _number(self, name: str) -> int:
        tap = Tap(self._engine._resolved(Tap(name)).layer)
        if tap not in self._plan.taps:
            raise InputError(f"'{name}' was not tapped in this trace. Tap it to take gradients there.", received=name)
        return self._plan.taps.index(tap)

    def _values(self, tap: Tap) -> Array:
        value = keras.ops.convert_to_numpy(keras.ops.cast(self._traced.values[self._plan.taps.index(tap)], "float32"))
        return self._engine._arrays([tap], [value])[0]

    def _seed(self, name: str, seed: Array) -> Native:
        tap = self._plan.taps[self._number(name)]
        expected = self._values(tap).shape
        if np.shape(seed) != expected:
            message = f"The seed of '{name}' has shape {np.shape(seed)}, but its value has {expected}."
            raise InputError(message, received=np.shape(seed), expected=expected)
        return to_native(seed, self._engine._places[tap.layer].channels)
