"""All of keras.applications, on the backend that Keras is on: each output of a layer against Keras' own operations, called one
by one in the order of the graph, with nothing of ours between them. On TensorFlow and JAX that is eager, and ours is compiled.
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


def recorded(model: keras.Model, pictures: np.ndarray) -> dict[Any, list[np.ndarray]]:
    """What each operation gave, in the order of its calls, copied before the next one ran."""
    found: dict[Any, list[np.ndarray]] = defaultdict(list)
    evaluate(model, {id(model.inputs[0]): keras.ops.convert_to_tensor(pictures)}, found)
    return found


def evaluate(graph: Any, values: dict[int, Any], found: dict[Any, list[np.ndarray]]) -> None:
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
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
                values[id(tensor)] = value
                found[node.operation].append(np.array(keras.ops.convert_to_numpy(value)))


def compare(name: str, application: str) -> Line:
    started = time.perf_counter()
    model = smallest(
        SIDES, lambda side: getattr(keras.applications, application)(weights=None, input_shape=(side, side, 3), classes=10)
    )
    engine = KerasEngine(model)
    pictures = np.random.default_rng(0).normal(size=(2, 3, *model.input_shape[1:3])).astype(np.float32)
    rows = defaultdict(list)
    for row in engine.graph.names[1:]:
        rows[engine.operation(row)].append(row)
    run = engine.run(pictures, [*engine.graph.names[1:], "output"])
    compared = wrong = missing = 0
    for operation, values in recorded(model, np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))).items():
        missing += len(values) - len(rows[operation])
        for row, expected in zip(rows[operation], values, strict=False):
            compared += 1
            wrong += not close(run[row], np.moveaxis(expected, -1, 1) if expected.ndim > 2 else expected)
    keras.backend.clear_session()
    gc.collect()
    return Line(name, compared, wrong, missing, time.perf_counter() - started, f"on {keras.backend.backend()}")
