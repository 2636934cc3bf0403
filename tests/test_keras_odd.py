"""Keras networks with more in them than arrays that flow: masks, one number for the whole batch, chance.

Compared with Keras' own layers, called one by one.
"""

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

from keras import layers as L  # noqa: E402
from keras import ops  # noqa: E402
from zoo_keras import conv  # noqa: E402

from convscope.core import Edit  # noqa: E402
from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.errors import Unsupported  # noqa: E402

WORDS = np.array([[1, 2, 0, 0, 3], [0, 4, 1, 0, 0]], np.float32)
PICTURES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


class Words(L.Layer):
    """Hands on the mask of a layer in it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.table = L.Embedding(5, 4, mask_zero=True, name="table")

    def call(self, x):
        return self.table(x)


def nested(name):
    start = keras.Input((5,), dtype="int32")
    return keras.Model(start, L.Dropout(0.5, name="drop")(L.Embedding(5, 4, mask_zero=True, name="table")(start)), name=name)


@pytest.mark.parametrize("build", [Words, nested])
def test_what_is_edited_held_or_traced_keeps_its_mask(build):
    keras.utils.set_random_seed(0)
    start = keras.Input((5,), dtype="int32")
    words, steps = build(name="words"), L.GRU(3, name="steps")
    engine = KerasEngine(keras.Model(start, steps(words(start))))
    mask = WORDS != 0
    plain, edited = (
        numbers(steps(change(words(WORDS.astype("int32"))), mask=mask)) for change in (lambda x: x, lambda x: x * 0.5)
    )
    assert np.abs(plain - numbers(steps(ops.convert_to_tensor(numbers(words(WORDS)))))).max() > 0.01  # the mask matters
    edits = [Edit("words", 0.5)]
    for found, expected in [
        (engine.run(WORDS, ["words", "output"])["output"], plain),
        (engine.run(WORDS, [], edits)["output"], edited),
        (engine.hold(WORDS, "words").run([], edits)["output"], edited),
        (engine.hold(WORDS, "words").run([], repeat=2)["output"], plain.repeat(2, 0)),
        (engine.trace(WORDS, ["words"])["output"], plain),
        (engine.trace(WORDS, ["words"])["output"], plain),  # compiled, on TensorFlow
    ]:
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_mask_made_of_what_is_not_held_is_held():
    """Masking looks for zeros in what feeds it, which stands behind the cut."""
    keras.utils.set_random_seed(0)
    start = keras.Input((6, 2))
    x = L.Masking(0.0, name="masking")(L.ReLU(name="relu")(L.Conv1D(2, 1, name="conv")(start)))
    engine = KerasEngine(keras.Model(start, L.GRU(3, name="steps")(x)))
    signals = np.random.default_rng(0).normal(size=(3, 2, 6)).astype(np.float32)
    expected = engine.run(signals)["output"]
    for layer, repeat in [("masking", 1), ("masking", 2), ("relu", 2)]:
        found = engine.hold(signals, layer).run([], repeat=repeat)["output"]
        np.testing.assert_allclose(found, expected.repeat(repeat, 0), atol=1e-5, err_msg=f"{layer}, {repeat} times")


def test_one_number_for_the_whole_batch_is_no_row_and_does_not_hide_what_it_is_made_of():
    keras.utils.set_random_seed(0)
    start = keras.Input((8, 8, 3), name="picture")
    left, right = conv(4, "left")(start), conv(4, "right")(start)
    engine = KerasEngine(keras.Model(start, L.ReLU(name="relu")(right * ops.mean(left))))
    assert engine.graph["multiply"].inputs == ("right", "left")
    run = engine.run(PICTURES, ["left", "right", "multiply", "output"])
    np.testing.assert_allclose(run["multiply"], run["right"] * run["left"].mean(), atol=1e-6)
    for layer in ("left", "right"):
        held, edits = engine.hold(PICTURES, layer), [Edit(layer, 0.5, 1.0)]
        np.testing.assert_allclose(held.run()["output"], run["output"], atol=1e-6)
        np.testing.assert_allclose(held.run([], edits)["output"], engine.run(PICTURES, [], edits)["output"], atol=1e-6)


class Throwing(keras.Model):
    """Throws dice in every run."""

    def __init__(self):
        super().__init__()
        self.conv, self.drop, self.norm = conv(4, "conv"), L.Dropout(0.5, seed=1, name="drop"), L.BatchNormalization(name="norm")

    def call(self, x):
        for _ in range(2):
            x = self.norm(self.drop(self.conv(x), training=True), training=True)[..., :3]
        return x


def test_chance_falls_the_same_way_in_a_held_run_and_stays_as_it_was():
    model = Throwing()
    model(PICTURES.transpose(0, 2, 3, 1))
    with keras.StatelessScope():
        expected = numbers(model(PICTURES.transpose(0, 2, 3, 1), training=False)).transpose(0, 3, 1, 2)
    before = [numbers(each) for each in model.variables]
    engine = KerasEngine(model, picture_shape=(3, 8, 8))
    for found in (engine.run(PICTURES), engine.run(PICTURES), engine.hold(PICTURES, "drop").run()):
        np.testing.assert_allclose(found["output"], expected, atol=1e-5)
    assert all(np.array_equal(a, numbers(b)) for a, b in zip(before, model.variables, strict=True))


def test_a_built_network_of_which_keras_kept_no_shape_is_asked_for_it():
    model = Throwing()
    model(PICTURES.transpose(0, 2, 3, 1))
    model._build_shapes_dict = None  # as where Keras cannot go through a network without numbers, and builds it as it runs
    with pytest.raises(Unsupported, match=r"picture_shape=\(3, 224, 224\)"):
        KerasEngine(model)
