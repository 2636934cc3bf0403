"""What a user compiled by himself inside a network: a `call`, or a part of one, in tf.function, jax.jit or torch.compile.

What such a function traces it keeps, and answers later calls with. Traced while a forward of ours runs, it would keep our edits
and answer the user with them; traced before, it would pass by what we ask. So it runs as plain Python in a forward of ours.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import keras

FORWARDS = itertools.count()  # of ours on JAX


@contextmanager
def as_python(operation: Any) -> Iterator[None]:
    """Functions that stand on a layer, or on a class of the user's that it is of, replaced by what they were made of."""
    plain = dict(compiled_functions(operation))
    before = {name: vars(operation)[name] for name in plain if name in vars(operation)}
    for name, function in plain.items():
        object.__setattr__(operation, name, function)  # Keras' own __setattr__ would track it
    try:
        yield
    finally:
        for name in plain:
            object.__delattr__(operation, name)
        for name, function in before.items():
            object.__setattr__(operation, name, function)


def compiled_functions(operation: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The names of a layer's compiled functions, and the functions that they were made of."""
    if keras.backend.backend() == "torch":
        return  # see nothing_compiled
    kind: type = type(operation)
    for name, function in of_class(kind).items():
        yield name, function.__get__(operation)
    for name, found in vars(operation).items():
        if (function := source(found)) is not None:
            yield name, function


@cache
def of_class(kind: type) -> dict[str, Any]:
    """As `compiled_functions`, of a class and those that it derives from."""
    found = {name: source(each) for base in reversed(kind.__mro__) for name, each in vars(base).items()}
    return {name: function for name, function in found.items() if function is not None}


def source(function: Any) -> Any:
    """What a function of tf.function or jax.jit was made of; None for any other."""
    if hasattr(type(function), "get_concrete_function"):
        return function.python_function
    return function.__wrapped__ if type(function).__name__ == "PjitFunction" else None


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """No torch.compile; and no keras.remat, which runs what it is given again, without us, when a gradient is taken."""
    with ExitStack() as undo:
        if keras.backend.backend() == "torch" and "torch._dynamo" in sys.modules:  # which takes seconds to import
            undo.enter_context(sys.modules["torch"].compiler.set_stance("force_eager"))
        if keras.backend.backend() == "jax" and (apart := apart_on_jax()):
            undo.enter_context(apart(next(FORWARDS)))
        core, own = keras.src.backend.core, keras.src.backend.core.remat
        core.remat = lambda function: function
        undo.callback(setattr, core, "remat", own)
        yield


@cache
def apart_on_jax() -> Any:
    """What the caches of JAX are kept apart by; None for a JAX of before 0.8.

    A function in jax.jit or jax.checkpoint that stands on no layer keeps what it traces, with tracers of our forward in it, and
    would answer the user's next call with those.
    """
    make = getattr(sys.modules["jax"], "make_user_context", None)
    return make and make()
