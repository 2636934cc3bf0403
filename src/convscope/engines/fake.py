"""An engine in plain NumPy whose numbers can be checked by hand. For tests and examples, and as the shortest engine there is.

    input (3, 8, 8) -> conv1 -> relu1 -> pool1 -> conv2 -> add -> relu2 -> mean -> classes (3,)
                                           `----------------^

conv1's units are red as it is, right minus left of green, the mean of 3 x 3 pixels of blue, and one that is dead for every
picture above 0. conv2 moves each map by one unit, so that relu2's units are sums of two of pool1's.

With `gated` there is a second input, a number per unit, by which pool1 is multiplied before conv2: input:1 (4,) -> gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..core import (
    Array,
    Edit,
    Graph,
    Kind,
    Layer,
    Part,
    Pictures,
    Run,
    Tap,
    Window,
    as_tap,
    by_input,
    input_names,
    merged,
    reduced,
)
from ..errors import InputError, UnknownLayer, WrongPictureShape
from .cuts import Cut, checked_repeat

PICTURE = (3, 8, 8)
GATE = (4,)
AROUND = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
HALVES = Window((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)))
Pull = Callable[[Array], tuple[Array, ...]]  # from the gradient of a result to those of what it was made from
Weights = Mapping[str, Array]


@dataclass(frozen=True)
class Step:
    """A layer: `operator(weights, *inputs)` gives its output and how to pull a gradient back."""

    name: str
    kind: Kind
    native: str
    operator: Callable[..., tuple[Array, Pull]]
    inputs: tuple[str, ...]
    weights: Weights = field(default_factory=dict)
    window: Window | None = None


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


def network() -> tuple[Step, ...]:
    kernel1 = np.zeros((4, 3, 3, 3), np.float32)
    kernel1[0, 0, 1, 1] = 1
    kernel1[1, 1, 1, 0], kernel1[1, 1, 1, 2] = -1, 1
    kernel1[2, 2] = 1 / 9
    kernel1[3] = -1
    kernel2 = np.zeros((4, 4, 3, 3), np.float32)
    for unit in range(4):
        kernel2[unit, (unit + 1) % 4, 1, 1] = 1
    conv1 = {"kernel": kernel1, "bias": np.array([0, 0.5, 0, -1], np.float32)}
    classes = np.array([[1, 0, 0, 0], [0, 1, 2, 0], [-1, 0, 1, 1]], np.float32)
    dense = {"kernel": classes, "bias": np.array([0, 0, 0.25], np.float32)}
    return (
        Step("conv1", "convolution", "Conv", convolution, ("input",), conv1, AROUND),
        Step("relu1", "activation", "ReLU", relu, ("conv1",)),
        Step("pool1", "pooling", "MeanPool", mean_pool, ("relu1",), window=HALVES),
        Step("conv2", "convolution", "Conv", convolution, ("pool1",), {"kernel": kernel2}, AROUND),
        Step("add", "merge", "Add", add, ("conv2", "pool1")),
        Step("relu2", "activation", "ReLU", relu, ("add",)),
        Step("mean", "pooling", "GlobalMean", mean, ("relu2",)),
        Step("classes", "dense", "Dense", product, ("mean",), dense),
    )


def with_gate(steps: Sequence[Step]) -> list[Step]:
    changed = [replace(step, inputs=("gate",)) if step.name == "conv2" else step for step in steps]
    gate = Step("gate", "merge", "Multiply", gated, ("pool1", "input:1"))
    return [*changed[:3], gate, *changed[3:]]


def convolution(weights: Weights, values: Array) -> tuple[Array, Pull]:
    """3 x 3, stride 1, padded with zeros so that the size stays."""
    back = weights["kernel"].transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    return unpadded(weights, with_zeros(values))[0], lambda g: (correlation(with_zeros(g), back),)


def unpadded(weights: Weights, values: Array) -> tuple[Array]:
    result = correlation(values, weights["kernel"])
    return (result + weights["bias"][:, None, None] if "bias" in weights else result,)


def with_zeros(values: Array) -> Array:
    return np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))


def correlation(values: Array, kernel: Array) -> Array:
    result: Array = np.einsum("ncyxij,ocij->noyx", sliding_window_view(values, (3, 3), axis=(2, 3)), kernel)
    return result


def relu(_weights: Weights, values: Array) -> tuple[Array, Pull]:
    return np.maximum(values, 0), lambda gradient: (gradient * (values > 0),)


def mean_pool(_weights: Weights, values: Array) -> tuple[Array, Pull]:
    n, c, h, w = values.shape
    result = values.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
    return result, lambda gradient: (gradient.repeat(2, 2).repeat(2, 3) * np.float32(0.25),)


def add(_weights: Weights, left: Array, right: Array) -> tuple[Array, Pull]:
    return left + right, lambda gradient: (gradient, gradient)


def gated(_weights: Weights, values: Array, gate: Array) -> tuple[Array, Pull]:
    factors = gate[:, :, None, None]
    return values * factors, lambda gradient: (gradient * factors, (gradient * values).sum((2, 3)))


def mean(_weights: Weights, values: Array) -> tuple[Array, Pull]:
    share = np.full_like(values, 1 / np.prod(values.shape[2:]))
    return values.mean((2, 3)), lambda gradient: (gradient[:, :, None, None] * share,)


def product(weights: Weights, values: Array) -> tuple[Array, Pull]:
    return values @ weights["kernel"].T + weights["bias"], lambda gradient: (gradient @ weights["kernel"],)


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


LOCAL: dict[Callable[..., Any], Callable[..., Any]] = {
    convolution: unpadded,
    relu: relu,
    mean_pool: mean_pool,
    add: add,
}  # on parts
