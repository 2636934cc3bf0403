"""What a process keeps after many calls: the resident memory that the system counts, not what Python knows of.

A process of its own is measured. In one that has run many tests, memory that is free already takes what leaks.
"""

import json
import os
import subprocess
import sys
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


def grown(engine, keep):
    """Bytes more after so many calls, and those of a map, a hundred calls having been made before."""
    picture, row = np.random.default_rng(0).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32), engine.graph.names[1]
    kept = [engine.run(picture, [row, "output"])[row] for _ in range(CALLS // 10)]
    size = kept[0].nbytes
    del kept[:]
    before = resident()
    for _ in range(CALLS):
        found = engine.run(picture, [row, "output"])[row]
        kept += [found] if keep else []
    return resident() - before, size


@pytest.fixture(scope="module")
def measured():
    if not STATUS.exists():
        pytest.skip("The system does not say how much memory a process has.")
    printed = subprocess.run([sys.executable, __file__], check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_thousand_calls_leave_no_map_behind(measured, engine):
    """A map that stayed of each call, or of each twentieth, would be seen."""
    more, size = measured[engine]
    assert more < CALLS * size / 20


def test_the_measure_sees_a_map_that_stays_of_each_call(measured):
    more, size = measured["kept"]
    assert more > CALLS * size / 2  # some of it is memory that was free


if __name__ == "__main__":
    onnx, torch = of_onnx(), of_torch()
    print(json.dumps({"onnx": grown(onnx, False), "torch": grown(torch, False), "kept": grown(onnx, True)}))
