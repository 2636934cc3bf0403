"""ONNX Runtime: the outputs of all nodes in one pass, over the bare forward; and opening a large file, over the session alone."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import networks
import numpy as np
import onnx
import onnxruntime
from timing import compared

import convscope

PICTURE = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)


def report(what: str, seconds: dict[str, float], must: float) -> None:
    row = {"what": what, "engine": "ONNX Runtime", "seconds": seconds["ours"], "against": seconds["bare"]}
    print(json.dumps(row | {"ratio": seconds["ours"] / seconds["bare"], "must": must}), flush=True)


def all_outputs(name: str, build) -> None:
    model = build()
    session, network = onnxruntime.InferenceSession(model.SerializeToString()), convscope.open(model)
    names = [*network.graph.names[1:], "output"]
    jobs = {"bare": lambda: session.run(None, {"input": PICTURE}), "ours": lambda: network.engine.run(PICTURE, names)}
    report(f"all {len(names) - 1} outputs of {name}", compared(jobs), 1.6)


def opening() -> None:
    """Of ResNet-50, 102 MB: its layer table, over a session of the same file that can run."""
    path = Path(tempfile.mkdtemp()) / "resnet50.onnx"
    onnx.save(networks.onnx_resnet50(), path)
    jobs = {"bare": lambda: onnxruntime.InferenceSession(path), "ours": lambda: convscope.open(path).layers}
    report(f"opening a file of {path.stat().st_size / 1e6:.0f} MB", compared(jobs, rounds=7), 2.0)


def main(what: list[str]) -> None:
    if not what or "outputs" in what:
        all_outputs("ResNet-50", networks.onnx_resnet50)
        all_outputs("MobileNetV2", networks.onnx_mobilenet_v2)
    if not what or "opening" in what:
        opening()


if __name__ == "__main__":
    main(sys.argv[1:])
