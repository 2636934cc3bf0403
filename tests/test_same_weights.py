"""One set of weights, that of the built-in network, opened in every framework: the same maps, the same answers."""

import numpy as np
import pytest

import convscope
from convscope import demo

PICTURES = np.random.default_rng(0).uniform(-1, 1, (2, 3, 128, 128)).astype(np.float32)


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


@pytest.mark.parametrize("twin", [torch_twin, keras_twin])
def test_the_same_weights_give_the_same_maps(net, expected, twin):
    other = convscope.open(twin(net), picture_shape=(3, 128, 128))
    names = [layer.name for layer in net.layers[1:]]
    found = other.engine.run(PICTURES, names)
    for name in names:
        largest = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5 * largest, err_msg=name)


@pytest.mark.parametrize("twin", [torch_twin, keras_twin])
def test_the_same_weights_give_the_same_table_filters_and_blocks(net, twin):
    other = convscope.open(twin(net), picture_shape=(3, 128, 128))
    assert other.layers.parameters == net.layers.parameters
    assert other.layers.convolutions.names == net.layers.convolutions.names
    for layer in net.layers.convolutions:
        np.testing.assert_array_equal(other.filters(layer.name).values, net.filters(layer.name).values)
        np.testing.assert_array_equal(other.filters(layer.name).biases, net.filters(layer.name).biases)
        assert other.layers[layer.name].shape == layer.shape
    assert list(other.maps(PICTURES)) == list(net.maps(PICTURES))
    assert (
        other.maps(PICTURES, activated=True)["block3_conv3"].reading == net.maps(PICTURES, activated=True)["block3_conv3"].reading
    )


@pytest.mark.parametrize("twin", [torch_twin, keras_twin])
def test_a_photograph_gets_the_same_answers(net, twin):
    pytest.importorskip("skimage", reason="the built-in photograph comes with scikit-image")
    other = convscope.open(twin(net), preprocess=net.preprocess, labels=net.labels, picture_shape=(3, 128, 128))
    for (label, probability), (also, about) in zip(net.predict(demo.picture())[0], other.predict(demo.picture())[0], strict=True):
        assert label == also
        assert probability == pytest.approx(about, abs=1e-5)
