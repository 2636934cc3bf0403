"""Keras: the same question again over `predict`, every output of a layer in one pass over the bare forward; opening a file, over
loading it.

`keras_repeat.py [opening [ResNet50 ...]]` prints JSON lines, on the backend that KERAS_BACKEND says. The same question is asked
with other numbers each time: an edit of a convolution, the maps after it and the answer. On TensorFlow and JAX it was compiled by
the first run.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from capture import PICTURE, keras_network
from timing import compared, show

import convscope
from convscope import Edit

OPENED = ("ResNet50", "ConvNeXtTiny", "MobileNetV2")


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


def opening(name: str):
    """The layer table of a .keras file of random weights."""
    path = Path(tempfile.mkdtemp()) / "network.keras"
    getattr(keras.applications, name)(weights=None).save(path)
    jobs = {"bare": lambda: keras.saving.load_model(path), "ours": lambda: convscope.open(path).layers}
    seconds = compared(jobs, rounds=5)
    yield f"opening a file of {path.stat().st_size / 1e6:.0f} MB, {name}", seconds["ours"], seconds["bare"], 2.0


def main(what: list[str]) -> None:
    found = [] if "opening" in what else [rows(name) for name in ("ResNet50", "MobileNetV2")]
    found += [opening(name) for name in (what[1:] or OPENED if what else OPENED[:1])]
    for row, seconds, against, must in itertools.chain.from_iterable(found):
        show(row, f"Keras on {keras.backend.backend()}", seconds, against, must)


if __name__ == "__main__":
    main(sys.argv[1:])
