"""All of keras.applications, on the backend that Keras is on: each output of a layer against a sub-model of Keras' own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

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


def compare(name: str, application: str) -> Line:
    started = time.perf_counter()
    model = smallest(
        SIDES, lambda side: getattr(keras.applications, application)(weights=None, input_shape=(side, side, 3), classes=10)
    )
    engine = KerasEngine(model)
    pictures = np.random.default_rng(0).normal(size=(2, 3, *model.input_shape[1:3])).astype(np.float32)
    rows = [row.name for row in engine.graph][1:]
    run = engine.run(pictures, [*rows, "output"])
    nodes = [each for each in model.operations if not isinstance(each, keras.layers.InputLayer)]
    sub = keras.Model(model.inputs[0], [each.output for each in nodes])
    expected = sub(np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)), training=False)
    by_operation = {engine.operation(row): row for row in rows}
    compared = wrong = missing = 0
    for node, values in zip(nodes, expected, strict=True):
        if node not in by_operation:
            missing += 1
            continue
        values = np.asarray(keras.ops.convert_to_numpy(values))
        compared += 1
        wrong += not close(run[by_operation[node]], np.moveaxis(values, -1, 1) if values.ndim > 2 else values)
    return Line(name, compared, wrong, missing, time.perf_counter() - started, f"on {keras.backend.backend()}")
