"""ONNX Runtime: the outputs of all nodes in one pass, over the bare forward; and opening a large file, over the session alone.
`blocked`: whether that pass is quicker where the ReLU6s are computed once more in the order that ONNX Runtime computes in.
"""

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


def blocked() -> None:
    """Of MobileNetV2: the graph as ONNX Runtime rearranges it, and with its Clips once more between its convolutions."""
    model, saved = networks.onnx_mobilenet_v2(), Path(tempfile.mkdtemp()) / "rearranged.onnx"
    bare = onnxruntime.InferenceSession(model.SerializeToString())
    made = {name: None for node in model.graph.node for name in node.output}
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 4, str(saved)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    rewritten = onnxruntime.InferenceSession(clips_between(onnx.load(saved)).SerializeToString(), options)
    feed = {"input": PICTURE}
    pairs = zip(session.run(list(made), feed), rewritten.run(list(made), feed), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    jobs = {"bare": bare, "ours": session, "rewritten": rewritten}
    seconds = compared({name: lambda each=each: each.run(None, feed) for name, each in jobs.items()})
    report("all outputs of MobileNetV2, without convscope", seconds, 1.6)
    report("the same with its ReLU6s once more in ONNX Runtime's order", seconds | {"ours": seconds["rewritten"]}, 1.6)


def clips_between(model: onnx.ModelProto) -> onnx.ModelProto:
    """ReorderOutput, Clip, ReorderInput becomes a Clip in place of the last. What only leads out is ordered so that ONNX Runtime
    does it right after its layer: then that Clip writes over what it reads.
    """
    nodes, makes = list(model.graph.node), {name: node for node in model.graph.node for name in node.output}
    for index, node in enumerate(nodes):
        clip = makes.get(node.input[0]) if node.op_type == "ReorderInput" else None
        if clip is not None and clip.op_type == "Clip" and makes[clip.input[0]].op_type == "ReorderOutput":
            inputs = [makes[clip.input[0]].input[0], *clip.input[1:]]
            nodes[index] = onnx.helper.make_node("Clip", inputs, node.output, f"{node.name}/blocked")
    read = {name for node in nodes for name in node.input}
    ends = [node for node in nodes if read.isdisjoint(node.output)]
    del model.graph.node[:]
    model.graph.node.extend([node for node in nodes if not read.isdisjoint(node.output)] + ends[::-1])
    return model


def opening(path: Path | None) -> None:
    """Of a file, by default ResNet-50 of 102 MB: its layer table, over a session of the same file that can run."""
    if path is None:
        path = Path(tempfile.mkdtemp()) / "resnet50.onnx"
        onnx.save(networks.onnx_resnet50(), path)
    jobs = {"bare": lambda: onnxruntime.InferenceSession(path), "ours": lambda: convscope.open(path).layers}
    report(f"opening a file of {path.stat().st_size / 1e6:.0f} MB", compared(jobs, rounds=7), 2.0)


def main(what: list[str]) -> None:
    if not what or "outputs" in what:
        all_outputs("ResNet-50", networks.onnx_resnet50)
        all_outputs("MobileNetV2", networks.onnx_mobilenet_v2)
    if "blocked" in what:
        blocked()
    if not what or "opening" in what:
        for path in what[1:] or [None]:
            opening(path and Path(path))


if __name__ == "__main__":
    main(sys.argv[1:])
