"""Fold the BatchNorm of the trained network, write it as ONNX with its card, and measure how often it is right.

python training/export.py ../shared/data/pictures11 --weights demo.pt     # writes demo.onnx and CARD.md
python training/export.py ../shared/data/pictures11 --only-measure        # prints the accuracy of the shipped file
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from pathlib import Path

from PIL import Image

import convscope
from convscope import demo
from convscope.pictures import Preprocess

PREPROCESS = Preprocess(size=(128, 128), scale=1 / 127.5, offset=-1.0, origin="the network's card")
BATCH = 64


def onnx_model(weights: Path):
    """The folded network, node by node, checked against the trained one."""
    import torch
    from onnx import TensorProto, checker, helper, numpy_helper

    from network import BLOCKS, CLASSES, SIZE, build, folded

    trained = build(normalised=True)
    state = torch.load(weights, weights_only=True)
    trained.load_state_dict(state)
    plain = folded(trained.eval())
    picture = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(plain(picture), trained(picture), rtol=1e-4, atol=1e-5)

    nodes, tensor = [], "input"
    for name, module in plain.named_children():
        kind, inputs, attributes = {
            "Conv2d": ("Conv", [f"{name}.weight", f"{name}.bias"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
            "ReLU": ("Relu", [], {}),
            "MaxPool2d": ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
            "AdaptiveAvgPool2d": ("GlobalAveragePool", [], {}),
            "Flatten": ("Flatten", [], {}),
            "Linear": ("Gemm", [f"{name}.weight", f"{name}.bias"], {"transB": 1}),
        }[type(module).__name__]
        nodes.append(helper.make_node(kind, [tensor, *inputs], [f"{name}:0"], name, **attributes))
        tensor = f"{name}:0"
    nodes.append(helper.make_node("Softmax", [tensor], ["probabilities"], "softmax", axis=1))
    graph = helper.make_graph(
        nodes,
        "demo",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(CLASSES)])],
        [numpy_helper.from_array(values.numpy(), name) for name, values in plain.state_dict().items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="convscope")
    labels = [name.replace("_", " ") for name in CLASSES]
    facts = {"convscope.labels": json.dumps(labels), "convscope.preprocess": json.dumps(PREPROCESS.to_dict())}
    helper.set_model_props(model, facts)
    checker.check_model(model)
    assert len(BLOCKS) == 5
    return model


def measured(data: Path) -> dict[str, tuple[int, int]]:
    """Per class of val.zip: how many pictures the shipped file names right, and of how many."""
    net = convscope.open("demo")
    counts = {label: [0, 0] for label in net.labels}
    with zipfile.ZipFile(data / "val.zip") as files:
        names = [name for name in sorted(files.namelist()) if name.endswith(".jpg")]
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            pictures = [Image.open(io.BytesIO(files.read(name))) for name in batch]
            answers = net.predict(pictures, top=1)
            for name, ((label, _probability),) in zip(batch, answers, strict=True):
                truth = name.split("/")[-2].replace("_", " ")
                counts[truth][0] += label == truth
                counts[truth][1] += 1
    return {label: (right, there) for label, (right, there) in counts.items()}


def report(counts: dict[str, tuple[int, int]]) -> str:
    right, there = (sum(each) for each in zip(*counts.values(), strict=True))
    lines = [f"| {label} | {found} of {of} | {found / of:.1%} |" for label, (found, of) in counts.items()]
    lines.append(f"| **all** | **{right} of {there}** | **{right / there:.1%}** |")
    return "\n".join(["| class | right | accuracy |", "|---|---|---|", *lines])


def card(counts: dict[str, tuple[int, int]]) -> str:
    parameters = convscope.open("demo").layers.parameters
    return CARD.format(report=report(counts), parameters=f"{parameters:,}", size=f"{demo.MODEL.stat().st_size / 1e6:.1f}")


CARD = """# The built-in network, `demo`

A small VGG for looking into: five blocks of 3 x 3 convolutions named as VGG16's are (`block1_conv1` ... `block5_conv3`),
each with a ReLU, global average pooling and a linear layer with softmax. {parameters} parameters, {size} MB of ONNX. It
takes 128 x 128 RGB pictures as `x / 127.5 - 1` and knows eleven classes. Written by `training/export.py`, which also
wrote this card.

## How often it is right

On the 4,918 pictures of `val.zip` that it was not trained on, measured by `make demo` on the file that is shipped:

{report}

The validation pictures were looked at while the training recipe was chosen, so a little less is to be expected on others.

## What it was trained on

10,462 photographs in eleven classes: ten are those of Imagenette, a subset of ImageNet, whose pictures are for research
and belong to those who took them; the cats are from a public cats-and-dogs set. No picture is part of this project.
Trained from random weights by

    python training/train.py ../shared/data/pictures11 --out demo.pt --epochs 25
    python training/export.py ../shared/data/pictures11 --weights demo.pt

with BatchNorm, which is folded into the convolutions in the file: what flows after each convolution is what flowed after
its BatchNorm in training.

## What it is not good for

Anything but teaching and trying things out. It knows eleven things, so it calls every picture one of them, with a
confidence that means little for anything else: a dog that is no springer, a drawing, a face. It saw objects that fill the
picture; small ones it misses. Most pictures are of the kind that people in rich countries put on the web, and so is what
it knows of churches, petrol stations and fish.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with val.zip")
    parser.add_argument("--weights", type=Path, default=Path("demo.pt"), help="what train.py wrote")
    parser.add_argument("--only-measure", action="store_true", help="measure the shipped file and write nothing")
    options = parser.parse_args()
    if not options.only_measure:
        import onnx

        onnx.save(onnx_model(options.weights), demo.MODEL)
    counts = measured(options.data)
    print(report(counts))
    if not options.only_measure:
        demo.CARD.write_text(card(counts), encoding="utf-8")


if __name__ == "__main__":
    main()
