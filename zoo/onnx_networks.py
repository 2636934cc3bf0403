"""Networks of torchvision, timm and keras.applications as ONNX files: every value that is read, against ONNX' own evaluator.

The evaluator is NumPy and slow, so pictures are small. Which outputs have to be shown is asked of it too: those of floats, with
an axis of pictures, that differ between two pictures.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from matrix import Line, close, smallest
from onnx.reference import ReferenceEvaluator

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from torchvision_ops import torchvision  # noqa: E402

from convscope.engines.onnx import OnnxEngine  # noqa: E402

SIDES = (32, 64, 96, 160, 224)  # in pixels; the smallest that the network takes
TORCHVISION = (
    "alexnet vgg11 googlenet resnet18 resnext50_32x4d squeezenet1_1 mobilenet_v2 mobilenet_v3_small mnasnet0_5 "
    "shufflenet_v2_x0_5 densenet121 inception_v3 efficientnet_b0 regnet_y_400mf regnet_x_400mf convnext_tiny"
)
TIMM = "resnet26d ghostnet_100 hrnet_w18_small dla34 repvgg_a0 mobileone_s0 tf_efficientnet_lite0 convnextv2_atto fasternet_t0"
DYNAMO = "resnet18 mobilenet_v2 shufflenet_v2_x0_5"
KERAS = "MobileNet MobileNetV2 DenseNet121 ResNet50V2 VGG16 EfficientNetB0"
Make = Callable[[int], onnx.ModelProto]


def networks() -> Iterator[tuple[str, Make]]:
    models = torchvision().models
    for name in TORCHVISION.split():
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        yield (
            f"torchvision:{name}.onnx",
            of_torch(lambda name=name, options=options: models.get_model(name, weights=None, **options)),
        )
    for name in DYNAMO.split():
        yield f"torchvision:{name}.onnx (dynamo)", of_torch(lambda name=name: models.get_model(name, weights=None), dynamo=True)
    import timm

    for name in TIMM.split():
        yield f"timm:{name}.onnx", of_torch(lambda name=name: timm.create_model(name))


def keras_networks() -> Iterator[tuple[str, Make]]:
    """By the exporter of the backend that Keras is on: set KERAS_BACKEND=tensorflow for tf2onnx."""
    import keras

    for name in KERAS.split():
        yield f"keras:{name}.onnx", lambda side, name=name: of_keras(getattr(keras.applications, name), side)


def of_torch(build: Callable[[], torch.nn.Module], *, dynamo: bool = False) -> Make:
    def make(side: int) -> onnx.ModelProto:
        torch.manual_seed(0)
        module, picture = build().eval(), torch.zeros(2, 3, side, side)
        file = io.BytesIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints what it cannot export
            warnings.simplefilter("ignore")
            if dynamo:
                torch.onnx.export(module, (picture,), dynamo=True, verbose=False).save(file)
            else:
                torch.onnx.export(module, (picture,), file, dynamo=False, opset_version=17)
        return onnx.load_from_string(file.getvalue())

    return make


def of_keras(build: Callable[..., object], side: int) -> onnx.ModelProto:
    model = build(weights=None, input_shape=(side, side, 3), classes=10)
    model(np.zeros((1, side, side, 3), np.float32))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.export(Path(folder) / "net.onnx", format="onnx", verbose=False)
        return onnx.load(Path(folder) / "net.onnx")


def compare(name: str, make: Make) -> Line:
    logging.disable(logging.ERROR)
    started = time.perf_counter()
    model = smallest(SIDES, make)
    engine = OnnxEngine(model)
    shape = tuple(size or 2 for size in engine.graph.layers[0].native_shape)
    pictures = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    recorded, other = record(model, pictures), record(model, pictures * 0.5 + 0.1)
    rows = {engine.tensor(row.name): row.name for row in engine.graph if row.index}
    run = engine.run(channels_first(engine, pictures), [*rows.values(), "output"])
    compared = wrong = missing = 0
    for tensor, values in recorded.items():
        shown = values.ndim > 0 and values.dtype == np.float32 and len(values) == len(pictures)
        if not shown or np.array_equal(values, other[tensor], equal_nan=True):
            continue
        if tensor not in rows:
            missing += 1
            continue
        compared += 1
        wrong += not (close(run[rows[tensor]], values) or close(run[rows[tensor]], last_to_first(values)))
    return Line(name, compared, wrong, missing, time.perf_counter() - started, f"{model.producer_name}, {shape[1:]}")


def channels_first(engine: OnnxEngine, pictures: np.ndarray) -> np.ndarray:
    return pictures if engine.graph.layers[0].shape == engine.graph.layers[0].native_shape[1:] else last_to_first(pictures)


def last_to_first(values: np.ndarray) -> np.ndarray:
    return np.moveaxis(values, -1, 1) if values.ndim > 2 else values


def record(model: onnx.ModelProto, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """What every node makes, by the name of its tensor."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name]
    for node in whole.graph.node:
        facts = {each.name: each for each in node.attribute}
        # At a stride of 1 there is nothing to round, but there the evaluator pads what rounds up once more.
        if "ceil_mode" in facts and set(facts["strides"].ints) == {1}:
            node.attribute.remove(facts["ceil_mode"])
    del whole.graph.output[:]
    whole.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    found = ReferenceEvaluator(whole).run(None, {model.graph.input[0].name: pictures})
    return dict(zip(names, map(np.asarray, found), strict=True))
