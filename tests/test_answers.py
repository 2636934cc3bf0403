"""What a network answers: a probability is one that the network means, and no answer is made of what is no number."""

import numpy as np
import pytest

import convscope
from convscope.errors import EngineError, InputError, Unsupported
from convscope.methods.answers import at_place
from convscope.targets import Region

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
LABELS = ["cat", "dog", "car"]
PICTURE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)


def ending(end):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(4, 3),
            end,
        ).eval()
    return module, convscope.open(module, picture_shape=(3, 8, 8), labels=LABELS, preprocess="0..1")


def run(module):
    with torch.no_grad():
        return module(torch.from_numpy(PICTURE.transpose(2, 0, 1)[None].astype(np.float32) / 255))[0].numpy()


@pytest.mark.parametrize("end", [torch.nn.Sigmoid, torch.nn.Hardsigmoid])
def test_of_classes_that_have_a_sigmoid_each_the_probabilities_are_its_values(end, tmp_path):
    module, net = ending(end())
    own = run(module)
    assert abs(own.sum() - 1) > 0.1
    (row,) = net.predict(PICTURE)
    np.testing.assert_allclose([dict(row)[label] for label in LABELS], own, rtol=1e-5)
    maps = net.look(PICTURE)
    assert [answer.probability for answer in maps.answers[0]] == [probability for _, probability in row]
    assert "each class by itself" in maps.answers_from
    why = net.explain(PICTURE, "saliency", target="dog", scale="probability")
    np.testing.assert_allclose(why.score, own[1], rtol=1e-5)
    assert why.target == "probability of 'dog' (the network's own)"
    scan = net.scan([PICTURE], out=tmp_path / "scan")
    assert scan.pictures["probability"][0] == pytest.approx(own.max(), rel=1e-5)


def test_the_score_of_a_class_is_read_before_its_sigmoid():
    module, net = ending(torch.nn.Sigmoid())
    why = net.explain(PICTURE, "grad-cam", target="dog")
    np.testing.assert_allclose(why.score, run(module[:-1])[1], rtol=1e-5)
    assert why.target == "logit of 'dog' (the score in '4', before the sigmoid)"


@pytest.mark.parametrize(
    ("end", "said"), [(torch.nn.Identity(), "softmax of the"), (torch.nn.Softmax(1), "the network's own prob")]
)
def test_other_classes_share_what_there_is(end, said):
    module, net = ending(end)
    own = torch.softmax(torch.from_numpy(run(module)), 0).numpy() if "softmax" in said else run(module)
    np.testing.assert_allclose([dict(net.predict(PICTURE)[0])[label] for label in LABELS], own, rtol=1e-5)
    assert net.look(PICTURE).answers_from.startswith(said)


class Logarithm(torch.nn.Module):
    def forward(self, x):
        return torch.log(x - x[:, :1])  # minus infinity, and not a number


def test_what_is_no_number_is_no_answer():
    _, net = ending(Logarithm())
    with pytest.raises(EngineError, match=r"Of 'picture 1' [123] of the 3 values .* not finite"):
        net.predict(PICTURE)
    with pytest.raises(EngineError, match="not finite, so that it has no answer"):
        net.explain(PICTURE, "occlusion")
    maps = net.look(PICTURE)
    assert maps.answers is None
    assert "not finite, so that it has no answer" in maps.pictures[0].notes[-1]


class Outputs(torch.nn.Module):
    """Two heads, of which the last row of the table is not the first output."""

    def __init__(self):
        super().__init__()
        self.conv, self.three, self.two = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 3), torch.nn.Linear(4, 2)

    def forward(self, x):
        mean = self.conv(x).mean((2, 3))
        two = self.two(mean)
        return two, self.three(mean)


def test_labels_are_of_the_classes_of_the_first_output():
    net = convscope.open(Outputs(), picture_shape=(3, 8, 8), labels=["cat", "dog"])
    assert sorted(label for label, _ in net.predict(PICTURE)[0]) == ["cat", "dog"]
    for ask in (convscope.Network.predict, convscope.Network.look, convscope.Network.explain):
        with pytest.raises(InputError, match="3 labels given, but the network has 2 classes"):
            ask(convscope.open(Outputs(), picture_shape=(3, 8, 8), labels=LABELS), PICTURE)


def test_a_class_of_a_segmentation_is_not_named_by_a_list_without_the_background():
    module = torch.nn.Conv2d(3, 4, 3, padding=1)
    net = convscope.open(torch.nn.Sequential(module), picture_shape=(3, 8, 8), labels=LABELS)
    mask = np.eye(8, dtype=bool)
    with pytest.raises(InputError, match="3 labels given, but the network has 4 classes"):
        net.explain(PICTURE, "saliency", target=Region("dog", mask))
    net = convscope.open(torch.nn.Sequential(module), picture_shape=(3, 8, 8), labels=["background", *LABELS])
    named, numbered = (net.explain(PICTURE, "saliency", target=Region(each, mask)) for each in ("dog", 2))
    np.testing.assert_array_equal(named.values, numbered.values)


def test_a_segmentation_answers_at_a_place():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3, padding=1))
    net = convscope.open(module, picture_shape=(3, 8, 8), labels=LABELS, preprocess="0..1")
    at = torch.softmax(torch.from_numpy(run(module)), 0).numpy()[:, 2, 5]
    np.testing.assert_allclose([dict(net.predict(PICTURE, where=(2, 5))[0])[label] for label in LABELS], at, rtol=1e-5)
    found = net.contrast(net.without({"0": [0]}), PICTURE, where=(2, 5))
    before, after = ({each.label: each.probability for each in row["picture 1"]} for row in (found.before, found.after))
    assert before != after
    for ask in (lambda: net.predict(PICTURE), lambda: net.contrast(net, PICTURE)):
        with pytest.raises(Unsupported, match=r"answers at each of 8 x 8 places, with 3 values there: .* Say which, as where="):
            ask()
    with pytest.raises(InputError, match=r"answers at 8 x 8 places, each 2 numbers from 0, but received where=\(8, 0\)"):
        net.predict(PICTURE, where=(8, 0))
    with pytest.raises(Unsupported, match="it answers at no place"):
        ending(torch.nn.Identity())[1].predict(PICTURE, where=(0, 0))
    with pytest.raises(Unsupported, match=r"shape \(2,\): it answers at no place"):
        at_place(np.zeros(2, np.float32), (0, 0))
