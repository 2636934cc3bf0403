"""An engine in plain NumPy whose numbers can be checked by hand. For tests and examples, and as the shortest engine there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..core import (
    Array,
    Edit,
    Graph,
    Layer,
    Part,
    Pictures,
    Run,
    Tap,
    as_tap,
    by_input,
    input_names,
    merged,
    reduced,
)  # fmt: skip
from ..errors import InputError, UnknownLayer, WrongPictureShape
from .cuts import Cut, checked_repeat
from .fake_network import GATE, LOCAL, PICTURE, Pull, Step, Weights, network, with_gate


class FakeEngine:
    """A network of eight layers on pictures (n, 3, 8, 8), with gradients. `ran`: the layers that ran in the last call.

    gated   with a ninth layer, and a second input (n, 4)
    """

    def __init__(self, *, gated: bool = False) -> None:
        self.ran: tuple[str, ...] = ()
        self._steps = {step.name: step for step in (with_gate(network()) if gated else network())}
        shapes = {"input": PICTURE, "input:1": GATE} if gated else {"input": PICTURE}
        starts = [Layer(i, name, "input", "Input", size, (None, *size)) for i, (name, size) in enumerate(shapes.items())]
        self.graph = Graph(tuple(starts))
        values, _ = self._flow({name: np.zeros((1, *size), np.float32) for name, size in shapes.items()}, {}, ())
        rows = [row(index, step, values[step.name]) for index, step in enumerate(self._steps.values(), len(starts))]
        self.graph = Graph((*starts, *rows))

    @property
    def framework(self) -> str:
        return f"numpy {np.__version__}"

    def weights(self, layer: str) -> Weights:
        name = self.graph[layer].name
        return {key: own(value) for key, value in self._steps[name].weights.items()} if name in self._steps else {}

    def with_weights(self, weights: Mapping[str, Weights]) -> FakeEngine:
        """See Reweighable.with_weights."""
        result = FakeEngine()
        for name, given in weights.items():
            step = self._steps[self.graph[name].name]
            result._steps[name] = replace(step, weights={**step.weights, **given})
        return result

    def run(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Run:
        asked, changes = self._asked(taps, edits)
        asked = asked or (Tap("output"),)
        values, _ = self._flow(pictures, changes, {tap.layer for tap in asked})
        return Run({tap: reduced(own(values[tap.layer]), tap.reduce) for tap in asked})

    def trace(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> FakeTrace:
        asked, changes = self._asked(taps, edits)
        values, pulls = self._flow(pictures, changes, ())
        return FakeTrace(self._steps, values, pulls, {*asked, *map(Tap, input_names(self.graph)), Tap("output")})

    def hold(self, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> FakeHeld:
        cut = Cut.at(layer, self.graph, ("output",))
        here, later = cut.split(edits)
        values, _ = self._flow(pictures, merged(here), {layer})
        before = {name: value for name, value in values.items() if name == layer or cut.is_before(name)}
        return FakeHeld(self, cut, before, later)

    def local(self, layer: str) -> Part | None:
        """See Local.local."""
        step = self._steps.get(self.graph[layer].name)
        if step is None or step.operator not in LOCAL:
            return None
        return Part(lambda arrays: LOCAL[step.operator](step.weights, *arrays)[0])

    def _asked(self, taps: Iterable[Tap | str], edits: Iterable[Edit]) -> tuple[tuple[Tap, ...], dict[str, Edit]]:
        asked, changes = tuple(map(as_tap, taps)), merged(edits)
        known = (*self.graph.names, "output")
        for name in (*(tap.layer for tap in asked), *changes):
            if name not in known:
                raise UnknownLayer(name, known)
        return asked, changes

    def _flow(
        self, pictures: Pictures, edits: Mapping[str, Edit], wanted: Iterable[str]
    ) -> tuple[dict[str, Array], dict[str, Pull]]:
        """What each layer gives, and how to pull a gradient back through it, until all of `wanted` are known; () is all."""
        values: dict[str, Array] = {}
        for (name, array), start in zip(by_input(pictures, self.graph).items(), self.graph.inputs, strict=True):
            if np.shape(array)[1:] != start.shape:
                several = name if len(self.graph.inputs) > 1 else None
                raise WrongPictureShape(np.shape(array), (None, *(start.shape or ())), several)
            values[name] = edited(np.asarray(array, np.float32), edits.get(name))
        return self._go_on(values, edits, wanted)

    def _go_on(
        self, values: dict[str, Array], edits: Mapping[str, Edit], wanted: Iterable[str]
    ) -> tuple[dict[str, Array], dict[str, Pull]]:
        """As `_flow`, from what is in `values`, which is filled up."""
        pulls: dict[str, Pull] = {}
        self.ran = ()
        for step in self._steps.values():
            if wanted and set(wanted) <= set(values):
                return values, pulls
            if step.name in values:
                continue
            result, pull = step.operator(step.weights, *(values[name] for name in step.inputs))
            values[step.name] = edited(result, edits.get(step.name))
            pulls[step.name] = through(edits.get(step.name), pull)
            self.ran += (step.name,)
        if "output" not in values:
            values["output"] = edited(values["classes"], edits.get("output"))
        pulls["output"] = through(edits.get("output"), lambda gradient: (gradient,))
        return values, pulls


class FakeHeld:
    """A run that was stopped after one layer."""

    def __init__(self, engine: FakeEngine, cut: Cut, values: Mapping[str, Array], edits: Sequence[Edit]):
        self.layer, self.value = cut.layer, own(values[cut.layer])
        self._engine, self._cut, self._values, self._edits = engine, cut, dict(values), edits

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        asked, changes = tuple(map(as_tap, taps)) or (Tap("output"),), list(edits)
        self._cut.check(asked, changes)
        values = {name: value.repeat(checked_repeat(repeat), 0) for name, value in self._values.items()}
        first = self._cut.repeated(self._edits, len(self.value), repeat)
        edits_of = merged([*first, *changes])
        values[self.layer] = edited(values[self.layer], edits_of.get(self.layer))
        values, _ = self._engine._go_on(values, edits_of, {tap.layer for tap in asked})
        return Run({tap: reduced(own(values[tap.layer]), tap.reduce) for tap in asked})


class FakeTrace:
    """A run that remembers how it was computed."""

    def __init__(self, steps: Mapping[str, Step], values: Mapping[str, Array], pulls: Mapping[str, Pull], asked: set[Tap]):
        self._inputs = {name: step.inputs for name, step in steps.items()} | {"output": ("classes",)}
        self._values, self._pulls, self._asked = values, pulls, asked

    def __getitem__(self, tap: Tap | str) -> Array:
        return Run({each: reduced(own(self._values[each.layer]), each.reduce) for each in self._asked})[tap]

    def pullback(self, seeds: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
        """The gradient of sum_k <seeds[k], value of k> for each of `wrt`. Raises InputError for what was not tapped."""
        for name in (*seeds, *wrt):
            if name not in {tap.layer for tap in self._asked}:
                raise InputError(f"'{name}' was not tapped in this trace. Tap it to take gradients there.", received=name)
        gradients = {name: np.zeros_like(value) for name, value in self._values.items()}
        for name, seed in seeds.items():
            if np.shape(seed) != gradients[name].shape:
                received, expected = np.shape(seed), gradients[name].shape
                raise InputError(f"The seed of '{name}' is {received}, not {expected}.", received=received, expected=expected)
            gradients[name] = gradients[name] + np.asarray(seed, np.float32)
        for name in reversed(tuple(self._pulls)):
            for source, gradient in zip(self._inputs[name], self._pulls[name](gradients[name]), strict=True):
                gradients[source] = gradients[source] + gradient
        return {name: own(gradients[name]) for name in wrt}


def row(index: int, step: Step, value: Array) -> Layer:
    shape, count = value.shape[1:], sum(array.size for array in step.weights.values())
    kernel = step.weights["kernel"].shape if step.weights else None
    layer = Layer(index, step.name, step.kind, step.native, shape, (None, *shape), count, kernel, step.inputs, trainable=count)
    return replace(layer, window=step.window)


def edited(values: Array, edit: Edit | None) -> Array:
    """`values` after the edit. Raises InputError where it does not fit."""
    if edit is None:
        return values
    if not all(fits(np.shape(part), values.shape) for part in (edit.scale, edit.shift)):
        raise InputError(f"The edit of '{edit.layer}' does not fit its output of shape {values.shape}.", expected=values.shape)
    return np.asarray(values * edit.scale + edit.shift, np.float32)


def fits(part: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array of shape `part` broadcasts to `whole`, without making it larger."""
    return len(part) <= len(whole) and all(a in (1, b) for a, b in zip(part[::-1], whole[::-1], strict=False))


def through(edit: Edit | None, pull: Pull) -> Pull:
    return pull if edit is None else lambda gradient: pull(gradient * edit.scale)


def own(values: Array) -> Array:
    return np.array(values, np.float32, order="C")
