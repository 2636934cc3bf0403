"""What `filters` gives, for every kind of layer in every framework: the layer's output, computed again from it in NumPy."""

import itertools

import numpy as np
import pytest

import convscope
from convscope.errors import InputError

N = 2


def padded(values, pads):
    return np.pad(values, [(0, 0), (0, 0), *pads])


def correlated(x, kernel, *, stride=1, dilation=1, pads=0, groups=1):
    """out[n, o] at p = sum over i, k of x[n, i] at p * stride + k * dilation, times kernel[o, i] at k; i within o's group."""
    axes = kernel.ndim - 2
    x = padded(x, [(pads, pads) if isinstance(pads, int) else pads] * axes)
    sizes = [(x.shape[2 + a] - (kernel.shape[2 + a] - 1) * dilation - 1) // stride + 1 for a in range(axes)]
    out = np.zeros((len(x), len(kernel), *sizes))
    for o, k in itertools.product(range(len(kernel)), np.ndindex(*kernel.shape[2:])):
        first = o // (len(kernel) // groups) * kernel.shape[1]
        window = tuple(slice(k[a] * dilation, k[a] * dilation + (sizes[a] - 1) * stride + 1, stride) for a in range(axes))
        part = x[:, first : first + kernel.shape[1]][(slice(None), slice(None), *window)]
        out[:, o] += np.tensordot(part, kernel[(o, slice(None), *k)], ([1], [0]))
    return out


def stamped(x, kernel, *, stride=1, dilation=1, crop=0, groups=1):
    """out[n, o] at p * stride + k * dilation gets x[n, i] at p times kernel[o, i] at k."""
    axes = kernel.ndim - 2
    sizes = [(x.shape[2 + a] - 1) * stride + (kernel.shape[2 + a] - 1) * dilation + 1 for a in range(axes)]
    out = np.zeros((len(x), len(kernel), *sizes))
    for o, k in itertools.product(range(len(kernel)), np.ndindex(*kernel.shape[2:])):
        first = o // (len(kernel) // groups) * kernel.shape[1]
        place = tuple(slice(k[a] * dilation, k[a] * dilation + (x.shape[2 + a] - 1) * stride + 1, stride) for a in range(axes))
        out[(slice(None), o, *place)] += np.tensordot(
            x[:, first : first + kernel.shape[1]], kernel[(o, slice(None), *k)], ([1], [0])
        )
    inner = tuple(slice(crop, size - crop) for size in sizes)
    return out[(slice(None), slice(None), *inner)]


def biased(values, filters):
    return values if filters.biases is None else values + filters.biases.reshape(-1, *[1] * (values.ndim - 2))


def plain(**how):
    return lambda x, filters: biased(correlated(x, filters.values, **how), filters)


def transposed(**how):
    return lambda x, filters: biased(stamped(x, filters.values, **how), filters)


def separable(**how):
    def both(x, filters):
        deep = correlated(x, filters.weights["depthwise_kernel"], groups=x.shape[1], **how)
        return biased(correlated(deep, filters.weights["pointwise_kernel"]), filters)

    return both


def dense(x, filters):
    """Over the channels, wherever they stand."""
    return biased(np.moveaxis(np.tensordot(x, filters.values, ([1], [1])), -1, 1), filters)


def check(net, name, shape, by_hand, groups=1):
    x = np.random.default_rng(0).normal(size=(N, *shape)).astype(np.float32)
    filters, found = net.filters(name), net.engine.run(x, [name])[name]
    expected = by_hand(x, filters)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    assert filters.groups == groups
    assert ("groups, each filter sees" in filters.note) == (groups > 1 and filters.values.shape[1] > 1)
    return filters


# Keras


def keras_cases():
    pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    from keras import layers as L

    return {
        "Conv1D": (L.Conv1D(4, 3, strides=2), (3, 9), plain(stride=2), 1),
        "Conv1D causal": (L.Conv1D(4, 3, padding="causal", dilation_rate=2), (3, 9), plain(dilation=2, pads=(4, 0)), 1),
        "Conv2D": (L.Conv2D(4, (3, 2)), (3, 6, 5), plain(), 1),
        "Conv2D grouped": (L.Conv2D(6, 3, groups=2), (4, 5, 5), plain(groups=2), 2),
        "Conv2D dilated": (L.Conv2D(4, 3, dilation_rate=2), (3, 7, 7), plain(dilation=2), 1),
        "Conv2D 1 x 1": (L.Conv2D(4, 1, use_bias=False), (3, 5, 5), plain(), 1),
        "Conv2D a group per channel": (L.Conv2D(6, 3, groups=3), (3, 5, 5), plain(groups=3), 3),
        "Conv3D": (L.Conv3D(2, 2), (3, 3, 4, 5), plain(), 1),
        "Conv1DTranspose": (L.Conv1DTranspose(4, 3, strides=2), (3, 5), transposed(stride=2), 1),
        "Conv2DTranspose": (L.Conv2DTranspose(4, (3, 2)), (3, 4, 5), transposed(), 1),
        "Conv2DTranspose same": (L.Conv2DTranspose(4, 4, strides=2, padding="same"), (3, 4, 4), transposed(stride=2, crop=1), 1),
        "Conv2DTranspose dilated": (L.Conv2DTranspose(2, 3, dilation_rate=2), (3, 4, 4), transposed(dilation=2), 1),
        "Conv3DTranspose": (L.Conv3DTranspose(2, 2, strides=2), (3, 2, 3, 2), transposed(stride=2), 1),
        "DepthwiseConv1D": (L.DepthwiseConv1D(3, depth_multiplier=2), (3, 7), plain(groups=3), 3),
        "DepthwiseConv2D": (L.DepthwiseConv2D(3, strides=2, depth_multiplier=2), (3, 7, 7), plain(groups=3, stride=2), 3),
        "SeparableConv1D": (L.SeparableConv1D(4, 3), (3, 7), separable(), 3),
        "SeparableConv2D": (L.SeparableConv2D(4, 3, depth_multiplier=2), (3, 5, 6), separable(), 3),
        "Dense": (L.Dense(4), (5,), dense, 1),
        "Dense over maps": (L.Dense(4), (3, 5, 5), dense, 1),
        "EinsumDense": (L.EinsumDense("...a,ab->...b", (5, 5, 4), bias_axes="b"), (3, 5, 5), dense, 1),
        "SpectralNormalization": (L.SpectralNormalization(L.Conv2D(4, 3)), (3, 5, 5), plain(), 1),
    }  # fmt: skip


KERAS = ["Conv1D", "Conv1D causal", "Conv2D", "Conv2D grouped", "Conv2D dilated", "Conv2D 1 x 1", "Conv2D a group per channel",
         "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv2DTranspose same", "Conv2DTranspose dilated", "Conv3DTranspose",
         "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "Dense", "Dense over maps", "EinsumDense",
         "SpectralNormalization"]  # fmt: skip


def keras_network(layer, shape):
    keras = pytest.importorskip("keras")
    start = keras.Input((*shape[1:], shape[0]))
    model = keras.Model(start, layer(start))
    random = np.random.default_rng(1)
    for each in model.weights:
        each.assign(random.normal(size=each.shape))
    return convscope.open(model)


@pytest.mark.parametrize("case", KERAS)
def test_kernels_of_keras(case):
    layer, shape, by_hand, groups = keras_cases()[case]
    net = keras_network(layer, shape)
    check(net, net.layers[1].name, shape, by_hand, groups)


def test_every_kind_of_keras_is_tried():
    assert list(keras_cases()) == KERAS


def test_positions_of_an_einsum_with_a_matrix_each():
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    net = keras_network(keras.layers.EinsumDense("abc,bcde->abed", (5, 2, 4), name="each"), (3, 5))
    values = net.filters("each").values
    assert values.shape == (8, 3, 5)  # units (e, d) laid flat, channels, positions
    x = np.random.default_rng(0).normal(size=(N, 3, 5)).astype(np.float32)
    expected = np.einsum("ncb,ucb->nbu", x, values).reshape(N, 5, 2, 4)  # Keras' own layout, which is n, b, e, d
    np.testing.assert_allclose(np.moveaxis(net.engine.run(x, ["each"])["each"], 1, -1), expected, atol=1e-4)


def test_weights_of_a_layer_of_ones_own_are_not_taken_for_filters():
    """Keras 3 has no locally connected layer; whoever writes one knows what its kernel means, and nobody else does."""
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

    class LocallyConnected1D(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[1] - 2, 3 * shape[2], 4), name="kernel")

        def call(self, x):
            windows = keras.ops.concatenate([x[:, at : x.shape[1] - 2 + at] for at in range(3)], -1)
            return keras.ops.einsum("npi,pio->npo", windows, self.kernel)

    net = keras_network(LocallyConnected1D(name="local"), (2, 7))
    with pytest.raises(InputError, match=r"'local' \(LocallyConnected1D\).*'kernel' \(5, 6, 4\).*engine.weights\('local'\)"):
        net.filters("local")
    assert net.engine.weights("local")["kernel"].shape == (5, 6, 4)


# PyTorch


def torch_cases():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    nn = torch.nn
    transpose = nn.ConvTranspose2d
    halved, parted = {"stride": 2, "groups": 2}, {"groups": 3, "dilation": 2}
    return {
        "Conv1d": (nn.Conv1d(3, 4, 3, stride=2), (3, 9), plain(stride=2), 1),
        "Conv2d": (nn.Conv2d(3, 4, (3, 2), padding=1), (3, 6, 5), plain(pads=1), 1),
        "Conv2d grouped": (nn.Conv2d(4, 6, 3, groups=2, dilation=2), (4, 7, 7), plain(groups=2, dilation=2), 2),
        "Conv2d a group per channel": (nn.Conv2d(3, 6, 3, groups=3, stride=2), (3, 7, 7), plain(groups=3, stride=2), 3),
        "Conv2d 1 x 1": (nn.Conv2d(3, 4, 1, bias=False), (3, 5, 5), plain(), 1),
        "Conv3d": (nn.Conv3d(3, 2, 2), (3, 3, 4, 5), plain(), 1),
        "ConvTranspose1d": (nn.ConvTranspose1d(3, 4, 3, stride=2), (3, 5), transposed(stride=2), 1),
        "ConvTranspose2d": (transpose(3, 4, (3, 2)), (3, 4, 5), transposed(), 1),
        "ConvTranspose2d grouped": (transpose(4, 6, 4, padding=1, **halved), (4, 4, 4), transposed(crop=1, **halved), 2),
        "ConvTranspose2d a group per channel": (transpose(3, 6, 2, **parted), (3, 4, 4), transposed(**parted), 3),
        "ConvTranspose3d": (nn.ConvTranspose3d(3, 2, 2, stride=2), (3, 2, 3, 2), transposed(stride=2), 1),
        "Linear": (nn.Linear(5, 4), (5,), dense, 1),
        "weight_norm": (nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), (3, 5, 5), plain(), 1),
    }  # fmt: skip


TORCH = ["Conv1d", "Conv2d", "Conv2d grouped", "Conv2d a group per channel", "Conv2d 1 x 1", "Conv3d", "ConvTranspose1d",
         "ConvTranspose2d", "ConvTranspose2d grouped", "ConvTranspose2d a group per channel", "ConvTranspose3d", "Linear",
         "weight_norm"]  # fmt: skip


@pytest.mark.parametrize("case", TORCH)
def test_kernels_of_torch(case):
    layer, shape, by_hand, groups = torch_cases()[case]
    from torch import nn

    net = convscope.open(nn.Sequential(layer), picture_shape=shape)
    check(net, net.layers[1].name, shape, by_hand, groups)


def test_every_kind_of_torch_is_tried():
    assert list(torch_cases()) == TORCH


# ONNX: the operator, its attributes, the shape of its weight, that of its input


ONNX = {
    "Conv 1-D": ("Conv", {"strides": [2]}, (4, 3, 3), (3, 9), plain(stride=2), 1),
    "Conv": ("Conv", {"pads": [1, 1, 1, 1]}, (4, 3, 3, 2), (3, 6, 5), plain(pads=1), 1),
    "Conv grouped": ("Conv", {"group": 2, "dilations": [2, 2]}, (6, 2, 3, 3), (4, 7, 7), plain(groups=2, dilation=2), 2),
    "Conv a group per channel": ("Conv", {"group": 3}, (6, 1, 3, 3), (3, 5, 5), plain(groups=3), 3),
    "Conv 3-D": ("Conv", {}, (2, 3, 2, 2, 2), (3, 3, 4, 5), plain(), 1),
    "ConvTranspose": ("ConvTranspose", {"strides": [2, 2]}, (3, 4, 3, 2), (3, 4, 5), transposed(stride=2), 1),
    "ConvTranspose grouped": ("ConvTranspose", {"group": 2}, (4, 3, 3, 3), (4, 4, 4), transposed(groups=2), 2),
    "Gemm": ("Gemm", {"transB": 1}, (4, 5), (5,), dense, 1),
    "Gemm of the other way": ("Gemm", {"alpha": 0.5}, (5, 4), (5,), dense, 1),
    "MatMul": ("MatMul", {}, (5, 4), (5,), dense, 1),
}  # fmt: skip


@pytest.mark.parametrize("case", ONNX)
def test_kernels_of_onnx(case):
    onnx = pytest.importorskip("onnx")
    kind, attributes, weight, shape, by_hand, groups = ONNX[case]
    random, helper = np.random.default_rng(1), onnx.helper
    kernel = random.normal(size=weight).astype(np.float32)
    units = len(kernel) if kind == "Conv" or attributes.get("transB") else kernel.shape[1] * attributes.get("group", 1)
    arrays = [kernel, random.normal(size=units).astype(np.float32)][: 1 if kind == "MatMul" else 2]
    names = ["kernel", "bias"][: len(arrays)]
    node = helper.make_node(kind, ["picture", *names], ["out"], "layer", **attributes)
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, each)
        for name, each in (("picture", ["n", *shape]), ("out", None))
    ]
    weights = [onnx.numpy_helper.from_array(*each) for each in zip(arrays, names, strict=True)]
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], weights)
    net = convscope.open(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    check(net, net.layers[1].name, shape, by_hand, groups)
