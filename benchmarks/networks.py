"""VGG16 and ResNet-50 with random weights, as torch modules and as ONNX files. Their values do not change the time."""

from __future__ import annotations

from itertools import count

import numpy as np

VGG16 = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool")
RESNET50 = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # (width, blocks, stride)


def torch_vgg16():
    from torch import nn

    layers, channels = [], 3
    for step in VGG16:
        if step == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, step, 3, padding=1), nn.ReLU(inplace=True)]
            channels = step
    head = [nn.Linear(25088, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, nn.Flatten(), *head).eval()


def torch_resnet50():
    from torch import nn

    class Bottleneck(nn.Module):
        def __init__(self, channels, width, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
            self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
            self.relu, self.downsample = nn.ReLU(inplace=True), None
            if stride > 1 or channels != 4 * width:
                shortcut = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
                self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * width))

        def forward(self, x):
            y = self.relu(self.bn1(self.conv1(x)))
            y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
            y += x if self.downsample is None else self.downsample(x)
            return self.relu(y)

    blocks, channels = [], 64
    for width, number, stride in RESNET50:
        for index in range(number):
            blocks.append(Bottleneck(channels, width, stride if index == 0 else 1))
            channels = 4 * width
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)).eval()


class _Writer:
    """Writes nodes one after the other; each method returns the name of the tensor it made."""

    def __init__(self):
        self.nodes, self.weights, self._number, self._random = [], [], count(), np.random.default_rng(0)

    def node(self, kind, inputs, name=None, **attributes):
        from onnx import helper

        name = name or f"{kind.lower()}_{next(self._number)}"
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}:out"], name, **attributes))
        return f"{name}:out"

    def weight(self, name, *shape):
        from onnx import numpy_helper

        values = self._random.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def scalar(self, name, value):
        from onnx import numpy_helper

        if name not in [each.name for each in self.weights]:
            self.weights.append(numpy_helper.from_array(np.float32(value), name))
        return name

    def conv(self, x, name, channels, units, size, stride=1, groups=1):
        inputs = [x, self.weight(f"{name}.weight", units, channels // groups, size, size), self.weight(f"{name}.bias", units, 1)]
        self.weights[-1].dims[:] = [units]
        sizes = {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [size // 2] * 4}
        return self.node("Conv", inputs, name, group=groups, **sizes)

    def dense(self, x, name, inputs, units):
        bias = self.weight(f"{name}.bias", units, 1)
        self.weights[-1].dims[:] = [units]
        return self.node("Gemm", [x, self.weight(f"{name}.weight", units, inputs), bias], name, transB=1)

    def model(self, output):
        from onnx import TensorProto, helper

        self.node("Identity", [output], "result")
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 224, 224])],
            [helper.make_tensor_value_info("result:out", TensorProto.FLOAT, [1, 1000])],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def onnx_vgg16():
    writer, x, channels, block, number = _Writer(), "input", 3, 1, 1
    for step in VGG16:
        if step == "pool":
            x = writer.node("MaxPool", [x], f"block{block}_pool", kernel_shape=[2, 2], strides=[2, 2])
            block, number = block + 1, 1
        else:
            x = writer.node(
                "Relu", [writer.conv(x, f"block{block}_conv{number}", channels, step, 3)], f"block{block}_relu{number}"
            )
            channels, number = step, number + 1
    x = writer.node("Flatten", [x])
    for name, inputs, units in (("fc1", 25088, 4096), ("fc2", 4096, 4096)):
        x = writer.node("Relu", [writer.dense(x, name, inputs, units)])
    return writer.model(writer.dense(x, "predictions", 4096, 1000))


def onnx_resnet50():
    """With BatchNorm folded into the convolutions, as an exported file has it."""
    writer = _Writer()
    x = writer.node("Relu", [writer.conv("input", "conv1", 3, 64, 7, 2)])
    x = writer.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, (width, number, first_stride) in enumerate(RESNET50, 1):
        for index in range(number):
            stride, name = first_stride if index == 0 else 1, f"layer{stage}.{index}"
            y = writer.node("Relu", [writer.conv(x, f"{name}.conv1", channels, width, 1)])
            y = writer.node("Relu", [writer.conv(y, f"{name}.conv2", width, width, 3, stride)])
            y = writer.conv(y, f"{name}.conv3", width, 4 * width, 1)
            shortcut = writer.conv(x, f"{name}.downsample", channels, 4 * width, 1, stride) if index == 0 else x
            x, channels = writer.node("Relu", [writer.node("Add", [y, shortcut])]), 4 * width
    x = writer.node("Flatten", [writer.node("GlobalAveragePool", [x])])
    return writer.model(writer.dense(x, "fc", 2048, 1000))


MOBILENET_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def torch_mobilenet_v2():
    """With ReLU6 in place, as torchvision has it."""
    from torch import nn

    def conv(channels, width, size, stride=1, groups=1):
        kernel = nn.Conv2d(channels, width, size, stride, size // 2, groups=groups, bias=False)
        return [kernel, nn.BatchNorm2d(width), nn.ReLU6(inplace=True)]

    class Inverted(nn.Module):
        def __init__(self, channels, wide, width, stride):
            super().__init__()
            first = conv(channels, wide, 1) if wide > channels else []
            self.conv = nn.Sequential(*first, *conv(wide, wide, 3, stride, wide), *conv(wide, width, 1)[:2])
            self.adds = stride == 1 and channels == width

        def forward(self, x):
            return x + self.conv(x) if self.adds else self.conv(x)

    blocks, channels = conv(3, 32, 3, 2), 32
    for expansion, width, number, first_stride in MOBILENET_V2:
        for index in range(number):
            blocks.append(Inverted(channels, channels * expansion, width, first_stride if index == 0 else 1))
            channels = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 1000)]
    return nn.Sequential(*blocks, *conv(320, 1280, 1), *head).eval()


def onnx_mobilenet_v2():
    """With BatchNorm folded, as an exported file has it. Rows: (expansion, width, blocks, stride)."""
    writer = _Writer()

    def relu6(x):
        return writer.node("Clip", [x, writer.scalar("low", 0.0), writer.scalar("high", 6.0)])

    x, channels = relu6(writer.conv("input", "stem", 3, 32, 3, 2)), 32
    for stage, (expansion, width, number, first_stride) in enumerate(MOBILENET_V2):
        for index in range(number):
            stride, wide, name = first_stride if index == 0 else 1, channels * expansion, f"features.{stage}.{index}"
            y = relu6(writer.conv(x, f"{name}.expand", channels, wide, 1)) if expansion > 1 else x
            y = relu6(writer.conv(y, f"{name}.depthwise", wide, wide, 3, stride, groups=wide))
            y = writer.conv(y, f"{name}.project", wide, width, 1)
            x, channels = writer.node("Add", [x, y]) if stride == 1 and channels == width else y, width
    x = relu6(writer.conv(x, "last", 320, 1280, 1))
    x = writer.node("Flatten", [writer.node("GlobalAveragePool", [x])])
    return writer.model(writer.dense(x, "classifier", 1280, 1000))
