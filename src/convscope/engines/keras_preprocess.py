"""What a network of Keras expects pictures to be, found from its layers.

A network that begins with arithmetic on pixels (Rescaling, preprocess_input in the graph) says it itself, by what that makes
small numbers of. Else, if its layers are those of a family of keras.applications, it is what that family's `preprocess_input`
does, also if the family's network stands within another one. The names alone would not do: other people's networks have a
"block1_conv1" too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import CONVOLUTIONS, Array, Graph, Layer
from ..errors import ConvscopeError
from .keras import KerasEngine
from .keras_arrays import host


@dataclass(frozen=True)
class Family:
    """Layers that no other network has, with their kernels (None: a layer without one; a size None: any)."""

    module: str  # of keras.applications
    mode: str  # what its preprocess_input does: a name in Preprocess' PRESETS
    layers: Mapping[str, tuple[int | None, ...] | None]


Found = tuple[str, str]  # ("caffe", "keras.applications.vgg16, whose layers these are")
STEM = (7, 7, 3, 64)
FAMILIES = (
    Family("vgg19", "caffe", {"block1_conv1": (3, 3, 3, 64), "block3_conv4": (3, 3, 256, 256), "block5_conv4": (3, 3, 512, 512)}),
    Family("vgg16", "caffe", {"block1_conv1": (3, 3, 3, 64), "block3_conv3": (3, 3, 256, 256), "block5_conv3": (3, 3, 512, 512)}),
    Family("resnet_v2", "tf", {"conv1_conv": STEM, "conv2_block1_preact_bn": None, "conv2_block1_1_conv": (1, 1, 64, 64)}),
    Family("densenet", "torch", {"conv1_conv": STEM, "conv2_block1_0_bn": None, "conv2_block1_2_conv": (3, 3, 128, 32)}),
    Family("resnet", "caffe", {"conv1_conv": STEM, "conv1_bn": None, "conv2_block1_1_conv": (1, 1, 64, 64)}),
    Family("inception_v3", "tf", {"conv2d\\w*": (3, 3, 3, 32), "mixed0": None, "mixed7": None}),
    Family(
        "inception_resnet_v2", "tf", {"mixed_5b": None, "block35_1_conv": (1, 1, 128, 320), "block17_1_conv": (1, 1, 384, 1088)}
    ),
    Family(
        "xception", "tf", {"block1_conv1": (3, 3, 3, 32), "block2_sepconv1": (3, 3, 64, 1), "block14_sepconv2": (3, 3, 1536, 1)}
    ),
    Family("mobilenet", "tf", {"conv1": (3, 3, 3, None), "conv_dw_1": (3, 3, None, 1), "conv_pw_1": (1, 1, None, None)}),
    Family("mobilenet_v2", "tf", {"Conv1": (3, 3, 3, None), "expanded_conv_depthwise": (3, 3, None, 1), "bn_Conv1": None}),
    Family("mobilenet_v3", "tf", {"conv": (3, 3, 3, 16), "expanded_conv_project": (1, 1, None, None), "conv_bn": None}),
    Family("nasnet", "tf", {"stem_conv1": (3, 3, 3, None), "reduction_conv_1_stem_1": (1, 1, None, None)}),
    Family("efficientnet_v2", "tf", {"stem_conv": (3, 3, 3, None), "block1a_project_conv": (3, 3, None, None)}),
    Family(
        "convnext", "torch", {"convnext_\\w+_stem_conv": (4, 4, 3, None), "\\w+_stage_0_block_0_depthwise_conv": (7, 7, 1, None)}
    ),
)
SIZE = 32  # of a picture where the network takes any
PIXELS = re.compile("Add|Divide|Flip|GetItem|Multiply|Subtract|TrueDivide")  # operations that preprocess_input is made of


def preprocess_of(engine: KerasEngine) -> Found | None:
    """What to do to a picture, by its name in PRESETS, and where that is from; None where nothing is known."""
    leading = leading_rows(engine.graph)
    for row in leading:
        if row.native in OWN and (name := OWN[row.native](engine.operation(row.name))):
            return name, f"the network's own {row.native} layer"
    pixels = [row for row in leading if PIXELS.fullmatch(row.native)]
    within = {name for row in pixels for name in row.inputs}
    for row in pixels:
        if row.name not in within and (name := taken_by(*arithmetic(engine, row.name))):
            return name, "the network's own arithmetic on pixels"
    family = family_of(engine.graph)
    return None if family is None else (family.mode, f"keras.applications.{family.module}, whose layers these are")


def leading_rows(graph: Graph) -> list[Layer]:
    """Those that a picture goes through before the first layer that has learned something."""
    found: dict[str, Layer] = {}
    start = picture_input(graph).name
    for row in graph:
        learned = row.kind in (*CONVOLUTIONS, "dense") or row.trainable
        if learned and not graph.wired:
            break
        if row.kind != "input" and not learned and (not graph.wired or {*row.inputs} <= {start, *found}):
            found[row.name] = row
    return list(found.values())


def picture_input(graph: Graph) -> Layer:
    pictures = [row for row in graph.inputs if row.shape is not None and len(row.shape) == 3 and row.shape[0] in (1, 3, None)]
    return (pictures or graph.inputs)[0]


def taken_by(slope: Array, offset: Array) -> str | None:
    """What a network takes that begins with x * slope + offset: what that makes small numbers about zero of.

    None where it says nothing: x as it is, or all of it times the same.
    """
    if not slope.any() or not (np.isfinite(slope).all() and np.isfinite(offset).all()):
        return None
    middle = -offset[slope != 0] / slope[slope != 0]
    if np.abs(slope).max() < 0.1 or middle.max() > 2:
        return "0..255"
    if middle.min() < -0.1:
        return "-1..1"
    return "0..1" if middle.any() else None


def arithmetic(engine: KerasEngine, layer: str) -> tuple[Array, Array]:
    """What `layer` gives for a picture of zeros, and by how much it is more for one of ones; (0, 0) if it does not run."""
    start = picture_input(engine.graph)
    shapes = {row.name: [size or SIZE for size in row.shape or ()] for row in engine.graph.inputs}
    pictures = {name: np.zeros((2, *shape), np.float32) for name, shape in shapes.items()}
    pictures[start.name][1] = 1
    try:
        dark, light = engine.run(pictures, [layer])[layer].reshape(2, -1)
    except ConvscopeError:
        return np.zeros(1, np.float32), np.zeros(1, np.float32)
    return light - dark, dark


def of_rescaling(operation: Any) -> str | None:
    slope, offset = np.broadcast_arrays(*(np.asarray(host(each), np.float32) for each in (operation.scale, operation.offset)))
    return taken_by(np.atleast_1d(slope), np.atleast_1d(offset))


def of_normalization(operation: Any) -> str | None:
    """Numbers in 0..1 of mean m have a variance of at most m (1 - m), those in -1..1 one of at most 1 - m^2."""
    mean, variance = (np.asarray(host(each), np.float64) for each in (operation.mean, operation.variance))
    if operation.invert or not np.isfinite([mean.mean(), variance.mean()]).all():
        return None
    if np.abs(mean).max() > 2:
        return "0..255"
    middle, spread = mean.mean(), variance.mean() + mean.var()
    if spread <= middle * (1 - middle) * 1.001:
        return "0..1"
    return "-1..1" if spread <= (1 - middle**2) * 0.9 else None


OWN: Mapping[str, Callable[[Any], str | None]] = {"Rescaling": of_rescaling, "Normalization": of_normalization}


def family_of(graph: Graph) -> Family | None:
    layers: dict[str, Layer] = {}
    for row in graph:
        layers.setdefault(row.name.rpartition("/")[2], row)
    return next((family for family in FAMILIES if all(has(layers, *each) for each in family.layers.items())), None)


def has(layers: Mapping[str, Layer], name: str, kernel: tuple[int | None, ...] | None) -> bool:
    found = [row for each, row in layers.items() if re.fullmatch(name, each)]
    return any(kernel is None or fits(row.kernel, kernel) for row in found)


def fits(shape: tuple[int | None, ...] | None, wanted: tuple[int | None, ...]) -> bool:
    return shape is not None and len(shape) == len(wanted) and all(b in (None, a) for a, b in zip(shape, wanted, strict=True))
