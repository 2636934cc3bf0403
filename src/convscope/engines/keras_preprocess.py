"""What a network of Keras expects pictures to be, found from its layers.

A network that begins with arithmetic on pixels (Rescaling, preprocess_input in the graph) says it itself. Else, if its layers
are those of a family of keras.applications, it is what that family's `preprocess_input` does, also if the family's
network stands within another one. The names alone would not do: other people's networks have a "block1_conv1" too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import CONVOLUTIONS, Graph, Layer
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
PIXELS = re.compile("Add|Divide|Flip|GetItem|Multiply|Subtract|TrueDivide")  # operations that preprocess_input is made of


def preprocess_of(graph: Graph, operation_of: Callable[[str], Any]) -> Found | None:
    """What to do to a picture, by its name in PRESETS, and where that is from; None where nothing is known.

    operation_of   the layer of Keras that a row of the graph stands for
    """
    leading = leading_rows(graph)
    own = [found for row in leading if (found := takes(row, operation_of(row.name)))]
    if own:
        return own[0]
    if any(PIXELS.fullmatch(row.native) for row in leading):
        return "0..255", "the network's own arithmetic on pixels"
    family = family_of(graph)
    return None if family is None else (family.mode, f"keras.applications.{family.module}, whose layers these are")


def leading_rows(graph: Graph) -> list[Layer]:
    """Those before the first layer that has learned something."""
    rows = list(graph)[1:]
    learned = (at for at, row in enumerate(rows) if row.kind in (*CONVOLUTIONS, "dense") or row.trainable)
    return rows[: next(learned, len(rows))]


def takes(row: Layer, operation: Any) -> Found | None:
    """What a network takes that begins with this layer: pixels, if the layer makes small numbers of large ones."""
    if row.native == "Rescaling":
        large = float(np.max(np.abs(operation.scale))) < 0.1
    elif row.native == "Normalization":
        large = float(np.max(np.abs(host(operation.mean)))) > 2
    else:
        return None
    return "0..255" if large else "0..1", f"the network's own {row.native} layer"


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
