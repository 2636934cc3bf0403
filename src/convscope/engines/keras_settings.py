"""What the layers of a model are set to that is no weight: slopes, functions, arrays. What is compiled holds it as it was."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from operator import is_
from types import NoneType
from typing import Any

import keras
import numpy as np

TRAINING = ("optimizer", "history", "stop_training", "stop_predicting", "stop_evaluating", "_compile_config",
            "_compiled_trainable_state")  # what `fit` and the like keep on a model  # fmt: skip
TELLING = {"_trainable", "_dtype_policy", "autocast"}  # of what Keras keeps on every layer


class State:
    """All settings at a time, equal to another where they are the same. It is asked for in every run, and hashed once."""

    def __init__(self, settings: Hashable):
        self._settings, self._hash = settings, hash(settings)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, State) and self._settings == other._settings)


class Settings:
    """Those of `layers`. What a forward changes itself, a counter of calls say, is none.

    state   as they were when they were last looked at
    """

    def __init__(self, layers: Iterable[Any]):
        self._layers = [Known(each) for each in layers]
        self.state = State(())

    def now(self) -> State:
        """Looks at them again."""
        if changed := [each for each in self._layers if each.changed()]:
            for each in changed:
                each.look()
            state = State(tuple(tuple(each.settings.items()) for each in self._layers))
            self.state = self.state if state == self.state else state
        return self.state

    @contextmanager
    def counting(self) -> Iterator[None]:
        self.now()
        before = [each.settings for each in self._layers]
        try:
            yield
        finally:
            self.now()
            for each, earlier in zip(self._layers, before, strict=True):
                each.ignore(earlier)


class Known:
    """The settings of a layer by their names, as `told`."""

    def __init__(self, layer: Any):
        self._values, self._ignored = vars(layer), bookkeeping()
        self.look()

    def look(self) -> None:
        self._many = len(self._values)
        names = [name for name in self._values if name not in self._ignored and not name.startswith("_self_")]  # TensorFlow's
        found = {name: self._values[name] for name in sorted(names)}
        self._names, self._seen = tuple(found), tuple(found.values())
        self.settings = {name: told(value) for name, value in found.items()}
        self._open = [(value, self.settings[name]) for name, value in found.items() if can_change(value)]

    def changed(self) -> bool:
        """Whether other objects stand there, or what can change has changed: asked in every run, of all layers."""
        if len(self._values) != self._many or not all(map(is_, map(self._values.get, self._names), self._seen)):
            return True
        return any(told(value) != before for value, before in self._open)

    def ignore(self, earlier: Mapping[str, Hashable]) -> None:
        """What is not as it was."""
        if names := {name for name in earlier.keys() | self.settings.keys() if earlier.get(name) != self.settings.get(name)}:
            self._ignored |= names
            self._many = -1  # to be looked at again


@cache
def bookkeeping() -> frozenset[str]:
    """What Keras keeps on every layer and model for itself. A model with a name of its own is not counted by Keras."""
    return frozenset({*vars(keras.Model(name="bookkeeping")), *TRAINING}) - TELLING


class Same:
    """An object that says nothing of what it is: equal to itself alone."""

    def __init__(self, value: Any):
        self._value = value

    def __hash__(self) -> int:
        return id(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._value is other._value


def told(value: Any) -> Hashable:
    """What tells a number, a word, an array of NumPy, or tuples, lists and dicts of these from another; else the object."""
    if isinstance(value, int | float | str | NoneType):
        return type(value), value
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return dict, tuple((told(key), told(each)) for key, each in value.items())
    if isinstance(value, tuple | list):
        return tuple, tuple(map(told, value))
    return Same(value)


def can_change(value: Any) -> bool:
    """Whether what is `told` of it may be another one later."""
    return isinstance(value, np.ndarray | Mapping | list) or (isinstance(value, tuple) and any(map(can_change, value)))
