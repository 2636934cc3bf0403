"""How Keras on TensorFlow runs a forward of ours, and how it is pulled back: by graphs, one for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record  # the only place that says whether tapes remember

from ..core import Array, Tap
from .keras_arrays import copied, host
from .keras_backends import Compiled, Native, Natives, Numbers, Traced, as_it_is, question, tensors, to_float
from .keras_forward import Forward, Plan


class TensorFlowBackend:
    def __init__(self, forward: Forward):
        self._forward, self._compiled = forward, Compiled()
        self._traced = set[int]()  # no more of a question than its hash: a question keeps what layers hold

    def run(self, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Native] | None = None) -> list[Array]:
        def make() -> Any:
            def function(pictures: Any, edits: Any, held: Any, zero: Any) -> Any:
                keep = partial(channels_first, zero=zero)
                return self._forward(plan, pictures, edits, keep=keep, held=held, reachable=same_graph())

            return compiled(function, pictures, tensors(edits), held or {}, tf.constant(0))

        function = self._compiled.get(question(self._forward, plan, pictures, edits, held), make)
        given = {name: tf.constant(each) for name, each in (held or {}).items()}
        found = function(list(map(tf.constant, pictures)), tensors(edits), given, tf.constant(0))
        return owned(found, [self._forward.channels(tap) != 1 for tap in plan.taps])

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> Traced:
        """The first time eagerly, which is sooner done than compiling; then compiled."""
        key = question(self._forward, plan, pictures, edits)
        if hash(key) in self._traced:
            return CompiledTrace(self._forward, self._compiled, plan, pictures, edits)
        self._traced.add(hash(key))
        return self._eagerly(plan, pictures, edits)

    def _eagerly(self, plan: Plan, pictures: Natives, edits: Numbers) -> TensorFlowTraced:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            starts, begin = list(map(tf.constant, pictures)), watched_by(tape)
            values = self._forward(
                plan, starts, tensors(edits), keep=as_it_is, hand_on=tf.identity, begin=begin, reachable=same_graph()
            )
        return TensorFlowTraced(tape, values)


def compiled(function: Callable[..., Any], pictures: Natives, *others: Any) -> Any:
    starts = [tf.TensorSpec(each.shape, each.dtype) for each in pictures]
    specs = tf.nest.map_structure(lambda each: tf.TensorSpec(each.shape, each.dtype), others)
    return tf.function(function, autograph=False).get_concrete_function(starts, *specs)


def same_graph() -> Callable[[], bool]:
    """Whether a forward that begins now is still in its own graph, and tapes remember: tf.recompute_grad stops them."""

    def state() -> tuple[Any, bool]:
        return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph(), record.could_possibly_record()

    begun = state()
    return lambda: state() == begun


def channels_first(value: Any, channels: int, zero: Any) -> Any:
    """In float32, turned where the channels are not first.

    `zero` is an input of the graph, so that the order of the axes is not known before it runs: nothing can take the place of
    turning then, neither what cancels it nor a constant, and what comes out has memory of its own. See `owned`.
    """
    value = to_float(value)
    if channels == 1:
        return value
    order = list(range(len(value.shape)))
    order.insert(1, order.pop(channels))
    return tf.transpose(value, tf.constant(order) + zero)


def owned(tensors: Sequence[Any], turned: Sequence[bool]) -> list[Array]:
    """As arrays of the receiver's own. What was turned is no copy: TensorFlow made that memory for it.

    Unless turning left all in its place, where there is one channel or one position, or was the same for two of them. All else
    may be the memory of a weight, of a constant in the graph, or of the pictures.
    """
    taken, result = set[int](), list[Array]()
    for tensor, was_turned in zip(tensors, turned, strict=True):
        values = host(tensor)
        about = values.__array_interface__  # made anew each time that it is asked for
        place = about["data"][0]
        moved = was_turned and values.shape[1] > 1 and prod(values.shape[2:]) > 1
        result.append(np.asarray(Writable(values, about)) if moved and place not in taken else copied(values))
        taken.add(place)
    return result


class Writable:
    """The memory of an array that may not be written into, as NumPy asks for memory. It lives as long as arrays made of it."""

    def __init__(self, values: Array, about: Mapping[str, Any]):
        self._values = values
        self.__array_interface__ = {**about, "data": (about["data"][0], False)}


def watched_by(tape: Any) -> Callable[[Any], Any]:
    """From a tensor to one from where on the tape remembers, and which is known by no other name."""

    def begin(value: Any) -> Any:
        value = tf.identity(value)
        if value.dtype.is_floating:
            tape.watch(value)
        return value

    return begin


class CompiledTrace:
    """A compiled forward that also gives what crosses the first tap, and a compiled gradient that begins there.

    In that, what lies before is never used, so that TensorFlow leaves it out.
    """

    def __init__(self, forward: Forward, functions: Compiled, plan: Plan, pictures: Natives, edits: Numbers):
        self._forward, self._functions, self._plan, self._edits = forward, functions, plan, edits
        self._pictures = list(map(tf.constant, pictures))
        taps = tuple(dict.fromkeys((*plan.taps, *map(Tap, plan.crossing))))

        def make() -> Any:
            def function(pictures: Any, edits: Any) -> Any:
                also = Plan(taps, plan.edits)
                return forward(also, pictures, edits, keep=as_it_is, hand_on=tf.identity, reachable=same_graph())

            return compiled(function, pictures, tensors(edits))

        key = ("trace", plan.crossing, question(forward, plan, pictures, edits))
        found = functions.get(key, make)(self._pictures, tensors(edits))
        self._key, self.values = key, found[: len(plan.taps)]
        self._held = {tap.layer: value for tap, value in zip(taps, found, strict=True) if tap.layer in plan.crossing}

    def pull(self, seeds: Mapping[int, Native], wrt: Sequence[int]) -> list[Native]:
        if not seeds:
            return [np.zeros(self.values[at].shape, np.float32) for at in wrt]
        numbers = [tf.cast(seed, self.values[at].dtype) for at, seed in seeds.items()]
        edits = tensors({name: each for name, each in self._edits.items() if name not in self._held})
        plan = Plan(self._plan.taps, {name: each for name, each in self._plan.edits.items() if name not in self._held})

        def gradient(pictures: Any, edits: Any, held: Any, numbers: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                begin = watched_by(tape)
                values = self._forward(
                    plan, pictures, edits, keep=as_it_is, hand_on=tf.identity, begin=begin, held=held, reachable=same_graph()
                )
            ends, starts = [values[at] for at in seeds], [values[at] for at in wrt]
            found = tape.gradient(ends, starts, numbers, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return list(map(to_float, found))

        key = ("pull", tuple(seeds), tuple(wrt), self._key)
        function = self._functions.get(key, lambda: compiled(gradient, self._pictures, edits, self._held, numbers))
        return list(map(host, function(self._pictures, edits, self._held, numbers)))


class TensorFlowTraced:
    def __init__(self, tape: Any, values: Sequence[Any]):
        self._tape, self.values = tape, values

    def pull(self, seeds: Mapping[int, Native], wrt: Sequence[int]) -> list[Native]:
        ends, starts = [self.values[at] for at in seeds], [self.values[at] for at in wrt]
        numbers = [tf.cast(seed, end.dtype) for end, seed in zip(ends, seeds.values(), strict=True)]
        zero = tf.UnconnectedGradients.ZERO
        found = self._tape.gradient(ends, starts, numbers, unconnected_gradients=zero) if seeds else map(tf.zeros_like, starts)
        return [host(to_float(each)) for each in found]
