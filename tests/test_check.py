"""Copies with other weights, and the check that explanations depend on them."""

import keras
import numpy as np
import pytest

import convscope
from convscope.engines.fake import FakeEngine
from convscope.engines.keras import KerasEngine
from convscope.engines.torch import TorchEngine
from convscope.errors import InputError, UnknownLayer, Unsupported
from convscope.methods.randomisation import Step, cascade, rank_correlation, ranks, shuffled, with_kernels
from convscope.network import Network
from convscope.pictures import Preprocess
from convscope.results import Check, NetworkInfo

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

PICTURES = np.random.default_rng(0).normal(size=(2, 4, 8, 8)).astype(np.float32)


def torch_network(seed):
    torch.manual_seed(seed)
    layers = [
        nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.ConvTranspose2d(6, 4, 3, groups=2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(256, 3),
    ]  # fmt: skip
    module = nn.Sequential(*layers)
    for each in (module[1].weight, module[1].bias, module[1].running_mean):
        nn.init.normal_(each)
    return TorchEngine(module.eval(), picture_shape=(4, 8, 8))


def keras_network(seed):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 4)), layers.Conv2D(6, 3, groups=2, name="grouped", bias_initializer="normal"),
            layers.BatchNormalization(name="norm", beta_initializer="normal", moving_mean_initializer="normal"),
            layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise"),
            layers.SeparableConv2D(5, 3, name="separable"), layers.Conv2DTranspose(3, (2, 3), name="transposed"),
            layers.Flatten(), layers.Dense(3, name="classes"),
        ]
    )  # fmt: skip
    return KerasEngine(model)


@pytest.mark.parametrize("build", [torch_network, keras_network])
def test_with_the_weights_of_another_network_it_is_that_network(build):
    one, other = build(1), build(2)
    before = one.run(PICTURES)["output"]
    expected = other.run(PICTURES)["output"]
    assert not np.allclose(before, expected, atol=1e-3)
    copy = one.with_weights({row.name: other.weights(row.name) for row in other.graph if other.weights(row.name)})
    np.testing.assert_allclose(copy.run(PICTURES)["output"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(one.run(PICTURES)["output"], before)
    assert copy.graph.names == one.graph.names


@pytest.mark.parametrize("build", [torch_network, keras_network])
def test_weights_that_do_not_fit_are_refused(build):
    engine = build(1)
    name = with_kernels(engine.graph)[0]
    with pytest.raises(InputError, match="no weights 'kernel' of shape"):
        engine.with_weights({name: {"kernel": np.zeros((1, 1, 1, 1), np.float32)}})
    with pytest.raises(InputError, match="no weights 'other'"):
        engine.with_weights({name: {"other": np.zeros(3, np.float32)}})
    with pytest.raises(UnknownLayer):
        engine.with_weights({"nothing": {}})


def test_a_model_that_keras_cannot_clone_is_refused():
    class Own(keras.Model):
        def __init__(self, size):
            super().__init__()
            self.dense = keras.layers.Dense(size)

        def call(self, x):
            return self.dense(x)

    model = Own(3)
    model(np.zeros((1, 4), np.float32))
    with pytest.raises(Unsupported, match="cannot clone"):
        KerasEngine(model).with_weights({})


def test_rank_correlation_by_hand():
    np.testing.assert_array_equal(ranks(np.array([3, 1, 3, 0], np.float32)), [3.5, 2, 3.5, 1])
    one = np.array([1, 2, 3, 4], np.float32)
    assert rank_correlation(one, one**3) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert rank_correlation(one, np.array([2, 1, 4, 3], np.float32)) == pytest.approx(0.6)  # 1 - 6 * 4 / (4 * 15)
    assert rank_correlation(one, np.ones(4, np.float32)) == 0
    assert rank_correlation(one, np.array([1, 2, np.nan, 4], np.float32)) == 0


def test_layers_are_made_random_one_after_the_other_from_the_last():
    engine, seen = FakeEngine(), []

    def heat(other):
        seen.append({name: other.weights(name)["kernel"] for name in with_kernels(other.graph)})
        return np.random.default_rng(0).normal(size=(1, 4, 4)).astype(np.float32)

    steps = list(cascade(engine, heat))
    assert [step.layer for step in steps] == ["classes", "conv2", "conv1"]
    for number, weights in enumerate(seen):
        for name in ("classes", "conv2", "conv1"):
            own = engine.weights(name)["kernel"]
            is_random = name in ["classes", "conv2", "conv1"][:number]
            assert np.array_equal(weights[name], own) != is_random
            np.testing.assert_array_equal(np.sort(weights[name].ravel()), np.sort(own.ravel()))  # the same values, shuffled
    assert all(step.correlation == pytest.approx(1) for step in steps)


def test_shuffling_is_of_a_seed():
    values = np.arange(30, dtype=np.float32).reshape(5, 6)
    one, same = (shuffled(values, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one, same)


def test_the_check_tells_a_method_that_looks_from_one_that_does_not():
    """Saliency depends on the weights; the picture itself, by input x gradient of a sum of its pixels, does not."""
    engine = FakeEngine()
    net = Network(engine, NetworkInfo("fake", "by hand", "numpy", engine.graph), Preprocess(size=(8, 8)), ["a", "b", "c"])
    pictures = [np.random.default_rng(number).integers(20, 255, (8, 8, 3), np.uint8) for number in range(3)]
    found = convscope.check("saliency", net, pictures)
    assert found.passes
    assert [step.layer for step in found.steps] == ["classes", "conv2", "conv1"]
    assert "it depends on what was learned" in str(found)
    blind = convscope.check("input-x-gradient", net, pictures, target=lambda output: (output.sum(1) * 0, 0 * output))
    assert all(step.correlation == 0 for step in blind.steps)  # a map of zeros has no ranks
    few = convscope.check("saliency", net, pictures[:1], layers=2)
    assert [step.layer for step in few.steps] == ["classes", "conv1"]
    named = convscope.check("integrated-gradients", net, pictures[:1], layers=["conv2", "classes"], steps=3)
    assert [step.layer for step in named.steps] == ["classes", "conv2"]
    with pytest.raises(InputError, match="at least 2 layers"):
        convscope.check("saliency", net, pictures[:1], layers=1)


def test_what_is_said_of_a_check():
    def said(*magnitudes):
        info = NetworkInfo("fake", "by hand", "numpy", FakeEngine().graph)
        return Check("method", tuple(Step(f"layer{at}", each, each) for at, each in enumerate(magnitudes)), 1, info)

    assert said(0.3, 0.2, 0.1).passes
    assert not said(0.99, 0.72, 0.07).passes  # guided backpropagation: the same without all that was learned in the later half
    assert not said(0.99, 0.2).says_class
    assert "hardly tells one class from another" in str(said(1.0, 0.2))
    assert "it shows the picture" in str(said(0.3, 0.9))


def test_without_a_copy_it_is_refused():
    class Plain:
        def __init__(self, engine):
            self.graph, self.framework, self.weights, self.run = engine.graph, "plain", engine.weights, engine.run

    with pytest.raises(Unsupported, match="which plain does not give"):
        list(cascade(Plain(FakeEngine()), lambda _engine: np.zeros((1, 2, 2), np.float32)))


def test_a_file_can_be_checked_too():
    found = convscope.check(
        "cam", convscope.open("demo"), np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8), layers=2
    )
    assert [step.layer for step in found.steps] == ["predictions", "block1_conv1"]
    assert found.passes
