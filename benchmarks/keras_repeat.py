"""Keras: the same question again over `predict`, and every output of a layer in one pass over the bare forward.

`keras_repeat.py` prints JSON lines, on the backend that KERAS_BACKEND says. The same question is asked with other numbers each
time: an edit of a convolution, the maps after it and the answer. On TensorFlow and JAX it was compiled by the first run.
"""

from __future__ import annotations

import itertools
import json

import keras
import numpy as np
from capture import PICTURE, keras_network
from timing import compared

from convscope import Edit


def rows(name: str):
    network, bare = keras_network(name)
    engine, model = network.engine, network.engine.model
    native = np.ascontiguousarray(PICTURE.transpose(0, 2, 3, 1))
    convolution = network.layers.convolutions[len(network.layers.convolutions) // 2].name
    numbers = itertools.count()
    jobs = {
        "bare": bare,
        "predict": lambda: model.predict(native, verbose=0),
        "again": lambda: engine.run(PICTURE, [convolution, "output"], [Edit(convolution, 1.0, float(next(numbers)))]),
        "leaves": lambda: engine.run(PICTURE, [*engine.graph.names, "output"]),
    }
    seconds = compared(jobs)
    yield f"an edit, its maps and the answer of {name}, over predict", seconds["again"], seconds["predict"], 1.2
    yield f"all {len(engine.graph)} outputs of the layers of {name}", seconds["leaves"], seconds["bare"], 1.6


def main() -> None:
    label = f"Keras on {keras.backend.backend()}"
    for name in ("ResNet50", "MobileNetV2"):
        for what, seconds, against, must in rows(name):
            row = {
                "what": what,
                "engine": label,
                "seconds": seconds,
                "against": against,
                "ratio": seconds / against,
                "must": must,
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
