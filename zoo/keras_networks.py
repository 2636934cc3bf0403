"""All of keras.applications, on the backend that Keras is on: each output of a layer against Keras' own operations, called one
by one in the order of the graph, with nothing of ours between them. On TensorFlow and JAX that is eager, and ours is compiled.

Rounding differs then, and where a network of random weights makes more of each difference, block by block, the last layers of two
right runs have nothing in common. Such a network is compared step by step: each operation is called on what was read before
it. From the picture on, every step is right or one of them is wrong, and a step's rounding is all that may differ.
"""

from __future__ import annotations

import gc
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from matrix import Line, close, smallest  # noqa: E402

from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.engines.keras_files import APPLICATIONS  # noqa: E402

SIDES = (64, 75, 96, 160, 224, 299, 331)  # in pixels; the smallest that the network takes


def networks() -> Iterator[tuple[str, object]]:
    for name in APPLICATIONS:
        yield f"keras:{name}", name


Calls = dict[Any, list[np.ndarray]]  # what each operation gave, in the order of its calls, channels last


def recorded(model: keras.Model, pictures: np.ndarray, read: Calls | None = None) -> Calls:
    """Values are copied before the next operation runs. With `read`, operations are called on those, not on what others gave."""
    found: Calls = defaultdict(list)
    values = {id(model.inputs[0]): keras.ops.convert_to_tensor(pictures)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            args, kwargs = keras.tree.map_structure(
                lambda each: values[id(each)] if isinstance(each, keras.KerasTensor) else each,
                (node.arguments.args, node.arguments.kwargs),
            )
            if isinstance(node.operation, keras.Layer) and node.operation._call_has_training_arg:
                kwargs = {**kwargs, "training": False}
            made = keras.tree.flatten(node.operation(*args, **kwargs))
            for tensor, value in zip(node.outputs, made, strict=True):
                calls = found[node.operation]
                given = read[node.operation][len(calls)] if read else None
                values[id(tensor)] = value if given is None else keras.ops.convert_to_tensor(given)
                calls.append(np.array(keras.ops.convert_to_numpy(value)))
    return found


def compare(name: str, application: str) -> Line:
    started = time.perf_counter()
    model = smallest(
        SIDES, lambda side: getattr(keras.applications, application)(weights=None, input_shape=(side, side, 3), classes=10)
    )
    engine = KerasEngine(model)
    pictures = np.random.default_rng(0).normal(size=(2, 3, *model.input_shape[1:3])).astype(np.float32)
    taken = engine.run(pictures, [*engine.graph.names[1:], "output"])
    read: Calls = defaultdict(list)
    for row in engine.graph.names[1:]:
        value = taken[row]
        read[engine.operation(row)].append(np.moveaxis(value, 1, -1) if value.ndim > 2 else value)
    given, note = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)), f"on {keras.backend.backend()}"
    sums = counted(recorded(model, given), read)
    if sums[1] and not sums[2]:
        sums, note = counted(recorded(model, given, read), read), f"{note}, step by step"
    keras.backend.clear_session()
    gc.collect()
    return Line(name, *sums, time.perf_counter() - started, note)


def counted(expected: Calls, read: Calls) -> tuple[int, int, int]:
    """Compared, wrong, missing."""
    missing = sum(len(values) - len(read[operation]) for operation, values in expected.items())
    pairs = [pair for operation, values in expected.items() for pair in zip(read[operation], values, strict=False)]
    return len(pairs), sum(not close(*pair) for pair in pairs), missing
