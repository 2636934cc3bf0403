"""Where the nodes of an ONNX graph look: kernel, stride, dilation and padding from their attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from onnx import NodeProto

from ..core import Window
from ..errors import Shape
from .onnx_layout import Layouts
from .onnx_wiring import attribute, operator

POOLINGS = ("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "NhwcMaxPool")
CONVOLUTIONS = ("Conv", "FusedConv", "NhwcConv", "NhwcFusedConv", "QLinearConv", "ConvInteger", "ConvTranspose")
FILLS: dict[str, Literal["zeros", "reflect", "replicate", "circular"]] = {
    "constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular",
}  # fmt: skip


def window_of(node: NodeProto, kernel: Shape | None, layouts: Layouts) -> Window | None:
    """Of a convolution, pooling or padding; None for any other, and for what is only known when the network runs."""
    if operator(node) == "Pad":
        return _of_padding(node, layouts)
    if operator(node) not in (*CONVOLUTIONS, *POOLINGS):
        return None
    stated: Shape = tuple(attribute(node, "kernel_shape", None) or (kernel or ())[2:])
    size = tuple(each for each in stated if each is not None)
    if not size or len(size) < len(stated):
        return None
    axes, transposed = len(size), operator(node) == "ConvTranspose"
    if transposed and (attribute(node, "output_shape", None) or _auto(node) not in ("NOTSET", "VALID")):
        return None
    ones = (1,) * axes
    stride, dilation = tuple(attribute(node, "strides", ones)), tuple(attribute(node, "dilations", ones))
    same: dict[str, Literal["same", "same_lower"]] = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower"}
    if _auto(node) in same:
        return Window(tuple(size), stride, dilation, same[_auto(node)])
    pads = attribute(node, "pads", None) if _auto(node) == "NOTSET" else None
    return Window(tuple(size), stride, dilation, _pairs(pads or (0,) * 2 * axes), transposed)


def _of_padding(node: NodeProto, layouts: Layouts) -> Window | None:
    """Of a Pad with constant sizes that leaves the pictures and the channels alone."""
    pads, wiring = attribute(node, "pads", None), layouts.wiring
    fill = attribute(node, "mode", b"constant").decode()
    if pads is None and len(node.input) > 1 and node.input[1] in wiring.constants and len(node.input) < 4:
        pads = [int(each) for each in wiring.constants.array(node.input[1])]
    if pads is None or fill not in FILLS:
        return None
    pairs = _pairs(pads)
    pairs = tuple(pairs[axis] for axis in layouts.turn(node.input[0])) or pairs
    ones = (1,) * (len(pairs) - 2)
    return Window(ones, ones, ones, pairs[2:], fill=FILLS[fill]) if pairs[:2] == ((0, 0), (0, 0)) and ones else None


def _auto(node: NodeProto) -> str:
    said: bytes = attribute(node, "auto_pad", b"NOTSET")
    return said.decode()


def _pairs(pads: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """(y before, x before, y after, x after) by axis."""
    axes = len(pads) // 2
    return tuple((int(pads[axis]), int(pads[axes + axis])) for axis in range(axes))
