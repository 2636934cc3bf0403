"""Deconvnet and guided backpropagation: against Captum, by hand, wherever the ReLUs stand; and refused where there are none."""

import keras
import numpy as np
import pytest
from test_captum import CLASS, Small, same, tensor

import convscope
from convscope.engines.keras import KerasEngine
from convscope.engines.torch import TorchEngine
from convscope.errors import Unsupported, WrongOption
from convscope.methods import backward_rules
from convscope.methods.targets import Unit, resolve

torch = pytest.importorskip("torch")
captum = pytest.importorskip("captum.attr", reason="Captum is not installed: pip install 'convscope[test]'")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

RULES = [
    (backward_rules.deconvnet, "deconvnet", captum.Deconvolution),
    (backward_rules.guided_backpropagation, "guided", captum.GuidedBackprop),
]
PICTURES = np.random.default_rng(0).normal(size=(2, 3, 12, 12)).astype(np.float32)


class Functions(Small):
    """The same network with its ReLUs as functions, some of them in place."""

    def forward(self, x):
        first = F.relu(self.conv1(x), inplace=True)
        return self.classes(torch.flatten(self.pool(torch.relu_(self.conv2(first) + first)), 1))


class Clamps(Small):
    def forward(self, x):
        first = self.conv1(x).clamp(min=0)
        return self.classes(torch.flatten(self.pool(torch.threshold(self.conv2(first) + first, 0, 0)), 1))


class Bounds(Small):
    """Bounds that are arrays, as files of ONNX have them."""

    def forward(self, x):
        first = torch.maximum(self.conv1(x).clamp(min=torch.zeros(())), torch.zeros(()))
        return self.classes(torch.flatten(self.pool(torch.clip(self.conv2(first) + first, torch.zeros(6, 1, 1), None)), 1))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return Small().eval()


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
@pytest.mark.parametrize(("method", "rule", "reference"), RULES)
@pytest.mark.parametrize("kind", [Small, Functions, Clamps, Bounds])
def test_as_captum_wherever_the_relus_stand(small, method, rule, reference, kind):
    module = kind().eval()
    module.load_state_dict(small.state_dict())
    engine = TorchEngine(module, picture_shape=(3, 12, 12))
    found = method(engine, PICTURES, resolve(engine, PICTURES, CLASS))
    same(found.values, reference(small).attribute(tensor(PICTURES), target=CLASS))
    assert "no evidence" in found.notes[0]
    plain, ruled = engine.trace(PICTURES), engine.trace_by(rule, PICTURES)
    np.testing.assert_allclose(ruled["output"], plain["output"], rtol=1e-6)


def test_by_hand():
    """y = -2 relu(x1) + 3 relu(x2), at x = (1, -1): a slope of -2 is held back, one of 3 is not let through by a shut ReLU."""

    class Hand(nn.Module):
        def forward(self, x):
            return (torch.tensor([-2.0, 3.0]) * x.relu()).sum(1, keepdim=True)

    engine = TorchEngine(Hand(), picture_shape=(2,))
    x = np.array([[1, -1], [1, 1]], np.float32)
    target = resolve(engine, x, Unit("output", 0))
    np.testing.assert_array_equal(backward_rules.deconvnet(engine, x, target).values, [[0, 3], [0, 3]])
    np.testing.assert_array_equal(backward_rules.guided_backpropagation(engine, x, target).values, [[0, 0], [0, 3]])


def test_a_maximum_with_zero_is_a_relu_and_with_what_follows_from_the_picture_is_none():
    class Greater(nn.Module):
        def __init__(self, other):
            super().__init__()
            self.other = other

        def forward(self, x):
            return -torch.maximum(x, self.other(x))

    x = np.ones((1, 2), np.float32)
    engine = TorchEngine(Greater(lambda _: torch.zeros(())), picture_shape=(2,))
    np.testing.assert_array_equal(backward_rules.deconvnet(engine, x, resolve(engine, x, Unit("output", 0))).values, 0)
    engine = TorchEngine(Greater(lambda x: x * 0), picture_shape=(2,))
    with pytest.raises(Unsupported, match="No ReLU was found"):
        backward_rules.deconvnet(engine, x, resolve(engine, x, Unit("output", 0)))


def test_relu6_is_shut_above_its_bound():
    engine = TorchEngine(nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU6(inplace=True)), picture_shape=(2,))
    with torch.no_grad():
        engine.module[0].weight.copy_(torch.eye(2))
    x = np.array([[7, 2]], np.float32)
    for unit, expected in ((0, [[0, 0]]), (1, [[0, 1]])):
        found = backward_rules.guided_backpropagation(engine, x, resolve(engine, x, Unit("output", unit)))
        np.testing.assert_array_equal(found.values, expected)


@pytest.mark.parametrize("method", [backward_rules.deconvnet, backward_rules.guided_backpropagation])
def test_keras_on_torch_gives_the_same(small, method):
    if keras.backend.backend() != "torch":
        pytest.skip("the rule can only be changed on torch")
    tensor_ = start = keras.Input((12, 12, 3))
    first = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1")(tensor_)
    second = keras.layers.ReLU()(keras.layers.Conv2D(6, 3, padding="same", name="conv2")(first) + first)
    pooled = keras.layers.Permute((3, 1, 2))(keras.layers.AveragePooling2D(2)(second))
    model = keras.Model(start, keras.layers.Dense(5, name="classes")(keras.layers.Flatten()(pooled)))
    for name in ("conv1", "conv2", "classes"):
        weight = getattr(small, name).weight.detach().numpy()
        weight = weight.T if weight.ndim == 2 else weight.transpose(2, 3, 1, 0)
        model.get_layer(name).set_weights([weight, getattr(small, name).bias.detach().numpy()])
    engine, other = KerasEngine(model), TorchEngine(small, picture_shape=(3, 12, 12))
    found = method(engine, PICTURES, resolve(engine, PICTURES, CLASS)).values
    expected = method(other, PICTURES, resolve(other, PICTURES, CLASS)).values
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_nothing_is_left_behind(small):
    engine = TorchEngine(small, picture_shape=(3, 12, 12))
    target = resolve(engine, PICTURES, CLASS)
    before = engine.trace(PICTURES).pullback({"output": np.ones((2, 5), np.float32)}, ["input"])["input"]
    backward_rules.deconvnet(engine, PICTURES, target)
    after = engine.trace(PICTURES).pullback({"output": np.ones((2, 5), np.float32)}, ["input"])["input"]
    np.testing.assert_array_equal(after, before)


def test_a_network_without_relus_is_refused_and_not_ignored():
    engine = TorchEngine(nn.Sequential(nn.Flatten(), nn.Linear(432, 4), nn.SiLU(), nn.Linear(4, 2)), picture_shape=(3, 12, 12))
    with pytest.raises(Unsupported, match="No ReLU was found"):
        backward_rules.deconvnet(engine, PICTURES, resolve(engine, PICTURES, 0))
    with pytest.raises(WrongOption, match="deconvnet"):
        engine.trace_by("lrp", PICTURES)


def test_other_activations_are_named():
    engine = TorchEngine(
        nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(432, 4), nn.SiLU(), nn.Linear(4, 2)), picture_shape=(3, 12, 12)
    )
    found = backward_rules.deconvnet(engine, PICTURES, resolve(engine, PICTURES, 0))
    assert "silu (1)" in found.notes[1]


def test_where_the_rule_cannot_be_changed_it_is_said_what_works(monkeypatch):
    demo = convscope.open("demo")
    with pytest.raises(Unsupported, match="needs gradients"):
        demo.explain(np.zeros((128, 128, 3), np.uint8), "guided-backprop")
    engine = KerasEngine(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="relu")]))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(Unsupported, match="KERAS_BACKEND=torch"):
        engine.trace_by("guided", np.zeros((1, 2), np.float32))
