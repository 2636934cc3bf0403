"""Faults in the Keras engine, on torch unless KERAS_BACKEND says another backend."""

from __future__ import annotations

import importlib
import os
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from zoo_keras import PICTURES, ZOO  # noqa: E402

from convscope.conformance import compare, holding  # noqa: E402
from convscope.engines import keras_backends, keras_calls, keras_forward  # noqa: E402
from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.engines.names import output_names  # noqa: E402

NETWORKS = ("residual", "shared", "norms_and_dropout", "concatenation")


def engine(name):
    return KerasEngine(ZOO[name]())


def pictures(name):
    return np.random.default_rng(0).normal(size=(2, *PICTURES[name])).astype(np.float32)


def edit_after_the_tap(self, name, value):
    edits, self.edits = self.edits, {}
    value = READ(self, name, value)
    self.edits = edits
    return self._edited(name, value) if name in edits else value


def in_training(self, reader, pictures):
    (picture,) = pictures
    outputs = keras.tree.flatten(self.model(reader.read("input", picture), training=True))
    for name, value in zip(output_names(len(outputs)), outputs, strict=True):
        reader.read(name, value)


@contextmanager
def left_behind(operation, around):
    own = operation.call
    with REPLACED(operation, around):
        yield
    object.__setattr__(
        operation, "call", lambda *args, **kwargs: keras.tree.map_structure(lambda x: x * 1.01, own(*args, **kwargs))
    )


def first_axis_wrong(value, reduce, _channels_last):
    return value if reduce == "none" or len(value.shape) < 3 else keras.ops.mean(value, (2, 3)[: len(value.shape) - 2])


def of_another(pull):
    def pulled(self, seeds, wrt):
        shapes = [each.shape for each in self.values]
        others = [[other for other, shape in enumerate(shapes) if other != at and shape == shapes[at]] or [at] for at in wrt]
        return pull(self, seeds, [each[0] for each in others])

    return pulled


@contextmanager
def gradients_of_another():
    with ExitStack() as undo:
        for traced in TRACED:
            undo.enter_context(patch.object(traced, "pull", of_another(traced.pull)))
        yield


def unturned(self, *question):
    """What was read, the numbers in Keras' order."""
    return [
        np.ascontiguousarray(np.moveaxis(each, 1, -1)).reshape(each.shape) if each.ndim > 2 else each
        for each in RUN(self, *question)
    ]


def in_the_same_memory(self, *question):
    """As in the run before."""
    found = RUN(self, *question)
    for number, each in enumerate(found):
        array = MEMORY.setdefault((number, each.shape, each.dtype), np.empty_like(each))
        array[...] = each
        found[number] = array
    return found


BACKEND = keras.backend.backend()
MODULE = importlib.import_module(f"convscope.engines.keras_{BACKEND}")
OF_BACKEND = {"torch": "Torch", "tensorflow": "TensorFlow", "jax": "Jax"}[BACKEND]
RUNS = getattr(MODULE, f"{OF_BACKEND}Backend")
TRACED = [each for name, each in vars(MODULE).items() if name in (f"{OF_BACKEND}Traced", "CompiledTrace")]
RUN, REPLACED, READ = RUNS.run, keras_calls.replaced, keras_forward.Reader._read
MEMORY = {}
if BACKEND != "torch":  # each question is compiled there: fewer of them, and none twice
    compare.MOST, holding.CUTS, keras_backends.KEPT = 5, 1, 200  # of five, two have one shape
FAULTS = {
    "the last call of a shared layer only": lambda: patch.object(keras_calls, "numbered", lambda path, _count: path),
    "in training mode": lambda: patch.object(keras_forward.Forward, "_run", in_training),
    "reduced over the wrong axis": lambda: patch.object(keras_forward, "reduced", first_axis_wrong),
    "edited after instead of before the tap": lambda: patch.object(keras_forward.Reader, "_read", edit_after_the_tap),
    "a patch left behind": lambda: patch.object(keras_calls, "replaced", left_behind),
    "a gradient with respect to another layer": gradients_of_another,
    "layout not moved": lambda: patch.object(RUNS, "run", unturned),
    "no arrays of one's own": lambda: patch.object(RUNS, "run", in_the_same_memory),
}
