"""What a process keeps after many calls: the resident memory that the system counts, not what Python knows of."""

import os
from pathlib import Path

import numpy as np
import pytest
from torch import nn
from zoo_onnx import Writer

from convscope.engines.onnx import OnnxEngine
from convscope.engines.torch import TorchEngine

CALLS, SIDE, UNITS = 1000, 64, 8
STATUS = Path("/proc/self/statm")


def of_onnx():
    writer = Writer()
    maps = writer.node("Relu", [writer.conv("picture", "conv", UNITS, 3, 3, 3)], "relu")
    return OnnxEngine(writer.model(["n", 3, SIDE, SIDE], writer.head(maps, UNITS)))


def of_torch():
    layers = [
        nn.Conv2d(3, UNITS, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(UNITS, 5),
    ]
    return TorchEngine(nn.Sequential(*layers), picture_shape=(3, SIDE, SIDE))


def resident() -> int:
    """Bytes."""
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not STATUS.exists(), reason="The system does not say how much memory a process has.")
@pytest.mark.parametrize("build", [of_onnx, of_torch])
def test_a_thousand_calls_leave_no_map_behind(build):
    """A map that stayed of each call, or of each twentieth, would be seen."""
    engine, picture = build(), np.random.default_rng(0).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
    row = engine.graph.names[1]

    def read():
        return engine.run(picture, [row, "output"])[row].nbytes

    for _ in range(CALLS // 10):  # until what is kept on purpose is there
        read()
    before = resident()
    size = [read() for _ in range(CALLS)][0]
    assert resident() - before < CALLS * size / 20


@pytest.mark.skipif(not STATUS.exists(), reason="The system does not say how much memory a process has.")
def test_the_measure_sees_a_map_that_stays_of_each_call():
    engine, picture = of_onnx(), np.ones((1, 3, SIDE, SIDE), np.float32)
    before = resident()
    kept = [engine.run(picture, ["conv"])["conv"] for _ in range(CALLS // 10)]
    assert resident() - before > 0.9 * sum(each.nbytes for each in kept)
