"""Torch modules that take something else than one array of pictures: opened, or refused in a sentence that says what to do."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from torch import nn  # noqa: E402
from zoo_torch import conv, head  # noqa: E402

import convscope  # noqa: E402
from convscope.conformance import check_engine, laws  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.errors import EngineError, InputError, Unsupported, WrongPictureShape  # noqa: E402

BATCH = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
SHAPE = (3, 8, 8)


def module(forward):
    """With `forward` for its own, a convolution and a head of three classes."""
    made = type("Free", (nn.Module,), {"forward": forward})()
    made.stem, made.head = conv(3, 4), head(4)
    return made.eval()


def scores(self, x):
    return self.head(self.stem(x))


OF_A_DICT = module(lambda self, inputs: scores(self, inputs["image"] + inputs["depth"]))
BY_NAME = module(lambda self, **inputs: scores(self, inputs["image"]))


def test_a_dict_that_is_the_only_argument():
    shapes = {"image": SHAPE, "depth": (1, 8, 8)}
    engine = TorchEngine(OF_A_DICT, picture_shape=shapes)
    given = {"input": BATCH, "input:1": BATCH[:, :1]}
    with torch.no_grad():
        expected = OF_A_DICT({"image": torch.from_numpy(BATCH), "depth": torch.from_numpy(BATCH[:, :1])}).numpy()
    np.testing.assert_allclose(engine.run(given)["output"], expected, atol=1e-6)
    assert check_engine(engine, given) == list(laws())
    weights = {"stem": engine.weights("stem")}
    np.testing.assert_array_equal(engine.with_weights(weights).run(given)["output"], engine.run(given)["output"])


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (module(lambda self, *, image: scores(self, image)), SHAPE),
        (module(lambda self, *, image=None, scale=1.0: scores(self, image) * scale), SHAPE),
        (module(lambda self, *inputs: scores(self, inputs[0])), SHAPE),
        (module(lambda self, *inputs, **_more: scores(self, *inputs)), [SHAPE]),
        (BY_NAME, {"image": SHAPE}),
    ],
)
def test_a_single_input_goes_in_as_forward_takes_it(given, shape):
    with torch.no_grad():
        expected = scores(given, torch.from_numpy(BATCH)).numpy()
    np.testing.assert_allclose(TorchEngine(given, picture_shape=shape).run(BATCH)["output"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "shape", "error", "says"),
    [
        (OF_A_DICT, SHAPE, EngineError, "in its first layer.* IndexError.*If its forward takes a dict, say what is in it"),
        (
            OF_A_DICT,
            {"imgae": SHAPE},
            InputError,
            r"takes \(inputs\), but .* for 'imgae'.*With a dict of these it fails: KeyError",
        ),
        (BY_NAME, SHAPE, Unsupported, r"by name only \(\*\*inputs\). Say the name.*picture_shape={'image': \(3, 8, 8\)}"),
        (module(lambda self: self.stem.weight), None, Unsupported, "takes no argument.*Let it take the pictures"),
        (
            module(lambda self, *xs: scores(self, xs[0] + xs[1])),
            SHAPE,
            EngineError,
            "takes several inputs, say the shape of each",
        ),
        (
            nn.Sequential(conv(3, 4), nn.Unflatten(1, (1, 4)), nn.Flatten(0, 1), nn.MaxPool2d(64), head(4)),
            (3, 32, 32),
            EngineError,
            "in '3', after '2', .*too small for it: try larger ones.*Output size is too small",
        ),
    ],
)
def test_what_does_not_open_says_what_to_do(given, shape, error, says):
    with pytest.raises(error, match=says) as caught:
        convscope.open(given, picture_shape=shape)
    assert str(caught.value).count("\n") == 0


def test_a_size_that_was_tried_and_failed_is_not_recommended():
    """ "Open it with picture_shape=(3, 8, 8)" was said, which fails as well."""
    engine = TorchEngine(nn.Sequential(conv(3, 4), nn.MaxPool2d(16), head(4)), picture_shape=(3, 32, 32))
    with pytest.raises(
        WrongPictureShape, match=r"shape \(any, 3, 32, 32\), but received \(2, 3, 8, 8\). It was tried, and fail"
    ) as caught:
        engine.run(BATCH)
    assert "picture_shape=" not in str(caught.value)


def of_a_list(self, images):
    """As detectors take them: one after the other is put into a range of values, in place, before they go on together."""
    assert isinstance(images, list)
    return scores(self, torch.stack([each.sub_(0.5) for each in images]))


def test_a_list_of_pictures():
    given = module(of_a_list)
    engine = TorchEngine(given, picture_shape=SHAPE)
    assert engine.graph.wired
    assert [engine.graph[name].inputs for name in ("stem", "head.0")] == [("stack",), ("stem",)]
    with torch.no_grad():
        expected = given([torch.from_numpy(each.copy()) for each in BATCH]).numpy()
    np.testing.assert_allclose(engine.run(BATCH)["output"], expected, atol=1e-6)
    np.testing.assert_allclose(engine.run(BATCH[:1])["output"], expected[:1], atol=1e-6)
    assert check_engine(engine, BATCH) == list(laws())
    copy = engine.with_weights({"stem": engine.weights("stem")})
    np.testing.assert_array_equal(copy.run(BATCH)["output"], engine.run(BATCH)["output"])


@pytest.mark.parametrize("batch", [lambda images: images[0][None], torch.stack], ids=["an axis", "stacked"])
def test_a_list_of_exactly_one_picture(batch):
    def forward(self, images):
        assert isinstance(images, list)
        assert len(images) == 1
        return scores(self, batch(images))

    given = module(forward)
    engine = TorchEngine(given, picture_shape=SHAPE)
    assert "one picture at a time" in " ".join(engine.notes)
    with torch.no_grad():
        expected = scores(given, torch.from_numpy(BATCH)).numpy()
    np.testing.assert_allclose(engine.run(BATCH)["output"], expected, atol=1e-6)


def test_a_list_of_one_input_is_none_of_pictures():
    """Its convolutions take what has an axis less for one picture, and the channels would be taken for pictures."""

    def forward(self, inputs):
        assert isinstance(inputs, list)
        (one,) = inputs
        return self.stem(one)

    with pytest.raises(EngineError):
        TorchEngine(module(forward), picture_shape=SHAPE)


def test_a_list_of_two_inputs_is_none_of_pictures():
    def forward(self, images):
        assert isinstance(images, list)
        one, other = images
        return scores(self, (one + other)[None])

    with pytest.raises(EngineError):
        TorchEngine(module(forward), picture_shape=SHAPE)
