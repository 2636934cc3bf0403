"""How Keras on JAX runs a forward of ours, and how it is pulled back: compiled, once for each question."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ..core import Array
from .keras_arrays import host, to_protocol
from .keras_backends import Compiled, Native, Natives, Numbers, question, to_float
from .keras_forward import Forward, Plan


class JaxBackend:
    def __init__(self, forward: Forward):
        self._forward, self._compiled = forward, Compiled()
        self._changes = 0  # of variables that the model does not list, the state of a stateful layer say

    def run(self, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Native] | None = None) -> list[Array]:
        given: Any = (self._variables(), list(pictures), dict(edits), dict(held or {}))
        key = self._question(plan, pictures, edits, held)
        function = self._compiled.get(key, lambda: jax.jit(self._function(plan)).lower(*given).compile())
        with jax.disable_jit(False):  # ours is compiled, also where users debug without
            found = function(*given)
        return to_protocol(list(map(host, found)), [self._forward.channels(tap) for tap in plan.taps])

    def trace(self, plan: Plan, pictures: Natives, edits: Numbers) -> JaxTraced:
        key = ("trace", self._question(plan, pictures, edits))
        function = self._compiled.get(key, lambda: jax.jit(self._vjp(plan)))
        with jax.disable_jit(False):
            values, pull = function(self._variables(), list(pictures), dict(edits))
        return JaxTraced([tap.layer for tap in plan.taps], values, pull, self._compiled, key)

    def _question(self, plan: Plan, pictures: Natives, edits: Numbers, held: Mapping[str, Native] | None = None) -> Hashable:
        if any(variable.value is not value for variable, value in self._forward.constants.values()):
            self._forward.constants.clear()
            self._changes += 1
        return self._changes, question(self._forward, plan, pictures, edits, held)

    def _variables(self) -> list[Any]:
        return [each.value for each in self._forward.model.variables]

    def _function(self, plan: Plan) -> Callable[..., list[Any]]:
        """From the weights, the pictures, the numbers of edits, what is held and zeros for the taps, to what the taps read."""

        def function(variables: Sequence[Any], pictures: Any, edits: Any, held: Any, nudges: Any = None) -> list[Any]:
            pairs = list(zip(self._forward.model.variables, variables, strict=True))
            return self._forward(
                plan, pictures, edits, keep=lambda value, _: to_float(value), nudges=nudges, variables=pairs, held=held
            )

        return function

    def _vjp(self, plan: Plan) -> Callable[..., tuple[list[Any], Any]]:
        """What the taps read, and the function that pulls back: data to JAX, which can leave what is compiled."""
        forward = self._function(plan)

        def function(variables: Any, pictures: Any, edits: Any) -> tuple[list[Any], Any]:
            shapes = jax.eval_shape(forward, variables, pictures, edits, {})
            nudges = {tap.layer: np.zeros(each.shape, np.float32) for tap, each in zip(plan.taps, shapes, strict=True)}
            result: tuple[list[Any], Any] = jax.vjp(lambda nudges: forward(variables, pictures, edits, {}, nudges), nudges)
            return result

        return function


class JaxTraced:
    """`pull`: from a gradient for each value to those at the taps. It is compiled for each choice of seeds and of `wrt`."""

    def __init__(
        self, names: Sequence[str], values: Sequence[Any], pull: Callable[[Any], Any], functions: Compiled, key: Hashable
    ):
        self._names, self.values, self._pull, self._functions, self._key = names, values, pull, functions, key

    def pull(self, seeds: Mapping[int, Native], wrt: Sequence[int]) -> list[Native]:
        ends, shapes = tuple(seeds), [value.shape for value in self.values]

        def function(pull: Any, numbers: Sequence[Any]) -> list[Any]:
            given = dict(zip(ends, numbers, strict=True))
            whole = [given.get(at, np.zeros(shape, np.float32)) for at, shape in enumerate(shapes)]
            (gradients,) = pull(whole)
            return [gradients[self._names[at]] for at in wrt]

        compiled = self._functions.get(("pull", ends, tuple(wrt), self._key), lambda: jax.jit(function))
        numbers = [np.asarray(seed, np.float32) for seed in seeds.values()]
        with jax.disable_jit(False):
            return list(map(host, compiled(self._pull, numbers)))
