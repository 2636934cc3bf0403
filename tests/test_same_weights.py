"""One set of weights, that of the built-in network, opened in every framework: the same maps, the same answers."""

import os

import numpy as np
import pytest
from same_weights import ARCHITECTURES, CLASSES, PICTURE, in_onnx, in_torch
from torchvision_ops import torchvision

import convscope
from convscope import demo

PICTURES = np.random.default_rng(0).uniform(-1, 1, (2, 3, 128, 128)).astype(np.float32)

# test_keras_backends.py runs this file again, for what is Keras' in it.
once = pytest.mark.skipif(os.environ["KERAS_BACKEND"] != "torch", reason="nothing of Keras; tested where Keras is on torch")


@pytest.fixture(scope="module")
def net():
    return convscope.open("demo")


@pytest.fixture(scope="module")
def expected(net):
    return net.engine.run(PICTURES, [layer.name for layer in net.layers[1:]])


def torch_twin(net):
    """The network again, layer by layer from its table, as a torch module."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    from torch import nn

    layers = {}
    for layer in net.layers[1:]:
        if layer.is_convolution or layer.kind == "dense":
            kernel, bias = net.filters(layer.name).values, net.filters(layer.name).biases
            made = (
                nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1) if kernel.ndim == 4 else nn.Linear(*kernel.shape[::-1])
            )
            made.load_state_dict({"weight": torch.from_numpy(kernel), "bias": torch.from_numpy(bias)})
        else:
            made = {
                "Relu": nn.ReLU(inplace=True),
                "MaxPool": nn.MaxPool2d(2),
                "GlobalAveragePool": nn.AdaptiveAvgPool2d(1),
                "Flatten": nn.Flatten(),
                "Softmax": nn.Softmax(1),
            }[layer.native]
        layers[layer.name] = made
    module = nn.Sequential()
    for name, made in layers.items():
        module.add_module(name, made)
    return module


def keras_twin(net):
    """The network again as a functional Keras model, channels last."""
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    tensor = start = keras.Input((128, 128, 3), name="picture")
    for layer in net.layers[1:]:
        units = layer.shape[0]
        tensor = {
            "Conv": lambda units=units, name=layer.name: keras.layers.Conv2D(units, 3, padding="same", name=name),
            "Gemm": lambda units=units, name=layer.name: keras.layers.Dense(units, name=name),
            "Relu": lambda name=layer.name: keras.layers.ReLU(name=name),
            "MaxPool": lambda name=layer.name: keras.layers.MaxPooling2D(name=name),
            "GlobalAveragePool": lambda name=layer.name: keras.layers.GlobalAveragePooling2D(keepdims=True, name=name),
            "Flatten": lambda name=layer.name: keras.layers.Flatten(name=name),
            "Softmax": lambda name=layer.name: keras.layers.Softmax(name=name),
        }[layer.native]()(tensor)
    model = keras.Model(start, tensor, name="twin")
    for layer in net.layers:
        if layer.is_convolution or layer.kind == "dense":
            found = net.filters(layer.name)
            kernel = found.values.transpose(2, 3, 1, 0) if found.values.ndim == 4 else found.values.T
            model.get_layer(layer.name).set_weights([kernel, found.biases])
    return model


TWINS = [pytest.param(torch_twin, marks=once), keras_twin]


@pytest.mark.parametrize("twin", TWINS)
def test_the_same_weights_give_the_same_maps(net, expected, twin):
    other = convscope.open(twin(net), picture_shape=(3, 128, 128))
    names = [layer.name for layer in net.layers[1:]]
    found = other.engine.run(PICTURES, names)
    for name in names:
        largest = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5 * largest, err_msg=name)


@pytest.mark.parametrize("twin", TWINS)
def test_the_same_weights_give_the_same_table_filters_and_blocks(net, twin):
    other = convscope.open(twin(net), picture_shape=(3, 128, 128))
    assert other.layers.parameters == net.layers.parameters
    assert other.layers.convolutions.names == net.layers.convolutions.names
    for layer in net.layers.convolutions:
        np.testing.assert_array_equal(other.filters(layer.name).values, net.filters(layer.name).values)
        np.testing.assert_array_equal(other.filters(layer.name).biases, net.filters(layer.name).biases)
        assert other.layers[layer.name].shape == layer.shape
    assert list(other.maps(PICTURES)) == list(net.maps(PICTURES))
    found, expected = (each.maps(PICTURES, activated=True)["block3_conv3"].reading for each in (other, net))
    assert (found.layer, found.read_at, found.activated) == (expected.layer, expected.read_at, expected.activated)
    assert found.activation.lower() == expected.activation.lower() == "relu"  # each framework writes it its own way


@pytest.mark.parametrize("twin", TWINS)
def test_a_photograph_gets_the_same_answers(net, twin):
    pytest.importorskip("skimage", reason="the built-in photograph comes with scikit-image")
    other = convscope.open(twin(net), preprocess=net.preprocess, labels=net.labels, picture_shape=(3, 128, 128))
    for (label, probability), (also, about) in zip(net.predict(demo.picture())[0], other.predict(demo.picture())[0], strict=True):
        assert label == also
        assert probability == pytest.approx(about, abs=1e-5)


# Seven architectures, maps and gradients


@pytest.fixture(scope="module", params=ARCHITECTURES)
def twins(request):
    """The same network in torch, and in the others, and what torch computes."""
    torch_engine = convscope.open(in_torch(request.param), picture_shape=PICTURE).engine
    pictures = np.random.default_rng(0).normal(size=(2, *PICTURE)).astype(np.float32)
    file = in_onnx(request.param)
    names = [node.name for node in file.graph.node]
    seed = np.random.default_rng(1).normal(size=(2, CLASSES)).astype(np.float32)
    trace = torch_engine.trace(pictures, names)
    gradients = trace.pullback({"output": seed}, ["input", *names])
    return request.param, file, names, pictures, seed, torch_engine.run(pictures, [*names, "output"]), gradients


def alike(found, expected, name):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=name)


@once
def test_seven_architectures_have_the_same_maps_in_torch_and_in_onnx(twins):
    _, file, names, pictures, _, expected, _ = twins
    run = convscope.open(file).engine.run(pictures, [*names, "output"])
    for name in (*names, "output"):
        alike(run[name], expected[name], name)


@once
def test_seven_architectures_have_the_same_gradients_in_torch_and_in_onnx_via_torch(twins):
    torchvision()
    pytest.importorskip("onnx2torch", reason="onnx2torch is not installed: pip install 'convscope[onnx-torch]'")
    _, file, names, pictures, seed, _, expected = twins
    gradients = convscope.open(file, via="torch").engine.trace(pictures, names).pullback({"output": seed}, ["input", *names])
    for name in ("input", *names):
        alike(gradients[name], expected[name], name)


def test_seven_architectures_have_the_same_maps_and_gradients_in_torch_and_in_keras(twins):
    pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    from same_weights_keras import in_keras

    name, _, names, pictures, seed, expected, gradients = twins
    engine = convscope.open(in_keras(name)).engine
    trace = engine.trace(pictures, [*names, "output"])
    found, pulled = engine.run(pictures, [*names, "output"]), trace.pullback({"output": seed}, ["input", *names])
    for each in (*names, "output"):
        alike(found[each], expected[each], each)
        alike(trace[each], expected[each], each)
    for each in ("input", *names):
        alike(pulled[each], gradients[each], each)
