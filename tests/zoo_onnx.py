"""Small networks in ONNX with random weights, each awkward in its own way. Built by hand, so that no exporter comes between.

`NETWORKS[name]()` gives the model, `pictures(model)` something to put in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {}


def network(build: Callable[[], onnx.ModelProto]) -> Callable[[], onnx.ModelProto]:
    NETWORKS[build.__name__] = build
    return build


class Writer:
    """Writes nodes one after the other. `node` gives the name of the tensor that it made, `NAME:out`."""

    def __init__(self, *, dtype=np.float32, seed: int = 0):
        self.nodes, self.weights = [], []
        self.dtype, self._random = dtype, np.random.default_rng(seed)

    def constant(self, name: str, values) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        scale = 1.5 / max(np.prod(shape[1:]), 1) ** 0.5
        return self.constant(name, (self._random.normal(size=shape) * scale).astype(self.dtype))

    def node(self, operator: str, inputs: list[str], name: str, *, outputs: int = 1, domain: str = "", **attributes) -> str:
        made = [f"{name}:out"] if outputs == 1 else [f"{name}:out{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, made, name, domain=domain, **attributes))
        return made[0]

    def conv(self, x: str, name: str, *shape: int, bias: bool = True, operator: str = "Conv", **attributes) -> str:
        """`shape` is the kernel's, as the operator has it; padded so that maps keep their size."""
        units = shape[1] * attributes.get("group", 1) if operator == "ConvTranspose" else shape[0]
        inputs = [x, self.weight(f"{name}.weight", *shape)] + ([self.weight(f"{name}.bias", units)] if bias else [])
        attributes.setdefault("pads", [size // 2 for size in shape[2:]] * 2)
        return self.node(operator, inputs, name, kernel_shape=shape[2:], **attributes)

    def dense(self, x: str, name: str, inputs: int, units: int) -> str:
        return self.node(
            "Gemm", [x, self.weight(f"{name}.weight", units, inputs), self.weight(f"{name}.bias", units)], name, transB=1
        )

    def head(self, x: str, channels: int, units: int = 5) -> str:
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x], "mean")], "flatten")
        return self.dense(x, "classes", channels, units)

    def model(
        self, shape, *outputs: str, opset: int = 17, ir: int = 8, name: str = "picture", element=None, domains=(), ranks=(2,)
    ):
        own = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        inputs = [helper.make_tensor_value_info(name, element or own, shape)]
        if ir < 4:
            inputs += [helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in self.weights]
        results = [
            helper.make_tensor_value_info(each, own, ["n"] + [None] * (rank - 1))
            for each, rank in zip(outputs, ranks, strict=True)
        ]
        graph = helper.make_graph(self.nodes, "network", inputs, results, self.weights)
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def pictures(model: onnx.ModelProto, *, n: int = 2, side: int = 12):
    """(n, c, *spatial) float32, each picture another; whole numbers where the network takes such; of several inputs, a dict."""
    weights, random = {each.name for each in model.graph.initializer}, np.random.default_rng(1)
    found = {each.name: array(each, n, side, random) for each in model.graph.input if each.name not in weights}
    if model.graph.name == "channels last":
        found = {name: np.ascontiguousarray(np.moveaxis(values, -1, 1)) for name, values in found.items()}
    return (
        dict(zip(("input", "input:1", "input:2"), found.values(), strict=False)) if len(found) > 1 else next(iter(found.values()))
    )


def array(given: onnx.ValueInfoProto, n: int, side: int, random: np.random.Generator) -> np.ndarray:
    shape = [size.dim_value or side for size in given.type.tensor_type.shape.dim[1:]]
    most = {TensorProto.UINT8: 256, TensorProto.INT64: 4}.get(given.type.tensor_type.elem_type)
    if most:
        return random.integers(0, most, (n, *shape)).astype(np.float32)
    return random.normal(size=(n, *shape)).astype(np.float32)


def chain(opset: int = 17, ir: int = 8) -> onnx.ModelProto:
    w = Writer()
    x = w.node("Relu", [w.conv("input", "conv1", 8, 3, 3, 3)], "relu1")
    x = w.node("MaxPool", [x], "pool1", kernel_shape=[2, 2], strides=[2, 2])
    x = w.node("Relu", [w.conv(x, "conv2", 16, 8, 3, 3)], "relu2")
    x = w.node("Softmax", [w.head(x, 16)], "softmax", axis=1)
    return w.model(["n", 3, 12, 12], x, opset=opset, ir=ir, name="input")


NEWEST = onnx.defs.onnx_opset_version()
for _opset in (7, 9, 11, 13, 17, 18, 21, 24):
    NETWORKS[f"chain_in_opset_{_opset}"] = lambda opset=_opset: chain(opset)


@network
def residual():
    w = Writer(seed=1)
    x = w.node("Relu", [w.conv("picture", "conv1", 8, 3, 3, 3)], "relu1")
    y = w.conv(w.node("Relu", [w.conv(x, "conv2", 8, 8, 3, 3)], "relu2"), "conv3", 8, 8, 3, 3)
    x = w.node("Relu", [w.node("Add", [y, x], "add")], "relu3")
    return w.model(["n", 3, 12, 12], w.head(x, 8), opset=13)


@network
def concatenation():
    w = Writer(seed=2)
    branches = [w.node("Relu", [w.conv("picture", f"conv{k}", 4, 3, k, k)], f"relu{k}") for k in (1, 3, 5)]
    x = w.node("Concat", branches, "join", axis=1)
    return w.model(["n", 3, 12, 12], w.head(w.conv(x, "mix", 6, 12, 1, 1), 6))


def normalised(w: Writer, x: str, name: str, units: int) -> str:
    weights = [w.weight(f"{name}.{part}", units) for part in ("scale", "shift", "mean")]
    variance = w.constant(f"{name}.var", np.linspace(0.5, 2, units).astype(np.float32))
    return w.node("BatchNormalization", [x, *weights, variance], name, epsilon=1e-3)


@network
def batch_norm_and_dropout():
    w = Writer(seed=3)
    x = w.conv("picture", "conv1", 8, 3, 3, 3, bias=False)
    x = w.node("Dropout", [w.node("Relu", [normalised(w, x, "norm1", 8)], "relu1")], "dropout", ratio=0.5)
    x = normalised(w, w.conv(x, "conv2", 8, 8, 3, 3), "norm2", 8)
    return w.model(["n", 3, 12, 12], w.head(w.node("LeakyRelu", [x], "leaky", alpha=0.1), 8), opset=11)


@network
def depthwise_separable():
    w = Writer(seed=4)
    x = w.conv("picture", "stem", 8, 3, 3, 3, strides=[2, 2])
    x = w.node(
        "Clip",
        [w.conv(x, "depth", 8, 1, 3, 3, group=8), w.constant("low", np.float32(0)), w.constant("high", np.float32(6))],
        "relu6",
    )
    x = w.node("HardSwish", [w.conv(x, "point", 12, 8, 1, 1)], "swish")
    return w.model(["n", 3, 12, 12], w.head(x, 12))


@network
def grouped_and_dilated():
    w = Writer(seed=5)
    x = w.conv("picture", "grouped", 8, 2, 3, 3, group=2)
    x = w.conv(w.node("Tanh", [x], "tanh"), "dilated", 6, 8, 3, 3, dilations=[2, 2], pads=[2, 2, 2, 2])
    return w.model(["n", 4, 12, 12], w.head(w.node("Elu", [x], "elu"), 6))


@network
def transposed():
    """An encoder and a decoder whose kernels are (in, out / groups, *k); what comes out is a picture."""
    w = Writer(seed=6)
    x = w.node("Relu", [w.conv("picture", "down", 6, 3, 3, 3, strides=[2, 2])], "relu1")
    x = w.conv(x, "up", 6, 4, 2, 2, operator="ConvTranspose", strides=[2, 2], pads=[0, 0, 0, 0])
    x = w.conv(w.node("Relu", [x], "relu2"), "up_in_groups", 4, 3, 3, 3, operator="ConvTranspose", group=2, bias=False)
    return w.model(["n", 3, 12, 12], w.node("Sigmoid", [x], "sigmoid"), ranks=(4,))


@network
def without_biases_on_grey():
    w = Writer(seed=7)
    x = w.node("PRelu", [w.conv("picture", "conv1", 6, 1, 5, 5, bias=False), w.weight("slope", 6, 1, 1)], "prelu")
    x = w.conv(w.node("AveragePool", [x], "pool", kernel_shape=[2, 2], strides=[2, 2]), "conv2", 8, 6, 3, 3, bias=False)
    x = w.node("Flatten", [w.node("GlobalMaxPool", [x], "max")], "flatten")
    return w.model(["n", 1, 12, 12], w.node("MatMul", [x, w.weight("dense.weight", 8, 5)], "dense"))


@network
def two_outputs():
    """The second is taken in the middle, so that it flows on."""
    w = Writer(seed=8)
    maps = w.node("Relu", [w.conv("picture", "conv1", 6, 3, 3, 3)], "relu1")
    x = w.head(w.node("Relu", [w.conv(maps, "conv2", 8, 6, 3, 3)], "relu2"), 8)
    return w.model(["n", 3, 12, 12], x, maps, ranks=(2, 4))


@network
def split():
    """A node with three outputs, of which two are used."""
    w = Writer(seed=9)
    x = w.conv("picture", "conv1", 9, 3, 3, 3)
    x = w.node("Split", [x, w.constant("sizes", np.array([3, 3, 3]))], "split", outputs=3, axis=1)
    x = w.node("Mul", [w.node("Sigmoid", ["split:out0"], "gate"), "split:out2"], "gated")
    return w.model(["n", 3, 12, 12], w.head(w.conv(x, "conv2", 6, 3, 3, 3), 6), opset=13)


@network
def shared_weights():
    w = Writer(seed=10)
    x = w.conv("picture", "conv1", 4, 4, 3, 3)
    x = w.node("Relu", [x], "relu1")
    x = w.node("Conv", [x, "conv1.weight", "conv1.bias"], "conv2", kernel_shape=[3, 3], pads=[1] * 4)
    return w.model(["n", 4, 12, 12], w.head(w.node("Relu", [x], "relu2"), 4))


def rename(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for each in (*model.graph.output, *model.graph.input):
        each.name = names.get(each.name, each.name)
    return model


@network
def unnamed_nodes():
    """As old exporters write them: tensors are numbers."""
    model = residual()
    made = [node.output[0] for node in model.graph.node]
    for node in model.graph.node:
        node.name = ""
    return rename(model, {tensor: str(number) for number, tensor in enumerate(made, 100)})


@network
def unnamed_nodes_with_tensor_names():
    model = residual()
    made = [node.output[0] for node in model.graph.node]
    for node in model.graph.node:
        node.name = ""
    return rename(model, {tensor: tensor.removesuffix(":out") + "_1" for tensor in made})


@network
def names_used_twice():
    """All nodes of an operator have one name, and one is called as the network's end is."""
    model = residual()
    for node in model.graph.node:
        node.name = {"Conv": "conv", "Relu": "relu", "Add": "output", "Flatten": "input"}.get(node.op_type, node.name)
    return model


@network
def constants_as_nodes():
    model = batch_norm_and_dropout()
    constants = [helper.make_node("Constant", [], [each.name], f"c_{each.name}", value=each) for each in model.graph.initializer]
    nodes = [*constants, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@network
def initialisers_among_the_inputs():
    return chain(opset=7, ir=3)


@network
def any_size():
    """Takes any height and width, and computes a size from its picture's while it runs."""
    w = Writer(seed=11)
    x = w.node("Relu", [w.conv("picture", "down", 6, 3, 3, 3, strides=[2, 2])], "relu1")
    spatial = w.node(
        "Slice",
        [w.node("Shape", ["picture"], "shape"), w.constant("two", np.array([2])), w.constant("four", np.array([4]))],
        "hw",
    )
    channels = w.node("Slice", [w.node("Shape", [x], "shape_x"), w.constant("zero", np.array([0])), "two"], "nc")
    size = w.node("Concat", [channels, spatial], "size", axis=0)
    x = w.node("Resize", [x, "", "", size], "up", mode="nearest")
    return w.model(["n", 3, "height", "width"], w.head(w.conv(x, "conv2", 4, 6, 3, 3), 4))


def of_type(dtype) -> onnx.ModelProto:
    w = Writer(dtype=dtype, seed=12)
    x = w.node("Relu", [w.conv("picture", "conv1", 8, 3, 3, 3)], "relu1")
    return w.model(["n", 3, 12, 12], w.head(w.node("Relu", [w.conv(x, "conv2", 8, 8, 3, 3)], "relu2"), 8))


@network
def one_dimension():
    w = Writer(seed=14)
    x = w.node("MaxPool", [w.node("Relu", [w.conv("picture", "conv1", 6, 2, 5)], "relu1")], "pool", kernel_shape=[2], strides=[2])
    return w.model(["n", 2, 32], w.head(w.node("Relu", [w.conv(x, "conv2", 8, 6, 3)], "relu2"), 8))


@network
def three_dimensions():
    w = Writer(seed=15)
    x = w.node(
        "MaxPool",
        [w.node("Relu", [w.conv("picture", "conv1", 4, 1, 3, 3, 3)], "relu1")],
        "pool",
        kernel_shape=[2] * 3,
        strides=[2] * 3,
    )
    return w.model(["n", 1, 8, 6, 8], w.head(w.node("Relu", [w.conv(x, "conv2", 6, 4, 3, 3, 3)], "relu2"), 6))


@network
def squeeze_and_excite():
    """Convolutions on maps of 1 x 1, and a dense layer that is a convolution."""
    w = Writer(seed=16)
    x = w.node("Relu", [w.conv("picture", "conv1", 8, 3, 3, 3)], "relu1")
    y = w.node("Relu", [w.conv(w.node("GlobalAveragePool", [x], "squeeze"), "less", 2, 8, 1, 1)], "relu2")
    x = w.node("Mul", [x, w.node("HardSigmoid", [w.conv(y, "more", 8, 2, 1, 1)], "gate")], "excite")
    x = w.conv(w.node("GlobalAveragePool", [x], "mean"), "classes", 5, 8, 1, 1)
    return w.model(["n", 3, 12, 12], w.node("Reshape", [x, w.constant("flat", np.array([0, -1]))], "reshape"))


@network
def a_fixed_batch_of_one():
    model = chain()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    return model


@network
def weights_behind_nodes():
    """A kernel that is stored as bytes, one that is stored transposed, and a dense layer of products."""
    w = Writer(seed=17)
    random = np.random.default_rng(17)
    w.constant("bytes", random.integers(-100, 100, (6, 3, 3, 3)).astype(np.int8))
    w.constant("steps", (random.uniform(1, 2, 6) / 100).astype(np.float32))
    kernel = w.node("DequantizeLinear", ["bytes", "steps", w.constant("zeros", np.zeros(6, np.int8))], "dequantise", axis=0)
    x = w.node("Relu", [w.node("Conv", ["picture", kernel], "conv1", pads=[1] * 4)], "relu1")
    kernel = w.node("Transpose", [w.weight("last", 3, 3, 6, 8)], "transpose", perm=[3, 2, 0, 1])
    x = w.node("Relu", [w.node("Conv", [x, w.node("Identity", [kernel], "same")], "conv2")], "relu2")
    x = w.node("Flatten", [w.node("GlobalAveragePool", [x], "mean")], "flatten")
    gemm = [x, w.weight("dense.weight", 8, 7), w.weight("dense.bias", 1, 7)]
    return w.model(["n", 3, 12, 12], w.node("Gemm", gemm, "dense", alpha=0.5, beta=2.0), opset=19, ir=9)


@network
def quantised():
    """Each activation goes through QuantizeLinear and DequantizeLinear, as quantisation-aware training writes it."""
    w = Writer(seed=18)
    w.constant("step", np.float32(0.05))
    w.constant("zero", np.uint8(128))

    def rounded(x: str, name: str) -> str:
        return w.node(
            "DequantizeLinear", [w.node("QuantizeLinear", [x, "step", "zero"], f"{name}_q"), "step", "zero"], f"{name}_dq"
        )

    x = rounded(w.conv(rounded("picture", "picture"), "conv1", 8, 3, 3, 3), "conv1")
    x = rounded(w.node("Relu", [x], "relu1"), "relu1")
    return w.model(["n", 3, 12, 12], w.head(rounded(w.conv(x, "conv2", 6, 8, 3, 3), "conv2"), 6), opset=19, ir=9)


def weight_norm():
    """A kernel with its length apart."""
    w = Writer(seed=17)
    kernel = w.node("Mul", [w.weight("direction", 4, 3, 3, 3), w.weight("length", 4, 1, 1, 1)], "normed")
    return w.model(["n", 3, 12, 12], w.head(w.node("Conv", ["picture", kernel], "conv1"), 4))


def pixels():
    """Takes pixels as they are, uint8."""
    w = Writer(seed=19)
    x = w.node("Div", [w.node("Cast", ["picture"], "cast", to=TensorProto.FLOAT), w.constant("most", np.float32(255))], "scaled")
    x = w.node("Relu", [w.conv(x, "conv1", 6, 3, 3, 3)], "relu1")
    return w.model(["n", 3, 12, 12], w.head(x, 6), element=TensorProto.UINT8)


@network
def a_branch():
    """An `If` whose branches use tensors from outside."""
    w = Writer(seed=20)
    x = w.node("Relu", [w.conv("picture", "conv1", 6, 3, 3, 3)], "relu1")
    result = [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, ["n", 6, 12, 12])]
    branches = {
        f"{name}_branch": helper.make_graph([helper.make_node(operator, [x], ["chosen"])], name, [], result)
        for name, operator in (("then", "Neg"), ("else", "Exp"))
    }
    total = w.node("ReduceSum", [x], "total", keepdims=0)
    large = w.node("Greater", [total, w.constant("limit", np.float32(0))], "large")
    x = w.node("If", [large], "choose", **branches)
    return w.model(["n", 3, 12, 12], w.head(w.conv(x, "conv2", 4, 6, 3, 3), 4))


@network
def a_function():
    """A node that is defined in the file itself."""
    w = Writer(seed=21)
    x = w.node("Twice", [w.conv("picture", "conv1", 6, 3, 3, 3)], "twice", domain="own")
    model = w.model(["n", 3, 12, 12], w.head(w.node("Relu", [x], "relu"), 6), domains=["own"])
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    model.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    return model


@network
def names_of_torch():
    model = residual()
    for node in model.graph.node:
        node.name = f"/layer1/layer1.0/{node.name}/{node.op_type}"
    return model


def turned(channels_last: bool) -> onnx.ModelProto:
    """One network, as a file from torch has it, and as one from TensorFlow or Keras: the values of its rows are the same."""
    w = Writer(seed=22)

    def to_first(x: str, name: str) -> str:
        return w.node("Transpose", [x], f"{name}_first", perm=[0, 3, 1, 2]) if channels_last else x

    def to_last(x: str, name: str) -> str:
        return w.node("Transpose", [x], f"{name}_last", perm=[0, 2, 3, 1]) if channels_last else x

    def per_channel(name: str, units: int) -> str:
        name = w.weight(name, units)
        if not channels_last:
            w.nodes.append(helper.make_node("Unsqueeze", [name, "axes"], [f"{name}:whole"], f"{name}_whole"))
        return name if channels_last else f"{name}:whole"

    w.constant("axes", np.array([1, 2]))
    x = w.node("Mul", ["picture", w.constant("half", np.float32(0.5))], "scaled")
    x = to_last(w.conv(to_first(x, "picture"), "conv1", 8, 3, 3, 3, bias=False), "conv1")
    x = w.node("Relu", [w.node("Add", [x, per_channel("shift", 8)], "biased")], "relu1")
    y = to_last(w.conv(to_first(x, "relu1"), "depth", 8, 1, 3, 3, group=8), "depth")
    x = w.node("Concat", [w.node("Add", [x, y], "add"), x], "join", axis=3 if channels_last else 1)
    x = to_last(w.node("MaxPool", [to_first(x, "join")], "pool", kernel_shape=[2, 2], strides=[2, 2]), "pool")
    mean = w.node("ReduceMean", [x], "means", axes=[1, 2] if channels_last else [2, 3], keepdims=1)
    x = w.node("Mul", [x, mean], "weighed")
    x = w.node("Relu", [w.conv(to_first(x, "weighed"), "conv2", 6, 16, 3, 3)], "relu2")
    model = w.model(["n", 12, 10, 3] if channels_last else ["n", 3, 12, 10], w.head(x, 6))
    model.graph.name = "channels last" if channels_last else "channels first"
    return model


@network
def channels_last():
    return turned(channels_last=True)


@network
def names_of_paddle():
    """Dots and numbers in every name, and an activation that is called as the tensor of another layer is."""
    model = residual()
    made = {node.output[0]: f"{node.op_type.lower()}2d_{at}.tmp_{at % 2}" for at, node in enumerate(model.graph.node)}
    for at, node in enumerate(model.graph.node):
        node.name = f"p2o.{node.op_type}.{at}" if at % 3 else ""
    return rename(model, made | {"picture": "x"})


@network
def a_loop():
    """A `Loop` that runs three times over maps, with a kernel from outside."""
    w = Writer(seed=23)
    w.weight("inner.weight", 6, 6, 3, 3)
    x = w.node("Relu", [w.conv("picture", "conv1", 6, 3, 3, 3)], "relu1")
    body = helper.make_graph(
        [
            helper.make_node("Conv", ["carried", "inner.weight"], ["moved"], "inner", kernel_shape=[3, 3], pads=[1] * 4),
            helper.make_node("Tanh", ["moved"], ["next"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, ["n", 6, 12, 12]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["n", 6, 12, 12]),
        ],
    )
    times, go = w.constant("times", np.int64(3)), w.constant("always", np.bool_(True))
    x = w.node("Loop", [times, go, x], "loop", body=body)
    return w.model(["n", 3, 12, 12], w.head(w.conv(x, "conv2", 4, 6, 3, 3), 4))


@network
def three_inputs():
    """A picture, a number per channel, and a whole number that chooses among rows of a table."""
    w = Writer(seed=24)
    x = w.node("Relu", [w.conv("picture", "conv1", 6, 3, 3, 3)], "relu1")
    gain = w.node("Unsqueeze", ["gain", w.constant("axes", np.array([2, 3]))], "gains")
    x = w.node("Mul", [x, gain], "amplified")
    x = w.head(w.node("Relu", [w.conv(x, "conv2", 8, 6, 3, 3)], "relu2"), 8)
    x = w.node("Add", [x, w.node("Gather", [w.weight("table", 4, 5), "kind"], "chosen")], "shifted")
    model = w.model(["n", 3, 12, 12], x)
    model.graph.input.append(helper.make_tensor_value_info("gain", TensorProto.FLOAT, ["n", 6]))
    model.graph.input.append(helper.make_tensor_value_info("kind", TensorProto.INT64, ["n"]))
    return model
