"""What reading maps costs over the bare forward of the same engine: `capture.py onnx | torch | keras` prints JSON lines.

The bare forward is the quickest that the framework's own users have: a session's run, a call under no_grad, and for Keras on
TensorFlow and JAX the compiled `predict_on_batch`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import networks
import numpy as np
from timing import compared

import convscope

PICTURE = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)


def onnx_network(build):
    import onnxruntime

    model = build()
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return convscope.open(model), lambda: session.run(None, {"input": PICTURE})


def torch_network(build):
    import torch

    module, picture = build(), torch.from_numpy(PICTURE)

    def bare():
        with torch.no_grad():
            return module(picture)

    return convscope.open(module, picture_shape=(3, 224, 224)), bare


def keras_network(name):
    import keras

    model = getattr(keras.applications, name)(weights=None)
    picture = np.ascontiguousarray(PICTURE.transpose(0, 2, 3, 1))
    if keras.backend.backend() != "torch":
        return convscope.open(model), lambda: model.predict_on_batch(picture)
    import torch

    def bare():
        with torch.no_grad():
            return keras.ops.convert_to_numpy(model(picture, training=False))

    return convscope.open(model), bare


def measure(engine: str, name: str, network, bare) -> None:
    convolutions = network.layers.convolutions.names
    # "its 53 convolutions", "its 13": every one that the table has.
    jobs = {"bare": bare, "all": lambda: network.engine.run(PICTURE, [*convolutions, "output"])}
    if name == "VGG16":
        jobs["block1"] = lambda: network.engine.run(PICTURE, convolutions[:2])
        if engine == "ONNX Runtime":
            jobs["sheets"] = sheets_from_file(network, convolutions)
    seconds = compared(jobs)
    for job, must in (("all", 1.15 if name == "VGG16" else 1.25), ("block1", 0.35), ("sheets", 4.0)):
        if job in seconds:
            what = {
                "all": f"{len(convolutions)} convolutions of {name}",
                "block1": f"block1 of {name}",
                "sheets": f"picture file to {len(convolutions)} full-resolution sheets of {name}",
            }[job]
            row = {
                "what": what,
                "engine": engine,
                "seconds": seconds[job],
                "against": seconds["bare"],
                "ratio": seconds[job] / seconds["bare"],
                "must": must,
            }
            print(json.dumps(row), flush=True)


def sheets_from_file(network, convolutions):
    """All 4,224 maps of VGG16, from a picture file to sheets on disk."""
    from PIL import Image

    from convscope.draw import save_all

    folder = Path(tempfile.mkdtemp())
    noise = np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)
    Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC).save(folder / "picture.jpg")
    network.preprocess = convscope.Preprocess.parse("0..1 224")

    def job():
        maps = network.maps(folder / "picture.jpg", at=convolutions, activated=True)
        save_all({folder / f"{name}.png": maps[name].sheet(first=None) for name in maps})

    return job


def main(engine: str) -> None:
    if engine == "keras":
        import keras

        label = f"Keras on {keras.backend.backend()}"
        for name in ("VGG16", "ResNet50"):
            measure(label, name, *keras_network(name))
    elif engine == "torch":
        measure("torch", "VGG16", *torch_network(networks.torch_vgg16))
        measure("torch", "ResNet50", *torch_network(networks.torch_resnet50))
    else:
        measure("ONNX Runtime", "VGG16", *onnx_network(networks.onnx_vgg16))
        measure("ONNX Runtime", "ResNet50", *onnx_network(networks.onnx_resnet50))


if __name__ == "__main__":
    main(sys.argv[1])
