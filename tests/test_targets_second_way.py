"""Each kind of target, its value and its gradient, against torch's own of the same expression written out."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
from test_torch_detectors import PICTURES as SCENES  # noqa: E402
from test_torch_detectors import detector  # noqa: E402, F401 - a fixture
from test_torch_detectors import net as detecting  # noqa: E402, F401
from torch import nn  # noqa: E402

import convscope  # noqa: E402
from convscope.errors import InputError, Unsupported, WrongClass  # noqa: E402
from convscope.targets import Box, Region, Unit  # noqa: E402

PICTURES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
LABELS = ["cat", "dog", "car"]
MASK = np.eye(8, dtype=bool)
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*of the values of a float array lie beyond"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]


class Three(nn.Module):
    """A segmentation of the picture, boxes with scores, and a classifier with its softmax, by one stem."""

    def __init__(self, end):
        super().__init__()
        self.conv, self.relu, self.hidden = nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Linear(5 * 64, 7)
        self.maps, self.classes, self.softmax, self.end = nn.Conv2d(5, 3, 1), nn.Linear(7, 3), nn.Softmax(1), end

    def forward(self, x):
        stem = self.relu(self.conv(x))
        if self.end == "segmentation":
            return self.maps(stem)
        if self.end == "boxes":
            return self.maps(stem).flatten(2)[..., :20]
        logits = self.classes(torch.tanh(self.hidden(stem.flatten(1))))
        return self.softmax(logits) if self.end == "probabilities" else logits


def opened(end):
    torch.manual_seed(0)
    module = Three(end).eval()
    return module, convscope.open(module, picture_shape=(3, 8, 8), preprocess="-1..1", labels=LABELS)


def stem(module, x):
    return module.relu(module.conv(x))


def hidden(module, x):
    return module.hidden(stem(module, x).flatten(1))


def logits(module, x):
    return module.classes(torch.tanh(hidden(module, x)))


def squared(output):
    return (output**2).sum(1), 2 * output


CASES = {
    "logit": ("logits", "dog", {}, lambda m, x: m(x)[:, 1]),
    "logit before a softmax": ("probabilities", "dog", {}, lambda m, x: logits(m, x)[:, 1]),
    "probability": ("probabilities", "dog", {"scale": "probability"}, lambda m, x: m(x)[:, 1]),
    "probability of logits": ("logits", "dog", {"scale": "probability"}, lambda m, x: m(x).softmax(1)[:, 1]),
    "a class against another": ("logits", ("dog", "car"), {}, lambda m, x: m(x)[:, 1] - m(x)[:, 2]),
    "the top answer": ("logits", None, {}, lambda m, x: m(x).max(1).values),
    "unit of a convolution": ("logits", Unit("conv", 2), {}, lambda m, x: m.conv(x)[:, 2].mean((1, 2))),
    "unit at a position": ("logits", Unit("conv", 4, (3, 5)), {}, lambda m, x: m.conv(x)[:, 4, 3, 5]),
    "unit of an inner dense layer": ("logits", Unit("hidden", 6), {}, lambda m, x: hidden(m, x)[:, 6]),
    "region of a segmentation": ("segmentation", Region("car", MASK), {}, lambda m, x: m(x)[:, 2][:, torch.eye(8) > 0].mean(1)),
    "score of a box": ("boxes", Box(7, "dog"), {}, lambda m, x: m(x)[:, 1, 7]),
    "a function": ("logits", squared, {}, lambda m, x: (m(x) ** 2).sum(1)),
}


@pytest.mark.parametrize("kind", CASES)
def test_value_and_gradient_are_those_of_the_expression(kind):
    end, target, options, expression = CASES[kind]
    module, net = opened(end)
    why = net.explain(PICTURES, "input-x-gradient", target=target, **options)
    x = torch.from_numpy(PICTURES.copy()).requires_grad_()
    value = expression(module, x)
    value.sum().backward()
    np.testing.assert_allclose(why.score, value.detach().numpy(), rtol=1e-4, atol=1e-6)
    expected = (x * x.grad).detach().numpy()
    np.testing.assert_allclose(why.values, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert np.abs(expected).max() > 0
    if kind == "logit before a softmax":
        assert why.targets == ("logit of 'dog' (the score in 'classes', before the softmax)",) * 2


@pytest.mark.parametrize("number", [0, 2])
@torch.compiler.set_stance("force_eager")  # torchvision compiles its pooling where its own operators are missing
def test_a_box_that_a_detector_found(detector, detecting, number):  # noqa: F811
    scene = SCENES[:1]
    with torch.no_grad():
        (found,) = detector(list(torch.from_numpy(scene)))
    label = int(found["labels"][number])
    why = detecting.explain(scene, "input-x-gradient", target=Box(number, label))
    np.testing.assert_allclose(why.score, [found["scores"][number].item()], rtol=1e-5)
    x = torch.from_numpy(scene[0].copy()).requires_grad_()
    detector([x])[0]["scores"][number].backward()
    expected = (x * x.grad).detach().numpy()[None]
    np.testing.assert_allclose(why.values, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert "may be another one" in why.notes[0]
    with pytest.raises(InputError, match=f"Box {number} was found to be class {label}"):
        detecting.explain(scene, "saliency", target=Box(number, 3 - label))
    with pytest.raises(InputError, match="There is no box 99: 5 were found"):
        detecting.explain(scene, "saliency", target=Box(99, label))


def test_detectors_that_give_scores_before_classes():
    """RetinaNet's order: a class must not be taken for a score."""

    class Finds(nn.Module):
        def forward(self, x):
            each = [torch.stack([one.mean().sigmoid(), one[0].mean().sigmoid() / 2]) for one in x]
            return [{"boxes": torch.zeros(2, 4) + one.mean(), "scores": one, "labels": torch.tensor([1, 2])} for one in each]

    net = convscope.open(Finds(), picture_shape=(3, 8, 8), preprocess="-1..1")
    why = net.explain(PICTURES[:1], "occlusion", target=Box(1, 2), window=4, stride=4)
    assert why.score[0] == pytest.approx(1 / (1 + np.exp(-PICTURES[0, 0].mean())) / 2, rel=1e-5)


def test_what_has_no_score_per_class_says_what_to_ask_for():
    with pytest.raises(Unsupported, match=r"Region\(label, mask\), Box\(number, label\), Unit\(layer, unit\)"):
        opened("segmentation")[1].explain(PICTURES, "saliency", target="dog")
    with pytest.raises(WrongClass, match="Did you mean 'dog'"):
        opened("segmentation")[1].explain(PICTURES, "saliency", target=Region("dgo", MASK))
