"""Seven small architectures, each written once and built in torch, in Keras and in ONNX with the same weights and names.

An architecture is a function of a builder and a picture; a builder has the same steps in every framework. Weights are made from
their names, so that no framework gets them from another.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from zoo_onnx import Writer

PICTURE = (3, 8, 8)
CLASSES = 5
ARCHITECTURES: dict[str, Callable] = {}


def architecture(build):
    ARCHITECTURES[build.__name__] = build
    return build


def weight(name: str, *shape: int) -> np.ndarray:
    """Of torch's layout: (out, in / groups, *k), (in, out, *k) if transposed."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith(("scale", "variance")):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    return (random.normal(size=shape) / max(np.prod(shape[1:]), 4) ** 0.5).astype(np.float32)


def conv_norm_relu(b, x, name, channels, units, **options):
    return b.relu(b.norm(b.conv(x, f"{name}_conv", channels, units, **options), f"{name}_norm", units), f"{name}_relu")


def head(b, x, channels):
    return b.dense(b.flat(b.mean(x, "mean"), "flat"), "classes", channels, CLASSES)


@architecture
def plain(b, x):
    x = b.relu(b.conv(x, "conv1", 3, 6), "relu1")
    x = b.pool(b.relu(b.conv(x, "conv2", 6, 6), "relu2"), "pool1")
    return head(b, b.relu(b.conv(x, "conv3", 6, 8), "relu3"), 8)


@architecture
def residual(b, x):
    x = conv_norm_relu(b, x, "stem", 3, 8)
    y = b.norm(b.conv(conv_norm_relu(b, x, "first", 8, 8), "second_conv", 8, 8), "second_norm", 8)
    x = b.pool(b.relu(b.add(y, x, "add"), "out_relu"), "pool")
    y = b.conv(x, "down", 8, 12, size=1)
    return head(b, b.relu(b.add(conv_norm_relu(b, x, "third", 8, 12), y, "add2"), "relu"), 12)


@architecture
def depthwise_separable(b, x):
    x = b.relu6(b.conv(x, "stem", 3, 8), "stem_relu6")
    x = b.relu6(b.norm(b.conv(x, "depth", 8, 8, groups=8), "depth_norm", 8), "depth_relu6")
    return head(b, b.relu6(b.conv(x, "point", 8, 12, size=1), "point_relu6"), 12)


@architecture
def grouped(b, x):
    x = b.relu(b.conv(x, "stem", 3, 8), "stem_relu")
    y = b.conv(conv_norm_relu(b, b.conv(x, "less", 8, 8, size=1), "grouped", 8, 8, groups=4), "more", 8, 8, size=1)
    return head(b, b.relu(b.add(x, y, "add"), "relu"), 8)


@architecture
def dense_connected(b, x):
    x, channels = b.conv(x, "stem", 3, 6), 6
    for index in range(3):
        x, channels = b.concat([x, conv_norm_relu(b, x, f"grow{index}", channels, 4)], f"concat{index}"), channels + 4
    return head(b, x, channels)


@architecture
def dilated_u_net(b, x):
    x = top = b.relu(b.conv(x, "down1", 3, 6), "relu1")
    x = b.relu(b.conv(b.pool(x, "pool"), "dilated", 6, 8, dilation=2), "relu2")
    x = b.concat([b.up(x, "up", 8, 6), top], "skip")
    return head(b, b.relu(b.conv(x, "last", 12, 6), "relu3"), 6)


@architecture
def squeeze_and_excite(b, x):
    x = b.relu(b.conv(x, "stem", 3, 8), "relu1")
    y = b.relu(b.conv(b.mean(x, "squeeze"), "less", 8, 2, size=1), "relu2")
    x = b.mul(x, b.sigmoid(b.conv(y, "more", 2, 8, size=1), "gate"), "excite")
    return head(b, b.conv(x, "conv2", 8, 8), 8)


class Onnx(Writer):
    """Steps that write nodes."""

    def __init__(self):
        super().__init__()
        self.constant("low", np.float32(0))
        self.constant("high", np.float32(6))

    def conv(self, x, name, channels, units, *, size=3, groups=1, dilation=1):
        kernel = self.constant(f"{name}.kernel", weight(f"{name}.kernel", units, channels // groups, size, size))
        bias = self.constant(f"{name}.bias", weight(f"{name}.bias", units))
        pads, dilations = [dilation * (size // 2)] * 4, [dilation] * 2
        return self.node("Conv", [x, kernel, bias], name, kernel_shape=[size] * 2, pads=pads, dilations=dilations, group=groups)

    def up(self, x, name, channels, units):
        kernel = self.constant(f"{name}.kernel", weight(f"{name}.kernel", channels, units, 2, 2))
        bias = self.constant(f"{name}.bias", weight(f"{name}.bias", units))
        return self.node("ConvTranspose", [x, kernel, bias], name, kernel_shape=[2, 2], strides=[2, 2])

    def norm(self, x, name, units):
        parts = [
            self.constant(f"{name}.{part}", weight(f"{name}.{part}", units)) for part in ("scale", "shift", "mean", "variance")
        ]
        return self.node("BatchNormalization", [x, *parts], name, epsilon=1e-3)

    def dense(self, x, name, inputs, units):
        kernel = self.constant(f"{name}.kernel", weight(f"{name}.kernel", units, inputs))
        return self.node("Gemm", [x, kernel, self.constant(f"{name}.bias", weight(f"{name}.bias", units))], name, transB=1)

    def pool(self, x, name):
        return self.node("MaxPool", [x], name, kernel_shape=[2, 2], strides=[2, 2])

    def relu6(self, x, name):
        return self.node("Clip", [x, "low", "high"], name)

    def concat(self, parts, name):
        return self.node("Concat", parts, name, axis=1)

    def add(self, x, y, name):
        return self.node("Add", [x, y], name)

    def mul(self, x, y, name):
        return self.node("Mul", [x, y], name)

    def relu(self, x, name):
        return self.node("Relu", [x], name)

    def sigmoid(self, x, name):
        return self.node("Sigmoid", [x], name)

    def mean(self, x, name):
        return self.node("GlobalAveragePool", [x], name)

    def flat(self, x, name):
        return self.node("Flatten", [x], name)


def in_onnx(name: str):
    writer = Onnx()
    output = ARCHITECTURES[name](writer, "picture")
    return writer.model(["n", *PICTURE], output)


def in_torch(name: str):
    import torch
    from torch import nn

    class Merge(nn.Module):
        def __init__(self, merge):
            super().__init__()
            self.merge = merge

        def forward(self, *parts):
            return self.merge(parts)

    class Network(nn.Module):
        def forward(self, x):
            return ARCHITECTURES[name](steps, x)

    class Torch:
        """Steps that make a layer when they first run, and call it."""

        def layer(self, name, make, *inputs, **weights):
            if name not in module._modules:
                layer = make()
                values = {
                    key: torch.from_numpy(weight(f"{name}.{part}", *getattr(layer, key).shape)) for key, part in weights.items()
                }
                layer.load_state_dict(layer.state_dict() | values)
                module.add_module(name, layer.eval())  # or the first run would move its statistics
            return module._modules[name](*inputs)

        def conv(self, x, name, channels, units, *, size=3, groups=1, dilation=1):
            padding = dilation * (size // 2)
            layer = lambda: nn.Conv2d(channels, units, size, padding=padding, groups=groups, dilation=dilation)  # noqa: E731
            return self.layer(name, layer, x, weight="kernel", bias="bias")

        def up(self, x, name, channels, units):
            return self.layer(name, lambda: nn.ConvTranspose2d(channels, units, 2, stride=2), x, weight="kernel", bias="bias")

        def norm(self, x, name, units):
            parts = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "variance"}
            return self.layer(name, lambda: nn.BatchNorm2d(units, eps=1e-3), x, **parts)

        def dense(self, x, name, inputs, units):
            return self.layer(name, lambda: nn.Linear(inputs, units), x, weight="kernel", bias="bias")

        def pool(self, x, name):
            return self.layer(name, lambda: nn.MaxPool2d(2), x)

        def relu(self, x, name):
            return self.layer(name, lambda: nn.ReLU(inplace=True), x)

        def relu6(self, x, name):
            return self.layer(name, lambda: nn.ReLU6(inplace=True), x)

        def sigmoid(self, x, name):
            return self.layer(name, nn.Sigmoid, x)

        def mean(self, x, name):
            return self.layer(name, lambda: nn.AdaptiveAvgPool2d(1), x)

        def flat(self, x, name):
            return self.layer(name, nn.Flatten, x)

        def concat(self, parts, name):
            return self.layer(name, lambda: Merge(lambda each: torch.cat(each, 1)), *parts)

        def add(self, x, y, name):
            return self.layer(name, lambda: Merge(lambda each: each[0] + each[1]), x, y)

        def mul(self, x, y, name):
            return self.layer(name, lambda: Merge(lambda each: each[0] * each[1]), x, y)

    module, steps = Network().eval(), Torch()
    module(torch.zeros(1, *PICTURE))
    return module
